"""Pages: constitutions, drafts and versions; one function for each page, with its POST."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import canonical
from governance.errors import RuleViolation
from governance.models import Community
from governance.shapes import rule_terms, votes_now
from governance.web import community_context, page, paginate, person_of
from principles import compilation, difference, drafting, permissions, starters
from principles.forms import (
    CompareForm,
    DraftCreateForm,
    DraftForm,
    ExampleFormSet,
    PositionForm,
    PrincipleForm,
    ProposeForm,
)
from principles.models import Draft, DraftPrinciple, PrincipleText, Version

PAGE_SIZE = 20
HISTORY = 12
FEW = 5
LONGEST_NUMBER = 9

OUTPUTS: dict[str, tuple[str, str]] = {
    "system_prompt": ("System prompt", "Tells an assistant the principles before it answers."),
    "rubric": ("Rubric", "Weighted checks that a judge answers for one answer."),
    "hazard_map": ("Hazards", "Which principles answer for which hazard category."),
    "evaluation_items": (
        "Evaluation items",
        "The examples, as items that measure how far a model keeps each principle.",
    ),
    "criteria": (
        "Criteria",
        "One criterion for each principle, in the shape that Granite Guardian takes.",
    ),
    "guard_policy": (
        "Guard policy",
        "One written policy, in the shape that gpt-oss-safeguard takes.",
    ),
    "hf_recipe": (
        "Critique and revision",
        "The constitution.json of the Hugging Face recipe: requests to criticise and to revise.",
    ),
}
_WITH_EXAMPLES = {"evaluation_items", "guard_policy", "hf_recipe"}


# --- the constitution and its versions ------------------------------------------------------------


@require_GET
def constitution_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what is in force, as a law is read, with its history aside."""
    context = community_context(request, slug)
    community: Community = context["community"]
    versions = Version.objects.of(community)
    version = _with_articles(versions).first()
    drafts = _for_list(Draft.objects.of(community)).filter(
        status__in=[Draft.Status.EDITING, Draft.Status.PROPOSED]
    )
    context |= {
        "version": version,
        "articles": _articles(version.principles.all()) if version else [],
        "history": paginate(request, versions.select_related("constitution"), size=HISTORY),
        "drafts": drafts[:FEW],
        "can_create_draft": permissions.can_create_draft(request.user, community.pk),
    }
    return page(request, "principles/constitution_detail.html", "constitution", context)


@require_GET
def version_detail(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show one ratified version, and what put it in force."""
    context = community_context(request, slug)
    version = _version(context["community"], number)
    in_force = version.constitution.in_force()
    draft = Draft.objects.filter(poll=version.poll).select_related("base").first()
    context |= {
        "version": version,
        "articles": _articles(version.principles.all()),
        "in_force": in_force,
        "is_in_force": version == in_force,
        "draft": draft,
        "written_on_older": draft is not None and draft.base_id != version.parent_id,
    }
    return page(request, "principles/version_detail.html", "version", context)


@require_GET
def version_compiled(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show what a version compiles to, one output at a time."""
    context = community_context(request, slug)
    version = _version(context["community"], number)
    context |= {"version": version, **_compiled(request, version.content())}
    return page(request, "principles/version_compiled.html", "compiled", context)


@require_GET
def version_compiled_file(
    request: HttpRequest, slug: str, number: int, output: str
) -> HttpResponse:
    """Hand out one output of a version as a file."""
    context = community_context(request, slug)
    version = _version(context["community"], number)
    if output not in OUTPUTS:
        raise Http404
    result = compilation.compile_constitution(version.content())[output]
    text, kind, ending = (
        (result, "text/plain; charset=utf-8", "md")
        if isinstance(result, str)
        else (_pretty(result), "application/json", "json")
    )
    name = f"{slug}-{number}-{output.replace('_', '-')}.{ending}"
    return HttpResponse(
        text,
        content_type=kind,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@require_GET
def version_diff(request: HttpRequest, slug: str) -> HttpResponse:
    """Compare any two versions; the last two where none are named."""
    context = community_context(request, slug)
    community: Community = context["community"]
    numbers = list(Version.objects.of(community).values_list("number", flat=True))
    if not numbers:
        raise Http404
    chosen = {"before": numbers[min(1, len(numbers) - 1)], "after": numbers[0]}
    given = {name: request.GET[name] for name in chosen if name in request.GET}
    form = CompareForm({**chosen, **given}, numbers=numbers)
    if not form.is_valid():
        raise Http404
    before, after = (_version(community, form.cleaned_data[name]) for name in chosen)
    context |= {
        "form": form,
        "before": before,
        "after": after,
        "difference": difference.compare(before.content(), after.content()),
    }
    return page(request, "principles/version_diff.html", "difference", context)


# --- drafts ---------------------------------------------------------------------------------------


@require_GET
def draft_list(request: HttpRequest, slug: str) -> HttpResponse:
    """List the drafts, the last touched first."""
    context = community_context(request, slug)
    community: Community = context["community"]
    drafts = _for_list(Draft.objects.of(community))
    context |= {
        "drafts": paginate(request, drafts, size=PAGE_SIZE),
        "can_create_draft": permissions.can_create_draft(request.user, community.pk),
    }
    return page(request, "principles/draft_list.html", "drafts", context)


@login_required
@require_http_methods(["GET", "POST"])
def draft_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Begin a draft from the version in force, a template or an empty page."""
    context = community_context(request, slug)
    community: Community = context["community"]
    in_force = Version.objects.of(community).select_related("constitution__community").first()
    form = DraftCreateForm(request.POST or None, in_force=in_force)
    if form.is_valid():
        try:
            draft = drafting.create_draft(
                community_id=community.pk,
                actor=person_of(request),
                title=form.cleaned_data["title"],
                starter=form.starter(),
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            return redirect(draft)
    context |= {
        "form": form,
        "starters": starters.load(),
        "in_force": in_force,
        "can_create_draft": permissions.can_create_draft(request.user, community.pk),
    }
    status = 422 if form.errors else 200
    return page(request, "principles/draft_create.html", "draft-form", context, status=status)


@require_http_methods(["GET", "POST"])
def draft_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a draft; those who may change its title, preamble and summary here."""
    context = community_context(request, slug)
    draft = _draft(context["community"], pk)
    if request.method == "POST" and not request.user.is_authenticated:
        return redirect_to_login(draft.get_absolute_url())
    now = {name: getattr(draft, name) for name in ("title", "preamble", "summary", "revision")}
    stands: Draft | None = None
    form = DraftForm(request.POST if request.method == "POST" else None, initial=now)
    if form.is_valid():
        try:
            drafting.edit_draft(draft_id=pk, actor=person_of(request), **form.cleaned_data)
        except RuleViolation as error:
            form.add_error(None, str(error))
            if isinstance(error, drafting.StaleEdit):
                stands = Draft.objects.get(pk=pk)
                form.rebase(stands.revision)
        else:
            messages.success(request, "The draft is saved.")
            return redirect(draft)
    context |= _draft_context(request, draft) | {"form": form, "stands": stands}
    status = 422 if form.errors else 200
    part = "draft-head" if request.method == "POST" else "draft"
    return page(request, "principles/draft_detail.html", part, context, status=status)


@require_GET
def draft_compiled(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show what a draft would compile to as it stands now."""
    context = community_context(request, slug)
    draft = _draft(context["community"], pk)
    context |= {"draft": draft, **_compiled(request, draft.content())}
    return page(request, "principles/draft_compiled.html", "compiled", context)


@require_GET
def draft_diff(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Compare a draft with what it was begun on, or with another version (`?with=2`)."""
    context = community_context(request, slug)
    draft = _draft(context["community"], pk)
    asked = request.GET.get("with")
    if asked and not (asked.isascii() and asked.isdecimal() and len(asked) <= LONGEST_NUMBER):
        raise Http404
    other = _version(context["community"], int(asked)) if asked else draft.base
    in_force = draft.constitution.in_force()
    context |= {
        "draft": draft,
        "other": other,
        "in_force": in_force,
        "difference": difference.compare(other.content() if other else {}, draft.content()),
    }
    return page(request, "principles/draft_diff.html", "difference", context)


@login_required
@require_POST
def draft_withdraw(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Give a draft up."""
    draft = _draft(community_context(request, slug)["community"], pk)
    try:
        drafting.withdraw_draft(draft_id=pk, actor=person_of(request))
    except RuleViolation as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The draft is withdrawn.")
    return redirect(draft)


@login_required
@require_http_methods(["GET", "POST"])
def draft_propose(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Put a draft to a poll, once its steward has read the rule in words."""
    context = community_context(request, slug)
    community: Community = context["community"]
    draft = _draft(community, pk)
    terms = rule_terms(community, Draft.POLL_KIND)
    form = ProposeForm(request.POST if request.method == "POST" else None, **terms)
    valid = form.is_valid()
    rule = form.cleaned_data["rule"] if valid else form.start
    digest = canonical.digest(rule.to_dict())
    if valid and "show" not in request.POST:
        if form.cleaned_data["seen"] != digest:
            form.add_error(None, "Please read what this rule means before you open the poll.")
        else:
            try:
                poll = drafting.propose(
                    draft_id=pk, actor=person_of(request), rule=rule, closes_at=form.closes_at()
                )
            except RuleViolation as error:
                form.add_error(None, str(error))
            else:
                messages.success(request, "The poll is open; the draft is frozen.")
                return redirect(poll)
    context |= {
        "draft": draft,
        "form": form,
        "kind": Draft.POLL_KIND,
        "sentences": rule.sentences(votes_now(community.pk, rule))
        if valid or not form.is_bound
        else [],
        "digest": digest if valid or not form.is_bound else "",
        "can_propose": permissions.can_propose(request.user, draft),
        "in_force": draft.constitution.in_force(),
    }
    status = 422 if form.errors else 200
    return page(request, "principles/draft_propose.html", "propose-form", context, status=status)


# --- a draft's principles -------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def principle_create(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Add a principle to a draft."""
    context = community_context(request, slug)
    draft = _draft(context["community"], pk)
    return _principle_form(request, context, draft, None)


@login_required
@require_http_methods(["GET", "POST"])
def principle_edit(request: HttpRequest, slug: str, pk: int, key: str) -> HttpResponse:
    """Change a principle of a draft."""
    context = community_context(request, slug)
    draft = _draft(context["community"], pk)
    principle = get_object_or_404(draft.principles, key=key)
    return _principle_form(request, context, draft, principle)


def _principle_form(
    request: HttpRequest, context: dict[str, Any], draft: Draft, principle: DraftPrinciple | None
) -> HttpResponse:
    now = {**principle.content(), "revision": principle.revision} if principle else {}
    examples_now: Any = now.get("examples", [])
    stands: dict[str, Any] | None = None
    data = request.POST if request.method == "POST" else None
    form = PrincipleForm(data, initial=now)
    examples = ExampleFormSet(data, initial=examples_now, prefix="example")
    if form.is_valid() and examples.is_valid():
        try:
            saved = drafting.set_principle(
                draft_id=draft.pk,
                actor=person_of(request),
                key=principle.key if principle else "",
                examples=examples.examples(),  # type: ignore[attr-defined]
                **form.cleaned_data,
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
            if principle and isinstance(error, drafting.StaleEdit):
                written = DraftPrinciple.objects.get(pk=principle.pk)
                stands = _articles([written])[0] | {"number": written.position}
                form.rebase(written.revision)
        else:
            messages.success(request, f"“{saved.title}” is saved.")
            if "more" in request.POST:
                return redirect("principle_edit", context["community"].slug, draft.pk, saved.key)
            return redirect(f"{draft.get_absolute_url()}#principle-{saved.key}")
    context |= {
        "draft": draft,
        "principle": principle,
        "stands": stands,
        "form": form,
        "examples": examples,
        "can_edit": permissions.can_edit_draft(request.user, draft),
    }
    wrong = bool(form.errors) or (examples.is_bound and not examples.is_valid())
    return page(
        request,
        "principles/principle_edit.html",
        "principle-form",
        context,
        status=422 if wrong else 200,
    )


@login_required
@require_POST
def principle_move(request: HttpRequest, slug: str, pk: int, key: str) -> HttpResponse:
    """Put a principle of a draft in another place."""
    context = community_context(request, slug)
    draft = _draft(context["community"], pk)
    get_object_or_404(draft.principles, key=key)
    form = PositionForm(request.POST)
    refusal = "" if form.is_valid() else "Say to which place the principle goes."
    if not refusal:
        try:
            drafting.move_principle(
                draft_id=pk, actor=person_of(request), key=key, **form.cleaned_data
            )
        except RuleViolation as error:
            refusal = str(error)
    return _after_change(request, context, draft, refusal, anchor=key)


@login_required
@require_POST
def principle_remove(request: HttpRequest, slug: str, pk: int, key: str) -> HttpResponse:
    """Take a principle out of a draft."""
    context = community_context(request, slug)
    draft = _draft(context["community"], pk)
    get_object_or_404(draft.principles, key=key)
    refusal = ""
    try:
        drafting.remove_principle(draft_id=pk, actor=person_of(request), key=key)
    except RuleViolation as error:
        refusal = str(error)
    return _after_change(request, context, draft, refusal)


def _after_change(
    request: HttpRequest, context: dict[str, Any], draft: Draft, refusal: str, anchor: str = ""
) -> HttpResponse:
    """Show the draft's principles again: in place for htmx, else by a redirect."""
    if not request.htmx:  # type: ignore[attr-defined]
        if refusal:
            messages.error(request, refusal)
        mark = f"#principle-{anchor}" if anchor else "#draft-principles"
        return redirect(f"{draft.get_absolute_url()}{mark}")
    fresh = _draft(context["community"], draft.pk)
    context |= _draft_context(request, fresh) | {"refusal": refusal}
    return page(
        request,
        "principles/draft_detail.html",
        "draft-principles",
        context,
        status=422 if refusal else 200,
    )


# --- what the pages share -------------------------------------------------------------------------


def _with_articles(versions: QuerySet[Version]) -> QuerySet[Version]:
    return versions.select_related("constitution__community", "parent", "poll").prefetch_related(
        "principles"
    )


def _for_list(drafts: QuerySet[Draft]) -> QuerySet[Draft]:
    related = drafts.select_related("constitution__community", "author", "base", "poll")
    # A query that counts loses its model's order, so it is said again.
    return related.annotate(size=Count("principles")).order_by("-updated_at", "-pk")


def _version(community: Community, number: int) -> Version:
    return get_object_or_404(_with_articles(Version.objects.of(community)), number=number)


def _draft(community: Community, pk: int) -> Draft:
    drafts = Draft.objects.of(community).select_related(
        "constitution__community", "author", "base__parent", "poll"
    )
    draft: Draft = get_object_or_404(
        drafts.prefetch_related("principles", "base__principles"), pk=pk
    )
    return draft


def _draft_context(request: HttpRequest, draft: Draft) -> dict[str, Any]:
    in_force: Version | None = draft.constitution.in_force()
    return {
        "draft": draft,
        "articles": _articles(draft.principles.all()),
        "in_force": in_force,
        "next_number": in_force.number + 1 if in_force else 1,
        "is_behind": draft.status in {Draft.Status.EDITING, Draft.Status.PROPOSED}
        and draft.base_id != (in_force.pk if in_force else None),
        "can_edit": permissions.can_edit_draft(request.user, draft),
        "can_propose": permissions.can_propose(request.user, draft),
    }


def _articles(principles: Iterable[PrincipleText]) -> list[dict[str, Any]]:
    """Return principles as the template `principles/article.html` shows them."""
    return [
        {
            "number": number,
            "principle": principle,
            "hazards": [compilation.HAZARDS[code] for code in principle.hazard_codes],
        }
        for number, principle in enumerate(principles, start=1)
    ]


def _compiled(request: HttpRequest, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page of compiled outputs shows: the one asked for, and links to all."""
    name = request.GET.get("output", "system_prompt")
    if name not in OUTPUTS:
        raise Http404
    result = compilation.compile_constitution(content)[name]
    titles = {p["key"]: p["title"] for p in content["principles"]}
    codes = {code for p in content["principles"] if p["examples"] for code in p["hazard_codes"]}
    return {
        "outputs": [
            {"name": key, "label": label, "current": key == name}
            for key, (label, _) in OUTPUTS.items()
        ],
        "output": name,
        "output_label": OUTPUTS[name][0],
        "output_description": OUTPUTS[name][1],
        "result": result,
        "text": result if isinstance(result, str) else _pretty(result),
        "is_prose": isinstance(result, str),
        "hazards": [
            {**hazard, "titles": [titles[key] for key in hazard["principles"]]}
            for hazard in compilation.hazard_map(content)["hazards"]
        ],
        "veiled_codes": [code for code in compilation.HAZARDS if code in codes]
        if name in _WITH_EXAMPLES
        else [],
    }


def _pretty(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
