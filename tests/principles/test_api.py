"""The API: the same verbs as the pages, as JSON."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from governance.models import Poll
from principles import compilation, starters
from principles.models import Draft
from tests.factories.governance import CommunityFactory, UserFactory
from tests.factories.principles import (
    DraftFactory,
    VersionFactory,
    example,
    principle_content,
    two_principles,
)

BASE = "/api/v1/communities/moot"


@pytest.fixture
def api():
    return APIClient()


@pytest.fixture
def draft(moot):
    return DraftFactory(
        community=moot.community,
        author=moot.member,
        title="Ours",
        preamble="So.",
        principles=two_principles(),
    )


def in_a_week():
    return (timezone.now() + timedelta(days=7)).isoformat()


# --- reading --------------------------------------------------------------------------------------


def test_starters_are_listed_whole(api, db):
    given = api.get("/api/v1/starters/").json()

    assert given == list(starters.load())


def test_the_constitution_is_the_version_in_force(api, moot):
    assert api.get(f"{BASE}/constitution/").status_code == 404
    VersionFactory(community=moot.community)
    version = VersionFactory(community=moot.community, title="Law")

    given = api.get(f"{BASE}/constitution/").json()

    assert given == api.get(f"{BASE}/versions/2/").json()
    assert (given["number"], given["parent_number"], given["title"]) == (2, 1, "Law")
    assert (given["digest"], given["poll"]) == (version.digest, version.poll_id)
    without_place = [
        {key: value for key, value in p.items() if key != "position"} for p in given["principles"]
    ]
    assert without_place == two_principles()


def test_versions_are_listed_the_one_in_force_first(api, moot):
    VersionFactory(community=moot.community)
    VersionFactory(community=moot.community)
    VersionFactory(community=CommunityFactory())

    given = api.get(f"{BASE}/versions/").json()

    assert given["count"] == 2
    assert [(v["number"], v["parent_number"]) for v in given["results"]] == [(2, 1), (1, None)]
    assert "principles" not in given["results"][0]


def test_a_version_is_given_compiled(api, moot):
    version = VersionFactory(community=moot.community)

    given = api.get(f"{BASE}/versions/1/compiled/").json()

    assert given == compilation.compile_constitution(version.content())


def test_a_draft_is_given_compiled(api, draft):
    given = api.get(f"{BASE}/drafts/{draft.pk}/compiled/").json()

    assert given == compilation.compile_constitution(draft.content())


@pytest.mark.parametrize("path", ["versions/", "drafts/"])
def test_lists_ask_the_database_as_often_for_three_as_for_one(api, moot, path):
    def add():
        version = VersionFactory(community=moot.community)
        DraftFactory(community=moot.community, author=UserFactory(), base=version)

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert api.get(f"{BASE}/{path}").status_code == 200
        return len(captured)

    add()
    one = queries()
    add()
    add()

    assert queries() == one


@pytest.mark.parametrize(
    "path",
    [
        "constitution/",
        "versions/",
        "versions/1/",
        "versions/1/compiled/",
        "drafts/",
        "drafts/{draft}/",
        "drafts/{draft}/compiled/",
    ],
)
def test_a_private_community_is_not_there_for_strangers(api, moot, draft, path):
    VersionFactory(community=moot.community)
    moot.community.visibility = "private"
    moot.community.save()
    address = f"{BASE}/{path.format(draft=draft.pk)}"

    assert api.get(address).status_code == 404
    api.force_authenticate(moot.outsider)
    assert api.get(address).status_code == 404
    api.force_authenticate(moot.member)
    assert api.get(address).status_code == 200


@pytest.mark.parametrize("path", ["versions/9/", "versions/9/compiled/", "drafts/0/"])
def test_what_is_not_there_is_not_found(api, moot, path):
    assert api.get(f"{BASE}/{path}").status_code == 404


# --- writing --------------------------------------------------------------------------------------


def test_a_member_begins_a_draft(api, moot):
    api.force_authenticate(moot.member)

    response = api.post(
        f"{BASE}/drafts/", {"starter": "careful-helper", "title": "Mine"}, format="json"
    )

    given = response.json()
    assert response.status_code == 201
    assert given == api.get(f"{BASE}/drafts/{given['id']}/").json()
    assert (given["title"], given["status"], given["base"]) == ("Mine", "editing", None)
    assert given["author"] == {
        "id": moot.member.pk,
        "name": moot.member.name,
        "is_scripted": False,
    }
    assert len(given["principles"]) == 7


def test_a_draft_is_begun_with_an_empty_body(api, moot):
    VersionFactory(community=moot.community)
    api.force_authenticate(moot.member)

    given = api.post(f"{BASE}/drafts/").json()

    assert (given["base"], len(given["principles"])) == (1, 2)


def test_a_draft_is_changed_where_something_is_given(api, moot, draft):
    api.force_authenticate(moot.member)

    given = api.patch(f"{BASE}/drafts/{draft.pk}/", {"summary": "Why."}, format="json").json()

    assert (given["title"], given["preamble"], given["summary"]) == ("Ours", "So.", "Why.")


def test_principles_are_written_moved_and_removed(api, moot, draft):
    api.force_authenticate(moot.member)
    at = f"{BASE}/drafts/{draft.pk}/principles/"

    added = api.post(
        at,
        {
            "title": "Kindness",
            "text": "Be kind.",
            "examples": [example()],
            "hazard_codes": ["S10", "S1"],
            "weight": 2,
        },
        format="json",
    )
    changed = api.put(f"{at}kindness/", {"title": "Warmth", "text": "Be warm."}, format="json")
    moved = api.put(f"{at}kindness/position/", {"position": 1}, format="json")
    removed = api.delete(f"{at}no-harm/")

    assert added.status_code == 201
    assert added.json() == {
        **principle_content(
            "kindness",
            text="Be kind.",
            examples=[example()],
            hazard_codes=["S1", "S10"],
            weight=2,
        ),
        "position": 3,
        "revision": 1,
    }
    assert changed.json()["revision"] == 2
    assert changed.json()["key"] == "kindness"
    assert changed.json()["examples"] == []
    assert [p["key"] for p in moved.json()["principles"]] == ["kindness", "no-harm", "plainness"]
    assert removed.status_code == 204
    assert [p["key"] for p in api.get(f"{BASE}/drafts/{draft.pk}/").json()["principles"]] == [
        "kindness",
        "plainness",
    ]


def test_a_steward_proposes_a_draft_under_any_exact_rule(api, moot, draft):
    api.force_authenticate(moot.steward)

    response = api.post(
        f"{BASE}/drafts/{draft.pk}/propose/",
        {"rule": {"threshold": [5, 9], "quorum": "none"}, "closes_at": in_a_week()},
        format="json",
    )

    poll = Poll.objects.get()
    assert response.status_code == 201
    assert (response.json()["id"], response.json()["kind"]) == (poll.pk, "ratification")
    assert poll.rule["threshold"] == [5, 9]
    assert api.get(f"{BASE}/drafts/{draft.pk}/").json()["poll"] == poll.pk


def test_a_draft_is_withdrawn(api, moot, draft):
    api.force_authenticate(moot.member)

    given = api.post(f"{BASE}/drafts/{draft.pk}/withdraw/").json()

    assert given["status"] == "withdrawn"


def acts(draft):
    at = f"{BASE}/drafts/{draft.pk}/"
    return [
        ("patch", at, {"title": "T"}),
        ("post", f"{at}withdraw/", {}),
        ("post", f"{at}principles/", {"title": "T", "text": "t"}),
        ("put", f"{at}principles/no-harm/", {"title": "T", "text": "t"}),
        ("delete", f"{at}principles/no-harm/", {}),
        ("put", f"{at}principles/no-harm/position/", {"position": 2}),
        ("post", f"{at}propose/", {"closes_at": in_a_week()}),
    ]


def test_others_are_forbidden_and_told_why(api, moot, draft):
    before = draft.content()
    api.force_authenticate(moot.other)

    for method, path, data in acts(draft):
        response = getattr(api, method)(path, data, format="json")
        assert (path, response.status_code) == (path, 403)
        assert response.json()["detail"].startswith("Only ")

    fresh = Draft.objects.get()
    assert (fresh.content(), fresh.status) == (before, "editing")


def test_whoever_is_not_signed_in_changes_nothing(api, moot, draft):
    for method, path, data in acts(draft):
        assert getattr(api, method)(path, data, format="json").status_code == 401
    assert api.post(f"{BASE}/drafts/").status_code == 401


def test_a_draft_of_another_community_is_not_found(api, moot):
    elsewhere = DraftFactory(community=CommunityFactory(), principles=two_principles())
    api.force_authenticate(moot.steward)

    for method, path, data in acts(elsewhere):
        assert getattr(api, method)(path, data, format="json").status_code == 404


def test_a_proposed_draft_is_in_the_way_of_changes(api, moot, draft):
    api.force_authenticate(moot.steward)
    api.post(f"{BASE}/drafts/{draft.pk}/propose/", {"closes_at": in_a_week()}, format="json")

    for method, path, data in acts(draft):
        response = getattr(api, method)(path, data, format="json")
        assert (path, response.status_code) == (path, 409)
        assert "no longer being written" in response.json()["detail"]


@pytest.mark.parametrize(
    "data",
    [
        {"title": "T"},
        {"title": "T", "text": "t", "hazard_codes": ["S15"]},
        {"title": "T", "text": "t", "weight": 0},
        {"title": "T", "text": "t", "weight": "many"},
        {"title": "T", "text": "t", "examples": [{"prompt": "a", "better": "b"}]},
        {"title": "T", "text": "t", "examples": "none"},
        {"title": "T", "text": "t", "examples": [example()] * 31},
        {"title": "T", "text": "a\x00b"},
        {"title": "T" * 121, "text": "t"},
        [],
    ],
)
def test_a_principle_of_another_shape_is_a_bad_request(api, moot, draft, data):
    api.force_authenticate(moot.member)

    response = api.post(f"{BASE}/drafts/{draft.pk}/principles/", data, format="json")

    assert response.status_code == 400
    assert draft.principles.count() == 2


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"closes_at": "soon"},
        {"closes_at": "2031-01-01T00:00:00Z", "rule": {"threshold": [3, 2]}},
        {"closes_at": "2031-01-01T00:00:00Z", "rule": {"threshold": [1, 0]}},
    ],
)
def test_a_rule_of_another_shape_is_a_bad_request(api, moot, draft, data):
    api.force_authenticate(moot.steward)

    response = api.post(f"{BASE}/drafts/{draft.pk}/propose/", data, format="json")

    assert response.status_code == 400
    assert not Poll.objects.exists()


def test_what_the_verb_refuses_is_a_conflict(api, moot, draft):
    api.force_authenticate(moot.member)

    unknown = api.post(f"{BASE}/drafts/", {"starter": "nonsense"}, format="json")
    nowhere = api.put(
        f"{BASE}/drafts/{draft.pk}/principles/no-harm/position/", {"position": 9}, format="json"
    )

    assert unknown.status_code == 409
    assert unknown.json() == {"detail": "There is no template constitution called “nonsense”."}
    assert nowhere.status_code == 409


def test_a_stale_change_is_refused_with_409(api, moot, draft):
    api.force_authenticate(moot.member)
    at = f"{BASE}/drafts/{draft.pk}/"
    principle = {"title": "T", "text": "t", "revision": 1}

    answers = [api.patch(at, {"title": "New", "revision": 1}, format="json") for _ in "12"]
    answers += [api.put(f"{at}principles/no-harm/", principle, format="json") for _ in "12"]

    assert [answer.status_code for answer in answers] == [200, 409, 200, 409]
    assert answers[0].json()["revision"] == 2
