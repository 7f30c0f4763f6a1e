"""Datasets: queued by a steward, frozen by a worker, named by the digest of their files.

The row is the outbox. A message is a nudge that may be lost or come twice: `claim` counts an
attempt and sets a lease, the sweeper takes up what was dropped, and a replaced attempt is refused.
"""

import hashlib
import hmac
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple

from celery import current_app
from django.conf import settings
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db import connection, transaction
from django.db.models import Count, Exists, F, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Collate, Greatest, Least
from django.utils import timezone

from feedback import formats, permissions
from feedback.models import (
    Comparison,
    Dataset,
    Decision,
    Label,
    ReviewItem,
    pair_digest,
    split_by_words,
)
from feedback.verbs import Verb
from governance import audit, canonical
from governance.errors import BadInput, InvalidTransition, RuleViolation
from governance.models import Community, User
from governance.transitions import move
from principles.models import Version

FREEZE_DATASET = "feedback.freeze_dataset"
LEASE_SECONDS = 120
MOST_ATTEMPTS = 3
QUIET_SECONDS = 10
SWEEP_AT_MOST = 100
CHUNK = 1000
logger = logging.getLogger(__name__)


# --- what a dataset would hold --------------------------------------------------------------------


@dataclass(frozen=True)
class Preview:
    """What a dataset frozen now would hold."""

    pairs: int
    contested: int
    labels: int


def comparisons_for(version: Version, purpose: str) -> QuerySet[Comparison]:
    """Return the comparisons that a dataset of this purpose may hold, and no other."""
    return (
        Comparison.objects.filter(
            community_id=version.constitution.community_id,
            prompt__split=Dataset(purpose=purpose).split,
        )
        .shown()
        .under(version)
    )


def preview(version: Version, purpose: str) -> Preview:
    """Count what a dataset frozen now would hold."""
    votes = "assignments__label"
    counted = (
        comparisons_for(version, purpose)
        .order_by()
        .annotate(
            for_a=Count(votes, filter=Q(**{f"{votes}__choice": Label.Choice.A})),
            for_b=Count(votes, filter=Q(**{f"{votes}__choice": Label.Choice.B})),
            given=Count(votes),
        )
        .filter(given__gt=0)
        .aggregate(
            pairs=Count("pk", filter=~Q(for_a=F("for_b"))),
            contested=Count("pk", filter=Q(for_a=F("for_b"))),
            labels=Sum("given", default=0),
        )
    )
    return Preview(**counted)


# --- queueing -------------------------------------------------------------------------------------


@transaction.atomic
def queue_freeze(*, community_id: int, actor: User, purpose: str) -> Dataset:
    """Queue a dataset of all labels that are in by now, under the version in force.

    Once the pairs are counted, the table of labels is locked against writing for a moment, so that
    no label with a smaller number can come in later than this: `labels_up_to` then means the same
    whenever it is read.

    Raises:
        NotPermitted: `actor` is not a steward.
        BadInput: no such purpose, no version in force, or too few labelled pairs.
        InvalidTransition: one of this purpose is being frozen already.
    """
    community = Community.objects.select_for_update(no_key=True).get(pk=community_id)
    permissions.require(
        permissions.can_freeze(actor, community_id), "Only stewards may freeze datasets."
    )
    if purpose not in Dataset.Purpose.values:
        raise BadInput("Choose training or held-out pairs.")
    version = Version.objects.filter(constitution__community=community).first()
    if version is None:
        raise BadInput("Labels are given under principles, and no version is in force yet.")
    mine = Dataset.objects.filter(community=community)
    if mine.filter(purpose=purpose, status__in=["queued", "freezing"]).exists():
        raise InvalidTransition("A dataset of this kind is being frozen already.")
    _require_pairs(preview(version, purpose).pairs)
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE feedback_label IN SHARE MODE")
    of_community = Label.objects.filter(assignment__comparison__community=community)
    dataset = Dataset.objects.create(
        community=community,
        version=version,
        number=(mine.aggregate(last=Max("number"))["last"] or 0) + 1,
        purpose=purpose,
        labels_up_to=of_community.aggregate(last=Max("pk"))["last"] or 0,
        requested_by=actor,
        requested_at=timezone.now(),
    )
    audit.record(
        community_id=community_id,
        actor=actor,
        verb=Verb.DATASET_QUEUED,
        subject=dataset,
        data={
            "number": dataset.number,
            "purpose": purpose,
            "version_digest": version.digest,
            "labels_up_to": dataset.labels_up_to,
        },
    )
    transaction.on_commit(partial(nudge, dataset.pk), robust=True)
    return dataset


def nudge(dataset_id: int) -> None:
    """Tell a worker that a dataset waits; should the message be lost, the sweeper repeats it."""
    current_app.send_task(FREEZE_DATASET, [dataset_id])


# --- freezing -------------------------------------------------------------------------------------


@transaction.atomic
def claim(*, dataset_id: int) -> Dataset | None:
    """Take a queued dataset for this worker; None where another has it, or it is over."""
    dataset = (
        Dataset.objects.select_for_update(skip_locked=True)
        .filter(pk=dataset_id, status=Dataset.Status.QUEUED)
        .first()
    )
    if dataset is not None:
        move(
            dataset,
            Dataset.Status.FREEZING,
            lease_until=_lease_end(),
            attempts=dataset.attempts + 1,
        )
    return dataset


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=LEASE_SECONDS)


def build(dataset_id: int) -> Dataset | None:
    """Claim a queued dataset, write its files, and freeze it.

    Returns:
        The dataset, frozen or failed; None where another worker has it, or it is over.
    """
    dataset = claim(dataset_id=dataset_id)
    if dataset is None:
        return None
    try:
        with TemporaryDirectory(prefix="folkmoot-dataset-") as folder:
            figures = write(dataset, Path(folder))
            listing = canonical.directory_listing(Path(folder))
            _store(Path(folder), listing)
        return finish(
            dataset_id=dataset.pk, attempt=dataset.attempts, listing=listing, figures=figures
        )
    except RuleViolation as refusal:
        return fail(dataset_id=dataset.pk, attempt=dataset.attempts, sentence=str(refusal))
    except Exception:
        sentence = "The files could not be written. The operator's log says why."
        fail(dataset_id=dataset.pk, attempt=dataset.attempts, sentence=sentence)
        raise


def write(dataset: Dataset, directory: Path) -> formats.Figures:
    """Write a claimed dataset's files into an empty directory.

    Raises:
        BadInput: too few pairs are left, because content was hidden since it was queued.
        InvalidTransition: another worker took the dataset over.
        SplitLeak: a prompt of the other split got this far; a bug, and nothing is kept.
    """
    version = Version.objects.select_related("constitution__community").get(pk=dataset.version_id)
    facts = formats.Facts(
        community=version.constitution.community.slug,
        title=version.title,
        purpose=dataset.purpose,
        split=dataset.split,
        version_number=version.number,
        version_digest=version.digest,
        principles=tuple(
            (row.key, row.title, canonical.digest(row.content()))
            for row in version.principles.order_by("position")
        ),
    )
    figures = formats.write_dataset(directory, facts, _pairs(dataset, version))
    _require_pairs(figures.pairs)
    return figures


def _require_pairs(pairs: int) -> None:
    least = settings.RUN_MINIMUM_PAIRS
    if pairs < least:
        raise BadInput(f"{pairs} pairs have a majority; a dataset needs {least}.")


class _Row(NamedTuple):
    """A comparison as it is read for a dataset."""

    pk: int
    prompt_digest: str
    split: str
    prompt: str
    hazard_codes: list[str]
    language: str
    licence: str
    principle_key: str
    a_digest: str
    a_text: str
    a_model: str
    b_digest: str
    b_text: str
    b_model: str

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What makes it the same pair as another, in the order in which pairs are written."""
        first, second = sorted((self.a_digest, self.b_digest))
        return self.prompt_digest, first, second, self.principle_key


_COLUMNS = (
    "pk",
    "prompt__digest",
    "prompt__split",
    "prompt__text",
    "prompt__hazard_codes",
    "prompt__language",
    "prompt__licence",
    "principle__key",
    "response_a__digest",
    "response_a__text",
    "response_a__model_digest",
    "response_b__digest",
    "response_b__text",
    "response_b__model_digest",
)


class _Vote(NamedTuple):
    """A label as it is read for a dataset."""

    comparison: int
    email: str
    swapped: bool
    choice: str
    strength: int


def _pairs(dataset: Dataset, version: Version) -> Iterator[formats.Pair]:
    """Yield the dataset's labelled pairs by content alone: in order of digests, once each.

    The same pair may have been compared under two versions that share the principle's words; its
    labels are then taken together, and of one person's two the one under the later version counts.
    """
    labels = Label.objects.filter(
        pk__lte=dataset.labels_up_to, assignment__comparison=OuterRef("pk")
    )
    ordered = (
        comparisons_for(version, dataset.purpose)
        .filter(Exists(labels))
        .order_by(
            "prompt__digest",
            Least("response_a__digest", "response_b__digest"),
            Greatest("response_a__digest", "response_b__digest"),
            Collate("principle__key", "C"),
            "principle__version__number",
            "response_a__digest",
        )
    )
    salt = f"{version.constitution.community.slug}:{version.digest}:{dataset.purpose}"
    for _, group in groupby(_with_votes(dataset, ordered), key=lambda found: found[0].identity):
        yield _pair(list(group), salt)


def _with_votes(
    dataset: Dataset, ordered: QuerySet[Comparison]
) -> Iterator[tuple[_Row, list[_Vote]]]:
    """Yield each comparison with its votes, reading a thousand at a time and keeping the lease."""
    stream = ordered.values_list(*_COLUMNS).iterator(chunk_size=CHUNK)
    while rows := [_Row(*values) for values in islice(stream, CHUNK)]:
        _renew(dataset)
        votes: dict[int, list[_Vote]] = {row.pk: [] for row in rows}
        found = Label.objects.filter(
            pk__lte=dataset.labels_up_to, assignment__comparison__in=list(votes)
        ).values_list(
            "assignment__comparison_id",
            "assignment__annotator__email",
            "assignment__swapped",
            "choice",
            "strength",
        )
        for vote in map(_Vote._make, found):
            votes[vote.comparison].append(vote)
        for row in rows:
            yield row, votes[row.pk]


def _pair(found: list[tuple[_Row, list[_Vote]]], salt: str) -> formats.Pair:
    """Return one pair from the comparisons that stand for it, the latest version last."""
    row, _ = found[-1]
    first, second = sorted(
        (
            formats.Answer(row.a_digest, row.a_text, row.a_model),
            formats.Answer(row.b_digest, row.b_text, row.b_model),
        ),
        key=lambda answer: answer.digest,
    )
    # The split is computed anew from the words: the stored column alone is not trusted here.
    split = split_by_words(row.prompt)
    votes: dict[str, formats.Vote] = {}
    for comparison, cast in found:
        turned = comparison.a_digest > comparison.b_digest
        for vote in cast:
            name = _pseudonym(salt, vote.email)
            votes[name] = formats.Vote(
                annotator=name,
                choice=_in_order(vote.choice, turned=turned),
                strength=vote.strength,
                first_on_left=vote.swapped == turned,
            )
    return formats.Pair(
        digest=pair_digest(
            prompt=row.prompt_digest,
            responses=(row.a_digest, row.b_digest),
            principle_key=row.principle_key,
        ),
        split=split if split == row.split else f"{row.split}, by its words {split}",
        prompt=row.prompt,
        prompt_digest=row.prompt_digest,
        first=first,
        second=second,
        principle_key=row.principle_key,
        hazard_codes=tuple(row.hazard_codes),
        language=row.language,
        licence=row.licence,
        votes=tuple(votes.values()),
    )


def _in_order(choice: str, *, turned: bool) -> str:
    """Return a choice between A and B as one between the first and the second by digest."""
    if choice not in {Label.Choice.A, Label.Choice.B}:
        return choice
    return "first" if (choice == Label.Choice.A) != turned else "second"


def _pseudonym(salt: str, email: str) -> str:
    """Name an annotator within one version's datasets of one purpose, and nowhere else.

    The name follows from the site's secret and the e-mail address, so that it is the same in a
    database made anew, and says nothing to who lacks the secret.
    """
    message = f"folkmoot.annotator:{salt}:{email}".encode()
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()[:16]


def _renew(dataset: Dataset) -> None:
    """Keep the lease while rows are written.

    Raises:
        InvalidTransition: another worker took the dataset over.
    """
    mine = Dataset.objects.filter(
        pk=dataset.pk, status=Dataset.Status.FREEZING, attempts=dataset.attempts
    )
    if not mine.update(lease_until=_lease_end()):
        raise InvalidTransition("Another worker freezes this dataset.")


def _storage() -> Storage:
    return storages["artifacts"]


def _store(directory: Path, listing: dict[str, str]) -> None:
    """Put the files where their digest says; what lies there whole already is left alone."""
    key = f"datasets/{canonical.listing_digest(listing)}"
    storage = _storage()
    for name, digest in listing.items():
        path = f"{key}/{name}"
        if storage.exists(path):
            with storage.open(path) as stored:
                if _stream_digest(stored) == digest:
                    continue
            storage.delete(path)  # the rest of an attempt that was killed while it wrote
        with (directory / name).open("rb") as file:
            kept = storage.save(path, File(file, name=name))
        if kept != path:  # another attempt has put the same bytes there meanwhile
            storage.delete(kept)


def _stream_digest(file: IO[Any]) -> str:
    sha = hashlib.sha256()
    while block := file.read(1 << 20):
        sha.update(block)
    return sha.hexdigest()


@transaction.atomic
def finish(
    *, dataset_id: int, attempt: int, listing: dict[str, str], figures: formats.Figures
) -> Dataset:
    """Mark a dataset frozen; the report of a replaced attempt changes nothing."""
    dataset: Dataset = (
        Dataset.objects.select_for_update(of=("self",)).select_related("version").get(pk=dataset_id)
    )
    if not _is_current(dataset, attempt):
        return dataset
    digest = canonical.listing_digest(listing)
    move(
        dataset,
        Dataset.Status.FROZEN,
        digest=digest,
        listing=listing,
        pairs=figures.pairs,
        labels=figures.labels,
        figures=figures.summary(),
        lease_until=None,
        frozen_at=timezone.now(),
        error="",
    )
    audit.record(
        community_id=dataset.community_id,
        actor=None,
        verb=Verb.DATASET_FROZEN,
        subject=dataset,
        data={
            "number": dataset.number,
            "purpose": dataset.purpose,
            "digest": digest,
            "pairs": figures.pairs,
            "labels": figures.labels,
            "version_digest": dataset.version.digest,
        },
    )
    logger.info("dataset %s frozen by attempt %s", dataset.pk, attempt)
    return dataset


@transaction.atomic
def fail(*, dataset_id: int, attempt: int, sentence: str) -> Dataset:
    """Mark a dataset failed, with a sentence for people; a replaced attempt changes nothing."""
    dataset: Dataset = Dataset.objects.select_for_update().get(pk=dataset_id)
    if not _is_current(dataset, attempt):
        return dataset
    move(dataset, Dataset.Status.FAILED, error=sentence, lease_until=None)
    audit.record(
        community_id=dataset.community_id,
        actor=None,
        verb=Verb.DATASET_FAILED,
        subject=dataset,
        data={"number": dataset.number, "purpose": dataset.purpose},
    )
    return dataset


def _is_current(dataset: Dataset, attempt: int) -> bool:
    return dataset.status == Dataset.Status.FREEZING and dataset.attempts == attempt


def sweep() -> int:
    """Take up datasets that were dropped: lost nudges, and attempts whose lease ran out.

    Returns:
        How many were nudged.
    """
    now = timezone.now()
    dropped = Dataset.objects.filter(status="freezing", lease_until__lt=now)
    for pk in list(dropped.values_list("pk", flat=True)[:SWEEP_AT_MOST]):
        _requeue(pk, now)
    waiting = Dataset.objects.filter(
        requested_at__lt=now - timedelta(seconds=QUIET_SECONDS), status="queued"
    ).values_list("pk", flat=True)
    pks = list(waiting.order_by("pk")[:SWEEP_AT_MOST])
    for pk in pks:
        nudge(pk)
    return len(pks)


@transaction.atomic
def _requeue(dataset_id: int, now: datetime) -> None:
    """Put a dropped dataset back into the queue, or give it up after the last attempt."""
    dataset = (
        Dataset.objects.select_for_update(skip_locked=True)
        .filter(pk=dataset_id, status="freezing", lease_until__lt=now)
        .first()
    )
    if dataset is None:
        return
    if dataset.attempts >= MOST_ATTEMPTS:
        sentence = f"The worker was stopped {dataset.attempts} times while it froze this."
        fail(dataset_id=dataset.pk, attempt=dataset.attempts, sentence=sentence)
        return
    move(dataset, Dataset.Status.QUEUED, lease_until=None)


# --- reading --------------------------------------------------------------------------------------


def holds_hidden(dataset: Dataset) -> bool:
    """Say whether moderators have hidden something that a frozen dataset holds.

    Its bytes stay what their digest says; who may read them is asked anew each time. What was
    hidden before it was asked for is not in it.
    """
    hidden = Decision.objects.filter(
        item__community=dataset.community_id,
        action=Decision.Action.HIDE,
        decided_at__gte=dataset.requested_at,
    )
    prompts, responses = (
        hidden.filter(item__target=target).values("item__target_key")
        for target in (ReviewItem.Target.PROMPT, ReviewItem.Target.RESPONSE)
    )
    labels = Label.objects.filter(
        pk__lte=dataset.labels_up_to, assignment__comparison=OuterRef("pk")
    )
    return (
        Comparison.objects.filter(
            Q(prompt__in=prompts) | Q(response_a__in=responses) | Q(response_b__in=responses),
            Exists(labels),
            community_id=dataset.community_id,
            prompt__split=dataset.split,
        )
        .under(dataset.version)
        .exists()
    )


def open_file(dataset: Dataset, name: str) -> IO[bytes] | None:
    """Open one file of a frozen dataset; None where it has no such file."""
    if name not in dataset.listing:
        return None
    return _storage().open(f"{dataset.storage_key}/{name}")
