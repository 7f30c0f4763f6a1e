"""Counting a poll of any method: from ballots to winners, with every figure on the way.

Pure and exact: whole numbers, fractions and sums of square roots, no floating point. The result is
the same for any order of the ballots, and for one ballot of weight eight or eight equal ballots of
weight one (but for the number of ballots, which it tells).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from governance.methods import profile as profiles
from governance.methods.ballots import Content
from governance.methods.condorcet import copeland, minimax, named, schulze
from governance.methods.locking import ranked_pairs
from governance.methods.profile import Outcome, Profile
from governance.methods.runoff import instant_runoff
from governance.methods.ties import draw_lot
from governance.methods.totals import highest, quadratic, star, weighted

_FIND: dict[str, Callable[[Profile], Outcome]] = {
    "approval": highest,
    "score": highest,
    "star": star,
    "irv": instant_runoff,
    "schulze-wv": partial(schulze, margins=False),
    "schulze-margins": partial(schulze, margins=True),
    "minimax": minimax,
    "copeland": copeland,
    "quadratic": quadratic,
    "weighted": weighted,
}


@dataclass(frozen=True, kw_only=True)
class Count:
    """What came of a poll.

    Attributes:
        method: by which it was counted.
        options: their keys, in the poll's order.
        ballots: how many were counted.
        weight: votes that they carry together.
        winners: in the poll's order; several are tied. Exactly one where a seed was given.
        ranking: all options in tiers, best first; the winners are the first tier. How far a
            method ranks the others stands with the method. Linear where a seed was given.
        pairwise: `pairwise[a][b]` is the weight of the ballots that put a above b.
        steps: the method's own figures, and last how the seeded order was drawn.
        tie_break: the seeded order by which ties were broken; None without a seed.
    """

    method: str
    options: tuple[str, ...]
    ballots: int
    weight: int
    winners: tuple[str, ...]
    ranking: tuple[tuple[str, ...], ...]
    pairwise: dict[str, dict[str, int]]
    steps: tuple[dict[str, Any], ...]
    tie_break: tuple[str, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as they are stored and exported: no floats, no tuples."""
        return {
            "method": self.method,
            "options": list(self.options),
            "ballots": self.ballots,
            "weight": self.weight,
            "winners": list(self.winners),
            "ranking": [list(tier) for tier in self.ranking],
            "pairwise": self.pairwise,
            "steps": list(self.steps),
            "tie_break": None if self.tie_break is None else list(self.tie_break),
        }


def count(
    method: str,
    options: Sequence[str],
    ballots: Iterable[tuple[Content, int]],
    *,
    seed: str | None = None,
) -> Count:
    """Count a poll.

    Without ballots every option is tied, and so is whatever the ballots do not tell apart. With a
    seed, ranked pairs locks victories of equal strength in the seeded order; of every other method
    the tied winner that comes first in that order is elected, and the tiers are ranked by it.

    Args:
        method: one of METHODS.
        options: the poll's option keys, one at least.
        ballots: contents as `ballots.check` returns them, each with its weight, at least 1.
        seed: breaks ties (see `ties.draw_lot`); without it they are reported.

    Raises:
        ValueError: there is no such method, the options repeat or are missing, or a ballot is not
            one of this method.
    """
    profile = profiles.read(method, options, ballots)
    order, lot = (None, None) if seed is None else draw_lot(profile, seed)
    found = ranked_pairs(profile, order) if method == "ranked-pairs" else _FIND[method](profile)
    tiers = [[options[option] for option in tier] for tier in found.tiers]
    if order is not None:
        tiers = [[name] for tier in tiers for name in sorted(tier, key=order.index)]
    return Count(
        method=method,
        options=tuple(options),
        ballots=len(profile.weights),
        weight=profile.weight,
        winners=tuple(tiers[0]),
        ranking=tuple(tuple(tier) for tier in tiers),
        pairwise=named(profile.options, profile.duels),
        steps=(*found.steps, *([lot] if lot else [])),
        tie_break=order,
    )
