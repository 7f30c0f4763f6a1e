"""Who may do what in feedback: predicates that read and never write."""

from feedback.models import Assignment, Prompt, ReviewItem
from governance.permissions import is_member, is_moderator, is_steward, require
from governance.querysets import Viewer

__all__ = [
    "can_add_prompts",
    "can_download",
    "can_freeze",
    "can_import_prompts",
    "can_label",
    "can_moderate",
    "can_read_files",
    "can_report",
    "can_review",
    "holds",
    "require",
    "wrote",
]


def can_add_prompts(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may type in a prompt: every member may."""
    return is_member(user, community_id)


def can_import_prompts(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may import a file of prompts."""
    return is_steward(user, community_id)


def can_label(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may compare answers: every member may."""
    return is_member(user, community_id)


def can_report(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may report content: every member may."""
    return is_member(user, community_id)


def can_moderate(user: Viewer, community_id: int) -> bool:
    """Say whether `user` works the review queue at all."""
    return is_moderator(user, community_id)


def wrote(user: Viewer, item: ReviewItem) -> bool:
    """Say whether the content under review is `user`'s own; a model's answer is nobody's."""
    return (
        item.target == ReviewItem.Target.PROMPT
        and Prompt.objects.filter(pk=item.target_key, submitted_by_id=user.pk).exists()
    )


def can_review(user: Viewer, item: ReviewItem) -> bool:
    """Say whether `user` may take up this item: a moderator, and not of their own content."""
    return is_moderator(user, item.community_id) and not wrote(user, item)


def can_freeze(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may freeze datasets."""
    return is_steward(user, community_id)


def can_download(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may take a dataset's files, which hold pseudonymous labels: members."""
    return is_member(user, community_id)


def can_read_files(user: Viewer, community_id: int, *, holds_hidden: bool) -> bool:
    """Say whether `user` may take these files: moderators alone, once something in them is hidden.

    Args:
        user: who asks.
        community_id: whose dataset it is.
        holds_hidden: what `freezing.holds_hidden` says of the dataset.
    """
    if holds_hidden:
        return is_moderator(user, community_id)
    return can_download(user, community_id)


def holds(user: Viewer, assignment: Assignment) -> bool:
    """Say whether the assignment is `user`'s, and they are still a member."""
    return assignment.annotator_id == user.pk and is_member(
        user, assignment.comparison.community_id
    )
