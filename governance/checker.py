"""Check the export of a community's audit trail, offline: `python checker.py EXPORT`.

One file for any Python from 3.11 on, with its standard library and `cryptography`. It shares no
code with the site and trusts nothing in the export (a folder or a .zip) that it can compute;
docs/audit.md has the rules. It ends with "Everything holds." and status 0, or says what does not:
status 1.
"""

# ruff: noqa: B905, T201 - rows of one table have one length; a program that tells what it checked
import argparse
import hashlib
import io
import json
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from functools import reduce
from itertools import accumulate, chain, count, groupby, permutations, product
from math import ceil, floor, isqrt, lcm
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EVENT = {"seq", "at", "actor", "verb", "subject", "data"}
POLL = {"kind", "title", "text", "text_digest", "options", "rule", "electorate", "batches"}
POLL |= {"ballots", "delegations", "seed", "tally", "outcome"}
VERSION = {"schema", "community", "number", "title", "preamble", "parent", "principles"}
RESTS_ON = {"dataset.frozen": {"version"}, "model.registered": {"version", "dataset"}}
QUO, MOST_ROUNDS, MOST_ORDERS, SMALLEST_GROUP = "status-quo", 4096, 1000, 5
MOST = {"score": 5, "star": 5, "quadratic": 100, "weighted": 100}  # that an option can be given
Votes = Counter[tuple[int, ...]]  # weight of the ballots that give the options these amounts
Above = tuple[int, ...]  # for each option, as bits, the options that it stands above
place = ["The export"]  # what is being read, for the sentence about what cannot be read


class Broken(Exception):
    """Something does not hold; the text says what."""


def need(holds: object, sentence: str) -> None:
    """Stop with `sentence` unless something holds."""
    if not holds:
        raise Broken(sentence)


def whole(digits: str) -> int:
    """Read a number, which is whole and which every program keeps exactly."""
    need(abs(int(digits)) < 2**53, f"{place[0]} has a number that not every program keeps.")
    return int(digits)


canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
decode = json.JSONDecoder(parse_int=whole, parse_float=whole, parse_constant=whole).decode


def digest(value: Any) -> str:
    """Return the SHA-256 of bytes, of a text, or of another value in canonical JSON."""
    data = value if isinstance(value, str | bytes) else canonical(value)
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def parse(data: bytes, name: str, keys: set[str]) -> Any:
    """Read one canonical JSON object, with these keys; any other way to write it is refused."""
    place[0] = name
    value = decode(data.decode())
    need(canonical(value).encode() == data, f"{name} is not in canonical form.")
    need(set(value) == keys, f"{name} has other keys than {', '.join(sorted(keys))}.")
    return value


def files_below(folder: Path) -> dict[str, Path]:
    """Map the POSIX path of each file below `folder` to the file; links are refused."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    for name, path in found.items():
        need(not path.is_symlink(), f"{name} is a link, for which a digest cannot vouch.")
    return {name: path for name, path in found.items() if path.is_file()}


def unzipped(path: Path) -> dict[str, bytes]:
    """Read a zip file of which every byte follows from its files: packed again, it is the same."""
    packed, again = zipfile.ZipFile(path), io.BytesIO()
    need(not any(each.compress_type for each in packed.infolist()), "The zip file is compressed.")
    files = {each.filename: packed.read(each) for each in packed.infolist()}
    with zipfile.ZipFile(again, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.create_system = 0o100644 << 16, 3
            archive.writestr(info, content)
    need(again.getvalue() == path.read_bytes(), "The zip file is not packed as exports are.")
    return files


def amounts(method: str, options: list[str], content: Any) -> tuple[int, ...]:
    """Return what a ballot gives each option, more being better; refuse what is no ballot."""
    named, least, most = content, 0, MOST.get(method, 1)
    if method == "yes_no":
        named = {"yes": ["yes"], "no": [QUO], "abstain": []}.get(content, [content])
    if method in ("yes_no", "approval"):
        given = dict.fromkeys(named, 1)
    elif method in MOST:
        given = content
    else:
        named, least, most = [option for tier in content for option in tier], -len(content), 0
        given = {option: -n for n, tier in enumerate(content) for option in tier}
    right = set(given) <= set(options) and len(given) == len(named)
    right = right and all(type(n) is int and least <= n <= most for n in given.values())
    right = right and (method != "quadratic" or sum(given.values()) <= most)
    need(right, f"{place[0]} has a ballot that is none of this poll.")
    return tuple(given.get(option, least) for option in options)


def best(values: list[int]) -> list[int]:
    """Return the places of the largest values."""
    return [n for n, value in enumerate(values) if value == max(values)]


class Count:
    """The ballots of one poll, equal ones together, as what they give each option."""

    def __init__(self, ballots: Votes, keys: list[str], seed: str | None) -> None:
        self.ballots, self.keys, self.all = list(ballots.items()), keys, range(len(keys))
        self.duels = [[self.votes(a, b) for b in self.all] for a in self.all]
        versus = [list(zip(*rows)) for rows in zip(self.duels, zip(*self.duels))]
        self.wins = [[won * (won > lost) for won, lost in row] for row in versus]
        self.margins = [[max(0, won - lost) for won, lost in row] for row in versus]
        self.order = [] if seed is None else self.lot(seed)

    def votes(self, a: int, b: int) -> int:
        """Return the weight of the ballots that put option a above option b."""
        return sum(weight for given, weight in self.ballots if given[a] > given[b])

    def lot(self, seed: str) -> list[int]:
        """Return the order that breaks ties: rankings drawn by the seed, each refining the last."""

        def draw(text: str) -> int:
            return int(digest(f"{seed}:{text}"), 16)

        rankings, order = Votes(), sorted(self.all, key=self.keys.__getitem__)
        for given, weight in self.ballots:
            levels = sorted(set(given), reverse=True)
            rankings[tuple(levels.index(given[n]) for n in order)] += weight
        tiers = [0 for _ in order]
        for number in count():
            useful = sorted(each for each in rankings if len({*zip(tiers, each)}) > len({*tiers}))
            if not useful:
                break
            ends = list(accumulate(rankings[each] for each in useful))
            ticket = draw(f"draw {number}") % ends[-1]
            drawn = useful[next(n for n, end in enumerate(ends) if end > ticket)]
            tiers = [sorted({*zip(tiers, drawn)}).index(pair) for pair in zip(tiers, drawn)]
        return [n for *_, n in sorted((t, draw(self.keys[n]), n) for t, n in zip(tiers, order))]

    def winners(self, method: str) -> list[str]:
        """Return who is elected by a method; where ties are broken by lot, one of them."""
        sizes = [sum(given) or 1 if method == "weighted" else 1 for given, _ in self.ballots]
        common = lcm(*sizes)
        votes = [weight * (common // size) for size, (_, weight) in zip(sizes, self.ballots)]
        total = [sum(v * given[n] for v, (given, _) in zip(votes, self.ballots)) for n in self.all]
        if method in ("approval", "score", "weighted"):
            won = best(total)
        elif method == "star":
            top = sorted(total)[-2:]
            undefeated = [(a, b) for a, b in permutations(self.all, 2) if not self.margins[b][a]]
            won = [a for a, b in undefeated if sorted([total[a], total[b]]) == top]
        elif method == "quadratic":
            won = self.quadratic()
        elif method == "irv":
            won = self.runoff()
        elif method == "ranked-pairs":
            won = self.ranked_pairs()
        elif method == "minimax":
            won = best([-max(column) for column in zip(*self.wins)])
        elif method == "copeland":
            records = zip(self.wins, zip(*self.wins))
            won = best([sum(map(bool, row)) - sum(map(bool, column)) for row, column in records])
        else:
            links = {"schulze-wv": self.wins, "schulze-margins": self.margins}[method]
            won = self.unbeaten(self.paths(links), self.paths(links))
        return [self.keys[n] for n in [n for n in self.order if n in won][:1] or sorted({*won})]

    def paths(self, links: list[list[int]]) -> list[list[int]]:
        """Return the strength of the strongest path between any two: of its weakest link."""
        path = [list(row) for row in links]
        for through, a, b in product(self.all, repeat=3):
            path[a][b] = max(path[a][b], min(path[a][through], path[through][b]))
        return path

    def unbeaten(self, there: list[list[int]], back: list[list[int]]) -> list[int]:
        """Return the options to which nothing leads more strongly than there is a way back."""
        return [b for b in self.all if all(there[a][b] <= back[b][a] for a in self.all)]

    def quadratic(self) -> list[int]:
        """Return the largest sums of square roots, kept as roots of square-free numbers."""
        sums, bits = [Counter[int]() for _ in self.all], 64
        for given, weight in self.ballots:
            for n, spent in enumerate(given):
                root = next(root for root in range(10, 0, -1) if spent % root**2 == 0)
                sums[n][spent // root**2] += root * weight * bool(spent)
        while True:  # each root is cut by less than 1, and there are fewer than 100 of them
            cut = [sum(isqrt(n * many**2 << bits) for n, many in each.items()) for each in sums]
            near = [n for n in self.all if cut[n] + 100 > max(cut)]
            if all(+sums[n] == +sums[near[0]] for n in near):
                return near
            bits *= 2

    def runoff(self, *, together: bool = False) -> list[int]:
        """Return what any universe elects; where they are too many, tied options go together."""
        share, won = lcm(*range(1, len(self.all) + 1)), set[int]()
        seen, waiting = set[frozenset[int]](), [frozenset(self.all)]
        while waiting:
            left = waiting.pop()
            if left in seen:
                continue
            if len(left) > 1:
                seen.add(left)
            if len(seen) > MOST_ROUNDS:
                return self.runoff(together=True)
            votes = Counter(dict.fromkeys(left, 0))
            for given, weight in self.ballots:
                top = max(given[n] for n in left)
                first = [n for n in left if given[n] == top]
                if len(first) < len(left):
                    votes.update(dict.fromkeys(first, weight * share // len(first)))
            weak = sorted(left, key=votes.__getitem__)
            lowest = [n for n in weak if votes[n] == votes[weak[0]]]
            cuts = [weak[:size] for size in range(len(lowest), len(left))]
            hopeless = [cut for cut in cuts if sum(votes[n] for n in cut) < votes[weak[len(cut)]]]
            if not any(votes.values()) or (together and len(lowest) == len(left)):
                won |= left
            elif together or len(lowest) == 1:
                waiting.append(left.difference(lowest))
            else:
                waiting += [left.difference(cut) for cut in hopeless[:1] or [[n] for n in lowest]]
        return sorted(won)

    def ranked_pairs(self) -> list[int]:
        """Lock victories in, strongest first: equal ones by the lot, or else in every order."""
        pairs = [(self.wins[a][b], a, b) for a, b in permutations(self.order or self.all, 2)]
        drawn = [pair for pair in pairs if not pair[0] and not self.wins[pair[2]][pair[1]]]
        pairs = sorted((pair for pair in pairs if pair[0]), key=lambda pair: -pair[0])
        ends: set[Above] = {(0,) * len(self.all)}
        for _, equal in groupby(pairs, key=lambda pair: pair if self.order else pair[0]):
            ends = self.locked(ends, list(equal))
        for pair in drawn if self.order else ():
            ends = self.locked(ends, [pair])
        if not ends:  # too many orders: who wins in some order is among these
            return self.unbeaten(self.wins, self.paths(self.wins))
        beaten = [{b for b in self.all if any(row >> b & 1 for row in above)} for above in ends]
        return [n for n in self.all if any(n not in each for each in beaten)]

    def locked(self, starts: set[Above], pairs: list[tuple[int, int, int]]) -> set[Above]:
        """Return all that locking these pairs in any order leads to; nothing if it is too much."""
        seen, ends, waiting = set(starts), set[Above](), list(starts)
        while waiting and len(seen) <= MOST_ORDERS:
            above = waiting.pop()
            left = [pair for pair in pairs if is_free(above, pair)]
            everything = reduce(lock, left, above)
            above = reduce(lock, [p for p in left if not everything[p[2]] >> p[1] & 1], above)
            contested = [pair for pair in left if is_free(above, pair)]
            ends |= set() if contested else {above}
            onward = {lock(above, pair) for pair in contested} - seen
            seen, waiting = seen | onward, [*waiting, *onward]
        return ends if len(seen) <= MOST_ORDERS else set()


def is_free(above: Above, pair: tuple[int, int, int]) -> bool:
    """Say whether neither option of a pair stands above the other yet."""
    _, a, b = pair
    return not (above[a] >> b | above[b] >> a) & 1


def lock(above: Above, pair: tuple[int, int, int]) -> Above:
    """Put one option above another, and above all that the other stands above."""
    _, a, b = pair
    gained = above[b] | 1 << b
    return tuple(row | gained if n == a or row >> a & 1 else row for n, row in enumerate(above))


def deliver(weights: dict[str, int], direct: set[str], given: Any, cap: int) -> tuple[Any, Any]:
    """Return who carries the vote of each elector, and the figures of delegation."""
    edges, ends = dict(given), {voter: (0, voter) for voter in direct}
    for start in edges:
        path, here = list[str](), start
        while here in weights and here in edges and here not in ends:
            ends[here] = (0, "")  # a path that comes back to here finds this
            path.append(here)
            here = edges[here]
        length, voter = ends.get(here, (0, ""))
        ends |= {name: (length + n, voter) for n, name in enumerate(reversed(path), start=1)}
    full, carrier = {voter: weights[voter] for voter in direct}, {voter: voter for voter in direct}
    for _, name in sorted((ends[name][0], name) for name in set(ends) - direct if ends[name][1]):
        voter = ends[name][1]
        full[voter] += weights[name]
        if not cap or full[voter] <= cap:
            carrier[name] = voter
    loads = Counter[str]()
    for name, voter in carrier.items():
        loads[voter] += weights[name]
    sizes, total = sorted(loads.values()), sum(loads.values())
    spread = sum((2 * n - len(sizes) - 1) * size for n, size in enumerate(sizes, start=1))
    lost = set(ends) - set(carrier)
    figures = {
        "carried": sum(weights[name] for name in set(carrier) - direct),
        "undelivered": sum(weights[name] for name in lost),
        "cap_overflow": sum(weights[name] for name in lost if ends[name][1]),
        "voters": len(direct),
        "top_share": Fraction(max(sizes, default=0), total or 1).as_integer_ratio(),
        "gini": Fraction(spread, len(sizes) * total or 1).as_integer_ratio(),
    }
    return carrier, figures


def weigh(rule: Any, votes: tuple[int, int], cast: int, size: int, groups: list[Any]) -> Any:
    """Hold what is for and against a proposal against threshold, quorum and group support."""
    base = {"cast": cast, "decided": sum(votes), "eligible": size}[rule["base"]]
    edge, share = Fraction(*rule["threshold"]) * base, Fraction(*rule["quorum_share"]) * size
    needed = floor(edge) + 1 if rule["strict"] is True else ceil(edge)
    root = (isqrt(9 * size - 1) + 2) // 2  # the least number n with 4 n**2 >= 9 size
    quorums = {"none": (cast, 0), "participation": (cast, ceil(share))}
    quorums |= {"approval": (votes[0], ceil(share)), "sqrt": (votes[0], root)}
    counted, least = quorums[rule["quorum"]]
    told = {"for": votes[0], "against": votes[1], "decided": sum(votes), "base_count": base}
    told |= {"needed": needed, "quorum_counted": counted, "quorum_needed": least}
    reached = sum(votes) > 0 and votes[0] >= needed and counted >= least
    acceptable = reached and all(group["reached"] for group in groups)
    return {**told, "groups": groups, "acceptable": acceptable}


def recount(rule: Any, keys: list[str], cast: list[Any], electorate: Any, seed: str) -> Any:
    """Count ballots (content, weight, group) by a rule, in whole numbers and fractions only."""
    method, known, votes, heads = rule["method"], dict[str, Any](), Votes(), Counter[Any]()
    options = ["yes", QUO] if method == "yes_no" else keys
    for content, weight, group in cast:
        text = canonical(content)
        known[text] = given = known.get(text) or amounts(method, options, content)
        votes[given] += weight
        heads[given, group] += 1
    size, total = sum(weight for _, weight, _ in electorate), sum(votes.values())
    sizes, support = Counter(group for *_, group in electorate), Fraction(*rule["group_support"])
    quo, supports = options.index(QUO), dict[str, Any]()
    for n, key in enumerate(options):
        sides, voices, groups = Counter[bool](), Counter[Any](), list[Any]()
        for given, weight in votes.items():
            sides[given[n] > given[quo]] += weight * (given[n] != given[quo])
        for (given, group), people in heads.items():
            voices[group, given[n] > given[quo]] += people * (given[n] != given[quo])
        for group in sorted(set(sizes) - {""}):
            for_, both = voices[group, True], voices[group, True] + voices[group, False]
            counted = both >= SMALLEST_GROUP
            told = {"group": group, "electors": sizes[group], "for": for_, "decided": both}
            reached = not (support and counted) or for_ >= support * both
            groups.append({**told, "counted": counted, "reached": reached})
        supports[key] = weigh(rule, (sides[True], sides[False]), total, size, groups)
    del supports[QUO]
    able = [key for key in options if key == QUO or supports[key]["acceptable"]]
    reached = any(each["quorum_counted"] >= each["quorum_needed"] for each in supports.values())
    outcome = "rejected" if reached else "no_quorum"
    shared = {"electorate": size, "cast": total, "quorum": rule["quorum"]}
    if method == "yes_no":
        told = supports["yes"]
        shared |= {"yes": told["for"], "no": told["against"], "abstain": total - told["decided"]}
        shared |= {"base": rule["base"], "yes_needed": told["needed"], "groups": told["groups"]}
        same = ("decided", "base_count", "quorum_counted", "quorum_needed")
        shared |= {key: told[key] for key in same}
        return {**shared, "outcome": "passed" if told["acceptable"] else outcome}
    figures, winners = None, list[str]()
    if reached and len(able) > 1:
        left = Votes()
        for given, weight in votes.items():
            left[tuple(given[options.index(key)] for key in able)] += weight
        found = Count(left, able, seed if rule["ties"] == "seed" else None)
        winners, names = found.winners(method), list(enumerate(able))
        pairwise = {a: {b: found.duels[x][y] for y, b in names if a != b} for x, a in names}
        figures = {"method": method, "options": able, "weight": total, "winners": winners}
        figures |= {"pairwise": pairwise, "tie_break": [able[n] for n in found.order] or None}
        if winners != [QUO]:
            outcome = "passed" if len(winners) == 1 else "tied"
    shared |= {"method": method, "count": figures, "winners": winners, "outcome": outcome}
    return {**shared, "options": [{"key": key, **told} for key, told in supports.items()]}


def voted_text(version: Any) -> str:
    """Return a pattern of the text that was voted on if it became this version."""
    blocks, gap = [f"# {version['title']}", version["preamble"]], digest(version)
    for number, each in enumerate(version["principles"], start=1):
        codes = ", ".join(f"{code} ({gap})" for code in each["hazard_codes"])
        lines = {"Why": each["rationale"], "Hazards": codes, "Weight": each["weight"]}
        lines["Critique request"] = each["critique_request"]
        lines["Revision request"] = each["revision_request"]
        blocks += [f"## {number}. {each['title']}", each["text"]]
        blocks += [f"{word}: {line}" for word, line in lines.items() if line not in ("", 1)]
        for n, said in enumerate(each["examples"], start=1):
            asked = f"Example {n}\n- Asked: {said['prompt']}\n"
            blocks += [f"{asked}- In keeping: {said['better']}\n- Against: {said['worse']}"]
    return re.escape("\n\n".join(filter(None, blocks))).replace(gap, r"[^()\n]*")


class Record:
    """An export: its files, held against index.json at once, then against the trail's events."""

    def __init__(self, path: Path, artifacts: Path | None) -> None:
        found = files_below(path) if path.is_dir() else {}
        self.files = {name: each.read_bytes() for name, each in found.items()} or unzipped(path)
        self.left, self.artifacts = set(self.files), artifacts
        index = self.take("index.json", {"schema", "community", "files"})
        need(index["schema"] == "folkmoot.export/2", f"The schema is {index['schema']!r}.")
        self.community, self.digests = index["community"], index["files"]
        odd = ", ".join(sorted(self.left ^ set(self.digests)))
        need(not odd, f"Either index.json or the export does not have {odd}.")
        for name, known in self.digests.items():
            need(digest(self.files[name]) == known, f"{name} is not what index.json hashed.")
        print(f"{len(self.digests)} files: each has the SHA-256 that index.json gives")
        self.asked, self.opened, self.ends, self.batches = (dict[str, Any]() for _ in range(4))
        self.keys, self.moved, self.early, self.passed = (dict[Any, Any]() for _ in range(4))
        self.versions, self.datasets, self.models = (list[str]() for _ in range(3))

    def take(self, name: str, keys: set[str]) -> Any:
        """Return the object that a file holds, with these keys and no other."""
        need(name in self.files, f"{name} is missing.")
        self.left.discard(name)
        return parse(self.files[name], name, keys)

    def lines(self, name: str, what: str, keys: set[str]) -> Iterator[tuple[int, Any]]:
        """Give the object that each line of a file holds, and its number."""
        need(name in self.files, f"{name} is missing.")
        self.left.discard(name)
        for number, line in enumerate(io.BytesIO(self.files[name]), start=1):
            need(line.endswith(b"\n"), f"{name} ends within a line.")
            yield number, parse(line[:-1], f"{what} {number}", keys)

    def check(self, noted: str, signers: list[str]) -> None:
        """Compute every event's hash, and the head, and hold the files against the events."""
        heads, parts = ["0" * 64], {"event", "previous_hash", "event_hash"}
        for number, link in self.lines("trail.jsonl", "Event", parts):
            event = link["event"]
            in_form = set(event) == EVENT and event["seq"] == number
            need(in_form, f"Event {number} has no event's form.")
            linked = link["previous_hash"] == heads[-1]
            need(linked, f"Event {number} is not linked to the one before.")
            heads.append(digest(heads[-1] + canonical(event)))
            need(link["event_hash"] == heads[-1], f"Event {number} does not have its hash.")
            self.follow(event["verb"], event["subject"], event)
        head = {"community": self.community, "length": len(heads) - 1, "head": heads[-1]}
        need(self.take("head.json", set(head)) == head, f"head.json is not {canonical(head)}.")
        need(not noted or noted in heads, f"{noted} was never the head of this trail.")
        need(not self.early, f"{', '.join(self.early)} did not carry what was done by it.")
        idle = [poll for kind, poll in self.passed if kind == "ratification"]
        need(not idle, f"{', '.join(idle)} passed, but put no version in force.")
        signed = self.check_signatures(heads, signers)
        need(not self.left, f"No event speaks of {', '.join(sorted(self.left))}, which is there.")
        print(f"{len(heads) - 1} events: chain holds, head {heads[-1]}")
        print(f"{signed} checkpoints: signatures hold, the last one covers the head")
        for number, key in self.keys.items():
            print(f"key {key}: announced in event {number}")
        print(f"{len(self.opened) - len(self.batches)} closed polls: recounted")
        print(f"{len(self.versions)} versions: digests hold, each the text of a poll that passed")
        made = f"{len(set(self.datasets))} datasets, {len(set(self.models))} models"
        print(f"{made}: digests of {'listings and files' if self.artifacts else 'listings'} hold")

    def check_signatures(self, heads: list[str], signers: list[str]) -> int:
        """Hold each checkpoint against the head that it signs, and the key that was due then."""
        number, length, parts = 0, 0, {"checkpoint", "public_key", "signature"}
        for number, signed in self.lines("checkpoints.jsonl", "Checkpoint", parts):
            name, said, key = f"Checkpoint {number}", signed["checkpoint"], signed["public_key"]
            need(length < said["length"] < len(heads), f"{name} is not in its place.")
            length = said["length"]
            due = {"schema": "folkmoot.checkpoint/1", "community": self.community, "at": said["at"]}
            due |= {"length": length, "head": heads[length]}
            need(said == due, f"{name} is not of this trail.")
            known = [announced for seq, announced in self.keys.items() if seq <= length]
            need(known[-1:] == [key], f"{name} has another key than the trail announced.")
            need(not signers or key in signers, f"{name} has a key that is not among those given.")
            place[0], signature = f"The signature of {name}", bytes.fromhex(signed["signature"])
            need(signature.hex() == signed["signature"], f"{place[0]} is not in canonical form.")
            public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
            public.verify(signature, canonical(said).encode())
        need(length == len(heads) - 1, "No checkpoint signs the head of the trail.")
        return number

    def follow(self, verb: str, subject: str, event: dict[str, Any]) -> None:
        """Hold one event against the files and the earlier events that it speaks of."""
        data, number, versions, datasets = event["data"], event["seq"], self.versions, self.datasets
        founding = verb == "community.created" and data["slug"] == self.community
        need(founding is (number == 1), "The trail does not begin with this community.")
        for what, known in (("version", versions), ("dataset", datasets), ("heldout", datasets)):
            due = what in RESTS_ON.get(verb, ()) or f"{what}_digest" in data
            right = not due or data.get(f"{what}_digest") in known
            need(right, f"Event {number} rests on a {what} that the trail does not have.")
        if verb == "key.announced":
            self.keys[number] = data["public_key"]
        elif verb.startswith(("poll.", "ballots.")):
            self.follow_poll(verb, subject, event)
        elif verb == "motion.moved":
            self.moved[subject] = event
        elif verb == "motion.carried":
            moved, done = self.moved.pop(subject), self.early.pop(subject, None)
            need(moved["actor"] != event["actor"], f"{subject} was moved and carried by one.")
            meant = (moved["data"]["kind"], moved["data"].get("poll"))
            need(done in (None, meant), f"{subject} did not carry what was done by it.")
        elif verb in ("version.ratified", "dataset.frozen", "model.registered"):
            getattr(self, verb.partition(".")[2])(data)
        elif verb == "release.decided" and data["status"] == "released":
            text, model = self.passed.get(("release", f"poll:{data['poll']}")), data["model_digest"]
            right = model in self.models and f"Model: sha256 {model}" in (text or "").splitlines()
            need(right, f"Event {number} releases a model that no poll was about.")

    def follow_poll(self, verb: str, poll: str, event: dict[str, Any]) -> None:
        """Hold an event of a poll's life against those before it."""
        data, at, opened = event["data"], event["at"], self.opened.get(poll, {})
        if verb in ("poll.announced", "poll.revised"):
            self.asked[poll] = self.asked.get(poll, {}) | data
        elif verb == "poll.opened":
            need(not opened, f"{poll} was opened twice.")
            told = self.asked.get(poll, {} if data["rule"]["deliberation"] else {"opens_at": ""})
            right = data | told == data | {"opens_at": told.get("opens_at", "~")}
            need(right and at >= told["opens_at"], f"{poll} was not opened as it was announced.")
            self.opened[poll], self.ends[poll], self.batches[poll] = data, data["closes_at"], []
        elif opened or verb != "poll.withdrawn":
            need(poll in self.ends, f"{poll} was not open at event {event['seq']}.")
            due, kind = self.ends[poll], {"poll.closed": "close_early"}.get(verb, "withdraw_poll")
            if verb == "ballots.recorded":
                self.batches[poll].append(data)
            elif verb == "poll.extended":
                self.ends[poll] = end = data["closes_at"]
                most = timedelta(minutes=opened["rule"]["extension"])
                right = datetime.fromisoformat(end) - datetime.fromisoformat(at) <= most
                right = right and at >= due == opened["closes_at"] < end
                need(right, f"{poll} was extended against its rule.")
            elif data["motion"]:
                self.early[f"motion:{data['motion']}"] = (kind, int(poll[5:]))
            else:
                need(verb == "poll.closed" and at >= due, f"{poll} was ended too early.")
            if verb in ("poll.closed", "poll.withdrawn"):
                del self.ends[poll]
            if verb == "poll.closed":
                self.closed(poll, opened, data)

    def closed(self, poll: str, opened: dict[str, Any], closed: dict[str, Any]) -> None:
        """Recount a poll, and hold it against what the trail says of its opening and closing."""
        name = f"polls/{int(poll[5:])}.json"
        file = self.take(name, POLL)
        electorate, rule = file["electorate"], file["rule"]
        weights = {voter: weight for voter, weight, _ in electorate}
        need(len(weights) == len(electorate), f"{name} has an elector twice.")
        need(electorate == sorted(electorate), f"{name} has its electorate unsorted.")
        right = {*weights.values()} <= {*range(1, 6 if rule["weighting"] == "seniority" else 2)}
        need(right, f"{name} has a weight that its rule does not give.")
        due = {key: file[key] for key in ("kind", "title", "text_digest", "rule")}
        due |= {"options_digest": digest(file["options"]), "electorate_digest": digest(electorate)}
        due |= {"electorate_size": len(electorate), "electorate_weight": sum(weights.values())}
        for key, value in (due | {"seed_digest": digest(file["seed"])}).items():
            right = canonical(value) == canonical(opened.get(key))
            need(right, f"{name} was opened with another {key}.")
        need(digest(file["text"]) == file["text_digest"], f"{name} was opened with another text.")
        for key in ("ballots", "delegations"):
            right = digest(file[key]) == closed[f"{key}_digest"]
            need(right, f"{name} has other {key} than were counted.")
        acts = [{"count": len(batch), "digest": digest(batch)} for batch in file["batches"]]
        acts = [{"batch": number, **batch} for number, batch in enumerate(acts, start=1)]
        need(acts == self.batches.pop(poll), f"{name} has other acts of voters than the trail.")
        cast, figures = self.votes(name, file, weights)
        keys = [option["key"] for option in file["options"]]
        tally = recount(rule, keys, cast, electorate, file["seed"]) | {"delegation": figures}
        told = {key: closed[key] for key in ("outcome", "tally", "seed")}
        right = canonical(told) == canonical({key: file[key] for key in told})
        need(right, f"{name} has another outcome, tally or seed than the trail.")
        for key in ("ballots", "ranking", "steps") if file["tally"].get("count") else ():
            del file["tally"]["count"][key]  # how the winners were found is not computed again
        right = file["outcome"] == tally["outcome"] and canonical(file["tally"]) == canonical(tally)
        need(right, f"{name} claims another tally or outcome.")
        if tally["outcome"] == "passed":
            self.passed[file["kind"], poll] = file["text"]
        print(f"{name}: {len(file['ballots'])} ballots of {len(electorate)}: {tally['outcome']}")

    def votes(self, name: str, file: Any, weights: dict[str, int]) -> tuple[list[Any], Any]:
        """Return content, weight and group of each vote delivered, and delegation's figures."""
        ballots, rule, standing = file["ballots"], file["rule"], dict[str, str]()
        for voter, act, commitment in chain.from_iterable(file["batches"]):
            right = voter in weights and (act == "cast") is (voter not in standing)
            need(right, f"{name} has an act that {voter} could not do.")
            standing[voter] = commitment
            if act == "withdrawn":
                del standing[voter]
        need(len(ballots) == len(standing), f"{name} does not have the ballots that stood.")
        if rule["secrecy"] == "secret":
            need(ballots == sorted(ballots, key=canonical), f"{name} has ballots in another order.")
            return [(content, 1, "") for content in ballots], None
        need(ballots == sorted(ballots), f"{name} has ballots in another order.")
        found = {voter: digest([voter, content, nonce]) for voter, content, nonce in ballots}
        need(found == standing, f"{name} has other ballots than those committed to.")
        said = {voter: content for voter, content, _ in ballots}
        edges, cap = file["delegations"] if rule["delegation"] else [], rule["delegation_cap"]
        need(len(dict(edges)) == len(edges), f"{name} has two delegations of one elector.")
        carrier, figures = deliver(weights, set(said), edges, cap)
        there = [elector for elector in file["electorate"] if elector[0] in carrier]
        cast = [(said[carrier[voter]], weight, group) for voter, weight, group in there]
        return cast, figures if rule["delegation"] else None

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
        for each in (data["digest"], *data["parents"]):
            self.vouch(f"models/{each}/", self.take(f"models/{each}.json", {"files"})["files"])
            self.models.append(each)

    def vouch(self, folder: str, files: dict[str, str]) -> None:
        """Check that a listing gives the digest in `folder`; and the real files, where at hand."""
        right = digest({"files": files}) == folder.split("/")[1]
        need(right, f"{folder} does not have its digest.")
        real = dict[str, str]()
        for name, path in files_below(self.artifacts / folder).items() if self.artifacts else ():
            with path.open("rb") as file:
                real[name] = hashlib.file_digest(file, "sha256").hexdigest()
        right = not self.artifacts or files == real
        need(right, f"The files in {self.artifacts}/{folder} are not those recorded.")


def main() -> int:
    """Check the export that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(description="Check the export of an audit trail.")
    parser.add_argument("export", type=Path, help="the export: a folder or a .zip file")
    parser.add_argument("--artifacts", type=Path, help="folder with models/ and datasets/ to hash")
    parser.add_argument("--head", default="", help="a head of this trail that you noted earlier")
    parser.add_argument("--key", action="append", help="a key that may sign, in hexadecimal")
    given = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    place[0] = "The export"
    try:
        Record(given.export, given.artifacts).check(given.head, given.key or [])
    except Exception as error:  # noqa: BLE001 - whatever it is, the export is at fault
        why = error if isinstance(error, Broken) else f"{place[0]} cannot be right ({error!r})."
        print("".join(filter(str.isprintable, f"This does not hold: {why}")))
        return 1
    print("Everything holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
