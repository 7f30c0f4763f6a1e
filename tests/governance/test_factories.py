import pytest

from governance.models import Ballot, Elector
from tests.factories.governance import BallotFactory, PollFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_poll_factory_writes_the_electorate_it_is_asked_for():
    ann, bob = UserFactory(), UserFactory()

    poll = PollFactory(open=True, electors=[ann, bob])

    assert {row.user for row in Elector.objects.filter(poll=poll)} == {ann, bob}
    assert (poll.status, poll.electorate_size) == ("open", 2)
    BallotFactory(poll=poll, voter=ann, content="no")


def test_poll_factory_counts_a_closed_poll_from_its_ballots():
    ann, bob = UserFactory(), UserFactory()

    poll = PollFactory(closed=True, electors=[ann], ballots={bob: "yes"})

    assert (poll.status, poll.outcome, poll.tally["yes"]) == ("closed", "passed", 1)
    assert Ballot.objects.get().voter == bob
    assert Elector.objects.filter(poll=poll).count() == 2


def test_poll_factory_makes_a_due_poll():
    poll = PollFactory(due=True)

    assert not poll.accepts_ballots_at(poll.closes_at)
