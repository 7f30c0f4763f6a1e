"""Forgeries: an export that is changed and then made to agree with itself again."""

import hashlib
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from governance import chain, checkpoints, signing
from governance.canonical import canonical_json, digest, text_digest


class Forgery:
    """An export whose events and files can be changed; `write` hashes everything again.

    It also signs the head again, with the site's own key: that of a forger who got hold of it.
    """

    def __init__(self, exported):
        self.exported = exported
        self.files = dict(exported.files)
        lines = self.files["trail.jsonl"].splitlines()
        self.events = [json.loads(line)["event"] for line in lines]

    def event(self, verb, **data):
        """Return the last event of this verb whose data hold these values."""
        return next(
            event
            for event in reversed(self.events)
            if event["verb"] == verb and all(event["data"].get(k) == v for k, v in data.items())
        )

    def read(self, name):
        """Return what a file holds."""
        return json.loads(self.files[name])

    def put(self, name, value):
        """Replace a file."""
        self.files[name] = canonical_json(value)

    def poll(self, title):
        """Return a closed poll by title: the name of its file, its content, and its events.

        The events are the last ones of each verb.
        """
        for name in sorted(self.files):
            if name.startswith("polls/") and self.read(name)["title"] == title:
                subject = f"poll:{name[6:-5]}"
                events = {e["verb"]: e for e in self.events if e["subject"] == subject}
                return name, self.read(name), events
        raise LookupError(title)

    def put_poll(self, name, content, events):
        """Replace a poll and let opening, batches and closing agree with it, but for the tally."""
        electorate = content["electorate"]
        events["poll.opened"]["data"] |= {
            "electorate_size": len(electorate),
            "electorate_weight": sum(weight for _, weight, _ in electorate),
            "electorate_digest": digest(electorate),
            "rule": content["rule"],
            "options_digest": digest(content["options"]),
        }
        events["poll.closed"]["data"] |= {
            "ballots_digest": digest(content["ballots"]),
            "delegations_digest": digest(content["delegations"]),
        }
        recorded = [
            event
            for event in self.events
            if event["verb"] == "ballots.recorded"
            and event["subject"] == events["poll.closed"]["subject"]
        ]
        for event, batch in zip(recorded, content["batches"], strict=True):
            event["data"] |= {"count": len(batch), "digest": digest(batch)}
        self.put(name, content)

    def put_tally(self, name, content, events, **figures):
        """Replace figures of a poll's tally, in its file and in the event of its closing."""
        content["tally"] |= figures
        content["outcome"] = content["tally"]["outcome"]
        events["poll.closed"]["data"] |= {key: content[key] for key in ("tally", "outcome")}
        self.put(name, content)

    def sign(self, head, length, key=None, after=()):
        """Return a checkpoint of a head as the export has it; with another key where given.

        It follows the lines of checkpoints that it comes `after`.
        """
        said = {
            "schema": checkpoints.SCHEMA,
            "number": len(after) + 1,
            "previous": digest(after[-1]["checkpoint"]) if after else chain.GENESIS,
            "community": self.read("head.json")["community"],
            "length": length,
            "head": head,
            "at": "2026-01-01T00:00:00.000000Z",
        }
        public, signature = signing.public_key(), signing.sign(canonical_json(said))
        if key is not None:
            public = key.public_key().public_bytes_raw().hex()
            signature = key.sign(canonical_json(said)).hex()
        return {"checkpoint": said, "public_key": public, "signature": signature}

    def sign_often(self, many, *, unchained=0):
        """Return checkpoints of as many heads, up to the last; the first ones of schema 1.

        The key is announced at the beginning, and the chain made anew.
        """
        announced = self.event("key.announced")
        self.events.remove(announced)
        self.events.insert(1, announced)
        self.chain()
        heads = [json.loads(line)["event_hash"] for line in self.files["trail.jsonl"].splitlines()]
        made = []
        for length in range(len(heads) - many + 1, len(heads) + 1):
            made.append(self.sign(heads[length - 1], length, after=made))
            if len(made) <= unchained:
                said = made[-1]["checkpoint"] | {"schema": checkpoints.UNCHAINED_SCHEMA}
                del said["number"], said["previous"]
                signature = signing.sign(canonical_json(said))
                made[-1] |= {"checkpoint": said, "signature": signature}
        return made

    def write(self, folder, *, sign=True):
        """Write the export with the chain, the head, its signature and the index made anew."""
        self.chain()
        head = self.read("head.json")
        if sign:
            self.put_lines("checkpoints.jsonl", [self.sign(head["head"], head["length"])])
        self.reindex()
        return self.exported.write(folder, self.files)

    def put_lines(self, name, values):
        """Replace a file of lines."""
        self.files[name] = b"".join(canonical_json(value) + b"\n" for value in values)

    def chain(self):
        """Make the chain of the events and the head anew."""
        head, lines = chain.GENESIS, []
        for number, event in enumerate(self.events, start=1):
            event["seq"] = number
            own = chain.event_hash(head, event)
            line = {"event": event, "previous_hash": head, "event_hash": own}
            lines.append(canonical_json(line) + b"\n")
            head = own
        self.files["trail.jsonl"] = b"".join(lines)
        self.put("head.json", {**self.read("head.json"), "length": len(lines), "head": head})

    def reindex(self):
        """Let index.json agree with the files."""
        index = self.read("index.json")
        index["files"] = {
            name: _sha256(content) for name, content in self.files.items() if name != "index.json"
        }
        self.put("index.json", index)


def _sha256(content):
    return hashlib.sha256(content).hexdigest()


def stranger():
    """Return a key that is not the site's, always the same."""
    return Ed25519PrivateKey.from_private_bytes(b"a stranger's key of 32 bytes ...")


__all__ = ["Forgery", "digest", "stranger", "text_digest"]
