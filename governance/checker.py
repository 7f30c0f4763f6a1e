"""Check the export of a community's audit trail, offline: `python checker.py EXPORT`.

It shares no code with the site and trusts nothing in an export (a folder or a .zip) that it can
compute; docs/audit.md has the rules. It ends with "Everything holds.", or what does not: status 1.
"""

# ruff: noqa: B905, T201 - rows of one table have one length; a program that tells what it checked
import argparse
import hashlib
import io
import json
import re
import sys
import zipfile
from bisect import bisect
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial, reduce
from itertools import accumulate, chain, groupby, permutations, product
from math import ceil, floor, isqrt, lcm
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

EVENT = {"seq", "at", "actor", "verb", "subject", "data"}
VERSION = {"schema", "community", "number", "title", "preamble", "parent", "principles"}
POLL = "kind title text text_digest options rule electorate batches ballots delegations seed tally"
LIFE = "(announced (revised )*)?opened (recorded )*(extended (recorded )*)?(closed |withdrawn )?"
ENDS = {"poll.closed": "close_early", "poll.withdrawn": "withdraw_poll"}  # and motions for them
ACTS = {"cast": False, "replaced": True, "withdrawn": True}  # and whether a ballot stood before
JOINED = {"community.created", "member.joined", "membership.approved"}
LIMIT = 10  # of members without whom no poll is due, in events of the time before they said it
RESTS_ON = {"dataset.frozen": {"version"}, "model.registered": {"version", "dataset"}}
MOST = {"score": 5, "star": 5, "quadratic": 100, "weighted": 100}  # that an option can be given
YES_NO = {"for": "yes", "against": "no", "needed": "yes_needed"}  # figures by another name there
QUO, MOST_ROUNDS, MOST_ORDERS, SMALLEST_GROUP = "status-quo", 4096, 1000, 5
TOP = 2**53 - 1  # the largest whole number that every program keeps exactly
place = ["The export"]  # that is being checked, with which the sentence about it begins
canonical = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
decode = json.JSONDecoder(  # a fraction, or a number beyond TOP, is not written again as it was
    parse_int=lambda n: max(-TOP, min(int(n), TOP)), parse_float=str, parse_constant=str
).decode


def hold(holds: object, otherwise: str) -> None:
    """Stop, with what is being checked as the subject of a sentence, unless something holds."""
    if not holds:
        raise AssertionError(f"{place[0]} {otherwise}.")


def same(found: Any, stated: Any, otherwise: str) -> None:
    """Hold that two objects say the same; else the sentence ends with where they differ."""
    first, second = ({key: canonical(each[key]) for key in each} for each in (found, stated))
    odd = [key for key in first | second if first.get(key) != second.get(key)]
    hold(not odd, f"{otherwise} {', '.join(sorted(odd))}")


def digest(value: Any) -> str:
    """Return the SHA-256 of bytes, of a text, or of another value in canonical JSON."""
    text = value if isinstance(value, str | bytes) else canonical(value)
    return hashlib.sha256(text if isinstance(text, bytes) else text.encode()).hexdigest()


def hash_of(path: Path) -> str:
    """Return the SHA-256 of a file that may be larger than the memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(path: Path, take: Any = Path.read_bytes) -> dict[str, Any]:
    """Read a folder without links, or a zip file of which every byte follows from its files."""
    if path.is_dir():
        found = {each.relative_to(path).as_posix(): each for each in path.rglob("*")}
        links = [name for name, each in found.items() if each.is_symlink()]
        hold(not links, f"has what is a link, for which no digest can vouch: {', '.join(links)}")
        return {name: take(each) for name, each in found.items() if each.is_file()}
    packed, again = zipfile.ZipFile(path), io.BytesIO()
    hold(not any(each.compress_type for each in packed.infolist()), "is compressed")
    files = {name: packed.read(name) for name in packed.namelist()}
    with zipfile.ZipFile(again, "w") as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.create_system = 0o100644 << 16, 3
            archive.writestr(info, content)
    hold(again.getvalue() == path.read_bytes(), "is not packed as exports are")
    return files


def amounts(method: str, options: list[str], content: Any) -> tuple[int, ...]:
    """Return what a ballot gives each option, more being better; refuse what is no ballot."""
    least, given, most = 0, content, MOST.get(method, 0)
    if method not in MOST:  # a ranking; between yes and no, and by approval, of a single tier
        yes_no = {"yes": ["yes"], "no": [QUO], "abstain": []}
        one = yes_no.get(content, [""]) if method == "yes_no" else content
        tiers = [one] if method in ("yes_no", "approval") else content
        least, given = -len(tiers), {key: -n for n, tier in enumerate(tiers) for key in tier}
        given = given if len(given) == sum(map(len, tiers)) else {"": 0}  # an option stood twice
    right = set(given) <= set(options) and all(type(n) is int for n in given.values())
    right = right and all(least <= n <= most for n in given.values())
    right = right and (method != "quadratic" or sum(given.values()) <= most)
    hold(right, "has a ballot that is none of this poll")
    return tuple(given.get(option, least) for option in options)


def explore(starts: set[Any], onward: Any, most: int) -> set[Any]:
    """Return where all ways onward from the starts end; nothing where they pass too many states."""
    seen, ends, waiting = set(starts), set[Any](), list(starts)
    while waiting and len(seen) <= most:
        end, following = onward(waiting.pop())
        ends |= set() if following else {end}
        waiting += following - seen
        seen |= following
    return ends if len(seen) <= most else set()


def put(above: Any, pair: tuple[int, int]) -> Any:
    """Put one option above another: in the bits of its row, and in those of all above it."""
    a, gained = pair[0], above[pair[1]] | 1 << pair[1]
    return tuple(row | gained if n == a or row >> a & 1 else row for n, row in enumerate(above))


def lock(above: Any, pairs: list[tuple[int, int]]) -> tuple[Any, set[Any]]:
    """Lock in the pairs that no order contradicts; return that, and where each other one leads."""
    left = [(a, b) for a, b in pairs if not (above[a] >> b | above[b] >> a) & 1]
    everything = reduce(put, left, above)
    above = reduce(put, [(a, b) for a, b in left if not everything[b] >> a & 1], above)
    return above, {put(above, (a, b)) for a, b in left if not (above[a] >> b | above[b] >> a) & 1}


class Count:
    """The ballots of a poll among options: what they give each, and with what weight."""

    def __init__(self, ballots: Any, keys: list[str], seed: str) -> None:
        self.ballots, self.keys, self.all = (cast := list(ballots)), keys, range(len(keys))
        self.duels = [[sum(w for g, w in cast if g[a] > g[b]) for b in self.all] for a in self.all]
        versus = [list(zip(*rows)) for rows in zip(self.duels, zip(*self.duels))]
        self.wins = [[won * (won > lost) for won, lost in row] for row in versus]
        self.margins = [[max(0, won - lost) for won, lost in row] for row in versus]
        self.order = self.lot(seed) if seed else []

    def lot(self, seed: str) -> list[int]:
        """Return the order that breaks ties: rankings drawn by the seed, each refining the last."""
        rankings, order = Counter[Any](), sorted(self.all, key=self.keys.__getitem__)
        for given, weight in self.ballots:
            levels = sorted(set(given), reverse=True)
            rankings[tuple(levels.index(given[n]) for n in order)] += weight
        tiers: list[Any] = [() for _ in order]
        while useful := sorted(r for r in rankings if len({*zip(tiers, r)}) > len({*tiers})):
            ends = list(accumulate(rankings[each] for each in useful))
            ticket = int(digest(f"{seed}:draw {len(tiers[0])}"), 16) % ends[-1]
            tiers = [(*tier, level) for tier, level in zip(tiers, useful[bisect(ends, ticket)])]
        lots = [digest(f"{seed}:{self.keys[n]}") for n in order]
        return [n for *_, n in sorted(zip(tiers, lots, order))]

    def winners(self, method: str) -> list[str]:
        """Return who does best by a method; where ties are broken by lot, one of them."""
        wins, totals = self.wins, self.totals(method) if method in (*MOST, "approval") else []
        if method == "star":  # undefeated by the other, where both have the two largest totals
            top = sorted(totals)[-2:]
            final = {(a, b) for a, b in permutations(self.all, 2) if not wins[b][a]}
            final = {(a, b) for a, b in final if sorted([totals[a], totals[b]]) == top}
            score: list[int] = [any((a, b) in final for b in self.all) for a in self.all]
        elif method == "irv":
            ways, everyone = partial(self.eliminate, together=True), {frozenset(self.all)}
            ends = explore(everyone, self.eliminate, MOST_ROUNDS) or explore(everyone, ways, TOP)
            score = [any(n in end for end in ends) for n in self.all]
        elif method == "ranked-pairs":
            score = self.ranked_pairs()
        elif method == "minimax":
            score = [-max(column) for column in zip(*wins)]
        elif method == "copeland":
            lost = [sum(map(bool, column)) for column in zip(*wins)]
            score = [sum(map(bool, row)) - many for row, many in zip(wins, lost)]
        elif method in ("schulze-wv", "schulze-margins"):
            score = self.unbeaten(wins if method == "schulze-wv" else self.margins)
        else:
            score = totals
        won = [n for n in self.order or self.all if score[n] == max(score)]
        return [self.keys[n] for n in (won[:1] if self.order else won)]

    def totals(self, method: str) -> list[int]:
        """Return what each option is given in all; sums of roots to 4096 binary places."""
        totals, roots = [0 for _ in self.all], [isqrt(n << 16384) for n in range(101)]
        parts = [sum(given) or 1 if method == "weighted" else 1 for given, _ in self.ballots]
        whole = lcm(*parts)
        for (given, weight), part in zip(self.ballots, parts):
            worth = [roots[n] for n in given] if method == "quadratic" else given
            totals = [n + weight * (whole // part) * each for n, each in zip(totals, worth)]
        return [total >> 4096 * (method == "quadratic") for total in totals]

    def unbeaten(self, links: list[list[int]], *, direct: bool = False) -> list[int]:
        """Say against whom no path (or no direct link) stands that is stronger than one back."""
        path = [list(row) for row in links]
        for through, a, b in product(self.all, repeat=3):
            path[a][b] = max(path[a][b], min(path[a][through], path[through][b]))
        there = links if direct else path
        return [all(there[a][b] <= path[b][a] for a in self.all) for b in self.all]

    def eliminate(self, left: frozenset[int], *, together: bool = False) -> tuple[Any, set[Any]]:
        """Go a round on in a runoff; return who wins if it is the last, and who may be left."""
        share, votes = lcm(*range(1, len(left) + 1)), dict.fromkeys(left, 0)
        for given, weight in self.ballots:
            top = max(given[n] for n in left)
            first = [n for n in left if given[n] == top]
            for n in first if len(first) < len(left) else ():
                votes[n] += weight * share // len(first)
        weak = sorted(left, key=votes.__getitem__)
        tied = [n for n in weak if votes[n] == votes[weak[0]]]
        if not any(votes.values()) or (together and len(tied) == len(left)):
            return left, set()
        cuts = [weak[:size] for size in range(len(tied), len(left))]
        cuts = [cut for cut in cuts if sum(votes[n] for n in cut) < votes[weak[len(cut)]]]
        gone = [tied] if together else cuts[:1] or [[n] for n in tied]
        onward = {left.difference(each) for each in gone}
        return frozenset(chain(*onward)), {each for each in onward if len(each) > 1}

    def ranked_pairs(self) -> list[int]:
        """Lock victories in, strongest first: equal ones by the lot, or else in every order."""
        pairs = sorted(permutations(self.order or self.all, 2), key=self.strength, reverse=True)
        groups = [list(equal) for won, equal in groupby(pairs, self.strength) if won]
        ends: set[Any] = {(0,) * len(self.all)}
        for equal in [[pair] for pair in pairs] if self.order else groups:
            ends = explore(ends, partial(lock, pairs=equal), MOST_ORDERS)
        if not ends:  # too many orders: who wins in some order is among these
            return self.unbeaten(self.wins, direct=True)
        return [any(not any(row >> n & 1 for row in above) for above in ends) for n in self.all]

    def strength(self, pair: tuple[int, int]) -> int:
        """Return the winning votes of a victory; 0 where there is none."""
        return int(self.wins[pair[0]][pair[1]])


def deliver(weights: Any, direct: set[str], edges: Any, cap: int) -> tuple[Any, Any]:
    """Return who carries the vote of each elector, and the figures of delegation."""
    edges = {giver: to for giver, to in edges.items() if giver in weights and giver not in direct}
    carrier, full = {voter: voter for voter in direct}, {voter: weights[voter] for voter in direct}
    behind, reached, near = defaultdict[str, list[str]](list), dict(carrier), list(direct)
    for giver, taker in edges.items():
        behind[taker].append(giver)
    while near := sorted(giver for taker in near for giver in behind[taker]):
        for giver in near:  # the longer the way, the later; a circle is never reached
            reached[giver] = voter = reached[edges[giver]]
            full[voter] += weights[giver]
            carrier |= {giver: voter} if not cap or full[voter] <= cap else {}
    loads = Counter[str]()
    for name, voter in carrier.items():
        loads[voter] += weights[name]
    sizes, total = sorted(loads.values()), loads.total()
    spread = sum((2 * n - len(sizes) - 1) * size for n, size in enumerate(sizes, start=1))
    figures: dict[str, Any] = {"carried": total - sum(weights[voter] for voter in direct)}
    figures["undelivered"] = sum(weights[giver] for giver in edges if giver not in carrier)
    figures["cap_overflow"] = sum(weights[giver] for giver in reached if giver not in carrier)
    figures["top_share"] = Fraction(max(sizes, default=0), total or 1).as_integer_ratio()
    figures["gini"] = Fraction(spread, len(sizes) * total or 1).as_integer_ratio()
    return carrier, {**figures, "voters": len(direct)}


def weigh(rule: Any, ballots: Any, size: int, groups: Any, sides: tuple[int, int]) -> Any:
    """Hold what is for and against an option against threshold, quorum and group support."""
    votes, people, (one, other) = Counter[int](), Counter[Any](), sides
    for given, group, weight, heads in ballots:
        side = (given[one] > given[other]) - (given[one] < given[other])
        votes[side] += weight
        people[group, side] += heads
    found: dict[str, Any] = {
        "for": votes[1],
        "against": votes[-1],
        "decided": votes[1] + votes[-1],
        "groups": [],
    }
    for group, electors in sorted(groups.items()):
        told: Any = {"group": group, "electors": electors, "for": people[group, 1]}
        told["decided"] = decided = people[group, 1] + people[group, -1]
        told["counted"] = decided >= SMALLEST_GROUP
        enough = people[group, 1] >= Fraction(*rule["group_support"]) * decided
        found["groups"] += [{**told, "reached": enough or not told["counted"]}]
    bases = {"cast": votes.total(), "decided": found["decided"], "eligible": size}
    found["base_count"] = bases[rule["base"]]
    edge = Fraction(*rule["threshold"]) * found["base_count"]
    found["needed"] = floor(edge) + 1 if rule["strict"] is True else ceil(edge)
    share, root = ceil(Fraction(*rule["quorum_share"]) * size), (isqrt(9 * size - 1) + 2) // 2
    least = {"none": 0, "participation": share, "approval": share, "sqrt": root}  # 4root² >= 9size
    found["quorum_needed"] = least[rule["quorum"]]
    by_yes = rule["quorum"] in ("approval", "sqrt")
    found["quorum_counted"] = votes[1] if by_yes else votes.total()
    enough = votes[1] >= found["needed"] and found["quorum_counted"] >= found["quorum_needed"]
    enough = enough and all(group["reached"] for group in found["groups"])
    return {**found, "acceptable": enough and found["decided"] > 0}


def recount(rule: Any, keys: list[str], cast: Any, electors: Any, seed: str) -> dict[str, Any]:
    """Count ballots (content, weight, group) by a rule, in whole numbers and fractions only."""
    method, options = rule["method"], ["yes", QUO] if rule["method"] == "yes_no" else keys
    size, groups = sum(each[1] for each in electors), Counter(each[2] for each in electors)
    del groups[""]
    texts, ballots = [canonical(content) for content, *_ in cast], list[Any]()
    known = {t: amounts(method, options, c) for t, (c, *_) in dict(zip(texts, cast)).items()}
    for (text, weight, group), n in Counter((t, w, g) for t, (_, w, g) in zip(texts, cast)).items():
        ballots.append((known[text], group, weight * n, n))
    sides = {key: (n, options.index(QUO)) for n, key in enumerate(options) if key != QUO}
    told = {key: weigh(rule, ballots, size, groups, pair) for key, pair in sides.items()}
    reached = any(each["quorum_counted"] >= each["quorum_needed"] for each in told.values())
    found = {"electorate": size, "cast": sum(weight for *_, weight, _ in ballots)}
    found |= {"quorum": rule["quorum"], "outcome": "rejected" if reached else "no_quorum"}
    if method == "yes_no":
        found |= {YES_NO.get(key, key): value for key, value in told["yes"].items()}
        found |= {"base": rule["base"], "abstain": found["cast"] - found["decided"]}
        return found | ({"outcome": "passed"} if found.pop("acceptable") else {})
    able = [n for n, key in enumerate(options) if key == QUO or told[key]["acceptable"]]
    found |= {"method": method, "options": [{"key": key, **each} for key, each in told.items()]}
    if len(able) == 1:
        return {**found, "count": None, "winners": []}
    left = Counter[Any]()
    for given, _, weight, _ in ballots:
        left[tuple(given[n] for n in able)] += weight
    count = Count(left.items(), [options[n] for n in able], seed * (rule["ties"] == "seed"))
    names, winners = list(enumerate(count.keys)), count.winners(method)
    pairwise = {a: {b: count.duels[x][y] for y, b in names if a != b} for x, a in names}
    figures = {"method": method, "options": count.keys, "weight": found["cast"]}
    figures |= {"tie_break": [count.keys[n] for n in count.order] or None, "pairwise": pairwise}
    if winners != [QUO]:
        found["outcome"] = "passed" if len(winners) == 1 else "tied"
    return {**found, "count": {**figures, "winners": winners}, "winners": winners}


def votes(file: Any, weights: dict[str, int]) -> tuple[list[Any], Any]:
    """Return content, weight and group of each vote delivered, and delegation's figures."""
    ballots, rule, standing = file["ballots"], file["rule"], dict[str, str]()
    for voter, act, commitment in chain.from_iterable(file["batches"]):
        right = voter in weights and ACTS.get(act) is (voter in standing)
        hold(right, f"has an act that {voter} could not do")
        standing[voter] = commitment
        if act == "withdrawn":
            del standing[voter]
    hold(len(ballots) == len(standing), "does not have the ballots that stood")
    secret = rule["secrecy"] == "secret"
    right = ballots == sorted(ballots, key=canonical if secret else None)
    hold(right, "has ballots in another order")
    if secret:
        return [(content, 1, "") for content in ballots], None
    found = {voter: digest([voter, content, nonce]) for voter, content, nonce in ballots}
    hold(found == standing, "has other ballots than those committed to")
    edges, said = dict(file["delegations"]), {voter: content for voter, content, _ in ballots}
    hold(len(edges) == len(file["delegations"]), "has two delegations of one elector")
    hold(not edges or rule["delegation"], "has delegations against its rule")
    carrier, figures = deliver(weights, set(said), edges, rule["delegation_cap"])
    there = [elector for elector in file["electorate"] if elector[0] in carrier]
    cast = [(said[carrier[voter]], weight, group) for voter, weight, group in there]
    return cast, figures if rule["delegation"] else None


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
        self.files, self.artifacts = load(path), artifacts
        self.left = set(self.files)
        [index] = self.read("index.json")
        self.community = index["community"]
        self.sums = {name: digest(self.files[name]) for name in self.left}
        same(self.sums, index["files"], "does not agree with")
        due = {"schema": "folkmoot.export/2", "community": self.community, "files": self.sums}
        same(due, index, "has another")
        print(f"{len(self.sums)} files: each has the SHA-256 that index.json gives")
        self.lives, self.passed = defaultdict[str, list[Any]](list), dict[Any, tuple[int, str]]()
        self.keys, self.members = dict[int, str](), set[str]()
        self.known: dict[str, list[str]] = {"version": [], "dataset": [], "model": []}

    def read(self, name: str) -> list[Any]:
        """Return the canonical objects that a file holds: one, or one a line."""
        place[0] = name
        hold(name in self.files, "is missing")
        lines, objects = [self.files[name]], list[Any]()
        if name.endswith(".jsonl"):
            *lines, rest = lines[0].split(b"\n")
            hold(not rest, "ends within a line")
        for line in lines:
            objects.append(decode(line.decode()))
            right = isinstance(objects[-1], dict) and canonical(objects[-1]).encode() == line
            hold(right, f"is not in canonical form in line {len(objects)}")
        self.left.discard(name)
        return objects

    def check(self, noted: str, signers: list[str]) -> None:
        """Compute every event's hash, and the head, and hold the files against the events."""
        heads, links = ["0" * 64], self.read("trail.jsonl")
        for number, link in enumerate(links, start=1):
            place[0], event = f"Event {number}", link["event"]
            heads.append(digest(heads[-1] + canonical(event)))
            due = {"event": event, "previous_hash": heads[-2], "event_hash": heads[-1]}
            right = link == due and set(event) == EVENT and event["seq"] == number
            hold(right, "is not linked to the one before, or has no event's form")
            self.lives[event["subject"]].append(event)
            if event["verb"] == "key.announced":
                self.keys[number] = event["data"]["public_key"]
        head = {"community": self.community, "length": len(links), "head": heads[-1]}
        same(head, self.read("head.json")[0], "has another")
        hold(not noted or noted in heads, f"is of another trail: {noted} was never the head")
        for poll in [subject for subject in self.lives if subject.startswith("poll:")]:
            self.follow_poll(poll)
        for link in links:
            self.follow(**link["event"])
        place[0] = ", ".join(f"poll:{poll}" for kind, poll in self.passed if kind == "ratification")
        hold(not place[0], "passed, but put no version in force")
        signed, place[0] = self.signatures(heads, signers), ", ".join(sorted(self.left))
        hold(not self.left, "is there, and no event speaks of it")
        print(f"{len(links)} events: chain holds, head {heads[-1]}")
        print(f"{signed} checkpoints: signatures hold, the last one covers the head")
        for number, key in self.keys.items():
            print(f"key {key}: announced in event {number}")
        for what, names in self.known.items():
            also = (
                f", and files in {self.artifacts}" if self.artifacts and what != "version" else ""
            )
            print(f"{len(set(names))} {what}s: digests and what they rest on hold{also}")

    def signatures(self, heads: list[str], signers: list[str]) -> int:
        """Hold each checkpoint against the head that it signs, the one before, and the key due."""
        length, before, schema, lines = 0, "0" * 64, 1, self.read("checkpoints.jsonl")
        for number, line in enumerate(lines, start=1):
            place[0], said, key = f"Checkpoint {number}", line["checkpoint"], line["public_key"]
            hold(length < said["length"] < len(heads), "is not in its place")
            length, schema = said["length"], max(schema, int(said["schema"][-1]))
            due = {"schema": f"folkmoot.checkpoint/{schema}", "community": self.community}
            due |= {"length": length, "head": heads[length], "at": said["at"]}
            due |= {"number": number, "previous": before} if schema > 1 else {}
            same(due, said, "is not of this trail, or does not follow the one before, by its")
            known = [announced for seq, announced in self.keys.items() if seq <= length]
            hold(known[-1:] == [key], "has another key than the trail announced")
            hold(not signers or key in signers, "has a key that is not among those given")
            before, signature = digest(said), bytes.fromhex(line["signature"])
            due = {"checkpoint": said, "public_key": key, "signature": signature.hex()}
            hold(line == due, "is not in form")
            place[0], key_bytes = f"The signature of {place[0]}", bytes.fromhex(key)
            Ed25519PublicKey.from_public_bytes(key_bytes).verify(
                signature, canonical(said).encode()
            )
        place[0] = f"Checkpoint {len(lines)}"
        hold(length == len(heads) - 1, "is the last one, and does not sign the head of the trail")
        return len(lines)

    def follow_poll(self, poll: str) -> None:
        """Hold the events of a poll's life against each other; recount it where it was closed."""
        life = [each for each in self.lives[poll] if each["verb"][:5] in ("poll.", "ballo")]
        told = {event["verb"].partition(".")[2]: event for event in life}  # the last of each verb
        place[0], said = poll, "".join(event["verb"].partition(".")[2] + " " for event in life)
        right: Any = re.fullmatch(f"{LIFE}|announced (revised )*(withdrawn )?|", said)
        hold(right, f"was not open at one of its events: {said}")
        if "opened" not in told:
            return
        opened, end, most = told["opened"]["data"], life[-1], timedelta(0)
        asked = {"opens_at": "~" if opened["rule"]["deliberation"] else ""}
        for verb in ("announced", "revised"):
            asked |= told[verb]["data"] if verb in told else {}
        right = asked.pop("opens_at") <= told["opened"]["at"] and opened | asked == opened
        hold(right, "was not opened as it was announced")
        due, most = opened["closes_at"], timedelta(minutes=opened["rule"]["extension"])
        if "extended" in told:
            at, later = told["extended"]["at"], told["extended"]["data"]["closes_at"]
            right = datetime.fromisoformat(later) - datetime.fromisoformat(at) <= most
            hold(right and at >= due < later, "was extended against its rule")
            due = later
        if end["verb"] in ENDS and end["data"]["motion"]:
            self.seconded(end, {"kind": ENDS[end["verb"]], "poll": int(poll[5:])})
        elif end["verb"] in ENDS:
            hold("closed" in told and end["at"] >= due, "was ended too early")
        if "closed" in told:
            batches = [each["data"] for each in life if each["verb"] == "ballots.recorded"]
            self.recount(int(poll[5:]), end["seq"], opened, batches, end["data"])

    def seconded(self, event: Any, due: dict[str, Any]) -> None:
        """Hold that what an event did was moved by one steward and then carried by another."""
        motion = f"motion:{event['data']['motion']}"
        told = {each["verb"]: each for each in self.lives[motion]}
        right = list(told) == ["motion.moved", "motion.carried"]
        right = right and due.items() <= told["motion.moved"]["data"].items()
        right = right and told["motion.carried"]["seq"] > event["seq"]
        hold(right, f"rests on {motion}, which did not carry what was done by it")

    def recount(self, number: int, seq: int, opened: Any, batches: Any, closed: Any) -> None:
        """Recount a poll, and hold it against what the trail says of its opening and closing."""
        [file] = self.read(f"polls/{number}.json")
        hold(set(file) == {*POLL.split(), "outcome"}, "has other keys than a poll")
        weights = {voter: weight for voter, weight, _ in file["electorate"]}
        right = sorted(weights) == [voter for voter, *_ in file["electorate"]]
        hold(right, "has its electorate unsorted, or an elector twice")
        most = 5 if file["rule"]["weighting"] == "seniority" else 1
        right = {*weights.values()} <= {*range(1, most + 1)}
        hold(right, "has a weight that its rule does not give")
        frozen, counted = ("text", "options", "electorate", "seed"), ("ballots", "delegations")
        due = {key: file[key] for key in ("kind", "title", "rule")}
        due |= {f"{key}_digest": digest(file[key]) for key in frozen}
        due |= {"electorate_size": len(weights), "electorate_weight": sum(weights.values())}
        same({**due, "closes_at": opened["closes_at"]}, opened, "was opened with another")
        due = {key: file[key] for key in ("outcome", "tally", "seed")}
        due |= {f"{key}_digest": digest(file[key]) for key in counted}
        same({**due, "motion": closed["motion"]}, closed, "was closed with another")
        acts = [{"count": len(batch), "digest": digest(batch)} for batch in file["batches"]]
        acts = [{"batch": n, **batch} for n, batch in enumerate(acts, start=1)]
        hold(acts == batches, "has other acts of voters than the trail")
        cast, figures = votes(file, weights)
        keys = [option["key"] for option in file["options"]]
        tally = recount(file["rule"], keys, cast, file["electorate"], file["seed"])
        for key in ("ballots", "ranking", "steps"):  # how winners were found is for people to read
            (file["tally"].get("count") or {}).pop(key, None)
        same({**tally, "delegation": figures}, file["tally"], "claims another")
        due = {"outcome": tally["outcome"], "text_digest": opened["text_digest"]}
        same(due, {key: file[key] for key in due}, "claims another")
        if tally["outcome"] == "passed":
            self.passed[file["kind"], number] = (seq, file["text"])
        print(f"{place[0]}: {len(cast)} votes of {len(weights)} electors: {tally['outcome']}")

    def follow(self, seq: int, verb: str, subject: str, data: Any, actor: str, **_: str) -> None:
        """Hold one event against the files and the earlier events that it speaks of."""
        place[0], founding = f"Event {seq}", verb == "community.created"
        right = founding is (seq == 1) and (not founding or data["slug"] == self.community)
        hold(right, "is not the one with which this community begins")
        for what in ("version", "dataset", "heldout"):
            due = what in RESTS_ON.get(verb, ()) or f"{what}_digest" in data
            known = self.known["dataset" if what == "heldout" else what]
            right = not due or data.get(f"{what}_digest") in known
            hold(right, f"rests on a {what} that the trail does not have")
        if verb in JOINED:
            self.members.add(data["steward" if founding else "user"])
        elif verb == "member.left":
            self.members.discard(data["user"])
        elif verb == "motion.carried":
            moved = self.lives[subject][0]
            hold(moved["actor"] != actor, f"carries {subject}, which the same person moved")
        elif verb == "dataset.frozen":
            self.vouch("dataset", data["digest"])
        elif verb == "model.registered":
            for each in (data["digest"], *data["parents"]):
                self.vouch("model", each)
        else:
            self.follow_decision(seq, verb, subject, data, actor)

    def follow_decision(self, seq: int, verb: str, subject: str, data: Any, actor: str) -> None:
        """Hold what only a poll decides against the passed poll that an event cites."""
        due: Any = {"membership": int(subject.partition(":")[2]), "role": data.get("to")}
        if verb == "version.ratified":
            text, poll = self.voted("ratification", seq, data), f"poll:{data['poll']}"
            pattern = voted_text(self.ratified(data))
            hold(re.fullmatch(pattern, text), f"is not the text of {poll}, or that did not pass")
        elif verb == "release.decided" and data["status"] == "released":
            said = f"Model: sha256 {data['model_digest']}"
            right = said in self.voted("release", seq, data).splitlines()
            right = right and data["model_digest"] in self.known["model"]
            hold(right, "releases a model that no poll was about")
        elif verb == "community.rule_changed":
            due = {"kind": data["kind"], "rule": data["rule"]}
            self.govern("rule_change", seq, data, due, alone=False)
        elif verb == "role.changed" and "steward" in (data["from"], data["to"]):
            self.govern("steward_change", seq, data, due, alone=actor == data["user"])

    def voted(self, kind: str, seq: int, data: Any) -> str:
        """Return the text of the passed poll that an event cites; nothing else may rest on it."""
        closed, text = self.passed.pop((kind, data["poll"]), (seq, ""))
        return text if closed < seq else ""

    def govern(self, kind: str, seq: int, data: Any, due: Any, *, alone: bool) -> None:
        """Hold a change of stewards or rules against its poll, which many members make due."""
        many, limit = len(self.members), data.get("limit", LIMIT)
        if data["poll"]:
            right = self.voted(kind, seq, data).rpartition("\n")[2] == canonical(due)
            hold(right, f"makes a change that poll:{data['poll']} did not decide")
        else:
            hold(alone or many <= limit, f"takes a poll: there are {many} members, above {limit}")
        if data.get("motion"):
            self.seconded({"seq": seq, "data": data}, {"kind": "change_steward", **due})

    def ratified(self, data: Any) -> Any:
        """Return a version, held against its digest and the version before it."""
        known, [file] = self.known["version"], self.read(f"versions/{data['number']}.json")
        hold(set(file) == VERSION, "has other keys than a version")
        hold(digest(file) == data["digest"], "does not have its digest")
        due = {"number": len(known) + 1, "parent": known[-1] if known else None}
        right = data | due == data and file["schema"] == "folkmoot.version/1"
        right = right and file | due | {"community": self.community} == file
        hold(right, "does not follow the one before")
        known.append(data["digest"])
        return file

    def vouch(self, what: str, sha: str) -> None:
        """Hold the files of a dataset or a model, or their listing, against its digest."""
        folder, listing = f"{what}s/{sha}/", f"{what}s/{sha}/listing.json"
        files = {name: found for name, found in self.sums.items() if name.startswith(folder)}
        self.left -= files.keys()
        known = {"files": {name.removeprefix(folder): found for name, found in files.items()}}
        if what == "model" or set(known["files"]) <= {"listing.json"}:
            [known] = self.read(f"models/{sha}.json" if what == "model" else listing)
        place[0] = folder
        hold(digest(known) == sha, "does not have its digest")
        for root in [self.artifacts / folder] if self.artifacts else []:
            there = load(root, hash_of) if root.is_dir() else {}
            hold(
                there == known["files"],
                f"has files in {self.artifacts} that are not those recorded",
            )
        self.known[what].append(sha)


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
        known = isinstance(error, AssertionError)
        why = error if known else f"{place[0]} cannot be right ({error!r})."
        print("".join(filter(str.isprintable, f"This does not hold: {why}")))
        return 1
    print("Everything holds.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
