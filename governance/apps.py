"""Communities, polls, ballots, and the audit trail: the base of the house."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """Registers the checks and the poll kinds that need no higher app."""

    name = "governance"

    def ready(self) -> None:
        """Load the system checks, and register the plain question."""
        from governance import checks, outcomes  # noqa: F401, PLC0415 - needs loaded models

        outcomes.register(outcomes.PollKind(name="question", label="Question"))
