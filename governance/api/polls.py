"""API of polls: a serializer for the shape, then the verb of the pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status as http
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import community_rules, explaining, permissions, polling, signing, voting
from governance.api import serializers as shapes
from governance.errors import InvalidTransition, NotPermitted
from governance.models import Ballot, Community, Poll, User
from governance.poll_panel import may_name_voters
from governance.rules import Rule
from governance.shapes import PersonSerializer, PollSerializer
from governance.web import community_of, person_of, shaped

_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="A request that comes again with its key does nothing more.",
)


class PollListView(ListAPIView[Poll]):
    """The polls of a community, open ones first."""

    serializer_class = PollSerializer
    queryset = Poll.objects.none()

    def get_queryset(self) -> QuerySet[Poll]:
        """Return the community's polls; drafts are for stewards."""
        if getattr(self, "swagger_fake_view", False):
            return Poll.objects.none()
        community = community_of(self.request, self.kwargs["slug"])
        polls: QuerySet[Poll] = (
            Poll.objects.filter(community=community)
            .for_list(self.request.user)
            .select_related("opened_by")
        )
        return polls

    @extend_schema(
        request=shapes.PollCreateSerializer, responses={201: shapes.PollDetailSerializer}
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put a question to all members: draft it, announce it, or open it."""
        community = community_of(request, slug)
        given = shaped(shapes.PollCreateSerializer, request)
        terms: dict[str, Any] = {
            "community_id": community.pk,
            "actor": person_of(request),
            "kind": community_rules.QUESTION,
            **_content(given, community_rules.rule_for(community, community_rules.QUESTION)),
        }
        closes_at = given.get("closes_at")
        if given["begin"] == "open" and closes_at is not None:
            poll = polling.open_poll(closes_at=closes_at, **terms)
            return Response(_poll_data(request, poll), status=http.HTTP_201_CREATED)
        if "period" not in given:
            raise ValidationError({"period": ["Say for how many minutes the poll is open."]})
        with transaction.atomic():
            poll = polling.draft_poll(period=_period(given), **terms)
            if given["begin"] != "draft":
                poll = polling.announce_poll(
                    poll_id=poll.pk, actor=person_of(request), opens_at=given.get("opens_at")
                )
        return Response(_poll_data(request, poll), status=http.HTTP_201_CREATED)


class PollView(APIView):
    """One poll."""

    @extend_schema(responses=shapes.PollDetailSerializer)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """Return a poll, with my own ballot; never how it stands before it closes."""
        return Response(_poll_data(request, _poll(request, slug, pk)))

    @extend_schema(request=shapes.PollEditSerializer, responses=shapes.PollDetailSerializer)
    def put(self, request: Request, slug: str, pk: int) -> Response:
        """Change a draft, or revise a poll in deliberation."""
        _require_person(request)
        poll = _poll(request, slug, pk)
        given = shaped(shapes.PollEditSerializer, request)
        poll = polling.edit_poll(
            poll_id=poll.pk,
            actor=person_of(request),
            period=_period(given),
            **_content(given, Rule.from_dict(poll.rule)),
        )
        return Response(_poll_data(request, poll))


class AnnounceView(APIView):
    """Announcing a draft."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=shapes.AnnounceSerializer, responses=shapes.PollDetailSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Announce a draft; without a time, and where its rule asks for none, it opens at once."""
        poll = _poll(request, slug, pk)
        given = shaped(shapes.AnnounceSerializer, request)
        poll = polling.announce_poll(
            poll_id=poll.pk, actor=person_of(request), opens_at=given.get("opens_at")
        )
        return Response(_poll_data(request, poll))


class PollWithdrawView(APIView):
    """Withdrawing a poll that has not opened."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(request=shapes.ReasonSerializer, responses=shapes.PollDetailSerializer)
    def post(self, request: Request, slug: str, pk: int) -> Response:
        """Take back a poll that has not opened, with a reason."""
        poll = _poll(request, slug, pk)
        given = shaped(shapes.ReasonSerializer, request)
        poll = polling.withdraw_poll(poll_id=poll.pk, actor=person_of(request), **given)
        return Response(_poll_data(request, poll))


class ResultView(APIView):
    """How a poll came out."""

    @extend_schema(responses=shapes.ResultSerializer)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """Return the outcome, every figure on the way to it, and why, in sentences."""
        poll = _poll(request, slug, pk)
        if poll.status != Poll.Status.CLOSED or poll.tally is None:
            raise InvalidTransition("There is no result before the poll closes.")
        rule = Rule.from_dict(poll.rule)
        titles = {option["key"]: option["title"] for option in poll.options}
        return Response(
            {
                "outcome": poll.outcome,
                "sentence": explaining.outcome_sentence(rule, poll.tally, titles),
                "why": explaining.explain(rule, poll.tally, titles),
                "tally": poll.tally,
                "seed": poll.seed,
            }
        )


# --- ballots --------------------------------------------------------------------------------------


class BallotView(APIView):
    """My ballot in a poll."""

    permission_classes = (IsAuthenticated,)

    @extend_schema(responses=shapes.ReceiptSerializer)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """Return my ballot with its receipt; 404 where I have cast none."""
        poll = _poll(request, slug, pk)
        ballot = get_object_or_404(Ballot, poll=poll, voter=person_of(request))
        return _receipt(voting.receipt(poll, ballot))

    @extend_schema(
        request=shapes.BallotCastSerializer,
        responses=shapes.ReceiptSerializer,
        parameters=[_KEY],
    )
    def put(self, request: Request, slug: str, pk: int) -> Response:
        """Cast my ballot, or replace it."""
        given = shaped(shapes.BallotCastSerializer, request)
        with _own_poll(request, slug, pk):
            receipt = voting.cast_ballot(
                poll_id=pk,
                voter=person_of(request),
                content=given["content"],
                idempotency_key=request.headers.get("Idempotency-Key", ""),
            )
        return _receipt(receipt)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        """Take my ballot back."""
        with _own_poll(request, slug, pk):
            voting.withdraw_ballot(poll_id=pk, voter=person_of(request))
        return Response(status=http.HTTP_204_NO_CONTENT)


class MyBallotListView(ListAPIView[Ballot]):
    """My ballots in all communities that I may read, the latest poll first."""

    permission_classes = (IsAuthenticated,)
    serializer_class = shapes.MyBallotSerializer
    queryset = Ballot.objects.none()

    def get_queryset(self) -> QuerySet[Ballot]:
        """Return my ballots."""
        if getattr(self, "swagger_fake_view", False):
            return Ballot.objects.none()
        readable = Community.objects.visible_to(self.request.user)
        mine = Ballot.objects.filter(voter=person_of(self.request), poll__community__in=readable)
        return mine.select_related("poll__community").order_by("-poll_id")


class VoterListView(ListAPIView[User]):
    """Who voted in a secret poll, to members, once three or more have."""

    permission_classes = (IsAuthenticated,)
    serializer_class = PersonSerializer
    queryset = User.objects.none()

    def get_queryset(self) -> QuerySet[User]:
        """Return those who took part."""
        if getattr(self, "swagger_fake_view", False):
            return User.objects.none()
        poll = _poll(self.request, self.kwargs["slug"], self.kwargs["pk"])
        permissions.require(
            permissions.is_member(self.request.user, poll.community_id),
            "Only members see who voted.",
        )
        if Rule.from_dict(poll.rule).secrecy != "secret" and poll.status != Poll.Status.CLOSED:
            raise InvalidTransition("Who voted in a roll call is shown when the poll closes.")
        if not may_name_voters(poll):
            raise InvalidTransition("Who voted is shown once three or more have.")
        voters = Ballot.objects.filter(poll=poll).values("voter_id")
        return User.objects.filter(pk__in=voters).order_by("name", "pk")


class BallotRecordView(APIView):
    """The ballots of a closed poll; a roll call's under references that only their voters know."""

    @extend_schema(responses=OpenApiTypes.ANY)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """Return what `ballots_digest` of the trail is the digest of, so that all can recount.

        A roll call: [reference, ballot, nonce] of each, by reference. A secret poll: the ballots
        alone, in the order of their canonical bytes.
        """
        poll = _poll(request, slug, pk)
        if poll.status != Poll.Status.CLOSED:
            raise InvalidTransition("Ballots are published when the poll closes.")
        return Response(voting.ballot_record(poll))


# --- shared by the views --------------------------------------------------------------------------


def _content(given: dict[str, Any], rule: Rule) -> dict[str, Any]:
    return {
        "title": given["title"],
        "text": given["text"],
        "rule": Rule.from_dict(given["rule"]) if "rule" in given else rule,
        "options": given.get("options", []),
    }


def _period(given: dict[str, Any]) -> timedelta:
    return timedelta(minutes=given["period"])


def _require_person(request: Request) -> None:
    permissions.require(isinstance(request.user, User), "Sign in first.")


def _poll(request: Request, slug: str, pk: int) -> Poll:
    polls = Poll.objects.open_to(request.user).filter(community__slug=slug)
    found: Poll = get_object_or_404(polls.select_related("opened_by"), pk=pk)
    return found


@contextmanager
def _own_poll(request: Request, slug: str, pk: int) -> Iterator[None]:
    """Let an elector act on their ballot; casting is hot, so what the verb asks is asked once.

    The electorate is frozen: whoever is in it may vote, even where they were suspended or left
    since. Whoever the verb refuses as none gets its sentence where they may read the poll, and a
    404 where they may not.
    """
    if _slug_of(pk) != slug:
        raise Http404
    try:
        yield
    except NotPermitted:
        _poll(request, slug, pk)
        raise


@lru_cache(maxsize=10_000)
def _slug_of(pk: int) -> str:
    """Say in which community a poll is; it stays there, and the community at its address.

    Raises:
        Http404: there is no such poll, which is not remembered.
    """
    community: Community = get_object_or_404(Community, polls=pk)
    return community.slug


def _receipt(receipt: voting.Receipt) -> Response:
    given = {
        "voter": receipt.voter,
        "content": receipt.content,
        "nonce": receipt.nonce,
        "commitment": receipt.commitment,
        "recorded": receipt.recorded,
        "statement": receipt.statement,
        "signature": receipt.signature,
        "public_key": signing.public_key(),
    }
    return Response(given, headers={"Cache-Control": "private, no-store"})


def _poll_data(request: Request, poll: Poll) -> dict[str, Any]:
    may_vote = permissions.can_vote(request.user, poll)
    own = Ballot.objects.filter(poll=poll, voter_id=request.user.pk).first() if may_vote else None
    return {
        **PollSerializer(poll).data,
        "may_vote": may_vote,
        "takes_ballots": poll.accepts_ballots_at(timezone.now()),
        "own_ballot": shapes.OwnBallotSerializer(own).data if own else None,
        "voter_reference": voting.voter_reference(poll, request.user.pk or 0) if may_vote else "",
    }
