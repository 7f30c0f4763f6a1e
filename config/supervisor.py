"""Keep the site's processes running, and end every one of them on the way out.

`PROCESSES` is the one list of what the site consists of; the Procfile and docker-compose.yml repeat
it and a test holds them to it. Each child has a session of its own, so Ctrl-C reaches this process
only, which ends the children in order. Should this process be killed, the kernel ends them.
"""

# ruff: noqa: S603 - every command is a list of words of our own, and none passes a shell
import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from types import FrameType

import psutil

from config.embedded import EmbeddedServices, ServiceError, runs, wait_until

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
GRACE_SECONDS = 10.0
LONGEST_PAUSE = 30.0
STEADY_SECONDS = 60.0
WEB_SECONDS = 90.0
WEB_DEATHS = 3
LAST_PORT = 65_535

# Each process and its command; `{state}` is the directory of STATE_ROOT. Where the web process
# listens comes from GRANIAN_HOST and GRANIAN_PORT.
PROCESSES: dict[str, tuple[str, ...]] = {
    "web": (
        *("granian", "--interface", "wsgi", "--workers", "2", "--blocking-threads", "4"),
        *("--respawn-failed-workers", "--log-level", "warning", "config.wsgi:application"),
    ),
    "worker-default": (
        *("celery", "-A", "config", "worker", "-n", "default@%h", "-Q", "default", "-c", "2"),
        *("-l", "INFO", "--without-mingle", "--without-gossip"),
    ),
    "worker-compute": (
        *("celery", "-A", "config", "worker", "-n", "compute@%h", "-Q", "compute", "-c", "1"),
        *("-l", "INFO", "--without-mingle", "--without-gossip"),
    ),
    "worker-chat": (
        *("celery", "-A", "config", "worker", "-n", "chat@%h", "-Q", "chat", "-c", "1"),
        *("-l", "INFO", "--without-mingle", "--without-gossip"),
    ),
    "beat": (
        *("celery", "-A", "config", "beat", "-l", "INFO"),
        *("-s", "{state}/celerybeat-schedule", "--pidfile="),
    ),
}

# What every process gets unless the operator says otherwise: nothing asks the network, nothing
# reports home, and threads that wait do not spin on the cores that others need.
QUIET = {
    "DO_NOT_TRACK": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_OFFLINE": "1",
}


class SupervisorError(Exception):
    """The site cannot run; the text is a sentence that says what to do."""


class Stopped(BaseException):
    """Somebody asked this process to end."""


def say(sentence: str) -> None:
    """Tell people what happens, on stderr: stdout belongs to what runs inside."""
    sys.stderr.write(f"==> {sentence}\n")


class Interrupts:
    """Turns signals into a question that is asked at safe moments.

    A handler that raised could do so between the start of a child and the note of its id. So the
    first signal is only remembered; the second one raises, for when the first is not heeded.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def install(self) -> None:
        """Take over the signals; to be called before the first child."""
        for number in self.SIGNALS:
            signal.signal(number, self._remember)

    def ignore(self) -> None:
        """Let nothing disturb the end."""
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    def check(self) -> None:
        """Raise `Stopped` if a signal came."""
        if self.received is not None:
            self.ignore()
            raise Stopped

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        if self.received is not None:
            self.ignore()
            raise KeyboardInterrupt
        self.received = signal.Signals(number)


class Child:
    """One process of the site, its log, and its next start should it die."""

    def __init__(self, name: str, command: list[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.command = command
        self.env = env
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths = 0
        self._started = 0.0
        self._due = 0.0

    def start(self) -> None:
        """Start the process in a session of its own."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent(),  # noqa: PLW1509 - this process has one thread
            )
        self._started = time.monotonic()

    def tend(self) -> None:
        """Start the process again if it died: after a second, and longer each time it does so."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._due:
                self.start()
            return
        code = self.process.poll()
        if code is None:
            return
        kill_group(self.process.pid)  # Its own children would hold the port or the queue.
        self.process = None
        self.deaths = 1 if now - self._started > STEADY_SECONDS else self.deaths + 1
        pause = min(2.0 ** (self.deaths - 1), LONGEST_PAUSE)
        self._due = now + pause
        say(f"{self.name} ended ({ending(code)}); it starts again in {pause:.0f} s.")


class Supervisor:
    """The site: embedded services where needed, then every process of `PROCESSES`."""

    def __init__(self, services: EmbeddedServices, interrupts: Interrupts, port: int) -> None:
        self.services = services
        self.interrupts = interrupts
        self.port = port
        self.children: dict[str, Child] = {}
        self._service_retry = 0.0
        become_reaper()

    @property
    def address(self) -> str:
        """Where the site answers."""
        return f"http://{HOST}:{self.port}"

    def start(self, env: Mapping[str, str]) -> None:
        """Start every process and wait until the site answers.

        Raises:
            SupervisorError: it does not answer; the sentence names the log.
        """
        placed = {**env, "GRANIAN_HOST": HOST, "GRANIAN_PORT": str(self.port)}
        for name in PROCESSES:
            log = self.services.state / "log" / f"{name}.log"
            child = Child(name, command_of(name, self.services.state), placed, log)
            self.children[name] = child
            child.start()
        web = self.children["web"]
        deadline = time.monotonic() + WEB_SECONDS
        while not answers(self.port):
            self.tend()
            if web.deaths >= WEB_DEATHS or time.monotonic() > deadline:
                raise SupervisorError(f"The site does not answer; the end of {tail(web.log)}")
            time.sleep(0.1)

    def tend(self) -> None:
        """Start again what died; to be called several times a second.

        Raises:
            Stopped: a signal came.
        """
        self.interrupts.check()
        if time.monotonic() >= self._service_retry:
            try:
                for title in self.services.heal():
                    say(f"{title} had ended and runs again.")
            except ServiceError as error:
                say(str(error))
                self._service_retry = time.monotonic() + 5
        for child in self.children.values():
            child.tend()
        self._bury()

    def stop(self) -> None:
        """End the children gently, then whatever else came from here, but not the services."""
        leaders = [child.process for child in self.children.values() if child.process]
        for process in leaders:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        gone = wait_until(lambda: all(p.poll() is not None for p in leaders), GRACE_SECONDS)
        if not gone:
            say("Some work did not end in time and is cut off; it is taken up at the next start.")
        for process in self._descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for leader in leaders:
            leader.wait()
        wait_until(lambda: not any(map(runs, self._descendants())), GRACE_SECONDS)
        self.children.clear()

    def _descendants(self) -> list[psutil.Process]:
        """List all that came from here; on Linux orphans come back, so none is missed."""
        kept = {server.process.pid for server in self.services.servers if server.process}
        found: list[psutil.Process] = []
        for process in psutil.Process().children():
            if process.pid not in kept:
                found.append(process)
                with contextlib.suppress(psutil.NoSuchProcess):
                    found.extend(process.children(recursive=True))
        return found

    def _bury(self) -> None:
        """Reap orphans that came back to this process and have ended."""
        own = {child.process.pid for child in self.children.values() if child.process}
        own |= {server.process.pid for server in self.services.servers if server.process}
        for process in psutil.Process().children():
            if process.pid not in own and not runs(process):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)


def run_to_end(
    command: list[str],
    env: Mapping[str, str],
    interrupts: Interrupts,
    *,
    log: Path | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> int:
    """Run one command in the foreground and give its exit status as a shell would.

    Args:
        command: what to run.
        env: its whole environment.
        interrupts: asked while it runs.
        log: takes its output; else the terminal does.
        meanwhile: called several times a second.

    Raises:
        Stopped: a signal came, and the command has ended.
    """
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else None
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(env),
            stdin=subprocess.DEVNULL if log else None,
            stdout=output,
            stderr=output,
            preexec_fn=end_with_parent(),  # noqa: PLW1509 - this process has one thread
        )
        try:
            while process.poll() is None:
                interrupts.check()
                meanwhile()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        except BaseException:
            # The terminal has already sent Ctrl-C to the command; any other signal is passed on.
            if interrupts.received is not signal.SIGINT:
                process.terminate()
            for action in (process.terminate, process.kill):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE_SECONDS)
                action()
            process.wait()
            raise
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def command_of(name: str, state: Path) -> list[str]:
    """Give a process's command, run by this very Python."""
    program, *words = (word.format(state=state) for word in PROCESSES[name])
    return [sys.executable, "-m", program, *words]


def chosen_port(environ: Mapping[str, str]) -> int:
    """Read PORT and see that nobody listens there.

    Raises:
        SupervisorError: it is no port, or it is taken.
    """
    text = environ.get("PORT", "").strip() or "8000"
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= LAST_PORT:
        raise SupervisorError(f"PORT is {text!r}: it must be a number from 1 to 65535.")
    port = int(text)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SupervisorError(
                f"Port {port} cannot be used ({error.strerror}): stop what listens there, or choose"
                f" another one, such as PORT={port % LAST_PORT + 1}."
            ) from error
    return port


def answers(port: int) -> bool:
    """Say whether the site gives its front page."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def end_with_parent() -> Callable[[], None] | None:
    """Give what a child calls first, so that the kernel ends it should this process be killed."""
    if sys.platform != "linux":
        return None
    parent = os.getpid()
    library = ctypes.CDLL(None)

    def ask_the_kernel() -> None:
        library.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    return ask_the_kernel


def become_reaper() -> None:
    """Make orphans of this process's children come back to it, so that it can end them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER


def kill_group(leader: int) -> None:
    """Kill what is left of the process group of a dead leader."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def ending(code: int) -> str:
    """Say how a process ended."""
    return f"exit status {code}" if code >= 0 else signal.Signals(-code).name


def tail(log: Path, lines: int = 20) -> str:
    """Give a log's name and its last lines."""
    with contextlib.suppress(OSError):
        text = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        return "\n    ".join([f"{log}:", *text])
    return f"{log} is missing."
