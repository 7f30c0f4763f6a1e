"""What the labels of many annotators say together, learnt from the gold items among them.

Three models answer, and their answers are mixed by how well each foretells gold it has not seen:

- *confusion*: each annotator has a full confusion matrix with a Dirichlet prior, fitted by EM on
  all items with the gold ones held at their class (`fit`), and the same from the gold alone;
- *weights*: a ridge regression of the gold class on the votes, which sees that a dozen annotators
  of one family say the same thing, where the first model takes them for a dozen witnesses;
- *majority*: the shares of the votes.

Without gold nothing tells a shared error from the truth, so the majority decides, and reliability
only breaks its ties.

Pure: numpy and the standard library. As a program it reads and prints files:
`python -m feedback.aggregation VOTES.csv --gold GOLD.csv --json`.

Sources: Dawid and Skene 1979 for the confusion matrices; Yao et al. 2018, Using Stacking to Average
Bayesian Predictive Distributions, section 3.4, for the mix by held-out score.
"""

import argparse
import csv
import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]
_TRUST = 0.6  # What an annotator of whom nothing is known is taken to get right.
_STRENGTH = 2.0  # Votes per row of a confusion matrix that this prior belief is worth.
_FOLDS = 4
_STEPS = 30
_RIDGE_GOLD = 800  # Gold items that the regression looks at; its cost grows with their cube.
_RIDGES = (3.0, 10.0, 30.0, 100.0, 300.0)
_SCALES = (1.0, 2.0, 4.0, 8.0)
_TINY = 1e-300


class MalformedVotes(ValueError):
    """The votes cannot be read; the text is a sentence that names the line."""


@dataclass(frozen=True)
class Annotator:
    """What the votes say of one annotator.

    Attributes:
        reliability: chance that a vote is right, over the classes as often as they occur.
        low: lower end of its 90 % interval.
        high: upper end.
        votes: votes counted.
        confusion: for each true class, the chance of each label; rows sum to 1.
    """

    reliability: float
    low: float
    high: float
    votes: int
    confusion: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Aggregation:
    """What the votes say together.

    Attributes:
        method: "gold" where gold items taught the models, "majority" where there were none.
        weights: the part each model has in the posterior; sums to 1.
        posterior: for each item, the chance of each class; sums to 1. Gold items have their class.
        annotators: by name.
        log_likelihood: of the votes under the confusion matrices, in nats.
    """

    method: str
    weights: dict[str, float]
    posterior: dict[str, dict[str, float]]
    annotators: dict[str, Annotator]
    log_likelihood: float


@dataclass(frozen=True)
class _Votes:
    """Votes as numbers: three arrays of shape (votes,), and how many of each there are."""

    item: _Ints
    annotator: _Ints
    label: _Ints
    items: int
    annotators: int
    classes: int

    def counts(self) -> _Floats:
        """Return the votes for each class, shape (items, classes)."""
        flat = np.bincount(
            self.item * self.classes + self.label, minlength=self.items * self.classes
        )
        return flat.reshape(self.items, self.classes).astype(float)


def aggregate(
    votes: Iterable[tuple[str, str, str]], gold: Mapping[str, str] | None = None
) -> Aggregation:
    """Return what the votes say together.

    Args:
        votes: (item, annotator, label); of several by one annotator on one item the last counts.
            An empty label is a missing one.
        gold: the class of the items where it is known.
    """
    last = {(item, annotator): label for item, annotator, label in votes if label}
    known = dict(gold or {})
    items = sorted({item for item, _ in last} | set(known))
    names = sorted({annotator for _, annotator in last})
    classes = sorted(set(last.values()) | set(known.values()))
    if not classes:
        return Aggregation("majority", {"majority": 1.0}, {}, {}, 0.0)
    at_item, at_name, at_class = (
        {value: number for number, value in enumerate(all_)} for all_ in (items, names, classes)
    )
    keys = sorted(last)
    coded = _Votes(
        np.array([at_item[item] for item, _ in keys], dtype=np.int64),
        np.array([at_name[name] for _, name in keys], dtype=np.int64),
        np.array([at_class[last[key]] for key in keys], dtype=np.int64),
        len(items),
        len(names),
        len(classes),
    )
    truth = np.full(len(items), -1, dtype=np.int64)
    for item, label in known.items():
        truth[at_item[item]] = at_class[label]
    posterior, weights = _mixed(coded, truth)
    confusion, shares, rows = _learnt(coded, posterior)
    likelihood = float(_log_sum(_evidence(coded, confusion, shares)).sum())
    return Aggregation(
        method="gold" if known else "majority",
        weights=weights,
        posterior={
            item: dict(zip(classes, row, strict=True))
            for item, row in zip(items, posterior.tolist(), strict=True)
        },
        annotators=_annotators(names, classes, coded, confusion, shares, rows),
        log_likelihood=likelihood,
    )


def fit(votes: _Votes, truth: _Ints, *, unlabelled: float, steps: int = _STEPS) -> tuple[Any, Any]:
    """Fit confusion matrices by EM with the gold items held at their class.

    Args:
        votes: the votes as numbers.
        truth: class of each item, -1 where unknown. Shape (items,).
        unlabelled: weight of an item without gold, 0 to 1; 0 learns from the gold alone.
        steps: most rounds of EM.

    Returns:
        The posterior, shape (items, classes), and the log posterior density up to a constant after
        each round; the latter never falls.
    """
    eye = np.eye(votes.classes)
    sure = truth >= 0
    posterior = np.where(sure[:, None], eye[truth], 1 / votes.classes)
    weight = np.where(sure, 1.0, 0.0)
    trace: list[float] = []
    for _ in range(steps):
        confusion, shares, _ = _learnt(votes, posterior * weight[:, None])
        weight = np.where(sure, 1.0, unlabelled)
        evidence = _evidence(votes, confusion, shares)
        total = _log_sum(evidence)
        seen = np.where(sure, evidence[np.arange(votes.items), truth], total)
        prior = (_prior(votes.classes) * np.log(confusion)).sum() + np.log(shares).sum()
        trace.append(float(weight @ seen + prior))
        posterior = np.where(sure[:, None], eye[truth], np.exp(evidence - total[:, None]))
        if unlabelled == 0 or (len(trace) > 1 and trace[-1] - trace[-2] < 1e-4 * votes.items):
            break
    return posterior, trace


def _prior(classes: int) -> _Floats:
    off = (1 - _TRUST) / max(1, classes - 1)
    return _STRENGTH * (np.eye(classes) * (_TRUST - off) + off)


def _learnt(votes: _Votes, soft: _Floats) -> tuple[_Floats, _Floats, _Floats]:
    """Return confusion (annotators, truth, label), shares of classes, and pseudo-counts."""
    size = votes.classes
    cell = votes.annotator * size + votes.label
    seen = np.stack(
        [
            np.bincount(cell, weights=soft[votes.item, k], minlength=votes.annotators * size)
            for k in range(size)
        ],
        axis=1,
    )
    rows = seen.reshape(votes.annotators, size, size).transpose(0, 2, 1) + _prior(size)
    shares = soft.sum(axis=0) + 1
    return rows / rows.sum(axis=2, keepdims=True), shares / shares.sum(), rows


def _evidence(votes: _Votes, confusion: _Floats, shares: _Floats) -> _Floats:
    """Return the log joint chance of each item's votes and each class, (items, classes)."""
    logs = np.log(confusion)
    return np.stack(
        [
            np.log(shares[k])
            + np.bincount(
                votes.item, weights=logs[votes.annotator, k, votes.label], minlength=votes.items
            )
            for k in range(votes.classes)
        ],
        axis=1,
    )


def _log_sum(values: NDArray[np.floating[Any]]) -> _Floats:
    top = values.max(axis=1)
    found: _Floats = top + np.log(np.exp(values - top[:, None]).sum(axis=1))
    return found


def _softmax(values: NDArray[np.floating[Any]]) -> _Floats:
    found: _Floats = np.exp(values - _log_sum(values)[:, None])
    return found


def _majority(votes: _Votes) -> _Floats:
    counts = votes.counts() + 0.5
    found: _Floats = counts / counts.sum(axis=1, keepdims=True)
    return found


def _regressed(votes: _Votes, truth: _Ints) -> _Floats:
    """Return the posterior by ridge regression of the gold class on the votes.

    A vote is a one-hot vector less its mean, a missing one is zero. Strength and scale are those
    with the best leave-one-out log score, which ridge gives in closed form.
    """
    size = votes.classes
    at = np.flatnonzero(truth >= 0)
    at = at[np.linspace(0, len(at) - 1, min(len(at), _RIDGE_GOLD)).astype(int)]
    place = np.full(votes.items, -1)
    place[at] = np.arange(len(at))
    kept = place[votes.item] >= 0
    who, column = np.unique(votes.annotator[kept], return_inverse=True)
    features = np.zeros((len(at), len(who), size))
    rows = place[votes.item[kept]]
    features[rows, column] -= 1 / size
    features[rows, column, votes.label[kept]] += 1
    flat = features.reshape(len(at), -1)
    target: _Floats = np.eye(size)[truth[at]] - 1 / size
    values, vectors = np.linalg.eigh(flat @ flat.T)
    best, chosen, scale = -math.inf, target * 0, 1.0
    for ridge in _RIDGES:
        inverse = (vectors / (np.maximum(values, 0) + ridge)) @ vectors.T
        dual = inverse @ target
        left_out = target - dual / np.diag(inverse)[:, None]
        for factor in _SCALES:
            logs = np.log(_softmax(factor * left_out) + _TINY)
            score = logs[np.arange(len(at)), truth[at]].sum()
            if score > best:
                best, chosen, scale = score, dual, factor
    learnt = np.zeros((votes.annotators, size, size))
    learnt[who] = (flat.T @ chosen).reshape(len(who), size, size)
    each = learnt[votes.annotator, votes.label]
    scores = np.stack(
        [np.bincount(votes.item, weights=each[:, k], minlength=votes.items) for k in range(size)],
        axis=1,
    )
    return _softmax(scale * scores)


def _mixed(votes: _Votes, truth: _Ints) -> tuple[_Floats, dict[str, float]]:
    """Return the posterior, and the part that each model has in it."""
    gold = np.flatnonzero(truth >= 0)
    if len(gold) == 0:
        return _untaught(votes), {"majority": 1.0}
    models: dict[str, Callable[[_Ints], _Floats]] = {
        "confusion of gold": lambda given: fit(votes, given, unlabelled=0)[0],
        "confusion": lambda given: fit(votes, given, unlabelled=1)[0],
        "weights": lambda given: _regressed(votes, given),
        "majority": lambda _: _majority(votes),
    }
    scores = dict.fromkeys(models, 0.0)
    folds = min(_FOLDS, len(gold))
    for fold in range(folds if len(gold) > 1 else 0):
        hidden = gold[fold::folds]
        given = truth.copy()
        given[hidden] = -1
        for name, model in models.items():
            chances = model(given)[hidden, truth[hidden]]
            # One item of which a model was sure and wrong does not decide alone.
            scores[name] += float(np.log(0.98 * chances + 0.02 / votes.classes).sum())
    top = max(scores.values())
    parts = {name: math.exp(score - top) for name, score in scores.items()}
    total = sum(parts.values())
    weights = {name: part / total for name, part in parts.items()}
    posterior = np.zeros((votes.items, votes.classes))
    for name, model in models.items():
        if weights[name] > 1e-3:  # noqa: PLR2004 - less changes no answer, and costs a fit
            posterior += weights[name] * model(truth)
    posterior[gold] = np.eye(votes.classes)[truth[gold]]
    whole: _Floats = posterior / posterior.sum(axis=1, keepdims=True)
    return whole, weights


def _untaught(votes: _Votes) -> _Floats:
    """Return the shares of the votes; annotators who agree with most decide what is even."""
    shares = _majority(votes)
    confusion, mean, _ = _learnt(votes, shares)
    found = shares + 1e-6 * _softmax(_evidence(votes, confusion, mean))
    whole: _Floats = found / found.sum(axis=1, keepdims=True)
    return whole


def _annotators(
    names: list[str],
    classes: list[str],
    votes: _Votes,
    confusion: _Floats,
    shares: _Floats,
    rows: _Floats,
) -> dict[str, Annotator]:
    """Describe the annotators; the interval is the normal one of a sum of Beta variables."""
    right = np.diagonal(confusion, axis1=1, axis2=2)
    spread = np.sqrt((shares**2 * right * (1 - right) / (rows.sum(axis=2) + 1)).sum(axis=1))
    mean = right @ shares
    counts = np.bincount(votes.annotator, minlength=votes.annotators)
    return {
        name: Annotator(
            reliability=float(mean[n]),
            low=float(max(0.0, mean[n] - 1.645 * spread[n])),
            high=float(min(1.0, mean[n] + 1.645 * spread[n])),
            votes=int(counts[n]),
            confusion={
                true: dict(zip(classes, line, strict=True))
                for true, line in zip(classes, confusion[n].tolist(), strict=True)
            },
        )
        for n, name in enumerate(names)
    }


def read_rows(path: Path, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the named columns of a CSV file, without white space around the values.

    Raises:
        MalformedVotes: the file is not UTF-8, lacks a column, or a line lacks a value; an empty
            label is no error.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise MalformedVotes(f"Line {line} of {path.name} is not UTF-8.") from error
    except OSError as error:
        raise MalformedVotes(f"{path.name} cannot be read: {error.strerror}.") from error
    lines = csv.reader(text.splitlines(keepends=True), strict=True)
    found = []
    try:
        head = [name.strip().lower() for name in next(lines, [])]
        absent = [name for name in columns if name not in head]
        if absent:
            raise MalformedVotes(f"Line 1 of {path.name} names no column {absent[0]!r}.")
        places = [head.index(name) for name in columns]
        for row in lines:
            if not any(value.strip() for value in row):
                continue
            if len(row) != len(head):
                raise MalformedVotes(
                    f"Line {lines.line_num} of {path.name} has {len(row)} values for "
                    f"{len(head)} columns."
                )
            values = tuple(row[place].strip() for place in places)
            if not all(values[:-1]):
                empty = columns[values.index("")]
                raise MalformedVotes(f"Line {lines.line_num} of {path.name} has no {empty}.")
            found.append(values)
    except csv.Error as error:
        raise MalformedVotes(f"Line {lines.line_num} of {path.name}: {error}.") from error
    return found


def main() -> None:
    """Aggregate files of votes and gold, and print what they say."""
    parser = argparse.ArgumentParser(prog="feedback.aggregation", description=__doc__)
    parser.add_argument("votes", type=Path, help="CSV with columns item, annotator, label")
    parser.add_argument("--gold", type=Path, help="CSV with columns item, label")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    try:
        votes = read_rows(options.votes, ("item", "annotator", "label"))
        gold: dict[str, str] = {}
        for item, label in read_rows(options.gold, ("item", "label")) if options.gold else []:
            if label and gold.setdefault(item, label) != label:
                raise MalformedVotes(f"{options.gold.name} gives item {item!r} two classes.")  # noqa: TRY301 - one sentence for both files
    except MalformedVotes as error:
        sys.exit(str(error))
    found = aggregate([(row[0], row[1], row[2]) for row in votes], gold)
    if options.json:
        shown = {
            "method": found.method,
            "weights": found.weights,
            "posterior": found.posterior,
            "annotators": {
                name: {
                    "reliability": one.reliability,
                    "interval": [one.low, one.high],
                    "votes": one.votes,
                    "confusion": one.confusion,
                }
                for name, one in found.annotators.items()
            },
            "log_likelihood": found.log_likelihood,
        }
        print(json.dumps(shown))  # noqa: T201 - the program's output
        return
    for item, chances in found.posterior.items():
        best = max(chances, key=lambda label: chances[label])
        print(f"{item}\t{best}\t{chances[best]:.4f}")  # noqa: T201 - as above


if __name__ == "__main__":
    main()
