"""Launching: a claimed run's child process, watched until it ends or has to be ended.

No transaction stays open while a run runs. Whatever happens to this process, the run goes on: its
lease runs out, the sweeper gives it to another attempt, and the recipe resumes from its directory.
"""

import json
import logging
import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from governance.errors import InvalidTransition, RuleViolation
from training_jobs import children, dispatch, registry, results
from training_jobs.manifest import FILE_NAME, Manifest
from training_jobs.models import Attempt, ProgressEvent, Run

log = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.5
PROGRESS: Final = "progress.jsonl"


def _never() -> bool:
    return False


def launch(
    run: Run,
    *,
    command: children.Command = children.command,
    stopping: Callable[[], bool] = _never,
    tick: float = TICK_SECONDS,
) -> None:
    """Do a run that this process has claimed, to its end.

    Args:
        run: as `claim_run` returned it.
        command: what is started for a recipe and a run directory.
        stopping: says whether this worker is being shut down; the run is then given back.
        tick: seconds between two looks at the child.
    """
    run_dir = registry.artifact_path(run.storage_key)
    try:
        prepare(run, run_dir)
        child = children.start(command(run.recipe, run_dir), run_dir)
    except OSError as error:
        _report_failure(run, f"The run could not be started: {error.strerror or error}.")
        return
    log.info("run %s attempt %s started as process %s", run.pk, run.attempt, child.pid)
    watch = Watch(run, run_dir, child, stopping)
    try:
        reason = watch.until_over(tick)
    finally:
        # Also when this loop breaks: a child without a launcher would work for nobody.
        children.end(child)
    watch.read_progress()
    _conclude(run, run_dir, reason, child.returncode)


def prepare(run: Run, run_dir: Path) -> None:
    """Lay out a run's directory: its manifest and its inputs, with what an earlier attempt left.

    Artefacts are linked, not copied: the recipe compares their digests before any work.
    """
    manifest = Manifest.from_dict(run.manifest)
    inputs = run_dir / "inputs"
    shutil.rmtree(inputs, ignore_errors=True)
    inputs.mkdir(parents=True)
    for name, made in manifest.inputs.items():
        if name == "messages.json":
            (inputs / name).write_bytes(dispatch.conversation(run.turn.question))
        else:
            (inputs / name).symlink_to(dispatch.input_source(name, made))
    if not (run_dir / FILE_NAME).exists():
        manifest.write(run_dir)


@dataclass
class Watch:
    """A child process, seen from its launcher.

    Attributes:
        run: what the child works on.
        run_dir: where it works.
        child: the process.
        stopping: says whether this worker is being shut down.
        began: when the watch began, by the monotonic clock.
        heard: when the child last made progress.
        renewed: when the lease was last renewed.
        offset: how far the progress file has been read.
    """

    run: Run
    run_dir: Path
    child: subprocess.Popen[bytes]
    stopping: Callable[[], bool]
    began: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)
    renewed: float = field(default_factory=time.monotonic)
    offset: int = 0

    def __post_init__(self) -> None:
        """Begin behind what earlier attempts have reported."""
        path = self.run_dir / PROGRESS
        self.offset = path.stat().st_size if path.exists() else 0

    def until_over(self, tick: float) -> str:
        """Watch until the child ends, or there is a reason to end it.

        Returns:
            The reason: "" where the child ended by itself, else cancelled, replaced, stopping, or
            a sentence that says why the run failed.
        """
        while True:
            try:
                self.child.wait(tick)
            except subprocess.TimeoutExpired:
                pass
            else:
                return ""
            try:
                reason = self._look()
            except (OperationalError, InterfaceError):
                # The database is away, perhaps to come back; the lease says for how long it may.
                log.warning("run %s: the database cannot be reached", self.run.pk)
                connection.close()
                reason = ""
                if time.monotonic() - self.renewed > settings.RUN_LEASE_SECONDS:
                    reason = "replaced"
            if reason:
                return reason

    def _look(self) -> str:
        self.read_progress()
        now = time.monotonic()
        if now - self.renewed >= settings.RUN_LEASE_SECONDS / 3:
            if not dispatch.renew_lease(run_id=self.run.pk, attempt=self.run.attempt):
                return "replaced"
            self.renewed = now
        if self.stopping():
            return "stopping"
        if self._cancel_requested():
            return "cancelled"
        if now - self.began > settings.RUN_WALL_CLOCK_SECONDS:
            return f"The run took longer than {_duration(settings.RUN_WALL_CLOCK_SECONDS)}."
        if now - self.heard > settings.RUN_STALL_SECONDS:
            return f"The run made no progress for {_duration(settings.RUN_STALL_SECONDS)}."
        return ""

    def _cancel_requested(self) -> bool:
        return Run.objects.filter(pk=self.run.pk).exclude(cancel_requested_by=None).exists()

    def read_progress(self) -> None:
        """Take over the whole lines that the child has added to its progress file."""
        events = []
        for line in self._new_lines():
            event = _progress_event(self.run, line)
            if event is not None:
                events.append(event)
        if not events:
            return
        self.heard = time.monotonic()
        ProgressEvent.objects.bulk_create(events)
        Run.objects.filter(pk=self.run.pk, attempt=self.run.attempt).update(
            step=events[-1].step, total=events[-1].total
        )

    def _new_lines(self) -> list[bytes]:
        try:
            with (self.run_dir / PROGRESS).open("rb") as file:
                file.seek(self.offset, os.SEEK_SET)
                new = file.read()
        except FileNotFoundError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self.offset += len(whole)
        return whole.splitlines()


def _progress_event(run: Run, line: bytes) -> ProgressEvent | None:
    # A line that was torn by a kill, or is no progress, tells nothing and harms nothing.
    try:
        given: dict[str, Any] = json.loads(line)
        return ProgressEvent(
            run=run,
            attempt=run.attempt,
            phase=str(given["phase"])[:40],
            step=int(given["step"]),
            total=int(given["total"]),
            metrics={
                str(key): float(value)
                for key, value in given["metrics"].items()
                if math.isfinite(float(value))
            },
            at=_moment(given["ts"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        log.warning("run %s: a line of its progress cannot be read", run.pk)
        return None


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    return timezone.now() if moment is None or timezone.is_naive(moment) else moment


def _conclude(run: Run, run_dir: Path, reason: str, status: int) -> None:
    """Report how an attempt ended; a replaced one has nothing to say any more."""
    run_id, attempt = run.pk, run.attempt
    try:
        if reason == "replaced":
            log.warning("run %s attempt %s was replaced", run_id, attempt)
        elif not reason and status == 0:
            finished = results.take_in(run_id=run_id, attempt=attempt, run_dir=run_dir)
            results.tidy(finished, run_dir)
        elif reason == "cancelled":
            cancelled = Run.Status.CANCELLED
            finished = dispatch.finish_run(run_id=run_id, attempt=attempt, status=cancelled)
            results.tidy(finished, run_dir)
        elif reason == "stopping":
            dispatch.requeue_run(run_id=run_id, attempt=attempt, ending=Attempt.Ending.STOPPED)
        elif not reason and status == children.LOCKED:
            dispatch.requeue_run(run_id=run_id, attempt=attempt, ending=Attempt.Ending.LOST)
        else:
            _report_failure(run, reason or children.failure(run_dir, status))
    except InvalidTransition:
        log.warning("run %s attempt %s reported too late", run_id, attempt)
    except RuleViolation as refusal:
        _report_failure(run, str(refusal))


def _report_failure(run: Run, sentence: str) -> None:
    try:
        failed = dispatch.finish_run(
            run_id=run.pk, attempt=run.attempt, status=Run.Status.FAILED, error=sentence
        )
    except InvalidTransition:
        log.warning("run %s attempt %s failed too late", run.pk, run.attempt)
    else:
        results.tidy(failed, registry.artifact_path(run.storage_key))


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    if hours and not rest:
        return f"{hours} hour{'s' if hours > 1 else ''}"
    minutes, rest = divmod(seconds, 60)
    if minutes and not rest:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"
