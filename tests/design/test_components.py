"""Every component renders with the least it needs; no template carries inline code or style."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django import forms
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.paginator import Paginator
from django.template import Context, Template
from django.template.loader import render_to_string
from django.test import RequestFactory

from governance.shapes import RuleForm
from governance.templatetags import folkmoot

ROOT = Path(settings.ROOT)
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
CSS = ROOT / "static/css/folkmoot.css"
SOMEONE = SimpleNamespace(name="Ana Ferreira", is_scripted=True, pk=1, is_authenticated=True)

MINIMAL: dict[str, tuple[dict[str, object], str]] = {
    "badge": ({"status": "open"}, "Open"),
    "ballot_choice": ({"name": "choice", "value": "yes", "label": "Yes"}, 'value="yes"'),
    "brand": ({}, "<svg"),
    "card": ({"title": "Run 4"}, "Run 4"),
    "confirm": ({"label": "Cancel", "action": "/x/"}, 'action="/x/"'),
    "digest": ({"digest": "sha256:" + "0" * 64}, "<code"),
    "empty": ({"text": "Nothing yet."}, "Nothing yet."),
    "label_help": ({}, "<dialog"),
    "matrix": (
        {
            "matrix": {
                "heads": [{"mark": "A", "title": "Tea"}],
                "rows": [{"mark": "A", "title": "Tea", "cells": [{"state": "self"}]}],
            }
        },
        "duel-self",
    ),
    "page_header": ({"title": "Polls"}, "Polls"),
    "pagination": ({"page_obj": Paginator(range(30), 10).page(2)}, "Page 2 of 3"),
    "person": ({"user": SOMEONE}, "scripted"),
    "option_table": (
        {
            "table": {
                "name": "totals",
                "title": "Points",
                "heads": {"Option": False, "Sum": True},
                "rows": [
                    [
                        {"options": [{"mark": "A", "title": "Tea"}], "between": ", "},
                        {"is_number": True, "text": "12"},
                    ]
                ],
            }
        },
        '<td class="number"',
    ),
    "principle": ({"number": 1, "title": "Honesty", "text": "It *never* lies."}, "<em>never</em>"),
    "progress": ({"label": "Training"}, "<progress"),
    "rule_fields": ({"form": RuleForm()}, 'name="threshold"'),
    "stat": ({"label": "Members", "value": "42"}, "42"),
    "stepper": ({"current": "vote"}, 'aria-current="step"'),
    "timeline_item": ({"words": "closed the poll"}, "The system"),
    "toast": ({"message": "Saved."}, "Saved."),
    "user_menu": ({"user": AnonymousUser()}, "site-tools"),
    "veil": ({"text": "cruel"}, "Reveal"),
}
DRAWN_BY_A_TAG = {"chart_histogram", "chart_intervals", "chart_line", "chart_tally"}


class PollForm(forms.Form):
    title = forms.CharField(help_text="Short.")
    note = forms.CharField(required=False)
    kind = forms.ChoiceField(widget=forms.RadioSelect, choices=[("a", "A"), ("b", "B")])
    agreed = forms.BooleanField()


@pytest.fixture
def request_of_nobody():
    request = RequestFactory().get("/c/quarry/runs/", {"q": "open"})
    request.user = AnonymousUser()
    return request


def test_every_component_has_a_case():
    names = {path.stem for path in (ROOT / "templates/components").glob("*.html")}

    assert names == set(MINIMAL) | DRAWN_BY_A_TAG | {"field"}


def test_every_component_is_in_the_readme():
    readme = (ROOT / "templates/components/README.md").read_text()

    for name in set(MINIMAL) - {"brand", "user_menu"}:
        assert re.search(rf"\b{name}\b", readme), name


@pytest.mark.parametrize("name", sorted(MINIMAL))
def test_component_renders_with_the_least_it_needs(name, request_of_nobody):
    context, expected = MINIMAL[name]

    html = render_to_string(f"components/{name}.html", context, request=request_of_nobody)

    assert expected in html


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_has_nothing_inline(path):
    text = path.read_text()

    assert not re.search(r"<[^>]*\sstyle=", text)
    assert not re.search(r"<style\b", text)
    assert not re.search(r"<[^>]*\son[a-z]+=", text)
    assert not re.search(r"\bhx-on\b", text)
    assert not re.search(r"<script\b(?![^>]*\bsrc=)", text)
    assert not re.search(r"(src|href)=\"(https?:)?//", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_breadcrumbs_lead_somewhere(path):
    """A trail of one step would only repeat the heading."""
    found = re.search(r"{% block breadcrumbs %}(.*?){% endblock", path.read_text(), re.DOTALL)

    assert found is None or found[1].strip() == "" or found[1].count("<li") > 1


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_cells_name_their_column_on_narrow_screens(path):
    """Where one cell of a table does, each does: on a phone such a row is a card."""
    for table in re.findall(r"<table.*?</table>", path.read_text(), re.DOTALL):
        cells = re.findall(r"<td\b[^>]*>", table)
        named = ["data-label=" in cell or 'class="act"' in cell for cell in cells]

        assert all(named) or not any(named), cells


def test_no_stylesheet_rule_is_for_a_class_that_nothing_has():
    styles = re.sub(r"/\*.*?\*/|@import[^;]*;", "", CSS.read_text(), flags=re.DOTALL)
    selectors = " ".join(re.findall(r"[^{}]+(?=\{)", styles))
    named = set(re.findall(r"\.([a-z][\w-]*)", selectors))
    sources = [*TEMPLATES, *(ROOT / "static/js").glob("*.js"), Path(folkmoot.__file__)]
    used = " ".join(path.read_text() for path in sources)

    dead = {
        name
        for name in named - {"errorlist", "nonfield"}  # Django gives these
        if not re.search(rf"(?<![\w-]){name}(?![\w-])", used)
        and not ("-" in name and f"{name.rpartition('-')[0]}-{{{{" in used)
    }

    assert dead == set()


def test_page_header_without_actions_leaves_no_room_for_them():
    html = Template(
        "{% load folkmoot %}{% page_header title='Polls' %}\n  {% endpage_header %}"
    ).render(Context())

    assert "actions" not in html


def test_icons_that_states_name_are_drawn():
    drawn = set(re.findall(r'symbol id="([^"]+)"', (ROOT / "static/icons/ui.svg").read_text()))
    named = {look.icon for look in folkmoot.STATES.values()}
    for path in TEMPLATES:
        named |= set(re.findall(r'{% icon "([^"]+)"', path.read_text()))

    assert named <= drawn


def test_digest_offers_the_whole_text_to_copy():
    whole = "sha256:" + "ab" * 32

    html = render_to_string("components/digest.html", {"digest": whole})

    assert f'data-copy="{whole}"' in html
    assert ">abababababab</code>" in html


def test_veil_keeps_its_text_inside_the_closed_details():
    html = render_to_string("components/veil.html", {"text": "cruel"})

    assert html.index("</summary>") < html.index("cruel")


def test_form_links_errors_and_help_to_their_fields():
    html = str(PollForm({"title": "", "agreed": ""}))

    assert 'aria-describedby="id_title_helptext id_title_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_title_error"' in html
    assert '<fieldset class="field-set" aria-describedby="id_kind_error"' in " ".join(html.split())


def test_form_names_optional_fields_in_words():
    html = str(PollForm())

    assert html.count('<span class="optional">optional</span>') == 1


def test_field_component_renders_one_field():
    html = render_to_string("components/field.html", {"field": PollForm()["title"]})

    assert 'class="field"' in html
    assert 'for="id_title"' in html


def test_pagination_keeps_the_other_parameters(request_of_nobody):
    page = Paginator(range(30), 10).page(1)

    html = render_to_string(
        "components/pagination.html", {"page_obj": page}, request=request_of_nobody
    )

    assert "?q=open&amp;page=2" in html


def test_base_survives_without_any_context():
    html = render_to_string("base.html", {})

    assert '<main id="content"' in html
    assert "Skip to content" in html


def test_base_tells_htmx_what_to_swap():
    html = render_to_string("base.html", {})

    assert '"allowEval": false' in html
    assert '{"code": "422", "swap": true}' in html


def test_base_shows_the_community_pages_that_exist(request_of_nobody):
    community = SimpleNamespace(name="Quarry Lane", slug="quarry", is_demo=False)

    html = render_to_string("base.html", {"community": community}, request=request_of_nobody)

    assert 'href="/c/quarry/polls/"' in html
    assert "Playground" not in html
    assert re.search(r'href="/c/quarry/runs/"\s+aria-current="page"', html)
    assert html.count("aria-current") == 1


def test_base_leaves_out_tabs_and_names_the_current_one(request_of_nobody):
    context = {
        "community": SimpleNamespace(name="Quarry Lane", slug="quarry", is_demo=False),
        "nav_hidden": ["run_list"],
        "nav_current": "poll_list",
    }

    html = render_to_string("base.html", context, request=request_of_nobody)

    assert "/c/quarry/runs/" not in html
    assert re.search(r'href="/c/quarry/polls/"\s+aria-current="page"', html)


def test_base_sends_the_csrf_header_for_members_only(request_of_nobody):
    assert "X-CSRFToken" not in render_to_string("base.html", {}, request=request_of_nobody)

    request_of_nobody.user = SOMEONE

    assert "X-CSRFToken" in render_to_string("base.html", {}, request=request_of_nobody)


def test_base_shows_a_demonstration_as_one():
    assert "demonstration" in render_to_string("base.html", {"is_demo": True})
    assert "demonstration" not in render_to_string("base.html", {"is_demo": False})


@pytest.mark.parametrize("name", ["403", "403_csrf", "404", "500"])
def test_error_page_renders_without_a_request(name):
    assert "<h1>" in render_to_string(f"{name}.html", {})


def test_vendored_files_name_their_version_and_licence():
    vendor = ROOT / "static/vendor"

    for name in ("pico-2.1.1.min.css", "htmx-2.0.11.min.js"):
        assert (vendor / name).exists()
        stem = name.removesuffix(".min.css").removesuffix(".min.js")
        assert (vendor / f"{stem}.LICENSE.txt").exists()
    assert '"2.0.11"' in (vendor / "htmx-2.0.11.min.js").read_text()
