"""Process handling, with stand-ins for recipes: small scripts that keep the same contract."""

import json
import os
import signal
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone

from tests.factories.training_jobs import RunFactory, TurnFactory
from training_jobs import children, dispatch, launching, registry, tasks
from training_jobs.models import Attempt, ProgressEvent, Run

PREAMBLE = """
import json, os, pathlib, signal, subprocess, sys, time
run = pathlib.Path(sys.argv[1])
manifest = json.loads((run / "manifest.json").read_text())
import hashlib
digest = hashlib.sha256((run / "manifest.json").read_bytes()).hexdigest()
def progress(step, total=3, **metrics):
    line = {"step": step, "total": total, "phase": "working", "metrics": metrics,
            "ts": "2026-01-01T00:00:00.000+00:00"}
    with (run / "progress.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\\n")
def result(**more):
    (run / "responses.jsonl").write_text("")
    (run / "result.json").write_text(json.dumps({"recipe": manifest["recipe"],
        "manifest_digest": digest, "model_digest": manifest["inputs"]["model"]["digest"],
        "responses": 0, **more}))
"""


def script(body):
    """Return a command that runs `body` in place of a recipe."""
    code = PREAMBLE + textwrap.dedent(body)
    return lambda _, run_dir: [sys.executable, "-S", "-c", code, str(run_dir)]


@pytest.fixture
def run(community, version):
    return RunFactory(community=community)


@pytest.fixture
def go(run):
    """Claim the run and launch a script in place of its recipe."""

    def launch(body, **more):
        claimed = dispatch.claim_run(run_id=run.pk)
        launching.launch(claimed, command=script(body), tick=0.05, **more)
        run.refresh_from_db()
        return run

    return launch


def directory(run):
    return registry.artifact_path(run.storage_key)


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_launch_reads_progress_and_takes_the_result_in(go):
    run = go("progress(1, loss=0.7); progress(3, loss=0.5); print('hello'); result()")

    assert run.status == Run.Status.SUCCEEDED
    assert (run.step, run.total) == (3, 3)
    assert [event.metrics for event in run.progress.all()] == [{"loss": 0.7}, {"loss": 0.5}]
    assert children.log_tail(directory(run)) == ["hello"]
    assert run.attempts.get().ending == Attempt.Ending.SUCCEEDED


def test_launch_lays_out_manifest_and_inputs(go):
    run = go("(run / 'seen').write_text(str(sorted(os.listdir(run / 'inputs')))); result()")

    path = directory(run)
    assert registry.canonical.file_digest(path / "manifest.json") == run.manifest_digest
    assert (path / "seen").read_text() == "['model']"
    assert (path / "inputs/model/model.safetensors").is_file()


def test_the_child_knows_no_secrets(go, monkeypatch):
    for name in ("DATABASE_URL", "SECRET_KEY", "CELERY_BROKER_URL", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.setenv(name, "a-secret")

    run = go("(run / 'seen').write_text(json.dumps(dict(os.environ))); result()")

    seen = json.loads((directory(run) / "seen").read_text())
    assert "a-secret" not in seen.values()
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert seen["OMP_WAIT_POLICY"] == "PASSIVE"
    assert seen["TOKENIZERS_PARALLELISM"] == "false"
    assert {"PATH", "LANG"} <= seen.keys()


def test_the_child_leads_a_session_of_its_own(go):
    run = go("(run / 'seen').write_text(str(os.getsid(0) == os.getpid())); result()")

    assert (directory(run) / "seen").read_text() == "True"


def test_launch_fails_a_run_with_the_recipes_own_sentence(go):
    run = go("(run / 'error.json').write_text('{\"sentence\": \"The dog ate it.\"}'); sys.exit(1)")

    assert (run.status, run.error) == ("failed", "The dog ate it.")


def test_numbers_that_are_none_are_left_out_of_the_curves(go):
    run = go("progress(1, loss=float('nan'), accuracy=0.5, margin=float('inf')); result()")

    assert run.status == "succeeded"
    assert run.progress.get().metrics == {"accuracy": 0.5}


def test_a_result_with_a_number_that_is_none_fails_the_run(go):
    run = go("result(seconds=float('nan'))")

    assert (run.status, run.error) == ("failed", "The recipe left no result that can be read.")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("No file /srv/moot/var/runs/3/x.bin was found.", "No file …/x.bin was found."),
        ("open('/srv/moot/x.bin') failed", "open('…/x.bin') failed"),
        ("Nothing in it and/or beside it fits 1/2.", "Nothing in it and/or beside it fits 1/2."),
    ],
)
def test_failure_names_no_place_on_this_machine(tmp_path, said, told):
    (tmp_path / "error.json").write_text(json.dumps({"sentence": said}))

    assert children.failure(tmp_path, 1) == told


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("sys.exit(3)", "The recipe ended with exit status 3; its log may say why."),
        ("pass", "The recipe left no result that can be read."),
        ("import torch", "The compute worker's packages are not installed (No module named "),
        ("os.kill(os.getpid(), 9)", "The work was killed from outside; most often the machine"),
        ("os.kill(os.getpid(), 15)", "The work was ended from outside, by signal 15."),
        ("(run / 'result.json').write_text('{')", "The recipe left no result that can be read."),
        ("result(manifest_digest='0')", "The result belongs to another manifest."),
    ],
)
def test_launch_says_how_a_recipe_ended_without_a_result(go, body, sentence):
    run = go(body)

    assert run.status == Run.Status.FAILED
    assert run.error.startswith(sentence)


def test_launch_does_not_choke_on_torn_progress(go):
    run = go("""
        (run / "progress.jsonl").write_text('{"step": 1, "tot\\n[]\\n{"step": "x"}\\n')
        progress(2)
        result()
    """)

    assert run.status == Run.Status.SUCCEEDED
    assert [event.step for event in run.progress.all()] == [2]


FAMILY = """
    child = subprocess.Popen([sys.executable, "-S", "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"])
    time.sleep(0.2)
    (run / "pids").write_text(f"{os.getpid()} {child.pid}")
    progress(1)
    time.sleep(60)
"""


def test_cancel_kills_the_whole_group(go, run, steward, monkeypatch):
    look = launching.Watch.read_progress

    def cancel_at_first_progress(watch):
        look(watch)
        if ProgressEvent.objects.exists() and not watch.run.cancel_requested_by:
            watch.run = dispatch.cancel_run(run_id=run.pk, actor=steward)

    monkeypatch.setattr(launching.Watch, "read_progress", cancel_at_first_progress)
    go(FAMILY)

    assert run.status == Run.Status.CANCELLED
    pids = [int(pid) for pid in (directory(run) / "pids").read_text().split()]
    assert wait_for(lambda: not any(map(is_alive, pids)))


def test_end_kills_what_ignores_to_be_asked(tmp_path):
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "print('up', flush=True); time.sleep(60)"
    )
    child = children.start([sys.executable, "-S", "-c", code], tmp_path)
    assert wait_for(lambda: children.log_tail(tmp_path) == ["up"])

    children.end(child, grace=0.2)

    assert child.returncode == -signal.SIGKILL


def test_launch_ends_a_run_at_its_wall_clock(go, settings):
    settings.RUN_WALL_CLOCK_SECONDS = 0

    run = go("time.sleep(60)")

    assert (run.status, run.error) == ("failed", "The run took longer than 0 seconds.")


def test_launch_ends_a_run_that_makes_no_progress(go, settings):
    settings.RUN_STALL_SECONDS = 0

    run = go("time.sleep(60)")

    assert run.error == "The run made no progress for 0 seconds."


def test_launch_gives_the_run_back_when_the_worker_shuts_down(go):
    run = go("time.sleep(60)", stopping=lambda: True)

    assert run.status == Run.Status.QUEUED
    assert run.attempts.get().ending == Attempt.Ending.STOPPED


def test_launch_leaves_a_run_that_was_given_to_another(go, run, settings):
    settings.RUN_LEASE_SECONDS = 0

    def replaced():
        Run.objects.filter(pk=run.pk).update(attempt=2)
        return False

    go("time.sleep(60)", stopping=replaced)

    assert run.status == Run.Status.RUNNING
    assert run.attempt == 2


def test_launch_renews_its_lease(go, run, settings, monkeypatch):
    settings.RUN_LEASE_SECONDS = 0
    renewed = []
    renew = dispatch.renew_lease
    monkeypatch.setattr(dispatch, "renew_lease", lambda **ids: renewed.append(ids) or renew(**ids))

    go("time.sleep(0.4); result()")

    assert run.status == Run.Status.SUCCEEDED
    assert renewed[0] == {"run_id": run.pk, "attempt": 1}


def test_launch_outlives_a_database_that_is_away_for_a_moment(go, run, monkeypatch):
    calls = iter(range(100))
    look = launching.Watch.read_progress

    def stumble(watch):
        if next(calls) < 2:
            raise OperationalError
        look(watch)

    monkeypatch.setattr(launching.Watch, "read_progress", stumble)
    monkeypatch.setattr(launching.connection, "close", lambda: None)

    go("time.sleep(0.5); result()")

    assert run.status == Run.Status.SUCCEEDED


def test_launch_gives_a_locked_directory_to_a_later_attempt(go):
    run = go("sys.exit(75)")

    assert run.status == Run.Status.QUEUED
    assert run.attempts.get().ending == Attempt.Ending.LOST


def test_the_next_attempt_resumes_what_a_killed_launcher_left(go, run):
    first = dispatch.claim_run(run_id=run.pk)
    launching.prepare(first, directory(run))
    half = "(run / 'checkpoint').write_text('2'); progress(2); time.sleep(60)"
    child = children.start(script(half)(run.recipe, directory(run)), directory(run))
    assert wait_for((directory(run) / "checkpoint").exists)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    dispatch.sweep_runs()

    run = go("""
        assert (run / "checkpoint").read_text() == "2"
        progress(3)
        result()
    """)

    assert run.status == Run.Status.SUCCEEDED
    assert [a.ending for a in run.attempts.all()] == ["lost", "succeeded"]
    assert list(run.progress.values_list("attempt", flat=True))[-1] == 2


def test_an_attempt_after_the_result_was_written_only_takes_it_in(go, run):
    first = dispatch.claim_run(run_id=run.pk)
    launching.prepare(first, directory(run))
    child = children.start(script("result()")(run.recipe, directory(run)), directory(run))
    assert child.wait(10) == 0
    dispatch.requeue_run(run_id=run.pk, attempt=1, ending=Attempt.Ending.LOST)

    assert go("pass").status == Run.Status.SUCCEEDED


def test_a_conversation_leaves_no_files_behind(community, version):
    turn = TurnFactory(release__evaluation__run__community=community)
    turn.run.manifest["inputs"]["messages.json"] = {
        "digest": registry.canonical.text_digest(dispatch.conversation(turn.question).decode()),
        "name": "a question",
    }
    turn.run.manifest_digest = registry.canonical.digest(turn.run.manifest)
    turn.run.save()
    claimed = dispatch.claim_run(run_id=turn.run_id)
    body = """
        said = json.loads((run / "inputs/messages.json").read_text())
        result(text="You asked: " + said[0]["content"])
    """

    launching.launch(claimed, command=script(body), tick=0.05)

    turn.refresh_from_db()
    assert turn.answer == "You asked: What is a library?"
    assert not registry.artifact_path(turn.run.storage_key).exists()


def test_execute_run_does_nothing_with_a_run_that_is_not_to_be_had(run):
    dispatch.claim_run(run_id=run.pk)

    tasks.execute_run(run.pk)
    tasks.execute_run(run.pk + 1)

    assert Attempt.objects.count() == 1


def test_execute_run_marks_a_run_whose_launcher_breaks(run, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(launching, "launch", broken)

    with pytest.raises(ZeroDivisionError):
        tasks.execute_run(run.pk)

    run.refresh_from_db()
    assert run.error == "The run's launcher stopped on an unexpected ZeroDivisionError."


def test_a_shutdown_is_announced_to_the_pool():
    shutdown = tasks._Shutdown()
    assert not shutdown.is_announced()

    shutdown.prepare()
    assert not shutdown.is_announced()
    shutdown.announce()

    assert shutdown.is_announced()
