"""Pages that everyone may read who may read the community: its front page, and its record."""

from pathlib import Path
from typing import Any, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods

from feedback.models import Dataset
from feedback.permissions import can_download
from governance import checker, signing
from governance.errors import RuleViolation
from governance.models import AuditEvent, Checkpoint, Community, Trail
from governance.web import community_context, page
from principles.models import Version
from training_jobs import narration, transparency
from training_jobs.models import Model
from training_jobs.overview import community_overview

EVENTS_A_PAGE: Final = 40
MOST_DIGESTS: Final = 50
CHECKPOINTS_A_PAGE: Final = 10


@require_GET
def community_home(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a community at a glance: what is in force, what is open, what needs me, the model."""
    context = community_context(request, slug)
    context |= community_overview(context["community"], request.user)
    return page(request, "training_jobs/community_home.html", "overview", context)


@require_http_methods(["GET", "POST"])
def transparency_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show how to check a community's record; a POST re-computes its trail here and now."""
    context = community_context(request, slug)
    community: Community = context["community"]
    if request.method == "POST":
        try:
            transparency.verify(community_id=community.pk)
        except RuleViolation as refusal:
            messages.error(request, str(refusal))
        if not request.htmx:  # type: ignore[attr-defined]
            return redirect("transparency", slug=slug)
    trail = Trail.objects.get(community=community)
    signed = Checkpoint.objects.filter(community=community).order_by("-length")
    context |= {
        "checkpoints": Paginator(signed, CHECKPOINTS_A_PAGE).get_page(request.GET.get("page")),
        "public_key": signing.public_key(),
        "trail": trail,
        "verification": transparency.last_verification(community.pk),
        "verifiable": trail.length <= transparency.MOST_EVENTS_VERIFIED_HERE,
        "most_events": transparency.MOST_EVENTS_VERIFIED_HERE,
        "has_dataset_files": can_download(request.user, community.pk),
        **_digests(community),
    }
    return page(request, "training_jobs/transparency.html", "verification", context)


def _digests(community: Community) -> dict[str, Any]:
    """Return the versions, datasets and models whose digests the page lists, latest first."""
    versions = Version.objects.filter(constitution__community=community)
    datasets = Dataset.objects.filter(community=community, status=Dataset.Status.FROZEN)
    models = Model.objects.filter(community=community).select_related("version", "dataset")
    return {
        "versions": versions.select_related("constitution__community", "poll__community").order_by(
            "-number"
        )[:MOST_DIGESTS],
        "datasets": datasets.select_related("community", "version").order_by("-number")[
            :MOST_DIGESTS
        ],
        "models": models.order_by("-pk")[:MOST_DIGESTS],
    }


@require_GET
def transparency_download(request: HttpRequest, slug: str) -> HttpResponseBase:
    """Send the community's export as a zip file; the datasets' files in it are for members."""
    community: Community = community_context(request, slug)["community"]
    try:
        file = transparency.open_zip(
            community, dataset_files=can_download(request.user, community.pk)
        )
    except RuleViolation as refusal:
        messages.error(request, str(refusal))
        return redirect("transparency", slug=slug)
    return FileResponse(
        file,
        as_attachment=True,
        filename=f"{slug}-record.zip",
        content_type="application/zip",
        headers={"Cache-Control": "private, no-cache"},
    )


@require_GET
def checker_download(request: HttpRequest) -> HttpResponseBase:  # noqa: ARG001 - the same for all
    """Send the offline checker, which is one file of Python."""
    return FileResponse(
        Path(checker.__file__).open("rb"),
        as_attachment=True,
        filename="checker.py",
        content_type="text/plain; charset=utf-8",
    )


@require_GET
def signing_key(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - the same for all
    """Publish the key with which the heads of trails are signed."""
    content = {"schema": "folkmoot.key/1", "algorithm": "Ed25519", "key": signing.public_key()}
    return JsonResponse(content, headers={"Access-Control-Allow-Origin": "*"})


@require_GET
def trail(request: HttpRequest, slug: str) -> HttpResponse:
    """List the events of the trail in plain words, the latest first, by topic where asked."""
    context = community_context(request, slug)
    community: Community = context["community"]
    topic = request.GET.get("about", "")
    events = AuditEvent.objects.filter(narration.about(topic), community=community)
    found = Paginator(events.order_by("-seq"), EVENTS_A_PAGE).get_page(request.GET.get("page"))
    context |= {
        "events_page": found,
        "events": narration.tell(
            found.object_list, community, by_name=context["membership"] is not None
        ),
        "topics": [(key, words) for key, (words, _) in narration.TOPICS.items()],
        "topic": topic if topic in narration.TOPICS else "",
    }
    return page(request, "training_jobs/trail.html", "events", context)
