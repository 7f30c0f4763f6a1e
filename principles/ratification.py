"""Ratification: what happens to a draft when the poll about it closes."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from governance import audit, canonical
from governance.models import Poll
from governance.transitions import move
from principles.models import Constitution, Draft, Principle, Version
from principles.verbs import Verb


def subject_url(poll: Poll) -> str:
    """Return the page of the draft that a poll is about."""
    draft = Draft.objects.select_related("constitution__community").filter(poll=poll).first()
    return draft.get_absolute_url() if draft else ""


def version_content(version: Version) -> dict[str, Any]:
    """Return what the version's digest covers, in the form in which it is exported."""
    return version.content()


def lock_subject(poll_id: int) -> None:
    """Lock what `adopt` will write, before the poll itself is locked.

    The constitution's lock decides which of two polls that close at once makes the next version.
    It does not keep those waiting who begin a draft under it (no_key).
    """
    draft = Draft.objects.get(poll_id=poll_id)
    Constitution.objects.select_for_update(no_key=True).get(pk=draft.constitution_id)
    Draft.objects.select_for_update().get(pk=draft.pk)


@transaction.atomic
def adopt(poll: Poll) -> None:
    """Turn the draft of a poll that has just closed into a version, or mark it as not adopted.

    The version follows the one in force at this moment, even where the draft was written on an
    older one: people voted on the whole text, not on a list of changes.

    Raises:
        InvalidTransition: the draft was adopted or rejected before.
    """
    lock_subject(poll.pk)
    draft = Draft.objects.select_related("constitution__community").get(poll=poll)
    constitution = draft.constitution
    if poll.outcome != Poll.Outcome.PASSED:
        move(draft, Draft.Status.REJECTED)
        audit.record(
            community_id=poll.community_id,
            actor=None,
            verb=Verb.DRAFT_REJECTED,
            subject=draft,
            data={"poll": poll.pk, "outcome": poll.outcome},
        )
        return
    move(draft, Draft.Status.ADOPTED)
    version = _write_version(draft, constitution, poll)
    if constitution.title != version.title:
        constitution.title = version.title
        constitution.save(update_fields=["title"])
    audit.record(
        community_id=poll.community_id,
        actor=None,
        verb=Verb.VERSION_RATIFIED,
        subject=version,
        data={
            "number": version.number,
            "digest": version.digest,
            "poll": poll.pk,
            "parent": version.parent.digest if version.parent else None,
        },
    )


@transaction.atomic
def give_back(poll: Poll) -> None:
    """Give the draft of a poll that was withdrawn back to its author."""
    draft = Draft.objects.select_for_update().get(poll=poll)
    move(draft, Draft.Status.EDITING, poll=None)
    audit.record(
        community_id=poll.community_id,
        actor=None,
        verb=Verb.DRAFT_GIVEN_BACK,
        subject=draft,
        data={"poll": poll.pk},
    )


def _write_version(draft: Draft, constitution: Constitution, poll: Poll) -> Version:
    """Write the next version and its principles; the constitution is locked."""
    parent = constitution.in_force()
    content = draft.content()
    version = Version.objects.create(
        constitution=constitution,
        number=content["number"],
        title=draft.title,
        preamble=draft.preamble,
        summary=draft.summary,
        parent=parent,
        poll=poll,
        digest=canonical.digest(content),
        ratified_at=poll.closed_at or timezone.now(),  # a closed poll always has it
    )
    Principle.objects.bulk_create(
        Principle(version=version, position=position, **principle)
        for position, principle in enumerate(content["principles"], start=1)
    )
    return version
