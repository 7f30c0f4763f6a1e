"""Cases worked by hand; the methods' general properties are in test_methods_properties."""

from fractions import Fraction

import pytest

from governance import canonical
from governance.methods.counting import count

CONDORCET = ["schulze-wv", "schulze-margins", "ranked-pairs", "minimax", "copeland"]
CITIES = ["Chattanooga", "Knoxville", "Memphis", "Nashville"]


def ranked(*ballots):
    """Write ("AC=B", 5) as a content: tiers of letters, "=" before what is tied with the last."""
    read = []
    for letters, weight in ballots:
        tiers = []
        for n, letter in enumerate(letters):
            if letter == "=":
                continue
            if n and letters[n - 1] == "=":
                tiers[-1].append(letter)
            else:
                tiers.append([letter])
        read.append((tiers, weight))
    return read


def tennessee():
    names = {name[0]: name for name in CITIES}
    ballots = ranked(("MNCK", 42), ("NCKM", 26), ("CKNM", 15), ("KCNM", 17))
    return [([[names[letter] for letter in tier] for tier in tiers], w) for tiers, w in ballots]


def step(counted, name):
    return next(step for step in counted.steps if step["step"] == name)


# --- Condorcet's methods --------------------------------------------------------------------------
@pytest.mark.parametrize("method", CONDORCET)
def test_count_elects_who_wins_every_duel(method):
    counted = count(method, CITIES, tennessee())

    assert counted.winners == ("Nashville",)
    assert counted.pairwise["Nashville"] == {"Chattanooga": 68, "Knoxville": 68, "Memphis": 58}
    assert counted.pairwise["Memphis"] == {"Chattanooga": 42, "Knoxville": 42, "Nashville": 42}


def test_schulze_finds_the_strongest_paths_of_schulzes_own_example():
    ballots = ranked(
        ("ACBED", 5),
        ("ADECB", 5),
        ("BEDAC", 8),
        ("CABED", 3),
        ("CAEBD", 7),
        ("CBADE", 2),
        ("DCEBA", 7),
        ("EBADC", 8),
    )

    counted = count("schulze-wv", "ABCDE", ballots)

    assert step(counted, "strongest_paths")["strengths"] == {
        "A": {"B": 28, "C": 28, "D": 30, "E": 24},
        "B": {"A": 25, "C": 28, "D": 33, "E": 24},
        "C": {"A": 25, "B": 29, "D": 29, "E": 24},
        "D": {"A": 25, "B": 28, "C": 28, "E": 24},
        "E": {"A": 25, "B": 28, "C": 28, "D": 31},
    }
    assert counted.ranking == (("E",), ("A",), ("C",), ("B",), ("D",))
    assert step(counted, "paths_of_the_winners")["paths"][0] == {
        "from": "E",
        "to": "A",
        "strength": 25,
        "path": ["E", "B", "A"],
        "strength_back": 24,
        "path_back": ["A", "C", "E"],
    }


# a beats b 6:4, b beats c 10:3 and c beats a 7:6: the weakest link of this cycle is a over b in
# winning votes, c over a by margins.
CYCLE = ranked(("C", 3), ("BC", 4), ("AB", 6))


def test_schulze_by_winning_votes_and_by_margins_drops_another_link():
    votes = count("schulze-wv", "ABC", CYCLE)
    margins = count("schulze-margins", "ABC", CYCLE)

    assert votes.ranking == (("B",), ("C",), ("A",))
    assert margins.ranking == (("A",), ("B",), ("C",))


def test_ranked_pairs_skips_the_victory_that_contradicts_stronger_ones():
    counted = count("ranked-pairs", "ABC", CYCLE)

    assert step(counted, "pairs")["pairs"] == [
        {"winner": "B", "loser": "C", "strength": 10, "state": "locked"},
        {"winner": "C", "loser": "A", "strength": 7, "state": "locked"},
        {"winner": "A", "loser": "B", "strength": 6, "state": "skipped"},
    ]
    assert counted.ranking == (("B",), ("C",), ("A",))


def test_ranked_pairs_reports_what_equal_strengths_leave_open():
    cycle = ranked(("ABC", 1), ("BCA", 1), ("CAB", 1))

    counted = count("ranked-pairs", "ABC", cycle)

    assert counted.winners == ("A", "B", "C")
    assert step(counted, "pairs")["universes"] == 3
    assert {pair["state"] for pair in step(counted, "pairs")["pairs"]} == {"depends"}


def test_ranked_pairs_falls_back_on_split_cycle_beyond_its_bound():
    letters = "ABCDEFGHIJKLMNOP"
    turned = [letters[n:] + letters[:n] for n in range(len(letters))]

    counted = count("ranked-pairs", letters, ranked(*((order, 1) for order in turned)))

    assert step(counted, "pairs")["complete"] is False
    assert counted.winners == tuple(letters)
    assert len(count("ranked-pairs", letters, ranked((turned[0], 2)), seed="0").winners) == 1


def test_minimax_tells_the_worst_defeat_of_each():
    counted = count("minimax", "ABC", CYCLE)

    assert step(counted, "worst_defeats")["defeats"] == {
        "A": {"votes": 7, "by": ["C"]},
        "B": {"votes": 6, "by": ["A"]},
        "C": {"votes": 10, "by": ["B"]},
    }
    assert counted.ranking == (("B",), ("A",), ("C",))


def test_copeland_counts_a_drawn_duel_as_half():
    counted = count("copeland", "ABC", ranked(("A=BC", 1), ("AC", 1), ("BC", 1)))

    assert step(counted, "duels")["records"] == {
        "A": {"wins": 1, "losses": 0, "ties": 1},
        "B": {"wins": 1, "losses": 0, "ties": 1},
        "C": {"wins": 0, "losses": 2, "ties": 0},
    }
    assert counted.ranking == (("A", "B"), ("C",))


# --- Instant runoff -------------------------------------------------------------------------------
def test_instant_runoff_transfers_votes_round_by_round():
    counted = count("irv", CITIES, tennessee())

    rounds = [step for step in counted.steps if step["step"] == "round"]
    assert counted.winners == ("Knoxville",)
    assert counted.ranking == (("Knoxville",), ("Memphis",), ("Nashville",), ("Chattanooga",))
    assert [one["eliminated"] for one in rounds] == [
        [["Chattanooga"]],
        [["Nashville"]],
        [["Memphis"]],
    ]
    assert rounds[1]["votes"] == {"Knoxville": [32, 1], "Memphis": [42, 1], "Nashville": [26, 1]}


def test_instant_runoff_splits_equal_ranks_and_sets_exhausted_ballots_aside():
    counted = count("irv", "ABC", ranked(("A=BC", 3), ("C", 2), ("B", 1)))

    first, second = (step for step in counted.steps if step["step"] == "round")
    assert first["votes"] == {"A": [3, 2], "B": [5, 2], "C": [2, 1]}
    assert (first["exhausted"], second["exhausted"]) == (0, 0)
    assert second["votes"] == {"B": [4, 1], "C": [2, 1]}
    assert counted.winners == ("B",)


def test_instant_runoff_exhausts_a_ballot_that_ranks_all_that_remain_alike():
    counted = count("irv", "ABC", ranked(("A", 1), ("B", 2), ("C", 3), ("", 4)))

    first, second = (step for step in counted.steps if step["step"] == "round")
    assert (first["exhausted"], second["exhausted"]) == (4, 5)


def test_instant_runoff_follows_every_universe_of_a_tie():
    # B and C are tied for the fewest: without B, C wins 4:3; without C, A wins 5:2.
    counted = count("irv", "ABC", ranked(("ABC", 3), ("BCA", 2), ("CAB", 2)))

    first = step(counted, "round")
    assert (first["lowest"], first["eliminated"]) == (["B", "C"], [["B"], ["C"]])
    assert step(counted, "universes") == {
        "step": "universes",
        "complete": True,
        "universes": 2,
        "sets": 3,
        "sets_shown": 3,
    }
    assert counted.winners == ("A", "C")


def test_instant_runoff_is_exact_with_twelve_tied_options():
    letters = "ABCDEFGHIJKL"
    counted = count("irv", letters, ranked(*((letter, 1) for letter in letters)))

    assert counted.winners == tuple(letters)
    assert step(counted, "universes")["complete"] is True
    assert step(counted, "universes")["sets"] == 2**12 - 12 - 1


def test_instant_runoff_eliminates_tied_options_together_beyond_its_bound():
    letters = "ABCDEFGHIJKLMN"
    ballots = ranked(*((letter, 1) for letter in letters), ("A", 1))

    counted = count("irv", letters, ballots)

    assert step(counted, "universes")["complete"] is False
    assert counted.winners == ("A",)


def test_instant_runoff_opens_no_universe_for_options_that_cannot_catch_up():
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    counted = count("irv", letters, ranked(("A", 10), ("BA", 7), ("CB", 1), ("DB", 1)))

    universes = step(counted, "universes")
    assert (universes["universes"], universes["complete"]) == (1, True)
    assert counted.ranking[:3] == (("A",), ("B",), ("C", "D"))


# --- Sums -----------------------------------------------------------------------------------------
def test_approval_and_score_add_up():
    approval = count("approval", "abc", [(["a", "b"], 3), (["b"], 2), ([], 5)])
    score = count("score", "abc", [({"a": 5, "b": 4}, 2), ({"c": 3}, 1)])

    assert step(approval, "totals")["totals"] == {"a": 3, "b": 5, "c": 0}
    assert approval.ranking == (("b",), ("a",), ("c",))
    assert approval.pairwise["b"] == {"a": 2, "c": 5}
    assert step(score, "totals")["totals"] == {"a": 10, "b": 8, "c": 3}


def test_star_elects_whom_more_ballots_prefer_of_the_two_with_most_points():
    ballots = [({"a": 5, "b": 4}, 2), ({"b": 1}, 3), ({"c": 5, "a": 1}, 1)]

    counted = count("star", "abc", ballots)

    assert step(counted, "totals")["totals"] == {"a": 11, "b": 11, "c": 5}
    assert step(counted, "runoffs")["runoffs"] == [
        {"finalists": ["a", "b"], "votes": {"a": 3, "b": 3}, "elected": ["a", "b"]}
    ]
    assert count("star", "abc", [*ballots, ({"b": 1}, 1)]).ranking == (("b",), ("a",), ("c",))


def test_star_holds_a_runoff_for_each_that_could_be_second():
    ballots = [({"a": 5, "b": 1, "c": 1}, 1), ({"b": 1}, 1), ({"c": 1}, 1)]

    counted = count("star", "abc", ballots)

    assert [one["finalists"] for one in step(counted, "runoffs")["runoffs"]] == [
        ["a", "b"],
        ["a", "c"],
    ]
    assert counted.winners == ("a", "b", "c")


def test_weighted_splits_one_vote_exactly():
    thirds = [({"a": 1, "b": 2}, 1), ({"a": 1, "c": 2}, 1), ({"a": 1, "d": 2}, 1)]

    counted = count("weighted", "abcde", [*thirds, ({"e": 7}, 1), ({}, 1)])

    assert step(counted, "totals")["totals"] == {
        "a": [1, 1],
        "b": [2, 3],
        "c": [2, 3],
        "d": [2, 3],
        "e": [1, 1],
    }
    assert counted.winners == ("a", "e")


def test_weighted_writes_what_json_would_round_as_digits():
    ballots = [({"a": n, "b": 100 - n}, 1) for n in range(1, 100)]
    ballots += [({"a": 1, "b": n}, 1) for n in range(1, 100)]

    counted = count("weighted", "ab", ballots)

    above, below = step(counted, "totals")["totals"]["a"]
    exact = Fraction(99, 2) + sum(Fraction(1, n + 1) for n in range(1, 100))
    assert isinstance(above, str)
    assert Fraction(int(above), int(below)) == exact
    canonical.digest(counted.to_dict())


def test_quadratic_adds_square_roots():
    counted = count("quadratic", "abc", [({"a": 100}, 1), ({"b": 25, "c": 8}, 2), ({"c": 2}, 1)])

    assert step(counted, "strengths")["strengths"] == {
        "a": {"roots": [[10, 1]], "text": "10", "thousandths": 10000},
        "b": {"roots": [[10, 1]], "text": "10", "thousandths": 10000},
        "c": {"roots": [[5, 2]], "text": "5√2", "thousandths": 7071},
    }
    assert counted.ranking == (("a", "b"), ("c",))
