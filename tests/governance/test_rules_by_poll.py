"""The rules of a community's polls are its own, and not its stewards' once it is large."""

import json
from datetime import timedelta
from fractions import Fraction

import pytest

from governance import audit, community_rules, membership, polling, rule_setting
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Community, Poll
from governance.rules import DEFAULT_RULE, Rule
from tests.factories.governance import MembershipFactory
from tests.governance.deadlines import cast_and_close
from tests.governance.threads import at_once

pytestmark = pytest.mark.django_db

TWO_THIRDS = Rule(threshold=Fraction(2, 3), strict=False)
LAX = Rule(quorum="none")


@pytest.fixture
def ann():
    """A steward."""
    return MembershipFactory(steward=True)


@pytest.fixture
def dan(ann):
    """A plain member of the same community."""
    return MembershipFactory(community=ann.community)


@pytest.fixture
def large(settings):
    settings.SMALL_COMMUNITY = 1


def change(actor, rule, kind=""):
    return rule_setting.change_rule(
        community_id=actor.community_id, actor=actor.user, kind=kind, rule=rule
    )


def propose(actor, rule, kind="", reason="", days=1):
    return rule_setting.propose_rule_change(
        community_id=actor.community_id,
        actor=actor.user,
        kind=kind,
        rule=rule,
        reason=reason,
        period=timedelta(days=days),
    )


def draft(actor, rule, kind="question"):
    return polling.draft_poll(
        community_id=actor.community_id,
        actor=actor.user,
        kind=kind,
        title="Shall we?",
        text="Shall we meet?",
        rule=rule,
        period=timedelta(days=1),
    )


# --- which rule holds -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "kind", "bound"),
    [
        ({}, "question", None),
        ({}, "ratification", None),
        ({}, "rule_change", DEFAULT_RULE),
        ({}, "steward_change", DEFAULT_RULE),
        ({"": TWO_THIRDS}, "question", None),
        ({"": TWO_THIRDS}, "ratification", TWO_THIRDS),
        ({"": TWO_THIRDS}, "rule_change", TWO_THIRDS),
        ({"": TWO_THIRDS, "rule_change": LAX}, "rule_change", LAX),
        ({"": TWO_THIRDS, "rule_change": LAX}, "steward_change", TWO_THIRDS),
        ({"question": LAX}, "question", LAX),
    ],
)
def test_a_poll_must_have_the_rule_of_its_kind_else_the_default(rules, kind, bound):
    community = Community(rules={k: rule.to_dict() for k, rule in rules.items()})

    assert community_rules.rule_of(community, kind) == bound


def test_where_the_opener_chooses_a_poll_starts_from_the_default_rule():
    community = Community(rules={"": TWO_THIRDS.to_dict()})

    assert community_rules.rule_for(community, "question") == TWO_THIRDS
    assert community_rules.rule_for(Community(), "question") == DEFAULT_RULE


def test_an_opener_cannot_pick_a_laxer_rule_than_the_community_set(ann):
    change(ann, TWO_THIRDS, "question")

    with pytest.raises(BadInput, match="this is another one"):
        draft(ann, LAX)
    assert Rule.from_dict(draft(ann, TWO_THIRDS).rule) == TWO_THIRDS


def test_a_draft_kept_from_before_is_not_announced_under_the_old_rule(ann):
    kept = draft(ann, LAX)
    change(ann, TWO_THIRDS, "question")

    with pytest.raises(BadInput, match="this is another one"):
        polling.announce_poll(poll_id=kept.pk, actor=ann.user)


def test_rule_changes_cannot_be_drafted_under_a_rule_of_the_openers_choice(ann):
    with pytest.raises(BadInput, match="this is another one"):
        draft(ann, LAX, "rule_change")


# --- small communities ----------------------------------------------------------------------------


def test_a_steward_of_a_small_community_sets_a_rule(ann):
    change(ann, TWO_THIRDS)

    ann.community.refresh_from_db()
    assert ann.community.rules == {"": TWO_THIRDS.to_dict()}
    event = AuditEvent.objects.get()
    assert event.verb == "community.rule_changed"
    assert event.data == {"kind": "", "rule": TWO_THIRDS.to_dict(), "poll": 0, "limit": 10}
    assert audit.first_broken(ann.community_id) is None


def test_the_same_rule_again_leaves_no_event(ann):
    change(ann, TWO_THIRDS)
    change(ann, TWO_THIRDS)

    assert AuditEvent.objects.count() == 1


def test_a_rule_can_be_taken_back(ann):
    change(ann, TWO_THIRDS, "question")
    change(ann, None, "question")

    ann.community.refresh_from_db()
    assert ann.community.rules == {}
    assert AuditEvent.objects.get(seq=2).data["rule"] is None


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_rules_are_set_by_stewards(ann, role):
    other = MembershipFactory(community=ann.community, role=role)

    with pytest.raises(NotPermitted):
        change(other, LAX)
    with pytest.raises(NotPermitted):
        propose(other, LAX)


def test_the_edge_of_small_is_the_setting(ann, dan, settings):
    settings.SMALL_COMMUNITY = 2
    change(ann, TWO_THIRDS)
    MembershipFactory(community=ann.community)

    with pytest.raises(NotPermitted, match="a poll decides"):
        change(ann, LAX)


def test_suspending_members_does_not_make_a_community_small(ann, dan, large):
    membership.suspend(membership_id=dan.pk, actor=ann.user)

    with pytest.raises(NotPermitted, match="a poll decides"):
        change(ann, LAX)


def test_a_rule_is_of_a_known_kind(ann):
    with pytest.raises(BadInput, match="no such kind"):
        change(ann, LAX, "coronation")


@pytest.mark.parametrize("kind", ["", "rule_change", "steward_change"])
def test_only_kinds_that_take_options_have_another_method(ann, kind):
    approval = Rule(method="approval")

    with pytest.raises(BadInput, match="yes or no"):
        change(ann, approval, kind)
    assert change(ann, approval, "question").rules["question"]["method"] == "approval"


@pytest.mark.parametrize(
    "rule", [Rule(membership_days=3000), Rule(verified_email=True), Rule(quorum="sqrt")]
)
def test_a_rule_by_which_nothing_could_pass_is_refused(ann, rule):
    with pytest.raises(BadInput, match="no poll could pass"):
        change(ann, rule, "rule_change")


# --- large communities ----------------------------------------------------------------------------


def test_in_a_large_community_a_steward_sets_no_rule(ann, dan, large):
    with pytest.raises(NotPermitted, match="a poll decides"):
        change(ann, LAX)

    ann.community.refresh_from_db()
    assert ann.community.rules == {}


def test_a_passed_poll_sets_the_rule(ann, dan, large):
    poll = cast_and_close(propose(ann, TWO_THIRDS, "question"), ann, dan)

    ann.community.refresh_from_db()
    assert (poll.outcome, ann.community.rules) == ("passed", {"question": TWO_THIRDS.to_dict()})
    event = AuditEvent.objects.get(verb="community.rule_changed")
    assert (event.actor, event.data["poll"]) == ("system", poll.pk)


def test_a_rejected_poll_sets_nothing(ann, dan, large):
    cast_and_close(propose(ann, TWO_THIRDS), ann, dan, content="no")

    ann.community.refresh_from_db()
    assert ann.community.rules == {}


def test_a_passed_poll_takes_a_rule_back(ann, dan, settings):
    change(ann, TWO_THIRDS, "question")
    settings.SMALL_COMMUNITY = 1

    cast_and_close(propose(ann, None, "question"), ann, dan)

    ann.community.refresh_from_db()
    assert ann.community.rules == {}


def test_what_is_voted_on_is_the_rule_itself(ann):
    decoy = json.dumps({"kind": "", "rule": LAX.to_dict()})
    poll = propose(ann, TWO_THIRDS, reason=f"Because.\n{decoy}")

    assert json.loads(poll.text.splitlines()[-1]) == {"kind": "", "rule": TWO_THIRDS.to_dict()}
    assert "at least two thirds of those who vote yes or no say yes" in poll.text


def test_the_text_of_a_rule_change_is_not_edited(ann):
    rule = Rule(deliberation=60)
    change(ann, rule, "rule_change")
    poll = propose(ann, TWO_THIRDS)

    with pytest.raises(BadInput, match="not edited here"):
        polling.edit_poll(
            poll_id=poll.pk,
            actor=ann.user,
            title=poll.title,
            text=poll.text.replace("[2,3]", "[1,3]"),
            rule=rule,
            period=poll.period,
        )


def test_the_rule_of_rule_changes_decides_rule_changes(ann, dan):
    change(ann, Rule(base="eligible", threshold=Fraction(1), strict=False), "rule_change")

    closed = cast_and_close(propose(ann, LAX), ann)

    assert (closed.outcome, closed.rule["base"]) == ("rejected", "eligible")


def test_a_rule_that_asks_for_deliberation_is_announced_first(ann):
    change(ann, Rule(deliberation=60, period=120), "rule_change")

    assert propose(ann, TWO_THIRDS).status == "deliberation"
    with pytest.raises(BadInput, match="at least 2 hours"):
        propose(ann, LAX, "question", days=1 / 24)


def test_a_rule_change_binds_polls_opened_later_and_no_other(ann):
    before = polling.announce_poll(poll_id=draft(ann, LAX).pk, actor=ann.user)

    cast_and_close(propose(ann, TWO_THIRDS, "question"), ann)

    before.refresh_from_db()
    assert (before.status, Rule.from_dict(before.rule)) == ("open", LAX)


def test_one_poll_at_a_time_is_about_a_rule(ann):
    propose(ann, TWO_THIRDS)

    with pytest.raises(InvalidTransition, match="already"):
        propose(ann, LAX)
    assert propose(ann, LAX, "question").subject_key == "question"


def test_a_proposal_changes_something_and_gives_a_short_reason(ann):
    change(ann, TWO_THIRDS)

    with pytest.raises(BadInput, match="the rule already"):
        propose(ann, TWO_THIRDS)
    with pytest.raises(BadInput, match="reason"):
        propose(ann, LAX, reason="x" * 10_001)
    with pytest.raises(BadInput, match="the rule already"):
        propose(ann, None, "question")


def test_a_text_that_no_release_could_have_written_closes_the_poll_and_sets_nothing(ann, caplog):
    poll = propose(ann, TWO_THIRDS)
    Poll.objects.filter(pk=poll.pk).update(status="open")
    poll.text, poll.outcome = 'Words.\n{"kind": "", "rule": {"method": "coronation"}}', "passed"

    rule_setting.adopt_rule(poll)

    ann.community.refresh_from_db()
    assert ann.community.rules == {}
    assert "sets no rule" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_two_rules_set_at_once_are_both_kept(ann):
    at_once(
        lambda: change(ann, TWO_THIRDS, ""),
        lambda: change(ann, LAX, "question"),
    )

    ann.community.refresh_from_db()
    assert set(ann.community.rules) == {"", "question"}
