"""The offline checker on a record of 100,000 ballots, beside a pass that only reads it.

The record is made up but fully valid: a chain, checkpoints, batches of acts, and five closed polls
by different methods, with delegations and replaced ballots among them. The checker runs as people
run it, as a program of its own on the zip file. The peer, `naive`, is another program, that parses
every JSON file and line of the same zip file and hashes every file against index.json; it checks
nothing else. No checker of other people reads our record, so this is what reading it costs at
least: the difference is what the checking costs.
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance import canonical, chain, checker
from governance.delegation import resolve
from governance.methods import ballots as contents
from governance.rules import STATUS_QUO, Rule
from governance.tally import tally_poll

COMMUNITY = "a-large-community"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ACTS_IN_A_BATCH = 500
EVENTS_A_CHECKPOINT = 5
OPTIONS = [*(f"option-{n}" for n in range(1, 8)), STATUS_QUO]
POLLS: list[tuple[float, Rule]] = [
    (0.5, Rule(quorum="none")),
    (0.2, Rule(method="schulze-wv", quorum="none")),
    (0.1, Rule(method="irv", quorum="none", secrecy="secret")),
    (0.1, Rule(method="score", quorum="none")),
    (0.1, Rule(quorum="none", delegation=True, delegation_cap=100)),
]
NAIVE = """
import hashlib, json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
known = json.loads(archive.read("index.json"))["files"]
for name, sha in known.items():
    content = archive.read(name)
    assert hashlib.sha256(content).hexdigest() == sha
    for line in content.splitlines() if name.endswith("l") else [content]:
        json.loads(line)
"""


class Record:
    """A record that grows by events, and is signed and written at the end."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.key = Ed25519PrivateKey.from_private_bytes(self.dice.randbytes(32))
        self.files: dict[str, bytes] = {}
        self.heads = [chain.GENESIS]
        self.lines: list[bytes] = []
        self.checkpoints: list[bytes] = []
        self.now, self.signed, self.previous = BEGAN, 0, chain.GENESIS
        self.event("community.created", "community:1", {"slug": COMMUNITY, "steward": "user:1"})
        self.event("key.announced", "community:1", {"public_key": self.public})

    @property
    def public(self) -> str:
        """The key that signs."""
        return self.key.public_key().public_bytes_raw().hex()

    def event(self, verb: str, subject: str, data: dict[str, Any]) -> None:
        """Append an event a minute after the last, and sign the head from time to time."""
        self.now += timedelta(minutes=1)
        event = {
            "seq": len(self.heads),
            "at": stamp(self.now),
            "actor": "system",
            "verb": verb,
            "subject": subject,
            "data": data,
        }
        own = chain.event_hash(self.heads[-1], event)
        link = {"event": event, "previous_hash": self.heads[-1], "event_hash": own}
        self.lines.append(canonical.canonical_json(link) + b"\n")
        self.heads.append(own)
        if len(self.heads) % EVENTS_A_CHECKPOINT == 0:
            self.sign()

    def sign(self) -> None:
        """Sign the head, once."""
        if self.signed == len(self.heads):
            return
        self.signed = len(self.heads)
        said = {
            "schema": "folkmoot.checkpoint/2",
            "number": len(self.checkpoints) + 1,
            "previous": self.previous,
            "community": COMMUNITY,
            "length": len(self.heads) - 1,
            "head": self.heads[-1],
            "at": stamp(self.now),
        }
        self.previous = canonical.digest(said)
        signature = self.key.sign(canonical.canonical_json(said)).hex()
        signed = {"checkpoint": said, "public_key": self.public, "signature": signature}
        self.checkpoints.append(canonical.canonical_json(signed) + b"\n")

    def poll(self, number: int, rule: Rule, count: int) -> None:
        """Open a poll, let `count` people vote and others delegate or stay away, and close it."""
        options = [{"key": key, "title": key, "text": ""} for key in OPTIONS]
        options = options if rule.has_options else []
        electorate = sorted([self.token(), 1, ""] for _ in range(count + count // 4))
        voters = [voter for voter, _, _ in electorate]
        self.dice.shuffle(voters)
        voting, others = voters[:count], voters[count:]
        ballots = [[voter, self.content(rule), self.token()] for voter in voting]
        acts = [act for ballot in ballots for act in self.acts(rule, ballot)]
        batches = [acts[n : n + ACTS_IN_A_BATCH] for n in range(0, len(acts), ACTS_IN_A_BATCH)]
        edges = [[giver, self.dice.choice(voters)] for giver in others] if rule.delegation else []
        edges = sorted(edge for edge in edges if edge[0] != edge[1])
        cast = [(content, 1, "") for _, content, _ in ballots]
        figures = None
        if rule.delegation:
            weights = {voter: weight for voter, weight, _ in electorate}
            found = resolve(weights, set(voting), dict(edges), rule.delegation_cap)
            said = {voter: content for voter, content, _ in ballots}
            cast += [(said[carrier], 1, "") for carrier in found.carrier.values()]
            figures = found.figures()
        seed = f"{self.dice.getrandbits(256):064x}"
        tally = tally_poll(
            rule,
            ballots=cast,
            electorate=len(electorate),
            options=OPTIONS if options else (),
            seed=seed,
            delegation=figures,
        ).to_dict()
        exported: list[Any] = sorted(ballots)
        if rule.secrecy == "secret":
            exported = sorted((said for _, said, _ in ballots), key=canonical.canonical_json)
        text = f"Question {number}"
        asked = {
            "kind": "question",
            "title": text,
            "text_digest": canonical.text_digest(text),
            "rule": rule.to_dict(),
        }
        subject = f"poll:{number}"
        opened = {
            **asked,
            "options_digest": canonical.digest(options),
            "electorate_size": len(electorate),
            "electorate_weight": len(electorate),
            "electorate_digest": canonical.digest(electorate),
            "seed_digest": canonical.text_digest(seed),
            "closes_at": stamp(self.now + timedelta(minutes=len(batches) + 2)),
        }
        self.event("poll.opened", subject, opened)
        for place, batch in enumerate(batches, start=1):
            data = {"batch": place, "count": len(batch), "digest": canonical.digest(batch)}
            self.event("ballots.recorded", subject, data)
        closed = {
            "outcome": tally["outcome"],
            "tally": tally,
            "ballots_digest": canonical.digest(exported),
            "delegations_digest": canonical.digest(edges),
            "seed": seed,
            "motion": 0,
        }
        self.event("poll.closed", subject, closed)
        self.files[f"polls/{number}.json"] = canonical.canonical_json(
            {
                **asked,
                "text": text,
                "options": options,
                "electorate": electorate,
                "batches": batches,
                "ballots": exported,
                "delegations": edges,
                "seed": seed,
                "tally": tally,
                "outcome": tally["outcome"],
            }
        )

    def token(self) -> str:
        """Return 32 hexadecimal digits."""
        return f"{self.dice.getrandbits(128):032x}"

    def content(self, rule: Rule) -> Any:
        """Return a ballot by a rule's method."""
        if not rule.has_options:
            return self.dice.choices(("yes", "no", "abstain"), (5, 4, 1))[0]
        chosen = self.dice.sample(OPTIONS, self.dice.randint(1, len(OPTIONS)))
        if rule.is_ranked:
            return contents.check(rule.method, OPTIONS, [[key] for key in chosen])
        given = {key: self.dice.randint(0, contents.MAX_SCORE) for key in chosen}
        return contents.check(rule.method, OPTIONS, given)

    def acts(self, rule: Rule, ballot: list[Any]) -> list[list[str]]:
        """Return what a voter did: one in ten votes twice."""
        secret = rule.secrecy == "secret"
        act = [ballot[0], "cast", "" if secret else canonical.digest(ballot)]
        if self.dice.random() > 0.1:  # noqa: PLR2004 - one in ten
            return [act]
        first = "" if secret else canonical.digest([ballot[0], ballot[1], self.token()])
        return [[ballot[0], "cast", first], [ballot[0], "replaced", act[2]]]

    def write(self, path: Path) -> None:
        """Write the record as the zip file that people download."""
        self.sign()
        head = {"community": COMMUNITY, "length": len(self.lines), "head": self.heads[-1]}
        self.files["head.json"] = canonical.canonical_json(head)
        self.files["trail.jsonl"] = b"".join(self.lines)
        self.files["checkpoints.jsonl"] = b"".join(self.checkpoints)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}
        index = {"schema": "folkmoot.export/2", "community": COMMUNITY, "files": digests}
        self.files["index.json"] = canonical.canonical_json(index)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in self.files.items():
                info = zipfile.ZipInfo(name)
                info.external_attr, info.create_system = 0o100644 << 16, 3
                archive.writestr(info, content)


def stamp(moment: datetime) -> str:
    """Write a moment as the trail does."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def timed(*command: str) -> float:
    """Run a Python program apart from the project; return its seconds, start included."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-I", *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.perf_counter() - began


def say(text: str) -> None:
    """Print progress where it does not disturb the figures."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Make the record, run both programs in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ballots", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as name:
        path = Path(name) / "record.zip"
        say("Making the record.")
        record = Record(given.seed)
        for number, (share, rule) in enumerate(POLLS, start=1):
            record.poll(number, rule, round(given.ballots * share))
        record.write(path)
        seconds: dict[str, list[float]] = {"ours": [], "naive": []}
        for turn in range(given.rounds):
            seconds["ours"].append(timed(str(Path(checker.__file__)), str(path)))
            seconds["naive"].append(timed("-c", NAIVE, str(path)))
            say(f"round {turn + 1}: " + ", ".join(f"{k} {v[-1]:.2f} s" for k, v in seconds.items()))
        size = path.stat().st_size
    medians = {side: round(sorted(found)[len(found) // 2], 3) for side, found in seconds.items()}
    targets = {"seconds": 10.0}
    print(
        json.dumps(
            {
                "bench": "verify",
                "ballots": given.ballots,
                "events": len(record.lines),
                "checkpoints": len(record.checkpoints),
                "megabytes": round(size / 1e6, 1),
                "ours": {"seconds": medians["ours"]},
                "peer": {"name": "naive: parse and hash only", "seconds": medians["naive"]},
                "ratio": round(medians["ours"] / medians["naive"], 2),
                "targets": targets,
                "met": {"seconds": medians["ours"] <= targets["seconds"]},
            }
        )
    )


if __name__ == "__main__":
    main()
