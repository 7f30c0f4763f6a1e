"""Drafting: people write a text together, and a steward puts it to the community."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.text import slugify

from governance import audit, canonical, polling
from governance.errors import BadInput, InvalidTransition
from governance.models import Community, Poll, User
from governance.permissions import is_steward, require
from governance.rules import Rule
from governance.transitions import move
from principles import compilation, permissions, starters
from principles.models import Constitution, Draft, DraftPrinciple, Version
from principles.verbs import Verb

MOST_PRINCIPLES = 40
MOST_EXAMPLES = 30
LONGEST_EXAMPLE = 2000
GREATEST_WEIGHT = 10
LONGEST_POLL_TEXT = 200_000
LIMITS = {
    "title": 200,
    "preamble": 10_000,
    "summary": 2000,
    "principle_title": 120,
    "text": 2000,
    "rationale": 4000,
    "critique_request": 2000,
    "revision_request": 2000,
}

# What a reader cannot see must not reach a judge's prompt either: control characters, characters
# that turn the order of reading round, tags, and fillers without width. The marks and joiners
# U+200C to U+200F stay: Persian, Hindi, Hebrew and emoji are written with them.
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b"
    r"\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e0fff]"
)
_EXAMPLE_FIELDS = ("prompt", "better", "worse")
_NOT_EDITOR = "Only its author or a steward may change this draft."


class StaleEdit(InvalidTransition):
    """Somebody else changed what this person was changing; nothing of theirs is overwritten."""


@transaction.atomic
def create_draft(*, community_id: int, actor: User, title: str = "", starter: str = "") -> Draft:
    """Begin a draft.

    Args:
        community_id: whose constitution it is for.
        actor: an active member, who becomes its author.
        title: its title; that of what it begins from where empty.
        starter: key of a template constitution, or `starters.BLANK`; where empty, the draft begins
            as a copy of the version in force, or with nothing where there is none.

    Raises:
        NotPermitted: `actor` is not an active member.
        BadInput: there is no such template, or the title is too long.
    """
    community = Community.objects.get(pk=community_id)
    require(permissions.can_create_draft(actor, community_id), "Only members may begin a draft.")
    title = _clean(title, "title", required=False)
    constitution, _ = Constitution.objects.get_or_create(
        community=community, defaults={"title": f"Constitution of {community.name}"}
    )
    base: Version | None = constitution.in_force()
    source: Mapping[str, Any] = {}
    if starter and starter != starters.BLANK:
        source = starters.starter(starter)
    elif base is not None and not starter:
        source = base.content()
    draft = Draft.objects.create(
        constitution=constitution,
        base=base,
        author=actor,
        title=title or source.get("title", constitution.title),
        preamble=source.get("preamble", ""),
    )
    DraftPrinciple.objects.bulk_create(
        DraftPrinciple(draft=draft, position=position, **principle)
        for position, principle in enumerate(source.get("principles", ()), start=1)
    )
    _record(draft, actor, Verb.DRAFT_CREATED, starter=starter, base=base.digest if base else None)
    return draft


@transaction.atomic
def edit_draft(
    *,
    draft_id: int,
    actor: User,
    title: str,
    preamble: str,
    summary: str,
    revision: int | None = None,
) -> Draft:
    """Change what a draft says beside its principles.

    Args:
        draft_id: which draft.
        actor: who changes it.
        title: its new title.
        preamble: its new preamble.
        summary: its new summary.
        revision: the revision that `actor` had read; None changes whatever stands there.

    Raises:
        NotPermitted: `actor` is neither its author nor a steward.
        InvalidTransition: it is no longer being written.
        StaleEdit: it has another revision by now.
        BadInput: it has no title, or a text is too long.
    """
    draft = _lock(draft_id, actor)
    _require_fresh(draft, revision)
    draft.title = _clean(title, "title")
    draft.preamble = _clean(preamble, "preamble", required=False)
    draft.summary = _clean(summary, "summary", required=False)
    draft.revision += 1
    draft.save(update_fields=["title", "preamble", "summary", "revision", "updated_at"])
    _record(draft, actor, Verb.DRAFT_EDITED)
    return draft


@transaction.atomic
def set_principle(  # noqa: PLR0913 - the parts of a principle, each by its name
    *,
    draft_id: int,
    actor: User,
    key: str = "",
    title: str,
    text: str,
    rationale: str = "",
    examples: Iterable[Mapping[str, str]] = (),
    hazard_codes: Iterable[str] = (),
    critique_request: str = "",
    revision_request: str = "",
    weight: int = 1,
    revision: int | None = None,
) -> DraftPrinciple:
    """Write a principle of a draft: a new one at the end, or the one that `key` names.

    The whole principle is written, so what is left out is emptied. A new principle's key is made
    from its title and stays with it when the title changes. `revision` is the one of the principle
    that `actor` had read; None changes whatever stands there.

    Raises:
        NotPermitted: `actor` is neither the draft's author nor a steward.
        InvalidTransition: the draft is no longer being written.
        StaleEdit: the principle has another revision by now.
        BadInput: there is no such principle, or one of its parts cannot be taken.
    """
    draft = _lock(draft_id, actor)
    fields: dict[str, Any] = {
        "title": _clean(title, "principle_title"),
        "text": _clean(text, "text"),
        "rationale": _clean(rationale, "rationale", required=False),
        "examples": _clean_examples(examples),
        "hazard_codes": _clean_codes(hazard_codes),
        "critique_request": _clean(critique_request, "critique_request", required=False),
        "revision_request": _clean(revision_request, "revision_request", required=False),
        "weight": _clean_weight(weight),
    }
    if key:
        principle = _find(draft, key)
        _require_fresh(principle, revision)
        for name, value in {**fields, "revision": principle.revision + 1}.items():
            setattr(principle, name, value)
        principle.save(update_fields=[*fields, "revision"])
    else:
        taken = set(draft.principles.values_list("key", flat=True))
        if len(taken) >= MOST_PRINCIPLES:
            raise BadInput(f"A constitution has at most {MOST_PRINCIPLES} principles.")
        principle = DraftPrinciple.objects.create(
            draft=draft, key=_new_key(fields["title"], taken), position=len(taken) + 1, **fields
        )
    _touch(draft)
    _record(draft, actor, Verb.PRINCIPLE_SET, key=principle.key)
    return principle


@transaction.atomic
def remove_principle(*, draft_id: int, actor: User, key: str) -> None:
    """Take a principle out of a draft; those after it move up.

    Raises:
        NotPermitted: `actor` is neither the draft's author nor a steward.
        InvalidTransition: the draft is no longer being written.
        BadInput: there is no such principle.
    """
    draft = _lock(draft_id, actor)
    _find(draft, key).delete()
    _number(list(draft.principles.order_by("position")))
    _touch(draft)
    _record(draft, actor, Verb.PRINCIPLE_REMOVED, key=key)


@transaction.atomic
def move_principle(*, draft_id: int, actor: User, key: str, position: int) -> None:
    """Put a principle in another place, counted from 1; the others close up.

    Raises:
        NotPermitted: `actor` is neither the draft's author nor a steward.
        InvalidTransition: the draft is no longer being written.
        BadInput: there is no such principle, or no such place.
    """
    draft = _lock(draft_id, actor)
    moving = _find(draft, key)
    others = list(draft.principles.exclude(pk=moving.pk).order_by("position"))
    if not 1 <= position <= len(others) + 1:
        raise BadInput(f"There is no place {position} among {len(others) + 1} principles.")
    _number([*others[: position - 1], moving, *others[position - 1 :]])
    _touch(draft)
    _record(draft, actor, Verb.PRINCIPLE_MOVED, key=key, position=position)


@transaction.atomic
def withdraw_draft(*, draft_id: int, actor: User) -> Draft:
    """Give a draft up; it stays readable.

    Raises:
        NotPermitted: `actor` is neither its author nor a steward.
        InvalidTransition: it is no longer being written.
    """
    draft = _lock(draft_id, actor)
    move(draft, Draft.Status.WITHDRAWN)
    _record(draft, actor, Verb.DRAFT_WITHDRAWN)
    return draft


@transaction.atomic
def propose(*, draft_id: int, actor: User, rule: Rule, closes_at: datetime) -> Poll:
    """Put a draft to the community: its text is frozen, and the poll decides.

    Raises:
        NotPermitted: `actor` is not a steward.
        InvalidTransition: the draft is no longer being written.
        BadInput: it has no principles, is too long, or says what is in force already; or the poll
            cannot be opened so.
    """
    draft = _get_locked(draft_id)
    community_id = draft.constitution.community_id
    require(
        is_steward(actor, community_id),
        "Only a steward may put a draft to a poll.",
    )
    _require_editing(draft)
    content = draft.content()
    if not content["principles"]:
        raise BadInput("A draft needs at least one principle before it can be put to a poll.")
    in_force = draft.constitution.in_force()
    text = compilation.full_text(content)
    if in_force is not None and text == compilation.full_text(in_force.content()):
        raise BadInput(f"This draft says exactly what version {in_force.number} in force says.")
    if len(text) > LONGEST_POLL_TEXT:
        raise BadInput(
            f"This draft has {len(text)} characters; a poll takes {LONGEST_POLL_TEXT} at most."
        )
    poll = polling.open_poll(
        community_id=community_id,
        actor=actor,
        kind=Draft.POLL_KIND,
        title=f"Ratify “{draft.title}”"[:200],
        text=text,
        rule=rule,
        closes_at=closes_at,
        subject_key=str(draft.pk),
    )
    move(draft, Draft.Status.PROPOSED, poll=poll)
    _record(draft, actor, Verb.DRAFT_PROPOSED, poll=poll.pk)
    return poll


def _get_locked(draft_id: int) -> Draft:
    drafts = Draft.objects.select_related("constitution__community")
    draft: Draft = drafts.select_for_update(of=("self",)).get(pk=draft_id)
    return draft


def _lock(draft_id: int, actor: User) -> Draft:
    """Lock a draft that `actor` is about to change: they may, and it is being written."""
    draft = _get_locked(draft_id)
    require(permissions.is_draft_keeper(actor, draft), _NOT_EDITOR)
    _require_editing(draft)
    return draft


def _require_editing(draft: Draft) -> None:
    if draft.status != Draft.Status.EDITING:
        raise InvalidTransition(
            f"This draft is no longer being written; it is {draft.get_status_display().lower()}."
        )


def _require_fresh(written: Draft | DraftPrinciple, read: int | None) -> None:
    if read is not None and read != written.revision:
        raise StaleEdit(
            "Somebody else has changed this since you opened it, so nothing is saved. Your text "
            "is here, and what stands now is shown beside it: save again to put yours in its place."
        )


def _find(draft: Draft, key: str) -> DraftPrinciple:
    principle = draft.principles.filter(key=key).first()
    if principle is None:
        raise BadInput(f"This draft has no principle “{key}”.")
    return principle


def _number(principles: Sequence[DraftPrinciple]) -> None:
    for position, principle in enumerate(principles, start=1):
        principle.position = position
    DraftPrinciple.objects.bulk_update(principles, ["position"])


def _touch(draft: Draft) -> None:
    draft.save(update_fields=["updated_at"])


def _record(draft: Draft, actor: User, verb: Verb, **data: object) -> None:
    """Record an act with the digest of the text as it stands after it."""
    audit.record(
        community_id=draft.constitution.community_id,
        actor=actor,
        verb=verb,
        subject=draft,
        data={"text_digest": canonical.text_digest(compilation.full_text(draft.content())), **data},
    )


def _new_key(title: str, taken: set[str]) -> str:
    """Make a key of a title that no other principle of the draft has."""
    stem = slugify(title)[:50].strip("-") or "principle"
    key, number = stem, 1
    while key in taken:
        number += 1
        key = f"{stem}-{number}"
    return key


def _clean(value: str, name: str, *, required: bool = True) -> str:
    return _clean_text(value, name.replace("_", " "), LIMITS[name], required=required)


def _clean_text(value: str, name: str, limit: int, *, required: bool) -> str:
    if not isinstance(value, str):
        raise BadInput(f"The {name} must be a text.")
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if required and not text:
        raise BadInput(f"The {name} is missing.")
    if len(text) > limit:
        raise BadInput(f"The {name} has {len(text)} characters; it may have {limit}.")
    if _CONTROL.search(text):
        raise BadInput(f"The {name} holds characters that cannot be shown.")
    return text


def _clean_examples(examples: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    clean = []
    for place, example in enumerate(examples, start=1):
        if not isinstance(example, Mapping) or set(example) != set(_EXAMPLE_FIELDS):
            raise BadInput(f"Example {place} must have a prompt, a better and a worse answer.")
        clean.append(
            {
                name: _clean_text(
                    example[name],
                    f"{name} of example {place}",
                    LONGEST_EXAMPLE,
                    required=True,
                )
                for name in _EXAMPLE_FIELDS
            }
        )
    if len(clean) > MOST_EXAMPLES:
        raise BadInput(f"A principle has at most {MOST_EXAMPLES} examples.")
    return clean


def _clean_codes(codes: Iterable[str]) -> list[str]:
    given = set(codes)
    if unknown := sorted(map(str, given - set(compilation.HAZARDS))):
        raise BadInput(f"There is no hazard code {', '.join(unknown)}.")
    return [code for code in compilation.HAZARDS if code in given]


def _clean_weight(weight: int) -> int:
    if isinstance(weight, bool) or not isinstance(weight, int):
        raise BadInput("A weight is a whole number.")
    if not 1 <= weight <= GREATEST_WEIGHT:
        raise BadInput(f"A weight is between 1 and {GREATEST_WEIGHT}.")
    return weight
