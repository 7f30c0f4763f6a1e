from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from governance import voting
from governance.canonical import digest
from governance.models import (
    ApiToken,
    AuditEvent,
    Ballot,
    Community,
    Invitation,
    Membership,
    Poll,
)
from governance.tally import DEFAULT_RULE, Rule
from tests.factories.governance import (
    CommunityFactory,
    InvitationFactory,
    MembershipFactory,
    PollFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery staple"


@pytest.fixture
def steward():
    return MembershipFactory(steward=True)


@pytest.fixture
def member(steward):
    return MembershipFactory(community=steward.community)


def api(user=None):
    client = APIClient()
    if user is not None:
        client.force_authenticate(user)
    return client


def url(name, community, **kwargs):
    return reverse(name, kwargs={"slug": community.slug, **kwargs})


# --- people ---------------------------------------------------------------------------------------


def test_token_is_given_for_the_password_and_opens_the_api():
    ann = UserFactory()

    token = (
        APIClient()
        .post(reverse("api-token"), {"email": ann.email, "password": PASSWORD})
        .json()["token"]
    )
    me = APIClient().get(reverse("api-me"), headers={"Authorization": f"Token {token}"})

    assert me.json() == {
        "id": ann.pk,
        "name": ann.name,
        "email": ann.email,
        "is_scripted": False,
    }


@pytest.mark.parametrize(
    "given", [{"password": "wrong"}, {"email": "nobody@example.org"}, {"email": ""}]
)
def test_token_is_refused_otherwise(given):
    ann = UserFactory()

    response = APIClient().post(
        reverse("api-token"), {"email": ann.email, "password": PASSWORD, **given}
    )

    assert response.status_code == 400
    assert not ApiToken.objects.exists()


def test_token_is_refused_to_the_inactive():
    ann = UserFactory(is_active=False)

    response = APIClient().post(reverse("api-token"), {"email": ann.email, "password": PASSWORD})

    assert response.status_code == 400


def test_token_waits_for_a_confirmed_address_where_that_is_mandatory(settings):
    settings.ACCOUNT_EMAIL_VERIFICATION = "mandatory"
    ann = UserFactory()
    given = {"email": ann.email, "password": PASSWORD}

    refused = APIClient().post(reverse("api-token"), given)
    EmailAddress.objects.create(user=ann, email=ann.email, verified=True, primary=True)
    taken = APIClient().post(reverse("api-token"), given)

    assert (refused.status_code, taken.status_code) == (400, 200)


@pytest.mark.parametrize(
    ("method", "name"),
    [("get", "api-me"), ("post", "api-communities")],
)
def test_api_wants_a_person(method, name):
    assert getattr(api(), method)(reverse(name)).status_code == 401


# --- communities ----------------------------------------------------------------------------------


def test_communities_lists_what_i_may_read():
    CommunityFactory(slug="open")
    own = MembershipFactory(community__slug="mine", community__visibility="private")
    CommunityFactory(slug="hidden", visibility="private")

    def slugs(client):
        return {row["slug"] for row in client.get(reverse("api-communities")).json()["results"]}

    assert slugs(api()) == {"open"}
    assert slugs(api(own.user)) == {"open", "mine"}


@pytest.mark.parametrize("count", [1, 3])
def test_communities_asks_as_much_for_any_number(django_assert_num_queries, count):
    for _ in range(count):
        PollFactory(community=MembershipFactory().community)

    with django_assert_num_queries(2):
        response = api().get(reverse("api-communities"))

    assert response.json()["results"][0]["members"] == 1
    assert response.json()["results"][0]["open_polls"] == 1


def test_communities_founds_one():
    ann = UserFactory()

    response = api(ann).post(reverse("api-communities"), {"name": "Readers", "purpose": "To read."})

    assert response.status_code == 201
    assert response.json()["slug"] == "readers"
    assert Membership.objects.get(user=ann).role == "steward"


def test_communities_refusal_is_a_sentence():
    CommunityFactory(slug="readers")

    response = api(UserFactory()).post(
        reverse("api-communities"), {"name": "Readers", "purpose": "To read."}
    )

    assert response.status_code == 409
    assert "is taken" in response.json()["detail"]
    assert Community.objects.count() == 1


def test_community_changes_what_is_given_and_keeps_the_rest(steward, member):
    address = url("api-community", steward.community)

    assert api(member.user).patch(address, {"joining": "invite"}).status_code == 403
    response = api(steward.user).patch(address, {"joining": "invite"})

    assert response.json()["joining"] == "invite"
    assert response.json()["purpose"] == steward.community.purpose


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("get", "api-community"),
        ("patch", "api-community"),
        ("post", "api-join"),
        ("post", "api-leave"),
        ("get", "api-members"),
        ("post", "api-invitations"),
        ("get", "api-polls"),
        ("post", "api-polls"),
    ],
)
def test_api_of_a_private_community_is_not_there_for_strangers(method, name):
    hidden = CommunityFactory(visibility="private")

    assert getattr(api(UserFactory()), method)(url(name, hidden)).status_code == 404


def test_join_and_leave():
    community, ann = CommunityFactory(), UserFactory()

    joined = api(ann).post(url("api-join", community))
    left = api(ann).post(url("api-leave", community))

    assert (joined.json()["status"], left.json()["status"]) == ("active", "left")
    assert api().post(url("api-join", community)).status_code == 401


def test_join_refusal_is_a_403_with_a_sentence():
    response = api(UserFactory()).post(url("api-join", CommunityFactory(joining="invite")))

    assert response.status_code == 403
    assert response.json() == {"detail": "This community is joined by invitation only."}


def test_members_are_named_to_members_only(steward, member):
    MembershipFactory(community=steward.community, status="requested")
    address = url("api-members", steward.community)

    assert api(UserFactory()).get(address).status_code == 403
    assert api(member.user).get(address).json()["count"] == 2
    assert api(steward.user).get(address).json()["count"] == 3


def test_members_do_not_show_addresses(steward):
    text = api(steward.user).get(url("api-members", steward.community)).content.decode()

    assert steward.user.name in text
    assert steward.user.email not in text


def test_member_role_changes_for_stewards_only(steward, member):
    address = url("api-member-role", steward.community, pk=member.pk)

    assert api(member.user).post(address, {"role": "steward"}).status_code == 403
    assert api(steward.user).post(address, {"role": "moderator"}).json()["role"] == "moderator"
    assert api(steward.user).post(address, {"role": "king"}).status_code == 400


def test_member_of_another_community_is_not_there(steward):
    foreign = MembershipFactory()
    address = url("api-member-role", steward.community, pk=foreign.pk)

    assert api(steward.user).post(address, {"role": "moderator"}).status_code == 404


@pytest.mark.parametrize(
    ("act", "before", "after"),
    [
        ("approve", "requested", "active"),
        ("decline", "requested", "declined"),
        ("suspend", "active", "suspended"),
        ("reinstate", "suspended", "active"),
    ],
)
def test_member_acts(steward, member, act, before, after):
    other = MembershipFactory(community=steward.community, status=before)
    address = url(f"api-member-{act}", steward.community, pk=other.pk)

    assert api(member.user).post(address).status_code == 403
    assert api(steward.user).post(address).json()["status"] == after
    assert api(steward.user).post(address).status_code == 409


def test_invitations_are_made_by_stewards_and_accepted_by_anyone(steward, member):
    address = url("api-invitations", steward.community)
    ann = UserFactory()

    assert api(member.user).post(address).status_code == 403
    token = api(steward.user).post(address, {"days": 2}).json()["token"]
    joined = api(ann).post(reverse("api-invitation-accept", args=[token]))

    assert joined.json()["status"] == "active"
    assert Invitation.objects.count() == 1


def test_invitation_expired_or_unknown():
    expired = InvitationFactory(expired=True)
    client = api(UserFactory())

    assert client.post(reverse("api-invitation-accept", args=[expired.token])).status_code == 409
    assert client.post(reverse("api-invitation-accept", args=["guess"])).status_code == 404
    assert client.post("/api/v1/invitations/a%00b/accept/").status_code == 404


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"name": "n", "purpose": "p", "joining": "\\ud800"}']
)
def test_json_that_python_cannot_read_or_say_again_is_a_bad_request(body):
    client = api(UserFactory())
    client.raise_request_exception = False

    response = client.generic(
        "POST", reverse("api-communities"), body, content_type="application/json"
    )

    assert response.status_code == 400
    assert response.json()


# --- polls ----------------------------------------------------------------------------------------


def question(**given):
    return {
        "title": "Tea?",
        "text": "Shall we drink tea?",
        "closes_at": (timezone.now() + timedelta(hours=1)).isoformat(),
        **given,
    }


def test_polls_opens_a_question_with_the_default_rule(steward):
    response = api(steward.user).post(
        url("api-polls", steward.community), question(), format="json"
    )

    assert response.status_code == 201
    assert Rule.from_dict(response.json()["rule"]) == DEFAULT_RULE
    assert response.json()["sentence"].startswith("Passes when more than half")
    assert response.json()["may_vote"] is True


def test_polls_takes_any_exact_rule(steward):
    rule = {"threshold": [5, 7], "strict": False, "quorum": "participation", "quorum_share": [1, 3]}

    response = api(steward.user).post(
        url("api-polls", steward.community), question(rule=rule), format="json"
    )

    assert response.json()["rule"]["threshold"] == [5, 7]
    assert Poll.objects.get().rule["quorum_share"] == [1, 3]


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"rule": {"threshold": [1, 0]}}, 400),
        ({"rule": {"threshold": [0.5, 1]}}, 400),
        ({"rule": {"threshold": [1, 1]}}, 400),
        ({"rule": {"quorum": "sqrt"}}, 409),
        ({"closes_at": "2020-01-01T00:00:00Z"}, 409),
        ({"closes_at": "soon"}, 400),
        ({"title": "x" * 201}, 400),
    ],
)
def test_polls_refuses_bad_questions(steward, given, status):
    response = api(steward.user).post(
        url("api-polls", steward.community), question(**given), format="json"
    )

    assert response.status_code == status
    assert not Poll.objects.exists()


def test_polls_are_opened_by_stewards_only(member):
    address = url("api-polls", member.community)

    assert api(member.user).post(address, question(), format="json").status_code == 403
    assert api().post(address, question(), format="json").status_code == 401


@pytest.mark.parametrize("count", [1, 3])
def test_polls_asks_as_much_for_any_number(django_assert_num_queries, count):
    community = CommunityFactory()
    PollFactory.create_batch(count, community=community)

    with django_assert_num_queries(3):
        response = api().get(url("api-polls", community))

    assert response.json()["count"] == count


def test_poll_never_says_how_it_stands_before_the_close(member):
    poll = PollFactory(
        community=member.community, electors=[member.user], ballots={UserFactory(): "yes"}
    )

    given = api(member.user).get(url("api-poll", member.community, pk=poll.pk)).json()

    assert (given["tally"], given["outcome"], given["own_ballot"]) == (None, "", None)
    assert given["voter_reference"] == voting.voter_reference(poll, member.user.pk)
    assert poll.voter_salt not in str(given)
    early = api(member.user).get(url("api-ballots", member.community, pk=poll.pk))
    assert early.status_code == 409


def test_poll_of_another_community_is_not_there(steward):
    poll = PollFactory(open=True)

    assert api(steward.user).get(url("api-poll", steward.community, pk=poll.pk)).status_code == 404


def test_ballot_is_cast_replaced_and_withdrawn(member):
    poll = PollFactory(community=member.community, electors=[member.user])
    address = url("api-ballot", member.community, pk=poll.pk)
    client = api(member.user)

    assert client.put(address, {"choice": "yes"}).json()["choice"] == "yes"
    assert client.put(address, {"choice": "no"}).json()["choice"] == "no"
    own = client.get(url("api-poll", member.community, pk=poll.pk)).json()["own_ballot"]
    assert own["choice"] == "no"
    assert client.delete(address).status_code == 204
    assert not Ballot.objects.exists()


def test_ballot_refusals(member):
    community = member.community
    ours = PollFactory(community=community, electors=[member.user])
    foreign = PollFactory(community=community)
    late = PollFactory(due=True, community=community, electors=[member.user])

    def put(user, poll, choice="yes"):
        return api(user).put(url("api-ballot", community, pk=poll.pk), {"choice": choice})

    assert put(member.user, ours, "maybe").status_code == 400
    assert put(member.user, foreign).status_code == 403
    assert put(member.user, late).status_code == 409
    assert put(None, ours).status_code == 401
    assert not Ballot.objects.exists()
    assert not AuditEvent.objects.exists()


def test_ballots_of_a_closed_poll_recount_to_the_digest_of_the_trail():
    ann, bob = UserFactory(), UserFactory()
    poll = PollFactory(due=True, ballots={ann: "yes", bob: "no"})
    voting.close_poll(poll_id=poll.pk)

    record = api().get(url("api-ballots", poll.community, pk=poll.pk)).json()

    assert digest(record) == AuditEvent.objects.get().data["ballots_digest"]
    assert {row["choice"] for row in record} == {"yes", "no"}


# --- the schema -----------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["limit=1000000", f"limit={10**20}", f"offset={10**20}"])
def test_a_list_gives_no_more_than_its_limit_whatever_is_asked(client, query):
    CommunityFactory.create_batch(201)

    answer = client.get(f"/api/v1/communities/?{query}")

    assert answer.status_code == 200
    assert len(answer.json()["results"]) <= 200


def test_schema_describes_these_addresses():
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]

    ballot = paths["/api/v1/communities/{slug}/polls/{id}/ballot/"]
    assert set(ballot) == {"put", "delete"}
    assert "/api/v1/token/" in paths
