"""The other side of `benchmarks.tally`: pref_voting, in the environment of peers."""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from pref_voting.c1_methods import copeland
from pref_voting.grade_methods import approval
from pref_voting.grade_profiles import GradeProfile
from pref_voting.iterative_methods import instant_runoff_put
from pref_voting.margin_based_methods import beat_path, minimax_support, ranked_pairs_tb
from pref_voting.profiles import Profile
from pref_voting.profiles_with_ties import ProfileWithTies
from pref_voting.scoring_methods import plurality

CANDIDATES = 35
METHODS = {
    "irv": lambda profile: instant_runoff_put(profile, score_method="split"),
    "schulze-wv": lambda profile: beat_path(profile, strength_function=profile.support),
    "schulze-margins": beat_path,
    "ranked-pairs": lambda profile: ranked_pairs_tb(profile, strength_function=profile.support),
    "minimax": minimax_support,
    "copeland": copeland,
}


def main(path: Path) -> None:
    """Count the ballots of a file, and print seconds and winners."""
    given = json.loads(path.read_text())
    seconds: dict[str, float] = {}
    winners: dict[str, list[int]] = {}
    Profile([[0, 1], [1, 0]], [1, 1]).margin(0, 1)  # Compiled before anything is measured.
    plurality(Profile([[0, 1], [1, 0]], [1, 1]))

    began = time.process_time()
    different = Counter(map(tuple, given["ballots"]))
    maps = [{candidate: place for place, candidate in enumerate(order)} for order in different]
    profile = ProfileWithTies(maps, list(different.values()), candidates=list(range(CANDIDATES)))
    profile.use_extended_strict_preference()
    seconds["profile"] = time.process_time() - began
    for name, method in METHODS.items():
        began = time.process_time()
        found = method(profile)
        seconds[name] = time.process_time() - began
        winners[name] = sorted(int(candidate) for candidate in found)
    began = time.process_time()
    approvals: list[Any] = [dict.fromkeys(order, 1) for order in different]
    grades = GradeProfile(
        approvals, [0, 1], gcounts=list(different.values()), candidates=list(range(CANDIDATES))
    )
    winners["approval"] = sorted(int(candidate) for candidate in approval(grades))
    seconds["approval"] = time.process_time() - began

    rankings = [[0, 1] if vote else [1, 0] for vote in given["votes"]]
    began = time.process_time()
    winners["yes_no"] = sorted(int(candidate) for candidate in plurality(Profile(rankings)))
    yes_no = time.process_time() - began
    print(
        json.dumps(
            {
                "election_seconds": sum(seconds.values()),
                "yes_no_seconds": yes_no,
                "methods": seconds,
                "winners": winners,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
