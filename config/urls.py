"""All addresses: each app's pages under /, each app's API under /api/v1/."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

APPS = ("governance", "principles", "feedback", "training_jobs")

urlpatterns = [
    *(path("", include(f"{app}.urls")) for app in APPS),
    *(path("api/v1/", include(f"{app}.api.urls")) for app in APPS),
    path("api/schema/", SpectacularAPIView.as_view(), name="api_schema"),
    path("api/", SpectacularSwaggerSplitView.as_view(url_name="api_schema"), name="api_docs"),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
