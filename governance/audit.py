"""The audit trail: one hash chain per community, written last in each verb."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum

from django.db import models, transaction
from django.db.models import QuerySet
from django.utils import timezone

from governance import chain
from governance.models import AuditEvent, Trail, User


def timestamp(moment: datetime) -> str:
    """Write a moment as the trail does: UTC, to the microsecond, 27 characters."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def actor_name(actor: User | None) -> str:
    """Name an actor without personal data: `user:17`, or `system`."""
    return "system" if actor is None else f"user:{actor.pk}"


def subject_name(subject: models.Model) -> str:
    """Name a row by its kind and key, such as `poll:12`; the trail has no foreign keys."""
    return f"{subject._meta.model_name}:{subject.pk}"  # noqa: SLF001 - Django's documented _meta


def record(
    *,
    community_id: int,
    actor: User | None,
    verb: StrEnum,
    subject: models.Model,
    data: Mapping[str, object],
) -> AuditEvent:
    """Append one event to a community's trail, inside the caller's transaction.

    Call it last: it holds the trail's row until the transaction ends, which is what puts the
    community's events in one order.

    Raises:
        TypeError: `data` holds a float or another thing that canonical JSON does not have.
    """
    trail = Trail.objects.select_for_update().get(community_id=community_id)
    event = AuditEvent(
        community_id=community_id,
        seq=trail.length + 1,
        at=timestamp(timezone.now()),
        actor=actor_name(actor),
        verb=str(verb),
        subject=subject_name(subject),
        data=dict(data),
        previous_hash=trail.head,
    )
    event.event_hash = chain.event_hash(trail.head, event.content())
    event.save(force_insert=True)
    trail.length, trail.head = event.seq, event.event_hash
    trail.save(update_fields=["length", "head"])
    return event


@transaction.atomic
def first_broken(community_id: int) -> int | None:
    """Re-compute a community's trail from the table; None when every event holds.

    The trail may grow meanwhile; it is held only while its latest events are read.

    Returns:
        The number of the first event that does not hold. A trail cut short at its end, or whose
        head disagrees, breaks at the event after the last.
    """
    rows = AuditEvent.objects.filter(community_id=community_id).order_by("seq")
    last = (0, chain.GENESIS)

    def read(events: QuerySet[AuditEvent]) -> Iterator[tuple[dict[str, object], str, str]]:
        nonlocal last
        for event in events.iterator(chunk_size=2000):
            last = (event.seq, event.event_hash)
            yield event.content(), event.previous_hash, event.event_hash

    def whole_trail() -> Iterator[tuple[dict[str, object], str, str]]:
        so_far = Trail.objects.get(community_id=community_id).length
        yield from read(rows.filter(seq__lte=so_far))
        Trail.objects.select_for_update().get(community_id=community_id)
        yield from read(rows.filter(seq__gt=so_far))

    broken = chain.first_broken(whole_trail())
    if broken is not None:
        return broken
    trail = Trail.objects.get(community_id=community_id)
    return None if (trail.length, trail.head) == last else last[0] + 1
