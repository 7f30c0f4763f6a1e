"""Casting ballots through the real HTTP stack: fifty people at once, every one of them counted.

Fifty writers, each with a connection of its own, cast ballots of different electors at a fixed
rate; a request's time runs from when it was due, not from when it was sent, so that a server that
falls behind cannot hide it. The peer is the same server under the same writers with the cheapest
answer that it gives to somebody signed in (`GET /api/v1/me/`): what the stack itself costs. After
the run, the ballots in the table are held against those that were acknowledged.

Processor time is given apart: what a request costs the web processes, the database and the writers
says more than its time on a machine on which others are at work too.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path

import django
import psutil

from config.supervisor import HOST, command_of

WRITERS = 50
RATE = 210
ACCEPTED = {200, 201}
MEASURED = ("per_s", "p50_ms", "p95_ms", "web_cpu_ms", "database_cpu_ms", "writers_cpu_ms")
TARGETS = {"per_s": 200, "p95_ms": 150}


@dataclass
class Load:
    """What one round of writers saw."""

    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0
    cpu: dict[str, float] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """Return throughput, times, and the processor time of a request by who spent it."""
        times = sorted(self.milliseconds)
        return {
            "per_s": round(self.accepted / self.seconds, 1),
            "p50_ms": round(statistics.median(times), 1),
            "p95_ms": round(times[int(len(times) * 0.95)], 1),
            "accepted": self.accepted,
            "refused": self.refused,
            **{
                f"{name}_cpu_ms": round(1000 * spent / len(times), 2)
                for name, spent in self.cpu.items()
            },
        }


def say(words: str) -> None:
    """Tell progress."""
    print(words, file=sys.stderr, flush=True)


def electors(count: int) -> tuple[int, str, list[str]]:
    """Make a community with an open poll; return poll, slug and the electors' session keys."""
    from django.conf import settings  # noqa: PLC0415
    from django.contrib.auth import (  # noqa: PLC0415 - needs loaded apps
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
    )
    from django.contrib.sessions.backends.db import SessionStore  # noqa: PLC0415
    from django.contrib.sessions.models import Session  # noqa: PLC0415
    from django.utils import timezone  # noqa: PLC0415

    from governance import membership, polling  # noqa: PLC0415
    from governance.models import Membership, User  # noqa: PLC0415

    founder = User.objects.create_user("founder@example.org", name="Founder")
    community = membership.create_community(actor=founder, name="Many voters", purpose="To vote.")
    people = User.objects.bulk_create(
        User(email=f"voter{n}@example.org", name=f"Voter {n}", password="!") for n in range(count)
    )
    now = timezone.now()
    Membership.objects.bulk_create(
        Membership(community=community, user=person, joined_at=now) for person in people
    )
    store = SessionStore()
    sessions = []
    for person in people:
        data = {
            SESSION_KEY: str(person.pk),
            BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: person.get_session_auth_hash(),
        }
        key = f"bench{person.pk:027d}"
        expires = now + timedelta(days=1)
        sessions.append(
            Session(session_key=key, session_data=store.encode(data), expire_date=expires)
        )
    Session.objects.bulk_create(sessions)
    poll = polling.open_poll(
        community_id=community.pk,
        actor=founder,
        kind="question",
        title="Thursdays?",
        text="Shall we meet on Thursdays?",
        closes_at=now + timedelta(days=1),
    )
    return poll.pk, community.slug, [session.session_key for session in sessions]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


def serve(port: int) -> subprocess.Popen[bytes]:
    """Start the site as the Procfile does, and wait until it answers."""
    place = {"GRANIAN_HOST": HOST, "GRANIAN_PORT": str(port)}
    command = command_of("web", Path(os.environ["STATE_ROOT"]))
    server = subprocess.Popen(command, env={**os.environ, **place})
    for _ in range(300):
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            if server.poll() is not None:
                raise SystemExit("The site did not start.") from None
            time.sleep(0.1)
        else:
            return server
    raise SystemExit("The site did not answer within 30 s.")


def cpu_seconds(server: int) -> dict[str, float]:
    """Return the processor time that web processes, database and writers have spent so far."""
    from django.db import connection  # noqa: PLC0415 - needs loaded apps

    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity")
        backends = [psutil.Process(pid) for (pid,) in cursor.fetchall()]
    web = psutil.Process(server)
    spent = {
        name: sum(sum(process.cpu_times()[:2]) for process in processes)
        for name, processes in {
            "web": [web, *web.children(recursive=True)],
            "database": backends,
        }.items()
    }
    return spent | {"writers": time.process_time()}


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> int:
    """Send one request on a kept connection; return its status."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(
        int(line.partition(":")[2])
        for line in head.split("\r\n")
        if line.startswith("content-length:")
    )
    await reader.readexactly(length)
    return int(head.split(" ", 2)[1])


async def load(port: int, requests: Iterator[bytes], count: int, rate: float) -> Load:
    """Send `count` requests from WRITERS connections at `rate` a second (0: as fast as it goes)."""
    result = Load()
    began = time.perf_counter()

    async def write(number: int) -> None:
        reader, writer = await asyncio.open_connection(HOST, port)
        for turn in range(number, count, WRITERS):
            due = began + turn / rate if rate else time.perf_counter()
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            status = await ask(reader, writer, next(requests))
            result.milliseconds.append((time.perf_counter() - due) * 1000)
            result.accepted += status in ACCEPTED
            result.refused += status not in ACCEPTED
        writer.close()

    await asyncio.gather(*(write(number) for number in range(WRITERS)))
    result.seconds = time.perf_counter() - began
    return result


def request(method: str, path: str, session: str, body: bytes = b"") -> bytes:
    """Write one HTTP request of somebody signed in."""
    token = "b" * 32
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/json\r\n"
        f"Cookie: sessionid={session}; csrftoken={token}\r\nX-CSRFToken: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> int:
    """Run the bench and print its line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ballots", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=RATE, help="0: as fast as it goes")
    given = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.development")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415

    from governance.models import Ballot, BallotAct  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    poll, slug, sessions = electors(given.ballots * given.rounds)
    port = free_port()
    server = serve(port)
    path = f"/api/v1/communities/{slug}/polls/{poll}/ballot/"

    def run(name: str, make: Callable[[str], bytes], own: list[str]) -> Load:
        before = cpu_seconds(server.pid)
        result = asyncio.run(load(port, map(make, iter(own)), len(own), given.rate))
        after = cpu_seconds(server.pid)
        result.cpu = {part: after[part] - before[part] for part in after}
        say(f"{name}: {result.figures()}")
        return result

    bodies = cycle([b'{"content": "yes"}', b'{"content": "no"}', b'{"content": "abstain"}'])
    try:
        run("warm-up", lambda key: request("GET", "/api/v1/me/", key), sessions[:200])
        ours, peer = [], []
        keys = iter(sessions)
        for _ in range(given.rounds):
            own = list(islice(keys, given.ballots))
            peer.append(run("peer", lambda key: request("GET", "/api/v1/me/", key), own))
            ours.append(run("ballots", lambda key: request("PUT", path, key, next(bodies)), own))
    finally:
        server.terminate()
        server.wait()
    acknowledged = sum(result.accepted for result in ours)
    kept = Ballot.objects.filter(poll_id=poll).count()
    acts = BallotAct.objects.filter(poll_id=poll).count()
    figures = {name: statistics.median(r.figures()[name] for r in ours) for name in MEASURED}
    floor = {name: statistics.median(r.figures()[name] for r in peer) for name in MEASURED}
    print(
        json.dumps(
            {
                "bench": "casting",
                "ours": {**figures, "acknowledged": acknowledged, "ballots": kept, "acts": acts},
                "peer": {"what": "GET /api/v1/me/ on the same server", **floor},
                "ratio": round(figures["p50_ms"] / floor["p50_ms"], 2),
                "targets": {**TARGETS, "ballots": acknowledged},
                "met": {
                    "per_s": figures["per_s"] >= TARGETS["per_s"],
                    "p95_ms": figures["p95_ms"] <= TARGETS["p95_ms"],
                    "ballots": kept == acknowledged == acts,
                },
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
