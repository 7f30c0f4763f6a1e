"""Pages on how a community is run: motions of its stewards, its rules, and polls about both."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import (
    community_rules,
    membership,
    outcomes,
    permissions,
    rule_setting,
    stewardship,
)
from governance.errors import BadInput, RuleViolation
from governance.forms import (
    PollMotionForm,
    RuleProposalForm,
    StewardChangeForm,
    StewardMotionForm,
)
from governance.models import Community, Membership, Motion, Poll, User
from governance.rules import Rule
from governance.shapes import RuleForm, rule_terms, votes_now
from governance.web import community_context, page, person_of

PAGE_SIZE = 25
MOST_OFFERED = 100
NOBODY = "By this rule nobody could vote now."


# --- motions --------------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def motion_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show members what their stewards move and decided, and let stewards move."""
    context = community_context(request, slug)
    community: Community = context["community"]
    person = person_of(request)
    about = request.POST.get("about", "") if request.method == "POST" else ""
    context |= _motion_forms(request, community, person, about)
    form = context[f"{about}_form"] if about in {"poll", "steward"} else None
    if request.method == "POST" and form is None:
        raise Http404
    if form is not None and form.is_valid():
        try:
            stewardship.move(community_id=community.pk, actor=person, **form.given())
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "Moved. It happens when another steward seconds it.")
            return redirect("motion_list", slug)
    if context["membership"] is not None:
        context |= _motions(request, community, person)
    status = 422 if form is not None and form.errors else 200
    return page(request, "governance/motions.html", "motions", context, status=status)


@login_required
@require_POST
def motion_decide(request: HttpRequest, slug: str, pk: int, act: str) -> HttpResponse:
    """Second or decline a motion."""
    community: Community = community_context(request, slug)["community"]
    motion = get_object_or_404(Motion, pk=pk, community=community)
    verbs = {
        "second": (stewardship.second, "Carried: it is done."),
        "decline": (stewardship.decline, "The motion is declined."),
    }
    if act not in verbs:
        raise Http404
    verb, done = verbs[act]
    try:
        verb(motion_id=motion.pk, actor=person_of(request))
    except RuleViolation as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
    return redirect("motion_list", slug)


def _motion_forms(
    request: HttpRequest, community: Community, person: User, about: str
) -> dict[str, Any]:
    """Return what a steward may move, each form bound only where it was sent."""
    own = permissions.membership_of(person, community.pk)
    is_steward = own is not None and own.role == Membership.Role.STEWARD
    is_small = community_rules.is_small(community.pk)
    context: dict[str, Any] = {
        "is_steward": is_steward,
        "is_small": is_small,
        "small": settings.SMALL_COMMUNITY,
        "days": settings.MOTION_DAYS,
        "others": membership.other_stewards(community.pk, person.pk) if is_steward else 0,
        "poll_form": None,
        "steward_form": None,
    }
    if not is_steward:
        return context
    polls = Poll.objects.filter(community=community, status=Poll.Status.OPEN)
    context["poll_form"] = PollMotionForm(
        request.POST if about == "poll" else None,
        initial={"poll": request.GET.get("poll", "")},
        polls=polls.order_by("closes_at", "pk")[:MOST_OFFERED],
        prefix="poll",
    )
    members = Membership.objects.filter(community=community).active().stewards_first()
    context["steward_form"] = StewardMotionForm(
        request.POST if about == "steward" else None,
        initial={"member": request.GET.get("member", "")},
        members=members.exclude(user=person)[:MOST_OFFERED],
        prefix="steward",
    )
    return context


def _motions(request: HttpRequest, community: Community, person: User) -> dict[str, Any]:
    motions = Motion.objects.filter(community=community).select_related(
        "moved_by", "decided_by", "membership__user", "poll__community"
    )
    waiting = motions.filter(status=Motion.Status.WAITING)[:MOST_OFFERED]
    subjects = stewardship.subjects_of(waiting)
    over = motions.exclude(status=Motion.Status.WAITING)
    return {
        "waiting": [(m, stewardship.may_decide(m, person, subjects)) for m in waiting],
        "over": Paginator(over, PAGE_SIZE).get_page(request.GET.get("page")),
    }


# --- rules ----------------------------------------------------------------------------------------


@require_GET
def rule_list(request: HttpRequest, slug: str) -> HttpResponse:
    """State each kind's rule in words, and how it can be changed."""
    context = community_context(request, slug)
    community: Community = context["community"]
    members = community_rules.members_of(community.pk)
    kinds = [(community_rules.DEFAULT, "Default"), *((k.name, k.label) for k in outcomes.kinds())]
    context |= {
        "is_steward": permissions.is_steward(request.user, community.pk),
        "members": members,
        "is_small": members <= settings.SMALL_COMMUNITY,
        "small": settings.SMALL_COMMUNITY,
        "rules": [_told(community, kind, label) for kind, label in kinds],
        "change": _told(community, community_rules.RULE_CHANGE, ""),
        "polls": Poll.objects.filter(
            community=community,
            kind__in=community_rules.GOVERNING,
            status__in=[Poll.Status.DELIBERATION, Poll.Status.OPEN],
        ).select_related("community")[:MOST_OFFERED],
    }
    return page(request, "governance/community_rules.html", "rules", context)


@login_required
@require_http_methods(["GET", "POST"])
def rule_detail(request: HttpRequest, slug: str, kind: str) -> HttpResponse:
    """Set the rule of a kind of poll, put one to the vote, or only see what one would mean."""
    context = community_context(request, slug)
    community: Community = context["community"]
    key = community_rules.DEFAULT if kind == rule_setting.DEFAULT_NAME else kind
    try:
        label = rule_setting.kind_label(key)
    except BadInput as error:
        raise Http404 from error
    given = request.POST if request.method == "POST" else None
    act = request.POST.get("act", "")
    form = RuleForm(given, **rule_terms(community, key, free=True))
    proposal = RuleProposalForm(given if act in {"propose", "unset"} else None)
    members = community_rules.members_of(community.pk)
    is_small = members <= settings.SMALL_COMMUNITY
    if given is not None and form.is_valid() and (not proposal.is_bound or proposal.is_valid()):
        rule = None if act in {"unset", "unset_now"} else form.cleaned_data["rule"]
        try:
            if act in {"propose", "unset"}:
                return redirect(_propose_rule(request, community, key, rule, proposal))
            if act in {"set", "unset_now"}:
                rule_setting.change_rule(
                    community_id=community.pk, actor=person_of(request), kind=key, rule=rule
                )
                messages.success(request, "The rule is set. It holds for polls drafted from now.")
                return redirect("community_rules", slug)
        except RuleViolation as error:
            form.add_error(None, str(error))
    meant = form.cleaned_data.get("rule") if form.is_bound and not form.errors else form.start
    context |= {
        "form": form,
        "proposal": proposal,
        "kind": kind,
        "label": label,
        "is_steward": permissions.is_steward(request.user, community.pk),
        "is_small": is_small,
        "small": settings.SMALL_COMMUNITY,
        "members": members,
        "is_set": key in community.rules,
        "sentences": _sentences(community, meant) if meant else [],
        "problems": [NOBODY] if meant else [],
    }
    status = 422 if form.errors or proposal.errors else 200
    return page(request, "governance/community_rule.html", "rule-form", context, status=status)


def _propose_rule(
    request: HttpRequest, community: Community, kind: str, rule: Rule | None, form: RuleProposalForm
) -> Poll:
    poll = rule_setting.propose_rule_change(
        community_id=community.pk,
        actor=person_of(request),
        kind=kind,
        rule=rule,
        reason=form.cleaned_data["reason"],
        period=form.period(),
    )
    messages.success(request, "The rule is put to the vote.")
    return poll


def _told(community: Community, kind: str, label: str) -> dict[str, Any]:
    """Return a kind's rule in words, and whose it is."""
    bound = community_rules.rule_of(community, kind)
    if kind in community.rules:
        source = "set"
    elif bound is None or kind == community_rules.DEFAULT:
        source = "start"
    else:
        source = "default" if community_rules.DEFAULT in community.rules else "house"
    rule = community_rules.rule_for(community, kind)
    return {
        "kind": kind or rule_setting.DEFAULT_NAME,
        "label": label,
        "source": source,
        "sentences": _sentences(community, rule),
    }


def _sentences(community: Community, rule: Rule) -> list[str]:
    """Say what a rule means for those who could vote now; nothing where nobody could."""
    votes = votes_now(community.pk, rule)
    return rule_setting.sentences(rule, votes) if votes else []


# --- stewards, by poll ----------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def steward_change(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Put to the vote that a member becomes a steward, or is one no more."""
    context = community_context(request, slug)
    community: Community = context["community"]
    if context["membership"] is None:
        raise Http404
    subject = get_object_or_404(
        Membership.objects.active().select_related("user"), pk=pk, community=community
    )
    removes = subject.role == Membership.Role.STEWARD
    form = StewardChangeForm(request.POST or None, removes=removes)
    if form.is_valid():
        try:
            poll = stewardship.propose_steward_change(
                community_id=community.pk,
                actor=person_of(request),
                membership_id=subject.pk,
                role=form.cleaned_data["role"],
                reason=form.cleaned_data["reason"],
                period=form.period(),
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "It is put to the vote.")
            return redirect(poll)
    told = _told(community, community_rules.STEWARD_CHANGE, "")
    context |= {
        "form": form,
        "subject": subject,
        "removes": removes,
        "sentences": told["sentences"],
        "is_steward": permissions.is_steward(request.user, community.pk),
        "days": stewardship.DAYS_BETWEEN_REMOVALS,
    }
    status = 422 if form.errors else 200
    return page(request, "governance/steward_change.html", "steward-form", context, status=status)
