"""Instant runoff, with every choice between tied options followed: parallel universes."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from governance.methods.figures import fraction, whole
from governance.methods.profile import Outcome, Profile

Options: TypeAlias = frozenset[int]

MOST_SETS = 4096
MOST_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class Round:
    """One round, for one set of remaining options.

    Attributes:
        votes: of each option that remains.
        exhausted: weight of the ballots that rank all that remain alike.
        lowest: the options tied for the fewest votes.
        choices: which options may go next; more than one opens universes. None goes where no
            ballot tells the remaining options apart: all of them are elected.
    """

    votes: dict[int, Fraction]
    exhausted: int
    lowest: Options
    choices: list[Options]


def instant_runoff(profile: Profile) -> Outcome:
    """Eliminate the option with the fewest votes, round by round, until one remains.

    A ballot counts for the option that it ranks best among those that remain; one that ranks
    several best counts for each in equal parts; one that ranks all that remain alike is exhausted.
    (Stopping at a majority of what is not exhausted elects the same.)

    Where options are tied for the fewest, each choice opens a universe, and what any universe
    elects is a winner. A round depends only on the set of options that remain, however it was
    reached. No universe is opened where all choices come to the same: the weakest options that
    have fewer votes together than any other has alone go in every universe before any other, so
    they go at once.

    Up to 12 options this is exact whatever is tied, since they have 2**12 = MOST_SETS subsets.
    Where more sets would be needed, `complete` is false, and tied options are eliminated together
    throughout, as by plain instant runoff; options that are all tied at the end all win.

    Tiers: the winners, then the others by the last round that they reach in any universe.

    Source: parallel universes as in Conitzer, Rognlie and Xia 2009, "Preference functions that
        score rankings and maximum likelihood estimation".
    """
    rounds = _rounds(profile, together=False)
    complete = rounds is not None
    if rounds is None:
        rounds = _rounds(profile, together=True) or {}
    everyone = frozenset(range(len(profile.options)))
    elected: dict[Options, Options] = {}
    universes: dict[Options, int] = {}

    def elect(remaining: Options) -> Options:
        return remaining if len(remaining) == 1 else elected[remaining]

    for remaining in sorted(rounds, key=len):
        nexts = [remaining - gone for gone in rounds[remaining].choices]
        elected[remaining] = frozenset().union(*map(elect, nexts)) if nexts else remaining
        universes[remaining] = sum(universes.get(left, 1) for left in nexts) or 1
    winners = elect(everyone)
    last = {option: 0 if option in winners else len(everyone) for option in everyone}
    for remaining in rounds:
        for option in remaining - winners:
            last[option] = min(last[option], len(remaining))
    tiers = [sorted(o for o in everyone if last[o] == size) for size in sorted(set(last.values()))]
    shown = sorted(rounds, key=lambda remaining: (-len(remaining), sorted(remaining)))[:MOST_SHOWN]
    steps: list[dict[str, Any]] = [
        {
            "step": "universes",
            "complete": complete,
            "universes": whole(universes.get(everyone, 1)),
            "sets": len(rounds),
            "sets_shown": len(shown),
        },
        *(
            _described(profile, remaining, rounds[remaining], elect(remaining))
            for remaining in shown
        ),
    ]
    return Outcome(winners=sorted(winners), tiers=tiers, steps=steps)


def _rounds(profile: Profile, *, together: bool) -> dict[Options, Round] | None:
    """Return the round of every set that can be reached; None where that is too many."""
    everyone = frozenset(range(len(profile.options)))
    rounds: dict[Options, Round] = {}
    waiting = [everyone]
    while waiting:
        remaining = waiting.pop()
        if len(remaining) == 1 or remaining in rounds:
            continue
        if not together and len(rounds) == MOST_SETS:
            return None
        rounds[remaining] = _round(profile, remaining, together=together)
        waiting += [remaining - gone for gone in rounds[remaining].choices]
    return rounds


def _round(profile: Profile, remaining: Options, *, together: bool) -> Round:
    votes, exhausted = first_choices(profile, remaining)
    fewest = min(votes.values())
    lowest = frozenset(option for option in remaining if votes[option] == fewest)
    if not any(votes.values()) or (together and lowest == remaining):
        choices = []
    elif together or len(lowest) == 1:
        choices = [lowest]
    else:
        hopeless = _hopeless(votes, len(lowest))
        choices = [hopeless] if hopeless else [frozenset({option}) for option in sorted(lowest)]
    return Round(votes=votes, exhausted=exhausted, lowest=lowest, choices=choices)


def _hopeless(votes: dict[int, Fraction], at_least: int) -> Options:
    """Return the fewest weakest options that together have less than any other; or none."""
    weakest = sorted(votes, key=votes.__getitem__)
    together = sum((votes[option] for option in weakest[: at_least - 1]), start=Fraction(0))
    for size in range(at_least, len(weakest)):
        together += votes[weakest[size - 1]]
        if together < votes[weakest[size]]:
            return frozenset(weakest[:size])
    return frozenset()


def first_choices(profile: Profile, remaining: Options) -> tuple[dict[int, Fraction], int]:
    """Count each ballot for what it ranks best among the remaining options.

    Returns:
        The votes of each remaining option, and the weight of the exhausted ballots.
    """
    options = sorted(remaining)
    amounts = profile.amounts[options]
    best = amounts == amounts.max(axis=0)
    shared = np.add.reduce(best, axis=0, dtype=np.int16)
    votes = dict.fromkeys(options, Fraction(0))
    for parts in np.flatnonzero(np.bincount(shared)).tolist():
        if parts == len(options):
            continue
        those = shared == parts
        weights = profile.weights[those]
        for option, row in zip(options, best[:, those], strict=True):
            votes[option] += Fraction(int(weights[row].sum()), parts)
    exhausted = int(profile.weights[shared == len(options)].sum())
    return votes, exhausted


def _described(
    profile: Profile, remaining: Options, found: Round, elected: Options
) -> dict[str, Any]:
    def named(options: Options) -> list[str]:
        return [profile.options[option] for option in sorted(options)]

    return {
        "step": "round",
        "remaining": named(remaining),
        "votes": {profile.options[o]: fraction(votes) for o, votes in found.votes.items()},
        "exhausted": found.exhausted,
        "lowest": named(found.lowest),
        "eliminated": [named(gone) for gone in found.choices],
        "elected": named(elected),
    }
