"""Pages: people and communities; one function for each page, with its POST."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from governance import community_rules, membership, permissions, tokens
from governance.errors import RuleViolation
from governance.forms import CommunityForm, CommunitySettingsForm, InvitationForm, RoleForm
from governance.models import Community, Invitation, Membership, Poll, User
from governance.web import PAGE_SIZE, community_context, page, paginate, person_of

MANY = 12
_ACTS = {
    "approve": (membership.approve_request, "is now a member."),
    "decline": (membership.decline_request, "was declined."),
    "suspend": (membership.suspend, "is suspended."),
    "reinstate": (membership.reinstate, "is active again."),
}


# --- the site -------------------------------------------------------------------------------------


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Show members what awaits them and where they belong; tell visitors what Folkmoot is."""
    communities = Community.objects.visible_to(request.user).with_figures()
    context: dict[str, Any] = {}
    if request.user.is_authenticated:
        mine = Membership.objects.filter(user_id=request.user.pk).exclude(
            status__in=[Membership.Status.LEFT, Membership.Status.DECLINED]
        )
        awaiting = Poll.objects.awaiting(request.user, timezone.now())
        memberships = list(mine.select_related("community").order_by("community__name")[:MANY])
        communities = communities.exclude(pk__in=[own.community_id for own in memberships])
        context |= {"memberships": memberships, "awaiting": awaiting[:MANY]}
    context["communities"] = paginate(request, communities)
    return page(request, "governance/home.html", "communities", context)


# --- communities ----------------------------------------------------------------------------------


@login_required
@require_http_methods(["GET", "POST"])
def community_create(request: HttpRequest) -> HttpResponse:
    """Found a community."""
    form = CommunityForm(request.POST or None)
    if form.is_valid():
        try:
            community = membership.create_community(actor=person_of(request), **form.cleaned_data)
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, f"{community.name} is founded; you are its first steward.")
            return redirect(community)
    status = 422 if form.errors else 200
    return page(
        request, "governance/community_create.html", "community-form", {"form": form}, status=status
    )


@login_required
@require_http_methods(["GET", "POST"])
def community_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """Change what a community is for, who may read it and how people join it."""
    context = community_context(request, slug)
    community: Community = context["community"]
    now = {name: getattr(community, name) for name in ("purpose", "visibility", "joining")}
    form = CommunitySettingsForm(request.POST or None, initial=now)
    if form.is_valid():
        try:
            membership.change_community(
                community_id=community.pk, actor=person_of(request), **form.cleaned_data
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, "The settings are changed.")
            return redirect("community_settings", slug)
    context |= {"form": form, "is_steward": permissions.is_steward(request.user, community.pk)}
    status = 422 if form.errors else 200
    return page(
        request, "governance/community_settings.html", "settings-form", context, status=status
    )


@require_GET
def community_members(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who is in, to members; to visitors, how many and who the stewards are."""
    context = community_context(request, slug)
    community: Community = context["community"]
    active = Membership.objects.filter(community=community).active().stewards_first()
    is_steward = permissions.is_steward(request.user, community.pk)
    context["is_steward"] = is_steward
    if context["membership"] is None:
        stewards = active.filter(role=Membership.Role.STEWARD)
        context |= {"members": paginate(request, stewards), "count": active.count()}
    else:
        members = paginate(request, active)
        context |= {"members": members, "count": members.paginator.count}
    if is_steward:
        outside = Membership.objects.filter(community=community).stewards_first()
        invitations = Invitation.objects.filter(community=community, expires_at__gt=timezone.now())
        context |= {
            **_role_terms(person_of(request), community),
            "requests": outside.filter(status=Membership.Status.REQUESTED)[:PAGE_SIZE],
            "suspended": outside.filter(status=Membership.Status.SUSPENDED)[:PAGE_SIZE],
            "invitations": invitations.select_related("created_by").order_by("-pk")[:PAGE_SIZE],
            "invitation_form": InvitationForm(),
        }
    return page(request, "governance/community_members.html", "members", context)


@login_required
@require_POST
def member_act(request: HttpRequest, slug: str, pk: int, act: str) -> HttpResponse:
    """Approve, decline, suspend or reinstate a person."""
    subject = _membership(request, slug, pk)
    if act not in _ACTS:
        raise Http404
    verb, done = _ACTS[act]
    try:
        verb(membership_id=subject.pk, actor=person_of(request))
    except RuleViolation as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{subject.user} {done}")
    return redirect("community_members", slug)


@login_required
@require_POST
def member_role(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Give a member another role."""
    subject = _membership(request, slug, pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "A role is member, moderator or steward.")
        return redirect("community_members", slug)
    try:
        changed = membership.change_role(
            membership_id=subject.pk, actor=person_of(request), role=form.cleaned_data["role"]
        )
    except RuleViolation as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{subject.user} is now {changed.get_role_display().lower()}.")
    return redirect("community_members", slug)


@login_required
@require_http_methods(["GET", "POST"])
def community_join(request: HttpRequest, slug: str) -> HttpResponse:
    """Join a community, or ask to."""
    context = community_context(request, slug)
    community: Community = context["community"]
    own = Membership.objects.filter(community=community, user=person_of(request)).first()
    context |= {"own": own, "refusal": ""}
    if request.method == "POST":
        try:
            joined = membership.join(community_id=community.pk, actor=person_of(request))
        except RuleViolation as error:
            context["refusal"] = str(error)
        else:
            messages.success(request, _welcome(joined))
            return redirect(community)
    status = 422 if context["refusal"] else 200
    return page(request, "governance/community_join.html", "join", context, status=status)


@login_required
@require_POST
def community_leave(request: HttpRequest, slug: str) -> HttpResponse:
    """Leave a community, or take back the request to join it."""
    # Someone who asked to join a community that has become private may still take that back.
    community = get_object_or_404(
        Community.objects.filter(memberships__user=person_of(request)), slug=slug
    )
    try:
        membership.leave(community_id=community.pk, actor=person_of(request))
    except RuleViolation as error:
        messages.error(request, str(error))
        return redirect("home")
    messages.success(request, f"You left {community}.")
    return redirect("home")


@login_required
@require_POST
def invitation_create(request: HttpRequest, slug: str) -> HttpResponse:
    """Make an invitation link."""
    community: Community = community_context(request, slug)["community"]
    form = InvitationForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say for how many days the link holds, from 1 to 90.")
        return redirect("community_members", slug)
    try:
        membership.invite(
            community_id=community.pk, actor=person_of(request), days=form.cleaned_data["days"]
        )
    except RuleViolation as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The link is ready; send it to those you invite.")
    return redirect("community_members", slug)


@login_required
@require_POST
def invitation_revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Let an invitation link expire now."""
    community: Community = community_context(request, slug)["community"]
    invitation = get_object_or_404(Invitation, pk=pk, community=community)
    try:
        membership.revoke_invitation(invitation_id=invitation.pk, actor=person_of(request))
    except RuleViolation as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The link does not work any more.")
    return redirect("community_members", slug)


@login_required
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Accept an invitation; whoever holds the link may read the community's name and purpose."""
    found = get_object_or_404(
        Invitation.objects.select_related("community", "created_by"), token=token
    )
    context: dict[str, Any] = {
        "invitation": found,
        "invited_to": found.community,
        "expired": found.expires_at <= timezone.now(),
        "refusal": "",
    }
    if request.method == "POST":
        try:
            joined = membership.accept_invitation(token=token, actor=person_of(request))
        except RuleViolation as error:
            context["refusal"] = str(error)
        else:
            messages.success(request, _welcome(joined))
            return redirect(found.community)
    status = 422 if context["refusal"] else 200
    return page(request, "governance/invitation.html", "invitation", context, status=status)


# --- the account ----------------------------------------------------------------------------------


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def account_token(request: HttpRequest) -> HttpResponse:
    """Make my API token, which this answer shows once, or revoke it."""
    person = person_of(request)
    context: dict[str, Any] = {"days": settings.API_TOKEN_DAYS}
    if request.POST.get("act") == "make":
        context["made"] = tokens.make(actor=person)
    elif request.POST.get("act") == "revoke":
        tokens.revoke(actor=person)
        messages.success(request, "Your token is revoked.")
        return redirect("account_token")
    context["token"] = tokens.current(person)
    return page(request, "governance/account_token.html", "token", context)


# --- shared by the views --------------------------------------------------------------------------


def _role_terms(steward: User, community: Community) -> dict[str, Any]:
    """Return which roles a steward gives alone, and what it takes to say who is a steward."""
    others = membership.other_stewards(community.pk, steward.pk)
    way = "motion" if others else "alone"
    if not community_rules.is_small(community.pk):
        way = "poll"
    roles = Membership.Role.choices
    lesser = [(value, label) for value, label in roles if value != Membership.Role.STEWARD]
    return {
        "way": way,
        "roles": roles if way == "alone" else lesser,
        "lesser_roles": lesser,
        "may_step_down": others > 0,
        "small": settings.SMALL_COMMUNITY,
    }


def _membership(request: HttpRequest, slug: str, pk: int) -> Membership:
    community = community_context(request, slug)["community"]
    found: Membership = get_object_or_404(
        Membership.objects.select_related("user"), pk=pk, community=community
    )
    return found


def _welcome(joined: Membership) -> str:
    if joined.status == Membership.Status.REQUESTED:
        return "Your request is with the stewards."
    return f"Welcome to {joined.community}."
