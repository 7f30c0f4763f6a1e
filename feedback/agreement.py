"""How far annotators agree: Krippendorff's alpha and percent agreement.

Pure and exact: counts go in, fractions come out, the same for any order of units and of values.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from fractions import Fraction

_PAIR = 2
_EXACT = 2000
_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Agreement:
    """Alpha of some units with the interval that their number allows.

    Attributes:
        units: units with at least two values; the others say nothing about agreement.
        values: values in these units.
        alpha: Krippendorff's alpha; None where every value is the same, or there are no units.
        low: lower end of the 95 % interval; None where it has none.
        high: upper end, at most 1.
        percent: share of pairs of values within a unit that agree; None without units.
    """

    units: int
    values: int
    alpha: Fraction | None
    low: float | None
    high: float | None
    percent: Fraction | None


def agreement(units: Iterable[Iterable[Hashable]]) -> Agreement:
    """Return how far the values within each unit agree.

    Args:
        units: for each unit the values it was given, in any order; missing values are left out.
    """
    shapes = _shapes(units)
    low, high = _interval(shapes)
    return Agreement(
        units=shapes.total(),
        values=sum(sum(count for _, count in shape) * n for shape, n in shapes.items()),
        alpha=_alpha(shapes),
        low=low,
        high=high,
        percent=_percent(shapes),
    )


def nominal_alpha(units: Iterable[Iterable[Hashable]]) -> Fraction | None:
    """Return Krippendorff's alpha for nominal values.

    alpha = 1 - D_o / D_e with the coincidences o_ck = sum over units of the ordered pairs (c, k)
    of different annotators divided by (m_u - 1), where m_u is the number of values of the unit.

    Args:
        units: for each unit the values it was given; units with fewer than two are left out.

    Returns:
        1 where all agree, 0 where they agree as by chance, below 0 where less than that; None
        where it is undefined: no unit has two values, or all values are the same.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, section C.
    """
    return _alpha(_shapes(units))


def percent_agreement(units: Iterable[Iterable[Hashable]]) -> Fraction | None:
    """Return the share of pairs of values within a unit that are the same; None without pairs."""
    return _percent(_shapes(units))


# A shape is a unit as (value, count) pairs; few shapes stand for any number of units.
_Shape = tuple[tuple[Hashable, int], ...]


def _shapes(units: Iterable[Iterable[Hashable]]) -> Counter[_Shape]:
    shapes: Counter[_Shape] = Counter()
    for unit in units:
        counts = Counter(unit)
        if counts.total() >= _PAIR:
            shapes[tuple(sorted(counts.items(), key=repr))] += 1
    return shapes


def _alpha(shapes: Counter[_Shape]) -> Fraction | None:
    totals: Counter[Hashable] = Counter()
    agreeing = Fraction(0)
    for shape, n in shapes.items():
        size = sum(count for _, count in shape)
        for value, count in shape:
            totals[value] += count * n
        agreeing += Fraction(n * sum(c * (c - 1) for _, c in shape), size - 1)
    values = totals.total()
    expected = values * (values - 1) - sum(n * (n - 1) for n in totals.values())
    if expected == 0:
        return None
    return 1 - (values - agreeing) * (values - 1) / expected


def _percent(shapes: Counter[_Shape]) -> Fraction | None:
    pairs = agreeing = 0
    for shape, n in shapes.items():
        size = sum(count for _, count in shape)
        pairs += n * size * (size - 1)
        agreeing += n * sum(c * (c - 1) for _, c in shape)
    return Fraction(agreeing, pairs) if pairs else None


def _interval(shapes: Counter[_Shape]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of alpha by the jackknife over units.

    It is (None, None) where alpha is undefined, and where all units are alike: these tell nothing
    about how far other units would differ.

    Units of one shape leave the same alpha behind, so that a million units cost a few sums.

    Source: Efron and Stein 1981, The Jackknife Estimate of Variance, eq. 1.4.
    """
    n = shapes.total()
    alpha = _alpha(shapes)
    if alpha is None or len(shapes) == 1:
        return None, None
    without = []
    for shape, count in sorted(shapes.items(), key=repr):
        left = _alpha(shapes - Counter([shape]))
        if left is None:
            return None, None
        without.append((float(left), count))
    mean = math.fsum(value * count for value, count in without) / n
    spread = math.fsum(count * (value - mean) ** 2 for value, count in without)
    error = math.sqrt(spread * (n - 1) / n)
    return float(alpha) - _Z_95 * error, min(1.0, float(alpha) + _Z_95 * error)


def metric_alpha(units: Iterable[Iterable[float]], *, level: str) -> float | None:
    """Return Krippendorff's alpha of numbers, such as strengths in unswapped order.

    Args:
        units: for each unit the numbers it was given; units with fewer than two are left out.
        level: "ordinal", where only the order of the numbers counts, or "interval".

    Returns:
        Alpha; None where it is undefined.

    Raises:
        ValueError: the level is another one.

    Source: Krippendorff 2011, Computing Krippendorff's Alpha-Reliability, sections D and E.
    """
    if level not in {"ordinal", "interval"}:
        raise ValueError("The level is ordinal or interval.")
    kept = [unit for unit in map(list, units) if len(unit) >= _PAIR]
    totals = Counter(value for unit in kept for value in unit)
    place: dict[float, float] = {}
    below = 0
    for value in sorted(totals):
        # The ordinal distance of two values is that of the middles of their ranks.
        place[value] = below + totals[value] / 2 if level == "ordinal" else value
        below += totals[value]
    observed = math.fsum(
        _spread(Counter(place[value] for value in unit)) / (len(unit) - 1) for unit in kept
    )
    expected = _spread(Counter({place[value]: n for value, n in totals.items()}))
    if expected == 0:
        return None
    return 1 - (totals.total() - 1) * observed / expected


def _spread(counts: Counter[float]) -> float:
    """Return the sum of squared differences over the ordered pairs of values."""
    number = counts.total()
    mean = math.fsum(value * n for value, n in counts.items()) / number if number else 0.0
    return 2 * number * math.fsum(n * (value - mean) ** 2 for value, n in counts.items())


@dataclass(frozen=True)
class PositionBias:
    """How often the answer shown first was chosen.

    Attributes:
        first: choices of the one shown first.
        choices: choices of either; ties are left out.
        share: first / choices; None without choices.
        low: lower end of the 95 % interval (Wilson).
        high: upper end.
        p_value: two-sided and exact, against a half (for more than 2,000 choices, normal).
    """

    first: int
    choices: int
    share: Fraction | None
    low: float
    high: float
    p_value: float


def position_bias(first: int, choices: int) -> PositionBias:
    """Return the bias of an annotator, or of all, towards what is shown first.

    Raises:
        ValueError: not 0 <= first <= choices.
    """
    if not 0 <= first <= choices:
        raise ValueError("Of the choices, between none and all are of the first.")
    if choices == 0:
        return PositionBias(0, 0, None, 0.0, 1.0, 1.0)
    share, square = first / choices, _Z_95**2
    middle = (share + square / (2 * choices)) / (1 + square / choices)
    half = _Z_95 * math.sqrt(share * (1 - share) / choices + square / (4 * choices**2))
    half /= 1 + square / choices
    fewer = min(first, choices - first)
    if choices > _EXACT:
        p_value = math.erfc(max(0.0, choices / 2 - fewer - 0.5) / math.sqrt(choices / 2))
    else:
        tail = sum(math.comb(choices, n) for n in range(fewer + 1))
        p_value = min(1.0, float(Fraction(2 * tail, 2**choices)))
    return PositionBias(
        first, choices, Fraction(first, choices), middle - half, middle + half, p_value
    )


def swap_consistency(
    answers: Iterable[tuple[Hashable, Hashable, Hashable]],
) -> dict[Hashable, tuple[int, int]]:
    """Return, by annotator, the items answered in both orders alike, and all that were.

    Args:
        answers: (item, annotator, label in unswapped order), an item twice where both orders were
            shown. A coin is consistent on half.
    """
    seen: dict[tuple[Hashable, Hashable], list[Hashable]] = {}
    for item, who, label in answers:
        seen.setdefault((item, who), []).append(label)
    found: dict[Hashable, tuple[int, int]] = {}
    for (_, who), labels in seen.items():
        if len(labels) == _PAIR:
            alike, both = found.get(who, (0, 0))
            found[who] = (alike + (labels[0] == labels[1]), both + 1)
    return found
