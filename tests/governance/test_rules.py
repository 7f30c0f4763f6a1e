from fractions import Fraction

import pytest

from governance.rules import DEFAULT_RULE, Rule, duration

TWO_THIRDS = Fraction(2, 3)


@pytest.mark.parametrize(
    "given",
    [
        {"threshold": Fraction(1), "strict": True},
        {"threshold": Fraction(0), "strict": False},
        {"threshold": Fraction(3, 2)},
        {"threshold": Fraction(-1, 2)},
        {"quorum_share": Fraction(0)},
        {"quorum_share": Fraction(6, 5)},
        {"quorum": "most"},
        {"base": "everyone"},
        {"method": "schulze"},
        {"secrecy": "sealed"},
        {"secrecy": "secret", "delegation": True},
        {"secrecy": "secret", "group_support": Fraction(1, 2)},
        {"secrecy": "secret", "weighting": "seniority"},
        {"method": "quadratic"},
        {"ties": "lowest"},
        {"extension": -1},
        {"period": 366 * 24 * 60 + 1},
        {"deliberation": True},
        {"delegation": 1},
        {"threshold": Fraction(1, 10**6 + 1)},
    ],
)
def test_rule_refuses_nonsense(given):
    with pytest.raises(ValueError, match=r"\.$"):
        Rule(**given)


def test_rule_writes_a_quorum_without_a_share_in_one_way():
    assert Rule(quorum="none", quorum_share=Fraction(1, 3)) == Rule(quorum="none")
    assert Rule(quorum="sqrt").to_dict()["quorum_share"] == [0, 1]


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": [1, 0]},
        {"threshold": [1]},
        {"threshold": [0.5, 1]},
        {"threshold": [True, 2]},
        {"threshold": "1/2"},
        {"strict": 1},
        {"extra": 1},
    ],
)
def test_rule_from_dict_takes_integers_only(change):
    with pytest.raises(ValueError, match=r"\.$"):
        Rule.from_dict({**DEFAULT_RULE.to_dict(), **change})


def test_rule_from_dict_reads_rules_of_before_with_the_defaults_of_today():
    assert Rule.from_dict({"threshold": [2, 3]}) == Rule(threshold=TWO_THIRDS)


def test_sentences_say_every_edge_before_opening():
    rule = Rule(
        method="schulze-wv",
        delegation=True,
        delegation_cap=7,
        extension=120,
        membership_days=30,
        verified_email=True,
        weighting="seniority",
        group_support=Fraction(1, 3),
    )

    said = " ".join(rule.sentences(412))

    for words in (
        "put it above the status quo, that is 83",
        "Schulze by winning votes",
        "digest is public",
        "one third of those who decide in each known opinion group",
        "7 votes at most with one person",
        "every full year of membership",
        "members for 30 days",
        "verified e-mail",
        "flips in the last 2 hours",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(1, "1 minute"), (90, "90 minutes"), (60, "1 hour"), (1440, "1 day"), (2880, "2 days")],
)
def test_duration_is_said_in_the_largest_whole_unit(minutes, words):
    assert duration(minutes) == words


@pytest.mark.parametrize(
    ("rule", "electorate", "sentence"),
    [
        (
            DEFAULT_RULE,
            412,
            (
                "Passes when more than half of those who vote yes or no say yes, and yes reaches "
                "20 % of the 412 members entitled to vote, that is 83."
            ),
        ),
        (
            Rule(base="cast", threshold=TWO_THIRDS, strict=False, quorum="sqrt"),
            1000,
            (
                "Passes when at least two thirds of all who vote, abstentions included, say yes, "
                "and yes reaches one and a half times the square root of the 1000 members "
                "entitled to vote, that is 48."
            ),
        ),
        (
            Rule(quorum="participation", quorum_share=Fraction(1, 8)),
            16,
            (
                "Passes when more than half of those who vote yes or no say yes, and ballots, "
                "abstentions included, come from at least 12.5 % of the 16 members entitled to "
                "vote, that is 2."
            ),
        ),
        (
            Rule(base="eligible", quorum="none"),
            1000,
            "Passes when more than half of the 1000 members entitled to vote say yes, that is 501.",
        ),
        (
            Rule(quorum="none", threshold=Fraction(1), strict=False),
            1,
            "Passes when all of those who vote yes or no say yes, however few vote.",
        ),
        (
            Rule(quorum_share=Fraction(3, 7)),
            1,
            (
                "Passes when more than half of those who vote yes or no say yes, and yes reaches "
                "3/7 of the 1 member entitled to vote, that is 1."
            ),
        ),
    ],
)
def test_sentence_says_the_edge_in_words_and_counts(rule, electorate, sentence):
    assert rule.sentence(electorate) == sentence
