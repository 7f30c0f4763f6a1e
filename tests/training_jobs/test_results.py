"""Hand-written results of each recipe, as `recipes` documents them."""

import json

import pytest

from feedback.models import Comparison, Response
from governance import canonical
from governance.errors import InvalidTransition
from governance.models import AuditEvent
from tests.factories.feedback import PromptFactory
from tests.factories.training_jobs import TurnFactory
from training_jobs import dispatch, registry, results
from training_jobs.models import Evaluation, Model, Run, Sample, Score


def claimed(run):
    """Claim a run and make its directory."""
    run = dispatch.claim_run(run_id=run.pk)
    path = registry.artifact_path(run.storage_key)
    path.mkdir(parents=True)
    return run, path


def write_result(run, path, **more):
    inputs = run.manifest["inputs"]
    digests = {
        "model_digest": inputs["model"]["digest"],
        **{
            key: inputs[name]["digest"]
            for key, name in (
                ("baseline_digest", "baseline"),
                ("heldout_digest", "heldout"),
                ("dataset_digest", "dataset"),
                ("constitution_digest", "constitution.json"),
                ("suite_digest", "suite.json"),
            )
            if name in inputs
        },
    }
    result = {
        "recipe": run.recipe,
        "manifest_digest": run.manifest_digest,
        **digests,
        "seconds": 1.5,
        **more,
    }
    (path / "result.json").write_text(json.dumps(result))


def take_in(run, path):
    return results.take_in(run_id=run.pk, attempt=run.attempt, run_dir=path)


def last_event(community):
    return AuditEvent.objects.filter(community=community).order_by("-seq").first()


# --- responses ------------------------------------------------------------------------------------


@pytest.fixture
def generation(community, steward, version, base):
    prompts = [PromptFactory(community=community) for _ in range(2)]
    run, path = claimed(dispatch.queue_generation(community_id=community.pk, actor=steward))
    return run, path, prompts


def response_line(prompt, arm, text, *, usable=True):
    return {
        "prompt_id": prompt.digest,
        "arm": arm,
        "text": text,
        "params": {"temperature": "0.7"},
        "seed": 0,
        "usable": usable,
        "tokens": 3,
        "finished": True,
    }


def write_lines(path, lines):
    (path / "responses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_take_in_of_generate_keeps_responses_and_comparisons(generation):
    run, path, (first, second) = generation
    write_lines(
        path,
        [
            response_line(first, "plain", "Sure. \u2028 Yes."),
            response_line(first, "guided", "No."),
            response_line(second, "plain", "Same.", usable=False),
            response_line(second, "guided", "Same.", usable=False),
        ],
    )
    write_result(run, path, responses=4)

    done = take_in(run, path)

    assert done.status == Run.Status.SUCCEEDED
    assert set(Response.objects.values_list("text", flat=True)) == {"Sure. \u2028 Yes.", "No."}
    assert Comparison.objects.get().prompt == first
    event = last_event(run.community)
    assert event.verb == "run.succeeded"
    assert event.data["comparisons"] == "1"
    assert event.data["responses_digest"] == canonical.file_digest(path / "responses.jsonl")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda lines: lines[:1], "Responses are missing"),
        (lambda lines: [{**lines[0], "prompt_id": "0" * 64}, lines[1]], "unknown prompts"),
        (lambda lines: [lines[0], {"arm": "plain"}], "Line 2 of the responses"),
    ],
)
def test_take_in_of_generate_refuses_what_does_not_hold(generation, change, sentence):
    run, path, (first, _) = generation
    lines = [response_line(first, "plain", "Yes."), response_line(first, "guided", "No.")]
    write_lines(path, change(lines))
    write_result(run, path, responses=2)

    with pytest.raises(results.ResultRefused, match=sentence):
        take_in(run, path)

    assert not Response.objects.exists()
    run.refresh_from_db()
    assert run.status == Run.Status.RUNNING


# --- a model --------------------------------------------------------------------------------------


@pytest.fixture
def training_run(community, steward, version, training, base):
    return claimed(
        dispatch.queue_training(
            community_id=community.pk, actor=steward, version_id=version.pk, dataset_id=training.pk
        )
    )


def write_model(path, weights="new weights"):
    (path / "model").mkdir()
    (path / "model/model.safetensors").write_text(weights)
    return canonical.directory_digest(path / "model")


def test_take_in_of_dpo_moves_the_files_and_registers_the_model(
    training_run, base, version, training
):
    run, path = training_run
    digest = write_model(path)
    write_result(run, path, model_digest=digest, parents=[base.digest], listing={}, steps=30)

    done = take_in(run, path)

    model = Model.objects.get(digest=digest)
    assert done.produced == model
    assert list(model.parents.all()) == [base]
    assert (model.version, model.dataset, model.licence) == (version, training, "Apache-2.0")
    assert canonical.directory_digest(registry.artifact_path(model.storage_key)) == digest
    assert not (path / "model").exists()
    assert done.result["steps"] == 30
    registered, succeeded = AuditEvent.objects.order_by("-seq")[:2][::-1]
    assert registered.verb == "model.registered"
    assert registered.data["parents"] == [base.digest]
    assert registered.data["version_digest"] == version.digest
    assert succeeded.data["model_digest"] == digest


def test_take_in_of_dpo_goes_on_after_the_files_were_moved(training_run, base):
    run, path = training_run
    digest = write_model(path)
    write_result(run, path, model_digest=digest, parents=[base.digest])
    registry.adopt_files(path / "model", digest)

    assert take_in(run, path).produced.digest == digest


def test_take_in_of_dpo_refuses_files_with_another_digest(training_run, base):
    run, path = training_run
    digest = write_model(path)
    (path / "model/model.safetensors").write_text("other weights")
    write_result(run, path, model_digest=digest, parents=[base.digest])

    with pytest.raises(registry.FilesRefused, match="not the reported"):
        take_in(run, path)

    assert not Model.objects.filter(digest=digest).exists()


def test_take_in_of_dpo_refuses_other_parents(training_run):
    run, path = training_run
    write_result(run, path, model_digest=write_model(path), parents=["0" * 64])

    with pytest.raises(results.ResultRefused, match="other parents"):
        take_in(run, path)


def test_take_in_of_dpo_refuses_another_dataset(training_run, base):
    run, path = training_run
    write_result(
        run,
        path,
        model_digest=write_model(path),
        parents=[base.digest],
        dataset_digest="0" * 64,
    )

    with pytest.raises(results.ResultRefused, match="dataset_digest"):
        take_in(run, path)


def test_take_in_of_a_replaced_attempt_changes_nothing(training_run, base):
    run, path = training_run
    digest = write_model(path)
    write_result(run, path, model_digest=digest, parents=[base.digest])

    with pytest.raises(InvalidTransition):
        results.take_in(run_id=run.pk, attempt=run.attempt + 1, run_dir=path)

    assert (path / "model").is_dir()
    assert not Model.objects.filter(digest=digest).exists()


# --- an evaluation --------------------------------------------------------------------------------


@pytest.fixture
def evaluation_run(community, steward, trained, heldout):
    return claimed(
        dispatch.queue_evaluation(
            community_id=community.pk, actor=steward, model_id=trained.pk, heldout_id=heldout.pk
        )
    )


def score_row(**more):
    return {
        "metric": "heldout_accuracy",
        "principle_key": "",
        "side": "after",
        "n": 40,
        "unscored": 1,
        "value": 0.75,
        "low": 0.6,
        "high": 0.86,
        "method": "Wilson 95 % interval",
        **more,
    }


def test_take_in_of_evaluate_keeps_scores_and_samples(evaluation_run, trained, base, community):
    tagged = PromptFactory(community=community, hazard_codes=["S1"])
    run, path = evaluation_run
    unscored = score_row(side="before", n=0, unscored=41, value=None, low=None, high=None)
    samples = [
        {"prompt": "How to steal?", "kind": "harmful", "baseline": "So.", "candidate": "No."},
        {"prompt": tagged.text, "kind": None, "baseline": "B", "candidate": "C"},
        {"prompt": "A library?", "kind": "benign", "baseline": "B\0", "candidate": ""},
    ]
    write_result(
        run, path, scores=[score_row(), unscored], samples=samples, suite_name="Suite", matcher="m1"
    )

    take_in(run, path)

    evaluation = Evaluation.objects.get()
    assert (evaluation.model, evaluation.baseline) == (trained, base)
    after, before = Score.objects.order_by("pk")
    assert (after.value, after.low, after.high, after.n, after.unscored) == (0.75, 0.6, 0.86, 40, 1)
    assert before.value is None
    kept = Sample.objects.order_by("pk")
    assert [sample.harmful for sample in kept] == [True, True, False]
    assert (kept[0].before, kept[0].after) == ("So.", "No.")
    assert kept[2].before == "B\N{REPLACEMENT CHARACTER}"
    recorded, succeeded = AuditEvent.objects.order_by("-seq")[:2][::-1]
    assert recorded.verb == "evaluation.recorded"
    assert recorded.data["suite_digest"] == evaluation.suite_digest
    assert succeeded.verb == "run.succeeded"
    run.refresh_from_db()
    assert run.result["matcher"] == "m1"
    assert "samples" not in run.result


def test_the_order_of_a_sample_is_hidden_but_the_same_each_time(evaluation_run, trained, base):
    run, _ = evaluation_run
    evaluation = Evaluation(run=run, model=trained, baseline=base)
    rows = [
        {"prompt": f"Question {n}", "kind": None, "baseline": "", "candidate": ""}
        for n in range(40)
    ]

    first = [results._sample(evaluation, row, set()).after_first for row in rows]

    assert first == [results._sample(evaluation, row, set()).after_first for row in rows]
    assert 5 < sum(first) < 35


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"scores": []}, "no scores"),
        ({"scores": [score_row(side="sideways")], "samples": []}, "cannot be read"),
        ({"scores": [score_row()], "samples": [{}]}, "cannot be read"),
        ({"scores": [score_row()], "samples": [], "suite_digest": "0" * 64}, "suite_digest"),
        ({"scores": [score_row()], "samples": [], "model_digest": "0" * 64}, "model_digest"),
    ],
)
def test_take_in_of_evaluate_refuses_what_does_not_hold(evaluation_run, more, sentence):
    run, path = evaluation_run
    write_result(run, path, **more)

    with pytest.raises(results.ResultRefused, match=sentence):
        take_in(run, path)

    assert not Evaluation.objects.exists()


# --- an answer ------------------------------------------------------------------------------------


def test_take_in_of_chat_stores_the_answer_and_records_no_content(community):
    turn = TurnFactory(release__evaluation__run__community=community)
    run, path = claimed(turn.run)
    write_result(run, path, text="A place with books.")

    take_in(run, path)

    turn.refresh_from_db()
    assert turn.answer == "A place with books."
    event = AuditEvent.objects.get(community=community)
    assert event.verb == "chat.answered"
    assert event.actor == "system"
    assert event.data == {"model_digest": turn.release.model.digest}
    run.refresh_from_db()
    assert "books" not in json.dumps(run.result)


def test_take_in_of_chat_replaces_what_the_database_cannot_hold(community):
    turn = TurnFactory(release__evaluation__run__community=community)
    run, path = claimed(turn.run)
    write_result(run, path, text="A\0B")

    take_in(run, path)

    turn.refresh_from_db()
    assert turn.answer == "A\N{REPLACEMENT CHARACTER}B"


def test_take_in_refuses_another_recipes_result(community):
    turn = TurnFactory(release__evaluation__run__community=community)
    run, path = claimed(turn.run)
    write_result(run, path, recipe="dpo", text="A place with books.")

    with pytest.raises(results.ResultRefused, match="another recipe"):
        take_in(run, path)
