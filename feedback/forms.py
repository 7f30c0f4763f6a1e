"""Forms of feedback: they give input its shape; the rules stay in the verbs."""

from typing import Any

from django import forms

from feedback import labelling, prompting, review
from feedback.models import Dataset, Decision, Report
from principles.compilation import HAZARDS
from principles.models import Principle

_LARGEST_KEY = 2**63 - 1


class LabelForm(forms.Form):
    """One answer to one comparison, or the wish to skip it. A is what stands on the left."""

    CHOICES = (
        ("a", "A is better"),
        ("b", "B is better"),
        ("tie", "Equally good"),
        ("both_bad", "Both bad"),
    )
    SKIP_REASONS = (
        ("unclear", "I cannot tell which is better"),
        ("upsetting", "It upsets me"),
        ("language", "I do not know the language"),
        ("knowledge", "I do not know enough about it"),
        ("broken", "Something is broken"),
    )

    assignment = forms.IntegerField(min_value=1, max_value=_LARGEST_KEY, widget=forms.HiddenInput)
    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)
    choice = forms.ChoiceField(
        choices=CHOICES,
        required=False,
        error_messages={"invalid_choice": "Choose one of the four."},
    )
    strength = forms.TypedChoiceField(
        label="How much better?",
        coerce=int,
        choices=[(1, "A little"), (2, "Clearly"), (3, "By far")],
        initial=1,
        widget=forms.RadioSelect,
    )
    note = forms.CharField(
        label="Note",
        max_length=labelling.LONGEST_NOTE,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "data-label-note": ""}),
        help_text="For the community; notes stay out of datasets.",
    )
    skip = forms.BooleanField(required=False)
    skip_reason = forms.ChoiceField(label="Why skip it?", choices=SKIP_REASONS, required=False)

    def clean(self) -> dict[str, Any]:
        """Ask for a choice, unless the comparison is skipped."""
        cleaned = super().clean() or {}
        if cleaned.get("skip"):
            self.errors.pop("strength", None)
        if not cleaned.get("skip") and not cleaned.get("choice") and "choice" not in self.errors:
            self.add_error("choice", "Choose one of the four, or skip this comparison.")
        return cleaned

    @property
    def side(self) -> str:
        """The choice as the verb takes it."""
        choice = str(self.cleaned_data["choice"])
        return {"a": "left", "b": "right"}.get(choice, choice)


class PromptForm(forms.Form):
    """A prompt that is typed in."""

    text = forms.CharField(
        label="Prompt",
        max_length=prompting.LONGEST_PROMPT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="What a person might ask the model, in their words.",
    )
    hazard_codes = forms.MultipleChoiceField(
        choices=[(hazard.code, f"{hazard.name} ({hazard.code})") for hazard in HAZARDS.values()],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Hazards",
        help_text="What an answer might do harm by. The prompt is covered then.",
    )
    language = forms.CharField(max_length=12, initial="en", help_text="Such as en or pt-BR.")
    source = forms.CharField(max_length=200, required=False, help_text="Where it comes from.")
    licence = forms.CharField(max_length=60, initial="CC0-1.0")


class PromptFileForm(forms.Form):
    """A file of prompts."""

    file = forms.FileField(
        label="JSONL or CSV file",
        help_text="Each row has “text”, and may have “hazard_codes”, “language”, “source” and "
        "“licence”. A file with a bad line is refused whole.",
        widget=forms.ClearableFileInput(attrs={"accept": ".jsonl,.ndjson,.csv"}),
    )

    def clean_file(self) -> Any:
        """Refuse a file that is too large before it is read."""
        file = self.cleaned_data["file"]
        if file.size > prompting.MOST_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {prompting.MOST_BYTES // 2**20} MiB."
            )
        return file


class ReportForm(forms.Form):
    """Why something should be looked at."""

    reason = forms.ChoiceField(choices=Report.Reason.choices, widget=forms.RadioSelect)
    note = forms.CharField(
        max_length=review.LONGEST_NOTE,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Moderators read it.",
    )


class DecisionForm(forms.Form):
    """What a moderator decides, and why."""

    action = forms.ChoiceField(
        label="Decision", choices=Decision.Action.choices, widget=forms.RadioSelect
    )
    principle_key = forms.ChoiceField(label="Principle", required=False)
    reason = forms.CharField(
        label="Statement of reasons",
        max_length=review.LONGEST_REASON,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Everyone who may read this community reads it in the log.",
    )

    def __init__(self, *args: Any, principles: list[Principle], **kwargs: Any) -> None:
        """Offer the principles in force for citation."""
        super().__init__(*args, **kwargs)
        self.fields["principle_key"] = forms.ChoiceField(
            label="Principle",
            required=False,
            choices=[("", "None"), *((p.key, p.title) for p in principles)],
        )


class FreezeForm(forms.Form):
    """What a dataset is for."""

    purpose = forms.ChoiceField(choices=Dataset.Purpose.choices)
