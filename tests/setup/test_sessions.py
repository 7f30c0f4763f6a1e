"""Sessions: what they hold is read while they last, and a key that is not ours is dropped."""

from datetime import timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

pytestmark = pytest.mark.django_db
SessionStore = import_module(settings.SESSION_ENGINE).SessionStore


@pytest.fixture
def kept():
    """A session with something in it."""
    store = SessionStore()
    store["fruit"] = "pear"
    store.save()
    return store


def test_a_session_is_read_with_one_statement(kept, django_assert_num_queries):
    again = SessionStore(kept.session_key)

    with django_assert_num_queries(1):
        assert again["fruit"] == "pear"
    assert again.session_key == kept.session_key


def test_a_session_of_djangos_own_store_is_the_same(kept):
    assert db.SessionStore(kept.session_key)["fruit"] == "pear"


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1)])
def test_a_session_that_has_run_out_is_empty_and_its_key_is_dropped(kept, lifetime):
    Session.objects.update(expire_date=timezone.now() + lifetime)
    again = SessionStore(kept.session_key)

    assert again.get("fruit") is None
    assert again.session_key is None


def test_an_unknown_key_is_not_taken_over():
    store = SessionStore("chosen-by-a-stranger")
    store["fruit"] = "pear"
    store.save()

    assert Session.objects.get().session_key == store.session_key != "chosen-by-a-stranger"


def test_a_session_that_was_ended_is_empty(kept):
    again = SessionStore(kept.session_key)
    SessionStore(kept.session_key).flush()

    assert again.get("fruit") is None
