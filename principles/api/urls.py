"""API: constitutions, drafts and versions."""

from django.urls import path

from principles.api import views

_BASE = "communities/<slug:slug>/"
_DRAFT = f"{_BASE}drafts/<int:pk>/"
_PRINCIPLE = f"{_DRAFT}principles/<slug:key>/"

urlpatterns = [
    path("starters/", views.StarterListView.as_view(), name="api-starter-list"),
    path(f"{_BASE}constitution/", views.ConstitutionView.as_view(), name="api-constitution"),
    path(f"{_BASE}versions/", views.VersionListView.as_view(), name="api-version-list"),
    path(f"{_BASE}versions/<int:number>/", views.VersionView.as_view(), name="api-version-detail"),
    path(
        f"{_BASE}versions/<int:number>/compiled/",
        views.VersionCompiledView.as_view(),
        name="api-version-compiled",
    ),
    path(f"{_BASE}drafts/", views.DraftListView.as_view(), name="api-draft-list"),
    path(_DRAFT, views.DraftView.as_view(), name="api-draft-detail"),
    path(f"{_DRAFT}compiled/", views.DraftCompiledView.as_view(), name="api-draft-compiled"),
    path(f"{_DRAFT}propose/", views.DraftProposeView.as_view(), name="api-draft-propose"),
    path(f"{_DRAFT}withdraw/", views.DraftWithdrawView.as_view(), name="api-draft-withdraw"),
    path(f"{_DRAFT}principles/", views.PrincipleListView.as_view(), name="api-principle-list"),
    path(_PRINCIPLE, views.PrincipleView.as_view(), name="api-principle-detail"),
    path(
        f"{_PRINCIPLE}position/", views.PrinciplePositionView.as_view(), name="api-principle-move"
    ),
]
