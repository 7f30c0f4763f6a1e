"""Forms of governance: they give input its shape; the rules stay in the verbs."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from allauth.account import forms as account_forms
from django import forms
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format

from governance import membership, polling, rule_setting, stewardship
from governance.following import known_as
from governance.models import Community, Membership, Motion, Poll, User
from governance.outcomes import PollKind
from governance.rules import STATUS_QUO
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


class PollForm(RuleForm):
    """A plain question to all members, or a choice among options."""

    UNITS = (("minutes", "minutes"), ("hours", "hours"), ("days", "days"))
    SPARE_OPTIONS = 3

    title = forms.CharField(max_length=polling.LONGEST_TITLE, label="Question")
    text = forms.CharField(
        max_length=polling.LONGEST_TEXT,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="What exactly is decided. It cannot be changed once the poll is open.",
    )
    duration = forms.IntegerField(
        min_value=1, max_value=LONGEST_AMOUNT, initial=7, label="Open for"
    )
    unit = forms.ChoiceField(choices=UNITS, initial="days", label="Unit of time")

    def __init__(self, *args: Any, options: int = SPARE_OPTIONS, **given: Any) -> None:
        """Ask for so many options, where the poll may have any."""
        super().__init__(*args, **given)
        takes_options = "method" in self.fields or (self.is_decided and self.start.has_options)
        self.shown = min(max(options, self.SPARE_OPTIONS), polling.MOST_OPTIONS)
        for number in range(self.shown if takes_options else 0):
            self.fields[f"option-{number}"] = forms.CharField(
                max_length=polling.LONGEST_TITLE,
                required=False,
                label=f"Option {number + 1}",
                widget=forms.TextInput(attrs={"placeholder": " "}),
            )
            self.fields[f"option-text-{number}"] = forms.CharField(
                max_length=polling.LONGEST_OPTION,
                required=False,
                label=f"About option {number + 1}",
                widget=forms.Textarea(attrs={"rows": 2}),
            )

    @property
    def option_rows(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """The fields of the options: title and text of each."""
        return [
            (self[f"option-{number}"], self[f"option-text-{number}"])
            for number in range(self.shown)
            if f"option-{number}" in self.fields
        ]

    @property
    def may_have_more(self) -> bool:
        """Whether there is room for more options."""
        return self.shown < polling.MOST_OPTIONS

    def clean(self) -> dict[str, Any]:
        """Refuse a text about an option that has no title."""
        data = super().clean()
        for title, text in self.option_rows:
            if data.get(text.name) and not data.get(title.name):
                self.add_error(title.name, "An option needs a title.")
        return data

    def given(self) -> dict[str, Any]:
        """Return what the verbs take, but for the time."""
        data = self.cleaned_data
        options = [
            {"title": data[title.name], "text": data[text.name]}
            for title, text in self.option_rows
            if data.get(title.name)
        ]
        return {
            "title": data["title"],
            "text": data["text"],
            "rule": data["rule"],
            "options": options,
        }

    def time_open(self) -> timedelta:
        """Return for how long the poll is open."""
        data = self.cleaned_data
        return timedelta(**{data["unit"]: data["duration"]})

    def closes_at(self) -> datetime:
        """Return the deadline of a poll that opens now, by the server's clock."""
        return timezone.now() + self.time_open()


def poll_initial(poll: Poll) -> dict[str, Any]:
    """Return what a PollForm shows of a poll that is edited."""
    minutes = max(round(poll.period.total_seconds() / 60), 1)
    unit, size = next((u, s) for u, s in _UNITS if minutes % s == 0)
    options = [option for option in poll.options if option["key"] != STATUS_QUO]
    return {
        "title": poll.title,
        "text": poll.text,
        "duration": minutes // size,
        "unit": unit,
        **{f"option-{number}": option["title"] for number, option in enumerate(options)},
        **{f"option-text-{number}": option["text"] for number, option in enumerate(options)},
    }


_UNITS = (("days", 24 * 60), ("hours", 60), ("minutes", 1))


class AnnounceForm(forms.Form):
    """When a draft opens."""

    opens_at = forms.DateTimeField(
        required=False,
        label="Opens at (UTC)",
        help_text="Left empty: as soon as its rule allows.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


class ReasonForm(forms.Form):
    """Why a poll is withdrawn."""

    reason = forms.CharField(
        max_length=polling.LONGEST_REASON, widget=forms.Textarea(attrs={"rows": 3})
    )


class DelegationForm(forms.Form):
    """To whom a vote goes, and in which polls."""

    delegate = forms.TypedChoiceField(
        coerce=int,
        widget=forms.RadioSelect,
        label="Who shall vote for you where you do not",
        error_messages={"required": "Choose a member."},
    )
    scope = forms.ChoiceField(
        label="In which polls",
        help_text="One poll goes before its kind, and a kind before all polls.",
    )
    field_order = ("scope", "delegate")

    def __init__(
        self,
        *args: Any,
        members: Iterable[Membership],
        kinds: Iterable[PollKind],
        polls: Iterable[Poll],
        **given: Any,
    ) -> None:
        """Offer these members, all polls, these kinds of poll, and these polls."""
        super().__init__(*args, **given)
        self.fields["delegate"].choices = [(m.user_id, _described(m)) for m in members]  # type: ignore[attr-defined]
        offered: list[Any] = [
            ("community", "All polls"),
            ("Polls of one kind", [(f"topic:{kind.name}", kind.label) for kind in kinds]),
        ]
        if one := [(f"poll:{poll.pk}", poll.title) for poll in polls]:
            offered.append(("One poll", one))
        self.fields["scope"].choices = offered  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """Return what the verb takes."""
        kind, _, name = self.cleaned_data["scope"].partition(":")
        return {
            "delegate_id": self.cleaned_data["delegate"],
            "topic": name if kind == "topic" else "",
            "poll_id": int(name) if kind == "poll" else None,
        }


def _described(place: Membership) -> str:
    """Name a member so that two of one name can be told apart."""
    since = f", member since {date_format(place.joined_at, 'j F Y')}" if place.joined_at else ""
    return f"{known_as(place.user)}{since}"


class PollMotionForm(forms.Form):
    """What two stewards may do about an open poll."""

    kind = forms.ChoiceField(
        choices=[
            (Motion.Kind.CLOSE_EARLY, "Close it now, and count the ballots cast so far"),
            (Motion.Kind.WITHDRAW_POLL, "Withdraw it; nothing is counted"),
        ],
        widget=forms.RadioSelect,
        label="What shall happen",
    )
    poll = forms.TypedChoiceField(coerce=int, label="Poll")
    reason = forms.CharField(
        max_length=stewardship.LONGEST_REASON, widget=forms.Textarea(attrs={"rows": 3})
    )
    field_order = ("poll", "kind", "reason")

    def __init__(self, *args: Any, polls: Iterable[Poll], **given: Any) -> None:
        """Offer these polls."""
        super().__init__(*args, **given)
        self.fields["poll"].choices = [(poll.pk, poll.title) for poll in polls]  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """Return what the verb takes."""
        data = self.cleaned_data
        return {"kind": data["kind"], "poll_id": data["poll"], "reason": data["reason"]}


class StewardMotionForm(forms.Form):
    """Whose role shall become, or cease to be, that of a steward."""

    member = forms.TypedChoiceField(coerce=int, label="Member")
    role = forms.ChoiceField(choices=Membership.Role.choices, label="New role")
    reason = forms.CharField(
        max_length=stewardship.LONGEST_REASON, widget=forms.Textarea(attrs={"rows": 3})
    )

    def __init__(self, *args: Any, members: Iterable[Membership], **given: Any) -> None:
        """Offer these members."""
        super().__init__(*args, **given)
        self.fields["member"].choices = [  # type: ignore[attr-defined]
            (m.pk, f"{_described(m)}, {m.get_role_display().lower()} now") for m in members
        ]

    def given(self) -> dict[str, Any]:
        """Return what the verb takes."""
        data = self.cleaned_data
        return {
            "kind": Motion.Kind.CHANGE_STEWARD,
            "membership_id": data["member"],
            "role": data["role"],
            "reason": data["reason"],
        }


class PeriodForm(forms.Form):
    """How long a poll is open."""

    duration = forms.IntegerField(
        min_value=1, max_value=LONGEST_AMOUNT, initial=7, label="Open for"
    )
    unit = forms.ChoiceField(choices=PollForm.UNITS, initial="days", label="Unit of time")

    def period(self) -> timedelta:
        """Return how long the poll is open."""
        data = self.cleaned_data
        return timedelta(**{data["unit"]: data["duration"]})


class StewardChangeForm(PeriodForm):
    """A poll about who is a steward."""

    role = forms.ChoiceField(label="New role")
    reason = forms.CharField(
        max_length=stewardship.LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="It enters the public record of the poll; do without names here.",
    )
    field_order = ("role", "reason", "duration", "unit")

    def __init__(self, *args: Any, removes: bool, **given: Any) -> None:
        """Offer the roles that end a stewardship, or that of a steward."""
        super().__init__(*args, **given)
        self.fields["role"].choices = [  # type: ignore[attr-defined]
            (value, label)
            for value, label in Membership.Role.choices
            if (value == Membership.Role.STEWARD) != removes
        ]


class RuleProposalForm(PeriodForm):
    """Why a rule shall hold, and how long the poll about it is open."""

    reason = forms.CharField(
        max_length=rule_setting.LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 4}),
        required=False,
        label="Why",
        help_text="The voters read it below the rule in words.",
    )
    field_order = ("reason", "duration", "unit")
