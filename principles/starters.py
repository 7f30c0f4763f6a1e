"""Template constitutions to begin a draft from: the files of `starter_texts/`. No Django."""

import json
from functools import cache
from importlib import resources
from typing import Any

from governance.errors import BadInput

BLANK = "blank"
"""The key that asks for an empty draft, even where a version is in force."""

_ORDER = ("careful-helper", "library-assistant", "plain-neighbour")


@cache
def load() -> tuple[dict[str, Any], ...]:
    """Return the template constitutions, the one that suits most first.

    Returns:
        For each: key, title, summary (for whom it is), preamble, and principles as
        `Principle.content()` has them. Shared between callers, so do not change them.
    """
    folder = resources.files("principles.starter_texts")
    return tuple(
        json.loads(folder.joinpath(f"{key}.json").read_text(encoding="utf-8")) for key in _ORDER
    )


def starter(key: str) -> dict[str, Any]:
    """Return the template constitution with this key.

    Raises:
        BadInput: there is none.
    """
    for text in load():
        if text["key"] == key:
            return text
    raise BadInput(f"There is no template constitution called “{key}”.")
