from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from governance import polling, voting
from governance.canonical import canonical_json, digest
from governance.models import (
    ApiToken,
    AuditEvent,
    Ballot,
    BallotAct,
    Community,
    Invitation,
    Membership,
    Poll,
)
from governance.rules import DEFAULT_RULE, Rule
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

    assert client.put(address, {"content": "yes"}, format="json").json()["content"] == "yes"
    assert client.put(address, {"content": "no"}, format="json").json()["content"] == "no"
    own = client.get(url("api-poll", member.community, pk=poll.pk)).json()["own_ballot"]
    assert own["content"] == "no"
    assert client.delete(address).status_code == 204
    assert not Ballot.objects.exists()


def test_ballot_refusals(member):
    community = member.community
    ours = PollFactory(community=community, electors=[member.user])
    foreign = PollFactory(community=community)
    late = PollFactory(due=True, community=community, electors=[member.user])

    def put(user, poll, content="yes"):
        address = url("api-ballot", community, pk=poll.pk)
        return api(user).put(address, {"content": content}, format="json")

    assert put(member.user, ours, "maybe").status_code == 409
    assert put(member.user, foreign).status_code == 403
    assert put(member.user, late).status_code == 409
    assert put(None, ours).status_code == 401
    assert not Ballot.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("method", ["put", "delete"])
def test_ballot_is_not_there_for_strangers_nor_at_the_address_of_another_community(member, method):
    hidden = PollFactory(community__visibility="private", electors=[member.user])
    here = url("api-ballot", hidden.community, pk=hidden.pk)
    elsewhere = url("api-ballot", member.community, pk=hidden.pk)
    nowhere = url("api-ballot", hidden.community, pk=hidden.pk + 1)

    def ask(user, address):
        return getattr(api(user), method)(address, {"content": "yes"}, format="json").status_code

    assert ask(UserFactory(), here) == 404
    assert (ask(member.user, elsewhere), ask(member.user, nowhere)) == (404, 404)
    assert not Ballot.objects.exists()


def test_ballot_of_a_suspended_elector_of_a_private_community_is_cast_and_taken_back():
    own = MembershipFactory(community__visibility="private", status="suspended")
    poll = PollFactory(community=own.community, electors=[own.user])
    address = url("api-ballot", own.community, pk=poll.pk)

    assert api(own.user).put(address, {"content": "yes"}, format="json").status_code == 200
    assert Ballot.objects.get().voter == own.user
    assert api(own.user).delete(address).status_code == 204


def test_ballot_is_cast_with_few_questions_to_the_database(django_assert_num_queries):
    first, second = MembershipFactory(), MembershipFactory()
    poll = PollFactory(community=first.community, electors=[first.user, second.user])
    address = url("api-ballot", poll.community, pk=poll.pk)
    api(first.user).put(address, {"content": "yes"}, format="json")

    with django_assert_num_queries(2 + 2):  # and the savepoint that stands for a transaction
        api(second.user).put(address, {"content": "no"}, format="json")

    assert Ballot.objects.count() == 2


def test_ballots_of_a_closed_poll_recount_to_the_digest_of_the_trail():
    ann, bob = UserFactory(), UserFactory()
    poll = PollFactory(due=True, ballots={ann: "yes", bob: "no"})
    polling.close_poll(poll_id=poll.pk)

    record = api().get(url("api-ballots", poll.community, pk=poll.pk)).json()

    assert digest(record) == AuditEvent.objects.last().data["ballots_digest"]
    assert {content for _, content, _ in record} == {"yes", "no"}


# --- polls among options --------------------------------------------------------------------------


OPTIONS = [{"title": "Tea", "text": "Black or green."}, {"title": "Coffee"}]
CHOICES = [
    {"key": "tea", "title": "Tea", "text": ""},
    {"key": "coffee", "title": "Coffee", "text": ""},
    {"key": "status-quo", "title": "Status quo", "text": ""},
]
CONTENTS = {
    "yes_no": "yes",
    "approval": ["tea"],
    "star": {"tea": 5},
    "irv": [["tea"], ["coffee"]],
    "quadratic": {"tea": 9},
}


def poll_of(method, community, *, secrecy="roll_call", **fields):
    rule = Rule(method=method, secrecy=secrecy, verified_email=method == "quadratic")
    options = CHOICES if rule.has_options else []
    return PollFactory(community=community, rule=rule.to_dict(), options=options, **fields)


def post(user, name, community, given, **kwargs):
    return api(user).post(url(name, community, **kwargs), given, format="json")


def test_poll_is_drafted_edited_announced_and_withdrawn(steward, member):
    community = steward.community
    given = {**question(rule={"method": "irv"}, options=OPTIONS), "begin": "draft", "period": 60}
    drafted = post(steward.user, "api-polls", community, given)
    pk = drafted.json()["id"]
    address = url("api-poll", community, pk=pk)

    assert drafted.status_code == 201
    assert drafted.json()["status"] == "draft"
    assert [o["key"] for o in drafted.json()["options"]] == ["tea", "coffee", "status-quo"]
    assert api(member.user).get(address).status_code == 404
    assert api(member.user).get(url("api-polls", community)).json()["count"] == 0
    assert api(steward.user).get(url("api-polls", community)).json()["count"] == 1
    change = {"title": "Tea?", "text": "Or not?", "rule": {"deliberation": 60}, "period": 90}
    assert api(member.user).put(address, change, format="json").status_code == 404
    edited = api(steward.user).put(address, change, format="json").json()
    assert (edited["title"], edited["options"], edited["period"]) == ("Tea?", [], 90)
    early = {"opens_at": timezone.now().isoformat()}
    assert post(steward.user, "api-poll-announce", community, early, pk=pk).status_code == 409
    announced = post(steward.user, "api-poll-announce", community, {}, pk=pk).json()
    assert announced["status"] == "deliberation"
    assert announced["sentences"][0].startswith("Passes when")
    assert (
        post(member.user, "api-poll-withdraw", community, {"reason": "x"}, pk=pk).status_code == 403
    )
    gone = post(steward.user, "api-poll-withdraw", community, {"reason": "Asked before."}, pk=pk)
    assert (gone.json()["status"], gone.json()["reason"]) == ("withdrawn", "Asked before.")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"closes_at": None, "period": 60}, 400),
        ({"begin": "draft"}, 400),
        ({"begin": "never"}, 400),
        ({"rule": {"method": "irv"}}, 409),
        ({"rule": {"method": "irv"}, "options": [{"title": "A"}, {"title": "a"}]}, 409),
        ({"rule": {"method": "irv"}, "options": [{"title": str(n)} for n in range(36)]}, 400),
        ({"rule": {"secrecy": "secret", "delegation": True}}, 400),
        ({"rule": {"method": "quadratic"}, "options": OPTIONS}, 400),
        ({"options": OPTIONS}, 409),
    ],
)
def test_polls_refuses_what_makes_no_poll(steward, given, status):
    response = post(steward.user, "api-polls", steward.community, question(**given))

    assert response.status_code == status
    assert not Poll.objects.exists()


@pytest.mark.parametrize("method", CONTENTS)
def test_ballot_of_every_method_is_cast_with_a_receipt(member, method):
    poll = poll_of(method, member.community, electors=[member.user])
    address = url("api-ballot", member.community, pk=poll.pk)
    client = api(member.user)

    cast = client.put(address, {"content": CONTENTS[method]}, format="json")

    assert cast.status_code == 200
    given = cast.json()
    assert given["content"] == CONTENTS[method]
    assert given["commitment"] == digest([given["voter"], given["content"], given["nonce"]])
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(given["public_key"]))
    key.verify(bytes.fromhex(given["signature"]), canonical_json(given["statement"]))
    assert client.get(address).json() == given
    client.delete(address)
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    "content",
    ["yes", [["milk"]], [["tea"], ["tea"]], {"tea": 1}, None, 1, [1], [[{}]], [[["tea"]]]],
)
def test_ballot_that_is_none_of_the_method_is_refused(member, content):
    poll = poll_of("irv", member.community, electors=[member.user])
    address = url("api-ballot", member.community, pk=poll.pk)

    response = api(member.user).put(address, {"content": content}, format="json")

    assert response.status_code in {400, 409}
    assert not Ballot.objects.exists()


def test_ballot_sent_again_with_its_key_does_nothing_more(member):
    poll = PollFactory(community=member.community, electors=[member.user])
    address = url("api-ballot", member.community, pk=poll.pk)

    def put(content, key):
        headers = {"Idempotency-Key": key}
        return api(member.user).put(address, {"content": content}, format="json", headers=headers)

    put("yes", "first")
    put("no", "second")
    again = put("yes", "first")

    assert again.json()["content"] == "no"
    assert Ballot.objects.get().content == "no"
    assert BallotAct.objects.count() == 2
    assert put("yes", "k" * 65).status_code == 409


@pytest.mark.parametrize("method", CONTENTS)
@pytest.mark.parametrize("secrecy", ["roll_call", "secret"])
def test_api_says_nothing_of_how_an_open_poll_stands(steward, member, method, secrecy):
    people = [UserFactory(name=f"Zebra {number}") for number in range(2)]
    poll = poll_of(
        method,
        member.community,
        secrecy=secrecy,
        electors=[steward.user, member.user],
        ballots=dict.fromkeys(people, CONTENTS[method]),
    )

    for user in (None, member.user, steward.user):
        for name in ("api-poll", "api-ballot", "api-ballots", "api-result", "api-voters"):
            response = api(user).get(url(name, member.community, pk=poll.pk))
            sent = response.content.decode() + str(dict(response.headers))
            leaks = ["Zebra", poll.seed, poll.voter_salt]
            leaks += [voting.voter_reference(poll, person.pk) for person in people]
            assert [leak for leak in leaks if leak in sent] == []
            if name == "api-poll":
                given = response.json()
                assert (given["tally"], given["outcome"], given["seed"]) == (None, "", "")
            else:
                assert response.status_code in {401, 403, 404, 409}
        listed = api(user).get(url("api-polls", member.community)).content.decode()
        assert '"tally":null' in listed


def test_voters_of_a_secret_poll_are_named_to_members_from_three_on(member):
    people = [UserFactory(name=f"Zebra {number}") for number in range(3)]
    poll = poll_of("irv", member.community, secrecy="secret", electors=people)
    address = url("api-voters", member.community, pk=poll.pk)
    for person in people:
        assert api(member.user).get(address).status_code == 409
        voting.cast_ballot(poll_id=poll.pk, voter=person, content=[["tea"]])

    found = api(member.user).get(address).json()["results"]

    assert [row["name"] for row in found] == ["Zebra 0", "Zebra 1", "Zebra 2"]
    assert api(UserFactory()).get(address).status_code == 403
    assert api().get(address).status_code == 401


def test_result_says_how_it_came_out_and_why():
    poll = poll_of(
        "irv", CommunityFactory(), due=True, ballots={UserFactory(): [["tea"], ["coffee"]]}
    )
    polling.close_poll(poll_id=poll.pk)

    given = api().get(url("api-result", poll.community, pk=poll.pk)).json()

    assert (given["outcome"], given["sentence"]) == ("passed", "“Tea” won.")
    assert given["tally"]["winners"] == ["tea"]
    assert given["seed"] == poll.seed
    assert any("Round 1" in sentence for sentence in given["why"])


def test_ballots_of_a_secret_poll_are_published_without_names():
    people = UserFactory.create_batch(3)
    poll = poll_of(
        "irv",
        CommunityFactory(),
        secrecy="secret",
        due=True,
        ballots={person: [["tea"]] for person in people},
    )
    polling.close_poll(poll_id=poll.pk)

    record = api().get(url("api-ballots", poll.community, pk=poll.pk)).json()

    assert record == [[["tea"]]] * 3
    assert digest(record) == AuditEvent.objects.last().data["ballots_digest"]


@pytest.mark.parametrize("count", [1, 3])
def test_my_ballots_are_mine_and_ask_as_much_for_any_number(
    member, django_assert_num_queries, count
):
    PollFactory(title="Not mine", ballots={UserFactory(): "yes"})
    PollFactory(title="Hidden", community__visibility="private", ballots={member.user: "no"})
    for _ in range(count):
        PollFactory(ballots={member.user: "yes"})

    with django_assert_num_queries(2):
        found = api(member.user).get(reverse("api-my-ballots")).json()["results"]

    assert [row["content"] for row in found] == ["yes"] * count
    assert api().get(reverse("api-my-ballots")).status_code == 401


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
    assert set(ballot) == {"get", "put", "delete"}
    assert "/api/v1/token/" in paths
