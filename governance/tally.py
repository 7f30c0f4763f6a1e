"""How a poll decides: exact arithmetic over counts. Pure: no Django, no clock, no floats."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Self, TypeAlias, get_args

Base: TypeAlias = Literal["cast", "decided", "eligible"]
Quorum: TypeAlias = Literal["none", "participation", "approval", "sqrt"]
Outcome: TypeAlias = Literal["passed", "rejected", "no_quorum"]

_KEYS = {"method", "base", "threshold", "strict", "quorum", "quorum_share", "secrecy"}
_WORDS = {
    Fraction(1, 2): "half",
    Fraction(1, 3): "one third",
    Fraction(2, 3): "two thirds",
    Fraction(1, 4): "one quarter",
    Fraction(3, 4): "three quarters",
}
_LARGEST_PART = 10**6


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How a poll decides; frozen into the poll when it opens.

    Attributes:
        method: of voting; `yes_no` has the choices yes, no and abstain.
        base: of what the threshold is a share: ballots `cast` (yes, no and abstain), `decided`
            ballots (yes and no), or everyone `eligible`.
        threshold: share of the base that yes must reach.
        strict: whether yes must exceed the threshold, not only equal it; a tie at one half then
            fails.
        quorum: what must be reached besides: `participation` counts all ballots cast, `approval`
            counts yes alone (so that no one helps a poll by voting no), `sqrt` asks yes for one
            and a half times the square root of the electorate.
        quorum_share: share of the electorate, for participation and approval; else 0.
        secrecy: `roll_call`: after the close, members see who voted how.

    Raises:
        ValueError: no poll could sensibly have this rule; the text is a sentence for people.
    """

    method: Literal["yes_no"] = "yes_no"
    base: Base = "decided"
    threshold: Fraction = Fraction(1, 2)
    strict: bool = True
    quorum: Quorum = "approval"
    quorum_share: Fraction = Fraction(1, 5)
    secrecy: Literal["roll_call"] = "roll_call"

    def __post_init__(self) -> None:
        """Refuse nonsense, and write the same rule in one way."""
        if self.method != "yes_no":
            raise ValueError("The only method of voting is yes_no.")
        if self.base not in get_args(Base):
            raise ValueError("The base of a threshold is cast, decided or eligible.")
        if self.quorum not in get_args(Quorum):
            raise ValueError("A quorum is none, participation, approval or sqrt.")
        if self.secrecy != "roll_call":
            raise ValueError("The only secrecy is roll_call.")
        if not 0 <= self.threshold <= 1 or self.threshold == int(self.strict):
            raise ValueError(
                "A threshold lies between 0 and 1; more than everything cannot be reached, and "
                "nothing need not be."
            )
        if self.quorum in {"none", "sqrt"}:
            object.__setattr__(self, "quorum_share", Fraction(0))
        elif not 0 < self.quorum_share <= 1:
            raise ValueError("A quorum's share lies above 0 and is at most 1.")
        if max(self.threshold.denominator, self.quorum_share.denominator) > _LARGEST_PART:
            raise ValueError("A share has a denominator of at most a million.")

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as it is stored, hashed and exported: integers and words only."""
        return {
            "method": self.method,
            "base": self.base,
            "threshold": [self.threshold.numerator, self.threshold.denominator],
            "strict": self.strict,
            "quorum": self.quorum,
            "quorum_share": [self.quorum_share.numerator, self.quorum_share.denominator],
            "secrecy": self.secrecy,
        }

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Self:
        """Read a rule that `to_dict` wrote.

        Raises:
            ValueError: a key is unknown or missing, or a value is not one that a rule takes.
        """
        if set(given) != _KEYS:
            raise ValueError(f"A rule has the keys {', '.join(sorted(_KEYS))}.")
        if not isinstance(given["strict"], bool):
            raise ValueError("A rule is strict or not: true or false.")  # noqa: TRY004 - one kind
        return cls(
            method=given["method"],
            base=given["base"],
            threshold=_fraction(given["threshold"]),
            strict=given["strict"],
            quorum=given["quorum"],
            quorum_share=_fraction(given["quorum_share"]),
            secrecy=given["secrecy"],
        )

    def yes_needed(self, base_count: int) -> int:
        """Return the least count of yes that reaches the threshold on a base of this size."""
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

    def can_pass(self, electorate: int) -> bool:
        """Say whether an electorate of this size could pass anything, if all said yes."""
        if electorate < 1:
            return False
        return decide(self, yes=electorate, no=0, abstain=0, electorate=electorate).passed

    def sentence(self, electorate: int) -> str:
        """Say in words when a poll of this electorate passes, with the exact counts."""
        if self.base == "eligible":
            count = self.yes_needed(electorate)
            whole = f"{_members(electorate)} say yes, that is {count}"
        else:
            whole = {
                "decided": "those who vote yes or no say yes",
                "cast": "all who vote, abstentions included, say yes",
            }[self.base]
        text = f"Passes when {_share(self.threshold, strict=self.strict)} {whole}"
        if self.quorum == "none":
            ending = "" if self.base == "eligible" else ", however few vote"
            return f"{text}{ending}."
        least = self.quorum_needed(electorate)
        of = f"{_words(self.quorum_share)} of {_members(electorate)}"
        edge = {
            "approval": f"yes reaches {of}",
            "participation": f"ballots, abstentions included, come from at least {of}",
            "sqrt": f"yes reaches one and a half times the square root of {_members(electorate)}",
        }[self.quorum]
        return f"{text}, and {edge}, that is {least}."


DEFAULT_RULE = Rule()


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A poll's result with every figure on the way to it.

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

    def to_dict(self) -> dict[str, int | str]:
        """Return all figures as integers and words, as they are stored and exported."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def decide(rule: Rule, *, yes: int, no: int, abstain: int, electorate: int) -> Tally:
    """Decide a poll from its counts.

    The quorum is asked first: a poll that misses it is `no_quorum` however the ballots stand.
    Without a single yes or no nothing passes.

    Args:
        rule: the poll's.
        yes: ballots in favour; invalid ballots do not exist here.
        no: ballots against.
        abstain: ballots that abstain; they count as cast, never as decided.
        electorate: how many could vote when the poll opened; those who left since still count.

    Returns:
        The same for any order of the ballots, since only counts matter.

    Raises:
        ValueError: nobody could vote, a count is negative, or more voted than could.
    """
    if electorate < 1:
        raise ValueError("A poll without an electorate decides nothing.")
    if min(yes, no, abstain) < 0:
        raise ValueError("Counts of ballots are not negative.")
    cast, decided = yes + no + abstain, yes + no
    if cast > electorate:
        raise ValueError(f"{cast} ballots cannot come from {electorate} voters.")
    base_count = {"cast": cast, "decided": decided, "eligible": electorate}[rule.base]
    yes_needed = rule.yes_needed(base_count)
    quorum_counted = cast if rule.quorum in {"participation", "none"} else yes
    quorum_needed = rule.quorum_needed(electorate)
    outcome: Outcome = "rejected"
    if quorum_counted < quorum_needed:
        outcome = "no_quorum"
    elif decided > 0 and yes >= yes_needed:
        outcome = "passed"
    return Tally(
        yes=yes,
        no=no,
        abstain=abstain,
        electorate=electorate,
        cast=cast,
        decided=decided,
        base=rule.base,
        base_count=base_count,
        yes_needed=yes_needed,
        quorum=rule.quorum,
        quorum_counted=quorum_counted,
        quorum_needed=quorum_needed,
        outcome=outcome,
    )


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


def _members(electorate: int) -> str:
    noun = "member" if electorate == 1 else "members"
    return f"the {electorate} {noun} entitled to vote"
