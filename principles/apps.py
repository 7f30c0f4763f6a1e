"""Drafts, and the versions that a community has ratified."""

from django.apps import AppConfig


class PrinciplesConfig(AppConfig):
    """Registers the poll that ratifies a draft."""

    name = "principles"

    def ready(self) -> None:
        """Register the kind of poll whose passing makes a version."""
        from governance import outcomes  # noqa: PLC0415 - needs loaded models
        from principles import models, ratification  # noqa: PLC0415 - needs loaded models

        outcomes.register(
            outcomes.PollKind(
                name=models.Draft.POLL_KIND,
                label="Ratification",
                on_close=ratification.adopt,
                on_withdraw=ratification.give_back,
                lock_subject=ratification.lock_subject,
                subject_url=ratification.subject_url,
            )
        )
