"""Sums of square roots of whole numbers, compared exactly: no floating point decides a vote.

A sum is kept as its square-free parts: {2: 3, 1: 5} is 3√2 + 5. Square roots of different
square-free numbers are linearly independent over the rationals (Besicovitch 1940), so two sums are
equal exactly when their parts are, and a difference with a part left is never zero.
"""

from collections.abc import Mapping
from functools import cache
from math import isqrt
from typing import TypeAlias

RootSum: TypeAlias = dict[int, int]


def root_sum(terms: Mapping[int, int]) -> RootSum:
    """Return the sum of count · √number.

    Args:
        terms: how often the root of each number, 0 or more, is taken.
    """
    parts: RootSum = {}
    for number, count in terms.items():
        whole, square_free = split_root(number)
        parts[square_free] = parts.get(square_free, 0) + whole * count
    return {square_free: parts[square_free] for square_free in sorted(parts) if parts[square_free]}


@cache
def split_root(number: int) -> tuple[int, int]:
    """Return whole and square-free with √number = whole · √square-free: √12 is 2√3."""
    for whole in range(isqrt(number), 1, -1):
        if number % whole**2 == 0:
            return whole, number // whole**2
    return (1, number) if number else (0, 1)


def compare(one: RootSum, other: RootSum) -> int:
    """Return 1 where `one` is larger, -1 where it is smaller, 0 where both are equal."""
    difference = {
        square_free: one.get(square_free, 0) - other.get(square_free, 0)
        for square_free in {*one, *other}
    }
    parts = {square_free: count for square_free, count in difference.items() if count}
    if not parts:
        return 0
    bits = 32
    while True:
        least, most = _enclose(parts, bits)
        if least > 0 or most < 0:
            return 1 if least > 0 else -1
        bits *= 2


def floor(parts: RootSum, *, scale: int = 1) -> int:
    """Return the largest whole number that is at most `scale` times the sum."""
    parts = {square_free: scale * count for square_free, count in parts.items()}
    bits = 32
    while True:
        least, most = (bound >> bits for bound in _enclose(parts, bits))
        if least == most:
            return least
        bits *= 2


def text(parts: RootSum) -> str:
    """Write the sum for people: 5 + 3√2 + √7."""
    if not parts:
        return "0"
    return " + ".join(
        str(count) if square_free == 1 else f"{count if count != 1 else ''}√{square_free}"
        for square_free, count in sorted(parts.items())
    )


def _enclose(parts: RootSum, bits: int) -> tuple[int, int]:
    """Return bounds of 2**bits times the sum; they meet where every root is whole."""
    least = most = 0
    for square_free, count in parts.items():
        square = square_free * count**2 << 2 * bits
        below = isqrt(square)
        above = below + (below**2 != square)
        least += below if count > 0 else -above
        most += above if count > 0 else -below
    return least, most
