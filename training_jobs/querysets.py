"""Reads of training jobs: chainable, and scoped to what a person may see."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from django.db import connection
from django.db.models import Q, QuerySet

from governance.querysets import ScopedQuerySet

if TYPE_CHECKING:
    from governance.models import User

# A message is given this long before it counts as lost; a repeated one gets longer, because the
# worker may only be busy.
NUDGE_AFTER: Final = timedelta(seconds=5)
REPEAT_AFTER: Final = timedelta(seconds=30)
MOST_POINTS: Final = 20_000
_LINE: Final = """
    WITH RECURSIVE line AS (
        SELECT %s::bigint AS id, 0 AS place
        UNION ALL
        SELECT (
            SELECT max(to_model_id) FROM training_jobs_model_parents WHERE from_model_id = line.id
        ), place + 1
        FROM line WHERE id IS NOT NULL AND place < %s
    )
    SELECT id FROM line WHERE id IS NOT NULL AND place > 0 ORDER BY place
"""


class OfRun(ScopedQuerySet):
    """Rows that reach their community through a run."""

    community_path = "run__community"


class OfEvaluation(ScopedQuerySet):
    """Rows that reach their community through an evaluation's run."""

    community_path = "evaluation__run__community"


class ReleaseQuerySet(OfEvaluation):
    """Releases."""

    def released(self) -> Self:
        """Those that the community said yes to."""
        return self.filter(status="released")


class TurnQuerySet(OfRun):
    """Questions and answers of the playground, which only the asker reads."""

    def of(self, user: "User") -> Self:
        """Those that `user` asked."""
        return self.filter(user=user)


class ModelQuerySet(QuerySet[Any]):
    """Models: a community's own, and the base models that belong to everyone."""

    def usable_in(self, community_id: int) -> Self:
        """Models that a run of this community may start from."""
        return self.filter(Q(community_id=community_id) | Q(community=None))

    def line_of(self, key: int, most: int) -> list[int]:
        """Return the keys of the models that a model came from, the nearest first, in one query."""
        with connection.cursor() as cursor:
            cursor.execute(_LINE, [key, most])
            return [pk for (pk,) in cursor.fetchall()]

    def base(self) -> Self:
        """Models that came with the installation."""
        return self.filter(community=None, parents=None)


class ProgressQuerySet(QuerySet[Any]):
    """Lines of runs' progress."""

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """Return each metric's points by step; of a step that was done twice, the later one."""
        found: dict[str, dict[int, float]] = {}
        rows = (
            self.exclude(metrics={})
            .exclude(phase="done")
            .order_by("-pk")
            .values_list("step", "metrics")
        )
        for step, metrics in rows[:MOST_POINTS]:
            for name, value in metrics.items():
                found.setdefault(name, {}).setdefault(step, value)
        return {name: sorted(points.items()) for name, points in found.items()}


class RunQuerySet(ScopedQuerySet):
    """Runs."""

    def work(self) -> Self:
        """All but the answers of the playground, which belong to those who asked."""
        return self.exclude(recipe="chat")

    def waiting(self) -> Self:
        """Runs that no worker has taken yet."""
        return self.filter(status="queued")

    def unheard(self, now: datetime) -> Self:
        """Queued runs whose message seems to be lost."""
        return self.waiting().filter(
            Q(nudged_at=None, queued_at__lte=now - NUDGE_AFTER)
            | Q(nudged_at__lte=now - REPEAT_AFTER)
        )

    def abandoned(self, now: datetime) -> Self:
        """Runs whose worker has not renewed its lease in time."""
        return self.filter(status="running", lease_until__lt=now)
