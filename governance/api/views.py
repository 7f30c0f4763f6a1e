"""API of people and communities: a serializer for the shape, then the verb of the pages."""

from typing import Any, cast

from allauth.account import app_settings as account_settings
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError as RefusedByForm
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status as http
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import membership, permissions, tokens
from governance.api import serializers as shapes
from governance.models import Community, Invitation, Membership, User
from governance.web import community_of, person_of, shaped

_ACTS = {
    "approve": membership.approve_request,
    "decline": membership.decline_request,
    "suspend": membership.suspend,
    "reinstate": membership.reinstate,
}


# --- people ---------------------------------------------------------------------------------------


class TokenView(APIView):
    """Exchange e-mail and password for a token; the sign-in page's limits on attempts hold."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    @extend_schema(request=shapes.TokenRequestSerializer, responses=shapes.TokenSerializer)
    def post(self, request: Request) -> Response:
        """Make the person a token, which ends the one they had."""
        given = shaped(shapes.TokenRequestSerializer, request)
        try:
            person = get_adapter().authenticate(
                request._request,  # noqa: SLF001 - allauth wants Django's own request
                email=given["email"],
                password=given["password"],
            )
        except RefusedByForm as error:
            raise ValidationError({"detail": error.messages}) from error
        if person is None or not person.is_active:
            raise ValidationError({"detail": "E-mail address and password do not match."})
        if (
            account_settings.EMAIL_VERIFICATION == "mandatory"
            and not EmailAddress.objects.filter(user=person, verified=True).exists()
        ):
            raise ValidationError({"detail": "Confirm your e-mail address first."})
        return Response({"token": tokens.make(actor=cast("User", person))})


class MeView(APIView):
    """The person who asks."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(responses=shapes.MeSerializer)
    def get(self, request: Request) -> Response:
        """Return who I am."""
        return Response(shapes.MeSerializer(person_of(request)).data)


# --- communities ----------------------------------------------------------------------------------


class CommunityListView(ListAPIView[Community]):
    """The communities that I may read."""

    serializer_class = shapes.CommunitySerializer

    def get_queryset(self) -> QuerySet[Community]:
        """Return public communities, and mine."""
        return Community.objects.visible_to(self.request.user).with_figures()

    @extend_schema(
        request=shapes.CommunityCreateSerializer, responses={201: shapes.CommunitySerializer}
    )
    def post(self, request: Request) -> Response:
        """Found a community."""
        given = shaped(shapes.CommunityCreateSerializer, request)
        community = membership.create_community(actor=person_of(request), **given)
        return Response(_community_data(community.pk), status=http.HTTP_201_CREATED)


class CommunityView(APIView):
    """One community."""

    @extend_schema(responses=shapes.CommunitySerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Return a community."""
        return Response(_community_data(community_of(request, slug).pk))

    @extend_schema(request=shapes.CommunityChangeSerializer, responses=shapes.CommunitySerializer)
    def patch(self, request: Request, slug: str) -> Response:
        """Change a community's purpose, joining or visibility."""
        community = community_of(request, slug)
        given = shaped(shapes.CommunityChangeSerializer, request)
        membership.change_community(
            community_id=community.pk,
            actor=person_of(request),
            purpose=given.get("purpose", community.purpose),
            joining=given.get("joining", community.joining),
            visibility=given.get("visibility", community.visibility),
        )
        return Response(_community_data(community.pk))


class JoinView(APIView):
    """Joining."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses=shapes.MembershipSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Join a community, or ask to, where stewards decide."""
        community = community_of(request, slug)
        joined = membership.join(community_id=community.pk, actor=person_of(request))
        return Response(shapes.MembershipSerializer(joined).data)


class LeaveView(APIView):
    """Leaving."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses=shapes.MembershipSerializer)
    def post(self, request: Request, slug: str) -> Response:
        """Leave a community, or take back the request to join it."""
        person = person_of(request)
        community = get_object_or_404(Community.objects.filter(memberships__user=person), slug=slug)
        left = membership.leave(community_id=community.pk, actor=person)
        return Response(shapes.MembershipSerializer(left).data)


class MemberListView(ListAPIView[Membership]):
    """The members of a community, to each other; stewards also see those who are not active."""

    permission_classes = (IsAuthenticated,)
    serializer_class = shapes.MembershipSerializer
    queryset = Membership.objects.none()

    def get_queryset(self) -> QuerySet[Membership]:
        """Return those whom this person may see."""
        if getattr(self, "swagger_fake_view", False):
            return Membership.objects.none()
        community = community_of(self.request, self.kwargs["slug"])
        permissions.require(
            permissions.is_member(self.request.user, community.pk),
            "Only members see who the members are.",
        )
        people = Membership.objects.filter(community=community).stewards_first()
        if permissions.is_steward(self.request.user, community.pk):
            return people
        return people.active()


class MemberRoleView(APIView):
    """A member's role."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=shapes.RoleSerializer, responses=shapes.MembershipSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Give a member another role."""
        subject = _membership(request, slug, pk)
        given = shaped(shapes.RoleSerializer, request)
        changed = membership.change_role(
            membership_id=subject.pk, actor=person_of(request), role=given["role"]
        )
        return Response(shapes.MembershipSerializer(changed).data)


class MemberActView(APIView):
    """Requests and suspensions; the address says which act it is."""

    permission_classes = (IsAuthenticated,)
    act = "approve"

    @extend_schema(request=None, responses=shapes.MembershipSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Approve, decline, suspend or reinstate a person."""
        subject = _membership(request, slug, pk)
        changed = _ACTS[self.act](membership_id=subject.pk, actor=person_of(request))
        return Response(shapes.MembershipSerializer(changed).data)


class InvitationListView(ListAPIView[Invitation]):
    """Invitations, to stewards: whoever has the token of one joins."""

    permission_classes = (IsAuthenticated,)
    serializer_class = shapes.InvitationSerializer
    queryset = Invitation.objects.none()

    def get_queryset(self) -> QuerySet[Invitation]:
        """Return those that still hold, the latest first."""
        if getattr(self, "swagger_fake_view", False):
            return Invitation.objects.none()
        community = community_of(self.request, self.kwargs["slug"])
        permissions.require(
            permissions.is_steward(self.request.user, community.pk),
            "Only stewards see the invitations.",
        )
        held = Invitation.objects.filter(community=community, expires_at__gt=timezone.now())
        return held.order_by("-pk")

    @extend_schema(
        request=shapes.InvitationCreateSerializer, responses={201: shapes.InvitationSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Make an invitation; its token is given to whoever may join."""
        community = community_of(request, slug)
        given = shaped(shapes.InvitationCreateSerializer, request)
        made = membership.invite(community_id=community.pk, actor=person_of(request), **given)
        return Response(shapes.InvitationSerializer(made).data, status=http.HTTP_201_CREATED)


class InvitationAcceptView(APIView):
    """Accepting an invitation."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=None, responses=shapes.MembershipSerializer)
    def post(self, request: Request, token: str) -> Response:
        """Join by an invitation."""
        get_object_or_404(Invitation, token=token)
        joined = membership.accept_invitation(token=token, actor=person_of(request))
        return Response(shapes.MembershipSerializer(joined).data)


# --- shared by the views ---------------------------------------------------------------------


def _membership(request: Request, slug: str, pk: int) -> Membership:
    found: Membership = get_object_or_404(Membership, community=community_of(request, slug), pk=pk)
    return found


def _community_data(community_id: int) -> dict[str, Any]:
    community = Community.objects.with_figures().get(pk=community_id)
    return dict(shapes.CommunitySerializer(community).data)
