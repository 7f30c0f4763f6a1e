import fcntl
import os
import signal

import pytest

from tests.recipes.conftest import error_of, lines_of, result_of
from training_jobs.recipes import run_directory
from training_jobs.recipes.run_directory import RecipeError, RunDirectory

RECIPE = "chat"


@pytest.fixture
def prepared(make_run, write_json):
    return make_run(RECIPE, {"messages.json": write_json("messages.json", [])})


def finish(run: RunDirectory) -> None:
    run.write_result({"answer": 42})


def test_run_writes_the_result_last(prepared):
    assert run_directory.run(RECIPE, finish, prepared) == 0

    result = result_of(prepared)
    assert result["answer"] == 42
    assert result["recipe"] == RECIPE
    assert result["packages"]["torch"]
    assert not (prepared / "error.json").exists()


def test_run_does_nothing_where_a_result_is(prepared):
    run_directory.run(RECIPE, finish, prepared)

    def never(run: RunDirectory) -> None:
        raise AssertionError

    assert run_directory.run(RECIPE, never, prepared) == 0


def test_run_forgets_the_error_of_an_earlier_attempt(prepared):
    def fail(run: RunDirectory) -> None:
        raise RecipeError("The oven is cold.")

    assert run_directory.run(RECIPE, fail, prepared) == 1
    assert error_of(prepared) == {"sentence": "The oven is cold.", "kind": "RecipeError"}
    assert not (prepared / "result.json").exists()
    assert run_directory.run(RECIPE, finish, prepared) == 0
    assert not (prepared / "error.json").exists()


def test_run_names_an_unexpected_error(prepared, capsys):
    def fail(run: RunDirectory) -> None:
        raise KeyError("flour")

    assert run_directory.run(RECIPE, fail, prepared) == 1
    assert error_of(prepared)["kind"] == "KeyError"
    assert "unexpected KeyError" in error_of(prepared)["sentence"]
    assert "Traceback" in capsys.readouterr().err


def test_run_refuses_a_changed_input(prepared, tmp_path):
    (tmp_path / "messages.json").write_text("[1]")

    assert run_directory.run(RECIPE, finish, prepared) == 1
    assert "changed or mixed up" in error_of(prepared)["sentence"]
    assert not (prepared / "result.json").exists()


def test_run_refuses_a_changed_directory(make_run, tiny_model, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tiny_model.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    run_dir = make_run(RECIPE, {"model": copy})
    (copy / "extra.txt").write_text("x")

    assert run_directory.run(RECIPE, finish, run_dir) == 1
    assert "input model (model) has the digest" in error_of(run_dir)["sentence"]


def test_run_refuses_a_link_inside_an_input(make_run, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    run_dir = make_run(RECIPE, {"model": folder})
    (folder / "config.json").symlink_to("/etc/hostname")

    assert run_directory.run(RECIPE, finish, run_dir) == 1
    assert "is a link" in error_of(run_dir)["sentence"]


def test_run_refuses_a_missing_input(prepared):
    (prepared / "inputs" / "messages.json").unlink()

    assert run_directory.run(RECIPE, finish, prepared) == 1
    assert "is missing" in error_of(prepared)["sentence"]


def test_run_refuses_an_input_that_nobody_declared(prepared):
    (prepared / "inputs" / "surprise.json").write_text("{}")

    assert run_directory.run(RECIPE, finish, prepared) == 1
    assert "does not name it" in error_of(prepared)["sentence"]


def test_run_refuses_the_manifest_of_another_recipe(prepared):
    assert run_directory.run("dpo", finish, prepared) == 1
    assert error_of(prepared)["sentence"] == "This manifest is for the recipe chat, not dpo."


def test_run_refuses_an_unknown_option(make_run):
    run_dir = make_run(RECIPE, {}, surprise=1)

    assert run_directory.run(RECIPE, finish, run_dir) == 1
    assert error_of(run_dir)["kind"] == "OptionError"


def test_run_refuses_a_second_attempt_and_leaves_the_first_alone(prepared, monkeypatch):
    monkeypatch.setattr(run_directory, "LOCK_SECONDS", 0.2)
    with (prepared / "lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        assert run_directory.run(RECIPE, finish, prepared) == run_directory.EXIT_LOCKED

    assert not (prepared / "error.json").exists()
    assert not (prepared / "result.json").exists()


def test_run_ends_at_once_on_sigterm(prepared):
    def wait(run: RunDirectory) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError

    assert run_directory.run(RECIPE, wait, prepared) == 143
    assert not (prepared / "error.json").exists()


def test_deferring_termination_lets_the_block_end_first(prepared):
    seen = []

    def wait(run: RunDirectory) -> None:
        with run.deferring_termination():
            os.kill(os.getpid(), signal.SIGTERM)
            run.progress(1, 2, "saving")
            seen.append(run.stop_requested)
        run.stop_here()
        raise AssertionError

    assert run_directory.run(RECIPE, wait, prepared) == 143
    assert seen == [True]


def test_progress_is_one_object_a_line(prepared):
    def work(run: RunDirectory) -> None:
        run.progress(1, 2, "first", loss=0.5)
        run.progress(2, 2, "second")

    run_directory.run(RECIPE, work, prepared)

    lines = lines_of(prepared / "progress.jsonl")
    assert [(line["step"], line["total"], line["phase"]) for line in lines] == [
        (1, 2, "first"),
        (2, 2, "second"),
    ]
    assert lines[0]["metrics"] == {"loss": 0.5}
    assert lines[0]["ts"].endswith("+00:00")
