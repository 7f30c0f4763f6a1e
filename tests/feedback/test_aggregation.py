"""Aggregation seeded with gold, and the judgements that rest on it."""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from feedback.aggregation import MalformedVotes, _Votes, aggregate, fit, read_rows
from feedback.anomalies import anomalies
from feedback.gold import accuracy, audit, injection_rate
from feedback.retirement import State, retire


def crowd(rights, items=200, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, items)
    votes = [
        (f"i{i}", f"a{a}", "yn"[truth[i] ^ (rng.random() > right)])
        for i in range(items)
        for a, right in enumerate(rights)
    ]
    return votes, {f"i{i}": "yn"[truth[i]] for i in range(items)}


def share_right(found, truth, without=()):
    asked = [item for item in truth if item not in without]
    hit = [max(found.posterior[i], key=found.posterior[i].get) == truth[i] for i in asked]
    return sum(hit) / len(hit)


def test_aggregate_turns_adversaries_round_by_gold():
    votes, truth = crowd([0.9, 0.2, 0.2, 0.2, 0.2])
    gold = dict(list(truth.items())[:40])
    found = aggregate(votes, gold)
    assert share_right(found, truth, gold) > 0.88
    assert found.annotators["a1"].reliability < 0.4


def test_aggregate_is_not_led_by_a_family_of_copies():
    votes, truth = crowd([0.85, 0.55])
    votes += [(i, f"copy{n}", label) for i, a, label in votes if a == "a1" for n in range(12)]
    gold = dict(list(truth.items())[:60])
    assert share_right(aggregate(votes, gold), truth, gold) > 0.8


def test_aggregate_without_gold_is_the_majority():
    votes, truth = crowd([0.7, 0.6, 0.6])
    found = aggregate(votes)
    assert found.method == "majority"
    for item in truth:
        labels = [label for one, _, label in votes if one == item]
        best = max(found.posterior[item], key=found.posterior[item].get)
        assert best == max("yn", key=labels.count)


def test_aggregate_takes_any_order_of_votes():
    votes, truth = crowd([0.8, 0.6, 0.4])
    gold = dict(list(truth.items())[:20])
    assert aggregate(votes, gold) == aggregate(votes[::-1], gold)


@pytest.mark.parametrize("votes", [[], [("i", "a", "x")], [("i", "a", "")]])
@pytest.mark.parametrize("gold", [{}, {"g": "x"}])
def test_aggregate_takes_next_to_nothing(votes, gold):
    for chances in aggregate(votes, gold).posterior.values():
        assert sum(chances.values()) == pytest.approx(1)


@pytest.mark.parametrize("unlabelled", [0.3, 1.0])
def test_fit_never_loses_log_posterior(unlabelled):
    rng = np.random.default_rng(2)
    votes = _Votes(*(rng.integers(0, n, 600) for n in (90, 12, 3)), 90, 12, 3)
    truth = np.where(np.arange(90) < 20, rng.integers(0, 3, 90), -1)
    _, trace = fit(votes, truth, unlabelled=unlabelled)
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(trace))


def test_the_program_reads_what_spreadsheets_write(tmp_path):
    (tmp_path / "v.csv").write_bytes(b"\xef\xbb\xbfitem,annotator,label\r\ni,a,1\r\nj,a,2\r\n")
    (tmp_path / "g.csv").write_bytes(b"item,label\r\ni,1\r\n")
    command = [sys.executable, "-m", "feedback.aggregation", "v.csv", "--gold", "g.csv", "--json"]
    root = __file__.rsplit("/tests/", 1)[0]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, check=True
    )
    assert json.loads(done.stdout)["posterior"]["i"] == {"1": 1.0, "2": 0.0}


@pytest.mark.parametrize("bad", ["i,a\n", ",a,1\n", "i,,1\n", 'i,"a,1\n'])
def test_read_rows_names_the_line(tmp_path, bad):
    (tmp_path / "v.csv").write_text("item,annotator,label\ni,b,1\n" + bad)
    with pytest.raises(MalformedVotes, match="Line 3"):
        read_rows(tmp_path / "v.csv", ("item", "annotator", "label"))


def test_accuracy_has_the_quantile_of_its_beta():
    assert accuracy(0, 0).low == pytest.approx(0.05, abs=1e-4)
    assert accuracy(1, 0).low == pytest.approx(0.05**0.5, abs=1e-4)


def test_accuracy_restricts_only_with_answers_enough():
    assert [accuracy(0, n).restrict for n in (7, 8)] == [False, True]


def test_injection_rate_decays():
    assert [injection_rate(n) for n in (0, 20, 100)] == [0.2, 0.05, 0.02]


def test_audit_suspects_the_gold_that_good_people_miss():
    gold = {f"g{n}": "y" for n in range(20)}
    votes = [(g, f"a{n}", "n" if g == "g3" else "y") for g in gold for n in range(9)]
    assert [one.item for one in audit(votes, gold)] == ["g3"]


def test_anomalies_names_the_one_who_votes_against_all():
    votes = [(f"i{n}", f"a{a}", "y" if a else "n") for n in range(30) for a in range(9)]
    assert [one.annotator for one in anomalies(votes)] == ["a0"]


def test_anomalies_leaves_people_who_agree_in_peace():
    votes, _ = crowd([0.8] * 10, items=60)
    assert anomalies(votes) == []


@pytest.mark.parametrize(
    ("sure", "labels", "state"),
    [
        (0.99, 1, State.OPEN),
        (0.99, 2, State.RETIRED),
        (0.6, 8, State.OPEN),
        (0.6, 9, State.CONTESTED),
        (0.93, 9, State.OPEN),
    ],
)
def test_retire_needs_certainty_or_lasting_doubt(sure, labels, state):
    assert retire({"a": sure, "b": 1 - sure}, labels).state is state
