"""Leases, labels, and how they enter the trail."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from feedback import labelling
from feedback.models import Assignment, Comparison, Label
from governance import canonical
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent
from tests.factories.feedback import (
    AssignmentFactory,
    ComparisonFactory,
    LabelFactory,
    make_version,
    member,
)
from tests.factories.governance import CommunityFactory, UserFactory

pytestmark = pytest.mark.django_db


def hand_out(community, annotator):
    return labelling.next_assignment(community_id=community.pk, annotator=annotator)


def submit(assignment, choice="left", **fields):
    return labelling.submit_label(
        assignment_id=assignment.pk,
        annotator=fields.pop("annotator", assignment.annotator),
        choice=choice,
        **fields,
    )


def places(comparison):
    return Comparison.objects.get(pk=comparison.pk).places_taken


# --- handing out ----------------------------------------------------------------------------------


def test_next_assignment_leases_a_place(community, honest, annotator):
    comparison = ComparisonFactory(principle=honest)

    lease = hand_out(community, annotator)

    assert lease.comparison == comparison
    assert lease.status == "leased"
    assert lease.expires_at > timezone.now()
    assert places(comparison) == 1


def test_next_assignment_returns_the_live_lease(community, honest, annotator):
    ComparisonFactory.create_batch(3, principle=honest)

    assert hand_out(community, annotator) == hand_out(community, annotator)
    assert Assignment.objects.count() == 1


def test_next_assignment_renews_a_lease_that_runs_out(community, honest, annotator):
    lease = AssignmentFactory(
        comparison=ComparisonFactory(principle=honest),
        annotator=annotator,
        expires_at=timezone.now() + timedelta(seconds=5),
    )

    assert hand_out(community, annotator).expires_at > lease.expires_at + timedelta(minutes=5)


def test_next_assignment_prefers_what_has_fewer_labels(community, honest, annotator):
    crowded = ComparisonFactory(principle=honest, shuffle=0)
    LabelFactory(assignment__comparison=crowded)
    empty = ComparisonFactory(principle=honest, shuffle=1)

    assert hand_out(community, annotator).comparison == empty


def test_next_assignment_gives_people_orders_of_their_own(community, honest):
    for n in range(8):
        ComparisonFactory(principle=honest, shuffle=n * 2**28, labels_wanted=30)
    people = [member(community) for _ in range(8)]
    first = set()
    for person in people:
        lease = hand_out(community, person)
        first.add(lease.comparison_id)
        labelling.skip_assignment(assignment_id=lease.pk, annotator=person, reason="next")

    assert len(first) > 1


def test_next_assignment_never_gives_an_item_twice(community, honest, annotator):
    ComparisonFactory.create_batch(2, principle=honest)
    submit(hand_out(community, annotator))
    labelling.skip_assignment(
        assignment_id=hand_out(community, annotator).pk, annotator=annotator, reason="unclear"
    )

    assert hand_out(community, annotator) is None


def test_next_assignment_stops_at_the_wanted_number(community, honest, annotator):
    comparison = ComparisonFactory(principle=honest, labels_wanted=1)
    LabelFactory(assignment__comparison=comparison)

    assert hand_out(community, annotator) is None


@pytest.mark.parametrize("part", ["prompt", "response_a", "response_b"])
def test_next_assignment_leaves_out_what_is_hidden(community, honest, annotator, part):
    comparison = ComparisonFactory(principle=honest)
    content = getattr(comparison, part)
    content.hidden = True
    content.save()

    assert hand_out(community, annotator) is None


def test_next_assignment_leaves_out_foreign_communities(community, version, annotator):
    other = make_version(CommunityFactory())
    ComparisonFactory(principle=other.principles.first())

    assert hand_out(community, annotator) is None


def test_next_assignment_leaves_out_principles_that_were_edited(community, honest, annotator):
    ComparisonFactory(principle=honest)
    make_version(
        community, [{"key": "honest", "title": "Be honest", "text": "Other.", "hazard_codes": []}]
    )

    assert hand_out(community, annotator) is None


def test_next_assignment_keeps_principles_that_were_left_alone(community, honest, annotator):
    comparison = ComparisonFactory(principle=honest)
    make_version(community)

    assert hand_out(community, annotator).comparison == comparison


def test_next_assignment_refuses_strangers(community, honest):
    ComparisonFactory(principle=honest)

    with pytest.raises(NotPermitted):
        hand_out(community, UserFactory())

    assert not Assignment.objects.exists()


def test_next_assignment_without_a_version_is_none(community, annotator):
    assert hand_out(community, annotator) is None


def test_next_assignment_shows_sides_by_a_stored_coin(community, honest, annotator):
    ComparisonFactory.create_batch(40, principle=honest)
    swapped = []
    while (lease := hand_out(community, annotator)) is not None:
        swapped.append(lease.swapped)
        submit(lease)

    assert 8 < sum(swapped) < 32


def test_the_database_refuses_more_places_than_wanted(honest):
    comparison = ComparisonFactory(principle=honest, labels_wanted=1, places_taken=1)

    with pytest.raises(IntegrityError), transaction.atomic():
        AssignmentFactory(comparison=comparison)


@pytest.mark.django_db(transaction=True)
def test_next_assignment_holds_the_cap_when_many_ask_at_once(community, honest):
    comparisons = ComparisonFactory.create_batch(5, principle=honest, labels_wanted=3)
    people = [member(community) for _ in range(16)]

    def work(person):
        try:
            done = 0
            while (lease := hand_out(community, person)) is not None:
                submit(lease, annotator=person)
                done += 1
            return done
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        done = sum(pool.map(work, people))

    taken = [Assignment.objects.filter(comparison=comparison).count() for comparison in comparisons]
    assert taken == [3] * 5
    assert done == Label.objects.count() == 15
    assert [places(comparison) for comparison in comparisons] == [3] * 5


@pytest.mark.django_db(transaction=True)
def test_next_assignment_gives_one_person_one_lease_when_two_pages_ask(community, honest):
    ComparisonFactory.create_batch(8, principle=honest)
    person = member(community)

    def work(_):
        try:
            return hand_out(community, person).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        leases = set(pool.map(work, range(8)))

    assert len(leases) == 1
    assert Assignment.objects.count() == 1


# --- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "swapped", "stored"),
    [
        ("left", False, "a"),
        ("right", False, "b"),
        ("left", True, "b"),
        ("right", True, "a"),
        ("tie", True, "tie"),
        ("both_bad", False, "both_bad"),
    ],
)
def test_submit_label_turns_sides_back(honest, annotator, choice, swapped, stored):
    lease = AssignmentFactory(
        comparison=ComparisonFactory(principle=honest), annotator=annotator, swapped=swapped
    )

    assert submit(lease, choice, strength=2).choice == stored
    lease.refresh_from_db()
    assert lease.status == "labelled"


def lease_of(honest, annotator, **fields):
    return AssignmentFactory(
        comparison=ComparisonFactory(principle=honest), annotator=annotator, **fields
    )


def test_submit_label_keeps_strength_of_a_decision_only(honest, annotator):
    assert submit(lease_of(honest, annotator), "right", strength=3).strength == 3
    assert submit(lease_of(honest, annotator), "tie", strength=3).strength == 1


def test_submit_label_twice_with_one_key_is_one_label(honest, annotator):
    lease, key = lease_of(honest, annotator), uuid.uuid4()

    first = submit(lease, "left", idempotency_key=key)
    again = submit(lease, "right", idempotency_key=key)

    assert first == again
    assert Label.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_submit_label_at_once_with_one_key_is_one_label(honest, annotator):
    lease, key = lease_of(honest, annotator), uuid.uuid4()

    def work(_):
        try:
            return submit(lease, annotator=annotator, idempotency_key=key).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(work, range(8)))) == 1


def test_submit_label_twice_with_other_keys_is_refused(honest, annotator):
    lease = lease_of(honest, annotator)
    submit(lease)

    with pytest.raises(InvalidTransition):
        submit(lease)


def test_submit_label_refuses_a_key_of_another_label(honest, annotator):
    key = uuid.uuid4()
    submit(lease_of(honest, annotator), idempotency_key=key)

    with pytest.raises(BadInput):
        submit(lease_of(honest, annotator), idempotency_key=key)


def test_submit_label_refuses_other_people(community, honest, annotator):
    lease = lease_of(honest, annotator)

    with pytest.raises(NotPermitted):
        submit(lease, annotator=member(community))

    assert not Label.objects.exists()


def test_submit_label_refuses_those_who_left(community, honest, annotator):
    lease = lease_of(honest, annotator)
    community.memberships.filter(user=annotator).update(status="left")

    with pytest.raises(NotPermitted):
        submit(lease)


@pytest.mark.parametrize(
    "fields",
    [
        {"choice": "up"},
        {"strength": 0},
        {"strength": 4},
        {"note": "x" * 1001},
        {"note": "a\0"},
    ],
)
def test_submit_label_refuses_what_has_no_meaning(honest, annotator, fields):
    with pytest.raises(BadInput):
        submit(lease_of(honest, annotator), **fields)

    assert not Label.objects.exists()


def test_submit_label_refuses_hidden_content(honest, annotator):
    lease = lease_of(honest, annotator)
    lease.comparison.prompt.hidden = True
    lease.comparison.prompt.save()

    with pytest.raises(InvalidTransition, match="hidden"):
        submit(lease)


def test_submit_label_counts_while_the_place_is_held(honest, annotator):
    submit(lease_of(honest, annotator, late=True))

    assert Label.objects.count() == 1


def test_submit_label_refuses_a_lease_that_ran_out(honest, annotator):
    lease = lease_of(honest, annotator, late=True)
    labelling.expire_leases()

    with pytest.raises(InvalidTransition, match="ran out"):
        submit(lease)


def test_skip_assignment_gives_the_place_back_once(honest, annotator):
    lease = lease_of(honest, annotator)

    for _ in range(2):
        labelling.skip_assignment(assignment_id=lease.pk, annotator=annotator, reason="unclear")

    lease.refresh_from_db()
    assert (lease.status, lease.skip_reason) == ("skipped", "unclear")
    assert places(lease.comparison) == 0


def test_skip_assignment_needs_a_reason(honest, annotator):
    with pytest.raises(BadInput):
        labelling.skip_assignment(
            assignment_id=lease_of(honest, annotator).pk, annotator=annotator, reason=" "
        )


def test_skip_assignment_refuses_other_people_and_answered_ones(community, honest, annotator):
    lease = lease_of(honest, annotator)
    with pytest.raises(NotPermitted):
        labelling.skip_assignment(
            assignment_id=lease.pk, annotator=member(community), reason="unclear"
        )
    submit(lease)
    with pytest.raises(InvalidTransition):
        labelling.skip_assignment(assignment_id=lease.pk, annotator=annotator, reason="unclear")


# --- leases that run out --------------------------------------------------------------------------


def test_expire_leases_gives_each_place_back_once(honest):
    comparison = ComparisonFactory(principle=honest)
    AssignmentFactory.create_batch(2, comparison=comparison, late=True)
    AssignmentFactory(comparison=comparison)

    assert (labelling.expire_leases(), labelling.expire_leases()) == (2, 0)
    assert places(comparison) == 1


@pytest.mark.django_db(transaction=True)
def test_expire_leases_at_once_gives_each_place_back_once(honest):
    comparisons = ComparisonFactory.create_batch(4, principle=honest)
    for comparison in comparisons:
        AssignmentFactory.create_batch(3, comparison=comparison, late=True)

    def work(_):
        try:
            return labelling.expire_leases()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 12
    assert [places(comparison) for comparison in comparisons] == [0] * 4


def test_a_lease_that_ran_out_may_come_back_to_the_same_person(community, honest, annotator):
    lease = lease_of(honest, annotator, late=True)
    labelling.expire_leases()

    assert hand_out(community, annotator) == lease
    assert places(lease.comparison) == 1


# --- the trail ------------------------------------------------------------------------------------


def test_record_label_batch_enters_labels_once(community, honest):
    labels = [
        LabelFactory(assignment__comparison=ComparisonFactory(principle=honest)) for _ in "12"
    ]

    assert labelling.record_label_batch(community_id=community.pk) == 2
    assert labelling.record_label_batch(community_id=community.pk) == 0

    event = AuditEvent.objects.get(verb="labels.recorded")
    content = [
        {
            "key": str(label.idempotency_key),
            "pair": label.assignment.comparison.pair_digest,
            "choice": "a",
            "strength": 1,
        }
        for label in labels
    ]
    assert event.data == {
        "count": 2,
        "digest": canonical.digest(content),
        "up_to": labels[1].pk,
    }


def test_record_label_batch_leaves_other_communities_alone(community, honest):
    other = make_version(CommunityFactory())
    LabelFactory(assignment__comparison=ComparisonFactory(principle=other.principles.first()))

    assert labelling.record_label_batch(community_id=community.pk) == 0
    assert labelling.communities_with_unrecorded_labels() == [other.constitution.community_id]


@pytest.mark.django_db(transaction=True)
def test_record_label_batch_at_once_enters_each_label_once(community, honest):
    for _ in range(6):
        LabelFactory(assignment__comparison=ComparisonFactory(principle=honest))

    def work(_):
        try:
            return labelling.record_label_batch(community_id=community.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 6
    assert AuditEvent.objects.filter(verb="labels.recorded").count() == 1
