"""Pages of feedback: whole and part, who sees what, and what refusals look like."""

import hashlib
import re
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from feedback import freezing, review
from feedback.models import (
    Assignment,
    Comparison,
    Dataset,
    Decision,
    Label,
    Prompt,
    Report,
    ReviewItem,
)
from tests.factories.feedback import (
    AssignmentFactory,
    ComparisonFactory,
    DatasetFactory,
    LabelFactory,
    PromptFactory,
    ReportFactory,
    ResponseFactory,
    ReviewItemFactory,
    make_version,
    member,
)
from tests.factories.governance import CommunityFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def url(page, **kwargs):
    return reverse(page, kwargs={"slug": "moot", **kwargs})


def text(response):
    return response.content.decode()


@pytest.fixture
def as_annotator(client, annotator):
    client.force_login(annotator)
    return client


@pytest.fixture
def as_moderator(client, moderator):
    client.force_login(moderator)
    return client


@pytest.fixture
def as_steward(client, steward):
    client.force_login(steward)
    return client


# --- every page -----------------------------------------------------------------------------------

PAGES = [
    ("label_next", {}, "label-panel"),
    ("prompt_list", {}, "prompts"),
    ("prompt_add", {}, "prompt-form"),
    ("prompt_import", {}, "prompt-file-form"),
    ("review_queue", {}, "review-items"),
    ("review_log", {}, "decisions"),
    ("review_detail", {"pk": 0}, "review-panel"),
    ("dataset_list", {}, "datasets"),
    ("dataset_detail", {"number": 1}, "dataset-panel"),
]


@pytest.fixture
def furnished(community, version, honest):
    """Put one of everything into the community."""
    LabelFactory(assignment__comparison=ComparisonFactory(principle=honest))
    DatasetFactory(version=version, number=1)
    return ReportFactory(item=ReviewItemFactory(community=community)).item


def address(name, kwargs, item):
    return url(name, **{key: item.pk if key == "pk" else value for key, value in kwargs.items()})


@pytest.mark.parametrize(("name", "kwargs", "part"), PAGES)
def test_page_is_whole_and_in_part(as_steward, furnished, name, kwargs, part):
    where = address(name, kwargs, furnished)

    whole, partial = as_steward.get(where), as_steward.get(where, headers=HTMX)

    assert whole.status_code == partial.status_code == 200
    assert "<html" in text(whole)
    assert len(re.findall(r"<h1", text(whole))) == 1
    assert f'id="{part}"' in text(whole)
    assert "<html" not in text(partial)
    assert text(partial).strip().startswith("<section")
    assert f'id="{part}"' in text(partial)
    assert "HX-Request" in partial["Vary"]


@pytest.mark.parametrize(("name", "kwargs", "part"), PAGES)
def test_page_of_a_private_community_is_not_found_by_strangers(
    client, community, furnished, name, kwargs, part
):
    community.visibility = "private"
    community.save()
    client.force_login(UserFactory())

    assert client.get(address(name, kwargs, furnished)).status_code == 404


@pytest.mark.parametrize(("name", "kwargs", "part"), PAGES)
def test_page_asks_visitors_to_sign_in_or_shows_what_is_public(
    client, furnished, name, kwargs, part
):
    public = {"prompt_list", "review_log", "dataset_list", "dataset_detail"}

    response = client.get(address(name, kwargs, furnished))

    assert response.status_code == (200 if name in public else 302)


@pytest.mark.parametrize("name", ["prompt_list", "review_queue", "review_log", "dataset_list"])
def test_list_takes_as_many_queries_for_three_rows_as_for_one(
    as_steward, community, version, name, django_assert_num_queries
):
    def add():
        PromptFactory(community=community)
        item = ReviewItemFactory(community=community)
        review.claim(item_id=item.pk, moderator=member(community, "moderator"))
        ReportFactory(item=item)
        done = ReviewItemFactory(community=community, status="decided", claimed_by=UserFactory())
        Decision.objects.create(
            item=done,
            moderator=done.claimed_by,
            action="hide",
            reason="So.",
            principle=version.principles.first(),
            decided_at=done.created_at,
        )
        DatasetFactory(version=version)

    add()
    as_steward.get(url(name))
    with CaptureQueriesContext(connection) as one:
        as_steward.get(url(name))
    add()
    add()
    with django_assert_num_queries(len(one)):
        as_steward.get(url(name))


@pytest.mark.parametrize("name", ["prompt_list", "review_log", "dataset_list"])
def test_list_takes_nonsense_for_a_page(client, version, name):
    assert client.get(url(name), {"page": "nonsense"}).status_code == 200


def test_scripted_members_are_marked(client, community):
    PromptFactory(community=community, submitted_by=UserFactory(is_scripted=True))

    assert "scripted</span>" in text(client.get(url("prompt_list")))


# --- labelling ------------------------------------------------------------------------------------


def label(client, lease, *, headers=None, **fields):
    data = {
        "assignment": lease.pk,
        "idempotency_key": str(uuid.uuid4()),
        "choice": "a",
        "strength": "1",
        **fields,
    }
    data = {name: value for name, value in data.items() if value is not None}
    return client.post(url("label_next"), data, headers=headers or {})


@pytest.fixture
def lease(honest, annotator):
    return AssignmentFactory(
        comparison=ComparisonFactory(principle=honest, prompt__stem="Where is the sea?"),
        annotator=annotator,
        swapped=True,
    )


def test_label_next_shows_the_answers_on_their_sides(as_annotator, lease):
    page = text(as_annotator.get(url("label_next")))

    left = page.index(lease.comparison.response_b.text)
    right = page.index(lease.comparison.response_a.text)
    assert left < right
    assert "Say what is true." in page
    assert "Where is the sea?" in page


def test_label_next_keeps_the_prompt_out_of_the_title(as_annotator, lease):
    page = text(as_annotator.get(url("label_next")))

    title = re.search(r"<title>(.*?)</title>", page, re.DOTALL)[1]
    assert "sea" not in title


def test_label_next_covers_harm_tagged_text(as_annotator, lease):
    Prompt.objects.update(hazard_codes=["S1"])

    page = text(as_annotator.get(url("label_next")))

    for said in ("Where is the sea?", lease.comparison.response_a.text):
        before = page[: page.index(said)]
        assert before.rindex('<details class="veil"') > before.rfind("</details>")


def test_label_next_leaves_other_text_open(as_annotator, lease):
    assert 'class="veil"' not in text(as_annotator.get(url("label_next")))


def test_label_next_saves_and_goes_on_without_htmx(as_annotator, lease):
    response = label(as_annotator, lease, strength="3", note="So.")

    assert response.status_code == 302
    kept = Label.objects.get()
    assert (kept.choice, kept.strength, kept.note) == ("b", 3, "So.")


def test_label_next_saves_and_shows_the_next_with_htmx(as_annotator, lease, honest):
    ComparisonFactory(principle=honest, prompt__stem="What comes next?")

    response = label(as_annotator, lease, headers=HTMX)

    assert response.status_code == 200
    assert "What comes next?" in text(response)
    assert "<html" not in text(response)


def test_label_next_twice_with_one_key_is_one_label(as_annotator, lease):
    key = str(uuid.uuid4())

    codes = [label(as_annotator, lease, idempotency_key=key).status_code for _ in "12"]

    assert codes == [302, 302]
    assert Label.objects.count() == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"choice": None},
        {"choice": "left"},
        {"strength": "9"},
        {"note": "x" * 1001},
        {"idempotency_key": "nonsense"},
    ],
)
def test_label_next_refuses_with_a_sentence(as_annotator, lease, fields):
    response = label(as_annotator, lease, headers=HTMX, **fields)

    assert response.status_code == 422
    assert not Label.objects.exists()


def test_label_next_refuses_a_second_answer(as_annotator, lease):
    label(as_annotator, lease)

    response = label(as_annotator, lease)

    assert response.status_code == 422
    assert "notice-warn" in text(response)


def test_label_next_skips_with_a_reason_and_no_choice(as_annotator, lease):
    response = label(as_annotator, lease, choice=None, skip="1", skip_reason="upsetting")

    assert response.status_code == 302
    lease.refresh_from_db()
    assert (lease.status, lease.skip_reason) == ("skipped", "upsetting")


def test_label_next_does_not_know_other_peoples_leases(as_annotator, honest, version):
    theirs = AssignmentFactory(comparison=ComparisonFactory(principle=honest))
    elsewhere = make_version(CommunityFactory()).principles.first()
    foreign = AssignmentFactory(
        comparison=ComparisonFactory(principle=elsewhere),
        annotator=Assignment.objects.get().annotator,
    )

    assert label(as_annotator, theirs).status_code == 404
    assert label(as_annotator, foreign).status_code == 404


def test_label_next_tells_progress(as_annotator, annotator, honest):
    for choice in ("a", "b"):
        comparison = ComparisonFactory(principle=honest, labels_wanted=3)
        LabelFactory(
            assignment__comparison=comparison, assignment__annotator=annotator, choice=choice
        )
        for _ in "12":
            LabelFactory(assignment__comparison=comparison, choice="a")

    page = text(as_annotator.get(url("label_next")))

    assert "50.0" in page
    assert "of 2 finished comparisons" in page


def test_label_next_invites_those_who_are_not_in(client, version):
    client.force_login(UserFactory())

    response = client.get(url("label_next"))

    assert response.status_code == 200
    assert "For members" in text(response)
    assert client.post(url("label_next"), {}).status_code == 200
    assert not Assignment.objects.exists()


# --- prompts --------------------------------------------------------------------------------------


def test_prompt_list_leaves_out_what_is_hidden_and_covers_what_is_tagged(client, community):
    PromptFactory(community=community, hidden=True, stem="A hidden thing")
    PromptFactory(community=community, hazard_codes=["S1"], stem="A tagged thing")

    page = text(client.get(url("prompt_list")))

    assert "A hidden thing" not in page
    before = page[: page.index("A tagged thing")]
    assert before.rindex('<details class="veil"') > before.rfind("</details>")


def test_prompt_list_shows_only_this_community(client, community):
    PromptFactory(stem="From elsewhere")

    assert "From elsewhere" not in text(client.get(url("prompt_list")))


ADDED = {"text": "How deep is the sea?", "language": "en", "licence": "CC0-1.0"}


def test_prompt_add_adds_a_prompt(as_annotator, community):
    response = as_annotator.post(url("prompt_add"), {**ADDED, "hazard_codes": ["S1", "S10"]})

    assert response.status_code == 302
    assert Prompt.objects.get().hazard_codes == ["S1", "S10"]


@pytest.mark.parametrize("fields", [{"text": " "}, {"hazard_codes": ["<b>"]}, {"language": "?"}])
def test_prompt_add_refuses_with_422(as_annotator, fields):
    assert as_annotator.post(url("prompt_add"), {**ADDED, **fields}).status_code == 422
    assert not Prompt.objects.exists()


def test_prompt_add_names_the_hazards(as_annotator, community):
    assert "Suicide and self-harm (S11)" in text(as_annotator.get(url("prompt_add")))


def test_prompt_list_names_what_it_shows(client, community):
    PromptFactory(community=community, source="Our forum", hazard_codes=["S11"])

    page = text(client.get(url("prompt_list")))

    assert "Language: en" in page
    assert "Source: Our forum" in page
    assert "Suicide and self-harm" in page
    assert ">S11<" not in page


def test_report_create_says_who_sees_the_reporter(as_annotator, community):
    page = text(as_annotator.get(reporting(PromptFactory(community=community))))

    assert "The moderators see that it was you" in page


def test_review_log_leads_members_to_no_review(as_annotator, community):
    item = ReviewItemFactory(community=community, status="decided", claimed_by=UserFactory())
    Decision.objects.create(
        item=item,
        moderator=item.claimed_by,
        action="keep",
        reason="It is useful.",
        decided_at=item.created_at,
    )

    page = text(as_annotator.get(url("review_log")))

    assert "It is useful." in page
    assert item.get_absolute_url() not in page


def test_prompt_add_refuses_strangers(client, community):
    client.force_login(UserFactory())

    response = client.post(url("prompt_add"), ADDED)

    assert response.status_code == 422
    assert not Prompt.objects.exists()


def upload(client, content, name="prompts.jsonl"):
    return client.post(url("prompt_import"), {"file": SimpleUploadedFile(name, content)})


def test_prompt_import_imports_a_file(as_steward):
    assert upload(as_steward, b'{"text": "One?"}\n{"text": "Two?"}').status_code == 302
    assert Prompt.objects.count() == 2


def test_prompt_import_names_the_bad_line_and_imports_nothing(as_steward):
    response = upload(as_steward, b'{"text": "One?"}\nnonsense')

    assert response.status_code == 422
    assert "Line 2: not JSON." in text(response)
    assert not Prompt.objects.exists()


def test_prompt_import_without_a_file_and_by_members_is_refused(client, as_annotator):
    assert client.post(url("prompt_import"), {}).status_code == 422
    assert upload(as_annotator, b'{"text": "One?"}').status_code == 422


# --- reviews --------------------------------------------------------------------------------------


def reporting(content, target="prompt"):
    return f"{url('report_create')}?target={target}&key={content.pk}"


def test_report_create_reports(as_annotator, community):
    where = reporting(PromptFactory(community=community))

    assert as_annotator.get(where).status_code == 200
    assert as_annotator.post(where, {"reason": "spam", "note": ""}).status_code == 302
    assert Report.objects.get().reason == "spam"


def test_report_create_covers_the_text(as_annotator, community):
    page = text(as_annotator.get(reporting(PromptFactory(community=community, stem="Ugly"))))

    assert page.index('<details class="veil"') < page.index("Ugly")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?target=prompt&key=x",
        "?target=prompt&key=99999999999999999999",
        "?target=prompt&key=1",
        "?target=user&key=1",
        "?target=prompt&key=²",
    ],
)
def test_report_create_of_nothing_is_not_found(as_annotator, query):
    assert as_annotator.get(url("report_create") + query).status_code == 404


def test_report_create_of_foreign_or_hidden_content_is_not_found(as_annotator, community):
    for prompt in (PromptFactory(), PromptFactory(community=community, hidden=True)):
        assert as_annotator.get(reporting(prompt)).status_code == 404


def test_report_create_shows_no_answer_to_a_hidden_prompt(as_annotator, community):
    answer = ResponseFactory(prompt__community=community, prompt__hidden=True)

    assert as_annotator.get(reporting(answer, "response")).status_code == 404


def test_report_create_without_a_reason_is_refused(as_annotator, community):
    where = reporting(PromptFactory(community=community))

    assert as_annotator.post(where, {}).status_code == 422


def test_review_queue_leads_others_to_the_log(as_annotator):
    assert as_annotator.get(url("review_queue")).url == url("review_log")


def test_review_detail_is_for_moderators(as_annotator, furnished):
    where = url("review_detail", pk=furnished.pk)

    assert as_annotator.get(where).status_code == 404
    assert as_annotator.post(where, {"act": "claim"}).status_code == 404


def test_review_detail_goes_from_claim_to_decision(as_moderator, community, version):
    prompt = PromptFactory(community=community)
    item = ReviewItemFactory(community=community, target_key=prompt.pk)
    where = url("review_detail", pk=item.pk)

    assert as_moderator.post(where, {"act": "claim"}).url == where
    assert as_moderator.post(where, {"act": "unclaim"}).url == where
    as_moderator.post(where, {"act": "claim"})
    decided = as_moderator.post(
        where,
        {"act": "decide", "action": "hide", "reason": "It harms.", "principle_key": "careful"},
    )

    assert decided.url == url("review_queue")
    prompt.refresh_from_db()
    assert prompt.hidden
    log = text(as_moderator.get(url("review_log")))
    assert "It harms." in log
    assert f'href="{where}"' in log
    assert f'href="{version.get_absolute_url()}#principle-careful"' in log
    assert "What was said." not in log
    assert "It harms." in text(as_moderator.get(where))


def test_review_detail_covers_the_snapshot(as_moderator, furnished):
    page = text(as_moderator.get(url("review_detail", pk=furnished.pk)))

    assert page.index('<details class="veil"') < page.index("What was said.")


def test_review_detail_refuses_with_a_sentence(as_moderator, community, steward, furnished):
    review.claim(item_id=furnished.pk, moderator=steward)

    response = as_moderator.post(url("review_detail", pk=furnished.pk), {"act": "claim"})

    assert response.status_code == 422
    assert f"{steward} is reviewing this." in text(response)


@pytest.mark.parametrize("data", [{}, {"act": "burn"}])
def test_review_detail_knows_no_other_act(as_moderator, furnished, data):
    assert as_moderator.post(url("review_detail", pk=furnished.pk), data).status_code == 404


def test_review_detail_needs_a_reason(as_moderator, moderator, furnished):
    review.claim(item_id=furnished.pk, moderator=moderator)

    response = as_moderator.post(
        url("review_detail", pk=furnished.pk), {"act": "decide", "action": "hide"}
    )

    assert response.status_code == 422
    assert not Decision.objects.exists()


def test_review_detail_leaves_own_content_to_others(as_moderator, moderator, community):
    prompt = PromptFactory(community=community, submitted_by=moderator)
    item = ReviewItemFactory(community=community, target_key=prompt.pk)

    page = text(as_moderator.get(url("review_detail", pk=item.pk)))

    assert "your own content" in page
    assert 'value="claim"' not in page


def test_review_detail_of_another_community_is_not_found(as_moderator):
    item = ReviewItemFactory()

    assert as_moderator.get(url("review_detail", pk=item.pk)).status_code == 404


# --- datasets -------------------------------------------------------------------------------------


@pytest.fixture
def labelled_pairs(settings, honest):
    settings.RUN_MINIMUM_PAIRS = 2
    for _ in "123":
        comparison = ComparisonFactory(principle=honest)
        LabelFactory(assignment__comparison=comparison, choice="a")
        LabelFactory(assignment__comparison=comparison, choice="tie")


def test_dataset_list_freezes_for_stewards(as_steward, labelled_pairs):
    page = text(as_steward.get(url("dataset_list")))
    assert "Freeze training pairs" in page

    response = as_steward.post(url("dataset_list"), {"purpose": "training"})

    assert response.url == url("dataset_detail", number=1)
    assert Dataset.objects.get().status == "queued"


def test_dataset_list_refuses_too_few_pairs(as_steward, version):
    response = as_steward.post(url("dataset_list"), {"purpose": "training"})

    assert response.status_code == 422
    assert "0 pairs have a majority" in text(response)


def test_dataset_list_offers_nothing_to_members(as_annotator, labelled_pairs):
    assert "Freeze training" not in text(as_annotator.get(url("dataset_list")))
    assert as_annotator.post(url("dataset_list"), {"purpose": "training"}).status_code == 404
    assert not Dataset.objects.exists()


def test_dataset_detail_asks_again_until_it_is_over(as_steward, version):
    dataset = DatasetFactory(version=version, number=1)
    where = url("dataset_detail", number=1)
    assert 'hx-trigger="every 2s"' in text(as_steward.get(where, headers=HTMX))

    freezing.claim(dataset_id=dataset.pk)
    freezing.fail(dataset_id=dataset.pk, attempt=1, sentence="The disk is full.")

    page = text(as_steward.get(where, headers=HTMX))
    assert "hx-trigger" not in page
    assert "The disk is full." in page


@pytest.fixture
def frozen(community, steward, labelled_pairs):
    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")
    return freezing.build(dataset.pk)


def test_dataset_detail_shows_figures_and_files(as_annotator, frozen):
    page = text(as_annotator.get(url("dataset_detail", number=1)))

    assert frozen.digest[:12] in page
    assert "Krippendorff" in page
    assert "Be honest" in page
    for name, digest in frozen.listing.items():
        assert url("dataset_file", number=1, name=name) in page
        assert digest in page


def test_dataset_file_streams_what_the_digest_names(as_annotator, frozen):
    for name, digest in frozen.listing.items():
        response = as_annotator.get(url("dataset_file", number=1, name=name))
        assert hashlib.sha256(b"".join(response.streaming_content)).hexdigest() == digest
        assert response["Content-Disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize("name", ["nothing.txt", "..", "%2e%2e%2fsecrets"])
def test_dataset_file_gives_nothing_else(as_annotator, frozen, name):
    where = url("dataset_file", number=1, name="x")[:-1] + name

    assert as_annotator.get(where).status_code == 404


def test_dataset_file_is_for_members(client, frozen):
    where = url("dataset_file", number=1, name="README.md")
    assert client.get(where).status_code == 302

    client.force_login(MembershipFactory().user)

    assert client.get(where).status_code == 404


def test_dataset_detail_of_another_community_is_not_found(client, community):
    foreign = DatasetFactory(version=make_version(CommunityFactory()), number=5)

    assert client.get(url("dataset_detail", number=foreign.number)).status_code == 404


# --- claims that ran out, and what is hidden ------------------------------------------------------


@pytest.fixture
def lapsed(community, moderator):
    item = ReviewItemFactory(community=community)
    review.claim(item_id=item.pk, moderator=moderator)
    ReviewItem.objects.filter(pk=item.pk).update(claim_expires_at=timezone.now())
    return item


def test_review_pages_show_a_claim_that_ran_out_as_waiting(client, steward, moderator, lapsed):
    client.force_login(steward)

    for where in (url("review_queue"), url("review_detail", pk=lapsed.pk)):
        page = text(client.get(where))
        assert "Waiting" in page
        assert "Being reviewed" not in page
        assert moderator.name not in page


def taken(client, where):
    """Ask for a file, and return only with which status it is answered."""
    response = client.get(where)
    if response.streaming:
        b"".join(response.streaming_content)  # which closes the file
    return response.status_code


def hide(comparison, part):
    content = comparison.prompt if part == "prompt" else getattr(comparison, part)
    person = member(comparison.community, "moderator")
    item = ReviewItemFactory(
        community=comparison.community,
        target="prompt" if part == "prompt" else "response",
        target_key=content.pk,
    )
    review.claim(item_id=item.pk, moderator=person)
    review.decide(item_id=item.pk, moderator=person, action="hide", reason="It harms.")


@pytest.mark.parametrize("part", ["prompt", "response_a", "response_b"])
def test_dataset_files_are_for_moderators_once_something_in_them_is_hidden(
    client, annotator, moderator, frozen, part
):
    hide(Comparison.objects.first(), part)
    where = url("dataset_file", number=1, name="README.md")

    client.force_login(annotator)
    page = text(client.get(url("dataset_detail", number=1)))
    refused = taken(client, where)
    client.force_login(moderator)

    assert "Moderators have hidden something in it" in page
    assert where not in page
    assert refused == 404
    assert taken(client, where) == 200


def test_dataset_files_stay_with_members_when_what_is_hidden_is_not_in_them(
    as_annotator, frozen, honest
):
    hide(ComparisonFactory(principle=honest), "prompt")

    assert taken(as_annotator, url("dataset_file", number=1, name="README.md")) == 200


def test_a_dataset_frozen_after_the_hiding_is_open_to_members(
    as_annotator, community, steward, labelled_pairs
):
    hide(Comparison.objects.first(), "prompt")
    dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose="training")
    freezing.build(dataset.pk)

    assert taken(as_annotator, url("dataset_file", number=1, name="README.md")) == 200
