"""Confidence intervals of the figures that an evaluation publishes.

Pure: counts in, numbers out; standard library only.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

WILSON = "Wilson 95 % interval"
NEWCOMBE_PAIRED = "Newcombe 95 % interval for paired proportions (method 10)"
MEAN_NORMAL = "mean with a 95 % normal interval from its standard error"

_Z = NormalDist().inv_cdf(0.975)


class Interval(NamedTuple):
    """An estimate with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float


def wilson(k: float, n: int) -> Interval:
    """Estimate a proportion with Wilson's score interval.

    Args:
        k: successes, 0 <= k <= n; a tie may count as half a success.
        n: trials, at least 1.

    Returns:
        k / n and its interval, both within [0, 1].

    Raises:
        ValueError: there are no trials, or k lies outside them.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953, without continuity
        correction.
    """
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no proportion.")
    share = k / n
    centre = (k + _Z * _Z / 2) / (n + _Z * _Z)
    half = _Z / (n + _Z * _Z) * math.sqrt(k * (n - k) / n + _Z * _Z / 4)
    # At the ends the bound is the estimate itself; rounding must not put it beside.
    low = 0.0 if k == 0 else min(share, centre - half)
    high = 1.0 if k == n else max(share, centre + half)
    return Interval(share, low, high)


def paired_difference(
    both: float, only_first: float, only_second: float, neither: float
) -> Interval:
    """Estimate the difference of two proportions measured on the same items.

    Args:
        both: items that succeed on both sides.
        only_first: items that succeed on the first side only.
        only_second: items that succeed on the second side only.
        neither: items that fail on both sides. Halves are allowed, for ties.

    Returns:
        First minus second with Newcombe's hybrid score interval, within [-1, 1].

    Raises:
        ValueError: a count is negative or there is no item.

    Source: Newcombe 1998, method 10 (square and add, with the continuity-corrected phi),
        https://doi.org/10.1002/(SICI)1097-0258(19981130)17:22<2635::AID-SIM954>3.0.CO;2-C
    """
    cells = (both, only_first, only_second, neither)
    total = sum(cells)
    if min(cells) < 0 or total < 1:
        raise ValueError(f"{cells} is no table of paired outcomes.")
    n = round(total)
    first = wilson(min(both + only_first, n), n)
    second = wilson(min(both + only_second, n), n)
    margins = (
        (both + only_first)
        * (only_second + neither)
        * (both + only_second)
        * (only_first + neither)
    )
    if margins == 0:
        phi = 0.0
    else:
        cross = both * neither - only_first * only_second
        if cross > 0:
            cross = max(cross - n / 2, 0.0)
        phi = cross / math.sqrt(margins)
    below, above = first.value - first.low, second.high - second.value
    down = math.sqrt(max(0.0, below**2 - 2 * phi * below * above + above**2))
    below, above = second.value - second.low, first.high - first.value
    up = math.sqrt(max(0.0, below**2 - 2 * phi * below * above + above**2))
    difference = (only_first - only_second) / n
    return Interval(difference, max(-1.0, difference - down), min(1.0, difference + up))


def paired_scores_difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Estimate how much more often `first` succeeds than `second`, item by item.

    Args:
        first: 1 for success, 0 for failure, 0.5 for a tie, one for each item.
        second: the same items in the same order.

    Returns:
        The mean of first minus second with the interval of `paired_difference`. A tie is half
        in each of the cells it could fall into.
    """
    if len(first) != len(second):
        raise ValueError("Paired scores need the same items on both sides.")
    pairs = list(zip(first, second, strict=True))
    return paired_difference(
        sum(a * b for a, b in pairs),
        sum(a * (1 - b) for a, b in pairs),
        sum((1 - a) * b for a, b in pairs),
        sum((1 - a) * (1 - b) for a, b in pairs),
    )


def mean(values: Sequence[float]) -> Interval:
    """Estimate a mean with a normal interval; of a single value the interval is that value.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("There is no mean of nothing.")
    n = len(values)
    centre = math.fsum(values) / n
    variance = math.fsum((value - centre) ** 2 for value in values) / (n - 1) if n > 1 else 0.0
    half = _Z * math.sqrt(variance / n)
    return Interval(centre, centre - half, centre + half)
