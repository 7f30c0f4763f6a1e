"""Releases: a poll about a model, and the gate that it has to pass besides."""

from collections.abc import Callable, Iterable
from datetime import datetime
from fractions import Fraction
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from governance import audit, polling
from governance.errors import InvalidTransition
from governance.models import Poll, User
from governance.rules import Rule
from governance.transitions import move
from training_jobs import permissions
from training_jobs.models import Evaluation, Model, Release, Score
from training_jobs.verbs import Verb

POLL_KIND: Final = "release"
HELDOUT_ACCURACY: Final = "heldout_accuracy"
OVER_REFUSAL: Final = "over_refusal_rate"


def over_refusal_limit() -> Fraction:
    """Return the share of harmless prompts that a released model may decline at most."""
    return Fraction(settings.RELEASE_OVER_REFUSAL_LIMIT)


def gate_of(scores: Iterable[Score]) -> dict[str, Any]:
    """Hold an evaluation's scores against the gate. What was not measured has not passed.

    Returns:
        holds, and conditions: each with key, sentence, figure, holds. Numbers are texts.
    """
    by_key = {(score.metric, score.side): score for score in scores if not score.principle_key}
    limit = over_refusal_limit()
    conditions = [
        _condition(
            "held_out_accuracy_rose",
            "On held-out pairs the model follows the community's choices more often than before: "
            "the whole interval of the difference lies above 0.",
            by_key.get((HELDOUT_ACCURACY, Score.Side.DIFFERENCE)),
            lambda score: score.low,
            lambda low: low > 0,
        ),
        _condition(
            "over_refusal_within_limit",
            f"The model declines at most {limit} of the harmless prompts.",
            by_key.get((OVER_REFUSAL, Score.Side.AFTER)),
            lambda score: score.value,
            lambda value: Fraction(value) <= limit,
        ),
    ]
    return {"holds": all(c["holds"] for c in conditions), "conditions": conditions}


def _condition(
    key: str,
    sentence: str,
    score: Score | None,
    figure: Callable[[Score], float | None],
    holds: Callable[[float], bool],
) -> dict[str, Any]:
    value = None if score is None or score.n == 0 else figure(score)
    return {
        "key": key,
        "sentence": sentence,
        "figure": "not measured" if value is None else repr(value),
        "n": 0 if score is None else score.n,
        "unscored": 0 if score is None else score.unscored,
        "holds": value is not None and holds(value),
    }


@transaction.atomic
def propose_release(*, evaluation_id: int, actor: User, rule: Rule, closes_at: datetime) -> Release:
    """Put an evaluated model to the community; the gate is computed now and frozen with the poll.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: the model was put to the community before.
        BadInput: the poll cannot be opened as asked.
    """
    evaluation = Evaluation.objects.select_related("run", "baseline").get(pk=evaluation_id)
    model = Model.objects.select_for_update(of=("self",)).get(pk=evaluation.model_id)
    community_id = evaluation.run.community_id
    permissions.require(
        permissions.can_propose_release(actor, community_id),
        "Only a steward may put a model to the community.",
    )
    if not may_be_proposed(model):
        raise InvalidTransition("This model is before the community, or released, already.")
    gate = gate_of(evaluation.scores.all())
    poll = polling.open_poll(
        community_id=community_id,
        actor=actor,
        kind=POLL_KIND,
        title=f"Release {model.name}, {model.revision}?"[: polling.LONGEST_TITLE],
        text=poll_text(evaluation, gate),
        rule=rule,
        closes_at=closes_at,
        subject_key=str(model.pk),
    )
    release = Release.objects.create(model=model, evaluation=evaluation, poll=poll, gate=gate)
    audit.record(
        community_id=community_id,
        actor=actor,
        verb=Verb.RELEASE_PROPOSED,
        subject=release,
        data={"model_digest": model.digest, "poll": poll.pk, "gate": gate},
    )
    return release


def may_be_proposed(model: Model) -> bool:
    """Say whether a model can be put to the community: no proposal of it is open, and none passed.

    One that was not released may come back, whether the quorum was missed, the majority said no
    or the gate was not met; each time is a proposal and a poll of its own.
    """
    return not model.releases.exclude(status=Release.Status.REJECTED).exists()


def poll_text(evaluation: Evaluation, gate: dict[str, Any]) -> str:
    """Write what the community decides: the model by its digest, the figures, and the gate."""
    model = evaluation.model
    lines = [
        f"Shall the model {model.name} ({model.revision}) be released to the members?",
        "",
        f"Model: sha256 {model.digest}",
        f"Trained from: sha256 {evaluation.baseline.digest}",
        f"Evaluation: {evaluation.pk}",
        "",
        "Figures (before, after, difference; 95 % intervals):",
    ]
    lines += [f"- {_figure_line(score)}" for score in evaluation.scores.filter(principle_key="")]
    lines += ["", "The gate, without which the model is not released even if the poll passes:"]
    lines += [
        f"- {'met' if c['holds'] else 'NOT MET'}: {c['sentence']}" for c in gate["conditions"]
    ]
    if not gate["holds"]:
        lines += ["", "The gate is not met: as things stand this model cannot be released."]
    return "\n".join(lines)


def _figure_line(score: Score) -> str:
    words = f"{score.metric.replace('_', ' ')}, {score.get_side_display().lower()}"
    if score.value is None or score.low is None or score.high is None:
        return f"{words}: not measured ({score.unscored} unscored)"
    return (
        f"{words}: {score.value:.3f} ({score.low:.3f} to {score.high:.3f}), "
        f"n = {score.n}, {score.unscored} unscored"
    )


def lock_subject(poll_id: int) -> None:
    """Lock the release of a poll that is about to close, before the poll itself is locked."""
    Release.objects.select_for_update().get(poll_id=poll_id)


@transaction.atomic
def decide(poll: Poll) -> None:
    """Release the model of a poll that has just closed, if it passed and the gate holds.

    Of a poll that was withdrawn nothing passed: the model can be put to the community again.

    Raises:
        InvalidTransition: it was decided before.
    """
    release = Release.objects.select_for_update(of=("self",)).select_related("model").get(poll=poll)
    holds = release.gate.get("holds") is True
    if poll.outcome == Poll.Outcome.PASSED and holds:
        move(release, Release.Status.RELEASED, released_at=poll.closed_at)
    else:
        move(release, Release.Status.REJECTED)
    audit.record(
        community_id=poll.community_id,
        actor=None,
        verb=Verb.RELEASE_DECIDED,
        subject=release,
        data={
            "model_digest": release.model.digest,
            "poll": poll.pk,
            "outcome": poll.outcome or poll.status,
            "gate_holds": holds,
            "status": release.status,
        },
    )


def subject_url(poll: Poll) -> str:
    """Return the page of the evaluation that a poll rests on."""
    release = Release.objects.filter(poll=poll).select_related("evaluation").first()
    if release is None:
        return ""
    evaluation: Evaluation = release.evaluation
    return evaluation.get_absolute_url()
