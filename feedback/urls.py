"""Pages: prompts, labels, reviews and datasets."""

from django.urls import path

from feedback import views

_COMMUNITY = "c/<slug:slug>/"
_REVIEW = f"{_COMMUNITY}review/"
_DATASET = f"{_COMMUNITY}datasets/<int:number>/"

urlpatterns = [
    path(f"{_COMMUNITY}label/", views.label_next, name="label_next"),
    path(f"{_COMMUNITY}prompts/", views.prompt_list, name="prompt_list"),
    path(f"{_COMMUNITY}prompts/add/", views.prompt_add, name="prompt_add"),
    path(f"{_COMMUNITY}prompts/import/", views.prompt_import, name="prompt_import"),
    path(f"{_COMMUNITY}report/", views.report_create, name="report_create"),
    path(_REVIEW, views.review_queue, name="review_queue"),
    path(f"{_REVIEW}log/", views.review_log, name="review_log"),
    path(f"{_REVIEW}<int:pk>/", views.review_detail, name="review_detail"),
    path(f"{_COMMUNITY}datasets/", views.dataset_list, name="dataset_list"),
    path(_DATASET, views.dataset_detail, name="dataset_detail"),
    path(f"{_DATASET}files/<str:name>", views.dataset_file, name="dataset_file"),
]
