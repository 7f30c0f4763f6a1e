"""Tables of principles: constitutions, drafts that can change, and versions that cannot."""

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import CheckConstraint, Q, UniqueConstraint
from django.urls import reverse

from governance.models import Community, Poll, User
from governance.querysets import ScopedQuerySet
from principles import compilation


class Constitution(models.Model):
    """A community's constitution: the line of its versions and drafts."""

    community = models.OneToOneField(Community, models.PROTECT, related_name="constitution")
    title = models.CharField(max_length=200)

    objects = ScopedQuerySet.as_manager()

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("constitution_detail", args=[self.community.slug])

    def in_force(self) -> "Version | None":
        """Return the version that was ratified last."""
        return self.versions.order_by("-number").first()


class OfConstitution(ScopedQuerySet):
    """Rows that reach their community through a constitution."""

    community_path = "constitution__community"

    def of(self, community: Community) -> Self:
        """Rows of one community."""
        return self.filter(constitution__community=community)


class PrincipleText(models.Model):
    """The content of a principle, the same in a draft and in a version.

    `key` stays with a principle through its edits, so that differences, labels and scores follow
    it. `examples` is a list of {"prompt", "better", "worse"} strings.
    """

    key = models.SlugField(max_length=60)
    position = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=120)
    text = models.TextField(max_length=2000)
    rationale = models.TextField(max_length=4000, blank=True)
    examples = models.JSONField(default=list, blank=True)
    hazard_codes = models.JSONField(default=list, blank=True)
    critique_request = models.TextField(max_length=2000, blank=True)
    revision_request = models.TextField(max_length=2000, blank=True)
    weight = models.PositiveSmallIntegerField(default=1)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.title

    def content(self) -> dict[str, object]:
        """Return what a version's digest covers of this principle."""
        return {
            "key": self.key,
            "title": self.title,
            "text": self.text,
            "rationale": self.rationale,
            "examples": self.examples,
            "hazard_codes": self.hazard_codes,
            "critique_request": self.critique_request,
            "revision_request": self.revision_request,
            "weight": self.weight,
        }


class Version(models.Model):
    """A ratified constitution: numbered, immutable, named by the digest of its content."""

    constitution = models.ForeignKey(Constitution, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    title = models.CharField(max_length=200)
    preamble = models.TextField(max_length=10_000, blank=True)
    summary = models.TextField(max_length=2000, blank=True)
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")
    poll = models.OneToOneField(Poll, models.PROTECT, related_name="version")
    digest = models.CharField(max_length=64, unique=True)
    ratified_at = models.DateTimeField()

    objects = OfConstitution.as_manager()

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["constitution", "number"], name="version_numbered")
        ]

    def __str__(self) -> str:
        return f"{self.title}, version {self.number}"

    def get_absolute_url(self) -> str:
        return reverse("version_detail", args=[self.constitution.community.slug, self.number])

    def content(self) -> dict[str, Any]:
        """Return what the digest covers: no times and no ids."""
        return compilation.constitution_content(
            community=self.constitution.community.slug,
            number=self.number,
            title=self.title,
            preamble=self.preamble,
            parent=self.parent.digest if self.parent else None,
            principles=[principle.content() for principle in self.principles.all()],
        )


class Principle(PrincipleText):
    """A principle as a version has it; the database refuses changes."""

    version = models.ForeignKey(Version, models.PROTECT, related_name="principles")

    class Meta:
        ordering: ClassVar = ["version", "position"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["version", "key"], name="principle_key_once"),
            UniqueConstraint(fields=["version", "position"], name="principle_position_once"),
        ]


class Draft(models.Model):
    """A text on its way to a poll: written by a member, adopted or rejected by the community.

    `revision` counts the changes of what it says beside its principles, each of which counts its
    own: who changes something says which revision they had read.
    """

    class Status(models.TextChoices):
        EDITING = "editing", "Being written"
        PROPOSED = "proposed", "Before the community"
        ADOPTED = "adopted", "Adopted"
        REJECTED = "rejected", "Not adopted"
        WITHDRAWN = "withdrawn", "Withdrawn"

    POLL_KIND: ClassVar = "ratification"
    NEXT: ClassVar = {
        Status.EDITING: {Status.PROPOSED, Status.WITHDRAWN},
        Status.PROPOSED: {Status.ADOPTED, Status.REJECTED, Status.EDITING},
    }

    constitution = models.ForeignKey(Constitution, models.PROTECT, related_name="drafts")
    base = models.ForeignKey(Version, models.PROTECT, null=True, related_name="drafts")
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    title = models.CharField(max_length=200)
    preamble = models.TextField(max_length=10_000, blank=True)
    summary = models.TextField(max_length=2000, blank=True)
    revision = models.PositiveIntegerField(default=1, db_default=1)
    status = models.CharField(max_length=10, choices=Status, default=Status.EDITING)
    poll = models.OneToOneField(Poll, models.PROTECT, null=True, related_name="draft")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OfConstitution.as_manager()

    class Meta:
        ordering: ClassVar = ["-updated_at", "-pk"]
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(status__in=["editing", "withdrawn"], poll__isnull=True)
                | Q(status__in=["proposed", "adopted", "rejected"], poll__isnull=False),
                name="draft_has_poll_once_proposed",
            )
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("draft_detail", args=[self.constitution.community.slug, self.pk])

    def content(self) -> dict[str, Any]:
        """Return the content of the version that this draft would become if adopted now."""
        parent = self.constitution.in_force()
        return compilation.constitution_content(
            community=self.constitution.community.slug,
            number=parent.number + 1 if parent else 1,
            title=self.title,
            preamble=self.preamble,
            parent=parent.digest if parent else None,
            principles=[principle.content() for principle in self.principles.all()],
        )


class DraftPrinciple(PrincipleText):
    """A principle as a draft has it now."""

    draft = models.ForeignKey(Draft, models.CASCADE, related_name="principles")
    revision = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        ordering: ClassVar = ["draft", "position"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["draft", "key"], name="draft_principle_key_once"),
            UniqueConstraint(
                fields=["draft", "position"],
                name="draft_principle_position_once",
                deferrable=models.Deferrable.DEFERRED,
            ),
        ]
