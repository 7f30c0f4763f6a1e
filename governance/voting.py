"""The verbs of polls: open, cast, withdraw, close."""

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from governance import audit, outcomes, permissions, tally
from governance.canonical import digest, text_digest
from governance.errors import BadInput, InvalidTransition
from governance.models import Ballot, Community, Elector, Membership, Poll, User
from governance.transitions import move
from governance.verbs import Verb

LONGEST_PERIOD = timedelta(days=366)
LONGEST_TITLE = 200
LONGEST_TEXT = 200_000
_ELECTORS_AT_A_TIME = 5000
_NOT_IN_ELECTORATE = "Only those who were members when the poll opened may vote in it."


def voter_reference(poll: Poll, user_id: int) -> str:
    """Name a voter in a poll's public record, as 32 hexadecimal digits.

    Different in each poll: whoever does not know the poll's salt cannot tell who it is.
    """
    return hashlib.sha256(f"{poll.voter_salt}:{user_id}".encode()).hexdigest()[:32]


def electorate_digest(poll: Poll, user_ids: Iterable[int]) -> str:
    """Return the digest that commits a poll to its electorate: of the sorted references."""
    return digest(sorted(voter_reference(poll, user_id) for user_id in user_ids))


def ballot_record(poll: Poll) -> list[dict[str, str]]:
    """Return a poll's ballots as they are exported: reference and choice, sorted by reference.

    Only for a closed poll: before, nobody sees how it stands.
    """
    ballots = poll.ballots.values_list("voter_id", "choice")
    record = [{"voter": voter_reference(poll, pk), "choice": choice} for pk, choice in ballots]
    return sorted(record, key=lambda ballot: ballot["voter"])


@transaction.atomic
def open_poll(
    *,
    community_id: int,
    actor: User,
    kind: str,
    title: str,
    text: str,
    rule: tally.Rule,
    closes_at: datetime,
    subject_key: str = "",
) -> Poll:
    """Put a question to all who are active members now; text, rule and electorate freeze.

    Args:
        community_id: whose poll.
        actor: a steward.
        kind: a registered `outcomes.PollKind`.
        title: a line.
        text: what is decided, word for word.
        rule: how it is decided.
        closes_at: the deadline by the server's clock; a ballot at that moment is too late.
        subject_key: what the kind's handler needs to find its own row.

    Raises:
        NotPermitted: `actor` is no steward.
        BadInput: the title or text is empty or too long, the deadline is past or more than a
            year ahead, or the rule could not be met even if everyone said yes.
    """
    Community.objects.select_for_update(no_key=True).get(pk=community_id)
    permissions.require(
        permissions.is_steward(actor, community_id), "Only stewards put things to a vote."
    )
    now = timezone.now()
    title, text = title.strip(), text.strip()
    _check_wording(title, text)
    if not now < closes_at <= now + LONGEST_PERIOD:
        raise BadInput("A poll closes in the future, and within a year.")
    electors = list(
        Membership.objects.filter(community_id=community_id, status=Membership.Status.ACTIVE)
        .order_by("user_id")
        .values_list("user_id", flat=True)
    )
    if not electors:
        raise BadInput("Nobody could vote: the community has no active members.")
    if not rule.can_pass(len(electors)):
        raise BadInput(
            f"With {len(electors)} entitled to vote, this rule could not be met even if all "
            "said yes."
        )
    poll = Poll(
        community_id=community_id,
        kind=kind,
        subject_key=subject_key,
        title=title,
        text=text,
        text_digest=text_digest(text),
        rule=rule.to_dict(),
        electorate_size=len(electors),
        voter_salt=secrets.token_hex(32),
        opened_by=actor,
        opened_at=now,
        closes_at=closes_at,
    )
    outcomes.kind_of(poll)  # an unknown kind is a fault of the program, and best found now
    poll.electorate_digest = electorate_digest(poll, electors)
    poll.save(force_insert=True)
    Elector.objects.bulk_create(
        (Elector(poll=poll, user_id=user_id) for user_id in electors),
        batch_size=_ELECTORS_AT_A_TIME,
    )
    audit.record(
        community_id=community_id,
        actor=actor,
        verb=Verb.POLL_OPENED,
        subject=poll,
        data={
            "kind": kind,
            "title": title,
            "text_digest": poll.text_digest,
            "rule": poll.rule,
            "electorate_size": poll.electorate_size,
            "electorate_digest": poll.electorate_digest,
            "closes_at": audit.timestamp(closes_at),
        },
    )
    return poll


@transaction.atomic
def cast_ballot(*, poll_id: int, voter: User, choice: str) -> Ballot:
    """Record `voter`'s choice, replacing an earlier one; the trail never says which way.

    The same choice again changes nothing and leaves no event.

    Raises:
        NotPermitted: `voter` is not in the poll's electorate.
        InvalidTransition: the poll is closed, or its deadline has passed.
        BadInput: there is no such choice.
    """
    poll = _lock_for_voting(poll_id, voter)
    if choice not in Ballot.Choice.values:
        raise BadInput("A ballot says yes, no or abstain.")
    now = timezone.now()
    ballot: Ballot | None = Ballot.objects.filter(poll=poll, voter=voter).first()
    if ballot is None:
        ballot = Ballot.objects.create(poll=poll, voter=voter, choice=choice, cast_at=now)
        verb = Verb.BALLOT_CAST
    elif ballot.choice == choice:
        return ballot
    else:
        ballot.choice, ballot.cast_at = Ballot.Choice(choice), now
        ballot.save(update_fields=["choice", "cast_at"])
        verb = Verb.BALLOT_REPLACED
    audit.record(community_id=poll.community_id, actor=voter, verb=verb, subject=poll, data={})
    return ballot


@transaction.atomic
def withdraw_ballot(*, poll_id: int, voter: User) -> None:
    """Take `voter`'s ballot back, as if it had not been cast; without one, nothing happens.

    Raises:
        NotPermitted: `voter` is not in the poll's electorate.
        InvalidTransition: the poll is closed, or its deadline has passed.
    """
    poll = _lock_for_voting(poll_id, voter)
    deleted, _ = Ballot.objects.filter(poll=poll, voter=voter).delete()
    if deleted:
        audit.record(
            community_id=poll.community_id,
            actor=voter,
            verb=Verb.BALLOT_WITHDRAWN,
            subject=poll,
            data={},
        )


@transaction.atomic
def close_poll(*, poll_id: int) -> Poll:
    """Count a poll whose deadline has passed, and let its kind act on the outcome.

    A closed poll is returned as it is. What the kind writes is in the same transaction, so the
    poll is closed with all that follows from it, or stays open.

    Raises:
        InvalidTransition: the deadline has not passed.
        KeyError: no app knows the poll's kind.
    """
    kind = outcomes.kind_of(Poll.objects.get(pk=poll_id))
    kind.lock_subject(poll_id)
    poll: Poll = Poll.objects.select_for_update().get(pk=poll_id)
    if poll.status == Poll.Status.CLOSED:
        return poll
    now = timezone.now()
    if now < poll.closes_at:
        raise InvalidTransition("This poll is still open for ballots.")
    record = ballot_record(poll)
    choices = [ballot["choice"] for ballot in record]
    result = tally.decide(
        tally.Rule.from_dict(poll.rule),
        yes=choices.count(Ballot.Choice.YES),
        no=choices.count(Ballot.Choice.NO),
        abstain=choices.count(Ballot.Choice.ABSTAIN),
        electorate=poll.electorate_size,
    )
    move(poll, Poll.Status.CLOSED, outcome=result.outcome, tally=result.to_dict(), closed_at=now)
    audit.record(
        community_id=poll.community_id,
        actor=None,
        verb=Verb.POLL_CLOSED,
        subject=poll,
        data={
            "outcome": result.outcome,
            "tally": result.to_dict(),
            "ballots_digest": digest(record),
        },
    )
    kind.on_close(poll)
    return poll


def _lock_for_voting(poll_id: int, voter: User) -> Poll:
    poll: Poll = Poll.objects.select_for_update().get(pk=poll_id)
    permissions.require(permissions.can_vote(voter, poll), _NOT_IN_ELECTORATE)
    if not poll.accepts_ballots_at(timezone.now()):
        raise InvalidTransition("This poll takes no more ballots.")
    return poll


def _check_wording(title: str, text: str) -> None:
    if not 1 <= len(title) <= LONGEST_TITLE:
        raise BadInput(f"A poll's title has 1 to {LONGEST_TITLE} characters.")
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise BadInput(f"A poll's text has 1 to {LONGEST_TEXT} characters.")
