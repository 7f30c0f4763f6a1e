"""API of delegation: mine in a community, and the way of my vote in a poll."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework import status as http
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import delegating, following
from governance.models import Delegation, Poll
from governance.shapes import PersonSerializer
from governance.web import community_of, person_of, shaped

_LARGEST_KEY = 2**63 - 1


class DelegationSerializer(serializers.ModelSerializer[Delegation]):
    """A delegation of mine; without topic and poll it holds for all polls."""

    delegate = PersonSerializer()

    class Meta:
        model = Delegation
        fields = ("id", "delegate", "topic", "poll", "given_at")


class DelegationGiveSerializer(serializers.Serializer[Any]):
    """To whom, and in which polls: of one kind, one alone, or all."""

    delegate = serializers.IntegerField(min_value=1, max_value=_LARGEST_KEY)
    topic = serializers.CharField(max_length=30, default="", allow_blank=True)
    poll = serializers.IntegerField(
        min_value=1, max_value=_LARGEST_KEY, default=None, allow_null=True
    )


class WaySerializer(serializers.Serializer[Any]):
    """The way of my vote in a poll; `carrier` and `content` are null before the close."""

    delegate = PersonSerializer()
    further = PersonSerializer(many=True)
    left_out = serializers.IntegerField()
    overruled = serializers.BooleanField()
    carrier = PersonSerializer(allow_null=True)
    content = serializers.JSONField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)


class DelegationListView(ListAPIView[Delegation]):
    """My delegations in a community."""

    permission_classes = (IsAuthenticated,)
    serializer_class = DelegationSerializer
    queryset = Delegation.objects.none()

    def get_queryset(self) -> QuerySet[Delegation]:
        """Return mine, but for polls that are over."""
        if getattr(self, "swagger_fake_view", False):
            return Delegation.objects.none()
        community = community_of(self.request, self.kwargs["slug"])
        return delegating.given_by(person_of(self.request), community.pk)

    @extend_schema(request=DelegationGiveSerializer, responses={201: DelegationSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Let my vote go to another member where I cast no ballot."""
        community = community_of(request, slug)
        given = shaped(DelegationGiveSerializer, request)
        held = delegating.give_delegation(
            community_id=community.pk,
            delegator=person_of(request),
            delegate_id=given["delegate"],
            topic=given["topic"],
            poll_id=given["poll"],
        )
        return Response(DelegationSerializer(held).data, status=http.HTTP_201_CREATED)


class DelegationView(APIView):
    """One delegation of mine."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        """Take it back."""
        person = person_of(request)
        mine = Delegation.objects.filter(community=community_of(request, slug), delegator=person)
        held = get_object_or_404(mine, pk=pk)
        try:
            delegating.take_back(delegation_id=held.pk, delegator=person)
        except Delegation.DoesNotExist as error:  # taken back meanwhile
            raise Http404 from error
        return Response(status=http.HTTP_204_NO_CONTENT)


class WayView(APIView):
    """The way of my vote in a poll."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(responses={200: WaySerializer, 204: None})
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """Return through whom my vote would go, or went; 204 where I delegated to nobody."""
        polls = Poll.objects.filter(community=community_of(request, slug))
        way = following.who_carried(get_object_or_404(polls, pk=pk), person_of(request))
        if way is None:
            return Response(status=http.HTTP_204_NO_CONTENT)
        return Response(WaySerializer(way).data)
