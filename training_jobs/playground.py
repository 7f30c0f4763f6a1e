"""The playground: members ask a released model, and a worker answers."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from feedback import review
from governance.errors import BadInput, InvalidTransition
from governance.models import Membership, User
from training_jobs import dispatch, permissions
from training_jobs.models import Release, Turn
from training_jobs.querysets import TurnQuerySet

LONGEST_QUESTION: Final = 2000


def questions_an_hour() -> int:
    """Return how many questions one person may ask within an hour."""
    return settings.PLAYGROUND_QUESTIONS_AN_HOUR


def current_release(community_id: int) -> Release | None:
    """Return the community's latest released model, which the playground talks to."""
    release = (
        Release.objects.released()
        .filter(model__community_id=community_id)
        .select_related("model__version", "evaluation", "poll")
        .order_by("-released_at", "-pk")
        .first()
    )
    assert release is None or isinstance(release, Release)
    return release


def turns_of(user: User, community_id: int) -> TurnQuerySet:
    """Return a person's questions to the community's models, the latest first."""
    turns: TurnQuerySet = Turn.objects.of(user).filter(run__community=community_id)
    return turns.select_related("run", "release__model")


def as_shown(turns: Iterable[Turn], community_id: int, user: User) -> list[Turn]:
    """Return turns with the words covered that moderators have hidden."""
    fields = ("question", "answer")
    return review.as_shown(turns, *fields, community_id=community_id, viewer=user)


@transaction.atomic
def ask(*, community_id: int, actor: User, question: str) -> Turn:
    """Put a question to the community's released model; the answer comes with its run.

    Raises:
        NotPermitted: `actor` is no member.
        InvalidTransition: no model is released, or this person asked too much within the hour.
        BadInput: there is no question, or it is too long.
    """
    # The membership's row makes this person's questions come one after the other, so that the
    # count below holds.
    Membership.objects.select_for_update(no_key=True).filter(
        community_id=community_id, user=actor
    ).first()
    permissions.require(
        permissions.can_ask(actor, community_id), "Only members may talk to the model."
    )
    question = question.strip()
    if not question:
        raise BadInput("Write a question first.")
    if len(question) > LONGEST_QUESTION:
        raise BadInput(f"A question has at most {LONGEST_QUESTION} characters.")
    release = current_release(community_id)
    if release is None:
        raise InvalidTransition("No model is released yet.")
    now = timezone.now()
    limit = questions_an_hour()
    asked = Turn.objects.of(actor).filter(
        run__community_id=community_id, asked_at__gt=now - timedelta(hours=1)
    )
    if asked.count() >= limit:
        raise InvalidTransition(
            f"You have asked {limit} questions within the hour; the worker is everyone's."
        )
    run = dispatch.queue_answer(
        community_id=community_id,
        actor=actor,
        model=release.model,
        question=question,
    )
    return Turn.objects.create(
        user=actor, release=release, run=run, question=question, asked_at=now
    )
