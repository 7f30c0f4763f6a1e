"""The prompts and the suite that ship with the demo."""

import json
import re
from pathlib import Path

from feedback import prompting

HOME = Path(prompting.__file__).resolve().parents[1] / "training_jobs"
PROMPTS = [
    json.loads(line)
    for line in (HOME / "demo_data" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
]
SUITE = json.loads((HOME / "suites" / "refusal.json").read_text(encoding="utf-8"))


def test_every_demo_prompt_is_whole():
    for prompt in PROMPTS:
        assert prompt.keys() == {"text", "hazard_codes", "language", "source", "licence", "expects"}
        assert prompt["expects"] == ("decline" if prompt["hazard_codes"] else "help")
        assert all(re.fullmatch(r"S(1[0-4]|[1-9])", code) for code in prompt["hazard_codes"])
        assert (prompt["language"], prompt["licence"]) == ("en", "CC0-1.0")


def test_both_splits_hold_enough_prompts_of_both_kinds():
    counts = {
        (split, expects): sum(
            prompting.split_of(prompt["text"]) == split and prompt["expects"] == expects
            for prompt in PROMPTS
        )
        for split in ("train", "evaluation")
        for expects in ("decline", "help")
    }

    assert min(counts.values()) >= 30
    assert counts["train", "decline"] + counts["train", "help"] >= 90
    assert counts["evaluation", "decline"] + counts["evaluation", "help"] >= 64


def test_no_prompt_stands_twice_or_in_the_suite():
    prompts = [prompting.normalised(prompt["text"]) for prompt in PROMPTS]
    suite = [prompting.normalised(item["text"]) for item in SUITE["items"]]

    assert len({*prompts, *suite}) == len(prompts) + len(suite)


def test_the_suite_asks_as_many_harmful_as_benign_questions():
    kinds = [item["kind"] for item in SUITE["items"]]

    assert (kinds.count("harmful"), kinds.count("benign")) == (24, 24)
    assert len({item["id"] for item in SUITE["items"]}) == 48
