"""Drafting: each verb, who may, and what it leaves behind."""

import threading
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from governance import canonical
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import AuditEvent, Membership, Poll
from governance.rules import DEFAULT_RULE
from principles import compilation, drafting, starters
from principles.models import Constitution, Draft, DraftPrinciple
from tests.factories.governance import CommunityFactory, MembershipFactory
from tests.factories.principles import (
    DraftFactory,
    VersionFactory,
    example,
    principle_content,
    two_principles,
)


def keys(draft):
    return list(draft.principles.order_by("position").values_list("key", flat=True))


def positions(draft):
    return list(draft.principles.order_by("position").values_list("position", flat=True))


def last_event():
    return AuditEvent.objects.latest("seq")


def in_a_week():
    return timezone.now() + timedelta(days=7)


# --- create_draft ---------------------------------------------------------------------------------


def test_create_draft_makes_the_constitution_and_an_empty_draft(moot):
    draft = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)

    assert Constitution.objects.get().community == moot.community
    assert draft.title == "Constitution of Moot"
    assert (draft.author, draft.base, draft.status) == (moot.member, None, "editing")
    assert not draft.principles.exists()


def test_create_draft_copies_the_version_in_force(moot):
    VersionFactory(community=moot.community, title="Old", principles=[principle_content("old")])
    version = VersionFactory(community=moot.community, title="Ours", preamble="We say:")

    draft = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)

    assert draft.base == version
    assert (draft.title, draft.preamble) == ("Ours", "We say:")
    assert draft.content()["principles"] == version.content()["principles"]
    assert keys(draft) == ["no-harm", "plainness"]


@pytest.mark.parametrize("key", [text["key"] for text in starters.load()])
def test_create_draft_copies_a_template(moot, key):
    draft = drafting.create_draft(
        community_id=moot.community.pk, actor=moot.member, title="Mine", starter=key
    )

    template = starters.starter(key)
    assert draft.title == "Mine"
    assert draft.preamble == template["preamble"]
    assert draft.content()["principles"] == template["principles"]


def test_create_draft_can_start_blank_although_a_version_is_in_force(moot):
    version = VersionFactory(community=moot.community)

    draft = drafting.create_draft(
        community_id=moot.community.pk, actor=moot.member, starter=starters.BLANK
    )

    assert draft.base == version
    assert not draft.principles.exists()
    assert draft.preamble == ""


def test_create_draft_refuses_an_unknown_template_and_keeps_nothing(moot):
    with pytest.raises(BadInput, match="no template constitution called “nonsense”"):
        drafting.create_draft(community_id=moot.community.pk, actor=moot.member, starter="nonsense")

    assert not Draft.objects.exists()
    assert not Constitution.objects.exists()


def test_create_draft_refuses_outsiders_and_leaves_no_trace(moot):
    with pytest.raises(NotPermitted):
        drafting.create_draft(community_id=moot.community.pk, actor=moot.outsider)

    assert not Draft.objects.exists()
    assert not AuditEvent.objects.exists()


def test_create_draft_is_in_the_trail_with_a_digest_and_no_text(moot):
    draft = drafting.create_draft(
        community_id=moot.community.pk, actor=moot.member, starter="careful-helper"
    )

    event = last_event()
    assert (event.verb, event.subject) == ("draft.created", f"draft:{draft.pk}")
    assert event.data == {
        "text_digest": canonical.text_digest(compilation.full_text(draft.content())),
        "starter": "careful-helper",
        "base": None,
    }


# --- who may change a draft -----------------------------------------------------------------------

VERBS = {
    "edit": lambda draft, actor: drafting.edit_draft(
        draft_id=draft.pk, actor=actor, title="New", preamble="", summary=""
    ),
    "set": lambda draft, actor: drafting.set_principle(
        draft_id=draft.pk, actor=actor, title="New", text="New."
    ),
    "remove": lambda draft, actor: drafting.remove_principle(
        draft_id=draft.pk, actor=actor, key="no-harm"
    ),
    "move": lambda draft, actor: drafting.move_principle(
        draft_id=draft.pk, actor=actor, key="no-harm", position=2
    ),
    "withdraw": lambda draft, actor: drafting.withdraw_draft(draft_id=draft.pk, actor=actor),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("who", ["other", "outsider"])
def test_only_author_and_steward_change_a_draft(moot, verb, who):
    draft = DraftFactory(community=moot.community, author=moot.member, principles=two_principles())
    before = draft.content()

    with pytest.raises(NotPermitted):
        VERBS[verb](draft, getattr(moot, who))

    fresh = Draft.objects.get()
    assert (fresh.content(), fresh.status) == (before, "editing")
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("who", ["member", "steward"])
def test_author_and_steward_change_a_draft(moot, verb, who):
    draft = DraftFactory(community=moot.community, author=moot.member, principles=two_principles())

    VERBS[verb](draft, getattr(moot, who))

    assert last_event().subject == f"draft:{draft.pk}"
    assert last_event().actor == f"user:{getattr(moot, who).pk}"


def test_an_author_who_left_no_longer_changes_a_draft(moot):
    draft = DraftFactory(community=moot.community, author=moot.member)
    Membership.objects.filter(user=moot.member).update(status="left")

    with pytest.raises(NotPermitted):
        VERBS["edit"](draft, moot.member)


def test_the_steward_of_another_community_does_not_change_a_draft(moot):
    stranger = MembershipFactory(community=CommunityFactory(), steward=True).user
    draft = DraftFactory(community=moot.community, author=moot.member)

    with pytest.raises(NotPermitted):
        VERBS["edit"](draft, stranger)


@pytest.mark.parametrize("verb", VERBS)
def test_a_withdrawn_draft_is_not_changed(moot, verb):
    draft = DraftFactory(community=moot.community, author=moot.member, principles=two_principles())
    drafting.withdraw_draft(draft_id=draft.pk, actor=moot.member)

    with pytest.raises(InvalidTransition, match="withdrawn"):
        VERBS[verb](draft, moot.member)


# --- edit_draft -----------------------------------------------------------------------------------


def test_edit_draft_cleans_what_a_browser_sends(moot):
    draft = DraftFactory(community=moot.community, author=moot.member)

    drafting.edit_draft(
        draft_id=draft.pk, actor=moot.member, title=" A b ", preamble="x\r\ny\n", summary=" s "
    )

    fresh = Draft.objects.get()
    assert (fresh.title, fresh.preamble, fresh.summary) == ("A b", "x\ny", "s")
    assert last_event().verb == "draft.edited"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"title": "  "}, "The title is missing."),
        ({"title": "x" * 201}, "The title has 201 characters; it may have 200."),
        ({"preamble": "x" * 10_001}, "The preamble has 10001 characters; it may have 10000."),
        ({"summary": "a\x00b"}, "The summary holds characters that cannot be shown."),
        *(
            ({"summary": f"a{hidden}b"}, "The summary holds characters that cannot be shown.")
            for hidden in "\u0085\u200b\u202e\u2066\ufeff\U000e0041"
        ),
        ({"summary": "a\ud800b"}, "The summary holds characters that cannot be shown."),
    ],
)
def test_edit_draft_refuses_what_cannot_be_kept(moot, fields, sentence):
    draft = DraftFactory(community=moot.community, author=moot.member, title="Kept")

    with pytest.raises(BadInput) as refusal:
        drafting.edit_draft(
            draft_id=draft.pk,
            actor=moot.member,
            **{"title": "New", "preamble": "", "summary": "", **fields},
        )

    assert str(refusal.value) == sentence
    assert Draft.objects.get().title == "Kept"


# --- set_principle --------------------------------------------------------------------------------


def test_set_principle_adds_at_the_end_under_a_key_of_its_title(moot):
    draft = DraftFactory(community=moot.community, author=moot.member, principles=two_principles())

    principle = drafting.set_principle(
        draft_id=draft.pk,
        actor=moot.member,
        title="Kind words, always!",
        text="Be kind.",
        rationale="It helps.",
        examples=[example("coffee")],
        hazard_codes=["S10", "S1", "S10"],
        critique_request="Where is it unkind?",
        revision_request="Be kinder.",
        weight=3,
    )

    assert keys(draft) == ["no-harm", "plainness", "kind-words-always"]
    assert principle.position == 3
    assert principle.content() == {
        "key": "kind-words-always",
        "title": "Kind words, always!",
        "text": "Be kind.",
        "rationale": "It helps.",
        "examples": [example("coffee")],
        "hazard_codes": ["S1", "S10"],
        "critique_request": "Where is it unkind?",
        "revision_request": "Be kinder.",
        "weight": 3,
    }


@pytest.mark.parametrize(
    ("title", "key"), [("No harm", "no-harm-2"), ("日本語", "principle"), ("a" * 120, "a" * 50)]
)
def test_set_principle_makes_keys_unique(moot, title, key):
    draft = DraftFactory(
        community=moot.community, author=moot.member, principles=[principle_content("no-harm")]
    )

    principle = drafting.set_principle(draft_id=draft.pk, actor=moot.member, title=title, text="x")

    assert principle.key == key


def test_set_principle_keeps_key_and_place_of_the_one_it_names(moot):
    draft = DraftFactory(community=moot.community, author=moot.member, principles=two_principles())

    drafting.set_principle(
        draft_id=draft.pk, actor=moot.member, key="no-harm", title="Do good", text="Help."
    )

    assert keys(draft) == ["no-harm", "plainness"]
    first = draft.principles.get(key="no-harm")
    assert (first.title, first.text, first.examples) == ("Do good", "Help.", [])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"key": "nowhere"}, "This draft has no principle “nowhere”."),
        ({"title": ""}, "The principle title is missing."),
        ({"text": " \n"}, "The text is missing."),
        ({"hazard_codes": ["S1", "S15"]}, "There is no hazard code S15."),
        ({"weight": 0}, "A weight is between 1 and 10."),
        ({"weight": 11}, "A weight is between 1 and 10."),
        ({"weight": True}, "A weight is a whole number."),
        ({"weight": 1.5}, "A weight is a whole number."),
        (
            {"examples": [{"prompt": "a", "better": "b"}]},
            "Example 1 must have a prompt, a better and a worse answer.",
        ),
        (
            {"examples": [example(), {**example(), "note": "x"}]},
            "Example 2 must have a prompt, a better and a worse answer.",
        ),
        (
            {"examples": [{**example(), "worse": " "}]},
            "The worse of example 1 is missing.",
        ),
        ({"examples": [{**example(), "worse": 3}]}, "The worse of example 1 must be a text."),
        ({"examples": [example()] * 31}, "A principle has at most 30 examples."),
    ],
)
def test_set_principle_refuses_what_cannot_be_kept(moot, fields, sentence):
    draft = DraftFactory(community=moot.community, author=moot.member)

    with pytest.raises(BadInput) as refusal:
        drafting.set_principle(
            draft_id=draft.pk, actor=moot.member, **{"title": "T", "text": "t", **fields}
        )

    assert str(refusal.value) == sentence
    assert not DraftPrinciple.objects.exists()


def test_set_principle_refuses_the_forty_first(moot):
    forty = [principle_content(f"p{n}") for n in range(40)]
    draft = DraftFactory(community=moot.community, author=moot.member, principles=forty)

    with pytest.raises(BadInput, match="at most 40 principles"):
        drafting.set_principle(draft_id=draft.pk, actor=moot.member, title="T", text="t")

    drafting.set_principle(draft_id=draft.pk, actor=moot.member, key="p3", title="T", text="t")


# --- remove_principle, move_principle -------------------------------------------------------------


def test_remove_principle_closes_up(moot):
    draft = DraftFactory(
        community=moot.community,
        author=moot.member,
        principles=[principle_content(key) for key in "abc"],
    )

    drafting.remove_principle(draft_id=draft.pk, actor=moot.member, key="b")

    assert keys(draft) == ["a", "c"]
    assert positions(draft) == [1, 2]
    with pytest.raises(BadInput):
        drafting.remove_principle(draft_id=draft.pk, actor=moot.member, key="b")


@pytest.mark.parametrize(
    ("key", "position", "order"),
    [("a", 3, "bca"), ("c", 1, "cab"), ("b", 1, "bac"), ("b", 2, "abc")],
)
def test_move_principle_puts_it_there_and_the_others_close_up(moot, key, position, order):
    draft = DraftFactory(
        community=moot.community,
        author=moot.member,
        principles=[principle_content(each) for each in "abc"],
    )

    drafting.move_principle(draft_id=draft.pk, actor=moot.member, key=key, position=position)

    assert keys(draft) == list(order)
    assert positions(draft) == [1, 2, 3]


@pytest.mark.parametrize("position", [0, -1, 4])
def test_move_principle_refuses_a_place_that_is_not_there(moot, position):
    draft = DraftFactory(
        community=moot.community,
        author=moot.member,
        principles=[principle_content(each) for each in "abc"],
    )

    with pytest.raises(BadInput, match=f"no place {position} among 3"):
        drafting.move_principle(draft_id=draft.pk, actor=moot.member, key="a", position=position)


# --- propose --------------------------------------------------------------------------------------


def test_propose_opens_a_poll_on_the_whole_text_and_freezes_the_draft(moot):
    draft = DraftFactory(
        community=moot.community, author=moot.member, title="Ours", principles=two_principles()
    )

    poll = drafting.propose(
        draft_id=draft.pk, actor=moot.steward, rule=DEFAULT_RULE, closes_at=in_a_week()
    )

    draft.refresh_from_db()
    assert (draft.status, draft.poll) == ("proposed", poll)
    assert (poll.kind, poll.subject_key) == ("ratification", str(draft.pk))
    assert poll.title == "Ratify “Ours”"
    assert poll.text == compilation.full_text(draft.content())
    assert poll.electorate_size == 3
    assert [event.verb for event in AuditEvent.objects.order_by("seq")] == [
        "poll.opened",
        "draft.proposed",
    ]
    with pytest.raises(InvalidTransition, match="before the community"):
        drafting.set_principle(draft_id=draft.pk, actor=moot.steward, title="T", text="t")


@pytest.mark.parametrize("who", ["member", "other", "outsider"])
def test_propose_is_for_stewards(moot, who):
    draft = DraftFactory(community=moot.community, author=moot.member, principles=two_principles())

    with pytest.raises(NotPermitted):
        drafting.propose(
            draft_id=draft.pk,
            actor=getattr(moot, who),
            rule=DEFAULT_RULE,
            closes_at=in_a_week(),
        )

    assert not Poll.objects.exists()
    assert not AuditEvent.objects.exists()


def test_propose_refuses_an_empty_draft(moot):
    draft = DraftFactory(community=moot.community, author=moot.member)

    with pytest.raises(BadInput, match="at least one principle"):
        drafting.propose(
            draft_id=draft.pk, actor=moot.steward, rule=DEFAULT_RULE, closes_at=in_a_week()
        )


def test_propose_refuses_what_is_in_force_already(moot):
    VersionFactory(community=moot.community)
    draft = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)

    with pytest.raises(BadInput, match="exactly what version 1 in force says"):
        drafting.propose(
            draft_id=draft.pk, actor=moot.steward, rule=DEFAULT_RULE, closes_at=in_a_week()
        )


def test_propose_refuses_a_text_that_no_poll_takes(moot):
    long = "x" * 2000
    wordy = [{"prompt": long, "better": long, "worse": long}] * 30
    draft = DraftFactory(
        community=moot.community,
        author=moot.member,
        principles=[principle_content("a", examples=wordy), principle_content("b", examples=wordy)],
    )

    with pytest.raises(BadInput, match="a poll takes 200000 at most"):
        drafting.propose(
            draft_id=draft.pk, actor=moot.steward, rule=DEFAULT_RULE, closes_at=in_a_week()
        )


def test_propose_twice_is_refused(moot):
    draft = DraftFactory(community=moot.community, author=moot.member, principles=two_principles())
    drafting.propose(
        draft_id=draft.pk, actor=moot.steward, rule=DEFAULT_RULE, closes_at=in_a_week()
    )

    with pytest.raises(InvalidTransition):
        drafting.propose(
            draft_id=draft.pk, actor=moot.steward, rule=DEFAULT_RULE, closes_at=in_a_week()
        )

    assert Poll.objects.count() == 1


# --- the database refuses, whoever asks -----------------------------------------------------------


def test_the_database_freezes_a_proposed_draft(moot):
    draft = DraftFactory(community=moot.community, author=moot.member, principles=two_principles())
    drafting.propose(
        draft_id=draft.pk, actor=moot.steward, rule=DEFAULT_RULE, closes_at=in_a_week()
    )

    for change in (
        lambda: Draft.objects.update(title="Other"),
        lambda: DraftPrinciple.objects.update(text="Other"),
        lambda: DraftPrinciple.objects.all().delete(),
        lambda: DraftPrinciple.objects.create(draft=draft, position=3, **principle_content("late")),
    ):
        with (
            pytest.raises(IntegrityError, match="not edited after it was proposed"),
            transaction.atomic(),
        ):
            change()


# --- locks ----------------------------------------------------------------------------------------


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
def test_two_who_add_principles_at_once_get_two_places():
    community = CommunityFactory()
    steward = MembershipFactory(community=community, steward=True).user
    draft = DraftFactory(community=community, author=steward)

    def add(n):
        drafting.set_principle(draft_id=draft.pk, actor=steward, title=f"P {n}", text="t")

    raised = run_together(*(lambda n=n: add(n) for n in range(4)))

    assert raised == []
    assert positions(draft) == [1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_two_who_propose_at_once_open_one_poll():
    community = CommunityFactory()
    steward = MembershipFactory(community=community, steward=True).user
    draft = DraftFactory(community=community, author=steward, principles=two_principles())

    def propose():
        drafting.propose(draft_id=draft.pk, actor=steward, rule=DEFAULT_RULE, closes_at=in_a_week())

    raised = run_together(propose, propose)

    assert [type(error) for error in raised] == [InvalidTransition]
    assert Poll.objects.count() == 1


# --- two people change the same -------------------------------------------------------------------


@pytest.fixture
def draft(moot):
    return DraftFactory(community=moot.community, author=moot.member, principles=two_principles())


def test_edit_draft_refuses_a_change_of_what_was_not_read(moot, draft):
    def edit(title):
        return drafting.edit_draft(
            draft_id=draft.pk,
            actor=moot.member,
            title=title,
            preamble="",
            summary="",
            revision=1,
        )

    assert edit("First").revision == 2
    with pytest.raises(drafting.StaleEdit, match="Somebody else"):
        edit("Second")

    draft.refresh_from_db()
    assert draft.title == "First"


def test_set_principle_refuses_a_change_of_what_was_not_read(moot, draft):
    key = draft.principles.order_by("position")[0].key

    def write(text):
        return drafting.set_principle(
            draft_id=draft.pk, actor=moot.member, key=key, title="T", text=text, revision=1
        )

    assert write("First.").revision == 2
    with pytest.raises(drafting.StaleEdit):
        write("Second.")

    assert draft.principles.get(key=key).text == "First."


def test_changes_of_different_principles_do_not_meet(moot, draft):
    for principle in draft.principles.order_by("position"):
        saved = drafting.set_principle(
            draft_id=draft.pk,
            actor=moot.member,
            key=principle.key,
            title="T",
            text="t",
            revision=1,
        )
        assert saved.revision == 2
