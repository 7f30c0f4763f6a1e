"""API of how a community is run: motions, its rules, polls about both, and its invitations."""

from datetime import timedelta
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

from governance import (
    community_rules,
    membership,
    outcomes,
    permissions,
    rule_setting,
    stewardship,
)
from governance.errors import BadInput
from governance.models import Community, Invitation, Membership, Motion
from governance.rules import LONGEST_MINUTES, Rule
from governance.shapes import PersonSerializer, PollSerializer, RuleSerializer, votes_now
from governance.web import community_of, person_of, shaped

_LARGEST_KEY = 2**63 - 1
_ACTS = {"second": stewardship.second, "decline": stewardship.decline}


class MotionSerializer(serializers.ModelSerializer[Motion]):
    """A motion; `poll` or `membership` and `role` say what it is about."""

    moved_by = PersonSerializer()
    decided_by = PersonSerializer(allow_null=True)

    class Meta:
        model = Motion
        fields = (
            "id",
            "kind",
            "poll",
            "membership",
            "role",
            "reason",
            "status",
            "moved_by",
            "moved_at",
            "decided_by",
            "decided_at",
        )


class MotionMoveSerializer(serializers.Serializer[Any]):
    """What is moved: about a poll, or about a member and a role."""

    kind = serializers.ChoiceField(choices=Motion.Kind.choices)
    poll = serializers.IntegerField(
        min_value=1, max_value=_LARGEST_KEY, default=None, allow_null=True
    )
    membership = serializers.IntegerField(
        min_value=1, max_value=_LARGEST_KEY, default=None, allow_null=True
    )
    role = serializers.ChoiceField(choices=Membership.Role.choices, default="", allow_blank=True)
    reason = serializers.CharField(max_length=stewardship.LONGEST_REASON)


class CommunityRuleSerializer(serializers.Serializer[Any]):
    """The rule of a kind of poll.

    `set`: the community has set one for this kind. `bound`: polls of this kind must have it.
    """

    kind = serializers.CharField()
    title = serializers.CharField()
    rule = RuleSerializer()
    set = serializers.BooleanField()
    bound = serializers.BooleanField()
    sentences = serializers.ListField(child=serializers.CharField())


class RuleChangeSerializer(serializers.Serializer[Any]):
    """A rule; null takes back what the community had set."""

    rule = RuleSerializer(allow_null=True)


class PeriodSerializer(serializers.Serializer[Any]):
    """Why, and for how many minutes the poll is open."""

    reason = serializers.CharField(
        max_length=rule_setting.LONGEST_REASON, default="", allow_blank=True
    )
    minutes = serializers.IntegerField(min_value=1, max_value=LONGEST_MINUTES)


class RuleProposalSerializer(PeriodSerializer):
    """A rule to put to the vote; null would take back what the community had set."""

    rule = RuleSerializer(allow_null=True)


class StewardProposalSerializer(PeriodSerializer):
    """A role to put to the vote: that of a steward, or one that ends a stewardship."""

    role = serializers.ChoiceField(choices=Membership.Role.choices)


# --- motions --------------------------------------------------------------------------------------


class MotionListView(ListAPIView[Motion]):
    """What stewards moved, to members; the latest first."""

    permission_classes = (IsAuthenticated,)
    serializer_class = MotionSerializer
    queryset = Motion.objects.none()

    def get_queryset(self) -> QuerySet[Motion]:
        """Return the community's motions."""
        if getattr(self, "swagger_fake_view", False):
            return Motion.objects.none()
        community = community_of(self.request, self.kwargs["slug"])
        permissions.require(
            permissions.is_member(self.request.user, community.pk),
            "Only members see what stewards move.",
        )
        return Motion.objects.filter(community=community).select_related("moved_by", "decided_by")

    @extend_schema(request=MotionMoveSerializer, responses={201: MotionSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Move what takes two stewards; it happens when another one seconds it."""
        community = community_of(request, slug)
        given = shaped(MotionMoveSerializer, request)
        moved = stewardship.move(
            community_id=community.pk,
            actor=person_of(request),
            kind=given["kind"],
            reason=given["reason"],
            poll_id=given["poll"],
            membership_id=given["membership"],
            role=given["role"],
        )
        return Response(MotionSerializer(moved).data, status=http.HTTP_201_CREATED)


class MotionActView(APIView):
    """Seconding and declining; the address says which."""

    permission_classes = (IsAuthenticated,)
    act = "second"

    @extend_schema(request=None, responses=MotionSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Second a motion, so that it happens, or decline it."""
        motion = get_object_or_404(Motion, pk=pk, community=community_of(request, slug))
        decided = _ACTS[self.act](motion_id=motion.pk, actor=person_of(request))
        return Response(MotionSerializer(decided).data)


# --- rules and stewards ---------------------------------------------------------------------------


class RuleListView(APIView):
    """The rules of a community's polls."""

    @extend_schema(responses=CommunityRuleSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Return each kind's rule; the one called `default` is where others have none."""
        community = community_of(request, slug)
        kinds = [community_rules.DEFAULT, *(kind.name for kind in outcomes.kinds())]
        return Response([_told(community, kind) for kind in kinds])


class RuleView(APIView):
    """The rule of one kind of poll."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=RuleChangeSerializer, responses=CommunityRuleSerializer)
    def put(self, request: Request, slug: str, kind: str) -> Response:
        """Set a rule, as a steward of a small community may."""
        community, key = community_of(request, slug), _kind(kind)
        changed = rule_setting.change_rule(
            community_id=community.pk,
            actor=person_of(request),
            kind=key,
            rule=_rule(shaped(RuleChangeSerializer, request)),
        )
        return Response(_told(changed, key))


class RuleProposalView(APIView):
    """Polls about a rule."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=RuleProposalSerializer, responses={201: PollSerializer})
    def post(self, request: Request, slug: str, kind: str) -> Response:
        """Put a rule to the vote."""
        community, key = community_of(request, slug), _kind(kind)
        given = shaped(RuleProposalSerializer, request)
        poll = rule_setting.propose_rule_change(
            community_id=community.pk,
            actor=person_of(request),
            kind=key,
            rule=_rule(given),
            reason=given["reason"],
            period=timedelta(minutes=given["minutes"]),
        )
        return Response(PollSerializer(poll).data, status=http.HTTP_201_CREATED)


class StewardProposalView(APIView):
    """Polls about who is a steward."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=StewardProposalSerializer, responses={201: PollSerializer})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Put to the vote that a member becomes a steward, or is one no more."""
        community = community_of(request, slug)
        subject = get_object_or_404(Membership, community=community, pk=pk)
        given = shaped(StewardProposalSerializer, request)
        poll = stewardship.propose_steward_change(
            community_id=community.pk,
            actor=person_of(request),
            membership_id=subject.pk,
            role=given["role"],
            reason=given["reason"],
            period=timedelta(minutes=given["minutes"]),
        )
        return Response(PollSerializer(poll).data, status=http.HTTP_201_CREATED)


class InvitationView(APIView):
    """One invitation."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        """Let an invitation expire now."""
        invitation = get_object_or_404(Invitation, pk=pk, community=community_of(request, slug))
        membership.revoke_invitation(invitation_id=invitation.pk, actor=person_of(request))
        return Response(status=http.HTTP_204_NO_CONTENT)


# --- shared by the views --------------------------------------------------------------------------


def _told(community: Community, kind: str) -> dict[str, Any]:
    rule = community_rules.rule_for(community, kind)
    votes = votes_now(community.pk, rule)
    return {
        "kind": kind or rule_setting.DEFAULT_NAME,
        "title": rule_setting.kind_label(kind),
        "rule": rule.to_dict(),
        "set": kind in community.rules,
        "bound": community_rules.rule_of(community, kind) is not None,
        "sentences": rule_setting.sentences(rule, votes) if votes else [],
    }


def _kind(name: str) -> str:
    """Return the kind that an address names, or answer that there is none."""
    kind = community_rules.DEFAULT if name == rule_setting.DEFAULT_NAME else name
    try:
        rule_setting.kind_label(kind)
    except BadInput as error:
        raise Http404 from error
    return kind


def _rule(given: dict[str, Any]) -> Rule | None:
    return None if given["rule"] is None else Rule.from_dict(given["rule"])
