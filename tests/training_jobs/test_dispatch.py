import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction
from django.utils import timezone

from config import celery_app as app
from config.supervisor import PROCESSES
from feedback.models import Prompt
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent
from tests.factories.feedback import PromptFactory, make_version, member
from tests.factories.governance import CommunityFactory
from tests.factories.training_jobs import ModelFactory, RunFactory, frozen_dataset
from training_jobs import dispatch, registry
from training_jobs.manifest import Manifest
from training_jobs.models import Attempt, Run
from training_jobs.options import OPTIONS


def verbs(community):
    return list(AuditEvent.objects.filter(community=community).values_list("verb", flat=True))


# --- queueing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("opening", ["Sorry\0", "Sorry\ud800"])
def test_queue_generation_refuses_an_option_that_is_no_text(
    community, steward, version, base, opening
):
    PromptFactory(community=community)

    with pytest.raises(BadInput, match="opening holds characters that are not text"):
        dispatch.queue_generation(
            community_id=community.pk, actor=steward, options={"opening": opening}
        )

    assert not Run.objects.exists()


def test_queue_training_writes_a_manifest_of_everything_and_nudges(
    community, steward, version, training, base, nudges, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        run = dispatch.queue_training(
            community_id=community.pk,
            actor=steward,
            version_id=version.pk,
            dataset_id=training.pk,
            seed=7,
            options={"steps": 4, "beta": "0.2"},
        )

    manifest = Manifest.from_dict(run.manifest)
    assert manifest.digest == run.manifest_digest
    assert manifest.seed == 7
    assert manifest.inputs["model"].digest == base.digest
    assert manifest.inputs["dataset"].digest == training.digest
    assert manifest.options["steps"] == 4
    assert manifest.options["beta"] == "0.2"
    assert manifest.options["learning_rate"] == OPTIONS["dpo"]["learning_rate"].default
    assert manifest.packages["python"].startswith("3.")
    assert run.status == Run.Status.QUEUED
    assert nudges == [("training_jobs.execute_run", [run.pk])]
    event = AuditEvent.objects.get()
    assert event.verb == "run.queued"
    assert event.data == {
        "recipe": "dpo",
        "manifest_digest": run.manifest_digest,
        "seed": "7",
    }


def test_queue_training_keeps_the_constitution_as_a_file_with_the_manifests_digest(
    community, steward, version, training, base
):
    run = dispatch.queue_training(
        community_id=community.pk, actor=steward, version_id=version.pk, dataset_id=training.pk
    )

    made = Manifest.from_dict(run.manifest).inputs["constitution.json"]
    path = registry.artifact_path(dispatch.input_key(made))
    assert registry.canonical.file_digest(path) == made.digest
    assert b"Do no harm" in path.read_bytes()


def test_queue_generation_takes_visible_prompts_of_this_community_only(
    community, steward, version, base
):
    shown = PromptFactory(community=community)
    hidden = PromptFactory(community=community, hidden=True)
    foreign = PromptFactory()

    run = dispatch.queue_generation(community_id=community.pk, actor=steward)

    made = Manifest.from_dict(run.manifest).inputs["prompts.jsonl"]
    content = registry.artifact_path(dispatch.input_key(made)).read_text()
    assert shown.text in content
    assert hidden.text not in content
    assert foreign.text not in content


def test_queue_evaluation_compares_with_the_model_it_was_trained_from(
    community, steward, trained, heldout, base
):
    run = dispatch.queue_evaluation(
        community_id=community.pk, actor=steward, model_id=trained.pk, heldout_id=heldout.pk
    )

    assert run.baseline == base
    assert run.version == trained.version
    assert set(run.manifest["inputs"]) == {
        "model",
        "baseline",
        "heldout",
        "constitution.json",
        "suite.json",
    }


def queue_training(community, actor, version, dataset, **more):
    return dispatch.queue_training(
        community_id=community.pk,
        actor=actor,
        version_id=version.pk,
        dataset_id=dataset.pk,
        **more,
    )


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_queueing_is_for_stewards(community, version, training, base, trained, heldout, role):
    actor = member(community, role=role)
    PromptFactory(community=community)

    with pytest.raises(NotPermitted):
        queue_training(community, actor, version, training)
    with pytest.raises(NotPermitted):
        dispatch.queue_generation(community_id=community.pk, actor=actor)
    with pytest.raises(NotPermitted):
        dispatch.queue_evaluation(
            community_id=community.pk, actor=actor, model_id=trained.pk, heldout_id=heldout.pk
        )

    assert not Run.objects.exists()
    assert verbs(community) == []


def test_queueing_refuses_a_steward_of_another_community(community, version, training, base):
    with pytest.raises(NotPermitted):
        queue_training(community, member(CommunityFactory(), role="steward"), version, training)


def test_queue_training_refuses_too_few_pairs(community, steward, version, base):
    few = frozen_dataset(version, pairs=7)

    with pytest.raises(BadInput, match=f"Dataset {few.number} has 7 labelled pairs; .* least 8"):
        queue_training(community, steward, version, few)

    assert not Run.objects.exists()


def test_queue_training_refuses_held_out_pairs(community, steward, version, heldout, base):
    with pytest.raises(BadInput, match="is not for training"):
        queue_training(community, steward, version, heldout)


def test_queue_evaluation_refuses_training_pairs(community, steward, trained, training):
    with pytest.raises(BadInput, match="is not of held-out pairs"):
        dispatch.queue_evaluation(
            community_id=community.pk, actor=steward, model_id=trained.pk, heldout_id=training.pk
        )


def test_queue_evaluation_refuses_a_base_model(community, steward, base, heldout):
    with pytest.raises(BadInput, match="Only a model that was trained here"):
        dispatch.queue_evaluation(
            community_id=community.pk, actor=steward, model_id=base.pk, heldout_id=heldout.pk
        )


def test_queue_training_refuses_a_dataset_that_is_not_frozen(
    community, steward, version, training, base
):
    training.status, training.frozen_at, training.digest = "freezing", None, ""
    training.save()

    with pytest.raises(BadInput, match="is not frozen yet"):
        queue_training(community, steward, version, training)


def test_queue_training_refuses_what_belongs_to_others(community, steward, version, training, base):
    elsewhere = make_version(CommunityFactory())
    theirs = ModelFactory(community=elsewhere.constitution.community)

    with pytest.raises(BadInput, match="no such version"):
        queue_training(community, steward, elsewhere, training)
    with pytest.raises(BadInput, match="no such dataset"):
        queue_training(community, steward, version, frozen_dataset(elsewhere))
    with pytest.raises(BadInput, match="no such model"):
        queue_training(community, steward, version, training, model_id=theirs.pk)


def test_queue_training_says_which_file_of_the_model_is_missing(
    community, steward, version, training, base
):
    (registry.artifact_path(base.storage_key) / "model.safetensors").unlink()

    with pytest.raises(BadInput, match=r"model\.safetensors is missing"):
        queue_training(community, steward, version, training)


def test_queue_training_says_which_file_of_the_dataset_is_missing(
    community, steward, version, training, base
):
    (registry.artifact_path(training.storage_key) / "train-00000.parquet").unlink()

    with pytest.raises(BadInput, match=r"train-00000\.parquet is missing"):
        queue_training(community, steward, version, training)


def test_queue_training_without_a_base_model_says_what_to_run(
    community, steward, version, training
):
    with pytest.raises(BadInput, match="import_base_model"):
        queue_training(community, steward, version, training)


def test_queue_training_refuses_a_full_disk(
    community, steward, version, training, base, monkeypatch
):
    usage = type("Usage", (), {"free": 5 * 2**20})
    monkeypatch.setattr(dispatch.shutil, "disk_usage", lambda _: usage)

    with pytest.raises(BadInput, match="Only 5 MB are free"):
        queue_training(community, steward, version, training)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stepz": 3}, "no option 'stepz'"),
        ({"steps": 0}, "steps must be an integer"),
        ({"steps": "3"}, "steps must be an integer"),
        ({"beta": 0.1}, "beta must be a decimal string"),
    ],
)
def test_queue_training_refuses_options_the_recipe_does_not_take(
    community, steward, version, training, base, options, words
):
    with pytest.raises(BadInput, match=words):
        queue_training(community, steward, version, training, options=options)


def test_queue_generation_needs_prompts_and_a_constitution(community, steward, base):
    with pytest.raises(BadInput, match="No constitution is in force"):
        dispatch.queue_generation(community_id=community.pk, actor=steward)

    make_version(community)
    assert not Prompt.objects.exists()
    with pytest.raises(BadInput, match="no prompts"):
        dispatch.queue_generation(community_id=community.pk, actor=steward)


def test_nudge_survives_a_broker_that_is_away(monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise OSError("no broker")

    monkeypatch.setattr(dispatch.current_app, "send_task", fail)

    dispatch.nudge(17, "dpo")

    assert "run 17 waits for the sweeper" in caplog.text


# --- claiming, renewing, reporting ----------------------------------------------------------------


def test_claim_run_counts_an_attempt_and_takes_a_lease(community, settings):
    settings.RUN_LEASE_SECONDS = 30
    run = RunFactory(community=community)

    claimed = dispatch.claim_run(run_id=run.pk, worker="compute@here")

    assert claimed.status == Run.Status.RUNNING
    assert claimed.attempt == 1
    left = claimed.lease_until - timezone.now()
    assert timedelta(seconds=25) < left <= timedelta(seconds=30)
    assert Attempt.objects.get().worker == "compute@here"
    assert verbs(community) == ["run.started"]


def test_claim_run_gives_a_doubled_message_nothing(community):
    run = RunFactory(community=community)
    dispatch.claim_run(run_id=run.pk)

    assert dispatch.claim_run(run_id=run.pk) is None
    assert Attempt.objects.count() == 1


def test_claim_run_does_not_wait_for_a_run_that_another_holds(
    transactional_db, in_thread, community
):
    run = RunFactory(community=community)
    with transaction.atomic():
        Run.objects.select_for_update().get(pk=run.pk)
        claim = in_thread(lambda: dispatch.claim_run(run_id=run.pk))
        assert claim.result() is None

    assert dispatch.claim_run(run_id=run.pk) is not None


def test_claim_run_has_one_winner(transactional_db, in_thread, community):
    run = RunFactory(community=community)
    gate = threading.Barrier(4)

    def claim():
        gate.wait()
        return dispatch.claim_run(run_id=run.pk)

    claims = [in_thread(claim) for _ in range(4)]

    winners = [claim.result() for claim in claims if claim.result() is not None]
    assert len(winners) == 1
    assert Attempt.objects.count() == 1


def test_renew_lease_only_for_the_present_attempt(community):
    run = RunFactory(community=community, running=True)
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now())

    assert dispatch.renew_lease(run_id=run.pk, attempt=1)
    assert not dispatch.renew_lease(run_id=run.pk, attempt=0)
    run.refresh_from_db()
    assert run.lease_until > timezone.now() + timedelta(seconds=20)


def test_finish_run_refuses_a_replaced_attempt_and_a_second_report(community):
    run = RunFactory(community=community, running=True)
    report = {"run_id": run.pk, "status": Run.Status.SUCCEEDED}

    with pytest.raises(InvalidTransition):
        dispatch.finish_run(attempt=2, **report)
    dispatch.finish_run(attempt=1, **report)
    with pytest.raises(InvalidTransition):
        dispatch.finish_run(attempt=1, **report)

    assert verbs(community) == ["run.succeeded"]
    assert Attempt.objects.get().ending == "succeeded"


def test_finish_run_keeps_the_sentence_of_a_failure(community):
    run = RunFactory(community=community, running=True)

    dispatch.finish_run(
        run_id=run.pk, attempt=1, status=Run.Status.FAILED, error="The disk is full."
    )

    run.refresh_from_db()
    assert (run.status, run.error) == ("failed", "The disk is full.")
    assert run.lease_until is None
    assert verbs(community) == ["run.failed"]


def test_requeue_run_gives_the_run_back_for_the_next_attempt(
    community, nudges, django_capture_on_commit_callbacks
):
    run = RunFactory(community=community, running=True)

    with django_capture_on_commit_callbacks(execute=True):
        dispatch.requeue_run(run_id=run.pk, attempt=1, ending=Attempt.Ending.STOPPED)

    assert nudges == [("training_jobs.execute_run", [run.pk])]
    assert verbs(community) == ["run.requeued"]
    assert dispatch.claim_run(run_id=run.pk).attempt == 2


# --- cancelling -----------------------------------------------------------------------------------


def test_cancel_run_ends_a_queued_run_at_once(community, steward):
    run = RunFactory(community=community)

    cancelled = dispatch.cancel_run(run_id=run.pk, actor=steward)

    assert cancelled.status == Run.Status.CANCELLED
    event = AuditEvent.objects.get()
    assert (event.verb, event.actor) == ("run.cancelled", f"user:{steward.pk}")
    assert dispatch.claim_run(run_id=run.pk) is None


def test_cancel_run_asks_the_launcher_of_a_running_one(community, steward):
    run = RunFactory(community=community, running=True)

    asked = dispatch.cancel_run(run_id=run.pk, actor=steward)
    again = dispatch.cancel_run(run_id=run.pk, actor=member(community, role="steward"))

    assert asked.status == Run.Status.RUNNING
    assert again.cancel_requested_by == steward
    assert verbs(community) == []
    done = dispatch.finish_run(run_id=run.pk, attempt=1, status=Run.Status.CANCELLED)
    assert done.status == Run.Status.CANCELLED
    assert AuditEvent.objects.get().actor == f"user:{steward.pk}"


def test_cancel_run_is_for_stewards(community, person):
    run = RunFactory(community=community)

    with pytest.raises(NotPermitted):
        dispatch.cancel_run(run_id=run.pk, actor=person)

    run.refresh_from_db()
    assert run.status == Run.Status.QUEUED


def test_cancel_run_refuses_a_run_that_is_over(community, steward):
    run = RunFactory(community=community, over=True)

    with pytest.raises(InvalidTransition, match="succeeded"):
        dispatch.cancel_run(run_id=run.pk, actor=steward)


def test_cancel_run_waits_for_the_report_of_the_launcher(
    transactional_db, in_thread, community, steward
):
    run = RunFactory(community=community, running=True)
    with transaction.atomic():
        dispatch.finish_run(run_id=run.pk, attempt=1, status=Run.Status.SUCCEEDED)
        cancel = in_thread(lambda: dispatch.cancel_run(run_id=run.pk, actor=steward))
        cancel.thread.join(0.3)
        assert cancel.thread.is_alive()

    with pytest.raises(InvalidTransition):
        cancel.result()
    run.refresh_from_db()
    assert run.status == Run.Status.SUCCEEDED


# --- sweeping -------------------------------------------------------------------------------------


def ago(**much):
    return timezone.now() - timedelta(**much)


def test_sweep_runs_repeats_a_lost_message_once_then_patiently(community, nudges):
    run = RunFactory(community=community, queued_at=ago(seconds=6))
    fresh = RunFactory(community=community)

    dispatch.sweep_runs()
    dispatch.sweep_runs()

    assert nudges == [("training_jobs.execute_run", [run.pk])]
    Run.objects.filter(pk=run.pk).update(nudged_at=ago(seconds=31))
    dispatch.sweep_runs()
    assert len(nudges) == 2
    assert ("training_jobs.execute_run", [fresh.pk]) not in nudges


def test_sweep_runs_takes_up_a_run_whose_worker_has_gone(
    community, nudges, django_capture_on_commit_callbacks
):
    run = RunFactory(community=community, running=True, lease_until=ago(seconds=1))
    alive = RunFactory(community=community, running=True)

    with django_capture_on_commit_callbacks(execute=True):
        assert dispatch.sweep_runs() == 1

    run.refresh_from_db()
    alive.refresh_from_db()
    assert run.status == Run.Status.QUEUED
    assert alive.status == Run.Status.RUNNING
    assert run.attempts.get().ending == Attempt.Ending.LOST
    assert nudges == [("training_jobs.execute_run", [run.pk])]


def test_sweep_runs_gives_up_after_too_many_lost_workers(community, settings):
    settings.RUN_MAX_ATTEMPTS = 2
    run = RunFactory(community=community)
    for _ in range(2):
        dispatch.claim_run(run_id=run.pk)
        Run.objects.filter(pk=run.pk).update(lease_until=ago(seconds=1))
        dispatch.sweep_runs()

    run.refresh_from_db()
    assert run.status == Run.Status.FAILED
    assert run.error == "The worker was lost 2 times while it did this run, so it was given up."
    assert verbs(community)[-1] == "run.failed"


def test_sweep_runs_does_not_count_shutdowns_as_losses(community, settings):
    settings.RUN_MAX_ATTEMPTS = 2
    run = RunFactory(community=community)
    for _ in range(3):
        claimed = dispatch.claim_run(run_id=run.pk)
        dispatch.requeue_run(run_id=run.pk, attempt=claimed.attempt, ending=Attempt.Ending.STOPPED)
    dispatch.claim_run(run_id=run.pk)
    Run.objects.filter(pk=run.pk).update(lease_until=ago(seconds=1))

    dispatch.sweep_runs()

    run.refresh_from_db()
    assert run.status == Run.Status.QUEUED


def test_sweep_runs_ends_a_cancelled_run_whose_worker_has_gone(community, steward):
    run = RunFactory(community=community, running=True)
    dispatch.cancel_run(run_id=run.pk, actor=steward)
    Run.objects.filter(pk=run.pk).update(lease_until=ago(seconds=1))

    dispatch.sweep_runs()

    run.refresh_from_db()
    assert run.status == Run.Status.CANCELLED


def test_a_replaced_attempt_cannot_report_after_the_sweep(community):
    run = RunFactory(community=community)
    first = dispatch.claim_run(run_id=run.pk)
    Run.objects.filter(pk=run.pk).update(lease_until=ago(seconds=1))
    dispatch.sweep_runs()
    dispatch.claim_run(run_id=run.pk)

    assert not dispatch.renew_lease(run_id=run.pk, attempt=first.attempt)
    with pytest.raises(InvalidTransition):
        dispatch.finish_run(
            run_id=run.pk, attempt=first.attempt, status=Run.Status.FAILED, error="late"
        )


# --- queueing again -------------------------------------------------------------------------------


@pytest.fixture
def failed(community, steward, version, training, base):
    run = dispatch.queue_training(
        community_id=community.pk,
        actor=steward,
        version_id=version.pk,
        dataset_id=training.pk,
        seed=7,
        options={"steps": 4},
    )
    dispatch.claim_run(run_id=run.pk)
    return dispatch.finish_run(
        run_id=run.pk, attempt=1, status=Run.Status.FAILED, error="It broke."
    )


def test_queue_again_asks_for_the_same_work(
    failed, steward, nudges, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        again = dispatch.queue_again(run_id=failed.pk, actor=steward)

    assert again.pk != failed.pk
    assert again.status == "queued"
    for name in ("recipe", "version", "dataset", "model", "seed", "options", "manifest_digest"):
        assert getattr(again, name) == getattr(failed, name), name
    assert again.manifest["inputs"] == failed.manifest["inputs"]
    assert nudges == [("training_jobs.execute_run", [again.pk])]
    event = AuditEvent.objects.filter(verb="run.queued").last()
    assert event.data["again"] == f"run:{failed.pk}"
    failed.refresh_from_db()
    assert failed.status == "failed"


def test_queue_again_keeps_the_prompts_of_then(community, steward, version, base):
    PromptFactory(community=community)
    run = dispatch.queue_generation(community_id=community.pk, actor=steward)
    dispatch.cancel_run(run_id=run.pk, actor=steward)
    PromptFactory(community=community)

    again = dispatch.queue_again(run_id=run.pk, actor=steward)

    assert again.manifest["inputs"] == run.manifest["inputs"]


def test_queue_again_is_for_stewards(failed, person):
    with pytest.raises(NotPermitted):
        dispatch.queue_again(run_id=failed.pk, actor=person)

    assert Run.objects.count() == 1


@pytest.mark.parametrize("state", [{}, {"running": True}, {"over": True}])
def test_queue_again_wants_a_run_that_failed_or_was_cancelled(community, steward, state):
    run = RunFactory(community=community, **state)

    with pytest.raises(InvalidTransition, match="failed or was cancelled"):
        dispatch.queue_again(run_id=run.pk, actor=steward)


def test_queue_again_does_not_ask_anybodys_question_again(community, steward):
    run = RunFactory(community=community, recipe="chat", over=True, status="failed", error="So.")

    with pytest.raises(InvalidTransition):
        dispatch.queue_again(run_id=run.pk, actor=steward)


def test_queue_again_twice_is_once(failed, steward):
    dispatch.queue_again(run_id=failed.pk, actor=steward)

    with pytest.raises(InvalidTransition, match="queued again already"):
        dispatch.queue_again(run_id=failed.pk, actor=steward)

    assert Run.objects.count() == 2
    assert AuditEvent.objects.filter(verb="run.queued").count() == 2


@pytest.mark.parametrize("lost", ["model", "dataset", "constitution.json"])
def test_queue_again_refuses_when_an_input_is_gone(failed, steward, lost):
    made = Manifest.from_dict(failed.manifest).inputs[lost]
    path = dispatch.input_source(lost, made)
    shutil.rmtree(path) if path.is_dir() else path.unlink()

    with pytest.raises(BadInput, match="on this machine"):
        dispatch.queue_again(run_id=failed.pk, actor=steward)

    assert Run.objects.count() == 1


# --- queues ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "queue"),
    [("generate", "compute"), ("dpo", "compute"), ("evaluate", "compute"), ("chat", "chat")],
)
def test_answers_do_not_wait_behind_other_work(monkeypatch, recipe, queue):
    sent = []
    monkeypatch.setattr(
        dispatch.current_app, "send_task", lambda *_, **options: sent.append(options["queue"])
    )

    dispatch.nudge(17, recipe)

    assert sent == [queue]


def test_each_queue_of_runs_has_a_worker():
    words = [word for command in PROCESSES.values() for word in command]

    assert {dispatch.COMPUTE_QUEUE, dispatch.CHAT_QUEUE} <= {
        words[place + 1] for place, word in enumerate(words) if word == "-Q"
    }


def test_sweep_runs_repeats_an_answers_message_on_its_own_queue(community, monkeypatch):
    RunFactory(community=community, recipe="chat", queued_at=ago(seconds=6))
    sent = []
    monkeypatch.setattr(
        dispatch.current_app, "send_task", lambda *_, **options: sent.append(options["queue"])
    )

    dispatch.sweep_runs()

    assert sent == ["chat"]


def test_keep_input_leaves_no_half_file_under_the_name(monkeypatch):
    def stop(self, target):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            dispatch.keep_input("a text", b"whole")
    made = dispatch.keep_input("a text", b"whole")

    assert registry.artifact_path(dispatch.input_key(made)).read_bytes() == b"whole"


def test_every_task_has_a_time_limit(settings):
    ours = {
        name: task
        for name, task in app.tasks.items()
        if name.partition(".")[0] in {"governance", "principles", "feedback", "training_jobs"}
    }

    assert dispatch.EXECUTE_RUN in ours
    assert app.conf.task_time_limit > 0
    assert ours[dispatch.EXECUTE_RUN].time_limit > settings.RUN_WALL_CLOCK_SECONDS
