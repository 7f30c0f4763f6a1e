"""Who is entitled, how much a vote weighs, and in which group it is counted."""

from datetime import UTC, datetime, timedelta

import pytest
from allauth.account.models import EmailAddress
from django.utils import timezone

from governance import groups
from governance.electorates import electors_for, seniority_weight
from governance.rules import Rule
from tests.factories.governance import CommunityFactory, MembershipFactory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def users(electors):
    return [user for user, _, _ in electors]


@pytest.fixture
def community():
    return CommunityFactory()


@pytest.fixture
def provider():
    """Let a test say who is in which group, and forget it afterwards."""
    known = {}
    groups.register(provide := lambda community_id: known.get(community_id, {}))
    yield known
    groups._providers.remove(provide)


def test_active_members_are_entitled_and_nobody_else(community):
    member = MembershipFactory(community=community)
    for status in ("requested", "suspended", "declined", "left"):
        MembershipFactory(community=community, status=status)
    MembershipFactory()

    assert electors_for(community.pk, Rule(), timezone.now()) == [(member.user_id, 1, "")]


def test_membership_days_are_counted_to_the_microsecond_of_the_opening(community):
    edge = NOW - timedelta(days=30)
    long_enough = MembershipFactory(community=community, joined_at=edge)
    MembershipFactory(community=community, joined_at=edge + timedelta(microseconds=1))

    assert users(electors_for(community.pk, Rule(membership_days=30), NOW)) == [long_enough.user_id]


def test_verified_email_asks_for_one_verified_address(community):
    yes, no, none = (MembershipFactory(community=community) for _ in range(3))
    EmailAddress.objects.create(user=yes.user, email=yes.user.email, verified=True)
    EmailAddress.objects.create(user=yes.user, email="other@example.org", verified=False)
    EmailAddress.objects.create(user=no.user, email=no.user.email, verified=False)

    assert users(electors_for(community.pk, Rule(verified_email=True), NOW)) == [yes.user_id]
    assert users(electors_for(community.pk, Rule(), NOW)) == [m.user_id for m in (yes, no, none)]


@pytest.mark.parametrize(
    ("joined", "weight"),
    [
        (NOW, 1),
        (NOW + timedelta(days=1), 1),
        (datetime(2025, 3, 1, 12, 0, 0, 1, tzinfo=UTC), 1),
        (datetime(2025, 3, 1, 12, tzinfo=UTC), 2),
        (datetime(2024, 3, 2, tzinfo=UTC), 2),
        (datetime(2024, 2, 29, 12, tzinfo=UTC), 3),
        (datetime(2022, 3, 1, 12, tzinfo=UTC), 5),
        (datetime(2001, 1, 1, tzinfo=UTC), 5),
    ],
)
def test_seniority_adds_one_for_each_full_year_and_ends_at_five(joined, weight):
    assert seniority_weight(joined, NOW) == weight


def test_weights_follow_the_rule_alone(community):
    old = MembershipFactory(community=community, joined_at=NOW - timedelta(days=800))

    assert electors_for(community.pk, Rule(), NOW) == [(old.user_id, 1, "")]
    assert electors_for(community.pk, Rule(weighting="seniority"), NOW) == [(old.user_id, 3, "")]


def test_groups_are_known_where_the_rule_asks_for_them_and_only_there(community, provider):
    first, other = MembershipFactory(community=community), MembershipFactory(community=community)
    provider[community.pk] = {first.user_id: "A"}
    asking = Rule(group_support=Rule().threshold)

    assert electors_for(community.pk, asking, NOW + timedelta(days=9999)) == [
        (first.user_id, 1, "A"),
        (other.user_id, 1, ""),
    ]
    assert electors_for(community.pk, Rule(), NOW)[0][2] == ""


def test_groups_have_one_provider(provider):
    with pytest.raises(ValueError, match="provider already"):
        groups.register(dict)


@pytest.mark.parametrize("members", [1, 3])
def test_two_queries_at_most_whatever_the_size(
    community, provider, members, django_assert_max_num_queries
):
    MembershipFactory.create_batch(members, community=community)
    rule = Rule(
        membership_days=1,
        verified_email=True,
        weighting="seniority",
        group_support=Rule().threshold,
    )

    with django_assert_max_num_queries(2):
        electors_for(community.pk, rule, NOW)
