"""Factories of people, communities and polls."""

from datetime import timedelta

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from governance import chain, voting
from governance.canonical import text_digest
from governance.models import (
    Ballot,
    Community,
    Elector,
    Invitation,
    Membership,
    Poll,
    Trail,
    User,
)
from governance.tally import DEFAULT_RULE, Rule, decide


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"person{n}@example.org")
    name = factory.Sequence(lambda n: f"Person {n}")
    password = factory.django.Password("correct horse battery staple")


class CommunityFactory(DjangoModelFactory):
    """A community with its empty trail."""

    class Meta:
        model = Community
        skip_postgeneration_save = True

    slug = factory.Sequence(lambda n: f"community-{n}")
    name = factory.Sequence(lambda n: f"Community {n}")
    purpose = "To decide together."

    @factory.post_generation
    def trail(self, create, extracted, **kwargs):  # noqa: ARG002 - the signature is theirs
        Trail.objects.create(community=self, head=chain.GENESIS)


class MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    class Params:
        moderator = factory.Trait(role="moderator")
        steward = factory.Trait(role="steward")

    community = factory.SubFactory(CommunityFactory)
    user = factory.SubFactory(UserFactory)
    joined_at = factory.LazyFunction(timezone.now)


class InvitationFactory(DjangoModelFactory):
    class Meta:
        model = Invitation

    class Params:
        expired = factory.Trait(expires_at=factory.LazyFunction(lambda: _from_now(hours=-1)))

    community = factory.SubFactory(CommunityFactory)
    created_by = factory.SubFactory(UserFactory)
    expires_at = factory.LazyFunction(lambda: _from_now(days=14))


class PollFactory(DjangoModelFactory):
    """A poll; open for an hour unless told `due=True` (deadline past) or `closed=True`.

    Beside the fields it takes `electors`, people who get their Elector rows, and `ballots`, a
    mapping of person to choice. A closed poll is counted from these ballots.
    """

    class Meta:
        model = Poll

    class Params:
        open = factory.Trait(status="open")
        due = factory.Trait(
            opened_at=factory.LazyFunction(lambda: _from_now(hours=-2)),
            closes_at=factory.LazyFunction(lambda: _from_now(seconds=-1)),
        )
        closed = factory.Trait(
            status="closed",
            opened_at=factory.LazyFunction(lambda: _from_now(hours=-2)),
            closes_at=factory.LazyFunction(lambda: _from_now(hours=-1)),
            closed_at=factory.LazyFunction(lambda: _from_now(hours=-1)),
        )

    community = factory.SubFactory(CommunityFactory)
    kind = "question"
    title = factory.Sequence(lambda n: f"Question {n}")
    text = "Shall we meet on Thursdays?"
    text_digest = factory.LazyAttribute(lambda poll: text_digest(poll.text))
    rule = factory.LazyFunction(DEFAULT_RULE.to_dict)
    voter_salt = factory.Sequence(lambda n: f"{n:064x}")
    opened_by = factory.SubFactory(UserFactory)
    opened_at = factory.LazyFunction(lambda: _from_now(minutes=-1))
    closes_at = factory.LazyFunction(lambda: _from_now(hours=1))

    @classmethod
    def _create(cls, model_class, electors=(), ballots=None, **fields):
        ballots = ballots or {}
        electors = list(dict.fromkeys([*electors, *ballots]))
        fields.setdefault("electorate_size", max(len(electors), 1))
        after = {
            name: fields.pop(name)
            for name in ("status", "outcome", "tally", "closed_at")
            if name in fields
        }
        poll = model_class(**fields)
        poll.electorate_digest = poll.electorate_digest or voting.electorate_digest(
            poll, [user.pk for user in electors]
        )
        poll.save()
        Elector.objects.bulk_create(Elector(poll=poll, user=user) for user in electors)
        for voter, choice in ballots.items():
            BallotFactory(poll=poll, voter=voter, choice=choice)
        if after.get("status") == "closed":
            counts = {c: list(ballots.values()).count(c) for c in ("yes", "no", "abstain")}
            result = decide(Rule.from_dict(poll.rule), electorate=poll.electorate_size, **counts)
            poll.status, poll.closed_at = "closed", after["closed_at"]
            poll.outcome = after.get("outcome") or result.outcome
            poll.tally = after.get("tally") or result.to_dict()
            poll.save(update_fields=["status", "closed_at", "outcome", "tally"])
        return poll


class BallotFactory(DjangoModelFactory):
    class Meta:
        model = Ballot

    poll = factory.SubFactory(PollFactory)
    voter = factory.SubFactory(UserFactory)
    choice = "yes"
    cast_at = factory.LazyFunction(timezone.now)


def _from_now(**span):
    return timezone.now() + timedelta(**span)
