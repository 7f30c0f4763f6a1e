"""Recipe: train a model on pairs that people labelled, by Direct Preference Optimization.

In: `model` (policy to start from, and frozen reference) and `dataset` (`train-*.parquet`). Out:
`model/`, and `result.json` with its digest. Besides TRL's DPO this takes the weight and the soft
label of each pair, caches reference log-probabilities pair by pair, computes a prompt once for
both its answers, and resumes exactly: interrupted or not, the final weights are the same bytes.

The whole model is trained, in single precision with bfloat16 products where the hardware has
them. `checkpoint.pt` in the run directory is deleted at the end.
"""

import hashlib
import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from governance import canonical
from training_jobs.recipes import language_model, preference_data, preference_loss, run_directory
from training_jobs.recipes.language_model import Hardware, Pair
from training_jobs.recipes.run_directory import RecipeError, RunDirectory, Terminated

_CHECKPOINT: Final = "checkpoint.pt"
_REFERENCE: Final = "reference.jsonl"


class TrainingSet(NamedTuple):
    """Everything training needs of the pairs, by index.

    Attributes:
        pairs: token ids.
        weight: shape (pairs,).
        p_chosen: shape (pairs,).
        chosen_tokens: shape (pairs,).
        reference_margin: log-ratio under the reference model, shape (pairs,).
    """

    pairs: list[Pair]
    weight: Tensor
    p_chosen: Tensor
    chosen_tokens: Tensor
    reference_margin: Tensor


def main(run: RunDirectory) -> None:
    """Score the reference, train, save."""
    options = run.options
    hardware = language_model.settle_hardware(
        precision=options.text("precision"),
        threads=options.whole("threads"),
        seed=run.manifest.seed,
    )
    source = run.input("model")
    rows = preference_data.read_pairs(run.input("dataset"), "train")
    steps = options.whole("steps")
    run.progress(0, steps, "loading")
    tokenizer = language_model.load_tokenizer(source)
    # Pairs of weight 0 say nothing, and would leave a step of them without a denominator.
    kept = [
        (row, pair)
        for row in rows
        if row.weight > 0
        and (
            pair := preference_data.tokenized(
                tokenizer, row, max_length=options.whole("max_length")
            )
        )
    ]
    if not kept:
        raise RecipeError("No pair of the dataset has a weight and fits into max_length.")
    model = language_model.load_model(source, dtype=torch.float32, device=hardware.device)
    pairs = [pair for _, pair in kept]
    data = TrainingSet(
        pairs,
        torch.tensor([row.weight for row, _ in kept]),
        torch.tensor([row.p_chosen for row, _ in kept]),
        torch.tensor([float(len(pair.chosen)) for pair in pairs]),
        reference_margins(
            run,
            model,
            pairs,
            hardware=hardware,
            batch_size=options.whole("micro_batch_size"),
            pad_id=pad_id(tokenizer),
        ),
    )
    metrics, tokens, seconds = train(
        run,
        model,
        data,
        hardware=hardware,
        steps=steps,
        batch_size=min(options.whole("batch_size"), len(pairs)),
        micro_batch_size=options.whole("micro_batch_size"),
        peak_learning_rate=options.real("learning_rate"),
        warmup_steps=options.whole("warmup_steps"),
        beta=options.real("beta"),
        sft_weight=options.real("sft_weight"),
        label_noise=options.real("label_noise"),
        weight_decay=options.real("weight_decay"),
        max_grad_norm=options.real("max_grad_norm"),
        checkpoint_every=options.whole("checkpoint_every"),
        pad_id=pad_id(tokenizer),
    )
    run.progress(steps, steps, "saving")
    language_model.save_model(
        model, source, run.path / "model", dtype=language_model.stored_dtype(source)
    )
    listing = canonical.directory_listing(run.path / "model")
    run.progress(steps, steps, "done", **metrics)
    run.write_result(
        {
            "model_digest": canonical.listing_digest(listing),
            "listing": listing,
            "parents": [run.manifest.inputs["model"].digest],
            "dataset_digest": run.manifest.inputs["dataset"].digest,
            "pairs": len(pairs),
            "skipped_pairs": len(rows) - len(pairs),
            "epochs": round(steps * min(options.whole("batch_size"), len(pairs)) / len(pairs), 3),
            "metrics": metrics,
            "steps": steps,
            "tokens": tokens,
            "seconds": seconds,
            "precision": "bf16" if hardware.dtype is torch.bfloat16 else "fp32",
            "device": hardware.device.type,
        }
    )
    (run.path / _CHECKPOINT).unlink(missing_ok=True)


def pad_id(tokenizer: Any) -> int:
    """Return a token to fill rows with; nothing ever sees it."""
    return int(tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id)


@torch.inference_mode()
def reference_margins(
    run: RunDirectory,
    model: PreTrainedModel,
    pairs: Sequence[Pair],
    *,
    hardware: Hardware,
    batch_size: int,
    pad_id: int,
) -> Tensor:
    """Return log pi(chosen) - log pi(rejected) of each pair under the untrained model.

    Results are kept in the run directory by the content of the pair, as they come, so that an
    interrupted run computes each once.

    Returns:
        Shape (pairs,), in nats, on the CPU.
    """
    path = run.path / _REFERENCE
    keys = [hashlib.sha256(json.dumps(pair).encode()).hexdigest() for pair in pairs]
    known = _read_reference(path)
    missing = sorted(
        (index for index, key in enumerate(keys) if key not in known),
        key=lambda index: (sum(map(len, pairs[index])), keys[index]),
    )
    with path.open("a", encoding="utf-8") as file:
        for start in range(0, len(missing), batch_size):
            batch = missing[start : start + batch_size]
            laid_out = language_model.lay_out(
                [pairs[index] for index in batch], pad_id=pad_id, device=hardware.device
            )
            with hardware.autocast():
                scores = language_model.pair_log_probs(model, laid_out)
            margins = (scores.chosen - scores.rejected).tolist()
            for index, margin in zip(batch, margins, strict=True):
                known[keys[index]] = margin
                file.write(json.dumps({"pair": keys[index], "margin": margin}) + "\n")
            file.flush()
            run.progress(start + len(batch), len(missing), "reference")
    return torch.tensor([known[key] for key in keys])


def _read_reference(path: Path) -> dict[str, float]:
    known: dict[str, float] = {}
    if path.exists():
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        os.truncate(path, len(whole))
        for line in whole.splitlines():
            row = json.loads(line)
            known[row["pair"]] = row["margin"]
    return known


def train(  # noqa: PLR0913 - flat values, each checked where it is used
    run: RunDirectory,
    model: PreTrainedModel,
    data: TrainingSet,
    *,
    hardware: Hardware,
    steps: int,
    batch_size: int,
    micro_batch_size: int,
    peak_learning_rate: float,
    warmup_steps: int,
    beta: float,
    sft_weight: float,
    label_noise: float,
    weight_decay: float,
    max_grad_norm: float,
    checkpoint_every: int,
    pad_id: int,
) -> tuple[dict[str, float], int, float]:
    """Train `model` in place, from the last checkpoint if there is one.

    Returns:
        Metrics averaged over the last tenth of the steps, tokens computed, and seconds spent
        training over all attempts.

    Raises:
        Terminated: SIGTERM arrived; the steps that were finished are in the checkpoint.
        RecipeError: the loss is no longer a finite number.
    """
    # Dropout, where a model has any, stays off: the reference was scored without it.
    model.requires_grad_(requires_grad=True)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=peak_learning_rate, weight_decay=weight_decay, fused=True
    )
    first, tokens, spent, history = load_checkpoint(run.path / _CHECKPOINT, model, optimizer)
    lengths = [sum(map(len, pair)) for pair in data.pairs]
    order = preference_data.training_order(lengths, batch_size=batch_size, seed=run.manifest.seed)
    began = time.monotonic()
    with run.deferring_termination():
        for step, batch in enumerate(itertools.islice(order, first, steps), start=first):
            started = time.monotonic()
            rate = preference_loss.learning_rate(
                step, steps=steps, warmup_steps=warmup_steps, peak=peak_learning_rate
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            totals = {
                "weight_total": float(data.weight[batch].sum()),
                "imitation_total": preference_loss.imitation_total(
                    data.weight[batch], data.p_chosen[batch], data.chosen_tokens[batch]
                ),
            }
            loss = 0.0
            margins: list[float] = []
            for start in range(0, len(batch), micro_batch_size):
                part = batch[start : start + micro_batch_size]
                share, part_margins = backward(
                    model,
                    data,
                    part,
                    hardware=hardware,
                    pad_id=pad_id,
                    beta=beta,
                    label_noise=label_noise,
                    sft_weight=sft_weight,
                    **totals,
                )
                loss += share
                margins += part_margins
                if run.stop_requested:
                    # The gradient of this step is given up; the weights are those of the last.
                    save_checkpoint(
                        run.path / _CHECKPOINT,
                        model,
                        optimizer,
                        (step, tokens, spent + time.monotonic() - began, history),
                    )
                    raise Terminated
            if not torch.isfinite(torch.tensor(loss)):
                raise RecipeError(
                    f"The loss was no number at step {step + 1}; a lower learning rate may help."
                )
            norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm))
            optimizer.step()
            computed = sum(lengths[index] for index in batch)
            tokens += computed
            metrics = {
                "loss": loss,
                # A margin of exactly zero prefers neither: half.
                "accuracy": sum((m > 0) + 0.5 * (m == 0) for m in margins) / len(margins),
                "margin": beta * sum(margins) / len(margins),
                "grad_norm": norm,
            }
            history.append(metrics)
            run.progress(
                step + 1,
                steps,
                "training",
                **metrics,
                learning_rate=rate,
                tokens_per_second=computed / max(time.monotonic() - started, 1e-6),
            )
            if (step + 1) % checkpoint_every == 0 and step + 1 < steps:
                save_checkpoint(
                    run.path / _CHECKPOINT,
                    model,
                    optimizer,
                    (step + 1, tokens, spent + time.monotonic() - began, history),
                )
    run.stop_here()
    last = history[-max(1, steps // 10) :]
    averaged = {key: round(sum(one[key] for one in last) / len(last), 6) for key in last[0]}
    return averaged, tokens, round(spent + time.monotonic() - began, 3)


def backward(
    model: PreTrainedModel,
    data: TrainingSet,
    part: Sequence[int],
    *,
    hardware: Hardware,
    pad_id: int,
    **loss_options: float,
) -> tuple[float, list[float]]:
    """Add the gradient of some pairs of a step to what is there.

    Args:
        model: the policy.
        data: all pairs.
        part: indices of the pairs to compute.
        hardware: where.
        pad_id: token to fill rows with.
        **loss_options: of `preference_loss.preference_loss`.

    Returns:
        The pairs' share of the step's loss, and of each pair how much the policy's log-ratio
        exceeds the reference's, in nats.
    """
    index = torch.tensor(part)
    laid_out = language_model.lay_out(
        [data.pairs[number] for number in part], pad_id=pad_id, device=hardware.device
    )
    reference_margin = data.reference_margin[index].to(hardware.device)
    with hardware.autocast():
        scores = language_model.pair_log_probs(model, laid_out)
    loss = preference_loss.preference_loss(
        scores.chosen,
        scores.rejected,
        reference_margin,
        data.p_chosen[index].to(hardware.device),
        data.weight[index].to(hardware.device),
        **loss_options,
    )
    loss.backward()
    moved = scores.chosen.detach() - scores.rejected.detach() - reference_margin
    return float(loss.detach()), moved.tolist()


# Finished steps, tokens, seconds and the metrics of every step so far.
State = tuple[int, int, float, list[dict[str, float]]]


def save_checkpoint(
    path: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer, state: State
) -> None:
    """Write all that the next step depends on, whole or not at all.

    The data order and the learning rate are functions of the step, so they need no place here.
    """
    temporary = path.with_suffix(".new")
    torch.save(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "state": state,
        },
        temporary,
    )
    temporary.replace(path)


def load_checkpoint(path: Path, model: PreTrainedModel, optimizer: torch.optim.Optimizer) -> State:
    """Put model and optimizer where the last checkpoint left them, or say that nothing is done."""
    if not path.exists():
        return 0, 0, 0.0, []
    saved = torch.load(path, weights_only=True, map_location="cpu")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["random"])
    step, tokens, spent, history = saved["state"]
    return step, tokens, spent, list(history)


if __name__ == "__main__":
    sys.exit(run_directory.execute("dpo", main))
