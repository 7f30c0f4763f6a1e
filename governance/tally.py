"""How a poll comes out: exact arithmetic over ballots. Pure: no Django, no clock, no floats.

Run as a program, it counts a file of ballots: `python -m governance.tally FILE --method irv`.
"""

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from governance.canonical import canonical_json
from governance.methods.ballots import Content, ranking
from governance.methods.counting import Count, count
from governance.rules import SMALLEST_GROUP, STATUS_QUO, Base, Quorum, Rule

Outcome: TypeAlias = Literal["passed", "rejected", "no_quorum", "tied"]
Cast: TypeAlias = tuple[Any, int, str]  # content, weight, opinion group or ""

CHOICES = ("yes", "no", "abstain")


@dataclass(frozen=True, kw_only=True)
class GroupSupport:
    """How one opinion group stood to what was decided, in heads and not in weights.

    Attributes:
        group: its name.
        electors: how many of the electorate are in it.
        for_: how many of them were for it.
        decided: how many were for or against.
        counted: whether enough decided for the group's support to be asked.
        reached: whether the support asked for was reached; true where it is not asked.
    """

    group: str
    electors: int
    for_: int
    decided: int
    counted: bool
    reached: bool

    def to_dict(self) -> dict[str, int | str | bool]:
        """Return all figures as they are stored and exported."""
        return {name.rstrip("_"): getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, kw_only=True)
class Support:
    """What one proposal, yes or an option, got of what the rule asks of it.

    Attributes:
        for_: votes for it: yes, or the option above the status quo.
        against: votes against it: no, or the option below the status quo.
        decided: both together.
        base_count: of how many the threshold is a share.
        needed: the least `for_` that reaches the threshold.
        quorum_counted: what counts towards the quorum.
        quorum_needed: the least count that reaches it.
        groups: how each opinion group stood.
    """

    for_: int
    against: int
    decided: int
    base_count: int
    needed: int
    quorum_counted: int
    quorum_needed: int
    groups: tuple[GroupSupport, ...]

    @property
    def threshold_reached(self) -> bool:
        """Whether anyone decided, and those in favour reached the threshold."""
        return self.decided > 0 and self.for_ >= self.needed

    @property
    def quorum_reached(self) -> bool:
        """Whether the quorum was reached; true where there is none."""
        return self.quorum_counted >= self.quorum_needed

    @property
    def acceptable(self) -> bool:
        """Whether threshold, quorum and every group that counts were reached."""
        groups = all(group.reached for group in self.groups)
        return self.threshold_reached and self.quorum_reached and groups

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as they are stored and exported."""
        figures = {name.rstrip("_"): getattr(self, name) for name in self.__dataclass_fields__}
        figures["groups"] = [group.to_dict() for group in self.groups]
        return {**figures, "acceptable": self.acceptable}


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The result of a poll between yes and no, with every figure on the way to it.

    Counts are votes: heads, unless the rule weighs them.

    Attributes:
        yes: ballots in favour.
        no: ballots against.
        abstain: ballots that abstain.
        electorate: how many could vote; fixed when the poll opened.
        cast: yes, no and abstain together.
        decided: yes and no together.
        base: of what the threshold is a share.
        base_count: how many that are.
        yes_needed: the least count of yes that reaches the threshold.
        quorum: which kind.
        quorum_counted: what counted towards the quorum (yes, or all cast).
        quorum_needed: the least count that reaches the quorum.
        groups: how each opinion group stood.
        delegation: what delegation did, see `delegation.Delivery.figures`; None where it is off.
        outcome: passed, rejected, or no_quorum where the quorum was missed.
    """

    yes: int
    no: int
    abstain: int
    electorate: int
    cast: int
    decided: int
    base: Base
    base_count: int
    yes_needed: int
    quorum: Quorum
    quorum_counted: int
    quorum_needed: int
    groups: tuple[GroupSupport, ...]
    delegation: Mapping[str, Any] | None
    outcome: Outcome

    @property
    def threshold_reached(self) -> bool:
        """Whether anyone decided, and yes reached the threshold."""
        return self.decided > 0 and self.yes >= self.yes_needed

    @property
    def quorum_reached(self) -> bool:
        """Whether the quorum was reached; true where there is none."""
        return self.quorum_counted >= self.quorum_needed

    @property
    def passed(self) -> bool:
        """Whether the poll passed."""
        return self.outcome == "passed"

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as integers and words, as they are stored and exported."""
        figures = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**figures, "groups": [group.to_dict() for group in self.groups]}


@dataclass(frozen=True, kw_only=True)
class OptionsTally:
    """The result of a poll among options, with every figure on the way to it.

    Attributes:
        method: by which the acceptable options and the status quo were counted.
        electorate: votes that could be cast.
        cast: votes that were.
        quorum: which kind.
        options: each option but the status quo, with its support.
        count: the method's own figures, over what was acceptable; None where nothing was.
        winners: keys; several are tied.
        delegation: what delegation did; None where it is off.
        outcome: passed: an option won; rejected: the status quo did, or no option was acceptable;
            no_quorum: no option reached the quorum; tied: several won.
    """

    method: str
    electorate: int
    cast: int
    quorum: Quorum
    options: tuple[tuple[str, Support], ...]
    count: Count | None
    winners: tuple[str, ...]
    delegation: Mapping[str, Any] | None
    outcome: Outcome

    @property
    def passed(self) -> bool:
        """Whether an option won."""
        return self.outcome == "passed"

    def to_dict(self) -> dict[str, Any]:
        """Return all figures as they are stored and exported: no floats."""
        return {
            "method": self.method,
            "electorate": self.electorate,
            "cast": self.cast,
            "quorum": self.quorum,
            "options": [{"key": key, **support.to_dict()} for key, support in self.options],
            "count": self.count and self.count.to_dict(),
            "winners": list(self.winners),
            "delegation": self.delegation,
            "outcome": self.outcome,
        }


def tally_poll(
    rule: Rule,
    *,
    ballots: Iterable[Cast],
    electorate: int,
    options: Sequence[str] = (),
    group_sizes: Mapping[str, int] | None = None,
    seed: str | None = None,
    delegation: Mapping[str, Any] | None = None,
) -> Tally | OptionsTally:
    """Decide a poll from its ballots, one for each elector whose vote was delivered.

    Args:
        rule: the poll's.
        ballots: content (a word, or what `ballots.check` returns), weight and opinion group.
        electorate: votes that could be cast when the poll opened; those who left since count.
        options: keys of a poll that has options, the status quo among them.
        group_sizes: how many electors each known opinion group has.
        seed: breaks ties where the rule says so.
        delegation: figures to keep with the result.

    Returns:
        The same for any order of the ballots.

    Raises:
        ValueError: nobody could vote, more voted than could, or a ballot is none of this method.
    """
    box = _Box(electorate, group_sizes or {}, delegation)
    for content, weight, group in ballots:
        written = content.encode() if isinstance(content, str) else canonical_json(content)
        box.contents.setdefault(written, content)
        box.votes[written, group] += weight
        box.heads[written, group] += 1
    return _among(rule, options, box, seed) if rule.has_options else _between(rule, box)


def decide(
    rule: Rule,
    *,
    yes: int,
    no: int,
    abstain: int,
    electorate: int,
    groups: Mapping[str, tuple[int, int, int]] | None = None,
    delegation: Mapping[str, Any] | None = None,
) -> Tally:
    """Decide a poll between yes and no from its counts.

    The quorum is asked first: a poll that misses it is `no_quorum` however the ballots stand.
    Without a single yes or no nothing passes.

    Args:
        rule: the poll's.
        yes: ballots in favour; invalid ballots do not exist here.
        no: ballots against.
        abstain: ballots that abstain; they count as cast, never as decided.
        electorate: how many could vote when the poll opened; those who left since still count.
        groups: electors, yes and no in heads of each opinion group.
        delegation: figures to keep with the result.

    Raises:
        ValueError: nobody could vote, a count is negative, or more voted than could.
    """
    if min(yes, no, abstain) < 0:
        raise ValueError("Counts of ballots are not negative.")
    cast = yes + no + abstain
    support = weigh(rule, for_=yes, against=no, cast=cast, electorate=electorate, groups=groups)
    outcome: Outcome = "passed" if support.acceptable else "rejected"
    if not support.quorum_reached:
        outcome = "no_quorum"
    return Tally(
        yes=yes,
        no=no,
        abstain=abstain,
        electorate=electorate,
        cast=cast,
        decided=support.decided,
        base=rule.base,
        base_count=support.base_count,
        yes_needed=support.needed,
        quorum=rule.quorum,
        quorum_counted=support.quorum_counted,
        quorum_needed=support.quorum_needed,
        groups=support.groups,
        delegation=delegation,
        outcome=outcome,
    )


def weigh(
    rule: Rule,
    *,
    for_: int,
    against: int,
    cast: int,
    electorate: int,
    groups: Mapping[str, tuple[int, int, int]] | None = None,
) -> Support:
    """Hold one proposal against the rule's threshold, quorum and group support.

    Args:
        rule: the poll's.
        for_: votes for the proposal.
        against: votes against it.
        cast: all votes.
        electorate: votes that could be cast.
        groups: electors, for and against in heads of each opinion group.

    Raises:
        ValueError: nobody could vote, or more voted than could.
    """
    if electorate < 1:
        raise ValueError("A poll without an electorate decides nothing.")
    if cast > electorate:
        raise ValueError(f"{cast} ballots cannot come from {electorate} voters.")
    decided = for_ + against
    base_count = {"cast": cast, "decided": decided, "eligible": electorate}[rule.base]
    return Support(
        for_=for_,
        against=against,
        decided=decided,
        base_count=base_count,
        needed=rule.needed(base_count),
        quorum_counted=cast if rule.quorum in {"participation", "none"} else for_,
        quorum_needed=rule.quorum_needed(electorate),
        groups=tuple(
            _group(rule, name, *figures) for name, figures in sorted((groups or {}).items())
        ),
    )


def can_pass(rule: Rule, electorate: int) -> bool:
    """Say whether an electorate of this size could pass anything, if all were for it."""
    if electorate < 1:
        return False
    support = weigh(rule, for_=electorate, against=0, cast=electorate, electorate=electorate)
    return support.acceptable


def _group(rule: Rule, name: str, electors: int, for_: int, against: int) -> GroupSupport:
    decided = for_ + against
    counted = decided >= SMALLEST_GROUP
    reached = not (rule.group_support and counted) or for_ >= rule.group_support * decided
    return GroupSupport(
        group=name, electors=electors, for_=for_, decided=decided, counted=counted, reached=reached
    )


@dataclass(frozen=True)
class _Box:
    """What was cast: equal ballots of one opinion group together, in votes and in heads."""

    electorate: int
    sizes: Mapping[str, int]
    delegation: Mapping[str, Any] | None
    contents: dict[bytes, Any] = field(default_factory=dict)
    votes: Counter[tuple[bytes, str]] = field(default_factory=Counter)
    heads: Counter[tuple[bytes, str]] = field(default_factory=Counter)


def _between(rule: Rule, box: _Box) -> Tally:
    votes: Counter[str] = Counter()
    for (written, _), weight in box.votes.items():
        votes[written.decode()] += weight
    if not set(votes) <= set(CHOICES):
        raise ValueError("A ballot says yes, no or abstain.")
    return decide(
        rule,
        yes=votes["yes"],
        no=votes["no"],
        abstain=votes["abstain"],
        electorate=box.electorate,
        groups={
            group: (size, box.heads[b"yes", group], box.heads[b"no", group])
            for group, size in box.sizes.items()
        },
        delegation=box.delegation,
    )


def _among(rule: Rule, options: Sequence[str], box: _Box, seed: str | None) -> OptionsTally:
    places = {
        written: {
            option: place
            for place, tier in enumerate(ranking(rule.method, options, content))
            for option in tier
        }
        for written, content in box.contents.items()
    }
    cast = box.votes.total()
    supports = []
    for option in options:
        if option == STATUS_QUO:
            continue
        votes, voices = [0, 0], defaultdict[str, list[int]](lambda: [0, 0])
        for (written, group), weight in box.votes.items():
            place, status_quo = places[written][option], places[written][STATUS_QUO]
            if place != status_quo:
                votes[place > status_quo] += weight
                voices[group][place > status_quo] += box.heads[written, group]
        groups = {
            name: (size, voices[name][0], voices[name][1]) for name, size in box.sizes.items()
        }
        support = weigh(
            rule,
            for_=votes[0],
            against=votes[1],
            cast=cast,
            electorate=box.electorate,
            groups=groups,
        )
        supports.append((option, support))
    able = {option for option, support in supports if support.acceptable} | {STATUS_QUO}
    found: Count | None = None
    winners: tuple[str, ...] = ()
    outcome: Outcome = "rejected"
    if not any(support.quorum_reached for _, support in supports):
        outcome = "no_quorum"
    elif len(able) > 1:
        ballots = [
            (_restricted(box.contents[written], able), weight)
            for (written, _), weight in box.votes.items()
        ]
        left = [option for option in options if option in able]
        found = count(rule.method, left, ballots, seed=seed if rule.ties == "seed" else None)
        winners = found.winners
        if winners != (STATUS_QUO,):
            outcome = "passed" if len(winners) == 1 else "tied"
    return OptionsTally(
        method=rule.method,
        electorate=box.electorate,
        cast=cast,
        quorum=rule.quorum,
        options=tuple(supports),
        count=found,
        winners=winners,
        delegation=box.delegation,
        outcome=outcome,
    )


def _restricted(content: Content, options: set[str]) -> Content:
    """Return what a ballot says of these options alone."""
    if isinstance(content, dict):
        return {option: amount for option, amount in content.items() if option in options}
    kept: list[Any] = []
    for item in content:
        if isinstance(item, str):
            kept += [item] if item in options else []
        elif tier := [option for option in item if option in options]:
            kept.append(tier)
    return kept


def percent(part: int, whole: int, *, edge: Fraction | None = None) -> str:
    """Write a share for people, with two decimals, always on its own side of `edge`.

    Rounds half to even; where rounding would reach or cross the edge, cuts to the side on which
    the share lies: 49.996 % under an edge of one half is 49.99 %, not 50 %.

    Args:
        part: count, at least 0.
        whole: of how many; 0 gives an en dash, since there is no such share.
        edge: the threshold that readers will compare with.
    """
    if not whole:
        return "\N{EN DASH}"
    exact = Fraction(part, whole) * 10000
    shown = round(exact)
    if edge is not None:
        if exact < edge * 10000 <= shown:
            shown = math.floor(exact)
        elif shown <= edge * 10000 < exact:
            shown = math.ceil(exact)
    return f"{shown // 100}.{shown % 100:02d} %"


if __name__ == "__main__":
    from governance.ballot_files.command import main

    sys.exit(main())
