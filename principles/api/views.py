"""API of constitutions: a serializer for the shape, then the verb of the pages."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import status as http
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import Community
from governance.rules import DEFAULT_RULE, Rule
from governance.shapes import PollSerializer
from governance.web import community_of, person_of, shaped
from principles import compilation, drafting, starters
from principles.api import serializers as shapes
from principles.models import Draft, DraftPrinciple, Version

# --- versions -------------------------------------------------------------------------------------


class StarterListView(APIView):
    """The template constitutions."""

    @extend_schema(responses=shapes.StarterSerializer(many=True))
    def get(self, request: Request) -> Response:  # noqa: ARG002 - Django's signature
        """Return the template constitutions, whole."""
        return Response(shapes.StarterSerializer(starters.load(), many=True).data)


class ConstitutionView(APIView):
    """What is in force."""

    @extend_schema(responses=shapes.VersionSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Return the version in force; 404 where there is none."""
        version = _versions(community_of(request, slug)).first()
        return Response(shapes.VersionSerializer(_found(version)).data)


class VersionListView(ListAPIView[Version]):
    """The versions of a constitution, the one in force first."""

    serializer_class = shapes.VersionSummarySerializer
    queryset = Version.objects.none()

    def get_queryset(self) -> QuerySet[Version]:
        """Return the community's versions."""
        if getattr(self, "swagger_fake_view", False):
            return Version.objects.none()
        community = community_of(self.request, self.kwargs["slug"])
        return Version.objects.of(community).select_related("parent")


class VersionView(APIView):
    """One version."""

    @extend_schema(responses=shapes.VersionSerializer)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """Return a version, whole."""
        return Response(shapes.VersionSerializer(_version(request, slug, number)).data)


class VersionCompiledView(APIView):
    """What a version compiles to."""

    @extend_schema(responses=shapes.CompiledSerializer)
    def get(self, request: Request, slug: str, number: int) -> Response:
        """Return all outputs of a version."""
        content = _version(request, slug, number).content()
        return Response(compilation.compile_constitution(content))


# --- drafts ---------------------------------------------------------------------------------------


class DraftListView(ListAPIView[Draft]):
    """The drafts of a community, the last touched first."""

    serializer_class = shapes.DraftSummarySerializer
    queryset = Draft.objects.none()

    def get_queryset(self) -> QuerySet[Draft]:
        """Return the community's drafts."""
        if getattr(self, "swagger_fake_view", False):
            return Draft.objects.none()
        community = community_of(self.request, self.kwargs["slug"])
        return Draft.objects.of(community).select_related("author", "base")

    @extend_schema(request=shapes.DraftCreateSerializer, responses={201: shapes.DraftSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Begin a draft."""
        community = community_of(request, slug)
        given = shaped(shapes.DraftCreateSerializer, request)
        draft = drafting.create_draft(community_id=community.pk, actor=person_of(request), **given)
        return Response(_draft_data(draft.pk), status=http.HTTP_201_CREATED)


class DraftView(APIView):
    """One draft."""

    @extend_schema(responses=shapes.DraftSerializer)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """Return a draft, whole."""
        return Response(_draft_data(_draft(request, slug, pk).pk))

    @extend_schema(request=shapes.DraftChangeSerializer, responses=shapes.DraftSerializer)
    def patch(self, request: Request, slug: str, pk: int) -> Response:
        """Change a draft's title, preamble or summary."""
        draft = _draft(request, slug, pk)
        given = shaped(shapes.DraftChangeSerializer, request)
        drafting.edit_draft(
            draft_id=pk,
            actor=person_of(request),
            title=given.get("title", draft.title),
            preamble=given.get("preamble", draft.preamble),
            summary=given.get("summary", draft.summary),
            # What is left out is taken from this revision, so no other may have come since.
            revision=given.get("revision", draft.revision),
        )
        return Response(_draft_data(pk))


class DraftCompiledView(APIView):
    """What a draft would compile to."""

    @extend_schema(responses=shapes.CompiledSerializer)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """Return all outputs of a draft as it stands now."""
        content = _draft(request, slug, pk).content()
        return Response(compilation.compile_constitution(content))


class DraftWithdrawView(APIView):
    """Giving a draft up."""

    @extend_schema(request=None, responses=shapes.DraftSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Withdraw a draft."""
        _draft(request, slug, pk)
        drafting.withdraw_draft(draft_id=pk, actor=person_of(request))
        return Response(_draft_data(pk))


class DraftProposeView(APIView):
    """Putting a draft to a poll."""

    @extend_schema(request=shapes.ProposeSerializer, responses={201: PollSerializer})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Open the poll on a draft, and freeze it."""
        _draft(request, slug, pk)
        given = shaped(shapes.ProposeSerializer, request)
        rule = Rule.from_dict(given["rule"]) if "rule" in given else DEFAULT_RULE
        poll = drafting.propose(
            draft_id=pk, actor=person_of(request), rule=rule, closes_at=given["closes_at"]
        )
        return Response(PollSerializer(poll).data, status=http.HTTP_201_CREATED)


# --- a draft's principles -------------------------------------------------------------------------


class PrincipleListView(APIView):
    """The principles of a draft."""

    @extend_schema(
        request=shapes.PrincipleWriteSerializer, responses={201: shapes.DraftPrincipleSerializer}
    )
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Add a principle at the end; its key is made from its title."""
        _draft(request, slug, pk)
        given = shaped(shapes.PrincipleWriteSerializer, request)
        principle = drafting.set_principle(draft_id=pk, actor=person_of(request), **given)
        return Response(
            shapes.DraftPrincipleSerializer(principle).data, status=http.HTTP_201_CREATED
        )


class PrincipleView(APIView):
    """One principle of a draft."""

    @extend_schema(
        request=shapes.PrincipleWriteSerializer, responses=shapes.DraftPrincipleSerializer
    )
    def put(self, request: Request, slug: str, pk: int, key: str) -> Response:
        """Write a principle anew, under the key that it has."""
        _principle(request, slug, pk, key)
        given = shaped(shapes.PrincipleWriteSerializer, request)
        principle = drafting.set_principle(draft_id=pk, actor=person_of(request), key=key, **given)
        return Response(shapes.DraftPrincipleSerializer(principle).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, pk: int, key: str) -> Response:
        """Take a principle out of a draft."""
        _principle(request, slug, pk, key)
        drafting.remove_principle(draft_id=pk, actor=person_of(request), key=key)
        return Response(status=http.HTTP_204_NO_CONTENT)


class PrinciplePositionView(APIView):
    """The place of a principle."""

    @extend_schema(request=shapes.PositionSerializer, responses=shapes.DraftSerializer)
    def put(self, request: Request, slug: str, pk: int, key: str) -> Response:
        """Put a principle in another place."""
        _principle(request, slug, pk, key)
        given = shaped(shapes.PositionSerializer, request)
        drafting.move_principle(draft_id=pk, actor=person_of(request), key=key, **given)
        return Response(_draft_data(pk))


# --- shared by the views --------------------------------------------------------------------------


def _versions(community: Community) -> QuerySet[Version]:
    versions: QuerySet[Version] = Version.objects.of(community)
    return versions.select_related("constitution__community", "parent").prefetch_related(
        "principles"
    )


def _version(request: Request, slug: str, number: int) -> Version:
    return get_object_or_404(_versions(community_of(request, slug)), number=number)


def _found(version: Version | None) -> Version:
    if version is None:
        raise Http404
    return version


def _draft(request: Request, slug: str, pk: int) -> Draft:
    community = community_of(request, slug)
    draft: Draft = get_object_or_404(
        Draft.objects.of(community).select_related("constitution__community"), pk=pk
    )
    return draft


def _draft_data(draft_id: int) -> Any:
    draft = (
        Draft.objects.select_related("author", "base")
        .prefetch_related("principles")
        .get(pk=draft_id)
    )
    return shapes.DraftSerializer(draft).data


def _principle(request: Request, slug: str, pk: int, key: str) -> DraftPrinciple:
    return get_object_or_404(_draft(request, slug, pk).principles, key=key)
