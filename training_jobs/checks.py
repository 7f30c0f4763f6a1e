"""System checks of training jobs: what must hold before a run can be launched."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register  # noqa: A004
from django.core.files.storage import storages


@register()
def artefacts_are_files(**_: Any) -> list[CheckMessage]:
    """Runs work in directories, so the artefact storage has to be one."""
    try:
        storages["artifacts"].path("")
    except NotImplementedError:
        return [
            Error(
                "The artefact storage is not a directory, so no run can be launched.",
                hint="Set STORAGES['artifacts'] to a FileSystemStorage that all workers share.",
                id="training_jobs.E001",
            )
        ]
    return []


@register()
def watchdog_can_bite(**_: Any) -> list[CheckMessage]:
    """A watchdog that waits longer than a run may take never does anything."""
    if settings.RUN_STALL_SECONDS < settings.RUN_WALL_CLOCK_SECONDS:
        return []
    return [
        Warning(
            "A run that stalls is only ended by its wall clock.",
            hint="Set RUN_STALL_SECONDS below RUN_WALL_CLOCK_SECONDS.",
            id="training_jobs.W001",
        )
    ]
