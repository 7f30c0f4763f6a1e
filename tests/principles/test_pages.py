"""Pages: whole and part, with and without the right to change, and 404 for strangers."""

import json
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from governance import canonical, polling, voting
from governance.models import Poll
from governance.rules import DEFAULT_RULE, Rule
from governance.templatetags.folkmoot import unbroken
from principles import compilation, drafting
from principles.models import Draft, DraftPrinciple, Version
from tests.factories.governance import CommunityFactory, MembershipFactory, UserFactory
from tests.factories.principles import (
    DraftFactory,
    VersionFactory,
    example,
    principle_content,
    two_principles,
)

PART = {"HX-Request": "true"}


def url(name, *args):
    return reverse(name, args=["moot", *args])


def whole(response):
    return b"<!DOCTYPE html>" in response.content


@pytest.fixture
def draft(moot):
    return DraftFactory(
        community=moot.community,
        author=moot.member,
        title="Our draft",
        preamble="We say so.",
        principles=two_principles(),
    )


@pytest.fixture
def version(moot):
    return VersionFactory(community=moot.community, title="Our law")


# --- every page, whole and part, for everyone who may read it -------------------------------------

PAGES = [
    ("constitution_detail", (), "constitution"),
    ("version_detail", (1,), "version"),
    ("version_compiled", (1,), "compiled"),
    ("version_diff", (), "difference"),
    ("draft_list", (), "drafts"),
    ("draft_detail", ("draft",), "draft"),
    ("draft_compiled", ("draft",), "compiled"),
    ("draft_diff", ("draft",), "difference"),
]
EDITORS_PAGES = [
    ("draft_create", (), "draft-form"),
    ("draft_propose", ("draft",), "propose-form"),
    ("principle_create", ("draft",), "principle-form"),
    ("principle_edit", ("draft", "no-harm"), "principle-form"),
]


def page_url(name, args, draft):
    return url(name, *(draft.pk if arg == "draft" else arg for arg in args))


@pytest.mark.parametrize(("name", "args", "part"), PAGES)
def test_a_visitor_reads_the_page_whole_and_in_part(client, version, draft, name, args, part):
    address = page_url(name, args, draft)

    full, partial = client.get(address), client.get(address, headers=PART)

    assert (full.status_code, partial.status_code) == (200, 200)
    assert whole(full)
    assert full.content.count(b"<h1") == 1
    assert not whole(partial)
    assertContains(full, f'id="{part}"')
    assertContains(partial, f'id="{part}"')
    assert partial["Vary"] == "HX-Request, Cookie" or "HX-Request" in partial["Vary"]


@pytest.mark.parametrize(("name", "args", "part"), PAGES + EDITORS_PAGES)
@pytest.mark.parametrize("who", ["steward", "member", "other", "outsider"])
def test_whoever_is_signed_in_gets_the_page(client, moot, version, draft, name, args, part, who):
    client.force_login(getattr(moot, who))
    address = page_url(name, args, draft)

    full, partial = client.get(address), client.get(address, headers=PART)

    assert (full.status_code, partial.status_code) == (200, 200)
    assert whole(full)
    assert not whole(partial)
    assertContains(partial, f'id="{part}"')


@pytest.mark.parametrize(("name", "args", "part"), EDITORS_PAGES)
def test_a_visitor_is_asked_to_sign_in_before_changing_anything(
    client, version, draft, name, args, part
):
    address = page_url(name, args, draft)

    assertRedirects(client.get(address), f"{reverse('account_login')}?next={address}")


@pytest.mark.parametrize(("name", "args", "part"), PAGES + EDITORS_PAGES)
def test_a_private_community_is_not_there_for_strangers(
    client, moot, version, draft, name, args, part
):
    moot.community.visibility = "private"
    moot.community.save()
    address = page_url(name, args, draft)
    client.force_login(moot.outsider)

    assert client.get(address).status_code == 404

    client.force_login(moot.member)
    assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("version_detail", (2,)),
        ("version_compiled", (2,)),
        ("version_compiled_file", (1, "nonsense")),
        ("draft_detail", (0,)),
        ("draft_compiled", (0,)),
        ("draft_diff", (0,)),
        ("draft_propose", (0,)),
        ("principle_create", (0,)),
        ("principle_edit", ("draft", "nowhere")),
    ],
)
def test_what_is_not_there_is_not_found(client, moot, version, draft, name, args):
    client.force_login(moot.steward)

    assert client.get(page_url(name, args, draft)).status_code == 404


@pytest.mark.parametrize(
    ("name", "args", "query"),
    [
        ("version_diff", (), "before=1&after=7"),
        ("version_diff", (), "before=x"),
        ("draft_diff", ("draft",), "with=7"),
        ("draft_diff", ("draft",), "with=x"),
        ("draft_diff", ("draft",), "with=²"),
        ("draft_diff", ("draft",), "with=" + "9" * 5000),
        ("version_compiled", (1,), "output=nonsense"),
    ],
)
def test_nonsense_in_the_address_is_not_found(client, version, draft, name, args, query):
    assert client.get(f"{page_url(name, args, draft)}?{query}").status_code == 404


def test_the_draft_of_another_community_is_not_found(client, moot):
    elsewhere = DraftFactory(community=CommunityFactory(), principles=two_principles())
    client.force_login(moot.steward)

    for name in ("draft_detail", "draft_compiled", "draft_diff", "draft_propose"):
        assert client.get(url(name, elsewhere.pk)).status_code == 404
    for name in ("draft_withdraw",):
        assert client.post(url(name, elsewhere.pk)).status_code == 404
    for name in ("principle_move", "principle_remove"):
        assert client.post(url(name, elsewhere.pk, "no-harm")).status_code == 404
    assert Draft.objects.get().status == "editing"


# --- reading --------------------------------------------------------------------------------------


def test_nothing_in_force_says_what_to_do(client, moot):
    visitor = client.get(url("constitution_detail"))
    client.force_login(moot.member)
    member = client.get(url("constitution_detail"))

    assertContains(visitor, "Nothing is in force yet")
    assertContains(visitor, url("draft_list"))
    assertNotContains(visitor, url("draft_create"))
    assertContains(member, url("draft_create"))
    assert client.get(url("version_diff")).status_code == 404


def test_the_constitution_shows_the_last_version_and_its_history(client, moot):
    VersionFactory(
        community=moot.community, title="Old law", principles=[principle_content("old-rule")]
    )
    VersionFactory(
        community=moot.community,
        title="New law",
        preamble="We *say*:",
        principles=[principle_content("new-rule", rationale="Because.", weight=4)],
    )

    response = client.get(url("constitution_detail"))

    assertContains(response, "<h1>")
    assertContains(response, "New law")
    assertContains(response, "<em>say</em>")
    assertContains(response, "New rule")
    assertContains(response, "Weight 4")
    assertNotContains(response, "Old rule")
    assertContains(response, url("version_detail", 1))
    assertContains(response, url("version_diff"))


def test_examples_are_covered_where_they_touch_a_hazard(client, moot, version):
    response = client.get(url("constitution_detail")).content.decode()

    harmful, harmless = response.index("make trouble?"), response.index("make tea?")
    veil = response.index('class="veil"')
    assert response.count('class="veil"') == 1
    assert veil < harmful < harmless


def test_a_version_shows_digest_vote_and_parent(client, moot, version):
    second = VersionFactory(community=moot.community)

    response = client.get(url("version_detail", 2))

    assertContains(response, second.digest)
    assertContains(response, version.digest)
    assertContains(response, second.poll.get_absolute_url())
    assertContains(response, "1 yes, 0 no, 0 abstaining, of 1 entitled to vote")
    assertContains(response, "In force")
    assertNotContains(response, "This version is history")


def test_an_older_version_says_that_it_is_history(client, moot, version):
    VersionFactory(community=moot.community)

    response = client.get(url("version_detail", 1))

    assertContains(response, "This version is history")
    assertContains(response, "it is the first")


@pytest.mark.parametrize(
    "output", compilation.compile_constitution({"title": "", "principles": []})
)
def test_each_output_is_shown_and_handed_out(client, moot, version, output):
    shown = client.get(f"{url('version_compiled', 1)}?output={output}")
    file = client.get(url("version_compiled_file", 1, output))

    expected = compilation.compile_constitution(version.content())[output]
    given = file.content.decode()
    assert shown.status_code == 200
    assertContains(shown, url("version_compiled_file", 1, output))
    assert (given if isinstance(expected, str) else json.loads(given)) == expected
    assert file["Content-Disposition"].startswith('attachment; filename="moot-1-')


@pytest.mark.parametrize(
    ("output", "covered"),
    [("evaluation_items", 1), ("guard_policy", 1), ("hf_recipe", 1), ("rubric", 0)],
)
def test_outputs_with_examples_are_covered(client, version, output, covered):
    response = client.get(f"{url('version_compiled', 1)}?output={output}")

    assertContains(response, 'class="veil"', count=covered)


def test_a_draft_compiles_as_it_stands(client, moot, draft):
    drafting.set_principle(
        draft_id=draft.pk, actor=moot.member, title="Brand new", text="Just written."
    )

    assertContains(client.get(url("draft_compiled", draft.pk)), "Brand new: Just written.")


def test_versions_are_compared_by_words(client, moot):
    for text in ("Be kind to all.", "Be fair to all.", "Be fair to most."):
        VersionFactory(community=moot.community, principles=[principle_content("a", text=text)])

    last_two = client.get(url("version_diff"))
    chosen = client.get(f"{url('version_diff')}?before=1&after=2")
    backwards = client.get(f"{url('version_diff')}?before=2&after=1")

    assertContains(last_two, "<del> all</del><ins> most</ins>")
    assertContains(chosen, "<del> kind</del><ins> fair</ins>")
    assertContains(backwards, "<del> fair</del><ins> kind</ins>")


def test_a_draft_is_compared_with_its_base_or_another_version(client, moot, version):
    draft = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)
    drafting.remove_principle(draft_id=draft.pk, actor=moot.member, key="plainness")
    VersionFactory(community=moot.community, principles=[principle_content("third")])

    base = client.get(url("draft_diff", draft.pk))
    other = client.get(f"{url('draft_diff', draft.pk)}?with=2")

    assertContains(base, "on which it was begun")
    assertContains(base, "Removed; it was number 2")
    assertContains(base, "?with=2")
    assertContains(other, "which is in force")
    assertContains(other, "Added as number 1")


def test_examples_of_a_difference_are_covered_where_they_touch_a_hazard(client, draft):
    response = client.get(url("draft_diff", draft.pk))

    assertContains(response, "make trouble?", count=1)
    assertContains(response, "make tea?", count=1)
    assertContains(response, 'class="veil"', count=1)


def test_a_draft_says_when_another_version_came_before_it(client, moot, version):
    draft = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)
    assertNotContains(client.get(draft.get_absolute_url()), "is in force since")
    VersionFactory(community=moot.community)

    response = client.get(draft.get_absolute_url())

    assertContains(response, "version 2 is in force since")
    assertContains(response, "it becomes version 3 and replaces version 2")


def test_a_version_says_when_another_came_before_it(client, moot, version):
    draft = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)
    drafting.remove_principle(draft_id=draft.pk, actor=moot.member, key="plainness")
    VersionFactory(community=moot.community)
    poll = drafting.propose(
        draft_id=draft.pk,
        actor=moot.steward,
        rule=DEFAULT_RULE,
        closes_at=timezone.now() + timedelta(days=1),
    )
    voting.cast_ballot(poll_id=poll.pk, voter=moot.steward, content="yes")
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        polling.close_poll(poll_id=poll.pk)

    response = client.get(url("version_detail", 3))

    assertContains(response, "begun on version 1, and version 2 was ratified meanwhile")


def test_scripted_authors_are_marked(client, moot, draft):
    assertNotContains(client.get(draft.get_absolute_url()), 'class="scripted"')
    DraftFactory(community=moot.community, author=UserFactory(is_scripted=True), title="Played")

    assertContains(client.get(url("draft_list")), 'class="scripted"')


def test_user_text_is_never_markup(client, moot):
    bad = "<script>alert(1)</script>"
    VersionFactory(
        community=moot.community,
        title=bad,
        preamble=bad,
        principles=[
            principle_content(
                "x",
                title=bad,
                text=bad,
                rationale=bad,
                critique_request=bad,
                examples=[{"prompt": bad, "better": bad, "worse": bad}],
            )
        ],
    )
    draft = drafting.create_draft(community_id=moot.community.pk, actor=moot.member)
    for name, args in (
        ("constitution_detail", ()),
        ("version_detail", (1,)),
        ("version_compiled", (1,)),
        ("draft_detail", (draft.pk,)),
        ("draft_list", ()),
    ):
        assertNotContains(client.get(url(name, *args)), bad)


# --- lists: bounded, and the same number of queries -----------------------------------------------


@pytest.mark.parametrize("name", ["draft_list", "constitution_detail"])
def test_lists_ask_the_database_as_often_for_three_as_for_one(client, moot, name):
    def add():
        VersionFactory(community=moot.community)
        DraftFactory(
            community=moot.community,
            author=UserFactory(),
            base=Version.objects.first(),
            principles=two_principles(),
        )

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url(name)).status_code == 200
        return len(captured)

    add()
    one = queries()
    add()
    add()

    assert queries() == one


def test_drafts_come_in_pages(client, moot):
    for _ in range(21):
        DraftFactory(community=moot.community, author=moot.member)

    assertContains(client.get(url("draft_list")), "Page 1 of 2")
    assertContains(client.get(f"{url('draft_list')}?page=2"), "Page 2 of 2")


# --- writing --------------------------------------------------------------------------------------


def test_a_member_begins_a_draft_from_a_template(client, moot):
    client.force_login(moot.member)

    response = client.post(url("draft_create"), {"start": "plain-neighbour", "title": "Ours"})

    draft = Draft.objects.get()
    assertRedirects(response, draft.get_absolute_url())
    assert (draft.title, draft.principles.count()) == ("Ours", 5)


def test_a_member_begins_a_draft_from_what_is_in_force(client, moot, version):
    client.force_login(moot.member)

    client.post(url("draft_create"), {"start": "copy", "title": ""})

    draft = Draft.objects.get()
    assert (draft.title, draft.base, draft.principles.count()) == ("Our law", version, 2)


@pytest.mark.parametrize("start", ["copy", "nonsense", ""])
def test_a_draft_is_not_begun_from_what_is_not_offered(client, moot, start):
    client.force_login(moot.member)

    response = client.post(url("draft_create"), {"start": start, "title": ""})

    assert response.status_code == 422
    assert not Draft.objects.exists()


def test_an_outsider_begins_no_draft(client, moot):
    client.force_login(moot.outsider)

    response = client.post(url("draft_create"), {"start": "blank", "title": ""})

    assertContains(response, "Only members may begin a draft.", status_code=422)
    assert not Draft.objects.exists()


@pytest.mark.parametrize("headers", [{}, PART])
def test_an_author_saves_the_head_of_a_draft(client, moot, draft, headers):
    client.force_login(moot.member)

    response = client.post(
        draft.get_absolute_url(),
        {"title": "Better", "preamble": "So.", "summary": "More."},
        headers=headers,
    )

    draft.refresh_from_db()
    assertRedirects(response, draft.get_absolute_url())
    assert (draft.title, draft.preamble, draft.summary) == ("Better", "So.", "More.")


def test_a_refused_head_is_shown_again(client, moot, draft):
    client.force_login(moot.member)
    without_title = client.post(draft.get_absolute_url(), {"title": "", "preamble": "Kept"})
    client.force_login(moot.other)
    not_theirs = client.post(draft.get_absolute_url(), {"title": "Mine"}, headers=PART)

    assert without_title.status_code == 422
    assertContains(without_title, "Kept", status_code=422)
    assertContains(not_theirs, "Only its author or a steward", status_code=422)
    assert not whole(not_theirs)
    assert Draft.objects.get().title == "Our draft"


def test_a_visitor_who_posts_is_asked_to_sign_in(client, draft):
    address = draft.get_absolute_url()

    response = client.post(address, {"title": "Mine"})

    assertRedirects(response, f"{reverse('account_login')}?next={address}")


def test_only_those_who_may_change_a_draft_are_offered_to(client, moot, draft):
    edit, propose = url("principle_edit", draft.pk, "no-harm"), url("draft_propose", draft.pk)
    offered = {}
    for who in ("steward", "member", "other", "outsider"):
        client.force_login(getattr(moot, who))
        page = client.get(draft.get_absolute_url()).content.decode()
        offered[who] = (edit in page, propose in page)

    assert offered == {
        "steward": (True, True),
        "member": (True, False),
        "other": (False, False),
        "outsider": (False, False),
    }


def principle_form(*examples, **fields):
    data = {
        "title": "Kindness",
        "text": "It is kind.",
        "rationale": "",
        "critique_request": "",
        "revision_request": "",
        "weight": "1",
        "example-TOTAL_FORMS": str(len(examples)),
        "example-INITIAL_FORMS": "0",
        **fields,
    }
    for place, each in enumerate(examples):
        data |= {f"example-{place}-{name}": said for name, said in each.items()}
    return data


def test_a_principle_is_added_with_its_examples(client, moot, draft):
    client.force_login(moot.member)
    nothing = {"prompt": "", "better": "", "worse": ""}

    response = client.post(
        url("principle_create", draft.pk),
        principle_form(example("tea"), nothing, example("jam"), hazard_codes=["S7", "S1"]),
    )

    principle = draft.principles.get(key="kindness")
    assertRedirects(response, f"{draft.get_absolute_url()}#principle-kindness")
    assert principle.examples == [example("tea"), example("jam")]
    assert principle.hazard_codes == ["S1", "S7"]


def test_a_principle_is_changed_and_an_emptied_example_left_out(client, moot, draft):
    client.force_login(moot.member)
    address = url("principle_edit", draft.pk, "no-harm")
    assertContains(client.get(address), "make trouble?")

    response = client.post(
        address,
        principle_form(
            {"prompt": "", "better": "", "worse": ""},
            example("peace"),
            title="Do good",
            more="1",
            **{"example-INITIAL_FORMS": "1"},
        ),
    )

    principle = draft.principles.get(key="no-harm")
    assertRedirects(response, address)
    assert (principle.title, principle.examples) == ("Do good", [example("peace")])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (principle_form(title=""), "This field is required"),
        (principle_form(weight="99"), "less than or equal to 10"),
        (principle_form(hazard_codes=["S99"]), "S99 is not one of the available choices"),
        (
            principle_form({"prompt": "Only a question", "better": "", "worse": ""}),
            "An example needs all three parts.",
        ),
        (principle_form(*([example()] * 31)), "at most 30 forms"),
    ],
)
def test_a_principle_that_cannot_be_kept_is_shown_again(client, moot, draft, data, sentence):
    client.force_login(moot.member)

    response = client.post(url("principle_create", draft.pk), data)

    assertContains(response, sentence, status_code=422)
    assert draft.principles.count() == 2


def test_a_principle_form_without_its_management_form_is_shown_again(client, moot, draft):
    client.force_login(moot.member)

    response = client.post(url("principle_create", draft.pk), {"title": "T", "text": "t"})

    assert response.status_code == 422


def test_a_stranger_adds_no_principle(client, moot, draft):
    client.force_login(moot.other)

    response = client.post(url("principle_create", draft.pk), principle_form())

    assertContains(response, "Only its author or a steward", status_code=422)
    assert draft.principles.count() == 2


def test_a_principle_is_moved_by_a_form_or_in_place(client, moot, draft):
    client.force_login(moot.member)
    address = url("principle_move", draft.pk, "plainness")

    plain = client.post(address, {"position": "1"})
    assert [p.key for p in draft.principles.all()] == ["plainness", "no-harm"]
    in_place = client.post(address, {"position": "2"}, headers=PART)
    assert [p.key for p in draft.principles.all()] == ["no-harm", "plainness"]
    refused = client.post(address, {"position": "3"}, headers=PART)
    nonsense = client.post(address, {"position": "x"}, headers=PART)

    assertRedirects(plain, f"{draft.get_absolute_url()}#principle-plainness")
    assertContains(in_place, 'id="draft-principles"')
    assert not whole(in_place)
    assertContains(refused, "There is no place 3 among 2 principles.", status_code=422)
    assertContains(nonsense, "Say to which place", status_code=422)


def test_a_principle_is_removed(client, moot, draft):
    client.force_login(moot.member)

    response = client.post(url("principle_remove", draft.pk, "no-harm"))

    assertRedirects(response, f"{draft.get_absolute_url()}#draft-principles")
    assert [p.key for p in draft.principles.all()] == ["plainness"]


@pytest.mark.parametrize("name", ["principle_remove", "principle_move"])
def test_a_stranger_removes_and_moves_nothing(client, moot, draft, name):
    client.force_login(moot.other)

    response = client.post(url(name, draft.pk, "no-harm"), {"position": "2"}, follow=True)

    assertContains(response, "Only its author or a steward may change this draft.")
    assert list(DraftPrinciple.objects.values_list("key", flat=True)) == ["no-harm", "plainness"]


@pytest.mark.parametrize(
    ("who", "status", "sentence"),
    [
        ("member", "withdrawn", "The draft is withdrawn."),
        ("other", "editing", "Only its author or a steward may change this draft."),
    ],
)
def test_a_draft_is_withdrawn_by_its_author(client, moot, draft, who, status, sentence):
    client.force_login(getattr(moot, who))

    response = client.post(url("draft_withdraw", draft.pk), follow=True)

    assertContains(response, sentence)
    assert Draft.objects.get().status == status


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("draft_withdraw", ()),
        ("principle_move", ("no-harm",)),
        ("principle_remove", ("no-harm",)),
    ],
)
def test_what_changes_something_is_not_a_link(client, moot, draft, name, args):
    client.force_login(moot.steward)

    assert client.get(url(name, draft.pk, *args)).status_code == 405


# --- proposing ------------------------------------------------------------------------------------


def rule_form(**fields):
    return {
        "threshold": ">=2/3",
        "base": "decided",
        "quorum": "none",
        "quorum_percent": "",
        "duration": "3",
        "unit": "days",
        **fields,
    }


TWO_THIRDS = Rule.from_dict(
    {
        "method": "yes_no",
        "base": "decided",
        "threshold": [2, 3],
        "strict": False,
        "quorum": "none",
        "quorum_share": [0, 1],
        "secrecy": "roll_call",
    }
)


def test_the_default_rule_is_said_in_words_before_anything_opens(client, moot, draft):
    client.force_login(moot.steward)

    response = client.get(url("draft_propose", draft.pk))

    assertContains(response, unbroken(DEFAULT_RULE.sentence(3)))
    assertContains(response, canonical.digest(DEFAULT_RULE.to_dict()))


@pytest.mark.parametrize("headers", [{}, PART])
def test_another_rule_is_said_in_words_on_request(client, moot, draft, headers):
    client.force_login(moot.steward)

    response = client.post(url("draft_propose", draft.pk), rule_form(show="1"), headers=headers)

    assert response.status_code == 200
    assertContains(response, TWO_THIRDS.sentence(3))
    assert not Poll.objects.exists()


def test_only_the_sentence_is_renewed_while_a_rule_is_chosen(client, moot, draft):
    client.force_login(moot.steward)
    page = client.get(url("draft_propose", draft.pk))

    response = client.get(url("poll_rule"), rule_form(kind="ratification"), headers=PART)

    assertContains(page, f'hx-get="{url("poll_rule")}"')
    assert response.content.decode().strip().startswith('<div id="rule-words"')
    assertContains(response, f'name="seen" value="{canonical.digest(TWO_THIRDS.to_dict())}"')
    assertNotContains(response, 'name="duration"')


def test_a_rule_that_was_not_read_opens_no_poll(client, moot, draft):
    client.force_login(moot.steward)

    response = client.post(
        url("draft_propose", draft.pk),
        rule_form(seen=canonical.digest(DEFAULT_RULE.to_dict())),
    )

    assertContains(response, "Please read what this rule means", status_code=422)
    assertContains(response, TWO_THIRDS.sentence(3), status_code=422)
    assert not Poll.objects.exists()


def test_a_steward_opens_the_poll_under_the_rule_that_was_read(client, moot, draft):
    client.force_login(moot.steward)

    response = client.post(
        url("draft_propose", draft.pk),
        rule_form(seen=canonical.digest(TWO_THIRDS.to_dict())),
    )

    poll = Poll.objects.get()
    draft.refresh_from_db()
    assert response.status_code == 302
    assert response["Location"] == poll.get_absolute_url()
    assert Rule.from_dict(poll.rule) == TWO_THIRDS
    assert poll.closes_at - poll.opened_at == pytest.approx(
        timedelta(days=3), abs=timedelta(minutes=1)
    )
    assert (draft.status, draft.poll) == ("proposed", poll)
    assertContains(client.get(draft.get_absolute_url()), poll.get_absolute_url())


def test_a_member_opens_no_poll(client, moot, draft):
    client.force_login(moot.member)

    response = client.post(
        url("draft_propose", draft.pk),
        rule_form(seen=canonical.digest(TWO_THIRDS.to_dict())),
    )

    assertContains(response, "Only a steward", status_code=422)
    assert not Poll.objects.exists()


def test_a_bad_rule_is_shown_again(client, moot, draft):
    client.force_login(moot.steward)

    response = client.post(url("draft_propose", draft.pk), rule_form(quorum="approval", seen="x"))

    assertContains(response, "This quorum needs a percentage.", status_code=422)


def test_members_of_two_communities_see_each_as_it_is(client, moot, draft):
    elsewhere = CommunityFactory(slug="elsewhere")
    MembershipFactory(community=elsewhere, user=moot.member, steward=True)
    client.force_login(moot.member)

    assertNotContains(client.get(draft.get_absolute_url()), url("draft_propose", draft.pk))


# --- two people change the same -------------------------------------------------------------------


def test_draft_detail_refuses_a_stale_edit_and_shows_both_texts(client, moot, draft):
    client.force_login(moot.member)
    typed = {"title": "Mine", "preamble": "What I typed.", "summary": "", "revision": "1"}
    drafting.edit_draft(
        draft_id=draft.pk, actor=moot.steward, title="Theirs", preamble="They wrote.", summary=""
    )

    refused = client.post(draft.get_absolute_url(), typed)

    assertContains(refused, "Somebody else has changed this", status_code=422)
    assertContains(refused, "What I typed.", status_code=422)
    assertContains(refused, "They wrote.", status_code=422)
    assert Draft.objects.get(pk=draft.pk).title == "Theirs"
    again = client.post(
        draft.get_absolute_url(), typed | {"revision": refused.context["form"]["revision"].value()}
    )
    assertRedirects(again, draft.get_absolute_url())
    assert Draft.objects.get(pk=draft.pk).title == "Mine"


def test_principle_edit_refuses_a_stale_edit_and_shows_both_texts(client, moot, draft):
    client.force_login(moot.member)
    address = url("principle_edit", draft.pk, "no-harm")
    form = client.get(address).context["form"]
    typed = principle_form(text="What I typed.") | {"revision": form["revision"].value()}
    drafting.set_principle(
        draft_id=draft.pk, actor=moot.steward, key="no-harm", title="T", text="They wrote."
    )

    refused = client.post(address, typed)

    assertContains(refused, "Somebody else has changed this", status_code=422)
    assertContains(refused, "What I typed.", status_code=422)
    assertContains(refused, "They wrote.", status_code=422)
    assert draft.principles.get(key="no-harm").text == "They wrote."
    again = typed | {"revision": refused.context["form"]["revision"].value()}
    assert client.post(address, again).status_code == 302
    assert draft.principles.get(key="no-harm").text == "What I typed."


def test_pages_say_which_revision_was_read(client, moot, draft):
    client.force_login(moot.member)

    for address in (draft.get_absolute_url(), url("principle_edit", draft.pk, "no-harm")):
        assertContains(client.get(address), '<input type="hidden" name="revision" value="1"')
