"""What we read and judge, held against files that others published and people labelled.

No text of theirs reaches a message: assertions are on counts.
"""

import csv
import io
import json

import pytest

from feedback import prompting
from feedback.models import Prompt, normalised, split_by_words
from principles import compilation
from tests.factories.governance import MembershipFactory
from training_jobs.recipes import refusals


def rows_of(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


@pytest.mark.django_db
def test_xstest_is_imported_whole_and_split_by_its_words(data):
    steward = MembershipFactory(steward=True)
    content = (data / "xstest" / "xstest_prompts.csv").read_bytes()

    count = prompting.import_prompts(
        community_id=steward.community_id,
        actor=steward.user,
        content=content,
        filename="xstest_prompts.csv",
    )

    rows = rows_of(data / "xstest" / "xstest_prompts.csv")
    distinct = len({normalised(row["prompt"]) for row in rows})
    expected = sum(split_by_words(row["prompt"]) == "evaluation" for row in rows)
    del rows
    assert count == distinct == 450
    heldout = Prompt.objects.filter(split=Prompt.Split.EVALUATION).count()
    assert heldout == expected
    assert 135 <= heldout <= 225, "two fifths, within what chance allows"


@pytest.mark.django_db
def test_ailuminate_prompts_are_imported_with_their_hazards(data):
    steward = MembershipFactory(steward=True)
    (path,) = (data / "ailuminate-demo").glob("*.csv")
    rows = rows_of(path)
    lines = {
        normalised(row["prompt_text"]): json.dumps(
            {"text": row["prompt_text"], "hazard_codes": [row["hazard"]], "licence": "CC-BY-4.0"}
        )
        for row in rows
    }

    count = prompting.import_prompts(
        community_id=steward.community_id,
        actor=steward.user,
        content="\n".join(lines.values()).encode(),
        filename="ailuminate.jsonl",
    )

    distinct = len(lines)
    del rows, lines
    assert count == distinct
    assert Prompt.objects.filter(hazard_codes=[]).count() == 0


def judged_as_people_did(path):
    """Count the clear answers, and those that the matcher judges as the annotators did."""
    clear = [row for row in rows_of(path) if row["final_label"] != "3_partial_refusal"]
    return len(clear), sum(
        refusals.declines(row["completion"]) == (row["final_label"] == "2_full_refusal")
        for row in clear
    )


@pytest.mark.parametrize("model", ["llama2orig", "llama2new", "mistralinstruct"])
def test_the_refusal_matcher_agrees_with_people(data, model):
    count, agreed = judged_as_people_did(data / "xstest" / f"completions_human_{model}.csv")

    assert agreed / count > 0.85


def test_hugging_face_constitutions_are_read_and_written_unchanged(data):
    paths = sorted((data / "hf-cai-constitutions").glob("*.json"))

    assert len(paths) == 2
    for path in paths:
        published = json.loads(path.read_text(encoding="utf-8"))
        assert compilation.read_hf_recipe(published).to_dict() == published
