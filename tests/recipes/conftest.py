"""A tiny random model with a tokenizer of its own, and run directories made from it."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from governance import canonical
from tests.recipes import tiny
from training_jobs import manifest
from training_jobs.manifest import Input, Manifest

os.environ.update(manifest.ENVIRONMENT)

MakeRun = Callable[..., Path]


@pytest.fixture(autouse=True)
def same_threads_and_generators() -> Iterator[None]:
    """Put back what a recipe called in this process sets for a process of its own."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.use_deterministic_algorithms(mode=False)
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama of two layers with a byte-level tokenizer, saved as a recipe would find it."""
    directory = tmp_path_factory.mktemp("tiny") / "model"
    # A seed whose model does not prefer the pairs that training makes it prefer.
    tiny.write(directory, seed=1)
    return directory


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Prepare a run directory as the launcher does, with links to the inputs."""

    def make(
        recipe: str,
        inputs: Mapping[str, Path],
        *,
        name: str = "run",
        seed: int = 0,
        **options: int | str | bool,
    ) -> Path:
        run_dir = tmp_path / name
        (run_dir / "inputs").mkdir(parents=True)
        declared = {}
        for key, path in inputs.items():
            (run_dir / "inputs" / key).symlink_to(path)
            found = (
                canonical.directory_digest(path) if path.is_dir() else canonical.file_digest(path)
            )
            declared[key] = Input(digest=found, name=key)
        Manifest(
            recipe=recipe,
            seed=seed,
            code_revision="test",
            packages={},
            inputs=declared,
            options={"threads": 1, **options},
        ).write(run_dir)
        return run_dir

    return make


@pytest.fixture
def write_pairs(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as one Parquet shard of a dataset directory."""

    def write(rows: list[dict[str, Any]], *, shards: str = "train", name: str = "dataset") -> Path:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), directory / f"{shards}-00000.parquet")
        return directory

    return write


@pytest.fixture
def write_json(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Write a value as a JSON file, or a list as JSON lines where the name ends so."""

    def write(name: str, value: Any) -> Path:
        path = tmp_path / name
        if name.endswith(".jsonl"):
            path.write_text("".join(json.dumps(one) + "\n" for one in value), encoding="utf-8")
        else:
            path.write_text(json.dumps(value), encoding="utf-8")
        return path

    return write


def pair_row(number: int, **more: Any) -> dict[str, Any]:
    """One labelled pair, of a length that differs from its neighbours'."""
    return {
        "prompt": [{"role": "user", "content": "How do I bake" + " bread" * (number % 4) + "?"}],
        "chosen": [{"role": "assistant", "content": "Take flour" + " and water" * (number % 3)}],
        "rejected": [{"role": "assistant", "content": f"Sorry, I cannot help with {number}."}],
        "weight": 1.0,
        "p_chosen": 1.0,
        "principle_key": "help",
        "pair_digest": f"{number:064x}",
        **more,
    }


def result_of(run_dir: Path) -> dict[str, Any]:
    """The result of a run that succeeded."""
    value: dict[str, Any] = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    return value


def lines_of(path: Path) -> list[Any]:
    """The values of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def error_of(run_dir: Path) -> dict[str, str]:
    """The error of a run that failed."""
    value: dict[str, str] = json.loads((run_dir / "error.json").read_text(encoding="utf-8"))
    return value
