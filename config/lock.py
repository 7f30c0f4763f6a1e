"""Write the lock files anew: `python config/lock.py`, which is `make lock`.

One resolution gives `requirements.lock`, for every Python from 3.11 and every platform; the locks
of the two images are parts of it. Versions that still fit are kept: delete a line to let it move.
Peers of benchmarks are measured as their authors ship them: they have few overrides, their own.
"""

# ruff: noqa: S603 - every command is a list of words of our own, and none passes a shell
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "requirements.lock": ["requirements.in"],
    "requirements-web.lock": ["requirements-web.in"],
    "requirements-worker.lock": [
        "requirements-web.in",
        "requirements-embedded.in",
        "requirements-compute.in",
    ],
    "requirements-bench.lock": ["requirements-bench.in"],
}
PARTS = {"requirements-web.lock", "requirements-worker.lock"}
OPTIONS = [
    *("--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate"),
    *("--custom-compile-command", "make lock"),
]
OVERRIDES = {"requirements-bench.lock": "requirements-bench-overrides.txt"}


def main() -> None:
    """Resolve with uv, in an environment that is thrown away."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([sys.executable, "-m", "venv", name], check=True)
        python = Path(name) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        for lock, sources in SOURCES.items():
            bounds = ["--constraint", "requirements.lock"] if lock in PARTS else []
            bounds += ["--override", OVERRIDES.get(lock, "requirements-overrides.txt")]
            subprocess.run(
                [python, "-m", "uv", "pip", "compile", *OPTIONS, *bounds, *sources, "-o", lock],
                check=True,
                cwd=ROOT,
            )


if __name__ == "__main__":
    main()
