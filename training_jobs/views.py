"""Pages: runs, models, evaluations, releases and the playground."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from feedback.permissions import can_moderate
from governance.errors import RuleViolation
from governance.rules import Rule
from governance.shapes import rule_terms, votes_now
from governance.web import community_context, page, paginate, person_of
from training_jobs import children, dispatch, permissions, registry, releasing, results
from training_jobs import playground as playing
from training_jobs.forms import (
    EvaluationForm,
    GenerationForm,
    QuestionForm,
    ReleaseForm,
    RunForm,
    TrainingForm,
)
from training_jobs.models import METRICS, Evaluation, Model, Release, Run, Score, Turn

SHOWN_TURNS: Final = 20
MANY: Final = 50

RECIPES: Final[dict[str, tuple[type[RunForm], Callable[..., Run], str]]] = {
    "generate": (
        GenerationForm,
        dispatch.queue_generation,
        "Have a model answer every prompt twice, for members to compare.",
    ),
    "dpo": (
        TrainingForm,
        dispatch.queue_training,
        "Train a model on the community's labels. The model it starts from stays as it is.",
    ),
    "evaluate": (
        EvaluationForm,
        dispatch.queue_evaluation,
        "Measure a trained model beside the one it came from, on items it was not trained on.",
    ),
}

# Each curve with its words, its notation, and whether it is among the first that a reader wants.
CURVES: Final = {
    "loss": ("Loss", "", True),
    "accuracy": ("Pairs preferred as the members did", "percent", True),
    "margin": ("Margin between chosen and rejected", "", True),
    "learning_rate": ("Learning rate", "", False),
    "grad_norm": ("Gradient norm", "", False),
    "tokens_per_second": ("Tokens per second", "", False),
    "prompts_per_second": ("Prompts per second", "", False),
}
# What recipes report, with its words and its unit.
RESULTS: Final = {
    "pairs": ("Pairs trained on", ""),
    "skipped_pairs": ("Pairs left out", ""),
    "epochs": ("Passes over the pairs", ""),
    "steps": ("Steps", ""),
    "prompts": ("Prompts", ""),
    "responses": ("Responses", ""),
    "unusable_prompts": ("Prompts without two different answers", ""),
    "tokens": ("Tokens", ""),
    "sampled_tokens": ("Tokens sampled", ""),
    "seconds": ("Time taken", "s"),
    "peak_rss_mb": ("Most memory used", "MB"),
    "precision": ("Precision of numbers", ""),
    "device": ("Computed on", ""),
    "suite_name": ("Suite", ""),
    "matcher": ("Refusals found by", ""),
}


# --- runs -----------------------------------------------------------------------------------------


@require_GET
def run_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List the community's runs, the latest first."""
    context = community_context(request, slug)
    community = context["community"]
    runs = (
        Run.objects.filter(community=community)
        .work()
        .select_related("community", "queued_by", "model", "produced", "evaluation")
    )
    context |= {
        "runs": paginate(request, runs),
        "can_queue": permissions.can_queue_runs(request.user, community.pk),
    }
    return page(request, "training_jobs/run_list.html", "runs", context)


@login_required
@require_http_methods(["GET", "POST"])
def run_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Queue a run of the recipe that the address names."""
    context = community_context(request, slug)
    community = context["community"]
    if not permissions.can_queue_runs(request.user, community.pk):
        raise PermissionDenied
    recipe = request.GET.get("recipe", "dpo")
    if recipe not in RECIPES:
        raise Http404
    form_class, verb, lead = RECIPES[recipe]
    form = form_class(request.POST or None, community_id=community.pk)
    if form.is_valid():
        try:
            run = verb(community_id=community.pk, actor=person_of(request), **form.arguments())
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "The run is queued.")
            return redirect(run)
    context |= {
        "form": form,
        "recipe": recipe,
        "lead": lead,
        "recipes": [(name, Run.Recipe(name).label) for name in RECIPES],
        "nav_current": "run_list",
    }
    status = 422 if form.errors else 200
    return page(request, "training_jobs/run_create.html", "run-form", context, status=status)


@require_GET
def run_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a run: how far it is, what it was made from and what came of it."""
    context = community_context(request, slug)
    run = _run(request, slug, pk)
    context |= {
        "run": run,
        "nav_current": "run_list",
        "how_far": f"{run.step} of {run.total}",
        "waiting_before": _waiting_before(run),
        "phase": run.progress.order_by("-pk").values_list("phase", flat=True).first(),
        "can_cancel": not run.is_over
        and permissions.can_cancel_runs(request.user, run.community_id),
        "can_repeat": run.may_be_repeated
        and permissions.can_queue_runs(request.user, run.community_id),
    }
    if request.htmx:  # type: ignore[attr-defined]
        response = page(request, "training_jobs/run_detail.html", "run-progress", context)
        if run.is_over:
            # The rest of the page has changed as well: what came of the run is there now.
            response["HX-Refresh"] = "true"
        return response
    context |= {
        "attempts": run.attempts.order_by("-number")[:MANY],
        "inputs": sorted(run.manifest["inputs"].items()),
        "options": sorted(run.manifest["options"].items()),
        "packages": sorted(run.manifest["packages"].items()),
        "result": _facts(run.result or {}),
        "curves": _curves(run),
        "evaluation": Evaluation.objects.filter(run=run).select_related("run__community").first(),
        "can_read_log": permissions.can_read_logs(request.user, run.community_id),
    }
    if context["can_read_log"]:
        context["log"] = children.log_tail(registry.artifact_path(run.storage_key))
    return page(request, "training_jobs/run_detail.html", "run-progress", context)


@require_GET
def run_curves(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a run's curves, which its page asks for while it runs."""
    context = community_context(request, slug)
    run = _run(request, slug, pk)
    context |= {"run": run, "curves": _curves(run)}
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect(run)
    return page(request, "training_jobs/run_detail.html", "run-curves", context)


@login_required
@require_POST
def run_again(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Queue the work of a run that failed or was cancelled once more."""
    community_context(request, slug)
    run = _run(request, slug, pk)
    try:
        again = dispatch.queue_again(run_id=run.pk, actor=person_of(request))
    except RuleViolation as error:
        messages.error(request, str(error))
        return redirect(run)
    messages.success(request, f"The work of run {run.pk} is queued again.")
    return redirect(again)


@login_required
@require_POST
def run_cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Cancel a run."""
    community_context(request, slug)
    run = _run(request, slug, pk)
    try:
        run = dispatch.cancel_run(run_id=run.pk, actor=person_of(request))
    except RuleViolation as error:
        messages.error(request, str(error))
    else:
        over = "The run is cancelled." if run.is_over else "The run will be cancelled in a moment."
        messages.success(request, over)
    return redirect(run)


# --- models ---------------------------------------------------------------------------------------


@require_GET
def model_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List the community's models and the base models, the latest first."""
    context = community_context(request, slug)
    models = (
        Model.objects.usable_in(context["community"].pk)
        .select_related("version__constitution__community", "dataset__community")
        .prefetch_related("evaluations__scores", "releases")
        .order_by("-pk")
    )
    context |= {"models": paginate(request, models)}
    for model in context["models"]:
        model.headline = _headline(model)
    return page(request, "training_jobs/model_list.html", "models", context)


@require_GET
def model_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a model: what it came from, what was measured, and whether it is released."""
    context = community_context(request, slug)
    community = context["community"]
    model = get_object_or_404(
        Model.objects.usable_in(community.pk).select_related(
            "version__constitution__community", "version__poll__community", "dataset__community"
        ),
        pk=pk,
    )
    evaluations = (
        Evaluation.objects.filter(model=model, run__community=community)
        .select_related("run__community", "baseline")
        .prefetch_related("scores")
    )
    context |= {
        "model": model,
        "nav_current": "model_list",
        "ancestors": _ancestors(model),
        "descendants": model.children.filter(community=community)[:MANY],
        "made_by": Run.objects.filter(produced=model, community=community).first(),
        "evaluations": evaluations[:MANY],
        "release": Release.objects.filter(model=model).select_related("poll__community").first(),
        "files": sorted(model.listing.items()),
    }
    return page(request, "training_jobs/model_detail.html", "model", context)


# --- evaluations and releases ---------------------------------------------------------------------


@require_GET
def evaluation_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show an evaluation: its figures before and after, and answers to be compared blindly."""
    context = community_context(request, slug)
    evaluation = _evaluation(request, slug, pk)
    scores = list(evaluation.scores.all())
    release = (
        Release.objects.filter(model=evaluation.model).select_related("poll__community").first()
    )
    context |= {
        "evaluation": evaluation,
        "nav_current": "model_list",
        "headline": _sides(scores, principle=False),
        "differences": _differences(scores),
        "by_principle": _sides(scores, principle=True, titles=_titles(evaluation)),
        "scores": [(_score_words(score, _titles(evaluation)), score) for score in scores],
        "can_moderate": can_moderate(request.user, context["community"].pk),
        "samples": results.shown_samples(evaluation, request.user),
        "gate": release.gate
        if release and release.evaluation_id == evaluation.pk
        else releasing.gate_of(scores),
        "release": release,
        "can_propose": releasing.may_be_proposed(evaluation.model)
        and permissions.can_propose_release(request.user, context["community"].pk),
    }
    return page(request, "training_jobs/evaluation_detail.html", "evaluation", context)


@login_required
@require_http_methods(["GET", "POST"])
def release_create(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Put an evaluated model to the community."""
    context = community_context(request, slug)
    evaluation = _evaluation(request, slug, pk)
    if not permissions.can_propose_release(request.user, context["community"].pk):
        raise PermissionDenied
    terms = rule_terms(context["community"], releasing.POLL_KIND)
    form = ReleaseForm(request.POST or None, **terms)
    if form.is_valid() and "show" not in request.POST:
        rule: Rule = form.cleaned_data["rule"]
        try:
            release = releasing.propose_release(
                evaluation_id=evaluation.pk,
                actor=person_of(request),
                rule=rule,
                closes_at=form.closes_at(),
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "The poll about the model is open.")
            return redirect(release.poll)
    gate = releasing.gate_of(evaluation.scores.all())
    context |= {
        "form": form,
        "evaluation": evaluation,
        "gate": gate,
        "text": releasing.poll_text(evaluation, gate),
        "sentences": _sentences(form, context["community"].pk),
        "nav_current": "model_list",
    }
    status = 422 if form.errors else 200
    return page(
        request, "training_jobs/release_create.html", "release-form", context, status=status
    )


# --- the playground -------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def playground(request: HttpRequest, slug: str) -> HttpResponse:
    """Talk to the released model; each person sees their own questions only."""
    context = community_context(request, slug)
    community = context["community"]
    form = QuestionForm(request.POST or None)
    may_ask = permissions.can_ask(request.user, community.pk)
    if form.is_valid():
        if not may_ask:
            raise PermissionDenied
        try:
            playing.ask(community_id=community.pk, actor=person_of(request), **form.cleaned_data)
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            return redirect("playground", slug)
    turns: list[Turn] = []
    if request.user.is_authenticated:
        person = person_of(request)
        latest = playing.turns_of(person, community.pk)[:SHOWN_TURNS]
        turns = playing.as_shown(latest, community.pk, person)
    context |= {
        "form": form,
        "release": playing.current_release(community.pk),
        "turns": turns,
        "waits": any(not turn.run.is_over for turn in turns),
        "may_ask": may_ask,
        "limit": playing.questions_an_hour(),
    }
    status = 422 if form.errors else 200
    return page(request, "training_jobs/playground.html", "turns", context, status=status)


# --- what the pages share -------------------------------------------------------------------------


def _sentences(form: ReleaseForm, community_id: int) -> list[str]:
    """Say what the rule in a form means; nothing while the form does not make one."""
    rule = form.cleaned_data.get("rule") if form.is_bound else form.start
    return rule.sentences(votes_now(community_id, rule)) if rule is not None else []


def _run(request: HttpRequest, slug: str, pk: int) -> Run:
    runs = Run.objects.visible_to(request.user).work().filter(community__slug=slug)
    run: Run = get_object_or_404(
        runs.select_related(
            "community",
            "queued_by",
            "cancel_requested_by",
            "version__constitution__community",
            "dataset__community",
            "heldout__community",
            "model",
            "baseline",
            "produced",
        ),
        pk=pk,
    )
    return run


def _evaluation(request: HttpRequest, slug: str, pk: int) -> Evaluation:
    evaluations = Evaluation.objects.visible_to(request.user).filter(run__community__slug=slug)
    evaluation: Evaluation = get_object_or_404(
        evaluations.select_related(
            "run__community", "run__heldout__community", "run__version", "model", "baseline"
        ),
        pk=pk,
    )
    return evaluation


def _waiting_before(run: Run) -> int:
    if run.status != Run.Status.QUEUED:
        return 0
    return Run.objects.work().filter(pk__lt=run.pk, status__in=["queued", "running"]).count()


def _facts(result: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """Return what a recipe reported, in words and with units."""
    return [
        (words, result[key], unit)
        for key, (words, unit) in RESULTS.items()
        if isinstance(result.get(key), (int, float, str))
    ]


def _curves(run: Run) -> dict[str, list[dict[str, Any]]]:
    points = run.progress.curves()
    curves: dict[str, list[dict[str, Any]]] = {"first": [], "more": []}
    for name, (words, unit, is_first) in CURVES.items():
        if len(points.get(name, ())) > 1:
            curve = {"title": words, "unit": unit, "series": {words: points[name]}}
            curves["first" if is_first else "more"].append(curve)
    return curves


def _ancestors(model: Model) -> list[Model]:
    """Return the models that this one came from, the nearest first."""
    line = Model.objects.line_of(model.pk, MANY)
    found = Model.objects.select_related(
        "version__constitution__community", "dataset__community"
    ).in_bulk(line)
    return [found[pk] for pk in line]


def _headline(model: Model) -> dict[str, Score]:
    """Return the latest evaluation's held-out accuracy, by side."""
    evaluation = next(iter(model.evaluations.all()), None)
    if evaluation is None:
        return {}
    return {
        score.side: score
        for score in evaluation.scores.all()
        if score.metric == releasing.HELDOUT_ACCURACY
    }


def _titles(evaluation: Evaluation) -> dict[str, str]:
    version = evaluation.run.version
    return {} if version is None else dict(version.principles.values_list("key", "title"))


def _score_words(score: Score, titles: dict[str, str]) -> str:
    words = METRICS.get(score.metric, score.metric.replace("_", " ").capitalize())
    if not score.principle_key:
        return words
    return f"{titles.get(score.principle_key, score.principle_key)}: {words.lower()}"


def _sides(
    scores: Iterable[Score], *, principle: bool, titles: dict[str, str] | None = None
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return rows of an interval chart: each metric, or each principle, before and after."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for score in sorted(scores, key=_place):
        if bool(score.principle_key) != principle or score.side == Score.Side.DIFFERENCE:
            continue
        if principle and score.metric != "adherence":
            continue
        words = _score_words(score, {})
        if principle:
            words = (titles or {}).get(score.principle_key, score.principle_key)
        if score.value is not None:
            rows.setdefault(words, []).append(score.estimate())
    return list(rows.items())


def _differences(scores: Iterable[Score]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [
        (_score_words(score, {}), [score.estimate()])
        for score in sorted(scores, key=_place)
        if score.side == Score.Side.DIFFERENCE
        and not score.principle_key
        and score.value is not None
    ]


def _place(score: Score) -> int:
    known = list(METRICS)
    return known.index(score.metric) if score.metric in known else len(known)
