"""What gold items say of the annotators who answer them, and of the gold itself. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LEVEL = 0.05
FLOOR = 0.6
ENOUGH = 8
_GRID = (np.arange(20_000) + 0.5) / 20_000


@dataclass(frozen=True)
class Accuracy:
    """An annotator's accuracy on gold under a uniform prior, Beta(1 + right, 1 + wrong).

    Attributes:
        right: gold items answered as expected.
        wrong: gold items answered otherwise.
        mean: mean of the posterior.
        low: its 5 % quantile. Act on this, never on the mean.
        restrict: there are at least 8 answers, and P(accuracy < 0.6) is above 0.95.
    """

    right: int
    wrong: int
    mean: float
    low: float
    restrict: bool


@lru_cache(maxsize=4096)
def accuracy(right: int, wrong: int) -> Accuracy:
    """Return what the answers to gold items say, to four digits.

    Raises:
        ValueError: a count is negative.
    """
    if right < 0 or wrong < 0:
        raise ValueError("Counts of answers are not negative.")
    logs = right * np.log(_GRID) + wrong * np.log1p(-_GRID)
    below = np.cumsum(np.exp(logs - logs.max()))
    below /= below[-1]
    return Accuracy(
        right=right,
        wrong=wrong,
        mean=(1 + right) / (2 + right + wrong),
        low=float(np.interp(LEVEL, below, _GRID)),
        restrict=right + wrong >= ENOUGH and float(np.interp(FLOOR, _GRID, below)) > 1 - LEVEL,
    )


def injection_rate(answered: int) -> float:
    """Return the chance that an annotator's next item is gold, after so many items in all."""
    steps = ((20, 0.2), (100, 0.05))
    return next((rate for until, rate in steps if answered < until), 0.02)


@dataclass(frozen=True)
class Suspect:
    """A gold item that people who are right elsewhere miss.

    Attributes:
        item: the gold item.
        right: answers as expected.
        wrong: answers otherwise.
        expected_wrong: wrong answers that the same people's record on other gold foretells.
        p_value: chance of as many or more, from a normal approximation.
    """

    item: str
    right: int
    wrong: int
    expected_wrong: float
    p_value: float


def audit(
    votes: Iterable[tuple[str, str, str]], gold: Mapping[str, str], *, level: float = 0.01
) -> list[Suspect]:
    """Return the gold items to look at again, the most suspect first.

    Each answer is compared with what the annotator's *other* gold answers foretell, Beta(2, 1)
    beforehand. The level is divided by the number of gold items (Bonferroni).

    Args:
        votes: (item, annotator, label); items that are not gold are left out.
        gold: the class of each gold item.
        level: chance of suspecting any sound item.
    """
    last = {(item, who): label for item, who, label in votes if item in gold and label}
    right = {key: label == gold[key[0]] for key, label in last.items()}
    total = Counter(who for _, who in right)
    hits = Counter(who for (_, who), good in right.items() if good)
    expected: dict[str, float] = {}
    spread: dict[str, float] = {}
    wrong: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for (item, who), good in right.items():
        chance = (2 + hits[who] - good) / (3 + total[who] - 1)
        expected[item] = expected.get(item, 0.0) + 1 - chance
        spread[item] = spread.get(item, 0.0) + chance * (1 - chance)
        wrong[item] += not good
        asked[item] += 1
    found = []
    for item, foretold in expected.items():
        z = (wrong[item] - 0.5 - foretold) / math.sqrt(spread[item])
        p_value = math.erfc(z / math.sqrt(2)) / 2
        if p_value <= level / len(expected):
            found.append(Suspect(item, asked[item] - wrong[item], wrong[item], foretold, p_value))
    return sorted(found, key=lambda one: (one.p_value, one.item))
