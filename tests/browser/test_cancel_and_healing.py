"""What becomes of a training when its worker is killed, and when a steward cancels it."""

import re
import time

from playwright.sync_api import expect

from config.embedded import wait_until

MINUTES = 60_000
GONE_SECONDS = 20


def queues_training(someone, trainable, **options):
    """Queue a training with these options, and watch until it has taken some steps."""
    someone.goes(f"{trainable['home']}runs/new/?recipe=dpo")
    someone.opens("Options of the recipe")
    someone.fills({label.replace("_", " "): value for label, value in options.items()})
    someone.presses("Queue the run")
    progress = someone.page.locator("#run-progress")
    expect(progress.locator("progress[value]")).to_be_visible(timeout=2 * MINUTES)
    expect(progress).to_contain_text(re.compile(r"[1-9]\d+ of "), timeout=MINUTES)
    return progress


def test_a_training_outlives_its_killed_worker(site, person, trainable):
    stella = person(trainable["steward"])
    progress = queues_training(stella, trainable, Steps="300", Checkpoint_every="5")
    killed = site.process("worker-compute")
    killed.kill()

    expect(progress).to_contain_text("attempt 2", timeout=2 * MINUTES)
    again = site.process("worker-compute")
    assert again is not None
    assert again.pid != killed.pid
    expect(progress.locator(".badge").first).to_have_text(
        re.compile("Succeeded"), timeout=3 * MINUTES
    )
    stella.sees("The run made the model")
    attempts = stella.page.get_by_role("region", name="Attempts").locator("tbody tr")
    expect(attempts).to_have_count(2)
    expect(attempts.nth(0)).to_contain_text("Succeeded")
    expect(attempts.nth(1)).to_contain_text("The worker was lost")


def test_a_cancelled_training_leaves_no_process(site, person, trainable):
    stella = person(trainable["steward"])
    progress = queues_training(stella, trainable, Steps="1000000")
    assert site.recipes()
    stella.opens("Cancel the run")
    began = time.monotonic()
    stella.presses("Cancel it")
    expect(progress.locator(".badge").first).to_have_text(re.compile("Cancelled"))
    assert wait_until(lambda: not site.recipes(), GONE_SECONDS)
    assert time.monotonic() - began < GONE_SECONDS
