"""When an item has labels enough. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What becomes of an item."""

    OPEN = "open"
    RETIRED = "retired"
    CONTESTED = "contested"


@dataclass(frozen=True)
class Retirement:
    """The state of an item, and its soft label.

    Attributes:
        state: retired where the posterior is sure, contested where many labels leave it unsure.
        label: the likeliest class, the first by name of equals; None where contested.
        soft: the posterior, which goes into datasets whatever the state.
        entropy: of the posterior, in bits per bit of a fair draw: 0 is sure, 1 is even.
    """

    state: State
    label: str | None
    soft: dict[str, float]
    entropy: float


def retire(
    posterior: Mapping[str, float],
    labels: int,
    *,
    tau: float = 0.95,
    n_min: int = 2,
    n_max: int = 9,
    contested: float = 0.5,
) -> Retirement:
    """Return whether an item may stop, never on a count alone.

    An item with `n_max` labels that is neither sure nor contested stays open.

    Args:
        posterior: chance of each class; sums to 1.
        labels: labels that the item has.
        tau: posterior from which an item is sure, above 0.5.
        n_min: fewest labels to retire.
        n_max: labels from which an unsure item is contested.
        contested: entropy above which it is, 0 to 1.

    Raises:
        ValueError: the posterior is empty or no distribution, or tau is not in (0.5, 1].
    """
    if not posterior or any(not 0 <= p <= 1 for p in posterior.values()):
        raise ValueError("A posterior has chances between 0 and 1.")
    if not math.isclose(math.fsum(posterior.values()), 1, abs_tol=1e-6):
        raise ValueError("A posterior sums to 1.")
    if not 0.5 < tau <= 1:  # noqa: PLR2004 - at a half two classes would be sure
        raise ValueError("tau is above 0.5 and at most 1.")
    bits = -math.fsum(p * math.log(p) for p in posterior.values() if p > 0)
    entropy = bits / math.log(len(posterior)) if len(posterior) > 1 else 0.0
    best = min(posterior, key=lambda label: (-posterior[label], label))
    state = State.OPEN
    if labels >= n_min and posterior[best] >= tau:
        state = State.RETIRED
    elif labels >= n_max and entropy > contested:
        state = State.CONTESTED
    return Retirement(
        state=state,
        label=None if state is State.CONTESTED else best,
        soft=dict(posterior),
        entropy=entropy,
    )
