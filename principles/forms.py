"""Forms of principles: they give input its shape; the rules stay in the verbs."""

from datetime import datetime, timedelta
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils import timezone

from governance.shapes import RuleForm
from principles import starters
from principles.compilation import HAZARDS
from principles.drafting import GREATEST_WEIGHT, LIMITS, LONGEST_EXAMPLE, MOST_EXAMPLES
from principles.models import Version

SPARE_EXAMPLES = 2
LONGEST_AMOUNT = 1000
COPY = "copy"


def _text_area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows})


class DraftCreateForm(forms.Form):
    """What a draft begins from."""

    start = forms.ChoiceField(widget=forms.RadioSelect, label="Begin with")
    title = forms.CharField(
        max_length=LIMITS["title"],
        required=False,
        help_text="That of what it begins with, when left empty.",
    )

    def __init__(self, *args: Any, in_force: Version | None, **kwargs: Any) -> None:
        """Offer the version in force, if there is one, the templates, and an empty page."""
        super().__init__(*args, **kwargs)
        choices = [(text["key"], text["title"]) for text in starters.load()]
        if in_force is not None:
            choices.insert(0, (COPY, f"Version {in_force.number}, which is in force"))
        choices.append((starters.BLANK, "An empty page"))
        field = self.fields["start"]
        field.choices = choices  # type: ignore[attr-defined]
        field.initial = choices[0][0]

    def starter(self) -> str:
        """Return what `drafting.create_draft` calls this beginning."""
        start: str = self.cleaned_data["start"]
        return "" if start == COPY else start


class RevisedForm(forms.Form):
    """A change of something that others may change as well; `revision` is the one that was read."""

    revision = forms.IntegerField(min_value=1, required=False, widget=forms.HiddenInput)

    def rebase(self, revision: int) -> None:
        """Let what was typed be sent once more, as a change of the revision that stands now."""
        data = cast("QueryDict", self.data).copy()
        data["revision"] = str(revision)
        self.data = data


class DraftForm(RevisedForm):
    """What a draft says beside its principles."""

    title = forms.CharField(max_length=LIMITS["title"])
    preamble = forms.CharField(
        max_length=LIMITS["preamble"],
        required=False,
        widget=_text_area(6),
        help_text="What stands before the principles. It is voted on with them.",
    )
    summary = forms.CharField(
        max_length=LIMITS["summary"],
        required=False,
        widget=_text_area(3),
        label="What changes, and why",
        help_text="For those who will vote. It is shown beside the text and is no part of it.",
    )


class PrincipleForm(RevisedForm):
    """A principle; its examples are in a formset beside it."""

    title = forms.CharField(max_length=LIMITS["principle_title"])
    text = forms.CharField(
        max_length=LIMITS["text"],
        widget=_text_area(5),
        help_text="What the assistant does, in words that anyone can judge an answer by.",
    )
    rationale = forms.CharField(
        max_length=LIMITS["rationale"], required=False, widget=_text_area(4), label="Why"
    )
    hazard_codes = forms.MultipleChoiceField(
        choices=[(hazard.code, f"{hazard.name} ({hazard.code})") for hazard in HAZARDS.values()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Hazards that it answers for",
        help_text="Prompts with these hazards are judged under this principle.",
    )
    critique_request = forms.CharField(
        max_length=LIMITS["critique_request"],
        required=False,
        widget=_text_area(3),
        help_text="Asks a model to find where its answer breaks the principle. "
        "Made from the text when left empty.",
    )
    revision_request = forms.CharField(
        max_length=LIMITS["revision_request"],
        required=False,
        widget=_text_area(3),
        help_text="Asks a model to write its answer anew. Made from the text when left empty.",
    )
    weight = forms.IntegerField(
        min_value=1,
        max_value=GREATEST_WEIGHT,
        initial=1,
        help_text="How much it counts beside the others, from 1.",
    )


class ExampleForm(forms.Form):
    """One example: a prompt, and an answer of each kind. Emptied, it is left out."""

    prompt = forms.CharField(
        max_length=LONGEST_EXAMPLE, required=False, widget=_text_area(2), label="Someone asks"
    )
    better = forms.CharField(
        max_length=LONGEST_EXAMPLE,
        required=False,
        widget=_text_area(3),
        label="An answer that keeps the principle",
    )
    worse = forms.CharField(
        max_length=LONGEST_EXAMPLE,
        required=False,
        widget=_text_area(3),
        label="An answer that breaks it",
    )

    def clean(self) -> dict[str, Any]:
        """Ask for the rest where only a part is given."""
        data = super().clean() or {}
        given = [name for name in self.fields if data.get(name)]
        if given and not self.errors:
            for name in self.fields:
                if name not in given:
                    self.add_error(name, "An example needs all three parts.")
        return data


class BaseExampleFormSet(forms.BaseFormSet):  # type: ignore[type-arg]
    """The examples of a principle, with room for a few more."""

    def examples(self) -> list[dict[str, str]]:
        """Return the examples that were written, in order."""
        return [form.cleaned_data for form in self.forms if form.cleaned_data.get("prompt")]


ExampleFormSet = forms.formset_factory(
    ExampleForm,
    formset=BaseExampleFormSet,
    extra=SPARE_EXAMPLES,
    max_num=MOST_EXAMPLES,
    absolute_max=MOST_EXAMPLES + SPARE_EXAMPLES,
    validate_max=True,
)


class PositionForm(forms.Form):
    """Where a principle goes."""

    position = forms.IntegerField(min_value=1)


class ProposeForm(RuleForm):
    """How the community decides on a draft, and until when.

    `seen` is the rule that the page said in words when it was sent; a poll opens only under a rule
    that its steward has read so.
    """

    UNITS = (("minutes", "minutes"), ("hours", "hours"), ("days", "days"))

    duration = forms.IntegerField(
        min_value=1, max_value=LONGEST_AMOUNT, initial=7, label="Open for"
    )
    unit = forms.ChoiceField(choices=UNITS, initial="days", label="Unit of time")
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def closes_at(self) -> datetime:
        """Return the deadline, counted from now by the server's clock."""
        data = self.cleaned_data
        return timezone.now() + timedelta(**{data["unit"]: data["duration"]})


class CompareForm(forms.Form):
    """Which two versions to compare."""

    before = forms.TypedChoiceField(coerce=int, label="From")
    after = forms.TypedChoiceField(coerce=int, label="To")

    def __init__(self, *args: Any, numbers: list[int], **kwargs: Any) -> None:
        """Offer the versions that there are."""
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.choices = [(number, f"Version {number}") for number in numbers]  # type: ignore[attr-defined]
