import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_jobs import intervals


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_gives_the_published_intervals(k, n, low, high):
    interval = intervals.wilson(k, n)

    assert interval.value == k / n
    assert round(interval.low, 4) == low
    assert round(interval.high, 4) == high


@pytest.mark.parametrize(
    ("cells", "value", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:2635, table II, method 10.
        ((36, 12, 2, 0), 0.2, 0.0569, 0.3404),
        # Fagerland, Lydersen and Laake, chapter 8: the data of Bentur et al. 2009.
        ((1, 1, 7, 12), -0.2857, -0.5069, -0.0256),
    ],
)
def test_paired_difference_gives_the_published_intervals(cells, value, low, high):
    interval = intervals.paired_difference(*cells)

    assert tuple(round(number, 4) for number in interval) == (value, low, high)


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_what_is_no_proportion(k, n):
    with pytest.raises(ValueError, match="no proportion"):
        intervals.wilson(k, n)


def test_paired_difference_refuses_negative_counts():
    with pytest.raises(ValueError, match="no table"):
        intervals.paired_difference(3, -1, 2, 4)


def test_paired_scores_difference_splits_a_tie_over_its_cells():
    scored = intervals.paired_scores_difference([1, 1, 0.5, 0], [1, 0, 0.0, 1])

    assert scored == intervals.paired_difference(1, 1.5, 1, 0.5)
    assert scored.value == 0.125


def test_paired_scores_difference_refuses_other_items():
    with pytest.raises(ValueError, match="same items"):
        intervals.paired_scores_difference([1.0], [1.0, 0.0])


def test_mean_of_a_hand_worked_case():
    # Variance 1 over 3 values: the half-width is 1.95996 / sqrt(3).
    value, low, high = intervals.mean([1.0, 2.0, 3.0])

    assert value == 2
    assert high - value == pytest.approx(1.131585, abs=1e-6)
    assert low == pytest.approx(2 - 1.131585, abs=1e-6)


def test_mean_of_one_value_is_that_value():
    assert intervals.mean([0.25]) == (0.25, 0.25, 0.25)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_its_estimate_and_mirrors(case):
    k, n = case
    interval = intervals.wilson(k, n)
    mirrored = intervals.wilson(n - k, n)

    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low == pytest.approx(1 - mirrored.high, abs=1e-12)


@given(st.tuples(*[st.integers(0, 80)] * 4).filter(any))
def test_paired_difference_holds_its_estimate_and_changes_sign_with_its_sides(cells):
    both, first, second, neither = cells
    interval = intervals.paired_difference(both, first, second, neither)
    swapped = intervals.paired_difference(both, second, first, neither)

    assert -1 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low == pytest.approx(-swapped.high, abs=1e-12)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=60))
def test_paired_scores_difference_of_a_side_with_itself_is_zero(scores):
    interval = intervals.paired_scores_difference(scores, scores)

    assert interval.value == 0
    assert interval.low <= 0 <= interval.high
