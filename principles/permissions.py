"""Who may write, propose and withdraw a constitution's drafts."""

from governance.permissions import is_member, is_steward
from governance.querysets import Viewer
from principles.models import Draft


def can_create_draft(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may begin a draft: every active member may."""
    return is_member(user, community_id)


def is_draft_keeper(user: Viewer, draft: Draft) -> bool:
    """Say whether `user` looks after `draft`: its author while a member, or a steward."""
    community_id = draft.constitution.community_id
    if user.pk == draft.author_id:
        return is_member(user, community_id)
    return is_steward(user, community_id)


def can_edit_draft(user: Viewer, draft: Draft) -> bool:
    """Say whether `user` may change or withdraw `draft` as it stands."""
    return draft.status == Draft.Status.EDITING and is_draft_keeper(user, draft)


def can_propose(user: Viewer, draft: Draft) -> bool:
    """Say whether `user` may put `draft` to a poll as it stands: a steward may."""
    return draft.status == Draft.Status.EDITING and is_steward(
        user, draft.constitution.community_id
    )
