"""Addresses of a community's front page and of its record, as pages and by the API."""

from django.urls import URLPattern, URLResolver, include, path

from training_jobs import public_views
from training_jobs.api import public

urlpatterns: list[URLPattern | URLResolver] = [
    path(".well-known/folkmoot-key.json", public_views.signing_key, name="signing_key"),
    path("checker.py", public_views.checker_download, name="checker_download"),
    path("c/<slug:slug>/", public_views.community_home, name="community_home"),
    path("c/<slug:slug>/transparency/", public_views.transparency_page, name="transparency"),
    path(
        "c/<slug:slug>/transparency/export.zip",
        public_views.transparency_download,
        name="transparency_download",
    ),
    path("c/<slug:slug>/transparency/trail/", public_views.trail, name="trail"),
    path("api/v1/", include(public.urlpatterns)),
]
