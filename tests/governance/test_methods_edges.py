"""Every method at the edges: nothing cast, one option, ties, a seed, malformed ballots."""

import json

import pytest

from governance import canonical
from governance.methods.ballots import METHODS, RANKED
from governance.methods.counting import count

AMOUNTS = {"score", "star", "quadratic", "weighted"}


def blank(method):
    return {} if method in AMOUNTS else []


def only_for(method, option):
    """Write a ballot that favours one option and nothing else."""
    if method in RANKED:
        return [[option]]
    return {option: 1} if method in AMOUNTS else [option]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("weight", [0, 1, 7])
def test_count_ties_everything_where_no_ballot_says_anything(method, weight):
    ballots = [(blank(method), weight)] if weight else []

    counted = count(method, ["x", "y", "z"], ballots)

    assert counted.winners == ("x", "y", "z")
    assert counted.ranking == (("x", "y", "z"),)
    assert counted.weight == weight


@pytest.mark.parametrize("method", METHODS)
def test_count_elects_the_only_option(method):
    assert count(method, ["x"], []).winners == ("x",)
    assert count(method, ["x"], [(only_for(method, "x"), 3)], seed="s").ranking == (("x",),)


@pytest.mark.parametrize("method", METHODS)
def test_count_elects_what_the_only_ballot_favours(method):
    assert count(method, ["x", "y", "z"], [(only_for(method, "y"), 1)]).winners == ("y",)


@pytest.mark.parametrize("method", METHODS)
def test_count_ties_options_that_ballots_favour_alike(method):
    ballots = [(only_for(method, option), 2) for option in "xyz"]

    assert count(method, ["x", "y", "z"], ballots).winners == ("x", "y", "z")


@pytest.mark.parametrize("method", METHODS)
def test_count_with_a_seed_elects_the_first_of_the_tied_in_its_order(method):
    ballots = [(only_for(method, option), 2) for option in "xyz"]

    elected = set()
    for seed in map(str, range(30)):
        counted = count(method, "xyz", ballots, seed=seed)
        assert counted.winners == counted.tie_break[:1]
        assert counted.ranking == tuple((option,) for option in counted.tie_break)
        elected |= set(counted.winners)
    assert elected == {"x", "y", "z"}


@pytest.mark.parametrize("method", METHODS)
def test_count_gives_figures_that_can_be_hashed(method):
    ballots = [(only_for(method, option), 2) for option in "xyz"]
    counted = count(method, "xyz", ballots, seed="s").to_dict()

    assert json.loads(canonical.canonical_json(counted)) == counted


@pytest.mark.parametrize(
    ("method", "options", "ballots", "sentence"),
    [
        ("borda", "ab", [], "“borda” is not a method of voting."),
        ("irv", "", [], "A poll has from 1 to 500 options, each with a key of its own."),
        ("irv", "aa", [], "A poll has from 1 to 500 options, each with a key of its own."),
        ("irv", "ab", [([["c"]], 1)], "“c” is not an option of this poll."),
        ("irv", "ab", [([["a"], ["a"]], 1)], "A ballot names an option twice."),
        ("irv", "ab", [(["a", "b"], 1)], "A ballot is not one of the method irv."),
        ("irv", "ab", [({"a": 1}, 1)], "A ballot is not one of the method irv."),
        ("approval", "ab", [({"a": 1}, 1)], "A ballot is not one of the method approval."),
        ("score", "ab", [(["a"], 1)], "A ballot is not one of the method score."),
        ("score", "ab", [({"a": 6}, 1)], "A ballot gives an option from 0 to 5."),
        ("weighted", "ab", [({"a": -1}, 1)], "A ballot gives an option from 0 to 100."),
        ("irv", "ab", [([["a"]], 0)], "A ballot's weight is a whole number from 1 up."),
        ("irv", "ab", [([["a"]], True)], "A ballot's weight is a whole number from 1 up."),
        ("irv", "ab", [([["a"]], 2**51)], "more weight than can be counted"),
    ],
)
def test_count_refuses_what_it_cannot_count(method, options, ballots, sentence):
    with pytest.raises(ValueError, match=sentence.replace(".", r"\.")):
        count(method, options, ballots)
