"""Shapes that every app shares: a rule asked for, a person named, a poll shown.

Forms and serializers stay within their app, but for these: whoever opens a poll asks for a rule.
"""

import re
from dataclasses import fields
from fractions import Fraction
from typing import Any

from django import forms
from django.utils import timezone
from rest_framework import serializers

from governance import community_rules, electorates, outcomes
from governance.models import Community, Membership, Poll, User
from governance.rules import DEFAULT_RULE, METHODS, Rule, duration

PERCENT = 100
_DAY = 24 * 60


class ShareField(forms.CharField):
    """A share, exactly: a percentage such as 20 or 33.3, or a fraction such as 1/3."""

    _PERCENTAGE = re.compile(r"(\d{1,3})(?:[.,](\d{1,4}))?\s*%?")
    _FRACTION = re.compile(r"(\d{1,6})\s*/\s*(\d{1,6})")

    def prepare_value(self, value: Any) -> Any:
        """Write a share as the percentage that it is, or as a fraction where it is none."""
        if not isinstance(value, Fraction):
            return value
        hundredths = value * PERCENT * 100
        if hundredths.denominator != 1:
            return f"{value.numerator}/{value.denominator}"
        whole, rest = divmod(int(hundredths), 100)
        return f"{whole}.{rest:02d}".rstrip("0").rstrip(".")

    def to_python(self, value: Any) -> Any:
        """Read a share; None for an empty field."""
        text = (super().to_python(value) or "").strip()
        if not text:
            return None
        if found := self._PERCENTAGE.fullmatch(text):
            share = Fraction(f"{found[1]}.{found[2] or 0}") / PERCENT
        elif (found := self._FRACTION.fullmatch(text)) and int(found[2]):
            share = Fraction(int(found[1]), int(found[2]))
        else:
            raise forms.ValidationError("Write a percentage such as 20, or a fraction such as 1/3.")
        if not 0 < share <= 1:
            raise forms.ValidationError("A share lies above 0 and is at most 100 %.")
        return share


def _minutes(*choices: int) -> list[tuple[int, str]]:
    return [(minutes, duration(minutes) if minutes else "none") for minutes in choices]


class RuleForm(forms.Form):
    """How a poll decides: the everyday parts, and the rest; the API takes any exact rule.

    A form sent without a part has the default rule's. Where the community has decided the rule,
    nothing is asked, and the rule is that one.
    """

    METHODS_FIRST = (
        ("yes_no", "Yes or no", "One proposal. Each voter says yes, no or abstains."),
        (
            "approval",
            "Approval",
            (
                "Several options; tick all that you could live with. The simplest way to find "
                "what most people can agree to."
            ),
        ),
        (
            "schulze-wv",
            "Ranking (Schulze)",
            (
                "Put the options in your order. Wins what beats every other option in a duel; good "
                "where a compromise should not be squeezed out."
            ),
        ),
        (
            "star",
            "Scores, then a runoff (STAR)",
            (
                "Give each option 0 to 5 points; of the two best, the one that more people prefer "
                "wins. Good where it matters how strongly people care."
            ),
        ),
    )
    METHODS_MORE = (
        (
            "score",
            "Scores",
            "0 to 5 points each, and the most points win. Open to exaggeration: 5 or 0 weigh most.",
        ),
        (
            "irv",
            "Ranking, instant runoff",
            (
                "The option with the fewest first places goes, round by round. Used in elections; "
                "a broad second choice can go early."
            ),
        ),
        (
            "ranked-pairs",
            "Ranking, ranked pairs",
            "The clearest duels are settled first. Close to Schulze, and easier to retrace.",
        ),
        (
            "schulze-margins",
            "Ranking, Schulze by margins",
            "As Schulze, but a duel counts by how far it was won.",
        ),
        ("minimax", "Ranking, minimax", "Wins the option whose worst defeat is the mildest."),
        (
            "copeland",
            "Ranking, Copeland",
            "Wins the option that wins the most duels. Easy to say; ties are frequent.",
        ),
        (
            "quadratic",
            "Quadratic votes",
            (
                "100 credits to spend; 4 credits give 2 votes, 9 give 3. A minority that cares can "
                "weigh more. Needs verified e-mail addresses."
            ),
        ),
        (
            "weighted",
            "One vote, split at will",
            "Each voter divides one vote among the options. Good for shares and priorities.",
        ),
    )
    THRESHOLDS = (
        (">1/2", "more than half"),
        (">=1/2", "at least half"),
        (">=3/5", "at least three fifths"),
        (">=2/3", "at least two thirds"),
        (">2/3", "more than two thirds"),
        (">=3/4", "at least three quarters"),
        (">=1/1", "all"),
    )
    BASES = (
        ("decided", "of those who decide: yes or no; above or below the status quo"),
        ("cast", "of all who vote, abstentions included"),
        ("eligible", "of everyone entitled to vote"),
    )
    QUORUMS = (
        ("approval", "a share of all, counted in those in favour"),
        ("participation", "a share of all, counted in ballots"),
        ("sqrt", "1½ times the square root of all, in favour"),
        ("none", "none"),
    )
    SECRECIES = (
        (
            "roll_call",
            (
                "Roll call: after the close, members see who voted how. Nobody need be trusted; "
                "everyone can check the count."
            ),
        ),
        (
            "secret",
            (
                "Secret: who voted is known, and how is not. Whoever runs this site could link a "
                "ballot to you while it waits in its envelope, or by reading the server's memory or"
                " backups; other members cannot."
            ),
        ),
    )
    GROUP_SUPPORTS = (
        ("0/1", "not asked"),
        ("1/4", "at least one quarter in each group"),
        ("1/3", "at least one third in each group"),
        ("1/2", "at least half in each group"),
        ("2/3", "at least two thirds in each group"),
    )
    EVERYDAY = ("threshold", "base", "quorum", "quorum_percent", "secrecy")
    REST = (
        "delegation",
        "delegation_cap",
        "ties",
        "group_support",
        "deliberation",
        "period",
        "extension",
        "membership_days",
        "verified_email",
        "weighting",
    )

    MAY_BE_LEFT_OUT = frozenset(
        {
            "method",
            "secrecy",
            "ties",
            "group_support",
            "deliberation",
            "period",
            "extension",
            "weighting",
        }
    )

    method = forms.ChoiceField(
        choices=[(name, label) for name, label, _ in (*METHODS_FIRST, *METHODS_MORE)],
        initial="yes_no",
        widget=forms.RadioSelect,
        label="Method of voting",
    )
    threshold = forms.ChoiceField(choices=THRESHOLDS, initial=">1/2", label="To pass, it needs")
    base = forms.ChoiceField(choices=BASES, initial="decided", label="Counted among")
    quorum = forms.ChoiceField(
        choices=QUORUMS,
        initial="approval",
        help_text="How many of all entitled to vote it takes. With a quorum of those in favour, "
        "voting no never helps a poll to pass.",
    )
    quorum_percent = ShareField(
        initial=Fraction(1, 5),
        required=False,
        label="Quorum in percent",
        help_text="Of all entitled to vote; for the first two kinds.",
    )
    secrecy = forms.ChoiceField(
        choices=SECRECIES,
        initial="roll_call",
        widget=forms.RadioSelect,
        label="Who sees how people voted",
    )
    delegation = forms.BooleanField(
        required=False, label="Whoever casts no ballot may vote through a delegate"
    )
    delegation_cap = forms.IntegerField(
        min_value=0,
        initial=0,
        required=False,
        label="Votes that one person carries at most",
        help_text="The own vote included; 0 for any number.",
    )
    ties = forms.ChoiceField(
        choices=[
            ("seed", "broken by a number drawn when the poll opens and published when it closes"),
            ("report", "not broken: the poll is then tied"),
        ],
        initial="seed",
        label="Ties among options are",
    )
    group_support = forms.ChoiceField(
        choices=GROUP_SUPPORTS,
        initial="0/1",
        label="Support in each opinion group",
        help_text="Of those who decide. A group in which fewer than five decide blocks nothing.",
    )
    deliberation = forms.TypedChoiceField(
        choices=_minutes(0, 60, 12 * 60, _DAY, 2 * _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY),
        coerce=int,
        initial=0,
        label="Deliberation before it opens, at least",
    )
    period = forms.TypedChoiceField(
        choices=_minutes(0, 60, 12 * 60, _DAY, 2 * _DAY, 3 * _DAY, 7 * _DAY, 14 * _DAY, 30 * _DAY),
        coerce=int,
        initial=0,
        label="Time that it is open, at least",
    )
    extension = forms.TypedChoiceField(
        choices=_minutes(0, 10, 30, 60, 6 * 60, 12 * 60, _DAY),
        coerce=int,
        initial=0,
        label="Extension where the outcome flips late",
        help_text="Once: a flip in the last minutes, so many, keeps the poll open as many more.",
    )
    membership_days = forms.IntegerField(
        min_value=0,
        initial=0,
        required=False,
        label="Days of membership that voting asks for",
        help_text="Counted when the poll opens; 0 for none.",
    )
    verified_email = forms.BooleanField(
        required=False, label="Only members with a verified e-mail address vote"
    )
    weighting = forms.ChoiceField(
        choices=[
            ("equal", "the same for everybody"),
            ("seniority", "one more for each full year of membership, five at most"),
        ],
        initial="equal",
        label="Votes count",
    )

    def __init__(
        self,
        *args: Any,
        rule: Rule = DEFAULT_RULE,
        is_decided: bool = False,
        takes_options: bool = False,
        **given: Any,
    ) -> None:
        """Begin with `rule`, or keep to it.

        Args:
            *args: the data, as for every form.
            rule: from which the form starts.
            is_decided: whether the community has decided it, so that nothing is asked.
            takes_options: whether the poll may choose among options.
            **given: what else every form takes.
        """
        parts = _parts(rule)
        given["initial"] = {**parts, **(given.get("initial") or {})}
        super().__init__(*args, **given)
        if self.is_bound:
            usual = _parts(DEFAULT_RULE)
            sent: Any = self.data.copy()  # type: ignore[attr-defined]
            for name in self.MAY_BE_LEFT_OUT:
                sent.setdefault(name, str(usual[name]))
            self.data = sent
        self.start, self.is_decided = rule, is_decided
        if not takes_options:
            for name in ("method", "ties"):
                self.fields.pop(name, None)
        if is_decided:
            for name in ("method", *self.EVERYDAY, *self.REST):
                self.fields.pop(name, None)
            return
        for name, words in (
            ("threshold", f"{'more than' if rule.strict else 'at least'} {rule.threshold}"),
            ("group_support", f"at least {rule.group_support} in each group"),
            ("deliberation", duration(rule.deliberation)),
            ("period", duration(rule.period)),
            ("extension", duration(rule.extension)),
        ):
            self._offer(name, parts[name], words)

    def _offer(self, name: str, value: Any, words: str) -> None:
        """Add the starting rule's own value where the everyday ones leave it out."""
        field = self.fields[name]
        if not isinstance(field, forms.ChoiceField):
            return
        offered: list[Any] = list(field.choices)  # type: ignore[arg-type]
        if str(value) not in {str(key) for key, _ in offered}:
            field.choices = [*offered, (value, words)]

    @property
    def everyday_fields(self) -> list[forms.BoundField]:
        """What most polls choose."""
        return [self[name] for name in self.EVERYDAY if name in self.fields]

    @property
    def rest_fields(self) -> list[forms.BoundField]:
        """What few polls choose."""
        return [self[name] for name in self.REST if name in self.fields]

    @property
    def rest_is_open(self) -> bool:
        """Whether something there is wrong, or is not as the default rule has it."""
        usual = _parts(DEFAULT_RULE)
        return any(
            field.errors or str(field.value() or 0) not in {str(usual[field.name]), "0", "False"}
            for field in self.rest_fields
            if field.name in usual
        )

    @property
    def method_cards(self) -> dict[str, list[dict[str, Any]]]:
        """The methods of voting as cards: the usual ones, and more."""
        if "method" not in self.fields:
            return {}
        chosen = self["method"].value() or "yes_no"
        return {
            name: [
                {"value": value, "label": label, "text": text, "checked": value == chosen}
                for value, label, text in cards
            ]
            for name, cards in (("first", self.METHODS_FIRST), ("more", self.METHODS_MORE))
        }

    @property
    def more_is_open(self) -> bool:
        """Whether a method among the rarer ones is chosen."""
        return any(card["checked"] for card in self.method_cards.get("more", []))

    def clean(self) -> dict[str, Any]:
        """Make the rule of its parts, or say which part is missing."""
        data = super().clean() or {}
        if self.is_decided:
            data["rule"] = self.start
            return data
        if data.get("quorum") in {"approval", "participation"} and not data.get("quorum_percent"):
            self.add_error("quorum_percent", "This quorum needs a percentage.")
        if self.errors:
            return data
        sign, _, share = data["threshold"].rpartition("=")
        known = {field.name for field in fields(Rule)}
        parts = {name: value for name, value in data.items() if name in known and value}
        parts |= {
            "threshold": Fraction(share.lstrip(">")),
            "strict": not sign,
            "quorum_share": data["quorum_percent"] or Fraction(0),
            "group_support": Fraction(data.get("group_support") or 0),
        }
        try:
            data["rule"] = Rule(**parts)
        except ValueError as error:
            self.add_error(None, str(error))
        return data


def _parts(rule: Rule) -> dict[str, Any]:
    """Return what the fields of a form show of a rule."""
    return {
        **{field.name: getattr(rule, field.name) for field in fields(rule)},
        "threshold": f"{'>' if rule.strict else '>='}{_written(rule.threshold)}",
        "group_support": _written(rule.group_support),
        "quorum_percent": rule.quorum_share or Fraction(1, 5),
    }


def _written(share: Fraction) -> str:
    return f"{share.numerator}/{share.denominator}"


def rule_terms(community: Community, kind: str, *, free: bool = False) -> dict[str, Any]:
    """Return what a RuleForm needs to ask for the rule of a new poll of this kind.

    Where it is `free`, a rule is chosen for all such polls, or as the default; none binds then.
    """
    is_default = kind == community_rules.DEFAULT
    return {
        "rule": community_rules.rule_for(community, kind),
        "is_decided": not free and community_rules.rule_of(community, kind) is not None,
        "takes_options": not is_default and outcomes.kind_named(kind).takes_options,
    }


def votes_now(community_id: int, rule: Rule) -> int:
    """Return how many votes there were if a poll of this rule opened now."""
    if rule.membership_days or rule.verified_email or rule.weighting != "equal":
        electors = electorates.electors_for(community_id, rule, timezone.now())
        return sum(weight for _, weight, _ in electors)
    return Membership.objects.filter(community_id=community_id).active().count()


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person as others see them."""

    class Meta:
        model = User
        fields = ("id", "name", "is_scripted")


def _share(above: int, below: int) -> Any:
    return serializers.ListField(
        child=serializers.IntegerField(min_value=0),
        min_length=2,
        max_length=2,
        default=lambda: [above, below],
    )


class RuleSerializer(serializers.Serializer[Any]):
    """A rule; shares are pairs of integers, such as [2, 3], and times are minutes."""

    method = serializers.ChoiceField(choices=METHODS, default="yes_no")
    base = serializers.ChoiceField(choices=["cast", "decided", "eligible"], default="decided")
    threshold = _share(1, 2)
    strict = serializers.BooleanField(default=True)
    quorum = serializers.ChoiceField(
        choices=["none", "participation", "approval", "sqrt"], default="approval"
    )
    quorum_share = _share(1, 5)
    group_support = _share(0, 1)
    secrecy = serializers.ChoiceField(choices=["roll_call", "secret"], default="roll_call")
    delegation = serializers.BooleanField(default=False)
    delegation_cap = serializers.IntegerField(min_value=0, default=0)
    ties = serializers.ChoiceField(choices=["seed", "report"], default="seed")
    extension = serializers.IntegerField(min_value=0, default=0)
    deliberation = serializers.IntegerField(min_value=0, default=0)
    period = serializers.IntegerField(min_value=0, default=0)
    membership_days = serializers.IntegerField(min_value=0, default=0)
    verified_email = serializers.BooleanField(default=False)
    weighting = serializers.ChoiceField(choices=["equal", "seniority"], default="equal")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is no rule, with the rule's own sentence."""
        try:
            Rule.from_dict(attrs)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return attrs


class OptionSerializer(serializers.Serializer[Any]):
    """An option of a poll; ballots name it by its key."""

    key = serializers.CharField(read_only=True)
    title = serializers.CharField()
    text = serializers.CharField(allow_blank=True)


class PollSerializer(serializers.ModelSerializer[Poll]):
    """A poll; its tally is null, and its seed empty, until it is closed."""

    rule = RuleSerializer()
    options = OptionSerializer(many=True)
    sentence = serializers.SerializerMethodField()
    sentences = serializers.SerializerMethodField()
    seed = serializers.SerializerMethodField()
    period = serializers.SerializerMethodField()
    opened_by = PersonSerializer()

    class Meta:
        model = Poll
        fields: tuple[str, ...] = (
            "id",
            "kind",
            "subject_key",
            "title",
            "text",
            "text_digest",
            "options",
            "rule",
            "sentence",
            "sentences",
            "electorate_size",
            "electorate_weight",
            "electorate_digest",
            "seed_digest",
            "seed",
            "status",
            "outcome",
            "tally",
            "reason",
            "opened_by",
            "period",
            "opens_at",
            "opened_at",
            "closes_at",
            "extended_at",
            "closed_at",
        )

    def get_sentence(self, poll: Poll) -> str:
        """Say when the poll passes, in words."""
        return Rule.from_dict(poll.rule).sentence(self._votes(poll))

    def get_sentences(self, poll: Poll) -> list[str]:
        """Say all that a voter should know of the rule, in words."""
        return Rule.from_dict(poll.rule).sentences(self._votes(poll))

    def get_seed(self, poll: Poll) -> str:
        """Return what breaks ties, once nobody can vote any more."""
        return poll.seed if poll.status == Poll.Status.CLOSED else ""

    def get_period(self, poll: Poll) -> int:
        """Return how long the poll is open, in minutes."""
        return int(poll.period.total_seconds()) // 60

    def _votes(self, poll: Poll) -> int:
        """Return the votes that there are, or would be if the poll opened now."""
        if poll.has_opened:
            return poll.electorate_weight
        rule = Rule.from_dict(poll.rule)
        context: dict[str, Any] = self.context  # type: ignore[assignment]
        counted: dict[Any, int] = context.setdefault("votes_now", {})
        who = (poll.community_id, rule.membership_days, rule.verified_email, rule.weighting)
        if who not in counted:
            counted[who] = votes_now(poll.community_id, rule)
        return counted[who]
