"""Where things are."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("governance", "principles", "feedback", "training_jobs")
PACKAGES = ("config", *APPS)


@pytest.fixture(scope="session")
def root():
    return ROOT


def sources(*packages):
    """Return the Python files of packages."""
    found = [path for name in packages for path in sorted((ROOT / name).rglob("*.py"))]
    assert found
    return found


def module_name(path):
    """Return the dotted name of a file's module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
