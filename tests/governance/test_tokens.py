"""API tokens: made, shown once, revoked, run out."""

import hashlib
from datetime import timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from governance import tokens
from governance.models import ApiToken
from tests.factories.governance import UserFactory

pytestmark = pytest.mark.django_db
PAGE = "/accounts/token/"


@pytest.fixture
def ann():
    return UserFactory()


def status(token):
    return (
        APIClient().get(reverse("api-me"), headers={"Authorization": f"Token {token}"}).status_code
    )


def test_make_keeps_only_a_digest_of_what_opens_the_api(ann):
    token = tokens.make(actor=ann)

    kept = ApiToken.objects.get()
    assert kept.digest == hashlib.sha256(token.encode()).hexdigest()
    assert token not in {str(value) for value in vars(kept).values()}
    assert status(token) == 200


def test_make_ends_the_token_before(ann):
    first, second = tokens.make(actor=ann), tokens.make(actor=ann)

    assert (status(first), status(second)) == (401, 200)


def test_revoke_ends_a_token_and_harms_nobody_twice(ann):
    mine, other = tokens.make(actor=ann), tokens.make(actor=UserFactory())

    tokens.revoke(actor=ann)
    tokens.revoke(actor=ann)

    assert (status(mine), status(other)) == (401, 200)


def test_a_token_runs_out(ann, settings):
    settings.API_TOKEN_DAYS = 3
    token = tokens.make(actor=ann)

    with time_machine.travel(timezone.now() + timedelta(days=2, hours=23)):
        assert status(token) == 200
    with time_machine.travel(timezone.now() + timedelta(days=3, seconds=1)):
        assert status(token) == 401
        assert tokens.current(ann) is None


def test_a_token_ends_with_the_password_it_was_made_under(ann):
    token = tokens.make(actor=ann)

    ann.set_password("another staple")
    ann.save()

    assert status(token) == 401


def test_a_token_of_an_inactive_person_opens_nothing(ann):
    token = tokens.make(actor=ann)
    ann.is_active = False
    ann.save()

    assert status(token) == 401


def test_what_is_no_token_opens_nothing(ann):
    tokens.make(actor=ann)

    assert status(ApiToken.objects.get().digest) == 401
    assert status("x") == 401


# --- the page -------------------------------------------------------------------------------------


def test_page_shows_a_token_once(client, ann):
    client.force_login(ann)
    assert "You have no token" in client.get(PAGE).content.decode()

    made = client.post(PAGE, {"act": "make"})

    assert status(made.context["made"]) == 200
    assert made.context["made"] in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    later = client.get(PAGE).content.decode()
    assert made.context["made"] not in later
    assert "You have a token" in later


def test_page_revokes(client, ann):
    client.force_login(ann)
    token = client.post(PAGE, {"act": "make"}).context["made"]

    response = client.post(PAGE, {"act": "revoke"}, follow=True)

    assert "Your token is revoked" in response.content.decode()
    assert status(token) == 401


def test_page_is_for_people_who_are_signed_in(client):
    assert client.get(PAGE).status_code == 302


def test_the_menu_and_the_api_docs_lead_to_the_page(client, ann):
    client.force_login(ann)

    assert f'href="{PAGE}"' in client.get("/").content.decode()
    assert "My API token" in client.get(reverse("api_schema")).content.decode()
