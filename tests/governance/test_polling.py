import hashlib
import time
from datetime import timedelta
from fractions import Fraction

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from governance import audit, outcomes, polling, voting
from governance.canonical import digest
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Ballot, Community, Elector, Motion, Poll
from governance.rules import DEFAULT_RULE, Rule
from tests.factories.governance import (
    BallotFactory,
    MembershipFactory,
    PollFactory,
    UserFactory,
)
from tests.governance.threads import at_once

pytestmark = pytest.mark.django_db
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def steward():
    return MembershipFactory(steward=True)


def open_poll(steward, **given):
    return polling.open_poll(
        **{
            "community_id": steward.community_id,
            "actor": steward.user,
            "kind": "question",
            "title": "Thursdays",
            "text": "Shall we meet on Thursdays?",
            "rule": DEFAULT_RULE,
            "closes_at": timezone.now() + timedelta(hours=1),
            **given,
        }
    )


def verbs(community=None):
    events = AuditEvent.objects.order_by("seq")
    if community is not None:
        events = events.filter(community=community)
    return list(events.values_list("verb", flat=True))


@pytest.fixture
def kind_that_fails(monkeypatch):
    """A kind of poll whose handler writes, and then fails."""

    def fail(poll):
        Community.objects.filter(pk=poll.community_id).update(purpose="half-written")
        raise RuntimeError("the handler is broken")

    kinds = dict(outcomes._kinds)
    kinds["failing"] = outcomes.PollKind(name="failing", label="Failing", on_close=fail)
    monkeypatch.setattr(outcomes, "_kinds", kinds)


# --- opening --------------------------------------------------------------------------------------


def test_open_poll_freezes_text_rule_and_electorate(steward):
    ann = MembershipFactory(community=steward.community).user
    for status in ("requested", "suspended", "declined", "left"):
        MembershipFactory(community=steward.community, status=status)
    MembershipFactory()

    poll = open_poll(steward)

    assert set(poll.electors.values_list("user_id", flat=True)) == {steward.user_id, ann.pk}
    assert poll.electorate_size == 2
    assert poll.text_digest == hashlib.sha256(poll.text.encode()).hexdigest()
    assert Rule.from_dict(poll.rule) == DEFAULT_RULE
    event = AuditEvent.objects.get()
    references = [voting.voter_reference(poll, pk) for pk in (steward.user_id, ann.pk)]
    assert event.verb == "poll.opened"
    assert event.data == {
        "kind": "question",
        "title": "Thursdays",
        "text_digest": poll.text_digest,
        "options_digest": digest([]),
        "rule": DEFAULT_RULE.to_dict(),
        "electorate_size": 2,
        "electorate_weight": 2,
        "electorate_digest": digest(sorted([reference, 1, ""] for reference in references)),
        "seed_digest": hashlib.sha256(poll.seed.encode()).hexdigest(),
        "closes_at": audit.timestamp(poll.closes_at),
    }


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_open_poll_is_for_stewards(steward, role):
    other = MembershipFactory(community=steward.community, role=role)
    foreign = MembershipFactory(steward=True)

    for actor in (other.user, foreign.user):
        with pytest.raises(NotPermitted):
            open_poll(steward, actor=actor)

    assert not Poll.objects.exists()
    assert verbs() == []


@pytest.mark.parametrize(
    "given",
    [
        {"title": " "},
        {"title": "x" * 201},
        {"text": "\n"},
        {"text": "x" * 200_001},
        {"rule": Rule(quorum="sqrt")},
        {"closes_at": timezone.now() - MICROSECOND},
        {"closes_at": timezone.now() + timedelta(days=400)},
    ],
)
def test_open_poll_refuses_bad_input(steward, given):
    with pytest.raises(BadInput):
        open_poll(steward, **given)

    assert not Poll.objects.exists()
    assert verbs() == []


def test_open_poll_with_an_unknown_kind_is_a_bug(steward):
    with pytest.raises(KeyError):
        open_poll(steward, kind="surprise")


# --- drafts and deliberation ----------------------------------------------------------------------

DELIBERATING = Rule(deliberation=60)


def draft_poll(steward, **given):
    return polling.draft_poll(
        **{
            "community_id": steward.community_id,
            "actor": steward.user,
            "kind": "question",
            "title": "Thursdays",
            "text": "Shall we meet on Thursdays?",
            "period": timedelta(hours=2),
            **given,
        }
    )


def edit_poll(poll, steward, **given):
    return polling.edit_poll(
        **{
            "poll_id": poll.pk,
            "actor": steward.user,
            "title": poll.title,
            "text": poll.text,
            "rule": Rule.from_dict(poll.rule),
            "period": poll.period,
            **given,
        }
    )


def test_a_draft_is_not_in_the_trail_and_has_no_electorate(steward):
    poll = draft_poll(steward)
    edit_poll(poll, steward, text="Shall we meet on Fridays?")

    poll.refresh_from_db()
    assert (poll.status, poll.text) == ("draft", "Shall we meet on Fridays?")
    assert (poll.electors.count(), verbs()) == (0, [])


def test_announcing_opens_at_once_where_no_deliberation_is_asked(steward):
    poll = polling.announce_poll(poll_id=draft_poll(steward).pk, actor=steward.user)

    assert poll.status == "open"
    assert poll.closes_at - poll.opened_at == timedelta(hours=2)
    assert verbs() == ["poll.opened"]


def test_deliberation_lasts_as_long_as_the_rule_asks_and_then_the_clock_opens(steward):
    poll = polling.announce_poll(
        poll_id=draft_poll(steward, rule=DELIBERATING).pk, actor=steward.user
    )
    assert poll.status == "deliberation"

    with time_machine.travel(poll.opens_at - MICROSECOND, tick=False):
        assert polling.open_due_poll(poll_id=poll.pk).status == "deliberation"
    with time_machine.travel(poll.opens_at, tick=False):
        opened = polling.open_due_poll(poll_id=poll.pk)

    assert (opened.status, opened.electorate_size) == ("open", 1)
    assert opened.opened_at - poll.opens_at == timedelta(0)
    events = AuditEvent.objects.order_by("seq")
    assert [(e.verb, e.actor) for e in events] == [
        ("poll.announced", f"user:{steward.user_id}"),
        ("poll.opened", "system"),
    ]


def test_members_who_join_in_deliberation_are_in_the_electorate(steward):
    poll = polling.announce_poll(
        poll_id=draft_poll(steward, rule=DELIBERATING).pk, actor=steward.user
    )
    MembershipFactory(community=steward.community)

    with time_machine.travel(poll.opens_at, tick=False):
        opened = polling.open_due_poll(poll_id=poll.pk)

    assert opened.electorate_size == 2


def test_announcing_refuses_too_early_and_too_far(steward):
    poll = draft_poll(steward, rule=DELIBERATING)

    for opens_at in (timezone.now() + timedelta(minutes=59), timezone.now() + timedelta(days=400)):
        with pytest.raises(BadInput):
            polling.announce_poll(poll_id=poll.pk, actor=steward.user, opens_at=opens_at)

    poll.refresh_from_db()
    assert (poll.status, verbs()) == ("draft", [])


def test_a_revision_in_deliberation_is_told_and_none_is_possible_after_opening(steward):
    poll = polling.announce_poll(
        poll_id=draft_poll(steward, rule=DELIBERATING).pk, actor=steward.user
    )

    edit_poll(poll, steward)
    edit_poll(poll, steward, text="Shall we meet on Fridays?")
    with time_machine.travel(poll.opens_at, tick=False):
        polling.open_due_poll(poll_id=poll.pk)
        with pytest.raises(InvalidTransition, match="not edited after it opened"):
            edit_poll(poll, steward, text="Shall we never meet?")

    assert verbs() == ["poll.announced", "poll.revised", "poll.opened"]
    revised, opened = AuditEvent.objects.order_by("seq")[1:]
    assert opened.data["text_digest"] == revised.data["text_digest"]


def test_the_text_of_what_a_poll_decides_is_not_reworded(steward):
    poll = draft_poll(steward, subject_key="17")

    with pytest.raises(BadInput, match="belongs to what it decides"):
        edit_poll(poll, steward, text="Something else")


@pytest.mark.parametrize("status", ["drafted", "announced"])
def test_a_poll_that_has_not_opened_is_withdrawn_with_a_reason(steward, status):
    poll = PollFactory(**{status: True}, community=steward.community)

    with pytest.raises(BadInput, match="reason"):
        polling.withdraw_poll(poll_id=poll.pk, actor=steward.user, reason=" ")
    withdrawn = polling.withdraw_poll(poll_id=poll.pk, actor=steward.user, reason="Not now.")

    assert (withdrawn.status, withdrawn.reason) == ("withdrawn", "Not now.")
    assert verbs() == (["poll.withdrawn"] if status == "announced" else [])


def test_an_open_poll_is_not_withdrawn_by_one_steward(steward):
    poll = open_poll(steward)

    with pytest.raises(InvalidTransition, match="two stewards"):
        polling.withdraw_poll(poll_id=poll.pk, actor=steward.user, reason="Not now.")

    poll.refresh_from_db()
    assert poll.status == "open"


@pytest.mark.parametrize("act", ["edit", "announce", "withdraw"])
def test_drafts_are_for_stewards(steward, act):
    member = MembershipFactory(community=steward.community)
    poll = draft_poll(steward)
    acts = {
        "edit": lambda: edit_poll(poll, member),
        "announce": lambda: polling.announce_poll(poll_id=poll.pk, actor=member.user),
        "withdraw": lambda: polling.withdraw_poll(poll_id=poll.pk, actor=member.user, reason="No."),
    }

    with pytest.raises(NotPermitted):
        acts[act]()

    poll.refresh_from_db()
    assert poll.status == "draft"


def test_options_get_keys_and_the_status_quo(steward):
    options = [{"title": "Thursdays"}, {"title": "Thursdays!", "text": "With tea."}]

    poll = draft_poll(steward, rule=Rule(method="schulze-wv"), options=options)

    assert poll.options == [
        {"key": "thursdays", "title": "Thursdays", "text": ""},
        {"key": "thursdays-2", "title": "Thursdays!", "text": "With tea."},
        {"key": "status-quo", "title": "Status quo", "text": "Nothing changes."},
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"rule": Rule(method="irv")},
        {"rule": Rule(method="irv"), "options": [{"title": " "}]},
        {"rule": Rule(method="irv"), "options": [{"title": "A"}, {"title": "a"}]},
        {"rule": Rule(method="irv"), "options": [{"title": f"{n}"} for n in range(36)]},
        {"options": [{"title": "A"}]},
        {"rule": Rule(period=180)},
        {"period": timedelta(0)},
        {"period": timedelta(days=367)},
    ],
)
def test_draft_poll_refuses_bad_input(steward, given):
    with pytest.raises(BadInput):
        draft_poll(steward, **given)

    assert not Poll.objects.exists()


def test_a_kind_that_is_decided_by_yes_or_no_takes_no_other_method(steward):
    with pytest.raises(BadInput, match="yes or no"):
        draft_poll(steward, kind="ratification", rule=Rule(method="irv"), options=[{"title": "A"}])


# --- extension ------------------------------------------------------------------------------------


def extendable(people):
    rule = Rule(quorum="none", extension=30).to_dict()
    return PollFactory(
        rule=rule,
        electors=people,
        opened_at=timezone.now() - timedelta(hours=2),
        closes_at=timezone.now() + timedelta(minutes=10),
    )


def test_a_late_flip_extends_the_poll_once_and_only_once():
    people = UserFactory.create_batch(5)
    poll = extendable(people)
    early = poll.closes_at - timedelta(minutes=31)
    late = poll.closes_at - timedelta(minutes=1)
    with time_machine.travel(early, tick=False):
        voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="no")
    with time_machine.travel(late, tick=False):
        for person in people[1:3]:
            voting.cast_ballot(poll_id=poll.pk, voter=person, content="yes")

    with time_machine.travel(poll.closes_at, tick=False):
        extended = polling.close_poll(poll_id=poll.pk)
    assert (extended.status, extended.outcome) == ("open", "")
    assert extended.closes_at - poll.closes_at == timedelta(minutes=30)
    with time_machine.travel(extended.closes_at - MICROSECOND, tick=False):
        for person in people[3:]:
            voting.cast_ballot(poll_id=poll.pk, voter=person, content="no")
    with time_machine.travel(extended.closes_at, tick=False):
        closed = polling.close_poll(poll_id=poll.pk)

    assert (closed.status, closed.outcome) == ("closed", "rejected")
    assert verbs() == ["poll.extended", "ballots.recorded", "poll.closed"]


def test_late_ballots_that_flip_nothing_extend_nothing():
    people = UserFactory.create_batch(2)
    poll = extendable(people)
    with time_machine.travel(poll.closes_at - timedelta(minutes=31), tick=False):
        voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="yes")
    voting.cast_ballot(poll_id=poll.pk, voter=people[1], content="yes")

    with time_machine.travel(poll.closes_at, tick=False):
        closed = polling.close_poll(poll_id=poll.pk)

    assert (closed.status, closed.outcome) == ("closed", "passed")


def test_database_lets_a_deadline_move_once_and_only_later():
    poll = PollFactory(open=True)

    for change in (
        "closes_at = closes_at - interval '1 minute', extended_at = now()",
        "closes_at = closes_at + interval '1 minute'",
    ):
        with (
            pytest.raises(IntegrityError, match="moves once"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"UPDATE governance_poll SET {change}")
    Poll.objects.filter(pk=poll.pk).update(
        closes_at=poll.closes_at + timedelta(minutes=1), extended_at=timezone.now()
    )
    with pytest.raises(IntegrityError, match="moves once"), transaction.atomic():
        Poll.objects.filter(pk=poll.pk).update(closes_at=poll.closes_at + timedelta(hours=9))


# --- two stewards ---------------------------------------------------------------------------------


def carried(poll, kind):
    first, second = (MembershipFactory(community=poll.community, steward=True) for _ in "ab")
    return Motion.objects.create(
        community=poll.community,
        kind=kind,
        poll=poll,
        reason="The hall burned down.",
        status="carried",
        moved_by=first.user,
        moved_at=timezone.now(),
        decided_by=second.user,
        decided_at=timezone.now(),
    )


def test_two_stewards_close_a_poll_early():
    poll = PollFactory(open=True, ballots={UserFactory(): "yes"})
    motion = carried(poll, "close_early")

    with transaction.atomic():
        closed = polling.close_early(motion_id=motion.pk)

    assert (closed.status, closed.outcome) == ("closed", "passed")
    assert closed.closed_at < closed.closes_at
    assert AuditEvent.objects.get(verb="poll.closed").data["motion"] == motion.pk


def test_two_stewards_withdraw_an_open_poll_and_nothing_is_counted():
    poll = PollFactory(open=True, ballots={UserFactory(): "yes"})
    motion = carried(poll, "withdraw_poll")

    with transaction.atomic():
        withdrawn = polling.void_poll(motion_id=motion.pk)

    assert (withdrawn.status, withdrawn.tally) == ("withdrawn", None)
    assert withdrawn.reason == "The hall burned down."
    assert verbs() == ["ballots.recorded", "poll.withdrawn"]


def test_a_motion_that_waits_or_asks_something_else_ends_no_poll():
    poll = PollFactory(open=True)
    motion = carried(poll, "withdraw_poll")

    with pytest.raises(InvalidTransition, match="second steward"), transaction.atomic():
        polling.close_early(motion_id=motion.pk)
    Motion.objects.filter(pk=motion.pk).update(status="waiting", decided_by=None, decided_at=None)
    with pytest.raises(InvalidTransition, match="second steward"), transaction.atomic():
        polling.void_poll(motion_id=motion.pk)

    poll.refresh_from_db()
    assert poll.status == "open"


# --- closing --------------------------------------------------------------------------------------


def test_close_poll_counts_and_commits_to_the_ballots():
    people = UserFactory.create_batch(5)
    choices = dict(zip(people, ["yes", "yes", "no", "abstain"], strict=False))
    poll = PollFactory(due=True, electors=people, ballots=choices)

    closed = polling.close_poll(poll_id=poll.pk)

    assert (closed.status, closed.outcome) == ("closed", "passed")
    assert (closed.tally["yes"], closed.tally["no"]) == (2, 1)
    assert (closed.tally["abstain"], closed.tally["electorate"]) == (1, 5)
    nonces = dict(Ballot.objects.values_list("voter_id", "nonce"))
    record = sorted(
        [voting.voter_reference(poll, person.pk), choice, nonces[person.pk]]
        for person, choice in choices.items()
    )
    assert verbs() == ["ballots.recorded", "poll.closed"]
    event = AuditEvent.objects.last()
    assert event.actor == "system"
    assert event.data == {
        "outcome": "passed",
        "tally": closed.tally,
        "ballots_digest": digest(record),
        "delegations_digest": digest([]),
        "seed": poll.seed,
        "motion": 0,
    }
    assert hashlib.sha256(poll.seed.encode()).hexdigest() == poll.seed_digest


def test_close_poll_refuses_until_the_microsecond_of_the_deadline():
    poll = PollFactory(open=True)

    with (
        time_machine.travel(poll.closes_at - MICROSECOND, tick=False),
        pytest.raises(InvalidTransition, match="still open"),
    ):
        polling.close_poll(poll_id=poll.pk)
    with time_machine.travel(poll.closes_at, tick=False):
        closed = polling.close_poll(poll_id=poll.pk)

    assert closed.closed_at == poll.closes_at


def test_close_poll_late_or_twice_changes_nothing():
    ann = UserFactory()
    poll = PollFactory(due=True, ballots={ann: "yes"})

    first = polling.close_poll(poll_id=poll.pk)
    with time_machine.travel(timezone.now() + timedelta(days=30)):
        second = polling.close_poll(poll_id=poll.pk)

    assert (first.closed_at, first.tally) == (second.closed_at, second.tally)
    assert verbs() == ["ballots.recorded", "poll.closed"]


def test_close_poll_keeps_those_in_the_count_who_left_since(steward):
    other = MembershipFactory(community=steward.community)
    poll = open_poll(steward, rule=Rule(base="eligible", quorum="none"))
    voting.cast_ballot(poll_id=poll.pk, voter=steward.user, content="yes")
    other.status = "left"
    other.save()

    with time_machine.travel(poll.closes_at):
        closed = polling.close_poll(poll_id=poll.pk)

    assert (closed.tally["electorate"], closed.outcome) == (2, "rejected")


def test_close_poll_tells_the_kind_after_the_trail(monkeypatch):
    told = []
    kind = outcomes.PollKind(
        name="told",
        label="Told",
        lock_subject=told.append,
        on_close=lambda poll: told.append((poll.outcome, verbs())),
    )
    monkeypatch.setattr(outcomes, "_kinds", {**outcomes._kinds, "told": kind})
    poll = PollFactory(due=True, kind="told")

    polling.close_poll(poll_id=poll.pk)
    polling.close_poll(poll_id=poll.pk)

    assert told == [poll.pk, ("no_quorum", ["poll.closed"]), poll.pk]


def test_close_poll_undoes_all_when_the_handler_fails(kind_that_fails):
    poll = PollFactory(due=True, kind="failing")

    with pytest.raises(RuntimeError):
        polling.close_poll(poll_id=poll.pk)

    poll.refresh_from_db()
    assert (poll.status, poll.tally) == ("open", None)
    assert poll.community.purpose == "To decide together."
    assert verbs() == []


# --- what the database refuses whoever asks -------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "text = 'Something else'",
        "title = 'Something else'",
        "text_digest = repeat('0', 64)",
        "rule = rule || '{\"strict\": false}'",
        "electorate_size = 1000",
        "seed = repeat('1', 64)",
        "options = '[1]'",
        "kind = 'other'",
        "voter_salt = ''",
    ],
)
def test_database_refuses_to_edit_an_open_poll(change):
    PollFactory(open=True)

    with (
        pytest.raises(IntegrityError, match="not edited after it opened"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE governance_poll SET {change}")


def test_database_refuses_to_reopen_or_recount_a_closed_poll():
    poll = PollFactory(closed=True)

    with pytest.raises(IntegrityError), transaction.atomic():
        Poll.objects.filter(pk=poll.pk).update(outcome="passed")
    with pytest.raises(IntegrityError), transaction.atomic():
        Poll.objects.filter(pk=poll.pk).update(
            status="open", outcome="", tally=None, closed_at=None
        )
    with pytest.raises(IntegrityError), transaction.atomic():
        poll.delete()


def test_database_refuses_ballots_around_a_closed_poll():
    ann = UserFactory()
    closed = PollFactory(closed=True, ballots={ann: "yes"})
    still_open = PollFactory(open=True)
    own = Ballot.objects.get()

    with pytest.raises(IntegrityError), transaction.atomic():
        BallotFactory(poll=closed)
    with pytest.raises(IntegrityError), transaction.atomic():
        Ballot.objects.filter(pk=own.pk).update(content="no")
    with pytest.raises(IntegrityError), transaction.atomic():
        Ballot.objects.filter(pk=own.pk).update(poll=still_open)
    with pytest.raises(IntegrityError), transaction.atomic():
        own.delete()

    assert list(closed.ballots.values_list("content", flat=True)) == ["yes"]


def test_database_refuses_to_change_an_electorate():
    poll = PollFactory(open=True, electors=[UserFactory()])

    with pytest.raises(IntegrityError), transaction.atomic():
        Elector.objects.filter(poll=poll).update(user=UserFactory())
    with pytest.raises(IntegrityError), transaction.atomic():
        Elector.objects.filter(poll=poll).delete()
    with pytest.raises(IntegrityError, match="fixed when it opens"), transaction.atomic():
        Elector.objects.create(poll=poll, user=UserFactory())


def test_database_refuses_a_second_ballot():
    ann = UserFactory()
    poll = PollFactory(open=True, ballots={ann: "yes"})

    with pytest.raises(IntegrityError), transaction.atomic():
        BallotFactory(poll=poll, voter=ann)


def test_database_refuses_an_outcome_without_a_close():
    poll = PollFactory(open=True)

    with pytest.raises(IntegrityError, match="poll_has_outcome_exactly_when_closed"):
        Poll.objects.filter(pk=poll.pk).update(outcome="passed")


# --- races ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_closes_at_once_close_once(monkeypatch):
    told = []
    kind = outcomes.PollKind(name="told", label="Told", on_close=lambda poll: told.append(poll.pk))
    monkeypatch.setattr(outcomes, "_kinds", {**outcomes._kinds, "told": kind})
    for _ in range(5):
        poll = PollFactory(due=True, kind="told", ballots={UserFactory(): "yes"})

        results = at_once(*[lambda pk=poll.pk: polling.close_poll(poll_id=pk)] * 3)

        assert {result.outcome for result in results} == {"passed"}
        assert told == [poll.pk]
        assert verbs(poll.community) == ["ballots.recorded", "poll.closed"]
        told.clear()


@pytest.mark.django_db(transaction=True)
def test_close_poll_waits_for_a_ballot_that_was_in_time():
    """A ballot that was cast before the deadline and commits after it is counted."""
    ann = UserFactory()
    deadline = timezone.now() + timedelta(seconds=0.4)
    poll = PollFactory(open=True, electors=[ann], closes_at=deadline)

    def sleep_until(moment):
        time.sleep(max(0, (moment - timezone.now()).total_seconds()))

    @transaction.atomic
    def vote():
        voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")
        sleep_until(deadline + timedelta(seconds=0.4))

    def close():
        sleep_until(deadline + timedelta(seconds=0.1))
        return polling.close_poll(poll_id=poll.pk)

    voted, closed = at_once(vote, close)

    assert voted is None
    assert closed.tally["yes"] == 1
    assert verbs() == ["ballots.recorded", "poll.closed"]


@pytest.mark.django_db(transaction=True)
def test_cast_ballot_waits_for_a_close_and_is_then_refused(monkeypatch):
    ann = UserFactory()
    poll = PollFactory(due=True, kind="slow", electors=[ann])
    kind = outcomes.PollKind(name="slow", label="Slow", on_close=lambda _: time.sleep(0.3))
    monkeypatch.setattr(outcomes, "_kinds", {**outcomes._kinds, "slow": kind})

    closed, refused = at_once(
        lambda: polling.close_poll(poll_id=poll.pk),
        lambda: voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes"),
    )

    assert closed.tally["cast"] == 0
    assert isinstance(refused, InvalidTransition)
    assert not Ballot.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_polls_opened_while_people_join_hold_a_whole_electorate():
    steward = MembershipFactory(steward=True)

    results = at_once(
        lambda: open_poll(steward, rule=Rule(quorum_share=Fraction(1, 10))),
        *(
            lambda: MembershipFactory(community=steward.community, user=UserFactory())
            for _ in range(4)
        ),
    )

    poll = results[0]
    electors = list(poll.electors.values_list("user_id", "weight", "group"))
    assert poll.electorate_size == len(electors)
    assert poll.electorate_digest == digest(voting.electorate_record(poll, electors))
