"""Pages and API of motions, of a community's rules, and of polls about both."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient

from governance import community_rules, stewardship
from governance.models import Community, Invitation, Motion, Poll
from governance.rules import Rule
from tests.factories.governance import InvitationFactory, MembershipFactory, PollFactory
from tests.governance.pages import HTMX, said

pytestmark = pytest.mark.django_db
RULE = {"threshold": ">=2/3", "base": "decided", "quorum": "approval", "quorum_percent": "20"}
OPEN_FOR = {"duration": "3", "unit": "days"}


@pytest.fixture
def ann():
    """A steward."""
    return MembershipFactory(steward=True)


@pytest.fixture
def ben(ann):
    """A second steward."""
    return MembershipFactory(community=ann.community, steward=True)


@pytest.fixture
def dan(ann):
    """A plain member."""
    return MembershipFactory(community=ann.community)


@pytest.fixture
def poll(ann):
    return PollFactory(community=ann.community, title="Thursdays?", electors=[ann.user])


@pytest.fixture
def large(settings):
    settings.SMALL_COMMUNITY = 1


@pytest.fixture
def as_(client):
    """Sign a member in."""

    def sign_in(own):
        client.force_login(own.user)
        return client

    return sign_in


def api(own=None):
    client = APIClient()
    if own is not None:
        client.force_authenticate(own.user)
    return client


def url(name, own, **kwargs):
    return reverse(name, kwargs={"slug": own.community.slug, **kwargs})


def move(own, poll, kind="close_early"):
    return stewardship.move(
        community_id=own.community_id,
        actor=own.user,
        kind=kind,
        reason="Put wrongly.",
        poll_id=poll.pk,
    )


# --- motions --------------------------------------------------------------------------------------


def test_a_steward_moves_and_another_seconds_on_the_page(ann, ben, poll, as_):
    moved = as_(ann).post(
        url("motion_list", ann),
        {
            "about": "poll",
            "poll-poll": poll.pk,
            "poll-kind": "close_early",
            "poll-reason": "Settled.",
        },
    )
    motion = Motion.objects.get()
    html = as_(ben).get(url("motion_list", ann)).content.decode()
    carried = as_(ben).post(url("motion_decide", ann, pk=motion.pk, act="second"))

    assert (moved.status_code, carried.status_code) == (302, 302)
    assert url("motion_decide", ann, pk=motion.pk, act="second") in html
    assert "Settled." in html
    poll.refresh_from_db()
    assert poll.status == "closed"


def test_the_mover_is_offered_to_take_it_back_and_not_to_second_it(ann, ben, poll, as_):
    motion = move(ann, poll)

    html = as_(ann).get(url("motion_list", ann)).content.decode()

    assert "Take it back" in html
    assert url("motion_decide", ann, pk=motion.pk, act="second") not in html


def test_a_refused_second_is_told_and_nothing_happens(ann, ben, poll, as_):
    motion = move(ann, poll)

    response = as_(ann).post(url("motion_decide", ann, pk=motion.pk, act="second"))

    assert said(response) == ["Nobody seconds their own motion."]
    poll.refresh_from_db()
    assert poll.status == "open"


def test_a_refused_motion_is_422_with_the_sentence(ann, ben, poll, as_):
    move(ben, poll)

    response = as_(ann).post(
        url("motion_list", ann),
        {"about": "poll", "poll-poll": poll.pk, "poll-kind": "close_early", "poll-reason": "x"},
    )

    assert response.status_code == 422
    assert "moved already" in response.content.decode()


def test_a_steward_is_moved_on_the_page(ann, ben, dan, as_):
    as_(ann).post(
        url("motion_list", ann),
        {
            "about": "steward",
            "steward-member": dan.pk,
            "steward-role": "steward",
            "steward-reason": "She helps.",
        },
    )

    motion = Motion.objects.get()
    assert (motion.membership, motion.role) == (dan, "steward")
    assert str(dan.user) in as_(ben).get(url("motion_list", ann)).content.decode()


def test_the_only_steward_reads_how_to_get_a_second_one(ann, poll, as_):
    html = as_(ann).get(url("motion_list", ann)).content.decode()

    assert "You are the only steward" in html
    assert "until there are two, you may do that alone" in html


def test_members_read_motions_and_move_none(ann, ben, dan, poll, as_):
    move(ann, poll)

    html = as_(dan).get(url("motion_list", ann)).content.decode()

    assert "Put wrongly." in html
    assert "Move something" not in html
    assert url("motion_decide", ann, pk=Motion.objects.get().pk, act="decline") not in html
    refused = as_(dan).post(url("motion_list", ann), {"about": "poll"})
    assert refused.status_code == 404


def test_visitors_of_a_public_community_read_no_motions(ann, ben, poll, as_):
    move(ann, poll)

    assert (
        "Put wrongly." not in as_(MembershipFactory()).get(url("motion_list", ann)).content.decode()
    )


def test_motions_of_another_community_are_not_found(ann, ben, poll, as_):
    motion = move(ann, poll)
    other = MembershipFactory(steward=True)

    assert (
        as_(other).post(url("motion_decide", other, pk=motion.pk, act="second")).status_code == 404
    )
    assert as_(ben).post(url("motion_decide", ann, pk=motion.pk, act="burn")).status_code == 404


def test_the_page_of_motions_gives_its_part_to_htmx(ann, ben, as_):
    html = as_(ann).get(url("motion_list", ann), headers=HTMX).content.decode()

    assert html.lstrip().startswith('<div id="motions"')


@pytest.mark.parametrize("status", ["waiting", "declined"])
def test_motions_take_as_many_queries_for_three_as_for_one(ann, ben, as_, status):
    def add(number):
        for _ in range(number):
            member = MembershipFactory(community=ann.community)
            about = PollFactory(
                community=ann.community,
                kind="steward_change",
                subject_key=f"{member.pk}:steward",
            )
            motion = move(ann, about)
            if status == "declined":
                stewardship.decline(motion_id=motion.pk, actor=ben.user)

    def queries():
        with CaptureQueriesContext(connection) as seen:
            as_(ben).get(url("motion_list", ann))
        return len(seen)

    add(1)
    queries()
    one = queries()
    add(2)
    assert queries() == one


# --- rules ----------------------------------------------------------------------------------------


def test_everyone_reads_by_which_rules_a_public_community_decides(ann, client):
    ann.community.rules = {"question": Rule(quorum="none").to_dict()}
    ann.community.save()

    html = client.get(url("community_rules", ann)).content.decode()

    assert "however few vote" in html
    assert "Set by the community" in html
    assert "Up to 10" in html
    assert url("community_rule", ann, kind="question") not in html


def test_a_steward_of_a_small_community_sets_a_rule_on_the_page(ann, as_):
    response = as_(ann).post(
        url("community_rule", ann, kind="question"), {**RULE, **OPEN_FOR, "act": "set"}
    )

    assert response.status_code == 302
    assert community_rules.rule_of(Community.objects.get(), "question").threshold.denominator == 3


def test_a_rule_is_said_in_words_before_it_is_set(ann, as_):
    response = as_(ann).post(
        url("community_rule", ann, kind="default"), {**RULE, **OPEN_FOR, "act": "preview"}
    )

    assert response.status_code == 200
    assert "at least two thirds" in response.content.decode()
    assert Community.objects.get().rules == {}


def test_a_set_rule_is_taken_back_on_the_page(ann, as_):
    ann.community.rules = {"question": Rule(quorum="none").to_dict()}
    ann.community.save()

    as_(ann).post(url("community_rule", ann, kind="question"), {**RULE, "act": "unset_now"})

    assert Community.objects.get().rules == {}


def test_in_a_large_community_the_page_puts_a_rule_to_the_vote(ann, dan, large, as_):
    page = url("community_rule", ann, kind="question")

    refused = as_(ann).post(page, {**RULE, **OPEN_FOR, "act": "set"})
    opened = as_(ann).post(page, {**RULE, **OPEN_FOR, "reason": "Fairer.", "act": "propose"})

    poll = Poll.objects.get()
    assert (refused.status_code, opened.url) == (422, poll.get_absolute_url())
    assert (poll.kind, poll.status, poll.period.days) == ("rule_change", "open", 3)
    assert poll.title in as_(ann).get(url("community_rules", ann)).content.decode()
    assert str(poll.pk) in as_(ann).get(poll.get_absolute_url()).content.decode()


def test_a_rule_that_is_none_is_422(ann, as_):
    wrong = {**RULE, "quorum_percent": "", **OPEN_FOR, "act": "set"}

    assert as_(ann).post(url("community_rule", ann, kind="default"), wrong).status_code == 422


def test_members_read_a_rule_and_are_refused_to_set_it(ann, dan, as_):
    page = url("community_rule", ann, kind="question")

    assert 'value="set"' not in as_(dan).get(page).content.decode()
    refused = as_(dan).post(page, {**RULE, **OPEN_FOR, "act": "set"})
    assert refused.status_code == 422
    assert "Only stewards" in refused.content.decode()


def test_a_kind_that_is_none_is_not_found(ann, as_):
    assert as_(ann).get(url("community_rule", ann, kind="coronation")).status_code == 404


def test_only_questions_are_offered_methods(ann, as_):
    question = as_(ann).get(url("community_rule", ann, kind="question")).content.decode()
    change = as_(ann).get(url("community_rule", ann, kind="rule_change")).content.decode()

    assert "schulze-wv" in question
    assert "schulze-wv" not in change


# --- stewards, by poll ----------------------------------------------------------------------------


def test_a_member_proposes_on_the_page_that_a_stewardship_ends(ann, ben, dan, large, as_):
    response = as_(dan).post(
        url("steward_change", ann, pk=ben.pk), {**OPEN_FOR, "role": "member", "reason": "Absent."}
    )

    poll = Poll.objects.get()
    assert response.url == poll.get_absolute_url()
    assert (poll.kind, poll.opened_by) == ("steward_change", dan.user)


def test_a_steward_proposes_a_steward_on_the_page(ann, dan, large, as_):
    page = url("steward_change", ann, pk=dan.pk)

    assert str(dan.user) in as_(ann).get(page).content.decode()
    as_(ann).post(page, {**OPEN_FOR, "role": "steward", "reason": "She helps."})

    assert Poll.objects.get().subject_key == f"{dan.pk}:steward"


def test_a_member_proposes_no_steward(ann, dan, large, as_):
    page = url("steward_change", ann, pk=MembershipFactory(community=ann.community).pk)

    assert '<button type="submit">Put it to the vote' not in as_(dan).get(page).content.decode()
    refused = as_(dan).post(page, {**OPEN_FOR, "role": "steward", "reason": "x"})
    assert refused.status_code == 422
    assert "Only stewards propose" in refused.content.decode()


def test_visitors_and_other_communities_find_nobody_to_propose(ann, dan, as_):
    assert as_(MembershipFactory()).get(url("steward_change", ann, pk=dan.pk)).status_code == 404
    stranger = MembershipFactory()
    assert as_(ann).get(url("steward_change", ann, pk=stranger.pk)).status_code == 404


def test_the_members_page_leads_to_the_poll_and_suspends_no_steward(ann, ben, dan, as_):
    members = url("community_members", ann)

    as_steward, as_member = (as_(own).get(members).content.decode() for own in (ann, dan))

    assert url("steward_change", ann, pk=dan.pk) in as_steward
    assert url("member_act", ann, pk=dan.pk, act="suspend") in as_steward
    assert url("member_act", ann, pk=ben.pk, act="suspend") not in as_steward
    assert url("steward_change", ann, pk=ben.pk) in as_member
    assert url("steward_change", ann, pk=dan.pk) not in as_member


def offered(client, ann, dan):
    """List the roles that the members page offers for Dan, and what it says."""
    html = client.get(url("community_members", ann)).content.decode()
    menu = html.partition(f'id="role-{dan.pk}"')[2].partition("</select>")[0]
    words = " ".join(re.sub("<[^>]*>", "", html).split())
    return re.findall(r'<option value="(\w+)"', menu), words


def test_the_members_page_offers_the_only_steward_every_role(ann, dan, as_):
    roles, words = offered(as_(ann), ann, dan)

    assert roles == ["member", "moderator", "steward"]
    assert "You are the only steward: you give every role" in words
    assert "Step down" not in words


def test_the_members_page_leads_to_a_motion_where_it_takes_two_stewards(ann, ben, dan, as_):
    roles, words = offered(as_(ann), ann, dan)

    assert roles == ["member", "moderator"]
    assert "Who is a steward takes two stewards" in words
    assert "Step down" in words
    page = as_(ann).get(url("community_members", ann)).content.decode()
    assert f'id="role-{ben.pk}"' not in page
    for own in (ben, dan):
        assert f"{url('motion_list', ann)}?member={own.pk}#move-title" in page


def test_the_members_page_leads_to_a_poll_where_the_community_is_large(ann, ben, dan, large, as_):
    roles, words = offered(as_(ann), ann, dan)

    assert roles == ["member", "moderator"]
    assert "With more than 1 members, a poll decides who is a steward" in words
    page = as_(ann).get(url("community_members", ann)).content.decode()
    assert "?member=" not in page
    assert url("steward_change", ann, pk=dan.pk) in page


@pytest.mark.parametrize(("name", "field"), [("poll", "poll-poll"), ("member", "steward-member")])
def test_the_page_of_motions_begins_with_what_the_address_names(ann, ben, poll, as_, name, field):
    PollFactory.create_batch(2, community=ann.community)
    key = {"poll": poll.pk, "member": ben.pk}[name]

    html = as_(ann).get(url("motion_list", ann), {name: key}).content.decode()

    assert re.findall(r'<option value="(\w+)" selected>', html)[0] == str(key)
    before, _, _ = html.partition(f'name="{field}"')
    assert re.search(r"<details[^>]*\sopen", before[before.rindex("<details") :])


def test_a_poll_about_a_steward_shows_members_whom_it_is_about(ann, dan, large, as_, client):
    PollFactory(
        community=ann.community,
        kind="steward_change",
        title="Make a member a steward",
        subject_key=f"{dan.pk}:steward",
    )
    address = Poll.objects.get().get_absolute_url()

    assert str(dan.user) not in client.get(address).content.decode()
    assert str(dan.user) in as_(ann).get(address).content.decode()


# --- API ------------------------------------------------------------------------------------------


def test_api_moves_lists_seconds_and_declines(ann, ben, poll):
    given = {"kind": "close_early", "poll": poll.pk, "reason": "Settled."}

    moved = api(ann).post(url("api-motions", ann), given, format="json")
    pk = moved.json()["id"]
    own = api(ann).post(url("api-motion-second", ann, pk=pk))
    declined = api(ben).post(url("api-motion-decline", ann, pk=pk))
    again = api(ben).post(url("api-motion-second", ann, pk=pk))

    assert [r.status_code for r in (moved, own, declined, again)] == [201, 403, 200, 409]
    listed = api(ben).get(url("api-motions", ann)).json()["results"]
    assert [(m["id"], m["status"]) for m in listed] == [(pk, "declined")]


def test_api_seconds_for_real(ann, ben, dan):
    moved = api(ann).post(
        url("api-motions", ann),
        {"kind": "change_steward", "membership": dan.pk, "role": "steward", "reason": "x"},
        format="json",
    )

    carried = api(ben).post(url("api-motion-second", ann, pk=moved.json()["id"]))

    assert carried.json()["status"] == "carried"
    dan.refresh_from_db()
    assert dan.role == "steward"


def test_api_shows_motions_to_members_only(ann, ben, poll):
    move(ann, poll)

    assert api(MembershipFactory()).get(url("api-motions", ann)).status_code == 403
    assert api().get(url("api-motions", ann)).status_code in {401, 403}


def test_api_tells_and_sets_rules(ann):
    rule = {"threshold": [2, 3], "strict": False}

    changed = api(ann).put(url("api-rule", ann, kind="question"), {"rule": rule}, format="json")
    told = {each["kind"]: each for each in api().get(url("api-rules", ann)).json()}

    assert changed.status_code == 200
    assert told["question"]["rule"]["threshold"] == [2, 3]
    assert (told["question"]["set"], told["question"]["bound"]) == (True, True)
    assert (told["default"]["set"], told["ratification"]["bound"]) == (False, False)
    assert told["rule_change"]["bound"] is True
    taken = api(ann).put(url("api-rule", ann, kind="question"), {"rule": None}, format="json")
    assert taken.json()["set"] is False


def test_api_refuses_to_set_a_rule_in_a_large_community_and_puts_it_to_the_vote(ann, dan, large):
    given = {"rule": {"quorum": "none"}, "minutes": 60, "reason": "Easier."}

    refused = api(ann).put(url("api-rule", ann, kind="default"), given, format="json")
    opened = api(ann).post(url("api-rule-proposals", ann, kind="default"), given, format="json")

    assert (refused.status_code, opened.status_code) == (403, 201)
    assert (opened.json()["kind"], opened.json()["subject_key"]) == ("rule_change", "default")


@pytest.mark.parametrize(
    ("kind", "rule", "status"),
    [
        ("coronation", {}, 404),
        ("default", {"method": "approval"}, 409),
        ("default", {"threshold": [3, 2]}, 400),
        ("default", "lax", 400),
    ],
)
def test_api_refuses_rules_that_are_none(ann, kind, rule, status):
    response = api(ann).put(url("api-rule", ann, kind=kind), {"rule": rule}, format="json")

    assert response.status_code == status


def test_api_proposes_stewards(ann, dan, large):
    page = url("api-steward-proposals", ann, pk=dan.pk)
    given = {"role": "steward", "reason": "She helps.", "minutes": 60}

    assert api(dan).post(page, given, format="json").status_code == 403
    opened = api(ann).post(page, given, format="json")
    assert opened.json()["subject_key"] == f"{dan.pk}:steward"


def test_api_lists_invitations_to_stewards_and_revokes_them(ann, dan):
    invitation = InvitationFactory(community=ann.community)
    InvitationFactory(community=ann.community, expired=True)
    InvitationFactory()

    listed = api(ann).get(url("api-invitations", ann)).json()["results"]
    assert [each["id"] for each in listed] == [invitation.pk]
    assert api(dan).get(url("api-invitations", ann)).status_code == 403
    assert api(dan).delete(url("api-invitation", ann, pk=invitation.pk)).status_code == 403
    assert api(ann).delete(url("api-invitation", ann, pk=invitation.pk)).status_code == 204
    assert Invitation.objects.get(pk=invitation.pk).expires_at < invitation.expires_at
    assert api(ann).get(url("api-invitations", ann)).json()["results"] == []


def test_the_page_of_a_poll_about_a_steward_names_them_to_members(ann, ben, dan, as_, client):
    poll = stewardship.propose_steward_change(
        community_id=ann.community_id,
        actor=ann.user,
        membership_id=dan.pk,
        role="steward",
        reason="They are needed.",
        period=timedelta(days=1),
    )
    page = poll.get_absolute_url()
    client.logout()

    assert dan.user.name in as_(ben).get(page).content.decode()
    client.logout()
    told = client.get(page).content.decode()
    assert f"member {dan.pk}" in told
    assert dan.user.name not in told


def test_visitors_learn_which_steward_a_poll_is_about(ann, ben, client):
    poll = stewardship.propose_steward_change(
        community_id=ann.community_id,
        actor=ann.user,
        membership_id=ben.pk,
        role="member",
        reason="They are away.",
        period=timedelta(days=1),
    )

    assert ben.user.name in client.get(poll.get_absolute_url()).content.decode()
