"""What a person may see of a poll now; nothing of how it stands before it closes."""

from datetime import datetime
from typing import Any

from django.core.paginator import Page
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from governance import (
    community_rules,
    explaining,
    following,
    permissions,
    results,
    stewardship,
    voting,
)
from governance.ballot_forms import BallotForm, ballot_form
from governance.delegation_views import delegation_context
from governance.models import Ballot, Membership, Poll
from governance.rules import Rule, duration
from governance.shapes import votes_now
from governance.web import paginate

WATCHED_SECONDS = 3600
COUNTING_SECONDS = 3
FEWEST_NAMED = 3

Status = Poll.Status
_CARDS = {
    "yes": "I am for it.",
    "no": "I am against it.",
    "abstain": "I take part and leave the decision to others.",
}


def poll_panel(
    request: HttpRequest,
    poll: Poll,
    membership: Membership | None,
    form: BallotForm | None = None,
) -> dict[str, Any]:
    """Return the context of a poll's page.

    Args:
        request: whose.
        poll: one that this person may read.
        membership: their place in its community; None for a visitor.
        form: the ballot that was sent and refused, if any.
    """
    now = timezone.now()
    rule = Rule.from_dict(poll.rule)
    decided = community_rules.rule_of(poll.community, poll.kind)
    votes = poll.electorate_weight if poll.has_opened else votes_now(poll.community_id, rule)
    is_open = poll.accepts_ballots_at(now)
    context: dict[str, Any] = {
        "poll": poll,
        "rule": rule,
        "votes": votes,
        "sentences": rule.sentences(votes) if votes else [],
        "options": _options(poll, rule),
        "period_words": duration(max(round(poll.period.total_seconds() / 60), 1)),
        "is_secret": rule.secrecy == "secret",
        "rule_is_decided": decided == rule,
        "rule_has_changed": decided not in {None, rule},
        "can_vote": poll.has_opened and permissions.can_vote(request.user, poll),
        "can_manage": permissions.can_manage(request.user, poll, membership),
        "takes_ballots": is_open,
        "refresh_in": _refresh_in(poll, now),
        "own": None,
        "concerned": stewardship.subject_for(poll, membership),
        **delegation_context(poll, request.user),
    }
    if context["can_manage"] and is_open:
        context["motion_url"] = _motion_url(poll)
    if context["can_vote"]:
        context["is_suspended"] = membership is None and _is_suspended(request, poll)
        context |= _own(request, poll, rule, form, is_open=is_open)
    if poll.status == Status.CLOSED and poll.tally:
        context["result"] = results.result_of(rule, poll.tally, poll.options)
    if membership is not None and poll.has_opened:
        context |= _who_voted(request, poll, rule)
    return context


def _is_suspended(request: HttpRequest, poll: Poll) -> bool:
    suspended = Membership.objects.filter(status=Membership.Status.SUSPENDED)
    return suspended.filter(user=request.user, community=poll.community_id).exists()


def own_words(poll: Poll, content: Any) -> str:
    """Say what a ballot holds."""
    words = following.in_words(poll, content)
    return words[:1].upper() + words[1:] if words else "Blank"


def outcome_words(poll: Poll) -> str:
    """Say what won a closed poll among options; nothing of any other."""
    if not poll.options or not poll.tally:
        return ""
    titles = {option["key"]: option["title"] for option in poll.options}
    return explaining.outcome_sentence(Rule.from_dict(poll.rule), poll.tally, titles)


def _options(poll: Poll, rule: Rule) -> list[dict[str, str]]:
    if not rule.has_options:
        return []
    letters = results.marks(poll.options)
    return [{**option, "mark": letters[option["key"]]} for option in poll.options]


def _own(
    request: HttpRequest, poll: Poll, rule: Rule, form: BallotForm | None, *, is_open: bool
) -> dict[str, Any]:
    """Return a voter's own ballot, its receipt, and the form that changes it."""
    own = Ballot.objects.filter(poll=poll, voter_id=request.user.pk).first()
    context: dict[str, Any] = {
        "own": own,
        "reference": voting.voter_reference(poll, request.user.pk or 0),
    }
    if own is not None:
        context["in_urn"] = own.content is None
        context["own_words"] = "" if own.content is None else own_words(poll, own.content)
        context["receipt"] = voting.receipt(poll, own)
    if is_open and not context.get("in_urn"):
        form = form or ballot_form(rule, poll.options, content=own.content if own else None)
        context["form"] = form
        if not rule.has_options:
            chosen = form["content"].value()
            context["cards"] = [
                {
                    "value": value,
                    "label": value.capitalize(),
                    "text": text,
                    "checked": value == chosen,
                }
                for value, text in _CARDS.items()
            ]
    return context


def _who_voted(request: HttpRequest, poll: Poll, rule: Rule) -> dict[str, Any]:
    """Return, for members, who voted how in a roll call that is over, or who did in a secret one.

    Who took part in a secret poll is named once FEWEST_NAMED have: before, a newcomer to the list
    and a ballot in the urn would belong together too plainly.
    """
    ballots = Ballot.objects.filter(poll=poll).roll_call()
    if rule.secrecy == "secret":
        named = ballots.defer("content")
        return {"voters": paginate(request, named) if may_name_voters(poll) else None}
    if poll.status != Status.CLOSED:
        return {}
    rows: Page[Any] = paginate(request, ballots)
    for ballot in rows:
        ballot.words = own_words(poll, ballot.content)
    return {"roll_call": rows}


def may_name_voters(poll: Poll) -> bool:
    """Say whether enough people voted in a secret poll for members to see who did."""
    return poll.ballots.count() >= FEWEST_NAMED


def _refresh_in(poll: Poll, now: datetime) -> int | None:
    """Return in how many seconds an open page should look again; None where it need not."""
    due = {Status.OPEN: poll.closes_at, Status.DELIBERATION: poll.opens_at}.get(Status(poll.status))
    if due is None:
        return None
    left = (due - now).total_seconds()
    if left <= 0:
        return COUNTING_SECONDS
    return int(left) + 1 if left < WATCHED_SECONDS else None


def _motion_url(poll: Poll) -> str:
    try:
        return f"{reverse('motion_list', args=[poll.community.slug])}?poll={poll.pk}#move-title"
    except NoReverseMatch:
        return ""
