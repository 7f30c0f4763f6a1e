"""Shapes of what the API takes and gives; the rules stay in the verbs."""

from typing import Any

from rest_framework import serializers

from governance.shapes import PersonSerializer, RuleSerializer
from principles.compilation import HAZARDS
from principles.drafting import GREATEST_WEIGHT, LIMITS, LONGEST_EXAMPLE, MOST_EXAMPLES
from principles.models import Draft, PrincipleText, Version

REVISION_READ = "the revision that you had read: a change of any other is refused with 409"


class ExampleSerializer(serializers.Serializer[Any]):
    """An example: a prompt, an answer that keeps the principle and one that breaks it."""

    prompt = serializers.CharField(max_length=LONGEST_EXAMPLE)
    better = serializers.CharField(max_length=LONGEST_EXAMPLE)
    worse = serializers.CharField(max_length=LONGEST_EXAMPLE)


class PrincipleSerializer(serializers.Serializer[PrincipleText]):
    """A principle, with what a version's digest covers of it."""

    key = serializers.CharField()
    position = serializers.IntegerField()
    title = serializers.CharField()
    text = serializers.CharField()
    rationale = serializers.CharField()
    examples = ExampleSerializer(many=True)
    hazard_codes = serializers.ListField(child=serializers.CharField())
    critique_request = serializers.CharField()
    revision_request = serializers.CharField()
    weight = serializers.IntegerField()


class DraftPrincipleSerializer(PrincipleSerializer):
    """A principle as a draft has it now; `revision` counts its changes."""

    revision = serializers.IntegerField()


class PrincipleWriteSerializer(serializers.Serializer[Any]):
    """What a principle is written with; what is left out is emptied."""

    title = serializers.CharField(max_length=LIMITS["principle_title"])
    text = serializers.CharField(max_length=LIMITS["text"])
    rationale = serializers.CharField(max_length=LIMITS["rationale"], default="", allow_blank=True)
    examples = serializers.ListField(
        child=ExampleSerializer(), default=list, max_length=MOST_EXAMPLES
    )
    hazard_codes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(HAZARDS)), default=list
    )
    critique_request = serializers.CharField(
        max_length=LIMITS["critique_request"], default="", allow_blank=True
    )
    revision_request = serializers.CharField(
        max_length=LIMITS["revision_request"], default="", allow_blank=True
    )
    weight = serializers.IntegerField(min_value=1, max_value=GREATEST_WEIGHT, default=1)
    revision = serializers.IntegerField(min_value=1, required=False, help_text=REVISION_READ)


class PositionSerializer(serializers.Serializer[Any]):
    """Where a principle goes, from 1."""

    position = serializers.IntegerField(min_value=1)


class VersionSummarySerializer(serializers.ModelSerializer[Version]):
    """A ratified version, without its principles."""

    parent_number = serializers.IntegerField(source="parent.number", default=None, allow_null=True)
    poll = serializers.IntegerField(source="poll_id")

    class Meta:
        model = Version
        fields: tuple[str, ...] = (
            "number",
            "title",
            "digest",
            "parent_number",
            "poll",
            "ratified_at",
        )


class VersionSerializer(VersionSummarySerializer):
    """A ratified version, whole."""

    principles = PrincipleSerializer(many=True)

    class Meta(VersionSummarySerializer.Meta):
        fields = (*VersionSummarySerializer.Meta.fields, "preamble", "summary", "principles")


class CompiledSerializer(serializers.Serializer[Any]):
    """Everything that a constitution compiles to."""

    hf_recipe = serializers.DictField()
    rubric = serializers.DictField()
    guard_policy = serializers.CharField()
    criteria = serializers.ListField(child=serializers.DictField())
    hazard_map = serializers.DictField()
    evaluation_items = serializers.ListField(child=serializers.DictField())
    system_prompt = serializers.CharField()


class StarterSerializer(serializers.Serializer[Any]):
    """A template constitution to begin a draft from."""

    key = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    preamble = serializers.CharField()
    principles = serializers.ListField(child=serializers.DictField())


class DraftSummarySerializer(serializers.ModelSerializer[Draft]):
    """A draft, without its principles."""

    author = PersonSerializer()
    base = serializers.IntegerField(source="base.number", default=None, allow_null=True)
    poll = serializers.IntegerField(source="poll_id", allow_null=True)

    class Meta:
        model = Draft
        fields: tuple[str, ...] = (
            "id",
            "title",
            "status",
            "author",
            "base",
            "poll",
            "created_at",
            "updated_at",
        )


class DraftSerializer(DraftSummarySerializer):
    """A draft, whole; `revision` counts the changes of what it says beside its principles."""

    principles = DraftPrincipleSerializer(many=True)

    class Meta(DraftSummarySerializer.Meta):
        fields = (
            *DraftSummarySerializer.Meta.fields,
            "revision",
            "preamble",
            "summary",
            "principles",
        )


class DraftCreateSerializer(serializers.Serializer[Any]):
    """What a draft begins from: a template's key, `blank`, or empty for the version in force."""

    title = serializers.CharField(max_length=LIMITS["title"], default="", allow_blank=True)
    starter = serializers.CharField(max_length=60, default="", allow_blank=True)


class DraftChangeSerializer(serializers.Serializer[Any]):
    """What a draft says beside its principles; what is left out stays."""

    title = serializers.CharField(max_length=LIMITS["title"], required=False)
    preamble = serializers.CharField(
        max_length=LIMITS["preamble"], required=False, allow_blank=True
    )
    summary = serializers.CharField(max_length=LIMITS["summary"], required=False, allow_blank=True)
    revision = serializers.IntegerField(min_value=1, required=False, help_text=REVISION_READ)


class ProposeSerializer(serializers.Serializer[Any]):
    """How the community decides on a draft; what is left out of the rule is the default rule's."""

    rule = RuleSerializer(required=False)
    closes_at = serializers.DateTimeField()
