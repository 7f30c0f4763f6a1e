"""Our methods beside published results: Snapshot's example votes, and elections of Debian.

Snapshot computes in floating point; our exact figures are rounded to it for the comparison.
"""

import json
from collections import Counter
from decimal import Decimal, localcontext
from fractions import Fraction
from math import gcd, lcm

import pytest

from governance.ballot_files import command
from governance.methods import roots
from governance.methods.ballots import RANKED, check
from governance.methods.counting import count


@pytest.fixture
def votes_of(data):
    """Return a file's option keys, its votes and the published scores."""

    def read(name):
        found = json.loads((data / "snapshot-votes" / f"{name}.json").read_text(encoding="utf-8"))
        keys = [str(n) for n in range(1, len(found["proposal"]["choices"]) + 1)]
        assert all(vote["balance"] == 1 for vote in found["votes"])
        return keys, [vote["choice"] for vote in found["votes"]], found["scores"]

    return read


def whole_parts(vote):
    """Write the parts of a vote, of which some are decimal, as whole numbers without a divisor."""
    exact = {option: Fraction(str(part)) for option, part in vote.items()}
    whole = lcm(*(part.denominator for part in exact.values()))
    divisor = gcd(*(int(part * whole) for part in exact.values()))
    return {option: int(part * whole) // divisor for option, part in exact.items()}


def totals(counted):
    return [next(iter(counted.steps))["totals"][option] for option in counted.options]


def test_single_choices_are_approvals_of_one(votes_of):
    keys, votes, published = votes_of("singleChoice")

    assert len(votes) == 759
    assert totals(count("approval", keys, [([str(vote)], 1) for vote in votes])) == published


def test_approvals(votes_of):
    keys, votes, published = votes_of("approval")
    ballots = [(check("approval", keys, [str(option) for option in vote]), 1) for vote in votes]

    assert len(votes) == 406
    assert totals(count("approval", keys, ballots)) == published


def test_ranked_choices_end_in_the_published_last_round(votes_of):
    keys, votes, published = votes_of("rankedChoice")
    ballots = [([[str(option)] for option in vote], 1) for vote in votes]

    counted = count("irv", keys, ballots)

    last = counted.steps[-1]
    assert len(votes) == 197
    assert [last["votes"].get(key, [0, 1])[0] for key in keys] == published
    assert counted.winners == ("1",)


def test_weighted_votes(votes_of):
    keys, votes, published = votes_of("weighted")
    ballots = [(check("weighted", keys, whole_parts(vote)), 1) for vote in votes]

    ours = [Fraction(int(n), int(d)) for n, d in totals(count("weighted", keys, ballots))]

    assert len(votes) == 543
    assert sum(ours) == 543
    assert [float(share) for share in ours] == pytest.approx(published, rel=1e-13)


def test_quadratic_votes(votes_of):
    """Snapshot's formula: (Σ √share)², scaled so that all options together have all votes.

    A share is c/C of one vote; √(c/C) = √(cC)/C, so a common denominator makes the sums ones of
    roots of whole numbers, as ours are.
    """
    keys, votes, published = votes_of("quadratic")
    votes = [whole_parts(vote) for vote in votes]
    common = lcm(*(sum(vote.values()) for vote in votes))
    terms = {key: Counter() for key in keys}
    for vote in votes:
        whole = sum(vote.values())
        for option, credits_spent in vote.items():
            terms[option][credits_spent * whole] += common // whole
    with localcontext() as context:
        context.prec = 50
        scale = 10**40
        sums = [Decimal(roots.floor(roots.root_sum(terms[key]), scale=scale)) for key in keys]
        squares = [found**2 for found in sums]
        ours = [float(square * len(votes) / sum(squares)) for square in squares]

    assert len(votes) == 394
    assert ours == pytest.approx(published, rel=1e-13)


@pytest.mark.parametrize("method", RANKED)
@pytest.mark.parametrize("year", ["6", "7"])
def test_debian_elected_stefano_zacchiroli_in_2010_and_2012(data, method, year):
    path = data / "ranked-ballots" / "preflib-debian" / f"00002-0000000{year}.toc"

    counted = command.count_file(command.read(path), method, None)

    assert counted.winners == ("Stefano Zacchiroli",)
    assert counted.weight == {"6": 436, "7": 403}[year]


def test_votekits_profile_of_portland_is_read_whole(data):
    found = command.read(data / "ranked-ballots" / "portland_2024_d1_cleaned_profile.csv")

    assert len(found.options) == 17
    assert sum(voters for _, voters in found.ballots) == 42_871
    for method in RANKED:
        assert len(command.count_file(found, method, None).winners) == 1


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("combo", [2, 3, 4, 7]),
        ("diff_cands", [3, 4]),
        ("diff_undervote", [2, 3, 4]),
        ("dup_ballots", [2, 3, 4]),
        ("dup_cands", [2, 3, 4]),
        ("malformed", [2]),
        ("mult_undervote", [5]),
        ("only_cols", [1]),
        ("scot_bad_metadata", [1]),
        ("scot_blank_rows", [1]),
        ("scot_candidate_overcount", [1]),
        ("scot_candidate_undercount", [1]),
    ],
)
def test_malformed_files_are_refused_whole_with_their_lines(data, name, lines, capsys):
    path = data / "ranked-ballots" / "edge-cases" / f"{name}.csv"

    assert command.main([str(path), "--method", "irv", "--json"]) == 2

    told = capsys.readouterr()
    assert told.out == ""
    assert [int(one.split(" line ")[1].split(":")[0]) for one in told.err.splitlines()] == lines
