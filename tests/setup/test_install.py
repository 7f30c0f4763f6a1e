"""The installer's decisions, without a network: what fits, what is redone, what it says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import install

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE_MAKE = {
    key: value
    for key, value in os.environ.items()
    if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
}


class Recorded(install.Environment):
    """An environment whose commands are noted instead of run."""

    def __init__(self, folder, *, torch=True, fail_at=None):
        lock = folder / "requirements.lock"
        lock.write_text("celery==5.7.0\n")
        super().__init__(folder / ".venv", lock, torch=torch)
        self.commands = []
        self.fail_at = fail_at

    def _run(self, command, failure):
        words = " ".join(command)
        self.commands.append(words.replace(str(self.venv.parent) + "/", ""))
        if self.fail_at and self.fail_at in words:
            raise install.InstallError(f"{failure}.")
        if "-m venv" in words:
            self.python.parent.mkdir(parents=True)
            self.python.symlink_to(sys.executable)

    def _made_here(self):
        return True


def test_the_first_install_takes_torch_and_then_the_lock_and_stamps_last(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCH_INDEX_URL", raising=False)
    made = Recorded(tmp_path)

    made.ensure()

    pip = ".venv/bin/python -m pip install --disable-pip-version-check"
    assert made.commands == [
        f"{sys.executable} -m venv .venv",
        f"{pip} torch==2.13.0",
        f"{pip} --no-deps --require-hashes -r requirements.lock",
    ]
    assert made.fits()


def test_a_build_of_torch_can_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_INDEX_URL", "file:///wheels/cpu")
    made = Recorded(tmp_path)

    made.ensure()

    assert made.commands[1].endswith("torch==2.13.0 --index-url file:///wheels/cpu")


def test_what_fits_is_left_alone(tmp_path):
    made = Recorded(tmp_path)
    made.ensure()
    made.commands.clear()

    made.ensure()

    assert made.commands == []


@pytest.mark.parametrize("change", ["lock", "python", "place"])
def test_a_change_is_noticed(tmp_path, monkeypatch, change):
    made = Recorded(tmp_path)
    made.ensure()

    if change == "lock":
        made.lock.write_text("celery==5.7.1\n")
    elif change == "python":
        monkeypatch.setattr(install, "python_version", lambda: "3.14")
    else:
        moved = tmp_path / "elsewhere"
        made.venv.rename(moved)
        made = install.Environment(moved, made.lock, torch=True)

    assert not made.fits()


def test_an_interrupted_install_is_taken_up_again(tmp_path):
    broken = Recorded(tmp_path, fail_at="--require-hashes")
    with pytest.raises(install.InstallError):
        broken.ensure()
    assert not broken.fits()

    again = Recorded(tmp_path)
    again.ensure()

    assert [words for words in again.commands if "-m venv" in words] == []
    assert again.fits()


def test_a_bench_environment_has_no_torch(tmp_path):
    made = Recorded(tmp_path, torch=False)
    made.ensure()

    assert [words for words in made.commands if "torch" in words] == []


def test_a_missing_venv_module_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(install.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(
        install.InstallError, match=r"has no module venv: install it .*python3-venv"
    ):
        install.Environment(tmp_path / ".venv", Recorded(tmp_path).lock, torch=True).ensure()


def test_an_old_python_is_told_in_one_line(monkeypatch, capfd):
    monkeypatch.setattr(install.sys, "version_info", (3, 9, 2))

    assert install.main([]) == 1
    said = capfd.readouterr().err
    assert said.startswith("==> Folkmoot needs Python 3.11 or newer, and ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("python", ["old", "none"])
def test_make_tells_of_a_wrong_python_in_one_line(tmp_path, python):
    stand_in = tmp_path / "python-old"
    stand_in.write_text("#!/bin/sh\necho 'SyntaxError: what is an f-string?' >&2\nexit 1\n")
    stand_in.chmod(0o755)
    name = str(stand_in) if python == "old" else str(tmp_path / "no-such-python")

    done = subprocess.run(
        ["make", "install", f"PYTHON={name}"],
        cwd=ROOT,
        env=OUTSIDE_MAKE,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        f"Folkmoot needs Python 3.11 or newer, and '{name}' is none: name another one, such as"
        " make PYTHON=python3.12 demo."
    )
    assert "SyntaxError" not in done.stderr


def test_the_installer_runs_on_the_standard_library_alone():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'config')!r}); import install;"
        " print(sorted({'django', 'celery', 'psutil', 'torch'} & sys.modules.keys()))"
    )
    found = subprocess.check_output([sys.executable, "-I", "-S", "-c", code], text=True)

    assert found.strip() == "[]"


def test_every_target_of_the_makefile_is_explained():
    asked = ["demo", "run", "test", "lint", "check", "bench", "conformance", "screens", "help"]
    told = subprocess.check_output(["make", "help"], cwd=ROOT, env=OUTSIDE_MAKE, text=True)

    assert {line.split()[1] for line in told.splitlines()} == {*asked, "install", "lock"}
