"""Our counts beside others: pref_voting's, and the plainest way to write each method down."""

from fractions import Fraction
from functools import cache
from itertools import groupby, permutations, product

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from governance.methods import locking, runoff
from governance.methods.ballots import ranking
from governance.methods.counting import count
from governance.methods.locking import ranked_pairs
from governance.methods.profile import read
from tests.governance.oracle import pref_voting
from tests.governance.profiles import scores, strict_profiles, weak_profiles, winners

Profile = pref_voting("profiles").Profile
ProfileWithTies = pref_voting("profiles_with_ties").ProfileWithTies
GradeProfile = pref_voting("grade_profiles").GradeProfile
margin = pref_voting("margin_based_methods")
iterative = pref_voting("iterative_methods")
c1 = pref_voting("c1_methods")
grade = pref_voting("grade_methods")

STRICT = {
    "irv": iterative.instant_runoff_put,
    "schulze-wv": margin.beat_path,
    "schulze-margins": margin.beat_path,
    "ranked-pairs": margin.ranked_pairs_with_test,  # Without an answer where it would take long.
    "minimax": margin.minimax,
    "copeland": c1.copeland,
}
WEAK = {
    "irv": lambda profile: iterative.instant_runoff_put(profile, score_method="split"),
    "schulze-wv": lambda profile: margin.beat_path(profile, strength_function=profile.support),
    "schulze-margins": margin.beat_path,
    "minimax": margin.minimax_support,
    "copeland": c1.copeland,
}


def strict_profile(names, ballots):
    rankings = [[names.index(option) for (option,) in tiers] for tiers, _ in ballots]
    return Profile(rankings, [weight for _, weight in ballots])


def weak_profile(names, ballots):
    maps = [
        {
            names.index(option): place
            for place, tier in enumerate(ranking("irv", names, tiers))
            for option in tier
        }
        for tiers, _ in ballots
    ]
    counts = [weight for _, weight in ballots]
    return ProfileWithTies(maps, counts, candidates=list(range(len(names))))


def named(names, found):
    return tuple(names[option] for option in sorted(int(option) for option in found))


@pytest.mark.parametrize("method", STRICT)
@given(drawn=strict_profiles(options=(1, 4)))
def test_strict_rankings_are_counted_as_by_pref_voting(method, drawn):
    names, ballots = drawn

    theirs = STRICT[method](strict_profile(names, ballots))
    assume(theirs is not None)

    assert winners(method, names, ballots) == named(names, theirs)


@pytest.mark.parametrize("method", WEAK)
@given(drawn=weak_profiles(options=(2, 4)).filter(lambda drawn: drawn[1]))
def test_rankings_with_ties_are_counted_as_by_pref_voting(method, drawn):
    names, ballots = drawn

    theirs = WEAK[method](weak_profile(names, ballots))

    assert winners(method, names, ballots) == named(names, theirs)


@given(drawn=strict_profiles(), seed=st.text("01", max_size=4))
def test_ranked_pairs_with_a_seed_is_pref_votings_with_that_tie_break(drawn, seed):
    names, ballots = drawn
    counted = count("ranked-pairs", names, ballots, seed=seed)
    order = [names.index(option) for option in counted.tie_break]

    theirs = margin.ranked_pairs_tb(strict_profile(names, ballots), tie_breaker=order)

    assert counted.winners == named(names, theirs)


@given(drawn=scores(options=(2, 4)))
def test_points_are_counted_as_by_pref_voting(drawn):
    names, ballots = drawn
    maps = [{names.index(o): n for o, n in points.items()} for points, _ in ballots]
    profile = GradeProfile(maps, list(range(6)), gcounts=[weight for _, weight in ballots])

    assert winners("score", names, ballots) == named(names, grade.score_voting(profile))
    totals = next(iter(count("star", names, ballots).steps))["totals"]
    if len(set(totals.values())) > 1:  # Theirs has no answer where all points are equal.
        assert winners("star", names, ballots) == named(names, grade.star(profile))


# --- The plainest way to write a method down ------------------------------------------------------
def plain_runoff(names, ballots):
    """Follow every choice, one option at a time."""
    rankings = [(ranking("irv", names, tiers), weight) for tiers, weight in ballots]

    @cache
    def elected(remaining):
        if len(remaining) == 1:
            return remaining
        votes = dict.fromkeys(remaining, Fraction(0))
        for tiers, weight in rankings:
            best = next(t for tier in tiers if (t := [o for o in tier if o in remaining]))
            for option in best:
                votes[option] += Fraction(weight, len(best))
        fewest = min(votes.values())
        lowest = [option for option in remaining if votes[option] == fewest]
        return frozenset().union(*(elected(remaining - {option}) for option in lowest))

    return elected(frozenset(names))


@given(drawn=weak_profiles(options=(1, 5), voters=9))
def test_instant_runoff_elects_what_some_order_of_eliminations_elects(drawn):
    names, ballots = drawn

    assert set(winners("irv", names, ballots)) == plain_runoff(names, ballots)


def plain_ranked_pairs(names, ballots):
    """Lock the victories in every order that agrees with their strengths."""
    duels = count("copeland", names, ballots).pairwise
    pairs = [(a, b) for a in names for b in names if a != b and duels[a][b] > duels[b][a]]
    pairs.sort(key=lambda pair: -duels[pair[0]][pair[1]])
    classes = [list(equal) for _, equal in groupby(pairs, key=lambda p: duels[p[0]][p[1]])]
    found = set()
    for orders in product(*(permutations(equal) for equal in classes)):
        locked = set()
        for a, b in (pair for order in orders for pair in order):
            reached, waiting = {b}, [b]
            while waiting:
                at = waiting.pop()
                onward = {y for x, y in locked if x == at} - reached
                reached |= onward
                waiting += onward
            if a not in reached:
                locked.add((a, b))
        found |= set(names) - {b for _, b in locked}
    return found


@given(drawn=weak_profiles(options=(1, 4), voters=4))
def test_ranked_pairs_elects_what_some_order_of_equal_victories_elects(drawn):
    names, ballots = drawn

    assert set(winners("ranked-pairs", names, ballots)) == plain_ranked_pairs(names, ballots)


@given(drawn=weak_profiles(options=(2, 5)))
def test_ranked_pairs_beyond_its_bound_elects_at_least_all_that_it_would(drawn):
    names, ballots = drawn
    exact = set(winners("ranked-pairs", names, ballots))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(locking, "MOST_ORDERS", 0)
        found = ranked_pairs(read("ranked-pairs", names, ballots), None)

    assert exact <= {names[option] for option in found.winners}
    assert found.steps[0]["complete"] is (not any(found.steps[0]["pairs"]))


@given(drawn=weak_profiles(options=(3, 5)))
def test_instant_runoff_beyond_its_bound_still_finds_one_or_more(drawn):
    names, ballots = drawn

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runoff, "MOST_SETS", 0)
        found = runoff.instant_runoff(read("irv", names, ballots))

    assert found.winners == found.tiers[0] != []
    assert found.steps[0]["complete"] is False
