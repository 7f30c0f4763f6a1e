"""Tags and filters of every page."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import pytest
from django.template import Context, Template
from django.utils import timezone

from governance.templatetags import folkmoot

SPACE = "\N{NARROW NO-BREAK SPACE}"


def render(text: str, **context: object) -> str:
    return Template("{% load folkmoot %}" + text).render(Context(context))


@pytest.mark.parametrize(
    ("value", "whole", "text"),
    [
        (Fraction(2, 3), 1, "66.7"),
        (0.5, 1, "50.0"),
        (0.29, 1, "29.0"),
        (0.57, 1, "57.0"),
        (Decimal("0.666"), 1, "66.6"),
        (2, 3, "66.7"),
        (1999, 3000, "66.6"),
        (2000, 3000, "66.7"),
        (0.9999, 1, "100.0"),
        (1, 1, "100.0"),
        ("1/4", 1, "25.0"),
        (-0.125, 1, "\N{MINUS SIGN}12.5"),
        (-0.0001, 1, "0.0"),
        (0.0625, 1, "6.2"),
    ],
)
def test_percent_is_exact_and_rounds_half_to_even(value, whole, text):
    assert folkmoot.percent(value, whole) == f"{text}{SPACE}%"


@pytest.mark.parametrize("value", [None, "", "words", float("nan"), float("inf"), True])
def test_percent_of_no_number_is_a_dash(value):
    assert folkmoot.percent(value) == folkmoot.NOTHING


def test_percent_of_nothing_is_a_dash():
    assert folkmoot.percent(0, 0) == folkmoot.NOTHING


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1204, f"1{SPACE}204"),
        (0.81234, "0.812"),
        (-2, "\N{MINUS SIGN}2"),
        (None, folkmoot.NOTHING),
    ],
)
def test_figure_reads_well(value, text):
    assert folkmoot.figure(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.54, 0.758, f"54.0 to 75.8{SPACE}%"), (None, None, ""), (0.1, None, "")],
)
def test_percent_to_has_the_notation_of_percent(low, high, text):
    assert folkmoot.percent_to(low, high) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.03, "+3.0"), (-0.07, "\N{MINUS SIGN}7.0"), (0, "0.0"), (None, folkmoot.NOTHING)],
)
def test_points_carry_their_sign(value, text):
    assert folkmoot.points(value) == text


def test_unbroken_keeps_a_percent_sign_with_its_number():
    assert folkmoot.unbroken("20 % of 6") == f"20{SPACE}% of 6"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("\n Sign In\n", "Sign in\n"),
        ("Enter Sign-In Code", "Enter sign-in code"),
        ("My API Token", "My API token"),
    ],
)
def test_sentence_case_leaves_only_the_first_capital(given, text):
    assert folkmoot.sentence_case(given) == text


def test_short_digest_drops_the_prefix():
    assert folkmoot.short_digest("sha256:0123456789abcdef") == "0123456789ab"


def test_relative_time_names_the_exact_moment():
    moment = timezone.now() - timedelta(hours=3, minutes=5)

    html = folkmoot.relative_time(moment)

    assert f'datetime="{moment.isoformat()}"' in html
    assert "3\xa0hours ago</time>" in html


def test_relative_time_looks_ahead():
    moment = timezone.now() + timedelta(days=2, minutes=5)

    assert ">in 2\xa0days</time>" in folkmoot.relative_time(moment)


def test_relative_time_takes_text_and_nothing():
    text = datetime(2020, 1, 2, tzinfo=UTC).isoformat()

    assert "<time" in folkmoot.relative_time(text)
    assert folkmoot.relative_time(None) == folkmoot.NOTHING


def test_person_name_never_shows_an_address():
    nameless = SimpleNamespace(name=" ", email="ana@example.org", pk=7)

    assert folkmoot.person_name(nameless) == "Member 7"
    assert folkmoot.person_name(None) == "The system"


@pytest.mark.parametrize(
    ("name", "letters"),
    [("Ana Ferreira", "AF"), ("Bo", "B"), ("Élodie van der Berg", "ÉB"), ("", "?")],
)
def test_initials(name, letters):
    assert folkmoot.initials(name) == letters


def test_markdown_renders_and_shifts_headings():
    assert folkmoot.markdown("# Title\n\n**so**") == "<h3>Title</h3>\n<p><strong>so</strong></p>\n"


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        '<img src=x onerror="alert(1)">',
        "![pixel](https://example.org/pixel.png)",
        '<p style="position:fixed">x</p>',
    ],
)
def test_markdown_lets_no_code_through(attack):
    html = folkmoot.markdown(attack)

    for forbidden in ("<script", "<img", "<p style", 'href="javascript'):
        assert forbidden not in html


def test_markdown_tables_carry_no_style():
    html = folkmoot.markdown("| a |\n|--:|\n| 1 |")

    assert "<table>" in html
    assert "style" not in html


def test_states_are_never_colour_alone():
    for look in folkmoot.STATES.values():
        assert look.text
        assert look.icon


def test_what_is_open_or_at_work_does_not_look_dangerous():
    assert {folkmoot.state_of(status).tone for status in ("open", "running", "claimed")} == {"info"}


def test_state_of_something_unknown_uses_its_own_words():
    assert folkmoot.state_of("odd-thing").text == "Odd thing"


def test_status_badge_draws_icon_and_words():
    html = render("{% status_badge 'no_quorum' %}")

    assert "tone-warn" in html
    assert "No quorum" in html
    assert "#alert" in html


def test_loop_steps_before_the_current_one_are_done():
    statuses = [step.status for step in folkmoot.loop_steps("label")]

    assert statuses == ["done", "done", "current", "ahead", "ahead", "ahead"]
    assert {step.status for step in folkmoot.loop_steps("done")} == {"done"}
    assert {step.status for step in folkmoot.loop_steps("elsewhere")} == {"ahead"}


def test_tally_chart_marks_threshold_and_quorum():
    html = render(
        "{% tally_chart 20 10 5 40 title='Amendment' threshold='2/3' quorum='1/4' strict=False %}"
    )

    assert "at least 2/3 of yes and no" in html
    assert "Quorum: 10 yes" in html
    assert f"57.14{SPACE}%" in html  # 20 of 35 cast
    assert "Did not vote" in html


def test_tally_chart_rounds_as_the_rule_does_and_never_across_its_edge():
    html = render("{% tally_chart 49997 50003 0 100000 threshold='1/2' base='cast' %}")

    assert f"49.99{SPACE}%" in html
    assert f"50.00{SPACE}%" in html  # of those cast, against


def test_tally_chart_of_no_ballots_draws():
    assert "0 of 0 voted" in render("{% tally_chart 0 0 0 0 %}")


def test_line_chart_has_a_name_and_a_table():
    html = render("{% line_chart series title='Loss' %}", series={"train": [(0, 1.0), (1, 0.5)]})

    assert 'role="img"' in html
    assert '<title id="chart-loss-title">Loss</title>' in html
    assert '<th scope="row">train</th>' in html


def test_line_chart_without_figures_says_so():
    assert "No figures yet." in render("{% line_chart series title='Loss' %}", series={})


def test_interval_chart_takes_mappings_and_objects():
    before = {"label": "before", "value": 0.5, "low": 0.4, "high": 0.6, "n": 40}
    after = SimpleNamespace(label="after", value=0.7, low=None, high=None, n=40)

    html = render("{% interval_chart rows title='Kept' %}", rows=[("Honesty", [before, after])])

    assert f"40.0 to 60.0{SPACE}%" in html
    assert f"60{SPACE}%</text>" in html
    assert html.count("<polygon") == 2  # the legend's and the second estimate's


def test_interval_chart_writes_differences_in_points():
    rose = {"label": "difference", "value": 0.03, "low": -0.07, "high": 0.13, "n": 40}

    html = render(
        "{% interval_chart rows title='Kept' unit='points' reference=0 reference_label='none' %}",
        rows=[("Honesty", [rose])],
    )

    assert "\N{MINUS SIGN}7.0 to +13.0" in html
    assert "+10</text>" in html
    assert "none: 0<" in html


def test_line_chart_writes_shares_in_percent():
    html = render(
        "{% line_chart series title='Right' unit='percent' %}",
        series={"train": [(0, 0.5), (1, 0.657)]},
    )

    assert f"65.7{SPACE}%" in html


def test_histogram_draws_its_bins():
    html = render("{% histogram values title='Spread' bins=4 %}", values=[0.1, 0.9])

    assert html.count('class="bin"') == 4


def test_block_tags_escape_their_arguments_and_keep_their_markup():
    html = render("{% card title=title %}<b>kept</b>{% endcard %}", title="<script>")

    assert "<b>kept</b>" in html
    assert "&lt;script&gt;" in html


def test_veil_is_closed():
    html = render("{% veil reason='Hate' %}<p>cruel</p>{% endveil %}")

    assert "<details" in html
    assert " open" not in html.replace("veil-open", "")
