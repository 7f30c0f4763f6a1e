"""Real recipes on a tiny random model, started as the compute worker starts them."""

import os
import signal
import time
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from feedback.models import Response
from governance import canonical
from tests.factories.feedback import PromptFactory
from tests.factories.training_jobs import ModelFactory, ReleaseFactory, frozen_dataset
from tests.recipes.conftest import pair_row, tiny_model
from training_jobs import children, dispatch, launching, playground, registry
from training_jobs.models import Evaluation, Model, Run

__all__ = ["tiny_model"]


@pytest.fixture
def base(db, tiny_model):
    """Return the tiny model as the base model of the registry."""
    listing = canonical.directory_listing(tiny_model)
    target = registry.artifact_path(f"models/{canonical.listing_digest(listing)}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(tiny_model)
    return ModelFactory(listing=listing)


@pytest.fixture
def training(version):
    return real_pairs(frozen_dataset(version), "train")


@pytest.fixture
def heldout(version):
    return real_pairs(frozen_dataset(version, purpose="evaluation"), "heldout")


def real_pairs(dataset, shards):
    """Put real pairs in the place of the factory's pretended ones."""
    directory = registry.artifact_path(dataset.storage_key)
    rows = [pair_row(number) for number in range(8)]
    pq.write_table(pa.Table.from_pylist(rows), directory / f"{shards}-00000.parquet")
    dataset.listing = canonical.directory_listing(directory)
    dataset.digest = canonical.listing_digest(dataset.listing)
    directory.rename(registry.artifact_path(dataset.storage_key))
    dataset.save()
    return dataset


def done(run):
    """Do a queued run to its end."""
    launching.launch(dispatch.claim_run(run_id=run.pk), tick=0.1)
    run.refresh_from_db()
    return run


def test_a_training_that_was_killed_is_resumed_and_registered(
    community, steward, version, training, base
):
    run = dispatch.queue_training(
        community_id=community.pk,
        actor=steward,
        version_id=version.pk,
        dataset_id=training.pk,
        options={"steps": 120, "checkpoint_every": 5, "threads": 1, "precision": "fp32"},
    )
    claimed = dispatch.claim_run(run_id=run.pk)
    run_dir = registry.artifact_path(run.storage_key)

    def kill_once_checkpointed(command=children.command):
        launching.prepare(claimed, run_dir)
        child = children.start(command(run.recipe, run_dir), run_dir)
        while not (run_dir / "checkpoint.pt").exists():
            assert child.poll() is None, children.log_tail(run_dir)
            time.sleep(0.01)
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()

    kill_once_checkpointed()
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    dispatch.sweep_runs()
    finished = done(run)

    assert finished.status == Run.Status.SUCCEEDED, finished.error
    assert [attempt.ending for attempt in run.attempts.all()] == ["lost", "succeeded"]
    trained = run.progress.filter(phase="training")
    assert trained.order_by("pk").first().step > 5
    assert trained.order_by("pk").last().step == 120
    model = finished.produced
    assert list(model.parents.all()) == [base]
    stored = registry.artifact_path(model.storage_key)
    assert canonical.directory_digest(stored) == model.digest
    assert not (run_dir / "checkpoint.pt").exists()


def test_generation_evaluation_and_chat_are_taken_in(
    community, steward, trained, heldout, version, base
):
    PromptFactory(community=community)
    quick = {"threads": 1, "precision": "fp32"}
    listing = base.listing
    Model.objects.filter(pk=trained.pk).update(
        listing=listing, digest=canonical.listing_digest(listing), version=version
    )

    generated = done(
        dispatch.queue_generation(
            community_id=community.pk, actor=steward, options={**quick, "max_new_tokens": 4}
        )
    )
    measured = done(
        dispatch.queue_evaluation(
            community_id=community.pk,
            actor=steward,
            model_id=trained.pk,
            heldout_id=heldout.pk,
            options={**quick, "max_new_tokens": 2, "samples": 3},
        )
    )
    ReleaseFactory(evaluation=measured.evaluation, model=trained, released=True)
    turn = playground.ask(community_id=community.pk, actor=steward, question="A library?")
    answered = done(turn.run)

    assert generated.error == measured.error == answered.error == ""
    assert Response.objects.count() == 2
    evaluation = Evaluation.objects.get()
    difference = evaluation.scores.get(metric="heldout_accuracy", side="difference")
    assert (difference.n, difference.value) == (8, 0)
    assert evaluation.samples.count() == 3
    turn.refresh_from_db()
    assert turn.answer
