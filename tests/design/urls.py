"""Only some of the site's names: the base template must do with what it finds."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path


def nothing(request: HttpRequest, **kwargs: str) -> HttpResponse:
    return HttpResponse()


urlpatterns = [
    path("", nothing, name="home"),
    path("accounts/", include("allauth.urls")),
    path("c/<slug:slug>/", nothing, name="community_home"),
    path("c/<slug:slug>/polls/", nothing, name="poll_list"),
    path("c/<slug:slug>/runs/", nothing, name="run_list"),
]
