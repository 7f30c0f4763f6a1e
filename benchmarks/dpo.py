"""Our DPO recipe beside TRL's DPOTrainer: the same model, pairs, steps and threads in one run.

Both train the whole embedded model with an SFT term on the chosen answers, reference
log-probabilities computed beforehand, and the same precision. Time is that of the training steps
alone; loading is left out on both sides.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from governance import canonical
from training_jobs.manifest import ENVIRONMENT, Input, Manifest

TOPICS = ("bread", "bicycles", "tomatoes", "chess", "kites", "maps", "clocks", "rivers")
RATE = "0.00001"


def pairs() -> list[dict[str, Any]]:
    """Return harmless pairs of the length of the demo's."""
    return [
        {
            "prompt": [{"role": "user", "content": f"What should a beginner know about {topic}?"}],
            "chosen": [
                {
                    "role": "assistant",
                    "content": f"Start small with {topic}, ask somebody who knows, and keep notes "
                    "of what worked, so that the second try is better than the first.",
                }
            ],
            "rejected": [
                {
                    "role": "assistant",
                    "content": f"I would rather not speak of {topic}. There is nothing in it that "
                    "a beginner could use, and you had better do something else.",
                }
            ],
            "weight": 1.0,
            "p_chosen": 1.0,
            "principle_key": "",
            "pair_digest": canonical.digest(topic),
        }
        for topic in TOPICS
    ]


def prepare(recipe: str, directory: Path, inputs: dict[str, Path], **options: int | str) -> Path:
    """Make a run directory as the launcher does."""
    (directory / "inputs").mkdir(parents=True)
    declared = {}
    for name, path in inputs.items():
        (directory / "inputs" / name).symlink_to(path)
        declared[name] = Input(digest=canonical.directory_digest(path), name=name)
    Manifest(
        recipe=recipe,
        seed=0,
        code_revision="bench",
        packages={},
        inputs=declared,
        options=options,
    ).write(directory)
    return directory


def child(*words: str) -> str:
    """Run a Python program with the environment of recipes; give the last line it printed."""
    done = subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return (done.stdout.splitlines() or [""])[-1]


def ours(model: Path, dataset: Path, directory: Path, steps: int, batch: int) -> dict[str, float]:
    """Train with our recipe."""
    run = prepare(
        "dpo",
        directory,
        {"model": model, "dataset": dataset},
        steps=steps,
        batch_size=batch,
        micro_batch_size=batch,
        learning_rate=RATE,
        warmup_steps=0,
    )
    child("-m", "training_jobs.recipes.dpo", str(run))
    result = json.loads((run / "result.json").read_text())
    return {
        "seconds_per_step": result["seconds"] / steps,
        "peak_rss_mb": float(result["peak_rss_mb"]),
    }


def peer(model: Path, dataset: Path, directory: Path, steps: int, batch: int) -> dict[str, float]:
    """Train with TRL."""
    words = [str(model), str(dataset), str(directory), str(steps), str(batch)]
    result: dict[str, float] = json.loads(child("-m", "benchmarks._trl_dpo", *words))
    return result


def say(text: str) -> None:
    """Print progress where it does not disturb the figures."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure both sides in turn, and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="folkmoot-bench-") as name:
        place = Path(name)
        say("Preparing the embedded model.")
        base = prepare("import_base", place / "base", {})
        child("-m", "training_jobs.recipes.import_base", str(base))
        dataset = place / "dataset"
        dataset.mkdir()
        pq.write_table(pa.Table.from_pylist(pairs()), dataset / "train-00000.parquet")
        sides: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}
        for turn in range(given.rounds):
            for side, train in (("ours", ours), ("peer", peer)):
                directory = place / f"{side}-{turn}"
                figures = train(base / "model", dataset, directory, given.steps, given.batch)
                sides[side].append(figures)
                say(f"round {turn + 1}, {side}: {figures}")
    medians = {
        side: {key: round(sorted(row[key] for row in rows)[len(rows) // 2], 3) for key in rows[0]}
        for side, rows in sides.items()
    }
    ratio = medians["peer"]["seconds_per_step"] / medians["ours"]["seconds_per_step"]
    targets = {"times_as_fast_as_trl": 1.0}
    print(
        json.dumps(
            {
                "bench": "dpo",
                **medians,
                "ratio": round(ratio, 2),
                "targets": targets,
                "met": {"times_as_fast_as_trl": ratio >= targets["times_as_fast_as_trl"]},
            }
        )
    )


if __name__ == "__main__":
    main()
