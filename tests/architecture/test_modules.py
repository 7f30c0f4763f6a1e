"""What the code may import, how it is laid out, and that all of it can be loaded."""

import ast
import importlib
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import get_resolver, reverse

from tests.architecture.conftest import APPS, PACKAGES, ROOT, module_name, sources

HEAVY = {"torch", "transformers", "trl", "ray", "peft", "accelerate", "datasets"}
URL_NAMES = {
    *("home", "community_create", "community_home", "community_members", "community_settings"),
    *("community_join", "invitation", "poll_list", "poll_detail", "poll_create"),
    *("constitution_detail", "version_detail", "version_diff", "draft_list", "draft_create"),
    *("draft_detail", "label_next", "prompt_list", "prompt_add", "prompt_import"),
    *("review_queue", "review_detail", "report_create", "dataset_list", "dataset_detail"),
    *("run_list", "run_detail", "run_create", "model_list", "model_detail", "evaluation_detail"),
    *("release_create", "playground", "transparency", "transparency_download", "trail"),
    *("checker_download", "api_docs", "api_schema", "api-community-overview", "api-trail-list"),
    "api-export",
}


def imported(path):
    """Return the first names of all that a file imports, wherever in it, and by which line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).split(".")[0], node.lineno


def run(*arguments, **options):
    return subprocess.run(
        arguments, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, **options
    )


# --- torch stays in its home ----------------------------------------------------------------------


def test_starting_the_site_loads_no_torch():
    program = f"""
import sys
import config.wsgi
from config.celery import app
app.loader.import_default_modules()
from django.urls import get_resolver
assert len(get_resolver().reverse_dict) > 20
assert "training_jobs.tasks" in sys.modules
assert "governance.execute" not in sys.modules
print(sorted({HEAVY!r} & set(sys.modules)))
"""
    done = run(sys.executable, "-c", program)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_nothing_but_recipes_and_their_tests_imports_torch():
    homes = ("training_jobs/recipes/", "tests/recipes/")
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources(*PACKAGES, "tests")
        if not path.relative_to(ROOT).as_posix().startswith(homes)
        for name, line in imported(path)
        if name in HEAVY
    ]

    assert found == []


def test_the_checker_imports_nothing_of_the_project():
    names = {name for name, _ in imported(ROOT / "governance/checker.py")}

    assert names <= {*sys.stdlib_module_names, "cryptography"}


# --- layers and layout ----------------------------------------------------------------------------


def test_import_contracts_hold():
    call = "lint_imports(no_cache=True)"
    program = f"import sys; from importlinter.cli import lint_imports; sys.exit({call})"
    done = run(sys.executable, "-c", program)

    assert done.returncode == 0, done.stdout


def test_every_module_can_be_imported():
    names = [
        module_name(path)
        for path in sources(*PACKAGES)
        if "recipes" not in path.parts and "settings" not in path.parts
    ]
    assert len(names) > 60

    for name in names:
        importlib.import_module(name)


def test_every_recipe_can_be_imported():
    pytest.importorskip("torch", reason="the web image has no torch")
    names = [module_name(path) for path in sources("training_jobs/recipes")]
    done = run(
        sys.executable, "-c", f"import importlib; [importlib.import_module(n) for n in {names}]"
    )

    assert done.returncode == 0, done.stderr


def test_no_module_is_named_for_nothing():
    banned = {"services.py", "selectors.py", "utils.py", "helpers.py", "common.py", "misc.py"}

    assert [path for path in sources(*PACKAGES) if path.name in banned] == []


def test_packages_files_are_empty():
    full = [
        path.relative_to(ROOT).as_posix()
        for path in sources(*PACKAGES)
        if path.name == "__init__.py" and path.read_text().strip()
    ]

    assert full in ([], ["config/__init__.py"])


def test_no_app_imports_another_apps_views_forms_api_or_tasks():
    private = {"views", "forms", "api", "tasks", "urls", "public_views"}
    found = []
    for path in sources(*APPS):
        own = path.relative_to(ROOT).parts[0]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                app, _, rest = node.module.partition(".")
                names = {rest.split(".")[0]} if rest else {alias.name for alias in node.names}
                if app in APPS and app != own and names & private:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")

    assert found == []


# --- migrations, addresses, schema ----------------------------------------------------------------


@pytest.mark.django_db
def test_models_and_migrations_agree():
    out = StringIO()
    call_command("makemigrations", check=True, dry_run=True, stdout=out)

    assert "No changes detected" in out.getvalue()


@pytest.mark.parametrize("name", sorted(URL_NAMES))
def test_every_address_has_its_name(name):
    candidates = get_resolver().reverse_dict.getlist(name)

    assert candidates
    for pattern in candidates:
        [(_, parameters)] = pattern[0]
        values = {"slug": "x", "pk": 1, "number": 1, "token": "t"}
        assert reverse(name, kwargs={key: values[key] for key in parameters})


def test_api_schema_is_valid_and_without_warnings(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "api.yaml"))

    assert "/api/v1/communities/{slug}/overview/" in (tmp_path / "api.yaml").read_text()
