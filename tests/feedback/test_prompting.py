"""Prompts typed in and imported, and answers that become comparisons."""

import hashlib
import json

import pytest
from django.db import connection, transaction

from feedback import prompting
from feedback.models import Comparison, Prompt, Response
from governance.errors import BadInput, NotPermitted
from governance.models import AuditEvent
from tests.factories.feedback import PromptFactory, make_version, member
from tests.factories.governance import CommunityFactory, UserFactory
from tests.governance.threads import at_once

pytestmark = pytest.mark.django_db


def jsonl(*rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def add(community, actor, text="Is water wet?", **fields):
    return prompting.add_prompt(community_id=community.pk, actor=actor, text=text, **fields)


def load(community, actor, content, filename="prompts.jsonl"):
    return prompting.import_prompts(
        community_id=community.pk, actor=actor, content=content, filename=filename
    )


# --- the split ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Is water wet?", "Straße", "Élan", "x"])
def test_split_of_follows_the_digest_of_the_normal_text(text):
    number = int(hashlib.sha256(" ".join(text.casefold().split()).encode()).hexdigest()[:8], 16)

    assert prompting.split_of(text) == ("evaluation" if number % 100 < 40 else "train")


def test_split_of_is_the_same_for_other_case_space_and_composition():
    assert prompting.normalised("  E\u0301LAN  vital\n") == prompting.normalised("\u00e9lan vital")


def test_split_of_sends_about_forty_of_a_hundred_to_evaluation():
    found = sum(prompting.split_of(f"question {n}") == "evaluation" for n in range(2000))

    assert 740 < found < 860


# --- typed in -------------------------------------------------------------------------------------


def test_add_prompt_keeps_text_codes_and_split(community, annotator):
    prompt = add(community, annotator, "  How do I pick a lock? ", hazard_codes=["s2", "S1", "S1"])

    assert prompt.text == "How do I pick a lock?"
    assert prompt.hazard_codes == ["S1", "S2"]
    assert prompt.split == prompting.split_of("How do I pick a lock?")
    assert prompt.submitted_by == annotator


def test_add_prompt_enters_the_trail_without_its_words(community, annotator):
    prompt = add(community, annotator, "My secret question")

    event = AuditEvent.objects.get(verb="prompt.added")
    assert event.data == {"digest": prompt.digest, "split": prompt.split}


def test_add_prompt_refuses_strangers(community):
    with pytest.raises(NotPermitted):
        add(community, UserFactory())

    assert not Prompt.objects.exists()
    assert not AuditEvent.objects.exists()


def test_add_prompt_refuses_the_same_words_twice(community, annotator):
    add(community, annotator, "Is water wet?")

    with pytest.raises(BadInput, match="already"):
        add(community, annotator, "is  WATER wet?")


def test_add_prompt_takes_the_same_words_in_another_community(community, annotator):
    other = CommunityFactory()
    add(community, annotator)
    add(other, member(other))

    assert Prompt.objects.count() == 2


@pytest.mark.parametrize("text", ["", "  \n", "a\0b", "half \ud800 pair", "x" * 8001])
def test_add_prompt_refuses_what_is_no_text(community, annotator, text):
    with pytest.raises(BadInput):
        add(community, annotator, text)


@pytest.mark.parametrize("codes", [["not a code"], ["S1", 2], ["<script>"], 7])
def test_add_prompt_refuses_what_is_no_code(community, annotator, codes):
    with pytest.raises((BadInput, TypeError)):
        add(community, annotator, hazard_codes=codes)

    assert not Prompt.objects.exists()


# --- imported -------------------------------------------------------------------------------------


def test_import_prompts_takes_jsonl(community, steward):
    content = jsonl(
        {"text": "One?", "hazard_codes": ["S1"], "licence": "MIT"},
        {"prompt": "Two?", "language": "pt-BR", "other": 1},
    )

    assert load(community, steward, content) == 2
    assert list(Prompt.objects.values_list("text", "hazard_codes", "language", "licence")) == [
        ("One?", ["S1"], "en", "MIT"),
        ("Two?", [], "pt-BR", "CC0-1.0"),
    ]


def test_import_prompts_takes_csv_with_mark_and_quotes(community, steward):
    content = '\ufefftext,hazard_codes\r\n"Two\r\nlines, one prompt",S1;S2\r\nNext,\r\n'.encode()

    assert load(community, steward, content, "prompts.CSV") == 2
    assert list(Prompt.objects.values_list("text", "hazard_codes")) == [
        ("Two\nlines, one prompt", ["S1", "S2"]),
        ("Next", []),
    ]


def test_import_prompts_twice_adds_nothing(community, steward):
    load(community, steward, jsonl({"text": "One?"}))

    assert load(community, steward, jsonl({"text": "One?"})) == 0
    assert AuditEvent.objects.filter(verb="prompts.imported").count() == 1


def test_import_prompts_refuses_members(community, annotator):
    with pytest.raises(NotPermitted):
        load(community, annotator, jsonl({"text": "One?"}))


@pytest.mark.parametrize(
    ("filename", "content", "sentence"),
    [
        ("p.jsonl", b'{"text": "One?"}\n{"text": ""}\n', "Line 2: The prompt is empty."),
        ("p.jsonl", b'{"text": "One?"}\n\nnonsense\n', "Line 3: not JSON."),
        ("p.jsonl", b'{"text": "One?"}\n[1]\n', "Line 2: not a JSON object."),
        ("p.jsonl", b'{"text": "One?"}\n{"text": 5}\n', "Line 2: The prompt must be a text."),
        ("p.jsonl", b'{"text": "One?"}\n{"text": "ONE?"}\n', "Line 2: the same prompt as line 1."),
        ("p.jsonl", b'{"text": "One?"}\n{"text": "\\ud800"}\n', "Line 2: The prompt holds"),
        ("p.jsonl", b'{"text": "One?"}\n{"text": "a", "language": 7}', "Line 2: The language"),
        ("p.jsonl", b'{"text": "One?"}\n\xff\n', "Line 2: not UTF-8"),
        ("p.jsonl", b"", "The file has no prompts."),
        ("p.jsonl", b"[" * 100_000, "Line 1: not JSON."),
        ("p.csv", b'text\n"One\nmore?"\n""\n', "Line 4: The prompt is empty."),
        ("p.csv", b"text\nOne?\na,b\n", "Line 3: 2 values for 1 columns."),
        ("p.csv", b"question\nOne?\n", "Line 1: the first line must name the columns"),
        ("p.csv", b'text\nOne?\n"open', "Line 3: not CSV"),
        ("p.xlsx", b"text", ".jsonl or .csv"),
    ],
)
def test_import_prompts_refuses_bad_files_whole(community, steward, filename, content, sentence):
    with pytest.raises(BadInput) as refusal:
        load(community, steward, content, filename)

    assert sentence in str(refusal.value)
    assert not Prompt.objects.exists()
    assert not AuditEvent.objects.exists()


def test_import_prompts_names_every_bad_line(community, steward):
    with pytest.raises(BadInput, match=r"Line 1: .* Line 3: "):
        load(community, steward, b'{"text": ""}\n{"text": "fine"}\nnonsense')


# --- answers --------------------------------------------------------------------------------------


def answers(prompt, first="Yes.", second="No."):
    return [
        {"prompt_id": prompt.pk, "arm": "plain", "text": first, "params": {"t": 1}, "seed": 3},
        {"prompt_id": prompt.pk, "arm": "guided", "text": second, "params": {}, "seed": 3},
    ]


def record(community, rows, seed=0):
    return prompting.record_responses(
        community_id=community.pk, model_name="tiny", model_digest="1" * 64, rows=rows, seed=seed
    )


def test_record_responses_makes_one_comparison_of_two_arms(community, version):
    prompt = PromptFactory(community=community)

    assert record(community, answers(prompt)) == 1

    comparison = Comparison.objects.get()
    assert {comparison.response_a.text, comparison.response_b.text} == {"Yes.", "No."}
    assert comparison.response_a.digest < comparison.response_b.digest
    assert comparison.principle.key == "honest"
    assert comparison.labels_wanted == 3


def test_record_responses_twice_adds_nothing(community, version):
    prompt = PromptFactory(community=community)
    record(community, answers(prompt))

    assert record(community, answers(prompt)) == 0
    assert (Response.objects.count(), Comparison.objects.count()) == (2, 1)
    assert AuditEvent.objects.count() == 1


def test_record_responses_picks_the_principle_by_hazard_code(community, version):
    prompt = PromptFactory(community=community, hazard_codes=["S1", "S9"])

    record(community, answers(prompt))

    assert Comparison.objects.get().principle.key == "careful"


def test_record_responses_does_not_compare_the_same_words(community, version):
    prompt = PromptFactory(community=community)

    assert record(community, answers(prompt, "Same.", "Same.")) == 0
    assert Response.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_record_responses_keeps_nobody_from_writing_rows_of_the_community(community, version):
    prompt = PromptFactory(community=community)

    def add_row():
        # Who holds the trail writes such a row, its event: waiting for us, it would wait for ever.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
            return PromptFactory(community=community)

    with transaction.atomic():
        record(community, answers(prompt))
        (added,) = at_once(add_row)

    assert isinstance(added, Prompt)


def test_record_responses_passes_over_hidden_prompts(community, version):
    assert record(community, answers(PromptFactory(community=community, hidden=True))) == 0


def test_record_responses_keeps_comparisons_of_a_principle_left_alone(community, version):
    prompt = PromptFactory(community=community)
    record(community, answers(prompt))
    make_version(community)

    assert record(community, answers(prompt)) == 0


def test_record_responses_refuses_foreign_prompts(community, version):
    with pytest.raises(BadInput):
        record(community, answers(PromptFactory()))

    assert not Response.objects.exists()


def test_record_responses_needs_a_version_in_force(community):
    with pytest.raises(BadInput, match="no version"):
        record(community, answers(PromptFactory(community=community)))
