"""What a file of ballots holds, in one form for every format."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from governance.methods.ballots import Content, check
from governance.methods.profile import MOST_OPTIONS

Kind: TypeAlias = Literal["ranks", "scores", "approvals", "votes"]
Rows: TypeAlias = Iterator[tuple[int, list[str]]]

LONGEST_NAME = 200
CHECKED_AS: dict[Kind, str] = {
    "ranks": "irv",
    "scores": "score",
    "approvals": "approval",
    "votes": "approval",
}


class BadFile(Exception):
    """A file is not as it should be.

    Attributes:
        problems: for each bad line its number and a sentence.
    """

    def __init__(self, problems: Sequence[tuple[int, str]]) -> None:
        super().__init__(f"{len(problems)} bad lines")
        self.problems = list(problems)


@dataclass(kw_only=True)
class BallotFile:
    """What a file holds, or what is wrong with it.

    Attributes:
        kind: what its ballots are.
        options: their names, in the file's order.
        ballots: different contents, each with the number of voters who cast it.
        problems: for each bad line its number and a sentence.
    """

    kind: Kind
    options: list[str]
    ballots: list[tuple[Content, int]] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, read: Callable[[], tuple[object, int]]) -> None:
        """Add the ballot of one line, or what is wrong with it."""
        try:
            content, number = read()
            self.ballots.append((check(CHECKED_AS[self.kind], self.options, content), number))
        except ValueError as error:
            self.problems.append((line, str(error)))


def voters(text: str) -> int:
    """Read how many voters cast a ballot.

    Raises:
        ValueError: it is no whole number from 1 up.
    """
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) == 0:
        raise ValueError(f"“{text[:40]}” is no number of voters.")
    return int(text)


def names(line: int, given: list[str]) -> list[str]:
    """Check the names of options.

    Raises:
        BadFile: one is empty, too long or repeated, or there are too many or none.
    """
    if not 0 < len(given) <= MOST_OPTIONS:
        raise BadFile([(line, f"A file names from 1 to {MOST_OPTIONS} options.")])
    for name, times in Counter(given).items():
        if times > 1:
            raise BadFile([(line, f"Two options are called “{name[:80]}”.")])
        if not 0 < len(name) <= LONGEST_NAME:
            raise BadFile([(line, f"An option's name has from 1 to {LONGEST_NAME} characters.")])
    return given
