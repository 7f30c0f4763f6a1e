"""Background work of governance: what the clock does to polls."""

import logging
from collections.abc import Callable, Iterable

from celery import shared_task
from django.utils import timezone

from governance import checkpoints, polling, stewardship, voting
from governance.models import BallotAct, Poll
from governance.querysets import PollQuerySet

logger = logging.getLogger(__name__)


@shared_task(name="governance.turn_due_polls", ignore_result=True)
def turn_due_polls() -> None:
    """Open polls whose deliberation is over, and close those whose deadline has passed.

    A poll whose handler fails stays as it is, takes no ballots, and is tried again next time.
    """
    now = timezone.now()
    _each(Poll.objects.due_to_open(now).order_by("opens_at", "pk"), polling.open_due_poll)
    _each(Poll.objects.due(now).order_by("closes_at", "pk"), polling.close_poll)
    over = Poll.objects.filter(closed_at__gte=now).order_by("community")
    _sign(over.values_list("community", flat=True).distinct())


@shared_task(name="governance.record_ballots", ignore_result=True)
def record_ballots() -> None:
    """Put what was done with ballots into the trail, and full urns' envelopes into the urn."""
    _each(Poll.objects.filter(status="open", rule__secrecy="secret"), voting.fill_urn)
    waiting = BallotAct.objects.filter(batch=None).values("poll")
    _each(Poll.objects.filter(status="open", pk__in=waiting), voting.record_acts)


@shared_task(name="governance.sign_trails", ignore_result=True)
def sign_trails() -> None:
    """Sign the head of each trail that has grown."""
    _sign(checkpoints.moved().values_list("community", flat=True))


@shared_task(name="governance.post_checkpoints", ignore_result=True, soft_time_limit=120)
def post_checkpoints() -> None:
    """Post signed heads to where the operator wants a copy."""
    checkpoints.post_checkpoints()


def _sign(communities: Iterable[int]) -> None:
    for community_id in communities:
        try:
            checkpoints.sign_checkpoint(community_id=community_id)
        except Exception:
            # A key that cannot be read must not keep polls from being closed.
            logger.exception("community %s: the head of its trail was not signed", community_id)


@shared_task(name="governance.lapse_motions", ignore_result=True)
def lapse_motions() -> None:
    """Lapse motions that found no second in time, and those whose poll is over."""
    logger.info("%s motions lapsed", stewardship.lapse_motions())


def _each(polls: PollQuerySet, verb: Callable[..., object]) -> None:
    """Call `verb` for each poll in a transaction of its own: one failure holds up no other."""
    for poll_id in polls.values_list("pk", flat=True):
        try:
            verb(poll_id=poll_id)
        except Exception:
            # A handler of another app may fail in any way; the others must not wait for it.
            logger.exception("poll %s: %s failed", poll_id, verb.__name__)
        else:
            logger.info("poll %s: %s done", poll_id, verb.__name__)
