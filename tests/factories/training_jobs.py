"""Factories of training jobs: models with their files, runs, evaluations, releases, turns."""

from datetime import timedelta

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from feedback.models import Dataset
from governance import canonical
from tests.factories.feedback import DatasetFactory
from tests.factories.governance import CommunityFactory, PollFactory, UserFactory
from training_jobs import registry
from training_jobs.manifest import Input, Manifest
from training_jobs.models import Evaluation, Model, Release, Run, Sample, Score, Turn


def store_files(key, files):
    """Write an artefact's files and return its listing and digest."""
    unfinished = registry.artifact_path(f"unfinished/{len(files)}")
    unfinished.mkdir(parents=True)
    for name, text in files.items():
        (unfinished / name).write_text(text)
    listing = canonical.directory_listing(unfinished)
    digest = canonical.listing_digest(listing)
    target = registry.artifact_path(key.format(digest))
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished.rename(target)
    return listing, digest


def frozen_dataset(version, *, purpose="training", pairs=20, **fields):
    """Return a frozen dataset whose (pretended) files are in the storage."""
    shard = "train-00000.parquet" if purpose == "training" else "heldout-00000.parquet"
    content = f"{purpose} {pairs} {Dataset.objects.count()}"
    listing, digest = store_files("datasets/{}", {shard: content})
    return DatasetFactory(
        version=version,
        purpose=purpose,
        pairs=pairs,
        status="frozen",
        frozen_at=timezone.now(),
        listing=listing,
        digest=digest,
        **fields,
    )


class ModelFactory(DjangoModelFactory):
    """A model with files in the storage; without a community it is a base model."""

    class Meta:
        model = Model

    class Params:
        weights = factory.Sequence(lambda n: f"weights {n}")

    community = None
    name = "Tiny"
    revision = factory.Sequence(lambda n: f"revision {n}")
    licence = "Apache-2.0"
    listing = factory.LazyAttribute(
        lambda model: store_files("models/{}", {"model.safetensors": model.weights})[0]
    )
    digest = factory.LazyAttribute(lambda model: canonical.listing_digest(model.listing))


class RunFactory(DjangoModelFactory):
    """A run as it is queued, with a small manifest; give `running=True` for a claimed one."""

    class Meta:
        model = Run
        skip_postgeneration_save = True

    class Params:
        running = factory.Trait(
            status="running",
            attempt=1,
            started_at=factory.LazyFunction(timezone.now),
            lease_until=factory.LazyFunction(lambda: timezone.now() + timedelta(minutes=1)),
        )
        over = factory.Trait(
            status="succeeded", attempt=1, finished_at=factory.LazyFunction(timezone.now)
        )

    community = factory.SubFactory(CommunityFactory)
    recipe = "generate"
    model = factory.SubFactory(ModelFactory)
    queued_by = factory.SubFactory(UserFactory)
    queued_at = factory.LazyFunction(timezone.now)
    manifest = factory.LazyAttribute(
        lambda run: Manifest(
            recipe=run.recipe,
            seed=0,
            code_revision="test",
            packages={},
            inputs={"model": Input(digest=run.model.digest, name=str(run.model))},
            options={},
        ).to_dict()
    )
    manifest_digest = factory.LazyAttribute(lambda run: canonical.digest(run.manifest))

    @factory.post_generation
    def attempts(self, *_args, **_kwargs):
        if self.attempt:
            self.attempts.create(number=self.attempt, worker="w", started_at=timezone.now())


class EvaluationFactory(DjangoModelFactory):
    """An evaluation of a trained model; give `run__community`."""

    class Meta:
        model = Evaluation

    run = factory.SubFactory(RunFactory, recipe="evaluate", over=True)
    model = factory.LazyAttribute(
        lambda evaluation: ModelFactory(community=evaluation.run.community)
    )
    baseline = factory.LazyAttribute(lambda evaluation: evaluation.run.model)
    suite_name = "Suite"
    suite_digest = "5" * 64


class ScoreFactory(DjangoModelFactory):
    class Meta:
        model = Score

    evaluation = factory.SubFactory(EvaluationFactory)
    metric = "heldout_accuracy"
    side = "after"
    n = 40
    value = 0.75
    low = 0.6
    high = 0.86
    method = "Wilson 95 % interval"


def scored(evaluation, *, low=0.1, over_refusal=0.25):
    """Give an evaluation the scores that the gate looks at, and their like."""
    for side, value in (("before", 0.5), ("after", 0.75)):
        ScoreFactory(evaluation=evaluation, side=side, value=value)
    ScoreFactory(evaluation=evaluation, side="difference", value=0.25, low=low, high=0.4)
    for side, value in (("before", 0.0), ("after", over_refusal)):
        ScoreFactory(evaluation=evaluation, metric="over_refusal_rate", side=side, value=value)
    ScoreFactory(evaluation=evaluation, metric="adherence", principle_key="careful", value=0.5)
    return evaluation


class SampleFactory(DjangoModelFactory):
    class Meta:
        model = Sample

    evaluation = factory.SubFactory(EvaluationFactory)
    prompt = "What is a library?"
    before = "A place."
    after = "A place with books."
    after_first = True


class ReleaseFactory(DjangoModelFactory):
    """A proposed release; give `evaluation__run__community`, and `released=True` once it passed."""

    class Meta:
        model = Release

    class Params:
        released = factory.Trait(status="released", released_at=factory.LazyFunction(timezone.now))

    evaluation = factory.SubFactory(EvaluationFactory)
    model = factory.LazyAttribute(lambda release: release.evaluation.model)
    poll = factory.SubFactory(
        PollFactory,
        open=True,
        kind="release",
        community=factory.SelfAttribute("..evaluation.run.community"),
    )
    gate = factory.LazyFunction(lambda: {"holds": True, "conditions": []})


class TurnFactory(DjangoModelFactory):
    """A question in the playground; give `release`."""

    class Meta:
        model = Turn

    release = factory.SubFactory(ReleaseFactory, released=True)
    user = factory.SubFactory(UserFactory)
    run = factory.SubFactory(
        RunFactory,
        recipe="chat",
        community=factory.SelfAttribute("..release.evaluation.run.community"),
        model=factory.SelfAttribute("..release.model"),
    )
    question = "What is a library?"
    asked_at = factory.LazyFunction(timezone.now)
