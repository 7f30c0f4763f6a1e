"""Following one person's vote: through whom it would go in a poll, and through whom it went."""

from dataclasses import dataclass
from typing import Any

from governance import delegating, voting
from governance.delegation import resolve
from governance.models import Poll, User
from governance.rules import Rule

MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Way:
    """The way of a person's vote along the delegations of a poll.

    Before the close it says nothing of who has voted, so it goes on to where it would end if
    nobody along it voted.

    Attributes:
        delegate: to whom the person delegated.
        further: to whom the vote goes on from there, MOST_NAMED at most; after the close those
            between delegate and carrier.
        left_out: how many more there are.
        overruled: whether the person cast a ballot, which comes before any delegation.
        carrier: who carried the vote; None before the close, and where nobody did.
        content: the carrier's ballot; None without a carrier.
        reason: why nobody carried it, and before the close why nobody may: `cycle`, `dead end`
            (the delegate is not entitled to vote) or `cap`; else "".
    """

    delegate: User
    further: list[User]
    left_out: int
    overruled: bool
    carrier: User | None = None
    content: Any = None
    reason: str = ""


def who_carried(poll: Poll, user: User) -> Way | None:
    """Return the way of somebody's own vote; None where no delegation of theirs is in force.

    As many queries for any way. Where the rule has a cap, all of a closed poll's delegations are
    read, since who is cut off depends on the others.
    """
    if poll.status in {Poll.Status.DRAFT, Poll.Status.WITHDRAWN}:
        return None
    edges = delegating.edges_from(poll, user.pk)
    if not edges:
        return None
    people = [pk for pk in dict.fromkeys(edges.values()) if pk != user.pk]
    if poll.status == Poll.Status.CLOSED:
        return _way_taken(poll, user, edges, people)
    delegate, further = people[0], people[1:]
    reason = ""
    if poll.has_opened and not poll.electors.filter(user_id=delegate).exists():
        reason = "dead end"
    elif list(edges.values())[-1] in edges:
        reason = "cycle"
    named = User.objects.in_bulk([delegate, *further[:MOST_NAMED]])
    return Way(
        delegate=named[delegate],
        further=[named[pk] for pk in further[:MOST_NAMED]],
        left_out=len(further[MOST_NAMED:]),
        overruled=poll.ballots.filter(voter=user).exists(),
        reason=reason,
    )


def _way_taken(poll: Poll, user: User, edges: dict[int, int], people: list[int]) -> Way:
    cap = Rule.from_dict(poll.rule).delegation_cap
    electors, ballots = poll.electors.all(), poll.ballots.all()
    if cap:
        everyone = delegating.edges_of(poll)
    else:
        everyone = edges
        electors = electors.filter(user_id__in=[user.pk, *people])
        ballots = ballots.filter(voter_id__in=[user.pk, *people])
    weights = dict(electors.values_list("user_id", "weight"))
    names = {pk: voting.voter_reference(poll, pk) for pk in weights}
    names |= {pk: voting.voter_reference(poll, pk) for pk in everyone.values() if pk not in names}
    delivery = resolve(
        {names[pk]: weight for pk, weight in weights.items()},
        {names[pk] for pk in ballots.values_list("voter_id", flat=True)},
        {names[giver]: names[taker] for giver, taker in everyone.items()},
        cap=cap,
    )
    own = names[user.pk]
    carried_by = delivery.carrier.get(own, "")
    carrier = next((pk for pk in people if names[pk] == carried_by), None)
    between = people[1 : people.index(carrier)] if carrier is not None else people[1:]
    shown = between[:MOST_NAMED]
    named = User.objects.in_bulk([people[0], *shown, *([carrier] if carrier is not None else [])])
    content = poll.ballots.filter(voter_id=carrier).values_list("content", flat=True).first()
    return Way(
        delegate=named[people[0]],
        further=[named[pk] for pk in shown],
        left_out=len(between) - len(shown),
        overruled=own in delivery.loads,
        carrier=None if carrier is None else named[carrier],
        content=content,
        reason=delivery.undelivered.get(own, ""),
    )


def known_as(user: User) -> str:
    """Name a person within a sentence; whom a script plays is said to be scripted."""
    return f"{user} (scripted)" if user.is_scripted else str(user)


def in_words(poll: Poll, content: Any) -> str:
    """Say what a ballot holds, with the titles of the poll's options."""
    titles = {option["key"]: option["title"] for option in poll.options}
    match content:
        case str():
            return content
        case dict():
            given = [f"{titles.get(key, key)} {amount}" for key, amount in content.items()]
            return ", ".join(given) or "blank"
        case [list(), *_]:
            tiers = [" and ".join(titles.get(key, key) for key in tier) for tier in content]
            return ", then ".join(tiers)
        case [*keys]:
            return ", ".join(titles.get(key, key) for key in keys) or "blank"
        case _:
            return ""
