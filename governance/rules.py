"""The rule by which a poll decides: exact shares, frozen into the poll when it opens. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Literal, Self, TypeAlias, get_args

from governance.methods.ballots import METHODS as OPTION_METHODS
from governance.methods.ballots import RANKED

Base: TypeAlias = Literal["cast", "decided", "eligible"]
Quorum: TypeAlias = Literal["none", "participation", "approval", "sqrt"]
Secrecy: TypeAlias = Literal["roll_call", "secret"]
Ties: TypeAlias = Literal["seed", "report"]
Weighting: TypeAlias = Literal["equal", "seniority"]

METHODS = ("yes_no", *OPTION_METHODS)
STATUS_QUO = "status-quo"
SMALLEST_GROUP = 5
LONGEST_MINUTES = 366 * 24 * 60
LONGEST_MEMBERSHIP_DAYS = 3660

_WORDS = {
    Fraction(1, 2): "half",
    Fraction(1, 3): "one third",
    Fraction(2, 3): "two thirds",
    Fraction(1, 4): "one quarter",
    Fraction(3, 4): "three quarters",
    Fraction(3, 5): "three fifths",
}
_LARGEST_PART = 10**6
_SHARES = ("threshold", "quorum_share", "group_support")
_CHOICES: dict[str, tuple[tuple[str, ...], str]] = {
    "method": (METHODS, f"A method of voting is one of {', '.join(METHODS)}."),
    "base": (get_args(Base), "The base of a threshold is cast, decided or eligible."),
    "quorum": (get_args(Quorum), "A quorum is none, participation, approval or sqrt."),
    "secrecy": (get_args(Secrecy), "Secrecy is roll_call or secret."),
    "ties": (get_args(Ties), "Ties are broken by a seed or reported: seed or report."),
    "weighting": (get_args(Weighting), "Votes weigh equal, or by seniority."),
}
_MINUTES = ("extension", "deliberation", "period")
METHOD_NAMES = {
    "yes_no": "yes or no",
    "approval": "approval",
    "score": "score voting",
    "star": "score voting with a runoff (STAR)",
    "irv": "instant runoff",
    "schulze-wv": "Schulze by winning votes",
    "schulze-margins": "Schulze by margins",
    "ranked-pairs": "ranked pairs",
    "minimax": "minimax",
    "copeland": "Copeland",
    "quadratic": "quadratic voting",
    "weighted": "one vote split at will",
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a poll decides.

    Attributes:
        method: of voting; `yes_no` has the choices yes, no and abstain, every other chooses among
            options, one of which is the status quo.
        base: of what the threshold is a share: ballots `cast`, `decided` ballots (for or against),
            or everyone `eligible`.
        threshold: share of the base that must be for: yes, or an option above the status quo.
        strict: whether it must exceed the threshold, not only equal it; a tie at one half then
            fails.
        quorum: what must be reached besides: `participation` counts all ballots cast, `approval`
            counts those in favour alone (so that no one helps a poll by voting no), `sqrt` asks of
            those in favour one and a half times the square root of the electorate.
        quorum_share: share of the electorate, for participation and approval; else 0.
        group_support: share of those who decide in each opinion group that must be for; 0 where
            it is not asked. Groups in which fewer than SMALLEST_GROUP decide are only reported.
        secrecy: `roll_call`: after the close, members see who voted how. `secret`: who voted is
            known, and how is not.
        delegation: whether the vote of a member who casts none goes where the member delegated it.
        delegation_cap: how much one voter may carry, the own vote included; 0 for no limit.
        ties: broken by a `seed` committed at opening, or only `report`ed.
        extension: minutes; a poll whose outcome flips in the last so many is open for as many
            more, once. 0 for never.
        deliberation: the least minutes between announcing a poll and opening it.
        period: the least minutes that a poll is open.
        membership_days: how long a voter must have been a member when the poll opens.
        verified_email: whether a voter's e-mail address must be verified.
        weighting: `equal` votes, or `seniority`: one more for each full year of membership, five
            in all at most.

    Raises:
        ValueError: no poll could sensibly have this rule; the text is a sentence for people.
    """

    method: str = "yes_no"
    base: Base = "decided"
    threshold: Fraction = Fraction(1, 2)
    strict: bool = True
    quorum: Quorum = "approval"
    quorum_share: Fraction = Fraction(1, 5)
    group_support: Fraction = Fraction(0)
    secrecy: Secrecy = "roll_call"
    delegation: bool = False
    delegation_cap: int = 0
    ties: Ties = "seed"
    extension: int = 0
    deliberation: int = 0
    period: int = 0
    membership_days: int = 0
    verified_email: bool = False
    weighting: Weighting = "equal"

    def __post_init__(self) -> None:
        """Refuse nonsense, and write the same rule in one way."""
        for name, (values, sentence) in _CHOICES.items():
            if getattr(self, name) not in values:
                raise ValueError(sentence)
        for name in ("strict", "delegation", "verified_email"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"“{name}” is true or false.")  # noqa: TRY004 - one kind
        self._check_shares()
        self._check_whole_numbers()
        if self.secrecy == "secret" and (
            self.delegation or self.group_support or self.weighting != "equal"
        ):
            raise ValueError(
                "A secret poll has neither delegation nor group support nor weights: each would "
                "join a ballot to its voter."
            )
        if self.method == "quadratic" and not self.verified_email:
            raise ValueError(
                "Quadratic votes ask for verified e-mail addresses: two accounts of one person "
                "would count for more than one."
            )

    def _check_shares(self) -> None:
        if not 0 <= self.threshold <= 1 or self.threshold == int(self.strict):
            raise ValueError(
                "A threshold lies between 0 and 1; more than everything cannot be reached, and "
                "nothing need not be."
            )
        if self.quorum in {"none", "sqrt"}:
            object.__setattr__(self, "quorum_share", Fraction(0))
        elif not 0 < self.quorum_share <= 1:
            raise ValueError("A quorum's share lies above 0 and is at most 1.")
        if not 0 <= self.group_support <= 1:
            raise ValueError("A group's support lies between 0 and 1.")
        if max(getattr(self, name).denominator for name in _SHARES) > _LARGEST_PART:
            raise ValueError("A share has a denominator of at most a million.")

    def _check_whole_numbers(self) -> None:
        for name in (*_MINUTES, "membership_days", "delegation_cap"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"“{name}” is a whole number, 0 or more.")
        if any(getattr(self, name) > LONGEST_MINUTES for name in _MINUTES):
            raise ValueError("No phase of a poll lasts longer than a year.")
        if self.membership_days > LONGEST_MEMBERSHIP_DAYS:
            raise ValueError("At most ten years of membership can be asked for.")
        if self.delegation_cap > _LARGEST_PART:
            raise ValueError("One voter carries a million votes at most.")
        if not self.delegation:
            object.__setattr__(self, "delegation_cap", 0)

    @property
    def has_options(self) -> bool:
        """Whether the poll chooses among options, not between yes and no."""
        return self.method != "yes_no"

    @property
    def is_ranked(self) -> bool:
        """Whether a ballot is a ranking."""
        return self.method in RANKED

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as it is stored, hashed and exported: integers and words only."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in _SHARES:
            given[name] = [given[name].numerator, given[name].denominator]
        return given

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read a rule that `to_dict` wrote, now or before rules had all of today's parts.

        Raises:
            ValueError: a part is unknown, or a value is not one that a rule takes.
        """
        known = {field.name for field in fields(cls)}
        if not set(given) <= known:
            raise ValueError(f"A rule has the parts {', '.join(sorted(known))}.")
        shares = {name: _fraction(given[name]) for name in _SHARES if name in given}
        return cls(**{**given, **shares})

    def needed(self, base_count: int) -> int:
        """Return the least count in favour that reaches the threshold on a base of this size."""
        exact = self.threshold * base_count
        return math.floor(exact) + 1 if self.strict else math.ceil(exact)

    def quorum_needed(self, electorate: int) -> int:
        """Return the least count that reaches the quorum; 0 where there is none.

        The square-root quorum is three halves of the square root, as Debian's 3Q: the least F
        with 4F² ≥ 9N, in integers throughout.
        """
        if self.quorum == "sqrt":
            return (math.isqrt(9 * electorate - 1) + 2) // 2 if electorate else 0
        return math.ceil(self.quorum_share * electorate)

    def sentence(self, electorate: int) -> str:
        """Say in words when a poll of this electorate passes, with the exact counts."""
        voters = _voters(electorate, weighted=self.weighting != "equal")
        text = (
            f"{self._threshold_words(electorate, voters)}{self._quorum_words(electorate, voters)}"
        )
        return f"{text}."

    def sentences(self, electorate: int) -> list[str]:
        """Say in words all that a voter should know of the rule before voting."""
        said = [self.sentence(electorate)]
        if self.has_options:
            said.append(
                f"Among the options that can win, and the status quo, {METHOD_NAMES[self.method]} "
                "decides; if the status quo wins, nothing changes."
            )
            said.append(
                "A tie is broken by a secret number that was drawn when the poll opened, whose "
                "digest is public since, and which is published at the close."
                if self.ties == "seed"
                else "A tie is not broken: several winners are reported as tied."
            )
        if self.group_support:
            share = _share(self.group_support, strict=False)
            said.append(
                f"Besides, {share} those who decide in each known opinion group must be for it; "
                f"groups in which fewer than {SMALLEST_GROUP} decide are reported and block "
                "nothing."
            )
        if self.delegation:
            cap = f"{self.delegation_cap} votes at most with one person"
            said.append(
                "Whoever casts no ballot votes through their delegate"
                f"{', ' + cap if self.delegation_cap else ''}."
            )
        if self.weighting == "seniority":
            said.append("Each vote counts one more for every full year of membership, 5 at most.")
        if self.membership_days:
            noun = "day" if self.membership_days == 1 else "days"
            said.append(
                f"Only those may vote who have been members for {self.membership_days} {noun} when "
                "it opens."
            )
        if self.verified_email:
            said.append("Only members with a verified e-mail address may vote.")
        if self.extension:
            said.append(
                f"If the outcome flips in the last {duration(self.extension)}, the poll stays "
                f"open for another {duration(self.extension)}, once."
            )
        return said

    def _threshold_words(self, electorate: int, voters: str) -> str:
        share = _share(self.threshold, strict=self.strict)
        if self.has_options:
            whole = {
                "decided": "those who put it above or below the status quo put it above",
                "cast": "all who vote put it above the status quo",
                "eligible": f"{voters} put it above the status quo, that is "
                f"{self.needed(electorate)}",
            }[self.base]
            return f"An option can win when {share} {whole}"
        whole = {
            "decided": "those who vote yes or no say yes",
            "cast": "all who vote, abstentions included, say yes",
            "eligible": f"{voters} say yes, that is {self.needed(electorate)}",
        }[self.base]
        return f"Passes when {share} {whole}"

    def _quorum_words(self, electorate: int, voters: str) -> str:
        if self.quorum == "none":
            return "" if self.base == "eligible" else ", however few vote"
        of = f"{_words(self.quorum_share)} of {voters}"
        if self.has_options:
            edge = {
                "approval": f"at least {of} put it above the status quo",
                "participation": f"ballots come from at least {of}",
                "sqrt": f"at least one and a half times the square root of {voters} put it above "
                "the status quo",
            }[self.quorum]
        else:
            edge = {
                "approval": f"yes reaches {of}",
                "participation": f"ballots, abstentions included, come from at least {of}",
                "sqrt": f"yes reaches one and a half times the square root of {voters}",
            }[self.quorum]
        return f", and {edge}, that is {self.quorum_needed(electorate)}"


DEFAULT_RULE = Rule()


def duration(minutes: int) -> str:
    """Say a number of minutes in the largest unit that it is whole in: 90 minutes, 2 days."""
    for unit, size in (("day", 24 * 60), ("hour", 60)):
        if minutes >= size and minutes % size == 0:
            count = minutes // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{minutes} minute{'' if minutes == 1 else 's'}"


def _fraction(given: object) -> Fraction:
    match given:
        case [int() as above, int() as below] if not isinstance(above, bool) and below > 0:
            return Fraction(above, below)
        case _:
            raise ValueError("A share is two integers, such as [2, 3], the second above 0.")


def _words(share: Fraction) -> str:
    if share in _WORDS:
        return _WORDS[share]
    hundredths = share * 10000
    if hundredths.denominator == 1:
        whole, rest = divmod(int(hundredths), 100)
        decimals = f".{rest:02d}".rstrip("0") if rest else ""
        return f"{whole}{decimals} %"
    return f"{share.numerator}/{share.denominator}"


def _share(share: Fraction, *, strict: bool) -> str:
    if share == 1:
        return "all of"
    if share == 0:
        return "any of"
    return f"{'more than' if strict else 'at least'} {_words(share)} of"


def _voters(electorate: int, *, weighted: bool) -> str:
    if weighted:
        return f"the {electorate} votes of the members entitled to vote"
    noun = "member" if electorate == 1 else "members"
    return f"the {electorate} {noun} entitled to vote"
