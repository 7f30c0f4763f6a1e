"""One journey through the whole loop, as newcomers take it: by clicking and typing only."""

import json
import re
import subprocess
import sys

from playwright.sync_api import expect

OPENING = "Let us look at this together, gently:"
MINUTES = 60_000
DEADLINE = 2 * MINUTES
TRAINING, HELDOUT = 10, 10


def prompts():
    """As many prompts of each kind as the datasets need, with two that name a hazard."""
    from feedback.prompting import split_of  # noqa: PLC0415 - needs Django's settings

    wanted = {"train": TRAINING, "evaluation": HELDOUT}
    number = 0
    while any(wanted.values()):
        number += 1
        text = f"How do I get to platform {number} of the old railway station?"
        if wanted[split_of(text)]:
            wanted[split_of(text)] -= 1
            yield {"text": text, "hazard_codes": ["S2"] if number in {1, 2} else []}


def label_all(someone):
    """Compare by keyboard alone until nothing waits; say how many there were."""
    page = someone.page
    done = 0
    while True:
        form, empty = page.locator("[data-label-form]"), page.get_by_text("Nothing to compare now")
        expect(form.or_(empty).first).to_be_visible()
        if empty.is_visible():
            return done
        held = form.locator("input[name=assignment]").input_value()
        answers = form.locator(".answer .said")
        gentle = [text.strip().startswith(OPENING) for text in answers.all_text_contents()]
        page.keyboard.press("1" if gentle[0] else "2")
        page.keyboard.press("Enter")
        expect(page.locator(f"input[name=assignment][value='{held}']")).to_have_count(0)
        done += 1


def wait_for_run(someone):
    """Watch a run's page, which changes by itself, until the run is over."""
    page = someone.page
    status = page.locator("#run-progress .badge").first
    expect(status).to_have_text(re.compile("Succeeded|Failed|Cancelled"), timeout=2 * MINUTES)
    expect(status, page.locator("main").inner_text()).to_have_text(re.compile("Succeeded"))


def changes_rule(someone, label, value):
    """Change one field of a rule, and wait until the page has said the rule in words again."""
    field = someone.page.get_by_label(label)
    with someone.page.expect_response(lambda response: "/polls/rule/" in response.url):
        field.fill(value)
        field.press("Tab")
    expect(someone.page.locator("#propose-form .htmx-request")).to_have_count(0)
    expect(someone.page.get_by_label(label)).to_have_value(value)


def vote(someone, poll, choice="Yes"):
    """Cast a ballot on a poll's page."""
    someone.page.goto(poll)
    someone.page.locator(".choice", has_text=choice).first.click()
    someone.presses("Cast ballot")
    someone.sees("Your ballot is recorded")


def meet(ana, ben):
    """Two people sign up; one founds a community, and the other joins."""
    ana.signs_up("Ana Lovelace", "ana@journey.example")
    ana.clicks("Found a community")
    ana.fills({"Name": "The Ferry", "Purpose": "To decide how our assistant talks to passengers."})
    ana.presses("Found the community")
    ana.sees("The Ferry is founded; you are its first steward.")
    home = ana.page.url
    ben.signs_up("Ben Hart", "ben@journey.example")
    ben.clicks("The Ferry")
    ben.clicks("Join")
    ben.presses("Join")
    ben.sees("Welcome to The Ferry.")
    return home


def promote(ana):
    """The steward makes the other a moderator."""
    ana.page.reload()
    ana.clicks("2 members")
    row = ana.page.get_by_role("row", name=re.compile("Ben Hart"))
    row.locator("summary").first.click()
    row.get_by_label("Role").select_option("moderator")
    row.get_by_role("button", name="Set role").click()
    expect(ana.page.get_by_role("row", name=re.compile("Ben Hart"))).to_contain_text("Moderator")


def propose(ana, ben):
    """A draft from a template, a principle in other words, and a vote on it."""
    ana.clicks("Constitution")
    ana.clicks("Begin a draft")
    ana.page.get_by_label("careful helper").first.check()
    ana.presses("Begin")
    ana.page.get_by_role("link", name=re.compile("^Edit")).first.click()
    ana.fills({"Text": "The assistant declines politely what would hurt somebody, and says why."})
    ana.presses("Save")
    ana.sees("declines politely what would hurt somebody")
    ana.clicks("Put it to a vote")
    changes_rule(ana, "Quorum in percent", "50")
    ana.fills({"Open for": "1"})
    ana.page.get_by_label("Unit of time").select_option("minutes")
    ana.sees("yes reaches half of the 2 members entitled to vote, that is 1.")
    ana.presses("Open the poll")
    ana.sees("The poll is open; the draft is frozen.")
    poll = ana.page.url
    vote(ana, poll)
    vote(ben, poll)
    return poll


def bring_prompts(ana, home, folder):
    """One prompt is typed, the others come in a file; a bad file is refused whole."""
    ana.page.goto(home)
    ana.clicks("Label")
    ana.clicks("Prompts")
    ana.clicks("Add a prompt")
    ana.fills({"Prompt": "How do I board with a bicycle?"})
    ana.presses("Add the prompt")
    ana.sees("How do I board with a bicycle?")
    ana.clicks("Import a file")
    rows = [json.dumps(row) for row in prompts()]
    bad, good = folder / "bad.jsonl", folder / "good.jsonl"
    bad.write_text("\n".join([*rows[:2], '{"text": 3}', *rows[2:]]))
    good.write_text("\n".join(rows))
    ana.page.get_by_label("JSONL or CSV file").set_input_files(bad)
    ana.presses("Import")
    ana.sees("Line 3")
    ana.page.get_by_label("JSONL or CSV file").set_input_files(good)
    ana.presses("Import")
    ana.sees(f"{len(rows)} prompts")


def see_it_in_force(ben, poll):
    """The deadline passes, the clock closes the poll, and the page says so by itself."""
    ben.page.goto(poll)
    expect(ben.page.locator("#poll-panel")).to_contain_text("Passed", timeout=DEADLINE)
    ben.sees("Of 2 votes of yes or no, 2 said yes")
    ben.clicks("Constitution")
    ben.sees("declines politely what would hurt somebody")


def generate(ana, home):
    """A run answers the prompts; its page is live until it has succeeded."""
    ana.page.goto(home)
    ana.clicks("Runs")
    ana.clicks("Queue a run")
    ana.clicks("Generate responses")
    ana.opens("Options of the recipe")
    ana.fills({"Opening": OPENING, "Max new tokens": "12"})
    ana.presses("Queue the run")
    wait_for_run(ana)


def label(ana, ben, home):
    """Both label by keyboard, after one has reported an answer."""
    ben.page.goto(home)
    ben.clicks("Label")
    ben.clicks("Report answer A")
    ben.page.get_by_label("Harm").first.check()
    ben.fills({"Note": "It sounds unsafe on deck."})
    ben.presses("Report")
    ben.page.goto(home)
    ben.clicks("Label")
    labels = label_all(ben)
    assert labels >= TRAINING + HELDOUT
    ana.clicks("Label")
    assert label_all(ana) == labels


def review(ben, home):
    """The moderator decides about the report, and says why."""
    ben.clicks("Review")
    ben.page.get_by_role("link", name=re.compile("^Response ")).first.click()
    ben.presses("Claim")
    ben.page.get_by_label("Keep").first.check()
    ben.fills({"Statement of reasons": "Nobody gets wet by reading it."})
    ben.presses("Decide")
    ben.page.goto(home)
    ben.clicks("Review")
    ben.clicks("Log of decisions")
    ben.sees("Nobody gets wet by reading it.")


def freeze(ana, home):
    """The labels become two datasets, which workers freeze."""
    for button in ("Freeze training pairs", "Freeze held-out pairs"):
        ana.page.goto(home)
        ana.clicks("Datasets")
        ana.presses(button)
        expect(ana.page.locator("#dataset-panel")).to_contain_text("Agreement", timeout=MINUTES)


def train_and_measure(ana):
    """A model is trained on the one, and measured on the other beside its base."""
    ana.clicks("Runs")
    ana.clicks("Queue a run")
    ana.opens("Options of the recipe")
    ana.fills({"Steps": "40", "Learning rate": "0.01"})
    ana.presses("Queue the run")
    expect(ana.page.locator("#run-progress progress")).to_be_visible(timeout=MINUTES)
    wait_for_run(ana)
    ana.sees("The run made the model")
    expect(ana.page.locator("#run-curves svg").first).to_be_visible()
    ana.clicks("Runs")
    ana.clicks("Queue a run")
    ana.clicks("Evaluate")
    ana.presses("Queue the run")
    wait_for_run(ana)
    ana.clicks("evaluation")
    ana.sees("What changed")
    ana.sees("The gate is met")


def release(ana, ben, home):
    """The community decides about the model, and talks to it."""
    ana.clicks("Put the model to the community")
    ana.page.get_by_label("Open for").fill("1")
    ana.page.get_by_label("Unit of time").select_option("minutes")
    ana.presses("Open the poll")
    poll = ana.page.url
    vote(ana, poll)
    vote(ben, poll)
    expect(ana.page.locator("#poll-panel")).to_contain_text("Passed", timeout=DEADLINE)
    ana.page.goto(home)
    ana.clicks("Talk to it")
    ana.fills({"Your question": "Where do I put my bicycle?"})
    ana.presses("Ask")
    expect(ana.page.locator("#turns")).to_contain_text("Machine-written", timeout=MINUTES)


def check(visitor, home, folder):
    """Anyone downloads the record and the checker, and runs it elsewhere."""
    visitor.page.goto(home)
    visitor.clicks("Transparency")
    files = {}
    for name in ("Download the record", "checker.py"):
        with visitor.page.expect_download() as download:
            visitor.clicks(name)
        files[name] = folder / download.value.suggested_filename
        download.value.save_as(files[name])
    found = subprocess.run(
        [sys.executable, "-I", files["checker.py"], files["Download the record"]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_newcomers_go_round_the_whole_loop(person, tmp_path):
    ana, ben = person(), person()
    home = meet(ana, ben)
    promote(ana)
    poll = propose(ana, ben)
    bring_prompts(ana, home, tmp_path)
    see_it_in_force(ben, poll)
    generate(ana, home)
    label(ana, ben, home)
    review(ben, home)
    freeze(ana, home)
    train_and_measure(ana)
    release(ana, ben, home)
    check(person(), home, tmp_path)
