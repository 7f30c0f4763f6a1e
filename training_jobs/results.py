"""What becomes of a recipe's result: responses, a model, an evaluation, an answer.

Nothing that a recipe reports is believed without a look: digests are computed again, names are
compared with the manifest, and a result that does not hold fails the run as a whole.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from feedback import prompting, review
from feedback.models import Prompt
from governance import audit, canonical
from governance.errors import RuleViolation
from governance.querysets import Viewer
from training_jobs import children, dispatch, registry
from training_jobs.models import Evaluation, Model, Run, Sample, Score, Turn
from training_jobs.verbs import Verb

RESPONSES: Final = "responses.jsonl"
MOST_SAMPLES: Final = 200
# What has rows of its own, or is only of use while the run lasts, is not kept in the run's row.
_NOT_KEPT: Final = {"scores", "samples", "listing", "text"}
_LEFTOVERS: Final = ("checkpoint.pt", "reference.jsonl", "before.json", "after.json")


class ResultRefused(RuleViolation):
    """A recipe's result is not what its manifest asked for."""


@transaction.atomic
def take_in(*, run_id: int, attempt: int, run_dir: Path) -> Run:
    """Take in the result of an attempt: what was made, and the end of the run, or nothing.

    Raises:
        ResultRefused: the result does not hold.
        FilesRefused: the model's files are not those that were reported.
        InvalidTransition: the attempt was replaced, or the run is over.
    """
    run = dispatch.hold(run_id=run_id, attempt=attempt)
    result = children.result(run_dir)
    if result is None:
        raise ResultRefused("The recipe left no result that can be read.")
    _require(result.get("recipe") == run.recipe, "The result is another recipe's.")
    _require(
        result.get("manifest_digest") == run.manifest_digest,
        "The result belongs to another manifest.",
    )
    _same_digest(result, "model_digest", run, "model", unless=Run.Recipe.DPO)
    produced: Model | None = None
    data = {"result_digest": canonical.file_digest(run_dir / "result.json")}
    match run.recipe:
        case Run.Recipe.GENERATE:
            data |= _take_responses(run, result, run_dir)
        case Run.Recipe.DPO:
            produced = _take_model(run, result, run_dir)
            data |= {"model_digest": produced.digest}
        case Run.Recipe.EVALUATE:
            _take_evaluation(run, result)
        case Run.Recipe.CHAT:
            _take_answer(run, result)
    return dispatch.finish_run(
        run_id=run_id,
        attempt=attempt,
        status=Run.Status.SUCCEEDED,
        result={key: value for key, value in result.items() if key not in _NOT_KEPT},
        produced=produced,
        data=data,
    )


def tidy(run: Run, run_dir: Path) -> None:
    """Remove what nobody needs once a run is over; a conversation's files go altogether."""
    if run.recipe == Run.Recipe.CHAT:
        shutil.rmtree(run_dir, ignore_errors=True)
        return
    for name in _LEFTOVERS:
        (run_dir / name).unlink(missing_ok=True)


def _require(holds: bool, sentence: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ResultRefused(sentence)


def _same_digest(
    result: Mapping[str, Any], key: str, run: Run, name: str, *, unless: str = ""
) -> None:
    if run.recipe == unless:
        return
    promised = run.manifest["inputs"][name]["digest"]
    _require(result.get(key) == promised, f"The result's {key} is not that of its input {name}.")


def _storable(text: str) -> str:
    """Return a model's words as the database can hold them: it has no NUL, and models may."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


# --- responses ------------------------------------------------------------------------------------


def _take_responses(run: Run, result: Mapping[str, Any], run_dir: Path) -> dict[str, str]:
    path = run_dir / RESPONSES
    rows = list(_response_rows(path))
    _require(len(rows) == result.get("responses"), "Responses are missing from the result.")
    # Prompts are named by digest in the run's files, so that two installations agree about them.
    keys = dict(
        Prompt.objects.filter(
            community_id=run.community_id, digest__in={row["prompt"] for row in rows}
        ).values_list("digest", "pk")
    )
    _require(all(row["prompt"] in keys for row in rows), "There are responses to unknown prompts.")
    count = prompting.record_responses(
        community_id=run.community_id,
        model_name=run.model.name,
        model_digest=run.model.digest,
        # Two answers that do not differ, or an empty one, are nothing that people could compare.
        rows=[{**row, "prompt_id": keys[row["prompt"]]} for row in rows if row["usable"]],
        seed=run.seed,
    )
    return {"comparisons": str(count), "responses_digest": canonical.file_digest(path)}


def _response_rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError:
        raise ResultRefused("The recipe left no responses.") from None
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            row = json.loads(line)
            yield {
                "prompt": str(row["prompt_id"]),
                "arm": str(row["arm"]),
                "text": str(row["text"]),
                "params": dict(row["params"]),
                "seed": int(row["seed"]),
                "usable": bool(row["usable"]),
            }
        except (ValueError, KeyError, TypeError):
            raise ResultRefused(f"Line {number} of the responses cannot be read.") from None


# --- a model --------------------------------------------------------------------------------------


def _take_model(run: Run, result: Mapping[str, Any], run_dir: Path) -> Model:
    assert run.version is not None
    _same_digest(result, "dataset_digest", run, "dataset")
    _require(
        result.get("parents") == [run.model.digest], "The result names other parents than its run."
    )
    promised = result.get("model_digest")
    if not isinstance(promised, str):
        raise ResultRefused("The result names no model.")
    listing = registry.adopt_files(run_dir / "model", promised)
    model, created = registry.register_model(
        community=run.community,
        name=f"{run.model.name}, trained",
        revision=f"version {run.version.number}, run {run.pk}",
        listing=listing,
        licence=run.model.licence,
        parents=[run.model],
        version=run.version,
        dataset=run.dataset,
    )
    if created:
        audit.record(
            community_id=run.community_id,
            actor=None,
            verb=Verb.MODEL_REGISTERED,
            subject=model,
            data={
                "digest": model.digest,
                "parents": [run.model.digest],
                "version_digest": run.version.digest,
                "dataset_digest": result["dataset_digest"],
                "manifest_digest": run.manifest_digest,
            },
        )
    return model


# --- an evaluation --------------------------------------------------------------------------------


def _take_evaluation(run: Run, result: Mapping[str, Any]) -> None:
    assert run.baseline is not None
    for key, name in (
        ("baseline_digest", "baseline"),
        ("heldout_digest", "heldout"),
        ("constitution_digest", "constitution.json"),
        ("suite_digest", "suite.json"),
    ):
        _same_digest(result, key, run, name)
    scores = result.get("scores")
    if not isinstance(scores, list) or not scores:
        raise ResultRefused("The evaluation reports no scores.")
    evaluation = Evaluation.objects.create(
        run=run,
        model=run.model,
        baseline=run.baseline,
        suite_name=str(result.get("suite_name") or ""),
        suite_digest=str(result["suite_digest"]),
    )
    try:
        Score.objects.bulk_create(_score(evaluation, row) for row in scores)
        tagged = _hazardous(run, [str(row["prompt"]) for row in result["samples"]])
        Sample.objects.bulk_create(_sample(evaluation, row, tagged) for row in result["samples"])
    except (KeyError, TypeError, ValueError) as error:
        raise ResultRefused("The evaluation's figures cannot be read.") from error
    audit.record(
        community_id=run.community_id,
        actor=None,
        verb=Verb.EVALUATION_RECORDED,
        subject=evaluation,
        data={
            "model_digest": run.model.digest,
            "baseline_digest": run.baseline.digest,
            "heldout_digest": result["heldout_digest"],
            "suite_digest": result["suite_digest"],
            "scores_digest": canonical.digest(score_record(scores)),
        },
    )


def score_record(scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return scores as they are hashed and exported: numbers as their shortest decimal text."""
    return [
        {
            key: repr(value) if isinstance(value, float) else value
            for key, value in sorted(row.items())
        }
        for row in scores
    ]


def _score(evaluation: Evaluation, row: Mapping[str, Any]) -> Score:
    return Score(
        evaluation=evaluation,
        metric=str(row["metric"]),
        principle_key=str(row["principle_key"]),
        side=Score.Side(row["side"]),
        n=int(row["n"]),
        unscored=int(row["unscored"]),
        value=_number(row["value"]),
        low=_number(row["low"]),
        high=_number(row["high"]),
        method=str(row["method"])[:300],
    )


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _hazardous(run: Run, texts: list[str]) -> set[str]:
    """Return those of the texts that are prompts of the community with hazard codes."""
    prompts = Prompt.objects.filter(community_id=run.community_id, text__in=texts)
    return set(prompts.exclude(hazard_codes=[]).values_list("text", flat=True))


def _sample(evaluation: Evaluation, row: Mapping[str, Any], tagged: set[str]) -> Sample:
    prompt = str(row["prompt"])
    # The order is hidden from the reader, and yet the same whenever it is computed again.
    blind = canonical.digest([evaluation.model.digest, evaluation.baseline.digest, prompt])
    return Sample(
        evaluation=evaluation,
        prompt=prompt,
        before=_storable(str(row["baseline"])),
        after=_storable(str(row["candidate"])),
        harmful=row["kind"] == "harmful" or prompt in tagged,
        after_first=int(blind[:8], 16) % 2 == 0,
    )


def shown_samples(evaluation: Evaluation, viewer: Viewer) -> list[Sample]:
    """Return the samples of an evaluation as `viewer` may see them, hidden texts covered."""
    return review.as_shown(
        evaluation.samples.all()[:MOST_SAMPLES],
        *("prompt", "before", "after"),
        community_id=evaluation.run.community_id,
        viewer=viewer,
    )


# --- an answer ------------------------------------------------------------------------------------


def _take_answer(run: Run, result: Mapping[str, Any]) -> None:
    text = result.get("text")
    if not isinstance(text, str) or not text:
        raise ResultRefused("The model had nothing to say.")
    turn = Turn.objects.select_for_update().get(run=run)
    turn.answer = _storable(text)
    turn.save(update_fields=["answer"])
    audit.record(
        community_id=run.community_id,
        actor=None,
        verb=Verb.CHAT_ANSWERED,
        subject=turn,
        data={"model_digest": run.model.digest},
    )
