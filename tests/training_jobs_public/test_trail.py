"""The trail in plain words, as a page and by the API."""

import pytest
from django.urls import reverse

from feedback.verbs import Verb as FeedbackVerb
from governance import checkpoints, membership, signing
from governance.models import AuditEvent
from governance.verbs import Verb as GovernanceVerb
from principles.verbs import Verb as PrinciplesVerb
from tests.factories.populated import begin
from training_jobs import narration, public_views
from training_jobs.verbs import Verb as TrainingVerb

pytestmark = pytest.mark.django_db

VERBS = [*GovernanceVerb, *PrinciplesVerb, *FeedbackVerb, *TrainingVerb]


def page(client, community, **query):
    response = client.get(reverse("trail", args=[community.slug]), query)
    assert response.status_code == 200
    return response.content.decode()


def told(community, verb, *, by_name=True):
    events = AuditEvent.objects.filter(community=community, verb=verb).order_by("-seq")
    return narration.tell(events[:1], community, by_name=by_name)[0]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_words_and_a_topic(verb):
    prefix = verb.partition(".")[0]

    assert verb in narration._WORDS
    assert any(prefix in prefixes for _, prefixes in narration.TOPICS.values())


def test_no_words_are_left_of_verbs_that_are_gone():
    assert set(narration._WORDS) == {str(verb) for verb in VERBS}


def test_tell_says_who_did_what_to_what(populated):
    event = told(populated.community, "poll.opened")

    assert event.actor == populated.steward
    assert event.words == "opened the poll"
    assert event.subject == "“Shall we meet on Thursdays?”"
    assert event.url == populated.open_poll.get_absolute_url()
    assert event.note == "5 people may vote"


@pytest.mark.parametrize(
    ("verb", "subject", "note"),
    [
        ("version.ratified", "version 2", ""),
        ("dataset.frozen", "dataset 2", "pairs from"),
        ("poll.closed", "“Release", "passed: 5 yes, 0 no, 0 abstain"),
        ("release.decided", "the release of a model", "released"),
        ("member.joined", "the community", ""),
        ("labels.recorded", "the community", "24 labels"),
        ("ballots.recorded", "“", "5 acts"),
        ("responses.recorded", "the community", "8 comparisons"),
    ],
)
def test_tell_puts_figures_in_a_note(populated, verb, subject, note):
    event = told(populated.community, verb)

    assert event.subject.startswith(subject)
    assert note in event.note


def test_tell_links_only_to_pages_that_are_there(populated, client):
    client.force_login(populated.steward)
    events = AuditEvent.objects.filter(community=populated.community)

    for url in {
        event.url for event in narration.tell(events, populated.community, by_name=True)
    } - {""}:
        assert client.get(url).status_code == 200, url


def test_tell_marks_scripted_members_and_names_those_concerned(populated):
    scripted = populated.people[1]
    place = scripted.memberships.get(community=populated.community)
    membership.change_role(membership_id=place.pk, actor=populated.steward, role="moderator")
    event = told(populated.community, "role.changed")

    assert event.words == "changed the role of"
    assert event.subject == f"{scripted.name} (scripted)"
    assert event.note == "from member to moderator"


def test_tell_names_nobody_to_those_who_are_not_in(populated):
    scripted = populated.people[1]
    place = scripted.memberships.get(community=populated.community)
    membership.change_role(membership_id=place.pk, actor=populated.steward, role="moderator")
    event = told(populated.community, "role.changed", by_name=False)

    assert str(event.actor) == f"user:{populated.steward.pk}"
    assert event.subject == f"user:{scripted.pk} (scripted)"
    assert event.url == ""


@pytest.mark.parametrize("address", ["trail", "community_home"])
def test_pages_name_people_to_members_alone(populated, client, address):
    url = reverse(address, args=[populated.community.slug])
    visitor = client.get(url).content.decode()
    client.force_login(populated.people[1])
    member = client.get(url).content.decode()

    assert f"user:{populated.steward.pk}" in visitor
    assert ">Stella<" not in visitor
    assert ">Stella<" in member
    assert "by reference, not by name" in visitor or address != "trail"


def test_tell_survives_events_of_another_shape():
    community, _, _ = begin()
    event = AuditEvent(
        community=community,
        seq=1,
        at="2026-01-01T00:00:00.000000Z",
        actor="robot",
        verb="poll.closed",
        subject="poll:x",
        data={},
    )
    unknown = AuditEvent(community=community, seq=2, verb="moon.landed", subject="moon", data={})

    first, second = narration.tell([event, unknown], community, by_name=True)
    assert (first.actor, first.url, first.note) == (None, "", "")
    assert second.words == "moon landed"


def test_trail_page_lists_the_latest_first_in_pages(populated, client, monkeypatch):
    monkeypatch.setattr(public_views, "EVENTS_A_PAGE", 10)
    total = AuditEvent.objects.filter(community=populated.community).count()
    first = page(client, populated.community)
    second = page(client, populated.community, page=2)

    assert f"No. {total}<" in first
    assert f"No. {total - 10}<" not in first
    assert f"No. {total - 10}<" in second
    assert "scripted" in first


def test_trail_page_narrows_to_a_topic(populated, client):
    text = page(client, populated.community, about="constitution")

    assert "put in force" in text
    assert "opened the poll" not in text
    assert page(client, populated.community, about="nonsense").count("timeline-item") == 40


def test_trail_page_sends_its_part_alone_to_htmx(populated, client):
    url = reverse("trail", args=[populated.community.slug])
    part = client.get(url, headers={"HX-Request": "true"}).content.decode()

    assert part.strip().startswith('<section id="events"')


def test_trail_page_shows_no_other_communitys_events(populated, client):
    other, _, _ = begin(slug="elsewhere")

    assert "Shall we meet on Thursdays?" not in page(client, other)


@pytest.mark.parametrize("events", [1, 40])
def test_trail_page_asks_a_constant_number_of_queries(
    populated, client, django_assert_num_queries, monkeypatch, events
):
    monkeypatch.setattr(public_views, "EVENTS_A_PAGE", events)
    client.force_login(populated.steward)
    url = reverse("trail", args=[populated.community.slug])
    client.get(url)

    with django_assert_num_queries(8):
        client.get(url, {"about": "polls"})


def test_trail_api_gives_events_as_they_are_hashed(populated, client):
    url = reverse("api-trail-list", args=[populated.community.slug])
    found = client.get(url, {"about": "polls", "limit": 2}).json()
    event = AuditEvent.objects.get(community=populated.community, seq=found["results"][0]["seq"])

    assert len(found["results"]) == 2
    assert found["results"][0] == {
        **event.content(),
        "previous_hash": event.previous_hash,
        "event_hash": event.event_hash,
    }
    assert all(row["verb"].startswith(("poll.", "ballots.")) for row in found["results"])


def test_export_api_points_to_the_record(populated, client):
    checkpoints.sign_checkpoint(community_id=populated.community.pk)
    found = client.get(reverse("api-export", args=[populated.community.slug])).json()

    assert found["public_key"] == signing.public_key()
    for url in (found["export_url"], found["checker_url"]):
        assert b"".join(client.get(url).streaming_content)
    assert found["length"] == AuditEvent.objects.filter(community=populated.community).count()
