"""The operator's view of runs, models, evaluations and releases: read-only."""

from django.contrib import admin

from governance.admin import ReadOnlyAdmin
from training_jobs.models import Attempt, Evaluation, Model, Release, Run, Score


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    """Runs."""

    list_display = ("pk", "community", "recipe", "status", "attempt", "queued_at", "finished_at")
    list_filter = ("status", "recipe")
    list_select_related = ("community",)


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    """Which worker had which run, and how that ended."""

    list_display = ("run", "number", "worker", "started_at", "ended_at", "ending")
    list_filter = ("ending",)
    list_select_related = ("run",)


@admin.register(Model)
class ModelAdmin(ReadOnlyAdmin):
    """Models."""

    list_display = ("name", "revision", "community", "short_digest", "created_at")
    list_select_related = ("community",)


@admin.register(Evaluation)
class EvaluationAdmin(ReadOnlyAdmin):
    """Evaluations."""

    list_display = ("pk", "model", "baseline", "suite_name", "created_at")
    list_select_related = ("model", "baseline")


@admin.register(Score)
class ScoreAdmin(ReadOnlyAdmin):
    """Scores."""

    list_display = ("evaluation", "metric", "principle_key", "side", "n", "value", "low", "high")
    list_filter = ("metric", "side")
    list_select_related = ("evaluation",)


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    """Releases."""

    list_display = ("model", "status", "poll", "released_at")
    list_filter = ("status",)
    list_select_related = ("model", "poll")
