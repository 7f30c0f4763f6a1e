"""Forms of governance: they give input its shape; the rules stay in the verbs."""

from datetime import datetime, timedelta

from allauth.account import forms as account_forms
from django import forms
from django.http import HttpRequest
from django.utils import timezone

from governance import membership, voting
from governance.models import Ballot, Community, Membership, User
from governance.shapes import RuleForm

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
