"""Shapes of what the API takes and gives; the rules stay in the verbs."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from feedback import labelling, prompting, review
from feedback.models import Assignment, Dataset, Decision, Label, Prompt, Report, ReviewItem
from governance.models import User

_LARGEST_KEY = 2**63 - 1


class PersonSerializer(serializers.ModelSerializer[User]):
    """A person as others see them."""

    class Meta:
        model = User
        fields = ("id", "name", "is_scripted")
        ref_name = "FeedbackPerson"


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    """A prompt."""

    submitted_by = PersonSerializer()

    class Meta:
        model = Prompt
        fields = (
            "id",
            "text",
            "digest",
            "split",
            "hazard_codes",
            "language",
            "source",
            "licence",
            "submitted_by",
            "created_at",
        )


class PromptCreateSerializer(serializers.Serializer[Any]):
    """What adding a prompt takes."""

    text = serializers.CharField(max_length=prompting.LONGEST_PROMPT)
    hazard_codes = serializers.ListField(
        child=serializers.CharField(max_length=20), max_length=20, default=list
    )
    language = serializers.CharField(max_length=12, default="en")
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=200, default="", allow_blank=True
    )
    licence = serializers.CharField(max_length=60, default="CC0-1.0")


class PromptFileSerializer(serializers.Serializer[Any]):
    """A JSONL or CSV file of prompts."""

    file = serializers.FileField()


class ImportedSerializer(serializers.Serializer[Any]):
    """How many prompts of a file were new."""

    new = serializers.IntegerField()


class ShownAnswerSerializer(serializers.Serializer[Any]):
    """An answer as it is shown."""

    id = serializers.IntegerField()
    text = serializers.CharField()


class ShownPrincipleSerializer(serializers.Serializer[Any]):
    """The principle under which the answers are compared."""

    key = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()
    examples = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))


class AssignmentSerializer(serializers.ModelSerializer[Assignment]):
    """A comparison as its annotator sees it."""

    prompt_id = serializers.IntegerField(source="comparison.prompt_id")
    prompt = serializers.CharField(source="comparison.prompt.text")
    hazard_codes = serializers.ListField(
        child=serializers.CharField(), source="comparison.prompt.hazard_codes"
    )
    principle = ShownPrincipleSerializer(source="comparison.principle")
    left = serializers.SerializerMethodField()
    right = serializers.SerializerMethodField()

    class Meta:
        model = Assignment
        fields = (
            "id",
            "status",
            "expires_at",
            "prompt_id",
            "prompt",
            "hazard_codes",
            "principle",
            "left",
            "right",
        )

    @extend_schema_field(ShownAnswerSerializer)
    def get_left(self, assignment: Assignment) -> dict[str, Any]:
        """Return the answer that is shown on the left."""
        pair = assignment.comparison
        answer = pair.response_b if assignment.swapped else pair.response_a
        return {"id": answer.pk, "text": answer.text}

    @extend_schema_field(ShownAnswerSerializer)
    def get_right(self, assignment: Assignment) -> dict[str, Any]:
        """Return the answer that is shown on the right."""
        pair = assignment.comparison
        answer = pair.response_a if assignment.swapped else pair.response_b
        return {"id": answer.pk, "text": answer.text}


class NextSerializer(serializers.Serializer[Any]):
    """The next comparison; null where nothing is left."""

    assignment = AssignmentSerializer(allow_null=True)


class LabelCreateSerializer(serializers.Serializer[Any]):
    """An answer; sides are those that were shown."""

    choice = serializers.ChoiceField(choices=["left", "right", "tie", "both_bad"])
    strength = serializers.IntegerField(min_value=1, max_value=labelling.STRONGEST, default=1)
    note = serializers.CharField(max_length=labelling.LONGEST_NOTE, default="", allow_blank=True)
    idempotency_key = serializers.UUIDField(required=False)


class LabelSerializer(serializers.ModelSerializer[Label]):
    """A label that is kept."""

    class Meta:
        model = Label
        fields = ("id", "assignment", "strength", "idempotency_key", "created_at")


class SkipSerializer(serializers.Serializer[Any]):
    """Why a comparison is skipped."""

    reason = serializers.CharField(max_length=labelling.LONGEST_REASON)


class ReportCreateSerializer(serializers.Serializer[Any]):
    """What is reported, and why."""

    target = serializers.ChoiceField(choices=ReviewItem.Target.choices)
    target_key = serializers.IntegerField(min_value=1, max_value=_LARGEST_KEY)
    reason = serializers.ChoiceField(choices=Report.Reason.choices)
    note = serializers.CharField(max_length=review.LONGEST_NOTE, default="", allow_blank=True)


class ReportSerializer(serializers.ModelSerializer[Report]):
    """A report that is kept."""

    class Meta:
        model = Report
        fields = ("id", "reason", "created_at")


class ReviewItemSerializer(serializers.ModelSerializer[ReviewItem]):
    """Reported content, for moderators; a claim that ran out is none."""

    status = serializers.ChoiceField(choices=ReviewItem.Status.choices, source="standing")
    claimed_by = PersonSerializer(allow_null=True)
    reports = serializers.IntegerField(source="times", read_only=True)

    class Meta:
        model = ReviewItem
        fields = (
            "id",
            "target",
            "target_key",
            "snapshot",
            "status",
            "claimed_by",
            "claim_expires_at",
            "reports",
            "created_at",
        )

    def to_representation(self, item: ReviewItem) -> dict[str, Any]:
        """Return the item as it stands: an open one is nobody's."""
        shown = super().to_representation(item)
        if item.standing == ReviewItem.Status.OPEN:
            shown |= {"claimed_by": None, "claim_expires_at": None}
        return shown


class DecideSerializer(serializers.Serializer[Any]):
    """A decision and its reasons."""

    action = serializers.ChoiceField(choices=Decision.Action.choices)
    reason = serializers.CharField(max_length=review.LONGEST_REASON)
    principle_key = serializers.SlugField(max_length=60, default="", allow_blank=True)


class DecisionSerializer(serializers.ModelSerializer[Decision]):
    """What a moderator decided."""

    moderator = PersonSerializer()
    target = serializers.CharField(source="item.target")
    principle_key = serializers.CharField(source="principle.key", default="")

    class Meta:
        model = Decision
        fields = ("id", "item", "target", "moderator", "action", "reason", "principle_key")


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    """A dataset: its files are named by their SHA-256, and it by the digest of the list."""

    version_number = serializers.IntegerField(source="version.number")
    version_digest = serializers.CharField(source="version.digest")
    listing = serializers.DictField(child=serializers.CharField())
    figures = serializers.DictField()

    class Meta:
        model = Dataset
        fields = (
            "number",
            "purpose",
            "status",
            "digest",
            "version_number",
            "version_digest",
            "pairs",
            "labels",
            "listing",
            "figures",
            "error",
            "requested_at",
            "frozen_at",
        )


class FreezeSerializer(serializers.Serializer[Any]):
    """What a dataset is for."""

    purpose = serializers.ChoiceField(choices=Dataset.Purpose.choices)
