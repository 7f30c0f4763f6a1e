"""A community at a glance: what is in force, what is open, what needs me, how the model did."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, F, OuterRef, Subquery
from django.urls import reverse
from django.utils import timezone

from feedback.models import Assignment, Comparison, Dataset, ReviewItem
from governance.models import AuditEvent, Community, Membership, Poll, Trail
from governance.querysets import Viewer
from principles.models import Draft, Version
from training_jobs import narration
from training_jobs.models import METRICS, Evaluation, Model, Release, Run, Score
from training_jobs.playground import current_release

MOST_POLLS: Final = 6
MOST_ANNOUNCED: Final = 3
MOST_RUNS: Final = 4
MOST_DRAFTS: Final = 3
LAST_EVENTS: Final = 7
MOST_COUNTED: Final = 100

SHOWN_METRICS: Final = ("heldout_accuracy", "adherence", "refusal_rate", "over_refusal_rate")
"""The measures of the front page, in their order; the evaluation's own page has all of them."""


@dataclass(frozen=True)
class Need:
    """Something that waits for this person.

    Attributes:
        kind: a stable word: ballot, labels, review, requests, draft or next.
        text: what it is, in a sentence.
        url: where to do it.
        action: the words of the button.
    """

    kind: str
    text: str
    url: str
    action: str


def community_overview(community: Community, user: Viewer) -> dict[str, Any]:
    """Return what the community's front page shows to this person.

    The number of queries does not depend on how much there is: every list is bounded.
    """
    membership = _membership(community, user)
    member = membership if membership and membership.status == Membership.Status.ACTIVE else None
    version = _version_in_force(community)
    polls = _current_polls(community, user)
    trained = _latest_model(community, version)
    evaluation = _latest_evaluation(community)
    stage = _stage(community, version, trained, polls)
    return {
        "standing": membership,
        "members": community.memberships.filter(status=Membership.Status.ACTIVE).count(),
        "version": version,
        "principles": list(version.principles.all()) if version else [],
        "polls": polls,
        "runs": _runs(community),
        "release": current_release(community.pk),
        "evaluation": evaluation,
        "scores": _score_rows(evaluation),
        "difference": _difference(evaluation),
        "stage": stage,
        "trail": Trail.objects.get(community=community),
        "needs": _needs(community, user, member, version, polls, stage) if member else [],
        "events": narration.tell(
            AuditEvent.objects.filter(community=community).order_by("-seq")[:LAST_EVENTS],
            community,
            by_name=member is not None,
        ),
    }


def _membership(community: Community, user: Viewer) -> Membership | None:
    """Return the person's place in the community, in whatever state."""
    if not user.is_authenticated:
        return None
    return Membership.objects.filter(community=community, user_id=user.pk).first()


def _version_in_force(community: Community) -> Version | None:
    return (
        Version.objects.filter(constitution__community=community)
        .select_related("constitution__community")
        .prefetch_related("principles")
        .order_by("-number")
        .first()
    )


def _current_polls(community: Community, user: Viewer) -> list[Poll]:
    """Return open polls, the nearest deadline first, then announced ones, the next to open first.

    With `may_vote` and `has_voted` of the person.
    """
    polls = Poll.objects.filter(community=community).for_list(user)
    opened = polls.filter(status=Poll.Status.OPEN, closes_at__gt=timezone.now())
    announced = polls.filter(status=Poll.Status.DELIBERATION)
    return [*opened[:MOST_POLLS], *announced[:MOST_ANNOUNCED]]


def _runs(community: Community) -> list[Run]:
    """Return the runs that work or wait, each with `step_words` for its bar of progress."""
    runs = list(
        Run.objects.filter(community=community, status__in=[Run.Status.QUEUED, Run.Status.RUNNING])
        .work()
        .select_related("community", "version")
        .order_by("-status", "pk")[:MOST_RUNS]
    )
    for run in runs:
        run.step_words = f"{run.step} of {run.total}"
    return runs


def _latest_model(community: Community, version: Version | None) -> Any:
    """Return the model that was trained last on the version in force, if any.

    With `evaluated`, and `decision`: the status of its release, None where there is none.
    """
    if version is None:
        return None
    of_model = {"model": OuterRef("pk")}
    return (
        Model.objects.filter(community=community, version=version)
        .annotate(
            evaluated=Exists(Evaluation.objects.filter(**of_model)),
            decision=Subquery(Release.objects.filter(**of_model).values("status")[:1]),
        )
        .order_by("-pk")
        .first()
    )


def _latest_evaluation(community: Community) -> Evaluation | None:
    return (
        Evaluation.objects.filter(run__community=community)
        .select_related("run__community", "model", "baseline")
        .prefetch_related("scores")
        .order_by("-pk")
        .first()
    )


def _stage(community: Community, version: Version | None, model: Any, polls: list[Any]) -> str:
    """Name the step of the loop that the community is at: a key of the stepper."""
    if version is None:
        return "vote" if any(poll.kind == Draft.POLL_KIND for poll in polls) else "draft"
    if model is None:
        frozen = Dataset.objects.filter(
            community=community,
            version=version,
            purpose=Dataset.Purpose.TRAINING,
            status=Dataset.Status.FROZEN,
        )
        return "train" if frozen.exists() else "label"
    if model.decision == Release.Status.RELEASED:
        return "done"
    return "release" if model.evaluated else "evaluate"


def _score_rows(evaluation: Evaluation | None) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the rows of the chart: each of `SHOWN_METRICS`, before and after."""
    if evaluation is None:
        return []
    found = {(score.metric, score.side): score for score in _overall(evaluation)}
    rows = [
        (
            METRICS[metric],
            [found[key].estimate() for side in _SIDES if (key := (metric, side)) in found],
        )
        for metric in SHOWN_METRICS
    ]
    return [row for row in rows if row[1]]


_SIDES: Final = (Score.Side.BEFORE, Score.Side.AFTER)


def _overall(evaluation: Evaluation) -> Iterator[Score]:
    return (
        score
        for score in evaluation.scores.all()
        if not score.principle_key and score.value is not None
    )


def _difference(evaluation: Evaluation | None) -> Score | None:
    """Return by how much the held-out accuracy changed."""
    if evaluation is None:
        return None
    sought = ("heldout_accuracy", Score.Side.DIFFERENCE)
    return next((s for s in _overall(evaluation) if (s.metric, s.side) == sought), None)


# --- what needs me --------------------------------------------------------------------------------


def _needs(
    community: Community,
    user: Viewer,
    member: Membership,
    version: Version | None,
    polls: list[Any],
    stage: str,
) -> list[Need]:
    """Return what waits for a member, the most pressing first."""
    return [
        *_ballots(polls),
        *_labels(community, user, version),
        *_duties(community, member),
        *_drafts(community, user),
        *(_next_step(community, stage) if member.role == Membership.Role.STEWARD else ()),
    ]


def _ballots(polls: list[Any]) -> Iterator[Need]:
    for poll in polls:
        if poll.may_vote and not poll.has_voted:
            yield Need(
                "ballot", f"“{poll.title}” waits for your ballot.", poll.get_absolute_url(), "Vote"
            )


def _labels(community: Community, user: Viewer, version: Version | None) -> Iterator[Need]:
    if version is None:
        return
    mine = Assignment.objects.filter(comparison=OuterRef("pk"), annotator_id=user.pk)
    waiting = (
        Comparison.objects.filter(community=community)
        .shown()
        .under(version)
        .filter(~Exists(mine.exclude(status=Assignment.Status.EXPIRED)))
        .filter(places_taken__lt=F("labels_wanted"))
        .order_by()[:MOST_COUNTED]
        .count()
    )
    if waiting:
        count = "100 or more" if waiting == MOST_COUNTED else str(waiting)
        noun = "comparison waits" if waiting == 1 else "comparisons wait"
        yield Need(
            "labels", f"{count} {noun} for a label.", _page("label_next", community), "Label"
        )


def _duties(community: Community, member: Membership) -> Iterator[Need]:
    if member.role in {Membership.Role.MODERATOR, Membership.Role.STEWARD}:
        waiting = ReviewItem.objects.filter(community=community).waiting(timezone.now())
        if count := waiting.order_by()[:MOST_COUNTED].count():
            noun = "report waits" if count == 1 else "reports wait"
            url = _page("review_queue", community)
            yield Need("review", f"{count} {noun} for a moderator.", url, "Review")
    if member.role == Membership.Role.STEWARD:
        asking = Membership.objects.filter(community=community, status=Membership.Status.REQUESTED)
        if count := asking.order_by()[:MOST_COUNTED].count():
            noun = "person asks" if count == 1 else "people ask"
            url = _page("community_members", community)
            yield Need("requests", f"{count} {noun} to join.", url, "Decide")


def _drafts(community: Community, user: Viewer) -> Iterator[Need]:
    mine = Draft.objects.filter(
        constitution__community=community, author_id=user.pk, status=Draft.Status.EDITING
    ).select_related("constitution__community")
    for draft in mine[:MOST_DRAFTS]:
        yield Need(
            "draft", f"Your draft “{draft}” is being written.", draft.get_absolute_url(), "Go on"
        )


def _next_step(community: Community, stage: str) -> Iterator[Need]:
    """Yield what a steward can do to move the loop on."""
    steps = {
        "draft": ("No constitution is in force yet: begin a draft.", "draft_create", "Draft"),
        "label": (
            "Bring prompts, have a model answer them, label the answers, and freeze the labels.",
            "prompt_list",
            "Prompts",
        ),
        "train": ("A dataset is frozen: a model can be trained on it.", "run_create", "Train"),
        "evaluate": ("A model is trained: it can be evaluated.", "run_create", "Evaluate"),
        "release": ("A model is evaluated: put it to the vote.", "model_list", "Release"),
    }
    if stage in steps:
        text, name, action = steps[stage]
        yield Need("next", text, _page(name, community), action)


def _page(name: str, community: Community) -> str:
    return reverse(name, args=[community.slug])
