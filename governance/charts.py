"""Coordinates of the site's charts: pure arithmetic, no Django, no clock.

Every function takes plain numbers and returns frozen dataclasses in the units of an SVG `viewBox`,
rounded to a tenth, so that the same data always gives the same bytes. Templates only draw them.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

MAX_POINTS = 300


def _tenth(value: float) -> float:
    """Round a coordinate to a tenth of a unit, without a negative zero."""
    return round(value, 1) + 0.0


@dataclass(frozen=True)
class Scale:
    """A linear map from a data range to a range of coordinates.

    Attributes:
        low: data value drawn at `start`.
        high: data value drawn at `end`; equal to `low` puts everything in the middle.
        start: coordinate of `low`.
        end: coordinate of `high`; may be smaller than `start` (a y axis).
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of `value`, rounded to a tenth."""
        if self.high == self.low:
            return _tenth((self.start + self.end) / 2)
        share = (value - self.low) / (self.high - self.low)
        return _tenth(self.start + share * (self.end - self.start))


@dataclass(frozen=True)
class Tick:
    """One mark of an axis: where it is and what it says."""

    at: float
    label: str


def nice_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Return round values (1, 2 or 5 times a power of ten apart) that cover `low` to `high`.

    Args:
        low: smallest value to cover; finite.
        high: largest value to cover; not below `low`.
        count: about how many ticks are wanted; at least 2.

    Returns:
        Ascending ticks; the first is at most `low` and the last at least `high`.

    Raises:
        ValueError: a bound is not finite, or they are the wrong way round.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        msg = f"No axis from {low} to {high}."
        raise ValueError(msg)
    if low == high:
        margin = abs(low) / 10 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(index * step, digits) + 0.0 for index in range(first, last + 1)]


def tick_label(value: float) -> str:
    """Return a short text for a tick: no trailing zeros, thousands as `k`, tiny ones as powers."""
    if value and abs(value) < 0.0005:  # noqa: PLR2004 - below this, decimals no longer read well.
        return f"{value:.0e}".replace("e-0", "e-")
    if abs(value) >= 10_000:  # noqa: PLR2004 - five digits no longer fit beside an axis.
        return f"{value / 1000:g}k"
    return f"{value:.4f}".rstrip("0").rstrip(".")


# --- line chart -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Series:
    """One curve to draw: a name and its (x, y) points in ascending x; y None or NaN is a gap."""

    label: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True)
class Line:
    """A curve in coordinates.

    Attributes:
        label: name of the series.
        index: 1-based number, for its colour and dash pattern.
        path: the `d` of an SVG path; a gap in the data starts a new subpath.
        dots: coordinates of points that no line touches (single points between gaps).
        end: coordinates of the last point, where the label may stand; None without points.
        last: the last value.
        low: smallest value.
        high: largest value.
        count: points with a value.
    """

    label: str
    index: int
    path: str
    dots: tuple[tuple[float, float], ...]
    end: tuple[float, float] | None
    last: float | None
    low: float | None
    high: float | None
    count: int


@dataclass(frozen=True)
class LineChart:
    """A line chart in coordinates, ready to be drawn in `0 0 width height`."""

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]


def thin(
    points: Sequence[tuple[float, float | None]], *, limit: int = MAX_POINTS
) -> list[tuple[float, float | None]]:
    """Return at most about `limit` of the points, keeping each stretch's lowest and highest.

    A curve of ten thousand steps is not drawn point by point, yet a spike must stay visible, so
    each stretch keeps its two extremes, in order. The first and last points always stay.
    """
    if len(points) <= limit:
        return list(points)
    inner = points[1:-1]
    stretches = max((limit - 2) // 2, 1)
    kept = [points[0]]
    for index in range(stretches):
        stretch = inner[index * len(inner) // stretches : (index + 1) * len(inner) // stretches]
        known = [
            (position, y)
            for position, (_, y) in enumerate(stretch)
            if y is not None and math.isfinite(y)
        ]
        if not known:
            kept.extend(stretch[:1])
            continue
        low = min(known, key=lambda pair: pair[1])[0]
        high = max(known, key=lambda pair: pair[1])[0]
        kept.extend(stretch[position] for position in sorted({low, high}))
    return [*kept, points[-1]]


def _line(series: Series, index: int, x: Scale, y: Scale) -> Line:
    commands: list[str] = []
    dots: list[tuple[float, float]] = []
    stretch: list[tuple[float, float]] = []

    def finish() -> None:
        if len(stretch) == 1:
            dots.append(stretch[0])
        elif stretch:
            commands.append("M" + " L".join(f"{px} {py}" for px, py in stretch))
        stretch.clear()

    end: tuple[float, float] | None = None
    for at, value in thin(series.points):
        if value is None or not math.isfinite(value):
            finish()
            continue
        end = (x(at), y(value))
        stretch.append(end)
    finish()
    values = [v for _, v in series.points if v is not None and math.isfinite(v)]
    return Line(
        label=series.label,
        index=index,
        path=" ".join(commands),
        dots=tuple(dots),
        end=end,
        last=values[-1] if values else None,
        low=min(values, default=None),
        high=max(values, default=None),
        count=len(values),
    )


def line_chart(
    series: Iterable[Series],
    *,
    width: int = 480,
    height: int = 220,
    y_from_zero: bool = False,
    tick: Callable[[float], str] = tick_label,
) -> LineChart:
    """Lay out curves over a shared pair of axes.

    Args:
        series: the curves; those without any value get an empty path.
        width: width of the drawing in user units.
        height: height of the drawing in user units.
        y_from_zero: whether the y axis must include zero.
        tick: writes a value beside the y axis.

    Returns:
        The chart; without any value at all both axes run from 0 to 1.
    """
    curves = list(series)
    known = [
        (px, py) for c in curves for px, py in c.points if py is not None and math.isfinite(py)
    ]
    xs = [px for px, _ in known] or [0.0, 1.0]
    ys = [py for _, py in known] or [0.0, 1.0]
    if y_from_zero:
        ys = [0.0, *ys]
    y_values = nice_ticks(min(ys), max(ys), count=5)
    x_values = nice_ticks(min(xs), max(xs), count=6)
    left, right, top, bottom = 46.0, width - 12.0, 10.0, height - 26.0
    # The x axis spans the data, not the ticks: a curve that stops short would look unfinished.
    x = Scale(min(xs), max(xs), left, right)
    y = Scale(y_values[0], y_values[-1], bottom, top)
    return LineChart(
        width=width,
        height=height,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        x_ticks=tuple(
            Tick(x(value), tick_label(value)) for value in x_values if min(xs) <= value <= max(xs)
        ),
        y_ticks=tuple(Tick(y(value), tick(value)) for value in y_values),
        lines=tuple(_line(curve, index, x, y) for index, curve in enumerate(curves, start=1)),
    )


# --- dots with intervals --------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """A number with its interval: `low` and `high` may be None when none can be given."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class IntervalRow:
    """One line of an interval chart: a label and its estimates, such as before and after."""

    label: str
    estimates: Sequence[Estimate]


@dataclass(frozen=True)
class Whisker:
    """An estimate in coordinates; `index` (1-based) gives its colour and its shape."""

    estimate: Estimate
    index: int
    x: float
    y: float
    x_low: float | None
    x_high: float | None

    @property
    def diamond(self) -> str:
        """Return the points of a diamond around the value, for every second estimate."""
        x, y = self.x, self.y
        corners = ((x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y))
        return " ".join(f"{_tenth(a)},{_tenth(b)}" for a, b in corners)


@dataclass(frozen=True)
class PlacedRow:
    """A row of an interval chart in coordinates; vertical lines cross it from `top` to `bottom`.

    No line crosses its label, which stands above.
    """

    label: str
    y_label: float
    top: float
    bottom: float
    whiskers: tuple[Whisker, ...]


@dataclass(frozen=True)
class IntervalChart:
    """An interval chart in coordinates."""

    width: int
    height: int
    left: float
    right: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    rows: tuple[PlacedRow, ...]
    reference: float | None


def interval_chart(
    rows: Iterable[IntervalRow],
    *,
    width: int = 480,
    low: float | None = None,
    high: float | None = None,
    reference: float | None = None,
    tick: Callable[[float], str] = tick_label,
) -> IntervalChart:
    """Lay out rows of values with their intervals on one horizontal axis.

    The row's label stands above its estimates, so that long principle titles fit a phone.

    Args:
        rows: the rows, from top to bottom.
        width: width of the drawing in user units.
        low: left end of the axis; by default a round value below everything.
        high: right end of the axis; by default a round value above everything.
        reference: a value to mark by a vertical line (chance, no change), or None.
        tick: writes a value under the axis.
    """
    given = list(rows)
    numbers = [
        number
        for row in given
        for e in row.estimates
        for number in (e.value, e.low, e.high)
        if number is not None and math.isfinite(number)
    ]
    if reference is not None:
        numbers.append(reference)
    ticks = nice_ticks(
        min(numbers, default=0.0) if low is None else low,
        max(numbers, default=1.0) if high is None else high,
        count=6,
    )
    left, right = 16.0, width - 20.0
    x = Scale(ticks[0] if low is None else low, ticks[-1] if high is None else high, left, right)
    placed: list[PlacedRow] = []
    cursor = 6.0
    for row in given:
        label_at = cursor + 14
        cursor += 32
        whiskers = []
        for index, e in enumerate(row.estimates, start=1):
            whiskers.append(
                Whisker(
                    estimate=e,
                    index=index,
                    x=x(e.value),
                    y=_tenth(cursor),
                    x_low=None if e.low is None else x(e.low),
                    x_high=None if e.high is None else x(e.high),
                )
            )
            cursor += 18
        cursor += 4
        placed.append(
            PlacedRow(
                row.label, _tenth(label_at), _tenth(label_at + 6), _tenth(cursor), tuple(whiskers)
            )
        )
    return IntervalChart(
        width=width,
        height=int(cursor + 26),
        left=left,
        right=right,
        bottom=_tenth(cursor),
        x_ticks=tuple(Tick(x(v), tick(v)) for v in ticks if x.low <= v <= x.high),
        rows=tuple(placed),
        reference=None if reference is None else x(reference),
    )


# --- stacked bar of a tally -----------------------------------------------------------------------


@dataclass(frozen=True)
class Segment:
    """One part of a stacked bar: where it starts, how wide it is, and its exact share."""

    key: str
    label: str
    count: int
    share: Fraction
    x: float
    width: float


@dataclass(frozen=True)
class Mark:
    """A line across a stacked bar: what must be reached, as a count and as a coordinate."""

    key: str
    label: str
    needed: Fraction
    x: float
    anchor: str


@dataclass(frozen=True)
class TallyBar:
    """A stacked bar in coordinates."""

    width: int
    total: int
    segments: tuple[Segment, ...]
    marks: tuple[Mark, ...]


def tally_bar(
    parts: Sequence[tuple[str, str, int]],
    *,
    total: int,
    marks: Sequence[tuple[str, str, Fraction]] = (),
    width: int = 480,
) -> TallyBar:
    """Lay out counts as one stacked bar with marks for what had to be reached.

    Args:
        parts: (key, label, count) from left to right; counts are not negative.
        total: what the whole bar stands for, usually the electorate; at least the counts' sum.
        marks: (key, label, needed), where `needed` is a count, perhaps not whole.
        width: width of the drawing in user units.

    Raises:
        ValueError: a count is negative, or the counts exceed `total`.
    """
    cast = sum(count for _, _, count in parts)
    if any(count < 0 for _, _, count in parts) or cast > total:
        msg = f"Counts {[count for _, _, count in parts]} do not fit into a total of {total}."
        raise ValueError(msg)
    segments: list[Segment] = []
    before = 0
    for key, label, count in parts:
        start = Fraction(before * width, total) if total else Fraction(0)
        stop = Fraction((before + count) * width, total) if total else Fraction(0)
        segments.append(
            Segment(
                key=key,
                label=label,
                count=count,
                share=Fraction(count, total) if total else Fraction(0),
                x=_tenth(float(start)),
                width=_tenth(float(stop - start)),
            )
        )
        before += count
    placed = []
    for key, label, needed in marks:
        x = _tenth(float(min(needed / total, Fraction(1)) * width)) if total else 0.0
        anchor = "end" if x > width * 0.6 else "start"
        placed.append(Mark(key=key, label=label, needed=needed, x=x, anchor=anchor))
    return TallyBar(width=width, total=total, segments=tuple(segments), marks=tuple(placed))


# --- rounds of an instant runoff ------------------------------------------------------------------

MOST_BARS = 60


@dataclass(frozen=True)
class RoundBar:
    """The votes of one option in one round; `state` is stays, goes or elected."""

    mark: str
    label: str
    state: str
    y: float
    width: float


@dataclass(frozen=True)
class PlacedRound:
    """A round: its title above its bars."""

    title: str
    y: float
    bars: tuple[RoundBar, ...]


@dataclass(frozen=True)
class RoundsChart:
    """Rounds below each other, in coordinates.

    Attributes:
        width: of the drawing in user units.
        height: of the drawing in user units.
        left: where bars begin.
        rounds: the last ones, as far as MOST_BARS reach.
        left_out: how many rounds before them are not drawn.
    """

    width: int
    height: int
    left: float
    rounds: tuple[PlacedRound, ...]
    left_out: int


def rounds_chart(
    rounds: Sequence[tuple[str, Sequence[tuple[str, str, Fraction, str]]]],
    *,
    most: Fraction,
    width: int = 480,
) -> RoundsChart:
    """Lay out each round's votes as bars, all to the same scale.

    Args:
        rounds: a title, and (mark, label, votes, state) of each option that remains.
        most: the votes that a bar of full length stands for.
        width: width of the drawing in user units.
    """
    shown: list[tuple[str, Sequence[tuple[str, str, Fraction, str]]]] = []
    for one in reversed(rounds):
        if shown and sum(len(bars) for _, bars in shown) + len(one[1]) > MOST_BARS:
            break
        shown.insert(0, one)
    left, y = 34.0, 0.0
    placed = []
    for title, bars in shown:
        y += 16
        at = y
        drawn = []
        for mark, label, votes, state in bars:
            share = float(votes / most) if most else 0.0
            y += 6
            drawn.append(
                RoundBar(
                    mark=mark,
                    label=label,
                    state=state,
                    y=_tenth(y),
                    width=_tenth(share * (width - left - 90)),
                )
            )
            y += 14
        placed.append(PlacedRound(title=title, y=_tenth(at), bars=tuple(drawn)))
        y += 14
    return RoundsChart(
        width=width,
        height=int(y) or 1,
        left=left,
        rounds=tuple(placed),
        left_out=len(rounds) - len(shown),
    )


# --- histogram ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bin:
    """One bar of a histogram: its half-open range (the last one is closed), count and rectangle."""

    low: float
    high: float
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Histogram:
    """A histogram in coordinates."""

    width: int
    height: int
    bottom: float
    bins: tuple[Bin, ...]
    x_ticks: tuple[Tick, ...]
    peak: int
    outside: int


def histogram(
    values: Iterable[float],
    *,
    low: float,
    high: float,
    bins: int = 10,
    width: int = 320,
    height: int = 120,
) -> Histogram:
    """Count values into equal bins and lay out their bars.

    Args:
        values: the numbers; those that are not finite or lie outside are counted in `outside`.
        low: left end of the first bin.
        high: right end of the last bin, which it belongs to; above `low`.
        bins: how many bins; at least 1.
        width: width of the drawing in user units.
        height: height of the drawing in user units.

    Raises:
        ValueError: there is no bin, or the range is empty.
    """
    if bins < 1 or not low < high:
        msg = f"No histogram of {bins} bins from {low} to {high}."
        raise ValueError(msg)
    counts = [0] * bins
    outside = 0
    for value in values:
        if not math.isfinite(value) or not low <= value <= high:
            outside += 1
            continue
        counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    peak = max(counts)
    left, right, top, bottom = 8.0, width - 8.0, 8.0, height - 22.0
    x = Scale(low, high, left, right)
    step = (high - low) / bins
    placed = []
    for index, count in enumerate(counts):
        edge = low + index * step
        tall = _tenth((bottom - top) * count / peak) if peak else 0.0
        placed.append(
            Bin(
                low=edge,
                high=low + (index + 1) * step,
                count=count,
                x=_tenth(x(edge) + 0.5),
                y=_tenth(bottom - tall),
                width=_tenth((right - left) / bins - 1),
                height=tall,
            )
        )
    return Histogram(
        width=width,
        height=height,
        bottom=bottom,
        bins=tuple(placed),
        x_ticks=tuple(Tick(x(v), tick_label(v)) for v in (low, (low + high) / 2, high)),
        peak=peak,
        outside=outside,
    )
