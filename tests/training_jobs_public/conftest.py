"""A populated community, its export, and the checker as a program of its own."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from django.test import override_settings

from governance import checker
from tests.factories.populated import populate
from tests.training_jobs_public.methods import decide_by_every_method
from training_jobs import registry, transparency


@pytest.fixture
def populated(db, settings):
    return populate(settings)


@dataclass(frozen=True)
class Exported:
    """An export that was made once for all tests: its files, its zip, and the real artefacts."""

    files: dict[str, bytes]
    archive: bytes
    artifacts: dict[str, bytes]

    def write(self, folder, files=None):
        """Write files into a new folder, those of the export unless told."""
        for name, content in (self.files if files is None else files).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder


def _read(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def exported(django_db_setup, django_db_blocker, tmp_path_factory):
    """Make a populated community and export it, and leave no trace in the database."""
    root = tmp_path_factory.mktemp("exported")
    artifacts = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": root / "artifacts"},
    }
    storages = {**django_settings.STORAGES, "artifacts": artifacts}
    undone = transaction.atomic()
    undone._from_testcase = True  # as Django's TestCase does: durable blocks may lie inside
    with (
        django_db_blocker.unblock(),
        override_settings(STORAGES=storages, RUN_MINIMUM_PAIRS=2),
        undone,
    ):
        made = populate(django_settings)
        community = made.community
        decide_by_every_method(community, made.steward, made.people)
        transparency.write_export(community_id=community.pk, directory=root / "export")
        with (root / "export.zip").open("wb") as file:
            transparency.write_zip(community_id=community.pk, file=file)
        made = Exported(
            files=_read(root / "export"),
            archive=(root / "export.zip").read_bytes(),
            artifacts=_read(registry.artifact_path("")),
        )
        transaction.set_rollback(True)
    return made


@pytest.fixture(scope="session")
def run_checker():
    """Return a function that runs the checker, isolated from the project, on an export."""

    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-I", Path(checker.__file__), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
        )

    return run


@pytest.fixture
def refuses(monkeypatch, capsys):
    """Return a function that sees an export fail; in this process, which is quick."""

    def check(*arguments):
        monkeypatch.setattr(sys, "argv", ["checker.py", *map(str, arguments)])
        status = checker.main()
        done = capsys.readouterr()
        return _sentence(status, done.out, done.err)

    return check


@pytest.fixture
def refuses_as_program(run_checker):
    """Return a function that sees an export fail as a program of its own, without a traceback."""

    def check(*arguments):
        done = run_checker(*arguments)
        return _sentence(done.returncode, done.stdout, done.stderr)

    return check


def _sentence(status, out, err):
    assert status == 1, out
    assert not err
    assert "Traceback" not in out
    last = out.splitlines()[-1]
    assert last.startswith("This does not hold: ")
    assert last.endswith(".")
    return last.removeprefix("This does not hold: ")
