import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.methods import roots
from governance.methods.counting import count

# p² - 2q² is -1 and 1: q√2 lies by about 10⁻⁹ above and below p, less than a float can show.
ABOVE = (318_281_039, 225_058_681)
BELOW = (768_398_401, 543_339_720)
TERMS = st.dictionaries(st.integers(0, 100), st.integers(1, 50), max_size=6)


@pytest.mark.parametrize(
    ("number", "split"),
    [
        (0, (0, 1)),
        (1, (1, 1)),
        (2, (1, 2)),
        (12, (2, 3)),
        (72, (6, 2)),
        (97, (1, 97)),
        (100, (10, 1)),
    ],
)
def test_split_root_takes_out_the_largest_square(number, split):
    assert roots.split_root(number) == split


def test_every_root_of_a_ballot_splits_into_a_square_and_a_square_free_rest():
    for number in range(1, 101):
        whole, square_free = roots.split_root(number)
        assert whole**2 * square_free == number
        assert all(square_free % factor**2 for factor in range(2, 11))


def test_sums_of_roots_are_equal_though_written_otherwise():
    one, other = roots.root_sum({8: 1, 27: 2, 4: 1}), roots.root_sum({2: 2, 3: 6, 1: 2})

    assert one == other == {1: 2, 2: 2, 3: 6}
    assert roots.compare(one, other) == 0
    assert roots.text(one) == "2 + 2√2 + 6√3"


@pytest.mark.parametrize(("whole", "times"), [BELOW, ABOVE])
def test_compare_tells_apart_what_floats_cannot(whole, times):
    assert whole == times * math.sqrt(2), "as far as floats can tell"

    expected = 1 if whole**2 > 2 * times**2 else -1
    assert roots.compare({1: whole}, {2: times}) == expected
    assert roots.compare({2: times}, {1: whole}) == -expected


@pytest.mark.parametrize(("whole", "times"), [BELOW, ABOVE])
def test_quadratic_decides_near_ties_exactly(whole, times):
    ballots = [({"a": 1}, whole), ({"b": 2}, times)]

    winner = "a" if whole**2 > 2 * times**2 else "b"
    assert count("quadratic", ["a", "b"], ballots).winners == (winner,)


def test_compare_needs_no_luck_with_many_roots():
    # √10 + √11 and √5 + √18 differ in the fourth decimal only.
    assert roots.compare(roots.root_sum({10: 1, 11: 1}), roots.root_sum({5: 1, 18: 1})) == 1


@given(TERMS, TERMS)
def test_compare_agrees_with_floats_where_those_are_sure(one, other):
    difference = sum(n * math.sqrt(k) for k, n in one.items())
    difference -= sum(n * math.sqrt(k) for k, n in other.items())

    found = roots.compare(roots.root_sum(one), roots.root_sum(other))

    if abs(difference) > 1e-6:
        assert found == (1 if difference > 0 else -1)
    assert found == -roots.compare(roots.root_sum(other), roots.root_sum(one))


@given(TERMS)
def test_floor_rounds_down(terms):
    exact = sum(n * math.sqrt(k) for k, n in terms.items())

    found = roots.floor(roots.root_sum(terms), scale=1000)

    assert found - 1e-3 <= exact * 1000 < found + 1 + 1e-3


def test_floor_of_whole_sums_is_exact():
    assert roots.floor(roots.root_sum({4: 3, 81: 1}), scale=1000) == 15_000
    assert roots.floor({}, scale=1000) == 0
    assert roots.text({}) == "0"
    assert roots.text({1: 5, 2: 3, 7: 1}) == "5 + 3√2 + √7"
