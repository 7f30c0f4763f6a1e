"""The verbs by which a community sets the rules of its own polls, and how such polls are told.

In a small community a steward sets a rule; in a larger one a poll of the kind `rule_change` does.
What is put to the vote is the poll's text: its last line is the rule in canonical JSON, and that
line, frozen and hashed with the text, is what a passed poll puts in force.
"""

import json
import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from governance import audit, community_rules, membership, outcomes, permissions, polling
from governance.canonical import canonical_json
from governance.community_rules import DEFAULT, RULE_CHANGE
from governance.electorates import electors_for
from governance.errors import BadInput, InvalidTransition
from governance.models import Community, Poll, User
from governance.rules import Rule, duration
from governance.tally import can_pass
from governance.verbs import Verb

logger = logging.getLogger(__name__)

LONGEST_REASON = 10_000
DEFAULT_NAME = "default"  # names the default rule where a word must not be empty


@transaction.atomic
def change_rule(*, community_id: int, actor: User, kind: str, rule: Rule | None) -> Community:
    """Set the rule of a kind of poll, as a steward of a small community may.

    Polls that were announced or opened under another rule keep it.

    Args:
        community_id: whose rule.
        actor: a steward.
        kind: of poll; "" for the default rule.
        rule: None takes back what the community had set.

    Raises:
        NotPermitted: `actor` is no steward, or it takes a poll.
        BadInput: there is no such kind, or its polls could not have this rule.
    """
    community = membership.lock_community(community_id)
    permissions.require(
        permissions.is_steward(actor, community_id), "Only stewards set the community's rules."
    )
    permissions.require(community_rules.is_small(community_id), community_rules.BY_POLL)
    _check(community, kind, rule)
    return _set(community, actor, kind, rule, poll=0)


@transaction.atomic
def propose_rule_change(
    *,
    community_id: int,
    actor: User,
    kind: str,
    rule: Rule | None,
    reason: str,
    period: timedelta,
) -> Poll:
    """Put a rule to the vote; the community's rule for rule changes decides.

    Args:
        community_id: whose rule.
        actor: a steward.
        kind: of poll; "" for the default rule.
        rule: None takes back what the community had set.
        reason: why, for the voters.
        period: how long the poll is open.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: there is a poll about this rule already.
        BadInput: there is no such kind, its polls could not have this rule, nothing would change,
            or the poll cannot be opened so (see `polling.draft_poll`).
    """
    community = membership.lock_community(community_id)
    permissions.require(
        permissions.is_steward(actor, community_id), "Only stewards put rules to the vote."
    )
    _check(community, kind, rule)
    if community.rules.get(kind) == (rule and rule.to_dict()):
        raise BadInput("This is the rule already.")
    reason = reason.strip()
    if len(reason) > LONGEST_REASON:
        raise BadInput(f"A reason has {LONGEST_REASON} characters at most.")
    subject_key = kind or DEFAULT_NAME
    if Poll.objects.filter(
        community_id=community_id,
        kind=RULE_CHANGE,
        subject_key=subject_key,
        status__in=[Poll.Status.DELIBERATION, Poll.Status.OPEN],
    ).exists():
        raise InvalidTransition("There is a poll about this rule already.")
    poll = polling.draft_poll(
        community_id=community_id,
        actor=actor,
        kind=RULE_CHANGE,
        title=f"Rule of polls: {kind_label(kind)}",
        text=_text(community, kind, rule, reason),
        rule=community_rules.rule_for(community, RULE_CHANGE),
        period=period,
        subject_key=subject_key,
    )
    return polling.announce_poll(poll_id=poll.pk, actor=actor)


def adopt_rule(poll: Poll) -> None:
    """Put in force the rule that a poll has just decided: the one its text ends with."""
    if poll.outcome != Poll.Outcome.PASSED:
        return
    community = membership.lock_community(poll.community_id)
    try:
        proposed = json.loads(poll.text.rpartition("\n")[2])
        kind = str(proposed["kind"])
        rule = None if proposed["rule"] is None else Rule.from_dict(proposed["rule"])
    except (ValueError, KeyError, TypeError):
        # A rule of another release that this one cannot read; the record keeps what was decided.
        logger.exception("poll %s passed and sets no rule", poll.pk)
        return
    _set(community, None, kind, rule, poll=poll.pk)


def rules_page(poll: Poll) -> str:
    """Return the page that shows a community's rules."""
    return reverse("community_rules", args=[poll.community.slug])


def kind_label(kind: str) -> str:
    """Name a kind of poll for people; "" is the default rule.

    Raises:
        BadInput: there is no such kind.
    """
    if kind == DEFAULT:
        return "Default"
    return _known(kind).label


def takes_options(kind: str) -> bool:
    """Say whether polls of this kind may choose among options.

    Raises:
        BadInput: there is no such kind.
    """
    return kind != DEFAULT and _known(kind).takes_options


def sentences(rule: Rule, electorate: int) -> list[str]:
    """Say a rule in words, with the phases of its polls and whether ballots are secret."""
    said = rule.sentences(electorate)
    if rule.deliberation:
        said.append(f"It opens {duration(rule.deliberation)} after it was announced, or later.")
    if rule.period:
        said.append(f"It is open for {duration(rule.period)} or longer.")
    if rule.secrecy == "secret":
        said.append("Who voted is known, and how is not.")
    return said


def _known(kind: str) -> outcomes.PollKind:
    try:
        return outcomes.kind_named(kind)
    except KeyError:
        raise BadInput("There is no such kind of poll.") from None


def _check(community: Community, kind: str, rule: Rule | None) -> None:
    """Refuse a rule that polls of this kind could not have.

    Raises:
        BadInput: with the reason.
    """
    choosing = takes_options(kind)
    if rule is None:
        return
    if rule.has_options and not choosing:
        raise BadInput("Polls of this kind ask yes or no; they do not choose among options.")
    if not can_pass(rule, _votes(community, rule)):
        raise BadInput(
            "By this rule no poll could pass now, whoever is for it; so it could not be changed "
            "again either."
        )


def _votes(community: Community, rule: Rule) -> int:
    """Count the votes that there were if a poll of this rule opened now."""
    electors = electors_for(community.pk, rule, timezone.now())
    return sum(weight for _, weight, _ in electors)


def _set(
    community: Community, actor: User | None, kind: str, rule: Rule | None, *, poll: int
) -> Community:
    wanted = rule.to_dict() if rule else None
    if community.rules.get(kind) == wanted:
        return community
    others = {name: known for name, known in community.rules.items() if name != kind}
    community.rules = others if wanted is None else {**others, kind: wanted}
    community.save(update_fields=["rules"])
    audit.record(
        community_id=community.pk,
        actor=actor,
        verb=Verb.COMMUNITY_RULE_CHANGED,
        subject=community,
        data={"kind": kind, "rule": wanted, "poll": poll, "limit": settings.SMALL_COMMUNITY},
    )
    return community


def _text(community: Community, kind: str, rule: Rule | None, reason: str) -> str:
    """Write what is put to the vote: words for people, and the rule itself on the last line."""
    if kind == DEFAULT:
        subject = "polls for which the community has set no rule of their own"
    else:
        subject = f"polls of the kind “{kind_label(kind)}”"

    def told(some: Rule | None) -> str:
        if some is None:
            return "No rule of their own is set for them."
        return " ".join(sentences(some, _votes(community, some)))

    before = community.rules.get(kind)
    exact: dict[str, Any] = {"kind": kind, "rule": rule.to_dict() if rule else None}
    parts = [
        f"If this passes, from then on the following holds for {subject}.",
        told(rule),
        f"Until now: {told(Rule.from_dict(before) if before is not None else None)}",
        reason,
        "The rule, exactly as it will be kept:",
        canonical_json(exact).decode(),
    ]
    return "\n\n".join(part for part in parts if part)
