"""Counting: our methods beside pref_voting's, on the same ballots, in one run.

Seconds are processor time of the whole process: what one idle core would take, whatever else runs
on the machine meanwhile.

The election has the size of Minneapolis 2013 (80,000 ballots, 35 candidates, three ranks). Its
ballots are drawn from a mixture of five Plackett-Luce models, since in impartial culture no two
voters would have anything in common: each bloc has utilities of its own around a common decline,
every voter adds Gumbel noise, ranks by the sum, and fills in one, two or three ranks. The seed is
fixed; about 28,000 ballots are different.

Ours: grouping equal ballots once, then for each of seven methods all that `count` gives, arrays
and figures included. Theirs: making the profile once, then the winners alone, by the same seven
(ranked pairs with a fixed tie-break, since theirs without one tries every order). Both sides have
to elect the same. Then a million yes/no ballots: our `tally_poll` beside plurality of two.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from config.install import bench_python
from governance.methods.counting import count
from governance.rules import Rule
from governance.tally import tally_poll

SEED = 20131105
VOTERS, CANDIDATES, BLOCS, RANKS = 80_000, 35, 5, 3
YES_NO = 1_000_000
METHODS = (
    "irv",
    "schulze-wv",
    "schulze-margins",
    "ranked-pairs",
    "minimax",
    "copeland",
    "approval",
)
TARGETS = {"election_seconds": 2.0, "yes_no_seconds": 1.0}


def election() -> list[list[int]]:
    """Draw the ballots: each the numbers of the candidates that it ranks, best first."""
    rng = np.random.default_rng(SEED)
    utilities = rng.normal(size=(BLOCS, CANDIDATES)) * 0.6 - np.linspace(0, 1, CANDIDATES)
    voters = utilities[rng.integers(BLOCS, size=VOTERS)] + rng.gumbel(size=(VOTERS, CANDIDATES))
    orders = np.argsort(-voters, axis=1)[:, :RANKS]
    lengths = rng.choice([1, 2, 3], p=[0.15, 0.15, 0.7], size=VOTERS)
    return [order[:length] for order, length in zip(orders.tolist(), lengths.tolist(), strict=True)]


def yes_no() -> list[bool]:
    """Draw the votes between yes and no."""
    drawn = np.random.default_rng(SEED).random(YES_NO) < 0.51  # noqa: PLR2004 - a close poll
    return [bool(vote) for vote in drawn]


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time that some work took, and what it gave."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


def ours(ballots: list[list[int]], votes: list[bool]) -> dict[str, Any]:
    """Count with our methods."""
    names = [f"c{number:02}" for number in range(CANDIDATES)]

    def grouped() -> tuple[list[Any], list[Any]]:
        different = Counter(map(tuple, ballots))
        ranked = [([[names[c]] for c in order], weight) for order, weight in different.items()]
        return ranked, [([names[c] for c in order], weight) for order, weight in different.items()]

    seconds = {}
    seconds["grouping"], (ranked, approved) = timed(grouped)
    winners = {}
    for method in METHODS:
        given = approved if method == "approval" else ranked
        seconds[method], found = timed(
            lambda method=method, given=given: count(method, names, given)
        )
        winners[method] = [names.index(option) for option in found.winners]
    words = ["yes" if vote else "no" for vote in votes]
    yes_no_seconds, tally = timed(
        lambda: tally_poll(Rule(), ballots=((w, 1, "") for w in words), electorate=YES_NO)
    )
    return {
        "different_ballots": len(ranked),
        "election_seconds": sum(seconds.values()),
        "yes_no_seconds": yes_no_seconds,
        "methods": seconds,
        "winners": {**winners, "yes_no": [0 if tally.passed else 1]},
    }


def peer(python: Path, given: Path) -> dict[str, Any]:
    """Count with pref_voting."""
    done = subprocess.run(
        [python, "-m", "benchmarks._pref_voting_tally", given],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def median(rounds: list[dict[str, Any]], key: str) -> float:
    """Return the median of one figure."""
    return sorted(one[key] for one in rounds)[len(rounds) // 2]


def say(text: str) -> None:
    """Print progress where it does not disturb the figures."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure both sides in turn, and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    python = bench_python()
    sides: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as name:
        given = Path(name) / "ballots.json"
        ballots, votes = election(), yes_no()
        given.write_text(json.dumps({"ballots": ballots, "votes": votes}))
        for turn in range(rounds):
            for side, run in (
                ("ours", lambda: ours(ballots, votes)),
                ("peer", lambda: peer(python, given)),
            ):
                found = run()
                sides[side].append(found)
                shown = {key: round(value, 3) for key, value in found["methods"].items()}
                say(f"round {turn + 1}, {side}: {shown}, yes/no {found['yes_no_seconds']:.3f}")
    agree = all(one["winners"] == two["winners"] for one, two in zip(*sides.values(), strict=True))
    medians: dict[str, dict[str, Any]] = {
        side: {
            **{key: round(median(found, key), 3) for key in TARGETS},
            "methods": {
                key: round(median([one["methods"] for one in found], key), 3)
                for key in found[0]["methods"]
            },
        }
        for side, found in sides.items()
    }
    print(
        json.dumps(
            {
                "bench": "tally",
                **medians,
                "ratio": {
                    key: round(medians["peer"][key] / medians["ours"][key], 1) for key in TARGETS
                },
                "ballots": VOTERS,
                "different_ballots": sides["ours"][0]["different_ballots"],
                "rounds": rounds,
                "targets": {**TARGETS, "same_winners": True},
                "met": {
                    **{key: medians["ours"][key] <= limit for key, limit in TARGETS.items()},
                    "same_winners": agree,
                },
            }
        )
    )


if __name__ == "__main__":
    main()
