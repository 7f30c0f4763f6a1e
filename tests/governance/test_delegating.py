from itertools import pairwise
from threading import Event

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from governance import audit, delegating, following, voting
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Delegation, Membership, Poll
from governance.rules import Rule
from tests.factories.governance import (
    BallotFactory,
    CommunityFactory,
    MembershipFactory,
    PollFactory,
)
from tests.governance.threads import at_once

pytestmark = pytest.mark.django_db
NAMES = ("ann", "bob", "cat", "dan", "eve")


class Place:
    """A community with five members and an open poll in which all of them may vote."""

    def __init__(self):
        self.community = CommunityFactory()
        self.people = {
            name: MembershipFactory(community=self.community, user__name=name).user
            for name in NAMES
        }
        self.poll = self.new_poll()

    def __getattr__(self, name):
        return self.people[name]

    def new_poll(self, *, cap=0, delegation=True, **given):
        rule = Rule(delegation=delegation, delegation_cap=cap, quorum="none")
        given.setdefault("electors", self.people.values())
        return PollFactory(community=self.community, rule=rule.to_dict(), **given)

    def give(self, giver, taker, **scope):
        return delegating.give_delegation(
            community_id=self.community.pk,
            delegator=self.people[giver],
            delegate_id=self.people[taker].pk,
            **scope,
        )

    def becomes(self, name, status):
        Membership.objects.filter(user=self.people[name]).update(status=status)

    def edges(self, poll=None):
        keys = {user.pk: name for name, user in self.people.items()}
        found = delegating.edges_of(poll or self.poll)
        return {keys[giver]: keys.get(taker, "?") for giver, taker in found.items()}

    def votes(self, name, content="yes", poll=None):
        BallotFactory(poll=poll or self.poll, voter=self.people[name], content=content)

    def close(self, poll=None):
        """Close a poll as the verb does: count, keep the delegations, move."""
        poll = poll or self.poll
        tally = voting.count_ballots(poll).result
        delegating.freeze(poll, delegating.edges_of(poll))
        poll.status, poll.closed_at = Poll.Status.CLOSED, timezone.now()
        poll.outcome, poll.tally = tally.outcome, tally.to_dict()
        poll.save()
        return poll


@pytest.fixture
def place():
    return Place()


def events():
    return list(AuditEvent.objects.order_by("seq").values_list("verb", "subject", "data"))


# --- giving ---------------------------------------------------------------------------------------


def test_give_delegation_is_in_force_at_once_and_the_trail_does_not_say_to_whom(place):
    held = place.give("ann", "bob")

    assert place.edges() == {"ann": "bob"}
    assert events() == [
        ("delegation.given", f"delegation:{held.pk}", {"scope": "community"}),
    ]


@pytest.mark.parametrize("scope", ["community", "topic", "poll"])
def test_give_delegation_names_its_scope_in_the_trail(place, scope):
    given = {"topic": {"topic": "question"}, "poll": {"poll_id": place.poll.pk}}.get(scope, {})

    place.give("ann", "bob", **given)

    assert AuditEvent.objects.get().data == {"scope": scope}


def test_give_delegation_again_replaces_the_one_of_the_same_scope(place):
    first = place.give("ann", "bob")

    second = place.give("ann", "cat")

    assert second.pk == first.pk
    assert place.edges() == {"ann": "cat"}
    assert [verb for verb, _, _ in events()] == ["delegation.given", "delegation.given"]


def test_the_same_delegation_again_changes_nothing(place):
    first = place.give("ann", "bob")

    second = place.give("ann", "bob")

    assert second.given_at == first.given_at
    assert len(events()) == 1


def test_give_delegation_refuses_oneself(place):
    with pytest.raises(BadInput, match="themselves"):
        place.give("ann", "ann")

    assert not Delegation.objects.exists()
    assert events() == []


@pytest.mark.parametrize("status", ["requested", "suspended", "declined", "left"])
def test_give_delegation_is_between_active_members(place, status):
    place.becomes("bob", status)

    with pytest.raises(BadInput, match="active members"):
        place.give("ann", "bob")
    with pytest.raises(NotPermitted, match="Only members"):
        place.give("bob", "ann")

    assert not Delegation.objects.exists()
    assert events() == []


def test_give_delegation_refuses_strangers_members_elsewhere_and_nobody(place):
    elsewhere = MembershipFactory().user
    place.people["fay"] = elsewhere

    with pytest.raises(BadInput, match="active members"):
        place.give("ann", "fay")
    with pytest.raises(NotPermitted):
        place.give("fay", "ann")
    with pytest.raises(BadInput, match="active members"):
        delegating.give_delegation(
            community_id=place.community.pk, delegator=place.ann, delegate_id=2**62
        )

    assert not Delegation.objects.exists()


def test_give_delegation_refuses_unknown_scopes(place):
    foreign = PollFactory(rule=Rule(delegation=True).to_dict())

    with pytest.raises(BadInput, match="kind of poll"):
        place.give("ann", "bob", topic="surprise")
    with pytest.raises(BadInput, match="no such poll"):
        place.give("ann", "bob", poll_id=foreign.pk)
    with pytest.raises(BadInput, match="no such poll"):
        place.give("ann", "bob", poll_id=2**62)
    with pytest.raises(BadInput, match="not for both"):
        place.give("ann", "bob", poll_id=place.poll.pk, topic="question")

    assert not Delegation.objects.exists()


def test_give_delegation_for_a_poll_asks_its_rule(place):
    plain = place.new_poll(delegation=False)

    with pytest.raises(BadInput, match="allows no delegation"):
        place.give("ann", "bob", poll_id=plain.pk)


@pytest.mark.parametrize("given", [{"drafted": True}, {"due": True}, {"closed": True}])
def test_give_delegation_for_a_poll_that_is_not_announced_or_over_is_refused(place, given):
    poll = place.new_poll(**given)

    with pytest.raises(InvalidTransition):
        place.give("ann", "bob", poll_id=poll.pk)

    assert not Delegation.objects.exists()


def test_give_delegation_for_a_poll_in_deliberation_is_taken(place):
    announced = place.new_poll(announced=True)

    assert place.give("ann", "bob", poll_id=announced.pk).poll == announced


def test_give_delegation_for_an_open_poll_is_between_its_electors(place):
    poll = place.new_poll(electors=[place.ann, place.bob])

    with pytest.raises(BadInput, match="not entitled"):
        place.give("ann", "cat", poll_id=poll.pk)
    with pytest.raises(NotPermitted, match="not entitled"):
        place.give("cat", "ann", poll_id=poll.pk)

    assert place.give("ann", "bob", poll_id=poll.pk).poll == poll


def test_database_refuses_a_second_delegation_of_a_scope_and_one_to_oneself(place):
    held = place.give("ann", "bob")
    now = timezone.now()
    same = {"community": held.community, "delegator": place.ann, "given_at": now}

    with pytest.raises(IntegrityError, match="delegation_once_a_scope"), transaction.atomic():
        Delegation.objects.create(**same, delegate=place.cat)
    with pytest.raises(IntegrityError, match="delegation_to_another"), transaction.atomic():
        Delegation.objects.create(**same, delegate=place.ann, topic="question")


# --- taking back ----------------------------------------------------------------------------------


def test_take_back_ends_it_and_is_recorded_without_the_delegate(place):
    held = place.give("ann", "bob", topic="question")

    delegating.take_back(delegation_id=held.pk, delegator=place.ann)

    assert place.edges() == {}
    assert events()[-1] == (
        "delegation.taken_back",
        f"delegation:{held.pk}",
        {"scope": "topic"},
    )


def test_take_back_lets_a_broader_one_hold_again(place):
    place.give("ann", "bob")
    narrow = place.give("ann", "cat", poll_id=place.poll.pk)

    delegating.take_back(delegation_id=narrow.pk, delegator=place.ann)

    assert place.edges() == {"ann": "bob"}


def test_take_back_is_for_who_gave_it(place):
    held = place.give("ann", "bob")

    for other in ("bob", "cat"):
        with pytest.raises(NotPermitted):
            delegating.take_back(delegation_id=held.pk, delegator=place.people[other])

    assert place.edges() == {"ann": "bob"}


def test_take_back_twice_finds_nothing_the_second_time(place):
    held = place.give("ann", "bob")
    delegating.take_back(delegation_id=held.pk, delegator=place.ann)

    with pytest.raises(Delegation.DoesNotExist):
        delegating.take_back(delegation_id=held.pk, delegator=place.ann)

    assert len(events()) == 2


def test_take_back_is_open_to_those_who_left_or_are_suspended(place):
    held = place.give("ann", "bob")
    place.becomes("ann", "suspended")

    delegating.take_back(delegation_id=held.pk, delegator=place.ann)

    assert not Delegation.objects.exists()


def test_take_back_from_a_poll_that_is_over_is_refused(place):
    held = place.give("ann", "bob", poll_id=place.poll.pk)
    place.close()

    with pytest.raises(InvalidTransition, match="over"):
        delegating.take_back(delegation_id=held.pk, delegator=place.ann)

    assert place.edges() == {"ann": "bob"}


def test_nothing_that_reaches_a_poll_changes_between_its_deadline_and_its_count(place):
    held = place.give("ann", "bob")
    narrow = place.give("ann", "cat", topic="release")
    place.new_poll(due=True)

    with pytest.raises(InvalidTransition, match="being counted"):
        place.give("ann", "cat")
    with pytest.raises(InvalidTransition, match="being counted"):
        place.give("ann", "cat", topic="question")
    with pytest.raises(InvalidTransition, match="being counted"):
        delegating.take_back(delegation_id=held.pk, delegator=place.ann)
    place.give("ann", "dan", poll_id=place.poll.pk)
    delegating.take_back(delegation_id=narrow.pk, delegator=place.ann)

    assert place.edges() == {"ann": "dan"}


# --- what is in force -----------------------------------------------------------------------------


def test_the_narrowest_scope_holds_whichever_came_first(place):
    place.give("ann", "dan", poll_id=place.poll.pk)
    place.give("ann", "cat", topic="question")
    place.give("ann", "bob")
    place.give("bob", "cat", topic="question")
    place.give("bob", "dan")

    assert place.edges() == {"ann": "dan", "bob": "cat"}


def test_delegations_of_other_topics_polls_and_communities_do_not_count(place):
    other = place.new_poll()
    place.give("ann", "bob", poll_id=other.pk)
    place.give("bob", "cat", topic="release")
    elsewhere = CommunityFactory()
    for user in (place.cat, place.dan):
        MembershipFactory(community=elsewhere, user=user)
    delegating.give_delegation(
        community_id=elsewhere.pk, delegator=place.cat, delegate_id=place.dan.pk
    )

    assert place.edges() == {}


def test_a_poll_whose_rule_has_no_delegation_has_none(place):
    place.give("ann", "bob")

    assert place.edges(place.new_poll(delegation=False)) == {}


@pytest.mark.parametrize("status", ["suspended", "left"])
def test_who_is_suspended_or_left_passes_nothing_on_and_receives_nothing(place, status):
    place.give("ann", "bob")
    place.give("bob", "cat")
    place.give("dan", "cat")

    place.becomes("bob", status)

    assert place.edges() == {"dan": "cat"}


def test_a_suspended_delegates_own_ballot_counts_and_carries_nobody(place):
    place.give("ann", "bob")
    place.votes("bob")
    place.becomes("bob", "suspended")

    tally = place.close().tally

    assert (tally["yes"], tally["cast"]) == (1, 1)
    assert tally["delegation"]["carried"] == 0


def test_a_narrow_delegation_that_passes_nothing_does_not_fall_back_to_a_broad_one(place):
    place.give("ann", "bob")
    place.give("ann", "cat", poll_id=place.poll.pk)

    place.becomes("cat", "suspended")

    assert place.edges() == {}


def test_what_counts_is_how_things_stand_at_the_close(place):
    place.give("ann", "bob")
    place.becomes("bob", "suspended")
    assert place.edges() == {}

    place.becomes("bob", "active")

    assert place.edges() == {"ann": "bob"}


def test_only_electors_delegate_and_a_delegate_outside_the_electorate_is_a_dead_end(place):
    poll = place.new_poll(electors=[place.ann, place.cat])
    place.give("ann", "bob")
    place.give("bob", "cat")
    place.votes("cat", poll=poll)

    assert place.edges(poll) == {"ann": "bob"}
    assert place.close(poll).tally["delegation"]["undelivered"] == 1


def test_edges_of_and_edges_from_agree(place):
    place.give("ann", "bob")
    place.give("bob", "cat", topic="question")
    place.give("bob", "eve")
    place.give("cat", "dan", poll_id=place.poll.pk)
    place.give("dan", "bob")
    place.becomes("eve", "left")

    def way(name):
        keys = {user.pk: name for name, user in place.people.items()}
        found = delegating.edges_from(place.poll, place.people[name].pk)
        return [(keys[giver], keys[taker]) for giver, taker in found.items()]

    assert way("ann") == [("ann", "bob"), ("bob", "cat"), ("cat", "dan"), ("dan", "bob")]
    assert dict(way("ann")) == place.edges()
    assert way("eve") == []


@pytest.mark.parametrize("count", [1, 4])
def test_what_is_in_force_is_one_query_whatever_there_is(place, count, django_assert_num_queries):
    for giver, taker in list(pairwise(NAMES))[:count]:
        place.give(giver, taker)

    with django_assert_num_queries(1):
        assert len(delegating.edges_of(place.poll)) == count
    with django_assert_num_queries(1):
        assert len(delegating.edges_from(place.poll, place.ann.pk)) == count


# --- the close ------------------------------------------------------------------------------------


def test_delegated_votes_are_counted_with_their_carriers(place):
    place.give("ann", "bob")
    place.give("bob", "cat")
    place.give("dan", "eve")
    place.votes("cat", "no")

    tally = place.close().tally

    assert (tally["no"], tally["cast"], tally["electorate"]) == (3, 3, 5)
    assert tally["delegation"] == {
        "carried": 2,
        "undelivered": 1,
        "cap_overflow": 0,
        "voters": 1,
        "top_share": [1, 1],
        "gini": [0, 1],
    }


def test_a_circle_of_delegations_is_not_counted_and_breaks_nothing(place):
    place.give("ann", "bob")
    place.give("bob", "cat")
    place.give("cat", "ann")
    place.votes("dan")

    tally = place.close().tally

    assert (tally["yes"], tally["cast"]) == (1, 1)
    assert tally["delegation"]["undelivered"] == 3


def test_freeze_keeps_what_was_counted_though_people_delegate_otherwise_later(place):
    wide = place.give("ann", "bob")
    place.give("bob", "cat", poll_id=place.poll.pk)
    place.give("dan", "eve")
    place.close()

    place.give("dan", "ann")
    delegating.take_back(delegation_id=wide.pk, delegator=place.ann)
    place.becomes("cat", "left")

    assert place.edges() == {"ann": "bob", "bob": "cat", "dan": "eve"}


def test_freeze_drops_what_passed_nothing(place):
    place.give("ann", "bob", poll_id=place.poll.pk)
    place.becomes("bob", "suspended")
    place.close()

    place.becomes("bob", "active")

    assert place.edges() == {}


def test_delegations_kept_with_a_closed_poll_are_not_listed_as_standing(place):
    place.give("ann", "bob")
    place.close()

    assert [held.poll for held in delegating.given_by(place.ann, place.community.pk)] == [None]
    assert delegating.received_by(place.bob, place.community.pk) == [("", None, 1)]


# --- following one's own vote ---------------------------------------------------------------------


def way_of(place, name, poll=None):
    return following.who_carried(poll or place.poll, place.people[name])


def test_before_the_close_a_way_names_people_and_never_says_who_voted(place):
    place.give("ann", "bob")
    place.give("bob", "cat")
    before = way_of(place, "ann")

    place.votes("bob", "no")

    assert way_of(place, "ann") == before
    assert (before.delegate, before.further) == (place.bob, [place.cat])
    assert (before.carrier, before.content, before.reason) == (None, None, "")


def test_before_the_close_ones_own_ballot_overrules(place):
    place.give("ann", "bob")
    place.votes("ann")

    assert way_of(place, "ann").overruled is True


def test_before_the_close_a_circle_and_a_delegate_who_may_not_vote_are_told(place):
    place.give("ann", "bob")
    place.give("bob", "ann")
    poll = place.new_poll(electors=[place.ann])

    assert way_of(place, "ann").reason == "cycle"
    assert way_of(place, "ann").further == []
    assert way_of(place, "ann", poll).reason == "dead end"


def test_in_deliberation_every_member_is_taken_for_an_elector(place):
    poll = place.new_poll(announced=True)
    place.give("ann", "bob", poll_id=poll.pk)

    assert (way_of(place, "ann", poll).delegate, way_of(place, "ann", poll).reason) == (
        place.bob,
        "",
    )


def test_after_the_close_a_way_says_who_carried_the_vote_and_how(place):
    place.give("ann", "bob")
    place.give("bob", "cat")
    place.give("cat", "dan")
    place.votes("cat", "no")
    place.votes("dan", "yes")
    place.close()

    way = way_of(place, "ann")

    assert (way.delegate, way.further, way.carrier) == (place.bob, [], place.cat)
    assert (way.content, way.reason) == ("no", "")


@pytest.mark.parametrize("cap", [0, 5])
def test_after_the_close_ones_own_ballot_overruled(place, cap):
    poll = place.new_poll(cap=cap)
    place.give("ann", "bob")
    place.votes("ann", poll=poll)
    place.votes("bob", "no", poll=poll)
    place.close(poll)

    way = way_of(place, "ann", poll)

    assert way.overruled is True
    assert way.carrier is None


@pytest.mark.parametrize("cap", [0, 5])
def test_after_the_close_a_way_says_why_nobody_carried_the_vote(place, cap):
    poll = place.new_poll(cap=cap)
    place.give("ann", "bob")
    place.give("bob", "ann")
    place.give("cat", "dan")
    place.close(poll)

    assert way_of(place, "ann", poll).reason == "cycle"
    assert way_of(place, "cat", poll).reason == "dead end"


def test_after_the_close_a_way_says_that_the_cap_cut_it_off(place):
    poll = place.new_poll(cap=2)
    place.give("ann", "dan")
    place.give("bob", "ann")
    place.votes("dan", poll=poll)
    place.close(poll)

    assert way_of(place, "ann", poll).carrier == place.dan
    assert way_of(place, "bob", poll).reason == "cap"


def test_who_delegated_to_nobody_has_no_way(place):
    assert way_of(place, "ann") is None
    place.close()
    assert way_of(place, "ann") is None


def test_a_way_names_a_few_and_counts_the_rest():
    place = Place()
    more = [MembershipFactory(community=place.community).user for _ in range(8)]
    everyone = [*place.people.values(), *more]
    poll = place.new_poll(electors=everyone)
    for giver, taker in pairwise(everyone):
        delegating.give_delegation(
            community_id=place.community.pk, delegator=giver, delegate_id=taker.pk
        )
    before = following.who_carried(poll, everyone[0])
    BallotFactory(poll=poll, voter=everyone[-1])
    place.close(poll)
    after = following.who_carried(poll, everyone[0])

    assert (before.further, before.left_out) == (everyone[2:7], 6)
    assert (after.further, after.left_out) == (everyone[2:7], 5)
    assert after.carrier == everyone[-1]


@pytest.mark.parametrize("cap", [0, 5])
@pytest.mark.parametrize("count", [1, 4])
def test_following_asks_as_much_for_any_way(place, count, cap, django_assert_num_queries):
    poll = place.new_poll(cap=cap)
    for giver, taker in list(pairwise(NAMES))[:count]:
        place.give(giver, taker)
    place.votes(NAMES[count], poll=poll)

    with django_assert_num_queries(4):
        assert way_of(place, "ann", poll).carrier is None
    place.close(poll)
    with django_assert_num_queries(6 if cap else 5):
        assert way_of(place, "ann", poll).carrier == place.people[NAMES[count]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("abstain", "abstain"),
        ([["a"], ["b", "c"]], "Tea, then Beer and Cocoa"),
        (["a", "c"], "Tea, Cocoa"),
        ({"a": 5, "b": 0}, "Tea 5, Beer 0"),
        ([], "blank"),
        ({}, "blank"),
        (None, ""),
    ],
)
def test_in_words_says_what_a_ballot_of_each_method_holds(content, said):
    titles = {"a": "Tea", "b": "Beer", "c": "Cocoa"}
    poll = Poll(options=[{"key": key, "title": title} for key, title in titles.items()])

    assert following.in_words(poll, content) == said


# --- races ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_delegating_in_many_tabs_at_once_leaves_one_delegation_and_a_whole_trail():
    place = Place()

    results = at_once(*[lambda to=to: place.give("ann", to) for to in ("bob", "cat") * 3])

    assert {type(result) for result in results} == {Delegation}
    assert len({result.pk for result in results}) == 1
    assert Delegation.objects.count() == 1
    assert {verb for verb, _, _ in events()} == {"delegation.given"}
    assert audit.first_broken(place.community.pk) is None


@pytest.mark.django_db(transaction=True)
def test_two_who_delegate_to_each_other_at_once_both_do():
    place = Place()

    for _ in range(5):
        results = at_once(
            lambda: place.give("ann", "bob", topic="question"),
            lambda: place.give("bob", "ann", topic="question"),
        )

        assert {type(result) for result in results} == {Delegation}
        Delegation.objects.all().delete()


@pytest.mark.django_db(transaction=True)
def test_taking_back_in_two_tabs_is_recorded_once():
    place = Place()
    held = place.give("ann", "bob")

    results = at_once(
        *[lambda: delegating.take_back(delegation_id=held.pk, delegator=place.ann)] * 3
    )

    assert sorted(type(result).__name__ for result in results) == [
        "DoesNotExist",
        "DoesNotExist",
        "NoneType",
    ]
    assert [verb for verb, _, _ in events()] == ["delegation.given", "delegation.taken_back"]


@pytest.mark.django_db(transaction=True)
def test_delegating_for_a_poll_waits_for_its_close_and_comes_too_late():
    place = Place()
    poll = place.new_poll()
    closing, asked = Event(), Event()

    @transaction.atomic
    def close():
        locked = Poll.objects.select_for_update().get(pk=poll.pk)
        closing.set()
        asked.wait(timeout=10)
        place.close(locked)

    def give():
        closing.wait(timeout=10)
        asked.set()
        return place.give("ann", "bob", poll_id=poll.pk)

    _, refused = at_once(close, give)

    assert type(refused) is InvalidTransition
    assert place.edges(poll) == {}
