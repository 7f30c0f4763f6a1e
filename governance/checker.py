"""Check the export of a community's audit trail, offline: `python checker.py EXPORT`.

One file for any Python from 3.9 on, standard library only. It shares no code with the site and
trusts nothing in the export (a folder or a .zip) that it can compute. docs/audit.md has the
formats. It ends with "Everything holds." and status 0, or says what does not: status 1.
"""

# ruff: noqa: T201 - a program that tells what it checked
from __future__ import annotations

import argparse
import hashlib
import json
import re
import struct
import sys
import zipfile
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

EVENT = {"seq", "at", "actor", "verb", "subject", "data"}
POLL = {"kind", "title", "text", "text_digest", "rule", "electorate", "ballots", "tally", "outcome"}
VERSION = {"schema", "community", "number", "title", "preamble", "parent", "principles"}
RESTS_ON = {"dataset.frozen": {"version"}, "model.registered": {"version", "dataset"}}
CHOICES = ("yes", "no", "abstain")
place = ["the export"]  # what is being read, for the sentence about malformed input


class Broken(Exception):
    """Something does not hold; the text says what."""


def need(holds: object, sentence: str) -> None:
    """Stop with `sentence` unless something holds."""
    if not holds:
        raise Broken(sentence)


def canonical(value: Any) -> str:
    """Write `value` as canonical JSON (RFC 8785 without fractions)."""
    if value is None or isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**53):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
    return "{" + ",".join(f"{canonical(key)}:{canonical(value[key])}" for key in keys) + "}"


def sha256(text: str) -> str:
    """Return the SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(file: BinaryIO) -> str:
    """Return the SHA-256 of an open file, read in pieces, and close it."""
    sha = hashlib.sha256()
    with file:
        for block in iter(lambda: file.read(1 << 20), b""):
            sha.update(block)
    return sha.hexdigest()


def parse(data: bytes, name: str, keys: set[str]) -> Any:
    """Read one canonical JSON object, with these keys; any other way to write it is refused."""
    place[0] = name
    value = json.loads(data.decode())
    need(canonical(value).encode() == data, f"{name} is not in canonical form.")
    need(set(value) == keys, f"{name} has other keys than {', '.join(sorted(keys))}.")
    return value


def files_below(folder: Path) -> dict[str, Path]:
    """Map the POSIX path of each file below `folder` to the file; links are refused."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name, path in found.items():
        plain = not path.is_symlink() and (path.is_dir() or path.is_file())
        need(plain, f"{name} is a link or no plain file, for which a digest cannot vouch.")
    return {name: path for name, path in found.items() if path.is_file()}


def plain_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip file whose every byte follows from its files: stored, in order, nothing else."""
    archive, central, at = zipfile.ZipFile(path), b"", 0
    with path.open("rb") as raw:
        for info in archive.infolist():
            name, size = info.filename.encode(), info.file_size
            head = struct.pack("<5H3I2H", 20, 0, 0, 0, 33, info.CRC, size, size, len(name), 0)
            local = raw.read(30 + len(name))
            need(local == b"PK\3\4" + head + name, f"{name!r} is not zipped as exports are.")
            tail = struct.pack("<3H2I", 0, 0, 0, 0o100644 << 16, at)
            central, at = central + b"PK\1\2\x14\3" + head + tail + name, raw.seek(size, 1)
        counts = struct.pack("<2H2I", *[len(set(archive.namelist()))] * 2, len(central), at)
        central += b"PK\5\6\0\0\0\0" + counts + b"\0\0"
        need(raw.read() == central, "The table of contents of the zip file was changed.")
    return archive


def recount(rule: dict[str, Any], choices: list[str], electorate: int) -> dict[str, Any]:
    """Count ballots and decide by the rule, in integers and exact fractions only."""
    need(rule["method"] == "yes_no", f"The method {rule['method']!r} is unknown.")
    tally: dict[str, Any] = {choice: choices.count(choice) for choice in CHOICES}
    yes, cast, decided = tally["yes"], len(choices), tally["yes"] + tally["no"]
    base = {"cast": cast, "decided": decided, "eligible": electorate}[rule["base"]]
    edge, share = Fraction(*rule["threshold"]) * base, Fraction(*rule["quorum_share"]) * electorate
    needed, reach = edge // 1 + 1 if rule["strict"] is True else -(-edge // 1), -(-share // 1)
    root = next(n for n in range(3 * electorate) if 4 * n * n >= 9 * electorate)  # 3/2 sqrt(N)
    quorums = {"none": (cast, 0), "participation": (cast, reach), "approval": (yes, reach)}
    counted, least = {**quorums, "sqrt": (yes, root)}[rule["quorum"]]
    outcome = "passed" if decided and yes >= needed else "rejected"
    tally.update(electorate=electorate, cast=cast, decided=decided, base=rule["base"])
    tally.update(base_count=base, yes_needed=needed, quorum=rule["quorum"], quorum_counted=counted)
    tally.update(quorum_needed=least, outcome=outcome if counted >= least else "no_quorum")
    return tally


def voted_text(version: dict[str, Any]) -> str:
    """Return a pattern of the text that was voted on if it became this version."""
    blocks, gap = [f"# {version['title']}", version["preamble"]], sha256(canonical(version))
    for number, each in enumerate(version["principles"], start=1):
        codes = ", ".join(f"{code} ({gap})" for code in each["hazard_codes"])
        lines = {"Why": each["rationale"], "Hazards": codes, "Weight": each["weight"]}
        lines["Critique request"] = each["critique_request"]
        lines["Revision request"] = each["revision_request"]
        blocks += [f"## {number}. {each['title']}", each["text"]]
        blocks += [f"{word}: {line}" for word, line in lines.items() if line not in ("", 1)]
        for count, said in enumerate(each["examples"], start=1):
            asked = f"Example {count}\n- Asked: {said['prompt']}\n"
            blocks += [f"{asked}- In keeping: {said['better']}\n- Against: {said['worse']}"]
    return re.escape("\n\n".join(filter(None, blocks))).replace(gap, r"[^()\n]*")


class Export:
    """An export: its files, held against index.json at once, then against the trail's events."""

    def __init__(self, path: Path, artifacts: Path | None) -> None:
        self.open: Any
        if path.is_dir():
            found = files_below(path)
            self.left, self.open = set(found), lambda name: found[name].open("rb")
        else:
            archive = plain_zip(path)
            self.left, self.open = set(archive.namelist()), archive.open
        self.digests: dict[str, str] = dict.fromkeys(self.left, "")
        index = self.take("index.json", {"schema", "community", "files"})
        need(index["schema"] == "folkmoot.export/1", f"The schema is {index['schema']!r}.")
        self.community, self.digests, self.artifacts = index["community"], index["files"], artifacts
        odd = ", ".join(sorted(self.left ^ set(self.digests)))
        need(not odd, f"Either index.json or the export does not have {odd}.")
        for name, digest in self.digests.items():
            need(file_sha256(self.open(name)) == digest, f"{name} is not what index.json hashed.")
        print(f"{len(self.digests)} files: each has the SHA-256 that index.json gives")
        self.opened, self.voted, self.passed = (dict[Any, Any]() for _ in range(3))
        self.versions, self.datasets, self.models = (list[str]() for _ in range(3))

    def take(self, name: str, keys: set[str]) -> Any:
        """Return the object that a file holds, with these keys and no other."""
        need(name in self.digests, f"{name} is missing.")
        self.left.discard(name)
        with self.open(name) as file:
            return parse(file.read(), name, keys)

    def check(self, noted: str) -> None:
        """Re-compute every event's hash, and the head, and hold the files against the events."""
        heads, number = ["0" * 64], 0
        self.left.remove("trail.jsonl")
        with self.open("trail.jsonl") as lines:
            for number, line in enumerate(lines, start=1):
                name = f"Event {number}"
                link = parse(line[:-1], name, {"event", "previous_hash", "event_hash"})
                ordered = line.endswith(b"\n") and link["event"]["seq"] == number
                need(ordered and set(link["event"]) == EVENT, f"{name} has no event's form.")
                need(link["previous_hash"] == heads[-1], f"{name} is not linked to the one before.")
                heads.append(sha256(heads[-1] + canonical(link["event"])))
                need(link["event_hash"] == heads[-1], f"{name} does not have the hash it claims.")
                self.follow(link["event"]["verb"], link["event"]["subject"], link["event"])
        head = {"community": self.community, "length": number, "head": heads[-1]}
        need(self.take("head.json", set(head)) == head, f"head.json is not {canonical(head)}.")
        need(not noted or noted in heads, f"{noted} was never the head of this trail.")
        idle = [poll for kind, poll in self.passed if kind == "ratification"]
        need(not idle, f"{', '.join(idle)} passed, but put no version in force.")
        need(not self.left, f"No event speaks of {', '.join(sorted(self.left))}, which is there.")
        print(f"{number} events: chain holds, head {heads[-1]}")
        print(f"{len(self.opened) - len(self.voted)} closed polls: recounted")
        print(f"{len(self.versions)} versions: digests hold, each the text of a poll that passed")
        made = f"{len(set(self.datasets))} datasets, {len(set(self.models))} models"
        print(f"{made}: digests of {'listings and files' if self.artifacts else 'listings'} hold")

    def follow(self, verb: str, poll: str, event: dict[str, Any]) -> None:
        """Hold one event against the files and the earlier events that it speaks of."""
        data, versions, datasets = event["data"], self.versions, self.datasets
        founding = verb == "community.created" and data["slug"] == self.community
        need(founding is (event["seq"] == 1), "The trail does not begin with this community.")
        for what, known in (("version", versions), ("dataset", datasets), ("heldout", datasets)):
            due = what in RESTS_ON.get(verb, ()) or f"{what}_digest" in data
            right = not due or data.get(f"{what}_digest") in known
            need(right, f"Event {event['seq']} rests on a {what} that the trail does not have.")
        if verb == "poll.opened":
            need(poll not in self.opened, f"{poll} was opened twice.")
            self.opened[poll], self.voted[poll] = data, {}
        elif verb.startswith("ballot."):
            need(poll in self.voted, f"{poll} was not open for the ballot of event {event['seq']}.")
            self.voted[poll][event["actor"]] = verb != "ballot.withdrawn"
        elif verb == "poll.closed":
            need(poll in self.voted, f"{poll} was closed, but it was not open.")
            need(event["at"] >= self.opened[poll]["closes_at"], f"{poll} was closed too early.")
            self.closed(poll, self.opened[poll], data)
        elif verb in ("version.ratified", "dataset.frozen", "model.registered"):
            getattr(self, verb.partition(".")[2])(data)
        elif verb == "release.decided" and data["status"] == "released":
            text, model = self.passed.get(("release", f"poll:{data['poll']}")), data["model_digest"]
            right = model in self.models and f"Model: sha256 {model}" in (text or "").splitlines()
            need(right, f"Event {event['seq']} releases a model that no poll was about.")

    def closed(self, poll: str, opened: dict[str, Any], closed: dict[str, Any]) -> None:
        """Recount a poll, and hold it against what the trail says of its opening and closing."""
        name = f"polls/{int(poll.partition(':')[2])}.json"
        file, voters = self.take(name, POLL), sum(self.voted.pop(poll).values())
        electorate, ballots = file["electorate"], file["ballots"]
        need(electorate == sorted(set(electorate)), f"{name} has an elector twice, or unsorted.")
        size, digest = len(electorate), sha256(canonical(electorate))
        file.update(electorate_size=size, electorate_digest=digest)
        for key in ("kind", "title", "text_digest", "rule", "electorate_digest", "electorate_size"):
            need(file[key] == opened.get(key), f"{name} was opened with another {key}.")
        need(sha256(file["text"]) == file["text_digest"], f"{name} was opened with another text.")
        cast, choices = [b["voter"] for b in ballots], [b["choice"] for b in ballots]
        need(set(cast) <= set(electorate), f"{name} has a ballot from outside its electorate.")
        need(cast == sorted(set(cast)), f"{name} has two ballots of one voter, or unsorted.")
        need(set(choices) <= set(CHOICES), f"{name} has an unknown choice.")
        digest = sha256(canonical(ballots))
        need(digest == closed["ballots_digest"], f"{name} has other ballots than were counted.")
        need(len(cast) == voters, f"{name} has {len(cast)} ballots; by the trail {voters} stood.")
        tally = recount(file["rule"], choices, size)
        told = [file["tally"], file["outcome"], closed["tally"], closed["outcome"]]
        need(told == [tally, tally["outcome"]] * 2, f"{name} claims another tally or outcome.")
        if tally["outcome"] == "passed":
            self.passed[file["kind"], poll] = file["text"]
        figures = ", ".join(f"{tally[choice]} {choice}" for choice in CHOICES)
        print(f"{name}: {figures}, of {size}: {tally['outcome']}, as recorded")

    def ratified(self, data: dict[str, Any]) -> None:
        """Hold a version against its digest, its parent and the poll that put it in force."""
        name, poll = f"versions/{data['number']}.json", f"poll:{data['poll']}"
        file, parent = self.take(name, VERSION), self.versions[-1] if self.versions else None
        need(self.digests[name] == data["digest"], f"{name} does not have its digest.")
        said = [file["schema"], file["community"], file["number"], file["parent"], data["parent"]]
        due = [self.community, len(self.versions) + 1, parent, parent]
        need(said == ["folkmoot.version/1", *due], f"{name} does not follow the one before.")
        right = re.fullmatch(voted_text(file), self.passed.pop(("ratification", poll), ""))
        need(right, f"{name} is not the text of {poll}, or that did not pass.")
        self.versions.append(data["digest"])

    def frozen(self, data: dict[str, Any]) -> None:
        """Hold a dataset's files, or their listing, against its digest."""
        folder, digests = f"datasets/{data['digest']}/", self.digests
        files = {name[len(folder) :]: digests[name] for name in digests if name.startswith(folder)}
        self.left -= {folder + name for name in files}
        if set(files) <= {"listing.json"}:
            files = self.take(f"{folder}listing.json", {"files"})["files"]
        self.vouch(folder, files)
        self.datasets.append(data["digest"])

    def registered(self, data: dict[str, Any]) -> None:
        """Hold the listings of a model and of what it was trained from against their digests."""
        for digest in (data["digest"], *data["parents"]):
            self.vouch(f"models/{digest}/", self.take(f"models/{digest}.json", {"files"})["files"])
            self.models.append(digest)

    def vouch(self, folder: str, files: dict[str, str]) -> None:
        """Check that a listing gives the digest in `folder`; and the real files, where at hand."""
        right = sha256(canonical({"files": files})) == folder.split("/")[1]
        need(right, f"{folder} does not have its digest.")
        if self.artifacts:
            found = files_below(self.artifacts / folder)
            real = {name: file_sha256(path.open("rb")) for name, path in found.items()}
            need(files == real, f"The files in {self.artifacts / folder} are not those recorded.")


def main() -> int:
    """Check the export that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description="Check the export of an audit trail.")
    parser.add_argument("export", type=Path, help="the export: a folder or a .zip file")
    parser.add_argument("--artifacts", type=Path, help="folder with models/ and datasets/ to hash")
    parser.add_argument("--head", default="", help="a head of this trail that you noted earlier")
    given = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        Export(given.export, given.artifacts).check(given.head)
    except Exception as error:  # noqa: BLE001 - whatever it is, the export is at fault
        why = error if isinstance(error, Broken) else f"{place[0]} is malformed ({error!r})."
        print("".join(filter(str.isprintable, f"This does not hold: {why}")))
        return 1
    print("Everything holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
