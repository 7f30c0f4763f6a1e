"""Reads of governance: chainable, and scoped to what a person may see."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.db.models import (
    Case,
    Count,
    Exists,
    IntegerField,
    JSONField,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce

if TYPE_CHECKING:
    from governance.models import User

Viewer: TypeAlias = "User | AnonymousUser"


def _is_active_member(user: Viewer, community: str) -> Exists:
    memberships = apps.get_model("governance", "Membership").objects
    return Exists(
        memberships.filter(community=OuterRef(community), user_id=user.pk or 0, status="active")
    )


class CommunityQuerySet(QuerySet[Any]):
    """Communities."""

    def visible_to(self, user: Viewer) -> Self:
        """Public communities, and the private ones of which `user` is an active member."""
        public = Q(visibility="public")
        if not user.is_authenticated:
            return self.filter(public)
        return self.filter(public | _is_active_member(user, "pk"))

    def with_figures(self) -> Self:
        """Add `members` (active ones) and `open_polls`, each counted apart."""
        members = apps.get_model("governance", "Membership").objects.filter(status="active")
        polls = apps.get_model("governance", "Poll").objects.filter(status="open")
        return self.annotate(members=_count(members), open_polls=_count(polls))


class ScopedQuerySet(QuerySet[Any]):
    """Rows that belong to a community, which `community_path` leads to."""

    community_path = "community"

    def visible_to(self, user: Viewer) -> Self:
        """Rows of the communities that `user` may read."""
        public = Q(**{f"{self.community_path}__visibility": "public"})
        if not user.is_authenticated:
            return self.filter(public)
        return self.filter(public | _is_active_member(user, self.community_path))


class MembershipQuerySet(ScopedQuerySet):
    """Memberships."""

    def active(self) -> Self:
        """Those who are in, and not suspended."""
        return self.filter(status="active")

    def stewards_first(self) -> Self:
        """Stewards, moderators, then members, each by name."""
        rank = Case(
            When(role="steward", then=Value(0)),
            When(role="moderator", then=Value(1)),
            default=Value(2),
            output_field=IntegerField(),
        )
        return self.order_by(rank, "user__name", "pk").select_related("user")


class BallotQuerySet(QuerySet[Any]):
    """Ballots; who asks must know that the poll is closed, or the ballot the asker's own."""

    def roll_call(self) -> Self:
        """Who voted how, by name; `suspended` says whose membership is suspended by now.

        A suspended member's ballot was cast by a member, and keeps counting.
        """
        suspended = apps.get_model("governance", "Membership").objects.filter(
            user=OuterRef("voter"), community=OuterRef("poll__community"), status="suspended"
        )
        return (
            self.select_related("voter")
            .annotate(suspended=Exists(suspended))
            .order_by("voter__name", "voter_id")
        )


class DelegationQuerySet(QuerySet[Any]):
    """Delegations."""

    def reaching(self, community_id: int, kind: str, poll_id: int) -> Self:
        """Those that can carry a vote in this poll, the narrowest of each delegator last."""
        here = Q(poll_id=poll_id) | Q(poll=None, topic__in=["", kind])
        breadth = Case(
            When(poll__isnull=False, then=Value(2)),
            When(topic="", then=Value(0)),
            default=Value(1),
            output_field=IntegerField(),
        )
        return self.filter(here, community_id=community_id).order_by(breadth, "pk")


class PollQuerySet(ScopedQuerySet):
    """Polls."""

    def get_for_ballot(self, poll_id: int) -> Any:
        """Return a poll that cannot close before the transaction ends; others may vote meanwhile.

        `FOR KEY SHARE` conflicts with the lock of whoever closes or withdraws the poll, and not
        with itself.

        Raises:
            DoesNotExist: there is no such poll.
        """
        locked = "SELECT * FROM governance_poll WHERE id = %s FOR KEY SHARE"
        for poll in self.raw(locked, [poll_id]):
            return poll
        raise self.model.DoesNotExist

    def lock_for_voting(self, poll_id: int, user_id: int) -> tuple[Any, Any]:
        """Return a poll to one of its electors, and their ballot; None for what is not there.

        Until the transaction ends the poll cannot close, as in `get_for_ballot`, and one elector's
        acts come one after the other: the row that makes them an elector is locked. Their ballot
        is locked against the urn, which takes the content away.

        Casting is hot, so both statements travel together. They are two, since the second must see
        what became of the ballot while the first waited. The poll's text, which may be long, is
        not read.
        """
        statements = """
            SELECT poll.id, poll.community_id, poll.rule, poll.options, poll.voter_salt,
                   poll.status, poll.standing, poll.opened_at, poll.closes_at, poll.extended_at
            FROM governance_poll poll JOIN governance_elector elector ON elector.poll_id = poll.id
            WHERE poll.id = %s AND elector.user_id = %s
            FOR KEY SHARE OF poll FOR UPDATE OF elector;

            SELECT * FROM governance_ballot WHERE poll_id = %s AND voter_id = %s FOR UPDATE
        """
        with connection.cursor() as cursor:
            cursor.execute(statements, [poll_id, user_id] * 2)
            poll = _fetch(self.model, cursor)
            cursor.nextset()
            return poll, _fetch(apps.get_model("governance", "Ballot"), cursor)

    def open_to(self, user: Viewer) -> Self:
        """Polls that `user` may read: of their communities, and as a suspended elector.

        Whoever was suspended after a poll opened still sees that their ballot is kept.
        """
        electors = apps.get_model("governance", "Elector").objects
        memberships = apps.get_model("governance", "Membership").objects
        elector = Exists(electors.filter(poll=OuterRef("pk"), user_id=user.pk or 0))
        suspended = Exists(
            memberships.filter(
                community=OuterRef("community"), user_id=user.pk or 0, status="suspended"
            )
        )
        public = Q(community__visibility="public")
        readable = public | _is_active_member(user, "community") | (Q(elector) & Q(suspended))
        return self.filter(readable).readable_by(user)

    def readable_by(self, user: Viewer) -> Self:
        """Without what was never announced, unless `user` is a steward of its community."""
        stewards = apps.get_model("governance", "Membership").objects.filter(
            community=OuterRef("community"), user_id=user.pk or 0, status="active", role="steward"
        )
        unannounced = Q(opens_at__isnull=True, opened_at__isnull=True)
        return self.filter(~unannounced | Exists(stewards))

    def due_to_open(self, now: datetime) -> Self:
        """Polls in deliberation whose time to open has come."""
        return self.filter(status="deliberation", opens_at__lte=now)

    def due(self, now: datetime) -> Self:
        """Open polls whose deadline has passed."""
        return self.filter(status="open", closes_at__lte=now)

    def for_list(self, user: Viewer) -> Self:
        """Open polls first (the nearest deadline on top), then coming ones, then those over.

        Adds `may_vote` and `has_voted` of `user`.
        """
        electors = apps.get_model("governance", "Elector").objects
        ballots = apps.get_model("governance", "Ballot").objects
        key = user.pk or 0
        return (
            self.readable_by(user)
            .select_related("community")
            .annotate(
                may_vote=Exists(electors.filter(poll=OuterRef("pk"), user_id=key)),
                has_voted=Exists(ballots.filter(poll=OuterRef("pk"), voter_id=key)),
                stage=Case(
                    When(status="open", then=Value(0)),
                    When(status="deliberation", then=Value(1)),
                    When(status="draft", then=Value(2)),
                    default=Value(3),
                    output_field=IntegerField(),
                ),
                urgency=Case(When(status="open", then="closes_at"), default=None),
            )
            .order_by("stage", "urgency", "opens_at", "-closed_at", "-pk")
        )

    def awaiting(self, user: Viewer, now: datetime) -> Self:
        """Open polls in which `user` may vote and has not."""
        return (
            self.visible_to(user)
            .for_list(user)
            .filter(status="open", closes_at__gt=now, may_vote=True, has_voted=False)
        )


def _fetch(model: type[Model], cursor: Any) -> Any:
    """Make one row into an instance; a column that was left out is read when it is asked for."""
    found = cursor.fetchone()
    if found is None:
        return None
    row = dict(zip((column.name for column in cursor.description), found, strict=True))
    # `from_db` wants the columns in the model's order.
    fields = [field for field in model._meta.concrete_fields if field.attname in row]  # noqa: SLF001 - Django's documented _meta
    for field in fields:
        if isinstance(field, JSONField) and row[field.attname] is not None:
            row[field.attname] = json.loads(row[field.attname])
    names = [field.attname for field in fields]
    return model.from_db(connection.alias, names, [row[name] for name in names])


def _count(rows: QuerySet[Any]) -> Coalesce:
    """Count `rows` of the outer community, without joining one count into another."""
    counted = (
        rows.filter(community=OuterRef("pk"))
        .order_by()
        .values("community")
        .annotate(n=Count("pk"))
        .values("n")
    )
    return Coalesce(Subquery(counted, output_field=IntegerField()), Value(0))
