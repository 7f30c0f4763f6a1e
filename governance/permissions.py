"""Who may do what: predicates that read and never write."""

from governance.community_rules import STEWARD_CHANGE
from governance.errors import NotPermitted
from governance.models import Elector, Membership, Poll
from governance.querysets import Viewer


def require(allowed: bool, sentence: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Refuse with `sentence` unless `allowed`.

    Raises:
        NotPermitted: it is not allowed.
    """
    if not allowed:
        raise NotPermitted(sentence)


def membership_of(user: Viewer, community_id: int) -> Membership | None:
    """Return the active membership of `user`, if any."""
    if not user.is_authenticated:
        return None
    return Membership.objects.filter(
        user_id=user.pk, community_id=community_id, status=Membership.Status.ACTIVE
    ).first()


def _has_role(user: Viewer, community_id: int, *roles: Membership.Role) -> bool:
    membership = membership_of(user, community_id)
    return membership is not None and membership.role in roles


def is_member(user: Viewer, community_id: int) -> bool:
    """Say whether `user` is an active member, in whatever role."""
    return membership_of(user, community_id) is not None


def is_moderator(user: Viewer, community_id: int) -> bool:
    """Say whether `user` works the review queue; stewards do too."""
    return _has_role(user, community_id, Membership.Role.MODERATOR, Membership.Role.STEWARD)


def is_steward(user: Viewer, community_id: int) -> bool:
    """Say whether `user` sets up the community, opens polls and queues runs."""
    return _has_role(user, community_id, Membership.Role.STEWARD)


def can_put_to_vote(user: Viewer, community_id: int, kind: str) -> bool:
    """Say whether `user` may draft and announce polls of this kind.

    Stewards may. Who is a steward every member may put to the vote (`stewardship` says when): a
    steward who stands alone would else never be replaced.
    """
    if kind == STEWARD_CHANGE:
        return is_member(user, community_id)
    return is_steward(user, community_id)


def can_manage(user: Viewer, poll: Poll, membership: Membership | None) -> bool:
    """Say whether `user`, with this place in its community, may edit and withdraw the poll."""
    if membership is None:
        return False
    own = poll.opened_by_id == user.pk
    return membership.role == Membership.Role.STEWARD or (own and poll.kind == STEWARD_CHANGE)


def can_vote(user: Viewer, poll: Poll) -> bool:
    """Say whether `user` is in the poll's frozen electorate."""
    return (
        user.is_authenticated and Elector.objects.filter(poll_id=poll.pk, user_id=user.pk).exists()
    )
