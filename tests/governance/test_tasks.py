import logging

import pytest
from celery import current_app
from django.conf import settings

from governance import outcomes, tasks
from governance.models import AuditEvent
from tests.factories.governance import PollFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def failing_kind(monkeypatch):
    def fail(poll):
        raise RuntimeError("the handler is broken")

    kind = outcomes.PollKind(name="failing", label="Failing", on_close=fail)
    monkeypatch.setattr(outcomes, "_kinds", {**outcomes._kinds, "failing": kind})


def test_turn_due_polls_closes_those_and_no_others():
    due, still_open = PollFactory(due=True, ballots={UserFactory(): "yes"}), PollFactory(open=True)
    closed = PollFactory(closed=True)

    tasks.turn_due_polls()

    for poll in (due, still_open):
        poll.refresh_from_db()
    assert (due.status, due.outcome, still_open.status) == ("closed", "passed", "open")
    assert not AuditEvent.objects.filter(community=closed.community).exists()


def test_turn_due_polls_goes_on_after_a_failure_and_logs_it(failing_kind, caplog):
    failing = PollFactory(due=True, kind="failing", title="A secret title")
    unknown = PollFactory(due=True, kind="unknown")
    fine = PollFactory(due=True)

    with caplog.at_level(logging.INFO, logger="governance.tasks"):
        tasks.turn_due_polls()

    for poll in (failing, unknown, fine):
        poll.refresh_from_db()
    assert (failing.status, unknown.status, fine.status) == ("open", "open", "closed")
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert errors == [f"poll {poll.pk}: close_poll failed" for poll in (failing, unknown)]
    assert "A secret title" not in caplog.text


def test_turn_due_polls_tries_again(failing_kind):
    failing = PollFactory(due=True, kind="failing")

    tasks.turn_due_polls()
    outcomes._kinds["failing"] = outcomes.PollKind(name="failing", label="Failing")
    tasks.turn_due_polls()

    failing.refresh_from_db()
    assert failing.status == "closed"


def test_turn_due_polls_is_what_beat_sends():
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

    assert tasks.turn_due_polls.name in names
    assert tasks.turn_due_polls.name in current_app.tasks
