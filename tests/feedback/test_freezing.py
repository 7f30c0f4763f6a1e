"""Datasets: what may enter, the same bytes from the same labels, and the row as outbox."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Event

import pyarrow.parquet as pq
import pytest
from django.core.files.storage import storages
from django.db import connection, transaction
from django.utils import timezone

from feedback import formats, freezing, labelling, tasks
from feedback.models import Assignment, Dataset, Label, Prompt
from governance import canonical
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent
from tests.factories.feedback import (
    PRINCIPLES,
    AssignmentFactory,
    ComparisonFactory,
    DatasetFactory,
    LabelFactory,
    PromptFactory,
    ResponseFactory,
    make_version,
    member,
)
from tests.factories.governance import CommunityFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few_pairs_will_do(settings):
    settings.RUN_MINIMUM_PAIRS = 2


def labelled(principle, *choices, n=0, split="train", people=None, swapped=False):
    """Return a comparison whose content depends on `n` only, with these labels."""
    prompt = PromptFactory(
        community=principle.version.constitution.community, stem=f"Q{n}", split=split
    )
    a, b = sorted(
        (ResponseFactory.build(prompt=prompt, text=f"{side} {n}") for side in ("plain", "guided")),
        key=lambda response: response.digest,
    )
    a.save()
    b.save()
    comparison = ComparisonFactory(
        prompt=prompt, response_a=a, response_b=b, principle=principle, labels_wanted=9
    )
    people = people or [None] * len(choices)
    for choice, person in zip(choices, people, strict=True):
        LabelFactory(
            assignment__comparison=comparison,
            assignment__annotator=person or UserFactory(),
            assignment__swapped=swapped,
            choice=choice,
        )
    return comparison


def freeze(community, actor, purpose="training"):
    dataset = freezing.queue_freeze(community_id=community.pk, actor=actor, purpose=purpose)
    return freezing.build(dataset.pk)


def table(dataset, name="train-00000.parquet"):
    with storages["artifacts"].open(f"{dataset.storage_key}/{name}") as file:
        return pq.read_table(file).to_pylist()


# --- queueing -------------------------------------------------------------------------------------


def test_queue_freeze_numbers_datasets_and_freezes_the_labels(community, honest, steward):
    last = [labelled(honest, "a", n=n) for n in range(3)][-1].assignments.get().label

    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")

    assert (dataset.number, dataset.status, dataset.labels_up_to) == (1, "queued", last.pk)


def test_freezing_enters_its_labels_into_the_trail_first(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(3)]

    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")
    tasks.freeze_dataset(dataset.pk)

    assert list(AuditEvent.objects.values_list("verb", flat=True)) == [
        "dataset.queued",
        "labels.recorded",
        "dataset.frozen",
    ]


def test_queue_freeze_nudges_a_worker_after_the_commit(
    community, honest, steward, monkeypatch, django_capture_on_commit_callbacks
):
    sent = []
    monkeypatch.setattr(freezing, "nudge", sent.append)
    [labelled(honest, "a", n=n) for n in range(3)]

    with django_capture_on_commit_callbacks(execute=True):
        dataset = freezing.queue_freeze(
            community_id=community.pk, actor=steward, purpose="training"
        )
        assert sent == []

    assert sent == [dataset.pk]


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_queue_freeze_refuses_all_but_stewards(community, honest, role):
    with pytest.raises(NotPermitted):
        freezing.queue_freeze(
            community_id=community.pk, actor=member(community, role), purpose="training"
        )


def test_queue_freeze_refuses_too_few_pairs(community, honest, steward):
    labelled(honest, "a", n=1)
    labelled(honest, "a", "b", n=2)
    labelled(honest, "a", n=3, split="evaluation")

    with pytest.raises(BadInput, match="1 pairs have a majority"):
        freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")

    assert not Dataset.objects.exists()


def test_queue_freeze_refuses_without_a_version_or_purpose(community, steward):
    for purpose in ("training", "fun"):
        with pytest.raises(BadInput):
            freezing.queue_freeze(community_id=community.pk, actor=steward, purpose=purpose)


def test_queue_freeze_refuses_a_second_of_its_kind_while_one_waits(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(3)]
    freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")

    with pytest.raises(InvalidTransition):
        freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")


def test_preview_counts_pairs_contested_and_labels(community, honest, version):
    labelled(honest, "a", "a", "b", n=1)
    labelled(honest, "a", "b", "tie", n=2)
    labelled(honest, n=3)
    labelled(honest, "b", n=4, split="evaluation")

    assert freezing.preview(version, "training") == freezing.Preview(1, 1, 6)
    assert freezing.preview(version, "evaluation") == freezing.Preview(1, 0, 1)


# --- what enters ----------------------------------------------------------------------------------


def test_build_freezes_a_directory_named_by_its_digest(community, honest, steward):
    [labelled(honest, "a", "a", "b", n=n) for n in range(3)]
    labelled(honest, "a", "b", n=9)

    dataset = freeze(community, steward)

    assert (dataset.status, dataset.pairs, dataset.labels) == ("frozen", 3, 11)
    assert dataset.digest == canonical.listing_digest(dataset.listing)
    folder = Path(storages["artifacts"].path(dataset.storage_key))
    assert canonical.directory_digest(folder) == dataset.digest
    assert set(dataset.listing) == set(formats.file_names("training"))
    assert dataset.figures["contested"] == 1
    event = AuditEvent.objects.get(verb="dataset.frozen")
    assert event.data == {
        "number": 1,
        "purpose": "training",
        "digest": dataset.digest,
        "pairs": 3,
        "labels": 11,
        "version_digest": dataset.version.digest,
    }


def test_build_takes_only_labels_from_before_it_was_queued(community, honest, steward):
    comparisons = [labelled(honest, "a", n=n) for n in range(3)]
    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")
    for comparison in comparisons:
        LabelFactory(assignment__comparison=comparison, choice="b")
    labelled(honest, "a", n=7)

    dataset = freezing.build(dataset.pk)

    assert (dataset.pairs, dataset.labels) == (3, 3)


def test_build_keeps_the_splits_apart(community, honest, steward):
    for n in range(4):
        labelled(honest, "a", n=n, split="train")
        labelled(honest, "a", n=n + 10, split="evaluation")

    training, held_out = freeze(community, steward), freeze(community, steward, "evaluation")

    trained = {row["prompt_digest"] for row in table(training)}
    held = {row["prompt_digest"] for row in table(held_out, "heldout-00000.parquet")}
    assert len(trained) == len(held) == 4
    assert not trained & held
    labels = {row["prompt_digest"] for row in table(training, "labels-00000.parquet")}
    assert labels == trained


def test_build_refuses_a_prompt_whose_split_was_tampered_with(community, honest, steward):
    [labelled(honest, "a", n=n, split="evaluation") for n in range(3)]
    Prompt.objects.update(split="train")
    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")

    with pytest.raises(formats.SplitLeak):
        freezing.build(dataset.pk)

    dataset.refresh_from_db()
    assert (dataset.status, dataset.digest) == ("failed", "")
    assert not Path(storages["artifacts"].path("datasets")).exists()


@pytest.mark.parametrize("part", ["prompt", "response_a", "response_b"])
def test_build_leaves_out_what_is_hidden(community, honest, steward, part):
    comparisons = [labelled(honest, "a", n=n) for n in range(3)]
    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")
    content = getattr(comparisons[0], part)
    content.hidden = True
    content.save()

    dataset = freezing.build(dataset.pk)

    hidden = comparisons[0].prompt.digest
    assert hidden not in {row["prompt_digest"] for row in table(dataset)}
    assert hidden not in {row["prompt_digest"] for row in table(dataset, "labels-00000.parquet")}


def test_build_fails_with_a_sentence_when_too_much_was_hidden(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(2)]
    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")
    Prompt.objects.update(hidden=True)

    dataset = freezing.build(dataset.pk)

    assert dataset.status == "failed"
    assert "0 pairs" in dataset.error


def test_build_leaves_out_labels_under_a_principle_that_was_edited(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(3)]
    edited = make_version(
        community, [{**PRINCIPLES[0], "text": "Say only what is true."}, PRINCIPLES[1]]
    )
    [labelled(edited.principles.get(key="honest"), "b", n=n + 10) for n in range(2)]

    dataset = freeze(community, steward)

    assert (dataset.pairs, dataset.version) == (2, edited)


def test_build_joins_labels_of_one_pair_under_two_versions(community, honest, steward):
    person = UserFactory()
    first = labelled(honest, "a", "a", n=0, people=[person, UserFactory()])
    labelled(honest, "a", n=1)
    later = make_version(community).principles.get(key="honest")
    again = ComparisonFactory(
        prompt=first.prompt,
        response_a=first.response_b,
        response_b=first.response_a,
        principle=later,
    )
    LabelFactory(assignment__comparison=again, assignment__annotator=person, choice="a")
    LabelFactory(assignment__comparison=again, choice="b")

    rows = {row["prompt_digest"]: row for row in table(freeze(community, steward))}

    row = rows[first.prompt.digest]
    assert (row["n_labels"], row["votes_chosen"], row["votes_rejected"]) == (3, 2, 1)
    assert row["chosen"][0]["content"] == first.response_a.text


def test_build_leaves_notes_and_names_out(community, honest, steward):
    for n in range(3):
        comparison = labelled(honest, n=n)
        LabelFactory(
            assignment__comparison=comparison,
            assignment__annotator=UserFactory(email=f"named{n}@example.org"),
            note="a private remark",
        )
    dataset = freeze(community, steward)

    folder = Path(storages["artifacts"].path(dataset.storage_key))
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    everything += json.dumps(table(dataset, "labels-00000.parquet")).encode()
    assert b"a private remark" not in everything
    assert b"named1" not in everything


def test_pseudonyms_of_the_two_purposes_cannot_be_joined(community, honest, steward):
    person = UserFactory()
    for n in range(2):
        labelled(honest, "a", n=n, people=[person])
        labelled(honest, "a", n=n, split="evaluation", people=[person])

    names = [
        {row["annotator"] for row in table(freeze(community, steward, p), "labels-00000.parquet")}
        for p in ("training", "evaluation")
    ]

    assert len(names[0]) == len(names[1]) == 1
    assert not names[0] & names[1]


# --- the same bytes -------------------------------------------------------------------------------


def a_community(order, *, flip=False):
    """Build one community's labels anew, its rows inserted in `order`."""
    people = [f"p{n}@example.org" for n in range(3)]
    community = CommunityFactory(slug="the-same")
    version = make_version(community, number=1)
    honest, careful = version.principles.order_by("key").reverse()
    choices = [["a", "a", "b"], ["b", "tie", "b"], ["a", "b", "both_bad"], ["b", "a", "a"]]
    users = {}
    for n in order:
        votes = list(zip(choices[n % 4], people, strict=True))
        if order[0]:
            votes.reverse()
        comparison = labelled(honest if n % 2 else careful, n=n)
        for choice, email in votes:
            users[email] = users.get(email) or UserFactory(email=email)
            lease = AssignmentFactory(
                comparison=comparison,
                annotator=users[email],
                swapped=(n + len(email + choice)) % 2 == 0,
            )
            if flip:
                lease.swapped = not lease.swapped
                lease.save()
            shown = {"a": "left", "b": "right"}.get(choice, choice)
            if lease.swapped and shown in {"left", "right"}:
                shown = "right" if shown == "left" else "left"
            labelling_member = member_once(community, users[email])
            labelling.submit_label(
                assignment_id=lease.pk, annotator=labelling_member, choice=shown, strength=1 + n % 3
            )
    return community


def member_once(community, user):
    if not community.memberships.filter(user=user).exists():
        member(community, user=user)
    return user


def frozen_anew(order, **fields):
    """Return the dataset frozen in a database made anew, which is then thrown away."""
    with transaction.atomic():
        community = a_community(order, **fields)
        dataset = freeze(community, member(community, "steward"))
        rows = table(dataset)
        transaction.set_rollback(True)
    return dataset, rows


def test_the_same_labels_give_the_same_bytes_whatever_the_rows_keys_and_order():
    first, _ = frozen_anew([0, 1, 2, 3, 4, 5, 6, 7])
    second, _ = frozen_anew([5, 2, 7, 0, 6, 1, 4, 3])

    assert first.listing == second.listing
    assert first.digest == second.digest
    assert first.pk != second.pk


def test_freezing_twice_gives_the_same_digest(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(3)]

    first, second = freeze(community, steward), freeze(community, steward)

    assert (first.number, second.number) == (1, 2)
    assert first.digest == second.digest


def test_other_labels_give_another_digest(community, honest, steward):
    comparison = labelled(honest, "a", n=0)
    [labelled(honest, "a", n=n) for n in (1, 2)]
    first = freeze(community, steward)
    LabelFactory(assignment__comparison=comparison, choice="a")

    assert freeze(community, steward).digest != first.digest


def test_swapped_sides_and_choices_leave_every_aggregate_alone():
    _, rows = frozen_anew(list(range(8)))
    flipped, flipped_rows = frozen_anew(list(range(8)), flip=True)

    assert rows == flipped_rows
    assert flipped.figures == frozen_anew(list(range(8)))[0].figures


# --- the row as outbox ----------------------------------------------------------------------------


def test_build_of_a_dataset_that_is_over_does_nothing(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(3)]
    dataset = freeze(community, steward)

    assert freezing.build(dataset.pk) is None


@pytest.mark.django_db(transaction=True)
def test_claim_goes_to_one_worker(version):
    datasets = [DatasetFactory(version=version) for _ in range(20)]
    together = Barrier(4)

    def work(_):
        try:
            connection.ensure_connection()
            claimed = 0
            for dataset in datasets:
                together.wait(10)
                claimed += freezing.claim(dataset_id=dataset.pk) is not None
            return claimed
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 20


def test_finish_of_a_replaced_attempt_changes_nothing(version):
    dataset = DatasetFactory(version=version)
    freezing.claim(dataset_id=dataset.pk)

    for attempt in (0, 2):
        freezing.finish(
            dataset_id=dataset.pk, attempt=attempt, listing={}, figures=formats.Figures()
        )
        freezing.fail(dataset_id=dataset.pk, attempt=attempt, sentence="no")

    dataset.refresh_from_db()
    assert dataset.status == "freezing"


def test_write_stops_when_another_worker_took_over(community, honest, steward, tmp_path):
    [labelled(honest, "a", n=n) for n in range(3)]
    queued = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")
    dataset = freezing.claim(dataset_id=queued.pk)
    Dataset.objects.update(attempts=2)

    with pytest.raises(InvalidTransition):
        freezing.write(dataset, tmp_path)


def test_build_repairs_files_of_an_attempt_that_was_killed(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(3)]
    first = freeze(community, steward)
    torn = Path(storages["artifacts"].path(first.storage_key)) / "manifest.json"
    torn.write_text("half of")

    second = freeze(community, steward)

    assert canonical.directory_digest(torn.parent) == second.digest


def test_sweep_nudges_what_waits(version, monkeypatch):
    sent = []
    monkeypatch.setattr(freezing, "nudge", sent.append)
    old = DatasetFactory(version=version, requested_at=timezone.now() - timedelta(minutes=1))
    DatasetFactory(version=version)

    assert freezing.sweep() == 1
    assert sent == [old.pk]


def test_sweep_takes_up_a_dropped_attempt_and_gives_up_after_three(version, monkeypatch):
    monkeypatch.setattr(freezing, "nudge", [].append)
    dataset = DatasetFactory(version=version)
    states = []
    for _ in range(3):
        freezing.claim(dataset_id=dataset.pk)
        Dataset.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        freezing.sweep()
        dataset.refresh_from_db()
        states.append(dataset.status)

    assert states == ["queued", "queued", "failed"]
    assert AuditEvent.objects.get().verb == "dataset.failed"


def test_sweep_leaves_a_live_attempt_alone(version, monkeypatch):
    monkeypatch.setattr(freezing, "nudge", [].append)
    dataset = DatasetFactory(version=version)
    freezing.claim(dataset_id=dataset.pk)

    freezing.sweep()

    dataset.refresh_from_db()
    assert dataset.status == "freezing"


# --- tasks ----------------------------------------------------------------------------------------


def test_tasks_do_their_verbs(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(3)]
    AssignmentFactory(comparison=labelled(honest, n=5), late=True)
    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")
    LabelFactory(assignment__comparison=labelled(honest, n=6))

    tasks.expire_leases()
    tasks.record_label_batches()
    tasks.freeze_dataset(dataset.pk)
    tasks.sweep_datasets()

    assert Assignment.objects.filter(status="expired").count() == 1
    assert not Label.objects.filter(recorded=False).exists()
    dataset.refresh_from_db()
    assert dataset.status == "frozen"


@pytest.mark.django_db(transaction=True)
def test_queue_freeze_waits_for_labels_that_are_being_written(community, honest, steward):
    [labelled(honest, "a", n=n) for n in range(2)]
    late, later = labelled(honest, n=5), labelled(honest, n=6)
    written, go_on = Event(), Event()

    def slow_label():
        try:
            with transaction.atomic():
                LabelFactory(assignment__comparison=late)
                written.set()
                go_on.wait(10)
        finally:
            connection.close()

    def queue():
        try:
            return freezing.queue_freeze(
                community_id=community.pk, actor=steward, purpose="training"
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(slow_label)
        written.wait(10)
        LabelFactory(assignment__comparison=later)
        queued = pool.submit(queue)
        try:
            with pytest.raises(TimeoutError):
                queued.result(timeout=0.5)
        finally:
            go_on.set()
        slow.result(10)
        dataset = freezing.build(queued.result(10).pk)

    assert (dataset.pairs, dataset.labels) == (4, 4)


@pytest.mark.django_db(transaction=True)
def test_queue_freeze_at_once_makes_one_dataset(community, honest):
    [labelled(honest, "a", n=n) for n in range(2)]
    people = [member(community, "steward") for _ in range(4)]

    def work(person):
        try:
            freezing.queue_freeze(community_id=community.pk, actor=person, purpose="training")
        except InvalidTransition:
            return 0
        else:
            return 1
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, people)) == 1
    assert Dataset.objects.count() == 1


def test_queue_freeze_counts_before_it_locks(community, honest, steward, monkeypatch):
    labelled(honest, "a", n=1)
    labelled(honest, "a", n=2)
    counted, held = freezing.preview, []

    def preview(version, purpose):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM pg_locks WHERE relation = 'feedback_label'::regclass"
                " AND pid = pg_backend_pid() AND mode = 'ShareLock'"
            )
            held.append(cursor.fetchone())
        return counted(version, purpose)

    monkeypatch.setattr(freezing, "preview", preview)
    freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")

    assert held == [None]
