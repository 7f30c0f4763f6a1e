"""The API of feedback: the same verbs as the pages."""

import json
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from feedback import review
from feedback.models import Assignment, Dataset, Decision, Label, Prompt, Report, ReviewItem
from tests.factories.feedback import (
    AssignmentFactory,
    ComparisonFactory,
    DatasetFactory,
    LabelFactory,
    PromptFactory,
    ReportFactory,
    ReviewItemFactory,
)
from tests.factories.governance import UserFactory

pytestmark = pytest.mark.django_db


def url(name, **kwargs):
    return reverse(name, kwargs={"slug": "moot", **kwargs})


def post(client, name, data=None, **kwargs):
    return client.post(url(name, **kwargs), json.dumps(data or {}), "application/json")


@pytest.fixture
def as_annotator(client, annotator):
    client.force_login(annotator)
    return client


def test_prompts_are_listed_and_added(as_annotator, community):
    PromptFactory(community=community, hidden=True)

    added = post(as_annotator, "api-prompts", {"text": "Why?", "hazard_codes": ["S1"]})

    assert added.status_code == 201
    listed = as_annotator.get(url("api-prompts")).json()
    assert [row["text"] for row in listed["results"]] == ["Why?"]
    assert listed["results"][0]["submitted_by"].keys() == {"id", "name", "is_scripted"}


def test_prompts_refuse_with_400_403_and_409(client, as_annotator):
    assert post(as_annotator, "api-prompts", {"text": ""}).status_code == 400
    post(as_annotator, "api-prompts", {"text": "Why?"})
    twice = post(as_annotator, "api-prompts", {"text": "why?"})
    assert (twice.status_code, twice.json()) == (
        409,
        {"detail": "This prompt is in the list already."},
    )
    client.force_login(UserFactory())
    assert post(client, "api-prompts", {"text": "Who?"}).status_code == 403


def test_prompt_import_takes_a_file(client, steward):
    client.force_login(steward)

    def send(content):
        file = SimpleUploadedFile("p.jsonl", content)
        return client.post(url("api-prompt-import"), {"file": file})

    assert send(b'{"text": "One?"}').json() == {"new": 1}
    refused = send(b'{"text": "Two?"}\n{"text": ""}')
    assert (refused.status_code, "Line 2" in refused.json()["detail"]) == (409, True)
    assert Prompt.objects.count() == 1


def test_assignment_is_leased_shown_and_labelled(as_annotator, honest):
    ComparisonFactory(principle=honest)

    shown = post(as_annotator, "api-assignment-next").json()["assignment"]
    lease = Assignment.objects.get()
    pair = [lease.comparison.response_a.text, lease.comparison.response_b.text]
    assert [shown["left"]["text"], shown["right"]["text"]] == (
        pair[::-1] if lease.swapped else pair
    )
    assert shown["principle"]["key"] == "honest"
    assert "swapped" not in shown

    answer = {"choice": "left", "strength": 2, "idempotency_key": str(uuid.uuid4())}
    first = post(as_annotator, "api-label", answer, pk=shown["id"])
    again = post(as_annotator, "api-label", answer, pk=shown["id"])

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert Label.objects.get().choice == ("b" if lease.swapped else "a")
    assert post(as_annotator, "api-assignment-next").json() == {"assignment": None}


def test_assignment_is_skipped(as_annotator, annotator, honest):
    lease = AssignmentFactory(comparison=ComparisonFactory(principle=honest), annotator=annotator)

    assert post(as_annotator, "api-skip", {"reason": "unclear"}, pk=lease.pk).status_code == 204
    assert post(as_annotator, "api-label", {"choice": "tie"}, pk=lease.pk).status_code == 409


def test_assignment_of_another_person_is_not_found(as_annotator, honest):
    lease = AssignmentFactory(comparison=ComparisonFactory(principle=honest))

    assert post(as_annotator, "api-label", {"choice": "tie"}, pk=lease.pk).status_code == 404
    assert post(as_annotator, "api-skip", {"reason": "x"}, pk=lease.pk).status_code == 404


def test_report_is_kept(as_annotator, community):
    prompt = PromptFactory(community=community)
    data = {"target": "prompt", "target_key": prompt.pk, "reason": "hate"}

    assert post(as_annotator, "api-reports", data).status_code == 201
    assert Report.objects.get().reason == "hate"
    missing = post(as_annotator, "api-reports", {**data, "target_key": 2**62})
    assert missing.status_code == 404


def test_review_is_claimed_and_decided_by_moderators(client, community, version, moderator):
    prompt = PromptFactory(community=community)
    item = ReviewItemFactory(community=community, target_key=prompt.pk)
    ReportFactory.create_batch(2, item=item)
    client.force_login(moderator)

    listed = client.get(url("api-review")).json()["results"]
    assert [(row["id"], row["reports"]) for row in listed] == [(item.pk, 2)]
    assert client.get(url("api-review-item", pk=item.pk)).json()["snapshot"] == "What was said."
    assert post(client, "api-review-claim", pk=item.pk).json()["status"] == "claimed"
    assert post(client, "api-review-unclaim", pk=item.pk).json()["status"] == "open"
    decision = {"action": "hide", "reason": "It harms.", "principle_key": "careful"}
    assert post(client, "api-review-decide", decision, pk=item.pk).status_code == 409
    post(client, "api-review-claim", pk=item.pk)
    decided = post(client, "api-review-decide", decision, pk=item.pk)

    assert (decided.status_code, decided.json()["principle_key"]) == (201, "careful")
    assert Decision.objects.count() == 1
    client.logout()
    assert client.get(url("api-review-log")).json()["results"][0]["reason"] == "It harms."


@pytest.mark.parametrize("name", ["api-review-claim", "api-review-unclaim", "api-review-decide"])
def test_review_is_not_found_by_members(as_annotator, community, name):
    item = ReviewItemFactory(community=community)

    assert post(as_annotator, name, pk=item.pk).status_code == 404
    assert as_annotator.get(url("api-review")).status_code == 404


def test_datasets_are_listed_shown_and_queued(client, settings, steward, annotator, honest):
    settings.RUN_MINIMUM_PAIRS = 1
    LabelFactory(assignment__comparison=ComparisonFactory(principle=honest))
    client.force_login(annotator)
    assert post(client, "api-datasets", {"purpose": "training"}).status_code == 403
    client.force_login(steward)

    queued = post(client, "api-datasets", {"purpose": "training"})

    assert (queued.status_code, queued.json()["status"]) == (201, "queued")
    assert post(client, "api-datasets", {"purpose": "training"}).status_code == 409
    assert client.get(url("api-datasets")).json()["count"] == Dataset.objects.count() == 1
    assert client.get(url("api-dataset", number=1)).json()["purpose"] == "training"
    assert client.get(url("api-dataset", number=2)).status_code == 404


@pytest.mark.parametrize("name", ["api-prompts", "api-review-log", "api-datasets"])
def test_lists_of_a_private_community_are_not_found_by_strangers(client, community, version, name):
    community.visibility = "private"
    community.save()

    assert client.get(url(name)).status_code == 404


@pytest.mark.parametrize(
    "name", ["api-assignment-next", "api-prompt-import", "api-reports", "api-prompts"]
)
def test_writing_needs_a_person(client, community, name):
    assert post(client, name).status_code == 401


@pytest.mark.parametrize("name", ["api-prompts", "api-review", "api-review-log", "api-datasets"])
def test_list_takes_as_many_queries_for_three_rows_as_for_one(
    client, community, version, moderator, name
):
    client.force_login(moderator)
    counts = []
    for number in (1, 2):
        for _ in range(number):
            PromptFactory(community=community)
            ReportFactory(item=ReviewItemFactory(community=community))
            done = ReviewItemFactory(
                community=community, status="decided", claimed_by=UserFactory()
            )
            Decision.objects.create(
                item=done,
                moderator=done.claimed_by,
                action="keep",
                reason="So.",
                decided_at=done.created_at,
            )
            DatasetFactory(version=version)
        client.get(url(name))
        with CaptureQueriesContext(connection) as queries:
            client.get(url(name))
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_a_claim_that_ran_out_is_none(client, community, moderator, steward):
    item = ReviewItemFactory(community=community)
    review.claim(item_id=item.pk, moderator=moderator)
    client.force_login(steward)
    before = client.get(url("api-review-item", pk=item.pk)).json()
    ReviewItem.objects.filter(pk=item.pk).update(claim_expires_at=timezone.now())

    [listed] = client.get(url("api-review")).json()["results"]

    assert (before["status"], before["claimed_by"]["id"]) == ("claimed", moderator.pk)
    assert listed == client.get(url("api-review-item", pk=item.pk)).json()
    assert (listed["status"], listed["claimed_by"], listed["claim_expires_at"]) == (
        "open",
        None,
        None,
    )
