"""Ballots as forms: one for each method of voting, made from the poll's options.

A form gives a ballot its written form (see `methods.ballots`); whether the poll takes it, the verb
decides. Every form works with plain inputs; `static/js/ballot.js` makes ranking easier.
"""

from collections.abc import Sequence
from typing import Any

from django import forms

from governance.methods.ballots import CREDITS, LARGEST_AMOUNT, MAX_SCORE, check
from governance.rules import Rule

CHOICES = (("yes", "Yes"), ("no", "No"), ("abstain", "Abstain"))
Options = Sequence[dict[str, str]]


class BallotForm(forms.Form):
    """A ballot of any method.

    `blank` casts a ballot that takes part and favours nothing, where the method has no abstention.
    """

    shape = ""
    names: tuple[str, ...] = ()

    def __init__(
        self, data: Any = None, *, rule: Rule, options: Options, content: Any = None
    ) -> None:
        """Ask for a ballot, beginning with the one that was cast, if any."""
        self.rule, self.options = rule, options
        self.keys = [option["key"] for option in options]
        super().__init__(data, initial=self.begin(content) if content is not None else {})
        self.ask()

    def ask(self) -> None:
        """Add the fields."""
        raise NotImplementedError

    def begin(self, content: Any) -> dict[str, Any]:
        """Return what the fields show of a ballot that was cast."""
        raise NotImplementedError

    def read(self, data: dict[str, Any]) -> Any:
        """Return the content that the fields mean; anything false means that nothing was said."""
        raise NotImplementedError

    def _clean_fields(self) -> None:
        # Whoever casts a blank ballot need not fill in the rest. (The stubs leave this method out.)
        if not (self.rule.has_options and "blank" in self.data):
            super()._clean_fields()  # type: ignore[misc]

    def clean(self) -> dict[str, Any]:
        """Add `content`, or say what is wrong."""
        data = super().clean() or {}
        if self.errors:
            return data
        if self.rule.has_options and "blank" in self.data:
            return {"content": {} if self.rule.method in LARGEST_AMOUNT else []}
        self._refuse_unknown()
        content = self.read(data)
        if not self.errors and not content:
            self.add_error(None, "Your ballot says nothing yet. Fill it in, or cast it blank.")
        elif not self.errors and self.rule.has_options:
            try:
                content = check(self.rule.method, self.keys, content)
            except ValueError as error:
                self.add_error(None, str(error))
        return {"content": content}

    def _refuse_unknown(self) -> None:
        """Refuse inputs for options that the poll does not have, and inputs sent twice."""
        for name in self.data:
            if name.startswith(f"{self.shape}-"):
                if name not in self.fields:
                    self.add_error(None, "This ballot names an option that the poll does not have.")
                    return
                if hasattr(self.data, "getlist") and len(self.data.getlist(name)) > 1:
                    self.add_error(None, "This ballot names an option twice.")
                    return

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each option with its field, where there is one of its own."""
        rows = [
            {"option": option, "field": self[f"{self.shape}-{option['key']}"]}
            for option in self.options
            if f"{self.shape}-{option['key']}" in self.fields
        ]
        return self.in_order(rows)

    def in_order(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows as they are shown."""
        return rows


class YesNoForm(BallotForm):
    """Yes, no or abstain."""

    shape = "yes_no"

    def ask(self) -> None:
        """Add the fields."""
        self.fields["content"] = forms.ChoiceField(
            choices=CHOICES,
            widget=forms.RadioSelect,
            error_messages={"required": "Choose yes, no or abstain."},
        )

    def begin(self, content: Any) -> dict[str, Any]:
        """Return what the fields show of a ballot that was cast."""
        return {"content": content}

    def read(self, data: dict[str, Any]) -> Any:
        """Return the content that the fields mean."""
        return data["content"]


class ApprovalForm(BallotForm):
    """The options approved of."""

    shape = "approve"

    def ask(self) -> None:
        """Add the fields."""
        self.fields["approve"] = forms.MultipleChoiceField(
            choices=[(option["key"], option["title"]) for option in self.options],
            widget=forms.CheckboxSelectMultiple,
            required=False,
            error_messages={
                "invalid_choice": "This ballot names an option that the poll does not have."
            },
        )

    def begin(self, content: Any) -> dict[str, Any]:
        """Return what the fields show of a ballot that was cast."""
        return {"approve": content}

    def read(self, data: dict[str, Any]) -> Any:
        """Return the content that the fields mean."""
        return data["approve"]


class RankingForm(BallotForm):
    """A number for each option: 1 is best, the same number is a tie, none is last."""

    shape = "rank"

    def ask(self) -> None:
        """Add the fields."""
        for option in self.options:
            self.fields[f"rank-{option['key']}"] = forms.IntegerField(
                min_value=1,
                max_value=len(self.options),
                required=False,
                label=option["title"],
                widget=forms.NumberInput(attrs={"inputmode": "numeric", "data-rank": ""}),
                error_messages={
                    "invalid": f"“{option['title']}”: write a whole number, or nothing.",
                    "min_value": f"“{option['title']}”: 1 is the best place.",
                    "max_value": f"“{option['title']}”: the last place is {len(self.options)}.",
                },
            )

    def begin(self, content: Any) -> dict[str, Any]:
        """Return what the fields show of a ballot that was cast."""
        return {f"rank-{key}": place for place, tier in enumerate(content, 1) for key in tier}

    def read(self, data: dict[str, Any]) -> Any:
        """Return the content that the fields mean."""
        places: dict[int, list[str]] = {}
        for key in self.keys:
            if place := data.get(f"rank-{key}"):
                places.setdefault(place, []).append(key)
        return [places[place] for place in sorted(places)]

    def in_order(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the rows by the places given, those without one last."""

        def place(row: dict[str, Any]) -> int:
            value = str(row["field"].value() or "")
            return int(value) if value.isdecimal() and len(value) < len("1000") else len(rows) + 1

        return sorted(rows, key=place)


class AmountForm(BallotForm):
    """A whole number for each option: credits, or parts of the one vote."""

    shape = "amount"
    noun = "parts"

    def ask(self) -> None:
        """Add the fields."""
        most = LARGEST_AMOUNT[self.rule.method]
        for option in self.options:
            self.fields[f"{self.shape}-{option['key']}"] = forms.IntegerField(
                min_value=0,
                max_value=most,
                required=False,
                label=option["title"],
                widget=forms.NumberInput(attrs={"inputmode": "numeric", "data-amount": ""}),
                error_messages={
                    "invalid": f"“{option['title']}”: write a whole number, or nothing.",
                    "min_value": f"“{option['title']}”: 0 is the least.",
                    "max_value": f"“{option['title']}”: {most} is the most.",
                },
            )

    def begin(self, content: Any) -> dict[str, Any]:
        """Return what the fields show of a ballot that was cast."""
        return {f"{self.shape}-{key}": amount for key, amount in content.items()}

    def read(self, data: dict[str, Any]) -> Any:
        """Return the content that the fields mean."""
        given = {key: data.get(f"{self.shape}-{key}") for key in self.keys}
        return {key: amount for key, amount in given.items() if amount}

    @property
    def total(self) -> int:
        """What is given so far, as far as it can be read."""
        values = (str(row["field"].value() or 0) for row in self.rows)
        return sum(int(value) for value in values if value.isdecimal() and len(value) < len("1000"))


class CreditsForm(AmountForm):
    """Credits to spend."""

    noun = "credits"
    budget = CREDITS

    @property
    def left(self) -> int:
        """How many credits are not spent yet."""
        return CREDITS - self.total

    def clean(self) -> dict[str, Any]:
        """Say by how much a ballot spends too much."""
        data = super().clean()
        if self.left < 0:
            self.errors.pop("__all__", None)
            self.add_error(
                None,
                f"You spent {self.total} credits, {-self.left} more than the {CREDITS} there are.",
            )
        return data


class PointsForm(BallotForm):
    """0 to 5 points for each option."""

    shape = "points"

    def ask(self) -> None:
        """Add the fields."""
        for option in self.options:
            self.fields[f"points-{option['key']}"] = forms.TypedChoiceField(
                choices=[(points, str(points)) for points in range(MAX_SCORE + 1)],
                coerce=int,
                empty_value=None,
                required=False,
                label=option["title"],
                widget=forms.RadioSelect,
                error_messages={"invalid_choice": f"“{option['title']}” takes 0 to 5 points."},
            )

    def begin(self, content: Any) -> dict[str, Any]:
        """Return what the fields show of a ballot that was cast."""
        return {f"points-{key}": points for key, points in content.items()}

    def read(self, data: dict[str, Any]) -> Any:
        """Return the content that the fields mean."""
        given = {key: data.get(f"points-{key}") for key in self.keys}
        return {key: points for key, points in given.items() if points is not None}


_FORMS: dict[str, type[BallotForm]] = {
    "yes_no": YesNoForm,
    "approval": ApprovalForm,
    "score": PointsForm,
    "star": PointsForm,
    "quadratic": CreditsForm,
    "weighted": AmountForm,
}


def ballot_form(rule: Rule, options: Options, data: Any = None, content: Any = None) -> BallotForm:
    """Return the form of a ballot by this rule.

    Args:
        rule: the poll's.
        options: the poll's, in its order; none where the poll is between yes and no.
        data: what was sent, if anything.
        content: the ballot that stands, if any can be shown.
    """
    form = RankingForm if rule.is_ranked else _FORMS[rule.method]
    return form(data, rule=rule, options=options, content=content)
