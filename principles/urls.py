"""Pages: constitutions, drafts and versions."""

from django.urls import path

from principles import views

_BASE = "c/<slug:slug>/constitution/"
_VERSION = f"{_BASE}versions/<int:number>/"
_DRAFT = f"{_BASE}drafts/<int:pk>/"
_PRINCIPLE = f"{_DRAFT}principles/<slug:key>/"

urlpatterns = [
    path(_BASE, views.constitution_detail, name="constitution_detail"),
    path(f"{_BASE}difference/", views.version_diff, name="version_diff"),
    path(_VERSION, views.version_detail, name="version_detail"),
    path(f"{_VERSION}compiled/", views.version_compiled, name="version_compiled"),
    path(
        f"{_VERSION}compiled/<slug:output>/",
        views.version_compiled_file,
        name="version_compiled_file",
    ),
    path(f"{_BASE}drafts/", views.draft_list, name="draft_list"),
    path(f"{_BASE}drafts/new/", views.draft_create, name="draft_create"),
    path(_DRAFT, views.draft_detail, name="draft_detail"),
    path(f"{_DRAFT}compiled/", views.draft_compiled, name="draft_compiled"),
    path(f"{_DRAFT}difference/", views.draft_diff, name="draft_diff"),
    path(f"{_DRAFT}propose/", views.draft_propose, name="draft_propose"),
    path(f"{_DRAFT}withdraw/", views.draft_withdraw, name="draft_withdraw"),
    path(f"{_DRAFT}new-principle/", views.principle_create, name="principle_create"),
    path(_PRINCIPLE, views.principle_edit, name="principle_edit"),
    path(f"{_PRINCIPLE}move/", views.principle_move, name="principle_move"),
    path(f"{_PRINCIPLE}remove/", views.principle_remove, name="principle_remove"),
]
