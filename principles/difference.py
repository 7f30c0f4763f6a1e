"""What changed between two texts of a constitution, matched by principle. Pure: no Django.

Principles are matched by their key, which survives edits, so that a principle with a new title is
shown as changed and not as one that left and another that came.
"""

import difflib
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Op = Literal["same", "delete", "insert"]

_TOKEN = re.compile(r"\s*(?:\w+(?:['\u2019-]\w+)*|[^\w\s])|\s+$")
_TEXTS = (
    ("title", "Title"),
    ("text", "Text"),
    ("rationale", "Rationale"),
    ("critique_request", "Critique request"),
    ("revision_request", "Revision request"),
)


class Part(NamedTuple):
    """A stretch of a word diff."""

    op: Op
    text: str


def words(old: str, new: str) -> list[Part]:
    """Compare two texts word by word, deletions before insertions.

    White space counts only where a line or a paragraph begins or ends.

    Returns:
        Parts whose `same` and `insert` texts, joined, are exactly `new`; whose `same` and
        `delete` texts, joined, are `old` but for white space.
    """
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    # In long texts difflib lets no common word begin a match (autojunk): without that, two pages
    # that repeat one sentence would keep the server busy for seconds.
    matcher = difflib.SequenceMatcher(
        a=[_sense(token) for token in before], b=[_sense(token) for token in after]
    )
    parts: list[Part] = []
    for op, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        if op == "equal":
            parts.append(Part("same", "".join(after[b_from:b_to])))
            continue
        if a_to > a_from:
            parts.append(Part("delete", "".join(before[a_from:a_to])))
        if b_to > b_from:
            parts.append(Part("insert", "".join(after[b_from:b_to])))
    return parts


def _sense(token: str) -> str:
    """Return what makes a word the same word: its letters, and whether a line begins at it."""
    word = token.lstrip()
    return "\n" * min(2, token[: len(token) - len(word)].count("\n")) + word


@dataclass(frozen=True)
class TextChange:
    """One field of text, compared.

    Attributes:
        field: its name in the content.
        label: its name for people.
        parts: the word diff.
        changed: whether the two texts differ.
    """

    field: str
    label: str
    parts: tuple[Part, ...]
    changed: bool


@dataclass(frozen=True)
class PrincipleChange:
    """One principle, compared.

    Attributes:
        key: the principle's key.
        kind: added, removed, changed or same.
        moved: whether it changed its place among the principles that both texts have.
        old_position: its place in the old text, from 1; None where it is new.
        new_position: its place in the new text, from 1; None where it is gone.
        title: its title in the new text, or in the old one where it is gone.
        texts: its fields of text. An added or removed principle has all that are not empty.
        codes: hazard codes that either text names.
        codes_added: hazard codes that only the new text names.
        codes_removed: hazard codes that only the old text names.
        examples_added: examples that only the new text has.
        examples_removed: examples that only the old text has.
        weights: (old, new) where the weight differs, else None.
    """

    key: str
    kind: Literal["added", "removed", "changed", "same"]
    moved: bool
    old_position: int | None
    new_position: int | None
    title: str
    texts: tuple[TextChange, ...]
    codes: tuple[str, ...] = ()
    codes_added: tuple[str, ...] = ()
    codes_removed: tuple[str, ...] = ()
    examples_added: tuple[Mapping[str, str], ...] = ()
    examples_removed: tuple[Mapping[str, str], ...] = ()
    weights: tuple[int, int] | None = None


@dataclass(frozen=True)
class Difference:
    """Two texts of a constitution, compared.

    Attributes:
        title: the word diff of the titles.
        preamble: the word diff of the preambles.
        principles: one change per key: in the order of the new text, with each removed principle
            where it used to stand.
    """

    title: TextChange
    preamble: TextChange
    principles: tuple[PrincipleChange, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many principles were added, removed, changed and moved, and stay the same."""
        kinds = [change.kind for change in self.principles]
        return {
            "added": kinds.count("added"),
            "removed": kinds.count("removed"),
            "changed": kinds.count("changed"),
            "moved": sum(change.moved for change in self.principles),
            "same": sum(c.kind == "same" and not c.moved for c in self.principles),
        }

    @property
    def is_empty(self) -> bool:
        """Say whether the two texts are the same."""
        return not (self.title.changed or self.preamble.changed) and all(
            change.kind == "same" and not change.moved for change in self.principles
        )


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """Compare two contents of constitutions (of versions, of drafts, or one of each).

    Args:
        old: has title, preamble and principles (each as `Principle.content()`); an empty mapping
            stands for no text at all.
        new: the same, of the later text.
    """
    before = {p["key"]: p for p in old.get("principles", ())}
    after = {p["key"]: p for p in new.get("principles", ())}
    places = {key: place for place, key in enumerate(before, start=1)}
    stayed = _in_order([places[key] for key in after if key in places])
    changes: list[PrincipleChange] = []
    for place, (key, principle) in enumerate(after.items(), start=1):
        if key not in before:
            changes.append(_whole(principle, place, added=True))
        else:
            moved = places[key] not in stayed
            changes.append(
                _both(before[key], principle, old_place=places[key], place=place, moved=moved)
            )
    for key, principle in before.items():
        if key not in after:
            changes.insert(
                _former_place(changes, places[key]), _whole(principle, places[key], added=False)
            )
    return Difference(
        title=_text("title", "Title", old, new),
        preamble=_text("preamble", "Preamble", old, new),
        principles=tuple(changes),
    )


def _text(field: str, label: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> TextChange:
    before, after = old.get(field, ""), new.get(field, "")
    return TextChange(field, label, tuple(words(before, after)), before != after)


def _in_order(places: Sequence[int]) -> set[int]:
    """Return a longest increasing subsequence: the principles that need not have moved.

    By patience sorting; among equally long ones the one with the smallest last places.
    """
    tails: list[int] = []
    previous: dict[int, int | None] = {}
    for place in places:
        at = bisect_left(tails, place)
        previous[place] = tails[at - 1] if at else None
        tails[at : at + 1] = [place]
    kept: set[int] = set()
    place_or_none = tails[-1] if tails else None
    while place_or_none is not None:
        kept.add(place_or_none)
        place_or_none = previous[place_or_none]
    return kept


def _former_place(changes: Sequence[PrincipleChange], old_place: int) -> int:
    """Return where a removed principle goes: right after the one that used to come before it."""
    before = [
        (change.old_position, index)
        for index, change in enumerate(changes)
        if change.old_position is not None and change.old_position < old_place
    ]
    return max(before)[1] + 1 if before else 0


def _whole(principle: Mapping[str, Any], place: int, *, added: bool) -> PrincipleChange:
    old, new = ({}, principle) if added else (principle, {})
    texts = tuple(_text(field, label, old, new) for field, label in _TEXTS if principle.get(field))
    codes = tuple(principle.get("hazard_codes", ()))
    examples = tuple(principle.get("examples", ()))
    return PrincipleChange(
        key=principle["key"],
        kind="added" if added else "removed",
        moved=False,
        old_position=None if added else place,
        new_position=place if added else None,
        title=principle["title"],
        texts=texts,
        codes=codes,
        codes_added=codes if added else (),
        codes_removed=() if added else codes,
        examples_added=examples if added else (),
        examples_removed=() if added else examples,
    )


def _both(
    old: Mapping[str, Any], new: Mapping[str, Any], *, old_place: int, place: int, moved: bool
) -> PrincipleChange:
    texts = tuple(_text(field, label, old, new) for field, label in _TEXTS)
    weights = (old.get("weight", 1), new.get("weight", 1))
    return PrincipleChange(
        key=new["key"],
        kind="same" if dict(old) == dict(new) else "changed",
        moved=moved,
        old_position=old_place,
        new_position=place,
        title=new["title"],
        texts=texts,
        codes=(*old.get("hazard_codes", ()), *_only_in(new, old, "hazard_codes")),
        codes_added=_only_in(new, old, "hazard_codes"),
        codes_removed=_only_in(old, new, "hazard_codes"),
        examples_added=_only_in(new, old, "examples"),
        examples_removed=_only_in(old, new, "examples"),
        weights=weights if weights[0] != weights[1] else None,
    )


def _only_in(one: Mapping[str, Any], other: Mapping[str, Any], field: str) -> tuple[Any, ...]:
    return tuple(item for item in one.get(field, ()) if item not in other.get(field, ()))
