"""Tables of governance: people, communities, polls and ballots, and the audit trail."""

import secrets
from datetime import datetime
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, BaseUserManager
from django.db import models
from django.db.models import CheckConstraint, Q, TextChoices, UniqueConstraint
from django.urls import reverse

from governance import outcomes
from governance.querysets import (
    BallotQuerySet,
    CommunityQuerySet,
    MembershipQuerySet,
    PollQuerySet,
    ScopedQuerySet,
)


class UserManager(BaseUserManager["User"]):
    """Makes people, who are known by their e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make a person; without a password they cannot sign in."""
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Make an operator."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractUser):
    """A person. Scripted members belong to demonstrations, and every page says so."""

    username = None  # type: ignore[assignment]
    first_name = None  # type: ignore[assignment]
    last_name = None  # type: ignore[assignment]
    email = models.EmailField("e-mail address", unique=True)
    name = models.CharField(max_length=80)
    is_scripted = models.BooleanField(default=False, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects = UserManager()  # type: ignore[misc,assignment]

    def __str__(self) -> str:
        return self.name or f"member {self.pk}"

    def get_full_name(self) -> str:
        return str(self)

    def get_short_name(self) -> str:
        return str(self)


class ApiToken(models.Model):
    """What opens the API for a person. The token itself is nowhere, only its SHA-256.

    `password_mark` follows from the password it was made under, and so ends with it.
    """

    user = models.OneToOneField(User, models.CASCADE, related_name="api_token")
    digest = models.CharField(max_length=64, unique=True)
    password_mark = models.CharField(max_length=128)
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"token of {self.user}"


class Community(models.Model):
    """People who share a constitution, and the rule by which they decide."""

    class Joining(TextChoices):
        OPEN = "open", "Anyone may join"
        REQUEST = "request", "Stewards approve requests"
        INVITE = "invite", "By invitation only"

    class Visibility(TextChoices):
        PUBLIC = "public", "Everyone may read"
        PRIVATE = "private", "Only members may read"

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=100)
    purpose = models.TextField(max_length=2000)
    joining = models.CharField(max_length=10, choices=Joining, default=Joining.OPEN)
    visibility = models.CharField(max_length=10, choices=Visibility, default=Visibility.PUBLIC)
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CommunityQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["name", "pk"]
        verbose_name_plural = "communities"

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("community_home", args=[self.slug])


class Membership(models.Model):
    """A person's place in a community."""

    class Role(TextChoices):
        MEMBER = "member", "Member"
        MODERATOR = "moderator", "Moderator"
        STEWARD = "steward", "Steward"

    class Status(TextChoices):
        REQUESTED = "requested", "Asked to join"
        ACTIVE = "active", "Active"
        SUSPENDED = "suspended", "Suspended"
        DECLINED = "declined", "Declined"
        LEFT = "left", "Left"

    NEXT: ClassVar = {
        Status.REQUESTED: {Status.ACTIVE, Status.DECLINED, Status.LEFT},
        Status.ACTIVE: {Status.SUSPENDED, Status.LEFT},
        # A suspended member cannot leave: coming back would end the suspension.
        Status.SUSPENDED: {Status.ACTIVE},
        Status.DECLINED: {Status.REQUESTED, Status.ACTIVE},
        Status.LEFT: {Status.REQUESTED, Status.ACTIVE},
    }

    community = models.ForeignKey(Community, models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.MEMBER)
    status = models.CharField(max_length=10, choices=Status, default=Status.ACTIVE)
    joined_at = models.DateTimeField(null=True, blank=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["community", "user"], name="membership_once"),
            CheckConstraint(
                condition=~Q(status="active") | Q(joined_at__isnull=False),
                name="membership_active_has_joined",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.community}"


def _new_token() -> str:
    return secrets.token_urlsafe(24)


class Invitation(models.Model):
    """A link by which people join a community until it expires."""

    community = models.ForeignKey(Community, models.PROTECT, related_name="invitations")
    token = models.CharField(max_length=40, unique=True, default=_new_token, editable=False)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"invitation {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("invitation", args=[self.token])


class Poll(models.Model):
    """One decision: its text, rule and electorate are frozen when it opens."""

    class Status(TextChoices):
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"

    class Outcome(TextChoices):
        PASSED = "passed", "Passed"
        REJECTED = "rejected", "Rejected"
        NO_QUORUM = "no_quorum", "Quorum not reached"

    NEXT: ClassVar = {Status.OPEN: {Status.CLOSED}}

    community = models.ForeignKey(Community, models.PROTECT, related_name="polls")
    kind = models.CharField(max_length=30)
    subject_key = models.CharField(max_length=40, blank=True)
    title = models.CharField(max_length=200)
    text = models.TextField(max_length=200_000)
    text_digest = models.CharField(max_length=64)
    rule = models.JSONField()
    electorate_size = models.PositiveIntegerField()
    electorate_digest = models.CharField(max_length=64)
    voter_salt = models.CharField(max_length=64, editable=False)
    status = models.CharField(max_length=10, choices=Status, default=Status.OPEN)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    tally = models.JSONField(null=True, blank=True)
    opened_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    closes_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = PollQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-opened_at", "-pk"]
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(status="open", outcome="", tally__isnull=True, closed_at__isnull=True)
                | (
                    Q(status="closed", tally__isnull=False, closed_at__isnull=False)
                    & ~Q(outcome="")
                ),
                name="poll_has_outcome_exactly_when_closed",
            ),
            CheckConstraint(
                condition=Q(closes_at__gt=models.F("opened_at")), name="poll_closes_after_opening"
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["status", "closes_at"], name="poll_due")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("poll_detail", args=[self.community.slug, self.pk])

    @property
    def kind_label(self) -> str:
        """What kind of decision this is, for people."""
        return outcomes.kind_of(self).label

    @property
    def subject_url(self) -> str:
        """The page of what is decided, or "" where there is none."""
        return outcomes.kind_of(self).subject_url(self)

    def accepts_ballots_at(self, now: datetime) -> bool:
        """Say whether a ballot cast at `now` (server time) still counts."""
        return self.status == self.Status.OPEN and self.opened_at <= now < self.closes_at


class Elector(models.Model):
    """One person of a poll's electorate, written when the poll opens and never changed."""

    poll = models.ForeignKey(Poll, models.PROTECT, related_name="electors")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")

    class Meta:
        constraints: ClassVar = [UniqueConstraint(fields=["poll", "user"], name="elector_once")]

    def __str__(self) -> str:
        return f"{self.user} in {self.poll}"


class Ballot(models.Model):
    """What one voter cast; replaced until the poll closes."""

    class Choice(TextChoices):
        YES = "yes", "Yes"
        NO = "no", "No"
        ABSTAIN = "abstain", "Abstain"

    poll = models.ForeignKey(Poll, models.PROTECT, related_name="ballots")
    voter = models.ForeignKey(User, models.PROTECT, related_name="+")
    choice = models.CharField(max_length=10, choices=Choice)
    cast_at = models.DateTimeField()

    objects = BallotQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            UniqueConstraint(fields=["poll", "voter"], name="ballot_once"),
            CheckConstraint(
                condition=Q(choice__in=["yes", "no", "abstain"]), name="ballot_choice_known"
            ),
        ]

    def __str__(self) -> str:
        return f"ballot {self.pk}"


class Trail(models.Model):
    """The head of a community's audit trail: the row that orders its events."""

    community = models.OneToOneField(Community, models.PROTECT, primary_key=True)
    length = models.PositiveBigIntegerField(default=0)
    head = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"trail of {self.community}"


class AuditEvent(models.Model):
    """One act, hashed onto the one before it. The database refuses to change or delete it."""

    community = models.ForeignKey(Community, models.PROTECT, related_name="events")
    seq = models.PositiveBigIntegerField()
    at = models.CharField(max_length=27)
    actor = models.CharField(max_length=40)
    verb = models.CharField(max_length=40)
    subject = models.CharField(max_length=80)
    data = models.JSONField()
    previous_hash = models.CharField(max_length=64)
    event_hash = models.CharField(max_length=64)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["community", "seq"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["community", "seq"], name="audit_event_numbered"),
        ]
        indexes: ClassVar = [models.Index(fields=["subject"], name="audit_event_subject")]

    def __str__(self) -> str:
        return f"{self.seq} {self.verb}"

    def content(self) -> dict[str, object]:
        """Return what the hash covers, in the form in which it is exported."""
        return {
            "seq": self.seq,
            "at": self.at,
            "actor": self.actor,
            "verb": self.verb,
            "subject": self.subject,
            "data": self.data,
        }
