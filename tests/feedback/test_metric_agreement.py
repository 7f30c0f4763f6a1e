"""Alpha of ordered labels, and the pull of what is shown first."""

import pytest

from feedback.agreement import metric_alpha, position_bias, swap_consistency

KRIPPENDORFF = [  # 2011, example C: 12 units, 4 observers, some missing.
    [1, 1, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
    [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [5, 5, 5], [1, 1], [3],
]  # fmt: skip


@pytest.mark.parametrize(("level", "alpha"), [("ordinal", 0.815), ("interval", 0.849)])
def test_metric_alpha_is_the_published_one(level, alpha):
    assert metric_alpha(KRIPPENDORFF, level=level) == pytest.approx(alpha, abs=5e-4)


def test_metric_alpha_is_undefined_where_all_values_are_the_same():
    assert metric_alpha([[1, 1], [1, 1]], level="interval") is None


def test_position_bias_is_exact():
    assert position_bias(9, 10).p_value == pytest.approx(22 / 1024)


def test_position_bias_is_symmetric():
    one, two = position_bias(30, 40), position_bias(10, 40)
    assert (one.low, one.p_value) == pytest.approx((1 - two.high, two.p_value))


def test_swap_consistency_counts_only_items_seen_in_both_orders():
    answers = [("i", "a", "1"), ("i", "a", "1"), ("j", "a", "1"), ("j", "a", "2"), ("k", "a", "1")]
    assert swap_consistency(answers) == {"a": (1, 2)}
