"""Reports, claims and decisions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from feedback import review
from feedback.models import Decision, Prompt, Report, ReviewItem
from governance.errors import BadInput, InvalidTransition, NotPermitted, RuleViolation
from governance.models import AuditEvent
from tests.factories.feedback import (
    ComparisonFactory,
    PromptFactory,
    ResponseFactory,
    ReviewItemFactory,
    member,
)
from tests.factories.governance import UserFactory

pytestmark = pytest.mark.django_db


def report(content, reporter, reason="harmful", **fields):
    prompt = content if isinstance(content, Prompt) else content.prompt
    return review.report(
        community_id=prompt.community_id,
        reporter=reporter,
        target="prompt" if content is prompt else "response",
        target_key=content.pk,
        reason=reason,
        **fields,
    )


def decide(item, moderator, action="hide", reason="It harms.", **fields):
    return review.decide(
        item_id=item.pk, moderator=moderator, action=action, reason=reason, **fields
    )


# --- reports --------------------------------------------------------------------------------------


def test_report_opens_an_item_with_a_snapshot(community, annotator):
    prompt = PromptFactory(community=community)

    kept = report(prompt, annotator, note="Look.")

    assert (kept.item.target, kept.item.target_key) == ("prompt", prompt.pk)
    assert (kept.item.snapshot, kept.item.status) == (prompt.text, "open")


def test_report_does_not_name_the_reporter_in_the_trail(community, annotator):
    report(PromptFactory(community=community), annotator)

    event = AuditEvent.objects.get(verb="content.reported")
    assert (event.actor, event.data) == ("system", {"target": "prompt", "reason": "harmful"})


def test_reports_of_one_content_stand_on_one_item(community, annotator, moderator):
    response = ResponseFactory(prompt=PromptFactory(community=community))
    report(response, annotator)
    report(response, moderator, "spam")
    report(response, annotator, "spam")

    assert ReviewItem.objects.count() == 1
    assert list(Report.objects.values_list("reason", flat=True)) == ["harmful", "spam"]


def test_report_after_a_decision_opens_a_new_item(community, annotator, moderator):
    prompt = PromptFactory(community=community)
    item = report(prompt, annotator).item
    review.claim(item_id=item.pk, moderator=moderator)
    decide(item, moderator, "keep")

    assert report(prompt, annotator).item != item


def test_report_refuses_strangers(community):
    with pytest.raises(NotPermitted):
        report(PromptFactory(community=community), UserFactory())

    assert not ReviewItem.objects.exists()


@pytest.mark.parametrize(
    "fields", [{"target": "user"}, {"target_key": 10**9}, {"reason": "because"}, {"note": "\0"}]
)
def test_report_refuses_what_has_no_meaning(community, annotator, fields):
    prompt = PromptFactory(community=community)
    given = {"target": "prompt", "target_key": prompt.pk, "reason": "spam", **fields}

    with pytest.raises(BadInput):
        review.report(community_id=community.pk, reporter=annotator, **given)


def test_report_refuses_foreign_and_hidden_content(community, annotator):
    with pytest.raises(BadInput):
        review.report(
            community_id=community.pk,
            reporter=annotator,
            target="prompt",
            target_key=PromptFactory().pk,
            reason="spam",
        )
    with pytest.raises(BadInput, match="hidden"):
        report(PromptFactory(community=community, hidden=True), annotator)


@pytest.mark.django_db(transaction=True)
def test_reports_at_once_stand_on_one_item(community):
    prompt = PromptFactory(community=community)
    people = [member(community) for _ in range(6)]

    def work(person):
        try:
            return report(prompt, person).item_id
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(work, people))) == 1
    assert Report.objects.count() == 6


# --- claims ---------------------------------------------------------------------------------------


def test_claim_holds_the_item_for_half_an_hour(community, moderator):
    item = review.claim(item_id=ReviewItemFactory(community=community).pk, moderator=moderator)

    assert (item.status, item.claimed_by) == ("claimed", moderator)
    assert item.claim_expires_at > timezone.now() + timedelta(minutes=29)


def test_claim_refuses_members(community, annotator):
    with pytest.raises(NotPermitted):
        review.claim(item_id=ReviewItemFactory(community=community).pk, moderator=annotator)


def test_claim_refuses_ones_own_content(community, moderator):
    prompt = PromptFactory(community=community, submitted_by=moderator)
    item = ReviewItemFactory(community=community, target_key=prompt.pk)

    with pytest.raises(NotPermitted, match="own content"):
        review.claim(item_id=item.pk, moderator=moderator)


def test_claim_of_another_moderator_is_refused_until_it_runs_out(community, moderator, steward):
    item = ReviewItemFactory(community=community)
    review.claim(item_id=item.pk, moderator=moderator)
    with pytest.raises(InvalidTransition, match=str(moderator)):
        review.claim(item_id=item.pk, moderator=steward)

    ReviewItem.objects.update(claim_expires_at=timezone.now() - timedelta(seconds=1))

    assert review.claim(item_id=item.pk, moderator=steward).claimed_by == steward


@pytest.mark.django_db(transaction=True)
def test_claims_at_once_go_to_one_moderator(community):
    item = ReviewItemFactory(community=community)
    people = [member(community, "moderator") for _ in range(6)]

    def work(person):
        try:
            review.claim(item_id=item.pk, moderator=person)
        except RuleViolation:
            return 0
        else:
            return 1
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(work, people)) == 1
    assert AuditEvent.objects.filter(verb="review.claimed").count() == 1


def test_unclaim_puts_the_item_back(community, moderator):
    item = ReviewItemFactory(community=community)
    review.claim(item_id=item.pk, moderator=moderator)

    review.unclaim(item_id=item.pk, moderator=moderator)

    item.refresh_from_db()
    assert (item.status, item.claimed_by) == ("open", None)


def test_unclaim_refuses_other_moderators(community, moderator, steward):
    item = ReviewItemFactory(community=community)
    review.claim(item_id=item.pk, moderator=moderator)

    with pytest.raises(NotPermitted):
        review.unclaim(item_id=item.pk, moderator=steward)


# --- decisions ------------------------------------------------------------------------------------


def claimed(community, moderator, **fields):
    item = ReviewItemFactory(community=community, **fields)
    return review.claim(item_id=item.pk, moderator=moderator)


def test_decide_hides_the_content_and_says_why(community, version, moderator):
    prompt = PromptFactory(community=community)
    item = claimed(community, moderator, target_key=prompt.pk)

    decision = decide(item, moderator, principle_key="careful")

    prompt.refresh_from_db()
    assert prompt.hidden
    assert decision.principle.key == "careful"
    event = AuditEvent.objects.get(verb="review.decided")
    assert (event.data["action"], event.data["principle"]) == ("hide", "careful")
    assert "harms" not in str(event.data)


def test_decide_keeps_the_content(community, moderator, honest):
    response = ComparisonFactory(principle=honest).response_a
    item = claimed(community, moderator, target="response", target_key=response.pk)

    decide(item, moderator, "keep")

    response.refresh_from_db()
    assert not response.hidden
    assert ReviewItem.objects.get().status == "decided"


def test_decide_refuses_ones_own_content(community, moderator):
    prompt = PromptFactory(community=community)
    item = claimed(community, moderator, target_key=prompt.pk)
    Prompt.objects.update(submitted_by=moderator)

    with pytest.raises(NotPermitted, match="own content"):
        decide(item, moderator)

    assert not Decision.objects.exists()


def test_decide_refuses_without_a_claim(community, moderator, steward):
    with pytest.raises(InvalidTransition, match="Claim"):
        decide(ReviewItemFactory(community=community), moderator)
    with pytest.raises(NotPermitted):
        decide(claimed(community, moderator), steward)


def test_decide_refuses_those_who_moderate_no_more(community, moderator):
    item = claimed(community, moderator)
    community.memberships.filter(user=moderator).update(role="member")

    with pytest.raises(NotPermitted):
        decide(item, moderator)


@pytest.mark.parametrize(
    "fields", [{"reason": " "}, {"action": "burn"}, {"principle_key": "no-such"}]
)
def test_decide_refuses_what_has_no_meaning(community, version, moderator, fields):
    with pytest.raises(BadInput):
        decide(claimed(community, moderator), moderator, **fields)

    assert not Decision.objects.exists()


def test_decide_twice_is_refused_and_names_who_decided(community, moderator):
    item = claimed(community, moderator)
    decide(item, moderator)

    with pytest.raises(InvalidTransition, match=str(moderator)):
        decide(item, moderator, "keep")


# --- claims that ran out --------------------------------------------------------------------------


def lapsed(community, moderator):
    item = ReviewItemFactory(community=community)
    review.claim(item_id=item.pk, moderator=moderator)
    ReviewItem.objects.filter(pk=item.pk).update(claim_expires_at=timezone.now())
    return item


def test_a_claim_stands_until_its_time_is_over(community, moderator):
    item = ReviewItemFactory(community=community)
    claimed = review.claim(item_id=item.pk, moderator=moderator)

    def standing(moment):
        return ReviewItem.objects.at(moment).get(pk=item.pk).standing

    assert standing(claimed.claim_expires_at - timedelta(seconds=1)) == "claimed"
    assert standing(claimed.claim_expires_at) == "open"


def test_a_claim_that_ran_out_waits_for_everyone(community, moderator, steward):
    items = [lapsed(community, moderator), ReviewItemFactory(community=community)]
    review.claim(item_id=ReviewItemFactory(community=community).pk, moderator=moderator)

    assert set(ReviewItem.objects.waiting(timezone.now())) == set(items)


def test_who_let_a_claim_run_out_may_still_decide_while_nobody_has_it(community, moderator):
    decided = decide(lapsed(community, moderator), moderator, "keep")

    assert decided.item.status == "decided"


# --- words that are hidden ------------------------------------------------------------------------


class Kept:
    """A row of a higher app that keeps texts."""

    def __init__(self, **texts):
        self.__dict__.update(texts)


def shown(community, viewer, **texts):
    [row] = review.as_shown([Kept(**texts)], *texts, community_id=community.pk, viewer=viewer)
    return row


@pytest.mark.parametrize("factory", [PromptFactory, ResponseFactory])
def test_as_shown_covers_what_is_hidden_for_all_but_moderators(
    community, annotator, moderator, factory
):
    place = (
        {"community": community} if factory is PromptFactory else {"prompt__community": community}
    )
    content = factory(text="Something foul", hidden=True, **place)

    covered = shown(community, annotator, asked=content.text, said="Something else")
    seen = shown(community, moderator, asked=content.text, said="Something else")

    assert (covered.asked, covered.said, covered.hidden) == (review.HIDDEN, review.HIDDEN, True)
    assert (seen.asked, seen.said, seen.hidden) == ("Something foul", "Something else", True)


def test_as_shown_knows_hidden_prompts_by_their_words_alone(community, annotator):
    PromptFactory(community=community, text="Something foul", hidden=True)

    assert shown(community, annotator, asked=" something  FOUL").hidden
    assert not shown(community, annotator, asked="Something fair").hidden


def test_as_shown_leaves_what_is_hidden_nowhere_or_elsewhere(community, annotator):
    PromptFactory(text="Something foul", hidden=True)
    PromptFactory(community=community, text="Something foul")

    row = shown(community, annotator, asked="Something foul")

    assert (row.asked, row.hidden) == ("Something foul", False)


def test_report_refuses_an_answer_to_a_hidden_prompt(community, annotator):
    answer = ResponseFactory(prompt__community=community, prompt__hidden=True)

    with pytest.raises(BadInput, match="hidden this already"):
        report(answer, annotator)
