"""Every main page of a populated community: WCAG 2.2 A and AA by axe, at two widths, in two lights.

Axe is put into the page as a person's extension would be, past the content security policy; all
else in the page obeys the policy, and whatever it breaks is an error in the console.
"""

from pathlib import Path

import axe_playwright_python
import pytest

from tests.browser.walk import lights, settle

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
RUN = """
async ([tags, rules]) => {
  const only = rules.length ? {type: "rule", values: rules} : {type: "tag", values: tags};
  const options = {runOnly: only, resultTypes: ["violations"], preload: false};
  const found = await axe.run(document, options);
  return found.violations.map(({id, nodes}) =>
    `${id}: ${nodes.slice(0, 3).map(node => node.target.join(" ")).join(" | ")}`);
}
"""
# What another colour scheme can change.
COLOURS = ["color-contrast", "link-in-text-block"]
# Drawn by Swagger UI, which is not ours.
NOT_OURS = {"api"}
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
GROUPS = 4


def examined(visitor):
    """List what is wrong with the page that is open, in each width and each colour scheme."""
    page = visitor.page
    settle(page)
    visitor.is_examined = True
    page.evaluate(AXE)
    wrong = [what for light in lights(page) for what in looked_at(page, *light)]
    page.evaluate("() => new Promise(requestAnimationFrame)")
    visitor.is_examined = False
    return wrong


def looked_at(page, width, scheme):
    """List what is wrong with the page that is open, in one light."""
    rules = COLOURS if scheme == "dark" else []
    wrong = [f"{width} {scheme}: {found}" for found in page.evaluate(RUN, [TAGS, rules])]
    if over := page.evaluate(WIDER):
        wrong.append(f"{width} {scheme}: scrolls sideways by {over} pixels")
    return wrong


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_page_has_a_barrier(populated, person, group):
    people = {"": person(), "stranger": None}
    wrong = []
    for name, path, who in populated["pages"][group::GROUPS]:
        if name in NOT_OURS:
            continue
        if people.get(who) is None:
            people[who] = person(populated[who])
        people[who].goes(path)
        wrong += [f"{name} {what}" for what in examined(people[who])]
    assert not wrong, "\n".join(wrong)


def test_what_is_folded_has_no_barrier(populated, person):
    stella, nora = person(populated["steward"]), person(populated["member"])
    wrong = []
    for visitor, path in (
        (stella, f"{populated['home']}members/"),
        (stella, f"{populated['home']}runs/new/"),
        (stella, populated["unmet"]),
        (nora, populated["draft"]),
        (nora, f"{populated['home']}label/"),
    ):
        visitor.goes(path)
        settle(visitor.page)
        visitor.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        wrong += [f"{path} {what}" for what in examined(visitor)]
    assert not wrong, "\n".join(wrong)


def test_the_keyboard_reaches_what_it_names(populated, person):
    stella = person(populated["steward"])
    stella.goes(f"{populated['home']}label/")
    page = stella.page
    page.keyboard.press("?")
    assert page.locator("dialog[open]").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    assert page.evaluate("document.activeElement.name") == "note"
