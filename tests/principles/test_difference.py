"""Differences, by cases worked by hand and by what must always hold."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from principles.difference import Part, compare, words
from tests.factories.principles import example, principle_content


def text(*principles, title="T", preamble=""):
    return {"title": title, "preamble": preamble, "principles": list(principles)}


def p(key, **fields):
    return principle_content(key, **fields)


def shape(difference):
    return [(c.key, c.kind, c.moved) for c in difference.principles]


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("", "", []),
        ("Be kind.", "Be kind.", [("same", "Be kind.")]),
        ("", "Be kind.", [("insert", "Be kind.")]),
        ("Be kind.", "", [("delete", "Be kind.")]),
        (
            "Be kind to all.",
            "Be fair to all.",
            [("same", "Be"), ("delete", " kind"), ("insert", " fair"), ("same", " to all.")],
        ),
        (
            "It declines.",
            "It always declines.",
            [("same", "It"), ("insert", " always"), ("same", " declines.")],
        ),
        (
            "the person's home",
            "the people's home",
            [
                ("same", "the"),
                ("delete", " person's"),
                ("insert", " people's"),
                ("same", " home"),
            ],
        ),
        # Re-wrapping a line of text is no change to a reader; a new paragraph is.
        ("one  two", "one two", [("same", "one two")]),
        ("a. b", "a.\n\nb", [("same", "a."), ("delete", " b"), ("insert", "\n\nb")]),
    ],
)
def test_words_by_hand(old, new, parts):
    assert words(old, new) == [Part(*part) for part in parts]


@given(old=st.text(max_size=60), new=st.text(max_size=60))
def test_words_lose_nothing(old, new):
    parts = words(old, new)

    after = "".join(part.text for part in parts if part.op != "delete")
    before = "".join(part.text for part in parts if part.op != "insert")
    assert after == new
    assert before.split() == old.split() or "".join(before.split()) == "".join(old.split())


def test_words_of_long_texts_do_not_take_long():
    one, other = "the people vote, and then " * 400, "and then the people meet; " * 400

    started = time.perf_counter()
    parts = words(one[:10_000], other[:10_000])

    assert time.perf_counter() - started < 3
    assert "".join(p.text for p in parts if p.op != "delete") == other[:10_000]


def test_words_of_long_texts_still_find_the_one_that_changed():
    long = " ".join(f"word{n} of the law," for n in range(400))

    parts = words(long, long.replace("word200 of", "word200 in"))

    assert [p for p in parts if p.op != "same"] == [Part("delete", " of"), Part("insert", " in")]


def test_compare_finds_nothing_in_the_same_text():
    one = text(p("a"), p("b"))

    difference = compare(one, one)

    assert difference.is_empty
    assert difference.counts == {"added": 0, "removed": 0, "changed": 0, "moved": 0, "same": 2}


def test_compare_with_nothing_adds_everything():
    difference = compare({}, text(p("a", rationale="Why."), title="Ours", preamble="We"))

    change = difference.principles[0]
    assert difference.title.parts == (Part("insert", "Ours"),)
    assert difference.preamble.changed
    assert (change.kind, change.old_position, change.new_position) == ("added", None, 1)
    assert [t.label for t in change.texts] == ["Title", "Text", "Rationale"]


def test_compare_matches_by_key_so_a_new_title_is_a_change():
    difference = compare(text(p("a", title="Old")), text(p("a", title="New")))

    change = difference.principles[0]
    assert shape(difference) == [("a", "changed", False)]
    assert change.texts[0].parts == (Part("delete", "Old"), Part("insert", "New"))
    assert [t.field for t in change.texts if t.changed] == ["title"]


def test_compare_inserting_on_top_moves_nobody():
    difference = compare(text(p("a"), p("b")), text(p("new"), p("a"), p("b")))

    assert shape(difference) == [
        ("new", "added", False),
        ("a", "same", False),
        ("b", "same", False),
    ]
    assert not difference.is_empty


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("abc", "bca", {"a"}),  # one went to the end: the other two keep their order
        ("abc", "cab", {"c"}),
        ("abcd", "dbca", {"a", "d"}),
        ("abcd", "acbd", {"c"}),  # either would do; the earlier place is said to have stayed
        ("abc", "abc", set()),
    ],
)
def test_compare_says_the_fewest_that_moved(before, after, moved):
    difference = compare(text(*map(p, before)), text(*map(p, after)))

    assert {c.key for c in difference.principles if c.moved} == moved
    assert difference.counts["moved"] == len(moved)


def test_compare_shows_a_removed_principle_where_it_used_to_stand():
    difference = compare(text(*map(p, "abcde")), text(*map(p, "ace")))

    assert shape(difference) == [
        ("a", "same", False),
        ("b", "removed", False),
        ("c", "same", False),
        ("d", "removed", False),
        ("e", "same", False),
    ]
    assert compare(text(*map(p, "xab")), text(*map(p, "ba"))).principles[0].key == "x"


def test_compare_tells_codes_examples_and_weight_apart():
    old = p("a", hazard_codes=["S1", "S2"], examples=[example("tea"), example("rye")], weight=1)
    new = p("a", hazard_codes=["S2", "S9"], examples=[example("rye"), example("jam")], weight=2)

    change = compare(text(old), text(new)).principles[0]

    assert change.kind == "changed"
    assert (change.codes_added, change.codes_removed) == (("S9",), ("S1",))
    assert change.codes == ("S1", "S2", "S9")
    assert change.examples_added == (example("jam"),)
    assert change.examples_removed == (example("tea"),)
    assert change.weights == (1, 2)


def test_compare_can_be_both_moved_and_changed():
    difference = compare(text(p("a"), p("b"), p("c")), text(p("b"), p("c"), p("a", text="Other.")))

    assert shape(difference)[2] == ("a", "changed", True)
