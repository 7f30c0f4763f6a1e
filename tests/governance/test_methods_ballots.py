import pytest

from governance.methods.ballots import CREDITS, MAX_PARTS, METHODS, RANKED, check, ranking

OPTIONS = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("method", "given", "written"),
    [
        ("irv", [["c", "a"], [], ["b"]], [["a", "c"], ["b"]]),
        ("copeland", [], []),
        ("approval", ["d", "a"], ["a", "d"]),
        ("approval", [], []),
        ("score", {"b": 0, "a": 5}, {"a": 5, "b": 0}),
        ("quadratic", {"d": 36, "a": 64}, {"a": 64, "d": 36}),
        ("weighted", {"b": 1, "a": 3}, {"a": 3, "b": 1}),
    ],
)
def test_check_writes_a_ballot_in_one_way(method, given, written):
    checked = check(method, OPTIONS, given)

    assert checked == written
    assert list(checked) == list(written)
    assert check(method, OPTIONS, checked) == checked


@pytest.mark.parametrize(
    ("method", "content", "sentence"),
    [
        ("borda", [], "“borda” is not a method of voting."),
        ("irv", [["e"]], "“e” is not an option of this poll."),
        ("irv", [["a"], ["b", "a"]], "“a” is ranked twice."),
        ("irv", [["a", "a"]], "“a” is ranked twice."),
        ("irv", ["a", "b"], "This ballot is a list of options."),
        ("irv", {"a": 1}, "This ballot is a list of options."),
        ("irv", "abcd", "This ballot is a list of options."),
        ("irv", None, "This ballot is a list of options."),
        ("irv", [[]] * 9, "This ballot names more options than the poll has."),
        ("irv", [[1]], "An option is named by its key, which is a text."),
        ("irv", [[["a"]]], "An option is named by its key, which is a text."),
        ("approval", ["a", "a"], "“a” is approved twice."),
        ("approval", ["e"], "“e” is not an option of this poll."),
        ("approval", {"a": 1}, "This ballot is a list of options."),
        ("score", {"a": 6}, "“a” takes from 0 to 5 points."),
        ("star", {"a": -1}, "“a” takes from 0 to 5 points."),
        ("score", {"a": True}, "The points of “a” are a whole number."),
        ("score", {"a": 2.0}, "The points of “a” are a whole number."),
        ("score", {"a": "3"}, "The points of “a” are a whole number."),
        ("score", {1: 3}, "An option is named by its key, which is a text."),
        ("score", {"e": 1}, "“e” is not an option of this poll."),
        ("score", ["a"], "This ballot gives each option a whole number."),
        ("quadratic", {"a": CREDITS + 1}, "“a” takes from 0 to 100 credits."),
        ("quadratic", {"a": 64, "b": 37}, "A ballot spends at most 100 credits."),
        ("weighted", {"a": MAX_PARTS + 1}, "“a” takes from 0 to 100 parts."),
        ("weighted", {"a": 10**400}, "“a” takes from 0 to 100 parts."),
    ],
)
def test_check_refuses_what_is_no_ballot_with_a_sentence(method, content, sentence):
    with pytest.raises(ValueError, match=r".") as refusal:
        check(method, OPTIONS, content)

    assert str(refusal.value) == sentence


def test_check_cuts_a_long_unknown_key():
    with pytest.raises(ValueError, match=r"^“x{80}” is not an option of this poll.$"):
        check("approval", OPTIONS, ["x" * 10_000])


@pytest.mark.parametrize(
    ("method", "content", "tiers"),
    [
        ("irv", [["b"], ["a", "d"]], [["b"], ["a", "d"], ["c"]]),
        ("minimax", [["a"], ["b"], ["c"], ["d"]], [["a"], ["b"], ["c"], ["d"]]),
        ("approval", ["a", "c"], [["a", "c"], ["b", "d"]]),
        ("score", {"b": 5, "c": 2}, [["b"], ["c"], ["a", "d"]]),
        ("quadratic", {"d": 9, "a": 9}, [["a", "d"], ["b", "c"]]),
        ("weighted", {"a": 1, "b": 0}, [["a"], ["b", "c", "d"]]),
    ],
)
def test_ranking_puts_every_option_into_one_tier(method, content, tiers):
    assert ranking(method, OPTIONS, content) == tiers


@pytest.mark.parametrize("method", METHODS)
def test_ranking_of_a_blank_ballot_ties_all_options(method):
    blank = {} if method in {"score", "star", "quadratic", "weighted"} else []

    assert check(method, OPTIONS, blank) == blank
    assert ranking(method, OPTIONS, blank) == [OPTIONS]


def test_ranked_methods_are_methods():
    assert set(RANKED) < set(METHODS)
    assert len(METHODS) == 11
