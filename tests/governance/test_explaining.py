from fractions import Fraction
from hashlib import sha256

import pytest

from governance.explaining import explain, outcome_sentence, tied_first, written_amount
from governance.methods.ballots import CREDITS, METHODS, RANKED
from governance.results import marks, result_of
from governance.rules import METHOD_NAMES, STATUS_QUO, Rule
from governance.tally import tally_poll

TITLES = {"tea": "Tea", "coffee": "Coffee", "milk": "Milk", STATUS_QUO: "Status quo"}
OPTIONS = [{"key": key, "title": title, "text": ""} for key, title in TITLES.items()]
CYCLE = [
    ([["tea"], ["coffee"], ["milk"]], 4),
    ([["coffee"], ["milk"], ["tea"]], 3),
    ([["milk"], ["tea"], ["coffee"]], 2),
]


def rule(method, **parts):
    return Rule(method=method, verified_email=method == "quadratic", **{"quorum": "none", **parts})


def counted(rule, ballots, *, electorate=20, seed="a seed"):
    cast = [(content, 1, "") for content, times in ballots for _ in range(times)]
    result = tally_poll(rule, ballots=cast, electorate=electorate, options=list(TITLES), seed=seed)
    return result.to_dict()


def ballot(method, order):
    """Say the same order in the words of a method."""
    if method in RANKED:
        return [[key] for key in order]
    if method == "approval":
        return list(order[:2])
    top = {"quadratic": CREDITS // 4}.get(method, 5)
    return {key: max(top - 2 * place, 0) for place, key in enumerate(order)}


def why(rule, tally):
    return " ".join(explain(rule, tally, TITLES))


@pytest.mark.parametrize("method", METHODS)
def test_explain_says_who_won_and_by_what_for_every_method(method):
    by = rule(method)
    ballots = [(ballot(method, ["tea", "coffee", "milk"]), 7)]
    ballots += [(ballot(method, ["coffee", "tea", "milk"]), 3)]
    tally = counted(by, ballots)

    said = why(by, tally)

    first = {"approval": "“Tea” and “Coffee” have the most approvals: 10 each."}
    assert outcome_sentence(by, tally, TITLES).removesuffix(" won.") in {"“Tea”", "“Coffee”"}
    assert f"stood against the status quo, and {METHOD_NAMES[method]} decided." in said
    assert first.get(method, "“Tea”") in said


@pytest.mark.parametrize("method", METHODS)
def test_explain_never_shows_a_key_or_a_name_of_the_program(method):
    by = rule(method)
    tally = counted(by, [(ballot(method, ["tea", "coffee", "milk"]), 7)])

    said = why(by, tally)

    assert STATUS_QUO not in said
    assert "_" not in said
    assert not any(sentence[0].islower() for sentence in explain(by, tally, TITLES))


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("irv", "Round 1: the status quo has the fewest votes, 0, and goes."),
        ("irv", "Round 2: “Milk” has the fewest votes, 2, and goes."),
        ("irv", "“Tea” is left."),
        ("schulze-wv", "No option beats every other, so chains of victories are compared"),
        (
            "schulze-wv",
            (
                "From “Tea” to “Milk” the strongest chain has 6 (“Tea” over “Coffee” over “Milk”), "
                "and back 5."
            ),
        ),
        (
            "ranked-pairs",
            (
                "“Milk” beats “Tea” by 5 votes, but that is skipped: stronger victories put "
                "“Tea” above it."
            ),
        ),
        ("minimax", "That of “Tea” is the mildest: 5 votes, for “Milk”."),
        ("copeland", "“Milk” wins 2 duels, loses 1 and draws 0: the best records, equally good."),
        ("copeland", "“Tea”, “Coffee” and “Milk” were tied."),
    ],
)
def test_explain_tells_how_a_cycle_was_broken(method, words):
    by = rule(method)
    assert words in why(by, counted(by, CYCLE))


def test_explain_names_the_duels_of_a_winner_who_beats_everyone():
    by = rule("schulze-wv")
    tally = counted(by, [([["tea"], ["coffee"]], 6), ([["coffee"], ["tea"]], 4)])

    assert (
        "“Tea” beats every other option in a duel; the closest is against “Coffee”, 6 to 4."
        in why(by, tally)
    )


def test_explain_follows_the_ways_of_a_tied_round():
    by = rule("irv", ties="report")
    ballots = [([["tea"]], 4), ([["coffee"]], 3), ([["milk"]], 3)]

    said = why(by, counted(by, ballots))

    assert "ways, and they elect" in said
    assert "tied with others" in said


@pytest.mark.parametrize("method", METHODS)
def test_explain_says_that_the_status_quo_won(method):
    by = rule(method, threshold=Fraction(1, 3), strict=False)
    ballots = [(ballot(method, [STATUS_QUO, "tea", "coffee"]), 6)]
    ballots += [(ballot(method, ["tea", "coffee", STATUS_QUO]), 4)]
    if method == "approval":
        ballots = [([STATUS_QUO], 6), (["tea", "coffee"], 4)]
    elif method not in RANKED:
        ballots = [({STATUS_QUO: 5, "tea": 1}, 6), ({"tea": 5, STATUS_QUO: 4}, 4)]
    tally = counted(by, ballots)

    assert tally["winners"] == [STATUS_QUO]
    assert outcome_sentence(by, tally, TITLES) == "The status quo won: nothing changes."
    assert why(by, tally).endswith("So the status quo wins, and nothing changes.")


@pytest.mark.parametrize("method", METHODS)
def test_explain_says_which_options_were_tied_and_what_broke_it(method):
    by = rule(method)
    ballots = [(ballot(method, ["tea", "coffee"]), 5), (ballot(method, ["coffee", "tea"]), 5)]
    tally = counted(by, ballots)
    reported = counted(rule(method, ties="report"), ballots, seed=None)

    winner = TITLES[tally["winners"][0]]
    if method != "ranked-pairs":  # breaks ties while it settles victories
        assert (
            "“Tea” and “Coffee” were tied. The number committed when the poll opened puts "
            f"“{winner}” first." in why(by, tally)
        )
        assert tied_first(tally["count"]) == ["tea", "coffee"]
    assert "“Tea” and “Coffee” are tied, and the rule reports ties." in why(
        rule(method, ties="report"), reported
    )
    assert (
        outcome_sentence(rule(method, ties="report"), reported, TITLES)
        == "“Tea” and “Coffee” are tied, and the rule breaks no ties."
    )


@pytest.mark.parametrize("method", METHODS)
def test_explain_says_what_missed_the_quorum(method):
    by = rule(method, quorum="approval", quorum_share=Fraction(1, 2))
    tally = counted(by, [(ballot(method, ["tea", "coffee"]), 4)])

    said = why(by, tally)

    assert outcome_sentence(by, tally, TITLES) == (
        "Nothing was decided: no option reached the quorum."
    )
    assert "4 votes were for it, and the quorum asked for 10" in said
    assert said.endswith("Where no option reaches the quorum, nothing is counted further.")


def test_explain_says_why_nothing_was_acceptable():
    by = rule("irv", threshold=Fraction(2, 3))
    tally = counted(by, [([["tea"], [STATUS_QUO]], 5), ([[STATUS_QUO], ["tea"]], 5)])

    said = why(by, tally)

    assert "“Tea” could not win: 5 put it above the status quo, and 7 were needed." in said
    assert said.endswith("Since no option could win, the status quo stays.")
    assert outcome_sentence(by, tally, TITLES) == "No option was acceptable: nothing changes."


@pytest.mark.parametrize(
    ("counts", "parts", "outcome", "words"),
    [
        ((6, 3, 1), {}, "It passed.", "Of 9 votes of yes or no, 6 said yes (66.67 %), and 5"),
        ((4, 5, 0), {}, "It was rejected.", "that was not enough"),
        ((0, 0, 6), {"quorum": "none"}, "It was rejected.", "Nobody said yes or no"),
        (
            (3, 0, 0),
            {"quorum": "approval", "quorum_share": Fraction(1, 2)},
            "It failed: the quorum was not reached.",
            "cast, 3 said yes (15.00 %), and the quorum asked for 10: it was not reached.",
        ),
        (
            (6, 3, 1),
            {"quorum": "participation", "quorum_share": Fraction(1, 2)},
            "It passed.",
            "10 were cast (50.00 %), and the quorum asked for 10: it was reached.",
        ),
    ],
)
def test_explain_tells_of_yes_and_no(counts, parts, outcome, words):
    by = Rule(**{"quorum": "none", **parts})
    ballots = list(zip(["yes", "no", "abstain"], counts, strict=True))
    cast = [(content, 1, "") for content, times in ballots for _ in range(times)]
    tally = tally_poll(by, ballots=cast, electorate=20).to_dict()

    assert outcome_sentence(by, tally, {}) == outcome
    assert words in " ".join(explain(by, tally, {}))


def test_explain_tells_of_opinion_groups():
    by = Rule(quorum="none", group_support=Fraction(1, 2))
    cast = [("yes", 1, "reeds")] * 9 + [("no", 1, "stones")] * 6 + [("no", 1, "few")] * 2
    tally = tally_poll(
        by, ballots=cast, electorate=20, group_sizes={"reeds": 9, "stones": 7, "few": 2}
    ).to_dict()

    said = explain(by, tally, {})

    assert outcome_sentence(by, tally, {}) == "It was rejected."
    assert said[-1] == (
        "In the opinion group “stones” 0 of 6 were for it (1/2 were asked for: not reached)."
    )
    assert "“few” 0 of 2 were for it (fewer than 5 decided, so it blocks nothing)" in said[1]


@pytest.mark.parametrize(
    ("given", "text"),
    [(12, "12"), ([25, 2], "12.5"), ([37, 3], "37/3"), ("9007199254740993", "9007199254740993")],
)
def test_written_amount_is_exact(given, text):
    assert written_amount(given) == text


# --- what the page shows --------------------------------------------------------------------------


def test_marks_are_letters_and_go_on_after_z():
    options = [{"key": f"o{number}", "title": ""} for number in range(28)]
    given = marks([*options, OPTIONS[-1]])

    assert [given["o0"], given["o25"], given["o26"], given["o27"]] == ["A", "Z", "AA", "AB"]
    assert given[STATUS_QUO] == "SQ"


@pytest.mark.parametrize("method", METHODS)
def test_result_of_lays_out_what_the_tally_holds(method):
    by = rule(method)
    tally = counted(by, [(ballot(method, ["tea", "coffee", "milk"]), 7)])

    shown = result_of(by, tally, OPTIONS)

    assert [option["mark"] for option in shown["options"]] == ["A", "B", "C"]
    assert [one["key"] for one in shown["winners"]] == tally["winners"]
    for row in shown["matrix"]["rows"]:
        for head, cell in zip(shown["matrix"]["heads"], row["cells"], strict=True):
            if cell["state"] != "self":
                assert cell["votes"] == tally["count"]["pairwise"][row["key"]][head["key"]]
    expected = {
        "irv": [],
        "star": ["totals", "runoffs"],
        "schulze-wv": ["paths"],
        "schulze-margins": ["paths"],
        "ranked-pairs": ["pairs"],
        "minimax": ["defeats"],
        "copeland": ["records"],
    }.get(method, ["totals"])
    assert [table["name"] for table in shown["tables"]] == expected
    assert ("rounds" in shown) is (method == "irv")
    for table in shown["tables"]:
        assert all(len(row) == len(table["heads"]) for row in table["rows"])


def test_result_of_tells_how_the_lot_was_drawn():
    by = rule("copeland")
    tally = counted(by, CYCLE)

    ties = result_of(by, tally, OPTIONS)["ties"]

    assert [option["key"] for option in ties["tied"]] == ["tea", "coffee", "milk"]
    assert [option["key"] for option in ties["order"]] == tally["count"]["tie_break"]
    assert ties["keys"] == ["coffee", "milk", STATUS_QUO, "tea"]
    draw = ties["draws"][0]
    assert draw["weight"] == 9
    assert draw["ticket"] == int(sha256(b"a seed:draw 0").hexdigest(), 16) % 9
    # The three orders as lists of places, sorted: coffee's 3 votes, tea's 4, milk's 2.
    coffee, tea, milk = CYCLE[1], CYCLE[0], CYCLE[2]
    first = [content for content, votes in (coffee, tea, milk) for _ in range(votes)]
    drawn = [[option["key"] for option in tier] for tier in draw["tiers"]]
    assert drawn == [*first[draw["ticket"]], [STATUS_QUO]]


def test_result_of_tells_of_no_lot_where_ties_are_reported():
    by = rule("copeland", ties="report")
    assert result_of(by, counted(by, CYCLE, seed=None), OPTIONS)["ties"] is None


def test_result_of_places_the_rounds():
    by = rule("irv")
    shown = result_of(by, counted(by, CYCLE), OPTIONS)

    assert shown["round_titles"] == ["Round 1", "Round 2", "Round 3"]
    rounds = {row["mark"]: row["cells"] for row in shown["rounds"]}
    assert rounds["C"][1] == {"votes": "2", "goes": "goes"}
    assert rounds["C"][2]["votes"] == ""
    widths = [[bar.width for bar in one.bars] for one in shown["rounds_chart"].rounds]
    assert all(row == sorted(row, reverse=True) for row in widths)
    assert shown["rounds_chart"].rounds[-1].bars[0].state == "elected"
