"""docs/settings.md says what the code reads, no more and no less."""

import ast
import re

from tests.architecture.conftest import PACKAGES, ROOT, sources

READERS = {"text", "integer", "boolean", "words", "choice", "share", "addresses"}
# What is handed on to other programs, or is theirs.
FOREIGN = {"LD_PRELOAD", "PATH", "HOME", "TMPDIR"}


def table(heading):
    """Return the variables of the table below a heading, with their type and default."""
    text = (ROOT / "docs/settings.md").read_text()
    part = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `([A-Z_]+)` \| (.+?) \| (.+?) \| (.+?) \|$", part, re.MULTILINE)
    assert rows
    return {name: (kind, default) for name, kind, default, _ in rows}


def calls(paths):
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield node


def readings():
    """Return each reading of config/settings: the variable, its reader, and the call."""
    for node in calls(sources("config/settings")):
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "env":
            assert node.func.attr in READERS
            yield node.args[0].value, node.func.attr, node


def test_settings_read_what_is_documented():
    assert {name for name, _, _ in readings()} == set(table("Read by the settings"))


def test_documented_types_are_those_that_are_read():
    words = {
        "text": {"text", "URL", "path"},
        "integer": {"whole number"},
        "boolean": {"yes or no"},
        "words": {"list"},
        "addresses": {"list"},
        "share": {"fraction"},
    }
    documented = table("Read by the settings")

    for name, reader, node in readings():
        kind = documented[name][0]
        if reader == "choice":
            assert all(f"`{each.value}`" in kind for each in node.args[1].elts)
            continue
        assert kind.split(",")[0] in words[reader], name
        minimum = next((k.value.value for k in node.keywords if k.arg == "minimum"), 0)
        assert (f"at least {minimum}" in kind) == bool(minimum), name


def test_documented_defaults_are_those_that_are_used():
    documented = table("Read by the settings")
    for name, _, node in readings():
        default = documented[name][1]
        given = [*node.args[1:], *(k.value for k in node.keywords if k.arg == "default")]
        if not given:
            assert "none, must be set" in default, name
        elif isinstance(given[-1], ast.Constant):
            value = given[-1].value
            words = {"True": "yes", "False": "no", "": "empty"}  # by their text: 0 equals False
            shown = words.get(str(value), str(value))
            assert shown in default.replace("`", ""), name


def test_settings_are_in_alphabetical_order():
    for heading in ("Read by the settings", "Read elsewhere"):
        names = list(table(heading))
        assert names == sorted(names)


def test_variables_read_elsewhere_are_documented():
    found = set()
    for node in calls(path for path in sources(*PACKAGES) if path.name != "env.py"):
        owner = ast.unparse(node.func.value)
        if node.func.attr in {"get", "setdefault"} and owner.endswith("environ"):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                found.add(name.value)

    elsewhere = table("Read elsewhere")
    known = {**table("Read by the settings"), **elsewhere}
    assert found - FOREIGN - set(known) == set()
    assert set(elsewhere) - found == set()
