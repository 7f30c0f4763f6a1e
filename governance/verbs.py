"""What the trail of governance says happened, in the past tense."""

from enum import StrEnum


class Verb(StrEnum):
    """Acts of communities, members, polls and moderators of membership."""

    COMMUNITY_CREATED = "community.created"
    COMMUNITY_CHANGED = "community.changed"
    MEMBER_JOINED = "member.joined"
    MEMBERSHIP_REQUESTED = "membership.requested"
    MEMBERSHIP_APPROVED = "membership.approved"
    MEMBERSHIP_DECLINED = "membership.declined"
    MEMBER_INVITED = "member.invited"
    INVITATION_REVOKED = "invitation.revoked"
    MEMBER_LEFT = "member.left"
    MEMBER_SUSPENDED = "member.suspended"
    MEMBER_REINSTATED = "member.reinstated"
    ROLE_CHANGED = "role.changed"
    POLL_OPENED = "poll.opened"
    BALLOT_CAST = "ballot.cast"
    BALLOT_REPLACED = "ballot.replaced"
    BALLOT_WITHDRAWN = "ballot.withdrawn"
    POLL_CLOSED = "poll.closed"
