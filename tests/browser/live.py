"""The real site for browsers: what `make run` runs, on state, services and a port of its own."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg

from config.embedded import EmbeddedServices, cache_beside_broker
from config.supervisor import HOST, PROCESSES, QUIET, ROOT, answers, end_with_parent, tail

START_SECONDS = 180.0
STOP_SECONDS = 60.0
# Databases of a Redis that is named by the environment; the suite itself uses 0 and 1.
BROKER_DATABASE, CACHE_DATABASE = 7, 8
# Leases as short as the settings allow, so that a killed worker is missed soon.
SITE_SETTINGS = {"DJANGO_SETTINGS_MODULE": "config.settings.development", "RUN_LEASE_SECONDS": "5"}
SERVICES = ("DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL")
SEED = """
import sys, django
django.setup()
from tests.browser import seed
seed.main(*sys.argv[1:])
"""

CHROMIUM_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium_launch() -> dict[str, Any]:
    """Say which browser is started and how; none of its own errands reaches the network."""
    path = os.environ.get("CHROMIUM", "").strip() or "/usr/bin/chromium"
    return {"executable_path": path, "args": list(CHROMIUM_FLAGS)}


@dataclass
class Site:
    """A running site."""

    address: str
    state: Path
    env: Mapping[str, str]
    supervisor: psutil.Process

    def seed(self, step: str, **arguments: Any) -> dict[str, Any]:
        """Take a step of `tests.browser.seed` with the site's environment; give what it says."""
        words = [sys.executable, "-c", SEED, step, json.dumps(arguments)]
        # What is made to have happened long ago nudges nobody.
        env = {**self.env, "CELERY_BROKER_URL": "memory://"}
        done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"seed {step}: {done.stderr[-3000:]}"
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def process(self, name: str) -> psutil.Process | None:
        """Find the process of that name in `PROCESSES`, if it runs now."""
        wanted = [word for word in PROCESSES[name] if "{" not in word]
        for process in self.supervisor.children():
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[3 : 3 + len(wanted) - 1] == wanted[1:]:
                    return process
        return None

    def recipes(self) -> list[psutil.Process]:
        """List the recipes' processes that this site has started and that still run."""
        found = []
        for process in self.supervisor.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = " ".join(process.cmdline())
                if "training_jobs.recipes." in words and str(self.state) in words:
                    found.append(process)
        return found

    def log(self, name: str) -> str:
        """Give the end of a process's log."""
        return tail(self.state / "log" / f"{name}.log", 40)


@contextlib.contextmanager
def running_site(given: Mapping[str, str], *, name: str = "browser") -> Iterator[Site]:
    """Run a site for the time of a `with` block.

    Args:
        given: DATABASE_URL and CELERY_BROKER_URL of servers on which the site gets a database of
            its own; what is missing is started here, and ends with the block.
        name: ends the name of that database.
    """
    state = Path(tempfile.mkdtemp(prefix="folkmoot-browser-")).resolve()
    state.chmod(0o711)  # PostgreSQL may run as another account, which must pass through.
    try:
        with contextlib.ExitStack() as stack:
            wanted = stack.enter_context(own_databases(given, name))
            services = stack.enter_context(EmbeddedServices(state, throwaway=True, environ=wanted))
            (state / "log").mkdir(exist_ok=True)
            kept = {
                key: value
                for key, value in os.environ.items()
                if key not in {*SERVICES, "ARTIFACT_ROOT"} and not key.startswith("PYTEST_")
            }
            port = free_port()
            env = {**QUIET, **kept, **services, **SITE_SETTINGS}
            env |= {"STATE_ROOT": str(state), "PORT": str(port)}
            process = stack.enter_context(supervised(env, state))
            wait_for(port, process, state)
            yield Site(f"http://{HOST}:{port}", state, env, psutil.Process(process.pid))
    finally:
        shutil.rmtree(state, ignore_errors=True)


@contextlib.contextmanager
def supervised(env: Mapping[str, str], state: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the supervisor until the block ends, as a person would who then presses Ctrl-C."""
    with (state / "log" / "run.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "config.commands", "run"],
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent(),  # noqa: PLW1509 - as the supervisor does for its own
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def wait_for(port: int, process: subprocess.Popen[bytes], state: Path) -> None:
    """Wait until the site answers."""
    deadline = time.monotonic() + START_SECONDS
    while not answers(port):
        ended = process.poll() is not None
        assert not ended, tail(state / "log" / "run.log")
        assert time.monotonic() < deadline, tail(state / "log" / "web.log")
        time.sleep(0.2)


@contextlib.contextmanager
def own_databases(given: Mapping[str, str], name: str) -> Iterator[dict[str, str]]:
    """Make a database on the named PostgreSQL, and choose numbers of the named Redis."""
    wanted: dict[str, str] = {}
    if broker := given.get("CELERY_BROKER_URL"):
        wanted["CELERY_BROKER_URL"] = numbered(broker, BROKER_DATABASE)
        for key, value in cache_beside_broker(broker).items():
            wanted[key] = numbered(value, CACHE_DATABASE)
    if not (database := given.get("DATABASE_URL")):
        yield wanted
        return
    parts = urlsplit(database)
    own = f"{parts.path.lstrip('/')}_{name}"
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{own}" with (force)')
        connection.execute(f'create database "{own}"')
    try:
        yield {**wanted, "DATABASE_URL": urlunsplit(parts._replace(path=f"/{own}"))}
    finally:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(f'drop database if exists "{own}" with (force)')


def numbered(address: str, number: int) -> str:
    """Give a Redis address with another database number; any other address as it is."""
    parts = urlsplit(address)
    places = {"redis+socket": f"virtual_host={number}", "unix": f"db={number}"}
    if parts.scheme in places:
        return f"{address.partition('?')[0]}?{places[parts.scheme]}"
    if parts.scheme in {"redis", "rediss"}:
        return urlunsplit(parts._replace(path=f"/{number}"))
    return address


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
