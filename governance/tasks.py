"""Background work of governance: closing polls whose deadline has passed."""

import logging

from celery import shared_task
from django.utils import timezone

from governance import voting
from governance.models import Poll

logger = logging.getLogger(__name__)


@shared_task(name="governance.close_due_polls", ignore_result=True)
def close_due_polls() -> None:
    """Close each due poll in a transaction of its own, so that one failure holds up no other.

    A poll whose handler fails stays open, takes no ballots, and is tried again next time.
    """
    due = Poll.objects.due(timezone.now()).order_by("closes_at", "pk")
    for poll_id in due.values_list("pk", flat=True):
        try:
            voting.close_poll(poll_id=poll_id)
        except Exception:
            # A handler of another app may fail in any way; the others must not wait for it.
            logger.exception("poll %s was not closed", poll_id)
        else:
            logger.info("poll %s is closed", poll_id)
