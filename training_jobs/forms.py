"""Forms of training jobs: they give input its shape; the rules stay in the verbs."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.forms import BoundField
from django.utils import timezone

from feedback.models import Dataset
from governance.shapes import RuleForm
from principles.models import Version
from training_jobs import playground
from training_jobs.models import Model
from training_jobs.options import OPTIONS, Flag, Option, Real, Text, Whole

LARGEST_SEED: Final = 2**31 - 1
LONGEST_AMOUNT: Final = 1000
MOST_CHOICES: Final = 200  # the latest; the API takes any
_PREFIX: Final = "option_"


class RunForm(forms.Form):
    """What every run is asked for with: a seed, and the options of its recipe.

    Attributes:
        recipe: the recipe whose options the form offers.
    """

    recipe = ""
    seed = forms.IntegerField(
        min_value=0,
        max_value=LARGEST_SEED,
        initial=0,
        help_text="The same seed gives the same result; another one draws anew.",
    )

    def __init__(self, *args: Any, community_id: int, **kwargs: Any) -> None:
        """Offer what this community has, and the recipe's options with their defaults."""
        super().__init__(*args, **kwargs)
        self.offer(community_id)
        for name, option in OPTIONS[self.recipe].items():
            self.fields[_PREFIX + name] = _option_field(name, option)

    def offer(self, community_id: int) -> None:
        """Fill the selects with what belongs to the community."""

    def main_fields(self) -> Iterator[BoundField]:
        """Return the fields that everyone needs."""
        return (field for field in self if not field.name.startswith(_PREFIX))

    def option_fields(self) -> Iterator[BoundField]:
        """Return the recipe's options."""
        return (field for field in self if field.name.startswith(_PREFIX))

    def options(self) -> dict[str, int | str | bool]:
        """Return the options by their own names."""
        return {
            name.removeprefix(_PREFIX): value
            for name, value in self.cleaned_data.items()
            if name.startswith(_PREFIX)
        }

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the verb."""
        return {"seed": self.cleaned_data["seed"], "options": self.options()}


class ModelField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A choice of models, named so that people can tell them apart."""

    def label_from_instance(self, obj: Any) -> str:
        """Name a model with the beginning of its digest."""
        return f"{obj} · {obj.short_digest}"


class DatasetField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A choice of frozen datasets."""

    def label_from_instance(self, obj: Any) -> str:
        """Name a dataset with its size."""
        return f"Dataset {obj.number}, {obj.pairs} pairs"


class GenerationForm(RunForm):
    """Two responses to each prompt."""

    recipe = "generate"
    model = ModelField(
        Model.objects.none(), label="Model", help_text="It answers every prompt twice."
    )
    field_order = ("model", "seed")

    def offer(self, community_id: int) -> None:
        """Offer the models that a run of this community may start from."""
        _offer_models(self, community_id)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the verb."""
        return {**super().arguments(), "model_id": self.cleaned_data["model"].pk}


class TrainingForm(RunForm):
    """A model trained on the community's labels."""

    recipe = "dpo"
    version = forms.ModelChoiceField(
        Version.objects.none(),
        label="Constitution",
        help_text="The version that the model is trained under; it stays in the record.",
    )
    dataset = DatasetField(
        Dataset.objects.none(), label="Dataset", help_text="A frozen dataset for training."
    )
    model = ModelField(Model.objects.none(), label="Start from")
    field_order = ("version", "dataset", "model", "seed")

    def offer(self, community_id: int) -> None:
        """Offer versions, training sets and models."""
        versions = Version.objects.filter(constitution__community_id=community_id)
        _choices(self, "version", versions.order_by("-number"))
        _choices(self, "dataset", _frozen(community_id, Dataset.Purpose.TRAINING))
        _offer_models(self, community_id)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the verb."""
        return {
            **super().arguments(),
            "version_id": self.cleaned_data["version"].pk,
            "dataset_id": self.cleaned_data["dataset"].pk,
            "model_id": self.cleaned_data["model"].pk,
        }


class EvaluationForm(RunForm):
    """A trained model beside the one that it came from."""

    recipe = "evaluate"
    model = ModelField(
        Model.objects.none(),
        label="Model",
        help_text="A model trained here; it is compared with the one it was trained from.",
    )
    heldout = DatasetField(
        Dataset.objects.none(),
        label="Held-out pairs",
        help_text="Pairs that no training sees, because their prompts are kept apart.",
    )
    field_order = ("model", "heldout", "seed")

    def offer(self, community_id: int) -> None:
        """Offer trained models and held-out pairs."""
        _choices(self, "model", Model.objects.filter(community_id=community_id))
        _choices(self, "heldout", _frozen(community_id, Dataset.Purpose.EVALUATION))

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the verb."""
        return {
            **super().arguments(),
            "model_id": self.cleaned_data["model"].pk,
            "heldout_id": self.cleaned_data["heldout"].pk,
        }


class ReleaseForm(RuleForm):
    """How, and until when, the community decides about a model."""

    UNITS = (("minutes", "minutes"), ("hours", "hours"), ("days", "days"))

    duration = forms.IntegerField(
        min_value=1, max_value=LONGEST_AMOUNT, initial=7, label="Open for"
    )
    unit = forms.ChoiceField(choices=UNITS, initial="days", label="Unit of time")

    def closes_at(self) -> datetime:
        """Return the deadline, counted from now by the server's clock."""
        data = self.cleaned_data
        return timezone.now() + timedelta(**{data["unit"]: data["duration"]})


class QuestionForm(forms.Form):
    """A question to the released model."""

    question = forms.CharField(
        max_length=playground.LONGEST_QUESTION,
        widget=forms.Textarea(attrs={"rows": 3}),
        label="Your question",
    )


def _option_field(name: str, option: Option) -> forms.Field:
    label = name.replace("_", " ").capitalize()
    match option:
        case Whole():
            return forms.IntegerField(
                label=label,
                initial=option.default,
                min_value=option.low,
                max_value=option.high,
                help_text=option.help,
            )
        case Real():
            return forms.CharField(
                label=label,
                initial=option.default,
                max_length=30,
                help_text=f"{option.help} From {option.low} to {option.high}.",
            )
        case Text(choices=()):
            return forms.CharField(
                label=label,
                initial=option.default,
                max_length=option.longest,
                required=False,
                strip=False,
                help_text=option.help,
            )
        case Text():
            return forms.ChoiceField(
                label=label,
                initial=option.default,
                choices=[(choice, choice) for choice in option.choices],
                help_text=option.help,
            )
        case Flag():
            return forms.BooleanField(
                label=label, initial=option.default, required=False, help_text=option.help
            )


def _choices(form: forms.Form, name: str, rows: QuerySet[Any]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = rows.filter(pk__in=rows.values("pk")[:MOST_CHOICES])
    field.empty_label = None
    field.initial = rows.first()


def _offer_models(form: forms.Form, community_id: int) -> None:
    _choices(form, "model", Model.objects.usable_in(community_id).order_by("community_id", "-pk"))
    base = Model.objects.base().first()
    form.fields["model"].initial = base


def _frozen(community_id: int, purpose: Dataset.Purpose) -> QuerySet[Any]:
    return Dataset.objects.filter(
        community_id=community_id, purpose=purpose, status=Dataset.Status.FROZEN
    ).order_by("-number")
