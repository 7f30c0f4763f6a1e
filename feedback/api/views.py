"""API of prompts, labels, reviews and datasets: a serializer for the shape, then the verb."""

from typing import Any

from django.db.models import Count, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status as http
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from feedback import freezing, labelling, permissions, prompting, review
from feedback.api import serializers as shapes
from feedback.models import (
    Assignment,
    Dataset,
    Decision,
    Prompt,
    ReviewItem,
    ReviewItemQuerySet,
)
from governance.web import community_of, person_of, shaped

# --- prompts --------------------------------------------------------------------------------------


class PromptListView(ListAPIView[Prompt]):
    """The prompts of a community."""

    queryset = Prompt.objects.none()
    serializer_class = shapes.PromptSerializer

    def get_queryset(self) -> QuerySet[Prompt]:
        """Return the prompts that are not hidden, the newest first."""
        community = community_of(self.request, self.kwargs["slug"])
        prompts = Prompt.objects.filter(community=community, hidden=False)
        return prompts.select_related("submitted_by").order_by("-pk")

    @extend_schema(request=shapes.PromptCreateSerializer, responses={201: shapes.PromptSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Add a prompt."""
        community = community_of(request, slug)
        given = shaped(shapes.PromptCreateSerializer, request)
        prompt = prompting.add_prompt(community_id=community.pk, actor=person_of(request), **given)
        return Response(shapes.PromptSerializer(prompt).data, status=http.HTTP_201_CREATED)


class PromptImportView(APIView):
    """Importing prompts."""

    parser_classes = (MultiPartParser,)
    permission_classes = (IsAuthenticated,)

    @extend_schema(
        request={"multipart/form-data": shapes.PromptFileSerializer},
        responses=shapes.ImportedSerializer,
    )
    def post(self, request: Request, slug: str) -> Response:
        """Import a JSONL or CSV file, whole or not at all."""
        community = community_of(request, slug)
        file = shaped(shapes.PromptFileSerializer, request)["file"]
        if file.size > prompting.MOST_BYTES:
            raise ValidationError({"file": "The file is too large."})
        new = prompting.import_prompts(
            community_id=community.pk,
            actor=person_of(request),
            content=file.read(),
            filename=file.name,
        )
        return Response({"new": new})


# --- labels ---------------------------------------------------------------------------------------


class AssignmentNextView(APIView):
    """The next comparison."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses=shapes.NextSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Lease the next comparison, or return the one I hold."""
        community = community_of(request, slug)
        assignment = labelling.next_assignment(
            community_id=community.pk, annotator=person_of(request)
        )
        return Response(shapes.NextSerializer({"assignment": assignment}).data)


class LabelView(APIView):
    """Labelling."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=shapes.LabelCreateSerializer, responses={201: shapes.LabelSerializer})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Answer a comparison that I hold; the same idempotency key again gives the same label."""
        assignment = _assignment(request, slug, pk)
        given = shaped(shapes.LabelCreateSerializer, request)
        label = labelling.submit_label(
            assignment_id=assignment.pk, annotator=person_of(request), **given
        )
        return Response(shapes.LabelSerializer(label).data, status=http.HTTP_201_CREATED)


class SkipView(APIView):
    """Skipping."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=shapes.SkipSerializer, responses={204: None})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Give a comparison back, with a reason."""
        assignment = _assignment(request, slug, pk)
        given = shaped(shapes.SkipSerializer, request)
        labelling.skip_assignment(
            assignment_id=assignment.pk, annotator=person_of(request), reason=given["reason"]
        )
        return Response(status=http.HTTP_204_NO_CONTENT)


# --- reviews --------------------------------------------------------------------------------------


class ReportCreateView(APIView):
    """Reporting."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=shapes.ReportCreateSerializer, responses={201: shapes.ReportSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Report a prompt or an answer."""
        community = community_of(request, slug)
        given = shaped(shapes.ReportCreateSerializer, request)
        target = {name: given[name] for name in ("target", "target_key")}
        if review.find_target(community_id=community.pk, **target) is None:
            raise Http404
        kept = review.report(community_id=community.pk, reporter=person_of(request), **given)
        return Response(shapes.ReportSerializer(kept).data, status=http.HTTP_201_CREATED)


class ReviewListView(ListAPIView[ReviewItem]):
    """What waits for a moderator."""

    queryset = ReviewItem.objects.none()
    serializer_class = shapes.ReviewItemSerializer
    permission_classes = (IsAuthenticated,)

    def get_queryset(self) -> QuerySet[ReviewItem]:
        """Return the undecided items, the most reported first; moderators only."""
        return _items(self.request, self.kwargs["slug"]).undecided(timezone.now())


class ReviewItemView(APIView):
    """One item of the queue."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(responses=shapes.ReviewItemSerializer)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """Return an item."""
        return Response(_item_data(request, slug, pk))


class ReviewClaimView(APIView):
    """Claiming."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses=shapes.ReviewItemSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Take an item up."""
        item = get_object_or_404(_items(request, slug), pk=pk)
        review.claim(item_id=item.pk, moderator=person_of(request))
        return Response(_item_data(request, slug, pk))


class ReviewUnclaimView(APIView):
    """Putting back."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses=shapes.ReviewItemSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Put an item back into the queue."""
        item = get_object_or_404(_items(request, slug), pk=pk)
        review.unclaim(item_id=item.pk, moderator=person_of(request))
        return Response(_item_data(request, slug, pk))


class ReviewDecideView(APIView):
    """Deciding."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=shapes.DecideSerializer, responses={201: shapes.DecisionSerializer})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Keep or hide the content of an item that I hold."""
        item = get_object_or_404(_items(request, slug), pk=pk)
        given = shaped(shapes.DecideSerializer, request)
        decision = review.decide(item_id=item.pk, moderator=person_of(request), **given)
        return Response(shapes.DecisionSerializer(decision).data, status=http.HTTP_201_CREATED)


class DecisionListView(ListAPIView[Decision]):
    """The log of decisions."""

    queryset = Decision.objects.none()
    serializer_class = shapes.DecisionSerializer

    def get_queryset(self) -> QuerySet[Decision]:
        """Return the decisions, the latest first."""
        community = community_of(self.request, self.kwargs["slug"])
        decisions = Decision.objects.filter(item__community=community)
        return decisions.select_related("item", "moderator", "principle")


# --- datasets -------------------------------------------------------------------------------------


class DatasetListView(ListAPIView[Dataset]):
    """The datasets of a community."""

    queryset = Dataset.objects.none()
    serializer_class = shapes.DatasetSerializer

    def get_queryset(self) -> QuerySet[Dataset]:
        """Return the datasets, the newest first."""
        community = community_of(self.request, self.kwargs["slug"])
        return Dataset.objects.filter(community=community).select_related("version")

    @extend_schema(request=shapes.FreezeSerializer, responses={201: shapes.DatasetSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Queue a dataset of all labels that are in by now."""
        community = community_of(request, slug)
        given = shaped(shapes.FreezeSerializer, request)
        dataset = freezing.queue_freeze(
            community_id=community.pk, actor=person_of(request), **given
        )
        return Response(shapes.DatasetSerializer(dataset).data, status=http.HTTP_201_CREATED)


class DatasetView(APIView):
    """One dataset."""

    @extend_schema(responses=shapes.DatasetSerializer)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """Return a dataset."""
        dataset = get_object_or_404(
            Dataset.objects.select_related("version"),
            community=community_of(request, slug),
            number=number,
        )
        return Response(shapes.DatasetSerializer(dataset).data)


# --- what the views share -------------------------------------------------------------------------


def _assignment(request: Request, slug: str, pk: int) -> Assignment:
    """Return an assignment of the person who asks."""
    return get_object_or_404(
        Assignment,
        pk=pk,
        annotator=person_of(request),
        comparison__community=community_of(request, slug),
    )


def _items(request: Request, slug: str) -> ReviewItemQuerySet:
    """Return the items of a community for its moderators; nobody else learns that there are any."""
    community = community_of(request, slug)
    if not permissions.can_moderate(request.user, community.pk):
        raise Http404
    items: ReviewItemQuerySet = ReviewItem.objects.filter(community=community)
    return items


def _item_data(request: Request, slug: str, pk: int) -> Any:
    items = _items(request, slug).at(timezone.now()).select_related("claimed_by")
    item = get_object_or_404(items.annotate(times=Count("reports")), pk=pk)
    return shapes.ReviewItemSerializer(item).data
