"""Methods that compare options two by two: Schulze, minimax and Copeland.

`duels[a][b]` is the weight of the votes that put a above b. Option a beats b where
duels[a][b] > duels[b][a]. How strong that victory is can be measured in winning votes,
duels[a][b], or by the margin, duels[a][b] - duels[b][a]; the two differ only where ballots leave
options tied.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from governance.methods.profile import Matrix, Outcome, Profile

MOST_PATHS = 2000


def victories(duels: Matrix, *, margins: bool) -> Matrix:
    """Return the strength of each victory; 0 where there is none."""
    return [
        [
            max(0, (won - duels[b][a]) if margins else (won if won > duels[b][a] else 0))
            for b, won in enumerate(row)
        ]
        for a, row in enumerate(duels)
    ]


def layers(count: int, above: Callable[[int, int], bool]) -> list[list[int]]:
    """Return the options in tiers: those with nothing above them, then the same of the rest.

    Args:
        count: how many options there are.
        above: a relation without cycles.
    """
    left, tiers = list(range(count)), []
    while left:
        tiers.append([b for b in left if not any(above(a, b) for a in left)])
        left = [option for option in left if option not in tiers[-1]]
    return tiers


# --- Schulze --------------------------------------------------------------------------------------
def schulze(profile: Profile, *, margins: bool) -> Outcome:
    """Elect whoever has, to every other option, a path as strong as the path back.

    A path is a chain of victories, as strong as its weakest link. With p(a, b) the strength of the
    strongest path from a to b, a stands above b where p(a, b) > p(b, a); this is transitive. The
    winners are those with nothing above them; the tiers after them are what has nothing above it
    once the better tiers are taken away. Steps: all p, and the paths between winners and others.

    Source: Schulze 2011, "A new monotonic, clone-independent, reversal symmetric, and
        condorcet-consistent single-winner election method", sections 2.1 to 2.3.
    """
    links = victories(profile.duels, margins=margins)
    strength = strongest_paths(links)
    tiers = layers(len(strength), lambda a, b: strength[a][b] > strength[b][a])
    names = profile.options

    def path(a: int, b: int) -> list[str]:
        return [names[stop] for stop in _path(links, a, b, strength[a][b])]

    explained = len(tiers[0]) * len(names) <= MOST_PATHS
    paths = [
        {
            "from": names[a],
            "to": names[b],
            "strength": strength[a][b],
            "path": path(a, b),
            "strength_back": strength[b][a],
            "path_back": path(b, a),
        }
        for a in (tiers[0] if explained else [])
        for b in range(len(names))
        if a != b
    ]
    steps: list[dict[str, Any]] = [
        {
            "step": "strongest_paths",
            "measure": "margins" if margins else "winning_votes",
            "strengths": named(names, strength),
        },
        {"step": "paths_of_the_winners", "paths": paths},
    ]
    return Outcome(winners=tiers[0], tiers=tiers, steps=steps)


def strongest_paths(links: Matrix) -> Matrix:
    """Return the strength of the strongest path between any two options; 0 where there is none.

    Floyd and Warshall's algorithm, with the weakest link as a path's strength: after a round every
    path whose inner stops are among the options so far has been considered.
    """
    strength = np.array(links, dtype=np.int64)
    for through in range(len(links)):
        onward = np.minimum(strength[:, through, None], strength[through])
        strength = np.maximum(strength, onward)
    np.fill_diagonal(strength, 0)
    return [[int(value) for value in row] for row in strength]


def _path(links: Matrix, start: int, end: int, strength: int) -> list[int]:
    """Return a path of this strength with the fewest stops; empty where the strength is 0."""
    if not strength:
        return []
    before = {start: start}
    waiting = deque([start])
    while end not in before:
        stop = waiting.popleft()
        for onward, link in enumerate(links[stop]):
            if link >= strength and onward not in before:
                before[onward] = stop
                waiting.append(onward)
    path = [end]
    while path[-1] != start:
        path.append(before[path[-1]])
    return path[::-1]


# --- Minimax and Copeland -------------------------------------------------------------------------
def minimax(profile: Profile) -> Outcome:
    """Elect whose worst defeat is mildest, in winning votes; unbeaten counts as 0.

    Source: Simpson 1969, Kramer 1977, in the form with winning votes.
    """
    beaten = victories(profile.duels, margins=False)
    everyone = range(len(beaten))
    worst = [max(beaten[a][b] for a in everyone) for b in everyone]
    names = profile.options
    defeats = {
        names[b]: {
            "votes": worst[b],
            "by": [names[a] for a in everyone if worst[b] and beaten[a][b] == worst[b]],
        }
        for b in everyone
    }
    tiers = [[b for b in everyone if worst[b] == level] for level in sorted(set(worst))]
    return Outcome(
        winners=tiers[0], tiers=tiers, steps=[{"step": "worst_defeats", "defeats": defeats}]
    )


def copeland(profile: Profile) -> Outcome:
    """Elect who wins most duels, less those lost; a drawn duel counts as half of each.

    Source: Copeland 1951.
    """
    duels = profile.duels
    everyone = range(len(duels))
    wins = [sum(duels[a][b] > duels[b][a] for b in everyone) for a in everyone]
    losses = [sum(duels[a][b] < duels[b][a] for b in everyone) for a in everyone]
    net = [won - lost for won, lost in zip(wins, losses, strict=True)]
    records = {
        name: {
            "wins": wins[a],
            "losses": losses[a],
            "ties": len(duels) - 1 - wins[a] - losses[a],
        }
        for a, name in enumerate(profile.options)
    }
    tiers = [[a for a in everyone if net[a] == level] for level in sorted(set(net), reverse=True)]
    return Outcome(winners=tiers[0], tiers=tiers, steps=[{"step": "duels", "records": records}])


def named(names: tuple[str, ...], matrix: Matrix) -> dict[str, dict[str, int]]:
    """Return a matrix by the options' names, without its diagonal."""
    return {
        name: {other: matrix[a][b] for b, other in enumerate(names) if a != b}
        for a, name in enumerate(names)
    }
