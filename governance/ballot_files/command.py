"""The command that counts a file of ballots: `python -m governance.tally FILE --method METHOD`.

Rankings are counted by the ranked methods, scores by score, STAR and the ranked methods, approvals
by approval and the ranked methods, votes by yesno. Nothing is guessed: a ranking does not say what
its voter approves of. A file with one bad line is refused whole: every bad line is told on stderr
with its number, nothing is printed on stdout, and the exit status is 2.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from governance.ballot_files import preflib, tables
from governance.ballot_files.form import CHECKED_AS, BadFile, BallotFile, Kind
from governance.methods.ballots import RANKED, Content, ranking
from governance.methods.counting import Count, count

METHODS = ("yesno", "approval", "score", "star", *RANKED)
COUNTED_BY: dict[Kind, tuple[str, ...]] = {
    "ranks": RANKED,
    "scores": ("score", "star", *RANKED),
    "approvals": ("approval", *RANKED),
    "votes": ("yesno",),
}
LARGEST_FILE = 1 << 26
MOST_TOLD = 100


def main(words: Sequence[str] | None = None) -> int:
    """Count a file; give the exit status."""
    parser = argparse.ArgumentParser(prog="python -m governance.tally", description=__doc__)
    parser.add_argument("file", type=Path, help="a .soc, .soi, .toc, .toi or .csv")
    parser.add_argument("--method", required=True, choices=METHODS)
    parser.add_argument("--json", action="store_true", help="print every figure")
    parser.add_argument("--seed", help="break ties by this seed; else they are reported")
    given = parser.parse_args(words)
    try:
        counted = count_file(read(given.file), given.method, given.seed)
    except BadFile as error:
        for line, sentence in error.problems[:MOST_TOLD]:
            place = f"line {line}: " if line else ""
            sys.stderr.write(f"{given.file}: {place}{sentence}\n")
        if len(error.problems) > MOST_TOLD:
            sys.stderr.write(f"{given.file}: {len(error.problems) - MOST_TOLD} more bad lines.\n")
        return 2
    figures = {
        "method": given.method,
        "winners": list(counted.winners),
        "ranking": [list(tier) for tier in counted.ranking],
        "pairwise": counted.pairwise,
        "steps": list(counted.steps),
    }
    if given.json:
        sys.stdout.write(json.dumps(figures, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(for_people(given.method, counted))
    return 0


def read(path: Path) -> BallotFile:
    """Read a file of ballots.

    Raises:
        BadFile: it cannot be read whole.
    """
    suffix = path.suffix.lower()
    readers: dict[str, Callable[[str], BallotFile]] = {
        **dict.fromkeys([".soc", ".soi", ".toc", ".toi"], lambda text: preflib.read(text, suffix)),
        ".csv": tables.read,
    }
    if suffix not in readers:
        raise BadFile([(0, f"A file of ballots ends in one of {', '.join(readers)}.")])
    found = readers[suffix](_text(path))
    if found.problems:
        raise BadFile(found.problems)
    if not found.ballots:
        raise BadFile([(1, "The file holds no ballot.")])
    return found


def count_file(found: BallotFile, method: str, seed: str | None) -> Count:
    """Count what a file holds.

    Raises:
        BadFile: ballots of its kind are not counted by this method.
    """
    methods = COUNTED_BY[found.kind]
    if method not in methods:
        raise BadFile(
            [(0, f"The file holds {found.kind}, which are counted by {', '.join(methods)}.")]
        )

    def content(cast: Content) -> Content:
        if method in RANKED and found.kind != "ranks":
            return ranking(CHECKED_AS[found.kind], found.options, cast)
        return cast

    ballots = ((content(cast), number) for cast, number in found.ballots)
    counted_as = "approval" if method == "yesno" else method
    try:
        return count(counted_as, found.options, ballots, seed=seed)
    except ValueError as error:
        raise BadFile([(0, str(error))]) from None


def for_people(method: str, counted: Count) -> str:
    """Write winners and ranking as a short text."""
    title = "Winner" if len(counted.winners) == 1 else "Tied winners"
    lines: list[Any] = [
        f"{counted.weight} ballots for {len(counted.options)} options, counted by {method}.",
        f"{title}: {', '.join(counted.winners)}",
        "Ranking:",
        *(f"{n:4}. {', '.join(tier)}" for n, tier in enumerate(counted.ranking, start=1)),
    ]
    return "\n".join(lines) + "\n"


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadFile([(0, f"The file cannot be opened: {error.strerror}.")]) from None
    if len(content) > LARGEST_FILE:
        raise BadFile([(0, "A file of ballots has at most 64 MiB.")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadFile([(line, "The line is not UTF-8.")]) from None
