import hashlib
import time
from datetime import timedelta
from fractions import Fraction

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from governance import audit, outcomes, voting
from governance.canonical import digest
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Ballot, Community, Elector, Poll
from governance.tally import DEFAULT_RULE, Rule
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
    return voting.open_poll(
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
        "rule": DEFAULT_RULE.to_dict(),
        "electorate_size": 2,
        "electorate_digest": digest(sorted(references)),
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


def test_voter_reference_differs_between_polls_and_hides_the_voter(steward):
    first, second = open_poll(steward), open_poll(steward)
    reference = voting.voter_reference(first, steward.user_id)

    assert reference != voting.voter_reference(second, steward.user_id)
    plain = f"{first.voter_salt}:{steward.user_id}".encode()
    assert reference == hashlib.sha256(plain).hexdigest()[:32]
    assert first.voter_salt not in str([e.content() for e in AuditEvent.objects.all()])


# --- ballots --------------------------------------------------------------------------------------


def test_cast_ballot_is_recorded_without_its_choice():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    ballot = voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="abstain")

    assert ballot.choice == "abstain"
    event = AuditEvent.objects.get()
    assert (event.verb, event.actor, event.subject, event.data) == (
        "ballot.cast",
        f"user:{ann.pk}",
        f"poll:{poll.pk}",
        {},
    )


def test_cast_ballot_replaces_an_earlier_one():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="yes")
    voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="no")

    assert Ballot.objects.get().choice == "no"
    assert verbs() == ["ballot.cast", "ballot.replaced"]


def test_cast_ballot_twice_the_same_is_as_once():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    first = voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="yes")
    second = voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="yes")

    assert first == second
    assert first.cast_at == second.cast_at
    assert verbs() == ["ballot.cast"]


def test_cast_ballot_refuses_outsiders_and_leaves_no_trace():
    poll = PollFactory(open=True, electors=[UserFactory()])
    newcomer = MembershipFactory(community=poll.community).user

    for voter in (UserFactory(), newcomer):
        with pytest.raises(NotPermitted):
            voting.cast_ballot(poll_id=poll.pk, voter=voter, choice="yes")

    assert not Ballot.objects.exists()
    assert verbs() == []


@pytest.mark.parametrize("choice", ["", "maybe", "YES", None])
def test_cast_ballot_refuses_unknown_choices(choice):
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    with pytest.raises(BadInput):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, choice=choice)

    assert verbs() == []


def test_cast_ballot_stays_a_right_of_the_electorate_after_leaving_or_suspension():
    for status in ("left", "suspended"):
        own = MembershipFactory(status=status)
        poll = PollFactory(community=own.community, electors=[own.user])

        voting.cast_ballot(poll_id=poll.pk, voter=own.user, choice="yes")

    assert Ballot.objects.count() == 2


def test_cast_ballot_holds_to_the_microsecond_of_the_deadline():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    with time_machine.travel(poll.closes_at - MICROSECOND, tick=False):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="yes")
    with (
        time_machine.travel(poll.closes_at, tick=False),
        pytest.raises(InvalidTransition, match="no more ballots"),
    ):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="no")

    assert Ballot.objects.get().choice == "yes"


def test_cast_ballot_before_the_opening_is_refused():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    with (
        time_machine.travel(poll.opened_at - MICROSECOND, tick=False),
        pytest.raises(InvalidTransition),
    ):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="no")


@pytest.mark.parametrize("trait", ["due", "closed"])
def test_ballots_of_a_poll_that_is_over_stay_as_they_are(trait):
    ann, bob = UserFactory(), UserFactory()
    poll = PollFactory(**{trait: True}, electors=[bob], ballots={ann: "yes"})

    with pytest.raises(InvalidTransition):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="no")
    with pytest.raises(InvalidTransition):
        voting.cast_ballot(poll_id=poll.pk, voter=bob, choice="no")
    with pytest.raises(InvalidTransition):
        voting.withdraw_ballot(poll_id=poll.pk, voter=ann)

    assert Ballot.objects.get().choice == "yes"
    assert verbs() == []


def test_withdraw_ballot_takes_it_back_once():
    ann = UserFactory()
    poll = PollFactory(open=True, ballots={ann: "yes"})

    voting.withdraw_ballot(poll_id=poll.pk, voter=ann)
    voting.withdraw_ballot(poll_id=poll.pk, voter=ann)

    assert not Ballot.objects.exists()
    assert verbs() == ["ballot.withdrawn"]


def test_withdraw_ballot_refuses_outsiders_and_touches_nobody_elses():
    ann, bob = UserFactory(), UserFactory()
    poll = PollFactory(open=True, electors=[bob], ballots={ann: "yes"})

    with pytest.raises(NotPermitted):
        voting.withdraw_ballot(poll_id=poll.pk, voter=UserFactory())
    voting.withdraw_ballot(poll_id=poll.pk, voter=bob)

    assert Ballot.objects.get().voter == ann


# --- closing --------------------------------------------------------------------------------------


def test_close_poll_counts_and_commits_to_the_ballots():
    people = UserFactory.create_batch(5)
    choices = dict(zip(people, ["yes", "yes", "no", "abstain"], strict=False))
    poll = PollFactory(due=True, electors=people, ballots=choices)

    closed = voting.close_poll(poll_id=poll.pk)

    assert (closed.status, closed.outcome) == ("closed", "passed")
    assert (closed.tally["yes"], closed.tally["no"]) == (2, 1)
    assert (closed.tally["abstain"], closed.tally["electorate"]) == (1, 5)
    event = AuditEvent.objects.get()
    record = sorted(
        (
            {"voter": voting.voter_reference(poll, person.pk), "choice": choice}
            for person, choice in choices.items()
        ),
        key=lambda ballot: ballot["voter"],
    )
    assert event.verb == "poll.closed"
    assert event.actor == "system"
    assert event.data == {
        "outcome": "passed",
        "tally": closed.tally,
        "ballots_digest": digest(record),
    }


def test_close_poll_refuses_until_the_microsecond_of_the_deadline():
    poll = PollFactory(open=True)

    with (
        time_machine.travel(poll.closes_at - MICROSECOND, tick=False),
        pytest.raises(InvalidTransition, match="still open"),
    ):
        voting.close_poll(poll_id=poll.pk)
    with time_machine.travel(poll.closes_at, tick=False):
        closed = voting.close_poll(poll_id=poll.pk)

    assert closed.closed_at == poll.closes_at


def test_close_poll_late_or_twice_changes_nothing():
    ann = UserFactory()
    poll = PollFactory(due=True, ballots={ann: "yes"})

    first = voting.close_poll(poll_id=poll.pk)
    with time_machine.travel(timezone.now() + timedelta(days=30)):
        second = voting.close_poll(poll_id=poll.pk)

    assert (first.closed_at, first.tally) == (second.closed_at, second.tally)
    assert verbs() == ["poll.closed"]


def test_close_poll_keeps_those_in_the_count_who_left_since(steward):
    other = MembershipFactory(community=steward.community)
    poll = open_poll(steward, rule=Rule(base="eligible", quorum="none"))
    voting.cast_ballot(poll_id=poll.pk, voter=steward.user, choice="yes")
    other.status = "left"
    other.save()

    with time_machine.travel(poll.closes_at):
        closed = voting.close_poll(poll_id=poll.pk)

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

    voting.close_poll(poll_id=poll.pk)
    voting.close_poll(poll_id=poll.pk)

    assert told == [poll.pk, ("no_quorum", ["poll.closed"]), poll.pk]


def test_close_poll_undoes_all_when_the_handler_fails(kind_that_fails):
    poll = PollFactory(due=True, kind="failing")

    with pytest.raises(RuntimeError):
        voting.close_poll(poll_id=poll.pk)

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
        "closes_at = closes_at + interval '1 hour'",
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
        Ballot.objects.filter(pk=own.pk).update(choice="no")
    with pytest.raises(IntegrityError), transaction.atomic():
        Ballot.objects.filter(pk=own.pk).update(poll=still_open)
    with pytest.raises(IntegrityError), transaction.atomic():
        own.delete()

    assert list(closed.ballots.values_list("choice", flat=True)) == ["yes"]


def test_database_refuses_to_change_an_electorate():
    poll = PollFactory(open=True, electors=[UserFactory()])

    with pytest.raises(IntegrityError), transaction.atomic():
        Elector.objects.filter(poll=poll).update(user=UserFactory())
    with pytest.raises(IntegrityError), transaction.atomic():
        Elector.objects.filter(poll=poll).delete()


def test_database_refuses_a_second_ballot_and_an_unknown_choice():
    ann = UserFactory()
    poll = PollFactory(open=True, ballots={ann: "yes"})

    with pytest.raises(IntegrityError), transaction.atomic():
        BallotFactory(poll=poll, voter=ann)
    with pytest.raises(IntegrityError), transaction.atomic():
        BallotFactory(poll=poll, choice="maybe")


def test_database_refuses_an_outcome_without_a_close():
    poll = PollFactory(open=True)

    with pytest.raises(IntegrityError, match="poll_has_outcome_exactly_when_closed"):
        Poll.objects.filter(pk=poll.pk).update(outcome="passed")


# --- races ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_voting_in_many_tabs_leaves_one_ballot_and_whole_trail():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    results = at_once(
        *(
            lambda choice=choice: voting.cast_ballot(poll_id=poll.pk, voter=ann, choice=choice)
            for choice in ["yes", "no", "abstain", "yes", "no", "abstain"]
        )
    )

    assert {type(result) for result in results} == {Ballot}
    assert Ballot.objects.count() == 1
    assert verbs()[0] == "ballot.cast"
    assert set(verbs()[1:]) <= {"ballot.replaced"}
    assert audit.first_broken(poll.community_id) is None


@pytest.mark.django_db(transaction=True)
def test_two_closes_at_once_close_once(monkeypatch):
    told = []
    kind = outcomes.PollKind(name="told", label="Told", on_close=lambda poll: told.append(poll.pk))
    monkeypatch.setattr(outcomes, "_kinds", {**outcomes._kinds, "told": kind})
    for _ in range(5):
        poll = PollFactory(due=True, kind="told", ballots={UserFactory(): "yes"})

        results = at_once(*[lambda pk=poll.pk: voting.close_poll(poll_id=pk)] * 3)

        assert {result.outcome for result in results} == {"passed"}
        assert told == [poll.pk]
        assert verbs(poll.community) == ["poll.closed"]
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
        voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="yes")
        sleep_until(deadline + timedelta(seconds=0.4))

    def close():
        sleep_until(deadline + timedelta(seconds=0.1))
        return voting.close_poll(poll_id=poll.pk)

    voted, closed = at_once(vote, close)

    assert voted is None
    assert closed.tally["yes"] == 1
    assert verbs() == ["ballot.cast", "poll.closed"]


@pytest.mark.django_db(transaction=True)
def test_cast_ballot_waits_for_a_close_and_is_then_refused(monkeypatch):
    ann = UserFactory()
    poll = PollFactory(due=True, kind="slow", electors=[ann])
    kind = outcomes.PollKind(name="slow", label="Slow", on_close=lambda _: time.sleep(0.3))
    monkeypatch.setattr(outcomes, "_kinds", {**outcomes._kinds, "slow": kind})

    closed, refused = at_once(
        lambda: voting.close_poll(poll_id=poll.pk),
        lambda: voting.cast_ballot(poll_id=poll.pk, voter=ann, choice="yes"),
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
    electors = list(poll.electors.values_list("user_id", flat=True))
    assert poll.electorate_size == len(electors)
    assert poll.electorate_digest == voting.electorate_digest(poll, electors)
