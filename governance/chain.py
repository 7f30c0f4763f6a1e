"""The hash chain of the audit trail. Pure: anyone can run it on an export."""

import hashlib
from collections.abc import Iterable, Mapping

from governance.canonical import canonical_json

GENESIS = "0" * 64


def event_hash(previous: str, event: Mapping[str, object]) -> str:
    """Hash one event onto the chain.

    Args:
        previous: hash of the event before, 64 hexadecimal digits; `GENESIS` for the first.
        event: the event's content, without hashes; canonical JSON must be able to hold it.

    Returns:
        sha256(previous ‖ canonical_json(event)) in hexadecimal, with `previous` as ASCII.
    """
    return hashlib.sha256(previous.encode("ascii") + canonical_json(event)).hexdigest()


def first_broken(events: Iterable[tuple[Mapping[str, object], str, str]]) -> int | None:
    """Find the first event of a whole trail that does not hold.

    Args:
        events: (content, previous hash, own hash) of each event, from the first on.

    Returns:
        The place of the first event whose number, link or hash is wrong, counted from 1;
        None where all hold.
    """
    previous = GENESIS
    for place, (event, linked, claimed) in enumerate(events, start=1):
        if event.get("seq") != place or linked != previous:
            return place
        if event_hash(previous, event) != claimed:
            return place
        previous = claimed
    return None
