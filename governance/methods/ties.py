"""Breaking ties by lot: an order of the options that nobody could choose and anyone can repeat."""

import hashlib
from itertools import count
from typing import Any

import numpy as np

from governance.methods.profile import Profile, Whole


def tie_order(profile: Profile, seed: str) -> tuple[str, ...]:
    """Return the tie-breaking ranking alone (see `draw_lot`)."""
    return draw_lot(profile, seed)[0]


def draw_lot(profile: Profile, seed: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the tie-breaking ranking, and how it was drawn: ballots, each refining the one before.

    The seed is a text that was fixed before the poll opened and shown after it closed; the order
    depends on it and on which rankings were cast with which weight, never on the order of ballots
    or options. Every voter's ranking is equally likely to be drawn, by weight. To repeat it:

    1. Sort the options' keys. Write each ballot's ranking as the list of their tiers in that
       order, tiers numbered 0, 1, 2, … from the best, without gaps, what is left out tied last
       ([["c"], ["a"]] of a, b, c is [1, 2, 0]). Add up the weights of equal rankings.
    2. Begin with all options in one tier. Draw number 0, 1, 2, …: keep only the rankings that
       tell apart two options of one tier, and stop where there is none. Sort them, as lists of
       numbers. Let w be their weight together and t = SHA-256("SEED:draw NUMBER"), read as one
       hexadecimal number, modulo w. Draw the first ranking at which the weights added up exceed
       t, and split each tier by it, better first.
    3. Sort what is still in one tier by the hexadecimal SHA-256("SEED:OPTION").

    How it was drawn has the sorted options, and of each draw w, t and the ranking drawn.

    Source: the random voter's tie-breaking ranking of the candidates (TBRC), Tideman 1987,
        "Independence of clones as a criterion for voting rules", section 5; and Zavist and Tideman
        1989. Departures: a draw that would change nothing is not made; hashes take the place of
        dice.
    """
    order = sorted(range(len(profile.options)), key=profile.options.__getitem__)
    rankings, weights = _rankings(profile, order)
    tiers = [list(range(len(order)))]
    draws: list[dict[str, Any]] = []
    for draw in count():
        useful = _telling_apart(rankings, tiers)
        if not useful.any():
            break
        rankings, weights = rankings[:, useful], weights[useful]
        weight = int(weights.sum())
        ticket = _lot(f"{seed}:draw {draw}") % weight
        drawn = rankings[:, np.searchsorted(weights.cumsum(), ticket, side="right")].tolist()
        draws.append({"weight": weight, "ticket": ticket, "places": drawn})
        tiers = [
            [option for option in tier if drawn[option] == place]
            for tier in tiers
            for place in sorted({drawn[option] for option in tier})
        ]
    options = [profile.options[option] for option in order]
    keys = [[options[option] for option in tier] for tier in tiers]
    ranking = tuple(
        key for tier in keys for key in sorted(tier, key=lambda key: _lot(f"{seed}:{key}"))
    )
    return ranking, {"step": "lot", "options": options, "draws": draws}


def _lot(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)


def _rankings(profile: Profile, order: list[int]) -> tuple[Whole, Whole]:
    """Return the different rankings, sorted, as columns of tier numbers, and their weights."""
    amounts = -profile.amounts[order].astype(np.int64)
    by_place = np.argsort(amounts, axis=0, kind="stable")
    sorted_amounts = np.take_along_axis(amounts, by_place, axis=0)
    tiers = np.zeros_like(amounts)
    tiers[1:] = (sorted_amounts[1:] > sorted_amounts[:-1]).cumsum(axis=0)
    places = np.empty_like(amounts)
    np.put_along_axis(places, by_place, tiers, axis=0)
    columns = np.lexsort(places[::-1])
    places, weights = places[:, columns], profile.weights[columns]
    if not len(weights):
        return places, weights
    new = np.concatenate([[True], (places[:, 1:] != places[:, :-1]).any(axis=0)])
    return places[:, new], np.add.reduceat(weights, np.flatnonzero(new))


def _telling_apart(rankings: Whole, tiers: list[list[int]]) -> np.ndarray:
    """Say of each ranking whether it tells apart two options of one tier."""
    useful = np.zeros(rankings.shape[1], dtype=bool)
    for tier in tiers:
        useful |= (rankings[tier] != rankings[tier[0]]).any(axis=0)
    return useful
