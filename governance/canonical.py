"""Canonical bytes and digests: what the trail, versions, datasets and models are hashed as.

Pure: no Django, no clock, no settings.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20
_SAFE_INTEGER = 2**53 - 1


def canonical_json(value: object) -> bytes:
    """Encode `value` as RFC 8785 canonical JSON, restricted to what hashes the same everywhere.

    Args:
        value: null, booleans, integers within plus or minus 2**53 - 1, strings, and lists and
            string-keyed mappings of these.

    Returns:
        UTF-8 bytes with sorted keys and no white space.

    Raises:
        TypeError: a float, or any other type that has no one canonical form here.
        ValueError: an integer out of range, or a string with a lone surrogate.

    Source: https://www.rfc-editor.org/rfc/rfc8785, of which floats are left out on purpose.
    """
    return "".join(_encode(value)).encode("utf-8")


def _encode(value: object) -> Iterator[str]:
    match value:
        case None | bool() | str():
            yield json.dumps(value, ensure_ascii=False)
        case int():
            if abs(value) > _SAFE_INTEGER:
                raise ValueError(f"{value} is beyond the integers that JSON keeps exactly.")
            yield str(value)
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise TypeError("Canonical JSON has string keys only.")
            yield "{"
            for n, key in enumerate(sorted(value, key=lambda key: key.encode("utf-16-be"))):
                yield f"{',' if n else ''}{json.dumps(key, ensure_ascii=False)}:"
                yield from _encode(value[key])
            yield "}"
        case list() | tuple():
            yield "["
            for n, item in enumerate(value):
                if n:
                    yield ","
                yield from _encode(item)
            yield "]"
        case _:
            raise TypeError(
                f"Canonical JSON has no {type(value).__name__}; use integers or strings."
            )


def digest(value: object) -> str:
    """Return the SHA-256 of `value` in canonical JSON, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def text_digest(text: str) -> str:
    """Return the SHA-256 of `text` in UTF-8, as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks of one mebibyte."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
    return sha.hexdigest()


def directory_listing(directory: Path) -> dict[str, str]:
    """Map each file below `directory` (POSIX path relative to it) to its SHA-256.

    Raises:
        ValueError: there is a symbolic link, whose target the digest could not vouch for.
    """
    listing: dict[str, str] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_symlink():
            raise ValueError(f"{path.name} is a link; an artefact holds plain files only.")
        if path.is_file():
            listing[path.relative_to(directory).as_posix()] = file_digest(path)
    return listing


def listing_digest(listing: Mapping[str, Any]) -> str:
    """Return the digest of a directory from its listing: of a dataset, of a model."""
    return digest({"files": dict(listing)})


def directory_digest(directory: Path) -> str:
    """Return the digest that names a directory: the same files and bytes give the same digest."""
    return listing_digest(directory_listing(directory))
