"""The verbs of communities and their members: who is in, and in which role.

Each locks the community's row before any membership, so that two stewards who step down at once
do so one after the other, and the last one stays.
"""

from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.text import slugify

from governance import audit, chain, community_rules, permissions
from governance.canonical import text_digest
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import Community, Invitation, Membership, Trail, User
from governance.transitions import move
from governance.verbs import Verb

LONGEST_NAME = 100
LONGEST_PURPOSE = 2000
LONGEST_SLUG = 60
LONGEST_INVITATION_DAYS = 90

Role = Membership.Role
Status = Membership.Status


@transaction.atomic
def create_community(
    *,
    actor: User,
    name: str,
    purpose: str,
    joining: str = Community.Joining.OPEN,
    visibility: str = Community.Visibility.PUBLIC,
    slug: str = "",
    is_demo: bool = False,
) -> Community:
    """Found a community, with its trail; the founder becomes its first steward.

    Args:
        actor: the founder.
        name: for people.
        purpose: what the community is for.
        joining: how people come in, a value of `Community.Joining`.
        visibility: who may read, a value of `Community.Visibility`.
        slug: in addresses; made from the name when empty.
        is_demo: whether every page says that this is a demonstration.

    Raises:
        BadInput: the name or purpose is empty or too long, or the slug is taken or unusable.
    """
    name, purpose = name.strip(), purpose.strip()
    if not 1 <= len(name) <= LONGEST_NAME:
        raise BadInput(f"A community's name has 1 to {LONGEST_NAME} characters.")
    _check_settings(purpose=purpose, joining=joining, visibility=visibility)
    slug = slugify(slug or name)[:LONGEST_SLUG].strip("-")
    if not slug:
        raise BadInput("Give the community an address of Latin letters and digits.")
    try:
        with transaction.atomic():
            community: Community = Community.objects.create(
                slug=slug,
                name=name,
                purpose=purpose,
                joining=joining,
                visibility=visibility,
                is_demo=is_demo,
            )
    except IntegrityError:
        raise BadInput(f"The address “{slug}” is taken; choose another.") from None
    Trail.objects.create(community=community, head=chain.GENESIS)
    Membership.objects.create(
        community=community, user=actor, role=Role.STEWARD, joined_at=timezone.now()
    )
    audit.record(
        community_id=community.pk,
        actor=actor,
        verb=Verb.COMMUNITY_CREATED,
        subject=community,
        data={
            "slug": slug,
            "name": name,
            "purpose_digest": text_digest(purpose),
            "joining": joining,
            "visibility": visibility,
            "steward": audit.actor_name(actor),
        },
    )
    return community


@transaction.atomic
def change_community(
    *, community_id: int, actor: User, purpose: str, joining: str, visibility: str
) -> Community:
    """Change what a community is for, how people join it and who may read it.

    Raises:
        NotPermitted: `actor` is no steward.
        BadInput: the purpose is empty or too long, or a value is unknown.
    """
    community = lock_community(community_id)
    _require_steward(actor, community_id, "change the community")
    purpose = purpose.strip()
    _check_settings(purpose=purpose, joining=joining, visibility=visibility)
    wanted = {"purpose": purpose, "joining": joining, "visibility": visibility}
    changed = {name: value for name, value in wanted.items() if getattr(community, name) != value}
    if not changed:
        return community
    for name, value in changed.items():
        setattr(community, name, value)
    community.save(update_fields=list(changed))
    data: dict[str, object] = {k: v for k, v in changed.items() if k != "purpose"}
    if "purpose" in changed:
        data["purpose_digest"] = text_digest(purpose)
    audit.record(
        community_id=community_id,
        actor=actor,
        verb=Verb.COMMUNITY_CHANGED,
        subject=community,
        data=data,
    )
    return community


@transaction.atomic
def join(*, community_id: int, actor: User) -> Membership:
    """Join an open community, or ask the stewards where they decide; twice is as once.

    Raises:
        NotPermitted: the community is private or joined by invitation, or `actor` is suspended.
    """
    community = lock_community(community_id)
    membership = _find(community_id, actor)
    if membership and membership.status == Status.ACTIVE:
        return membership
    permissions.require(
        community.joining != Community.Joining.INVITE
        and community.visibility == Community.Visibility.PUBLIC,
        "This community is joined by invitation only.",
    )
    _refuse_suspended(membership)
    if community.joining == Community.Joining.OPEN:
        return _enter(community, actor, membership, how="open")
    if membership and membership.status == Status.REQUESTED:
        return membership
    if membership is None:
        membership = Membership(community=community, user=actor, status=Status.REQUESTED)
        membership.save()
    else:
        move(membership, Status.REQUESTED, role=Role.MEMBER)
    _record(membership, actor, Verb.MEMBERSHIP_REQUESTED)
    return membership


@transaction.atomic
def invite(*, community_id: int, actor: User, days: int = 14) -> Invitation:
    """Make a link by which people join until it expires; the trail does not hold the link.

    Raises:
        NotPermitted: `actor` is no steward.
        BadInput: `days` is not between 1 and 90.
    """
    lock_community(community_id)
    _require_steward(actor, community_id, "invite people")
    if not 1 <= days <= LONGEST_INVITATION_DAYS:
        raise BadInput(f"An invitation holds for 1 to {LONGEST_INVITATION_DAYS} days.")
    invitation = Invitation.objects.create(
        community_id=community_id,
        created_by=actor,
        expires_at=timezone.now() + timedelta(days=days),
    )
    audit.record(
        community_id=community_id,
        actor=actor,
        verb=Verb.MEMBER_INVITED,
        subject=invitation,
        data={"expires_at": audit.timestamp(invitation.expires_at)},
    )
    return invitation


@transaction.atomic
def revoke_invitation(*, invitation_id: int, actor: User) -> Invitation:
    """Let an invitation expire now; one that has expired stays as it is.

    Raises:
        NotPermitted: `actor` is no steward.
    """
    community_id = Invitation.objects.only("community_id").get(pk=invitation_id).community_id
    lock_community(community_id)
    invitation = Invitation.objects.select_for_update().get(pk=invitation_id)
    _require_steward(actor, community_id, "withdraw invitations")
    now = timezone.now()
    if invitation.expires_at <= now:
        return invitation
    invitation.expires_at = now
    invitation.save(update_fields=["expires_at"])
    audit.record(
        community_id=community_id,
        actor=actor,
        verb=Verb.INVITATION_REVOKED,
        subject=invitation,
        data={},
    )
    return invitation


@transaction.atomic
def accept_invitation(*, token: str, actor: User) -> Membership:
    """Join by an invitation link, whatever the community's way of joining; twice is as once.

    Raises:
        Invitation.DoesNotExist: there is no such link.
        InvalidTransition: the link has expired.
        NotPermitted: `actor` is suspended.
    """
    invitation = Invitation.objects.get(token=token)
    community = lock_community(invitation.community_id)
    invitation.refresh_from_db()
    membership = _find(community.pk, actor)
    if membership and membership.status == Status.ACTIVE:
        return membership
    _refuse_suspended(membership)
    if invitation.expires_at <= timezone.now():
        raise InvalidTransition("This invitation has expired; ask a steward for a new one.")
    return _enter(community, actor, membership, how=audit.subject_name(invitation))


@transaction.atomic
def approve_request(*, membership_id: int, actor: User) -> Membership:
    """Let in a person who asked to join.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: nothing is asked any more.
    """
    membership = _lock_membership(membership_id)
    _require_steward(actor, membership.community_id, "decide on requests")
    _require_requested(membership)
    move(membership, Status.ACTIVE, joined_at=timezone.now())
    _record(membership, actor, Verb.MEMBERSHIP_APPROVED)
    return membership


@transaction.atomic
def decline_request(*, membership_id: int, actor: User) -> Membership:
    """Decline a person who asked to join; they may ask again.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: nothing is asked any more.
    """
    membership = _lock_membership(membership_id)
    _require_steward(actor, membership.community_id, "decide on requests")
    _require_requested(membership)
    move(membership, Status.DECLINED)
    _record(membership, actor, Verb.MEMBERSHIP_DECLINED)
    return membership


@transaction.atomic
def change_role(*, membership_id: int, actor: User, role: str) -> Membership:
    """Give an active member another role; the last steward stays one.

    Who is a steward is for one steward alone to say only while there is no other and the community
    is small; a motion that another steward seconds decides it then, and a poll in a larger
    community. Stepping down needs nobody.

    Raises:
        NotPermitted: `actor` is no steward, or it takes a second steward, or a poll.
        InvalidTransition: the member is not active, or the last steward.
        BadInput: there is no such role.
    """
    membership = _lock_membership(membership_id)
    _require_steward(actor, membership.community_id, "change roles")
    if role not in Role.values:
        raise BadInput("A role is member, moderator or steward.")
    changes_stewards = Role.STEWARD in {membership.role, role} and membership.role != role
    if changes_stewards and membership.user_id != actor.pk:
        community_id = membership.community_id
        permissions.require(community_rules.is_small(community_id), community_rules.BY_POLL)
        permissions.require(
            not other_stewards(community_id, actor.pk),
            "Where there are two stewards or more, one moves who is a steward and another "
            "seconds it: see Motions.",
        )
    return set_role(membership, actor, role)


def set_role(
    membership: Membership, actor: User | None, role: str, *, motion: int = 0, poll: int = 0
) -> Membership:
    """Change the role of a locked membership, for a verb that knows that it may be changed.

    Args:
        membership: locked, after its community.
        actor: None where a poll decided.
        role: the new one.
        motion: the number of the motion that was carried; 0 for none.
        poll: the number of the poll that passed; 0 for none.

    Raises:
        InvalidTransition: the member is not active, or the last steward.
    """
    if membership.status != Status.ACTIVE:
        raise InvalidTransition("Only an active member has a role to change.")
    if membership.role == role:
        return membership
    _keep_a_steward(membership)
    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    data = {"from": str(before), "to": str(role), "motion": motion, "poll": poll}
    data["limit"] = settings.SMALL_COMMUNITY
    _record(membership, actor, Verb.ROLE_CHANGED, data)
    return membership


def other_stewards(community_id: int, *people: int) -> int:
    """Count the active stewards of a community besides these users, given by key."""
    return (
        Membership.objects.filter(community_id=community_id, role=Role.STEWARD)
        .active()
        .exclude(user_id__in=people)
        .count()
    )


@transaction.atomic
def suspend(*, membership_id: int, actor: User) -> Membership:
    """Suspend a member: they keep their place, and the ballots they cast keep counting.

    A steward is not suspended: it would end the stewardship without a second or a poll.

    Raises:
        NotPermitted: `actor` is no steward, or means themselves or a steward.
        InvalidTransition: the member is not active.
    """
    membership = _lock_membership(membership_id)
    _require_steward(actor, membership.community_id, "suspend members")
    permissions.require(membership.user_id != actor.pk, "Nobody suspends themselves.")
    permissions.require(
        membership.role != Role.STEWARD or membership.status != Status.ACTIVE,
        "A steward is not suspended: the stewardship ends first, by a motion or a poll.",
    )
    move(membership, Status.SUSPENDED)
    _record(membership, actor, Verb.MEMBER_SUSPENDED)
    return membership


@transaction.atomic
def reinstate(*, membership_id: int, actor: User) -> Membership:
    """End a member's suspension; they return as a plain member.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: the member is not suspended.
    """
    membership = _lock_membership(membership_id)
    _require_steward(actor, membership.community_id, "reinstate members")
    if membership.status != Status.SUSPENDED:
        raise InvalidTransition("This member is not suspended.")
    move(membership, Status.ACTIVE, role=Role.MEMBER)
    _record(membership, actor, Verb.MEMBER_REINSTATED)
    return membership


@transaction.atomic
def leave(*, community_id: int, actor: User) -> Membership:
    """Leave a community, or take back a request to join it.

    Raises:
        NotPermitted: `actor` is not in the community, or is suspended.
        InvalidTransition: `actor` is the last steward.
    """
    lock_community(community_id)
    membership = _find(community_id, actor)
    if membership is None or membership.status in {Status.LEFT, Status.DECLINED}:
        raise NotPermitted("You are not in this community.")
    if membership.status == Status.SUSPENDED:
        raise NotPermitted("A suspended membership stays until a steward ends the suspension.")
    _keep_a_steward(membership)
    move(membership, Status.LEFT)
    _record(membership, actor, Verb.MEMBER_LEFT)
    return membership


def lock_community(community_id: int) -> Community:
    """Lock a community's row, which every verb does before it touches a membership."""
    # No key: rows that merely refer to the community may be written meanwhile.
    community: Community = Community.objects.select_for_update(no_key=True).get(pk=community_id)
    return community


def _lock_membership(membership_id: int) -> Membership:
    lock_community(Membership.objects.only("community_id").get(pk=membership_id).community_id)
    membership: Membership = Membership.objects.select_for_update().get(pk=membership_id)
    return membership


def _find(community_id: int, user: User) -> Membership | None:
    memberships = Membership.objects.select_for_update()
    membership: Membership | None = memberships.filter(
        community_id=community_id, user_id=user.pk
    ).first()
    return membership


def _enter(
    community: Community, actor: User, membership: Membership | None, *, how: str
) -> Membership:
    """Make `actor` an active plain member, and say so in the trail."""
    now = timezone.now()
    if membership is None:
        membership = Membership.objects.create(community=community, user=actor, joined_at=now)
    else:
        move(membership, Status.ACTIVE, role=Role.MEMBER, joined_at=now)
    _record(membership, actor, Verb.MEMBER_JOINED, {"how": how})
    return membership


def _record(
    membership: Membership, actor: User | None, verb: Verb, data: dict[str, object] | None = None
) -> None:
    audit.record(
        community_id=membership.community_id,
        actor=actor,
        verb=verb,
        subject=membership,
        data={"user": f"user:{membership.user_id}", **(data or {})},
    )


def _require_steward(actor: User, community_id: int, act: str) -> None:
    permissions.require(permissions.is_steward(actor, community_id), f"Only stewards {act}.")


def _require_requested(membership: Membership) -> None:
    if membership.status != Status.REQUESTED:
        raise InvalidTransition("This person does not ask to join any more.")


def _refuse_suspended(membership: Membership | None) -> None:
    suspended = membership is not None and membership.status == Status.SUSPENDED
    permissions.require(not suspended, "You are suspended from this community.")


def _keep_a_steward(membership: Membership) -> None:
    """Refuse to take away the last active steward.

    Raises:
        InvalidTransition: no other steward is active.
    """
    if membership.status != Status.ACTIVE or membership.role != Role.STEWARD:
        return
    if not other_stewards(membership.community_id, membership.user_id):
        raise InvalidTransition("A community keeps at least one steward; name another one first.")


def _check_settings(*, purpose: str, joining: str, visibility: str) -> None:
    if not 1 <= len(purpose) <= LONGEST_PURPOSE:
        raise BadInput(f"A community's purpose has 1 to {LONGEST_PURPOSE} characters.")
    if joining not in Community.Joining.values:
        raise BadInput("A community is joined openly, by request or by invitation.")
    if visibility not in Community.Visibility.values:
        raise BadInput("A community is public or private.")
