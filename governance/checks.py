"""System checks: what must hold before the site serves."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

GUARDS = {
    "audit_event_is_final": "governance.E001",
    "elector_is_final": "governance.E002",
    "poll_is_frozen": "governance.E003",
    "poll_is_kept": "governance.E003",
    "ballot_is_in_time": "governance.E004",
}
_MIGRATION = ("governance", "0002_refuse_changes")
_ENABLED = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled IN ('O', 'A')"


@register(Tags.database)
def guards_are_in_place(
    *,
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature of a check
    databases: Sequence[str] | None,
    **kwargs: Any,  # noqa: ARG001
) -> list[CheckMessage]:
    """Find triggers that keep history as it was and are missing or switched off.

    Asked of a database once the migration that makes them is recorded as applied.
    """
    missing: list[CheckMessage] = []
    for alias in databases or ():
        connection = connections[alias]
        if connection.vendor != "postgresql":
            missing.append(
                Error(
                    "The database is not PostgreSQL.",
                    hint="Set DATABASE_URL to a PostgreSQL server, version 15 or later.",
                    id="governance.E005",
                )
            )
            continue
        if _MIGRATION not in MigrationRecorder(connection).applied_migrations():
            continue
        with connection.cursor() as cursor:
            cursor.execute(_ENABLED)
            enabled = {name for (name,) in cursor.fetchall()}
        missing += [
            Error(
                f"The trigger {name} is missing or switched off in database {alias}.",
                hint="Someone changed the schema by hand. Restore it from governance's migration "
                "0002_refuse_changes, then run `manage.py verify_trail`.",
                id=number,
            )
            for name, number in GUARDS.items()
            if name not in enabled
        ]
    return missing
