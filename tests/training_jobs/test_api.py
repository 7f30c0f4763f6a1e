from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from governance.models import Poll
from tests.factories.feedback import PromptFactory, ResponseFactory, member
from tests.factories.governance import CommunityFactory, UserFactory
from tests.factories.training_jobs import (
    EvaluationFactory,
    ReleaseFactory,
    RunFactory,
    SampleFactory,
    TurnFactory,
    scored,
)
from training_jobs import dispatch
from training_jobs.models import Run, Turn


@pytest.fixture
def api():
    return APIClient()


@pytest.fixture
def as_steward(api, steward):
    api.force_authenticate(steward)
    return api


def url(name, community, *args):
    return reverse(f"api-{name}", args=[community.slug, *args])


def test_runs_are_queued_listed_and_shown(as_steward, community, version, training, base):
    response = as_steward.post(
        url("run-list", community),
        {
            "recipe": "dpo",
            "version": version.pk,
            "dataset": training.pk,
            "seed": 3,
            "options": {"steps": 5, "beta": "0.2"},
        },
        format="json",
    )

    assert response.status_code == 201, response.data
    run = Run.objects.get(pk=response.data["id"])
    assert (run.seed, run.options["steps"], run.model) == (3, 5, base)
    listed = as_steward.get(url("run-list", community)).data["results"]
    assert [row["id"] for row in listed] == [run.pk]
    shown = as_steward.get(url("run-detail", community, run.pk)).data
    assert shown["manifest"] == run.manifest
    assert shown["evaluation"] is None


def test_generation_and_evaluation_are_queued(as_steward, community, trained, heldout, base):
    PromptFactory(community=community)
    for data in (
        {"recipe": "generate"},
        {"recipe": "evaluate", "model": trained.pk, "heldout": heldout.pk},
    ):
        response = as_steward.post(url("run-list", community), data, format="json")
        assert response.status_code == 201, response.data


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"recipe": "chat"}, "recipe"),
        ({"recipe": "dpo", "version": 1}, "dataset"),
        ({"recipe": "generate", "dataset": 1}, "dataset"),
        ({"recipe": "generate", "seed": -1}, "seed"),
    ],
)
def test_badly_shaped_runs_are_refused_with_the_field(as_steward, community, data, field):
    response = as_steward.post(url("run-list", community), data, format="json")

    assert response.status_code == 400
    assert field in response.data


def test_refusals_carry_their_sentence(api, as_steward, community, person):
    refused = as_steward.post(url("run-list", community), {"recipe": "generate"}, format="json")
    assert refused.status_code == 409
    assert refused.data["detail"].startswith("No constitution is in force")

    api.force_authenticate(person)
    refused = api.post(url("run-list", community), {"recipe": "generate"}, format="json")
    assert refused.status_code == 403
    assert refused.data["detail"] == "Only a steward may queue a run."


def test_runs_are_cancelled(as_steward, community):
    run = RunFactory(community=community)

    response = as_steward.post(url("run-cancel", community, run.pk))

    assert response.data["status"] == "cancelled"
    assert as_steward.post(url("run-cancel", community, run.pk)).status_code == 409


def test_visitors_read_and_do_not_write(api, community):
    run = RunFactory(community=community)

    assert api.get(url("run-list", community)).status_code == 200
    for response in (
        api.post(url("run-list", community), {"recipe": "generate"}, format="json"),
        api.post(url("run-cancel", community, run.pk)),
        api.get(url("turn-list", community)),
    ):
        assert response.status_code == 401


def test_the_playgrounds_runs_are_nobodys_business(as_steward, community):
    turn = TurnFactory(release__evaluation__run__community=community)

    listed = as_steward.get(url("run-list", community)).data["results"]

    assert turn.run_id not in [row["id"] for row in listed]
    assert as_steward.get(url("run-detail", community, turn.run_id)).status_code == 404
    assert as_steward.post(url("run-cancel", community, turn.run_id)).status_code == 404


def test_foreign_and_private_communities_are_not_found(api, as_steward, community):
    private = CommunityFactory(visibility="private")
    run = RunFactory(community=private)
    own = RunFactory(community=community)

    assert as_steward.get(url("run-list", private)).status_code == 404
    assert as_steward.get(url("run-detail", private, run.pk)).status_code == 404
    assert as_steward.get(url("run-detail", community, run.pk)).status_code == 404
    assert as_steward.get(url("run-detail", CommunityFactory(), own.pk)).status_code == 404
    assert as_steward.get(url("model-list", private)).status_code == 404
    assert as_steward.get(url("evaluation-list", private)).status_code == 404
    assert as_steward.get(url("release-list", private)).status_code == 404
    assert as_steward.get(url("turn-list", private)).status_code == 404


def test_models_and_their_files(api, community, trained, base):
    listed = api.get(url("model-list", community)).data["results"]

    assert [row["digest"] for row in listed] == [trained.digest, base.digest]
    shown = api.get(url("model-detail", community, trained.pk)).data
    assert shown["parents"] == [base.pk]
    assert (shown["version"], shown["dataset"]) == (1, trained.dataset.number)
    assert shown["listing"] == trained.listing


def test_evaluations_with_scores(api, community):
    evaluation = scored(EvaluationFactory(run__community=community))

    shown = api.get(url("evaluation-detail", community, evaluation.pk)).data

    assert len(shown["scores"]) == 6
    assert shown["samples"] == []
    assert api.get(url("evaluation-list", community)).data["count"] == 1


def test_releases_are_proposed_and_listed(as_steward, community):
    evaluation = scored(EvaluationFactory(run__community=community))

    response = as_steward.post(
        url("release-propose", community, evaluation.pk),
        {"closes_at": (timezone.now() + timedelta(days=1)).isoformat()},
        format="json",
    )

    assert response.status_code == 201, response.data
    assert response.data["poll"] == Poll.objects.get(kind="release").pk
    assert as_steward.get(url("release-list", community)).data["count"] == 1


def test_questions_are_asked_and_read_by_their_asker(api, community, person):
    release = ReleaseFactory(evaluation__run__community=community, released=True)
    others = TurnFactory(release=release, user=UserFactory())
    api.force_authenticate(person)

    response = api.post(url("turn-list", community), {"question": "A library?"}, format="json")

    assert response.status_code == 201, response.data
    turn = Turn.objects.get(user=person)
    assert (response.data["id"], response.data["status"]) == (turn.pk, "queued")
    assert api.get(url("turn-list", community)).data["count"] == 1
    assert api.get(url("turn-detail", community, turn.pk)).data["question"] == "A library?"
    assert api.get(url("turn-detail", community, others.pk)).status_code == 404


@pytest.mark.parametrize("name", ["run-list", "model-list", "evaluation-list", "release-list"])
def test_lists_take_as_many_queries_for_three_rows_as_for_one(
    api, community, name, django_assert_num_queries, django_assert_max_num_queries
):
    def fill():
        evaluation = scored(EvaluationFactory(run__community=community))
        ReleaseFactory(evaluation=evaluation)

    fill()
    with django_assert_max_num_queries(20) as first:
        api.get(url(name, community))
    fill()
    fill()
    with django_assert_num_queries(len(first.captured_queries)):
        api.get(url(name, community))


def test_a_failed_run_is_queued_again(as_steward, community, version, training, base, steward):
    run = dispatch.queue_training(
        community_id=community.pk, actor=steward, version_id=version.pk, dataset_id=training.pk
    )
    address = url("run-again", community, run.pk)
    assert as_steward.post(address).status_code == 409
    dispatch.cancel_run(run_id=run.pk, actor=steward)

    response = as_steward.post(address)

    assert response.status_code == 201
    assert response.data["manifest_digest"] == run.manifest_digest
    assert response.data["id"] != run.pk


def test_a_run_is_queued_again_by_stewards_alone(api, community, person):
    run = RunFactory(community=community, status="cancelled", finished_at=timezone.now())
    address = url("run-again", community, run.pk)

    assert api.post(address).status_code == 401
    api.force_authenticate(person)
    assert api.post(address).status_code == 403


def test_samples_with_hidden_words_are_covered_for_all_but_moderators(api, community):
    evaluation = EvaluationFactory(run__community=community)
    SampleFactory(evaluation=evaluation, prompt="Asked so", before="Said so", after="No.")
    PromptFactory(community=community, text="Asked so", hidden=True)
    address = url("evaluation-detail", community, evaluation.pk)

    [covered] = api.get(address).data["samples"]
    api.force_authenticate(member(community, "moderator"))
    [seen] = api.get(address).data["samples"]

    hidden = "Hidden by a moderator."
    assert [covered[name] for name in ("prompt", "before", "after")] == [hidden] * 3
    assert [seen[name] for name in ("prompt", "before", "after")] == ["Asked so", "Said so", "No."]
    assert covered["hidden"]
    assert seen["hidden"]


def test_answers_with_hidden_words_are_covered_in_the_list_and_alone(api, community, person):
    release = ReleaseFactory(evaluation__run__community=community, released=True)
    turn = TurnFactory(release=release, user=person, answer="Something foul")
    ResponseFactory(prompt__community=community, text="Something foul", hidden=True)
    api.force_authenticate(person)

    [listed] = api.get(url("turn-list", community)).data["results"]
    alone = api.get(url("turn-detail", community, turn.pk)).data

    assert listed["answer"] == alone["answer"] == "Hidden by a moderator."
