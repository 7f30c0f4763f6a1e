"""The operator's view: read-only, since what people did is in the trail and stays as it is."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from governance.models import (
    AuditEvent,
    Community,
    Delegation,
    Invitation,
    Membership,
    Poll,
    Trail,
    User,
)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # not generic when it runs
    """Shows rows and changes none; the admins of all apps stand on it."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: rows are made by verbs."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: rows are changed by verbs."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: rows stay."""
        return False


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """People, without their passwords."""

    list_display = ("email", "name", "is_scripted", "is_active", "is_staff")
    list_filter = ("is_active", "is_scripted")
    search_fields = ("email", "name")
    exclude = ("password",)


@admin.register(Community)
class CommunityAdmin(ReadOnlyAdmin):
    """Communities."""

    list_display = ("slug", "name", "visibility", "joining", "is_demo", "created_at")
    search_fields = ("slug", "name")


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Who is in which community."""

    list_display = ("community", "user", "role", "status", "joined_at")
    list_filter = ("role", "status")
    list_select_related = ("community", "user")


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Invitations, without the links that would let anyone in."""

    list_display = ("community", "created_by", "created_at", "expires_at")
    list_select_related = ("community", "created_by")
    fields = ("community", "created_by", "created_at", "expires_at")


@admin.register(Poll)
class PollAdmin(ReadOnlyAdmin):
    """Polls, without the salts that hide voters; ballots are not shown at all."""

    list_display = ("title", "community", "kind", "status", "outcome", "closes_at")
    list_filter = ("kind", "status", "outcome")
    list_select_related = ("community",)


@admin.register(Trail)
class TrailAdmin(ReadOnlyAdmin):
    """The heads of the trails."""

    list_display = ("community", "length", "head")
    list_select_related = ("community",)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """The trails."""

    list_display = ("community", "seq", "at", "actor", "verb", "subject")
    list_filter = ("verb",)
    list_select_related = ("community",)


@admin.register(Delegation)
class DelegationAdmin(ReadOnlyAdmin):
    """Who delegates, without to whom."""

    list_display = ("community", "delegator", "topic", "poll", "given_at")
    list_select_related = ("community", "delegator", "poll")
    fields = ("community", "delegator", "topic", "poll", "given_at")
