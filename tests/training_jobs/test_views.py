import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from governance.models import Poll
from governance.templatetags.folkmoot import percent_to, points_to
from tests.factories.feedback import PromptFactory, ResponseFactory, make_version, member
from tests.factories.governance import CommunityFactory, UserFactory
from tests.factories.training_jobs import (
    EvaluationFactory,
    ModelFactory,
    ReleaseFactory,
    RunFactory,
    SampleFactory,
    TurnFactory,
    frozen_dataset,
    scored,
)
from training_jobs import dispatch, forms, registry, views
from training_jobs.models import Run, Turn

HTMX = {"HX-Request": "true"}


@pytest.fixture
def as_steward(client, steward):
    client.force_login(steward)
    return client


@pytest.fixture
def evaluation(community, version, trained):
    return scored(EvaluationFactory(run__community=community, run__version=version, model=trained))


def url(name, community, *args):
    return reverse(name, args=[community.slug, *args])


def text(response):
    """Return a page's text as a reader sees it."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def progress(run, step, **metrics):
    run.progress.create(
        attempt=1, phase="training", step=step, total=10, metrics=metrics, at=timezone.now()
    )


# --- every page: whole and part, 404, private -----------------------------------------------------


@pytest.fixture
def pages(community, evaluation, trained):
    run = RunFactory(community=community)
    return [
        ("run_list", [], "runs"),
        ("run_detail", [run.pk], "run-progress"),
        ("run_curves", [run.pk], "run-curves"),
        ("model_list", [], "models"),
        ("model_detail", [trained.pk], "model"),
        ("evaluation_detail", [evaluation.pk], "evaluation"),
        ("playground", [], "turns"),
    ]


def test_pages_are_shown_to_visitors_whole_and_in_part(client, community, pages):
    for name, args, part in pages:
        address = url(name, community, *args)

        whole = client.get(address, follow=True)
        piece = client.get(address, headers=HTMX)

        assert whole.status_code == 200, name
        assert b"<html" in whole.content, name
        assert f'id="{part}"'.encode() in whole.content, name
        assert b"<html" not in piece.content, name
        assert f'id="{part}"'.encode() in piece.content, name


def test_forms_are_shown_to_stewards_whole_and_in_part(as_steward, community, evaluation):
    for address, part in (
        (url("run_create", community), "run-form"),
        (url("release_create", community, evaluation.pk), "release-form"),
    ):
        whole = as_steward.get(address)
        piece = as_steward.get(address, headers=HTMX)

        assert b"<html" in whole.content
        assert f'id="{part}"'.encode() in whole.content
        assert b"<html" not in piece.content
        assert f'id="{part}"'.encode() in piece.content


def test_pages_of_a_private_community_are_not_found_by_strangers(client, community, person, pages):
    community.visibility = "private"
    community.save()
    for name, args, _ in pages:
        client.force_login(UserFactory())
        assert client.get(url(name, community, *args)).status_code == 404, name
        client.force_login(person)
        assert client.get(url(name, community, *args), follow=True).status_code == 200, name


def test_pages_do_not_show_what_belongs_to_another_community(client, community, evaluation):
    other = CommunityFactory()
    run = RunFactory(community=community)
    own = ModelFactory(community=community)
    for name, pk in (
        ("run_detail", run.pk),
        ("model_detail", own.pk),
        ("evaluation_detail", evaluation.pk),
    ):
        assert client.get(url(name, other, pk)).status_code == 404, name
        assert client.get(url(name, community, 999_999)).status_code == 404, name


def test_lists_take_as_many_queries_for_three_rows_as_for_one(
    client, community, django_assert_num_queries, django_assert_max_num_queries, version
):
    def fill():
        evaluation = scored(EvaluationFactory(run__community=community, run__version=version))
        RunFactory(community=community, recipe="dpo", over=True, produced=evaluation.model)

    fill()
    for name in ("run_list", "model_list"):
        with django_assert_max_num_queries(30) as first:
            client.get(url(name, community))
        fill()
        fill()
        with django_assert_num_queries(len(first.captured_queries)):
            client.get(url(name, community))


# --- runs -----------------------------------------------------------------------------------------


def test_run_list_leaves_the_playgrounds_runs_out(client, community):
    run = RunFactory(community=community)
    chat = RunFactory(community=community, recipe="chat")

    shown = client.get(url("run_list", community)).content.decode()

    assert run.get_absolute_url() in shown
    assert chat.get_absolute_url() not in shown
    assert client.get(chat.get_absolute_url()).status_code == 404


def test_run_detail_polls_while_the_run_lives_and_then_stops(client, community):
    run = RunFactory(community=community, running=True, step=3, total=10)
    progress(run, 3, loss=0.5)

    part = client.get(run.get_absolute_url(), headers=HTMX)
    assert 'hx-trigger="every 2s"' in part.content.decode()
    assert "3 of 10" in text(part)
    assert "HX-Refresh" not in part

    Run.objects.filter(pk=run.pk).update(
        status="failed", error="The disk is full.", lease_until=None, finished_at=timezone.now()
    )
    part = client.get(run.get_absolute_url(), headers=HTMX)
    assert "hx-get" not in part.content.decode()
    assert "The disk is full." in text(part)
    assert part["HX-Refresh"] == "true"


def test_run_detail_shows_what_the_run_was_made_from(client, community, version, training):
    run = RunFactory(
        community=community, recipe="dpo", version=version, dataset=training, over=True
    )
    for step in (1, 2):
        progress(run, step, loss=0.7 - step / 10)

    page = client.get(run.get_absolute_url())

    shown = page.content.decode()
    assert training.digest in shown
    assert version.digest in shown
    assert run.manifest_digest in shown
    assert "<svg" in shown
    assert "Loss" in text(page)
    assert run.queued_by.name in text(page)


def test_run_detail_says_in_words_what_the_recipe_reported(client, community):
    run = RunFactory(community=community, over=True)
    Run.objects.filter(pk=run.pk).update(
        result={"peak_rss_mb": 1204, "seconds": 61.5, "model_digest": "0" * 64, "unheard_of": 1}
    )

    shown = text(client.get(run.get_absolute_url()))

    assert "Most memory used 1 204 MB" in shown
    assert "Time taken 61.500 s" in shown
    assert "rss" not in shown
    assert "nheard" not in shown


def test_run_detail_marks_a_scripted_member(client, community):
    run = RunFactory(community=community, queued_by__is_scripted=True)

    assert "scripted" in text(client.get(run.get_absolute_url()))


def test_run_detail_shows_the_log_to_stewards_only(client, community, steward, person):
    run = RunFactory(community=community, over=True)
    path = registry.artifact_path(run.storage_key)
    path.mkdir(parents=True)
    (path / "log.txt").write_text("loading <weights>\n")

    client.force_login(person)
    assert b"loading" not in client.get(run.get_absolute_url()).content
    client.force_login(steward)
    assert b"loading &lt;weights&gt;" in client.get(run.get_absolute_url()).content


def test_run_create_queues_a_training(as_steward, community, version, training, base):
    address = url("run_create", community) + "?recipe=dpo"
    page = as_steward.get(address)
    form = page.context["form"]
    data = {name: form[name].value() for name in form.fields}
    data |= {"version": version.pk, "dataset": training.pk, "model": base.pk, "option_steps": 5}

    response = as_steward.post(address, data)

    run = Run.objects.get()
    assert response.status_code == 302
    assert response.url == run.get_absolute_url()
    assert (run.recipe, run.options["steps"], run.dataset) == ("dpo", 5, training)


def test_run_create_queues_a_generation_and_an_evaluation(
    as_steward, community, trained, heldout, base
):
    PromptFactory(community=community)
    for recipe, more in (
        ("generate", {"model": base.pk}),
        ("evaluate", {"model": trained.pk, "heldout": heldout.pk}),
    ):
        address = url("run_create", community) + f"?recipe={recipe}"
        form = as_steward.get(address).context["form"]
        data = {name: form[name].value() for name in form.fields} | more

        assert as_steward.post(address, data).status_code == 302, recipe

    assert sorted(Run.objects.values_list("recipe", flat=True)) == ["evaluate", "generate"]


def test_run_create_says_why_a_run_is_refused(as_steward, community, version, base):
    few = frozen_dataset(version, pairs=3)
    address = url("run_create", community) + "?recipe=dpo"
    form = as_steward.get(address).context["form"]
    data = {name: form[name].value() for name in form.fields}
    data |= {"version": version.pk, "dataset": few.pk, "model": base.pk}

    response = as_steward.post(address, data)

    assert response.status_code == 422
    assert "has 3 labelled pairs; a run needs at least 8" in text(response)
    assert not Run.objects.exists()


def test_run_create_does_not_offer_what_belongs_to_others(as_steward, community, version):
    theirs = frozen_dataset(make_version(CommunityFactory()))
    address = url("run_create", community) + "?recipe=dpo"

    response = as_steward.post(address, {"dataset": theirs.pk})

    assert response.status_code == 422
    assert response.context["form"].errors["dataset"]


def test_run_create_is_for_stewards(client, community, person):
    address = url("run_create", community)
    assert client.get(address).url.startswith(reverse("account_login"))
    client.force_login(person)
    assert client.get(address).status_code == 403
    assert client.post(address + "?recipe=generate", {"seed": 0}).status_code == 403


def test_run_create_knows_no_other_recipe(as_steward, community):
    assert as_steward.get(url("run_create", community) + "?recipe=chat").status_code == 404


def test_run_cancel_cancels_and_refuses(client, community, steward, person):
    run = RunFactory(community=community)
    address = url("run_cancel", community, run.pk)

    client.force_login(person)
    assert "Only a steward" in text(client.post(address, follow=True))
    client.force_login(steward)
    assert client.get(address).status_code == 405
    assert "The run is cancelled." in text(client.post(address, follow=True))

    run.refresh_from_db()
    assert run.status == "cancelled"


# --- models, evaluations, releases ----------------------------------------------------------------


def test_model_detail_leads_back_to_the_poll(client, community, trained, base, version, training):
    shown = client.get(url("model_detail", community, trained.pk)).content.decode()

    for address in (
        url("model_detail", community, base.pk),
        version.get_absolute_url(),
        version.poll.get_absolute_url(),
        training.get_absolute_url(),
    ):
        assert f'href="{address}"' in shown
    assert trained.digest in shown


def test_evaluation_detail_shows_figures_with_intervals_and_methods(client, community, evaluation):
    page = client.get(evaluation.get_absolute_url())

    assert page.content.count(b"<svg") >= 3
    assert "Prefers what members chose, on held-out pairs" in text(page)
    assert "Do no harm" in text(page)
    assert "Wilson 95 % interval" in text(page)
    assert "The gate is met" in text(page)


def test_evaluation_detail_writes_shares_in_percent_and_differences_in_points(client, evaluation):
    score = evaluation.scores.get(metric="heldout_accuracy", side="after")
    gap = evaluation.scores.get(metric="heldout_accuracy", side="difference")

    shown = client.get(evaluation.get_absolute_url()).content.decode()

    assert percent_to(score.low, score.high) in shown
    assert points_to(gap.low, gap.high) in shown
    assert f"{score.low:.3f}" not in shown


def test_release_create_says_what_the_rule_means(as_steward, community, evaluation):
    page = text(as_steward.get(url("release_create", community, evaluation.pk)))

    assert "Passes when more than half" in page


def test_evaluation_detail_survives_a_metric_it_does_not_know(client, community, evaluation):
    evaluation.scores.filter(metric="adherence").update(metric="surprise")

    assert client.get(evaluation.get_absolute_url()).status_code == 200


def test_evaluation_detail_shows_samples_blind_and_veils_harmful_ones(
    client, community, evaluation
):
    SampleFactory(evaluation=evaluation, after_first=True)
    harmful = SampleFactory(
        evaluation=evaluation, prompt="How to steal?", harmful=True, after_first=False
    )

    shown = client.get(evaluation.get_absolute_url()).content.decode()

    assert shown.index("A place with books.") < shown.index("A place.")
    veil = shown[shown.index('class="veil"') :]
    assert harmful.prompt in veil
    assert shown.count(harmful.prompt) == 1
    assert "B is the trained model" in veil


def test_release_create_says_the_rule_again_before_a_poll_opens(as_steward, community, evaluation):
    address = url("release_create", community, evaluation.pk)
    form = as_steward.get(address).context["form"]
    data = {name: form[name].value() for name in form.fields}

    shown = as_steward.post(address, {**data, "threshold": ">=2/3", "show": "1"})

    assert "at least two thirds" in shown.content.decode()
    assert not Poll.objects.filter(kind="release").exists()


def test_release_create_opens_a_poll(as_steward, community, evaluation):
    address = url("release_create", community, evaluation.pk)
    form = as_steward.get(address).context["form"]
    data = {name: form[name].value() for name in form.fields}

    response = as_steward.post(address, data)

    poll = Poll.objects.get(kind="release")
    assert response.url == poll.get_absolute_url()
    assert poll.closes_at > timezone.now() + timedelta(days=6)


def test_release_create_warns_when_the_gate_is_not_met(as_steward, community, evaluation):
    evaluation.scores.filter(side="difference").update(low=-0.1)

    page = as_steward.get(url("release_create", community, evaluation.pk))

    assert "would not be released even if the poll passed" in text(page)


def test_release_create_refuses_a_second_poll(as_steward, community, evaluation):
    ReleaseFactory(evaluation=evaluation)
    address = url("release_create", community, evaluation.pk)
    form = as_steward.get(address).context["form"]
    data = {name: form[name].value() for name in form.fields}

    response = as_steward.post(address, data)

    assert response.status_code == 422
    assert "before the community, or released, already" in text(response)


def test_release_create_is_for_stewards(client, community, evaluation, person):
    client.force_login(person)

    assert client.get(url("release_create", community, evaluation.pk)).status_code == 403


# --- the playground -------------------------------------------------------------------------------


@pytest.fixture
def release(community):
    return ReleaseFactory(evaluation__run__community=community, released=True)


def test_playground_takes_a_question_and_waits_for_the_answer(client, community, person, release):
    client.force_login(person)
    address = url("playground", community)

    response = client.post(address, {"question": "What is a library?"})

    assert response.status_code == 302
    part = client.get(address, headers=HTMX)
    assert 'hx-trigger="every 2s"' in part.content.decode()
    turn = Turn.objects.get()
    Turn.objects.update(answer="A place with <books>.")
    Run.objects.filter(pk=turn.run_id).update(status="succeeded", finished_at=timezone.now())
    part = client.get(address, headers=HTMX)
    assert "hx-get" not in part.content.decode()
    assert "A place with &lt;books&gt;." in part.content.decode()
    assert "Machine-written by" in text(part)


def test_playground_shows_each_person_their_own_questions_only(
    client, community, person, steward, release
):
    TurnFactory(release=release, user=person, question="Something private")

    client.force_login(steward)
    assert "Something private" not in text(client.get(url("playground", community)))
    client.force_login(person)
    assert "Something private" in text(client.get(url("playground", community)))


def test_playground_says_how_small_the_model_is(client, community, person, release):
    client.force_login(person)

    assert "very small model" in text(client.get(url("playground", community)))


def test_playground_refuses_too_many_questions(client, community, person, release, settings):
    settings.PLAYGROUND_QUESTIONS_AN_HOUR = 1
    TurnFactory(release=release, user=person)
    client.force_login(person)

    response = client.post(url("playground", community), {"question": "And now?"})

    assert response.status_code == 422
    assert "1 questions within the hour" in text(response)


def test_playground_does_not_talk_to_strangers(client, community, release):
    client.force_login(UserFactory())

    assert client.post(url("playground", community), {"question": "Hm?"}).status_code == 403
    assert not Turn.objects.exists()


def test_playground_without_a_released_model_says_so(client, community, person):
    client.force_login(member(community))

    assert "No model is released yet" in text(client.get(url("playground", community)))


# --- queueing again, and what is hidden -----------------------------------------------------------


def test_run_detail_offers_stewards_to_queue_a_failed_run_again(
    client, as_steward, community, version, training, base, steward, person
):
    run = dispatch.queue_training(
        community_id=community.pk, actor=steward, version_id=version.pk, dataset_id=training.pk
    )
    dispatch.cancel_run(run_id=run.pk, actor=steward)
    address = url("run_again", community, run.pk)
    assert address in as_steward.get(run.get_absolute_url()).content.decode()

    response = as_steward.post(address)

    again = Run.objects.exclude(pk=run.pk).get()
    assert response.url == again.get_absolute_url()
    assert address not in as_steward.get(again.get_absolute_url()).content.decode()
    client.force_login(person)
    assert address not in client.get(run.get_absolute_url()).content.decode()


def test_run_again_says_why_not(as_steward, community):
    run = RunFactory(community=community)

    response = as_steward.post(url("run_again", community, run.pk), follow=True)

    assert "Only a run that failed or was cancelled" in text(response)


def test_run_detail_counts_only_runs_of_the_same_queue_before_it(client, community):
    RunFactory(community=community, recipe="chat")
    run = RunFactory(community=community)

    assert client.get(run.get_absolute_url()).context["waiting_before"] == 0


@pytest.mark.parametrize("part", ["prompt", "before", "after"])
def test_evaluation_detail_shows_what_is_hidden_to_moderators_alone(
    client, community, evaluation, person, part
):
    sample = SampleFactory(evaluation=evaluation, prompt="Asked so", before="Said so", after="No.")
    words = getattr(sample, part)
    if part == "prompt":
        PromptFactory(community=community, text=words, hidden=True)
    else:
        ResponseFactory(prompt__community=community, text=words, hidden=True)
    address = evaluation.get_absolute_url()

    visitor = text(client.get(address))
    client.force_login(person)
    member_page = text(client.get(address))
    client.force_login(member(community, "moderator"))
    moderator = client.get(address).content.decode()

    for page in (visitor, member_page):
        assert "Hidden by a moderator." in page
        assert "Asked so" not in page
        assert "Said so" not in page
    assert moderator.index('<details class="veil"') < moderator.index("Asked so")
    assert "hidden by a moderator" in moderator


def test_evaluation_detail_asks_the_same_queries_for_many_samples(client, evaluation):
    counts = []
    for _ in range(2):
        SampleFactory(evaluation=evaluation)
        with CaptureQueriesContext(connection) as queries:
            client.get(evaluation.get_absolute_url())
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_playground_covers_an_answer_that_is_hidden(client, community, evaluation, person):
    release = ReleaseFactory(evaluation=evaluation, released=True)
    TurnFactory(release=release, user=person, answer="Something foul")
    ResponseFactory(prompt__community=community, text="Something foul", hidden=True)
    client.force_login(person)

    page = text(client.get(url("playground", community)))

    assert "Something foul" not in page
    assert "Hidden by a moderator." in page


def test_evaluation_detail_offers_to_put_a_model_again_that_was_not_released(
    as_steward, community, evaluation
):
    release = ReleaseFactory(evaluation=evaluation, status="rejected")
    address = url("release_create", community, evaluation.pk)

    assert address in as_steward.get(evaluation.get_absolute_url()).content.decode()
    ReleaseFactory(evaluation=evaluation)
    assert address not in as_steward.get(evaluation.get_absolute_url()).content.decode()
    assert release.model.release != release


def test_model_list_takes_as_many_queries_for_models_with_many_releases(
    client, community, evaluation
):
    ReleaseFactory(evaluation=evaluation, status="rejected")
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            client.get(url("model_list", community))
        counts.append(len(queries))
        ReleaseFactory(evaluation=evaluation, status="rejected")

    assert counts[0] == counts[1]


# --- bounds ---------------------------------------------------------------------------------------


def test_model_detail_names_the_whole_line_with_as_many_queries(client, community, base):
    line, counts = [base], []
    for _ in range(3):
        model = ModelFactory(community=community)
        model.parents.set([line[0]])
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url("model_detail", community, model.pk))
        assert response.context["ancestors"] == line
        counts.append(len(queries))
        line.insert(0, model)

    assert len(set(counts)) == 1


def test_run_create_offers_the_latest_and_no_more(as_steward, community, trained, monkeypatch):
    monkeypatch.setattr(forms, "MOST_CHOICES", 2)
    ModelFactory.create_batch(3, community=community)

    page = as_steward.get(f"{url('run_create', community)}?recipe=evaluate")

    assert page.context["form"].fields["model"].queryset.count() == 2


def test_run_detail_shows_the_last_attempts(client, community, monkeypatch):
    monkeypatch.setattr(views, "MANY", 2)
    run = RunFactory(community=community, running=True)
    for number in (2, 3):
        run.attempts.create(number=number, worker="w", started_at=timezone.now())

    attempts = client.get(run.get_absolute_url()).context["attempts"]

    assert [attempt.number for attempt in attempts] == [3, 2]
