"""Polls among options: asked, ranked by keyboard alone, changed, withdrawn, and understood."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import examined

GROUPS = 4
ORDER = "[data-rank-row]"


@pytest.fixture(scope="module")
def tea(site):
    """A community with polls of every method and in every state."""
    return site.seed("polls", slug="tea-house")


def order_of(page):
    return page.locator(ORDER).evaluate_all("rows => rows.map(row => row.dataset.title)")


def numbers_of(page):
    return page.locator("[data-rank]").evaluate_all("all => all.map(input => input.value)")


def tabs_to(page, selector):
    """Press Tab until what the selector names has the focus."""
    for _ in range(200):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never reaches {selector}.")


def option(someone, number):
    return someone.page.locator(f"[name=option-{number - 1}]")


def test_a_ranked_ballot_is_cast_changed_and_withdrawn_by_keyboard_alone(tea, person):
    nora = person(tea["member"])
    nora.goes(tea["ranked"])
    page, said = nora.page, nora.page.locator("[data-rank-said]")

    tabs_to(page, '[data-title="Coffee"] [data-rank-handle]')
    page.keyboard.press("ArrowUp")
    expect(said).to_have_text("Coffee is now at place 1 of 1.")
    tabs_to(page, '[data-title="Status quo"] [data-rank-handle]')
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(said).to_have_text("Status quo is now at place 1 of 2.")
    page.keyboard.press("ArrowDown")
    expect(said).to_have_text("Status quo is now at place 2 of 2.")
    assert order_of(page)[:2] == ["Coffee", "Status quo"]
    assert numbers_of(page) == ["1", "2", "", ""]
    tabs_to(page, "form[data-ballot] button[type=submit]")
    page.keyboard.press("Enter")
    nora.sees("Your ballot is recorded: Coffee, then Status quo")

    page.reload()
    tabs_to(page, '[data-title="Tea"] [data-rank-up]')
    page.keyboard.press("Home")
    tabs_to(page, '[data-title="Status quo"] [data-rank-handle]')
    page.keyboard.press("Delete")
    expect(said).to_have_text("Status quo is left out, and so last.")
    assert numbers_of(page) == ["1", "2", "", ""]
    tabs_to(page, "form[data-ballot] button[type=submit]")
    page.keyboard.press("Enter")
    nora.sees("Your ballot is recorded: Tea, then Coffee")

    tabs_to(page, "form[action$='/ballot/withdraw/'] button")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cast ballot")).to_be_visible()
    assert numbers_of(page) == [""] * 4


def test_ties_are_typed_and_split_by_the_buttons(tea, person):
    omar = person(tea["voter"])
    omar.goes(tea["ranked"])
    page = omar.page
    page.get_by_label("Tea", exact=True).fill("1")
    page.get_by_label("Coffee", exact=True).fill("1")
    page.get_by_label("Coffee", exact=True).blur()
    expect(page.locator("[data-rank-said]")).to_have_text("Coffee shares place 1 of 1.")
    omar.presses("Down: Tea")
    assert numbers_of(page) == ["1", "2", "", ""]
    assert order_of(page)[:2] == ["Coffee", "Tea"]


def test_options_are_dragged_into_order(tea, person):
    nora = person(tea["member"])
    nora.goes(tea["ranked"])
    page = nora.page
    handle = page.locator('[data-title="Coffee"] [data-rank-handle]')
    handle.scroll_into_view_if_needed()
    start = handle.bounding_box()
    end = page.locator('[data-title="Tea"]').bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(start["x"] + 5, end["y"] + 30, steps=5)
    page.mouse.move(start["x"] + 5, end["y"] + 2, steps=5)
    page.mouse.up()
    assert order_of(page)[0] == "Coffee"
    assert numbers_of(page)[0] == "1"


def test_ballots_work_without_javascript(tea, person):
    nora = person(tea["member"], java_script_enabled=False)
    nora.goes(tea["ranked"])
    assert nora.page.locator("[data-rank-handle]").first.is_hidden()
    nora.page.get_by_label("Tea", exact=True).fill("2")
    nora.page.get_by_label("Coffee", exact=True).fill("1")
    nora.presses("Cast ballot")
    nora.sees("Your ballot is recorded: Coffee, then Tea")
    nora.presses("Withdraw my ballot")
    nora.sees("Your ballot is withdrawn.")
    nora.goes(tea["star"])
    nora.page.get_by_role("group", name="Tea", exact=True).get_by_label("5").check()
    nora.presses("Cast ballot")
    nora.sees("Your ballot is recorded: Tea 5")
    nora.goes(tea["quadratic"])
    nora.page.get_by_label("Tea", exact=True).fill("64")
    nora.page.get_by_label("Coffee", exact=True).fill("64")
    nora.presses("Cast ballot")
    nora.sees("28 more than the 100 there are")
    nora.page.get_by_label("Coffee", exact=True).fill("36")
    nora.presses("Cast ballot")
    nora.sees("Your ballot is recorded: Tea 64, Coffee 36")
    nora.goes(tea["approval"])
    nora.page.get_by_label("Tea", exact=True).check()
    nora.presses("Cast ballot")
    nora.sees("Your ballot is recorded: Tea")


def test_what_is_left_of_the_credits_is_said_while_one_types(tea, person):
    omar = person(tea["voter"])
    omar.goes(tea["quadratic"])
    left = omar.page.locator("[data-amounts-left]")
    omar.page.get_by_label("Tea", exact=True).fill("64")
    expect(left).to_have_text("36 credits are left.")
    omar.page.get_by_label("Coffee", exact=True).fill("64")
    expect(left).to_have_text("-28 credits are left.")


def test_a_receipt_is_kept_and_the_ballot_found_again(tea, person):
    omar = person(tea["voter"])
    omar.goes(tea["approval"])
    omar.page.get_by_label("Coffee", exact=True).check()
    omar.presses("Cast ballot")
    omar.sees("Your ballot is recorded: Coffee")
    omar.opens("Receipt of your ballot")
    with omar.page.expect_download() as download:
        omar.clicks("Download receipt")
    kept = json.loads(Path(download.value.path()).read_text())
    assert kept["ballot"] == ["coffee"]
    omar.goes(tea["mine"])
    omar.sees(kept["statement"]["voter"][:12])
    omar.sees("Your ballot: Coffee")


def test_a_secret_ballot_says_whom_to_trust_and_names_voters_only(tea, person):
    omar = person(tea["voter"])
    omar.goes(tea["secret"])
    omar.sees("Whom you must trust: whoever runs this site")
    omar.sees("Priya Nair")
    omar.page.get_by_label("Coffee", exact=True).fill("1")
    omar.presses("Cast ballot")
    omar.sees("It waits in its envelope")


def test_a_result_says_why(tea, person):
    nora = person()
    nora.goes(tea["result"])
    nora.sees("Why it came out so")
    nora.sees("Round 1: the status quo has the fewest votes, 0, and goes.")
    expect(nora.page.locator("svg.plot-rounds")).to_be_visible()
    expect(
        nora.page.get_by_role("row", name=re.compile("Milk from the farm")).first
    ).to_be_visible()


def test_a_steward_asks_among_options_and_revises_the_draft(tea, person):
    stella = person(tea["steward"], java_script_enabled=False)
    stella.goes(tea["ask"])
    stella.fills({"Question": "Which cake?", "Text": "For Sunday."})
    stella.page.get_by_label("Approval").check()
    option(stella, 1).fill("Apple")
    option(stella, 2).fill("Plum")
    stella.presses("More options")
    option(stella, 5).fill("Nut")
    stella.page.get_by_label("To pass, it needs").select_option(">=2/3")
    stella.presses("Show what this means")
    stella.sees("at least two thirds of those who put it above or below the status quo")
    stella.presses("Save as draft")
    stella.sees("only stewards see it")
    stella.clicks("Edit the draft")
    option(stella, 3).fill("Cherry")
    stella.presses("Save")
    stella.sees("Cherry")
    stella.presses("Announce or open the poll")
    stella.sees("The poll is open.")
    stella.sees("Tick every option that you approve of")


def test_the_rule_is_said_while_it_is_chosen(tea, person):
    stella = person(tea["steward"])
    stella.goes(tea["ask"])
    expect(option(stella, 1)).to_be_hidden()
    stella.page.get_by_role("radio", name=re.compile(r"Ranking \(Schulze\)")).check()
    expect(option(stella, 1)).to_be_visible()
    expect(stella.page.locator("#rule-words")).to_contain_text("Schulze by winning votes decides")


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_page_of_polls_has_a_barrier(tea, person, group):
    people = {"": person()}
    wrong = []
    for name, path, who in tea["pages"][group::GROUPS]:
        if who not in people:
            people[who] = person(tea[who])
        people[who].goes(path)
        people[who].page.evaluate(
            "document.querySelectorAll('main details').forEach(d => d.open = true)"
        )
        wrong += [f"{name} {what}" for what in examined(people[who])]
    assert not wrong, "\n".join(wrong)
