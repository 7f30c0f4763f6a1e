"""The offline checker counts as the site does, though the two share no code."""

import random
from collections import Counter
from fractions import Fraction

import pytest

from governance import checker
from governance.canonical import canonical_json
from governance.delegation import resolve
from governance.methods.ballots import LARGEST_AMOUNT, RANKED, check
from governance.methods.counting import count
from governance.rules import METHODS, STATUS_QUO, Rule
from governance.tally import decide, tally_poll

POLLS = 150


def content(method, options, dice):
    """Return a ballot, blank ones and ties among them."""
    if method == "yes_no":
        return dice.choice(["yes", "no", "abstain"])
    chosen = dice.sample(options, dice.randint(0, len(options)))
    if method == "approval":
        return check(method, options, chosen)
    if method in RANKED:
        tiers = []
        while chosen:
            size = dice.choice([1, 1, 1, 2])
            tiers.append(chosen[:size])
            chosen = chosen[size:]
        return check(method, options, tiers)
    most, left, given = LARGEST_AMOUNT[method], 100, {}
    for option in chosen:
        given[option] = min(dice.choice([0, 1, 2, 4, 8, 9, 18, most]), most, left)
        left -= given[option] if method == "quadratic" else 0
    return check(method, options, given)


def some_rule(method, dice):
    """Return a rule of the method, the rest of it by chance."""
    secret = dice.random() < 0.2
    strict = dice.random() < 0.5
    return Rule(
        method=method,
        base=dice.choice(["decided", "cast", "eligible"]),
        threshold=Fraction(dice.randint(not strict, 6 - strict), 6),
        strict=strict,
        quorum=dice.choice(["none", "participation", "approval", "sqrt"]),
        quorum_share=Fraction(dice.randint(1, 4), 20),
        group_support=Fraction(0 if secret else dice.randint(0, 3), 4),
        ties=dice.choice(["seed", "report"]),
        verified_email=True,
        secrecy="secret" if secret else "roll_call",
    )


@pytest.mark.parametrize("method", METHODS)
def test_recount_agrees_with_the_sites_tally(method):
    dice = random.Random(method)
    outcomes = set()
    for _ in range(POLLS):
        rule = some_rule(method, dice)
        names = [f"o{dice.randrange(100)}-{n}" for n in range(dice.randint(1, 6))]
        options = [*names, STATUS_QUO] if rule.has_options else []
        plain = rule.secrecy == "secret"
        electorate = [
            [f"{n:032x}", 1 if plain else dice.randint(1, 3), "" if plain else dice.choice("AB")]
            for n in range(dice.choice([2, 5, 12, 30]))
        ]
        cast = [
            (content(method, options, dice), weight, group)
            for _, weight, group in electorate
            if dice.random() < 0.8
        ]
        seed = f"{dice.getrandbits(256):064x}"
        site = tally_poll(
            rule,
            ballots=cast,
            electorate=sum(weight for _, weight, _ in electorate),
            options=options,
            group_sizes=Counter(group for *_, group in electorate if group),
            seed=seed,
        ).to_dict()
        if site.get("count"):
            for key in ("ballots", "ranking", "steps"):
                del site["count"][key]
        found = checker.recount(rule.to_dict(), options, cast, electorate, seed)
        assert canonical_json({**found, "delegation": None}) == canonical_json(site)
        outcomes.add(site["outcome"])
    assert {"passed", "rejected", "no_quorum"} <= outcomes


@pytest.mark.parametrize(
    ("yes", "no", "rule", "outcome"),
    [
        (2, 1, {"threshold": Fraction(2, 3), "strict": False}, "passed"),
        (1, 1, {}, "rejected"),
        (1, 1, {"strict": False}, "passed"),
        (20, 9, {"quorum": "participation", "quorum_share": Fraction(3, 10)}, "no_quorum"),
        (20, 10, {"quorum": "participation", "quorum_share": Fraction(3, 10)}, "passed"),
        (14, 0, {"quorum": "sqrt"}, "no_quorum"),
        (15, 0, {"quorum": "sqrt"}, "passed"),
    ],
)
def test_recount_has_the_outcomes_worked_by_hand(yes, no, rule, outcome):
    rule = Rule(**{"quorum": "none", **rule})
    electorate = [[f"{n:032x}", 1, ""] for n in range(100)]
    cast = [("yes", 1, "")] * yes + [("no", 1, "")] * no
    found = checker.recount(rule.to_dict(), [], cast, electorate, "")

    assert found["outcome"] == outcome
    assert decide(rule, yes=yes, no=no, abstain=0, electorate=100).outcome == outcome


def winners(method, options, contents, seed=None):
    """Return who is elected, by the checker and by the site."""
    ballots = Counter(checker.amounts(method, options, each) for each in contents).items()
    found = checker.Count(ballots, options, seed or "").winners(method)
    site = count(method, options, [(each, 1) for each in contents], seed=seed)
    return found, list(site.winners), site


def test_tied_options_go_together_where_the_runoff_has_too_many_universes():
    options = [f"o{n}" for n in range(14)]
    contents = [[[option], [options[n - 1]]] for n, option in enumerate(options)]
    found, site, told = winners("irv", options, contents)

    assert not told.steps[0]["complete"]
    assert found == site == options


def test_ranked_pairs_fall_back_where_there_are_too_many_orders():
    dice = random.Random(3)
    options = [f"o{n:02}" for n in range(14)]
    contents = [[[o] for o in dice.sample(options, len(options))] for _ in range(3)]
    found, site, told = winners("ranked-pairs", options, contents)

    assert not told.steps[0]["complete"]
    assert found == site


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_seed_breaks_ties_as_on_the_site(method):
    dice = random.Random(f"ties {method}")
    options = [f"o{n}" for n in range(5)]
    for _ in range(40):
        contents = [content(method, options, dice) for _ in range(4)]
        found, site, _ = winners(method, options, contents, seed=f"{dice.getrandbits(64):x}")
        assert found == site
        assert len(found) == 1


def test_sums_of_roots_that_differ_by_little_are_told_apart():
    options = ["a", "b"]
    one = [{"a": 10}] * 3 + [{"a": 11}] * 2 + [{"b": 90}, {"b": 44}]  # 3√10 + 2√11 on both sides
    found, site, _ = winners("quadratic", options, one)
    assert found == site == ["a", "b"]

    nearly = [{"a": 24}] * 10 + [{"b": 26}] * 9 + [{"b": 9}]
    found, site, _ = winners("quadratic", options, nearly)
    assert found == site


@pytest.mark.parametrize(
    ("method", "wrong"),
    [
        ("yes_no", "maybe"),
        ("approval", ["a", "a"]),
        ("approval", ["x"]),
        ("score", {"a": 6}),
        ("score", {"a": -1}),
        ("score", {"a": True}),
        ("quadratic", {"a": 60, "b": 41}),
        ("weighted", {"x": 1}),
        ("irv", [["a"], ["a"]]),
        ("irv", [["x"]]),
    ],
)
def test_what_is_no_ballot_is_refused(method, wrong):
    with pytest.raises(AssertionError, match="a ballot that is none"):
        checker.amounts(method, ["a", "b", STATUS_QUO], wrong)


def test_delegations_are_delivered_as_on_the_site():
    dice = random.Random("delegation")
    for _ in range(POLLS * 4):
        names = [f"{n:02}" for n in range(dice.randint(1, 12))]
        weights = {name: dice.randint(1, 3) for name in names}
        direct = {name for name in names if dice.random() < 0.3}
        given = {
            name: dice.choice([*names, "zz"]) for name in [*names, "yy"] if dice.random() < 0.7
        }
        edges = {giver: taker for giver, taker in given.items() if giver != taker}
        cap = dice.choice([0, 0, 2, 4, 7])
        site = resolve(weights, direct, edges, cap)
        carrier, figures = checker.deliver(weights, direct, edges, cap)

        assert {name: to for name, to in carrier.items() if name not in direct} == site.carrier
        assert canonical_json(figures) == canonical_json(site.figures())
