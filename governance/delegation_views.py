"""Pages of delegation: whom I delegated to, in which polls, and the panel on a poll's page."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from governance import delegating, following, outcomes, permissions
from governance.errors import RuleViolation
from governance.forms import DelegationForm
from governance.models import Community, Delegation, Membership, Poll, User
from governance.querysets import Viewer
from governance.rules import Rule
from governance.web import community_context, page, person_of

MOST_FOUND = 12
LONGEST_NAME = 80


@login_required
@require_http_methods(["GET", "POST"])
def delegation_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Show whom I delegated to, and delegate."""
    context = community_context(request, slug)
    community: Community = context["community"]
    person = person_of(request)
    wanted = request.GET.get("q", "").replace("\0", "")[:LONGEST_NAME].strip()
    found = _members(community, person, wanted) if context["membership"] else []
    form = DelegationForm(
        request.POST if request.method == "POST" else None,
        initial={"scope": request.GET.get("scope", "")},
        members=found[:MOST_FOUND],
        kinds=outcomes.kinds(),
        polls=delegating.polls_to_delegate(person, community.pk),
    )
    if form.is_valid():
        try:
            held = delegating.give_delegation(
                community_id=community.pk, delegator=person, **form.given()
            )
        except RuleViolation as error:
            form.add_error(None, str(error))
        else:
            messages.success(
                request, f"Your vote goes to {held.delegate}, unless you vote yourself."
            )
            return redirect(held.poll or reverse("delegation_list", args=[slug]))
    context |= {
        "form": form,
        "given": [
            (_scope(slug, held.topic, held.poll), held)
            for held in delegating.given_by(person, community.pk)
        ],
        "received": [
            (_scope(slug, topic, poll), number)
            for topic, poll, number in delegating.received_by(person, community.pk)
        ],
        "wanted": wanted,
        "found_more": len(found) > MOST_FOUND,
        "has_found": bool(found),
    }
    status = 422 if form.errors else 200
    return page(request, "governance/delegations.html", "delegations", context, status=status)


@login_required
@require_POST
def delegation_take_back(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a delegation back."""
    community: Community = community_context(request, slug)["community"]
    held = get_object_or_404(Delegation, pk=pk, community=community, delegator=person_of(request))
    try:
        delegating.take_back(delegation_id=held.pk, delegator=person_of(request))
    except Delegation.DoesNotExist:  # taken back meanwhile, in another tab
        pass
    except RuleViolation as error:
        messages.error(request, str(error))
        return redirect("delegation_list", slug)
    messages.success(request, "The delegation is taken back.")
    return redirect("delegation_list", slug)


def delegation_context(poll: Poll, user: Viewer) -> dict[str, Any]:
    """Return what `governance/delegation_panel.html` shows of `user`'s own vote in a poll.

    Returns:
        delegation: None where the poll's rule has none or nobody is signed in; else
            way: a `following.Way`, or None;
            delegate, further, carrier: the people of the way, named in words;
            said: the carrier's ballot in words;
            may_delegate: whether a delegation for this poll can be given now;
            url: where.
    """
    if not isinstance(user, User) or not Rule.from_dict(poll.rule).delegation:
        return {"delegation": None}
    way = following.who_carried(poll, user)
    is_coming = poll.status in {Poll.Status.DELIBERATION, Poll.Status.OPEN}
    may_delegate = is_coming and (
        permissions.can_vote(user, poll)
        if poll.has_opened
        else permissions.is_member(user, poll.community_id)
    )
    address = reverse("delegation_list", args=[poll.community.slug])
    shown: dict[str, Any] = {
        "way": way,
        "may_delegate": may_delegate,
        "url": f"{address}?scope=poll:{poll.pk}#delegate",
    }
    if way is not None:
        shown["delegate"] = following.known_as(way.delegate)
        shown["further"] = [following.known_as(person) for person in way.further]
    if way is not None and way.carrier is not None:
        shown["carrier"] = following.known_as(way.carrier)
        shown["said"] = following.in_words(poll, way.content)
    return {"delegation": shown}


def _members(community: Community, person: User, wanted: str) -> list[Membership]:
    """Return other members whose names contain `wanted`, one more than are shown."""
    members = Membership.objects.filter(community=community, user__name__icontains=wanted).active()
    others = members.exclude(user=person).select_related("user").order_by("user__name", "user_id")
    return list(others[: MOST_FOUND + 1])


def _scope(slug: str, topic: str, poll: Poll | None) -> dict[str, str]:
    """Say for what a delegation holds, with the address of its poll."""
    if poll is not None:
        return {"words": poll.title, "url": reverse("poll_detail", args=[slug, poll.pk])}
    if topic:
        labels = {kind.name: kind.label for kind in outcomes.kinds()}
        return {"words": f"Polls of the kind “{labels.get(topic, topic)}”", "url": ""}
    return {"words": "All polls", "url": ""}
