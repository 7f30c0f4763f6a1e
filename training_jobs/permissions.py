"""Who may do what with runs, releases and the playground: predicates that never write."""

from governance.permissions import is_member, is_steward, require
from governance.querysets import Viewer

__all__ = [
    "can_ask",
    "can_cancel_runs",
    "can_propose_release",
    "can_queue_runs",
    "can_read_logs",
    "require",
]


def can_queue_runs(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may spend the community's computing time."""
    return is_steward(user, community_id)


def can_cancel_runs(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may end a run before its time."""
    return is_steward(user, community_id)


def can_read_logs(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may read a run's log, which can name paths of the machine."""
    return is_steward(user, community_id)


def can_propose_release(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may put a model to the community."""
    return is_steward(user, community_id)


def can_ask(user: Viewer, community_id: int) -> bool:
    """Say whether `user` may talk to the community's released models."""
    return is_member(user, community_id)
