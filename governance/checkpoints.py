"""Signed heads of trails: after a checkpoint, nobody can rewrite what came before it unnoticed.

Whoever changes the database can compute a whole chain anew, but cannot sign it; and whoever has an
old checkpoint, because it was posted elsewhere, can hold it against today's record. Checkpoints are
a chain themselves: each signs its number and the digest of what the one before signed, so that none
can be left out in between. Those of schema 1, from before that, are signed without either.
"""

import http.client
import logging
from typing import Any, Final
from urllib.request import HTTPRedirectHandler, Request, build_opener

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from governance import audit, signing
from governance.canonical import canonical_json, digest
from governance.chain import GENESIS
from governance.models import AuditEvent, Checkpoint, Community, Trail
from governance.verbs import Verb

SCHEMA: Final = "folkmoot.checkpoint/2"
UNCHAINED_SCHEMA: Final = "folkmoot.checkpoint/1"
SECONDS_FOR_A_POST: Final = 5
logger = logging.getLogger(__name__)


@transaction.atomic
def sign_checkpoint(*, community_id: int) -> Checkpoint | None:
    """Sign the head of a community's trail; None where it has not moved since the last time.

    A key with which this trail was not signed before is announced in it first, so that the
    checkpoint covers the announcement.
    """
    trail = Trail.objects.select_for_update().get(community_id=community_id)
    if not trail.length or _at(trail).exists():
        return None
    community = Community.objects.get(pk=community_id)
    key = signing.public_key()
    if announced_key(community) != key:
        audit.record(
            community_id=community_id,
            actor=None,
            verb=Verb.KEY_ANNOUNCED,
            subject=community,
            data={"public_key": key},
        )
        trail.refresh_from_db()
    checkpoints = Checkpoint.objects.filter(community=community).select_related("community")
    last = checkpoints.order_by("length").last()
    checkpoint = Checkpoint(
        community=community,
        number=checkpoints.count() + 1,
        previous=digest(statement(last)) if last else GENESIS,
        length=trail.length,
        head=trail.head,
        at=audit.timestamp(timezone.now()),
        public_key=key,
    )
    checkpoint.signature = signing.sign(canonical_json(statement(checkpoint)))
    checkpoint.save(force_insert=True)
    return checkpoint


def announced_key(community: Community) -> str:
    """Return the key that the community's trail announced last; "" where it announced none."""
    events = AuditEvent.objects.filter(
        subject=audit.subject_name(community), community=community, verb=Verb.KEY_ANNOUNCED
    )
    last = events.order_by("-seq").first()
    return "" if last is None else str(last.data["public_key"])


def statement(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what is signed, by the schema of its time: one without a number is of schema 1."""
    said = {
        "schema": SCHEMA,
        "community": checkpoint.community.slug,
        "length": checkpoint.length,
        "head": checkpoint.head,
        "at": checkpoint.at,
    }
    if not checkpoint.number:
        return said | {"schema": UNCHAINED_SCHEMA}
    return said | {"number": checkpoint.number, "previous": checkpoint.previous}


def record(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint as it is exported and posted: what is signed, by whom, and how."""
    return {
        "checkpoint": statement(checkpoint),
        "public_key": checkpoint.public_key,
        "signature": checkpoint.signature,
    }


def moved() -> QuerySet[Trail]:
    """Return the trails whose heads are not signed."""
    here = Checkpoint.objects.filter(community=OuterRef("community"), length=OuterRef("length"))
    return Trail.objects.filter(~Exists(here), length__gt=0)


def _at(trail: Trail) -> QuerySet[Checkpoint]:
    return Checkpoint.objects.filter(community_id=trail.community_id, length=trail.length)


# --- posted elsewhere -----------------------------------------------------------------------------


def post_checkpoints() -> int:
    """Post each community's latest checkpoint to every webhook, where that has not happened.

    The latest one vouches for those before it, so older ones that wait are passed over. One that
    a webhook does not take is posted again the next time, to all of them: whoever receives a
    checkpoint twice has lost nothing. A webhook that fails is left alone until then.

    Returns:
        How many checkpoints every webhook has taken.
    """
    if not settings.CHECKPOINT_WEBHOOKS:
        return 0
    latest = Checkpoint.objects.order_by("community_id", "-length").distinct("community_id")
    waiting = Checkpoint.objects.filter(pk__in=latest.values("pk"), posted_at=None)
    failing: set[str] = set()
    count = 0
    for checkpoint in waiting.select_related("community").order_by("pk").iterator():
        content = canonical_json(record(checkpoint))
        for webhook in settings.CHECKPOINT_WEBHOOKS:
            if webhook not in failing and not _post(webhook, content):
                failing.add(webhook)
        if not failing:
            count += Checkpoint.objects.filter(pk=checkpoint.pk, posted_at=None).update(
                posted_at=timezone.now()
            )
    return count


class _NoRedirects(HTTPRedirectHandler):
    """Leaves a redirect unanswered, so that it counts as a failure."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = build_opener(_NoRedirects())


def _post(webhook: str, content: bytes) -> bool:
    """Say whether a webhook took this; the reason why it did not is in the log."""
    request = Request(  # noqa: S310 - the setting admits https, and http on this machine
        webhook, data=content, headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with _opener.open(request, timeout=SECONDS_FOR_A_POST):
            return True
    except (OSError, http.client.HTTPException) as error:
        logger.warning("webhook %s did not take a checkpoint: %s", _number(webhook), error)
        return False


def _number(webhook: str) -> int:
    """Name a webhook in the log by its place in the setting: its address may hold a secret."""
    places: list[str] = settings.CHECKPOINT_WEBHOOKS
    return places.index(webhook) + 1
