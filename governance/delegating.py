"""The verbs of delegation: give one, take it back; and which are in force in a poll.

What counts is how things stand when a poll closes: the delegations that are held then, between
people who are active members then. Whoever is suspended or has left passes no vote on, and none
passes through them, though a ballot that they cast themselves keeps counting. The narrowest scope
holds even where it passes nothing: who names somebody for one poll has said "not the other one".
Between a poll's deadline and its count nobody changes a delegation that reaches it, so that a late
count finds what an early one would have found.
"""

from collections.abc import Mapping

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from governance import audit, outcomes, permissions
from governance.errors import BadInput, InvalidTransition
from governance.models import Delegation, Elector, Membership, Poll, User
from governance.rules import Rule
from governance.verbs import Verb

MOST_SHOWN = 100
_ROWS_AT_A_TIME = 2000
_COMING = (Poll.Status.DELIBERATION, Poll.Status.OPEN)

# The edges on one person's way, each found by an index: all edges of a large community would be
# far too many to read for one page. UNION drops what comes twice, and so ends in a circle.
_WAY = """
WITH RECURSIVE way(giver, taker) AS (
    SELECT NULL::bigint, %(start)s::bigint
    UNION
    SELECT way.taker, held.delegate_id
    FROM way CROSS JOIN LATERAL (
        SELECT delegate_id FROM governance_delegation
        WHERE community_id = %(community)s AND delegator_id = way.taker
          AND (poll_id = %(poll)s
               OR poll_id IS NULL AND topic IN ('', %(kind)s) AND NOT %(is_closed)s)
        ORDER BY poll_id NULLS LAST, topic DESC
        LIMIT 1
    ) held
    WHERE (%(is_closed)s OR 2 = (
              SELECT count(*) FROM governance_membership
              WHERE community_id = %(community)s AND status = 'active'
                AND user_id IN (way.taker, held.delegate_id)))
      AND (NOT %(has_opened)s OR EXISTS (
              SELECT FROM governance_elector
              WHERE poll_id = %(poll)s AND user_id = way.taker))
)
SELECT giver, taker FROM way WHERE giver IS NOT NULL
"""


# --- verbs ----------------------------------------------------------------------------------------


@transaction.atomic
def give_delegation(
    *,
    community_id: int,
    delegator: User,
    delegate_id: int,
    topic: str = "",
    poll_id: int | None = None,
) -> Delegation:
    """Let `delegator`'s vote go to another member wherever they cast no ballot themselves.

    Replaces the delegation of the same scope; the same again changes nothing. The trail says that
    somebody delegated, and never to whom.

    Args:
        community_id: where.
        delegator: an active member.
        delegate_id: the user who is to carry the vote, an active member too.
        topic: a kind of poll, to delegate in these alone.
        poll_id: a poll in deliberation or open, to delegate in it alone.

    Raises:
        NotPermitted: `delegator` is no active member, or not entitled to vote in the poll.
        InvalidTransition: the poll is not announced yet, or over; or one that this would reach is
            being counted.
        BadInput: the delegate is the delegator, no active member, or not entitled to vote in the
            poll; or there is no such topic or poll, or the poll's rule allows no delegation.
    """
    poll = None if poll_id is None else _lock_poll(poll_id, community_id)
    members = _lock_members(community_id, delegator.pk, delegate_id)
    permissions.require(delegator.pk in members, "Only members delegate their votes.")
    if delegate_id == delegator.pk:
        raise BadInput("Nobody delegates to themselves; vote instead.")
    if delegate_id not in members:
        raise BadInput("Votes are delegated to active members of the community.")
    if topic and poll is not None:
        raise BadInput("A delegation is for one poll or for one kind of poll, not for both.")
    if topic and topic not in {kind.name for kind in outcomes.kinds()}:
        raise BadInput("There is no such kind of poll.")
    if poll is None:
        _refuse_while_counting(community_id, topic)
    else:
        _check_poll(poll, delegator, delegate_id)
    held: Delegation | None = Delegation.objects.filter(
        community_id=community_id, delegator=delegator, topic=topic, poll=poll
    ).first()
    if held is None:
        held = Delegation(community_id=community_id, delegator=delegator, topic=topic, poll=poll)
    elif held.delegate_id == delegate_id:
        return held
    held.delegate_id, held.given_at = delegate_id, timezone.now()
    held.save()
    _record(held, delegator, Verb.DELEGATION_GIVEN)
    return held


@transaction.atomic
def take_back(*, delegation_id: int, delegator: User) -> None:
    """End a delegation; a broader one of the same person then holds. Members and others may.

    Raises:
        Delegation.DoesNotExist: there is none, or no more.
        NotPermitted: it is not `delegator`'s.
        InvalidTransition: its poll is over, or one that it reaches is being counted.
    """
    held = Delegation.objects.get(pk=delegation_id)
    permissions.require(
        held.delegator_id == delegator.pk, "Only who gave a delegation takes it back."
    )
    if held.poll_id is None:
        _refuse_while_counting(held.community_id, held.topic)
    else:
        _require_coming(_lock_poll(held.poll_id, held.community_id))
    _lock_members(held.community_id, delegator.pk)
    deleted, _ = Delegation.objects.filter(pk=held.pk).delete()
    if not deleted:
        raise Delegation.DoesNotExist
    _record(held, delegator, Verb.DELEGATION_TAKEN_BACK)


def freeze(poll: Poll, edges: Mapping[int, int]) -> None:
    """Keep the delegations by which a poll was counted, in the transaction that closes it.

    They become the poll's own, whatever their scope was, and what passed nothing is dropped: from
    then on `edges_of` returns these, though people delegate otherwise in the next poll.

    Args:
        poll: locked, and about to close.
        edges: what `edges_of` returned for the count.
    """
    own = dict(poll.delegations.values_list("delegator_id", "delegate_id"))
    void = [giver for giver, taker in own.items() if edges.get(giver) != taker]
    Delegation.objects.filter(poll=poll, delegator_id__in=void).delete()
    now = timezone.now()
    Delegation.objects.bulk_create(
        (
            Delegation(
                community_id=poll.community_id,
                delegator_id=giver,
                delegate_id=taker,
                poll=poll,
                given_at=now,
            )
            for giver, taker in edges.items()
            if own.get(giver) != taker
        ),
        batch_size=_ROWS_AT_A_TIME,
    )


# --- what is in force -----------------------------------------------------------------------------


def edges_of(poll: Poll) -> dict[int, int]:
    """Return delegator → delegate for each elector whose delegation is in force; one query.

    For a closed poll, as it was counted. A delegate need not be an elector: the vote then finds a
    dead end.
    """
    if not Rule.from_dict(poll.rule).delegation:
        return {}
    if poll.status == Poll.Status.CLOSED:
        return dict(poll.delegations.values_list("delegator_id", "delegate_id"))
    electors = Elector.objects.filter(poll=poll, user_id=OuterRef("delegator_id"))
    rows = (
        Delegation.objects.reaching(poll.community_id, poll.kind, poll.pk)
        .filter(Exists(electors))
        .annotate(passes=_is_active("delegator_id") & _is_active("delegate_id"))
        .values_list("delegator_id", "delegate_id", "passes")
    )
    narrowest = {giver: (taker, passes) for giver, taker, passes in rows}
    return {giver: taker for giver, (taker, passes) in narrowest.items() if passes}


def edges_from(poll: Poll, user_id: int) -> dict[int, int]:
    """Return those of `edges_of` that lie on one person's way, in order; one query.

    Before a poll opens, every active member counts as an elector.
    """
    given: dict[str, int | str | bool] = {
        "start": user_id,
        "community": poll.community_id,
        "poll": poll.pk,
        "kind": poll.kind,
        "is_closed": poll.status == Poll.Status.CLOSED,
        "has_opened": poll.has_opened,
    }
    if not Rule.from_dict(poll.rule).delegation:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_WAY, given)
        found = dict(cursor.fetchall())
    ordered = {}
    here = user_id
    while here in found:
        taker = found.pop(here)
        ordered[here] = taker
        here = taker
    return ordered


def given_by(user: User, community_id: int) -> QuerySet[Delegation]:
    """Return what somebody delegated in a community, for all first; not for polls that are over."""
    standing = Delegation.objects.filter(community_id=community_id, delegator=user).filter(
        Q(poll=None) | Q(poll__status__in=_COMING)
    )
    return standing.select_related("delegate", "poll").order_by("poll__closes_at", "poll", "topic")[
        :MOST_SHOWN
    ]


def received_by(user: User, community_id: int) -> list[tuple[str, Poll | None, int]]:
    """Return how many active members delegate to somebody directly: (topic, poll, number)."""
    received = Delegation.objects.filter(community_id=community_id, delegate=user).filter(
        _is_active("delegator_id"), Q(poll=None) | Q(poll__status__in=_COMING)
    )
    counted = received.values_list("topic", "poll").annotate(n=Count("pk"))
    rows = list(counted.order_by("poll", "topic")[:MOST_SHOWN])
    polls = Poll.objects.in_bulk([poll for _, poll, _ in rows if poll is not None])
    return [(topic, polls.get(poll), n) for topic, poll, n in rows]


def polls_to_delegate(user: User, community_id: int) -> list[Poll]:
    """Return the polls for which somebody may delegate alone, the nearest deadline first."""
    now = timezone.now()
    may_vote = Exists(Elector.objects.filter(poll=OuterRef("pk"), user=user))
    polls = Poll.objects.filter(
        Q(status=Poll.Status.DELIBERATION)
        | Q(may_vote, status=Poll.Status.OPEN, closes_at__gt=now),
        community_id=community_id,
        rule__delegation=True,
    )
    return list(polls.order_by("closes_at", "opens_at", "pk")[:MOST_SHOWN])


# --- shared ---------------------------------------------------------------------------------------


def _is_active(user: str) -> Exists:
    return Exists(
        Membership.objects.active().filter(community=OuterRef("community"), user_id=OuterRef(user))
    )


def _lock_poll(poll_id: int, community_id: int) -> Poll:
    """Keep a poll from closing before the transaction ends."""
    try:
        poll: Poll = Poll.objects.get_for_ballot(poll_id)
    except Poll.DoesNotExist:
        poll = Poll()
    if poll.community_id != community_id:
        raise BadInput("There is no such poll in this community.")
    return poll


def _lock_members(community_id: int, *user_ids: int) -> set[int]:
    """Return which of these are active members; a person's delegations change one by one."""
    places = Membership.objects.filter(community_id=community_id, user_id__in=user_ids)
    locked = places.order_by("pk").select_for_update(no_key=True)
    return {place.user_id for place in locked if place.status == Membership.Status.ACTIVE}


def _require_coming(poll: Poll) -> None:
    if poll.status != Poll.Status.DELIBERATION and not poll.accepts_ballots_at(timezone.now()):
        raise InvalidTransition("This poll is over, or not announced yet.")


def _refuse_while_counting(community_id: int, topic: str) -> None:
    due = Poll.objects.due(timezone.now()).filter(
        community_id=community_id, rule__delegation=True, **({"kind": topic} if topic else {})
    )
    if due.exists():
        raise InvalidTransition("A poll is being counted; try again in a minute.")


def _check_poll(poll: Poll, delegator: User, delegate_id: int) -> None:
    _require_coming(poll)
    if not Rule.from_dict(poll.rule).delegation:
        raise BadInput("This poll's rule allows no delegation.")
    if not poll.has_opened:
        return
    entitled = poll.electors.filter(user_id__in=[delegator.pk, delegate_id])
    electors = set(entitled.values_list("user_id", flat=True))
    permissions.require(delegator.pk in electors, "You are not entitled to vote in this poll.")
    if delegate_id not in electors:
        raise BadInput("This member is not entitled to vote in this poll.")


def _record(held: Delegation, delegator: User, verb: Verb) -> None:
    scope = "poll" if held.poll_id else "topic" if held.topic else "community"
    audit.record(
        community_id=held.community_id,
        actor=delegator,
        verb=verb,
        subject=held,
        data={"scope": scope},
    )
