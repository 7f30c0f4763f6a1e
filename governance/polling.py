"""The verbs of a poll's life: draft, announce, open, extend, close, withdraw.

A draft is edited freely. Announcing it puts its text, options and rule into the trail and begins
deliberation, in which it may still be revised, each time in the open. Opening freezes everything:
the database itself refuses edits from then on. What ends it is its deadline, or two stewards.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from governance import (
    audit,
    community_rules,
    delegating,
    electorates,
    outcomes,
    permissions,
    voting,
)
from governance.canonical import digest, text_digest
from governance.errors import BadInput, InvalidTransition
from governance.models import Community, Elector, Motion, Poll, User
from governance.rules import DEFAULT_RULE, STATUS_QUO, Rule, duration
from governance.tally import can_pass
from governance.transitions import move
from governance.verbs import Verb

LONGEST_PERIOD = timedelta(days=366)
LONGEST_TITLE = 200
LONGEST_TEXT = 200_000
LONGEST_REASON = 1000
MOST_OPTIONS = 35
LONGEST_OPTION = 2000
_LONGEST_KEY = 40
_ELECTORS_AT_A_TIME = 5000
_STEWARDS_ONLY = "Only stewards put things to a vote."

Status = Poll.Status


# --- before opening -------------------------------------------------------------------------------


@transaction.atomic
def draft_poll(
    *,
    community_id: int,
    actor: User,
    kind: str,
    title: str,
    text: str,
    period: timedelta,
    rule: Rule = DEFAULT_RULE,
    options: Sequence[dict[str, str]] = (),
    subject_key: str = "",
) -> Poll:
    """Write a poll that only stewards see until it is announced.

    Args:
        community_id: whose poll.
        actor: a steward.
        kind: a registered `outcomes.PollKind`.
        title: a line.
        text: what is decided, word for word.
        period: how long it will be open.
        rule: how it is decided.
        options: title and text of each option, where the rule's method chooses among options; the
            status quo is added.
        subject_key: what the kind's handler needs to find its own row.

    Raises:
        NotPermitted: `actor` is no steward.
        BadInput: title, text or options are empty, too many or too long, the period is too short
            or longer than a year, or the community has decided another rule for this kind.
    """
    community = Community.objects.select_for_update(no_key=True).get(pk=community_id)
    permissions.require(permissions.can_put_to_vote(actor, community_id, kind), _STEWARDS_ONLY)
    poll = Poll(
        community=community,
        kind=kind,
        subject_key=subject_key,
        voter_salt=secrets.token_hex(32),
        seed=secrets.token_hex(32),
        opened_by=actor,
    )
    outcomes.kind_of(poll)  # an unknown kind is a fault of the program, and best found now
    _write(poll, title=title, text=text, rule=rule, period=period, options=options)
    poll.save(force_insert=True)
    return poll


@transaction.atomic
def edit_poll(
    *,
    poll_id: int,
    actor: User,
    title: str,
    text: str,
    rule: Rule,
    period: timedelta,
    options: Sequence[dict[str, str]] = (),
) -> Poll:
    """Change a draft, or revise a poll in deliberation, which the trail then tells.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: the poll has opened, or is withdrawn.
        BadInput: as for `draft_poll`; and whoever's text a poll only carries, such as a draft
            constitution's, cannot be reworded here.
    """
    poll = _lock(poll_id, actor)
    if poll.status not in {Status.DRAFT, Status.DELIBERATION}:
        raise InvalidTransition("A poll is not edited after it opened.")
    if poll.subject_key and text.strip() != poll.text:
        raise BadInput("The text of this poll belongs to what it decides; it is not edited here.")
    before = _content(poll)
    _write(poll, title=title, text=text, rule=rule, period=period, options=options)
    poll.save()
    if poll.status == Status.DELIBERATION and _content(poll) != before:
        _record(poll, actor, Verb.POLL_REVISED, _content(poll))
    return poll


@transaction.atomic
def announce_poll(*, poll_id: int, actor: User, opens_at: datetime | None = None) -> Poll:
    """Begin deliberation; without a time, and where the rule asks for none, open at once.

    Args:
        poll_id: a draft.
        actor: a steward.
        opens_at: when it opens; by default as soon as the rule allows.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: the poll is no draft.
        BadInput: it would open before the deliberation that the rule asks for, or more than a
            year ahead; or it cannot open (see `open_poll`).
    """
    poll = _lock(poll_id, actor)
    if poll.status != Status.DRAFT:
        raise InvalidTransition("Only a draft is announced.")
    now = timezone.now()
    rule = Rule.from_dict(poll.rule)
    # The community may have decided one since the draft was written.
    _require_decided_rule(poll, rule)
    earliest = now + timedelta(minutes=rule.deliberation)
    if opens_at is None and not rule.deliberation:
        return _open(poll, actor, now)
    opens_at = opens_at or earliest
    if opens_at < earliest:
        raise BadInput(f"This rule asks for at least {duration(rule.deliberation)} to deliberate.")
    if opens_at > now + LONGEST_PERIOD:
        raise BadInput("A poll opens within a year.")
    move(poll, Status.DELIBERATION, opens_at=opens_at)
    content = {**_content(poll), "opens_at": audit.timestamp(opens_at)}
    _record(poll, actor, Verb.POLL_ANNOUNCED, content)
    return poll


@transaction.atomic
def open_due_poll(*, poll_id: int) -> Poll:
    """Open a poll whose deliberation is over; any other is returned as it is.

    Raises:
        BadInput: it cannot open (see `open_poll`); it stays in deliberation.
    """
    poll: Poll = Poll.objects.select_for_update().get(pk=poll_id)
    now = timezone.now()
    if poll.status != Status.DELIBERATION or poll.opens_at is None or now < poll.opens_at:
        return poll
    return _open(poll, None, now)


@transaction.atomic
def open_poll(
    *,
    community_id: int,
    actor: User,
    kind: str,
    title: str,
    text: str,
    closes_at: datetime,
    rule: Rule = DEFAULT_RULE,
    options: Sequence[dict[str, str]] = (),
    subject_key: str = "",
) -> Poll:
    """Put a question to all who are entitled now; text, options, rule and electorate freeze.

    Where the rule asks for deliberation, the poll is announced, and opens by itself later for the
    period that `closes_at` gives.

    Raises:
        NotPermitted: `actor` is no steward.
        BadInput: as for `draft_poll`; the deadline is past; nobody is entitled to vote; or the
            rule could not be met even if everyone were for it.
    """
    period = closes_at - timezone.now()
    if not timedelta(0) < period <= LONGEST_PERIOD:
        raise BadInput("A poll closes in the future, and within a year.")
    poll = draft_poll(
        community_id=community_id,
        actor=actor,
        kind=kind,
        title=title,
        text=text,
        rule=rule,
        period=period,
        options=options,
        subject_key=subject_key,
    )
    if rule.deliberation:
        return announce_poll(poll_id=poll.pk, actor=actor)
    return _open(poll, actor, timezone.now(), closes_at=closes_at)


@transaction.atomic
def withdraw_poll(*, poll_id: int, actor: User, reason: str) -> Poll:
    """Take back a poll that has not opened. An open one is withdrawn by two stewards only.

    Raises:
        NotPermitted: `actor` is no steward.
        InvalidTransition: the poll has opened.
        BadInput: there is no reason, or it is too long.
    """
    kind = outcomes.kind_of(Poll.objects.get(pk=poll_id))
    kind.lock_subject(poll_id)
    poll = _lock(poll_id, actor)
    if poll.has_opened:
        raise InvalidTransition("An open poll is withdrawn by two stewards: move it, with reason.")
    return _withdraw(poll, actor, reason, motion=0)


# --- ends -----------------------------------------------------------------------------------------


@transaction.atomic
def close_poll(*, poll_id: int) -> Poll:
    """Count a poll whose deadline has passed, and let its kind act on the outcome.

    A closed poll is returned as it is. Where the rule allows it, and the outcome flipped late,
    the poll is extended instead, once. What the kind writes is in the same transaction, so the
    poll is closed with all that follows from it, or stays open.

    Raises:
        InvalidTransition: the deadline has not passed, or the poll is not open.
        KeyError: no app knows the poll's kind.
    """
    kind = outcomes.kind_of(Poll.objects.get(pk=poll_id))
    kind.lock_subject(poll_id)
    poll: Poll = Poll.objects.select_for_update().get(pk=poll_id)
    if poll.status == Status.CLOSED:
        return poll
    now = timezone.now()
    if poll.closes_at is None or now < poll.closes_at:
        raise InvalidTransition("This poll is still open for ballots.")
    return _close(poll, now, motion=0)


def close_early(*, motion_id: int) -> Poll:
    """Close an open poll before its deadline, as two stewards decided, in their transaction.

    Raises:
        InvalidTransition: the poll is not open any more.
    """
    motion = _carried(motion_id, Motion.Kind.CLOSE_EARLY)
    poll = _lock_with_subject(motion)
    if poll.status != Status.OPEN:
        raise InvalidTransition("This poll is not open any more.")
    return _close(poll, timezone.now(), motion=motion.pk)


def void_poll(*, motion_id: int) -> Poll:
    """Withdraw an open poll, as two stewards decided, in their transaction; nothing is counted.

    Raises:
        InvalidTransition: the poll is not open any more.
    """
    motion = _carried(motion_id, Motion.Kind.WITHDRAW_POLL)
    poll = _lock_with_subject(motion)
    if poll.status != Status.OPEN:
        raise InvalidTransition("This poll is not open any more.")
    voting.record_acts(poll_id=poll.pk)
    return _withdraw(poll, motion.decided_by, motion.reason, motion=motion.pk)


def _open(poll: Poll, actor: User | None, now: datetime, closes_at: datetime | None = None) -> Poll:
    """Freeze a poll and let people vote; an actor of None is the clock."""
    rule = Rule.from_dict(poll.rule)
    electors = electorates.electors_for(poll.community_id, rule, now)
    weight = sum(weight for _, weight, _ in electors)
    if not electors:
        raise BadInput("Nobody could vote: no active member is entitled to by this rule.")
    if not can_pass(rule, weight):
        raise BadInput(
            f"With {len(electors)} entitled to vote, this rule could not be met even if all "
            "said yes."
        )
    Elector.objects.bulk_create(
        (Elector(poll=poll, user_id=pk, weight=w, group=group) for pk, w, group in electors),
        batch_size=_ELECTORS_AT_A_TIME,
    )
    move(
        poll,
        Status.OPEN,
        opened_by=actor or poll.opened_by,
        electorate_size=len(electors),
        electorate_weight=weight,
        electorate_digest=digest(voting.electorate_record(poll, electors)),
        seed_digest=text_digest(poll.seed),
        opened_at=now,
        closes_at=closes_at or now + poll.period,
    )
    _record(
        poll,
        actor,
        Verb.POLL_OPENED,
        {
            **_content(poll),
            "electorate_size": poll.electorate_size,
            "electorate_weight": poll.electorate_weight,
            "electorate_digest": poll.electorate_digest,
            "seed_digest": poll.seed_digest,
            "closes_at": audit.timestamp(poll.closes_at or now),
        },
    )
    return poll


def _close(poll: Poll, now: datetime, *, motion: int) -> Poll:
    counted = voting.count_ballots(poll)
    rule = Rule.from_dict(poll.rule)
    flipped = poll.standing and poll.standing != voting.standing(counted.result)
    if rule.extension and not motion and not poll.extended_at and flipped:
        return _extend(poll, now, rule)
    voting.fill_urn(poll_id=poll.pk, least=1)
    voting.record_acts(poll_id=poll.pk)
    delegating.freeze(poll, counted.edges)
    tally = counted.result.to_dict()
    outcome = counted.result.outcome
    move(poll, Status.CLOSED, outcome=outcome, tally=tally, closed_at=now)
    _record(
        poll,
        None,
        Verb.POLL_CLOSED,
        {
            "outcome": outcome,
            "tally": tally,
            "ballots_digest": digest(counted.ballots),
            "delegations_digest": digest(counted.delegations),
            "seed": poll.seed,
            "motion": motion,
        },
    )
    outcomes.kind_of(poll).on_close(poll)
    return poll


def _extend(poll: Poll, now: datetime, rule: Rule) -> Poll:
    poll.closes_at = now + timedelta(minutes=rule.extension)
    poll.extended_at = now
    poll.save(update_fields=["closes_at", "extended_at"])
    closes_at = audit.timestamp(poll.closes_at)
    _record(poll, None, Verb.POLL_EXTENDED, {"closes_at": closes_at})
    return poll


def _withdraw(poll: Poll, actor: User | None, reason: str, *, motion: int) -> Poll:
    reason = reason.strip()
    if not 1 <= len(reason) <= LONGEST_REASON:
        raise BadInput(f"A reason has 1 to {LONGEST_REASON} characters.")
    was_public = poll.status != Status.DRAFT
    move(poll, Status.WITHDRAWN, reason=reason, closed_at=timezone.now())
    if was_public:
        data = {"reason_digest": text_digest(reason), "motion": motion}
        _record(poll, actor, Verb.POLL_WITHDRAWN, data)
    outcomes.kind_of(poll).on_withdraw(poll)
    return poll


# --- shared ---------------------------------------------------------------------------------------


def _write(
    poll: Poll,
    *,
    title: str,
    text: str,
    rule: Rule,
    period: timedelta,
    options: Sequence[dict[str, str]],
) -> None:
    poll.title, poll.text = title.strip(), text.strip()
    if not 1 <= len(poll.title) <= LONGEST_TITLE:
        raise BadInput(f"A poll's title has 1 to {LONGEST_TITLE} characters.")
    if not 1 <= len(poll.text) <= LONGEST_TEXT:
        raise BadInput(f"A poll's text has 1 to {LONGEST_TEXT} characters.")
    if not timedelta(minutes=max(rule.period, 0)) <= period <= LONGEST_PERIOD or not period:
        least = f"at least {duration(rule.period)}" if rule.period else "for some time"
        raise BadInput(f"This poll is open {least}, and for a year at most.")
    _require_decided_rule(poll, rule)
    if rule.has_options and not outcomes.kind_of(poll).takes_options:
        raise BadInput("This is decided by yes or no; the rule has another method.")
    poll.text_digest = text_digest(poll.text)
    poll.rule, poll.period = rule.to_dict(), period
    poll.options = _options(options) if rule.has_options else []
    if options and not rule.has_options:
        raise BadInput("A poll between yes and no has no options; choose another method.")


def _require_decided_rule(poll: Poll, rule: Rule) -> None:
    """Refuse another rule than the one that the community has decided for polls of this kind."""
    decided = community_rules.rule_of(poll.community, poll.kind)
    if decided is not None and decided != rule:
        raise BadInput(
            "The community has decided by which rule such polls are decided; this is another one."
        )


def _options(given: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Give each option a key made from its title, and put the status quo last."""
    options: list[dict[str, str]] = []
    keys = {STATUS_QUO}
    for option in given:
        title, text = option.get("title", "").strip(), option.get("text", "").strip()
        if not 1 <= len(title) <= LONGEST_TITLE or len(text) > LONGEST_OPTION:
            raise BadInput(
                f"An option has a title of 1 to {LONGEST_TITLE} characters, and a text of "
                f"{LONGEST_OPTION} at most."
            )
        stem = slugify(title)[:_LONGEST_KEY] or "option"
        key = next(
            name
            for number in range(1, MOST_OPTIONS + 2)
            if (name := stem if number == 1 else f"{stem}-{number}") not in keys
        )
        keys.add(key)
        options.append({"key": key, "title": title, "text": text})
    if not 1 <= len(options) <= MOST_OPTIONS:
        raise BadInput(f"A poll has 1 to {MOST_OPTIONS} options beside the status quo.")
    if len({option["title"].casefold() for option in options}) < len(options):
        raise BadInput("Two options have the same title.")
    status_quo = {"key": STATUS_QUO, "title": "Status quo", "text": "Nothing changes."}
    return [*options, status_quo]


def _content(poll: Poll) -> dict[str, Any]:
    """Return what the trail says is being decided, and how."""
    return {
        "kind": poll.kind,
        "title": poll.title,
        "text_digest": poll.text_digest,
        "options_digest": digest(poll.options),
        "rule": poll.rule,
    }


def _record(poll: Poll, actor: User | None, verb: Verb, data: dict[str, Any]) -> None:
    audit.record(community_id=poll.community_id, actor=actor, verb=verb, subject=poll, data=data)


def _lock(poll_id: int, actor: User) -> Poll:
    poll: Poll = Poll.objects.select_for_update().get(pk=poll_id)
    own = poll.opened_by_id == actor.pk
    permissions.require(
        permissions.is_steward(actor, poll.community_id)
        or (own and permissions.can_put_to_vote(actor, poll.community_id, poll.kind)),
        _STEWARDS_ONLY,
    )
    return poll


def _carried(motion_id: int, kind: str) -> Motion:
    motion: Motion = Motion.objects.select_related("decided_by").get(pk=motion_id)
    if motion.status != Motion.Status.CARRIED or motion.kind != kind:
        raise InvalidTransition("This needs a motion that a second steward has carried.")
    return motion


def _lock_with_subject(motion: Motion) -> Poll:
    poll_id = motion.poll_id or 0
    outcomes.kind_of(Poll.objects.get(pk=poll_id)).lock_subject(poll_id)
    poll: Poll = Poll.objects.select_for_update().get(pk=poll_id)
    return poll
