"""The operator's view of constitutions: read-only."""

from django.contrib import admin

from governance.admin import ReadOnlyAdmin
from principles.models import Constitution, Draft, DraftPrinciple, Principle, Version


@admin.register(Constitution)
class ConstitutionAdmin(ReadOnlyAdmin):
    """Constitutions."""

    list_display = ("title", "community")
    list_select_related = ("community",)


@admin.register(Version)
class VersionAdmin(ReadOnlyAdmin):
    """Ratified versions."""

    list_display = ("title", "number", "constitution", "digest", "ratified_at")
    list_select_related = ("constitution",)


@admin.register(Principle)
class PrincipleAdmin(ReadOnlyAdmin):
    """Principles of ratified versions."""

    list_display = ("title", "key", "version", "position")
    list_select_related = ("version",)


@admin.register(Draft)
class DraftAdmin(ReadOnlyAdmin):
    """Drafts."""

    list_display = ("title", "constitution", "author", "status", "updated_at")
    list_filter = ("status",)
    list_select_related = ("constitution", "author")


@admin.register(DraftPrinciple)
class DraftPrincipleAdmin(ReadOnlyAdmin):
    """Principles of drafts."""

    list_display = ("title", "key", "draft", "position")
    list_select_related = ("draft",)
