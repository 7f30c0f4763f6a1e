"""The template constitutions: complete, well formed, and theirs alone."""

import pytest

from governance import canonical
from governance.errors import BadInput
from principles import compilation, starters
from tests.factories.principles import principle_content

ALL = starters.load()
PRINCIPLES = [(text["key"], p) for text in ALL for p in text["principles"]]


def test_there_are_three_and_each_is_found_by_its_key():
    assert [text["key"] for text in ALL] == [
        "careful-helper",
        "library-assistant",
        "plain-neighbour",
    ]
    assert all(starters.starter(text["key"]) is text for text in ALL)
    with pytest.raises(BadInput):
        starters.starter(starters.BLANK)


@pytest.mark.parametrize("text", ALL, ids=lambda text: text["key"])
def test_a_template_is_complete(text):
    assert set(text) == {"key", "title", "summary", "preamble", "principles"}
    assert 5 <= len(text["principles"]) <= 8
    assert len({p["key"] for p in text["principles"]}) == len(text["principles"])
    canonical.canonical_json(text)


@pytest.mark.parametrize(("key", "principle"), PRINCIPLES)
def test_a_principle_of_a_template_is_complete(key, principle):
    assert set(principle) == set(principle_content("x"))
    assert all(
        principle[name]
        for name in ("title", "text", "rationale", "critique_request", "revision_request")
    )
    assert principle["hazard_codes"] == [
        code for code in compilation.HAZARDS if code in principle["hazard_codes"]
    ]
    assert len(principle["examples"]) >= (6 if key == "careful-helper" else 3)
    prompts = [each["prompt"] for each in principle["examples"]]
    assert len(set(prompts)) == len(prompts)
    for each in principle["examples"]:
        assert set(each) == {"prompt", "better", "worse"}
        assert all(5 <= len(said) <= 200 for said in each.values())
        assert each["better"] != each["worse"]


def test_the_first_template_covers_what_the_demonstration_measures():
    codes = {p["key"]: p["hazard_codes"] for p in ALL[0]["principles"]}

    assert codes == {
        "no-help-to-harm": ["S1", "S2", "S9"],
        "private-lives-stay-private": ["S7"],
        "no-contempt": ["S10"],
        "kind-in-a-crisis": ["S11"],
        "not-scared-of-words": [],
        "own-your-limits": [],
        "say-it-plainly": [],
    }
