"""Pages: prompts, labels, reviews and datasets; one function for each page, with its POST."""

import uuid
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from feedback import freezing, labelling, permissions, prompting, review
from feedback.forms import (
    DecisionForm,
    FreezeForm,
    LabelForm,
    PromptFileForm,
    PromptForm,
    ReportForm,
)
from feedback.models import Assignment, Dataset, Decision, Prompt, ReviewItem
from governance.errors import RuleViolation
from governance.models import Community, User
from governance.web import PAGE_SIZE, community_context, page, paginate, person_of
from principles.models import Version

FINAL = {Dataset.Status.FROZEN, Dataset.Status.FAILED}


# --- labelling ------------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def label_next(request: HttpRequest, slug: str) -> HttpResponse:
    """Compare two answers under a principle, and go on to the next."""
    context = community_context(request, slug)
    community: Community = context["community"]
    if not permissions.can_label(request.user, community.pk):
        return page(request, "feedback/label_next.html", "label-panel", context)
    person = person_of(request)
    refused: LabelForm | None = None
    if request.method == "POST":
        form = LabelForm(request.POST)
        if _answer(form, community, person):
            if not request.htmx:  # type: ignore[attr-defined]
                return redirect("label_next", slug)
            context["saved"] = True
        else:
            refused = form
    assignment = labelling.next_assignment(community_id=community.pk, annotator=person)
    context |= {
        "assignment": assignment,
        "form": _label_form(assignment, refused),
        "refusals": refused.non_field_errors() if refused else [],
        "progress": labelling.progress(community_id=community.pk, annotator=person),
    }
    if assignment is not None:
        context |= _shown(assignment) | {"choices": _choices(context["form"])}
    status = 422 if refused else 200
    return page(request, "feedback/label_next.html", "label-panel", context, status=status)


def _answer(form: LabelForm, community: Community, person: User) -> bool:
    """Keep what the form says; False, with the reason on the form, where it is refused.

    Raises:
        Http404: the assignment is not this person's, or not of this community.
    """
    if not form.is_valid():
        return False
    given = form.cleaned_data
    assignment = get_object_or_404(
        Assignment,
        pk=given["assignment"],
        annotator=person,
        comparison__community=community,
    )
    try:
        if given["skip"]:
            labelling.skip_assignment(
                assignment_id=assignment.pk,
                annotator=person,
                reason=given["skip_reason"] or LabelForm.SKIP_REASONS[0][0],
            )
        else:
            labelling.submit_label(
                assignment_id=assignment.pk,
                annotator=person,
                choice=form.side,
                strength=given["strength"],
                note=given["note"],
                idempotency_key=given["idempotency_key"],
            )
    except RuleViolation as error:
        form.add_error(None, str(error))
        return False
    return True


def _label_form(assignment: Assignment | None, refused: LabelForm | None) -> LabelForm | None:
    """Return the form for what is shown: the refused one only where it is about the same."""
    if assignment is None:
        return None
    if refused is not None and str(assignment.pk) == refused.data.get("assignment"):
        return refused
    return LabelForm(initial={"assignment": assignment.pk, "idempotency_key": uuid.uuid4()})


def _choices(form: LabelForm) -> list[dict[str, Any]]:
    """Return the four choices with their keys, the one that was made marked."""
    chosen = form["choice"].value()
    return [
        {"value": value, "label": label, "key": str(number), "checked": value == chosen}
        for number, (value, label) in enumerate(LabelForm.CHOICES, start=1)
    ]


def _shown(assignment: Assignment) -> dict[str, Any]:
    """Return the comparison as this person sees it."""
    comparison = assignment.comparison
    answers = [comparison.response_a, comparison.response_b]
    if assignment.swapped:
        answers.reverse()
    principle = comparison.principle
    examples = [
        {"prompt": e["prompt"], "good": e["better"], "bad": e["worse"]} for e in principle.examples
    ]
    return {
        "prompt": comparison.prompt,
        "answers": list(zip("AB", answers, strict=True)),
        "principle": principle,
        "examples": examples,
        "codes": comparison.prompt.hazard_codes,
    }


# --- prompts --------------------------------------------------------------------------------------


@require_GET
def prompt_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the community's prompts; those that moderators hid are left out."""
    context = community_context(request, slug)
    community: Community = context["community"]
    prompts = Prompt.objects.filter(community=community, hidden=False)
    context |= {
        "prompts": paginate(request, prompts.select_related("submitted_by").order_by("-pk")),
        "can_add": permissions.can_add_prompts(request.user, community.pk),
        "can_import": permissions.can_import_prompts(request.user, community.pk),
        "nav_current": "label_next",
    }
    return page(request, "feedback/prompt_list.html", "prompts", context)


@login_required
@require_http_methods(["GET", "POST"])
def prompt_add(request: HttpRequest, slug: str) -> HttpResponse:
    """Type in a prompt."""
    context = community_context(request, slug)
    community: Community = context["community"]
    form = PromptForm(_sent(request))
    if form.is_valid():
        try:
            prompt = prompting.add_prompt(
                community_id=community.pk, actor=person_of(request), **form.cleaned_data
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            kind = prompt.get_split_display().lower()
            messages.success(request, f"The prompt is added. By its words it is for: {kind}.")
            return redirect("prompt_list", slug)
    context |= {
        "form": form,
        "can_add": permissions.can_add_prompts(request.user, community.pk),
        "nav_current": "label_next",
    }
    status = 422 if form.errors else 200
    return page(request, "feedback/prompt_add.html", "prompt-form", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def prompt_import(request: HttpRequest, slug: str) -> HttpResponse:
    """Import a file of prompts."""
    context = community_context(request, slug)
    community: Community = context["community"]
    sent = request.method == "POST"
    form = PromptFileForm(request.POST, request.FILES) if sent else PromptFileForm()
    if form.is_valid():
        file = form.cleaned_data["file"]
        try:
            count = prompting.import_prompts(
                community_id=community.pk,
                actor=person_of(request),
                content=file.read(),
                filename=file.name,
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            words = "1 prompt is" if count == 1 else f"{count} prompts are"
            messages.success(request, f"{words} new.")
            return redirect("prompt_list", slug)
    context |= {
        "form": form,
        "can_import": permissions.can_import_prompts(request.user, community.pk),
        "nav_current": "label_next",
    }
    status = 422 if form.errors else 200
    return page(request, "feedback/prompt_import.html", "prompt-file-form", context, status=status)


# --- reviews --------------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def report_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Report a prompt or an answer to the moderators."""
    context = community_context(request, slug)
    community: Community = context["community"]
    target, key = request.GET.get("target", ""), request.GET.get("key", "")
    content = review.find_target(
        community_id=community.pk, target=target, target_key=_key_or_404(key)
    )
    if content is None or review.is_hidden(content):
        raise Http404
    form = ReportForm(_sent(request))
    if form.is_valid():
        try:
            review.report(
                community_id=community.pk,
                reporter=person_of(request),
                target=target,
                target_key=content.pk,
                **form.cleaned_data,
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Reported. A moderator will look at it.")
            return redirect("label_next" if target == "response" else "prompt_list", slug)
    context |= {
        "form": form,
        "content": content,
        "target": target,
        "can_report": permissions.can_report(request.user, community.pk),
        "nav_current": "review_queue",
    }
    status = 422 if form.errors else 200
    return page(request, "feedback/report_create.html", "report-form", context, status=status)


@require_GET
def review_queue(request: HttpRequest, slug: str) -> HttpResponse:
    """Show moderators what waits, most reported first; everyone else gets the log."""
    context = community_context(request, slug)
    community: Community = context["community"]
    if not permissions.can_moderate(request.user, community.pk):
        return redirect("review_log", slug)
    items = ReviewItem.objects.filter(community=community).undecided(timezone.now())
    context["items"] = paginate(request, items)
    return page(request, "feedback/review_queue.html", "review-items", context)


@require_GET
def review_log(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what moderators decided and why, without the content itself."""
    context = community_context(request, slug)
    community: Community = context["community"]
    decisions = Decision.objects.filter(item__community=community).select_related(
        "item__community", "moderator", "principle__version__constitution__community"
    )
    context |= {
        "decisions": paginate(request, decisions),
        "can_moderate": permissions.can_moderate(request.user, community.pk),
        "nav_current": "review_queue",
    }
    return page(request, "feedback/review_log.html", "decisions", context)


@login_required
@require_http_methods(["GET", "POST"])
def review_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take up an item, put it back, or decide it."""
    context = community_context(request, slug)
    community: Community = context["community"]
    if not permissions.can_moderate(request.user, community.pk):
        raise Http404
    item = get_object_or_404(ReviewItem, pk=pk, community=community)
    version = Version.objects.filter(constitution__community=community).first()
    principles = list(version.principles.order_by("position")) if version else []
    act = request.POST.get("act", "")
    decides = request.method == "POST" and act == "decide"
    form = DecisionForm(request.POST if decides else None, principles=principles)
    refusal = ""
    if request.method == "POST":
        try:
            done = _review(act, item, person_of(request), form)
        except RuleViolation as error:
            refusal = str(error)
        else:
            if done:
                messages.success(request, done)
                return redirect("review_queue" if decides else item, *([slug] if decides else []))
    items = ReviewItem.objects.at(timezone.now())
    item = items.select_related("claimed_by", "community", "decision").get(pk=pk)
    context |= {
        "item": item,
        "decision": getattr(item, "decision", None),
        "reports": item.reports.select_related("reporter")[:PAGE_SIZE],
        "form": form,
        "refusal": refusal,
        # Who let a claim run out may still decide, as long as nobody else took the item.
        "mine": item.claimed_by_id == request.user.pk,
        "can_review": permissions.can_review(request.user, item),
        "nav_current": "review_queue",
    }
    status = 422 if refusal or form.errors else 200
    return page(request, "feedback/review_detail.html", "review-panel", context, status=status)


def _review(act: str, item: ReviewItem, moderator: User, form: DecisionForm) -> str:
    """Do what the moderator asks, and say what was done; "" where the form is not right.

    Raises:
        Http404: no such act.
    """
    if act == "claim":
        review.claim(item_id=item.pk, moderator=moderator)
        return "It is yours for half an hour."
    if act == "unclaim":
        review.unclaim(item_id=item.pk, moderator=moderator)
        return "It is back in the queue."
    if act != "decide":
        raise Http404
    if not form.is_valid():
        return ""
    review.decide(item_id=item.pk, moderator=moderator, **form.cleaned_data)
    return "Decided, and in the log."


# --- datasets -------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def dataset_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the datasets, and to stewards what one would hold that is frozen now."""
    context = community_context(request, slug)
    community: Community = context["community"]
    can_freeze = permissions.can_freeze(request.user, community.pk)
    form = FreezeForm(_sent(request))
    if form.is_valid():
        if not can_freeze:
            raise Http404
        try:
            dataset = freezing.queue_freeze(
                community_id=community.pk,
                actor=person_of(request),
                purpose=form.cleaned_data["purpose"],
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            return redirect(dataset)
    datasets = Dataset.objects.filter(community=community).select_related("version", "community")
    context |= {
        "datasets": paginate(request, datasets),
        "can_freeze": can_freeze,
        "form": form,
        "previews": _previews(community) if can_freeze else [],
    }
    status = 422 if form.errors else 200
    return page(request, "feedback/dataset_list.html", "datasets", context, status=status)


def _previews(community: Community) -> list[dict[str, Any]]:
    """Return, for each purpose, what a dataset frozen now would hold."""
    version = Version.objects.filter(constitution__community=community).first()
    if version is None:
        return []
    return [
        {"purpose": value, "label": label, "preview": freezing.preview(version, value)}
        for value, label in Dataset.Purpose.choices
    ]


@require_GET
def dataset_detail(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show a dataset: what it was made from, what it holds, and its files."""
    context = community_context(request, slug)
    community: Community = context["community"]
    dataset = get_object_or_404(
        Dataset.objects.select_related(
            "version__constitution__community", "requested_by", "community"
        ),
        community=community,
        number=number,
    )
    holds_hidden = freezing.holds_hidden(dataset)
    context |= {
        "dataset": dataset,
        "title": f"Dataset {dataset.number}",
        "is_over": dataset.status in FINAL,
        "files": sorted(dataset.listing.items()),
        "agreement": _agreement(dataset),
        "holds_hidden": holds_hidden,
        "can_download": permissions.can_read_files(
            request.user, community.pk, holds_hidden=holds_hidden
        ),
    }
    return page(request, "feedback/dataset_detail.html", "dataset-panel", context)


def _agreement(dataset: Dataset) -> list[dict[str, Any]]:
    """Return how far annotators agreed under each principle, with its title."""
    titles = dict(dataset.version.principles.values_list("key", "title"))
    rows = dataset.figures.get("agreement", [])
    return [
        {
            **row,
            "title": titles.get(row["principle"], row["principle"]),
            **{
                name: row[name] and float(row[name]) for name in ("alpha", "low", "high", "percent")
            },
        }
        for row in rows
    ]


@login_required
@require_GET
def dataset_file(request: HttpRequest, slug: str, number: int, name: str) -> FileResponse:
    """Give one file of a frozen dataset to who may read it, straight from the storage."""
    community: Community = community_context(request, slug)["community"]
    dataset = get_object_or_404(
        Dataset.objects.select_related("version"),
        community=community,
        number=number,
        status=Dataset.Status.FROZEN,
    )
    if not permissions.can_read_files(
        request.user, community.pk, holds_hidden=freezing.holds_hidden(dataset)
    ):
        raise Http404
    file = freezing.open_file(dataset, name)
    if file is None:
        raise Http404
    return FileResponse(file, as_attachment=True, filename=name)


# --- what the pages share -------------------------------------------------------------------------


def _sent(request: HttpRequest) -> QueryDict | None:
    """Return what was posted, an empty form too; None where the page is only read."""
    return request.POST if request.method == "POST" else None


def _key_or_404(text: str) -> int:
    """Return a row's key from an address.

    Raises:
        Http404: it is none.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(2**63 - 1)) - 1:
        raise Http404
    return int(text)
