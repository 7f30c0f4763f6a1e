"""VoteKit's CSV of a rank profile (https://votekit.readthedocs.io): its ballots name labels."""

import re
from functools import partial

from governance.ballot_files import form
from governance.ballot_files.form import BadFile, BallotFile, Rows

_TITLES = {0: "Candidates", 2: "Max Ranking Length", 4: "Includes Voter Set"}
_SET = re.compile(r"\{'[^']+'(?:, '[^']+')*\}")


def read(rows: Rows) -> BallotFile:
    """Read what follows the first line."""
    header = [next(rows, (1, [])) for _ in range(8)]
    for place, title in _TITLES.items():
        line, row = header[place]
        if row != [title]:
            raise BadFile([(line, f"The line is not {title}.")])
    labels = _labels(*header[1])
    line, columns = header[7]
    ranks = sum(column.startswith("Ranking_") for column in columns)
    if header[3][1] != [str(ranks)]:
        raise BadFile([(line, "The number of ranks is not the one stated above.")])
    found = BallotFile(kind="ranks", options=list(labels.values()))
    for number, row in rows:
        found.add(number, partial(_ballot, row, ranks, labels))
    return found


def _labels(line: int, row: list[str]) -> dict[str, str]:
    pairs = [re.fullmatch(r"\((.+):([^:']+)\)", cell) for cell in row]
    labels = {pair[2]: pair[1] for pair in pairs if pair}
    if len(labels) < len(row):
        raise BadFile([(line, "A candidate is not (name:label), or a label is there twice.")])
    form.names(line, list(labels.values()))
    return labels


def _ballot(row: list[str], ranks: int, labels: dict[str, str]) -> tuple[list[list[str]], int]:
    if len(row) < ranks + 3 or row[ranks] != "&" or row[ranks + 2] != "&":
        raise ValueError(f"The line is not {ranks} ranks and a weight.")
    cells = [cell for cell in row[:ranks] if cell]
    if any(row[len(cells) : ranks]):
        raise ValueError("A rank is empty, but a later one is not.")
    if not all(_SET.fullmatch(cell) for cell in cells):
        raise ValueError("A rank is not a set of labels, as in {'1', '2'}.")
    tiers = [re.findall(r"'([^']+)'", cell) for cell in cells]
    for label in (label for tier in tiers for label in tier):
        if label not in labels:
            raise ValueError(f"There is no candidate with the label {label[:12]}.")
    number = form.voters(re.sub(r"\.0+$", "", row[ranks + 1]))
    return [[labels[label] for label in tier] for tier in tiers], number
