import json
import sys

import pytest
from django.core.management import CommandError, call_command

from governance import canonical
from governance.errors import BadInput
from tests.factories.training_jobs import ModelFactory
from training_jobs import checks, children, registry
from training_jobs.models import Model

CONVERT = """
import hashlib, json, os, pathlib, sys
run = pathlib.Path(sys.argv[1])
(run / "model").mkdir(exist_ok=True)
(run / "model/model.safetensors").write_text("base weights")
sha = hashlib.sha256(b"base weights").hexdigest()
listing = json.dumps({"files": {"model.safetensors": sha}}, separators=(",", ":"))
(run / "result.json").write_text(json.dumps({
    "model_digest": hashlib.sha256(listing.encode()).hexdigest(), "name": "SmolLM2-135M-Instruct",
    "revision": "0.1.2", "licence": "Apache-2.0"}))
"""


def stand_in(code):
    return lambda _, run_dir: [sys.executable, "-S", "-c", code, str(run_dir)]


def test_import_base_model_enters_it_for_everyone(db):
    model = registry.import_base_model(command=stand_in(CONVERT))

    assert model.community is None
    assert not model.parents.exists()
    assert (model.name, model.revision) == ("SmolLM2-135M-Instruct", "Q4_1-dequantised 0.1.2")
    assert canonical.directory_digest(registry.artifact_path(model.storage_key)) == model.digest
    assert registry.base_model() == model


def test_import_base_model_twice_converts_once(db):
    first = registry.import_base_model(command=stand_in(CONVERT))

    assert registry.import_base_model(command=stand_in("raise SystemExit(1)")) == first
    assert Model.objects.count() == 1


def test_import_base_model_again_when_its_files_are_lost(db):
    first = registry.import_base_model(command=stand_in(CONVERT))
    (registry.artifact_path(first.storage_key) / "model.safetensors").unlink()
    registry.artifact_path(first.storage_key).rmdir()

    assert registry.import_base_model(command=stand_in(CONVERT)) == first
    assert registry.missing_files(first) == []


def test_import_base_model_refuses_in_the_recipes_own_sentence(db):
    error = json.dumps({"sentence": "The embedded model is not installed.", "kind": "RecipeError"})
    code = f"import sys; open(sys.argv[1] + '/error.json', 'w').write({error!r}); sys.exit(1)"

    with pytest.raises(BadInput, match=r"^The embedded model is not installed\.$"):
        registry.import_base_model(command=stand_in(code))


def test_import_base_model_says_that_another_process_is_at_it(db):
    with pytest.raises(BadInput, match="Another process"):
        registry.import_base_model(command=stand_in("raise SystemExit(75)"))


def test_the_command_prints_the_digest(db, monkeypatch, capsys):
    model = ModelFactory()
    monkeypatch.setattr(registry, "import_base_model", lambda: model)

    call_command("import_base_model")

    assert capsys.readouterr().out == f"{model.digest}\n"


def test_the_command_fails_with_a_sentence(db, monkeypatch):
    def refuse():
        raise BadInput("The embedded model is not installed.")

    monkeypatch.setattr(registry, "import_base_model", refuse)

    with pytest.raises(CommandError, match="is not installed"):
        call_command("import_base_model")


def test_adopt_files_refuses_links(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/passwd").symlink_to("/etc/passwd")

    with pytest.raises(registry.FilesRefused, match="link"):
        registry.adopt_files(tmp_path / "model", "0" * 64)


def test_adopt_files_without_files_says_so(tmp_path):
    with pytest.raises(registry.FilesRefused, match="left no files"):
        registry.adopt_files(tmp_path / "model", "0" * 64)


def test_the_command_of_a_recipe_is_a_module():
    words = children.command("dpo", registry.Path("/runs/7"))

    assert words == [sys.executable, "-m", "training_jobs.recipes.dpo", "/runs/7"]


def test_check_wants_artefacts_in_a_directory(settings):
    assert checks.artefacts_are_files() == []
    settings.STORAGES = {
        **settings.STORAGES,
        "artifacts": {"BACKEND": "django.core.files.storage.Storage"},
    }
    assert [message.id for message in checks.artefacts_are_files()] == ["training_jobs.E001"]


def test_check_wants_a_watchdog_that_can_bite(settings):
    assert checks.watchdog_can_bite() == []
    settings.RUN_STALL_SECONDS = settings.RUN_WALL_CLOCK_SECONDS
    assert [message.id for message in checks.watchdog_can_bite()] == ["training_jobs.W001"]


def test_adopt_files_leaves_alone_what_another_run_has_put_there(tmp_path):
    def made(name):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "model.safetensors").write_text("weights")
        return directory

    promised = canonical.directory_digest(made("first"))
    registry.adopt_files(tmp_path / "first", promised)
    file = registry.artifact_path(f"models/{promised}") / "model.safetensors"
    before = file.stat().st_ino

    listing = registry.adopt_files(made("second"), promised)

    assert canonical.listing_digest(listing) == promised
    assert file.stat().st_ino == before
    assert not (tmp_path / "second").exists()
