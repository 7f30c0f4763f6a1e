"""Charts' coordinates, by cases worked by hand."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance import charts
from governance.charts import Estimate, IntervalRow, Series


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1]),
        (0, 0.9, [0, 0.5, 1]),
        (0.12, 0.81, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 7, [-5, 0, 5, 10]),
        (0, 1200, [0, 500, 1000, 1500]),
        (5, 5, [4.4, 4.6, 4.8, 5.0, 5.2, 5.4, 5.6]),
    ],
)
def test_nice_ticks_are_round_and_cover_the_range(low, high, expected):
    ticks = charts.nice_ticks(low, high, count=5)

    if low == high:
        assert ticks[0] <= low <= ticks[-1]
    else:
        assert ticks == expected


def test_nice_ticks_refuse_what_has_no_axis():
    with pytest.raises(ValueError, match="No axis"):
        charts.nice_ticks(0, math.inf)
    with pytest.raises(ValueError, match="No axis"):
        charts.nice_ticks(2, 1)


@given(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(1e-3, 1e6, allow_nan=False),
    st.integers(2, 12),
)
def test_nice_ticks_always_cover(low, span, count):
    ticks = charts.nice_ticks(low, low + span, count=count)

    step = ticks[1] - ticks[0]
    assert ticks == sorted(set(ticks))
    assert ticks[0] <= low + step * 1e-6
    assert ticks[-1] >= low + span - step * 1e-6


@pytest.mark.parametrize(
    ("value", "label"),
    [(0, "0"), (0.5, "0.5"), (1.0, "1"), (12000, "12k"), (-0.25, "-0.25"), (0.00002, "2e-5")],
)
def test_tick_label_is_short(value, label):
    assert charts.tick_label(value) == label


def test_scale_maps_ends_and_middle():
    scale = charts.Scale(0, 10, 100, 0)

    assert (scale(0), scale(5), scale(10)) == (100, 50, 0)


def test_scale_without_a_range_puts_everything_in_the_middle():
    assert charts.Scale(3, 3, 0, 10)(3) == 5


def test_line_chart_places_points_by_hand():
    # Plot area: x from 46 to 468, y from 194 (value 0) up to 10 (value 1).
    chart = charts.line_chart([Series("loss", [(0, 1.0), (5, 0.5), (10, 0.0)])])

    assert chart.lines[0].path == "M46.0 10.0 L257.0 102.0 L468.0 194.0"
    assert chart.lines[0].end == (468.0, 194.0)
    assert (chart.lines[0].low, chart.lines[0].high, chart.lines[0].last) == (0.0, 1.0, 0.0)


def test_line_chart_breaks_the_line_at_a_gap():
    points = [(0, 0.0), (1, 1.0), (2, None), (3, 0.5), (4, math.nan), (5, 0.0), (6, 1.0)]

    line = charts.line_chart([Series("loss", points)]).lines[0]

    assert line.path.count("M") == 2
    assert len(line.dots) == 1
    assert line.count == 5


def test_line_chart_of_nothing_has_axes_and_no_line():
    chart = charts.line_chart([Series("loss", [])])

    assert chart.lines[0].path == ""
    assert chart.lines[0].end is None
    assert chart.y_ticks[0].label == "0"


def test_thin_keeps_ends_and_the_spike():
    points = [(float(x), 0.0) for x in range(10_000)]
    points[4321] = (4321.0, 9.0)

    kept = charts.thin(points, limit=100)

    assert len(kept) <= 100
    assert kept[0] == (0.0, 0.0)
    assert kept[-1] == (9999.0, 0.0)
    assert (4321.0, 9.0) in kept
    assert kept == sorted(kept)


def test_interval_chart_places_whiskers_by_hand():
    # The axis runs from x = 16 (value 0) to x = 460 (value 1): 444 units.
    rows = [IntervalRow("Honesty", [Estimate("before", 0.5, 0.25, 0.75, 40)])]

    chart = charts.interval_chart(rows, low=0, high=1, reference=0.5)

    whisker = chart.rows[0].whiskers[0]
    assert (whisker.x_low, whisker.x, whisker.x_high) == (127.0, 238.0, 349.0)
    assert chart.reference == 238.0


def test_interval_chart_without_bounds_covers_every_interval():
    rows = [IntervalRow("a", [Estimate("after", 2.0, -1.3, 4.9)])]

    chart = charts.interval_chart(rows)

    whisker = chart.rows[0].whiskers[0]
    assert chart.left <= whisker.x_low < whisker.x < whisker.x_high <= chart.right


def test_interval_chart_leaves_out_an_interval_that_cannot_be_given():
    chart = charts.interval_chart([IntervalRow("a", [Estimate("after", 0.4)])])

    assert chart.rows[0].whiskers[0].x_low is None


def test_interval_chart_draws_no_line_through_a_label():
    rows = [IntervalRow(name, [Estimate("after", 0.4)]) for name in ("Honesty", "Care")]

    first, second = charts.interval_chart(rows, reference=0.5).rows

    assert first.y_label < first.top < first.whiskers[0].y < first.bottom
    assert first.bottom < second.y_label - 9  # a label is 9.5 units tall
    assert second.y_label < second.top


def test_tally_bar_by_hand():
    # 40 members on 480 units: 12 units each. Two thirds of 30 deciding are 20, at 240.
    bar = charts.tally_bar(
        [("yes", "Yes", 20), ("no", "No", 10), ("abstain", "Abstain", 5)],
        total=40,
        marks=[("threshold", "two thirds", Fraction(2, 3) * 30)],
    )

    assert [(s.x, s.width) for s in bar.segments] == [(0.0, 240.0), (240.0, 120.0), (360.0, 60.0)]
    assert bar.marks[0].x == 240.0
    assert bar.segments[0].share == Fraction(1, 2)


def test_tally_bar_without_an_electorate_is_empty():
    bar = charts.tally_bar([("yes", "Yes", 0)], total=0, marks=[("quorum", "q", Fraction(0))])

    assert bar.segments[0].width == 0
    assert bar.marks[0].x == 0


@pytest.mark.parametrize("counts", [(-1, 2), (3, 3)])
def test_tally_bar_refuses_impossible_counts(counts):
    with pytest.raises(ValueError, match="do not fit"):
        charts.tally_bar([("yes", "Yes", counts[0]), ("no", "No", counts[1])], total=5)


def test_histogram_counts_edges_and_what_lies_outside():
    chart = charts.histogram([0, 0.24, 0.25, 0.5, 1, 1.01, math.nan], low=0, high=1, bins=4)

    assert [b.count for b in chart.bins] == [2, 1, 1, 1]
    assert chart.outside == 2
    assert chart.bins[0].height == 90.0
    assert chart.bins[1].height == 45.0


def test_histogram_of_nothing_has_flat_bins():
    chart = charts.histogram([], low=0, high=1, bins=3)

    assert [b.height for b in chart.bins] == [0, 0, 0]


def test_histogram_refuses_an_empty_range():
    with pytest.raises(ValueError, match="No histogram"):
        charts.histogram([1], low=1, high=1)
