"""Shapes that every app shares: a rule asked for, a person named, a poll shown.

Forms and serializers stay within their app, but for these: whoever opens a poll asks for a rule.
"""

from fractions import Fraction
from typing import Any

from django import forms
from rest_framework import serializers

from governance.models import Poll, User
from governance.tally import Rule

PERCENT = 100


class RuleForm(forms.Form):
    """How a poll decides, in the words of its everyday cases; the API takes any exact rule."""

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
        ("decided", "of those who vote yes or no"),
        ("cast", "of all who vote, abstentions included"),
        ("eligible", "of everyone entitled to vote"),
    )
    QUORUMS = (
        ("approval", "a share of all, counted in yes"),
        ("participation", "a share of all, counted in ballots"),
        ("sqrt", "1½ times the square root of all, in yes"),
        ("none", "none"),
    )

    threshold = forms.ChoiceField(choices=THRESHOLDS, initial=">1/2", label="Yes needs")
    base = forms.ChoiceField(choices=BASES, initial="decided", label="Counted among")
    quorum = forms.ChoiceField(
        choices=QUORUMS,
        initial="approval",
        help_text="How many of all entitled to vote it takes. With a quorum counted in yes, "
        "voting no never helps a poll to pass.",
    )
    quorum_percent = forms.IntegerField(
        min_value=1,
        max_value=PERCENT,
        initial=20,
        required=False,
        label="Quorum in percent",
        help_text="Of the members entitled to vote; for the first two kinds.",
    )

    def clean(self) -> dict[str, Any]:
        """Make the rule of its parts, or say which part is missing."""
        data = super().clean() or {}
        if data.get("quorum") in {"approval", "participation"} and not data.get("quorum_percent"):
            self.add_error("quorum_percent", "This quorum needs a percentage.")
        if not self.errors:
            sign, _, share = data["threshold"].rpartition("=")
            strict = not sign
            data["rule"] = Rule(
                base=data["base"],
                threshold=Fraction(share.lstrip(">")),
                strict=strict,
                quorum=data["quorum"],
                quorum_share=Fraction(data["quorum_percent"] or 0, PERCENT),
            )
        return data


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person as others see them."""

    class Meta:
        model = User
        fields = ("id", "name", "is_scripted")


class RuleSerializer(serializers.Serializer[Any]):
    """A rule; shares are pairs of integers, such as [2, 3]."""

    method = serializers.ChoiceField(choices=["yes_no"], default="yes_no")
    base = serializers.ChoiceField(choices=["cast", "decided", "eligible"], default="decided")
    threshold = serializers.ListField(
        child=serializers.IntegerField(min_value=0),
        min_length=2,
        max_length=2,
        default=lambda: [1, 2],
    )
    strict = serializers.BooleanField(default=True)
    quorum = serializers.ChoiceField(
        choices=["none", "participation", "approval", "sqrt"], default="approval"
    )
    quorum_share = serializers.ListField(
        child=serializers.IntegerField(min_value=0),
        min_length=2,
        max_length=2,
        default=lambda: [1, 5],
    )
    secrecy = serializers.ChoiceField(choices=["roll_call"], default="roll_call")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse what is no rule, with the rule's own sentence."""
        try:
            Rule.from_dict(attrs)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error
        return attrs


class PollSerializer(serializers.ModelSerializer[Poll]):
    """A poll; its tally is null until it is closed."""

    rule = RuleSerializer()
    sentence = serializers.SerializerMethodField()
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
            "rule",
            "sentence",
            "electorate_size",
            "electorate_digest",
            "status",
            "outcome",
            "tally",
            "opened_by",
            "opened_at",
            "closes_at",
            "closed_at",
        )

    def get_sentence(self, poll: Poll) -> str:
        """Say when the poll passes, in words."""
        return Rule.from_dict(poll.rule).sentence(poll.electorate_size)
