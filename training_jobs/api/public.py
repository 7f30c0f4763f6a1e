"""API: a community at a glance, its trail, and where to get its record."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import URLPattern, path, reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import checkpoints, signing
from governance.models import AuditEvent, Checkpoint, Community, Trail
from governance.web import community_of
from training_jobs import narration
from training_jobs.overview import community_overview


class _OfCommunity(APIView):
    """A view below a community, which those who may not read it cannot see."""

    def community(self) -> Community:
        """Fetch the community as the first permission check."""
        return community_of(self.request, self.kwargs["slug"])


class OverviewVersionSerializer(serializers.Serializer[Any]):
    """The version in force."""

    number = serializers.IntegerField()
    title = serializers.CharField()
    digest = serializers.CharField()
    ratified_at = serializers.DateTimeField()
    principles = serializers.ListField(child=serializers.CharField(), source="principle_titles")


class OverviewPollSerializer(serializers.Serializer[Any]):
    """An open poll, with the ballot of the person who asks."""

    id = serializers.IntegerField(source="pk")
    kind = serializers.CharField()
    title = serializers.CharField()
    closes_at = serializers.DateTimeField()
    electorate_size = serializers.IntegerField()
    may_vote = serializers.BooleanField()
    has_voted = serializers.BooleanField()


class OverviewRunSerializer(serializers.Serializer[Any]):
    """A run that waits or works."""

    id = serializers.IntegerField(source="pk")
    recipe = serializers.CharField()
    status = serializers.CharField()
    step = serializers.IntegerField()
    total = serializers.IntegerField()


class OverviewScoreSerializer(serializers.Serializer[Any]):
    """A number of an evaluation, with what it rests on."""

    metric = serializers.CharField()
    side = serializers.CharField()
    n = serializers.IntegerField()
    unscored = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    method = serializers.CharField()


class OverviewEvaluationSerializer(serializers.Serializer[Any]):
    """The latest evaluation: its overall scores."""

    id = serializers.IntegerField(source="pk")
    model_digest = serializers.CharField(source="model.digest")
    baseline_digest = serializers.CharField(source="baseline.digest")
    scores = OverviewScoreSerializer(many=True, source="overall")


class OverviewReleaseSerializer(serializers.Serializer[Any]):
    """The model that the playground talks to."""

    model = serializers.IntegerField(source="model_id")
    name = serializers.CharField(source="model.name")
    digest = serializers.CharField(source="model.digest")
    released_at = serializers.DateTimeField()


class NeedSerializer(serializers.Serializer[Any]):
    """Something that waits for the person who asks."""

    kind = serializers.CharField()
    text = serializers.CharField()
    url = serializers.CharField()


class OverviewSerializer(serializers.Serializer[Any]):
    """A community at a glance."""

    stage = serializers.CharField(help_text="draft, vote, label, train, evaluate, release or done")
    members = serializers.IntegerField()
    version = OverviewVersionSerializer(allow_null=True)
    polls = OverviewPollSerializer(many=True)
    runs = OverviewRunSerializer(many=True)
    release = OverviewReleaseSerializer(allow_null=True)
    evaluation = OverviewEvaluationSerializer(allow_null=True)
    needs = NeedSerializer(many=True)


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    """An event of the trail, as it is hashed, with its hashes."""

    class Meta:
        model = AuditEvent
        fields: ClassVar = [
            "seq",
            "at",
            "actor",
            "verb",
            "subject",
            "data",
            "previous_hash",
            "event_hash",
        ]
        read_only_fields = fields


class CheckpointSerializer(serializers.Serializer[Checkpoint]):
    """A signed head of the trail: what is signed, by which key, and the signature."""

    checkpoint = serializers.DictField(
        source="*",
        help_text="What is signed, in canonical JSON: schema, community, number, previous, length, "
        "head, at",
    )
    public_key = serializers.CharField()
    signature = serializers.CharField()
    posted_at = serializers.DateTimeField(
        help_text="when a copy was taken elsewhere", allow_null=True
    )

    def to_representation(self, instance: Checkpoint) -> dict[str, Any]:
        """Return the checkpoint as it is exported, and whether it was posted elsewhere."""
        return {**checkpoints.record(instance), "posted_at": instance.posted_at}


class ExportSerializer(serializers.Serializer[Any]):
    """Where to get a community's record, and the program that checks it."""

    community = serializers.CharField()
    length = serializers.IntegerField()
    head = serializers.CharField()
    export_url = serializers.CharField()
    checker_url = serializers.CharField()
    public_key = serializers.CharField(help_text="the key that signs the heads of trails")


class Overview(_OfCommunity):
    """A community at a glance, as the front page shows it to the person who asks."""

    @extend_schema(operation_id="communities_overview", responses=OverviewSerializer)
    def get(self, request: Request, **_: str) -> Response:
        """Return what is in force, what is open, what needs me, and the latest model."""
        found = community_overview(self.community(), request.user)
        if found["version"] is not None:
            found["version"].principle_titles = [each.title for each in found["principles"]]
        if found["evaluation"] is not None:
            found["evaluation"].overall = [
                score for score in found["evaluation"].scores.all() if not score.principle_key
            ]
        return Response(OverviewSerializer(found).data)


@extend_schema_view(
    get=extend_schema(
        operation_id="communities_trail",
        parameters=[
            OpenApiParameter(
                "about",
                OpenApiTypes.STR,
                enum=list(narration.TOPICS),
                description="only the events of this topic",
            )
        ],
    )
)
class TrailList(_OfCommunity, generics.ListAPIView[AuditEvent]):
    """Events of a community's trail, the latest first."""

    serializer_class = AuditEventSerializer
    queryset = AuditEvent.objects.none()

    def get_queryset(self) -> QuerySet[AuditEvent]:
        """Return the community's events."""
        topic = narration.about(self.request.query_params.get("about", ""))
        events: QuerySet[AuditEvent] = AuditEvent.objects.filter(topic, community=self.community())
        return events.order_by("-seq")


class CheckpointList(_OfCommunity, generics.ListAPIView[Checkpoint]):
    """Signed heads of a community's trail, the latest first."""

    serializer_class = CheckpointSerializer
    queryset = Checkpoint.objects.none()

    @extend_schema(operation_id="communities_checkpoints")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List what the site has signed."""
        return super().get(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[Checkpoint]:
        """Return the community's checkpoints."""
        signed: QuerySet[Checkpoint] = Checkpoint.objects.filter(community=self.community())
        return signed.select_related("community").order_by("-length")


class Export(_OfCommunity):
    """The record of a community."""

    @extend_schema(operation_id="communities_export", responses=ExportSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Return the head of the trail, and where to download the record and its checker."""
        trail = Trail.objects.get(community=self.community())
        export_url = reverse("transparency_download", args=[slug])
        content = {
            "community": slug,
            "length": trail.length,
            "head": trail.head,
            "export_url": request.build_absolute_uri(export_url),
            "checker_url": request.build_absolute_uri(reverse("checker_download")),
            "public_key": signing.public_key(),
        }
        return Response(ExportSerializer(content).data)


urlpatterns: list[URLPattern] = [
    path("communities/<slug:slug>/overview/", Overview.as_view(), name="api-community-overview"),
    path("communities/<slug:slug>/trail/", TrailList.as_view(), name="api-trail-list"),
    path(
        "communities/<slug:slug>/checkpoints/",
        CheckpointList.as_view(),
        name="api-checkpoint-list",
    ),
    path("communities/<slug:slug>/export/", Export.as_view(), name="api-export"),
]
