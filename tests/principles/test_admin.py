"""The operator reads; nobody writes there."""

import pytest
from django.contrib import admin
from django.urls import reverse

from principles.models import Constitution, Draft, DraftPrinciple, Principle, Version
from tests.factories.governance import UserFactory
from tests.factories.principles import DraftFactory, VersionFactory, two_principles


@pytest.mark.parametrize("model", [Constitution, Version, Principle, Draft, DraftPrinciple])
def test_rows_are_listed_and_none_is_changed(client, rf, moot, model):
    VersionFactory(community=moot.community)
    DraftFactory(community=moot.community, author=moot.member, principles=two_principles())
    request = rf.get("/")
    request.user = UserFactory(is_staff=True, is_superuser=True)
    client.force_login(request.user)
    model_admin = admin.site.get_model_admin(model)

    listed = client.get(reverse(f"admin:principles_{model._meta.model_name}_changelist"))

    assert listed.status_code == 200
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_change_permission(request)
    assert not model_admin.has_delete_permission(request)
