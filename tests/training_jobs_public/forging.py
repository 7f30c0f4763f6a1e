"""Forgeries: an export that is changed and then made to agree with itself again."""

import json

from governance import chain
from governance.canonical import canonical_json, digest, text_digest


class Forgery:
    """An export whose events and files can be changed; `write` hashes everything again."""

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
        """Return a closed poll by title: the name of its file, its content, and its events."""
        for name in sorted(self.files):
            if name.startswith("polls/") and self.read(name)["title"] == title:
                subject = f"poll:{name[6:-5]}"
                events = {e["verb"]: e for e in self.events if e["subject"] == subject}
                return name, self.read(name), events
        raise LookupError(title)

    def put_poll(self, name, content, events):
        """Replace a poll and let its closing agree with it, but for the tally."""
        events["poll.closed"]["data"]["ballots_digest"] = digest(content["ballots"])
        self.put(name, content)

    def write(self, folder):
        """Write the export with the chain, the head and the index made anew."""
        head, lines = chain.GENESIS, []
        for number, event in enumerate(self.events, start=1):
            event["seq"] = number
            own = chain.event_hash(head, event)
            line = {"event": event, "previous_hash": head, "event_hash": own}
            lines.append(canonical_json(line) + b"\n")
            head = own
        self.files["trail.jsonl"] = b"".join(lines)
        self.put("head.json", {**self.read("head.json"), "length": len(lines), "head": head})
        self.reindex()
        return self.exported.write(folder, self.files)

    def reindex(self):
        """Let index.json agree with the files."""
        index = self.read("index.json")
        index["files"] = {
            name: _sha256(content) for name, content in self.files.items() if name != "index.json"
        }
        self.put("index.json", index)


def _sha256(content):
    import hashlib  # noqa: PLC0415

    return hashlib.sha256(content).hexdigest()


__all__ = ["Forgery", "digest", "text_digest"]
