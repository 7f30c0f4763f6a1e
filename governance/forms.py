"""Forms of governance: they give input its shape; the rules stay in the verbs."""

from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from allauth.account import forms as account_forms
from django import forms
from django.http import HttpRequest
from django.utils import timezone

from governance import membership, voting
from governance.models import Ballot, Community, Membership, User
from governance.tally import Rule

PERCENT = 100
LONGEST_AMOUNT = 1000


class SignupForm(account_forms.SignupForm):
    """Asks for the name that others will see, beside e-mail and password."""

    name = forms.CharField(max_length=80, label="Name", help_text="Others see this name.")
    field_order = ("name", "email", "password1", "password2")

    def save(self, request: HttpRequest) -> User:
        """Make the person, with their name."""
        user: User = super().save(request)
        user.name = self.cleaned_data["name"]
        user.save(update_fields=["name"])
        return user


class CommunitySettingsForm(forms.Form):
    """What stewards may change of a community."""

    purpose = forms.CharField(
        max_length=membership.LONGEST_PURPOSE,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What people come together for, in a few sentences.",
    )
    visibility = forms.ChoiceField(
        choices=Community.Visibility.choices,
        initial=Community.Visibility.PUBLIC,
        widget=forms.RadioSelect,
        label="Who may read",
    )
    joining = forms.ChoiceField(
        choices=Community.Joining.choices,
        initial=Community.Joining.OPEN,
        widget=forms.RadioSelect,
        label="How people join",
        help_text="A private community is joined by invitation, whatever is chosen here.",
    )


class CommunityForm(CommunitySettingsForm):
    """A new community."""

    name = forms.CharField(max_length=membership.LONGEST_NAME)
    slug = forms.SlugField(
        max_length=membership.LONGEST_SLUG,
        required=False,
        label="Address",
        help_text="Letters, digits and hyphens; made from the name when left empty.",
    )
    field_order = ("name", "purpose", "slug", "visibility", "joining")


class RoleForm(forms.Form):
    """A member's role."""

    role = forms.ChoiceField(choices=Membership.Role.choices)


class InvitationForm(forms.Form):
    """How long an invitation link holds."""

    days = forms.IntegerField(
        min_value=1,
        max_value=membership.LONGEST_INVITATION_DAYS,
        initial=14,
        label="Days until the link expires",
    )


class BallotForm(forms.Form):
    """A ballot; the page draws its choices as cards."""

    choice = forms.ChoiceField(
        choices=Ballot.Choice.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose yes, no or abstain."},
    )


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
        ("approval", "yes must reach a share of all entitled to vote"),
        ("participation", "ballots must reach a share of all entitled to vote"),
        ("sqrt", "yes must reach 1½ times the square root of all entitled to vote"),
        ("none", "none"),
    )

    threshold = forms.ChoiceField(choices=THRESHOLDS, initial=">1/2", label="Yes needs")
    base = forms.ChoiceField(choices=BASES, initial="decided", label="Counted among")
    quorum = forms.ChoiceField(
        choices=QUORUMS,
        initial="approval",
        help_text="With a quorum counted in yes, voting no never helps a poll to pass.",
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


class PollForm(RuleForm):
    """A plain question to all members."""

    UNITS = (("minutes", "minutes"), ("hours", "hours"), ("days", "days"))

    title = forms.CharField(max_length=voting.LONGEST_TITLE, label="Question")
    text = forms.CharField(
        max_length=voting.LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="What exactly is decided. It cannot be changed once the poll is open.",
    )
    duration = forms.IntegerField(
        min_value=1, max_value=LONGEST_AMOUNT, initial=7, label="Open for"
    )
    unit = forms.ChoiceField(choices=UNITS, initial="days", label="Unit of time")
    field_order = (
        "title",
        "text",
        "threshold",
        "base",
        "quorum",
        "quorum_percent",
        "duration",
        "unit",
    )

    def closes_at(self) -> datetime:
        """Return the deadline, counted from now by the server's clock."""
        data = self.cleaned_data
        return timezone.now() + timedelta(**{data["unit"]: data["duration"]})
