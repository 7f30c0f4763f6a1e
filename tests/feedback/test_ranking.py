"""Bradley-Terry: published answers, gradients, ties, order, and who is reliable."""

import numpy as np
import pytest

from feedback.ranking import Comparisons, objective, rank

CITED = {  # Stigler 1994: cited journal, then citing journals.
    "Biometrika": {"Comm": 730, "JASA": 498, "JRSS-B": 221},
    "Comm": {"Biometrika": 33, "JASA": 68, "JRSS-B": 17},
    "JASA": {"Biometrika": 320, "Comm": 813, "JRSS-B": 142},
    "JRSS-B": {"Biometrika": 284, "Comm": 276, "JASA": 325},
}
TEAMS = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
HOME = """
 -  43 42 43 61 42 60
33  -  42 43 60 61 43
25 43  -  24 43 42 60
33 51 25  -  43 42 61
51 25 33 42  -  52 60
25 33 34 43 42  -  24
25 15 16 24 16 34  -
"""  # Agresti 2002, table 10.11: games won and lost at home, by visitor.


def baseball() -> list[tuple[str, str, str, float]]:
    games = []
    for home, line in zip(TEAMS, HOME.split("\n")[1:], strict=False):
        for away, cell in zip(TEAMS, line.split(), strict=True):
            if cell != "-":
                games += [(home, away, "", 1.0)] * int(cell[0])
                games += [(home, away, "", 0.0)] * int(cell[1])
    return games


def test_rank_finds_the_published_strengths_of_journals():
    votes = [
        (one, two, "", 1.0)
        for one, row in CITED.items()
        for two, n in row.items()
        for _ in range(n)
    ]
    found = rank(votes, order=False, ridge=1e-9).strengths
    shown = [found[name] - found["Biometrika"] for name in ("Comm", "JASA", "JRSS-B")]
    assert shown == pytest.approx([-2.94907, -0.47957, 0.26895], abs=1e-5)


def test_rank_finds_the_published_order_effect():
    found = rank(baseball(), ridge=1e-9)
    assert found.converged
    assert found.order == pytest.approx(0.3023, abs=5e-5)
    above = {name: found.strengths[name] - found.strengths["Baltimore"] for name in TEAMS}
    assert above["Detroit"] == pytest.approx(1.4754, abs=5e-5)


@pytest.mark.parametrize("annotators", [0, 3])
def test_objective_has_the_gradient_of_finite_differences(annotators):
    rng = np.random.default_rng(4)
    first = rng.integers(0, 5, 80)
    given = Comparisons(
        first,
        (first + rng.integers(1, 5, 80)) % 5,
        rng.integers(0, 3, 80),
        rng.choice([0.0, 0.5, 1.0], 80),
        rng.integers(1, 4, 80).astype(float),
        5,
        annotators,
        order=True,
        ridge=0.1,
    )
    at = rng.normal(size=6 + annotators)
    near = [
        (objective(at + e, given)[0] - objective(at - e, given)[0]) / 2e-6
        for e in np.eye(len(at)) * 1e-6
    ]
    assert objective(at, given)[1] == pytest.approx(near, abs=1e-5)


def test_rank_tells_the_reliable_from_those_who_mean_the_opposite():
    rng = np.random.default_rng(1)
    strength = rng.normal(size=12) * 2
    votes = []
    for _ in range(1500):
        one, two = rng.choice(12, 2, replace=False)
        who = int(rng.integers(10))
        won = rng.random() < 1 / (1 + np.exp(strength[two] - strength[one]))
        votes.append((str(one), str(two), str(who), float(won != (who >= 8))))
    eta = rank(votes, reliability=True).reliability
    assert max(eta["8"], eta["9"]) < 0.5 < min(eta[str(who)] for who in range(8))


def test_rank_takes_a_tie_as_half_a_win():
    tied = rank([("a", "b", "", 0.5)] * 2)
    split = rank([("a", "b", "", 1.0), ("a", "b", "", 0.0)])
    assert tied.strengths == pytest.approx(split.strengths)


@pytest.mark.parametrize("votes", [[], [("a", "a", "", 1.0)], [("a", "b", "", 2.0)]])
def test_rank_refuses_what_is_no_comparison(votes):
    with pytest.raises(ValueError, match=r"comparison"):
        rank(votes)
