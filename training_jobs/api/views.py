"""API: runs, models, evaluations, releases and the playground."""

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, status
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import Community, User
from governance.rules import DEFAULT_RULE, Rule
from governance.web import community_of, person_of
from training_jobs import dispatch, playground, releasing
from training_jobs.api import serializers
from training_jobs.models import Evaluation, Model, Release, Run, Turn

_VERBS: dict[str, Callable[..., Run]] = {
    "generate": dispatch.queue_generation,
    "dpo": dispatch.queue_training,
    "evaluate": dispatch.queue_evaluation,
}


class OfCommunity(APIView):
    """A view below a community, which those who may not read it cannot see."""

    def community(self) -> Community:
        """Fetch the community as the first permission check."""
        return community_of(self.request, self.kwargs["slug"])

    def person(self) -> User:
        """Return who asks; only for views that need somebody."""
        return person_of(self.request)


class RunList(OfCommunity, generics.ListAPIView[Run]):
    """Runs of a community, the latest first."""

    serializer_class = serializers.RunSerializer
    queryset = Run.objects.none()

    def get_queryset(self) -> QuerySet[Run]:
        """Return the community's runs."""
        runs: QuerySet[Run] = (
            Run.objects.filter(community=self.community()).work().select_related("queued_by")
        )
        return runs

    @extend_schema(
        request=serializers.RunQueueSerializer, responses={201: serializers.RunSerializer}
    )
    def post(self, request: Request, **_: str) -> Response:
        """Queue a run."""
        community = self.community()
        asked = serializers.RunQueueSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = _VERBS[asked.validated_data["recipe"]](
            community_id=community.pk, actor=self.person(), **asked.arguments()
        )
        return Response(serializers.RunSerializer(run).data, status=status.HTTP_201_CREATED)


class RunDetail(OfCommunity, generics.RetrieveAPIView[Run]):
    """A run with its manifest, attempts and progress."""

    serializer_class = serializers.RunDetailSerializer
    queryset = Run.objects.none()

    def get_queryset(self) -> QuerySet[Run]:
        """Return the community's runs."""
        runs: QuerySet[Run] = (
            Run.objects.filter(community=self.community()).work().select_related("queued_by")
        )
        return runs


class RunAgain(OfCommunity):
    """The work of a run once more."""

    @extend_schema(request=None, responses={201: serializers.RunSerializer})
    def post(self, request: Request, *, pk: int, **__: str) -> Response:
        """Queue the work of a run that failed or was cancelled, as a new run."""
        run = get_object_or_404(Run.objects.filter(community=self.community()).work(), pk=pk)
        again = dispatch.queue_again(run_id=run.pk, actor=self.person())
        shown = serializers.RunSerializer(again, context={"request": request})
        return Response(shown.data, status=status.HTTP_201_CREATED)


class RunCancel(OfCommunity):
    """The end of a run before its time."""

    @extend_schema(request=None, responses=serializers.RunSerializer)
    def post(self, _: Request, *, pk: int, **__: str) -> Response:
        """Cancel a run."""
        run = get_object_or_404(Run.objects.filter(community=self.community()).work(), pk=pk)
        cancelled = dispatch.cancel_run(run_id=run.pk, actor=self.person())
        return Response(serializers.RunSerializer(cancelled).data)


class _Models(OfCommunity, generics.GenericAPIView[Model]):
    queryset = Model.objects.none()

    def get_queryset(self) -> QuerySet[Model]:
        models: QuerySet[Model] = (
            Model.objects.usable_in(self.community().pk)
            .select_related("version", "dataset")
            .prefetch_related("parents")
        )
        return models


class ModelList(_Models, generics.ListAPIView[Model]):
    """Models of a community, and the base models."""

    serializer_class = serializers.ModelSerializer


class ModelDetail(_Models, generics.RetrieveAPIView[Model]):
    """A model with the digest of each of its files."""

    serializer_class = serializers.ModelDetailSerializer


class EvaluationList(OfCommunity, generics.ListAPIView[Evaluation]):
    """Evaluations of a community's models, the latest first."""

    serializer_class = serializers.EvaluationSerializer
    queryset = Evaluation.objects.none()

    def get_queryset(self) -> QuerySet[Evaluation]:
        """Return the community's evaluations."""
        evaluations: QuerySet[Evaluation] = Evaluation.objects.filter(
            run__community=self.community()
        ).prefetch_related("scores")
        return evaluations


class EvaluationDetail(OfCommunity, generics.RetrieveAPIView[Evaluation]):
    """An evaluation with its scores and samples."""

    serializer_class = serializers.EvaluationDetailSerializer
    queryset = Evaluation.objects.none()

    def get_queryset(self) -> QuerySet[Evaluation]:
        """Return the community's evaluations."""
        evaluations: QuerySet[Evaluation] = (
            Evaluation.objects.filter(run__community=self.community())
            .select_related("run")
            .prefetch_related("scores")
        )
        return evaluations


class ReleaseList(OfCommunity, generics.ListAPIView[Release]):
    """Releases of a community's models, the latest first."""

    serializer_class = serializers.ReleaseSerializer
    queryset = Release.objects.none()

    def get_queryset(self) -> QuerySet[Release]:
        """Return the community's releases."""
        releases: QuerySet[Release] = Release.objects.filter(model__community=self.community())
        return releases


class ReleasePropose(OfCommunity):
    """The question to the community whether a model is released."""

    @extend_schema(
        request=serializers.ReleaseProposeSerializer,
        responses={201: serializers.ReleaseSerializer},
    )
    def post(self, request: Request, *, pk: int, **_: str) -> Response:
        """Put an evaluated model to the community."""
        evaluation = get_object_or_404(
            Evaluation.objects.filter(run__community=self.community()), pk=pk
        )
        asked = serializers.ReleaseProposeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] | None = asked.validated_data.get("rule")
        release = releasing.propose_release(
            evaluation_id=evaluation.pk,
            actor=self.person(),
            rule=DEFAULT_RULE if given is None else Rule.from_dict(given),
            closes_at=asked.validated_data["closes_at"],
        )
        return Response(serializers.ReleaseSerializer(release).data, status=status.HTTP_201_CREATED)


class _Turns(OfCommunity, generics.GenericAPIView[Turn]):
    permission_classes = (IsAuthenticated,)
    queryset = Turn.objects.none()

    def get_queryset(self) -> QuerySet[Turn]:
        return playground.turns_of(self.person(), self.community().pk)

    def shown(self, turns: Iterable[Turn]) -> list[Turn]:
        """Cover what moderators have hidden."""
        return playground.as_shown(turns, self.community().pk, self.person())


class TurnList(_Turns, generics.ListAPIView[Turn]):
    """My own questions to the released model, the latest first."""

    serializer_class = serializers.TurnSerializer

    def paginate_queryset(self, queryset: Any) -> Any:
        """Return the turns of the page that was asked for."""
        return self.shown(super().paginate_queryset(queryset) or ())

    @extend_schema(
        request=serializers.QuestionSerializer, responses={201: serializers.TurnSerializer}
    )
    def post(self, request: Request, **_: str) -> Response:
        """Ask the released model; the answer comes when its run has ended."""
        community = self.community()
        asked = serializers.QuestionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        turn = playground.ask(
            community_id=community.pk, actor=self.person(), **asked.validated_data
        )
        return Response(serializers.TurnSerializer(turn).data, status=status.HTTP_201_CREATED)


class TurnDetail(_Turns, generics.RetrieveAPIView[Turn]):
    """One of my own questions, with its answer."""

    serializer_class = serializers.TurnSerializer

    def get_object(self) -> Turn:
        """Return the turn that the address names."""
        return self.shown([super().get_object()])[0]
