"""Methods that add up what ballots give: approval, score, STAR, quadratic and weighted."""

from collections.abc import Sequence
from fractions import Fraction
from functools import cmp_to_key
from itertools import combinations, product
from math import lcm

import numpy as np

from governance.methods import roots
from governance.methods.figures import fraction, whole
from governance.methods.profile import Outcome, Profile


def highest(profile: Profile) -> Outcome:
    """Elect the largest sum: of approvals, or of points. Tiers: by the sum."""
    totals = _totals(profile)
    tiers = _by_level(totals)
    steps = [{"step": "totals", "totals": dict(zip(profile.options, totals, strict=True))}]
    return Outcome(winners=tiers[0], tiers=tiers, steps=steps)


def star(profile: Profile) -> Outcome:
    """Score, then automatic runoff: of the two with most points, elect whom more ballots prefer.

    Where points leave open who the two are, every pair that they could be holds its runoff, and
    what any of them elects is a winner; a drawn runoff elects both.

    Tiers: the winners, then the others by points.

    Source: https://starvoting.org. Departure: the official protocol breaks a drawn runoff by
        points; here only the seed breaks ties.
    """
    totals = _totals(profile)
    names, duels = profile.options, profile.duels
    first, *rest = _by_level(totals)
    if len(first) > 1:
        pairs = list(combinations(first, 2))
    else:
        pairs = list(product(first, rest[0] if rest else []))
    runoffs, winners = [], set(first if not pairs else [])
    for a, b in pairs:
        elected = [x for x, y in ((a, b), (b, a)) if duels[x][y] >= duels[y][x]]
        winners.update(elected)
        runoffs.append(
            {
                "finalists": [names[a], names[b]],
                "votes": {names[a]: duels[a][b], names[b]: duels[b][a]},
                "elected": [names[option] for option in elected],
            }
        )
    others = [[option for option in tier if option not in winners] for tier in _by_level(totals)]
    return Outcome(
        winners=sorted(winners),
        tiers=[sorted(winners), *(tier for tier in others if tier)],
        steps=[
            {"step": "totals", "totals": dict(zip(names, totals, strict=True))},
            {"step": "runoffs", "runoffs": runoffs},
        ],
    )


def quadratic(profile: Profile) -> Outcome:
    """Elect the largest sum of the square roots of the credits spent. Tiers: by that sum.

    Sums are compared exactly (see `roots`). Steps: each sum's square-free parts, as pairs of a
    count and a number under the root; the same for people; and its thousandths, rounded down.

    Source: Posner and Weyl 2015, "Voting squared".
    """
    sums = [
        roots.root_sum(
            {
                int(spent): int(profile.weights[row == spent].sum())
                for spent in np.unique(row)
                if spent
            }
        )
        for row in profile.amounts
    ]
    tiers: list[list[int]] = []
    rising = cmp_to_key(roots.compare)
    for option in sorted(range(len(sums)), key=lambda option: rising(sums[option]), reverse=True):
        if tiers and sums[tiers[-1][0]] == sums[option]:
            tiers[-1].append(option)
        else:
            tiers.append([option])
    strengths = {
        name: {
            "roots": [[whole(count), number] for number, count in parts.items()],
            "text": roots.text(parts),
            "thousandths": whole(roots.floor(parts, scale=1000)),
        }
        for name, parts in zip(profile.options, sums, strict=True)
    }
    steps = [{"step": "strengths", "strengths": strengths}]
    return Outcome(winners=tiers[0], tiers=tiers, steps=steps)


def weighted(profile: Profile) -> Outcome:
    """Split each ballot's one vote in proportion to its parts, and elect the largest sum.

    A ballot that gives 3 to a and 1 to b counts three quarters for a. Tiers: by the sum.
    """
    parts = profile.amounts.sum(axis=0, dtype=np.int64)
    sizes = [int(size) for size in np.unique(parts) if size]
    common = lcm(*sizes)
    totals = [0] * len(profile.options)
    for size in sizes:
        those = parts == size
        given = profile.amounts[:, those].astype(np.int64) @ profile.weights[those]
        for option, amount in enumerate(given.tolist()):
            totals[option] += amount * (common // size)
    tiers = _by_level(totals)
    shares = {
        name: fraction(Fraction(total, common))
        for name, total in zip(profile.options, totals, strict=True)
    }
    return Outcome(winners=tiers[0], tiers=tiers, steps=[{"step": "totals", "totals": shares}])


def _totals(profile: Profile) -> list[int]:
    totals = profile.amounts.astype(np.int64) @ profile.weights
    return [int(total) for total in totals]


def _by_level(totals: Sequence[int]) -> list[list[int]]:
    everyone = range(len(totals))
    return [
        [option for option in everyone if totals[option] == level]
        for level in sorted(set(totals), reverse=True)
    ]
