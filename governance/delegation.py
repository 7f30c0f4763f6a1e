"""Where delegated votes go. Pure: no Django, no clock, no floats.

The rule, exactly, so that anyone can compute it again. Given are the electorate with a weight (at
least 1) for each elector, the direct voters (the electors who cast a ballot, abstentions
included), at most one edge "from → to" for each person, and a cap (0 for none). All are named by
references, which are compared as strings, code point by code point.

1. A direct voter keeps the own vote: their edge is ignored. So are edges from people outside the
   electorate.
2. From each other elector who has an edge, follow the edges until one of three ends:
   a direct voter, to whom the vote goes; a person met before on this path, "cycle"; a person
   outside the electorate, or an elector without ballot and edge, "dead end".
   The length of the path is the number of edges followed.
3. Without a cap, whoever's path ends at a direct voter is carried by that voter. With a cap, put
   the delegators of each voter into the order of length, then of reference, and add their weights
   one after the other to the voter's own weight. Whoever's addition is the first to exceed the
   cap, and all who come after, are not carried: "cap". The own vote counts whatever the cap.
4. Electors without ballot and edge are absent: neither carried nor undelivered.

The weights of direct voters, of the carried, of the undelivered and of the absent add up to that
of the electorate. Since a path's nodes stand nearer to the voter than its start, nobody is carried
through somebody who is not.

Figures: `carried` is the weight of all who are carried, `undelivered` of all who are not, whatever
the reason, `cap_overflow` the part of it with the reason "cap"; `voters` counts direct voters.
A voter's load is the own weight with all that they carry. `top_share` is the largest load divided
by the sum of all loads, and `gini` the Gini coefficient of the n loads, in ascending order x_1 to
x_n: the sum of (2i - n - 1) x_i, divided by n times the sum of x_i. It is 0 where all carry the
same, and never reaches 1. Both are pairs of integers in lowest terms, and [0, 1] without a voter.

Source of the coefficient: https://mathworld.wolfram.com/GiniCoefficient.html, without the
correction n / (n - 1) for samples, since these are all the loads there are.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias

Reason: TypeAlias = Literal["cycle", "dead end", "cap"]


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of each vote.

    Attributes:
        carrier: the direct voter who carries the vote of each delegator that was delivered.
        undelivered: why not, of each delegator whose vote was not.
        loads: of each direct voter, the own weight with all that they carry.
        carried: weight of those in `carrier`.
        lost: weight of those in `undelivered`.
        cap_overflow: the part of `lost` that the cap cut off.
        absent: weight of those who neither voted nor delegated.
    """

    carrier: Mapping[str, str]
    undelivered: Mapping[str, Reason]
    loads: Mapping[str, int]
    carried: int
    lost: int
    cap_overflow: int
    absent: int

    def figures(self) -> dict[str, Any]:
        """Return what a poll's tally keeps of delegation: integers only."""
        top, gini = concentration(self)
        return {
            "carried": self.carried,
            "undelivered": self.lost,
            "cap_overflow": self.cap_overflow,
            "voters": len(self.loads),
            "top_share": [top.numerator, top.denominator],
            "gini": [gini.numerator, gini.denominator],
        }


class _End(NamedTuple):
    """Where a path ends: at a voter, or nowhere for a reason, after so many edges."""

    voter: str
    reason: Reason | None
    length: int


_CYCLE = _End("", "cycle", 0)
_DEAD_END = _End("", "dead end", 0)


def resolve(
    weights: Mapping[str, int],
    direct: Collection[str],
    edges: Mapping[str, str],
    cap: int = 0,
) -> Delivery:
    """Follow every delegation to where it ends; the module's docstring states the rule.

    Each edge is followed once, whatever the paths' lengths, and nothing is recursive.

    Args:
        weights: weight of each elector, at least 1.
        direct: the electors who cast a ballot.
        edges: delegator → delegate.
        cap: how much one voter may carry, the own vote included; 0 for no limit.

    Returns:
        The same for any order of electors, voters and edges.

    Raises:
        ValueError: a direct voter is no elector, a weight is below 1, or the cap negative.
    """
    if not weights.keys() >= set(direct):
        raise ValueError("Only electors cast ballots.")
    if cap < 0 or min(weights.values(), default=1) < 1:
        raise ValueError("An elector weighs at least 1, and a cap is not negative.")
    ends = _ends(weights, direct, edges)
    carrier = {name: end.voter for name, end in ends.items() if end.reason is None}
    undelivered = {name: end.reason for name, end in ends.items() if end.reason is not None}
    cap_overflow = 0
    if cap:
        for name in _beyond(cap, weights, ends, direct):
            del carrier[name]
            undelivered[name] = "cap"
            cap_overflow += weights[name]
    loads = {voter: weights[voter] for voter in direct}
    for name, voter in carrier.items():
        loads[voter] += weights[name]
    lost = sum(weights[name] for name in undelivered)
    return Delivery(
        carrier=carrier,
        undelivered=undelivered,
        loads=loads,
        carried=sum(weights[name] for name in carrier),
        lost=lost,
        cap_overflow=cap_overflow,
        absent=sum(weights.values()) - sum(loads.values()) - lost,
    )


def concentration(delivery: Delivery) -> tuple[Fraction, Fraction]:
    """Return how much hangs on few voters: the largest share of all loads, and their Gini."""
    loads = sorted(delivery.loads.values())
    total, count = sum(loads), len(loads)
    if not total:
        return Fraction(0), Fraction(0)
    spread = sum((2 * place - count - 1) * load for place, load in enumerate(loads, start=1))
    return Fraction(loads[-1], total), Fraction(spread, count * total)


def _ends(
    weights: Mapping[str, int], direct: Collection[str], edges: Mapping[str, str]
) -> dict[str, _End]:
    """Return where the path of each delegator ends."""
    voters = {voter: _End(voter, None, 0) for voter in direct}
    ends: dict[str, _End] = {}
    for start in edges:
        path: list[str] = []
        here = start
        while here in weights and here in edges and here not in ends and here not in voters:
            # A path that comes back to here while it is walked finds this mark.
            ends[here] = _CYCLE
            path.append(here)
            here = edges[here]
        end = voters.get(here) or ends.get(here) or _DEAD_END
        for further, name in enumerate(reversed(path), start=1):
            ends[name] = end._replace(length=end.length + further)
    return ends


def _beyond(
    cap: int, weights: Mapping[str, int], ends: Mapping[str, _End], direct: Collection[str]
) -> list[str]:
    """Return the delegators whom their voters cannot carry under the cap."""
    loads = {voter: weights[voter] for voter in direct}
    beyond = []
    delivered = (name for name, end in ends.items() if end.reason is None)
    for name in sorted(delivered, key=lambda name: (ends[name].length, name)):
        voter = ends[name].voter
        # Added even when it exceeds the cap, so that whoever comes after exceeds it too.
        loads[voter] += weights[name]
        if loads[voter] > cap:
            beyond.append(name)
    return beyond
