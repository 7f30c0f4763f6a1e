"""The export of a community's record: everything that the offline checker needs, and no names.

docs/audit.md describes the files. What an export holds changes only with an event, and the head of
its trail is signed.
"""

import hashlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, Protocol

from django.core.cache import cache
from django.core.files.storage import storages
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from feedback.freezing import holds_hidden
from feedback.models import Dataset
from governance import audit, checkpoints, delegating, voting
from governance.canonical import canonical_json
from governance.errors import BadInput, InvalidTransition
from governance.models import AuditEvent, Community, Poll, Trail
from principles.models import Version
from principles.ratification import version_content
from training_jobs import registry
from training_jobs.models import Model

SCHEMA: Final = "folkmoot.export/2"
MOST_EVENTS_VERIFIED_HERE: Final = 20_000
SECONDS_BETWEEN_VERIFICATIONS: Final = 10
_BLOCK: Final = 1 << 20
_CHUNK: Final = 2000
_ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)
_ZIP_MODE: Final = 0o100644 << 16
_UNIX: Final = 3
_PART: Final = "unfinished-"
_LONGEST_WRITING: Final = 3600
_MOST_SIGNATURES: Final = 20


# --- where an export is written -------------------------------------------------------------------


class Sink(Protocol):
    """Takes the files of an export, one after the other."""

    def open(self, name: str) -> IO[bytes]:
        """Begin a file; the caller closes it before it begins the next."""


class _Folder:
    """Writes an export into a folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def open(self, name: str) -> IO[bytes]:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")


class _Zip:
    """Writes an export into a zip file of which every byte follows from the files.

    Nothing is compressed and no times are kept, so that the checker can hold each byte of the
    zip file, too, against what it must be.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.archive = archive

    def open(self, name: str) -> IO[bytes]:
        info = zipfile.ZipInfo(name, _ZIP_TIME)
        info.external_attr, info.create_system = _ZIP_MODE, _UNIX
        return self.archive.open(info, "w")


class _Writer:
    """Writes files into a sink and keeps their digests for the index."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.digests: dict[str, str] = {}
        self.bytes = 0

    def write(self, name: str, blocks: Iterator[bytes]) -> None:
        sha = hashlib.sha256()
        with self.sink.open(name) as file:
            for block in blocks:
                sha.update(block)
                file.write(block)
                self.bytes += len(block)
        self.digests[name] = sha.hexdigest()

    def write_object(self, name: str, value: Mapping[str, Any]) -> None:
        self.write(name, iter([canonical_json(value)]))


# --- the export -----------------------------------------------------------------------------------


def write_export(
    *, community_id: int, directory: Path, dataset_files: bool = True
) -> dict[str, Any]:
    """Write a community's export into a new or empty folder.

    All of it is read in one snapshot of the database, so it agrees with itself while the
    community goes on acting. The head that it ends with is signed.

    Args:
        community_id: whose record.
        directory: where to.
        dataset_files: whether to copy the datasets' files, which hold pseudonymous labels and are
            for members, or only to list their digests.

    Returns:
        community, length, head, and how many files, bytes, polls, versions, datasets and models.

    Raises:
        BadInput: the folder holds something already.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise BadInput(f"The folder {directory.name} is not empty; an export needs one of its own.")
    return _export(community_id, _Folder(directory), dataset_files=dataset_files)


def write_zip(*, community_id: int, file: IO[bytes], dataset_files: bool = True) -> dict[str, Any]:
    """Write a community's export as a zip file; else as `write_export`.

    Raises:
        BadInput: it is larger than a plain zip file can be (4 GiB, or 65,535 files).
    """
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
            return _export(community_id, _Zip(archive), dataset_files=dataset_files)
    except (zipfile.LargeZipFile, RuntimeError) as error:  # a RuntimeError at 2 GiB in one file
        raise BadInput(
            "This record is too large for a zip file; an operator can write it to a folder with "
            "“manage.py export_audit”."
        ) from error


@contextmanager
def _snapshot() -> Iterator[None]:
    """Read everything inside as it was at one moment."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_isolation TO 'repeatable read'")
        try:
            with transaction.atomic(durable=True):
                yield
        finally:
            cursor.execute("RESET default_transaction_isolation")


def _export(community_id: int, sink: Sink, *, dataset_files: bool) -> dict[str, Any]:
    for _ in range(_MOST_SIGNATURES):
        checkpoints.sign_checkpoint(community_id=community_id)
        with _snapshot():
            trail = Trail.objects.select_related("community").get(community_id=community_id)
            # Where an act came in between, its head is signed as well, so that each checkpoint
            # of an export is also kept, in its place among all others.
            signed = trail.community.checkpoints.filter(length=trail.length)
            if not trail.length or signed.exists():
                return _write(trail, sink, dataset_files=dataset_files)
    raise BadInput("This record grows faster than it can be signed; try again in a moment.")


def _write(trail: Trail, sink: Sink, *, dataset_files: bool) -> dict[str, Any]:
    community, writer = trail.community, _Writer(sink)
    head = {"community": community.slug, "length": trail.length, "head": trail.head}
    writer.write("trail.jsonl", _events(community))
    writer.write_object("head.json", head)
    signed = community.checkpoints.order_by("length").select_related("community")
    lines = (canonical_json(checkpoints.record(each)) + b"\n" for each in signed.iterator())
    writer.write("checkpoints.jsonl", lines)
    counts = {
        "polls": _write_polls(community, writer),
        "versions": _write_versions(community, writer),
        "datasets": _write_datasets(community, writer, files=dataset_files),
        "models": _write_models(community, writer),
    }
    index = {"schema": SCHEMA, "community": community.slug, "files": dict(writer.digests)}
    writer.write_object("index.json", index)
    return {**head, **counts, "files": len(writer.digests), "bytes": writer.bytes}


def _events(community: Community) -> Iterator[bytes]:
    events = AuditEvent.objects.filter(community=community).order_by("seq")
    for event in events.iterator(chunk_size=_CHUNK):
        line = {
            "event": event.content(),
            "previous_hash": event.previous_hash,
            "event_hash": event.event_hash,
        }
        yield canonical_json(line) + b"\n"


def _write_polls(community: Community, writer: _Writer) -> int:
    polls = Poll.objects.filter(community=community, status=Poll.Status.CLOSED).order_by("pk")
    count = 0
    for poll in polls.iterator(chunk_size=100):
        electors = poll.electors.values_list("user_id", "weight", "group")
        delegations = delegating.edges_of(poll).items()
        content = {
            "kind": poll.kind,
            "title": poll.title,
            "text": poll.text,
            "text_digest": poll.text_digest,
            "options": poll.options,
            "rule": poll.rule,
            "electorate": voting.electorate_record(poll, electors),
            "batches": voting.batches(poll),
            "ballots": voting.ballot_record(poll),
            "delegations": sorted(
                [voting.voter_reference(poll, pk) for pk in edge] for edge in delegations
            ),
            "seed": poll.seed,
            "tally": poll.tally,
            "outcome": poll.outcome,
        }
        writer.write_object(f"polls/{poll.pk}.json", content)
        count += 1
    return count


def _write_versions(community: Community, writer: _Writer) -> int:
    versions = (
        Version.objects.filter(constitution__community=community)
        .select_related("constitution__community", "parent")
        .prefetch_related("principles")
        .order_by("number")
    )
    for version in versions:
        writer.write_object(f"versions/{version.number}.json", version_content(version))
    return len(versions)


def _write_datasets(community: Community, writer: _Writer, *, files: bool) -> int:
    """Copy the files of each frozen dataset, or write their listing.

    Files that are not at hand, or hold what moderators hid since, are listed, too: it is not for
    the export to hide that they exist.
    """
    frozen = Dataset.objects.filter(
        community=community, status=Dataset.Status.FROZEN
    ).select_related("version")
    found = {dataset.digest: dataset for dataset in frozen.order_by("-pk")}
    storage = storages["artifacts"]
    for digest, dataset in sorted(found.items()):
        paths = {name: f"{dataset.storage_key}/{name}" for name in sorted(dataset.listing)}
        if files and all(map(storage.exists, paths.values())) and not holds_hidden(dataset):
            for name, path in paths.items():
                with storage.open(path) as file:
                    writer.write(f"datasets/{digest}/{name}", _blocks(file))
        else:
            listing = {"files": dataset.listing}
            writer.write_object(f"datasets/{digest}/listing.json", listing)
    return len(found)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _write_models(community: Community, writer: _Writer) -> int:
    """Write the listing of each model of the community, and of those that they came from.

    The file's own SHA-256 is the model's digest.
    """
    models = Model.objects.filter(Q(community=community) | Q(children__community=community))
    listings = dict(models.order_by("pk").values_list("digest", "listing"))
    for digest, listing in sorted(listings.items()):
        writer.write_object(f"models/{digest}.json", {"files": listing})
    return len(listings)


def open_zip(community: Community, *, dataset_files: bool) -> IO[bytes]:
    """Return a community's export as an open zip file, made anew only when the trail has grown.

    A zip file appears under its name when it is whole, and what somebody reads stays readable to
    them when it is replaced. Two who ask at once may both make it, of the same bytes.

    Raises:
        BadInput: it is too large for a zip file.
    """
    checkpoints.sign_checkpoint(community_id=community.pk)
    kind = "members" if dataset_files else "everyone"
    folder = registry.artifact_path(f"exports/{community.pk}-{kind}")
    head = Trail.objects.values_list("head", flat=True).get(community=community)
    with suppress(FileNotFoundError):
        return (folder / f"{head}.zip").open("rb")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=_PART, dir=folder) as unfinished:
        path = Path(unfinished) / "export.zip"
        with path.open("wb") as file:
            written = write_zip(community_id=community.pk, file=file, dataset_files=dataset_files)
        made = path.open("rb")
        path.replace(folder / f"{written['head']}.zip")
    if Trail.objects.filter(community=community, head=written["head"]).exists():
        _clear(folder, keep=f"{written['head']}.zip")
    return made


def _clear(folder: Path, *, keep: str) -> None:
    """Remove the exports of earlier heads, and what those left who were killed while they wrote."""
    for path in folder.glob("*.zip"):
        if path.name != keep:
            path.unlink(missing_ok=True)
    for path in folder.glob(f"{_PART}*"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _LONGEST_WRITING:
                shutil.rmtree(path, ignore_errors=True)


# --- verification on the site ---------------------------------------------------------------------


@dataclass(frozen=True)
class Verification:
    """What a re-computation of a trail found.

    Attributes:
        at: when it was made.
        length: how many events it covered.
        head: the hash of the last of them.
        broken: number of the first event that does not hold; None where all do.
    """

    at: datetime
    length: int
    head: str
    broken: int | None


def _key(community_id: int) -> str:
    return f"trail-verification:{community_id}"


def last_verification(community_id: int) -> Verification | None:
    """Return what the last verification found, if the site remembers it."""
    found = cache.get(_key(community_id))
    return found if isinstance(found, Verification) else None


def verify(*, community_id: int) -> Verification:
    """Re-compute a community's whole trail from the table; the result is remembered.

    Raises:
        InvalidTransition: the trail is too long to do this in a request, or it was done only
            seconds ago.
    """
    trail = Trail.objects.get(community_id=community_id)
    if trail.length > MOST_EVENTS_VERIFIED_HERE:
        raise InvalidTransition(
            f"This trail has more than {MOST_EVENTS_VERIFIED_HERE} events; check its export."
        )
    if not cache.add(f"{_key(community_id)}:pause", 1, SECONDS_BETWEEN_VERIFICATIONS):
        raise InvalidTransition("The trail was verified a few seconds ago.")
    with _snapshot():
        trail.refresh_from_db()
        broken = audit.first_broken(community_id)
    found = Verification(timezone.now(), trail.length, trail.head, broken)
    cache.set(_key(community_id), found, timeout=None)
    return found
