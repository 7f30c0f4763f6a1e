import pytest
from django.core.checks import Tags, run_checks
from django.db import connection

from governance.checks import GUARDS, guards_are_in_place

pytestmark = pytest.mark.django_db

TABLES = {
    "audit_event_is_final": "governance_auditevent",
    "elector_is_final": "governance_elector",
    "poll_is_frozen": "governance_poll",
    "poll_is_kept": "governance_poll",
    "ballot_is_in_time": "governance_ballot",
}


def found():
    return guards_are_in_place(app_configs=None, databases=["default"])


def test_guards_are_in_place_after_migration():
    assert found() == []


def test_guards_are_asked_of_a_database_only():
    assert guards_are_in_place(app_configs=None, databases=None) == []
    assert run_checks(tags=[Tags.database], databases=["default"]) == []


@pytest.mark.parametrize("trigger", GUARDS)
def test_guards_missing_are_named_with_a_hint(trigger):
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {trigger} ON {TABLES[trigger]}")

    (error,) = found()

    assert error.id == GUARDS[trigger]
    assert trigger in error.msg
    assert "verify_trail" in error.hint


def test_guards_switched_off_count_as_missing():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE governance_auditevent DISABLE TRIGGER ALL")

    assert [error.id for error in found()] == ["governance.E001"]


def test_guards_are_not_asked_before_their_migration():
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER audit_event_is_final ON governance_auditevent")
        cursor.execute("DELETE FROM django_migrations WHERE app = 'governance'")

    assert found() == []
