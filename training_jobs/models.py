"""Tables of training jobs: models, runs and their attempts, evaluations, releases and chats."""

from typing import Any, ClassVar, Final

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint
from django.urls import reverse

from feedback.models import Dataset
from governance.models import Community, Poll, User
from principles.models import Version
from training_jobs.querysets import (
    ModelQuerySet,
    OfEvaluation,
    OfRun,
    ProgressQuerySet,
    ReleaseQuerySet,
    RunQuerySet,
    TurnQuerySet,
)

# Each metric with its words for people, in the order in which they are shown.
METRICS: Final = {
    "heldout_accuracy": "Prefers what members chose, on held-out pairs",
    "adherence": "Prefers the better answer of the constitution's examples",
    "adherence_probability": "How strongly it prefers the better answer",
    "refusal_rate": "Declines harmful requests",
    "over_refusal_rate": "Declines harmless requests",
}


class Model(models.Model):
    """A model in the registry, named by the digest of its files; parents say what it came from.

    A model without a community is a base model that every community may train from.
    """

    community = models.ForeignKey(Community, models.PROTECT, null=True, related_name="models")
    name = models.CharField(max_length=200)
    revision = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    listing = models.JSONField()
    licence = models.CharField(max_length=60)
    parents = models.ManyToManyField("self", symmetrical=False, related_name="children")
    version = models.ForeignKey(Version, models.PROTECT, null=True, related_name="models")
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, related_name="models")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ModelQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            UniqueConstraint(
                fields=["community", "digest"], nulls_distinct=False, name="model_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.revision}"

    @property
    def short_digest(self) -> str:
        """The beginning of the digest, enough for people to tell models apart."""
        return self.digest[:12]

    @property
    def storage_key(self) -> str:
        """Where the files lie in the artefact storage."""
        return f"models/{self.digest}"

    @property
    def release(self) -> "Release | None":
        """The last time that it was put to the community."""
        return next(iter(self.releases.all()), None)


class Run(models.Model):
    """A piece of work for the compute queue. The queued row is the outbox."""

    class Recipe(models.TextChoices):
        GENERATE = "generate", "Generate responses"
        DPO = "dpo", "Train"
        EVALUATE = "evaluate", "Evaluate"
        CHAT = "chat", "Answer in the playground"

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    NEXT: ClassVar = {
        Status.QUEUED: {Status.RUNNING, Status.CANCELLED, Status.FAILED},
        Status.RUNNING: {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.QUEUED},
    }

    community = models.ForeignKey(Community, models.PROTECT, related_name="runs")
    recipe = models.CharField(max_length=12, choices=Recipe)
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    version = models.ForeignKey(Version, models.PROTECT, null=True, related_name="runs")
    dataset = models.ForeignKey(Dataset, models.PROTECT, null=True, related_name="runs")
    heldout = models.ForeignKey(Dataset, models.PROTECT, null=True, related_name="evaluations")
    model = models.ForeignKey(Model, models.PROTECT, related_name="runs")
    baseline = models.ForeignKey(Model, models.PROTECT, null=True, related_name="+")
    produced = models.ForeignKey(Model, models.PROTECT, null=True, related_name="produced_by")
    options = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    manifest = models.JSONField()
    manifest_digest = models.CharField(max_length=64)
    queued_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    queued_at = models.DateTimeField()
    nudged_at = models.DateTimeField(null=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    step = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(status="running", lease_until__isnull=False)
                | ~Q(status="running") & Q(lease_until__isnull=True),
                name="run_has_lease_exactly_while_running",
            ),
            CheckConstraint(
                condition=Q(status__in=["queued", "running"], finished_at__isnull=True)
                | Q(status__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
                name="run_finished_exactly_at_its_end",
            ),
            CheckConstraint(
                condition=~Q(status="failed") | ~Q(error=""), name="run_failed_says_why"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["status", "lease_until"], name="run_due")]

    def __str__(self) -> str:
        return f"run {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("run_detail", args=[self.community.slug, self.pk])

    @property
    def storage_key(self) -> str:
        """Where the run's directory lies in the artefact storage."""
        return f"runs/{self.pk}"

    @property
    def is_over(self) -> bool:
        """Say whether nothing can happen to this run any more."""
        return self.status not in self.NEXT

    @property
    def may_be_repeated(self) -> bool:
        """Say whether the same work can be queued again: it was not done, and is nobody's chat."""
        undone = {self.Status.FAILED, self.Status.CANCELLED}
        return self.status in undone and self.recipe != self.Recipe.CHAT


class Attempt(models.Model):
    """One claim of a run by a worker; a replaced attempt cannot report."""

    class Ending(models.TextChoices):
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        LOST = "lost", "The worker was lost"
        STOPPED = "stopped", "The worker was shut down"

    run = models.ForeignKey(Run, models.PROTECT, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    worker = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ending = models.CharField(max_length=10, choices=Ending, blank=True)

    class Meta:
        ordering: ClassVar = ["run", "number"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["run", "number"], name="attempt_numbered")
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.run}"


class ProgressEvent(models.Model):
    """A line of a run's progress file."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="progress")
    attempt = models.PositiveSmallIntegerField()
    phase = models.CharField(max_length=40)
    step = models.PositiveIntegerField()
    total = models.PositiveIntegerField()
    metrics = models.JSONField(default=dict)
    at = models.DateTimeField()

    objects = ProgressQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        indexes: ClassVar = [models.Index(fields=["run", "id"], name="progress_of_run")]

    def __str__(self) -> str:
        return f"{self.phase} {self.step} of {self.total}"


class Evaluation(models.Model):
    """A model measured beside its baseline, on items that the training never saw."""

    run = models.OneToOneField(Run, models.PROTECT, related_name="evaluation")
    model = models.ForeignKey(Model, models.PROTECT, related_name="evaluations")
    baseline = models.ForeignKey(Model, models.PROTECT, related_name="+")
    suite_name = models.CharField(max_length=60)
    suite_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OfRun.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"evaluation {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("evaluation_detail", args=[self.run.community.slug, self.pk])


class Score(models.Model):
    """One number of an evaluation, with what it was computed from and how."""

    class Side(models.TextChoices):
        BEFORE = "before", "Before"
        AFTER = "after", "After"
        DIFFERENCE = "difference", "Difference"

    evaluation = models.ForeignKey(Evaluation, models.PROTECT, related_name="scores")
    metric = models.CharField(max_length=60)
    principle_key = models.CharField(max_length=60, blank=True)
    side = models.CharField(max_length=10, choices=Side)
    n = models.PositiveIntegerField()
    unscored = models.PositiveIntegerField(default=0)
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    method = models.CharField(max_length=300)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            UniqueConstraint(
                fields=["evaluation", "metric", "principle_key", "side"], name="score_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.side}"

    def estimate(self) -> dict[str, Any]:
        """Return what a chart draws."""
        return {
            "label": self.get_side_display(),
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
        }


class Sample(models.Model):
    """A prompt with both models' answers, shown blind: `after_first` hides which is which."""

    hidden: bool  # what `feedback.review.as_shown` adds

    evaluation = models.ForeignKey(Evaluation, models.PROTECT, related_name="samples")
    prompt = models.TextField()
    before = models.TextField()
    after = models.TextField()
    harmful = models.BooleanField(default=False)
    after_first = models.BooleanField()

    objects = OfEvaluation.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]

    def __str__(self) -> str:
        return f"sample {self.pk}"

    @property
    def first(self) -> str:
        """The answer that is shown first."""
        return self.after if self.after_first else self.before

    @property
    def second(self) -> str:
        """The answer that is shown second."""
        return self.before if self.after_first else self.after


class Release(models.Model):
    """A model put to the community: a poll about it, and the gate that it has to pass.

    A model that was not released, whether people said no, too few voted or the gate was not met,
    may be put to the community again; never twice at a time, and not once it is released.
    """

    class Status(models.TextChoices):
        PROPOSED = "proposed", "Before the community"
        RELEASED = "released", "Released"
        REJECTED = "rejected", "Not released"

    NEXT: ClassVar = {Status.PROPOSED: {Status.RELEASED, Status.REJECTED}}

    model = models.ForeignKey(Model, models.PROTECT, related_name="releases")
    evaluation = models.ForeignKey(Evaluation, models.PROTECT, related_name="releases")
    poll = models.OneToOneField(Poll, models.PROTECT, related_name="release")
    status = models.CharField(max_length=10, choices=Status, default=Status.PROPOSED)
    gate = models.JSONField()
    released_at = models.DateTimeField(null=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(status="released", released_at__isnull=False)
                | ~Q(status="released") & Q(released_at__isnull=True),
                name="release_dated_exactly_when_released",
            ),
            UniqueConstraint(
                fields=["model"],
                condition=~Q(status="rejected"),
                name="release_once_unless_rejected",
            ),
        ]

    def __str__(self) -> str:
        return f"release of {self.model}"


class Turn(models.Model):
    """A question to a released model in the playground, and its answer once the run has ended."""

    hidden: bool  # what `feedback.review.as_shown` adds

    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    release = models.ForeignKey(Release, models.PROTECT, related_name="turns")
    run = models.OneToOneField(Run, models.PROTECT, related_name="turn")
    question = models.TextField(max_length=2000)
    answer = models.TextField(blank=True)
    asked_at = models.DateTimeField()

    objects = TurnQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]

    def __str__(self) -> str:
        return f"turn {self.pk}"
