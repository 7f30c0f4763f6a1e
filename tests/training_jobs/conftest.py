"""A community with everything that a run is made from."""

import threading

import pytest
from django.db import connection

from tests.factories.feedback import make_version, member
from tests.factories.governance import CommunityFactory
from tests.factories.training_jobs import ModelFactory, frozen_dataset
from training_jobs import dispatch


@pytest.fixture
def community(db):
    return CommunityFactory()


@pytest.fixture
def steward(community):
    return member(community, role="steward")


@pytest.fixture
def person(community):
    return member(community)


@pytest.fixture
def version(community):
    return make_version(community)


@pytest.fixture
def base(db):
    return ModelFactory()


@pytest.fixture
def training(version):
    return frozen_dataset(version)


@pytest.fixture
def heldout(version):
    return frozen_dataset(version, purpose="evaluation")


@pytest.fixture
def trained(community, version, training, base):
    model = ModelFactory(community=community, version=version, dataset=training)
    model.parents.set([base])
    return model


@pytest.fixture
def nudges(monkeypatch):
    """Collect the messages that would go to the broker."""
    sent = []
    monkeypatch.setattr(
        dispatch.current_app, "send_task", lambda name, args, **_: sent.append((name, args))
    )
    return sent


@pytest.fixture
def in_thread():
    """Run a function in a thread with its own connection; `result` waits and re-raises."""
    threads = []

    class Work:
        def __init__(self, function):
            self.value, self.error = None, None
            self.thread = threading.Thread(target=self._run, args=(function,))
            self.thread.start()
            threads.append(self.thread)

        def _run(self, function):
            try:
                self.value = function()
            except Exception as error:  # noqa: BLE001 - raised again by `result`
                self.error = error
            finally:
                connection.close()

        def result(self):
            self.thread.join(20)
            if self.error is not None:
                raise self.error
            return self.value

    yield Work
    for thread in threads:
        thread.join(20)
