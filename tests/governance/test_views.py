import pytest
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from governance.models import Ballot, Community, Invitation, Membership, User
from tests.factories.governance import (
    CommunityFactory,
    InvitationFactory,
    MembershipFactory,
    PollFactory,
    UserFactory,
)
from tests.governance.pages import HTMX, said, signed_in, url

pytestmark = pytest.mark.django_db


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

    with django_assert_num_queries(12):
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


def test_pages_need_the_csrf_token(member):
    poll = PollFactory(community=member.community, electors=[member.user])
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(member.user)

    assert strict.post(poll.get_absolute_url(), {"content": "yes"}).status_code == 403
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
