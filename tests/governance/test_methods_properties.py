"""What holds for every profile: order, names and numbers do not matter, and each method's virtues.

Which method has which virtue is stated with each; where it has not, published counterexamples are
repeated in tests/conformance/test_voting_axioms.py.
"""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from governance.methods.ballots import METHODS, RANKED, check
from governance.methods.counting import count
from governance.methods.locking import ranked_pairs
from governance.methods.profile import read
from tests.governance.profiles import (
    beats,
    lifted,
    scores,
    smith_set,
    strict_profiles,
    weak_profiles,
    winners,
    without,
)

SCHULZE = ["schulze-wv", "schulze-margins"]
CONDORCET = [*SCHULZE, "ranked-pairs", "minimax", "copeland"]
GIVING = [method for method in METHODS if method not in RANKED]


def ballots_for(method, drawn):
    """Turn points into ballots of any method that gives amounts."""
    names, ballots = drawn
    if method == "approval":
        return names, [([o for o in names if points[o] > 2], weight) for points, weight in ballots]
    return names, [(check(method, names, points), weight) for points, weight in ballots]


def comparable(counted):
    """Leave out what depends on how ballots are bundled, or on the options' order on the page."""
    figures = counted.to_dict()
    del figures["ballots"], figures["options"], figures["steps"]
    return {
        **figures,
        "winners": set(counted.winners),
        "ranking": [set(tier) for tier in counted.ranking],
    }


# --- Of every method ------------------------------------------------------------------------------
def same_result(method, names, ballots, chance):
    split = [(content, 1) for content, weight in ballots for _ in range(weight)]
    chance.shuffle(split)
    for seed in (None, "seed"):
        whole = count(method, names, ballots, seed=seed)
        assert count(method, names, split, seed=seed).to_dict() == {
            **whole.to_dict(),
            "ballots": len(split),
        }
        shuffled = chance.sample(names, len(names))
        assert comparable(count(method, shuffled, split, seed=seed)) == comparable(whole)


@pytest.mark.parametrize("method", RANKED)
@given(drawn=weak_profiles(), chance=st.randoms())
def test_ranked_methods_ignore_the_order_and_bundling_of_ballots(method, drawn, chance):
    same_result(method, *drawn, chance)


@pytest.mark.parametrize("method", GIVING)
@given(drawn=scores(), chance=st.randoms())
def test_other_methods_ignore_the_order_and_bundling_of_ballots(method, drawn, chance):
    same_result(method, *ballots_for(method, drawn), chance)


@pytest.mark.parametrize("method", RANKED)
@given(drawn=weak_profiles(), chance=st.randoms())
def test_ranked_methods_treat_all_options_alike(method, drawn, chance):
    names, ballots = drawn
    new = dict(zip(names, chance.sample(names, len(names)), strict=True))
    renamed = [([[new[o] for o in tier] for tier in tiers], weight) for tiers, weight in ballots]

    expected = {new[option] for option in winners(method, names, ballots)}
    assert set(winners(method, names, renamed)) == expected


@pytest.mark.parametrize("method", RANKED)
@given(drawn=weak_profiles(), times=st.integers(2, 5))
def test_ranked_methods_elect_the_same_from_a_multiple_of_all_ballots(method, drawn, times):
    names, ballots = drawn
    multiplied = [(content, weight * times) for content, weight in ballots]

    assert winners(method, names, multiplied) == winners(method, names, ballots)


@pytest.mark.parametrize("method", RANKED)
@given(drawn=weak_profiles(), seed=st.text("01", max_size=4))
def test_ranked_methods_with_a_seed_elect_one_of_the_tied(method, drawn, seed):
    names, ballots = drawn

    counted = count(method, names, ballots, seed=seed)

    assert set(counted.winners) <= set(winners(method, names, ballots))
    assert len(counted.winners) == 1
    assert [len(tier) for tier in counted.ranking] == [1] * len(names)


@pytest.mark.parametrize("method", RANKED)
@given(drawn=weak_profiles())
def test_ranked_methods_rank_every_option_once_with_the_winners_first(method, drawn):
    names, ballots = drawn

    counted = count(method, names, ballots)

    assert sorted(option for tier in counted.ranking for option in tier) == list(names)
    assert counted.ranking[0] == counted.winners
    assert all(counted.ranking)


@pytest.mark.parametrize("method", RANKED)
@given(drawn=strict_profiles(options=(2, 4)))
def test_ranked_methods_elect_whom_a_majority_puts_first(method, drawn):
    names, ballots = drawn
    total = sum(weight for _, weight in ballots)

    ballots = [*ballots, ([[names[0]]], total + 1)]

    assert winners(method, names, ballots) == (names[0],)


@pytest.mark.parametrize("method", ["irv", "schulze-wv", "schulze-margins", "ranked-pairs"])
@given(drawn=strict_profiles(options=(2, 4)))
def test_unanimity_a_better_liked_option_keeps_the_worse_from_winning(method, drawn):
    names, ballots = drawn
    a, b = names[:2]
    behind = []
    for tiers, weight in ballots:
        rest = [tier for tier in tiers if tier != [b]]
        at = rest.index([a])
        behind.append(([*rest[: at + 1], [b], *rest[at + 1 :]], weight))

    assert b not in winners(method, names, behind)


# --- Condorcet, Smith and what follows ------------------------------------------------------------
@pytest.mark.parametrize("method", CONDORCET)
@given(drawn=weak_profiles(options=(2, 4)))
def test_condorcet_methods_elect_who_wins_every_duel(method, drawn):
    names, ballots = drawn
    won = beats(names, ballots)
    for a in names:
        if all((a, b) in won for b in names if a != b):
            assert winners(method, names, ballots) == (a,)


@pytest.mark.parametrize("method", [*SCHULZE, "ranked-pairs", "copeland"])
@given(drawn=weak_profiles(options=(2, 4)))
def test_condorcet_losers_do_not_win(method, drawn):
    names, ballots = drawn
    won = beats(names, ballots)

    for loser in winners(method, names, ballots):
        assert not all((b, loser) in won for b in names if b != loser)


@given(drawn=strict_profiles(options=(2, 4)))
def test_condorcet_losers_do_not_win_an_instant_runoff(drawn):
    names, ballots = drawn
    won = beats(names, ballots)

    for loser in winners("irv", names, ballots):
        assert not all((b, loser) in won for b in names if b != loser)


@pytest.mark.parametrize("method", [*SCHULZE, "ranked-pairs", "copeland"])
@given(drawn=weak_profiles())
def test_smith_winners_come_from_the_smallest_unbeaten_set(method, drawn):
    names, ballots = drawn

    assert set(winners(method, names, ballots)) <= smith_set(names, ballots)


@pytest.mark.parametrize("method", [*SCHULZE, "copeland"])
@given(drawn=weak_profiles(options=(2, 5)))
def test_options_outside_the_smith_set_change_nothing(method, drawn):
    names, ballots = drawn
    outside = sorted(set(names) - smith_set(names, ballots))
    assume(outside)

    left = names.replace(outside[0], "")

    assert winners(method, left, without(ballots, outside[0])) == winners(method, names, ballots)


# --- Changing ballots -----------------------------------------------------------------------------
@pytest.mark.parametrize("method", CONDORCET)
@given(drawn=strict_profiles(options=(2, 4)), data=st.data())
def test_monotonicity_a_winner_stays_one_when_lifted(method, drawn, data):
    names, ballots = drawn
    before = winners(method, names, ballots)
    at = data.draw(st.integers(0, len(ballots) - 1))
    option = data.draw(st.sampled_from(before))

    content, weight = ballots[at]
    after = [*ballots[:at], (lifted(content, option), weight), *ballots[at + 1 :]]

    assert option in winners(method, names, after)


@pytest.mark.parametrize("method", [*SCHULZE, "irv"])
@given(drawn=strict_profiles(options=(2, 4), voters=7), data=st.data())
def test_clones_change_nothing_for_other_options(method, drawn, data):
    names, ballots = drawn
    cloned = data.draw(st.sampled_from(names))
    flips = data.draw(st.lists(st.booleans(), min_size=len(ballots), max_size=len(ballots)))
    with_clone = [
        ([t for tier in tiers for t in (_pair(cloned, flip) if tier == [cloned] else [tier])], w)
        for (tiers, w), flip in zip(ballots, flips, strict=True)
    ]

    before = set(winners(method, names, ballots))
    after = {o.replace("z", cloned) for o in winners(method, [*names, "z"], with_clone)}

    assert after == before


def _pair(option, flip):
    return [["z"], [option]] if flip else [[option], ["z"]]


@given(drawn=strict_profiles(options=(2, 4), voters=7), data=st.data())
def test_clones_change_nothing_for_ranked_pairs_with_a_voters_ranking_as_tie_break(drawn, data):
    names, ballots = drawn
    cloned = data.draw(st.sampled_from(names))
    flips = data.draw(st.lists(st.booleans(), min_size=len(ballots), max_size=len(ballots)))
    with_clone = [
        ([t for tier in tiers for t in (_pair(cloned, flip) if tier == [cloned] else [tier])], w)
        for (tiers, w), flip in zip(ballots, flips, strict=True)
    ]

    def winner(names, ballots):
        order = [option for (option,) in ballots[0][0]]
        (found,) = ranked_pairs(read("ranked-pairs", names, ballots), order).winners
        return names[found].replace("z", cloned)

    assert winner([*names, "z"], with_clone) == winner(names, ballots)


@pytest.mark.parametrize("method", ["minimax", "irv"])
@given(drawn=strict_profiles(options=(2, 4)), data=st.data())
def test_positive_involvement_a_ballot_does_not_harm_its_first_choice(method, drawn, data):
    names, ballots = drawn
    before = winners(method, names, ballots)
    first = data.draw(st.sampled_from(before))
    rest = data.draw(st.permutations([option for option in names if option != first]))

    after = [*ballots, ([[first], *([option] for option in rest)], 1)]

    assert first in winners(method, names, after)


@given(drawn=strict_profiles(options=(2, 4)), data=st.data())
def test_later_no_harm_of_instant_runoff(drawn, data):
    names, ballots = drawn
    content, weight = data.draw(st.sampled_from(ballots))
    cut = data.draw(st.integers(1, len(names)))
    short = [*ballots, (content[:cut], weight)]
    full = [*ballots, (content, weight)]

    kept = {option for tier in content[:cut] for option in tier}

    assert set(winners("irv", names, short)) & kept <= set(winners("irv", names, full))


@pytest.mark.parametrize("method", SCHULZE)
@given(drawn=strict_profiles(options=(2, 4)))
def test_reversal_a_sole_winner_does_not_win_when_all_ballots_are_reversed(method, drawn):
    names, ballots = drawn
    before = winners(method, names, ballots)
    assume(len(before) == 1)

    assert before != winners(method, names, [(tiers[::-1], weight) for tiers, weight in ballots])


@pytest.mark.parametrize("method", SCHULZE)
@given(drawn=strict_profiles(options=(2, 3)), data=st.data())
def test_resolvability_one_more_ballot_can_make_a_tied_winner_the_only_one(method, drawn, data):
    names, ballots = drawn
    option = data.draw(st.sampled_from(winners(method, names, ballots)))
    rest = [other for other in names if other != option]

    found = [
        winners(method, names, [*ballots, ([[option], *([o] for o in order)], 1)])
        for order in (rest, rest[::-1])
    ]

    assert (option,) in found
