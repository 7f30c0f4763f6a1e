"""API: prompts, labels, reviews and datasets."""

from django.urls import path

from feedback.api import views

_COMMUNITY = "communities/<slug:slug>/"
_ASSIGNMENT = f"{_COMMUNITY}assignments/<int:pk>/"
_REVIEW = f"{_COMMUNITY}review/"
_ITEM = f"{_REVIEW}<int:pk>/"

urlpatterns = [
    path(f"{_COMMUNITY}prompts/", views.PromptListView.as_view(), name="api-prompts"),
    path(
        f"{_COMMUNITY}prompts/import/",
        views.PromptImportView.as_view(),
        name="api-prompt-import",
    ),
    path(
        f"{_COMMUNITY}assignments/next/",
        views.AssignmentNextView.as_view(),
        name="api-assignment-next",
    ),
    path(f"{_ASSIGNMENT}label/", views.LabelView.as_view(), name="api-label"),
    path(f"{_ASSIGNMENT}skip/", views.SkipView.as_view(), name="api-skip"),
    path(f"{_COMMUNITY}reports/", views.ReportCreateView.as_view(), name="api-reports"),
    path(_REVIEW, views.ReviewListView.as_view(), name="api-review"),
    path(f"{_REVIEW}log/", views.DecisionListView.as_view(), name="api-review-log"),
    path(_ITEM, views.ReviewItemView.as_view(), name="api-review-item"),
    path(f"{_ITEM}claim/", views.ReviewClaimView.as_view(), name="api-review-claim"),
    path(f"{_ITEM}unclaim/", views.ReviewUnclaimView.as_view(), name="api-review-unclaim"),
    path(f"{_ITEM}decide/", views.ReviewDecideView.as_view(), name="api-review-decide"),
    path(f"{_COMMUNITY}datasets/", views.DatasetListView.as_view(), name="api-datasets"),
    path(
        f"{_COMMUNITY}datasets/<int:number>/",
        views.DatasetView.as_view(),
        name="api-dataset",
    ),
]
