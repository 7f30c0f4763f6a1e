"""Runs from being asked for to being over. The queued row is the outbox, a message only a nudge.

A run is claimed by one worker at a time, under a lease that its launcher renews. Each claim has a
number, the attempt; a launcher whose attempt was replaced can neither renew nor report.
"""

import functools
import importlib.metadata
import logging
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from feedback import prompting
from feedback.models import Dataset, Prompt
from governance import audit, canonical
from governance.errors import BadInput, InvalidTransition
from governance.models import User
from governance.transitions import move
from principles import compilation, ratification
from principles.models import Version
from training_jobs import options as recipe_options
from training_jobs import permissions, registry
from training_jobs.manifest import Input, Manifest
from training_jobs.models import Attempt, Model, Run
from training_jobs.verbs import Verb

log = logging.getLogger(__name__)

EXECUTE_RUN: Final = "training_jobs.execute_run"
COMPUTE_QUEUE: Final = "compute"
CHAT_QUEUE: Final = "chat"
SUITE: Final = Path(__file__).parent / "suites" / "refusal.json"
SWEEP_AT_MOST: Final = 100
LONGEST_ERROR: Final = 2000

_PACKAGES: Final = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
    "gguf",
)
_INPUT_SOURCES: Final = {
    "model": "models/{}",
    "baseline": "models/{}",
    "dataset": "datasets/{}",
    "heldout": "datasets/{}",
}
_ONLY_STEWARDS_QUEUE: Final = "Only a steward may queue a run."
_REPLACED: Final = "This attempt at the run was replaced, so it can no longer report."

Options = Mapping[str, int | str | bool]
Inputs = Mapping[str, Input]


# --- queueing -------------------------------------------------------------------------------------


@transaction.atomic
def queue_generation(
    *,
    community_id: int,
    actor: User,
    model_id: int | None = None,
    seed: int = 0,
    options: Options | None = None,
) -> Run:
    """Queue the making of two responses to each of the community's prompts.

    Raises:
        NotPermitted: `actor` is no steward.
        BadInput: nothing is in force, there are no prompts, or something is missing on this
            machine; the sentence names it.
    """
    permissions.require(permissions.can_queue_runs(actor, community_id), _ONLY_STEWARDS_QUEUE)
    version = _version_in_force(community_id)
    model = _model(community_id, model_id)
    prompts = list(
        Prompt.objects.filter(community_id=community_id, hidden=False)
        .order_by("digest")
        .values_list("digest", "text")
    )
    if not prompts:
        raise BadInput("There are no prompts to answer yet.")
    return _queue(
        recipe=Run.Recipe.GENERATE,
        community_id=community_id,
        actor=actor,
        seed=seed,
        options=options,
        inputs={
            "model": _model_input(model),
            "constitution.json": _constitution_input(version),
            "prompts.jsonl": keep_input(
                f"{len(prompts)} prompts",
                b"".join(
                    canonical.canonical_json({"id": digest, "text": text}) + b"\n"
                    for digest, text in prompts
                ),
            ),
        },
        model=model,
        version=version,
    )


@transaction.atomic
def queue_training(
    *,
    community_id: int,
    actor: User,
    version_id: int,
    dataset_id: int,
    model_id: int | None = None,
    seed: int = 0,
    options: Options | None = None,
) -> Run:
    """Queue the training of a model (by default from the base model) on a frozen dataset.

    Raises:
        NotPermitted: `actor` is no steward.
        BadInput: the version, dataset or model does not fit, or something is missing on this
            machine; the sentence names it.
    """
    permissions.require(permissions.can_queue_runs(actor, community_id), _ONLY_STEWARDS_QUEUE)
    version = _version(community_id, version_id)
    dataset = _dataset(community_id, dataset_id, Dataset.Purpose.TRAINING)
    model = _model(community_id, model_id)
    return _queue(
        recipe=Run.Recipe.DPO,
        community_id=community_id,
        actor=actor,
        seed=seed,
        options=options,
        inputs={
            "model": _model_input(model),
            "dataset": _dataset_input(dataset),
            "constitution.json": _constitution_input(version),
        },
        model=model,
        version=version,
        dataset=dataset,
    )


@transaction.atomic
def queue_evaluation(
    *,
    community_id: int,
    actor: User,
    model_id: int,
    heldout_id: int,
    seed: int = 0,
    options: Options | None = None,
) -> Run:
    """Queue the measuring of a trained model beside the model it was trained from.

    Raises:
        NotPermitted: `actor` is no steward.
        BadInput: the model was not trained here, the pairs are not held-out pairs, or something is
            missing on this machine; the sentence names it.
    """
    permissions.require(permissions.can_queue_runs(actor, community_id), _ONLY_STEWARDS_QUEUE)
    model = _model(community_id, model_id)
    baseline = model.parents.order_by("pk").first()
    if baseline is None or model.version is None:
        raise BadInput(
            "Only a model that was trained here can be evaluated: "
            "the figures compare it with the model it was trained from."
        )
    heldout = _dataset(community_id, heldout_id, Dataset.Purpose.EVALUATION)
    return _queue(
        recipe=Run.Recipe.EVALUATE,
        community_id=community_id,
        actor=actor,
        seed=seed,
        options=options,
        inputs={
            "model": _model_input(model),
            "baseline": _model_input(baseline),
            "heldout": _dataset_input(heldout),
            "constitution.json": _constitution_input(model.version),
            "suite.json": keep_input(SUITE.name, SUITE.read_bytes()),
        },
        model=model,
        baseline=baseline,
        version=model.version,
        heldout=heldout,
    )


@transaction.atomic
def queue_again(*, run_id: int, actor: User) -> Run:
    """Queue the work of a run that failed or was cancelled: its inputs, options and seed, anew.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: the run is no work, is not over or succeeded, or the same waits already.
        BadInput: an input is no longer on this machine; the sentence names it.
    """
    earlier = Run.objects.select_for_update().get(pk=run_id)
    assert isinstance(earlier, Run)
    permissions.require(
        permissions.can_queue_runs(actor, earlier.community_id), _ONLY_STEWARDS_QUEUE
    )
    if not earlier.may_be_repeated:
        raise InvalidTransition("Only a run that failed or was cancelled can be queued again.")
    manifest = Manifest.from_dict(earlier.manifest)
    for model in filter(None, (earlier.model, earlier.baseline)):
        _require_files(model)
    for dataset in filter(None, (earlier.dataset, earlier.heldout)):
        _dataset(earlier.community_id, dataset.pk, Dataset.Purpose(dataset.purpose))
    for name, made in manifest.inputs.items():
        if not input_source(name, made).exists():
            raise BadInput(f"The input {name} ({made.name}) is not on this machine any more.")
    run = _queue(
        recipe=Run.Recipe(earlier.recipe),
        community_id=earlier.community_id,
        actor=actor,
        seed=earlier.seed,
        options=earlier.options,
        inputs=manifest.inputs,
        again=earlier,
        version=earlier.version,
        dataset=earlier.dataset,
        heldout=earlier.heldout,
        model=earlier.model,
        baseline=earlier.baseline,
    )
    same = Run.objects.filter(
        community_id=run.community_id,
        manifest_digest=run.manifest_digest,
        status__in=[Run.Status.QUEUED, Run.Status.RUNNING],
    ).exclude(pk=run.pk)
    if same.exists():
        raise InvalidTransition("This work is queued again already.")
    return run


def queue_answer(*, community_id: int, actor: User, model: Model, question: str) -> Run:
    """Queue the answer to a question; the playground's verb has asked whether it may.

    Such runs leave no trace in the trail before they are answered: who asks is nobody's business.
    For the same reason the question is not kept as a file before the run is launched.
    """
    messages = canonical.text_digest(conversation(question).decode())
    inputs = {
        "model": _model_input(model),
        "messages.json": Input(digest=messages, name="a question"),
    }
    if model.version is not None:
        inputs["constitution.json"] = _constitution_input(model.version)
    return _queue(
        recipe=Run.Recipe.CHAT,
        community_id=community_id,
        actor=actor,
        seed=0,
        options=None,
        inputs=inputs,
        model=model,
        version=model.version,
    )


def conversation(question: str) -> bytes:
    """Return the bytes of a conversation that holds one question."""
    return canonical.canonical_json([{"role": "user", "content": question}])


def _queue(
    *,
    recipe: Run.Recipe,
    community_id: int,
    actor: User,
    seed: int,
    options: Options | None,
    inputs: Inputs,
    again: Run | None = None,
    **made_from: Any,
) -> Run:
    _require_room()
    if seed < 0:
        raise BadInput("The seed must be an integer of 0 or more.")
    try:
        settled = recipe_options.settle(recipe, options or {}).values
    except recipe_options.OptionError as error:
        raise BadInput(str(error)) from error
    for name, value in settled.items():
        if isinstance(value, str) and not prompting.is_storable(value):
            raise BadInput(f"The option {name} holds characters that are not text.")
    manifest = Manifest(
        recipe=recipe.value,
        seed=seed,
        code_revision=code_revision(),
        packages=package_versions(),
        inputs=inputs,
        options=settled,
    )
    run = Run.objects.create(
        community_id=community_id,
        recipe=recipe,
        options=dict(settled),
        seed=seed,
        manifest=manifest.to_dict(),
        manifest_digest=manifest.digest,
        queued_by=actor,
        queued_at=timezone.now(),
        **made_from,
    )
    repeats = {} if again is None else {"again": f"run:{again.pk}"}
    record(run, Verb.RUN_QUEUED, actor, {"seed": str(seed), **repeats})
    transaction.on_commit(functools.partial(nudge, run.pk, run.recipe))
    return run


# --- what must be in order before a run is queued -------------------------------------------------


def _version_in_force(community_id: int) -> Version:
    version = (
        Version.objects.filter(constitution__community_id=community_id).order_by("-number").first()
    )
    if version is None:
        raise BadInput("No constitution is in force yet, so there is nothing to follow.")
    assert isinstance(version, Version)
    return version


def _version(community_id: int, version_id: int) -> Version:
    version = Version.objects.filter(pk=version_id, constitution__community_id=community_id).first()
    if version is None:
        raise BadInput("This community has no such version of its constitution.")
    assert isinstance(version, Version)
    return version


def _model(community_id: int, model_id: int | None) -> Model:
    if model_id is None:
        model = registry.base_model()
    else:
        found = Model.objects.usable_in(community_id).filter(pk=model_id).first()
        if found is None:
            raise BadInput("This community has no such model.")
        model = found
    _require_files(model)
    return model


def _require_files(model: Model) -> None:
    missing = registry.missing_files(model)
    if missing:
        raise BadInput(
            f"The files of the model {model} are not on this machine: {missing[0]} is missing."
        )


def _dataset(community_id: int, dataset_id: int, purpose: Dataset.Purpose) -> Dataset:
    dataset = Dataset.objects.filter(pk=dataset_id, community_id=community_id).first()
    if dataset is None:
        raise BadInput("This community has no such dataset.")
    assert isinstance(dataset, Dataset)
    if dataset.purpose != purpose:
        wanted = "for training" if purpose == Dataset.Purpose.TRAINING else "of held-out pairs"
        raise BadInput(f"Dataset {dataset.number} is not {wanted}.")
    if dataset.status != Dataset.Status.FROZEN:
        raise BadInput(f"Dataset {dataset.number} is not frozen yet.")
    least = settings.RUN_MINIMUM_PAIRS
    if dataset.pairs < least:
        raise BadInput(
            f"Dataset {dataset.number} has {dataset.pairs} labelled pairs; "
            f"a run needs at least {least}."
        )
    directory = registry.artifact_path(dataset.storage_key)
    for name in sorted(dataset.listing):
        if not (directory / name).is_file():
            raise BadInput(
                f"The files of dataset {dataset.number} are not on this machine: {name} is missing."
            )
    return dataset


def _require_room() -> None:
    root = registry.artifact_path("")
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free // 2**20
    needed = settings.RUN_FREE_DISK_MB
    if free < needed:
        raise BadInput(f"Only {free} MB are free for the run's files; {needed} MB are needed.")


# --- inputs and manifest --------------------------------------------------------------------------


def keep_input(name: str, content: bytes) -> Input:
    """Keep a generated input under its digest until the run is launched; twice does no harm.

    It appears under its name when it is whole, so that whoever is killed here leaves no half.
    """
    made = Input(digest=canonical.text_digest(content.decode()), name=name)
    path = registry.artifact_path(input_key(made))
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        unfinished.write_bytes(content)
        unfinished.replace(path)
    return made


def input_key(made: Input) -> str:
    """Return where a generated input lies in the artefact storage."""
    return f"inputs/{made.digest}"


def input_source(name: str, made: Input) -> Path:
    """Return where an input of a manifest lies on this machine."""
    if name in _INPUT_SOURCES:
        return registry.artifact_path(_INPUT_SOURCES[name].format(made.digest))
    return registry.artifact_path(input_key(made))


def _model_input(model: Model) -> Input:
    return Input(digest=model.digest, name=str(model))


def _dataset_input(dataset: Dataset) -> Input:
    return Input(digest=dataset.digest, name=str(dataset))


def _constitution_input(version: Version) -> Input:
    content = compilation.for_recipes(ratification.version_content(version))
    return keep_input(f"version {version.number}", canonical.canonical_json(content))


@functools.cache
def code_revision() -> str:
    """Return the revision of this code: of its repository, else of its package."""
    with_git = ["git", "-C", str(settings.ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(  # noqa: S603 - a list of words of our own, and no shell
            with_git, capture_output=True, text=True, check=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        pass
    else:
        return found.stdout.strip()
    try:
        return importlib.metadata.version("folkmoot")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def package_versions() -> dict[str, str]:
    """Return the versions that results depend on, as far as they are installed here."""
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            log.debug("%s is not installed here", name)
    return versions


# --- claiming, renewing, ending -------------------------------------------------------------------


def nudge(run_id: int, recipe: str) -> None:
    """Tell the workers of a run. A lost message does no harm: the sweeper repeats it.

    Answers have a queue and a worker of their own, so that nobody waits for hours of training.
    """
    queue = CHAT_QUEUE if recipe == Run.Recipe.CHAT else COMPUTE_QUEUE
    try:
        current_app.send_task(
            EXECUTE_RUN, args=[run_id], queue=queue, retry=False, ignore_result=True
        )
    except Exception:  # noqa: BLE001 - whatever ails the broker, the row stays queued
        log.warning("the broker cannot be reached; run %s waits for the sweeper", run_id)


@transaction.atomic
def claim_run(*, run_id: int, worker: str = "") -> Run | None:
    """Take a queued run for this worker, under a lease; None when it is not to be had."""
    run = Run.objects.select_for_update(skip_locked=True).waiting().filter(pk=run_id).first()
    if run is None:
        return None
    assert isinstance(run, Run)
    now = timezone.now()
    move(
        run,
        Run.Status.RUNNING,
        attempt=run.attempt + 1,
        lease_until=now + lease(),
        started_at=run.started_at or now,
    )
    Attempt.objects.create(run=run, number=run.attempt, worker=worker[:200], started_at=now)
    record(run, Verb.RUN_STARTED, None, {"attempt": str(run.attempt)})
    return run


def lease() -> timedelta:
    """Return for how long a claim holds without being renewed."""
    return timedelta(seconds=settings.RUN_LEASE_SECONDS)


def renew_lease(*, run_id: int, attempt: int) -> bool:
    """Renew the lease of an attempt; False when it was replaced or the run is over."""
    held = Run.objects.filter(pk=run_id, attempt=attempt, status=Run.Status.RUNNING)
    return bool(held.update(lease_until=timezone.now() + lease()))


def hold(*, run_id: int, attempt: int) -> Run:
    """Lock a run for the report of an attempt.

    Raises:
        InvalidTransition: the attempt was replaced, or the run is over.
    """
    run = Run.objects.select_for_update().get(pk=run_id)
    assert isinstance(run, Run)
    if run.attempt != attempt or run.status != Run.Status.RUNNING:
        raise InvalidTransition(_REPLACED)
    return run


@transaction.atomic
def finish_run(
    *,
    run_id: int,
    attempt: int,
    status: Run.Status,
    error: str = "",
    result: Mapping[str, Any] | None = None,
    produced: Model | None = None,
    data: Mapping[str, str] | None = None,
) -> Run:
    """End a run as an attempt reports; the first report of the present attempt counts.

    Args:
        run_id: the run.
        attempt: whose report it is.
        status: succeeded, failed or cancelled.
        error: a sentence for people, where the run failed.
        result: what to keep of the recipe's result.
        produced: the model that the run made.
        data: digests for the trail.

    Raises:
        InvalidTransition: the attempt was replaced, or the run is over.
    """
    run = hold(run_id=run_id, attempt=attempt)
    _end(
        run,
        status,
        error=error[:LONGEST_ERROR],
        result=None if result is None else dict(result),
        produced=produced,
    )
    _close_attempt(run, Attempt.Ending(status.value))
    verbs = {
        Run.Status.SUCCEEDED: Verb.RUN_SUCCEEDED,
        Run.Status.FAILED: Verb.RUN_FAILED,
        Run.Status.CANCELLED: Verb.RUN_CANCELLED,
    }
    actor = run.cancel_requested_by if status == Run.Status.CANCELLED else None
    record(run, verbs[status], actor, {"attempt": str(attempt), **(data or {})})
    return run


@transaction.atomic
def requeue_run(*, run_id: int, attempt: int, ending: Attempt.Ending) -> Run:
    """Give a run back, for another attempt to go on where this one stopped.

    Raises:
        InvalidTransition: the attempt was replaced, or the run is over.
    """
    run = hold(run_id=run_id, attempt=attempt)
    _give_back(run, ending)
    return run


@transaction.atomic
def cancel_run(*, run_id: int, actor: User) -> Run:
    """Cancel a run: at once while it waits, else as soon as its launcher has seen the wish.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: the run is over.
    """
    run = Run.objects.select_for_update().get(pk=run_id)
    assert isinstance(run, Run)
    permissions.require(
        permissions.can_cancel_runs(actor, run.community_id), "Only a steward may cancel a run."
    )
    if run.is_over:
        raise InvalidTransition(f"This run is over ({run.get_status_display().lower()}).")
    if run.cancel_requested_by is None:
        run.cancel_requested_by = actor
        run.save(update_fields=["cancel_requested_by"])
    if run.status == Run.Status.QUEUED:
        _end(run, Run.Status.CANCELLED)
        record(run, Verb.RUN_CANCELLED, actor, {"attempt": str(run.attempt)})
    return run


def sweep_runs() -> int:
    """Repeat lost messages, and take up runs whose worker has gone; return how many it touched."""
    now = timezone.now()
    touched = 0
    abandoned = Run.objects.abandoned(now).order_by("pk").values_list("pk", flat=True)
    for run_id in list(abandoned[:SWEEP_AT_MOST]):
        touched += _take_up(run_id)
    unheard = Run.objects.unheard(now).order_by("pk").values_list("pk", "recipe")
    for run_id, recipe in list(unheard[:SWEEP_AT_MOST]):
        # Two sweepers at once repeat a message twice, which the claim refuses.
        touched += Run.objects.waiting().filter(pk=run_id).update(nudged_at=now)
        nudge(run_id, recipe)
    return touched


@transaction.atomic
def _take_up(run_id: int) -> bool:
    run = (
        Run.objects.select_for_update(skip_locked=True)
        .abandoned(timezone.now())
        .filter(pk=run_id)
        .first()
    )
    if run is None:
        return False
    lost = 1 + run.attempts.filter(ending=Attempt.Ending.LOST).count()
    if run.cancel_requested_by is not None:
        finish_run(run_id=run.pk, attempt=run.attempt, status=Run.Status.CANCELLED)
    elif lost >= settings.RUN_MAX_ATTEMPTS:
        finish_run(
            run_id=run.pk,
            attempt=run.attempt,
            status=Run.Status.FAILED,
            error=f"The worker was lost {lost} times while it did this run, so it was given up.",
        )
    else:
        _give_back(run, Attempt.Ending.LOST)
    return True


def _give_back(run: Run, ending: Attempt.Ending) -> None:
    move(run, Run.Status.QUEUED, lease_until=None, nudged_at=timezone.now())
    _close_attempt(run, ending)
    record(run, Verb.RUN_REQUEUED, None, {"attempt": str(run.attempt), "ending": ending.value})
    transaction.on_commit(functools.partial(nudge, run.pk, run.recipe))


def _end(run: Run, status: Run.Status, **fields: Any) -> None:
    move(run, status, lease_until=None, finished_at=timezone.now(), **fields)


def _close_attempt(run: Run, ending: Attempt.Ending) -> None:
    run.attempts.filter(number=run.attempt).update(ended_at=timezone.now(), ending=ending)


def record(run: Run, verb: Verb, actor: User | None, data: Mapping[str, str]) -> None:
    """Enter a step of a run in the trail; the playground's runs are not in it."""
    if run.recipe == Run.Recipe.CHAT:
        return
    audit.record(
        community_id=run.community_id,
        actor=actor,
        verb=verb,
        subject=run,
        data={"recipe": run.recipe, "manifest_digest": run.manifest_digest, **data},
    )
