"""Compilation: each output against a golden file, and the Hugging Face recipe there and back.

Where an output changes on purpose, write the files anew with `python -m
tests.principles.test_compilation` and read the difference.
"""

import json
from pathlib import Path

import pytest

from governance import canonical
from governance.errors import BadInput
from principles import compilation, starters
from tests.factories.principles import example, principle_content

GOLDEN = Path(__file__).parent / "golden"


def content():
    """Return a constitution with every kind of principle: with all parts, and with the least."""
    return compilation.constitution_content(
        community="moot",
        number=2,
        title="How we are answered",
        preamble="We want help,\nand no harm.",
        parent="0" * 64,
        principles=[
            principle_content(
                "no-harm",
                title="No harm",
                text="It declines what hurts.\n\nIt says so kindly.",
                rationale="People get hurt.",
                examples=[example("trouble"), example("a mess"), example("noise")],
                hazard_codes=["S1", "S10"],
                critique_request="Where does it hurt someone?",
                revision_request="Write it so that it hurts nobody.",
                weight=2,
            ),
            principle_content("plainness", text="It is short.", examples=[example()]),
            principle_content("bare", text="It is itself."),
        ],
    )


def written(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def golden(name, value):
    """Hold a value against its golden file."""
    path = GOLDEN / f"{name}.{'txt' if isinstance(value, str) else 'json'}"
    assert written(value) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("output", sorted(compilation.compile_constitution(content())))
def test_each_output_is_golden(output):
    golden(output, compilation.compile_constitution(content())[output])


def test_full_text_is_golden():
    golden("full_text", compilation.full_text(content()))


def test_for_recipes_is_golden():
    golden("for_recipes", compilation.for_recipes(content()))


def test_outputs_have_these_names():
    assert list(compilation.compile_constitution(content())) == [
        "hf_recipe",
        "rubric",
        "guard_policy",
        "criteria",
        "hazard_map",
        "evaluation_items",
        "system_prompt",
    ]


@pytest.mark.parametrize("template", starters.load(), ids=lambda text: text["key"])
def test_every_output_of_a_template_can_be_hashed(template):
    given = compilation.constitution_content(
        community="moot",
        number=1,
        title=template["title"],
        preamble=template["preamble"],
        parent=None,
        principles=template["principles"],
    )

    outputs = compilation.compile_constitution(given)

    canonical.canonical_json(outputs)
    assert outputs == compilation.compile_constitution(given)
    assert len(outputs["evaluation_items"]) == sum(
        len(p["examples"]) for p in template["principles"]
    )


def test_a_constitution_without_principles_compiles():
    empty = {**content(), "principles": []}

    outputs = compilation.compile_constitution(empty)

    assert outputs["hf_recipe"] == {"constitutions": [], "system_chat": []}
    assert outputs["rubric"]["total_weight"] == 0
    assert outputs["hazard_map"]["uncovered"] == list(compilation.HAZARDS)


def test_the_recipe_repeats_a_pair_as_its_weight_says():
    pairs = compilation.hf_recipe(content())["constitutions"]

    assert [pair["principle"] for pair in pairs] == ["no-harm", "no-harm", "plainness", "bare"]


def test_the_full_text_knows_neither_number_nor_parent():
    later = {**content(), "number": 3, "parent": "1" * 64}

    assert compilation.full_text(later) == compilation.full_text(content())


@pytest.mark.parametrize("change", ["title", "preamble"])
def test_the_full_text_holds_every_word_above_the_principles(change):
    assert compilation.full_text({**content(), change: "Other."}) != compilation.full_text(
        content()
    )


@pytest.mark.parametrize("field", sorted(set(principle_content("x")) - {"key"}))
def test_the_full_text_holds_every_part_of_a_principle(field):
    """What a digest covers and the vote did not show could be slipped in; keys are never shown."""
    other = {
        "examples": [example("other")],
        "hazard_codes": ["S7"],
        "weight": 5,
    }.get(field, "Other.")
    changed = content()
    changed["principles"][0][field] = other

    assert compilation.full_text(changed) != compilation.full_text(content())


# --- the Hugging Face recipe ----------------------------------------------------------------------


def test_read_hf_recipe_gives_our_own_file_back():
    ours = compilation.hf_recipe(content())

    assert compilation.read_hf_recipe(json.loads(json.dumps(ours))).to_dict() == ours


def test_read_hf_recipe_gives_a_file_of_theirs_back():
    theirs = {
        "constitutions": [
            {"critic": "Is it fair to all?", "revision": "Make it fair. "},
            {"critic": "Is it fair to all?", "revision": "Make it fair. "},
        ],
        "system_chat": [
            [
                {"role": "user", "content": "Hello\n"},
                {"role": "assistant", "content": "Hi, “friend” \u2013"},
            ],
            [],
        ],
    }

    assert compilation.read_hf_recipe(theirs).to_dict() == theirs


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "The file: a JSON object is needed here."),
        ({"constitutions": []}, "The file: system_chat is missing."),
        (
            {"constitutions": [], "system_chat": [], "extra": 1},
            "The file: extra is not known here.",
        ),
        (
            {"constitutions": {}, "system_chat": []},
            "constitutions: a JSON list is needed here.",
        ),
        (
            {"constitutions": [{"critique": "a", "revision": "b"}], "system_chat": []},
            "constitutions, entry 1: critic is missing.",
        ),
        (
            {"constitutions": [{"critic": " ", "revision": "b"}], "system_chat": []},
            "constitutions, entry 1: a text that is not empty is needed here.",
        ),
        (
            {"constitutions": [], "system_chat": [[], [{"role": "user"}]]},
            "system_chat, dialogue 2: content is missing.",
        ),
    ],
)
def test_read_hf_recipe_refuses_another_file_and_names_the_place(data, sentence):
    with pytest.raises(BadInput) as refusal:
        compilation.read_hf_recipe(data)

    assert str(refusal.value) == sentence


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    outputs = compilation.compile_constitution(content())
    outputs |= {
        "full_text": compilation.full_text(content()),
        "for_recipes": compilation.for_recipes(content()),
    }
    for name, value in outputs.items():
        path = GOLDEN / f"{name}.{'txt' if isinstance(value, str) else 'json'}"
        path.write_text(written(value), encoding="utf-8")
