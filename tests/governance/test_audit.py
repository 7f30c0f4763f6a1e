from enum import StrEnum

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from governance import audit, chain
from governance.models import AuditEvent, Trail
from tests.factories.governance import CommunityFactory, UserFactory
from tests.governance.threads import at_once

pytestmark = pytest.mark.django_db


class Verb(StrEnum):
    DONE = "thing.done"


@transaction.atomic
def write(community, count=1, **data):
    for number in range(count):
        audit.record(
            community_id=community.pk,
            actor=None,
            verb=Verb.DONE,
            subject=community,
            data={"number": number, **data},
        )


def tamper(sql, *values):
    """Change history as someone could who owns the database."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE governance_auditevent DISABLE TRIGGER audit_event_is_final")
        cursor.execute(sql, values)
        cursor.execute("ALTER TABLE governance_auditevent ENABLE TRIGGER audit_event_is_final")


@pytest.fixture
def community():
    community = CommunityFactory(slug="readers")
    write(community, 5)
    return community


def test_record_chains_events_and_keeps_the_head(community):
    events = list(AuditEvent.objects.order_by("seq"))
    trail = Trail.objects.get()

    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert events[0].previous_hash == chain.GENESIS
    assert [e.previous_hash for e in events[1:]] == [e.event_hash for e in events[:-1]]
    assert (trail.length, trail.head) == (5, events[-1].event_hash)
    assert audit.first_broken(community.pk) is None


def test_record_keeps_communities_apart(community):
    other = CommunityFactory()
    write(other, 2)

    assert AuditEvent.objects.get(community=other, seq=1).previous_hash == chain.GENESIS
    assert audit.first_broken(other.pk) is None


@pytest.mark.parametrize("value", [0.5, {1, 2}, {1: "a"}])
def test_record_refuses_what_has_no_canonical_form(community, value):
    with pytest.raises(TypeError):
        write(community, value=value)

    assert Trail.objects.get().length == 5


def test_record_names_people_and_the_system():
    ann = UserFactory()

    assert audit.actor_name(ann) == f"user:{ann.pk}"
    assert audit.actor_name(None) == "system"
    assert audit.subject_name(ann) == f"user:{ann.pk}"


def test_first_broken_of_an_empty_trail_is_none():
    assert audit.first_broken(CommunityFactory().pk) is None


def test_database_refuses_to_change_or_delete_events(community):
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        AuditEvent.objects.filter(seq=2).update(actor="user:1")
    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        AuditEvent.objects.filter(seq=5).delete()
    with (
        pytest.raises(IntegrityError),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("DELETE FROM governance_auditevent")

    assert AuditEvent.objects.count() == 5


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("data", '{"number": 7}'),
        ("actor", "user:9"),
        ("verb", "thing.undone"),
        ("subject", "community:0"),
        ("at", "2020-01-01T00:00:00.000000Z"),
        ("event_hash", "f" * 64),
    ],
)
def test_first_broken_finds_an_edited_event(community, column, value):
    tamper(f"UPDATE governance_auditevent SET {column} = %s WHERE seq = 3", value)

    assert audit.first_broken(community.pk) == 3


def test_first_broken_finds_a_rewritten_link(community):
    tamper("UPDATE governance_auditevent SET previous_hash = %s WHERE seq = 4", "0" * 64)

    assert audit.first_broken(community.pk) == 4


def test_first_broken_finds_a_removed_event(community):
    tamper("DELETE FROM governance_auditevent WHERE seq = 2")

    assert audit.first_broken(community.pk) == 2


def test_first_broken_finds_a_trail_cut_short(community):
    tamper("DELETE FROM governance_auditevent WHERE seq = 5")

    assert audit.first_broken(community.pk) == 5


def test_first_broken_finds_an_event_added_behind_the_trails_back(community):
    last = AuditEvent.objects.get(seq=5)
    forged = AuditEvent(
        community=community,
        seq=6,
        at=last.at,
        actor="system",
        verb="thing.done",
        subject=last.subject,
        data={},
        previous_hash=last.event_hash,
    )
    forged.event_hash = chain.event_hash(last.event_hash, forged.content())
    forged.save()

    assert audit.first_broken(community.pk) == 7


def test_first_broken_finds_an_event_rehashed_without_its_followers(community):
    event = AuditEvent.objects.get(seq=3)
    event.data = {"number": 99}
    event.event_hash = chain.event_hash(event.previous_hash, event.content())
    tamper(
        "UPDATE governance_auditevent SET data = %s, event_hash = %s WHERE seq = 3",
        '{"number": 99}',
        event.event_hash,
    )

    assert audit.first_broken(community.pk) == 4


def test_verify_trail_says_what_holds(community, capsys):
    CommunityFactory(slug="writers")

    call_command("verify_trail")

    head = Trail.objects.get(community=community).head
    assert capsys.readouterr().out.splitlines() == [
        f"readers: 5 events hold, head {head}",
        f"writers: 0 events hold, head {chain.GENESIS}",
    ]


def test_verify_trail_fails_and_names_the_first_broken_event(community, capsys):
    tamper("UPDATE governance_auditevent SET actor = 'user:9' WHERE seq = 3")
    write(CommunityFactory(slug="writers"))

    with pytest.raises(SystemExit) as stop:
        call_command("verify_trail")

    out, err = capsys.readouterr()
    assert stop.value.code == 1
    assert err.startswith(f"readers: event 3 does not hold (thing.done community:{community.pk}")
    assert "writers: 1 events hold" in out


def test_verify_trail_checks_only_the_named(community, capsys):
    tamper("DELETE FROM governance_auditevent WHERE seq = 5")
    CommunityFactory(slug="writers")

    call_command("verify_trail", "writers")
    with pytest.raises(SystemExit):
        call_command("verify_trail", "readers", "writers")

    assert "readers: event 5 does not hold (missing at the end)" in capsys.readouterr().err


def test_verify_trail_refuses_unknown_communities():
    with pytest.raises(CommandError, match="no community strangers"):
        call_command("verify_trail", "strangers")


def test_verify_trail_finds_a_community_without_a_trail(capsys):
    Trail.objects.filter(community=CommunityFactory(slug="bare")).delete()

    with pytest.raises(SystemExit):
        call_command("verify_trail")

    assert capsys.readouterr().err == "bare: has no trail\n"


@pytest.mark.django_db(transaction=True)
def test_events_recorded_at_once_get_one_order():
    community = CommunityFactory()

    results = at_once(*[lambda: write(community, 5)] * 4)

    assert results == [None] * 4
    assert list(AuditEvent.objects.order_by("seq").values_list("seq", flat=True)) == [*range(1, 21)]
    assert audit.first_broken(community.pk) is None


@pytest.mark.django_db(transaction=True)
def test_first_broken_is_not_misled_by_a_trail_that_grows():
    community = CommunityFactory()
    write(community, 3)

    def work():
        for _ in range(20):
            write(community)

    results = at_once(work, *[lambda: [audit.first_broken(community.pk) for _ in range(10)]] * 2)

    assert results == [None, [None] * 10, [None] * 10]
