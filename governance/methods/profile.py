"""All ballots of one poll as arrays of whole numbers, from which every method counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from governance.methods.ballots import LARGEST_AMOUNT, METHODS, RANKED, Content

Whole: TypeAlias = NDArray[np.int64]
Matrix: TypeAlias = list[list[int]]

LARGEST_WEIGHT = 2**50
MOST_OPTIONS = 500


@dataclass(frozen=True, kw_only=True, eq=False)
class Profile:
    """The ballots of one poll, a column each.

    Attributes:
        options: keys of the options, a row each.
        amounts: what each ballot gave each option: points, credits, parts, or 1 for approved;
            of a ranked ballot minus the number of its tier. More is better in every method.
            Shape (options, ballots).
        weights: how many votes each ballot carries, at least 1. Shape (ballots,).
    """

    options: tuple[str, ...]
    amounts: NDArray[np.int16]
    weights: Whole

    @property
    def weight(self) -> int:
        """All votes together."""
        return int(self.weights.sum())

    @cached_property
    def duels(self) -> Matrix:
        """`duels[a][b]`: the votes, by weight, that put option a above option b."""
        count = len(self.options)
        duels = np.zeros((count, count), dtype=np.int64)
        for a in range(count):
            for b in range(count):
                if a != b:
                    duels[a, b] = self.weights[self.amounts[a] > self.amounts[b]].sum()
        return duels.tolist()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a method finds, options as numbers of their rows.

    Attributes:
        winners: in rising order; several are tied.
        tiers: all options, best first; the first tier holds exactly the winners.
        steps: the method's own figures, as they are stored: whole numbers and words only.
    """

    winners: list[int]
    tiers: list[list[int]]
    steps: list[dict[str, Any]]


def read(method: str, options: Sequence[str], ballots: Iterable[tuple[Content, int]]) -> Profile:
    """Lay out checked ballots as arrays.

    Raises:
        ValueError: options are missing or named twice, a ballot is not one of this method, or a
            weight is no whole number from 1 up.
    """
    if method not in METHODS:
        raise ValueError(f"“{method}” is not a method of voting.")
    index = {option: n for n, option in enumerate(options)}
    if not 0 < len(index) == len(options) <= MOST_OPTIONS:
        raise ValueError(
            f"A poll has from 1 to {MOST_OPTIONS} options, each with a key of its own."
        )
    rows: list[int] = []
    given: list[int] = []
    sizes: list[int] = []
    weights: list[int] = []
    place = _PLACE.get(method, _place_amounts)
    try:
        for content, weight in ballots:
            before = len(rows)
            place(content, index, rows, given)
            sizes.append(len(rows) - before)
            weights.append(weight)
    except KeyError as error:
        raise ValueError(f"“{error.args[0]}” is not an option of this poll.") from None
    except (TypeError, AttributeError):
        raise ValueError(f"A ballot is not one of the method {method}.") from None
    return Profile(
        options=tuple(options),
        amounts=_amounts(method, len(index), rows, given, sizes),
        weights=_weights(weights),
    )


def _place_tiers(content: Any, index: Mapping[str, int], rows: list[int], given: list[int]) -> None:
    for number, tier in enumerate(content):
        if type(tier) is not list:
            raise TypeError
        for option in tier:
            rows.append(index[option])
            given.append(-number)


def _place_approved(
    content: Any, index: Mapping[str, int], rows: list[int], given: list[int]
) -> None:
    if type(content) is not list:
        raise TypeError
    rows.extend([index[option] for option in content])
    given.extend([1] * len(content))


def _place_amounts(
    content: Any, index: Mapping[str, int], rows: list[int], given: list[int]
) -> None:
    rows.extend([index[option] for option in content])
    given.extend(content.values())


_PLACE = {**dict.fromkeys(RANKED, _place_tiers), "approval": _place_approved}


def _amounts(
    method: str, count: int, rows: list[int], given: list[int], sizes: list[int]
) -> NDArray[np.int16]:
    columns = np.repeat(np.arange(len(sizes)), sizes)
    cells = np.array(rows, dtype=np.int64) * len(sizes) + columns
    if len(cells) and np.bincount(cells).max() > 1:
        raise ValueError("A ballot names an option twice.")
    values = np.array(given, dtype=np.int64)
    largest = LARGEST_AMOUNT.get(method, 1)
    if method not in RANKED and len(values) and not 0 <= values.min() <= values.max() <= largest:
        raise ValueError(f"A ballot gives an option from 0 to {largest}.")
    left_out = -(2**15) if method in RANKED else 0
    amounts = np.full(count * len(sizes), left_out, dtype=np.int16)
    amounts[cells] = values
    return amounts.reshape(count, len(sizes))


def _weights(weights: list[int]) -> Whole:
    if any(type(weight) is not int or weight < 1 for weight in weights):
        raise ValueError("A ballot's weight is a whole number from 1 up.")
    if sum(weights) > LARGEST_WEIGHT:
        raise ValueError("The ballots carry more weight than can be counted exactly.")
    return np.array(weights, dtype=np.int64)
