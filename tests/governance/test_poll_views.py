from datetime import timedelta
from fractions import Fraction

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.urls import reverse
from django.utils import timezone

from governance import polling, voting
from governance.canonical import canonical_json, digest
from governance.models import AuditEvent, Ballot, Community, Membership, Poll
from governance.rules import Rule
from tests.factories.governance import (
    CommunityFactory,
    MembershipFactory,
    PollFactory,
    UserFactory,
)
from tests.governance.pages import HTMX, RULE, said, signed_in, url

pytestmark = pytest.mark.django_db


# --- lists and questions --------------------------------------------------------------------------


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
    assert "20\N{NARROW NO-BREAK SPACE}% of the 5 members entitled to vote, that is 1." in (
        whole.content.decode()
    )
    assert "Choose a complete rule" in half.content.decode()


def test_poll_rule_says_a_rule_for_all_polls_of_a_kind_whole(client, steward):
    steward.community.rules = {"": Rule(base="cast").to_dict()}
    steward.community.save()
    given = {**RULE, "kind": "rule_change", "free": "1", "deliberation_hours": "48"}

    html = client.get(url("poll_rule", steward.community), given).content.decode()

    rule = Rule()
    assert "of those who vote yes or no" in html
    assert f'name="seen" value="{digest(rule.to_dict())}"' in html


def test_poll_detail_says_that_an_announced_poll_keeps_its_rule(client, steward):
    poll = PollFactory(announced=True, community=steward.community)
    decided = Rule(quorum="none").to_dict()

    same = client.get(poll.get_absolute_url()).content.decode()
    Community.objects.update(rules={"question": decided})
    other = client.get(poll.get_absolute_url()).content.decode()
    Community.objects.update(rules={"question": poll.rule})
    again = client.get(poll.get_absolute_url()).content.decode()

    assert "keeps the rule under which it was announced" not in same
    assert "keeps the rule under which it was announced" in " ".join(other.split())
    assert "The community has decided this rule" not in other
    assert "The community has decided this rule" in again


def test_poll_list_says_what_won(client, steward):
    poll_of("approval", steward.community, closed=True, ballots={steward.user: ["tea"]})

    html = " ".join(client.get(url("poll_list", steward.community)).content.decode().split())

    assert "“Tea” won.</strong> 1 of 1 voted" in html


def test_poll_detail_shows_how_the_lot_decided(client, member):
    ballots = {UserFactory(): [["tea"], ["coffee"]], UserFactory(): [["coffee"], ["tea"]]}
    poll = poll_of("irv", member.community, closed=True, ballots=ballots)

    html = client.get(poll.get_absolute_url()).content.decode()

    assert "How the lot decided between those tied" in html
    for words in (
        poll.seed,
        poll.seed_digest,
        "Draw 0: of 2 votes, ticket",
        url("transparency", poll.community),
    ):
        assert words in html


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

    response = signed_in(client, member.user).post(poll.get_absolute_url(), {"content": "yes"})

    assert (response.status_code, response.url) == (302, poll.get_absolute_url())
    assert Ballot.objects.get().content == "yes"
    html = client.get(poll.get_absolute_url()).content.decode()
    assert "Your ballot is recorded" in html
    assert "Replace my ballot" in html


def test_poll_detail_answers_htmx_with_the_panel(client, member):
    poll = PollFactory(community=member.community, electors=[member.user])

    response = signed_in(client, member.user).post(
        poll.get_absolute_url(), {"content": "no"}, headers=HTMX
    )

    html = response.content.decode().strip()
    assert response.status_code == 200
    assert html.startswith('<section id="poll-panel"')
    assert "Your ballot is recorded" in html
    assert 'value="no" required checked' in " ".join(html.split())


@pytest.mark.parametrize("given", [{}, {"content": "maybe"}])
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
        response = client.post(poll.get_absolute_url(), {"content": "yes"})
        assert response.status_code == 422
        assert words in response.content.decode()

    assert not Ballot.objects.exists()
    assert not AuditEvent.objects.exists()


def test_poll_detail_sends_visitors_to_sign_in(client):
    poll = PollFactory(open=True)

    assert client.get(poll.get_absolute_url()).status_code == 200
    response = client.post(poll.get_absolute_url(), {"content": "yes"})
    assert response.url == f"{reverse('account_login')}?next={poll.get_absolute_url()}"


def test_poll_detail_of_another_community_is_not_there(client, steward):
    poll = PollFactory(open=True)
    signed_in(client, steward.user)

    assert client.get(url("poll_detail", steward.community, pk=poll.pk)).status_code == 404
    assert client.get(url("poll_detail", steward.community, pk=10**9)).status_code == 404


def test_poll_detail_of_a_private_community_is_not_there_for_strangers(client):
    poll = PollFactory(community__visibility="private")

    assert client.get(poll.get_absolute_url()).status_code == 404
    response = signed_in(client, UserFactory()).post(poll.get_absolute_url(), {"content": "yes"})
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
        assert "Of 3 votes of yes or no, 2 said yes (66.67 %), and 2 were needed" in words
        assert "3 of 4 voted (75.00 %)" in words
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

    with django_assert_num_queries(8):
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

    client.post(poll.get_absolute_url(), {"content": "no"})
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


# --- the whole rule -------------------------------------------------------------------------------


OPTIONS = {"option-0": "Tea", "option-text-0": "Black or green.", "option-1": "Coffee"}
QUESTION = {
    **RULE,
    "title": "What to drink?",
    "text": "One for all.",
    "duration": 3,
    "unit": "days",
}


def ask(client, steward, **given):
    return signed_in(client, steward.user).post(
        url("poll_create", steward.community), {**QUESTION, **given}
    )


def test_poll_create_asks_for_the_whole_rule(client, steward):
    response = ask(
        client,
        steward,
        **OPTIONS,
        method="schulze-wv",
        quorum_percent="1/3",
        secrecy="roll_call",
        delegation="on",
        delegation_cap="3",
        ties="report",
        extension="30",
        period="1440",
        membership_days="0",
        weighting="seniority",
        group_support="1/4",
    )

    poll = Poll.objects.get()
    assert response.url == poll.get_absolute_url()
    assert [option["key"] for option in poll.options] == ["tea", "coffee", "status-quo"]
    assert poll.options[0]["text"] == "Black or green."
    assert Rule.from_dict(poll.rule) == Rule(
        method="schulze-wv",
        quorum_share=Fraction(1, 3),
        delegation=True,
        delegation_cap=3,
        ties="report",
        extension=30,
        period=1440,
        weighting="seniority",
        group_support=Fraction(1, 4),
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"method": "irv"}, "1 to 35 options"),
        ({"option-0": "Tea"}, "has no options"),
        ({"method": "irv", "option-0": "Tea", "option-1": "tea"}, "the same title"),
        ({"method": "irv", "option-text-0": "About what?"}, "An option needs a title."),
        ({"method": "quadratic", **OPTIONS}, "Quadratic votes ask for verified e-mail"),
        ({"secrecy": "secret", "delegation": "on"}, "neither delegation nor group support"),
        ({"period": "10080"}, "open at least 7 days"),
        ({"method": "dice", **OPTIONS}, "Select a valid choice"),
        ({"quorum_percent": "0"}, "above 0"),
        ({"quorum_percent": "1/0"}, "Write a percentage"),
        ({"quorum_percent": "101"}, "above 0 and is at most 100"),
        ({"quorum_percent": "1e9"}, "Write a percentage"),
        ({"membership_days": "-1"}, "greater than or equal to 0"),
    ],
)
def test_poll_create_refuses_rules_and_options_that_make_no_poll(client, steward, given, words):
    response = ask(client, steward, **given)

    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Poll.objects.exists()


def test_poll_create_gives_more_options_without_losing_anything(client, steward):
    response = ask(client, steward, **OPTIONS, do="more", method="approval", title="")

    html = response.content.decode()
    assert response.status_code == 200
    assert 'name="option-3"' in html
    assert 'value="Coffee"' in html
    assert "Black or green." in html
    assert "This field is required" not in html
    assert not Poll.objects.exists()


def test_poll_create_shows_what_the_rule_means_without_opening(client, steward):
    response = ask(client, steward, do="show", threshold=">=2/3")
    impossible = ask(client, steward, do="show", secrecy="secret", delegation="on")

    assert response.status_code == 200
    assert "at least two thirds of those who vote yes or no" in response.content.decode()
    assert "neither delegation nor group support" in impossible.content.decode()
    assert not Poll.objects.exists()


def test_poll_create_starts_from_the_communitys_rule(client, steward):
    rule = Rule(threshold=Fraction(5, 7), strict=False, extension=45, secrecy="secret")
    Community.objects.filter(pk=steward.community_id).update(rules={"": rule.to_dict()})

    html = (
        signed_in(client, steward.user).get(url("poll_create", steward.community)).content.decode()
    )

    words = " ".join(html.split())
    assert '<option value="&gt;=5/7" selected>at least 5/7</option>' in words
    assert '<option value="45" selected>45 minutes</option>' in words
    assert 'value="secret" required id="id_secrecy_1" checked' in words


def test_poll_create_does_not_ask_where_the_community_has_decided(client, steward):
    rule = Rule(threshold=Fraction(2, 3), strict=False)
    Community.objects.filter(pk=steward.community_id).update(rules={"question": rule.to_dict()})

    html = (
        signed_in(client, steward.user).get(url("poll_create", steward.community)).content.decode()
    )
    ask(client, steward, threshold=">1/2")

    assert 'name="threshold"' not in html
    assert "The community has decided how such polls are decided" in html
    assert "at least two thirds" in html
    assert Rule.from_dict(Poll.objects.get().rule) == rule


# --- drafts and deliberation ----------------------------------------------------------------------


def test_poll_create_saves_a_draft_that_only_stewards_see(client, steward, member):
    response = ask(client, steward, do="draft")

    poll = Poll.objects.get()
    assert (poll.status, response.url) == ("draft", poll.get_absolute_url())
    assert not AuditEvent.objects.exists()
    assert client.get(poll.get_absolute_url()).status_code == 200
    assert "What to drink?" in client.get(url("poll_list", steward.community)).content.decode()
    for user in (member.user, None):
        client.logout()
        if user:
            client.force_login(user)
        assert client.get(poll.get_absolute_url()).status_code == 404
        assert client.get(f"{poll.get_absolute_url()}edit/").status_code in {302, 404}
        assert (
            "What to drink?" not in client.get(url("poll_list", steward.community)).content.decode()
        )


def test_poll_create_announces_a_poll_with_its_time(client, steward, member):
    opens_at = timezone.now() + timedelta(days=2)

    ask(client, steward, do="announce", opens_at=opens_at.strftime("%Y-%m-%dT%H:%M"))

    poll = Poll.objects.get()
    html = signed_in(client, member.user).get(poll.get_absolute_url()).content.decode()
    assert poll.status == "deliberation"
    assert abs(poll.opens_at - opens_at) < timedelta(minutes=1)
    assert "In deliberation" in html
    assert "for 3 days" in html
    assert "Passes when more than half" in html
    assert "Withdraw the poll" not in html


def test_poll_create_announces_nothing_that_would_open_too_early(client, steward):
    response = ask(client, steward, do="announce", deliberation="1440", opens_at="2020-01-01T00:00")

    assert response.status_code == 422
    assert "at least 1 day to deliberate" in response.content.decode()
    assert not Poll.objects.exists()


def test_poll_edit_changes_a_draft_and_tells_of_a_revision(client, steward):
    ask(client, steward, **OPTIONS, do="draft", method="irv")
    poll = Poll.objects.get()
    address = url("poll_edit", steward.community, pk=poll.pk)

    shown = " ".join(client.get(address).content.decode().split())
    response = client.post(address, {**QUESTION, "title": "Tea?", "do": "save"})

    poll.refresh_from_db()
    assert 'value="Coffee"' in shown
    assert 'value="irv" required checked' in shown
    assert response.url == poll.get_absolute_url()
    assert (poll.title, poll.options, poll.rule["method"]) == ("Tea?", [], "yes_no")
    assert not AuditEvent.objects.exists()
    polling.announce_poll(
        poll_id=poll.pk, actor=steward.user, opens_at=timezone.now() + timedelta(days=1)
    )
    client.post(address, {**QUESTION, "title": "Coffee?", "do": "save"})
    assert [event.verb for event in AuditEvent.objects.all()] == ["poll.announced", "poll.revised"]


def test_poll_edit_refuses_members_and_polls_that_opened(client, steward, member):
    announced = PollFactory(announced=True, community=steward.community)
    opened = PollFactory(community=steward.community)

    for who, poll, words in (
        (member, announced, "Only stewards"),
        (steward, opened, "not edited after it opened"),
    ):
        address = url("poll_edit", poll.community, pk=poll.pk)
        response = signed_in(client, who.user).post(address, QUESTION)
        assert response.status_code == 422
        assert words in response.content.decode()
    assert not Poll.objects.filter(title=QUESTION["title"]).exists()


def test_poll_announce_opens_a_draft(client, steward):
    ask(client, steward, do="draft")
    poll = Poll.objects.get()
    address = url("poll_announce", steward.community, pk=poll.pk)

    wrong = client.post(address, {"opens_at": "soon"})
    client.post(address, {"opens_at": ""})

    poll.refresh_from_db()
    assert wrong.status_code == 422
    assert poll.status == "open"
    again = client.post(address, {"opens_at": ""})
    assert again.status_code == 422


def test_poll_withdraw_takes_a_reason_and_shows_it(client, steward, member):
    poll = PollFactory(announced=True, community=steward.community)
    address = url("poll_withdraw", steward.community, pk=poll.pk)

    assert signed_in(client, member.user).post(address, {"reason": "No."}).status_code == 422
    assert signed_in(client, steward.user).post(address, {"reason": ""}).status_code == 422
    client.post(address, {"reason": "It was asked before."})

    poll.refresh_from_db()
    assert poll.status == "withdrawn"
    client.logout()
    html = client.get(poll.get_absolute_url()).content.decode()
    assert "It was asked before." in html
    assert "Withdraw the poll" not in html


def test_poll_detail_leads_stewards_to_the_motion_and_nobody_else(client, steward, member):
    poll = PollFactory(community=steward.community)

    for who, words in ((steward, True), (member, False)):
        html = signed_in(client, who.user).get(poll.get_absolute_url()).content.decode()
        assert ("another seconds it" in html) is words


# --- ballots of every method ----------------------------------------------------------------------


CHOICES = [
    {"key": "tea", "title": "Tea", "text": "Black **or** green."},
    {"key": "coffee", "title": "Coffee", "text": ""},
    {"key": "status-quo", "title": "Status quo", "text": "Nothing changes."},
]
SENT = {
    "approval": ({"approve": ["tea", "coffee"]}, ["tea", "coffee"], "Tea, Coffee"),
    "irv": ({"rank-tea": 2, "rank-coffee": 1}, [["coffee"], ["tea"]], "Coffee, then Tea"),
    "star": ({"points-tea": 5}, {"tea": 5}, "Tea 5"),
    "quadratic": (
        {"amount-tea": 81, "amount-coffee": 4},
        {"tea": 81, "coffee": 4},
        "Tea 81, Coffee 4",
    ),
    "weighted": ({"amount-tea": 1}, {"tea": 1}, "Tea 1"),
}


def poll_of(method, community, **fields):
    rule = Rule(method=method, verified_email=method == "quadratic", **fields.pop("rule", {}))
    options = CHOICES if rule.has_options else []
    return PollFactory(community=community, rule=rule.to_dict(), options=options, **fields)


@pytest.mark.parametrize("method", SENT)
def test_poll_detail_takes_a_ballot_of_every_method_and_shows_it_back(client, member, method):
    poll = poll_of(method, member.community, electors=[member.user])
    data, content, words = SENT[method]

    empty = signed_in(client, member.user).get(poll.get_absolute_url())
    response = client.post(poll.get_absolute_url(), data)

    assert empty.status_code == 200
    assert response.url == poll.get_absolute_url()
    assert Ballot.objects.get().content == content
    html = client.get(poll.get_absolute_url()).content.decode()
    assert words in html
    assert "<strong>or</strong> green" in html


def test_poll_detail_keeps_what_was_typed_beside_what_is_wrong(client, member):
    poll = poll_of("irv", member.community, electors=[member.user])

    response = signed_in(client, member.user).post(
        poll.get_absolute_url(), {"rank-tea": "abc", "rank-coffee": "1"}, headers=HTMX
    )

    html = response.content.decode()
    assert response.status_code == 422
    assert "“Tea”: write a whole number" in html
    assert 'value="abc"' in html
    assert not Ballot.objects.exists()


def test_poll_detail_takes_a_blank_ballot(client, member):
    poll = poll_of("irv", member.community, electors=[member.user])

    signed_in(client, member.user).post(poll.get_absolute_url(), {"blank": "1", "rank-tea": ""})

    assert Ballot.objects.get().content == []
    assert "<strong>Blank</strong>" in client.get(poll.get_absolute_url()).content.decode()


@pytest.mark.parametrize("method", ["yes_no", *SENT])
@pytest.mark.parametrize("secrecy", ["roll_call", "secret"])
def test_nothing_says_how_an_open_poll_stands(client, steward, member, method, secrecy):
    content = SENT[method][1] if method in SENT else "yes"
    people = [UserFactory(name=f"Voter {number} Zebra") for number in range(2)]
    poll = poll_of(
        method,
        member.community,
        rule={"secrecy": secrecy},
        electors=[steward.user, member.user],
        ballots=dict.fromkeys(people, content),
    )
    for user in (None, member.user, steward.user):
        client.logout()
        if user:
            client.force_login(user)
        for address in (poll.get_absolute_url(), url("poll_edit", poll.community, pk=poll.pk)):
            response = client.get(address)
            sent = response.content.decode() + str(dict(response.headers))
            leaks = ["Zebra", "Why it came out so", "Duels", "seed_", poll.seed, poll.voter_salt]
            leaks += [voting.voter_reference(poll, person.pk) for person in people]
            assert [leak for leak in leaks if leak in sent] == []
            for name in ("result", "roll_call", "voters"):
                assert not (response.context or {}).get(name)


def test_poll_detail_tells_in_which_state_a_secret_ballot_is(client, member):
    poll = poll_of("irv", member.community, rule={"secrecy": "secret"}, electors=[member.user])
    voting.cast_ballot(poll_id=poll.pk, voter=member.user, content=[["tea"]])
    signed_in(client, member.user)

    before = client.get(poll.get_absolute_url()).content.decode()
    voting.fill_urn(poll_id=poll.pk, least=1)
    after = client.get(poll.get_absolute_url())
    refused = client.post(poll.get_absolute_url(), {"rank-coffee": "1"})

    assert "waits in its envelope" in before
    assert "Replace my ballot" in before
    assert "It is in the urn" in after.content.decode()
    assert "Replace my ballot" not in after.content.decode()
    assert "<strong>Tea</strong>" not in after.content.decode()
    assert refused.status_code == 422
    assert "cannot be changed" in refused.content.decode()


def test_who_voted_in_a_secret_poll_is_named_to_members_from_three_on(client, member):
    people = [UserFactory(name=f"Zebra {number}") for number in range(3)]
    poll = poll_of(
        "irv", member.community, rule={"secrecy": "secret"}, electors=[member.user, *people]
    )
    for number, person in enumerate(people):
        voting.cast_ballot(poll_id=poll.pk, voter=person, content=[["tea"]])
        inside = signed_in(client, member.user).get(poll.get_absolute_url()).content.decode()
        client.logout()
        outside = client.get(poll.get_absolute_url()).content.decode()
        assert ("Zebra 0" in inside) is (number == 2)
        assert "Zebra" not in outside


def test_receipt_proves_a_roll_calls_ballot_and_only_that_a_secret_one_was_cast(client, member):
    open_poll = poll_of("irv", member.community, electors=[member.user])
    secret = poll_of("irv", member.community, rule={"secrecy": "secret"}, electors=[member.user])
    signed_in(client, member.user)
    found = {}
    for poll in (open_poll, secret):
        client.post(poll.get_absolute_url(), {"rank-tea": "1"})
        response = client.get(url("ballot_receipt", member.community, pk=poll.pk))
        assert response["Content-Disposition"].startswith("attachment")
        found[poll] = response.json()
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(found[poll]["public_key"]))
        key.verify(
            bytes.fromhex(found[poll]["signature"]), canonical_json(found[poll]["statement"])
        )

    given = found[open_poll]
    assert given["statement"]["commitment"] == digest(
        [given["statement"]["voter"], given["ballot"], given["nonce"]]
    )
    assert "ballot" not in found[secret]
    assert "tea" not in str(found[secret])


def test_receipt_is_the_voters_own(client, member):
    poll = PollFactory(community=member.community, ballots={UserFactory(): "yes"})
    address = url("ballot_receipt", member.community, pk=poll.pk)

    assert client.get(address).status_code == 302
    assert signed_in(client, member.user).get(address).status_code == 404


# --- my ballots -----------------------------------------------------------------------------------


def test_my_ballots_are_mine_across_the_communities_that_i_may_read(client, member):
    hidden = PollFactory(
        community__visibility="private", title="Hidden", ballots={member.user: "no"}
    )
    other = PollFactory(title="Elsewhere", ballots={member.user: "no", UserFactory(): "yes"})
    PollFactory(title="Not mine", ballots={UserFactory(): "yes"})
    here = poll_of("irv", member.community, title="Here", ballots={member.user: [["tea"]]})

    html = signed_in(client, member.user).get(reverse("my_ballots")).content.decode()

    assert "<strong>Tea</strong>" in html
    assert voting.voter_reference(here, member.user.pk) in html
    assert other.title in html
    assert hidden.title not in html
    assert "Not mine" not in html
    client.logout()
    assert client.get(reverse("my_ballots")).status_code == 302


@pytest.mark.parametrize("count", [1, 3])
def test_my_ballots_ask_as_much_for_any_number(client, django_assert_num_queries, member, count):
    for _ in range(count):
        PollFactory(ballots={member.user: "yes"})
    signed_in(client, member.user)

    with django_assert_num_queries(4):
        client.get(reverse("my_ballots"))


# --- results --------------------------------------------------------------------------------------


RESULTS = {
    "yes_no": ("yes", ["How the electorate voted"]),
    "approval": (["tea"], ["Approvals"]),
    "score": ({"tea": 5}, ["Points"]),
    "star": ({"tea": 5, "coffee": 3}, ["Points", "Runoff", "against"]),
    "irv": ([["tea"], ["coffee"]], ["Rounds", "plot-rounds", "✗ goes"]),
    "schulze-wv": ([["tea"], ["coffee"]], ["Strongest chains"]),
    "schulze-margins": ([["tea"], ["coffee"]], ["Strongest chains"]),
    "ranked-pairs": ([["tea"], ["coffee"]], ["Victories, the strongest first", "locked"]),
    "minimax": ([["tea"], ["coffee"]], ["Worst defeats"]),
    "copeland": ([["tea"], ["coffee"]], ["Duels won and lost"]),
    "quadratic": ({"tea": 8}, ["Votes", "2√2"]),
    "weighted": ({"tea": 3, "coffee": 1}, ["Votes", "0.75"]),
}


@pytest.mark.parametrize("method", RESULTS)
def test_poll_detail_shows_the_result_of_every_method(client, member, method):
    content, words = RESULTS[method]
    poll = poll_of(method, member.community, due=True, ballots={UserFactory(name="Ann"): content})
    polling.close_poll(poll_id=poll.pk)

    response = signed_in(client, member.user).get(poll.get_absolute_url())
    html = response.content.decode()

    assert response.status_code == 200
    for expected in [*words, "Why it came out so", "Passed"]:
        assert expected in html
    assert (poll.seed in html) is (method != "yes_no")
    assert ("Which options could win" in html) is (method != "yes_no")
    assert ("▲" in html) is True


def test_poll_detail_flags_suspended_voters_in_the_roll_call(client, member):
    gone = MembershipFactory(community=member.community)
    poll = PollFactory(due=True, community=member.community, ballots={gone.user: "yes"})
    polling.close_poll(poll_id=poll.pk)
    Membership.objects.filter(pk=gone.pk).update(status="suspended")

    html = signed_in(client, member.user).get(poll.get_absolute_url()).content.decode()

    assert "suspended by now; the ballot counts" in html


@pytest.mark.parametrize("count", [1, 3])
def test_poll_detail_of_a_result_asks_as_much_for_any_number(
    client, member, django_assert_num_queries, count
):
    poll = poll_of(
        "irv",
        member.community,
        due=True,
        electors=[member.user],
        ballots={person: [["tea"]] for person in UserFactory.create_batch(count)},
    )
    polling.close_poll(poll_id=poll.pk)
    signed_in(client, member.user)

    with django_assert_num_queries(8):
        client.get(poll.get_absolute_url())


def test_poll_detail_of_a_secret_result_names_nobody_with_a_ballot(client, member):
    people = [UserFactory(name=f"Zebra {number}") for number in range(3)]
    poll = poll_of(
        "irv",
        member.community,
        due=True,
        rule={"secrecy": "secret"},
        ballots={person: [["tea"]] for person in people},
    )
    polling.close_poll(poll_id=poll.pk)

    html = signed_in(client, member.user).get(poll.get_absolute_url()).content.decode()

    assert "Zebra 1" in html
    assert "Who voted how" not in html
    assert "<strong>Tea</strong>" not in html.partition("Who voted")[2]


# --- suspended electors ---------------------------------------------------------------------------


@pytest.fixture
def suspended():
    community = CommunityFactory(visibility="private")
    return MembershipFactory(community=community, status="suspended")


@pytest.mark.parametrize("state", [{"open": True}, {"closed": True}])
def test_poll_detail_shows_a_suspended_elector_that_the_ballot_is_kept(client, suspended, state):
    poll = PollFactory(community=suspended.community, ballots={suspended.user: "yes"}, **state)

    html = signed_in(client, suspended.user).get(poll.get_absolute_url()).content.decode()

    assert "Your ballot is kept and counts" in html
    assert poll.title in client.get(reverse("my_ballots")).content.decode()


def test_poll_detail_hides_a_private_poll_from_an_elector_who_left(client):
    poll = PollFactory(community__visibility="private", ballots={(person := UserFactory()): "yes"})

    assert signed_in(client, person).get(poll.get_absolute_url()).status_code == 404


def test_poll_detail_hides_other_polls_of_a_private_community_from_the_suspended(client, suspended):
    poll = PollFactory(community=suspended.community, ballots={UserFactory(): "yes"})

    assert signed_in(client, suspended.user).get(poll.get_absolute_url()).status_code == 404
    api = f"/api/v1/communities/{suspended.community.slug}/polls/{poll.pk}/"
    assert client.get(api).status_code == 404
