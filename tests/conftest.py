"""Fixtures that the whole suite shares."""

import pytest


@pytest.fixture(autouse=True)
def _artifacts_of_their_own(settings, tmp_path):
    """Keep each test's artefacts in a folder of its own."""
    settings.STORAGES = {
        **settings.STORAGES,
        "artifacts": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": tmp_path / "artifacts"},
        },
    }
