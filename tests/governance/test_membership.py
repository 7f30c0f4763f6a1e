from datetime import timedelta

import pytest
from django.utils import timezone

from governance import audit, membership, voting
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Ballot, Community, Invitation, Membership, Trail
from tests.factories.governance import (
    CommunityFactory,
    InvitationFactory,
    MembershipFactory,
    PollFactory,
    UserFactory,
)
from tests.governance.threads import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def steward():
    return MembershipFactory(steward=True)


def verbs():
    return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


# --- communities ----------------------------------------------------------------------------------


def test_create_community_makes_its_trail_and_first_steward():
    ann = UserFactory()

    community = membership.create_community(actor=ann, name="Quiet Library", purpose="To read.")

    assert (community.slug, community.joining, community.visibility) == (
        "quiet-library",
        "open",
        "public",
    )
    own = Membership.objects.get(community=community, user=ann)
    assert (own.role, own.status) == ("steward", "active")
    assert verbs() == ["community.created"]
    assert audit.first_broken(community.pk) is None


def test_create_community_takes_the_slug_it_is_given():
    made = membership.create_community(
        actor=UserFactory(), name="図書館", purpose="x", slug="toshokan"
    )

    assert made.slug == "toshokan"


@pytest.mark.parametrize(
    "given",
    [
        {"name": "  "},
        {"name": "x" * 101},
        {"name": "図書館"},
        {"purpose": " "},
        {"purpose": "x" * 2001},
        {"joining": "ask"},
        {"visibility": "secret"},
    ],
)
def test_create_community_refuses_bad_input_and_leaves_nothing(given):
    with pytest.raises(BadInput):
        membership.create_community(
            **{"actor": UserFactory(), "name": "Name", "purpose": "Purpose", **given}
        )

    assert not Community.objects.exists()
    assert not Trail.objects.exists()


def test_create_community_refuses_a_taken_slug():
    CommunityFactory(slug="readers")

    with pytest.raises(BadInput, match="taken"):
        membership.create_community(actor=UserFactory(), name="Readers", purpose="To read.")

    assert Community.objects.count() == 1


def test_change_community_records_what_changed_and_keeps_the_purpose_out_of_the_trail(steward):
    community = steward.community

    membership.change_community(
        community_id=community.pk,
        actor=steward.user,
        purpose="To listen.",
        joining="request",
        visibility="public",
    )

    community.refresh_from_db()
    assert (community.purpose, community.joining) == ("To listen.", "request")
    event = AuditEvent.objects.get()
    assert set(event.data) == {"joining", "purpose_digest"}


def test_change_community_without_a_change_leaves_no_event(steward):
    community = steward.community

    membership.change_community(
        community_id=community.pk,
        actor=steward.user,
        purpose=community.purpose,
        joining="open",
        visibility="public",
    )

    assert verbs() == []


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_change_community_is_for_stewards(steward, role):
    other = MembershipFactory(community=steward.community, role=role)

    with pytest.raises(NotPermitted):
        membership.change_community(
            community_id=steward.community_id,
            actor=other.user,
            purpose="Mine.",
            joining="open",
            visibility="private",
        )

    assert verbs() == []


# --- joining --------------------------------------------------------------------------------------


def test_join_an_open_community_makes_an_active_member():
    community, ann = CommunityFactory(), UserFactory()

    joined = membership.join(community_id=community.pk, actor=ann)

    assert (joined.status, joined.role) == ("active", "member")
    assert AuditEvent.objects.get().data == {"user": f"user:{ann.pk}", "how": "open"}


def test_join_twice_is_as_once():
    community, ann = CommunityFactory(), UserFactory()

    first = membership.join(community_id=community.pk, actor=ann)

    assert membership.join(community_id=community.pk, actor=ann) == first
    assert verbs() == ["member.joined"]


def test_join_by_request_waits_for_a_steward():
    community, ann = CommunityFactory(joining="request"), UserFactory()

    joined = membership.join(community_id=community.pk, actor=ann)
    membership.join(community_id=community.pk, actor=ann)

    assert joined.status == "requested"
    assert verbs() == ["membership.requested"]


@pytest.mark.parametrize(
    "given",
    [
        {"joining": "invite"},
        {"visibility": "private"},
        {"visibility": "private", "joining": "request"},
    ],
)
def test_join_refuses_where_people_are_invited(given):
    community = CommunityFactory(**given)

    with pytest.raises(NotPermitted, match="by invitation"):
        membership.join(community_id=community.pk, actor=UserFactory())

    assert not Membership.objects.exists()
    assert verbs() == []


def test_join_refuses_the_suspended():
    own = MembershipFactory(status="suspended")

    with pytest.raises(NotPermitted, match="suspended"):
        membership.join(community_id=own.community_id, actor=own.user)


def test_join_after_leaving_returns_a_steward_as_a_plain_member():
    own = MembershipFactory(status="left", steward=True)

    joined = membership.join(community_id=own.community_id, actor=own.user)

    assert (joined.status, joined.role) == ("active", "member")


def test_join_after_a_decline_asks_again():
    own = MembershipFactory(status="declined", community__joining="request")

    assert membership.join(community_id=own.community_id, actor=own.user).status == "requested"


def test_approve_request_lets_a_person_in(steward):
    asked = MembershipFactory(community=steward.community, status="requested", joined_at=None)

    approved = membership.approve_request(membership_id=asked.pk, actor=steward.user)

    assert approved.status == "active"
    assert approved.joined_at is not None
    assert verbs() == ["membership.approved"]


def test_decline_request_is_recorded(steward):
    asked = MembershipFactory(community=steward.community, status="requested", joined_at=None)

    assert (
        membership.decline_request(membership_id=asked.pk, actor=steward.user).status == "declined"
    )
    assert verbs() == ["membership.declined"]


@pytest.mark.parametrize("verb", [membership.approve_request, membership.decline_request])
def test_requests_are_decided_once(steward, verb):
    done = MembershipFactory(community=steward.community)

    with pytest.raises(InvalidTransition):
        verb(membership_id=done.pk, actor=steward.user)


@pytest.mark.parametrize("verb", [membership.approve_request, membership.decline_request])
@pytest.mark.parametrize("role", ["member", "moderator"])
def test_requests_are_decided_by_stewards_of_the_same_community(steward, verb, role):
    asked = MembershipFactory(community=steward.community, status="requested", joined_at=None)
    other = MembershipFactory(community=steward.community, role=role)
    foreign = MembershipFactory(steward=True)

    for actor in (other.user, foreign.user, asked.user):
        with pytest.raises(NotPermitted):
            verb(membership_id=asked.pk, actor=actor)

    asked.refresh_from_db()
    assert asked.status == "requested"
    assert verbs() == []


# --- invitations ----------------------------------------------------------------------------------


def test_invite_makes_a_link_that_the_trail_does_not_hold(steward):
    made = membership.invite(community_id=steward.community_id, actor=steward.user, days=3)

    assert made.expires_at - timezone.now() <= timedelta(days=3)
    event = AuditEvent.objects.get()
    assert event.verb == "member.invited"
    assert made.token not in str(event.content())


@pytest.mark.parametrize("days", [0, -1, 91])
def test_invite_refuses_an_unreasonable_time(steward, days):
    with pytest.raises(BadInput):
        membership.invite(community_id=steward.community_id, actor=steward.user, days=days)


def test_invite_is_for_stewards(steward):
    other = MembershipFactory(community=steward.community, moderator=True)

    with pytest.raises(NotPermitted):
        membership.invite(community_id=steward.community_id, actor=other.user)

    assert not Invitation.objects.exists()


def test_accept_invitation_enters_a_private_community_by_invitation():
    made = InvitationFactory(community__visibility="private", community__joining="invite")
    ann = UserFactory()

    joined = membership.accept_invitation(token=made.token, actor=ann)

    assert (joined.status, joined.role, joined.community) == ("active", "member", made.community)
    assert AuditEvent.objects.get().data["how"] == f"invitation:{made.pk}"


def test_accept_invitation_twice_is_as_once():
    made, ann = InvitationFactory(), UserFactory()

    membership.accept_invitation(token=made.token, actor=ann)
    membership.accept_invitation(token=made.token, actor=ann)

    assert verbs() == ["member.joined"]


def test_accept_invitation_settles_a_request():
    made = InvitationFactory()
    asked = MembershipFactory(community=made.community, status="requested", joined_at=None)

    assert membership.accept_invitation(token=made.token, actor=asked.user).status == "active"


def test_accept_invitation_refuses_an_expired_link():
    made = InvitationFactory(expired=True)

    with pytest.raises(InvalidTransition, match="expired"):
        membership.accept_invitation(token=made.token, actor=UserFactory())

    assert not Membership.objects.exists()


def test_accept_invitation_refuses_the_suspended():
    made = InvitationFactory()
    own = MembershipFactory(community=made.community, status="suspended")

    with pytest.raises(NotPermitted):
        membership.accept_invitation(token=made.token, actor=own.user)


def test_revoke_invitation_ends_the_link_once(steward):
    made = InvitationFactory(community=steward.community)

    membership.revoke_invitation(invitation_id=made.pk, actor=steward.user)
    membership.revoke_invitation(invitation_id=made.pk, actor=steward.user)

    assert verbs() == ["invitation.revoked"]
    with pytest.raises(InvalidTransition):
        membership.accept_invitation(token=made.token, actor=UserFactory())


def test_revoke_invitation_is_for_stewards(steward):
    made = InvitationFactory(community=steward.community)
    other = MembershipFactory(community=steward.community)

    with pytest.raises(NotPermitted):
        membership.revoke_invitation(invitation_id=made.pk, actor=other.user)


# --- roles, suspension, leaving -------------------------------------------------------------------


def test_change_role_is_recorded_with_both_roles(steward):
    other = MembershipFactory(community=steward.community)

    changed = membership.change_role(membership_id=other.pk, actor=steward.user, role="moderator")

    assert changed.role == "moderator"
    assert AuditEvent.objects.get().data == {
        "user": f"user:{other.user_id}",
        "from": "member",
        "to": "moderator",
        "motion": 0,
        "poll": 0,
        "limit": 10,
    }


def test_change_role_to_the_same_leaves_no_event(steward):
    membership.change_role(membership_id=steward.pk, actor=steward.user, role="steward")

    assert verbs() == []


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_change_role_is_for_stewards(steward, role):
    other = MembershipFactory(community=steward.community, role=role)

    with pytest.raises(NotPermitted):
        membership.change_role(membership_id=other.pk, actor=other.user, role="steward")


def test_change_role_refuses_unknown_roles_and_inactive_members(steward):
    gone = MembershipFactory(community=steward.community, status="left")

    with pytest.raises(BadInput):
        membership.change_role(membership_id=steward.pk, actor=steward.user, role="owner")
    with pytest.raises(InvalidTransition):
        membership.change_role(membership_id=gone.pk, actor=steward.user, role="moderator")


def test_last_steward_stays(steward):
    MembershipFactory(community=steward.community, steward=True, status="suspended")

    with pytest.raises(InvalidTransition, match="at least one steward"):
        membership.change_role(membership_id=steward.pk, actor=steward.user, role="member")
    with pytest.raises(InvalidTransition, match="at least one steward"):
        membership.leave(community_id=steward.community_id, actor=steward.user)

    steward.refresh_from_db()
    assert (steward.role, steward.status) == ("steward", "active")
    assert verbs() == []


def test_one_of_two_stewards_may_step_down(steward):
    MembershipFactory(community=steward.community, steward=True)

    membership.change_role(membership_id=steward.pk, actor=steward.user, role="member")

    assert verbs() == ["role.changed"]


def test_suspend_and_reinstate_return_a_plain_member(steward):
    other = MembershipFactory(community=steward.community, moderator=True)

    assert membership.suspend(membership_id=other.pk, actor=steward.user).status == "suspended"
    back = membership.reinstate(membership_id=other.pk, actor=steward.user)

    assert (back.status, back.role) == ("active", "member")
    assert verbs() == ["member.suspended", "member.reinstated"]


def test_suspend_refuses_oneself_and_those_who_are_not_stewards(steward):
    other = MembershipFactory(community=steward.community, moderator=True)

    with pytest.raises(NotPermitted, match="themselves"):
        membership.suspend(membership_id=steward.pk, actor=steward.user)
    with pytest.raises(NotPermitted):
        membership.suspend(membership_id=steward.pk, actor=other.user)


def test_suspend_refuses_twice(steward):
    other = MembershipFactory(community=steward.community, status="suspended")

    with pytest.raises(InvalidTransition):
        membership.suspend(membership_id=other.pk, actor=steward.user)


def test_reinstate_does_not_let_in_someone_who_only_asked(steward):
    asked = MembershipFactory(community=steward.community, status="requested", joined_at=None)

    with pytest.raises(InvalidTransition):
        membership.reinstate(membership_id=asked.pk, actor=steward.user)


def test_reinstate_is_for_stewards(steward):
    other = MembershipFactory(community=steward.community, status="suspended")

    with pytest.raises(NotPermitted):
        membership.reinstate(membership_id=other.pk, actor=other.user)


def test_leave_ends_a_membership_or_a_request(steward):
    for status in ("active", "requested"):
        own = MembershipFactory(community=steward.community, status=status)

        assert membership.leave(community_id=own.community_id, actor=own.user).status == "left"

    assert verbs() == ["member.left", "member.left"]


def test_leave_refuses_the_suspended_who_would_come_back_unsuspended():
    own = MembershipFactory(status="suspended")

    with pytest.raises(NotPermitted, match="suspended"):
        membership.leave(community_id=own.community_id, actor=own.user)


def test_leave_refuses_strangers(steward):
    with pytest.raises(NotPermitted):
        membership.leave(community_id=steward.community_id, actor=UserFactory())


# --- what membership means for ballots and seniority ----------------------------------------------


def test_the_ballot_of_a_suspended_voter_counts_and_is_flagged(steward):
    other = MembershipFactory(community=steward.community)
    poll = PollFactory(
        community=steward.community, ballots={other.user: "yes", steward.user: "yes"}
    )

    membership.suspend(membership_id=other.pk, actor=steward.user)

    flagged = {b.voter_id: b.suspended for b in Ballot.objects.filter(poll=poll).roll_call()}
    assert flagged == {other.user_id: True, steward.user_id: False}
    assert voting.count_ballots(poll).result.yes == 2


def test_somebody_suspended_elsewhere_is_not_flagged_here(steward):
    MembershipFactory(user=steward.user, status="suspended")
    poll = PollFactory(community=steward.community, ballots={steward.user: "yes"})

    assert [b.suspended for b in Ballot.objects.filter(poll=poll).roll_call()] == [False]


def test_seniority_survives_a_suspension_and_ends_with_leaving(steward):
    long_ago = timezone.now() - timedelta(days=900)
    other = MembershipFactory(community=steward.community, joined_at=long_ago)

    membership.suspend(membership_id=other.pk, actor=steward.user)
    assert membership.reinstate(membership_id=other.pk, actor=steward.user).joined_at == long_ago

    membership.leave(community_id=other.community_id, actor=other.user)
    back = membership.join(community_id=other.community_id, actor=other.user)
    assert back.joined_at > long_ago


# --- races ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_last_stewards_who_step_down_at_once_leave_one():
    for _ in range(5):
        first = MembershipFactory(steward=True)
        second = MembershipFactory(community=first.community, steward=True)

        results = at_once(
            *(
                lambda own=own: membership.leave(community_id=own.community_id, actor=own.user)
                for own in (first, second)
            )
        )

        assert sorted(type(result).__name__ for result in results) == [
            "InvalidTransition",
            "Membership",
        ]
        left = Membership.objects.filter(community=first.community, status="active")
        assert left.count() == 1


@pytest.mark.django_db(transaction=True)
def test_joining_in_two_tabs_makes_one_membership_and_one_event():
    community, ann = CommunityFactory(), UserFactory()

    results = at_once(*[lambda: membership.join(community_id=community.pk, actor=ann)] * 4)

    assert len({result.pk for result in results}) == 1
    assert AuditEvent.objects.filter(community=community).count() == 1
