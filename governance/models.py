"""Tables of governance: people, communities, polls and ballots, and the audit trail."""

import secrets
import uuid
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
    DelegationQuerySet,
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
    rules = models.JSONField(default=dict, blank=True)
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
    """One decision: its text, options, rule and electorate are frozen when it opens."""

    class Status(TextChoices):
        DRAFT = "draft", "Draft"
        DELIBERATION = "deliberation", "In deliberation"
        OPEN = "open", "Open"
        CLOSED = "closed", "Closed"
        WITHDRAWN = "withdrawn", "Withdrawn"

    class Outcome(TextChoices):
        PASSED = "passed", "Passed"
        REJECTED = "rejected", "Rejected"
        NO_QUORUM = "no_quorum", "Quorum not reached"
        TIED = "tied", "Tied"

    NEXT: ClassVar = {
        Status.DRAFT: {Status.DELIBERATION, Status.OPEN, Status.WITHDRAWN},
        Status.DELIBERATION: {Status.OPEN, Status.WITHDRAWN},
        Status.OPEN: {Status.CLOSED, Status.WITHDRAWN},
    }

    community = models.ForeignKey(Community, models.PROTECT, related_name="polls")
    kind = models.CharField(max_length=30)
    subject_key = models.CharField(max_length=80, blank=True)
    title = models.CharField(max_length=200)
    text = models.TextField(max_length=200_000)
    text_digest = models.CharField(max_length=64)
    options = models.JSONField(default=list, blank=True)
    rule = models.JSONField()
    period = models.DurationField()
    electorate_size = models.PositiveIntegerField(default=0)
    electorate_weight = models.PositiveIntegerField(default=0)
    electorate_digest = models.CharField(max_length=64, blank=True)
    voter_salt = models.CharField(max_length=64, editable=False)
    seed = models.CharField(max_length=64, editable=False)
    seed_digest = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.DRAFT)
    outcome = models.CharField(max_length=10, choices=Outcome, blank=True)
    tally = models.JSONField(null=True, blank=True)
    standing = models.CharField(max_length=80, blank=True, editable=False)
    reason = models.CharField(max_length=1000, blank=True)
    opened_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    opens_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    closes_at = models.DateTimeField(null=True, blank=True)
    extended_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)

    objects = PollQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = [models.F("opened_at").desc(nulls_first=True), "-pk"]
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(status="closed", tally__isnull=False, closed_at__isnull=False)
                & ~Q(outcome="")
                | Q(status="withdrawn", outcome="", tally__isnull=True, closed_at__isnull=False)
                | Q(
                    status__in=["draft", "deliberation", "open"],
                    outcome="",
                    tally__isnull=True,
                    closed_at__isnull=True,
                ),
                name="poll_has_outcome_exactly_when_closed",
            ),
            CheckConstraint(
                condition=~Q(status__in=["open", "closed"])
                | Q(closes_at__gt=models.F("opened_at"), electorate_size__gt=0)
                & ~Q(electorate_digest=""),
                name="poll_opened_with_electorate_and_deadline",
            ),
            CheckConstraint(
                condition=~Q(status="withdrawn") | ~Q(reason=""), name="poll_withdrawn_has_reason"
            ),
            CheckConstraint(
                condition=~Q(status="deliberation") | Q(opens_at__isnull=False),
                name="poll_deliberation_has_an_end",
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

    @property
    def has_opened(self) -> bool:
        """Whether text, options, rule and electorate are frozen."""
        return self.opened_at is not None

    @property
    def option_keys(self) -> list[str]:
        """The keys of the options of a poll that has several; else none."""
        return [option["key"] for option in self.options]

    def accepts_ballots_at(self, now: datetime) -> bool:
        """Say whether a ballot cast at `now` (server time) still counts."""
        if self.status != self.Status.OPEN or self.opened_at is None or self.closes_at is None:
            return False
        return self.opened_at <= now < self.closes_at


class Elector(models.Model):
    """One person of a poll's electorate, written when the poll opens and never changed.

    `group` is the opinion group in which the person was known to be then, or "".
    """

    poll = models.ForeignKey(Poll, models.PROTECT, related_name="electors")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    weight = models.PositiveSmallIntegerField(default=1)
    group = models.CharField(max_length=40, blank=True)

    class Meta:
        constraints: ClassVar = [
            UniqueConstraint(fields=["poll", "user"], name="elector_once"),
            CheckConstraint(condition=Q(weight__gte=1), name="elector_has_weight"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.poll}"


class Ballot(models.Model):
    """That one voter voted, and, in a roll call or until it is in the urn, how.

    `content` is null exactly when the ballot of a secret poll has gone into the urn; `cast_at` is
    null in secret polls; `nonce` makes a roll call's commitment one that cannot be guessed.
    """

    poll = models.ForeignKey(Poll, models.PROTECT, related_name="ballots")
    voter = models.ForeignKey(User, models.PROTECT, related_name="+")
    content = models.JSONField(null=True)
    nonce = models.CharField(max_length=32, blank=True)
    cast_at = models.DateTimeField(null=True)

    objects = BallotQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [UniqueConstraint(fields=["poll", "voter"], name="ballot_once")]

    def __str__(self) -> str:
        return f"ballot {self.pk}"


class UrnBallot(models.Model):
    """What somebody voted in a secret poll: no voter, no time, no order.

    Written in shuffled batches under random keys, so that no column joins it to a voter.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    poll = models.ForeignKey(Poll, models.PROTECT, related_name="urn")
    content = models.JSONField()

    def __str__(self) -> str:
        return f"urn ballot {self.pk}"


class BallotAct(models.Model):
    """That a ballot was cast, replaced or withdrawn; enters the trail with others, as a batch.

    `commitment` is the digest of a roll call's ballot, and empty otherwise. `batch` numbers the
    batch within the poll; null until the trail has it. `idempotency_key` lets a request that is
    sent twice do once what it asks.
    """

    class Act(TextChoices):
        CAST = "cast", "Cast"
        REPLACED = "replaced", "Replaced"
        WITHDRAWN = "withdrawn", "Withdrawn"

    poll = models.ForeignKey(Poll, models.PROTECT, related_name="acts")
    voter = models.CharField(max_length=32)
    act = models.CharField(max_length=10, choices=Act)
    commitment = models.CharField(max_length=64, blank=True)
    idempotency_key = models.CharField(max_length=64, blank=True)
    batch = models.PositiveIntegerField(null=True)

    class Meta:
        ordering: ClassVar = ["pk"]
        indexes: ClassVar = [
            models.Index(fields=["poll"], condition=Q(batch=None), name="ballot_act_waiting"),
            models.Index(fields=["poll", "batch"], name="ballot_act_batch"),
            models.Index(fields=["poll", "voter"], name="ballot_act_voter"),
        ]

    def __str__(self) -> str:
        return f"act {self.pk}"


class Delegation(models.Model):
    """That one member's vote goes to another where the member casts no ballot.

    The narrowest holds: for one poll, for a topic (a kind of poll), for the whole community.
    """

    community = models.ForeignKey(Community, models.PROTECT, related_name="delegations")
    delegator = models.ForeignKey(User, models.PROTECT, related_name="+")
    delegate = models.ForeignKey(User, models.PROTECT, related_name="+")
    topic = models.CharField(max_length=30, blank=True)
    poll = models.ForeignKey(
        Poll, models.PROTECT, related_name="delegations", null=True, blank=True
    )
    given_at = models.DateTimeField()

    objects = DelegationQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            UniqueConstraint(
                fields=["community", "delegator", "topic", "poll"],
                name="delegation_once_a_scope",
                nulls_distinct=False,
            ),
            CheckConstraint(
                condition=~Q(delegator=models.F("delegate")), name="delegation_to_another"
            ),
            CheckConstraint(
                condition=Q(topic="") | Q(poll__isnull=True), name="delegation_has_one_scope"
            ),
        ]

    def __str__(self) -> str:
        return f"delegation {self.pk}"


class Motion(models.Model):
    """What one steward asks and another must second before it happens."""

    class Kind(TextChoices):
        CLOSE_EARLY = "close_early", "Close a poll early"
        WITHDRAW_POLL = "withdraw_poll", "Withdraw an open poll"
        CHANGE_STEWARD = "change_steward", "Change who is a steward"

    class Status(TextChoices):
        WAITING = "waiting", "Waits for a second steward"
        CARRIED = "carried", "Carried"
        DECLINED = "declined", "Declined"
        LAPSED = "lapsed", "Lapsed"

    NEXT: ClassVar = {Status.WAITING: {Status.CARRIED, Status.DECLINED, Status.LAPSED}}

    community = models.ForeignKey(Community, models.PROTECT, related_name="motions")
    kind = models.CharField(max_length=20, choices=Kind)
    poll = models.ForeignKey(Poll, models.PROTECT, related_name="motions", null=True, blank=True)
    membership = models.ForeignKey(
        Membership, models.PROTECT, related_name="motions", null=True, blank=True
    )
    role = models.CharField(max_length=10, choices=Membership.Role, blank=True)
    reason = models.CharField(max_length=1000)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    moved_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    moved_at = models.DateTimeField()
    decided_by = models.ForeignKey(User, models.PROTECT, related_name="+", null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            CheckConstraint(
                condition=Q(kind="change_steward", membership__isnull=False, poll__isnull=True)
                & ~Q(role="")
                | Q(
                    kind__in=["close_early", "withdraw_poll"],
                    membership__isnull=True,
                    poll__isnull=False,
                    role="",
                ),
                name="motion_has_its_subject",
            ),
            CheckConstraint(
                condition=Q(status="waiting", decided_at__isnull=True)
                | ~Q(status="waiting") & Q(decided_at__isnull=False),
                name="motion_decided_exactly_when_over",
            ),
            CheckConstraint(
                condition=~Q(status="carried")
                | Q(decided_by__isnull=False) & ~Q(decided_by=models.F("moved_by")),
                name="motion_carried_by_another",
            ),
            UniqueConstraint(
                fields=["kind", "poll"],
                condition=Q(status="waiting", poll__isnull=False),
                name="motion_once_a_poll",
            ),
            UniqueConstraint(
                fields=["membership"],
                condition=Q(status="waiting", membership__isnull=False),
                name="motion_once_a_membership",
            ),
        ]

    def __str__(self) -> str:
        return f"motion {self.pk}"


class Checkpoint(models.Model):
    """The signed head of a community's trail at a moment; never changed.

    `number` counts a community's checkpoints, and `previous` is the digest of what the one before
    signed; 0 and "" where a checkpoint is older than their chain, and signs neither.
    """

    community = models.ForeignKey(Community, models.PROTECT, related_name="checkpoints")
    number = models.PositiveBigIntegerField(default=0)
    previous = models.CharField(max_length=64, blank=True, default="")
    length = models.PositiveBigIntegerField()
    head = models.CharField(max_length=64)
    at = models.CharField(max_length=27)
    public_key = models.CharField(max_length=64)
    signature = models.CharField(max_length=128)
    posted_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["community", "length"]
        constraints: ClassVar = [
            UniqueConstraint(fields=["community", "length"], name="checkpoint_once_a_length"),
            UniqueConstraint(
                fields=["community", "number"],
                condition=Q(number__gt=0),
                name="checkpoint_numbered_once",
            ),
        ]

    def __str__(self) -> str:
        return f"checkpoint {self.length}"


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
