"""Runs, models, evaluations and releases: what the decisions turn into."""

from django.apps import AppConfig


class TrainingJobsConfig(AppConfig):
    """Loads the system checks, and registers what a poll about a model leads to."""

    name = "training_jobs"

    def ready(self) -> None:
        """Register the poll kind of releases; needs loaded models."""
        from governance import outcomes  # noqa: PLC0415
        from training_jobs import checks, releasing  # noqa: F401, PLC0415

        outcomes.register(
            outcomes.PollKind(
                name=releasing.POLL_KIND,
                label="Release of a model",
                on_close=releasing.decide,
                on_withdraw=releasing.decide,
                subject_url=releasing.subject_url,
                lock_subject=releasing.lock_subject,
            )
        )
