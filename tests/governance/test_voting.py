import hashlib
import time
from datetime import timedelta

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import IntegrityError, transaction
from django.utils import timezone

from governance import polling, signing, voting
from governance.canonical import canonical_json, digest
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Ballot, Poll, UrnBallot
from governance.rules import Rule
from tests.factories.governance import (
    MembershipFactory,
    PollFactory,
    UserFactory,
)
from tests.governance.threads import at_once

pytestmark = pytest.mark.django_db
MICROSECOND = timedelta(microseconds=1)


def acts(poll):
    return list(poll.acts.values_list("act", flat=True))


def options_poll(method, **given):
    options = [{"key": key, "title": key.upper(), "text": ""} for key in ("a", "b", "status-quo")]
    rule = Rule(method=method, quorum="none").to_dict()
    return PollFactory(options=options, rule=rule, **given)


def test_voter_reference_differs_between_polls_and_hides_the_voter():
    ann = UserFactory()
    first, second = PollFactory(electors=[ann]), PollFactory(electors=[ann])
    reference = voting.voter_reference(first, ann.pk)

    assert reference != voting.voter_reference(second, ann.pk)
    plain = f"{first.voter_salt}:{ann.pk}".encode()
    assert reference == hashlib.sha256(plain).hexdigest()[:32]


# --- ballots --------------------------------------------------------------------------------------


def test_cast_ballot_is_recorded_without_its_choice():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    receipt = voting.cast_ballot(poll_id=poll.pk, voter=ann, content="abstain")
    voting.record_acts(poll_id=poll.pk)

    assert Ballot.objects.get().content == receipt.content == "abstain"
    reference = voting.voter_reference(poll, ann.pk)
    assert receipt.commitment == digest([reference, "abstain", receipt.nonce])
    event = AuditEvent.objects.get()
    assert (event.verb, event.actor, event.subject, event.data) == (
        "ballots.recorded",
        "system",
        f"poll:{poll.pk}",
        {"batch": 1, "count": 1, "digest": digest([[reference, "cast", receipt.commitment]])},
    )


def test_cast_ballot_replaces_an_earlier_one():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")
    voting.cast_ballot(poll_id=poll.pk, voter=ann, content="no")

    assert Ballot.objects.get().content == "no"
    assert acts(poll) == ["cast", "replaced"]


def test_cast_ballot_goes_to_the_database_twice(django_assert_num_queries):
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    for content in ("yes", "no"):
        with django_assert_num_queries(2 + 2):  # and the savepoint that stands for a transaction
            voting.cast_ballot(poll_id=poll.pk, voter=ann, content=content)

    assert acts(poll) == ["cast", "replaced"]


def test_cast_ballot_twice_the_same_is_as_once():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    first = voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")
    second = voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")

    assert (first.commitment, first.nonce) == (second.commitment, second.nonce)
    assert acts(poll) == ["cast"]


def test_cast_ballot_refuses_outsiders_and_leaves_no_trace():
    poll = PollFactory(open=True, electors=[UserFactory()])
    newcomer = MembershipFactory(community=poll.community).user

    for voter in (UserFactory(), newcomer):
        with pytest.raises(NotPermitted):
            voting.cast_ballot(poll_id=poll.pk, voter=voter, content="yes")
    with pytest.raises(NotPermitted):
        voting.cast_ballot(poll_id=poll.pk + 1, voter=newcomer, content="yes")

    assert not Ballot.objects.exists()
    assert acts(poll) == []


@pytest.mark.parametrize("choice", ["", "maybe", "YES", None, ["yes"], {"yes": 1}])
def test_cast_ballot_refuses_unknown_choices(choice):
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    with pytest.raises(BadInput):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, content=choice)

    assert acts(poll) == []


def test_cast_ballot_stays_a_right_of_the_electorate_after_leaving_or_suspension():
    for status in ("left", "suspended"):
        own = MembershipFactory(status=status)
        poll = PollFactory(community=own.community, electors=[own.user])

        voting.cast_ballot(poll_id=poll.pk, voter=own.user, content="yes")

    assert Ballot.objects.count() == 2


def test_cast_ballot_holds_to_the_microsecond_of_the_deadline():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    with time_machine.travel(poll.closes_at - MICROSECOND, tick=False):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")
    with (
        time_machine.travel(poll.closes_at, tick=False),
        pytest.raises(InvalidTransition, match="no more ballots"),
    ):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, content="no")

    assert Ballot.objects.get().content == "yes"


def test_cast_ballot_before_the_opening_is_refused():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    with (
        time_machine.travel(poll.opened_at - MICROSECOND, tick=False),
        pytest.raises(InvalidTransition),
    ):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, content="no")


@pytest.mark.parametrize("trait", ["due", "closed"])
def test_ballots_of_a_poll_that_is_over_stay_as_they_are(trait):
    ann, bob = UserFactory(), UserFactory()
    poll = PollFactory(**{trait: True}, electors=[bob], ballots={ann: "yes"})

    with pytest.raises(InvalidTransition):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, content="no")
    with pytest.raises(InvalidTransition):
        voting.cast_ballot(poll_id=poll.pk, voter=bob, content="no")
    with pytest.raises(InvalidTransition):
        voting.withdraw_ballot(poll_id=poll.pk, voter=ann)

    assert Ballot.objects.get().content == "yes"
    assert acts(poll) == ["cast"]


def test_withdraw_ballot_takes_it_back_once():
    ann = UserFactory()
    poll = PollFactory(open=True, ballots={ann: "yes"})

    voting.withdraw_ballot(poll_id=poll.pk, voter=ann)
    voting.withdraw_ballot(poll_id=poll.pk, voter=ann)

    assert not Ballot.objects.exists()
    assert acts(poll) == ["cast", "withdrawn"]


def test_withdraw_ballot_refuses_outsiders_and_touches_nobody_elses():
    ann, bob = UserFactory(), UserFactory()
    poll = PollFactory(open=True, electors=[bob], ballots={ann: "yes"})

    with pytest.raises(NotPermitted):
        voting.withdraw_ballot(poll_id=poll.pk, voter=UserFactory())
    voting.withdraw_ballot(poll_id=poll.pk, voter=bob)

    assert Ballot.objects.get().voter == ann


def test_a_request_sent_again_with_its_key_does_nothing_even_after_a_change():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])
    voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes", idempotency_key="first")
    voting.cast_ballot(poll_id=poll.pk, voter=ann, content="no", idempotency_key="second")

    receipt = voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes", idempotency_key="first")

    assert receipt.content == Ballot.objects.get().content == "no"
    assert acts(poll) == ["cast", "replaced"]


def test_cast_ballot_refuses_an_endless_key():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    with pytest.raises(BadInput, match="64"):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes", idempotency_key="x" * 65)


@pytest.mark.parametrize(
    ("method", "content", "written"),
    [
        ("schulze-wv", [["b"], [], ["status-quo", "a"]], [["b"], ["a", "status-quo"]]),
        ("approval", ["b", "a"], ["a", "b"]),
        ("star", {"b": 5, "a": 0}, {"a": 0, "b": 5}),
        ("weighted", {"b": 1}, {"b": 1}),
    ],
)
def test_cast_ballot_keeps_the_one_written_form_of_each_method(method, content, written):
    ann = UserFactory()
    poll = options_poll(method, electors=[ann])

    voting.cast_ballot(poll_id=poll.pk, voter=ann, content=content)

    assert Ballot.objects.get().content == written


@pytest.mark.parametrize(
    ("method", "content"),
    [
        ("schulze-wv", [["a"], ["a"]]),
        ("schulze-wv", [["z"]]),
        ("approval", "a"),
        ("star", {"a": 6}),
        ("star", {"a": True}),
        ("star", {"a": 1.5}),
    ],
)
def test_cast_ballot_refuses_unknown_and_repeated_options(method, content):
    ann = UserFactory()
    poll = options_poll(method, electors=[ann])

    with pytest.raises(BadInput):
        voting.cast_ballot(poll_id=poll.pk, voter=ann, content=content)

    assert not Ballot.objects.exists()


def test_a_receipt_is_signed_and_says_when_the_trail_has_it():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    first = voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")
    voting.record_acts(poll_id=poll.pk)
    second = voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")

    assert (first.recorded, second.recorded) == (False, True)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(signing.public_key()))
    key.verify(bytes.fromhex(first.signature), canonical_json(first.statement))


# --- batches --------------------------------------------------------------------------------------


def test_record_acts_takes_each_act_once_in_batches_that_hide_the_order():
    people = UserFactory.create_batch(3)
    poll = PollFactory(open=True, electors=people)
    for person in people:
        voting.cast_ballot(poll_id=poll.pk, voter=person, content="yes")
    voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="no")

    assert voting.record_acts(poll_id=poll.pk) == 4
    assert voting.record_acts(poll_id=poll.pk) == 0
    voting.withdraw_ballot(poll_id=poll.pk, voter=people[0])
    assert voting.record_acts(poll_id=poll.pk) == 1

    first, second = voting.batches(poll)
    assert [voter for voter, _, _ in first] == sorted(voter for voter, _, _ in first)
    own = voting.voter_reference(poll, people[0].pk)
    assert [act for voter, act, _ in first if voter == own] == ["cast", "replaced"]
    assert second == [[own, "withdrawn", ""]]
    events = [event.data for event in AuditEvent.objects.all()]
    assert [(e["batch"], e["count"], e["digest"]) for e in events] == [
        (1, 4, digest(first)),
        (2, 1, digest(second)),
    ]


def test_record_acts_splits_many_into_batches(monkeypatch):
    monkeypatch.setattr(voting, "_ACTS_IN_A_BATCH", 2)
    poll = PollFactory(open=True, ballots=dict.fromkeys(UserFactory.create_batch(5), "yes"))

    voting.record_acts(poll_id=poll.pk)

    assert [len(batch) for batch in voting.batches(poll)] == [2, 2, 1]


# --- secret polls ---------------------------------------------------------------------------------


def secret_poll(people, **given):
    rule = Rule(secrecy="secret", quorum="none").to_dict()
    return PollFactory(rule=rule, electors=people, **given)


def test_a_secret_ballot_has_no_time_no_commitment_and_can_be_changed_in_its_envelope():
    people = UserFactory.create_batch(3)
    poll = secret_poll(people)

    voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="yes")
    receipt = voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="no")

    ballot = Ballot.objects.get()
    assert (ballot.content, ballot.cast_at, ballot.nonce) == ("no", None, "")
    assert (receipt.commitment, receipt.statement["commitment"]) == ("", "")
    assert set(poll.acts.values_list("commitment", flat=True)) == {""}


def test_few_envelopes_wait_and_enough_are_mixed_without_names():
    people = UserFactory.create_batch(voting.ENVELOPES_MIXED)
    poll = secret_poll(people)
    for person in people[1:]:
        voting.cast_ballot(poll_id=poll.pk, voter=person, content="no")

    assert voting.fill_urn(poll_id=poll.pk) == 0
    voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="yes")
    assert voting.fill_urn(poll_id=poll.pk) == len(people)

    assert not Ballot.objects.filter(content__isnull=False).exists()
    assert sorted(poll.urn.values_list("content", flat=True)) == ["no"] * 9 + ["yes"]
    columns = {field.column for field in UrnBallot._meta.concrete_fields}
    assert columns == {"id", "poll_id", "content"}


def test_the_urn_is_filled_in_another_order_than_people_voted(monkeypatch):
    monkeypatch.setattr(voting, "_shuffle", lambda items: items.sort())
    people = UserFactory.create_batch(4)
    poll = secret_poll(people)
    for person, content in zip(people, ["yes", "no", "yes", "abstain"], strict=True):
        voting.cast_ballot(poll_id=poll.pk, voter=person, content=content)
    written = []
    save_all = UrnBallot.objects.bulk_create
    monkeypatch.setattr(
        UrnBallot.objects, "bulk_create", lambda rows, **_: written.extend(rows) or save_all(rows)
    )

    voting.fill_urn(poll_id=poll.pk, least=1)

    assert [row.content for row in written] == ["abstain", "no", "yes", "yes"]


def test_a_ballot_in_the_urn_cannot_be_changed_or_withdrawn():
    people = UserFactory.create_batch(2)
    poll = secret_poll(people)
    voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="yes")
    voting.fill_urn(poll_id=poll.pk, least=1)

    with pytest.raises(InvalidTransition, match="in the urn"):
        voting.cast_ballot(poll_id=poll.pk, voter=people[0], content="no")
    with pytest.raises(InvalidTransition, match="in the urn"):
        voting.withdraw_ballot(poll_id=poll.pk, voter=people[0])

    assert list(poll.urn.values_list("content", flat=True)) == ["yes"]


def test_a_secret_poll_counts_urn_and_envelopes_and_ends_with_all_in_the_urn():
    people = UserFactory.create_batch(4)
    poll = secret_poll(people)
    for person in people[:2]:
        voting.cast_ballot(poll_id=poll.pk, voter=person, content="yes")
    voting.fill_urn(poll_id=poll.pk, least=1)
    voting.cast_ballot(poll_id=poll.pk, voter=people[2], content="no")

    with time_machine.travel(poll.closes_at, tick=False):
        closed = polling.close_poll(poll_id=poll.pk)

    assert (closed.tally["yes"], closed.tally["no"], closed.tally["cast"]) == (2, 1, 3)
    assert voting.ballot_record(closed) == ["no", "yes", "yes"]
    event = AuditEvent.objects.get(verb="poll.closed")
    assert event.data["ballots_digest"] == digest(["no", "yes", "yes"])
    assert not Ballot.objects.filter(content__isnull=False).exists()


def test_database_refuses_to_touch_the_urn():
    poll = secret_poll(UserFactory.create_batch(1))
    row = UrnBallot.objects.create(poll=poll, content="yes")

    with pytest.raises(IntegrityError), transaction.atomic():
        UrnBallot.objects.filter(pk=row.pk).update(content="no")
    with pytest.raises(IntegrityError), transaction.atomic():
        row.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        UrnBallot.objects.create(poll=PollFactory(closed=True), content="no")


def test_database_refuses_to_change_what_was_done():
    poll = PollFactory(open=True, ballots={UserFactory(): "yes"})
    voting.record_acts(poll_id=poll.pk)

    for change in ({"act": "withdrawn"}, {"commitment": "0" * 64}, {"batch": 2}, {"batch": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            poll.acts.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        poll.acts.all().delete()


# --- races ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_voting_in_many_tabs_leaves_one_ballot_and_whole_trail():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    results = at_once(
        *(
            lambda said=said: voting.cast_ballot(poll_id=poll.pk, voter=ann, content=said)
            for said in ["yes", "no", "abstain", "yes", "no", "abstain"]
        )
    )

    assert {type(result) for result in results} == {voting.Receipt}
    ballot = Ballot.objects.get()
    acts = list(poll.acts.values_list("act", "commitment"))
    assert acts[0][0] == "cast"
    assert {act for act, _ in acts[1:]} <= {"replaced"}
    reference = voting.voter_reference(poll, ann.pk)
    assert acts[-1][1] == voting.commitment(reference, ballot.content, ballot.nonce)


@pytest.mark.django_db(transaction=True)
def test_cast_ballot_waits_for_the_urn_and_is_then_refused():
    """Else the ballot would count twice: as it went into the urn, and as it was changed."""
    ann = UserFactory()
    poll = secret_poll([ann])
    voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")

    @transaction.atomic
    def fill():
        voting.fill_urn(poll_id=poll.pk, least=1)
        time.sleep(0.3)

    def change():
        time.sleep(0.1)
        return voting.cast_ballot(poll_id=poll.pk, voter=ann, content="no")

    _, refused = at_once(fill, change)

    assert isinstance(refused, InvalidTransition)
    assert Ballot.objects.get().content is None
    assert list(poll.urn.values_list("content", flat=True)) == ["yes"]


@pytest.mark.django_db(transaction=True)
def test_cast_ballot_sees_what_became_of_the_poll_while_it_waited():
    ann = UserFactory()
    poll = PollFactory(open=True, electors=[ann])

    @transaction.atomic
    def withdraw():
        row = Poll.objects.select_for_update().get(pk=poll.pk)
        time.sleep(0.3)
        row.status, row.reason, row.closed_at = "withdrawn", "A mistake.", timezone.now()
        row.save()

    def cast():
        time.sleep(0.1)
        return voting.cast_ballot(poll_id=poll.pk, voter=ann, content="yes")

    _, refused = at_once(withdraw, cast)

    assert isinstance(refused, InvalidTransition)
    assert not Ballot.objects.exists()
