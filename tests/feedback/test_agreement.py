"""Known answers of Krippendorff's alpha, and what must not change it."""

import random
from fractions import Fraction

import pytest

from feedback.agreement import agreement, nominal_alpha, percent_agreement


def units_of(*observers):
    return [
        [v for v in unit if v not in "*."] for unit in zip(*map(str.split, observers), strict=True)
    ]


# Krippendorff 2011, example C: four observers, twelve units, some values missing.
EXAMPLE_C = units_of(
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
# The three coders and fifteen units of the encyclopaedia's article.
THREE_BY_FIFTEEN = units_of(
    "* * * * * 3 4 1 2 1 1 3 3 * 3",
    "1 * 2 1 3 3 4 3 * * * * * * *",
    "* * 2 1 3 4 4 * 2 1 1 3 3 * 4",
)


@pytest.mark.parametrize(
    ("units", "expected"), [(EXAMPLE_C, "0.7434"), (THREE_BY_FIFTEEN, "0.6914")]
)
def test_nominal_alpha_of_published_examples(units, expected):
    assert f"{float(nominal_alpha(units)):.4f}" == expected


def test_nominal_alpha_is_exact():
    # Two units, aa and ab: o_aa = 2, o_ab = o_ba = 1, so D_o = 2/4 and D_e = 6/12.
    assert nominal_alpha(["aa", "ab"]) == Fraction(0)


def test_nominal_alpha_of_unanimous_units_is_one_when_both_values_occur():
    assert nominal_alpha(["aaa", "bb"]) == 1


@pytest.mark.parametrize("units", [[], ["a", "b"], ["aaa", "aa"]])
def test_nominal_alpha_is_undefined_without_disagreement_to_expect(units):
    assert nominal_alpha(units) is None


def test_nominal_alpha_ignores_units_with_one_value():
    assert nominal_alpha([*EXAMPLE_C, ["9"]]) == nominal_alpha(EXAMPLE_C)


def test_nominal_alpha_ignores_the_order_of_units_and_of_values():
    shuffled = [random.Random(1).sample(unit, len(unit)) for unit in EXAMPLE_C]
    random.Random(2).shuffle(shuffled)

    assert nominal_alpha(shuffled) == nominal_alpha(EXAMPLE_C)


def test_nominal_alpha_ignores_the_names_of_values():
    renamed = [[f"value {v}" for v in unit] for unit in EXAMPLE_C]

    assert nominal_alpha(renamed) == nominal_alpha(EXAMPLE_C)


def test_percent_agreement_counts_pairs():
    # aab has three pairs of which one agrees; cc has one that agrees.
    assert percent_agreement(["aab", "cc", "d"]) == Fraction(2, 4)


def test_percent_agreement_without_pairs_is_undefined():
    assert percent_agreement(["a", ""]) is None


def test_agreement_gives_an_interval_around_alpha():
    found = agreement(EXAMPLE_C)

    assert (found.units, found.values) == (11, 40)
    assert found.low < found.alpha < found.high <= 1


def test_agreement_interval_narrows_with_more_units():
    few, many = agreement(EXAMPLE_C), agreement(EXAMPLE_C * 16)

    assert many.high - many.low < few.high - few.low


def test_agreement_interval_is_the_plain_jackknife():
    units = ["ab", "aa", "bb", "aab", "ba"]
    left = [float(nominal_alpha(units[:n] + units[n + 1 :])) for n in range(5)]
    mean = sum(left) / 5
    error = (sum((a - mean) ** 2 for a in left) * 4 / 5) ** 0.5

    found = agreement(units)

    assert found.low == pytest.approx(float(found.alpha) - 1.959963984540054 * error)


@pytest.mark.parametrize("units", [["ab"], ["ab", "ba", "ab"]])
def test_agreement_of_units_that_are_alike_has_no_interval(units):
    assert agreement(units).low is None
