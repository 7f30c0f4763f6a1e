"""Pages of polls: lists, drafts, deliberation, ballots, results and receipts."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import (
    community_rules,
    outcomes,
    permissions,
    polling,
    rule_setting,
    signing,
    voting,
)
from governance.ballot_forms import BallotForm, ballot_form
from governance.canonical import digest
from governance.errors import RuleViolation
from governance.forms import AnnounceForm, PollForm, ReasonForm, poll_initial
from governance.models import Ballot, Community, Poll, User
from governance.poll_panel import outcome_words, own_words, poll_panel
from governance.rules import Rule
from governance.shapes import RuleForm, rule_terms, votes_now
from governance.stewardship_views import NOBODY
from governance.web import community_context, page, paginate, person_of

Status = Poll.Status
_DONE = {
    "draft": "The draft is saved; only stewards see it.",
    "announce": "The poll is announced.",
    "open": "The poll is open.",
}


@require_GET
def poll_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what is being decided and what was."""
    context = community_context(request, slug)
    community: Community = context["community"]
    polls = paginate(request, Poll.objects.filter(community=community).for_list(request.user))
    for poll in polls:
        poll.result_words = outcome_words(poll)
    context |= {
        "polls": polls,
        "is_steward": permissions.is_steward(request.user, community.pk),
    }
    return page(request, "governance/poll_list.html", "polls", context)


# --- before opening -------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def poll_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Put a question to all members: now, at a time, or as a draft first."""
    context = community_context(request, slug)
    community: Community = context["community"]
    terms = rule_terms(community, community_rules.QUESTION)
    form, when = _poll_form(request, terms, {})
    act = request.POST.get("do", "open")
    if form.is_valid() and (act != "announce" or when.is_valid()):
        try:
            poll = _begin(person_of(request), community, form, when, act)
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            done = "announce" if act == "open" and poll.status == Status.DELIBERATION else act
            messages.success(request, _DONE[done])
            return redirect(poll)
    context |= _form_context(request, community, form, when, community_rules.QUESTION)
    context["may"] = permissions.is_steward(request.user, community.pk)
    status = 422 if form.errors or when.errors else 200
    return page(request, "governance/poll_create.html", "poll-form", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def poll_edit(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Change a draft, or revise a poll in deliberation."""
    context, poll = _found(request, slug, pk)
    terms = rule_terms(poll.community, poll.kind)
    if not terms["is_decided"]:
        terms["rule"] = Rule.from_dict(poll.rule)
    form, when = _poll_form(request, terms, poll_initial(poll), options=len(poll.options) + 2)
    if poll.subject_key:
        form.fields["text"].disabled = True
    if form.is_valid():
        try:
            polling.edit_poll(
                poll_id=poll.pk, actor=person_of(request), period=form.time_open(), **form.given()
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "The poll is changed.")
            return redirect(poll)
    context |= _form_context(request, poll.community, form, when, poll.kind)
    context |= {
        "poll": poll,
        "may": permissions.can_manage(request.user, poll, context["membership"])
        and poll.status in {Status.DRAFT, Status.DELIBERATION},
    }
    status = 422 if form.errors else 200
    return page(request, "governance/poll_create.html", "poll-form", context, status=status)


@require_GET
def poll_rule(request: HttpRequest, slug: str) -> HttpResponse:
    """Say in words what the rule chosen in a form means for this community now."""
    context = community_context(request, slug)
    community: Community = context["community"]
    free = "free" in request.GET
    known = {kind.name for kind in outcomes.kinds()}
    kind = request.GET.get("kind", "")
    if kind not in known:
        kind = community_rules.DEFAULT if free else community_rules.QUESTION
    form = RuleForm(request.GET, **rule_terms(community, kind, free=free))
    context |= _in_words(form, community, whole=free)
    return page(request, "governance/poll_rule.html", "rule-words", context)


@login_required
@require_POST
def poll_announce(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Announce a draft, or open it at once."""
    context, poll = _found(request, slug, pk)
    form = AnnounceForm(request.POST)
    if form.is_valid():
        try:
            announced = polling.announce_poll(
                poll_id=poll.pk, actor=person_of(request), opens_at=form.cleaned_data["opens_at"]
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            done = "open" if announced.status == Status.OPEN else "announce"
            messages.success(request, _DONE[done])
            return redirect(poll)
    return _detail(request, context, poll, announce=form)


@login_required
@require_POST
def poll_withdraw(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take back a poll that has not opened."""
    context, poll = _found(request, slug, pk)
    form = ReasonForm(request.POST)
    if form.is_valid():
        try:
            polling.withdraw_poll(
                poll_id=poll.pk, actor=person_of(request), reason=form.cleaned_data["reason"]
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "The poll is withdrawn.")
            return redirect(poll)
    return _detail(request, context, poll, withdraw=form)


# --- ballots --------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def poll_detail(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Show a poll, take ballots while it is open, and show the result after."""
    context, poll = _found(request, slug, pk)
    if request.method == "GET":
        return _detail(request, context, poll)
    if not request.user.is_authenticated:
        return redirect_to_login(poll.get_absolute_url())
    form = ballot_form(Rule.from_dict(poll.rule), poll.options, request.POST)
    if form.is_valid():
        try:
            voting.cast_ballot(
                poll_id=poll.pk, voter=person_of(request), content=form.cleaned_data["content"]
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
            poll.refresh_from_db()
        else:
            if not request.htmx:  # type: ignore[attr-defined]
                messages.success(request, "Your ballot is recorded.")
                return redirect(poll)
            return _detail(request, context, poll)
    return _detail(request, context, poll, ballot=form)


@login_required
@require_POST
def ballot_withdraw(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take my ballot back."""
    context, poll = _found(request, slug, pk)
    refusal = ""
    try:
        voting.withdraw_ballot(poll_id=poll.pk, voter=person_of(request))
    except RuleViolation as error:
        refusal = str(error)
    if request.htmx:  # type: ignore[attr-defined]
        return _detail(request, context, poll, refusal=refusal)
    level = messages.ERROR if refusal else messages.SUCCESS
    messages.add_message(request, level, refusal or "Your ballot is withdrawn.")
    return redirect(poll)


@login_required
@require_GET
def ballot_receipt(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Send the receipt of my ballot as a file; of a secret ballot it does not say how I voted."""
    _, poll = _found(request, slug, pk)
    ballot = get_object_or_404(Ballot, poll=poll, voter=person_of(request))
    response = JsonResponse(receipt_file(poll, ballot), json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="receipt-poll-{poll.pk}.json"'
    response["Cache-Control"] = "private, no-store"
    return response


@login_required
@require_GET
def my_ballots(request: HttpRequest) -> HttpResponse:
    """Show my ballots in all communities, the latest poll first."""
    readable = Poll.objects.open_to(request.user).order_by()
    mine = Ballot.objects.filter(voter=person_of(request), poll__in=readable)
    rows = paginate(request, mine.select_related("poll__community").order_by("-poll_id"))
    for ballot in rows:
        ballot.words = "" if ballot.content is None else own_words(ballot.poll, ballot.content)
        ballot.is_secret = ballot.poll.rule.get("secrecy") == "secret"
        ballot.reference = voting.voter_reference(ballot.poll, ballot.voter_id)
    return page(request, "governance/my_ballots.html", "ballots", {"ballots": rows})


def receipt_file(poll: Poll, ballot: Ballot) -> dict[str, Any]:
    """Return a receipt as it is kept and checked outside."""
    receipt = voting.receipt(poll, ballot)
    kept = {
        "statement": receipt.statement,
        "signature": receipt.signature,
        "public_key": signing.public_key(),
        "recorded": receipt.recorded,
    }
    if receipt.commitment:
        kept |= {"ballot": receipt.content, "nonce": receipt.nonce}
    return kept


# --- shared by the views --------------------------------------------------------------------------


def _detail(
    request: HttpRequest,
    context: dict[str, Any],
    poll: Poll,
    *,
    ballot: BallotForm | None = None,
    announce: AnnounceForm | None = None,
    withdraw: ReasonForm | None = None,
    refusal: str = "",
) -> HttpResponse:
    context |= poll_panel(request, poll, context["membership"], ballot)
    refusals = [str(error) for error in ballot.non_field_errors()] if ballot is not None else []
    context |= {
        "refusal": refusal or (" ".join(refusals) if "form" not in context else ""),
        "announce_form": announce or AnnounceForm(),
        "withdraw_form": withdraw or ReasonForm(),
    }
    wrong = refusal or any(
        form is not None and form.errors for form in (ballot, announce, withdraw)
    )
    status = 422 if wrong else 200
    return page(request, "governance/poll_detail.html", "poll-panel", context, status=status)


def _poll_form(
    request: HttpRequest, terms: dict[str, Any], initial: dict[str, Any], *, options: int = 0
) -> tuple[PollForm, AnnounceForm]:
    """Return the form as it was sent, or as it was filled in where only its look shall change."""
    if request.method != "POST":
        return PollForm(initial=initial, options=options, **terms), AnnounceForm()
    shown = len({name for name in request.POST if name.startswith("option-text-")})
    act = "show" if "show" in request.POST else request.POST.get("do", "open")
    if act in {"more", "show"}:
        more = PollForm.SPARE_OPTIONS if act == "more" else 0
        filled = {**initial, **request.POST.dict()}
        form = PollForm(initial=filled, options=shown + more, **terms)
        return form, AnnounceForm(initial=filled)
    form = PollForm(request.POST, initial=initial, options=shown, **terms)
    return form, AnnounceForm(request.POST if act == "announce" else None)


def _form_context(
    request: HttpRequest, community: Community, form: PollForm, when: AnnounceForm, kind: str
) -> dict[str, Any]:
    asked: RuleForm = form
    if request.method == "POST" and not form.is_bound:
        asked = RuleForm(request.POST, **rule_terms(community, kind))
    return {"form": form, "when": when, "kind": kind, **_in_words(asked, community)}


def _in_words(form: RuleForm, community: Community, *, whole: bool = False) -> dict[str, Any]:
    """Say what the rule in a form means; nothing while the form does not make one.

    The `whole` rule is said with what a poll says elsewhere: its phases, and who sees the ballots.
    """
    rule: Rule | None = form.start
    if form.is_bound:
        form.is_valid()
        rule = form.cleaned_data.get("rule")
    if rule is None:
        return {"problems": list(form.non_field_errors())}
    votes = votes_now(community.pk, rule)
    if not votes:
        return {"problems": [NOBODY]}
    sentences = rule_setting.sentences(rule, votes) if whole else rule.sentences(votes)
    return {"sentences": sentences, "seen": digest(rule.to_dict())}


def _begin(actor: User, community: Community, form: PollForm, when: AnnounceForm, act: str) -> Poll:
    """Draft a poll, and take it as far as was asked, or not at all."""
    terms = {
        "community_id": community.pk,
        "actor": actor,
        "kind": community_rules.QUESTION,
        **form.given(),
    }
    if act == "draft":
        return polling.draft_poll(period=form.time_open(), **terms)
    if act != "announce":
        return polling.open_poll(closes_at=form.closes_at(), **terms)
    with transaction.atomic():
        poll = polling.draft_poll(period=form.time_open(), **terms)
        opens_at = when.cleaned_data["opens_at"]
        return polling.announce_poll(poll_id=poll.pk, actor=actor, opens_at=opens_at)


def _found(request: HttpRequest, slug: str, pk: int) -> tuple[dict[str, Any], Poll]:
    """Fetch a poll that this person may read, with the context of its community's pages."""
    polls = Poll.objects.open_to(request.user).select_related("community", "opened_by")
    poll: Poll = get_object_or_404(polls, pk=pk, community__slug=slug)
    membership = permissions.membership_of(request.user, poll.community_id)
    return {"community": poll.community, "membership": membership}, poll
