import hashlib
import random
from collections import Counter
from itertools import count as counting

from hypothesis import given
from hypothesis import strategies as st

from governance.methods.ballots import ranking
from governance.methods.profile import read
from governance.methods.ties import tie_order

WEAK = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0, 1, 2, 3, None]), min_size=4, max_size=4), st.integers(1, 4)
    ),
    max_size=6,
)
OPTIONS = ["d", "b", "a", "c"]


def contents(rows):
    """Turn tier numbers of each option, None for unranked, into contents."""
    return [
        (
            [
                [option for option, tier in zip(OPTIONS, row, strict=True) if tier == level]
                for level in sorted({tier for tier in row if tier is not None})
            ],
            weight,
        )
        for row, weight in rows
    ]


def order_of(ballots, seed, options=OPTIONS):
    return tie_order(read("irv", options, ballots), seed)


def repeated(options, ballots, seed):
    """The same, from the words of tie_order's docstring, with nothing but the standard library."""

    def lot(text):
        return int(hashlib.sha256(text.encode()).hexdigest(), 16)

    options = sorted(options)
    rankings = Counter()
    for content, weight in ballots:
        tiers = ranking("irv", options, content)
        rankings[tuple(next(n for n, t in enumerate(tiers) if o in t) for o in options)] += weight
    tiers = [list(range(len(options)))]
    for draw in counting():
        useful = sorted(r for r in rankings if any(r[a] != r[t[0]] for t in tiers for a in t))
        if not useful:
            break
        ticket = lot(f"{seed}:draw {draw}") % sum(rankings[r] for r in useful)
        for drawn in useful:
            ticket -= rankings[drawn]
            if ticket < 0:
                break
        tiers = [
            [a for a in t if drawn[a] == n] for t in tiers for n in sorted({drawn[a] for a in t})
        ]
    return tuple(
        o for t in tiers for o in sorted((options[a] for a in t), key=lambda o: lot(f"{seed}:{o}"))
    )


@given(WEAK, st.text(max_size=5).filter(lambda text: text.isascii()))
def test_tie_order_can_be_repeated_from_its_description(rows, seed):
    ballots = contents(rows)

    assert order_of(ballots, seed) == repeated(OPTIONS, ballots, seed)


@given(WEAK, st.randoms())
def test_tie_order_depends_on_the_ballots_as_a_multiset_only(rows, chance):
    ballots = contents(rows)
    split = [(content, 1) for content, weight in ballots for _ in range(weight)]
    chance.shuffle(split)
    options = chance.sample(OPTIONS, 4)

    assert order_of(split, "seed", options) == order_of(ballots, "seed")


def test_tie_order_follows_a_ranking_that_all_share():
    ballots = [([["c"], ["a", "b"]], 2), ([["c"], ["a"]], 3), ([["c"], ["a"], ["b"]], 1)]

    assert {order_of(ballots, str(seed)) for seed in range(50)} == {("c", "a", "b", "d")}


def test_tie_order_without_ballots_is_any_order_by_lot():
    found = Counter(order_of([], str(seed))[0] for seed in range(400))

    assert set(found) == set(OPTIONS)
    assert min(found.values()) > 60


def test_tie_order_draws_a_ballot_in_proportion_to_its_weight():
    ballots = [([["a"], ["b"]], 3), ([["b"], ["a"]], 1)]

    first = Counter(order_of(ballots, str(seed), ["a", "b"])[0] for seed in range(2000))

    assert 1400 < first["a"] < 1600


def test_tie_order_refines_the_first_ballot_by_the_next():
    ballots = [([["a", "b"], ["c", "d"]], 10**6), ([["b", "d"], ["a", "c"]], 1)]

    assert order_of(ballots, "seed") == ("b", "a", "d", "c")


def test_tie_order_of_many_ballots_is_the_same_as_in_the_description():
    chance = random.Random(7)
    options = [f"option {n}" for n in range(12)]
    ballots = [
        (
            [[option] for option in chance.sample(options, chance.randint(0, 3))],
            chance.randint(1, 9),
        )
        for _ in range(500)
    ]

    assert order_of(ballots, "seed", options) == repeated(options, ballots, "seed")
