"""The peer of the bench `dpo`: TRL's DPOTrainer; prints one line of JSON."""

import json
import resource
import sys
import time

import torch  # noqa: TID251 - the peer is measured in a process of its own
from datasets import load_dataset  # noqa: TID251
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID251
from trl import DPOConfig, DPOTrainer  # noqa: TID251

from training_jobs.recipes import language_model


def main(model: str, dataset: str, directory: str, steps: int, batch: int) -> None:
    """Train, and print seconds per step and peak memory."""
    hardware = language_model.settle_hardware(precision="auto", threads=0, seed=0)
    rows = load_dataset("parquet", data_files=f"{dataset}/*.parquet", split="train")
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
        args=DPOConfig(
            output_dir=directory,
            use_cpu=True,
            bf16=hardware.dtype is torch.bfloat16,
            gradient_checkpointing=False,
            per_device_train_batch_size=batch,
            max_steps=steps,
            learning_rate=1e-5,
            beta=0.1,
            loss_type=["sigmoid", "sft"],
            loss_weights=[1.0, 1.0],
            precompute_ref_log_probs=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
            seed=0,
        ),
        train_dataset=rows.select_columns(["prompt", "chosen", "rejected"]),
        processing_class=AutoTokenizer.from_pretrained(model),
    )
    trainer.get_train_dataloader()  # computes the reference, outside of the time
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds_per_step": seconds / steps, "peak_rss_mb": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5]))
