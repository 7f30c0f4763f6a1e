"""What all pages and all API views share."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import patch_vary_headers
from rest_framework import status as http
from rest_framework.exceptions import ParseError
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import exception_handler

from governance.errors import NotPermitted, RuleViolation
from governance.models import Community, User
from governance.permissions import membership_of

PAGE_SIZE = 25


def page(
    request: HttpRequest,
    template: str,
    part: str,
    context: dict[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    """Render a page, or only its `part` where htmx asked for that.

    A boosted link and a history restore want the whole page. The view names the part, never
    the client.
    """
    htmx = request.htmx  # type: ignore[attr-defined]
    partial = bool(htmx) and not htmx.boosted and not htmx.history_restore_request
    response = render(
        request, f"{template}#{part}" if partial else template, context, status=status
    )
    patch_vary_headers(response, ["HX-Request"])
    return response


def community_context(request: HttpRequest, slug: str) -> dict[str, Any]:
    """Fetch a community as the first permission check, with what each of its pages shows.

    Returns:
        community, and membership (None for a visitor): the base template needs both.

    Raises:
        Http404: there is none, or this person may not read it.
    """
    community = community_of(request, slug)
    return {"community": community, "membership": membership_of(request.user, community.pk)}


def community_of(request: HttpRequest | Request, slug: str) -> Community:
    """Fetch a community as the first permission check.

    Raises:
        Http404: there is none, or this person may not read it.
    """
    found: Community = get_object_or_404(Community.objects.visible_to(request.user), slug=slug)
    return found


def person_of(request: HttpRequest | Request) -> User:
    """Return who asks, where a decorator or the permission classes let nobody else in."""
    user = request.user
    if not isinstance(user, User):
        raise TypeError("This view lets in someone who is not signed in.")
    return user


def shaped(shape: type[BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    """Return what was sent to the API in that shape, or answer what is wrong with it."""
    serializer = shape(data=request.data)
    serializer.is_valid(raise_exception=True)
    given: dict[str, Any] = serializer.validated_data
    return given


def paginate(
    request: HttpRequest, rows: QuerySet[Any], *, by: str = "page", size: int = PAGE_SIZE
) -> Page[Any]:
    """Return the part of a list that the address asks for, `size` rows at most."""
    return Paginator(rows, size).get_page(request.GET.get(by))


def site(request: HttpRequest) -> dict[str, Any]:  # noqa: ARG001 - a context processor
    """Give every template the site's address."""
    return {"site_address": settings.SITE_ADDRESS}


class Pages(LimitOffsetPagination):
    """Lists of the API, at most 200 rows at a time and not beyond the first million."""

    max_limit = 200
    furthest = 1_000_000

    def get_offset(self, request: Request) -> int:
        """Return where to begin; what lies too far to be meant begins at the end."""
        return min(super().get_offset(request), self.furthest)


def api_exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer a refusal with its sentence: 403 where the person may not, else 409.

    JSON that is nested more deeply than Python can read is a bad request like any other.
    """
    if isinstance(error, RuleViolation):
        status = (
            http.HTTP_403_FORBIDDEN if isinstance(error, NotPermitted) else http.HTTP_409_CONFLICT
        )
        return Response(_encodable({"detail": str(error)}), status=status)
    if isinstance(error, RecursionError):
        error = ParseError("This is nested too deeply.")
    response = exception_handler(error, context)
    if response is not None:
        response.data = _encodable(response.data)
    return response


def _encodable(said: Any) -> Any:
    """Return what an answer says with a "?" for each half of a surrogate pair.

    JSON can carry such halves in, and a sentence that quotes one could not be sent out.
    """
    match said:
        case str():
            return said.encode("utf-8", "replace").decode("utf-8")
        case Mapping():
            return {_encodable(key): _encodable(value) for key, value in said.items()}
        case list():
            return [_encodable(item) for item in said]
        case _:
            return said
