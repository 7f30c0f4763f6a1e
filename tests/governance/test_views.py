from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from governance import voting
from governance.models import AuditEvent, Ballot, Community, Invitation, Membership, Poll, User
from tests.factories.governance import (
    CommunityFactory,
    InvitationFactory,
    MembershipFactory,
    PollFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
RULE = {"threshold": ">1/2", "base": "decided", "quorum": "approval", "quorum_percent": "20"}


@pytest.fixture
def steward():
    return MembershipFactory(steward=True)


@pytest.fixture
def member(steward):
    return MembershipFactory(community=steward.community)


def signed_in(client, user):
    client.force_login(user)
    return client


def said(response):
    return [str(message) for message in get_messages(response.wsgi_request)]


def url(name, community, **kwargs):
    return reverse(name, kwargs={"slug": community.slug, **kwargs})


# --- home and communities -------------------------------------------------------------------------


def test_home_invites_a_visitor_to_sign_in_and_hides_private_communities(client):
    CommunityFactory(name="Open library")
    CommunityFactory(name="Hidden club", visibility="private")

    response = client.get(reverse("home"))

    html = response.content.decode()
    assert response.status_code == 200
    assert "Open library" in html
    assert "Hidden club" not in html
    assert reverse("account_login") in html


def test_home_shows_my_communities_and_polls_that_await_me(client):
    own = MembershipFactory(community__visibility="private", community__name="Hidden club")
    waiting = PollFactory(community=own.community, electors=[own.user], title="Vote me")
    PollFactory(community=own.community, ballots={own.user: "yes"}, title="Done already")
    PollFactory(community=own.community, title="Not mine")
    PollFactory(due=True, community=own.community, electors=[own.user], title="Too late")

    html = signed_in(client, own.user).get(reverse("home")).content.decode()

    assert "Hidden club" in html
    assert waiting.get_absolute_url() in html
    for title in ("Done already", "Not mine", "Too late"):
        assert title not in html


def test_home_gives_its_part_to_htmx(client):
    CommunityFactory(name="Open library")

    response = client.get(reverse("home"), headers=HTMX)

    html = response.content.decode().strip()
    assert html.startswith('<section id="communities"')
    assert "Open library" in html


@pytest.mark.parametrize("count", [1, 3])
def test_home_asks_as_much_of_the_database_for_any_number(client, django_assert_num_queries, count):
    ann = UserFactory()
    for _ in range(count):
        own = MembershipFactory(user=ann)
        PollFactory(community=own.community, electors=[ann])
        CommunityFactory()
    signed_in(client, ann)

    with django_assert_num_queries(6):
        client.get(reverse("home"))


def test_home_tells_its_pitch_to_visitors_only(client):
    own = MembershipFactory(community__name="Open library")
    pitch = "People write the law that an AI model keeps"

    assert pitch in client.get(reverse("home")).content.decode()
    html = signed_in(client, own.user).get(reverse("home")).content.decode()
    assert pitch not in html
    assert html.count("Open library") == 1


def test_home_helps_a_newcomer_to_a_community(client):
    CommunityFactory(name="Open library")

    html = signed_in(client, UserFactory()).get(reverse("home")).content.decode()

    assert "Find your community" in html
    assert "Open library" in html


def test_community_create_founds_and_redirects(client):
    ann = UserFactory()

    response = signed_in(client, ann).post(
        reverse("community_create"),
        {"name": "Readers", "purpose": "To read.", "visibility": "public", "joining": "open"},
    )

    community = Community.objects.get()
    assert (response.status_code, response.url) == (302, community.get_absolute_url())
    assert Membership.objects.get(user=ann).role == "steward"


def test_community_create_shows_a_refusal(client):
    CommunityFactory(slug="readers")

    response = signed_in(client, UserFactory()).post(
        reverse("community_create"),
        {"name": "Readers", "purpose": "To read.", "visibility": "public", "joining": "open"},
    )

    assert response.status_code == 422
    assert "is taken" in response.content.decode()


def test_community_create_wants_a_person(client):
    response = client.get(reverse("community_create"))

    assert response.status_code == 302
    assert response.url.startswith(reverse("account_login"))


@pytest.mark.parametrize(
    "name",
    ["community_members", "community_settings", "community_join", "poll_list", "poll_create"],
)
def test_pages_of_a_private_community_are_not_there_for_strangers(client, name):
    hidden = CommunityFactory(visibility="private")
    MembershipFactory(community=hidden, user=(gone := UserFactory()), status="left")

    for user in (UserFactory(), gone):
        assert signed_in(client, user).get(url(name, hidden)).status_code == 404


@pytest.mark.parametrize(
    "name",
    ["community_members", "community_settings", "community_join", "poll_list", "poll_create"],
)
def test_pages_of_a_community_are_whole_for_people_and_a_part_for_htmx(client, steward, name):
    signed_in(client, steward.user)

    whole = client.get(url(name, steward.community))
    part = client.get(url(name, steward.community), headers=HTMX)

    assert (whole.status_code, part.status_code) == (200, 200)
    assert "<!DOCTYPE html>" in whole.content.decode()
    assert "<html" not in part.content.decode()
    assert "HX-Request" in whole.headers["Vary"]


def test_community_settings_change(client, steward):
    response = signed_in(client, steward.user).post(
        url("community_settings", steward.community),
        {"purpose": "To listen.", "visibility": "private", "joining": "invite"},
    )

    steward.community.refresh_from_db()
    assert response.status_code == 302
    assert (steward.community.purpose, steward.community.visibility) == ("To listen.", "private")


def test_community_settings_refuse_members(client, member):
    response = signed_in(client, member.user).post(
        url("community_settings", member.community),
        {"purpose": "Mine.", "visibility": "private", "joining": "invite"},
    )

    member.community.refresh_from_db()
    assert response.status_code == 422
    assert "Only stewards" in response.content.decode()
    assert member.community.visibility == "public"


# --- joining --------------------------------------------------------------------------------------


def test_community_join_makes_a_member(client):
    community, ann = CommunityFactory(), UserFactory()

    response = signed_in(client, ann).post(url("community_join", community))

    assert response.url == community.get_absolute_url()
    assert Membership.objects.get(user=ann).status == "active"


def test_community_join_shows_a_refusal(client):
    community = CommunityFactory(joining="invite")

    response = signed_in(client, UserFactory()).post(url("community_join", community))

    assert response.status_code == 422
    assert "by invitation only" in response.content.decode()


@pytest.mark.parametrize("status", ["active", "requested", "suspended"])
def test_community_join_says_where_one_stands(client, status):
    own = MembershipFactory(status=status, community__joining="request")

    html = signed_in(client, own.user).get(url("community_join", own.community)).content.decode()

    words = {
        "active": "You are a member",
        "requested": "with the stewards",
        "suspended": "suspended",
    }
    assert words[status] in html
    assert "Ask to join" not in html


def test_community_leave_works_from_a_community_that_turned_private(client):
    own = MembershipFactory(status="requested", community__visibility="private")

    response = signed_in(client, own.user).post(url("community_leave", own.community))

    own.refresh_from_db()
    assert (response.url, own.status) == (reverse("home"), "left")


def test_community_leave_refuses_the_last_steward_and_is_not_there_for_strangers(client, steward):
    response = signed_in(client, steward.user).post(url("community_leave", steward.community))
    assert "at least one steward" in said(response)[0]

    stranger = signed_in(client, UserFactory()).post(url("community_leave", steward.community))
    assert stranger.status_code == 404


def test_invitation_shows_a_private_community_and_lets_in(client):
    made = InvitationFactory(community__visibility="private", community__name="Hidden club")
    ann = UserFactory()
    signed_in(client, ann)

    shown = client.get(made.get_absolute_url())
    response = client.post(made.get_absolute_url())

    assert "Hidden club" in shown.content.decode()
    assert response.url == made.community.get_absolute_url()
    assert Membership.objects.get(user=ann).status == "active"


def test_invitation_expired_says_so(client):
    made = InvitationFactory(expired=True)
    signed_in(client, UserFactory())

    assert "has expired" in client.get(made.get_absolute_url()).content.decode()
    assert client.post(made.get_absolute_url()).status_code == 422
    assert not Membership.objects.exists()


def test_invitation_unknown_is_not_there(client):
    signed_in(client, UserFactory())

    assert client.get(reverse("invitation", args=["guess"])).status_code == 404
    assert client.get("/invitations/a%00b/").status_code == 404


# --- members --------------------------------------------------------------------------------------


def test_community_members_names_everyone_to_members_only(client, steward):
    MembershipFactory(community=steward.community, user__name="Quiet Ann")
    page = url("community_members", steward.community)

    visitor = client.get(page).content.decode()
    member = signed_in(client, steward.user).get(page).content.decode()

    assert "Quiet Ann" not in visitor
    assert steward.user.name in visitor
    assert "Quiet Ann" in member


def test_community_members_marks_scripted_people(client, steward):
    MembershipFactory(community=steward.community, user__is_scripted=True, user__name="Robot")

    html = signed_in(client, steward.user).get(url("community_members", steward.community))

    assert html.content.decode().count('class="scripted"') == 1


def test_community_members_shows_requests_and_links_to_stewards_only(client, steward, member):
    MembershipFactory(community=steward.community, status="requested", user__name="Asking Bob")
    MembershipFactory(community=steward.community, status="suspended", user__name="Sent Off")
    made = InvitationFactory(community=steward.community)
    page = url("community_members", steward.community)

    for_steward = signed_in(client, steward.user).get(page).content.decode()
    for_member = signed_in(client, member.user).get(page).content.decode()

    for secret in ("Asking Bob", "Sent Off", made.token):
        assert secret in for_steward
        assert secret not in for_member


@pytest.mark.parametrize("count", [1, 3])
def test_community_members_asks_as_much_for_any_number(
    client, steward, django_assert_num_queries, count
):
    MembershipFactory.create_batch(count, community=steward.community)
    MembershipFactory.create_batch(count, community=steward.community, status="requested")
    MembershipFactory.create_batch(count, community=steward.community, status="suspended")
    InvitationFactory.create_batch(count, community=steward.community)
    signed_in(client, steward.user)

    with django_assert_num_queries(10):
        client.get(url("community_members", steward.community))


@pytest.mark.parametrize(
    ("act", "before", "after"),
    [
        ("approve", "requested", "active"),
        ("decline", "requested", "declined"),
        ("suspend", "active", "suspended"),
        ("reinstate", "suspended", "active"),
    ],
)
def test_member_act_does_it_for_stewards_and_refuses_others(client, steward, act, before, after):
    other = MembershipFactory(community=steward.community, status=before)
    plain = MembershipFactory(community=steward.community)
    address = url("member_act", steward.community, pk=other.pk, act=act)

    refused = signed_in(client, plain.user).post(address)
    other.refresh_from_db()
    assert (other.status, "Only stewards" in said(refused)[0]) == (before, True)

    done = signed_in(client, steward.user).post(address)
    other.refresh_from_db()
    assert (other.status, done.url) == (after, url("community_members", steward.community))


def test_member_act_refuses_unknown_acts_foreign_members_and_get(client, steward):
    foreign = MembershipFactory()
    signed_in(client, steward.user)

    unknown = url("member_act", steward.community, pk=steward.pk, act="crown")
    elsewhere = url("member_act", steward.community, pk=foreign.pk, act="suspend")

    assert client.post(unknown).status_code == 404
    assert client.post(elsewhere).status_code == 404
    assert client.get(elsewhere).status_code == 405


def test_member_role_changes_it(client, steward, member):
    address = url("member_role", steward.community, pk=member.pk)
    signed_in(client, steward.user)

    client.post(address, {"role": "moderator"})
    wrong = client.post(address, {"role": "owner"})

    member.refresh_from_db()
    assert member.role == "moderator"
    assert "A role is" in " ".join(said(wrong))


def test_invitation_create_and_revoke(client, steward, member):
    signed_in(client, steward.user).post(url("invitation_create", steward.community), {"days": "3"})
    made = Invitation.objects.get()

    client.post(url("invitation_create", steward.community), {"days": "0"})
    signed_in(client, member.user).post(url("invitation_create", steward.community), {"days": "3"})
    assert Invitation.objects.count() == 1

    signed_in(client, steward.user).post(url("invitation_revoke", steward.community, pk=made.pk))
    made.refresh_from_db()
    assert made.expires_at <= timezone.now()


# --- polls ----------------------------------------------------------------------------------------


def test_poll_list_shows_open_polls_first_and_no_standing(client, steward):
    PollFactory(closed=True, community=steward.community, title="Old", ballots={steward.user: "no"})
    PollFactory(community=steward.community, title="New", electors=[steward.user])

    html = signed_in(client, steward.user).get(url("poll_list", steward.community)).content.decode()

    assert html.index("New") < html.index("Old")
    assert "Awaits your ballot" in html
    assert html.count("1 no") == 1


@pytest.mark.parametrize("count", [1, 3])
def test_poll_list_asks_as_much_for_any_number(client, steward, django_assert_num_queries, count):
    for _ in range(count):
        PollFactory(community=steward.community, electors=[steward.user])
        PollFactory(closed=True, community=steward.community, ballots={steward.user: "yes"})
    signed_in(client, steward.user)

    with django_assert_num_queries(7):
        client.get(url("poll_list", steward.community))


def test_poll_create_opens_a_question(client, steward):
    given = {**RULE, "title": "Tea?", "text": "Shall we drink tea?", "duration": 3, "unit": "hours"}

    response = signed_in(client, steward.user).post(url("poll_create", steward.community), given)

    poll = Poll.objects.get()
    assert response.url == poll.get_absolute_url()
    assert (poll.kind, poll.rule["quorum_share"]) == ("question", [1, 5])
    assert poll.closes_at - poll.opened_at <= timedelta(hours=3)
    assert poll.closes_at - poll.opened_at > timedelta(hours=2.99)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": ""}, "This field is required"),
        ({"quorum_percent": ""}, "needs a percentage"),
        ({"quorum": "sqrt"}, "could not be met"),
        ({"duration": "400"}, "within a year"),
        ({"duration": "0"}, "greater than or equal to 1"),
    ],
)
def test_poll_create_shows_what_is_wrong(client, steward, change, words):
    given = {**RULE, "title": "Tea?", "text": "Tea?", "duration": 3, "unit": "days", **change}

    response = signed_in(client, steward.user).post(url("poll_create", steward.community), given)

    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Poll.objects.exists()


def test_poll_create_refuses_members(client, member):
    given = {**RULE, "title": "Tea?", "text": "Tea?", "duration": 3, "unit": "days"}

    response = signed_in(client, member.user).post(url("poll_create", member.community), given)

    assert response.status_code == 422
    assert "Only stewards" in response.content.decode()


@pytest.mark.parametrize(
    ("threshold", "exact", "strict"),
    [(">1/2", [1, 2], True), (">=2/3", [2, 3], False), (">=1/1", [1, 1], False)],
)
def test_poll_create_keeps_thresholds_exact(client, steward, threshold, exact, strict):
    given = {**RULE, "title": "T", "text": "T", "duration": 3, "unit": "days"}

    signed_in(client, steward.user).post(
        url("poll_create", steward.community), {**given, "threshold": threshold}
    )

    assert (Poll.objects.get().rule["threshold"], Poll.objects.get().rule["strict"]) == (
        exact,
        strict,
    )


def test_poll_rule_says_it_in_words(client, steward):
    MembershipFactory.create_batch(4, community=steward.community)

    whole = client.get(url("poll_rule", steward.community), {**RULE, "threshold": ">=2/3"})
    half = client.get(url("poll_rule", steward.community), {"threshold": ">=2/3"})

    assert "at least two thirds of those who vote yes or no" in whole.content.decode()
    assert (
        "20\N{NARROW NO-BREAK SPACE}% of the 5 members entitled to vote, that is 1."
        in whole.content.decode()
    )
    assert "Choose a complete rule" in half.content.decode()


def test_poll_detail_shows_no_standing_before_the_close(client, steward):
    people = UserFactory.create_batch(7)
    poll = PollFactory(
        community=steward.community,
        electors=[steward.user],
        ballots=dict.fromkeys(people, "yes"),
    )

    for user in (steward.user, people[0]):
        response = signed_in(client, user).get(poll.get_absolute_url())
        html = response.content.decode()
        assert "8 members may vote" in html
        assert people[1].name not in html
        assert 'class="chart tally"' not in html
        for secret in ("result", "figures", "roll_call"):
            assert secret not in response.context


def test_poll_detail_takes_a_ballot_and_redirects(client, member):
    poll = PollFactory(community=member.community, electors=[member.user])

    response = signed_in(client, member.user).post(poll.get_absolute_url(), {"choice": "yes"})

    assert (response.status_code, response.url) == (302, poll.get_absolute_url())
    assert Ballot.objects.get().choice == "yes"
    html = client.get(poll.get_absolute_url()).content.decode()
    assert "Your ballot is recorded" in html
    assert "Replace my ballot" in html


def test_poll_detail_answers_htmx_with_the_panel(client, member):
    poll = PollFactory(community=member.community, electors=[member.user])

    response = signed_in(client, member.user).post(
        poll.get_absolute_url(), {"choice": "no"}, headers=HTMX
    )

    html = response.content.decode().strip()
    assert response.status_code == 200
    assert html.startswith('<section id="poll-panel"')
    assert "Your ballot is recorded" in html
    assert 'value="no" required checked' in " ".join(html.split())


@pytest.mark.parametrize("given", [{}, {"choice": "maybe"}])
def test_poll_detail_refuses_a_ballot_without_a_choice(client, member, given):
    poll = PollFactory(community=member.community, electors=[member.user])

    response = signed_in(client, member.user).post(poll.get_absolute_url(), given, headers=HTMX)

    assert response.status_code == 422
    assert not Ballot.objects.exists()


def test_poll_detail_refuses_newcomers_and_late_ballots(client, member):
    late = PollFactory(due=True, community=member.community, electors=[member.user])
    foreign = PollFactory(community=member.community)
    signed_in(client, member.user)

    for poll, words in ((late, "no more ballots"), (foreign, "when the poll opened")):
        response = client.post(poll.get_absolute_url(), {"choice": "yes"})
        assert response.status_code == 422
        assert words in response.content.decode()

    assert not Ballot.objects.exists()
    assert not AuditEvent.objects.exists()


def test_poll_detail_sends_visitors_to_sign_in(client):
    poll = PollFactory(open=True)

    assert client.get(poll.get_absolute_url()).status_code == 200
    response = client.post(poll.get_absolute_url(), {"choice": "yes"})
    assert response.url == f"{reverse('account_login')}?next={poll.get_absolute_url()}"


def test_poll_detail_of_another_community_is_not_there(client, steward):
    poll = PollFactory(open=True)
    signed_in(client, steward.user)

    assert client.get(url("poll_detail", steward.community, pk=poll.pk)).status_code == 404
    assert client.get(url("poll_detail", steward.community, pk=10**9)).status_code == 404


def test_poll_detail_of_a_private_community_is_not_there_for_strangers(client):
    poll = PollFactory(community__visibility="private")

    assert client.get(poll.get_absolute_url()).status_code == 404
    response = signed_in(client, UserFactory()).post(poll.get_absolute_url(), {"choice": "yes"})
    assert response.status_code == 404


def test_poll_detail_after_the_close_shows_the_result_to_all_and_names_to_members(client, member):
    ann, bob = UserFactory(name="Ann Yes"), UserFactory(name="Bob No", is_scripted=True)
    poll = PollFactory(
        closed=True,
        community=member.community,
        electors=[member.user],
        ballots={ann: "yes", bob: "no", UserFactory(): "yes"},
    )

    visitor = client.get(poll.get_absolute_url()).content.decode()
    inside = signed_in(client, member.user).get(poll.get_absolute_url()).content.decode()

    for html in (visitor, inside):
        words = " ".join(html.split())
        assert 'class="chart tally"' in html
        assert "2 of 3 who voted yes or no (66.66 %)" in words or "(66.67 %)" in words
        assert "3 of 4 (75.00 %)" in words
    assert "Ann Yes" not in visitor
    assert "Bob No" not in visitor
    assert "Ann Yes" in inside
    assert inside.count('class="scripted"') == 1


@pytest.mark.parametrize("count", [1, 3])
def test_poll_detail_asks_as_much_for_any_number_of_ballots(
    client, member, django_assert_num_queries, count
):
    poll = PollFactory(
        closed=True,
        community=member.community,
        electors=[member.user],
        ballots=dict.fromkeys(UserFactory.create_batch(count), "yes"),
    )
    signed_in(client, member.user)

    with django_assert_num_queries(9):
        client.get(poll.get_absolute_url())


@pytest.mark.parametrize("quorum", ["none", "participation", "approval", "sqrt"])
def test_poll_detail_draws_every_quorum(client, quorum):
    rule = {
        "method": "yes_no",
        "base": "eligible",
        "threshold": [2, 3],
        "strict": False,
        "quorum": quorum,
        "quorum_share": [1, 3],
        "secrecy": "roll_call",
    }
    poll = PollFactory(
        closed=True, rule=rule, ballots=dict.fromkeys(UserFactory.create_batch(4), "yes")
    )

    html = client.get(poll.get_absolute_url()).content.decode()

    assert "Passed" in html
    assert ("▲" in html) is (quorum != "none")


def test_poll_detail_shows_voters_their_own_reference_only(client, member):
    other = UserFactory()
    poll = PollFactory(community=member.community, electors=[member.user, other])

    html = signed_in(client, member.user).get(poll.get_absolute_url()).content.decode()

    assert voting.voter_reference(poll, member.user.pk) in html
    assert voting.voter_reference(poll, other.pk) not in html
    assert poll.voter_salt not in html


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"due": True}, "load delay:3s"),
        ({"closes_at": timezone.now() + timedelta(days=1)}, None),
        ({"closed": True}, None),
    ],
)
def test_poll_detail_looks_again_only_around_the_deadline(client, given, words):
    html = client.get(PollFactory(**given).get_absolute_url()).content.decode()

    assert ("hx-trigger" in html) is (words is not None)
    assert words is None or words in html


def test_poll_detail_escapes_what_people_wrote(client):
    poll = PollFactory(title="<script>a</script>", text="<script>b</script> [x](javascript:c)")

    html = client.get(poll.get_absolute_url()).content.decode()

    assert "<script>a" not in html
    assert "<script>b" not in html
    assert 'href="javascript' not in html


def test_ballot_withdraw_whole_and_part(client, member):
    poll = PollFactory(community=member.community, ballots={member.user: "yes"})
    address = url("ballot_withdraw", member.community, pk=poll.pk)
    signed_in(client, member.user)

    part = client.post(address, headers=HTMX)
    assert part.content.decode().strip().startswith('<section id="poll-panel"')
    assert not Ballot.objects.exists()

    client.post(poll.get_absolute_url(), {"choice": "no"})
    whole = client.post(address)
    assert whole.url == poll.get_absolute_url()
    assert not Ballot.objects.exists()


def test_ballot_withdraw_refuses_after_the_deadline(client, member):
    poll = PollFactory(due=True, community=member.community, ballots={member.user: "yes"})
    address = url("ballot_withdraw", member.community, pk=poll.pk)
    signed_in(client, member.user)

    part = client.post(address, headers=HTMX)
    assert part.status_code == 422
    assert "no more ballots" in part.content.decode()
    assert "no more ballots" in said(client.post(address))[0]
    assert Ballot.objects.exists()


def test_pages_need_the_csrf_token(member):
    poll = PollFactory(community=member.community, electors=[member.user])
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(member.user)

    assert strict.post(poll.get_absolute_url(), {"choice": "yes"}).status_code == 403
    assert not Ballot.objects.exists()


@pytest.mark.parametrize(
    ("name", "words", "wrong"),
    [
        ("account_login", "Sign in", "Sign In"),
        ("account_login", "Remember me", "Remember Me"),
        ("account_signup", "Sign up", "Sign Up"),
        ("account_reset_password", "Reset my password", "Reset My Password"),
    ],
)
def test_account_pages_are_in_sentence_case(client, name, words, wrong):
    html = client.get(reverse(name)).content.decode()

    assert words in html
    assert wrong not in html


def test_a_mail_of_the_account_names_its_matter_in_sentence_case(client, mailoutbox):
    ann = UserFactory()
    EmailAddress.objects.create(user=ann, email=ann.email, primary=True, verified=True)

    client.post(reverse("account_reset_password"), {"email": ann.email})

    assert mailoutbox[0].subject == "Folkmoot: Choose a new password"


def test_poll_detail_has_one_rounding(client, steward):
    people = UserFactory.create_batch(12)
    ballots = dict.fromkeys(people[:11], "yes") | {people[11]: "no"}
    poll = PollFactory(community=steward.community, electors=people, ballots=ballots, closed=True)

    html = client.get(poll.get_absolute_url()).content.decode()

    assert html.count("91.67\N{NARROW NO-BREAK SPACE}%") >= 3
    assert "91.6\N{NARROW NO-BREAK SPACE}%" not in html


def test_signup_keeps_the_name(client):
    client.post(
        reverse("account_signup"),
        {
            "name": "Ann",
            "email": "ann@example.org",
            "password1": "correct horse battery",
            "password2": "correct horse battery",
        },
    )

    assert User.objects.get().name == "Ann"
