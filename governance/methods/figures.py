"""How figures are stored and exported: JSON that every reader keeps exactly."""

from fractions import Fraction

LARGEST_EXACT = 2**53 - 1


def whole(number: int) -> int | str:
    """Return a whole number as JSON; beyond 2**53 - 1, which readers would round, as digits."""
    return number if abs(number) <= LARGEST_EXACT else str(number)


def fraction(number: Fraction | int) -> list[int | str]:
    """Return a rational number as numerator and denominator, in lowest terms."""
    return [whole(part) for part in Fraction(number).as_integer_ratio()]
