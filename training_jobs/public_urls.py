"""Pages: a community's front page, and its record for everyone to check."""

from django.urls import URLPattern, path

from training_jobs import public_views

urlpatterns: list[URLPattern] = [
    path("checker.py", public_views.checker_download, name="checker_download"),
    path("c/<slug:slug>/", public_views.community_home, name="community_home"),
    path("c/<slug:slug>/transparency/", public_views.transparency_page, name="transparency"),
    path(
        "c/<slug:slug>/transparency/export.zip",
        public_views.transparency_download,
        name="transparency_download",
    ),
    path("c/<slug:slug>/transparency/trail/", public_views.trail, name="trail"),
]
