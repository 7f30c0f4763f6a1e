"""PrefLib's files of orders (https://preflib.org/format).

The name's ending says which orders: strict or with ties (its first letter), complete or incomplete
(its last). What a file states about itself has to be true.
"""

import re
from collections.abc import Callable

from governance.ballot_files import form
from governance.ballot_files.form import BadFile, BallotFile
from governance.methods.ballots import Tiers

_ITEM = r"(?:[0-9]+|\{\s*[0-9]+(?:\s*,\s*[0-9]+)*\s*\})"
_ORDER = re.compile(rf"([0-9]+)\s*:\s*({_ITEM}(?:\s*,\s*{_ITEM})*)\s*")


def read(text: str, suffix: str) -> BallotFile:
    """Read a `.soc`, `.soi`, `.toc` or `.toi`; the suffix says which."""
    header: dict[str, tuple[int, str]] = {}
    body: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        key, _, value = line.removeprefix("#").partition(":")
        if line.startswith("#"):
            header[key.strip()] = (number, value.strip())
        else:
            body.append((number, line.strip()))
    names = _alternatives(header)
    line_number, kind = header.get("DATA TYPE", (1, suffix[1:]))
    if f".{kind}" != suffix:
        raise BadFile([(line_number, f"The data type is not that of a {suffix} file.")])
    found = BallotFile(kind="ranks", options=names)
    for number, line in body:
        found.add(number, _order(line, names, suffix))
    if not found.problems:
        _compare(header, "NUMBER VOTERS", sum(number for _, number in found.ballots))
        _compare(header, "NUMBER UNIQUE ORDERS", len(found.ballots))
    return found


def _alternatives(header: dict[str, tuple[int, str]]) -> list[str]:
    title = "ALTERNATIVE NAME "
    named = {key.removeprefix(title): at for key, at in header.items() if key.startswith(title)}
    _compare(header, "NUMBER ALTERNATIVES", len(named))
    line = header["NUMBER ALTERNATIVES"][0]
    numbers = [str(number) for number in range(1, len(named) + 1)]
    if set(numbers) != set(named):
        raise BadFile([(line, f"The alternatives are not numbered from 1 to {len(named)}.")])
    return form.names(line, [named[number][1] for number in numbers])


def _compare(header: dict[str, tuple[int, str]], key: str, counted: int) -> None:
    line, stated = header.get(key, (1, ""))
    if stated != str(counted):
        raise BadFile([(line, f"The header's {key.lower()} is not {counted}, as counted.")])


def _order(line: str, names: list[str], suffix: str) -> Callable[[], tuple[Tiers, int]]:
    def read() -> tuple[Tiers, int]:
        match = _ORDER.fullmatch(line)
        if not match:
            raise ValueError("The line is not a number of voters and an order, as in 3: 1,{2,3}.")
        tiers = [re.findall(r"[0-9]+", item) for item in re.findall(_ITEM, match[2])]
        numbers = [number for tier in tiers for number in tier]
        for number in numbers:
            if len(number) > len(str(len(names))) or not 1 <= int(number) <= len(names):
                raise ValueError(f"There is no alternative {number[:12]}.")
        if suffix[1] == "s" and "{" in line:
            raise ValueError(f"A {suffix} file has no ties.")
        if suffix[3] == "c" and len(set(numbers)) < len(names):
            raise ValueError(f"A {suffix} file ranks every alternative.")
        return [[names[int(number) - 1] for number in tier] for tier in tiers], form.voters(
            match[1]
        )

    return read
