"""Tables of feedback: prompts, responses, comparisons, labels, reviews and datasets."""

import hashlib
import unicodedata
import uuid
from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import (
    Case,
    CheckConstraint,
    Count,
    F,
    Q,
    TextChoices,
    UniqueConstraint,
    Value,
    When,
)
from django.urls import reverse

from governance import canonical
from governance.models import Community, User
from governance.querysets import ScopedQuerySet
from principles.models import Principle, Version

EVALUATION_SHARE = 40


class OfPrompt(ScopedQuerySet):
    """Rows that reach their community through a prompt."""

    community_path = "prompt__community"


class OfComparison(ScopedQuerySet):
    """Rows that reach their community through a comparison."""

    community_path = "comparison__community"


class ComparisonQuerySet(ScopedQuerySet):
    """Comparisons."""

    def shown(self) -> Self:
        """Those of which no part is hidden."""
        return self.filter(prompt__hidden=False, response_a__hidden=False, response_b__hidden=False)

    def under(self, version: Version) -> Self:
        """Those whose principle stands in `version` with the same words.

        A principle that an amendment left alone keeps its labels; one that was edited does not.
        """
        return self.filter(principle_id__in=same_principles(version))


class ReviewItemQuerySet(ScopedQuerySet):
    """Reported content. Whoever shows or counts items reads them `at` a moment."""

    def at(self, now: datetime) -> Self:
        """Add `standing`: the state as it is at `now`, when a claim that ran out holds nothing."""
        lapsed = When(status="claimed", claim_expires_at__lte=now, then=Value("open"))
        return self.annotate(standing=Case(lapsed, default=F("status")))

    def waiting(self, now: datetime) -> Self:
        """Those that any moderator may take up at `now`."""
        return self.at(now).filter(standing="open")

    def undecided(self, now: datetime) -> Self:
        """What the queue shows at `now`, the most reported first, with `times`."""
        return (
            self.at(now)
            .exclude(status="decided")
            .select_related("claimed_by", "community")
            .annotate(times=Count("reports"))
            .order_by("-times", "pk")
        )


def normalised(text: str) -> str:
    """Return what makes two prompts the same: NFC, without case, white space as single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def split_by_words(text: str) -> str:
    """Return a prompt's split, which follows from its words alone and so never changes.

    Returns:
        "evaluation" for 40 of 100 texts, "train" for the others.
    """
    number = int(hashlib.sha256(normalised(text).encode()).hexdigest()[:8], 16)
    evaluation = number % 100 < EVALUATION_SHARE
    return str(Prompt.Split.EVALUATION if evaluation else Prompt.Split.TRAIN)


def pair_digest(*, prompt: str, responses: tuple[str, str], principle_key: str) -> str:
    """Name a pair by content: a prompt, two answers in no order, and the principle they meet.

    Args:
        prompt: digest of the prompt.
        responses: digests of both answers.
        principle_key: key of the principle, which stays with it through versions.
    """
    return canonical.digest(
        {
            "schema": "folkmoot.pair/1",
            "prompt": prompt,
            "responses": sorted(responses),
            "principle": principle_key,
        }
    )


def same_principles(version: Version) -> list[int]:
    """Return the keys of the rows of `version`'s principles, in it and in its community's others.

    A row counts when its key and whole content are those of a principle of `version`.
    """
    rows = list(Principle.objects.filter(version__constitution=version.constitution_id))
    wanted = {row.key: row.content() for row in rows if row.version_id == version.pk}
    return sorted(row.pk for row in rows if wanted.get(row.key) == row.content())


class Prompt(models.Model):
    """What a person might ask the model. Its split follows from its text and never changes."""

    class Split(models.TextChoices):
        TRAIN = "train", "Training"
        EVALUATION = "evaluation", "Evaluation only"

    community = models.ForeignKey(Community, models.PROTECT, related_name="prompts")
    text = models.TextField(max_length=8000)
    digest = models.CharField(max_length=64)
    split = models.CharField(max_length=10, choices=Split)
    hazard_codes = models.JSONField(default=list, blank=True)
    language = models.CharField(max_length=12, default="en")
    source = models.CharField(max_length=200, blank=True)
    licence = models.CharField(max_length=60, default="CC0-1.0")
    submitted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    hidden = models.BooleanField(default=False)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["community", "digest"], name="prompt_once")
        ]

    def __str__(self) -> str:
        return f"prompt {self.pk}"


class Response(models.Model):
    """A model's answer to a prompt. The model is named by digest: models live in a higher app."""

    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="responses")
    text = models.TextField(max_length=32_000)
    digest = models.CharField(max_length=64)
    arm = models.CharField(max_length=30)
    model_name = models.CharField(max_length=200)
    model_digest = models.CharField(max_length=64)
    parameters = models.JSONField(default=dict)
    hidden = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OfPrompt.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["prompt", "digest"], name="response_once")
        ]

    def __str__(self) -> str:
        return f"response {self.pk}"


class Comparison(models.Model):
    """Two responses to one prompt, to be compared under one principle.

    `community` repeats the prompt's, for the index by which comparisons are handed out. `shuffle`
    is a number from 0 to 2**31 - 1 taken from the pair's digest: people go through comparisons in
    its order, each from a beginning of their own.
    """

    community = models.ForeignKey(Community, models.PROTECT, related_name="comparisons")
    prompt = models.ForeignKey(Prompt, models.PROTECT, related_name="comparisons")
    response_a = models.ForeignKey(Response, models.PROTECT, related_name="+")
    response_b = models.ForeignKey(Response, models.PROTECT, related_name="+")
    principle = models.ForeignKey(Principle, models.PROTECT, related_name="comparisons")
    labels_wanted = models.PositiveSmallIntegerField(default=3)
    places_taken = models.PositiveSmallIntegerField(default=0)
    shuffle = models.PositiveIntegerField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ComparisonQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            UniqueConstraint(
                fields=["response_a", "response_b", "principle"], name="comparison_once"
            ),
            CheckConstraint(
                condition=~Q(response_a=F("response_b")), name="comparison_of_two_responses"
            ),
            CheckConstraint(
                condition=Q(places_taken__lte=F("labels_wanted")),
                name="comparison_places_are_a_hard_cap",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["community", "places_taken", "shuffle"],
                condition=Q(places_taken__lt=F("labels_wanted")),
                name="comparison_wanted",
            )
        ]

    def __str__(self) -> str:
        return f"comparison {self.pk}"

    @property
    def pair_digest(self) -> str:
        """Name the pair by its content."""
        return pair_digest(
            prompt=self.prompt.digest,
            responses=(self.response_a.digest, self.response_b.digest),
            principle_key=self.principle.key,
        )

    @staticmethod
    def shuffle_of(digest: str) -> int:
        """Return the `shuffle` of the pair with this digest."""
        return int(digest[:8], 16) >> 1


class Assignment(models.Model):
    """A lease: one person holds one comparison, with the sides as they were shown."""

    class Status(models.TextChoices):
        LEASED = "leased", "Leased"
        LABELLED = "labelled", "Labelled"
        SKIPPED = "skipped", "Skipped"
        EXPIRED = "expired", "Expired"

    NEXT: ClassVar = {
        Status.LEASED: {Status.LABELLED, Status.SKIPPED, Status.EXPIRED},
        Status.EXPIRED: {Status.LEASED},
    }

    comparison = models.ForeignKey(Comparison, models.PROTECT, related_name="assignments")
    annotator = models.ForeignKey(User, models.PROTECT, related_name="+")
    swapped = models.BooleanField()
    status = models.CharField(max_length=10, choices=Status, default=Status.LEASED)
    leased_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    skip_reason = models.CharField(max_length=200, blank=True)

    objects = OfComparison.as_manager()

    class Meta:
        constraints: ClassVar = [
            UniqueConstraint(fields=["comparison", "annotator"], name="assignment_once"),
        ]
        indexes: ClassVar = [
            models.Index(fields=["annotator", "status"], name="assignment_mine"),
            models.Index(fields=["status", "expires_at"], name="assignment_due"),
        ]

    def __str__(self) -> str:
        return f"assignment {self.pk}"


class Label(models.Model):
    """One person's answer, already turned back to the comparison's own order."""

    class Choice(models.TextChoices):
        A = "a", "First"
        B = "b", "Second"
        TIE = "tie", "Equally good"
        BOTH_BAD = "both_bad", "Both bad"

    assignment = models.OneToOneField(Assignment, models.PROTECT, related_name="label")
    choice = models.CharField(max_length=10, choices=Choice)
    strength = models.PositiveSmallIntegerField(default=1)
    note = models.TextField(max_length=1000, blank=True)
    idempotency_key = models.UUIDField(default=uuid.uuid4, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    recorded = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(strength__gte=1, strength__lte=3), name="label_strength_1_to_3"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=Q(recorded=False), name="label_unrecorded")
        ]

    def __str__(self) -> str:
        return f"label {self.pk}"


class ReviewItem(models.Model):
    """Reported content, once in the queue however many people report it."""

    class Target(models.TextChoices):
        PROMPT = "prompt", "Prompt"
        RESPONSE = "response", "Response"

    class Status(models.TextChoices):
        OPEN = "open", "Waiting"
        CLAIMED = "claimed", "Being reviewed"
        DECIDED = "decided", "Decided"

    NEXT: ClassVar = {
        Status.OPEN: {Status.CLAIMED},
        Status.CLAIMED: {Status.OPEN, Status.DECIDED},
    }

    standing: str  # what the queryset's `at` adds

    community = models.ForeignKey(Community, models.PROTECT, related_name="review_items")
    target = models.CharField(max_length=10, choices=Target)
    target_key = models.PositiveBigIntegerField()
    snapshot = models.TextField()
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    claimed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    claim_expires_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReviewItemQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            UniqueConstraint(
                fields=["community", "target", "target_key"],
                condition=~Q(status="decided"),
                name="review_item_once_while_undecided",
            ),
            CheckConstraint(
                condition=Q(status="open", claimed_by__isnull=True, claim_expires_at__isnull=True)
                | Q(status="claimed", claimed_by__isnull=False, claim_expires_at__isnull=False)
                | Q(status="decided", claimed_by__isnull=False),
                name="review_item_claimed_exactly_when_held",
            ),
        ]

    def __str__(self) -> str:
        return f"review item {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("review_detail", args=[self.community.slug, self.pk])

    @property
    def standing_label(self) -> str:
        """The words for `standing`."""
        return str(self.Status(self.standing).label)


class Report(models.Model):
    """One person's report of a review item."""

    class Reason(models.TextChoices):
        HARMFUL = "harmful", "Harmful or dangerous"
        PRIVATE = "private", "Personal data"
        HATE = "hate", "Hateful"
        SPAM = "spam", "Spam or off topic"
        OTHER = "other", "Something else"

    item = models.ForeignKey(ReviewItem, models.PROTECT, related_name="reports")
    reporter = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=10, choices=Reason)
    note = models.TextField(max_length=1000, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [UniqueConstraint(fields=["item", "reporter"], name="report_once")]

    def __str__(self) -> str:
        return f"report {self.pk}"


class Decision(models.Model):
    """What a moderator decided, with a statement of reasons."""

    class Action(models.TextChoices):
        KEEP = "keep", "Keep it"
        HIDE = "hide", "Hide it"

    item = models.OneToOneField(ReviewItem, models.PROTECT, related_name="decision")
    moderator = models.ForeignKey(User, models.PROTECT, related_name="+")
    action = models.CharField(max_length=10, choices=Action)
    reason = models.TextField(max_length=2000)
    principle = models.ForeignKey(
        Principle, models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            CheckConstraint(condition=~Q(reason=""), name="decision_states_its_reason")
        ]

    def __str__(self) -> str:
        return f"decision {self.pk}"


class Dataset(models.Model):
    """Frozen pairs, named by the digest of their files; the row is the outbox of its making."""

    class Purpose(TextChoices):
        TRAINING = "training", "Training"
        EVALUATION = "evaluation", "Held-out pairs"

    class Status(TextChoices):
        QUEUED = "queued", "Queued"
        FREEZING = "freezing", "Being frozen"
        FROZEN = "frozen", "Frozen"
        FAILED = "failed", "Failed"

    NEXT: ClassVar = {
        Status.QUEUED: {Status.FREEZING, Status.FAILED},
        Status.FREEZING: {Status.FROZEN, Status.FAILED, Status.QUEUED},
    }

    community = models.ForeignKey(Community, models.PROTECT, related_name="datasets")
    version = models.ForeignKey(Version, models.PROTECT, related_name="datasets")
    number = models.PositiveIntegerField()
    purpose = models.CharField(max_length=10, choices=Purpose)
    status = models.CharField(max_length=10, choices=Status, default=Status.QUEUED)
    labels_up_to = models.PositiveBigIntegerField()
    requested_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    frozen_at = models.DateTimeField(null=True)
    digest = models.CharField(max_length=64, blank=True)
    listing = models.JSONField(default=dict)
    pairs = models.PositiveIntegerField(default=0)
    labels = models.PositiveIntegerField(default=0)
    figures = models.JSONField(default=dict)
    error = models.TextField(blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["community", "number"], name="dataset_numbered"),
            CheckConstraint(
                condition=Q(status="frozen", frozen_at__isnull=False) & ~Q(digest="")
                | ~Q(status="frozen") & Q(frozen_at__isnull=True, digest=""),
                name="dataset_has_digest_exactly_when_frozen",
            ),
        ]

    def __str__(self) -> str:
        return f"dataset {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("dataset_detail", args=[self.community.slug, self.number])

    @property
    def split(self) -> str:
        """The split whose prompts this purpose may hold, and no others."""
        return {
            self.Purpose.TRAINING: Prompt.Split.TRAIN,
            self.Purpose.EVALUATION: Prompt.Split.EVALUATION,
        }[self.Purpose(self.purpose)]

    @property
    def storage_key(self) -> str:
        """Where the files lie in the artefact storage."""
        return f"datasets/{self.digest}"
