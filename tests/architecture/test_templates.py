"""Templates: nothing inline, every address known, every template loads."""

import re

import pytest
from django.template.loader import get_template
from django.urls import get_resolver

from tests.architecture.conftest import APPS, ROOT, sources

TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
INLINE = {
    "a style element": re.compile(r"<style[\s>]", re.IGNORECASE),
    "a style attribute": re.compile(r"<[a-z][^>]*\sstyle\s*=", re.IGNORECASE),
    "a script without a file": re.compile(r"<script(?![^>]*\bsrc=)[^>]*>", re.IGNORECASE),
    "an event handler": re.compile(r"<[a-z][^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "an address that runs a script": re.compile(r"javascript:", re.IGNORECASE),
    "an attribute that htmx would run": re.compile(r"\shx-(on|vals=[\"']js)", re.IGNORECASE),
    "something of another site": re.compile(r"<(script|link|img|iframe)[^>]*=\"https?://"),
}


def name_of(path):
    return path.relative_to(ROOT / "templates").as_posix()


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_template_loads_and_holds_nothing_inline(path):
    text = path.read_text()

    assert [what for what, pattern in INLINE.items() if pattern.search(text)] == []
    get_template(name_of(path))


def test_templates_and_views_name_only_addresses_that_are_there():
    known = {name for name in get_resolver().reverse_dict if isinstance(name, str)}
    wanted = {}
    for path in TEMPLATES:
        for name in re.findall(r"{%\s*url\s+[\"']([\w-]+)[\"']", path.read_text()):
            wanted.setdefault(name, path)
    for path in sources(*APPS):
        for name in re.findall(r"\b(?:reverse|redirect)\(\s*\"([a-z][\w-]*)\"", path.read_text()):
            wanted.setdefault(name, path)

    assert {name: str(path) for name, path in wanted.items() if name not in known} == {}


def test_views_name_only_templates_and_parts_that_are_there():
    call = re.compile(r"\bpage\(\s*request,\s*\"([\w/]+\.html)\",\s*\"([\w-]+)\"")
    found = [match for path in sources(*APPS) for match in call.findall(path.read_text())]
    assert len(found) > 20

    for template, part in found:
        assert f"partialdef {part} " in read(template), f"{template}#{part}"
        assert f'id="{part}"' in with_included(template), f"{template}#{part}"


def read(name):
    return (ROOT / "templates" / name).read_text()


def with_included(name):
    text = read(name)
    included = re.findall(r"{%\s*include\s+[\"']([^\"']+)[\"']", text)
    return text + "".join(read(each) for each in included)
