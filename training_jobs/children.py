"""Recipes as child processes: how one is started, and how one is ended with all its descendants.

A recipe gets neither the database nor the broker nor any secret: it has its run directory, and the
libraries that the manifest names.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from django.conf import settings

from training_jobs.manifest import ENVIRONMENT

GRACE_SECONDS: Final = 5.0
LOG: Final = "log.txt"
LOCKED: Final = 75  # the exit status by which a recipe says that another attempt still works

# What a recipe may know of its surroundings: where programs and libraries are, and which
# accelerator it was given. Everything else stays behind.
_PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")

_PATH: Final = re.compile(r"""(?<![^\s'"(:=])/(?:[^\s/'"]+/)+""")

Command = Callable[[str, Path], Sequence[str]]


def command(recipe: str, run_dir: Path) -> Sequence[str]:
    """Return the command that does a recipe's work in a run directory."""
    return [sys.executable, "-m", f"training_jobs.recipes.{recipe}", str(run_dir)]


def environment() -> dict[str, str]:
    """Return the whole environment of a recipe's process."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"PATH": os.defpath, **passed, "LANG": "C.UTF-8", **ENVIRONMENT}


def start(words: Sequence[str], run_dir: Path) -> subprocess.Popen[bytes]:
    """Start a recipe in a session of its own; what it prints is appended to its log."""
    with (run_dir / LOG).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - a list of words of our own, and no shell
            words,
            cwd=settings.ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def end(child: subprocess.Popen[bytes], *, grace: float = GRACE_SECONDS) -> None:
    """End a recipe and all that it started: asked first, killed when the grace is over."""
    _signal_group(child, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(grace)
    # The group is killed even when its first process went in time: descendants may be left.
    _signal_group(child, signal.SIGKILL)
    child.wait()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    # The child leads its own group, whose number stays taken while any of its processes lives.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def log_tail(run_dir: Path, *, lines: int = 40, most: int = 8192) -> list[str]:
    """Return the last lines of a run's log; nothing where there is no log."""
    try:
        with (run_dir / LOG).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - most))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return text.splitlines()[-lines:]


def result(run_dir: Path) -> dict[str, Any] | None:
    """Return what a recipe left as its result; None where there is none."""
    return _read_object(run_dir / "result.json")


def failure(run_dir: Path, status: int) -> str:
    """Say in a sentence that everyone may read why a recipe ended without a result.

    It names no place on this machine; the log, which is for stewards, may.

    Args:
        run_dir: where it worked.
        status: how it ended, as `Popen.returncode` has it: negative for a signal.
    """
    sentence = _own_words(run_dir)
    if sentence:
        return _PATH.sub("…/", sentence)
    last = next((line for line in reversed(log_tail(run_dir)) if line.strip()), "")
    if last.startswith("ModuleNotFoundError: "):
        missing = last.removeprefix("ModuleNotFoundError: ").strip()
        return f"The compute worker's packages are not installed ({missing})."
    if status == -signal.SIGKILL:
        return "The work was killed from outside; most often the machine ran out of memory."
    if status < 0:
        return f"The work was ended from outside, by signal {-status}."
    if status == 0:
        return "The recipe ended without leaving a result."
    return f"The recipe ended with exit status {status}; its log may say why."


def _own_words(run_dir: Path) -> str:
    sentence = (_read_object(run_dir / "error.json") or {}).get("sentence")
    return sentence[:1000] if isinstance(sentence, str) else ""


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _refuse(constant: str) -> None:
    # Python writes and reads them; JSON has none of them, and neither has the database.
    raise ValueError(f"{constant} is no number.")
