from datetime import timedelta
from fractions import Fraction

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from governance import polling, voting
from governance.errors import InvalidTransition, NotPermitted
from governance.models import AuditEvent, Poll
from governance.rules import Rule
from tests.factories.feedback import member
from tests.factories.governance import PollFactory
from tests.factories.training_jobs import (
    EvaluationFactory,
    ReleaseFactory,
    ScoreFactory,
    scored,
)
from training_jobs import releasing
from training_jobs.models import Release, Score

RULE = Rule(quorum="none")


@pytest.fixture
def evaluation(community):
    return EvaluationFactory(run__community=community)


def propose(evaluation, actor):
    return releasing.propose_release(
        evaluation_id=evaluation.pk,
        actor=actor,
        rule=RULE,
        closes_at=timezone.now() + timedelta(hours=1),
    )


# --- the gate -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "over_refusal", "holds"),
    [
        (0.01, 0.0, [True, True]),
        (0.01, 0.5, [True, True]),
        (0.01, 0.51, [True, False]),
        (0.0, 0.0, [False, True]),
        (-0.1, 0.9, [False, False]),
    ],
)
def test_gate_holds_only_where_both_conditions_do(evaluation, low, over_refusal, holds):
    scored(evaluation, low=low, over_refusal=over_refusal)

    gate = releasing.gate_of(evaluation.scores.all())

    assert [condition["holds"] for condition in gate["conditions"]] == holds
    assert gate["holds"] is all(holds)


def test_gate_fails_without_scores(evaluation):
    gate = releasing.gate_of(evaluation.scores.all())

    assert gate["holds"] is False
    assert {condition["figure"] for condition in gate["conditions"]} == {"not measured"}


def test_gate_fails_where_nothing_could_be_scored(evaluation):
    scored(evaluation)
    Score.objects.filter(metric="over_refusal_rate", side="after").update(
        n=0, unscored=12, value=None, low=None, high=None
    )

    gate = releasing.gate_of(evaluation.scores.all())

    assert [condition["holds"] for condition in gate["conditions"]] == [True, False]
    assert gate["conditions"][1]["unscored"] == 12


def test_gate_does_not_take_one_principles_score_for_the_whole(evaluation):
    for metric, side in (("heldout_accuracy", "difference"), ("over_refusal_rate", "after")):
        ScoreFactory(
            evaluation=evaluation, metric=metric, side=side, principle_key="careful", low=0.3
        )

    assert releasing.gate_of(evaluation.scores.all())["holds"] is False


def test_over_refusal_limit_is_one_half_unless_set(settings):
    assert releasing.over_refusal_limit() == Fraction(1, 2)
    settings.RELEASE_OVER_REFUSAL_LIMIT = "1/3"
    assert releasing.over_refusal_limit() == Fraction(1, 3)


# --- proposing ------------------------------------------------------------------------------------


def test_propose_release_opens_a_poll_that_names_model_figures_and_gate(evaluation, steward):
    scored(evaluation, over_refusal=0.9)

    release = propose(evaluation, steward)

    poll = release.poll
    assert poll.kind == "release"
    assert evaluation.model.digest in poll.text
    assert "heldout accuracy, difference: 0.250 (0.100 to 0.400)" in poll.text
    assert "NOT MET: The model declines at most 1/2" in poll.text
    assert release.gate["holds"] is False
    event = AuditEvent.objects.get(verb="release.proposed")
    assert event.data["model_digest"] == evaluation.model.digest
    assert event.data["gate"]["holds"] is False


def test_propose_release_is_for_stewards(evaluation, person):
    with pytest.raises(NotPermitted):
        propose(evaluation, person)

    assert not Poll.objects.exists()
    assert not AuditEvent.objects.exists()


def test_propose_release_asks_once_for_each_model(evaluation, steward):
    scored(evaluation)
    propose(evaluation, steward)

    with pytest.raises(InvalidTransition, match="before"):
        propose(evaluation, steward)

    assert Poll.objects.count() == 1


def test_propose_release_waits_for_another_proposal(
    transactional_db, in_thread, evaluation, steward
):
    with transaction.atomic():
        type(evaluation.model).objects.select_for_update().get(pk=evaluation.model_id)
        second = in_thread(lambda: propose(evaluation, steward))
        second.thread.join(0.3)
        assert second.thread.is_alive()
        ReleaseFactory(evaluation=evaluation, poll=PollFactory())

    with pytest.raises(InvalidTransition):
        second.result()
    assert Release.objects.count() == 1


@pytest.mark.parametrize("choices", [("no",), ()])
def test_propose_release_again_once_a_proposal_has_failed(
    evaluation, steward, monkeypatch, choices
):
    first = propose(scored(evaluation), steward)
    close_with(monkeypatch, first, *choices)

    second = propose(evaluation, steward)

    assert (first.status, second.status) == ("rejected", "proposed")
    assert evaluation.model.release == second


def test_propose_release_again_once_the_poll_is_withdrawn(evaluation, steward):
    first = releasing.propose_release(
        evaluation_id=scored(evaluation).pk,
        actor=steward,
        rule=Rule(deliberation=60),
        closes_at=timezone.now() + timedelta(days=1),
    )

    polling.withdraw_poll(poll_id=first.poll_id, actor=steward, reason="The figures changed.")

    first.refresh_from_db()
    assert first.status == "rejected"
    event = AuditEvent.objects.get(verb="release.decided")
    assert (event.data["outcome"], event.data["status"]) == ("withdrawn", "rejected")
    assert propose(evaluation, steward).status == "proposed"


def test_propose_release_never_again_once_a_model_is_released(evaluation, steward, monkeypatch):
    close_with(monkeypatch, propose(scored(evaluation), steward), "yes")

    with pytest.raises(InvalidTransition, match="released, already"):
        propose(evaluation, steward)


@pytest.mark.parametrize("status", ["proposed", "released"])
def test_no_model_is_before_the_community_twice(evaluation, status):
    ReleaseFactory(evaluation=evaluation, released=status == "released")

    with pytest.raises(IntegrityError, match="release_once_unless_rejected"):
        ReleaseFactory(evaluation=evaluation)


# --- deciding -------------------------------------------------------------------------------------


def close_with(monkeypatch, release, *choices):
    voters = [elector.user for elector in release.poll.electors.order_by("pk")]
    for voter, choice in zip(voters, choices, strict=False):
        voting.cast_ballot(poll_id=release.poll_id, voter=voter, content=choice)
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: release.poll.closes_at)
        polling.close_poll(poll_id=release.poll_id)
    release.refresh_from_db()


@pytest.mark.parametrize(
    ("choices", "over_refusal", "status"),
    [
        (("yes",), 0.1, "released"),
        (("no",), 0.1, "rejected"),
        (("yes",), 0.9, "rejected"),
        ((), 0.1, "rejected"),
    ],
)
def test_a_model_is_released_when_the_poll_passed_and_the_gate_holds(
    evaluation, steward, choices, over_refusal, status, monkeypatch
):
    member(evaluation.run.community)
    release = propose(scored(evaluation, over_refusal=over_refusal), steward)

    close_with(monkeypatch, release, *choices)

    assert release.status == status
    assert (release.released_at is not None) == (status == "released")
    event = AuditEvent.objects.get(verb="release.decided")
    assert event.data["status"] == status
    assert event.data["gate_holds"] is (over_refusal <= 0.5)
    assert event.actor == "system"


def test_a_release_is_decided_once(evaluation, steward, monkeypatch):
    release = propose(scored(evaluation), steward)
    close_with(monkeypatch, release, "yes")

    with pytest.raises(InvalidTransition):
        releasing.decide(release.poll)


def test_the_polls_page_leads_to_the_evaluation(evaluation, steward):
    release = propose(scored(evaluation), steward)

    assert releasing.subject_url(release.poll) == evaluation.get_absolute_url()
    assert releasing.subject_url(PollFactory()) == ""
