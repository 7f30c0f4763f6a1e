"""CSV files of ballots, told apart by their header.

Cells are trimmed; a blank line is an error.

    ranks,Ann,Ben,Cleo        a rank for each option, 1 the best; equal ranks tie; empty: unranked
    scores,Ann,Ben,Cleo       0 to 5 points for each option; empty: 0
    approvals,Ann,Ben,Cleo    1 for approved; 0 or empty: not approved
        The first column is the number of voters who cast such a ballot.
    voter,1,2,3               a ballot: the options ranked first, second and third; equal ones
        joined by "="; no rank is skipped. The column `voter` may have any name or be missing;
        where it is called `ballots` it is the number of voters. A line `options,Ann,Ben,Cleo`
        before the header names the options; without it there are no more of them than ranks.
    vote                      yes, no or abstain; a column `ballots` before it as above

VoteKit's rank profile (https://votekit.readthedocs.io) is told by its first line.
"""

import csv
import io
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

from governance.ballot_files import form, votekit
from governance.ballot_files.form import BadFile, BallotFile, Rows
from governance.methods.ballots import MAX_SCORE, Content
from governance.methods.profile import MOST_OPTIONS

VOTES: dict[str, Content] = {"yes": ["yes"], "no": ["no"], "abstain": []}


def read(text: str) -> BallotFile:
    """Read any of them."""
    rows = _rows(text)
    line, header = next(rows, (1, []))
    if header == ["VoteKit RankProfile"]:
        return votekit.read(rows)
    if header and header[0] in {"ranks", "scores", "approvals"}:
        return _by_option(line, header, rows)
    options = None
    if header and header[0] == "options":
        options = form.names(line, header[1:])
        line, header = next(rows, (line + 1, []))
    if header in (["vote"], ["ballots", "vote"]) and not options:
        found = BallotFile(kind="votes", options=["yes", "no"])
        for line, row in rows:
            found.add(line, partial(_vote, row, header))
        return found
    ranks = header[1:] if header and not header[0].isdigit() else header
    if not ranks or ranks != [str(n) for n in range(1, len(ranks) + 1)]:
        raise BadFile([(line, "The header is none of those that a CSV file of ballots may have.")])
    return _by_rank(header, len(ranks), options, list(rows))


def _rows(text: str) -> Rows:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadFile([(reader.line_num, f"The line is no CSV: {error}.")]) from None
        yield reader.line_num, [cell.strip() for cell in row]


def _same_length(row: list[str], header: Sequence[str]) -> None:
    if not any(row):
        raise ValueError("The line is blank.")
    if len(row) != len(header):
        raise ValueError(f"The line has {len(row)} cells, the header {len(header)}.")


def _vote(row: list[str], header: list[str]) -> tuple[Content, int]:
    _same_length(row, header)
    if row[-1] not in VOTES:
        raise ValueError("A vote is yes, no or abstain.")
    return VOTES[row[-1]], form.voters(row[0]) if len(row) > 1 else 1


def _by_option(line: int, header: list[str], rows: Rows) -> BallotFile:
    kind: Any = header[0]
    found = BallotFile(kind=kind, options=form.names(line, header[1:]))
    limits = {"ranks": (1, MOST_OPTIONS), "scores": (0, MAX_SCORE), "approvals": (0, 1)}[kind]

    def content(row: list[str]) -> tuple[object, int]:
        _same_length(row, header)
        voters = form.voters(row[0])
        given: dict[str, int] = {}
        for option, cell in zip(found.options, row[1:], strict=True):
            if not cell:
                continue
            if not re.fullmatch(r"[0-9]{1,6}", cell) or not limits[0] <= int(cell) <= limits[1]:
                raise ValueError(
                    f"“{cell[:40]}” is no whole number from {limits[0]} to {limits[1]}."
                )
            given[option] = int(cell)
        if kind == "scores":
            return given, voters
        if kind == "approvals":
            return [option for option, cell in given.items() if cell], voters
        levels = sorted(set(given.values()))
        if levels != list(range(1, len(levels) + 1)):
            raise ValueError("The ranks are not 1, 2, 3 and so on without a gap.")
        return [[option for option in given if given[option] == level] for level in levels], voters

    for number, row in rows:
        found.add(number, partial(content, row))
    return found


def _by_rank(
    header: list[str], ranks: int, options: list[str] | None, rows: list[tuple[int, list[str]]]
) -> BallotFile:
    found = BallotFile(kind="ranks", options=options or [])
    numbered = header[0] == "ballots"

    def content(row: list[str]) -> tuple[object, int]:
        _same_length(row, header)
        cells = row[-ranks:]
        tiers = [[name.strip() for name in cell.split("=")] for cell in cells if cell]
        if any(cells[len(tiers) :]):
            raise ValueError("A rank is empty, but a later one is not.")
        if options is None:
            named = dict.fromkeys(name for tier in tiers for name in tier)
            new = [name for name in named if name not in found.options]
            if len(found.options) + len(new) > ranks:
                raise ValueError(
                    f"With this line the file names more options than its {ranks} ranks; a line"
                    " before the header, options,…, says which there are."
                )
            found.options.extend(new)
        return tiers, form.voters(row[0]) if numbered else 1

    for number, row in rows:
        found.add(number, partial(content, row))
    return found
