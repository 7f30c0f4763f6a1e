"""Real servers, started, killed, adopted and stopped."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import dj_database_url
import psutil
import psycopg
import pytest
import redis

from config.embedded import (
    EmbeddedServices,
    Postgres,
    ServiceError,
    Valkey,
    cache_beside_broker,
    socket_directory,
    wait_until,
    way_for_root,
)

ROOT = Path(__file__).resolve().parents[2]
BROKER_ONLY = {"CELERY_BROKER_URL": "memory://"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a second identity")


@pytest.fixture
def state():
    """A short path that another account may pass through."""
    with tempfile.TemporaryDirectory(prefix="folkmoot-test-") as name:
        place = Path(name).resolve()
        place.chmod(0o711)
        (place / "log").mkdir()
        yield place


def query(url, sql):
    settings = dj_database_url.parse(url)
    with psycopg.connect(
        host=settings["HOST"], user=settings["USER"], dbname=settings["NAME"], autocommit=True
    ) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchone() if cursor.description else None


def broker(url):
    return redis.Redis(unix_socket_path=url.removeprefix("redis+socket://").partition("?")[0])


def listening(pid):
    return [c for c in psutil.Process(pid).net_connections("inet") if c.status == "LISTEN"]


def test_services_start_keep_their_data_and_leave_nothing_running(state):
    with EmbeddedServices(state, environ={}) as env:
        query(env["DATABASE_URL"], "create table kept as select 7 as n")
        with broker(env["CELERY_BROKER_URL"]) as client:
            client.set("kept", "7")
        pids = [int((state / "postgres/postmaster.pid").read_text().split()[0])]
        pids.append(int((state / "valkey/valkey.pid").read_text()))
        assert [listening(pid) for pid in pids] == [[], []]
        modes = [place.stat().st_mode & 0o777 for place in (state / "run").iterdir()]
        assert modes == [0o700, 0o700]

    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert list((state / "run").iterdir()) == []
    with EmbeddedServices(state, environ={}) as env:
        assert query(env["DATABASE_URL"], "select n from kept") == (7,)
        with broker(env["CELERY_BROKER_URL"]) as client:
            assert client.get("kept") == b"7"


@pytest.fixture(scope="module")
def begun_twice():
    """A database whose making was interrupted once."""
    with tempfile.TemporaryDirectory(prefix="folkmoot-test-") as name:
        state = Path(name).resolve()
        state.chmod(0o711)
        (state / "postgres.new").mkdir()
        (state / "postgres.new" / "PG_VERSION").write_text("18\n")
        with EmbeddedServices(state, throwaway=True, environ=BROKER_ONLY) as env:
            yield state, env["DATABASE_URL"]


def test_an_interrupted_first_start_is_done_again(begun_twice):
    state, url = begun_twice

    assert query(url, "select current_database()") == ("folkmoot",)
    assert not (state / "postgres.new").exists()


def test_postgres_sorts_by_code_point_and_knows_accents(begun_twice):
    found = query(
        begun_twice[1],
        "select upper('é'), (select string_agg(w, '' order by w)"
        " from unnest(array['b', 'é', 'Z', 'a']) w),"
        " (select datlocale from pg_database where datname = 'folkmoot' and datlocprovider = 'b')",
    )

    assert found == ("É", "Zabé", "C.UTF-8")


def test_heal_restarts_servers_that_were_killed_and_loses_nothing_committed(state):
    services = EmbeddedServices(state, environ={})
    with services as env:
        query(env["DATABASE_URL"], "create table kept as select 7 as n")
        for server in services.servers:
            server.process.kill()
        assert wait_until(lambda: not any(s.alive() for s in services.servers), 5)

        assert services.heal() == ["PostgreSQL", "Valkey"]
        assert services.heal() == []
        assert query(env["DATABASE_URL"], "select n from kept") == (7,)
        with broker(env["CELERY_BROKER_URL"]) as client:
            assert client.ping()


def test_a_second_supervisor_is_refused_and_a_killed_ones_servers_are_adopted(state):
    code = (
        "import pathlib, sys, time\n"
        "from config.embedded import EmbeddedServices\n"
        f"with EmbeddedServices(pathlib.Path({str(state)!r}), environ={{}}) as env:\n"
        "    print(env['DATABASE_URL'], flush=True)\n"
        "    time.sleep(60)\n"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    url = first.stdout.readline().strip()
    with pytest.raises(ServiceError, match=rf"already runs on .* \(process {first.pid}\)"):
        EmbeddedServices(state, environ={}).__enter__()
    query(url, "create table kept as select 7 as n")
    postmaster = int((state / "postgres/postmaster.pid").read_text().split()[0])
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert psutil.pid_exists(postmaster)

    services = EmbeddedServices(state, environ={})
    with services as env:
        assert env["DATABASE_URL"] == url
        assert services.servers[0].process.pid == postmaster
        assert query(url, "select n from kept") == (7,)

    left = [p.pid for p in psutil.process_iter() if p.pid == postmaster]
    assert [pid for pid in left if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE] == []


def test_a_stale_process_id_of_a_stranger_does_not_keep_postgres_from_starting(state):
    with EmbeddedServices(state, environ=BROKER_ONLY):
        record = (state / "postgres/postmaster.pid").read_text()
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        (state / "postgres/postmaster.pid").write_text(
            "\n".join([str(stranger.pid), *record.splitlines()[1:]]) + "\n"
        )
        with EmbeddedServices(state, environ=BROKER_ONLY) as env:
            assert query(env["DATABASE_URL"], "select 1") == (1,)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@as_root
def test_root_may_change_between_the_two_ways_on_the_same_data(state):
    ways = ["setuid", "namespace", "setuid"] if way_for_root() == "namespace" else ["setuid"] * 2
    owners = []
    for way in ways:
        server = Postgres(state, as_root=way)
        server.start()
        owners.append(pwd.getpwuid(server.data.stat().st_uid).pw_name == "root")
        server.stop()

    assert owners == [way == "namespace" for way in ways]


@as_root
def test_root_without_a_way_in_gets_one_sentence():
    with tempfile.TemporaryDirectory() as name:  # Mode 0700: no other account passes.
        (Path(name) / "log").mkdir()
        with pytest.raises(ServiceError, match="run as an ordinary user, or set DATABASE_URL"):
            Postgres(Path(name), as_root="setuid").start()


@as_root
def test_an_ordinary_user_starts_and_stops_them(state):
    nobody = pwd.getpwnam("nobody")
    probe = ["test", "-x", str(Postgres(state).bin / "postgres")]
    if subprocess.run(probe, user=nobody.pw_uid, check=False).returncode:
        pytest.skip(f"the account nobody may not enter {sys.prefix}")
    state.chmod(0o700)
    shutil.rmtree(state / "log")
    os.chown(state, nobody.pw_uid, nobody.pw_gid)
    child = os.fork()
    if child == 0:  # In this very process image, so that Python need not be readable to nobody.
        status = 1
        try:
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            with EmbeddedServices(state, throwaway=True, environ={}) as env:
                status = 0 if query(env["DATABASE_URL"], "select 1") == (1,) else 2
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_what_the_environment_names_is_not_started(tmp_path):
    state = tmp_path / "var"
    named = {"DATABASE_URL": "postgresql://db/moot", "CELERY_BROKER_URL": "redis://broker:6379/0"}
    services = EmbeddedServices(state, environ=named)

    with services as env:
        assert env == {**named, "CACHE_URL": "redis://broker:6379/1"}
        assert services.servers == []
    assert not state.exists()


def test_what_runs_is_written_down_for_manage_py_and_forgotten_at_the_end(state):
    written = state / "services.json"
    with EmbeddedServices(state, throwaway=True, environ={}) as found:
        assert json.loads(written.read_text()) == found
        assert written.stat().st_mode & 0o077 == 0
        told = subprocess.run(
            [sys.executable, "manage.py", "diffsettings", "--output", "unified"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "STATE_ROOT": str(state)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found["CELERY_BROKER_URL"] in told.stdout

    assert not written.exists()


def test_manage_py_says_that_a_site_was_cut_off(state):
    gone = state / "run"
    found = {
        "DATABASE_URL": f"postgresql://postgres@{quote(str(gone), safe='')}/folkmoot",
        "CELERY_BROKER_URL": f"redis+socket://{gone}/valkey.sock?virtual_host=0",
    }
    (state / "services.json").write_text(json.dumps(found))

    told = subprocess.run(
        [sys.executable, "manage.py", "migrate"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "STATE_ROOT": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert "was cut off" in told.stderr
    assert "make run" in told.stderr


def test_only_what_is_missing_is_started(state):
    services = EmbeddedServices(state, environ={"DATABASE_URL": "postgresql://db/moot"})
    with services as env:
        assert [server.title for server in services.servers] == ["Valkey"]
        assert env["DATABASE_URL"] == "postgresql://db/moot"
        with redis.Redis.from_url(env["CACHE_URL"]) as cache:
            assert cache.ping()


@pytest.mark.parametrize(
    ("broker_url", "cache"),
    [
        ("redis://:secret@broker:6379/0", {"CACHE_URL": "redis://:secret@broker:6379/1"}),
        ("rediss://broker/3", {"CACHE_URL": "rediss://broker/1"}),
        ("redis+socket:///run/v.sock?virtual_host=0", {"CACHE_URL": "unix:///run/v.sock?db=1"}),
        ("amqp://broker", {}),
        ("memory://", {}),
    ],
)
def test_the_cache_lies_beside_a_broker_that_is_a_redis(broker_url, cache):
    assert cache_beside_broker(broker_url) == cache


def test_a_directory_that_cannot_be_written_gives_one_sentence(tmp_path):
    blocked = tmp_path / "var"
    blocked.write_text("a file, since root may write into every directory\n")

    with pytest.raises(
        ServiceError, match=r"cannot write to .*: make it writable, or name another"
    ):
        EmbeddedServices(blocked, environ={}).__enter__()


def test_a_long_path_gets_a_short_socket_directory(tmp_path):
    short = socket_directory(Path("/srv/moot/var"), "postgres")
    long = socket_directory(Path("/srv") / ("x" * 90) / "var", "postgres")

    assert short == Path("/srv/moot/var/run/postgres")
    assert len(str(long / ".s.PGSQL.5432.lock")) < 100
    assert long != socket_directory(Path("/srv") / ("y" * 90) / "var", "postgres")


def test_a_socket_directory_that_somebody_else_made_is_refused(state, tmp_path):
    trap = tmp_path / "trap"
    trap.mkdir()
    (state / "run").mkdir()
    (state / "run" / "valkey").symlink_to(trap)

    with pytest.raises(ServiceError, match="belongs to somebody else"):
        Valkey(state).start()


def test_it_imports_neither_django_nor_torch():
    path = ROOT / "config" / "embedded.py"
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('embedded', {str(path)!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules['embedded'] = module\n"
        "spec.loader.exec_module(module)\n"
        "print(sorted({'django', 'torch', 'celery'} & sys.modules.keys()))\n"
    )
    started = time.monotonic()
    found = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert found.strip() == "[]", f"after {time.monotonic() - started:.1f} s"
