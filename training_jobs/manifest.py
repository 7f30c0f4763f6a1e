"""The manifest of a run: everything that went into it, as plain values with one digest.

Pure: no Django, no torch, no clock.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from governance import canonical

SCHEMA: Final = "folkmoot.run/1"
FILE_NAME: Final = "manifest.json"

# What a launcher puts into the environment of a recipe's process. On shared cores libgomp's busy
# waiting costs a factor of two to four; the rest keeps the libraries off the network and quiet.
ENVIRONMENT: Final[Mapping[str, str]] = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "PYTHONUNBUFFERED": "1",
}

_DIGEST = re.compile(r"[0-9a-f]{64}")
_RECIPE = re.compile(r"[a-z][a-z0-9_]*")
# An input is a file or directory directly below inputs/: no path, nothing hidden.
_INPUT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class ManifestError(ValueError):
    """A manifest that cannot be trusted, with a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Input:
    """One artefact a run may read: `digest` is checked before any work, `name` is for people."""

    digest: str
    name: str

    def to_dict(self) -> dict[str, Any]:
        """Return the input as plain values."""
        return {"digest": self.digest, "name": self.name}

    @classmethod
    def from_dict(cls, key: str, value: object) -> Self:
        """Read an input, refusing what is not exactly one.

        Raises:
            ManifestError: a field is unknown, missing or of the wrong type.
        """
        fields = _fields(f"The input {key!r}", value, {"digest", "name"})
        if _INPUT.fullmatch(key) is None:
            raise ManifestError(f"{key!r} is no name of an input: it must be a plain file name.")
        digest = _string(f"The digest of the input {key!r}", fields["digest"])
        if _DIGEST.fullmatch(digest) is None:
            raise ManifestError(
                f"The digest of the input {key!r} is not 64 lower-case hexadecimal digits."
            )
        return cls(digest=digest, name=_string(f"The name of the input {key!r}", fields["name"]))


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a run is made from. Two runs with the same digest are asked to do the same work.

    Attributes:
        recipe: module below `training_jobs.recipes`.
        seed: of every random choice; 0 or more.
        code_revision: of this repository.
        packages: versions by distribution name.
        inputs: by the name of the file or directory below `inputs/`.
        options: of the recipe. A number that is no integer is a decimal string such as "0.00002",
            because canonical JSON has no floats.
    """

    recipe: str
    seed: int
    code_revision: str
    packages: Mapping[str, str]
    inputs: Mapping[str, Input]
    options: Mapping[str, int | str | bool]

    @property
    def digest(self) -> str:
        """The SHA-256 of the manifest in canonical JSON."""
        return canonical.digest(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain values, in the form that `from_dict` reads."""
        return {
            "schema": SCHEMA,
            "recipe": self.recipe,
            "seed": self.seed,
            "code_revision": self.code_revision,
            "packages": dict(self.packages),
            "inputs": {key: value.to_dict() for key, value in self.inputs.items()},
            "options": dict(self.options),
        }

    @classmethod
    def from_dict(cls, value: object) -> Self:
        """Read a manifest from plain values, refusing whatever is not exactly one.

        Raises:
            ManifestError: with one sentence that names the field.
        """
        known = {"schema", "recipe", "seed", "code_revision", "packages", "inputs", "options"}
        fields = _fields("A manifest", value, known)
        if fields["schema"] != SCHEMA:
            raise ManifestError(f"The manifest's schema is {fields['schema']!r}, not {SCHEMA!r}.")
        recipe = _string("The recipe", fields["recipe"])
        if _RECIPE.fullmatch(recipe) is None:
            raise ManifestError(f"{recipe!r} is no name of a recipe.")
        seed = fields["seed"]
        if type(seed) is not int or seed < 0:
            raise ManifestError("The seed must be an integer of 0 or more.")
        packages = _mapping("The packages", fields["packages"])
        inputs = _mapping("The inputs", fields["inputs"])
        options = _mapping("The options", fields["options"])
        for key, option in options.items():
            if type(option) not in {int, str, bool}:
                raise ManifestError(
                    f"The option {key!r} is a {type(option).__name__}; it must be an integer, "
                    f"a string (decimals too) or a boolean."
                )
        manifest = cls(
            recipe=recipe,
            seed=seed,
            code_revision=_string("The code revision", fields["code_revision"]),
            packages={
                key: _string(f"The version of {key!r}", item) for key, item in packages.items()
            },
            inputs={key: Input.from_dict(key, item) for key, item in inputs.items()},
            options=options,
        )
        try:
            canonical.canonical_json(manifest.to_dict())
        except (TypeError, ValueError) as error:
            raise ManifestError(f"The manifest has no digest: {error}") from error
        return manifest

    @classmethod
    def read(cls, run_dir: Path) -> Self:
        """Read `manifest.json` of a run directory.

        Raises:
            ManifestError: it is missing, no JSON, or not a manifest.
        """
        path = run_dir / FILE_NAME
        try:
            value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_no_duplicates)
        except FileNotFoundError as error:
            raise ManifestError("The run directory has no manifest.json.") from error
        except ManifestError:
            raise
        except ValueError as error:
            raise ManifestError("The manifest.json is not JSON in UTF-8.") from error
        return cls.from_dict(value)

    def write(self, run_dir: Path) -> None:
        """Write `manifest.json` whole or not at all; the SHA-256 of its bytes is the digest."""
        temporary = run_dir / f".{FILE_NAME}.new"
        temporary.write_bytes(canonical.canonical_json(self.to_dict()))
        temporary.replace(run_dir / FILE_NAME)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ManifestError(f"The manifest names {key!r} twice.")
    return dict(pairs)


def _mapping(what: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ManifestError(f"{what} must be an object with string keys.")
    return dict(value)


def _fields(what: str, value: object, known: set[str]) -> dict[str, Any]:
    fields = _mapping(what, value)
    for key in sorted(fields.keys() - known):
        raise ManifestError(f"{what} has an unknown field {key!r}.")
    for key in sorted(known - fields.keys()):
        raise ManifestError(f"{what} lacks the field {key!r}.")
    return fields


def _string(what: str, value: object) -> str:
    if not isinstance(value, str):
        raise ManifestError(f"{what} must be a string, not {type(value).__name__}.")
    return value
