"""The run directory as a recipe sees it: what it may read, what it writes, how it ends.

Nothing here imports torch, so a run that must not start is refused at once.
"""

import contextlib
import ctypes
import fcntl
import importlib.metadata
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from governance import canonical
from training_jobs import options
from training_jobs.manifest import Manifest, ManifestError

EXIT_FAILED: Final = 1
EXIT_LOCKED: Final = 75  # EX_TEMPFAIL: another attempt holds the directory; nothing was touched.
EXIT_TERMINATED: Final = 128 + signal.SIGTERM

LOCK_SECONDS: Final = 20.0
_PR_SET_PDEATHSIG: Final = 1
_PACKAGES: Final = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "pyarrow",
    "gguf",
)


class RecipeError(Exception):
    """A run that cannot go on, with one plain sentence for people."""


class Terminated(BaseException):
    """SIGTERM arrived. Not an `Exception`, so that no library swallows it."""


class LockedError(Exception):
    """Another attempt works in this run directory."""


class RunDirectory:
    """A locked and verified run directory.

    Attributes:
        path: the directory.
        manifest: as read from it.
        options: the manifest's, with the recipe's defaults filled in and every range checked.
        stop_requested: SIGTERM arrived while `deferring_termination` was in force.
    """

    def __init__(self, path: Path, manifest: Manifest, settled: options.Settled) -> None:
        """Hold what `opened` found to be in order."""
        self.path = path
        self.manifest = manifest
        self.options = settled
        self.started = time.monotonic()
        self.stop_requested = False
        self._deferring = False

    def input(self, name: str) -> Path:
        """Return the path of a declared input.

        Raises:
            RecipeError: the manifest names no such input.
        """
        if name not in self.manifest.inputs:
            raise RecipeError(f"This recipe needs the input {name}, which the manifest lacks.")
        return (self.path / "inputs" / name).resolve()

    def has_input(self, name: str) -> bool:
        """Whether the manifest names this input."""
        return name in self.manifest.inputs

    def read_json(self, name: str) -> Any:
        """Return a JSON input as plain values.

        Raises:
            RecipeError: the file is not JSON.
        """
        try:
            return json.loads(self.input(name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise RecipeError(f"The input {name} is not JSON in UTF-8.") from error

    def read_lines(self, name: str) -> list[Any]:
        """Return a JSON-lines input as a list of plain values.

        Raises:
            RecipeError: a line is not JSON; the sentence names the line.
        """
        values = []
        text = self.input(name).read_text(encoding="utf-8")
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            try:
                values.append(json.loads(line))
            except ValueError as error:
                raise RecipeError(f"Line {number} of the input {name} is not JSON.") from error
        return values

    def progress(self, step: int, total: int, phase: str, **metrics: float) -> None:
        """Append one line to `progress.jsonl` and hand it to the operating system."""
        event = {
            "step": step,
            "total": total,
            "phase": phase,
            "metrics": {key: round(value, 6) for key, value in metrics.items()},
            "ts": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        # One write of one line: a reader that follows the file never sees half an event mixed
        # with another, though a killed process may leave the last line torn.
        with (self.path / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, allow_nan=False) + "\n")
        self.stop_here()

    def write_json(self, name: str, value: object) -> None:
        """Write a JSON file whole or not at all."""
        temporary = self.path / f".{name}.new"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, allow_nan=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path / name)

    def write_result(self, result: Mapping[str, Any]) -> None:
        """Write `result.json`, the last act of a run: where it exists, the run has succeeded."""
        self.write_json(
            "result.json",
            {
                "recipe": self.manifest.recipe,
                "manifest_digest": self.manifest.digest,
                **result,
                "peak_rss_mb": peak_rss_mb(),
                "packages": package_versions(),
            },
        )

    def seconds(self) -> float:
        """Return how long this attempt has been running, in seconds."""
        return round(time.monotonic() - self.started, 3)

    @contextlib.contextmanager
    def deferring_termination(self) -> Iterator[None]:
        """Let SIGTERM only set `stop_requested` inside the block, so that state stays whole.

        The block must look at `stop_requested` often, save what it has, and call `stop_here`.
        """
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False

    def stop_here(self) -> None:
        """Raise `Terminated` where SIGTERM has arrived and nothing defers it."""
        if self.stop_requested and not self._deferring:
            raise Terminated

    def handle_sigterm(self, _signum: int, _frame: object) -> None:
        """Take SIGTERM: at once, or noted for later inside `deferring_termination`."""
        self.stop_requested = True
        self.stop_here()


def execute(recipe: str, work: Callable[[RunDirectory], None]) -> int:
    """Run a recipe as the process that a launcher started: `python -m …recipes.NAME RUN_DIR`.

    Returns:
        The exit status: 0 done, 1 failed with `error.json` written, 2 wrongly called, 75 another
        attempt holds the directory, 143 terminated.
    """
    if len(sys.argv) != 2:  # noqa: PLR2004 - the module and one argument
        sys.stderr.write(f"usage: python -m training_jobs.recipes.{recipe} RUN_DIR\n")
        return 2
    _die_with_launcher()
    return run(recipe, work, Path(sys.argv[1]))


def run(recipe: str, work: Callable[[RunDirectory], None], run_dir: Path) -> int:
    """Do a recipe's work in `run_dir` and return the exit status that `execute` documents."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        with _locked(run_dir):
            (run_dir / "error.json").unlink(missing_ok=True)
            if (run_dir / "result.json").exists():
                return 0
            try:
                directory = _opened(recipe, run_dir)
                signal.signal(signal.SIGTERM, directory.handle_sigterm)
                work(directory)
            except Terminated:
                return EXIT_TERMINATED
            except (RecipeError, ManifestError, options.OptionError) as error:
                _write_error(run_dir, str(error), type(error).__name__)
                return EXIT_FAILED
            except Exception as error:  # noqa: BLE001 - the edge: a run ends with a sentence
                traceback.print_exc()
                _write_error(run_dir, _sentence(error), type(error).__name__)
                return EXIT_FAILED
            return 0
    except LockedError as error:
        # No error.json: the directory belongs to the attempt that holds the lock.
        sys.stderr.write(f"{error}\n")
        return EXIT_LOCKED
    finally:
        signal.signal(signal.SIGTERM, handler)


def package_versions() -> dict[str, str]:
    """Return the versions that results depend on."""
    versions = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def peak_rss_mb() -> int:
    """Return this process's peak resident memory, in mebibytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _opened(recipe: str, run_dir: Path) -> RunDirectory:
    manifest = Manifest.read(run_dir)
    if manifest.recipe != recipe:
        raise RecipeError(f"This manifest is for the recipe {manifest.recipe}, not {recipe}.")
    settled = options.settle(recipe, manifest.options)
    _verify_inputs(run_dir / "inputs", manifest)
    return RunDirectory(run_dir, manifest, settled)


def _verify_inputs(directory: Path, manifest: Manifest) -> None:
    present = {path.name for path in directory.iterdir()} if directory.is_dir() else set()
    for name in sorted(present - manifest.inputs.keys()):
        raise RecipeError(f"The input {name} is there, but the manifest does not name it.")
    for name, declared in sorted(manifest.inputs.items()):
        path = (directory / name).resolve()
        if path.is_dir():
            try:
                found = canonical.directory_digest(path)
            except ValueError as error:
                raise RecipeError(f"The input {name} was refused: {error}") from error
        elif path.is_file():
            found = canonical.file_digest(path)
        else:
            raise RecipeError(f"The input {name} ({declared.name}) is missing.")
        if found != declared.digest:
            raise RecipeError(
                f"The input {name} ({declared.name}) has the digest {found[:12]}…, but the "
                f"manifest promises {declared.digest[:12]}…: it was changed or mixed up."
            )


@contextlib.contextmanager
def _locked(run_dir: Path) -> Iterator[None]:
    # A predecessor that was told to die may still be writing its checkpoint.
    deadline = time.monotonic() + LOCK_SECONDS
    with (run_dir / "lock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise LockedError("Another attempt works in this run directory.") from None
                time.sleep(0.1)
        yield


def _die_with_launcher() -> None:
    # Linux only; elsewhere the lease of the run ends what was orphaned.
    if sys.platform != "linux":
        return
    launcher = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != launcher:
        os.kill(os.getpid(), signal.SIGTERM)


def _write_error(run_dir: Path, sentence: str, kind: str) -> None:
    temporary = run_dir / ".error.json.new"
    temporary.write_text(
        json.dumps({"sentence": sentence, "kind": kind}, ensure_ascii=False), encoding="utf-8"
    )
    temporary.replace(run_dir / "error.json")
    sys.stderr.write(f"{sentence}\n")


def _sentence(error: Exception) -> str:
    match error:
        case MemoryError():
            return "The machine ran out of memory; a smaller batch may fit."
        case OSError(errno=28):
            return "The disk is full."
        case _:
            # What an error says may quote paths and texts; it stands in the log, for stewards.
            return f"The run stopped on an unexpected {type(error).__name__}; its log says more."
