"""Recipe: two answers to every prompt, for people to compare.

In: `model`, `prompts.jsonl`, `constitution.json`. Out: `responses.jsonl`, one line an answer, and
`result.json`.

The arm "plain" is the model as it is. The arm "guided" gets the constitution's system prompt and
begins its answer with the option `opening`: a model of a hundred million parameters cannot follow
a critique of its own answer, so its first words are given. All prompts get both arms, harmful or
not, so that neither arm is always the better one.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from transformers import PreTrainedTokenizerBase

from training_jobs.recipes import language_model, run_directory
from training_jobs.recipes.run_directory import RecipeError, RunDirectory

ARMS: Final = ("plain", "guided")
_RESPONSES: Final = "responses.jsonl"
# The full stop after the number of a list item ends no sentence.
_SENTENCE_END: Final = re.compile(r"(?<!\d)[.!?][\"'\u201d\u2019)]*(?=\s|$)")


class Request(NamedTuple):
    """One answer to be sampled."""

    prompt_id: str
    arm: str
    ids: list[int]
    opening: str


def main(run: RunDirectory) -> None:
    """Answer every prompt in both arms, batch by batch, and report what it took."""
    options = run.options
    hardware = language_model.settle_hardware(
        precision=options.text("precision"),
        threads=options.whole("threads"),
        seed=run.manifest.seed,
    )
    prompts = read_prompts(run.read_lines("prompts.jsonl"))
    constitution = run.read_json("constitution.json")
    run.progress(0, len(prompts), "loading")
    tokenizer = language_model.load_tokenizer(run.input("model"))
    model = language_model.load_model(
        run.input("model"), dtype=hardware.dtype, device=hardware.device
    )
    stops = language_model.stop_ids(model, tokenizer)
    sampling = language_model.Sampling(
        options.real("temperature"), options.real("top_p"), options.whole("top_k")
    )
    max_new_tokens = options.whole("max_new_tokens")
    params = {
        "temperature": options.text("temperature"),
        "top_p": options.text("top_p"),
        "top_k": options.whole("top_k"),
        "max_new_tokens": max_new_tokens,
    }
    seed = run.manifest.seed

    def answer(requests: Sequence[Request], attempt: int) -> list[tuple[str, int, bool]]:
        decoded = language_model.decode(
            model,
            [request.ids for request in requests],
            max_new_tokens=max_new_tokens,
            stops=stops,
            sampling=sampling,
            uniforms=[
                language_model.seeded_uniforms(
                    seed, request.prompt_id, request.arm, attempt, count=max_new_tokens
                )
                for request in requests
            ],
        )
        return [
            (finish(tokenizer, request, one), len(one.ids), one.finished)
            for request, one in zip(requests, decoded, strict=True)
        ]

    requests = {
        prompt["id"]: (
            Request(prompt["id"], "plain", *plain_start(tokenizer, prompt["text"])),
            Request(
                prompt["id"],
                "guided",
                *guided_start(tokenizer, prompt["text"], constitution, options.text("opening")),
            ),
        )
        for prompt in prompts
    }
    # Sorted by length, so that a batch holds little padding; cut the same way on every attempt.
    order = sorted(requests, key=lambda key: (len(requests[key][0].ids), key))
    size = options.whole("batch_size")
    batches = [order[start : start + size] for start in range(0, len(order), size)]
    done = whole_batches(run.path / _RESPONSES, batches)
    tokens = 0
    for number, batch in enumerate(batches):
        if number < done:
            continue
        began = run.seconds()
        drawn: dict[tuple[str, str], tuple[str, int, bool]] = {}
        waiting = list(batch)
        for attempt in range(options.whole("attempts")):
            for place, arm in enumerate(ARMS):
                asked = [requests[key][place] for key in waiting]
                for key, one in zip(waiting, answer(asked, attempt), strict=True):
                    drawn[key, arm] = one
                    tokens += one[1]
            waiting = [key for key in waiting if not usable(drawn, key)]
            # Without sampling another attempt would say the same.
            if not waiting or sampling.temperature == 0:
                break
        append(
            run.path / _RESPONSES,
            [
                {
                    "prompt_id": key,
                    "arm": arm,
                    "text": drawn[key, arm][0],
                    "tokens": drawn[key, arm][1],
                    "finished": drawn[key, arm][2],
                    "usable": key not in waiting,
                    "params": {
                        **params,
                        "opening": requests[key][ARMS.index(arm)].opening,
                        "system_prompt": "constitution" if arm == "guided" else "default",
                    },
                    "seed": seed,
                }
                for key in batch
                for arm in ARMS
            ],
        )
        answered = min((number + 1) * size, len(prompts))
        spent = max(run.seconds() - began, 1e-3)
        run.progress(answered, len(prompts), "answering", prompts_per_second=len(batch) / spent)
    lines = [json.loads(line) for line in (run.path / _RESPONSES).read_text().splitlines()]
    run.write_result(
        {
            "model_digest": run.manifest.inputs["model"].digest,
            "constitution_digest": run.manifest.inputs["constitution.json"].digest,
            "prompts": len(prompts),
            "responses": len(lines),
            "unusable_prompts": sum(not line["usable"] for line in lines) // len(ARMS),
            "tokens": sum(line["tokens"] for line in lines),
            "sampled_tokens": tokens,
            "seconds": run.seconds(),
        }
    )


def read_prompts(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Check the prompts: each has an id of its own and a text.

    Raises:
        RecipeError: naming the first line that is wrong.
    """
    seen: set[str] = set()
    for number, row in enumerate(rows, start=1):
        match row:
            case {"id": str(key), "text": str(text)} if text.strip() and key not in seen:
                seen.add(key)
            case _:
                raise RecipeError(f"Prompt {number} needs an id of its own and a text.")
    if not rows:
        raise RecipeError("There are no prompts to answer.")
    return list(rows)


def plain_start(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[list[int], str]:
    """Return the tokens that the plain arm continues, and its opening: none."""
    return language_model.chat_ids(tokenizer, [{"role": "user", "content": text}]), ""


def guided_start(
    tokenizer: PreTrainedTokenizerBase, text: str, constitution: dict[str, Any], opening: str
) -> tuple[list[int], str]:
    """Return the tokens that the guided arm continues, and the opening at their end."""
    messages = [
        {"role": "system", "content": str(constitution["system_prompt"])},
        {"role": "user", "content": text},
    ]
    return language_model.chat_ids(tokenizer, messages, opening=opening), opening


def finish(
    tokenizer: PreTrainedTokenizerBase, request: Request, decoded: language_model.Decoded
) -> str:
    """Return the answer's text: opening first, and cut at a sentence where tokens ran out.

    An answer cut in mid-sentence would teach the model to stop in mid-sentence.
    """
    text: str = request.opening + tokenizer.decode(decoded.ids, skip_special_tokens=True)
    if not decoded.finished:
        ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        if ends:
            text = text[: ends[-1]]
    return text.strip()


def usable(drawn: dict[tuple[str, str], tuple[str, int, bool]], key: str) -> bool:
    """Whether a prompt's two answers are there and differ, so that people can compare them."""
    plain, guided = drawn[key, "plain"][0], drawn[key, "guided"][0]
    return bool(plain) and bool(guided) and plain != guided


def append(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Append a batch of answers and wait until the disk has them."""
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def whole_batches(path: Path, batches: Sequence[Sequence[str]]) -> int:
    """Count the batches that an earlier attempt finished, and drop what it left of the next.

    Only whole batches count, so that a resumed run samples in the same batches and writes the
    same bytes as one that was never interrupted.
    """
    if not path.exists():
        return 0
    data = path.read_bytes()
    lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
    done = kept = 0
    for batch in batches:
        if kept + len(batch) * len(ARMS) > len(lines):
            break
        kept += len(batch) * len(ARMS)
        done += 1
    with path.open("r+b") as file:
        file.truncate(sum(map(len, lines[:kept])))
    return done


if __name__ == "__main__":
    sys.exit(run_directory.execute("generate", main))
