"""The review queue: people report, a moderator claims, decides, and says why."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Protocol, TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone

from feedback import permissions
from feedback.models import Decision, Prompt, Report, Response, ReviewItem, normalised
from feedback.verbs import Verb
from governance import audit, canonical
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import User
from governance.querysets import Viewer
from governance.transitions import move
from principles.models import Principle, Version

CLAIM_MINUTES = 30
LONGEST_NOTE = 1000
LONGEST_REASON = 2000
HIDDEN: Final = "Hidden by a moderator."


def find_target(*, community_id: int, target: str, target_key: int) -> Prompt | Response | None:
    """Return the content that a report or an item means, if it is this community's."""
    if target == ReviewItem.Target.PROMPT:
        return Prompt.objects.filter(pk=target_key, community_id=community_id).first()
    if target == ReviewItem.Target.RESPONSE:
        return (
            Response.objects.filter(pk=target_key, prompt__community_id=community_id)
            .select_related("prompt")
            .first()
        )
    return None


class Shown(Protocol):
    """A row that keeps prompts or answers elsewhere than in their own tables."""

    hidden: bool


ShownT = TypeVar("ShownT", bound=Shown)


def as_shown(
    rows: Iterable[ShownT], *fields: str, community_id: int, viewer: Viewer
) -> list[ShownT]:
    """Return rows as `viewer` may see them, each marked `hidden` where moderators hid its words.

    What is hidden is hidden as words, wherever they turn up again. Moderators see them; for
    everyone else `HIDDEN` stands in every one of the fields, and so the rows must not be saved.
    """
    found = list(rows)
    hidden = _hidden_among(community_id, (getattr(row, name) for row in found for name in fields))
    covered = bool(hidden) and not permissions.can_moderate(viewer, community_id)
    for row in found:
        row.hidden = any(getattr(row, name) in hidden for name in fields)
        if row.hidden and covered:
            for name in fields:
                setattr(row, name, HIDDEN)
    return found


def _hidden_among(community_id: int, texts: Iterable[str]) -> set[str]:
    """Return those of the texts that are, but for their form, hidden prompts or answers."""
    digests = {
        text: {canonical.text_digest(normalised(text)), canonical.text_digest(text.strip())}
        for text in texts
    }
    wanted: set[str] = set().union(*digests.values())
    prompts = Prompt.objects.filter(community_id=community_id)
    answers = Response.objects.filter(prompt__community_id=community_id)
    hidden = {
        digest
        for rows in (prompts, answers)
        for digest in rows.filter(hidden=True, digest__in=wanted).values_list("digest", flat=True)
    }
    return {text for text, own in digests.items() if own & hidden}


def is_hidden(content: Prompt | Response) -> bool:
    """Say whether moderators have hidden this; a prompt that is hidden takes its answers along."""
    return content.hidden or (isinstance(content, Response) and content.prompt.hidden)


@transaction.atomic
def report(
    *, community_id: int, reporter: User, target: str, target_key: int, reason: str, note: str = ""
) -> Report:
    """Report content; all reports of one content stand on one item of the queue.

    The item keeps the content's words as they were. The trail says that it was reported and why,
    and not by whom. A second report by the same person changes nothing.

    Raises:
        NotPermitted: `reporter` is not a member.
        BadInput: there is no such content or reason, or it is hidden already.
    """
    permissions.require(permissions.can_report(reporter, community_id), "Only members may report.")
    content = find_target(community_id=community_id, target=target, target_key=target_key)
    if content is None:
        raise BadInput("There is no such content.")
    if is_hidden(content):
        raise BadInput("A moderator has hidden this already.")
    if reason not in Report.Reason.values:
        raise BadInput("Choose one of the reasons.")
    note = note.strip()
    if len(note) > LONGEST_NOTE or "\0" in note:
        raise BadInput(f"The note is a text of at most {LONGEST_NOTE} characters.")
    item = _undecided_item(community_id, target, content)
    kept, new = Report.objects.get_or_create(
        item=item, reporter=reporter, defaults={"reason": reason, "note": note}
    )
    if new:
        audit.record(
            community_id=community_id,
            actor=None,
            verb=Verb.CONTENT_REPORTED,
            subject=item,
            data={"target": target, "reason": reason},
        )
    return kept


def _undecided_item(community_id: int, target: str, content: Prompt | Response) -> ReviewItem:
    """Lock the item of the queue for this content, making it where there is none."""
    undecided = (
        ReviewItem.objects.select_for_update()
        .filter(community_id=community_id, target=target, target_key=content.pk)
        .exclude(status=ReviewItem.Status.DECIDED)
    )
    item: ReviewItem | None = undecided.first()
    if item is None:
        try:
            with transaction.atomic():
                item = ReviewItem.objects.create(
                    community_id=community_id,
                    target=target,
                    target_key=content.pk,
                    snapshot=content.text,
                )
        except IntegrityError:  # another person reported it at the same moment
            item = undecided.get()
    return item


def _locked(item_id: int, moderator: User) -> ReviewItem:
    """Lock an item for a moderator.

    Raises:
        NotPermitted: they do not moderate here, or the content is their own.
    """
    item: ReviewItem = (
        ReviewItem.objects.select_for_update(of=("self",))
        .select_related("claimed_by")
        .get(pk=item_id)
    )
    permissions.require(
        permissions.can_moderate(moderator, item.community_id),
        "Only moderators work the review queue.",
    )
    permissions.require(
        not permissions.wrote(moderator, item), "Nobody decides on their own content."
    )
    return item


@transaction.atomic
def claim(*, item_id: int, moderator: User) -> ReviewItem:
    """Take an item up; for half an hour nobody else can. Taking it again starts the time anew.

    Raises:
        NotPermitted: they do not moderate here, or the content is their own.
        InvalidTransition: another moderator has it, or it is decided.
    """
    item = _locked(item_id, moderator)
    now = timezone.now()
    until = now + timedelta(minutes=CLAIM_MINUTES)
    if item.status == ReviewItem.Status.CLAIMED:
        if item.claimed_by_id == moderator.pk:
            item.claim_expires_at = until
            item.save(update_fields=["claim_expires_at"])
            return item
        if item.claim_expires_at is not None and item.claim_expires_at > now:
            raise InvalidTransition(f"{item.claimed_by} is reviewing this.")
        move(item, ReviewItem.Status.OPEN, claimed_by=None, claim_expires_at=None)
    if item.status == ReviewItem.Status.DECIDED:
        raise InvalidTransition(f"{item.claimed_by} has decided this.")
    move(item, ReviewItem.Status.CLAIMED, claimed_by=moderator, claim_expires_at=until)
    audit.record(
        community_id=item.community_id,
        actor=moderator,
        verb=Verb.REVIEW_CLAIMED,
        subject=item,
        data={},
    )
    return item


@transaction.atomic
def unclaim(*, item_id: int, moderator: User) -> ReviewItem:
    """Put an item back into the queue.

    Raises:
        NotPermitted: they do not moderate here, or do not have the item.
        InvalidTransition: it is decided, or nobody has it.
    """
    item = _locked(item_id, moderator)
    _require_claim(item, moderator)
    move(item, ReviewItem.Status.OPEN, claimed_by=None, claim_expires_at=None)
    audit.record(
        community_id=item.community_id,
        actor=moderator,
        verb=Verb.REVIEW_UNCLAIMED,
        subject=item,
        data={},
    )
    return item


def _require_claim(item: ReviewItem, moderator: User) -> None:
    if item.status == ReviewItem.Status.DECIDED:
        raise InvalidTransition(f"{item.claimed_by} has decided this.")
    if item.status == ReviewItem.Status.OPEN:
        raise InvalidTransition("Claim this first, so that two people do not decide it.")
    if item.claimed_by_id != moderator.pk:
        raise NotPermitted(f"{item.claimed_by} is reviewing this.")


@transaction.atomic
def decide(
    *, item_id: int, moderator: User, action: str, reason: str, principle_key: str = ""
) -> Decision:
    """Keep or hide the content, with a statement of reasons.

    Raises:
        NotPermitted: they do not moderate here, do not have the item, or wrote the content.
        BadInput: no such action or principle, or no reason.
        InvalidTransition: it is decided, or nobody has it.
    """
    item = _locked(item_id, moderator)
    _require_claim(item, moderator)
    reason = reason.strip()
    if action not in Decision.Action.values:
        raise BadInput("Choose whether to keep or to hide it.")
    if not reason or len(reason) > LONGEST_REASON or "\0" in reason:
        raise BadInput(f"Say why, in at most {LONGEST_REASON} characters.")
    principle = _principle(item.community_id, principle_key)
    if action == Decision.Action.HIDE:
        rows = Prompt if item.target == ReviewItem.Target.PROMPT else Response
        rows.objects.filter(pk=item.target_key).update(hidden=True)
    move(item, ReviewItem.Status.DECIDED, claim_expires_at=None)
    decision = Decision.objects.create(
        item=item,
        moderator=moderator,
        action=action,
        reason=reason,
        principle=principle,
        decided_at=timezone.now(),
    )
    audit.record(
        community_id=item.community_id,
        actor=moderator,
        verb=Verb.REVIEW_DECIDED,
        subject=item,
        data={
            "action": action,
            "target": item.target,
            "principle": principle_key,
            "reason_digest": canonical.text_digest(reason),
        },
    )
    return decision


def _principle(community_id: int, key: str) -> Principle | None:
    """Return the principle in force that a decision cites.

    Raises:
        BadInput: the version in force has none with this key.
    """
    if not key:
        return None
    version: Version | None = Version.objects.filter(
        constitution__community_id=community_id
    ).first()
    principle = version.principles.filter(key=key).first() if version else None
    if principle is None:
        raise BadInput("The constitution in force has no such principle.")
    return principle
