"""Pages: runs, models, evaluations, releases and the playground."""

from django.urls import URLPattern, URLResolver, path

from training_jobs import public_urls, views

urlpatterns: list[URLPattern | URLResolver] = [
    *public_urls.urlpatterns,
    path("c/<slug:slug>/runs/", views.run_list, name="run_list"),
    path("c/<slug:slug>/runs/new/", views.run_create, name="run_create"),
    path("c/<slug:slug>/runs/<int:pk>/", views.run_detail, name="run_detail"),
    path("c/<slug:slug>/runs/<int:pk>/curves/", views.run_curves, name="run_curves"),
    path("c/<slug:slug>/runs/<int:pk>/again/", views.run_again, name="run_again"),
    path("c/<slug:slug>/runs/<int:pk>/cancel/", views.run_cancel, name="run_cancel"),
    path("c/<slug:slug>/models/", views.model_list, name="model_list"),
    path("c/<slug:slug>/models/<int:pk>/", views.model_detail, name="model_detail"),
    path("c/<slug:slug>/evaluations/<int:pk>/", views.evaluation_detail, name="evaluation_detail"),
    path(
        "c/<slug:slug>/evaluations/<int:pk>/release/", views.release_create, name="release_create"
    ),
    path("c/<slug:slug>/playground/", views.playground, name="playground"),
]
