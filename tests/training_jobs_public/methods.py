"""Polls by every method and with every part of a rule, decided by the product's own verbs."""

from datetime import timedelta
from fractions import Fraction
from unittest import mock

import time_machine
from allauth.account.models import EmailAddress
from django.test import override_settings
from django.utils import timezone

from governance import delegating, groups, membership, polling, rule_setting, stewardship, voting
from governance.models import Membership
from governance.rules import METHODS, Rule
from tests.factories.populated import decide

OPTIONS = [{"title": title, "text": ""} for title in ("Ants", "Bees", "Cats")]
ANTS, BEES, CATS, QUO = "ants", "bees", "cats", "status-quo"
RANKINGS = [
    [[ANTS], [BEES], [CATS]],
    [[BEES], [CATS], [ANTS]],
    [[CATS], [ANTS], [BEES]],
    [[ANTS, BEES], [QUO]],
    [],
]
BALLOTS = {
    "approval": [[ANTS], [ANTS, BEES], [BEES], [CATS, QUO], []],
    "score": [{ANTS: 5, BEES: 3}, {BEES: 4, CATS: 1}, {CATS: 5}, {ANTS: 2, QUO: 1}, {}],
    "quadratic": [{ANTS: 64, BEES: 36}, {BEES: 50, CATS: 8}, {CATS: 72}, {ANTS: 18}, {}],
    "weighted": [{ANTS: 3, BEES: 1}, {BEES: 2, CATS: 1}, {CATS: 7}, {ANTS: 1, QUO: 1}, {}],
}
BALLOTS["star"] = BALLOTS["score"]


def decide_by_every_method(community, steward, people):
    """Close a poll by each method, and polls that use each other part of a rule."""
    for person in people:
        EmailAddress.objects.create(user=person, email=person.email, verified=True, primary=True)
    for n, method in enumerate(METHODS[1:]):
        rule = Rule(
            method=method,
            quorum="none",
            threshold=Fraction(1, 3),
            ties=("seed", "report")[n % 2],
            verified_email=True,
        )
        contents = BALLOTS.get(method, RANKINGS)
        decide(
            put(community, steward, f"By {method}?", rule), dict(zip(people, contents, strict=True))
        )
    _secretly(community, steward, people)
    _through_delegates(community, steward, people)
    _with_groups(community, steward, people)
    _extended(community, steward, people)
    _by_two_stewards(community, steward, people)
    _after_deliberation(community, steward, people)
    _governing(community, steward, people)


def put(community, steward, title, rule, **given):
    """Open a poll, among options where the rule asks for them."""
    return polling.open_poll(
        community_id=community.pk,
        actor=steward,
        kind="question",
        title=title,
        text=title,
        rule=rule,
        options=OPTIONS if rule.has_options else (),
        closes_at=timezone.now() + timedelta(hours=1),
        **given,
    )


def _secretly(community, steward, people):
    between = put(community, steward, "Secretly?", Rule(secrecy="secret"))
    voting.cast_ballot(poll_id=between.pk, voter=people[0], content="no")
    voting.withdraw_ballot(poll_id=between.pk, voter=people[0])
    decide(between, dict(zip(people[1:], ("yes", "no", "yes", "abstain"), strict=True)))
    among = put(community, steward, "Secretly which?", Rule(method="irv", secrecy="secret"))
    decide(among, dict(zip(people, RANKINGS, strict=True)))


def _through_delegates(community, steward, people):
    rule = Rule(delegation=True, delegation_cap=2, quorum="none")
    poll = put(community, steward, "Through delegates?", rule)
    for giver, taker in ((1, 0), (2, 0), (3, 4), (4, 3)):
        delegating.give_delegation(
            community_id=community.pk,
            delegator=people[giver],
            delegate_id=people[taker].pk,
            poll_id=poll.pk,
        )
    decide(poll, {people[0]: "yes"})


def _with_groups(community, steward, people):
    rule = Rule(group_support=Fraction(1, 2), weighting="seniority", method="copeland")
    with mock.patch.object(groups, "_providers", [lambda _: {p.pk: "Readers" for p in people}]):
        poll = put(community, steward, "With groups?", rule)
    decide(poll, dict(zip(people, [RANKINGS[0]] * 3 + [RANKINGS[1]] * 2, strict=True)))


def _extended(community, steward, people):
    poll = put(community, steward, "Extended?", Rule(extension=5, quorum="none"))
    voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="yes")
    with time_machine.travel(poll.closes_at - timedelta(minutes=2), tick=True):
        for person in people[1:3]:
            voting.cast_ballot(poll_id=poll.pk, voter=person, content="no")
    with time_machine.travel(poll.closes_at + timedelta(seconds=1), tick=True):
        poll = polling.close_poll(poll_id=poll.pk)
    decide(poll, {})


def _by_two_stewards(community, steward, people):
    second = people[1]
    Membership.objects.filter(community=community, user=second).update(role="steward")
    third = people[2]
    Membership.objects.filter(community=community, user=third).update(role="steward")
    for kind, title in (("close_early", "Long enough?"), ("withdraw_poll", "A mistake?")):
        poll = put(community, steward, title, Rule())
        voting.cast_ballot(poll_id=poll.pk, voter=people[3], content="yes")
        motion = stewardship.move(
            community_id=community.pk, actor=second, kind=kind, reason="Seen.", poll_id=poll.pk
        )
        stewardship.second(motion_id=motion.pk, actor=third)
    Membership.objects.filter(community=community, user__in=[second, third]).update(role="member")


def _after_deliberation(community, steward, people):
    poll = put(community, steward, "After a while?", Rule(deliberation=10))
    polling.edit_poll(
        poll_id=poll.pk,
        actor=steward,
        title=poll.title,
        text="Shall we wait a while?",
        rule=Rule(deliberation=10),
        period=timedelta(hours=1),
    )
    with time_machine.travel(poll.opens_at + timedelta(seconds=1), tick=True):
        poll = polling.open_due_poll(poll_id=poll.pk)
        voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="yes")
        decide(poll, {})


def _governing(community, steward, people):
    """Change a steward and a rule by polls; then, as in a small community, without."""
    second, third = (Membership.objects.get(community=community, user=p) for p in people[1:3])
    given = {"community_id": community.pk, "actor": steward, "period": timedelta(hours=1)}
    with override_settings(SMALL_COMMUNITY=2):
        made = stewardship.propose_steward_change(
            **given, membership_id=second.pk, role="steward", reason="They are needed."
        )
        decide(made, dict.fromkeys(people, "yes"))
        ruled = rule_setting.propose_rule_change(
            **given, kind="question", rule=Rule(quorum="none"), reason="It is enough."
        )
        decide(ruled, dict.fromkeys(people, "yes"))
        membership.change_role(membership_id=second.pk, actor=people[1], role="member")
    membership.change_role(membership_id=second.pk, actor=steward, role="steward")
    motion = stewardship.move(
        community_id=community.pk,
        actor=steward,
        kind="change_steward",
        reason="We are few.",
        membership_id=third.pk,
        role="steward",
    )
    stewardship.second(motion_id=motion.pk, actor=people[1])
    rule_setting.change_rule(community_id=community.pk, actor=steward, kind="question", rule=None)
