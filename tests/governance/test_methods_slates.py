from fractions import Fraction
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from governance import canonical
from governance.methods.slates import (
    Unrepresented,
    equal_shares,
    justified_representation,
    sequential_pav,
)

SEATS = dict.fromkeys("abcdefgh", 1)
RULES = [sequential_pav, equal_shares]

APPROVALS = st.lists(
    st.tuples(st.sets(st.sampled_from("abcde")).map(sorted), st.integers(1, 3)),
    min_size=1,
    max_size=7,
)
COSTS = st.fixed_dictionaries({option: st.integers(1, 6) for option in "abcde"})


def choose(rule, ballots, budget, costs=SEATS, options="abcdefgh", **seed):
    return rule(list(options), ballots, costs=costs, budget=budget, **seed)


def left_out(ballots, budget, chosen, costs=SEATS, options="abcdefgh"):
    return justified_representation(
        list(options), ballots, costs=costs, budget=budget, chosen=chosen
    )


# --- Cases worked by hand -------------------------------------------------------------------------
def test_sequential_pav_gives_a_minority_its_seat():
    # 7 for a, b, c; 4 for d: a 7, b 7/2 < d 4, then b 7/2.
    slate = choose(sequential_pav, [(["a"], 1), (["a", "b", "c"], 6), (["d"], 4)], 3, seed="s")

    assert slate.chosen[:2] == ("a", "d")
    assert [step["adds_per_cost"] for step in slate.steps] == [[7, 1], [4, 1], [3, 1]]


def test_sequential_pav_weighs_what_an_option_adds_by_its_cost():
    costs = {"a": 5, "b": 2, "c": 4}

    slate = choose(sequential_pav, [(["a"], 5), (["b"], 3), (["c"], 3)], 6, costs, "abc")

    assert slate.chosen == ("b", "c")
    assert slate.cost == 6
    assert slate.steps[0]["adds_per_cost"] == [3, 2]


def test_equal_shares_lets_supporters_pay_from_their_shares():
    # 10 voters have 3/10 each. Six pay 1/6 for a, which leaves them too little for b; four pay 1/4
    # for d. What is left buys b.
    ballots = [(["a", "b"], 5), (["a"], 1), (["d"], 4)]

    slate = choose(equal_shares, ballots, 3)

    assert slate.chosen == ("a", "d", "b")
    assert [step.get("largest_payment") for step in slate.steps] == [[1, 6], [1, 4], None]
    assert slate.steps[2]["adds_per_cost"] == [5, 2]


def test_equal_shares_lets_the_poorer_pay_what_they_have():
    # Each has 2. The first pays 1 for a, and her last 1 for b, of which the second pays the rest.
    ballots = [(["a", "b"], 1), (["b"], 1)]

    slate = choose(equal_shares, ballots, 4, {"a": 1, "b": 3}, "ab")

    assert slate.chosen == ("a", "b")
    assert [step["largest_payment"] for step in slate.steps] == [[1, 1], [2, 1]]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_stops_and_tells_where_it_cannot_choose(rule):
    slate = choose(rule, [(["a", "b"], 2), (["c"], 3)], 2)

    assert slate.chosen == ("c",)
    assert slate.tied == ("a", "b")
    assert slate.tie_break is None


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_with_a_seed_takes_the_first_of_the_tied(rule):
    slates = [choose(rule, [(["a", "b"], 2), (["c"], 3)], 2, seed=str(n)) for n in range(20)]

    for slate in slates:
        first = min(["a", "b"], key=slate.tie_break.index)
        assert slate.chosen == ("c", first)
        assert slate.steps[1]["tied_with"] == [({"a", "b"} - {first}).pop()]
        assert slate.tied == ()
    assert {slate.chosen[1] for slate in slates} == {"a", "b"}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_chooses_nothing_that_nobody_approves_of(rule):
    assert choose(rule, [], 5).chosen == ()
    assert choose(rule, [([], 3)], 5).chosen == ()
    assert choose(rule, [(["a"], 3)], 5).chosen == ("a",)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("budget", "cost"), [(0, 1), (3, 0), (3, None), (3, True), (3, 1.5)])
def test_a_rule_refuses_what_is_no_cost(rule, budget, cost):
    with pytest.raises(ValueError, match="whole numbers from 1 up"):
        choose(rule, [], budget, {"a": cost}, "a")


def test_a_rule_refuses_unknown_options():
    with pytest.raises(ValueError, match="not an option"):
        choose(equal_shares, [(["z"], 1)], 3)


# --- Justified representation ---------------------------------------------------------------------
def test_a_group_without_any_option_is_unrepresented():
    ballots = [(["a", "b", "c"], 6), (["d"], 3)]

    found = left_out(ballots, 3, "abc")

    assert found == [Unrepresented(option="d", weight=3, has=0, share=Fraction(1))]
    assert left_out(ballots, 3, "abd") == []


def test_a_group_that_could_pay_for_two_and_has_one_is_unrepresented():
    ballots = [(["a", "b"], 4), (["c"], 1), (["d"], 1)]

    found = left_out(ballots, 3, "acd")

    assert found == [Unrepresented(option="b", weight=4, has=1, share=Fraction(2))]


def test_representation_counts_what_options_cost():
    ballots = [(["a"], 1), (["b"], 1)]

    assert left_out(ballots, 10, "a", {"a": 4, "b": 5}, "ab")[0].option == "b"
    assert left_out(ballots, 10, "a", {"a": 4, "b": 6}, "ab") == []


def brute_force_ejr_plus(ballots, seats, chosen):
    """Look for a level, an option left out, and a large group for it that has less than that."""
    voters = [frozenset(approved) for approved, weight in ballots for _ in range(weight)]
    for level in range(1, seats + 1):
        for option in set("abcde") - set(chosen):
            group = [v for v in voters if option in v and len(v & set(chosen)) < level]
            if len(group) * seats >= level * len(voters):
                return True
    return False


@given(APPROVALS, st.integers(1, 4), st.data())
def test_representation_with_seats_is_ejr_plus(ballots, seats, data):
    chosen = data.draw(st.sampled_from(list(combinations("abcde", seats))))

    found = left_out(ballots, seats, chosen, options="abcde")

    assert bool(found) == brute_force_ejr_plus(ballots, seats, chosen)


# --- Properties -----------------------------------------------------------------------------------
@given(APPROVALS, st.integers(1, 4), st.text("01", max_size=3))
def test_equal_shares_represents_every_group_with_seats(ballots, seats, seed):
    slate = choose(equal_shares, ballots, seats, options="abcde", seed=seed)

    assert left_out(ballots, seats, slate.chosen, options="abcde") == []


@given(APPROVALS, st.integers(1, 5), st.text("01", max_size=3))
def test_sequential_pav_leaves_no_group_without_any_option_up_to_five_seats(ballots, seats, seed):
    slate = choose(sequential_pav, ballots, seats, options="abcde", seed=seed)

    assert all(group.has for group in left_out(ballots, seats, slate.chosen, options="abcde"))


@pytest.mark.parametrize("rule", RULES)
@given(ballots=APPROVALS, costs=COSTS, budget=st.integers(1, 20), chance=st.randoms())
def test_a_rule_ignores_the_order_and_bundling_of_ballots(rule, ballots, costs, budget, chance):
    split = [(approved, 1) for approved, weight in ballots for _ in range(weight)]
    chance.shuffle(split)
    options = chance.sample("abcde", 5)

    slate = choose(rule, ballots, budget, costs, "abcde", seed="s")

    assert slate.chosen == choose(rule, split, budget, costs, options, seed="s").chosen
    assert slate.cost == sum(costs[option] for option in slate.chosen) <= budget
    canonical.canonical_json(list(slate.steps))


@pytest.mark.parametrize("rule", RULES)
@given(ballots=APPROVALS, costs=COSTS, budget=st.integers(1, 20))
def test_a_rule_leaves_nothing_out_that_is_liked_and_affordable(rule, ballots, costs, budget):
    slate = choose(rule, ballots, budget, costs, "abcde", seed="s")
    assume(not slate.tied)

    liked = {option for approved, _ in ballots for option in approved}
    for option in liked - set(slate.chosen):
        assert slate.cost + costs[option] > budget
