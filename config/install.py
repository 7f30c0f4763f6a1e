"""Make the virtual environment, from exact versions; the standard library is all this needs.

`python config/install.py` makes `.venv`, `python config/install.py bench` makes `.venv-bench` with
the peers that benchmarks compare with. It is run by its path, before anything is installed, so it
imports nothing of ours. Where the environment already fits, it looks at one small file and ends.

torch comes first and by itself: which build fits is the machine's affair, so pip decides, or
`TORCH_INDEX_URL` does. The complete lock follows without resolution, each file held to its hash.
"""

# ruff: noqa: S603 - every command is a list of words of our own, and none passes a shell
from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MINIMUM = (3, 11)
TORCH = "torch==2.13.0"
STAMP = ".folkmoot-stamp"


class InstallError(Exception):
    """The environment cannot be made; the text is a sentence that says what to do."""


class Environment:
    """A virtual environment, the lock that fills it, and the stamp that says it is whole."""

    def __init__(self, venv: Path, lock: Path, *, torch: bool) -> None:
        self.venv = venv
        self.lock = lock
        self.torch = torch
        self.python = venv / "bin" / "python"
        self.stamp = venv / STAMP

    def wanted_stamp(self) -> str:
        """Digest the lock, the version of Python, and the place, from which venvs do not move."""
        digest = hashlib.sha256(self.lock.read_bytes())
        for part in (TORCH if self.torch else "", python_version(), str(self.venv)):
            digest.update(f"\n{part}".encode())
        return digest.hexdigest()

    def fits(self) -> bool:
        """Say whether nothing needs doing."""
        try:
            written = self.stamp.read_text(encoding="utf-8").strip()
        except OSError:
            return False
        return self.python.exists() and written == self.wanted_stamp()

    def ensure(self) -> None:
        """Make the environment, or finish what was interrupted; the stamp is written last.

        Raises:
            InstallError: it cannot be made.
        """
        if self.fits():
            return
        with self.lock.open("rb") as held:  # Two installs at once would spoil each other.
            fcntl.flock(held, fcntl.LOCK_EX)
            if self.fits():
                return
            self.stamp.unlink(missing_ok=True)
            self._make_venv()
            if self.torch:
                index = os.environ.get("TORCH_INDEX_URL", "").strip()
                say(f"Installing {TORCH} (the largest part; a CUDA build takes several minutes).")
                self._pip(TORCH, *(["--index-url", index] if index else []))
            say(f"Installing the exact versions of {self.lock.name}.")
            self._pip("--no-deps", "--require-hashes", "-r", str(self.lock))
            partial = self.stamp.with_suffix(".partial")
            partial.write_text(self.wanted_stamp() + "\n", encoding="utf-8")
            partial.replace(self.stamp)
            say(f"{self.venv.name} is ready.")

    def _make_venv(self) -> None:
        if self.python.exists() and self._made_here():
            say(f"Completing {self.venv.name}.")
            return
        missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
        if missing:
            raise InstallError(
                f"{sys.executable} has no module {missing[0]}: install it (on Debian and Ubuntu the"
                " package python3-venv), or name another Python, such as PYTHON=python3.12."
            )
        say(f"Making {self.venv.name} with Python {python_version()}.")
        if self.venv.exists():
            shutil.rmtree(self.venv)
        self._run([sys.executable, "-m", "venv", str(self.venv)], "The venv module failed")

    def _made_here(self) -> bool:
        """Say whether the environment was made at this place, by this version of Python."""
        code = "import sys; print('%d.%d' % sys.version_info[:2], sys.prefix)"
        found = subprocess.run(
            [str(self.python), "-c", code], capture_output=True, text=True, check=False
        )
        return found.stdout.strip() == f"{python_version()} {self.venv}"

    def _pip(self, *arguments: str) -> None:
        command = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check"]
        self._run([*command, *arguments], "pip failed")

    @staticmethod
    def _run(command: list[str], failure: str) -> None:
        code = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
        if code:
            raise InstallError(
                f"{failure} with code {code} for the reason above: mend that, then run the same"
                " command again, which goes on from here."
            )


APPLICATION = Environment(ROOT / ".venv", ROOT / "requirements.lock", torch=True)
BENCH = Environment(ROOT / ".venv-bench", ROOT / "requirements-bench.lock", torch=False)


def bench_python() -> Path:
    """Make `.venv-bench` if need be and give its Python, for a benchmark that runs a peer."""
    BENCH.ensure()
    return BENCH.python


def python_version() -> str:
    """Give the running Python's version, such as 3.11; a newer patch release changes nothing."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def say(sentence: str) -> None:
    """Tell progress on stderr, since a benchmark's stdout ends with its figures."""
    sys.stderr.write(f"==> {sentence}\n")


def main(arguments: list[str]) -> int:
    """Make the environment that is asked for; give the exit status."""
    if sys.version_info < MINIMUM:
        say(
            f"Folkmoot needs Python {MINIMUM[0]}.{MINIMUM[1]} or newer, and {sys.executable} is"
            f" {python_version()}: name another one, such as PYTHON=python3.12."
        )
        return 1
    try:
        (BENCH if arguments == ["bench"] else APPLICATION).ensure()
    except InstallError as error:
        say(str(error))
    except OSError as error:
        say(f"The install cannot write here ({error}): mend that, then run the same command again.")
    except KeyboardInterrupt:
        say("The install was interrupted; the same command goes on from here.")
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
