"""API: runs, models, evaluations, releases and the playground."""

from django.urls import URLPattern, path

from training_jobs.api import views

_COMMUNITY = "communities/<slug:slug>"

urlpatterns: list[URLPattern] = [
    path(f"{_COMMUNITY}/runs/", views.RunList.as_view(), name="api-run-list"),
    path(f"{_COMMUNITY}/runs/<int:pk>/", views.RunDetail.as_view(), name="api-run-detail"),
    path(f"{_COMMUNITY}/runs/<int:pk>/again/", views.RunAgain.as_view(), name="api-run-again"),
    path(f"{_COMMUNITY}/runs/<int:pk>/cancel/", views.RunCancel.as_view(), name="api-run-cancel"),
    path(f"{_COMMUNITY}/models/", views.ModelList.as_view(), name="api-model-list"),
    path(f"{_COMMUNITY}/models/<int:pk>/", views.ModelDetail.as_view(), name="api-model-detail"),
    path(f"{_COMMUNITY}/evaluations/", views.EvaluationList.as_view(), name="api-evaluation-list"),
    path(
        f"{_COMMUNITY}/evaluations/<int:pk>/",
        views.EvaluationDetail.as_view(),
        name="api-evaluation-detail",
    ),
    path(
        f"{_COMMUNITY}/evaluations/<int:pk>/release/",
        views.ReleasePropose.as_view(),
        name="api-release-propose",
    ),
    path(f"{_COMMUNITY}/releases/", views.ReleaseList.as_view(), name="api-release-list"),
    path(f"{_COMMUNITY}/chat/", views.TurnList.as_view(), name="api-turn-list"),
    path(f"{_COMMUNITY}/chat/<int:pk>/", views.TurnDetail.as_view(), name="api-turn-detail"),
]
