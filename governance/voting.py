"""The verbs of ballots: cast, replace, withdraw; put them into the trail and into the urn.

A ballot names its voter in the public record by a reference that only this poll uses. What is done
with ballots enters the trail in batches: beat records those that wait, and closing the rest. In a
roll call each act holds a commitment to the ballot, which the record opens after the close. In a
secret poll a ballot waits in an envelope beside its voter's name until enough wait to be mixed;
then the contents go into the urn, in no order and without names, and cannot be changed any more.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from psycopg.types.json import Jsonb

from governance import audit, delegating, signing
from governance.canonical import canonical_json, digest, text_digest
from governance.delegation import resolve
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.methods import ballots as contents
from governance.models import Ballot, BallotAct, Poll, UrnBallot, User
from governance.rules import Rule
from governance.tally import CHOICES, Cast, OptionsTally, Tally, tally_poll
from governance.verbs import Verb

ENVELOPES_MIXED = 10
LONGEST_KEY = 64
_ACTS_IN_A_BATCH = 5000
_ROWS_AT_A_TIME = 2000
_NOT_IN_ELECTORATE = "Only those who were members when the poll opened may vote in it."
_OVER = "This poll takes no more ballots."
_IN_THE_URN = (
    "Your ballot is in the urn, where nobody can tell it from the others; it cannot be changed or "
    "withdrawn any more."
)
# A ballot and what was done with it are written together or not at all: one statement, one journey.
_KEEP = """
    WITH kept AS (
        INSERT INTO governance_ballot (poll_id, voter_id, content, nonce, cast_at)
        VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (poll_id, voter_id) DO UPDATE
        SET content = excluded.content, nonce = excluded.nonce, cast_at = excluded.cast_at
    )
    INSERT INTO governance_ballotact (poll_id, voter, act, commitment, idempotency_key)
    VALUES (%s, %s, %s, %s, %s)
"""
_shuffle = secrets.SystemRandom().shuffle


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a voter can keep: that a ballot was recorded and, in a roll call, which.

    Attributes:
        voter: the reference by which the poll's record names the voter.
        commitment: digest of reference, content and nonce, which the trail holds; "" in a secret
            poll, where a receipt must not prove how somebody voted.
        content: what the ballot says; None where it lies in the urn.
        nonce: what makes the commitment one that cannot be guessed; "" in a secret poll.
        recorded: whether the trail has it yet.
        signature: the site's, over `statement`.
        statement: what is signed: community, poll, voter and commitment.
    """

    voter: str
    commitment: str
    content: Any
    nonce: str
    recorded: bool
    signature: str
    statement: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Counted:
    """A poll's ballots as they are counted and exported.

    Attributes:
        result: the tally.
        ballots: a roll call's [reference, content, nonce], sorted by reference; of a secret poll
            the contents alone, sorted by their canonical bytes.
        delegations: [from, to] of each elector who delegated, sorted; empty where that is off.
        edges: the same as users, for `delegating.freeze`.
    """

    result: Tally | OptionsTally
    ballots: list[Any]
    delegations: list[list[str]]
    edges: dict[int, int]


def voter_reference(poll: Poll, user_id: int) -> str:
    """Name a voter in a poll's public record, as 32 hexadecimal digits.

    Different in each poll: whoever does not know the poll's salt cannot tell who it is.
    """
    return text_digest(f"{poll.voter_salt}:{user_id}")[:32]


def electorate_record(poll: Poll, electors: Iterable[tuple[int, int, str]]) -> list[list[Any]]:
    """Return an electorate as it is hashed and exported: [reference, weight, group], sorted."""
    return sorted([voter_reference(poll, pk), weight, group] for pk, weight, group in electors)


def commitment(reference: str, content: Any, nonce: str) -> str:
    """Return the digest by which the trail holds a roll call's ballot until it is opened."""
    return digest([reference, content, nonce])


# --- casting --------------------------------------------------------------------------------------


@transaction.atomic
def cast_ballot(*, poll_id: int, voter: User, content: Any, idempotency_key: str = "") -> Receipt:
    """Record `voter`'s ballot, replacing an earlier one; the trail never says which way.

    The same content again changes nothing; so does a request that comes again with its key, even
    when the ballot was changed since.

    Raises:
        NotPermitted: `voter` is not in the poll's electorate.
        InvalidTransition: the poll takes no ballots now, or the ballot is in the urn already.
        BadInput: the poll's method has no such ballot, or the key is too long.
    """
    poll, ballot = _lock_for_voting(poll_id, voter)
    rule = Rule.from_dict(poll.rule)
    content = check_content(poll, rule, content)
    if len(idempotency_key) > LONGEST_KEY:
        raise BadInput(f"An idempotency key has at most {LONGEST_KEY} characters.")
    reference = voter_reference(poll, voter.pk)
    if idempotency_key and ballot and _was_done(poll, reference, idempotency_key):
        return receipt(poll, ballot)
    _note_standing(poll, rule)
    if ballot is None:
        ballot, act = Ballot(poll=poll, voter=voter), BallotAct.Act.CAST
    elif ballot.content is None:
        raise InvalidTransition(_IN_THE_URN)
    elif ballot.content == content:
        return receipt(poll, ballot)
    else:
        act = BallotAct.Act.REPLACED
    ballot.content = content
    committed = ""
    if rule.secrecy == "roll_call":
        ballot.nonce, ballot.cast_at = secrets.token_hex(16), timezone.now()
        committed = commitment(reference, content, ballot.nonce)
    kept: list[Any] = [poll.pk, voter.pk, Jsonb(content), ballot.nonce, ballot.cast_at]
    done = [poll.pk, reference, act, committed, idempotency_key]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, kept + done)
    return receipt(poll, ballot, recorded=False)


@transaction.atomic
def withdraw_ballot(*, poll_id: int, voter: User) -> None:
    """Take `voter`'s ballot back, as if it had not been cast; without one, nothing happens.

    Raises:
        NotPermitted: `voter` is not in the poll's electorate.
        InvalidTransition: the poll takes no ballots now, or the ballot is in the urn already.
    """
    poll, ballot = _lock_for_voting(poll_id, voter)
    if ballot is None:
        return
    if ballot.content is None:
        raise InvalidTransition(_IN_THE_URN)
    _note_standing(poll, Rule.from_dict(poll.rule))
    ballot.delete()
    BallotAct.objects.create(
        poll=poll, voter=voter_reference(poll, voter.pk), act=BallotAct.Act.WITHDRAWN
    )


def check_content(poll: Poll, rule: Rule, content: Any) -> Any:
    """Return the one written form of a ballot of this poll.

    Raises:
        BadInput: the poll's method has no such ballot.
    """
    if not rule.has_options:
        if content not in CHOICES:
            raise BadInput("A ballot says yes, no or abstain.")
        return content
    try:
        return contents.check(rule.method, poll.option_keys, content)
    except ValueError as error:
        raise BadInput(str(error)) from error


def receipt(poll: Poll, ballot: Ballot, *, recorded: bool | None = None) -> Receipt:
    """Return the receipt of a standing ballot, signed by the site.

    Args:
        poll: the ballot's.
        ballot: the asker's own.
        recorded: whether the trail has it; looked up when None.
    """
    reference = voter_reference(poll, ballot.voter_id)
    committed = commitment(reference, ballot.content, ballot.nonce) if ballot.nonce else ""
    if recorded is None:
        waiting = BallotAct.objects.filter(poll=poll, voter=reference, batch=None)
        recorded = not waiting.exists()
    statement = {
        "schema": "folkmoot.receipt/1",
        "community": poll.community_id,
        "poll": poll.pk,
        "voter": reference,
        "commitment": committed,
    }
    return Receipt(
        voter=reference,
        commitment=committed,
        content=ballot.content,
        nonce=ballot.nonce,
        recorded=recorded,
        signature=signing.sign(canonical_json(statement)),
        statement=statement,
    )


# --- into the trail, into the urn -----------------------------------------------------------------


@transaction.atomic
def record_acts(*, poll_id: int) -> int:
    """Put what was done with ballots since the last time into the trail, as batches.

    Returns:
        How many acts; none where none waits.
    """
    poll = Poll.objects.select_for_update(no_key=True).get(pk=poll_id)
    waiting = list(BallotAct.objects.filter(poll=poll, batch=None).order_by("pk"))
    # Sorted by reference, a batch does not tell who came before whom.
    waiting.sort(key=lambda act: act.voter)
    number = poll.acts.exclude(batch=None).values("batch").distinct().count()
    remaining = iter(waiting)
    while batch := list(islice(remaining, _ACTS_IN_A_BATCH)):
        number += 1
        BallotAct.objects.filter(pk__in=[act.pk for act in batch]).update(batch=number)
        audit.record(
            community_id=poll.community_id,
            actor=None,
            verb=Verb.BALLOTS_RECORDED,
            subject=poll,
            data={
                "batch": number,
                "count": len(batch),
                "digest": digest([[act.voter, act.act, act.commitment] for act in batch]),
            },
        )
    return len(waiting)


def batches(poll: Poll) -> list[list[list[str]]]:
    """Return what was done with a poll's ballots, batch by batch, as the trail hashed it."""
    found: dict[int, list[list[str]]] = {}
    acts = poll.acts.exclude(batch=None).order_by("batch", "voter", "pk")
    rows = acts.values_list("batch", "voter", "act", "commitment")
    for number, voter, act, committed in rows.iterator(chunk_size=_ROWS_AT_A_TIME):
        found.setdefault(number or 0, []).append([voter, act, committed])
    return list(found.values())


@transaction.atomic
def fill_urn(*, poll_id: int, least: int = ENVELOPES_MIXED) -> int:
    """Mix the envelopes of a secret poll and put their contents into the urn, without names.

    Args:
        poll_id: the poll; nothing happens unless it is open and secret.
        least: fewer than so many are left to wait, since mixing few hides nobody.

    Returns:
        How many ballots went into the urn.
    """
    poll = Poll.objects.select_for_update(no_key=True).get(pk=poll_id)
    if poll.status != Poll.Status.OPEN or Rule.from_dict(poll.rule).secrecy != "secret":
        return 0
    envelopes = poll.ballots.filter(content__isnull=False).order_by("pk").select_for_update()
    waiting = list(envelopes.values_list("pk", "content"))
    if len(waiting) < max(least, 1):
        return 0
    mixed = [content for _, content in waiting]
    _shuffle(mixed)
    UrnBallot.objects.bulk_create(
        [UrnBallot(poll=poll, content=content) for content in mixed], batch_size=_ROWS_AT_A_TIME
    )
    Ballot.objects.filter(pk__in=[pk for pk, _ in waiting]).update(content=None)
    return len(mixed)


# --- counting -------------------------------------------------------------------------------------


def count_ballots(poll: Poll) -> Counted:
    """Count a poll's ballots as they stand; whoever asks must not show it before the close."""
    rule = Rule.from_dict(poll.rule)
    electors = list(poll.electors.values_list("user_id", "weight", "group"))
    sizes: dict[str, int] = {}
    for _, _, group in electors:
        if group:
            sizes[group] = sizes.get(group, 0) + 1
    figures, delegations = None, []
    edges: dict[int, int] = {}
    if rule.secrecy == "secret":
        waiting = poll.ballots.filter(content__isnull=False).values_list("content", flat=True)
        found = [*poll.urn.values_list("content", flat=True), *waiting]
        cast: list[Cast] = [(content, 1, "") for content in found]
        record: list[Any] = sorted(found, key=canonical_json)
    else:
        rows = {pk: (said, nonce) for pk, said, nonce in _roll_call(poll)}
        carriers = {pk: pk for pk in rows}
        if rule.delegation:
            names = {voter_reference(poll, pk): pk for pk, _, _ in electors}
            edges = delegating.edges_of(poll)
            delegations = sorted(
                [voter_reference(poll, giver), voter_reference(poll, taker)]
                for giver, taker in edges.items()
            )
            delivery = resolve(
                {voter_reference(poll, pk): weight for pk, weight, _ in electors},
                {voter_reference(poll, pk) for pk in rows},
                dict(delegations),
                cap=rule.delegation_cap,
            )
            carriers |= {names[giver]: names[to] for giver, to in delivery.carrier.items()}
            figures = delivery.figures()
        cast = [
            (rows[carriers[pk]][0], weight, group)
            for pk, weight, group in electors
            if pk in carriers
        ]
        record = sorted(
            [voter_reference(poll, pk), said, nonce] for pk, (said, nonce) in rows.items()
        )
    result = tally_poll(
        rule,
        ballots=cast,
        electorate=poll.electorate_weight,
        options=poll.option_keys,
        group_sizes=sizes,
        seed=poll.seed,
        delegation=figures,
    )
    return Counted(result=result, ballots=record, delegations=delegations, edges=edges)


def ballot_record(poll: Poll) -> list[Any]:
    """Return a poll's ballots as they are exported.

    Only for a closed poll: before, nobody sees how it stands.
    """
    if Rule.from_dict(poll.rule).secrecy == "secret":
        return sorted(poll.urn.values_list("content", flat=True), key=canonical_json)
    rows = _roll_call(poll)
    return sorted([voter_reference(poll, pk), said, nonce] for pk, said, nonce in rows)


def standing(result: Tally | OptionsTally) -> str:
    """Write who leads, so that two moments can be compared: the outcome and the winners."""
    winners = result.winners if isinstance(result, OptionsTally) else ()
    return f"{result.outcome} {digest(sorted(winners))[:32]}"


def _roll_call(poll: Poll) -> Iterable[tuple[int, Any, str]]:
    return poll.ballots.values_list("voter_id", "content", "nonce")


def _lock_for_voting(poll_id: int, voter: User) -> tuple[Poll, Ballot | None]:
    poll, ballot = Poll.objects.lock_for_voting(poll_id, voter.pk)
    if poll is None:
        raise NotPermitted(_NOT_IN_ELECTORATE)
    if not poll.accepts_ballots_at(timezone.now()):
        raise InvalidTransition(_OVER)
    return poll, ballot


def _was_done(poll: Poll, reference: str, key: str) -> bool:
    return BallotAct.objects.filter(poll=poll, voter=reference, idempotency_key=key).exists()


def _note_standing(poll: Poll, rule: Rule) -> None:
    """Keep who leads before the first late ballot, by which an extension is decided."""
    if not rule.extension or poll.standing or poll.extended_at or poll.closes_at is None:
        return
    if timezone.now() < poll.closes_at - timedelta(minutes=rule.extension):
        return
    row = Poll.objects.select_for_update(no_key=True).get(pk=poll.pk)
    if not row.standing:
        row.standing = standing(count_ballots(row).result)
        row.save(update_fields=["standing"])
