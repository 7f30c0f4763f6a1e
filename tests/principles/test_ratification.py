"""Ratification: closing a real poll makes a version, or does not; a version never changes."""

import re
import threading
import time
from datetime import timedelta
from functools import partial

import pytest
import time_machine
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from governance import canonical, checker, outcomes, polling, voting
from governance.errors import InvalidTransition
from governance.models import AuditEvent, Poll
from governance.rules import DEFAULT_RULE
from principles import drafting, ratification
from principles.models import Constitution, Draft, Principle, Version
from tests.factories.governance import CommunityFactory, MembershipFactory, PollFactory
from tests.factories.principles import (
    ConstitutionFactory,
    DraftFactory,
    VersionFactory,
    principle_content,
    two_principles,
)


def propose(moot, draft, *, days=7):
    return drafting.propose(
        draft_id=draft.pk,
        actor=moot.steward,
        rule=DEFAULT_RULE,
        closes_at=timezone.now() + timedelta(days=days),
    )


def decide(moot, poll, **choices):
    """Cast the ballots, let the deadline pass, and close the poll."""
    for who, choice in choices.items():
        voting.cast_ballot(poll_id=poll.pk, voter=getattr(moot, who), content=choice)
    with time_machine.travel(poll.closes_at + timedelta(seconds=1)):
        return polling.close_poll(poll_id=poll.pk)


def draft_of(moot, **fields):
    fields.setdefault("principles", two_principles())
    return DraftFactory(community=moot.community, author=moot.member, **fields)


def test_a_passed_poll_puts_the_draft_in_force(moot):
    draft = draft_of(moot, title="Ours", preamble="We say:", summary="The first.")
    poll = propose(moot, draft)

    closed = decide(moot, poll, steward="yes", member="yes", other="no")

    version = Version.objects.get()
    draft.refresh_from_db()
    assert draft.status == "adopted"
    assert (version.number, version.parent, version.poll) == (1, None, poll)
    assert (version.title, version.preamble, version.summary) == ("Ours", "We say:", "The first.")
    assert version.ratified_at == closed.closed_at
    assert [p.content() for p in version.principles.all()] == two_principles()
    assert version.constitution.title == "Ours"
    assert version.constitution.in_force() == version


def test_a_passed_poll_is_recorded_with_the_digest_of_what_it_put_in_force(moot):
    draft = draft_of(moot)
    poll = propose(moot, draft)

    decide(moot, poll, steward="yes")

    version = Version.objects.get()
    event = AuditEvent.objects.latest("seq")
    assert (event.verb, event.actor) == ("version.ratified", "system")
    assert event.subject == f"version:{version.pk}"
    assert event.data == {
        "number": 1,
        "digest": version.digest,
        "poll": poll.pk,
        "parent": None,
    }
    assert version.digest == canonical.digest(ratification.version_content(version))


@pytest.mark.parametrize(
    ("ballots", "outcome"),
    [({"steward": "no", "member": "yes", "other": "no"}, "rejected"), ({}, "no_quorum")],
)
def test_a_poll_that_does_not_pass_leaves_no_version(moot, ballots, outcome):
    draft = draft_of(moot)
    poll = propose(moot, draft)

    decide(moot, poll, **ballots)

    draft.refresh_from_db()
    event = AuditEvent.objects.latest("seq")
    assert draft.status == "rejected"
    assert not Version.objects.exists()
    assert (event.verb, event.data) == ("draft.rejected", {"poll": poll.pk, "outcome": outcome})


def test_closing_again_ratifies_once(moot):
    poll = propose(moot, draft_of(moot))
    closed = decide(moot, poll, steward="yes")

    polling.close_poll(poll_id=poll.pk)

    assert Version.objects.count() == 1
    with pytest.raises(InvalidTransition):
        ratification.adopt(closed)


def test_what_cannot_be_written_leaves_the_poll_open(moot, monkeypatch):
    poll = propose(moot, draft_of(moot))
    monkeypatch.setattr(Principle.objects, "bulk_create", lambda _: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        decide(moot, poll, steward="yes")

    assert Poll.objects.get().status == "open"
    assert Draft.objects.get().status == "proposed"
    assert not Version.objects.exists()


def test_a_draft_on_an_older_version_follows_the_one_in_force_when_it_passes(moot):
    first = VersionFactory(community=moot.community)
    slow = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)
    quick = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)
    for draft, key in ((slow, "slow"), (quick, "quick")):
        drafting.set_principle(draft_id=draft.pk, actor=moot.member, title=key, text="t")
    slow_poll, quick_poll = propose(moot, slow, days=9), propose(moot, quick, days=7)

    decide(moot, quick_poll, steward="yes")
    decide(moot, slow_poll, steward="yes")

    third, second = Version.objects.all()[:2]
    assert (slow.base, quick.base) == (first, first)
    assert (second.number, second.parent, second.poll) == (2, first, quick_poll)
    assert (third.number, third.parent, third.poll) == (3, second, slow_poll)
    assert third.content()["parent"] == second.digest
    assert [p.key for p in third.principles.all()] == ["no-harm", "plainness", "slow"]


def test_the_voted_text_can_be_made_again_from_the_version(moot):
    poll = propose(moot, draft_of(moot, preamble="We (all) say:"))
    decide(moot, poll, steward="yes")

    content = ratification.version_content(Version.objects.get())

    assert re.fullmatch(checker.voted_text(content), poll.text)
    assert not re.fullmatch(checker.voted_text({**content, "preamble": "We say:"}), poll.text)


def test_the_digest_covers_nothing_but_the_text():
    """Golden: whoever changes this breaks every digest that a community has published."""
    content = {
        "schema": "folkmoot.version/1",
        "community": "moot",
        "number": 1,
        "title": "A constitution",
        "preamble": "We want to be well advised.",
        "parent": None,
        "principles": two_principles(),
    }

    assert canonical.digest(content) == (
        "a5746f559bff4fabb928642993b08f74ed9530a3980706c65e0fb60c0ebd64d6"
    )


@pytest.mark.django_db
def test_a_version_has_the_digest_of_its_content_whenever_it_was_ratified():
    community = CommunityFactory(slug="moot")
    version = VersionFactory(
        constitution=ConstitutionFactory(community=community),
        ratified_at=timezone.now() - timedelta(days=100),
    )

    assert version.digest == ("a5746f559bff4fabb928642993b08f74ed9530a3980706c65e0fb60c0ebd64d6")
    assert set(version.content()) == checker.VERSION
    assert canonical.digest(version.content()) == version.digest


@pytest.mark.parametrize(
    "change",
    [
        lambda: Version.objects.update(title="Other"),
        lambda: Version.objects.all()._raw_delete("default"),
        lambda: Principle.objects.update(text="Other"),
        lambda: Principle.objects.all()._raw_delete("default"),
    ],
)
def test_the_database_refuses_to_change_a_version(moot, change):
    version = VersionFactory(community=moot.community)

    with pytest.raises(IntegrityError, match="never changed or deleted"), transaction.atomic():
        change()

    assert canonical.digest(Version.objects.get().content()) == version.digest


def test_the_poll_leads_to_its_draft(moot):
    draft = draft_of(moot)
    poll = propose(moot, draft)

    assert outcomes.kind_of(poll).subject_url(poll) == draft.get_absolute_url()
    assert outcomes.kind_of(poll).label == "Ratification"


def test_a_poll_without_its_draft_leads_nowhere(moot):
    poll = PollFactory(community=moot.community, kind="ratification")

    assert ratification.subject_url(poll) == ""


def run_together(*acts):
    """Run the acts at once, each on its own connection; return what they raised."""
    barrier = threading.Barrier(len(acts))
    raised = []

    def run(act):
        try:
            barrier.wait(timeout=10)
            act()
        except Exception as error:  # noqa: BLE001 - the test looks at each
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return raised


@pytest.mark.django_db(transaction=True)
def test_two_drafts_adopted_at_once_make_two_versions_in_a_row(monkeypatch):
    constitution = ConstitutionFactory()
    polls = []
    for key in ("one", "two"):
        draft = DraftFactory(constitution=constitution, principles=[principle_content(key)])
        poll = PollFactory(
            community=constitution.community,
            kind="ratification",
            ballots={draft.author: "yes"},
            closed=True,
        )
        Draft.objects.filter(pk=draft.pk).update(status="proposed", poll=poll)
        polls.append(poll)
    in_force = Constitution.in_force
    # Each dawdles after it has looked which version is in force, so that both would see the same.
    monkeypatch.setattr(Constitution, "in_force", lambda c: (in_force(c), time.sleep(0.3))[0])

    raised = run_together(*(partial(ratification.adopt, poll) for poll in polls))

    assert raised == []
    second, first = Version.objects.all()
    assert (first.number, second.number) == (1, 2)
    assert second.parent == first


@pytest.mark.django_db(transaction=True)
def test_two_polls_that_close_at_once_make_two_versions_in_a_row():
    community = CommunityFactory()
    steward = MembershipFactory(community=community, steward=True).user
    polls = []
    for key in ("one", "two"):
        draft = DraftFactory(
            community=community, author=steward, principles=[principle_content(key)]
        )
        poll = drafting.propose(
            draft_id=draft.pk,
            actor=steward,
            rule=DEFAULT_RULE,
            closes_at=timezone.now() + timedelta(days=1),
        )
        voting.cast_ballot(poll_id=poll.pk, voter=steward, content="yes")
        polls.append(poll)

    with time_machine.travel(timezone.now() + timedelta(days=2)):
        raised = run_together(*(partial(polling.close_poll, poll_id=poll.pk) for poll in polls))

    assert raised == []
    second, first = Version.objects.all()
    assert (first.number, second.number) == (1, 2)
    assert second.parent == first
