import pytest
from django.http import QueryDict

from governance.ballot_forms import ballot_form
from governance.methods.ballots import METHODS
from governance.rules import STATUS_QUO, Rule

OPTIONS = [
    {"key": "tea", "title": "Tea", "text": ""},
    {"key": "coffee", "title": "Coffee", "text": ""},
    {"key": STATUS_QUO, "title": "Status quo", "text": ""},
]


def form(method, data=None, content=None):
    rule = Rule(method=method, verified_email=method == "quadratic")
    sent = None if data is None else QueryDict(data)
    return ballot_form(rule, OPTIONS if rule.has_options else [], sent, content)


@pytest.mark.parametrize(
    ("method", "data", "content"),
    [
        ("yes_no", "content=abstain", "abstain"),
        ("approval", "approve=coffee&approve=tea", ["tea", "coffee"]),
        ("irv", "rank-tea=2&rank-coffee=1&rank-status-quo=", [["coffee"], ["tea"]]),
        (
            "schulze-wv",
            "rank-tea=1&rank-coffee=3&rank-status-quo=1",
            [["tea", STATUS_QUO], ["coffee"]],
        ),
        ("score", "points-tea=5&points-coffee=0", {"tea": 5, "coffee": 0}),
        ("star", "points-status-quo=3", {STATUS_QUO: 3}),
        ("quadratic", "amount-tea=64&amount-coffee=36", {"tea": 64, "coffee": 36}),
        ("weighted", "amount-tea=3&amount-coffee=1", {"tea": 3, "coffee": 1}),
        ("irv", "blank=1&rank-tea=abc", []),
        ("score", "blank=1", {}),
    ],
)
def test_ballot_form_reads_a_ballot(method, data, content):
    sent = form(method, data)

    assert sent.is_valid(), sent.errors
    assert sent.cleaned_data["content"] == content


@pytest.mark.parametrize(
    ("method", "data", "words"),
    [
        ("yes_no", "", "Choose yes, no or abstain."),
        ("yes_no", "content=maybe", "Select a valid choice"),
        ("yes_no", "blank=1", "Choose yes, no or abstain."),
        ("approval", "approve=milk", "an option that the poll does not have"),
        ("approval", "approve=tea&approve=tea", "approved twice"),
        ("approval", "", "says nothing yet"),
        ("irv", "rank-tea=abc", "“Tea”: write a whole number"),
        ("irv", "rank-tea=1.5", "“Tea”: write a whole number"),
        ("irv", "rank-tea=0", "1 is the best place"),
        ("irv", "rank-tea=-1", "1 is the best place"),
        ("irv", "rank-tea=4", "the last place is 3"),
        ("irv", f"rank-tea={10**30}", "the last place is 3"),
        ("irv", "rank-milk=1", "an option that the poll does not have"),
        ("irv", "rank-tea=1&rank-tea=2", "names an option twice"),
        ("irv", "rank-tea=&rank-coffee=", "says nothing yet"),
        ("score", "points-tea=6", "“Tea” takes 0 to 5 points."),
        ("score", "points-tea=x", "“Tea” takes 0 to 5 points."),
        ("star", "points-milk=1", "an option that the poll does not have"),
        ("quadratic", "amount-tea=64&amount-coffee=64", "You spent 128 credits, 28 more than"),
        ("quadratic", "amount-tea=101", "100 is the most"),
        ("quadratic", "amount-tea=-1", "0 is the least"),
        ("quadratic", "amount-tea=x", "write a whole number"),
        ("weighted", "amount-milk=1", "an option that the poll does not have"),
        ("weighted", "amount-tea=0", "says nothing yet"),
    ],
)
def test_ballot_form_refuses_what_is_no_ballot(method, data, words):
    sent = form(method, data)

    assert not sent.is_valid()
    assert words in str(sent.errors)


@pytest.mark.parametrize(
    ("method", "content", "shown"),
    [
        ("irv", [["coffee"], ["tea"]], [("coffee", 1), ("tea", 2), (STATUS_QUO, None)]),
        ("score", {"tea": 5}, [("tea", 5), ("coffee", None), (STATUS_QUO, None)]),
        ("quadratic", {"coffee": 9}, [("tea", None), ("coffee", 9), (STATUS_QUO, None)]),
    ],
)
def test_ballot_form_shows_the_ballot_that_stands(method, content, shown):
    rows = form(method, content=content).rows

    assert [(row["option"]["key"], row["field"].value()) for row in rows] == shown


@pytest.mark.parametrize("method", ["yes_no", *METHODS])
def test_ballot_form_reads_back_what_it_shows(method):
    content = {
        "yes_no": "no",
        "approval": ["tea"],
        **{name: {"tea": 4, "coffee": 1} for name in ("score", "star", "quadratic", "weighted")},
    }.get(method, [["coffee"], ["tea", STATUS_QUO]])
    empty = form(method, content=content)
    sent = QueryDict(mutable=True)
    for name in empty.fields:
        value = empty[name].value()
        sent.setlist(name, value if isinstance(value, list) else ["" if value is None else value])

    again = ballot_form(empty.rule, empty.options, sent)

    assert again.is_valid(), again.errors
    assert again.cleaned_data["content"] == content


def test_ballot_form_says_what_is_left_of_the_credits():
    assert form("quadratic", content={"tea": 64}).left == 36
    assert form("quadratic", "amount-tea=x&amount-coffee=9").left == 91
