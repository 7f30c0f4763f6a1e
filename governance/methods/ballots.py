"""What a ballot of each method holds: its one written form, and the ranking that it implies.

Options are named by their keys, which are short strings. A content is plain JSON:

    ranked methods    [["a"], ["b", "c"]]   tiers, best first; unranked options are tied last
    approval          ["a", "c"]            the options approved of
    score, star       {"a": 5, "b": 0}      whole points from 0 to MAX_SCORE; missing is 0
    quadratic         {"a": 4, "c": 9}      credits spent, CREDITS at most in all; missing is 0
    weighted          {"a": 3, "b": 1}      parts in which the one vote is split; missing is 0

An empty content is a blank ballot of every method: it counts as cast and favours nothing.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Tiers: TypeAlias = list[list[str]]
Content: TypeAlias = Tiers | list[str] | dict[str, int]

RANKED = ("irv", "schulze-wv", "schulze-margins", "ranked-pairs", "minimax", "copeland")
METHODS = ("approval", "score", "star", *RANKED, "quadratic", "weighted")

MAX_SCORE = 5
CREDITS = 100
MAX_PARTS = 100

LARGEST_AMOUNT = {
    "score": MAX_SCORE,
    "star": MAX_SCORE,
    "quadratic": CREDITS,
    "weighted": MAX_PARTS,
}
_NOUN = {"score": "points", "star": "points", "quadratic": "credits", "weighted": "parts"}


def check(method: str, options: Sequence[str], content: object) -> Content:
    """Return the one written form of a ballot: options in the poll's order, no empty tiers.

    Args:
        method: one of METHODS.
        options: the poll's option keys, in its order.
        content: what came from outside; anything at all.

    Raises:
        ValueError: it is no ballot of this method; the text is a sentence for people.
    """
    if method not in METHODS:
        raise ValueError(f"“{method}” is not a method of voting.")
    if method in RANKED:
        return _check_tiers(options, content)
    if method == "approval":
        return _check_approved(options, content)
    return _check_amounts(method, options, content)


def ranking(method: str, options: Sequence[str], content: Content) -> Tiers:
    """Return the ranking that a checked ballot implies: every option once, tiers best first.

    Ranked ballots say it, with the options they leave out tied last. Of the others, options
    stand by what they were given: approved before not approved, more points, credits or parts
    before fewer.
    """
    if method in RANKED:
        tiers = [list(tier) for tier in content]
        ranked = {option for tier in tiers for option in tier}
        left_out = [option for option in options if option not in ranked]
        return [*tiers, left_out] if left_out else tiers
    given = dict(content) if isinstance(content, dict) else {str(option): 1 for option in content}
    levels = sorted({given.get(option, 0) for option in options}, reverse=True)
    return [[o for o in options if given.get(o, 0) == level] for level in levels]


def _check_tiers(options: Sequence[str], content: object) -> Tiers:
    order = {option: n for n, option in enumerate(options)}
    tiers: Tiers = []
    seen: set[str] = set()
    for tier in _items(content, at_most=2 * len(options)):
        named = [_option(order, item) for item in _items(tier, at_most=2 * len(options))]
        for option in named:
            if option in seen:
                raise ValueError(f"“{option}” is ranked twice.")
            seen.add(option)
        if named:
            tiers.append(sorted(named, key=order.__getitem__))
    return tiers


def _check_approved(options: Sequence[str], content: object) -> list[str]:
    order = {option: n for n, option in enumerate(options)}
    named = [_option(order, item) for item in _items(content, at_most=2 * len(options))]
    for option in named:
        if named.count(option) > 1:
            raise ValueError(f"“{option}” is approved twice.")
    return sorted(named, key=order.__getitem__)


def _check_amounts(method: str, options: Sequence[str], content: object) -> dict[str, int]:
    if not isinstance(content, Mapping):
        raise ValueError("This ballot gives each option a whole number.")  # noqa: TRY004 - one kind
    order = {option: n for n, option in enumerate(options)}
    noun, largest = _NOUN[method], LARGEST_AMOUNT[method]
    amounts: dict[str, int] = {}
    for key, amount in content.items():
        option = _option(order, key)
        if isinstance(amount, bool) or not isinstance(amount, int):
            raise ValueError(f"The {noun} of “{option}” are a whole number.")  # noqa: TRY004
        if not 0 <= amount <= largest:
            raise ValueError(f"“{option}” takes from 0 to {largest} {noun}.")
        amounts[option] = amount
    if method == "quadratic" and sum(amounts.values()) > CREDITS:
        raise ValueError(f"A ballot spends at most {CREDITS} credits.")
    return {option: amounts[option] for option in options if option in amounts}


def _items(content: object, *, at_most: int) -> Sequence[object]:
    if not isinstance(content, (list, tuple)):
        raise ValueError("This ballot is a list of options.")  # noqa: TRY004 - one kind
    if len(content) > at_most:
        raise ValueError("This ballot names more options than the poll has.")
    return content


def _option(order: Mapping[str, int], item: object) -> str:
    if not isinstance(item, str):
        raise ValueError("An option is named by its key, which is a text.")  # noqa: TRY004 - one kind
    if item not in order:
        raise ValueError(f"“{item[:80]}” is not an option of this poll.")
    return item
