"""Factories of people, communities and polls."""

from datetime import timedelta

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from governance import chain, voting
from governance.canonical import digest, text_digest
from governance.models import (
    Ballot,
    BallotAct,
    Community,
    Elector,
    Invitation,
    Membership,
    Poll,
    Trail,
    User,
)
from governance.rules import DEFAULT_RULE


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
    """A poll; open for an hour unless told `due=True` (deadline past), `closed=True`, or a status.

    Beside the fields it takes `electors`, people who get their Elector rows, and `ballots`, a
    mapping of person to content. A closed poll is counted from these ballots.
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
        announced = factory.Trait(
            status="deliberation",
            opens_at=factory.LazyFunction(lambda: _from_now(hours=1)),
            opened_at=None,
            closes_at=None,
        )
        drafted = factory.Trait(status="draft", opened_at=None, closes_at=None)

    community = factory.SubFactory(CommunityFactory)
    kind = "question"
    title = factory.Sequence(lambda n: f"Question {n}")
    text = "Shall we meet on Thursdays?"
    text_digest = factory.LazyAttribute(lambda poll: text_digest(poll.text))
    rule = factory.LazyFunction(DEFAULT_RULE.to_dict)
    period = timedelta(hours=1)
    voter_salt = factory.Sequence(lambda n: f"{n:064x}")
    seed = factory.Sequence(lambda n: f"{n:064x}")
    opened_by = factory.SubFactory(UserFactory)
    opened_at = factory.LazyFunction(lambda: _from_now(minutes=-1))
    closes_at = factory.LazyFunction(lambda: _from_now(hours=1))
    status = "open"

    @classmethod
    def _create(cls, model_class, electors=(), ballots=None, **fields):
        ballots = ballots or {}
        electors = list(dict.fromkeys([*electors, *ballots]))
        status = fields.pop("status")
        after = {n: fields.pop(n) for n in ("outcome", "tally", "closed_at") if n in fields}
        poll = model_class(**fields)
        poll.save()
        if status in {"draft", "deliberation"}:
            poll.status = status
            poll.save()
            return poll
        Elector.objects.bulk_create(Elector(poll=poll, user=user) for user in electors)
        size = fields.get("electorate_size") or max(len(electors), 1)
        poll.electorate_size = size
        poll.electorate_weight = fields.get("electorate_weight") or size
        poll.electorate_digest = poll.electorate_digest or digest(
            voting.electorate_record(poll, [(user.pk, 1, "") for user in electors])
        )
        poll.seed_digest = text_digest(poll.seed)
        poll.status = "open"
        poll.save()
        for voter, content in ballots.items():
            BallotFactory(poll=poll, voter=voter, content=content)
        if status == "closed":
            voting.record_acts(poll_id=poll.pk)
            result = voting.count_ballots(poll).result
            poll.status, poll.closed_at = "closed", after["closed_at"]
            poll.outcome = after.get("outcome") or result.outcome
            poll.tally = after.get("tally") or result.to_dict()
            poll.save(update_fields=["status", "closed_at", "outcome", "tally"])
        return poll


class BallotFactory(DjangoModelFactory):
    """A ballot, with the act that goes into the trail; a roll call's unless told otherwise."""

    class Meta:
        model = Ballot

    poll = factory.SubFactory(PollFactory)
    voter = factory.SubFactory(UserFactory)
    content = "yes"
    nonce = factory.Sequence(lambda n: f"{n:032x}")
    cast_at = factory.LazyFunction(timezone.now)

    @classmethod
    def _create(cls, model_class, **fields):
        ballot = super()._create(model_class, **fields)
        reference = voting.voter_reference(ballot.poll, ballot.voter_id)
        BallotAct.objects.create(
            poll=ballot.poll,
            voter=reference,
            act="cast",
            commitment=voting.commitment(reference, ballot.content, ballot.nonce),
        )
        return ballot


def _from_now(**span):
    return timezone.now() + timedelta(**span)
