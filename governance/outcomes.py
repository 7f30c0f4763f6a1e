"""Poll kinds: how an app above governance learns that one of its polls has closed.

The one inversion in the house. A higher app registers its kind in `AppConfig.ready`; governance
calls `on_close` inside the transaction that closes the poll, so both happen or neither does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from governance.models import Poll


def _nothing(poll: "Poll") -> None:
    """A plain question has no consequence in the software."""


def _no_rows(poll_id: int) -> None:
    """A plain question has no rows of its own to lock."""


def _no_page(poll: "Poll") -> str:  # noqa: ARG001 - the signature is the contract
    return ""


@dataclass(frozen=True)
class PollKind:
    """What governance needs to know of a kind of poll.

    Attributes:
        name: stored in `Poll.kind`.
        label: for people.
        on_close: called with the closed poll (its outcome is set), in its transaction.
        on_withdraw: called with the withdrawn poll, in its transaction: gives back what was put
            to the vote.
        lock_subject: called with the poll's key before the poll is locked, in the same
            transaction: locks the rows that `on_close` will write, since locks go from the higher
            app to the lower, and the trail's comes last. Harmless to leave out where no other
            verb locks them.
        takes_options: whether such a poll may choose among options; else it is yes or no.
        subject_url: the page of what is decided, or "" where there is none.
    """

    name: str
    label: str
    on_close: Callable[["Poll"], None] = _nothing
    on_withdraw: Callable[["Poll"], None] = _nothing
    lock_subject: Callable[[int], None] = _no_rows
    takes_options: bool = False
    subject_url: Callable[["Poll"], str] = _no_page


_kinds: dict[str, PollKind] = {}


def register(kind: PollKind) -> None:
    """Make a kind known; the same kind twice is a bug of the start-up.

    Raises:
        ValueError: another kind has this name.
    """
    if _kinds.setdefault(kind.name, kind) != kind:
        raise ValueError(f"The poll kind {kind.name} is registered twice.")


def kind_of(poll: "Poll") -> PollKind:
    """Return the kind of a poll.

    Raises:
        KeyError: no app registered it.
    """
    return _kinds[poll.kind]


def kind_named(name: str) -> PollKind:
    """Return the kind of this name.

    Raises:
        KeyError: no app registered it.
    """
    return _kinds[name]


def kinds() -> list[PollKind]:
    """Return every kind that is known, by its label."""
    return sorted(_kinds.values(), key=lambda kind: kind.label)
