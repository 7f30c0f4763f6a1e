from collections import Counter
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.canonical import canonical_json
from governance.delegation import Delivery, concentration, resolve


def one_each(names):
    return dict.fromkeys(names, 1)


# --- by hand --------------------------------------------------------------------------------------


def test_a_vote_goes_along_a_chain_to_the_first_who_votes():
    delivery = resolve(one_each("abcd"), {"c", "d"}, {"a": "b", "b": "c"})

    assert delivery.carrier == {"a": "c", "b": "c"}
    assert delivery.loads == {"c": 3, "d": 1}
    assert delivery.undelivered == {}


def test_ones_own_ballot_overrides_ones_delegation_and_stops_the_chain():
    delivery = resolve(one_each("abc"), {"b", "c"}, {"a": "b", "b": "c"})

    assert delivery.carrier == {"a": "b"}
    assert delivery.loads == {"b": 2, "c": 1}


def test_a_circle_in_which_nobody_votes_delivers_nothing():
    delivery = resolve(one_each("abcd"), {"d"}, {"a": "b", "b": "c", "c": "b"})

    assert delivery.undelivered == {"a": "cycle", "b": "cycle", "c": "cycle"}
    assert (delivery.lost, delivery.loads) == (3, {"d": 1})


def test_a_circle_with_one_voter_delivers_the_rest_of_it():
    delivery = resolve(one_each("abc"), {"b"}, {"a": "b", "b": "c", "c": "a"})

    assert delivery.carrier == {"a": "b", "c": "b"}


def test_a_delegation_to_oneself_is_a_circle():
    assert resolve(one_each("a"), set(), {"a": "a"}).undelivered == {"a": "cycle"}


def test_a_path_to_somebody_without_ballot_and_delegation_is_a_dead_end():
    delivery = resolve(one_each("abc"), set(), {"a": "b", "b": "c"})

    assert delivery.undelivered == {"a": "dead end", "b": "dead end"}
    assert (delivery.lost, delivery.absent) == (2, 1)


def test_a_path_that_leaves_the_electorate_is_a_dead_end_even_where_it_would_come_back():
    delivery = resolve(one_each("ab"), {"b"}, {"a": "outside", "outside": "b"})

    assert delivery.undelivered == {"a": "dead end"}
    assert delivery.loads == {"b": 1}


def test_weights_are_carried_not_heads():
    delivery = resolve({"a": 3, "b": 2, "c": 1}, {"c"}, {"a": "c", "b": "a"})

    assert delivery.loads == {"c": 6}
    assert delivery.carried == 5


def test_the_cap_takes_the_nearest_first_then_by_reference():
    edges = {"far": "b", "b": "v", "a": "v", "c": "v"}

    delivery = resolve(one_each(["v", *edges]), {"v"}, edges, cap=3)

    assert delivery.carrier == {"a": "v", "b": "v"}
    assert delivery.undelivered == {"c": "cap", "far": "cap"}
    assert (delivery.loads, delivery.cap_overflow) == ({"v": 3}, 2)


def test_the_cap_does_not_pass_over_a_heavy_delegator_for_a_lighter_one_behind():
    delivery = resolve({"v": 1, "a": 1, "b": 5, "c": 1}, {"v"}, dict.fromkeys("abc", "v"), cap=3)

    assert delivery.carrier == {"a": "v"}
    assert delivery.cap_overflow == 6


def test_the_cap_never_takes_ones_own_vote():
    delivery = resolve({"v": 5, "a": 1}, {"v"}, {"a": "v"}, cap=2)

    assert (delivery.loads, delivery.undelivered) == ({"v": 5}, {"a": "cap"})


def test_the_cap_is_each_voters_own():
    edges = {"a": "v", "b": "v", "c": "w"}

    delivery = resolve(one_each("vwabc"), {"v", "w"}, edges, cap=2)

    assert delivery.carrier == {"a": "v", "c": "w"}


@pytest.mark.parametrize(
    ("weights", "direct", "cap"), [({"a": 1}, {"b"}, 0), ({"a": 0}, set(), 0), ({"a": 1}, {}, -1)]
)
def test_resolve_refuses_nonsense(weights, direct, cap):
    with pytest.raises(ValueError, match=r"electors|weighs"):
        resolve(weights, direct, {}, cap)


# --- concentration --------------------------------------------------------------------------------


def loaded(*loads):
    weights = {f"voter{n}": load for n, load in enumerate(loads)}
    return resolve(weights, set(weights), {})


@pytest.mark.parametrize(
    ("loads", "top", "gini"),
    [
        ((), Fraction(0), Fraction(0)),
        ((7,), Fraction(1), Fraction(0)),
        ((1, 1, 1, 1), Fraction(1, 4), Fraction(0)),
        ((1, 3), Fraction(3, 4), Fraction(1, 4)),
        ((1, 2, 3), Fraction(1, 2), Fraction(2, 9)),
        ((1, 1, 1, 97), Fraction(97, 100), Fraction(288, 400)),
    ],
)
def test_concentration_by_hand(loads, top, gini):
    assert concentration(loaded(*loads)) == (top, gini)


@given(st.lists(st.integers(min_value=1, max_value=50), min_size=1, max_size=20))
def test_gini_is_half_the_relative_mean_difference(loads):
    pairs = sum(abs(a - b) for a in loads for b in loads)

    _, gini = concentration(loaded(*loads))

    assert gini == Fraction(pairs, 2 * len(loads) * sum(loads))
    assert 0 <= gini < 1


def test_figures_are_what_a_tally_keeps():
    edges = {"a": "v", "b": "v", "c": "nobody", "far": "a"}
    delivery = resolve(one_each([*edges, "v", "w", "absent"]), {"v", "w"}, edges, cap=3)

    assert delivery.figures() == {
        "carried": 2,
        "undelivered": 2,
        "cap_overflow": 1,
        "voters": 2,
        "top_share": [3, 4],
        "gini": [1, 4],
    }
    assert canonical_json(delivery.figures())


# --- whatever the delegations ---------------------------------------------------------------------

NAMES = [f"p{n}" for n in range(9)]


@st.composite
def polls(draw, most_cap=8):
    """Weights, direct voters, edges (some to and from people outside the electorate), a cap."""
    electors = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    weights = {name: draw(st.integers(min_value=1, max_value=4)) for name in electors}
    direct = draw(st.sets(st.sampled_from(electors)))
    edges = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(NAMES)))
    return weights, direct, edges, draw(st.integers(min_value=0, max_value=most_cap))


def by_the_letter(weights, direct, edges, cap):
    """Follow the docstring's rule for each delegator alone, with no memory between them."""
    ends, lengths = {}, {}
    for start in weights:
        if start in direct or start not in edges:
            continue
        path, here = [start], edges[start]
        while here in weights and here not in direct and here in edges and here not in path:
            path.append(here)
            here = edges[here]
        lengths[start] = len(path)
        ends[start] = here if here in direct else "?cycle" if here in path else "?dead end"
    if cap:
        for voter in direct:
            load = weights[voter]
            mine = [name for name in ends if ends[name] == voter]
            for name in sorted(mine, key=lambda name: (lengths[name], name)):
                load += weights[name]
                if load > cap:
                    ends[name] = "?cap"
    return ends


@given(polls())
def test_resolve_does_what_the_rule_says_word_for_word(poll):
    delivery = resolve(*poll)

    assert {
        **delivery.carrier,
        **{name: f"?{reason}" for name, reason in delivery.undelivered.items()},
    } == by_the_letter(*poll)


@given(polls())
def test_every_vote_is_somewhere_and_only_once(poll):
    weights, direct, _, _ = poll
    delivery = resolve(*poll)

    places = Counter([*delivery.loads, *delivery.carrier, *delivery.undelivered])
    assert set(places.values()) <= {1}
    assert places.keys() <= weights.keys()
    assert delivery.loads.keys() == set(direct)
    assert sum(delivery.loads.values()) + delivery.lost + delivery.absent == sum(weights.values())
    own = sum(weights[voter] for voter in direct)
    assert sum(delivery.loads.values()) == own + delivery.carried


@given(polls(), st.randoms())
def test_the_order_of_edges_and_electors_is_nothing(poll, chance):
    weights, direct, edges, cap = poll

    def shuffled(mapping):
        items = list(mapping.items())
        chance.shuffle(items)
        return dict(items)

    assert resolve(shuffled(weights), list(direct), shuffled(edges), cap) == resolve(*poll)


@given(polls())
def test_nobody_carries_more_than_the_cap_beside_the_own_vote(poll):
    weights, _, edges, cap = poll
    delivery = resolve(*poll)

    for voter, load in delivery.loads.items():
        assert not cap or load <= max(cap, weights[voter])
    # Whoever is carried is carried along people who are carried, too.
    for name, voter in delivery.carrier.items():
        assert edges[name] == voter or delivery.carrier[edges[name]] == voter


@given(polls(), st.sampled_from(NAMES))
def test_casting_a_ballot_never_lowers_ones_own_influence(poll, name):
    weights, direct, edges, cap = poll
    if name not in weights:
        return

    def influence(delivery: Delivery) -> int:
        return delivery.loads.get(name, weights[name] if name in delivery.carrier else 0)

    after = resolve(weights, {*direct, name}, edges, cap)

    assert influence(after) >= influence(resolve(*poll))
    assert influence(after) >= weights[name]


@given(polls(most_cap=0), st.sampled_from(NAMES))
def test_casting_a_ballot_never_leaves_others_undelivered(poll, name):
    weights, direct, edges, cap = poll
    if name not in weights:
        return

    before, after = resolve(*poll), resolve(weights, {*direct, name}, edges, cap)

    assert after.undelivered.keys() <= before.undelivered.keys()


@given(polls(), st.sampled_from(NAMES))
def test_taking_a_delegation_back_restores_ones_own_vote(poll, name):
    weights, direct, edges, cap = poll
    without = {giver: taker for giver, taker in edges.items() if giver != name}

    after = resolve(weights, direct, without, cap)

    assert name not in after.carrier
    assert name not in after.undelivered
    if name in weights:
        voting = {*direct, name}
        assert resolve(weights, voting, without, cap) == resolve(weights, voting, edges, cap)


# --- scale ----------------------------------------------------------------------------------------


class Counted(dict):
    """Edges that count how often one is followed."""

    followed = 0

    def __getitem__(self, name):
        self.followed += 1
        return super().__getitem__(name)


PEOPLE = 100_000


@pytest.mark.parametrize(
    "shape", ["chain", "backward chain", "circle", "star", "tail into a circle"]
)
def test_each_edge_is_followed_once_however_long_the_paths(shape):
    names = [f"{n:06}" for n in range(PEOPLE)]
    following = dict(pairwise(names))
    edges = Counted(
        {
            "chain": following,
            "backward chain": dict(reversed(following.items())),
            "circle": {**following, names[-1]: names[0]},
            "star": dict.fromkeys(names[:-1], names[-1]),
            "tail into a circle": {**following, names[-1]: names[PEOPLE // 2]},
        }[shape]
    )
    circular = "circle" in shape

    delivery = resolve(one_each(names), set() if circular else {names[-1]}, edges)

    assert edges.followed <= len(edges)
    assert len(delivery.undelivered if circular else delivery.carrier) == len(edges)


def test_the_cap_on_a_long_chain_takes_its_near_end():
    names = [f"{n:06}" for n in range(PEOPLE)]
    edges = dict(pairwise(names))

    delivery = resolve(one_each(names), {names[-1]}, edges, cap=10)

    assert set(delivery.carrier) == set(names[-10:-1])
    assert delivery.cap_overflow == PEOPLE - 10
