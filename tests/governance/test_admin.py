import pytest
from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from governance import models
from governance.admin import ReadOnlyAdmin
from tests.factories.governance import InvitationFactory, PollFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def registered():
    return [model for model in admin.site._registry if model._meta.app_label == "governance"]


def test_admin_shows_governance_and_no_ballots():
    assert set(registered()) == {
        models.User,
        models.Community,
        models.Membership,
        models.Invitation,
        models.Poll,
        models.Delegation,
        models.Trail,
        models.AuditEvent,
    }


@pytest.mark.parametrize("model", registered())
def test_admin_is_read_only(operator, model):
    name = f"admin:governance_{model._meta.model_name}"

    assert isinstance(admin.site._registry[model], ReadOnlyAdmin)
    assert operator.get(reverse(f"{name}_changelist")).status_code == 200
    assert operator.get(reverse(f"{name}_add")).status_code == 403


def test_admin_keeps_salts_links_and_passwords_to_itself(operator):
    poll, made = PollFactory(open=True), InvitationFactory()

    def seen(row):
        name = f"admin:governance_{row._meta.model_name}_change"
        return operator.get(reverse(name, args=[row.pk])).content.decode()

    assert poll.voter_salt not in seen(poll)
    assert made.token not in seen(made)
    assert poll.opened_by.password not in seen(poll.opened_by)


def test_admin_refuses_to_delete_and_change(operator):
    poll = PollFactory(open=True)

    deleted = operator.post(reverse("admin:governance_poll_delete", args=[poll.pk]))
    changed = operator.post(
        reverse("admin:governance_poll_change", args=[poll.pk]), {"title": "Other"}
    )

    poll.refresh_from_db()
    assert (deleted.status_code, changed.status_code) == (403, 403)
    assert poll.title != "Other"


def test_admin_says_who_delegates_and_never_to_whom(operator):
    ann, bob = UserFactory(), UserFactory(name="Bartholomew")
    held = models.Delegation.objects.create(
        community=PollFactory().community, delegator=ann, delegate=bob, given_at=timezone.now()
    )

    listed = operator.get(reverse("admin:governance_delegation_changelist")).content.decode()
    shown = operator.get(reverse("admin:governance_delegation_change", args=[held.pk]))

    assert ann.name in listed
    assert bob.name not in listed + shown.content.decode()
