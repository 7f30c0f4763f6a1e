import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from governance import delegating
from governance.delegation_views import delegation_context
from governance.models import Delegation, Membership
from governance.rules import Rule
from tests.factories.governance import (
    BallotFactory,
    CommunityFactory,
    MembershipFactory,
    PollFactory,
    UserFactory,
)
from tests.governance.pages import said, signed_in

pytestmark = pytest.mark.django_db
RULE = Rule(delegation=True, quorum="none").to_dict()


@pytest.fixture
def community():
    return CommunityFactory()


@pytest.fixture
def ann(community):
    return MembershipFactory(community=community, user__name="Ann").user


@pytest.fixture
def bob(community):
    return MembershipFactory(community=community, user__name="Bob").user


@pytest.fixture
def poll(community, ann, bob):
    return PollFactory(community=community, rule=RULE, electors=[ann, bob], title="Thursdays")


def give(giver, taker, community, **scope):
    return delegating.give_delegation(
        community_id=community.pk, delegator=giver, delegate_id=taker.pk, **scope
    )


def url(name, community, **kwargs):
    return reverse(name, kwargs={"slug": community.slug, **kwargs})


def seen(response):
    return " ".join(response.content.decode().split())


# --- the page -------------------------------------------------------------------------------------


def test_page_shows_whom_i_delegated_to_and_how_many_delegate_to_me(client, community, ann, bob):
    cat = MembershipFactory(community=community, user__name="Cat").user
    give(ann, bob, community)
    give(cat, ann, community, topic="question")

    html = seen(signed_in(client, ann).get(url("delegation_list", community)))

    mine, _, mine_from_others = html.partition("Who delegates to you")
    assert "All polls" in mine
    assert "Bob" in mine
    assert "Polls of the kind “Question”" in mine_from_others
    assert "1 member" in mine_from_others
    assert "Cat" not in mine_from_others


def test_page_never_shows_the_delegations_of_others(client, community, ann, bob):
    cat = MembershipFactory(community=community, user__name="Cat").user
    give(bob, cat, community)

    html = seen(signed_in(client, ann).get(url("delegation_list", community)))

    assert "You delegate to nobody" in html
    assert "Nobody delegates to you" in html


def test_page_asks_visitors_to_sign_in_and_strangers_to_join(client, community):
    address = url("delegation_list", community)

    assert client.get(address).status_code == 302
    html = seen(signed_in(client, UserFactory()).get(address))
    assert "Only members delegate" in html
    assert '<form method="post"' not in html.partition("<main")[2].partition("</main")[0]


def test_page_of_a_private_community_is_not_there_for_strangers(client):
    hidden = CommunityFactory(visibility="private")

    response = signed_in(client, UserFactory()).get(url("delegation_list", hidden))

    assert response.status_code == 404


def test_page_gives_its_part_to_htmx(client, community, ann):
    response = signed_in(client, ann).get(
        url("delegation_list", community), headers={"HX-Request": "true"}
    )

    assert response.content.decode().strip().startswith('<div id="delegations"')


def test_page_finds_members_by_name_and_nobody_else(client, community, ann, bob):
    MembershipFactory(community=community, user__name="Bobby Gone", status="left")
    MembershipFactory(user__name="Bobette Elsewhere")
    MembershipFactory.create_batch(13, community=community)
    address = url("delegation_list", community)

    html = seen(signed_in(client, ann).get(address, {"q": "bob"}))

    assert "Bob, member since" in html
    for name in ("Bobby", "Bobette", "Person"):
        assert name not in html
    assert "There are more members" in seen(client.get(address))
    assert "No other member has “zzz”" in seen(client.get(address, {"q": "zzz"}))


@pytest.mark.parametrize("wanted", ["\0", "%", "x" * 5000, "“<b>"])
def test_page_takes_any_name_to_look_for(client, community, ann, wanted):
    response = signed_in(client, ann).get(url("delegation_list", community), {"q": wanted})

    assert response.status_code == 200
    assert "<b>" not in response.content.decode()


def test_page_tells_members_of_one_name_apart_and_marks_the_scripted(client, community, ann):
    MembershipFactory(community=community, user__name="Cat", user__is_scripted=True)

    html = seen(signed_in(client, ann).get(url("delegation_list", community)))

    assert f"Cat (scripted), member since {timezone.now():%-d %B %Y}" in html


@pytest.mark.parametrize("scope", ["community", "topic:question", "poll"])
def test_delegating_on_the_page(client, community, ann, bob, poll, scope):
    scope = f"poll:{poll.pk}" if scope == "poll" else scope

    response = signed_in(client, ann).post(
        url("delegation_list", community), {"scope": scope, "delegate": bob.pk}
    )

    assert response.status_code == 302
    assert said(response) == ["Your vote goes to Bob, unless you vote yourself."]
    held = Delegation.objects.get()
    assert (held.delegator, held.delegate) == (ann, bob)
    assert (held.topic, held.poll) == (
        "question" if scope.startswith("topic") else "",
        poll if scope.startswith("poll") else None,
    )


@pytest.mark.parametrize(
    "given", [{}, {"scope": "poll:x"}, {"scope": "topic:surprise"}, {"delegate": "0"}]
)
def test_delegating_on_the_page_refuses_what_is_not_offered(client, community, ann, bob, given):
    response = signed_in(client, ann).post(
        url("delegation_list", community),
        {"scope": "community", "delegate": bob.pk, **given} if given else {},
    )

    assert response.status_code == 422
    assert not Delegation.objects.exists()


def test_delegating_on_the_page_says_what_the_verb_refuses(client, community, ann, bob):
    poll = PollFactory(community=community, rule=RULE, electors=[ann])

    response = signed_in(client, ann).post(
        url("delegation_list", community), {"scope": f"poll:{poll.pk}", "delegate": bob.pk}
    )

    assert response.status_code == 422
    assert "This member is not entitled to vote in this poll." in seen(response)


def test_page_offers_only_polls_for_which_i_can_delegate(client, community, ann, bob, poll):
    PollFactory(community=community, rule=RULE, electors=[bob], title="Not mine")
    PollFactory(community=community, electors=[ann], title="Without delegation")
    PollFactory(community=community, rule=RULE, electors=[ann], due=True, title="Too late")
    PollFactory(community=community, rule=RULE, drafted=True, title="A draft")
    PollFactory(community=community, rule=RULE, announced=True, title="Soon")
    PollFactory(rule=RULE, electors=[ann], title="Elsewhere")

    html = seen(signed_in(client, ann).get(url("delegation_list", community)))

    assert poll.title in html
    assert "Soon" in html
    for title in ("Not mine", "Without delegation", "Too late", "A draft", "Elsewhere"):
        assert title not in html


def test_page_chooses_the_poll_that_the_address_names(client, community, ann, bob, poll):
    html = seen(
        signed_in(client, ann).get(url("delegation_list", community), {"scope": f"poll:{poll.pk}"})
    )

    assert f'<option value="poll:{poll.pk}" selected>' in html


def test_taking_back_on_the_page(client, community, ann, bob):
    held = give(ann, bob, community)
    address = url("delegation_take_back", community, pk=held.pk)

    assert signed_in(client, bob).post(address).status_code == 404
    assert Delegation.objects.exists()
    assert signed_in(client, ann).get(address).status_code == 405
    assert said(client.post(address)) == ["The delegation is taken back."]
    assert not Delegation.objects.exists()
    assert client.post(address).status_code == 404


def test_taking_back_from_a_poll_that_is_over_is_refused_in_words(client, community, ann, bob):
    poll = PollFactory(community=community, rule=RULE, electors=[ann, bob], due=True)
    held = Delegation.objects.create(
        community=community, delegator=ann, delegate=bob, poll=poll, given_at=timezone.now()
    )

    response = signed_in(client, ann).post(url("delegation_take_back", community, pk=held.pk))

    assert said(response) == ["This poll is over, or not announced yet."]
    assert Delegation.objects.exists()


@pytest.mark.parametrize("count", [1, 3])
def test_page_asks_as_much_for_any_number(client, community, ann, count, django_assert_num_queries):
    for _ in range(count):
        other = MembershipFactory(community=community).user
        poll = PollFactory(community=community, rule=RULE, electors=[ann, other])
        give(ann, other, community, poll_id=poll.pk)
        give(other, ann, community, poll_id=poll.pk)
    signed_in(client, ann)
    client.get(url("delegation_list", community))

    with django_assert_num_queries(9):
        client.get(url("delegation_list", community))


# --- the panel of a poll's page -------------------------------------------------------------------


def panel(poll, user):
    context = {"poll": poll, **delegation_context(poll, user)}
    return " ".join(render_to_string("governance/delegation_panel.html", context).split())


def words(html):
    """Return what a reader reads."""
    return " ".join(re.sub(r"<[^>]*>", "", html).split())


def closed(poll):
    delegating.freeze(poll, delegating.edges_of(poll))
    poll.status, poll.closed_at = "closed", timezone.now()
    poll.outcome, poll.tally = "passed", {}
    poll.save()
    return poll


def test_panel_says_to_whom_my_vote_goes(community, ann, bob, poll):
    give(ann, bob, community)

    assert "Your vote goes to Bob, unless you vote yourself." in words(panel(poll, ann))


def test_panel_says_who_carried_my_vote_and_how(community, ann, bob, poll):
    give(ann, bob, community)
    BallotFactory(poll=poll, voter=bob, content="yes")

    assert "yes" not in words(panel(poll, ann))
    assert "Bob carried your vote: yes." in words(panel(closed(poll), ann))


def test_panel_says_that_nobody_carried_my_vote(community, ann, bob, poll):
    give(ann, bob, community)

    assert "Nobody carried your vote" in words(panel(closed(poll), ann))


def test_panel_says_that_i_voted_myself(community, ann, bob, poll):
    give(ann, bob, community)
    BallotFactory(poll=poll, voter=ann)

    assert "You voted yourself" in words(panel(poll, ann))
    assert words(panel(closed(poll), ann)) == ""


def test_panel_says_that_a_way_leads_nowhere(community, ann, bob):
    short = PollFactory(community=community, rule=RULE, electors=[ann])
    circle = PollFactory(community=community, rule=RULE, electors=[ann, bob])
    give(ann, bob, community)
    give(bob, ann, community)

    assert "not entitled to vote in this poll" in words(panel(short, ann))
    assert "comes back on itself" in words(panel(circle, ann))


def test_panel_offers_to_delegate_to_those_who_may(community, ann, poll):
    stranger = UserFactory()

    assert f"?scope=poll:{poll.pk}" in panel(poll, ann)
    assert panel(poll, stranger) == ""


def test_panel_is_empty_where_the_rule_has_no_delegation_or_nobody_looks(community, ann, bob):
    give(ann, bob, community)
    plain = PollFactory(community=community, electors=[ann, bob])
    on = PollFactory(community=community, rule=RULE, electors=[ann, bob])

    assert panel(plain, ann) == ""
    assert panel(on, AnonymousUser()) == ""


# --- the API --------------------------------------------------------------------------------------


def api(user=None):
    client = APIClient()
    if user is not None:
        client.force_authenticate(user)
    return client


def test_api_gives_lists_and_takes_back_my_delegations(community, ann, bob, poll):
    address = url("api-delegations", community)
    client = api(ann)

    given = client.post(address, {"delegate": bob.pk, "poll": poll.pk}, format="json")
    listed = client.get(address).json()
    own = url("api-delegation", community, pk=given.json()["id"])

    assert given.status_code == 201
    assert given.json()["delegate"]["name"] == "Bob"
    assert listed["results"] == [given.json()]
    assert api(bob).get(address).json()["results"] == []
    assert api(bob).delete(own).status_code == 404
    assert client.delete(own).status_code == 204
    assert client.delete(own).status_code == 404
    assert not Delegation.objects.exists()


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 400),
        ({"delegate": 0}, 400),
        ({"delegate": 10**30}, 400),
        ({"delegate": 2**62}, 409),
        ({"topic": "surprise"}, 409),
        ({"topic": "x" * 31}, 400),
        ({"poll": 2**62}, 409),
        ({"poll": "x"}, 400),
    ],
)
def test_api_refuses_bad_delegations(community, ann, bob, given, status):
    body = {"delegate": bob.pk, **given} if given else {}

    response = api(ann).post(url("api-delegations", community), body, format="json")

    assert response.status_code == status
    assert not Delegation.objects.exists()


def test_api_is_for_members(community, bob):
    address = url("api-delegations", community)

    assert api().get(address).status_code == 401
    assert api().post(address, {"delegate": bob.pk}).status_code == 401
    refused = api(UserFactory()).post(address, {"delegate": bob.pk})
    assert (refused.status_code, refused.json()["detail"]) == (
        403,
        "Only members delegate their votes.",
    )
    hidden = CommunityFactory(visibility="private")
    assert api(bob).get(url("api-delegations", hidden)).status_code == 404


def test_api_tells_the_way_of_my_vote_and_never_that_of_others(community, ann, bob, poll):
    give(ann, bob, community)
    BallotFactory(poll=poll, voter=bob, content="no")
    address = url("api-way", community, pk=poll.pk)

    before = api(ann).get(address).json()
    closed(poll)
    after = api(ann).get(address).json()

    assert (before["delegate"]["name"], before["carrier"], before["content"]) == ("Bob", None, None)
    assert (after["carrier"]["name"], after["content"]) == ("Bob", "no")
    assert api(bob).get(address).status_code == 204
    assert api().get(address).status_code == 401


def test_api_of_a_poll_elsewhere_is_not_there(community, ann, poll):
    other = MembershipFactory(user=ann).community

    assert api(ann).get(url("api-way", other, pk=poll.pk)).status_code == 404


@pytest.mark.parametrize("count", [1, 3])
def test_api_list_asks_as_much_for_any_number(community, ann, count, django_assert_num_queries):
    for _ in range(count):
        other = MembershipFactory(community=community).user
        poll = PollFactory(community=community, rule=RULE, electors=[ann, other])
        give(ann, other, community, poll_id=poll.pk)

    with django_assert_num_queries(3):
        response = api(ann).get(url("api-delegations", community))

    assert response.json()["count"] == count


def test_schema_describes_these_addresses():
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]

    assert set(paths["/api/v1/communities/{slug}/delegations/"]) == {"get", "post"}
    assert set(paths["/api/v1/communities/{slug}/delegations/{id}/"]) == {"delete"}
    assert set(paths["/api/v1/communities/{slug}/polls/{id}/delegation/"]) == {"get"}


def test_who_left_takes_back_what_they_gave(client, community, ann, bob):
    held = give(ann, bob, community)
    Membership.objects.filter(user=ann).update(status="left")

    html = seen(signed_in(client, ann).get(url("delegation_list", community)))
    client.post(url("delegation_take_back", community, pk=held.pk))

    assert "Bob" in html
    assert not Delegation.objects.exists()
