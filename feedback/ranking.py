"""Strengths of responses from comparisons: Bradley-Terry with order and annotator reliability.

P(first wins | annotator w) = eta_w sigma(d) + (1 - eta_w) sigma(-d), d = s_first - s_second + g,
where g is the pull of being shown first and eta_w the chance that w means what they say; below a
half they mean the opposite. Without reliability eta is 1, which is plain Bradley-Terry. A tie is
half a win for each side: it needs no parameter, and serves both models alike.

Pure: numpy alone.

Sources: Bradley and Terry 1952; Agresti 2002, Categorical Data Analysis, section 10.6, for the
order effect; Chen et al. 2013, Pairwise Ranking Aggregation in a Crowdsourced Setting, eq. 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_ROUNDS = 200
_BETA = (8.0, 2.0)
_TINY = 1e-12


@dataclass(frozen=True)
class Ranking:
    """What the comparisons say.

    Attributes:
        strengths: log-odds scale, with mean 0, by item.
        errors: their standard errors.
        order: log-odds that being shown first adds; 0 where it was not asked for.
        order_error: its standard error.
        reliability: eta of each annotator; empty where it was not asked for.
        log_likelihood: in nats.
        converged: whether the gradient vanished.
    """

    strengths: dict[str, float]
    errors: dict[str, float]
    order: float
    order_error: float
    reliability: dict[str, float]
    log_likelihood: float
    converged: bool


@dataclass(frozen=True)
class Comparisons:
    """Comparisons as numbers, all of shape (comparisons,), and the sizes of the model."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    annotator: NDArray[np.int64]
    outcome: _Floats
    weight: _Floats
    items: int
    annotators: int
    order: bool
    ridge: float


def objective(at: _Floats, given: Comparisons) -> tuple[float, _Floats, _Floats]:
    """Return the log posterior, its gradient, and the expected information.

    Args:
        at: strengths (items), the order term, then logit eta (annotators, or none).
        given: the comparisons; `annotators` 0 leaves reliability out.
    """
    size = len(at)
    n = given.items
    d = at[given.first] - at[given.second] + at[n]
    q = 1 / (1 + np.exp(-np.clip(d, -500, 500)))
    columns = [given.first, given.second, np.full(len(d), n)]
    eta = 1 / (1 + np.exp(-at[n + 1 :]))
    mine = eta[given.annotator] if given.annotators else np.ones(len(d))
    p = np.clip(mine * q + (1 - mine) * (1 - q), _TINY, 1 - _TINY)
    slope = (2 * mine - 1) * q * (1 - q)
    slopes = [slope, -slope, slope if given.order else np.zeros(len(d))]
    if given.annotators:
        columns.append(n + 1 + given.annotator)
        slopes.append((2 * q - 1) * mine * (1 - mine))
    likelihood = given.weight @ (given.outcome * np.log(p) + (1 - given.outcome) * np.log1p(-p))
    pull = given.weight * (given.outcome - p) / (p * (1 - p))
    gradient = np.zeros(size)
    flat = np.zeros(size * size)
    for column, by in zip(columns, slopes, strict=True):
        gradient += np.bincount(column, weights=pull * by, minlength=size)
        for other, with_ in zip(columns, slopes, strict=True):
            flat += np.bincount(
                column * size + other,
                weights=given.weight * by * with_ / (p * (1 - p)),
                minlength=size * size,
            )
    information = flat.reshape(size, size)
    strengths = at[:n]
    value = float(likelihood) - given.ridge / 2 * strengths @ strengths - strengths.sum() ** 2 / 2
    gradient[:n] -= given.ridge * strengths + strengths.sum()
    information[:n, :n] += given.ridge * np.eye(n) + 1
    if not given.order:
        information[n, n] += 1
    if given.annotators:
        a, b = _BETA
        value += float((a * np.log(eta) + b * np.log1p(-eta)).sum())
        gradient[n + 1 :] += a - (a + b) * eta
        place = np.arange(n + 1, size)
        information[place, place] += (a + b) * eta * (1 - eta)
    return float(value), gradient, information


def rank(
    comparisons: Sequence[tuple[str, str, str, float]],
    *,
    order: bool = True,
    reliability: bool = False,
    ridge: float = 0.01,
) -> Ranking:
    """Return the strengths of the items compared.

    Args:
        comparisons: (shown first, shown second, annotator, outcome): 1 where the first won, 0
            where the second did, 0.5 for a tie.
        order: whether being shown first may matter.
        reliability: whether annotators may differ, with a Beta(8, 2) prior.
        ridge: precision of the normal prior of strengths; above 0, since an item that never lost
            has no finite strength otherwise.

    Raises:
        ValueError: there are no comparisons, an item meets itself, an outcome is outside 0 to 1,
            or the ridge is not above 0.
    """
    if not comparisons:
        raise ValueError("There are no comparisons.")
    if ridge <= 0:
        raise ValueError("The ridge is above 0.")
    if any(one == two or not 0 <= won <= 1 for one, two, _, won in comparisons):
        raise ValueError("A comparison is of two items, with an outcome from 0 to 1.")
    names = sorted({name for one, two, _, _ in comparisons for name in (one, two)})
    people = sorted({who for _, _, who, _ in comparisons})
    at_name = {name: n for n, name in enumerate(names)}
    at_person = {who: n for n, who in enumerate(people)}
    same: dict[tuple[int, int, int, float], int] = {}
    for one, two, who, won in comparisons:
        key = (at_name[one], at_name[two], at_person[who] if reliability else 0, float(won))
        same[key] = same.get(key, 0) + 1
    first, second, who_, won_ = (np.array(column) for column in zip(*same, strict=True))
    given = Comparisons(
        first,
        second,
        who_,
        won_,
        np.array(list(same.values()), dtype=float),
        len(names),
        len(people) if reliability else 0,
        order,
        ridge,
    )
    start = np.zeros(given.items + 1 + given.annotators)
    start[given.items + 1 :] = np.log(_BETA[0] / _BETA[1])
    at, information, converged = _climb(start, given)
    covariance = np.linalg.inv(information)
    n = given.items
    centre = np.eye(n) - 1 / n
    spread = np.sqrt(np.maximum(0, np.diag(centre @ covariance[:n, :n] @ centre)))
    return Ranking(
        strengths=dict(zip(names, (at[:n] - at[:n].mean()).tolist(), strict=True)),
        errors=dict(zip(names, spread.tolist(), strict=True)),
        order=float(at[n]) if order else 0.0,
        order_error=float(np.sqrt(covariance[n, n])) if order else 0.0,
        reliability=dict(zip(people, (1 / (1 + np.exp(-at[n + 1 :]))).tolist(), strict=True))
        if reliability
        else {},
        log_likelihood=_likelihood(at, given),
        converged=converged,
    )


def _likelihood(at: _Floats, given: Comparisons) -> float:
    value = objective(at, given)[0]
    n = given.items
    eta = 1 / (1 + np.exp(-at[n + 1 :]))
    prior = given.ridge / 2 * at[:n] @ at[:n] + at[:n].sum() ** 2 / 2
    a, b = _BETA  # Without reliability the sum is empty.
    return float(value + prior - (a * np.log(eta) + b * np.log1p(-eta)).sum())


def _climb(at: _Floats, given: Comparisons) -> tuple[_Floats, _Floats, bool]:
    """Climb by Fisher scoring, halving a step that does not go up."""
    value, gradient, information = objective(at, given)
    for _ in range(_ROUNDS):
        if np.abs(gradient).max() < 1e-8 * max(1.0, given.weight.sum()):
            return at, information, True
        step = np.linalg.solve(information, gradient)
        for _ in range(40):
            tried = objective(at + step, given)
            if tried[0] >= value:
                break
            step /= 2
        else:
            return at, information, False
        at += step
        value, gradient, information = tried
    return at, information, False
