"""Published data, which is no part of the repository; `make conformance DATA=…` names it."""

import os
from pathlib import Path

import pytest

DATA = os.environ.get("CONFORMANCE_DATA", "")
collect_ignore_glob = [] if DATA else ["test_*.py"]


@pytest.fixture(scope="session")
def data():
    """The folder of published data."""
    return Path(DATA)
