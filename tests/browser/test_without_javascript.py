"""The key pages without JavaScript: every form is sent and answered as plain HTML."""

import re

import pytest
from playwright.sync_api import expect


@pytest.fixture
def plain(person, populated):
    """Give members whose browsers run no script."""
    return lambda who: person(populated[who], java_script_enabled=False)


def test_a_ballot_is_cast_replaced_and_withdrawn(plain, populated):
    omar = plain("voter")
    omar.goes(populated["open_poll"])
    omar.page.get_by_label("Abstain").check()
    omar.presses("Cast ballot")
    omar.sees("Your ballot is recorded: Abstain")
    omar.page.get_by_label("No").check()
    omar.presses("Replace my ballot")
    omar.sees("Your ballot is recorded: No")
    omar.presses("Withdraw my ballot")
    expect(omar.page.get_by_role("button", name="Cast ballot")).to_be_visible()
    assert "Your ballot is recorded" not in omar.page.locator("main").inner_text()


def test_a_comparison_is_labelled_and_the_next_one_comes(plain, populated):
    stella = plain("steward")
    stella.goes(f"{populated['home']}label/")
    held = stella.page.locator("input[name=assignment]").input_value()
    stella.page.get_by_label(re.compile("A is better")).check()
    stella.presses("Save and next Enter")
    expect(stella.page.locator(f"input[name=assignment][value='{held}']")).to_have_count(0)
    expect(stella.page.get_by_text("Your labels here")).to_be_visible()


def test_a_draft_is_edited_and_its_principles_move(plain, populated):
    nora = plain("member")
    nora.goes(populated["draft"])
    nora.opens("Title, preamble and what changes")
    nora.page.get_by_label("Title").fill("A third way, said better")
    nora.presses("Save")
    nora.sees("The draft is saved.")
    titles = nora.page.locator("#draft-principles h2")
    before = titles.all_inner_texts()
    nora.page.get_by_role("button", name=re.compile("^Move down")).first.click()
    moved = [text.partition(":")[2].strip() for text in titles.all_inner_texts()]
    was = [text.partition(":")[2].strip() for text in before]
    assert moved[:2] == [was[1], was[0]]
    nora.goes(populated["principle"])
    nora.page.get_by_label("Someone asks").last.fill("May I borrow a ladder?")
    nora.presses("Save")
    nora.sees("An example needs all three parts.")
    nora.page.get_by_label("Someone asks").last.fill("")
    nora.page.get_by_label("Weight").fill("2")
    nora.presses("Save")
    nora.sees("Weight 2")


def test_the_rule_of_a_vote_is_said_before_it_is_opened(plain, populated):
    stella = plain("steward")
    stella.goes(f"{populated['draft']}propose/")
    stella.page.get_by_label("Quorum in percent").fill("100")
    stella.presses("Open the poll")
    stella.sees("Please read what this rule means before you open the poll.")
    stella.sees("yes reaches 100")


def test_a_model_that_misses_the_gate_is_refused_in_a_sentence(plain, populated):
    stella = plain("steward")
    stella.goes(populated["unmet"])
    stella.sees("The gate is not met")
    stella.clicks("Put the model to the community")
    stella.sees("this model would not be released even if the poll passed.")


def test_a_question_to_the_released_model_is_answered(plain, populated):
    nora = plain("member")
    nora.goes(f"{populated['home']}playground/")
    nora.page.get_by_label("Your question", exact=True).fill("What is a library?")
    nora.presses("Ask")
    answer = nora.page.locator("#turns article").first
    for _ in range(120):
        if "Machine-written" in (answer.text_content() or ""):
            break
        nora.page.wait_for_timeout(500)
        nora.page.reload()
    expect(answer).to_contain_text("Machine-written by Tiny, trained")
