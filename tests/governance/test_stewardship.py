"""Nobody does alone what takes two stewards, and nobody decides about themselves."""

import json
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from governance import audit, membership, polling, stewardship, voting
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Membership, Motion, Poll, UrnBallot
from governance.rules import DEFAULT_RULE
from tests.factories.governance import MembershipFactory, PollFactory
from tests.governance.deadlines import cast_and_close
from tests.governance.threads import at_once

pytestmark = pytest.mark.django_db

REASON = "The question was put wrongly."


@pytest.fixture
def ann():
    """A steward; the first of her community."""
    return MembershipFactory(steward=True)


@pytest.fixture
def ben(ann):
    """A second steward."""
    return MembershipFactory(community=ann.community, steward=True)


@pytest.fixture
def cleo(ann):
    """A third one."""
    return MembershipFactory(community=ann.community, steward=True)


@pytest.fixture
def dan(ann):
    """A plain member."""
    return MembershipFactory(community=ann.community)


@pytest.fixture
def poll(ann, dan):
    """An open poll, which none of the stewards opened, with one ballot."""
    return PollFactory(
        community=ann.community,
        opened_by=MembershipFactory(community=ann.community).user,
        ballots={dan.user: "yes"},
    )


def verbs():
    return list(AuditEvent.objects.order_by("seq").values_list("verb", flat=True))


def move(mover, poll, kind="close_early", reason=REASON):
    return stewardship.move(
        community_id=mover.community_id,
        actor=mover.user,
        kind=kind,
        reason=reason,
        poll_id=poll.pk,
    )


def move_role(mover, subject, role, reason=REASON):
    return stewardship.move(
        community_id=mover.community_id,
        actor=mover.user,
        kind="change_steward",
        reason=reason,
        membership_id=subject.pk,
        role=role,
    )


# --- polls ----------------------------------------------------------------------------------------


def test_a_motion_alone_does_nothing(ann, ben, poll):
    motion = move(ann, poll)

    poll.refresh_from_db()
    assert (motion.status, poll.status) == ("waiting", "open")
    event = AuditEvent.objects.get()
    assert event.verb == "motion.moved"
    assert event.subject == f"motion:{motion.pk}"
    assert set(event.data) == {"kind", "poll", "reason_digest"}


def test_a_second_steward_closes_a_poll_early_and_its_ballots_count(ann, ben, poll):
    motion = move(ann, poll)

    stewardship.second(motion_id=motion.pk, actor=ben.user)

    poll.refresh_from_db()
    motion.refresh_from_db()
    assert (poll.status, poll.outcome, poll.tally["yes"]) == ("closed", "passed", 1)
    assert (motion.status, motion.decided_by) == ("carried", ben.user)
    assert verbs()[-2:] == ["poll.closed", "motion.carried"]
    assert AuditEvent.objects.get(verb="poll.closed").data["motion"] == motion.pk
    assert audit.first_broken(ann.community_id) is None


def test_a_second_steward_withdraws_an_open_poll_and_nothing_is_counted(ann, ben, poll):
    motion = move(ann, poll, "withdraw_poll")

    stewardship.second(motion_id=motion.pk, actor=ben.user)

    poll.refresh_from_db()
    assert (poll.status, poll.outcome, poll.tally) == ("withdrawn", "", None)
    assert poll.reason == REASON
    withdrawn = AuditEvent.objects.get(verb="poll.withdrawn")
    assert (withdrawn.data["motion"], withdrawn.actor) == (motion.pk, f"user:{ben.user_id}")


def test_nobody_seconds_their_own_motion(ann, ben, poll):
    motion = move(ann, poll)

    with pytest.raises(NotPermitted, match="their own motion"):
        stewardship.second(motion_id=motion.pk, actor=ann.user)

    poll.refresh_from_db()
    assert poll.status == "open"


def test_the_database_refuses_a_motion_that_its_mover_carried(ann, ben, poll):
    motion = move(ann, poll)

    with pytest.raises(IntegrityError, match="motion_carried_by_another"), transaction.atomic():
        Motion.objects.filter(pk=motion.pk).update(
            status="carried", decided_by=ann.user, decided_at=timezone.now()
        )


def test_polling_closes_nothing_early_without_a_carried_motion(ann, ben, poll):
    motion = move(ann, poll)

    with pytest.raises(InvalidTransition, match="second steward"):
        polling.close_early(motion_id=motion.pk)


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_motions_are_for_stewards(ann, ben, poll, role):
    other = MembershipFactory(community=ann.community, role=role)
    motion = move(ann, poll)

    with pytest.raises(NotPermitted):
        move(other, poll, "withdraw_poll")
    with pytest.raises(NotPermitted):
        stewardship.second(motion_id=motion.pk, actor=other.user)
    with pytest.raises(NotPermitted):
        stewardship.decline(motion_id=motion.pk, actor=other.user)


def test_a_steward_elsewhere_or_suspended_decides_nothing_here(ann, ben, poll):
    motion = move(ann, poll)
    ben.status = "suspended"
    ben.save()

    for actor in (ben.user, MembershipFactory(steward=True).user):
        with pytest.raises(NotPermitted):
            stewardship.second(motion_id=motion.pk, actor=actor)


def test_with_one_steward_nothing_can_be_moved_and_the_sentence_says_why(ann, poll):
    with pytest.raises(InvalidTransition, match="another steward"):
        move(ann, poll)

    assert not Motion.objects.exists()


def test_who_opened_a_poll_may_ask_to_withdraw_it(ann, ben):
    own = PollFactory(community=ann.community, opened_by=ann.user)

    motion = move(ann, own, "withdraw_poll")
    stewardship.second(motion_id=motion.pk, actor=ben.user)

    own.refresh_from_db()
    assert own.status == "withdrawn"


def test_who_opened_a_poll_does_not_decide_about_it(ann, ben, cleo):
    motion = move(ann, PollFactory(community=ann.community, opened_by=ben.user))

    for verb in (stewardship.second, stewardship.decline):
        with pytest.raises(NotPermitted, match="a poll that they opened"):
            verb(motion_id=motion.pk, actor=ben.user)
    assert stewardship.second(motion_id=motion.pk, actor=cleo.user).status == "carried"


def test_nothing_is_moved_that_only_the_opener_could_second(ann, ben):
    own = PollFactory(community=ann.community, opened_by=ben.user)

    with pytest.raises(InvalidTransition, match="Nobody could second"):
        move(ann, own)


def test_who_a_poll_is_about_neither_moves_nor_seconds_its_end(ann, ben, cleo, dan):
    about = PollFactory(
        community=ann.community,
        kind="steward_change",
        subject_key=f"{ben.pk}:member",
        opened_by=dan.user,
    )

    with pytest.raises(NotPermitted, match="their own stewardship"):
        move(ben, about, "withdraw_poll")
    motion = move(ann, about, "withdraw_poll")
    with pytest.raises(NotPermitted, match="their own stewardship"):
        stewardship.second(motion_id=motion.pk, actor=ben.user)


def test_the_same_is_not_moved_twice(ann, ben, poll):
    move(ann, poll)

    with pytest.raises(InvalidTransition, match="moved already"):
        move(ben, poll)


@pytest.mark.parametrize("status", ["announced", "drafted", "closed", "due"])
def test_only_open_polls_are_moved_about(ann, ben, status):
    other = PollFactory(community=ann.community, **{status: True})

    with pytest.raises(InvalidTransition, match="not open any more"):
        move(ann, other)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001])
def test_a_motion_has_a_reason(ann, ben, poll, reason):
    with pytest.raises(BadInput, match="reason"):
        move(ann, poll, reason=reason)


def test_a_motion_is_about_this_community(ann, ben):
    with pytest.raises(BadInput, match="of this community"):
        move(ann, PollFactory())
    with pytest.raises(BadInput, match="of this community"):
        move_role(ann, MembershipFactory(), "steward")
    with pytest.raises(BadInput, match="no such motion"):
        move(ann, PollFactory(community=ann.community), "dissolve")


def test_second_after_the_poll_closed_says_so_and_changes_nothing(ann, ben, poll):
    motion = move(ann, poll)
    Poll.objects.filter(pk=poll.pk).update(
        status="closed", outcome="passed", tally={}, closed_at=timezone.now()
    )

    with pytest.raises(InvalidTransition, match="not open any more"):
        stewardship.second(motion_id=motion.pk, actor=ben.user)

    motion.refresh_from_db()
    assert motion.status == "waiting"


def test_second_when_the_mover_is_no_steward_any_more_is_refused(ann, ben, cleo, poll):
    motion = move(ann, poll)
    membership.change_role(membership_id=ann.pk, actor=ann.user, role="member")

    with pytest.raises(NotPermitted, match="move it anew"):
        stewardship.second(motion_id=motion.pk, actor=ben.user)


def test_decline_ends_a_motion_for_good(ann, ben, poll):
    motion = move(ann, poll)

    stewardship.decline(motion_id=motion.pk, actor=ben.user)

    with pytest.raises(InvalidTransition, match="declined already"):
        stewardship.second(motion_id=motion.pk, actor=ben.user)
    assert verbs() == ["motion.moved", "motion.declined"]
    assert move(ann, poll).status == "waiting"


def test_who_moved_may_take_it_back(ann, ben, poll):
    motion = move(ann, poll)

    assert stewardship.decline(motion_id=motion.pk, actor=ann.user).status == "declined"


def test_motions_lapse_after_the_days_that_are_set(ann, ben, poll, settings):
    settings.MOTION_DAYS = 2
    late, fresh = move(ann, poll), move(ann, poll, "withdraw_poll")
    Motion.objects.filter(pk=late.pk).update(moved_at=timezone.now() - timedelta(days=2))

    with pytest.raises(InvalidTransition, match="in time"):
        stewardship.second(motion_id=late.pk, actor=ben.user)
    assert stewardship.lapse_motions() == 1

    late.refresh_from_db()
    fresh.refresh_from_db()
    assert (late.status, late.decided_by, fresh.status) == ("lapsed", None, "waiting")
    event = AuditEvent.objects.get(verb="motion.lapsed")
    assert (event.actor, event.data) == ("system", {"kind": "close_early"})


def test_motions_lapse_when_their_poll_is_over(ann, ben, poll):
    close, withdraw = move(ann, poll), move(ann, poll, "withdraw_poll")
    stewardship.second(motion_id=close.pk, actor=ben.user)

    assert stewardship.lapse_motions() == 1

    withdraw.refresh_from_db()
    assert withdraw.status == "lapsed"


def test_a_secret_poll_closed_early_keeps_its_ballots_in_the_urn(ann, ben):
    rule = {**DEFAULT_RULE.to_dict(), "secrecy": "secret"}
    voters = [MembershipFactory(community=ann.community).user for _ in range(3)]
    secret = PollFactory(community=ann.community, rule=rule, electors=voters, opened_by=voters[0])
    for voter in voters:
        voting.cast_ballot(poll_id=secret.pk, voter=voter, content="yes")
    motion = move(ann, secret)

    stewardship.second(motion_id=motion.pk, actor=ben.user)

    secret.refresh_from_db()
    assert (secret.tally["yes"], UrnBallot.objects.filter(poll=secret).count()) == (3, 3)


# --- who is a steward -----------------------------------------------------------------------------


def test_the_only_steward_of_a_small_community_names_a_second_one_alone(ann, dan):
    changed = membership.change_role(membership_id=dan.pk, actor=ann.user, role="steward")

    assert changed.role == "steward"
    assert AuditEvent.objects.get().data == {
        "user": f"user:{dan.user_id}",
        "from": "member",
        "to": "steward",
        "motion": 0,
        "poll": 0,
        "limit": 10,
    }


@pytest.mark.parametrize("role", ["steward", "member"])
def test_with_two_stewards_neither_changes_alone_who_is_one(ann, ben, dan, role):
    subject = dan if role == "steward" else ben

    with pytest.raises(NotPermitted, match="another seconds it"):
        membership.change_role(membership_id=subject.pk, actor=ann.user, role=role)


def test_a_steward_changes_other_roles_alone(ann, ben, dan):
    assert (
        membership.change_role(membership_id=dan.pk, actor=ann.user, role="moderator").role
        == "moderator"
    )


def test_a_steward_steps_down_without_a_second(ann, ben):
    assert membership.change_role(membership_id=ann.pk, actor=ann.user, role="member").role == (
        "member"
    )


def test_a_steward_is_not_suspended_by_another(ann, ben):
    with pytest.raises(NotPermitted, match="stewardship ends first"):
        membership.suspend(membership_id=ben.pk, actor=ann.user)


def test_two_stewards_make_a_third(ann, ben, dan):
    motion = move_role(ann, dan, "steward")

    stewardship.second(motion_id=motion.pk, actor=ben.user)

    dan.refresh_from_db()
    assert dan.role == "steward"
    assert verbs() == ["motion.moved", "role.changed", "motion.carried"]
    moved, changed, _ = AuditEvent.objects.order_by("seq")
    assert (moved.data["membership"], moved.data["role"]) == (dan.pk, "steward")
    assert changed.data["motion"] == motion.pk


def test_two_stewards_end_the_stewardship_of_a_third(ann, ben, cleo):
    motion = move_role(ann, cleo, "member")

    stewardship.second(motion_id=motion.pk, actor=ben.user)

    cleo.refresh_from_db()
    assert cleo.role == "member"


def test_a_steward_decides_nothing_about_their_own_stewardship(ann, ben, cleo):
    with pytest.raises(NotPermitted, match="own stewardship"):
        move_role(ben, ben, "member")
    motion = move_role(ann, ben, "member")

    for verb in (stewardship.second, stewardship.decline):
        with pytest.raises(NotPermitted, match="own stewardship"):
            verb(motion_id=motion.pk, actor=ben.user)


def test_of_two_stewards_neither_can_move_the_other_out(ann, ben):
    with pytest.raises(InvalidTransition, match="Nobody could second"):
        move_role(ann, ben, "member")


@pytest.mark.parametrize(
    ("role", "refusal"),
    [("king", "member, moderator or steward"), ("moderator", "changes nothing")],
)
def test_a_motion_about_a_steward_changes_a_stewardship(ann, ben, dan, role, refusal):
    with pytest.raises(BadInput, match=refusal):
        move_role(ann, dan, role)


def test_second_after_the_member_left_says_so(ann, ben, dan):
    motion = move_role(ann, dan, "steward")
    membership.leave(community_id=ann.community_id, actor=dan.user)

    with pytest.raises(InvalidTransition, match="Only an active member"):
        stewardship.second(motion_id=motion.pk, actor=ben.user)


def test_second_after_the_community_grew_asks_for_a_poll(ann, ben, dan, settings):
    motion = move_role(ann, dan, "steward")
    settings.SMALL_COMMUNITY = 2

    with pytest.raises(NotPermitted, match="a poll decides"):
        stewardship.second(motion_id=motion.pk, actor=ben.user)

    dan.refresh_from_db()
    assert dan.role == "member"


def test_members_who_are_suspended_do_not_make_a_community_small(ann, ben, dan, settings):
    settings.SMALL_COMMUNITY = 2
    membership.suspend(membership_id=dan.pk, actor=ann.user)

    with pytest.raises(NotPermitted, match="a poll decides"):
        move_role(ann, MembershipFactory(community=ann.community), "steward")


# --- locks ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_seconds_at_once_carry_once(ann, ben, cleo, poll):
    motion = move(ann, poll)

    results = at_once(
        lambda: stewardship.second(motion_id=motion.pk, actor=ben.user),
        lambda: stewardship.second(motion_id=motion.pk, actor=cleo.user),
    )

    assert sorted(type(result).__name__ for result in results) == ["InvalidTransition", "Motion"]
    assert verbs().count("motion.carried") == 1


@pytest.mark.django_db(transaction=True)
def test_second_and_decline_at_once_leave_one_outcome(ann, ben, cleo, poll):
    motion = move(ann, poll)

    results = at_once(
        lambda: stewardship.second(motion_id=motion.pk, actor=ben.user),
        lambda: stewardship.decline(motion_id=motion.pk, actor=cleo.user),
    )

    assert sorted(type(result).__name__ for result in results) == ["InvalidTransition", "Motion"]
    motion.refresh_from_db()
    poll.refresh_from_db()
    assert (motion.status, poll.status) in {("carried", "closed"), ("declined", "open")}


@pytest.mark.django_db(transaction=True)
def test_two_stewards_who_end_each_others_stewardship_at_once_leave_one(ann, ben, cleo):
    first, other = move_role(cleo, ann, "member"), move_role(cleo, ben, "member")

    results = at_once(
        lambda: stewardship.second(motion_id=first.pk, actor=ben.user),
        lambda: stewardship.second(motion_id=other.pk, actor=ann.user),
    )

    assert sum(isinstance(result, Motion) for result in results) == 1
    assert sum(isinstance(result, NotPermitted) for result in results) == 1
    assert Membership.objects.filter(community=ann.community, role="steward").count() == 2


# --- by poll --------------------------------------------------------------------------------------


def propose(actor, subject, role, reason="They are needed."):
    return stewardship.propose_steward_change(
        community_id=subject.community_id,
        actor=actor.user,
        membership_id=subject.pk,
        role=role,
        reason=reason,
        period=timedelta(days=1),
    )


@pytest.fixture
def large(settings):
    settings.SMALL_COMMUNITY = 1


def test_in_a_large_community_a_poll_makes_a_steward(ann, dan, large):
    with pytest.raises(NotPermitted, match="a poll decides"):
        membership.change_role(membership_id=dan.pk, actor=ann.user, role="steward")

    poll = cast_and_close(propose(ann, dan, "steward"), ann, dan)

    dan.refresh_from_db()
    assert (poll.outcome, dan.role) == ("passed", "steward")
    changed = AuditEvent.objects.get(verb="role.changed")
    assert (changed.actor, changed.data["poll"]) == ("system", poll.pk)


@pytest.mark.parametrize("removes", [False, True])
def test_a_poll_about_a_steward_names_a_number_and_ends_with_the_change(ann, ben, dan, removes):
    subject, role = (ben, "member") if removes else (dan, "steward")
    poll = propose(ann, subject, role)
    said = f"{poll.title}\n{poll.text}"

    assert str(subject.user) not in said
    assert f"member {subject.pk}" in poll.title
    assert json.loads(poll.text.splitlines()[-1]) == {"membership": subject.pk, "role": role}


def test_a_poll_that_fails_makes_no_steward(ann, dan, large):
    cast_and_close(propose(ann, dan, "steward"), ann, dan, content="no")

    dan.refresh_from_db()
    assert dan.role == "member"


def test_any_member_may_propose_that_a_stewardship_ends(ann, ben, dan, large):
    cast_and_close(propose(dan, ben, "member"), ann, dan)

    ben.refresh_from_db()
    assert ben.role == "member"


def test_only_stewards_propose_stewards(ann, dan, large):
    with pytest.raises(NotPermitted, match="Only stewards propose"):
        propose(dan, MembershipFactory(community=ann.community), "steward")


def test_outsiders_propose_nothing(ann, ben, large):
    with pytest.raises(NotPermitted):
        propose(MembershipFactory(), ben, "member")


def test_nobody_proposes_about_their_own_stewardship(ann, ben, large):
    with pytest.raises(NotPermitted, match="own stewardship"):
        propose(ben, ben, "member")


def test_the_last_steward_is_not_voted_out(ann, dan, large):
    with pytest.raises(InvalidTransition, match="at least one steward"):
        propose(dan, ann, "member")


def test_a_member_who_proposed_opens_no_other_polls(ann, dan):
    with pytest.raises(NotPermitted):
        polling.draft_poll(
            community_id=ann.community_id,
            actor=dan.user,
            kind="question",
            title="x",
            text="x",
            period=timedelta(days=1),
        )


def test_one_poll_at_a_time_is_about_a_person(ann, ben, dan, large):
    propose(dan, ben, "member")

    with pytest.raises(InvalidTransition, match="about this person already"):
        propose(ann, ben, "moderator")


def test_a_decided_removal_is_not_proposed_again_at_once(ann, ben, dan, large):
    cast_and_close(propose(dan, ben, "member"), ann, dan, content="no")

    with pytest.raises(InvalidTransition, match="less than 30 days ago"):
        propose(dan, ben, "member")


def test_a_poll_that_removes_the_last_steward_changes_nothing(ann, ben, dan, large):
    poll = propose(dan, ben, "member")
    membership.leave(community_id=ann.community_id, actor=ann.user)

    closed = cast_and_close(poll, dan, ben)

    ben.refresh_from_db()
    assert (closed.outcome, ben.role) == ("passed", "steward")
    assert AuditEvent.objects.filter(verb="role.changed").count() == 0


def test_a_poll_about_somebody_who_left_changes_nothing(ann, dan, large):
    poll = propose(ann, dan, "steward")
    membership.leave(community_id=ann.community_id, actor=dan.user)

    assert cast_and_close(poll, ann, dan).outcome == "passed"
    dan.refresh_from_db()
    assert (dan.status, dan.role) == ("left", "member")


def test_a_proposal_has_a_reason_a_known_role_and_a_member(ann, dan):
    with pytest.raises(BadInput, match="reason"):
        propose(ann, dan, "steward", reason=" ")
    with pytest.raises(BadInput, match="changes nothing"):
        propose(ann, dan, "moderator")
    with pytest.raises(BadInput, match="Choose a member"):
        stewardship.propose_steward_change(
            community_id=ann.community_id,
            actor=ann.user,
            membership_id=MembershipFactory().pk,
            role="steward",
            reason="x",
            period=timedelta(days=1),
        )
