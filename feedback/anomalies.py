"""Who votes so unlike the others that a person should look. Pure; it deletes nothing.

For each vote in turn, the shares of the *other* people's labels on that item foretell it; a voter
who labels at random is the alternative. The product of the likelihood ratios is an e-process: for
someone whose labels follow these shares it rises above 1/level with chance at most level, whenever
one looks (Ville). The shares are estimates, smoothed by one vote per class and taken from all votes
at hand, so the bounds hold as nearly as the shares do. In FastChat's product of 1/(2p), p is the
share at or beyond a vote; where the own vote is in p, few votes on an item hide a stranger. Here it
is left out.

Sources: Wang and Ramdas 2022, False Discovery Rate Control with E-values (e-BH).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

_ENOUGH = 5
_OTHERS = 2


@dataclass(frozen=True)
class Anomaly:
    """A person whose labels someone should review.

    Attributes:
        annotator: who.
        e_value: evidence against voting as the others do; 20 is to e-values what .05 is to p.
        votes: votes that were compared.
        unlike: of these, the ones that differ from the most frequent label of the others.
        why: the same in words.
    """

    annotator: str
    e_value: float
    votes: int
    unlike: int
    why: str


def anomalies(votes: Iterable[tuple[str, str, str]], *, level: float = 0.05) -> list[Anomaly]:
    """Return the people to review, the strongest evidence first.

    The e-values are those at the end of the votes given. Were the shares known and not estimated,
    e-BH would bound the expected share of people flagged without cause by `level`, however the
    people depend on each other.

    Args:
        votes: (item, annotator, label) in the order of the votes; of several by one person on one
            item the first counts. Items with fewer than two other people are left out.
        level: bound of the false discovery rate, above 0 and below 1.

    Raises:
        ValueError: level is outside its range.
    """
    if not 0 < level < 1:
        raise ValueError("level is above 0 and below 1.")
    first: dict[tuple[str, str], str] = {}
    for item, who, label in votes:
        if label:
            first.setdefault((item, who), label)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (item, _), label in first.items():
        counts[item][label] += 1
    classes = max(2, len(set(first.values())))
    evidence: defaultdict[str, float] = defaultdict(lambda: 1.0)
    compared: Counter[str] = Counter()
    unlike: Counter[str] = Counter()
    for (item, who), label in first.items():
        others = counts[item] - Counter([label])
        if others.total() < _OTHERS:
            continue
        share = (others[label] + 1) / (others.total() + classes)
        evidence[who] = min(1e300, evidence[who] / (classes * share))
        compared[who] += 1
        unlike[who] += others[label] < max(others.values())
    people = sorted(
        (who for who in compared if compared[who] >= _ENOUGH),
        key=lambda who: (-evidence[who], who),
    )
    flagged = 0
    for rank, who in enumerate(people, start=1):
        if evidence[who] >= len(people) / (level * rank):
            flagged = rank
    return [
        Anomaly(
            annotator=who,
            e_value=evidence[who],
            votes=compared[who],
            unlike=unlike[who],
            why=(
                f"{unlike[who]} of {compared[who]} labels differ from what most others chose; "
                f"labels drawn at random would explain them {evidence[who]:.3g} times better than "
                "the choices of the others do."
            ),
        )
        for who in people[:flagged]
    ]
