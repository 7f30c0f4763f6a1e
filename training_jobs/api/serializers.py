"""Shapes of what the API takes and gives; the rules stay in the verbs."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from governance.shapes import PersonSerializer, RuleSerializer
from training_jobs import playground, results
from training_jobs.models import (
    Attempt,
    Evaluation,
    Model,
    ProgressEvent,
    Release,
    Run,
    Sample,
    Score,
    Turn,
)


class ModelSerializer(serializers.ModelSerializer[Model]):
    """A model of the registry; `parents` are the models that it was trained from."""

    parents: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)
    version = serializers.IntegerField(source="version.number", default=None, read_only=True)
    dataset = serializers.IntegerField(source="dataset.number", default=None, read_only=True)

    class Meta:
        model = Model
        fields: tuple[str, ...] = (
            "id",
            "name",
            "revision",
            "digest",
            "licence",
            "parents",
            "version",
            "dataset",
            "created_at",
        )


class ModelDetailSerializer(ModelSerializer):
    """A model with the digest of each of its files."""

    class Meta(ModelSerializer.Meta):
        fields = (*ModelSerializer.Meta.fields, "listing")


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One claim of a run by a worker."""

    class Meta:
        model = Attempt
        fields = ("number", "started_at", "ended_at", "ending")


class ProgressSerializer(serializers.ModelSerializer[ProgressEvent]):
    """A line of a run's progress."""

    class Meta:
        model = ProgressEvent
        fields = ("attempt", "phase", "step", "total", "metrics", "at")


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run."""

    queued_by = PersonSerializer()

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            "id",
            "recipe",
            "status",
            "step",
            "total",
            "attempt",
            "version",
            "dataset",
            "heldout",
            "model",
            "baseline",
            "produced",
            "manifest_digest",
            "seed",
            "queued_by",
            "queued_at",
            "started_at",
            "finished_at",
            "error",
        )


class RunDetailSerializer(RunSerializer):
    """A run with its manifest, its attempts, its latest progress and what it reported."""

    attempts = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    evaluation = serializers.SerializerMethodField()

    class Meta(RunSerializer.Meta):
        fields = (
            *RunSerializer.Meta.fields,
            "manifest",
            "result",
            "attempts",
            "progress",
            "evaluation",
        )

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts(self, run: Run) -> Any:
        """Return the last hundred attempts, the oldest first."""
        latest = list(run.attempts.order_by("-number")[:100])
        return AttemptSerializer(latest[::-1], many=True).data

    @extend_schema_field(ProgressSerializer(many=True))
    def get_progress(self, run: Run) -> Any:
        """Return the last hundred lines of progress, the oldest first."""
        latest = list(run.progress.order_by("-pk")[:100])
        return ProgressSerializer(reversed(latest), many=True).data

    def get_evaluation(self, run: Run) -> int | None:
        """Return the evaluation that the run led to, if any."""
        return Evaluation.objects.filter(run=run).values_list("pk", flat=True).first()


class RunQueueSerializer(serializers.Serializer[Any]):
    """What queueing a run takes.

    `generate` takes model; `dpo` takes version and dataset, and may take model; `evaluate` takes
    model and heldout. All are keys. Without a model, the base model is taken.
    """

    recipe = serializers.ChoiceField(choices=["generate", "dpo", "evaluate"])
    version = serializers.IntegerField(min_value=1, required=False)
    dataset = serializers.IntegerField(min_value=1, required=False)
    heldout = serializers.IntegerField(min_value=1, required=False)
    model = serializers.IntegerField(min_value=1, required=False)
    seed = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    options = serializers.DictField(
        default=dict,
        help_text="Integers, booleans, and texts; a number that is no integer is a decimal text.",
    )

    NEEDED = {
        "generate": set[str](),
        "dpo": {"version", "dataset"},
        "evaluate": {"heldout", "model"},
    }
    ALLOWED = {
        "generate": {"model"},
        "dpo": {"version", "dataset", "model"},
        "evaluate": {"heldout", "model"},
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for what the recipe needs, and for nothing that it would ignore."""
        recipe = attrs["recipe"]
        given = attrs.keys() & {"version", "dataset", "heldout", "model"}
        for name in sorted(self.NEEDED[recipe] - given):
            raise serializers.ValidationError({name: f"The recipe {recipe} needs it."})
        for name in sorted(given - self.ALLOWED[recipe]):
            raise serializers.ValidationError({name: f"The recipe {recipe} does not take it."})
        return attrs

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the recipe's verb."""
        data = self.validated_data
        keys = {f"{name}_id": data[name] for name in self.ALLOWED[data["recipe"]] if name in data}
        return {**keys, "seed": data["seed"], "options": data["options"]}


class ScoreSerializer(serializers.ModelSerializer[Score]):
    """A number, with what it rests on; null where nothing could be scored."""

    class Meta:
        model = Score
        fields = (
            "metric",
            "principle_key",
            "side",
            "n",
            "unscored",
            "value",
            "low",
            "high",
            "method",
        )


class SampleSerializer(serializers.ModelSerializer[Sample]):
    """A prompt with both models' answers; all three are covered where moderators hid one."""

    hidden = serializers.BooleanField()

    class Meta:
        model = Sample
        fields = ("prompt", "before", "after", "harmful", "hidden")


class EvaluationSerializer(serializers.ModelSerializer[Evaluation]):
    """An evaluation with its scores."""

    scores = ScoreSerializer(many=True)

    class Meta:
        model = Evaluation
        fields: tuple[str, ...] = (
            "id",
            "run",
            "model",
            "baseline",
            "suite_name",
            "suite_digest",
            "created_at",
            "scores",
        )


class EvaluationDetailSerializer(EvaluationSerializer):
    """An evaluation with its scores and samples."""

    samples = serializers.SerializerMethodField()

    class Meta(EvaluationSerializer.Meta):
        fields = (*EvaluationSerializer.Meta.fields, "samples")

    @extend_schema_field(SampleSerializer(many=True))
    def get_samples(self, evaluation: Evaluation) -> Any:
        """Return the samples as the person who asks may see them."""
        shown = results.shown_samples(evaluation, self.context["request"].user)
        return SampleSerializer(shown, many=True).data


class ReleaseSerializer(serializers.ModelSerializer[Release]):
    """A release: its poll and its gate."""

    class Meta:
        model = Release
        fields = ("id", "model", "evaluation", "poll", "status", "gate", "released_at")


class ReleaseProposeSerializer(serializers.Serializer[Any]):
    """How, and until when, the community decides about a model."""

    rule = RuleSerializer(required=False)
    closes_at = serializers.DateTimeField()


class QuestionSerializer(serializers.Serializer[Any]):
    """A question to the released model."""

    question = serializers.CharField(max_length=playground.LONGEST_QUESTION)


class TurnSerializer(serializers.ModelSerializer[Turn]):
    """A question of mine and the model's answer, once its run has ended."""

    status = serializers.CharField(source="run.status")
    error = serializers.CharField(source="run.error")
    model = serializers.IntegerField(source="release.model_id")

    class Meta:
        model = Turn
        fields = ("id", "question", "answer", "status", "error", "model", "asked_at")
