"""Who may vote in a poll that opens now, how much their vote weighs, and in which group they are.

Two queries at most, and whatever the provider of opinion groups asks.
"""

from datetime import UTC, datetime, timedelta

from allauth.account.models import EmailAddress
from django.db.models import Exists, OuterRef

from governance import groups
from governance.models import Membership
from governance.rules import Rule

MOST_WEIGHT = 5


def electors_for(community_id: int, rule: Rule, now: datetime) -> list[tuple[int, int, str]]:
    """Return user, weight and opinion group of each member whom `rule` lets vote, by user.

    Active members count, suspended ones do not. Groups are asked for only where the rule asks for
    their support: a poll's record holds no more about its voters than it needs.

    Args:
        community_id: whose members.
        rule: its `membership_days`, `verified_email`, `weighting` and `group_support` are read.
        now: the moment of opening.
    """
    members = Membership.objects.filter(community_id=community_id).active()
    if rule.membership_days:
        members = members.filter(joined_at__lte=now - timedelta(days=rule.membership_days))
    if rule.verified_email:
        verified = EmailAddress.objects.filter(user_id=OuterRef("user_id"), verified=True)
        members = members.filter(Exists(verified))
    known = groups.groups_of(community_id) if rule.group_support else {}
    rows = members.order_by("user_id").values_list("user_id", "joined_at")
    if rule.weighting == "equal":
        return [(user_id, 1, known.get(user_id, "")) for user_id, _ in rows]
    return [(pk, seniority_weight(joined, now), known.get(pk, "")) for pk, joined in rows]


def seniority_weight(joined_at: datetime, now: datetime) -> int:
    """Return 1, and one more for each full year of membership, MOST_WEIGHT in all at most.

    A year is full at the same moment (UTC) of the same day of the next year; one that began on
    29 February is full with the end of 28 February.
    """
    began, ends = joined_at.astimezone(UTC), now.astimezone(UTC)
    years = ends.year - began.year
    if _within_year(ends) < _within_year(began):
        years -= 1
    return 1 + min(max(years, 0), MOST_WEIGHT - 1)


def _within_year(moment: datetime) -> tuple[int, ...]:
    return (
        moment.month,
        moment.day,
        moment.hour,
        moment.minute,
        moment.second,
        moment.microsecond,
    )
