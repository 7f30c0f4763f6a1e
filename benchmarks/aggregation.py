"""Aggregation: 100,000 labels by 1,000 annotators, ours beside plain loops of Dawid and Skene.

Seconds are processor time. The plain side is the 1979 EM in Python without arrays, started at the
majority, for as many rounds as ours may take in one fit; it knows no gold. The annotators are
drawn with accuracies from Beta(4, 2); 500 of the 20,000 items are gold, and accuracy is over the
others.
"""

import json
import math
import time
from collections import Counter, defaultdict

import numpy as np

from feedback.aggregation import aggregate

ITEMS, PEOPLE, EACH, GOLD, ROUNDS = 20_000, 1_000, 5, 500, 30
TARGET = 2.0


def drawn() -> tuple[list[tuple[str, str, str]], list[str]]:
    """Draw the votes and the truth."""
    rng = np.random.default_rng(1979)
    truth, skill = rng.integers(0, 2, ITEMS), rng.beta(4, 2, PEOPLE)
    item, who = np.repeat(np.arange(ITEMS), EACH), rng.integers(0, PEOPLE, ITEMS * EACH)
    label = np.where(rng.random(len(item)) < skill[who], truth[item], 1 - truth[item])
    votes = zip(item.tolist(), who.tolist(), label.tolist(), strict=True)
    return [(str(i), str(w), str(v)) for i, w, v in votes], [str(one) for one in truth]


def plain(votes: list[tuple[str, str, str]]) -> dict[str, float]:
    """Return the chance of class 1 of each item, by loops."""
    by_item: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for item, who, label in votes:
        by_item[item].append((who, label))
    soft = {i: sum(v == "1" for _, v in given) / len(given) for i, given in by_item.items()}
    for _ in range(ROUNDS):
        seen: Counter[tuple[str, str, str]] = Counter()
        for item, who, label in votes:
            seen[who, "1", label] += soft[item]  # type: ignore[assignment]
            seen[who, "0", label] += 1 - soft[item]  # type: ignore[assignment]
        logs = {}
        for who, true in {(w, t) for w, t, _ in seen}:
            total = seen[who, true, "0"] + seen[who, true, "1"] + 1
            for label in "01":
                logs[who, true, label] = math.log((seen[who, true, label] + 0.5) / total)
        for item, given in by_item.items():
            odds = sum(logs[w, "1", v] - logs[w, "0", v] for w, v in given)
            soft[item] = 1 / (1 + math.exp(-odds))
    return soft


def main() -> None:
    """Measure both, and print the figures."""
    votes, truth = drawn()
    began = time.process_time()
    found = aggregate(votes, {str(n): truth[n] for n in range(GOLD)}).posterior
    ours = time.process_time() - began
    began = time.process_time()
    soft = plain(votes)
    theirs = time.process_time() - began
    rest = range(GOLD, ITEMS)
    right = [(found[str(n)][truth[n]] > 0.5) for n in rest]  # noqa: PLR2004 - two classes
    other = [(soft.get(str(n), 0.5) > 0.5) == (truth[n] == "1") for n in rest]  # noqa: PLR2004
    print(
        json.dumps(
            {
                "bench": "aggregation",
                "ours": {"seconds": round(ours, 3), "accuracy": round(float(np.mean(right)), 4)},
                "peer": {"seconds": round(theirs, 3), "accuracy": round(float(np.mean(other)), 4)},
                "ratio": round(theirs / ours, 1),
                "targets": {"seconds": TARGET},
                "met": {"seconds": ours <= TARGET},
            }
        )
    )


if __name__ == "__main__":
    main()
