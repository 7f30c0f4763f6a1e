"""The front page: what is in force, what is open, what needs me, and how the model did."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from governance import voting
from governance.rules import DEFAULT_RULE
from principles import drafting
from tests.factories.feedback import ReviewItemFactory
from tests.factories.governance import MembershipFactory, PollFactory, UserFactory
from tests.factories.populated import ask, begin, ratify, soon
from tests.factories.principles import VersionFactory
from tests.factories.training_jobs import ModelFactory, RunFactory, frozen_dataset
from training_jobs.overview import community_overview

pytestmark = pytest.mark.django_db


def kinds(community, user):
    return [need.kind for need in community_overview(community, user)["needs"]]


def home(client, community):
    response = client.get(reverse("community_home", args=[community.slug]))
    assert response.status_code == 200
    return response.content.decode()


# --- what is shown --------------------------------------------------------------------------------


def test_overview_of_a_community_that_went_round_the_loop(populated):
    found = community_overview(populated.community, populated.people[1])

    assert found["stage"] == "done"
    assert found["members"] == 5
    assert found["version"] == populated.version
    assert [p.key for p in found["principles"]] == [
        p.key for p in populated.version.principles.order_by("position")
    ]
    assert found["polls"] == [populated.open_poll]
    assert found["polls"][0].has_voted is True
    assert found["release"] == populated.release
    assert found["evaluation"] == populated.evaluation
    assert found["difference"].value == 0.25
    assert [(words, [side["label"] for side in sides]) for words, sides in found["scores"]] == [
        ("Prefers what members chose, on held-out pairs", ["Before", "After"]),
        ("Declines harmless requests", ["Before", "After"]),
    ]
    assert found["events"][0].words == "began"


def test_overview_shows_announced_polls_after_open_ones(client):
    community = MembershipFactory().community
    announced = PollFactory(announced=True, community=community, title="Soon")
    opened = PollFactory(community=community, title="Now")
    for over in ({"closed": True}, {"due": True}, {"drafted": True}):
        PollFactory(community=community, **over)

    found = community_overview(community, AnonymousUser())

    assert found["polls"] == [opened, announced]
    assert "opens" in home(client, community).partition("Soon")[2]


def test_overview_never_shows_how_others_voted(populated):
    found = community_overview(populated.community, populated.people[2])

    assert found["polls"][0].has_voted is False


def test_overview_of_an_empty_community():
    community, steward, _ = begin()
    found = community_overview(community, steward)

    assert found["version"] is None
    assert found["release"] is None
    assert found["evaluation"] is None
    assert found["stage"] == "draft"
    assert [need.kind for need in found["needs"]] == ["next"]


def test_overview_lists_running_runs_first_and_no_chats():
    community, steward, _ = begin()
    queued = RunFactory(community=community)
    running = RunFactory(community=community, running=True, step=3, total=9)
    RunFactory(community=community, over=True)
    RunFactory(community=community, recipe="chat")
    RunFactory()

    assert community_overview(community, steward)["runs"] == [running, queued]


def test_overview_is_bounded():
    community, steward, _ = begin()
    for n in range(8):
        ask(community, steward, f"Question {n}?", DEFAULT_RULE)
        RunFactory(community=community)

    found = community_overview(community, steward)
    assert len(found["polls"]) == 6
    assert len(found["runs"]) == 4
    assert len(found["events"]) == 7


# --- the step of the loop -------------------------------------------------------------------------


def test_overview_follows_the_community_round_the_loop():
    community, steward, people = begin()

    def stage():
        return community_overview(community, steward)["stage"]

    assert stage() == "draft"
    draft = drafting.create_draft(
        community_id=community.pk, actor=steward, starter="careful-helper"
    )
    drafting.propose(draft_id=draft.pk, actor=steward, rule=DEFAULT_RULE, closes_at=soon())
    assert stage() == "vote"
    version = ratify(community, steward, people)
    assert stage() == "label"
    dataset = frozen_dataset(version)
    assert stage() == "train"
    ModelFactory(community=community, version=version, dataset=dataset)
    assert stage() == "evaluate"


# --- what needs me --------------------------------------------------------------------------------


def test_needs_are_for_members_only(populated):
    assert kinds(populated.community, AnonymousUser()) == []
    assert kinds(populated.community, UserFactory()) == []
    suspended = MembershipFactory(community=populated.community, status="suspended").user
    assert kinds(populated.community, suspended) == []


def test_needs_name_a_ballot_that_was_not_cast(populated):
    voter = populated.people[2]
    assert kinds(populated.community, voter) == ["ballot"]

    voting.cast_ballot(poll_id=populated.open_poll.pk, voter=voter, content="abstain")
    assert kinds(populated.community, voter) == []


def test_needs_do_not_name_polls_opened_before_one_joined(populated):
    newcomer = MembershipFactory(community=populated.community).user

    assert "ballot" not in kinds(populated.community, newcomer)


def test_needs_name_comparisons_that_wait_for_my_label(populated):
    comparison = populated.community.prompts.first().comparisons.get()
    comparison.labels_wanted = 4
    comparison.save(update_fields=["labels_wanted"])
    needs = community_overview(populated.community, populated.people[4])["needs"]

    assert [need.text for need in needs if need.kind == "labels"] == [
        "1 comparison waits for a label."
    ]
    assert "labels" not in kinds(populated.community, populated.people[0])


def test_needs_name_my_own_drafts(populated):
    assert kinds(populated.community, populated.people[1]) == ["draft"]
    assert "draft" not in kinds(populated.community, populated.people[2])


def test_needs_of_moderators_and_stewards():
    community, steward, people = begin()
    ReviewItemFactory(community=community)
    MembershipFactory(community=community, status="requested", joined_at=None)
    moderator = MembershipFactory(community=community, moderator=True).user

    assert kinds(community, people[1]) == []
    assert kinds(community, moderator) == ["review"]
    assert kinds(community, steward) == ["review", "requests", "next"]


# --- the page -------------------------------------------------------------------------------------


def test_home_shows_visitors_the_purpose_and_how_to_join(populated, client):
    text = home(client, populated.community)

    assert populated.community.purpose in text
    assert reverse("community_join", args=[populated.community.slug]) in text
    assert "Waiting for you" not in text
    assert "Cast your ballot" not in text


@pytest.mark.parametrize(
    ("joining", "words"),
    [("open", ">Join<"), ("request", "Ask to join"), ("invite", "Joined by invitation")],
)
def test_home_says_how_one_joins(client, joining, words):
    community, _, _ = begin()
    type(community).objects.filter(pk=community.pk).update(joining=joining)

    assert words in home(client, community)


def test_home_tells_those_who_asked_that_they_wait(client):
    community, _, _ = begin()
    place = MembershipFactory(community=community, status="requested", joined_at=None)
    client.force_login(place.user)

    assert "You asked to join" in home(client, community)


def test_home_shows_members_all_of_it_at_a_glance(populated, client):
    client.force_login(populated.people[2])
    text = home(client, populated.community)

    assert "Waiting for you" in text
    assert populated.version.get_absolute_url() in text
    for principle in populated.version.principles.all():
        assert f"#principle-{principle.key}" in text
    assert "Cast your ballot" in text
    assert populated.evaluation.get_absolute_url() in text
    assert "Talk to it" in text
    assert "The whole interval of the change lies above zero." in text
    assert "scripted" in text


def test_home_sends_its_part_alone_to_htmx(populated, client):
    url = reverse("community_home", args=[populated.community.slug])
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()

    assert part.strip().startswith('<div id="overview"')


def test_home_asks_the_same_number_of_queries_for_one_and_for_three_of_each(client):
    counts = []
    for rows in (1, 3):
        community, steward, _ = begin(slug=f"with-{rows}")
        client.force_login(steward)
        for n in range(rows):
            VersionFactory(community=community)
            ask(community, steward, f"Question {n}?", DEFAULT_RULE)
            RunFactory(community=community, running=True)
            drafting.create_draft(community_id=community.pk, actor=steward, starter="blank")
            ReviewItemFactory(community=community)
        home(client, community)
        with CaptureQueriesContext(connection) as queries:
            home(client, community)
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert counts[1] < 40


# --- the API --------------------------------------------------------------------------------------


def test_overview_api_says_the_same(populated, client):
    client.force_login(populated.people[2])
    found = client.get(reverse("api-community-overview", args=[populated.community.slug])).json()

    assert found["stage"] == "done"
    assert found["version"]["digest"] == populated.version.digest
    assert len(found["version"]["principles"]) == populated.version.principles.count()
    assert found["polls"][0]["id"] == populated.open_poll.pk
    assert found["polls"][0]["may_vote"] is True
    assert found["polls"][0]["has_voted"] is False
    assert found["release"]["digest"] == populated.model.digest
    assert found["evaluation"]["model_digest"] == populated.model.digest
    assert {s["metric"] for s in found["evaluation"]["scores"]} == {
        "heldout_accuracy",
        "over_refusal_rate",
    }
    assert [need["kind"] for need in found["needs"]] == ["ballot"]


def test_overview_api_of_an_empty_community(client):
    community, _, _ = begin()
    found = client.get(reverse("api-community-overview", args=[community.slug])).json()

    assert found["version"] is None
    assert found["evaluation"] is None
    assert found["needs"] == []
