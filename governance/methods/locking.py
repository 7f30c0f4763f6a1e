"""Ranked pairs: victories are locked in from the strongest down, unless they contradict."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from governance.methods.condorcet import layers, strongest_paths, victories
from governance.methods.profile import Outcome, Profile

Pair: TypeAlias = tuple[int, int]
Above: TypeAlias = tuple[int, ...]

MOST_ORDERS = 1000


def ranked_pairs(profile: Profile, order: Sequence[str] | None) -> Outcome:
    """Lock victories by winning votes, strongest first; skip what locked ones already contradict.

    Victories of equal strength can be locked in more than one order. With the seeded `order` there
    is one: by the place of the victory's winner, then of its loser; drawn duels follow last, the
    same way, so that one ranking results. Without it, an option wins that nothing stands above
    after some order (Zavist and Tideman's "neutral" form; NP-hard in general, see Brill and Fischer
    2012). Orders with the same effect are tried once. Where more than MOST_ORDERS different
    effects remain, `complete` is false and the winners are those of Split Cycle: every option that
    no victory stronger than all paths back stands against. They always include every winner of
    ranked pairs, and seldom more.

    Tiers: the ranking locked; where orders differ, the winners, then what every order agrees on.

    Source: Tideman 1987, "Independence of clones as a criterion for voting rules"; ties as in
        Zavist and Tideman 1989; Holliday and Pacuit 2023, "Split Cycle", for the fallback.
    """
    duels = profile.duels
    count = len(duels)
    strength = victories(duels, margins=False)
    place = {name: n for n, name in enumerate(order)} if order else {}
    pairs = sorted(
        ((a, b) for a in range(count) for b in range(count) if strength[a][b]),
        key=lambda pair: (
            -strength[pair[0]][pair[1]],
            *(place.get(profile.options[option], 0) for option in pair),
        ),
    )
    ends: set[Above] | None
    if order:
        by_lot = [profile.options.index(name) for name in order]
        drawn = [(a, b) for a in by_lot for b in by_lot if a != b and duels[a][b] == duels[b][a]]
        ends = {_lock_in_turn((0,) * count, [*pairs, *drawn])}
    else:
        ends = {(0,) * count}
        for _, equal in groupby(pairs, key=lambda pair: strength[pair[0]][pair[1]]):
            ends = _lock_in_any_turn(ends, list(equal)) if ends else None
    tiers = _split_cycle(count, strength) if ends is None else _tiers(count, ends)
    steps: list[dict[str, Any]] = [
        {
            "step": "pairs",
            "measure": "winning_votes",
            "complete": ends is not None,
            "universes": 0 if ends is None else len(ends),
            "pairs": [
                {
                    "winner": profile.options[a],
                    "loser": profile.options[b],
                    "strength": strength[a][b],
                    "state": _state(a, b, ends or set()),
                }
                for a, b in pairs
            ],
        }
    ]
    return Outcome(winners=tiers[0], tiers=tiers, steps=steps)


# --- What is locked: for each option, the set (as bits) of all that it stands above ---------------
def _lock(above: Above, pair: Pair) -> Above:
    """Put one option above another, and with it above all that the other stands above."""
    upper, lower = pair
    gained = above[lower] | 1 << lower
    return tuple(
        below | gained if option == upper or below >> upper & 1 else below
        for option, below in enumerate(above)
    )


def _lock_in_turn(above: Above, pairs: Iterable[Pair]) -> Above:
    for a, b in pairs:
        if not (above[a] >> b | above[b] >> a) & 1:
            above = _lock(above, (a, b))
    return above


def _lock_in_any_turn(starts: set[Above], pairs: list[Pair]) -> set[Above] | None:
    """Return what can be locked after these pairs in all their orders; None beyond MOST_ORDERS.

    A pair that lies on no cycle of what is locked and what is open is locked in every order, so it
    is locked at once; only the others are tried each as the next.
    """
    seen, ends, waiting = set(starts), set(), list(starts)
    while waiting:
        if len(seen) > MOST_ORDERS:
            return None
        above = waiting.pop()
        left = [(a, b) for a, b in pairs if not (above[a] >> b | above[b] >> a) & 1]
        everything = above
        for a, b in left:
            if not everything[a] >> b & 1:
                everything = _lock(everything, (a, b))
        for a, b in left:
            if not everything[b] >> a & 1:
                above = _lock(above, (a, b))
        contested = [(a, b) for a, b in left if not (above[a] >> b | above[b] >> a) & 1]
        if not contested:
            ends.add(above)
        onward = {_lock(above, pair) for pair in contested} - seen
        seen |= onward
        waiting += onward
    return ends


# --- What follows from it -------------------------------------------------------------------------
def _tiers(count: int, ends: set[Above]) -> list[list[int]]:
    tops = [
        [option for option in range(count) if not any(below >> option & 1 for below in above)]
        for above in ends
    ]
    winners = sorted({option for top in tops for option in top})
    agreed = [_and(above[option] for above in ends) for option in range(count)]
    tiers = layers(count, lambda a, b: bool(agreed[a] >> b & 1))
    rest = [[option for option in tier if option not in winners] for tier in tiers]
    return [winners, *(tier for tier in rest if tier)]


def _split_cycle(count: int, strength: list[list[int]]) -> list[list[int]]:
    paths = strongest_paths(strength)
    return layers(count, lambda a, b: strength[a][b] > paths[b][a])


def _and(sets: Iterable[int]) -> int:
    common = -1
    for bits in sets:
        common &= bits
    return common


def _state(a: int, b: int, ends: set[Above]) -> str:
    locked = {above[a] >> b & 1 for above in ends}
    if len(locked) != 1:
        return "depends"
    return "locked" if locked == {1} else "skipped"
