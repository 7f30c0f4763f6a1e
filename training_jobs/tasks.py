"""Tasks: take a nudged run, and sweep. Acknowledged early, because the row is the truth."""

import logging
import multiprocessing
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_init, worker_shutting_down
from django.conf import settings

from governance.errors import InvalidTransition
from training_jobs import dispatch, launching
from training_jobs.models import Run

log = logging.getLogger(__name__)


class _Shutdown:
    """Whether this worker is being shut down, known to the main process and its pool."""

    def __init__(self) -> None:
        self.event: Any = None

    def prepare(self, **_: object) -> None:
        """Make the event before the pool forks, so that all its processes share it."""
        self.event = multiprocessing.get_context("fork").Event()

    def announce(self, **_: object) -> None:
        """Tell the pool. A warm shutdown waits for tasks to end, and a run could take hours."""
        if self.event is not None:
            self.event.set()

    def is_announced(self) -> bool:
        """Say whether the worker is going."""
        return self.event is not None and bool(self.event.is_set())


_shutdown = _Shutdown()
worker_init.connect(_shutdown.prepare)
worker_shutting_down.connect(_shutdown.announce)


# The launcher ends a run at its wall clock; this is for a launcher that does not.
_LIMIT = settings.RUN_WALL_CLOCK_SECONDS + 3600


@shared_task(bind=True, name=dispatch.EXECUTE_RUN, ignore_result=True, time_limit=_LIMIT)
def execute_run(self: "Task[[int], None]", run_id: int) -> None:
    """Do a run, unless another worker has it or it is over."""
    run = dispatch.claim_run(run_id=run_id, worker=str(self.request.hostname or ""))
    if run is None:
        return
    try:
        launching.launch(run, stopping=_shutdown.is_announced)
    except Exception as error:
        log.exception("run %s attempt %s broke its launcher", run.pk, run.attempt)
        _give_up(run, error)
        raise


def _give_up(run: Run, error: Exception) -> None:
    try:
        dispatch.finish_run(
            run_id=run.pk,
            attempt=run.attempt,
            status=Run.Status.FAILED,
            error=f"The run's launcher stopped on an unexpected {type(error).__name__}.",
        )
    except InvalidTransition:
        log.info("run %s attempt %s had been replaced", run.pk, run.attempt)


@shared_task(name="training_jobs.sweep_runs", ignore_result=True)
def sweep_runs() -> None:
    """Repeat lost messages, and take up runs whose worker has gone."""
    dispatch.sweep_runs()
