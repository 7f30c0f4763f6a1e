from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Membership
from tests.factories.governance import UserFactory
from tests.factories.training_jobs import ReleaseFactory, TurnFactory
from training_jobs import dispatch, playground, registry
from training_jobs.models import Run, Turn


@pytest.fixture
def release(community, version):
    release = ReleaseFactory(evaluation__run__community=community, released=True)
    release.model.version = version
    release.model.save()
    return release


def ask(community, actor, question="What is a library?"):
    return playground.ask(community_id=community.pk, actor=actor, question=question)


def test_ask_queues_a_run_of_the_released_model_and_keeps_the_question(
    community, person, release, nudges, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        turn = ask(community, person, "  What is a library? ")

    assert turn.question == "What is a library?"
    assert turn.run.recipe == Run.Recipe.CHAT
    assert turn.run.model == release.model
    assert set(turn.run.manifest["inputs"]) == {"model", "messages.json", "constitution.json"}
    assert nudges == [("training_jobs.execute_run", [turn.run_id])]
    assert not AuditEvent.objects.exists()


def test_ask_leaves_the_question_in_no_file(community, person, release):
    ask(community, person, "Something private")

    for path in registry.artifact_path("inputs").iterdir():
        assert b"private" not in path.read_bytes()


def test_ask_is_for_members(community, release):
    with pytest.raises(NotPermitted):
        ask(community, UserFactory())

    assert not Turn.objects.exists()


def test_ask_needs_a_released_model(community, person):
    ReleaseFactory(evaluation__run__community=community)
    ReleaseFactory(released=True)

    with pytest.raises(InvalidTransition, match="No model is released yet"):
        ask(community, person)


def test_ask_takes_the_model_that_was_released_last(community, person, release):
    newer = ReleaseFactory(evaluation__run__community=community, released=True)

    assert ask(community, person).release == newer


@pytest.mark.parametrize("question", ["", "  \n ", "x" * 2001])
def test_ask_refuses_what_is_no_question(community, person, release, question):
    with pytest.raises(BadInput):
        ask(community, person, question)


def test_ask_has_a_limit_within_the_hour_for_each_person(community, person, steward, release):
    for minutes in range(20):
        TurnFactory(
            release=release, user=person, asked_at=timezone.now() - timedelta(minutes=minutes)
        )

    with pytest.raises(InvalidTransition, match="20 questions within the hour"):
        ask(community, person)
    ask(community, steward)
    Turn.objects.filter(user=person).update(asked_at=timezone.now() - timedelta(minutes=61))
    ask(community, person)


def test_ask_counts_one_persons_questions_one_after_the_other(
    transactional_db, in_thread, community, person, release, settings
):
    settings.PLAYGROUND_QUESTIONS_AN_HOUR = 1
    with transaction.atomic():
        Membership.objects.select_for_update(no_key=True).get(user=person)
        second = in_thread(lambda: ask(community, person))
        second.thread.join(0.3)
        assert second.thread.is_alive()
        TurnFactory(release=release, user=person)

    with pytest.raises(InvalidTransition):
        second.result()
    assert Turn.objects.count() == 1


def test_a_conversation_is_one_question():
    assert dispatch.conversation("Hé?") == '[{"content":"Hé?","role":"user"}]'.encode()
