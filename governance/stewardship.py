"""The verbs of stewards about each other and about open polls: nobody does these alone.

One steward moves, another seconds, and what was moved happens in the same transaction. Nobody
seconds what they moved, what concerns their own stewardship, or a motion about a poll that they
opened. Who is a steward is decided so in a small community, and by a poll in a larger one.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from governance import (
    audit,
    community_rules,
    membership,
    outcomes,
    permissions,
    polling,
    transitions,
)
from governance.canonical import canonical_json, text_digest
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import Membership, Motion, Poll, User
from governance.verbs import Verb

logger = logging.getLogger(__name__)

LONGEST_REASON = 1000
DAYS_BETWEEN_REMOVALS = 30

Kind = Motion.Kind
Role = Membership.Role
Status = Motion.Status

_POLL_IS_OVER = "This poll is not open any more: there is nothing left to decide about it."
_OWN_STEWARDSHIP = (
    "Nobody decides about their own stewardship; but a steward may step down at any time."
)


# --- motions --------------------------------------------------------------------------------------


@transaction.atomic
def move(
    *,
    community_id: int,
    actor: User,
    kind: str,
    reason: str,
    poll_id: int | None = None,
    membership_id: int | None = None,
    role: str = "",
) -> Motion:
    """Ask for what takes two stewards; nothing happens until another one seconds it.

    Args:
        community_id: whose stewards.
        actor: a steward.
        kind: a value of `Motion.Kind`.
        reason: for the other stewards and the record; its digest enters the trail.
        poll_id: the open poll to close early or to withdraw.
        membership_id: whose role to change.
        role: the new role; either it or the present one is that of a steward.

    Raises:
        NotPermitted: `actor` is no steward, it concerns their own stewardship, it takes a poll,
            or no second is needed.
        InvalidTransition: the poll is not open, the member not active or the last steward, the
            same is moved already, or nobody could second it.
        BadInput: the kind or role is unknown, or the reason is empty or too long.
    """
    motion = Motion(
        community=membership.lock_community(community_id),
        kind=kind,
        reason=reason.strip(),
        moved_by=actor,
        moved_at=timezone.now(),
    )
    _require_steward(actor, community_id)
    if kind not in Kind.values:
        raise BadInput("There is no such motion.")
    if not 1 <= len(motion.reason) <= LONGEST_REASON:
        raise BadInput(f"A reason has 1 to {LONGEST_REASON} characters.")
    if kind == Kind.CHANGE_STEWARD:
        people = Membership.objects.select_related("user").filter(community_id=community_id)
        motion.membership = people.filter(pk=membership_id).first()
        if motion.membership is None:
            raise BadInput("Choose a member of this community.")
        motion.role = role
    else:
        motion.poll = Poll.objects.filter(community_id=community_id, pk=poll_id or 0).first()
        if motion.poll is None:
            raise BadInput("Choose a poll of this community.")
    permissions.require(actor.pk != _concerned(motion), _OWN_STEWARDSHIP)
    _require_possible(motion)
    if _same(motion).exists():
        raise InvalidTransition("This is moved already; another steward may second it.")
    if not _seconders(motion):
        raise InvalidTransition(
            "Nobody could second this: it takes another steward, whom it does not concern and who "
            "did not open the poll. Have one more steward named first."
        )
    motion.save(force_insert=True)
    _record(motion, actor, Verb.MOTION_MOVED, _subject_data(motion))
    return motion


@transaction.atomic
def second(*, motion_id: int, actor: User) -> Motion:
    """Carry a motion, and do what it asks, both or neither.

    Raises:
        NotPermitted: `actor` is no steward, moved it, is concerned by it or opened its poll; or
            whoever moved it is no steward any more, or it takes a poll by now.
        InvalidTransition: the motion is over, or its poll or its member has moved on.
    """
    motion = _lock(motion_id)
    _require_steward(actor, motion.community_id)
    permissions.require(actor.pk != motion.moved_by_id, "Nobody seconds their own motion.")
    _require_impartial(motion, actor)
    now = timezone.now()
    _require_waiting(motion, now)
    permissions.require(
        permissions.is_steward(motion.moved_by, motion.community_id),
        "Whoever moved this is not a steward any more; move it anew.",
    )
    _require_possible(motion)
    transitions.move(motion, Status.CARRIED, decided_by=actor, decided_at=now)
    match motion.kind:
        case Kind.CLOSE_EARLY:
            polling.close_early(motion_id=motion.pk)
        case Kind.WITHDRAW_POLL:
            polling.void_poll(motion_id=motion.pk)
        case _:
            subject = Membership.objects.select_for_update().get(pk=motion.membership_id)
            membership.set_role(subject, actor, motion.role, motion=motion.pk)
    _record(motion, actor, Verb.MOTION_CARRIED, {})
    return motion


@transaction.atomic
def decline(*, motion_id: int, actor: User) -> Motion:
    """End a motion without what it asks; whoever moved it may take it back so.

    Raises:
        NotPermitted: `actor` is no steward, or is concerned by it or opened its poll.
        InvalidTransition: the motion is over.
    """
    motion = _lock(motion_id)
    _require_steward(actor, motion.community_id)
    if actor.pk != motion.moved_by_id:
        _require_impartial(motion, actor)
    now = timezone.now()
    _require_waiting(motion, now)
    transitions.move(motion, Status.DECLINED, decided_by=actor, decided_at=now)
    _record(motion, actor, Verb.MOTION_DECLINED, {})
    return motion


@transaction.atomic
def lapse(*, motion_id: int) -> Motion:
    """End a motion that found no second in time, or whose poll is over; any other stays."""
    motion = _lock(motion_id)
    now = timezone.now()
    if motion.status == Status.WAITING and (_is_late(motion, now) or _poll_is_over(motion)):
        transitions.move(motion, Status.LAPSED, decided_at=now)
        _record(motion, None, Verb.MOTION_LAPSED, {})
    return motion


def lapse_motions() -> int:
    """Lapse all motions that are due to, each in a transaction of its own.

    Returns:
        How many lapsed.
    """
    late = Q(moved_at__lte=timezone.now() - _patience())
    over = Q(poll__isnull=False) & ~Q(poll__status=Poll.Status.OPEN)
    due = Motion.objects.filter(late | over, status=Status.WAITING).order_by("pk")
    ended = [lapse(motion_id=pk) for pk in due.values_list("pk", flat=True)]
    return sum(motion.status == Status.LAPSED for motion in ended)


def subjects_of(motions: Iterable[Motion]) -> dict[int, int]:
    """Return the user of each membership that polls of these motions are about, in one query."""
    polls = [motion.poll for motion in motions if motion.poll is not None]
    about = [_subject_of(p)[0] for p in polls if p.kind == community_rules.STEWARD_CHANGE]
    return dict(Membership.objects.filter(pk__in=about).values_list("pk", "user_id"))


def may_decide(motion: Motion, user: User, subjects: Mapping[int, int]) -> bool:
    """Say whether a steward is impartial enough to second or decline what another moved.

    Args:
        motion: with its poll and membership.
        user: a steward.
        subjects: of this motion among others, from `subjects_of`.
    """
    return user.pk not in {motion.moved_by_id, *_partial(motion, subjects)}


# --- who is a steward, by poll --------------------------------------------------------------------


@transaction.atomic
def propose_steward_change(
    *,
    community_id: int,
    actor: User,
    membership_id: int,
    role: str,
    reason: str,
    period: timedelta,
) -> Poll:
    """Put to the vote that somebody becomes a steward, or is one no more.

    Stewards propose new stewards. Any member may propose that a steward's stewardship ends, since
    a steward who stands alone would else never be replaced; such a poll comes once in
    DAYS_BETWEEN_REMOVALS days for the same person. The community's rule for these polls decides.

    Raises:
        NotPermitted: `actor` may not propose this, or means themselves.
        InvalidTransition: the member is not active or the last steward, or there is such a poll
            already, or was not long ago.
        BadInput: the role is unknown or changes nothing about stewards, the reason is empty or
            too long, or the poll cannot be opened so (see `polling.draft_poll`).
    """
    community = membership.lock_community(community_id)
    people = Membership.objects.select_related("user").filter(community_id=community_id)
    subject = people.filter(pk=membership_id).first()
    if subject is None:
        raise BadInput("Choose a member of this community.")
    removes = subject.role == Role.STEWARD
    permissions.require(
        permissions.is_steward(actor, community_id)
        or (removes and permissions.is_member(actor, community_id)),
        "Only stewards propose a new steward; every member may propose that a steward steps back.",
    )
    permissions.require(actor.pk != subject.user_id, _OWN_STEWARDSHIP)
    _require_change(subject, role)
    reason = reason.strip()
    if not 1 <= len(reason) <= LONGEST_REASON:
        raise BadInput(f"A reason has 1 to {LONGEST_REASON} characters.")
    _require_no_other_poll(subject)
    # The record of a poll is public and holds no names: the member is named by number.
    member = f"member {subject.pk}"
    title = f"End the stewardship of {member}" if removes else f"Make {member} a steward"
    become = {
        Role.STEWARD: "becomes a steward",
        Role.MODERATOR: "is a steward no more, and becomes a moderator",
        Role.MEMBER: "is a steward no more, and becomes a plain member",
    }[Role(role)]
    poll = polling.draft_poll(
        community_id=community_id,
        actor=actor,
        kind=community_rules.STEWARD_CHANGE,
        title=title,
        text="\n\n".join(
            [
                f"If this passes, {member} {become}.",
                reason,
                "The change, exactly as it will be made:",
                canonical_json({"membership": subject.pk, "role": role}).decode(),
            ]
        ),
        rule=community_rules.rule_for(community, community_rules.STEWARD_CHANGE),
        period=period,
        subject_key=f"{subject.pk}:{role}",
    )
    return polling.announce_poll(poll_id=poll.pk, actor=actor)


def adopt_steward_change(poll: Poll) -> None:
    """Change the role that a poll has just decided, where it still can be.

    Whoever left or was suspended meanwhile gets no role, and the last steward stays one; then the
    trail tells of the poll alone.
    """
    if poll.outcome != Poll.Outcome.PASSED:
        return
    pk, role = _subject_of(poll)
    subject = Membership.objects.select_for_update().get(pk=pk, community_id=poll.community_id)
    try:
        membership.set_role(subject, None, role, poll=poll.pk)
    except InvalidTransition:
        logger.info("poll %s passed and changes no role", poll.pk)


def subject_for(poll: Poll, viewer: Membership | None) -> Membership | None:
    """Return the member whom a poll about a steward names by number, to who may know their name.

    Members know each other; visitors know the stewards alone.

    Args:
        poll: of any kind.
        viewer: the viewer's own place in the community; None for a visitor.
    """
    if poll.kind != community_rules.STEWARD_CHANGE:
        return None
    people = Membership.objects.select_related("user").filter(pk=_subject_of(poll)[0])
    if viewer is None:
        people = people.active().filter(role=Role.STEWARD)
    return people.first()


def lock_community_of(poll_id: int) -> None:
    """Lock the community of a poll, whose roles or rules the poll's close may change."""
    membership.lock_community(Poll.objects.only("community_id").get(pk=poll_id).community_id)


def members_page(poll: Poll) -> str:
    """Return the page where a community's stewards are named."""
    return reverse("community_members", args=[poll.community.slug])


# --- shared ---------------------------------------------------------------------------------------


def _lock(motion_id: int) -> Motion:
    """Lock a motion after what its execution will lock: subject, community, and before the poll."""
    given = Motion.objects.select_related("poll").get(pk=motion_id)
    if given.poll is not None:
        outcomes.kind_of(given.poll).lock_subject(given.poll.pk)
    membership.lock_community(given.community_id)
    motion: Motion = (
        Motion.objects.select_for_update(of=("self",))
        .select_related("moved_by", "membership", "poll")
        .get(pk=motion_id)
    )
    if motion.poll_id is not None:
        motion.poll = Poll.objects.select_for_update().get(pk=motion.poll_id)
    return motion


def _require_steward(actor: User, community_id: int) -> None:
    permissions.require(
        permissions.is_steward(actor, community_id), "Only stewards move and decide motions."
    )


def _require_impartial(motion: Motion, actor: User) -> None:
    permissions.require(actor.pk != _concerned(motion), _OWN_STEWARDSHIP)
    permissions.require(
        actor.pk not in _partial(motion), "Nobody decides a motion about a poll that they opened."
    )


def _require_waiting(motion: Motion, now: datetime) -> None:
    if motion.status != Status.WAITING:
        raise InvalidTransition(f"This motion is {motion.get_status_display().lower()} already.")
    if _is_late(motion, now):
        raise InvalidTransition("This motion found no second in time; move it anew.")


def _require_possible(motion: Motion) -> None:
    """Refuse what could not be done now, were it seconded."""
    if motion.kind != Kind.CHANGE_STEWARD:
        if _poll_is_over(motion):
            raise InvalidTransition(_POLL_IS_OVER)
        return
    subject = motion.membership
    assert subject is not None  # the database refuses such a motion without one
    permissions.require(community_rules.is_small(motion.community_id), community_rules.BY_POLL)
    _require_change(subject, motion.role)
    if subject.role != Role.STEWARD and not membership.other_stewards(
        motion.community_id, motion.moved_by_id
    ):
        raise NotPermitted("You are the only steward: name another one on the members page.")


def _require_change(subject: Membership, role: str) -> None:
    """Refuse a role that is none, that changes no stewardship, or that nobody could take."""
    if role not in Role.values:
        raise BadInput("A role is member, moderator or steward.")
    if (subject.role == Role.STEWARD) == (role == Role.STEWARD):
        raise BadInput("This changes nothing about who is a steward.")
    if subject.status != Membership.Status.ACTIVE:
        raise InvalidTransition("Only an active member has a role to change.")
    if subject.role == Role.STEWARD and not membership.other_stewards(
        subject.community_id, subject.user_id
    ):
        raise InvalidTransition("A community keeps at least one steward; name another one first.")


def _require_no_other_poll(subject: Membership) -> None:
    polls = Poll.objects.filter(
        community_id=subject.community_id,
        kind=community_rules.STEWARD_CHANGE,
        subject_key__startswith=f"{subject.pk}:",
    )
    if polls.filter(status__in=[Poll.Status.DELIBERATION, Poll.Status.OPEN]).exists():
        raise InvalidTransition("There is a poll about this person already.")
    since = timezone.now() - timedelta(days=DAYS_BETWEEN_REMOVALS)
    if (
        subject.role == Role.STEWARD
        and polls.filter(status=Poll.Status.CLOSED, closed_at__gt=since)
        .exclude(subject_key=f"{subject.pk}:{Role.STEWARD}")
        .exists()
    ):
        raise InvalidTransition(
            f"The members decided this less than {DAYS_BETWEEN_REMOVALS} days ago."
        )


def _same(motion: Motion) -> QuerySet[Motion]:
    waiting = Motion.objects.filter(status=Status.WAITING)
    if motion.kind == Kind.CHANGE_STEWARD:
        return waiting.filter(membership=motion.membership)
    return waiting.filter(kind=motion.kind, poll=motion.poll)


def _concerned(motion: Motion, subjects: Mapping[int, int] | None = None) -> int | None:
    """Return the user whose stewardship a motion, or the poll it is about, would change."""
    if motion.membership is not None:
        return motion.membership.user_id
    poll = motion.poll
    if poll is None or poll.kind != community_rules.STEWARD_CHANGE:
        return None
    return (subjects_of([motion]) if subjects is None else subjects).get(_subject_of(poll)[0])


def _partial(motion: Motion, subjects: Mapping[int, int] | None = None) -> set[int]:
    """Return those who do not decide a motion besides whoever moved it."""
    opener = motion.poll.opened_by_id if motion.poll is not None else None
    return {pk for pk in (_concerned(motion, subjects), opener) if pk is not None}


def _seconders(motion: Motion) -> int:
    """Count the stewards who could second a motion."""
    return membership.other_stewards(motion.community_id, motion.moved_by_id, *_partial(motion))


def _subject_of(poll: Poll) -> tuple[int, str]:
    pk, _, role = poll.subject_key.partition(":")
    return int(pk), role


def _poll_is_over(motion: Motion) -> bool:
    poll = motion.poll
    return poll is not None and not poll.accepts_ballots_at(timezone.now())


def _is_late(motion: Motion, now: datetime) -> bool:
    return motion.moved_at <= now - _patience()


def _patience() -> timedelta:
    return timedelta(days=settings.MOTION_DAYS)


def _subject_data(motion: Motion) -> dict[str, object]:
    data: dict[str, object] = {"reason_digest": text_digest(motion.reason)}
    if motion.poll_id is not None:
        return {"poll": motion.poll_id, **data}
    return {"membership": motion.membership_id, "role": motion.role, **data}


def _record(motion: Motion, actor: User | None, verb: Verb, data: dict[str, object]) -> None:
    audit.record(
        community_id=motion.community_id,
        actor=actor,
        verb=verb,
        subject=motion,
        data={"kind": motion.kind, **data},
    )
