"""Communities, polls, ballots, and the audit trail: the base of the house."""

from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    """Registers the checks and the poll kinds that need no higher app."""

    name = "governance"

    def ready(self) -> None:
        """Load the system checks; register the plain question and how a community is run."""
        from governance import (  # noqa: PLC0415 - needs loaded models
            checks,  # noqa: F401
            community_rules,
            outcomes,
            rule_setting,
            stewardship,
        )

        outcomes.register(outcomes.PollKind(name="question", label="Question", takes_options=True))
        outcomes.register(
            outcomes.PollKind(
                name=community_rules.RULE_CHANGE,
                label="Rule change",
                on_close=rule_setting.adopt_rule,
                lock_subject=stewardship.lock_community_of,
                subject_url=rule_setting.rules_page,
            )
        )
        outcomes.register(
            outcomes.PollKind(
                name=community_rules.STEWARD_CHANGE,
                label="Stewards",
                on_close=stewardship.adopt_steward_change,
                lock_subject=stewardship.lock_community_of,
                subject_url=stewardship.members_page,
            )
        )
