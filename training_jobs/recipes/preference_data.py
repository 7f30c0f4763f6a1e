"""Reading frozen datasets of labelled pairs, and the order in which training sees them."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from training_jobs.recipes import language_model
from training_jobs.recipes.language_model import Message, Pair
from training_jobs.recipes.run_directory import RecipeError

_COLUMNS: Final = (
    "prompt",
    "chosen",
    "rejected",
    "weight",
    "p_chosen",
    "principle_key",
    "pair_digest",
)
EVEN: Final = 0.5  # the soft label of a pair on which people are evenly split
_REQUIRED: Final = ("prompt", "chosen", "rejected")


class LabelledPair(NamedTuple):
    """One row of a dataset."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    weight: float
    p_chosen: float
    principle_key: str
    pair_digest: str


def read_pairs(directory: Path, shards: str) -> list[LabelledPair]:
    """Read the shards `SHARDS-00000.parquet`… of a dataset, in order.

    Raises:
        RecipeError: there is no shard, a column is missing, or a value makes no sense.
    """
    files = sorted(directory.glob(f"{shards}-*.parquet"))
    if not files:
        raise RecipeError(f"The dataset holds no {shards} shards.")
    pairs = []
    for file in files:
        try:
            present = pq.read_schema(file).names
            table = pq.read_table(file, columns=[name for name in _COLUMNS if name in present])
        except (pa.ArrowException, OSError) as error:
            raise RecipeError(f"{file.name} is not a Parquet file.") from error
        for name in _REQUIRED:
            if name not in present:
                raise RecipeError(f"{file.name} lacks the column {name}.")
        for number, row in enumerate(table.to_pylist(), start=1):
            pairs.append(_checked(row, f"Row {number} of {file.name}"))
    if not pairs:
        raise RecipeError(f"The dataset's {shards} shards are empty.")
    return pairs


def _checked(row: dict[str, Any], where: str) -> LabelledPair:
    for name in _REQUIRED:
        if not row[name] or not all(message["content"] for message in row[name]):
            raise RecipeError(f"{where} has an empty {name}.")
    weight = _number(row.get("weight"), 1.0)
    p_chosen = _number(row.get("p_chosen"), 1.0)
    # Written so that a NaN is refused too.
    if not 0 <= weight < float("inf"):
        raise RecipeError(f"{where} has the weight {weight}; it must be 0 or more.")
    if not EVEN <= p_chosen <= 1:
        raise RecipeError(f"{where} has the soft label {p_chosen}; it must be from 0.5 to 1.")
    return LabelledPair(
        row["prompt"],
        row["chosen"],
        row["rejected"],
        weight,
        p_chosen,
        row.get("principle_key") or "",
        row.get("pair_digest") or "",
    )


def _number(value: float | None, default: float) -> float:
    return default if value is None else float(value)


def tokenized(
    tokenizer: PreTrainedTokenizerBase, pair: LabelledPair, *, max_length: int
) -> Pair | None:
    """Return a pair's tokens, or None where its prompt leaves no room for an answer."""
    ids = Pair(
        language_model.chat_ids(tokenizer, pair.prompt),
        language_model.completion_ids(tokenizer, pair.prompt, pair.chosen),
        language_model.completion_ids(tokenizer, pair.prompt, pair.rejected),
    )
    return language_model.truncated(ids, max_length=max_length)


def training_order(lengths: Sequence[int], *, batch_size: int, seed: int) -> Iterator[list[int]]:
    """Yield the batches of endless epochs, each pair once an epoch.

    An epoch is shuffled, sorted by length within stretches of eight batches (so that a batch
    holds little padding), and its batches are shuffled again. The order depends on the arguments
    alone: a resumed run skips what it has seen and goes on.

    Args:
        lengths: of the pairs, in tokens.
        batch_size: pairs in a batch; an epoch's last batch may be filled from the next epoch.
        seed: of the shuffling.
    """
    waiting: list[int] = []
    epoch = 0
    while True:
        source = random.Random(f"{seed}:{epoch}")  # noqa: S311 - an order, no secret
        order = list(range(len(lengths)))
        source.shuffle(order)
        order = waiting + order
        usable = len(order) - len(order) % batch_size
        waiting = order[usable:]
        batches = []
        for start in range(0, usable, 8 * batch_size):
            stretch = sorted(
                order[start : min(start + 8 * batch_size, usable)],
                key=lambda index: (lengths[index], index),
            )
            batches += [stretch[at : at + batch_size] for at in range(0, len(stretch), batch_size)]
        source.shuffle(batches)
        yield from batches
        epoch += 1
