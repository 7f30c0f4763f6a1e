"""The rules that a community has set for its own polls: what each kind starts from, or must keep.

`Community.rules` maps a kind of poll to its rule, and "" to the default rule. Reads only; the verb
that sets a rule is in `stewardship`.
"""

from django.conf import settings

from governance.models import Community, Membership
from governance.rules import DEFAULT_RULE, Rule

DEFAULT = ""
QUESTION = "question"
RULE_CHANGE = "rule_change"
STEWARD_CHANGE = "steward_change"
# Kinds that govern the community itself: nobody who opens one chooses how it is decided.
GOVERNING = frozenset({RULE_CHANGE, STEWARD_CHANGE})
BY_POLL = "This community is large enough that a poll decides this: propose it to the members."


def rule_of(community: Community, kind: str) -> Rule | None:
    """Return the rule that a poll of this kind must have, or None where its opener chooses.

    A rule set for the kind binds it. The default rule binds every kind that has consequences; a
    plain question has none, and may be asked by another method. Rule and steward changes are
    bound even where the community has set nothing: by the house's default rule.
    """
    if kind in community.rules:
        return Rule.from_dict(community.rules[kind])
    if kind == QUESTION:
        return None
    if DEFAULT in community.rules:
        return Rule.from_dict(community.rules[DEFAULT])
    return DEFAULT_RULE if kind in GOVERNING else None


def rule_for(community: Community, kind: str) -> Rule:
    """Return the rule from which a new poll of this kind starts."""
    bound = rule_of(community, kind)
    if bound is not None:
        return bound
    return Rule.from_dict(community.rules.get(DEFAULT, {}))


def members_of(community_id: int) -> int:
    """Count the members whose number decides who sets the rules.

    Suspended members count: suspending people does not make a community small.
    """
    statuses = [Membership.Status.ACTIVE, Membership.Status.SUSPENDED]
    return Membership.objects.filter(community_id=community_id, status__in=statuses).count()


def is_small(community_id: int) -> bool:
    """Say whether stewards still set rules and stewards themselves, without a poll."""
    return members_of(community_id) <= settings.SMALL_COMMUNITY
