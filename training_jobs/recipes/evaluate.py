"""Recipe: a trained model beside the one it came from, on the same items.

In: `model` (the candidate) and `baseline`, and at least one of `heldout` (pairs that training
never saw), `constitution.json` and `suite.json`. Out: `result.json` with scores and samples.

Every score has n, value, interval, method and the number of items that could not be scored; every
difference is paired, item by item. Text is decoded greedily, so a repetition gives the same.
"""

import gc
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from training_jobs import intervals
from training_jobs.recipes import language_model, preference_data, refusals, run_directory
from training_jobs.recipes.language_model import Hardware, Message, Pair
from training_jobs.recipes.run_directory import RecipeError, RunDirectory

SIDES: Final = {"before": "baseline", "after": "model"}

_MEAN_LOG_PROB: Final = "mean log-probability per token of the better answer against the worse"
_TIES: Final = "a tie counts half"


class Choice(NamedTuple):
    """Two answers to a prompt, the first of which should be the likelier one."""

    principle_key: str
    prompt: list[Message]
    better: list[Message]
    worse: list[Message]


class Question(NamedTuple):
    """A prompt to be answered. `kind` is harmful or benign, or empty where it is not judged."""

    kind: str
    text: str
    messages: list[Message]


class Answers(NamedTuple):
    """What one side made of all items, in their order; None is what could not be scored.

    Attributes:
        heldout: mean log-probability per token of chosen minus rejected, in nats.
        adherence: the same of better minus worse.
        texts: greedy answers.
    """

    heldout: list[float | None]
    adherence: list[float | None]
    texts: list[str]


def main(run: RunDirectory) -> None:
    """Ask both sides everything, then compare."""
    options = run.options
    hardware = language_model.settle_hardware(
        precision=options.text("precision"),
        threads=options.whole("threads"),
        seed=run.manifest.seed,
    )
    heldout = read_heldout(run)
    choices = read_choices(run)
    judged = read_suite(run)
    if not (heldout or choices or judged):
        raise RecipeError("There is nothing to evaluate on: no held-out pairs, items or suite.")
    shown = shown_questions(judged, heldout, count=options.whole("samples"))
    questions = judged + [question for question in shown if question not in judged]
    total = len(SIDES) * (len(heldout) + len(choices) + len(questions))
    done = 0
    sides: dict[str, Answers] = {}
    for side, name in SIDES.items():
        kept = run.path / f"{side}.json"
        if kept.exists():
            # An earlier attempt had finished this side.
            sides[side] = Answers(*json.loads(kept.read_text(encoding="utf-8")))
        else:
            sides[side] = ask(
                run,
                run.input(name),
                heldout,
                choices,
                questions,
                hardware=hardware,
                side=side,
                done=done,
                total=total,
            )
            run.write_json(kept.name, sides[side])
        done += total // len(SIDES)
    scores = [
        *heldout_scores(heldout, sides),
        *adherence_scores(choices, sides),
        *refusal_scores(questions, sides),
    ]
    places = [questions.index(question) for question in shown]
    run.progress(total, total, "done")
    run.write_result(
        {
            "model_digest": run.manifest.inputs["model"].digest,
            "baseline_digest": run.manifest.inputs["baseline"].digest,
            "heldout_digest": digest_of(run, "heldout"),
            "constitution_digest": digest_of(run, "constitution.json"),
            "suite_digest": digest_of(run, "suite.json"),
            "suite_name": run.read_json("suite.json")["name"] if judged else None,
            "matcher": refusals.MATCHER,
            "scores": scores,
            "samples": [
                {
                    "prompt": questions[place].text,
                    "kind": questions[place].kind or None,
                    "baseline": sides["before"].texts[place],
                    "candidate": sides["after"].texts[place],
                }
                for place in places
            ],
            "seconds": run.seconds(),
        }
    )


def digest_of(run: RunDirectory, name: str) -> str | None:
    """Return the digest of an input that may be absent."""
    return run.manifest.inputs[name].digest if run.has_input(name) else None


def read_heldout(run: RunDirectory) -> list[Choice]:
    """Return the held-out pairs; an evenly split one has no right answer and is left out."""
    if not run.has_input("heldout"):
        return []
    return [
        Choice(pair.principle_key, pair.prompt, pair.chosen, pair.rejected)
        for pair in preference_data.read_pairs(run.input("heldout"), "heldout")
        if pair.p_chosen > preference_data.EVEN
    ]


def read_choices(run: RunDirectory) -> list[Choice]:
    """Return the constitution's evaluation items, principle by principle.

    Raises:
        RecipeError: the compiled constitution does not have their shape.
    """
    if not run.has_input("constitution.json"):
        return []
    try:
        return [
            Choice(
                str(principle["key"]),
                [{"role": "user", "content": item["prompt"]}],
                [{"role": "assistant", "content": item["better"]}],
                [{"role": "assistant", "content": item["worse"]}],
            )
            for principle in run.read_json("constitution.json")["principles"]
            for item in principle["eval_items"]
        ]
    except (KeyError, TypeError) as error:
        raise RecipeError("The compiled constitution lacks its evaluation items.") from error


def read_suite(run: RunDirectory) -> list[Question]:
    """Return the suite's prompts.

    Raises:
        RecipeError: it does not have the shape of a suite.
    """
    if not run.has_input("suite.json"):
        return []
    questions = []
    suite = run.read_json("suite.json")
    for item in suite["items"] if isinstance(suite, dict) and "items" in suite else [None]:
        match item:
            case {"id": str(), "kind": "harmful" | "benign" as kind, "text": str(text)}:
                questions.append(Question(kind, text, [{"role": "user", "content": text}]))
            case _:
                raise RecipeError("An item of the suite lacks id, kind (harmful, benign) or text.")
    return questions


def shown_questions(
    judged: Sequence[Question], heldout: Sequence[Choice], *, count: int
) -> list[Question]:
    """Choose the prompts whose answers are shown: from suite and held-out pairs in turn.

    Within a source they are taken at even distances, so that no topic is favoured.
    """
    held_out = [
        Question("", str(choice.prompt[-1]["content"]), choice.prompt) for choice in heldout
    ]
    sources = [
        [question for question in judged if question.kind == "harmful"],
        [question for question in judged if question.kind == "benign"],
        # One prompt may stand in several pairs, and in the suite too.
        [
            question
            for place, question in enumerate(held_out)
            if question not in held_out[:place]
            and all(question.text != other.text for other in judged)
        ],
    ]
    shown: list[Question] = []
    # The smallest source first: what it cannot give falls to the others.
    for left, source in zip((3, 2, 1), sorted(sources, key=len), strict=True):
        wanted = min(len(source), (count - len(shown)) // left)
        shown += [source[n * len(source) // wanted] for n in range(wanted)]
    return shown


def ask(
    run: RunDirectory,
    directory: Path,
    heldout: Sequence[Choice],
    choices: Sequence[Choice],
    questions: Sequence[Question],
    *,
    hardware: Hardware,
    side: str,
    done: int,
    total: int,
) -> Answers:
    """Put all items to one model, which is loaded for it and let go after."""
    run.progress(done, total, f"loading {side}")
    tokenizer = language_model.load_tokenizer(directory)
    model = language_model.load_model(directory, dtype=hardware.dtype, device=hardware.device)
    size = run.options.whole("pair_batch_size")
    length = run.options.whole("max_length")
    margins = score(model, tokenizer, heldout, batch_size=size, max_length=length)
    done += len(heldout)
    run.progress(done, total, f"held-out pairs {side}")
    adherence = score(model, tokenizer, choices, batch_size=size, max_length=length)
    done += len(choices)
    run.progress(done, total, f"principles {side}")
    texts = answer(
        model,
        tokenizer,
        questions,
        batch_size=run.options.whole("batch_size"),
        max_new_tokens=run.options.whole("max_new_tokens"),
    )
    run.progress(done + len(questions), total, f"answers {side}")
    del model
    gc.collect()
    return Answers(margins, adherence, texts)


@torch.inference_mode()
def score(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    choices: Sequence[Choice],
    *,
    batch_size: int,
    max_length: int,
) -> list[float | None]:
    """Return how much likelier the better answer is, per token, or None where it cannot be said.

    Returns:
        Mean log-probability per token of the better answer minus that of the worse, in nats.
    """
    pairs: list[Pair | None] = [
        language_model.truncated(
            Pair(
                language_model.chat_ids(tokenizer, choice.prompt),
                language_model.completion_ids(tokenizer, choice.prompt, choice.better),
                language_model.completion_ids(tokenizer, choice.prompt, choice.worse),
            ),
            max_length=max_length,
        )
        for choice in choices
    ]
    margins: list[float | None] = [None] * len(pairs)
    scored = sorted(
        ((index, pair) for index, pair in enumerate(pairs) if pair is not None),
        key=lambda item: (sum(map(len, item[1])), item[0]),
    )
    for start in range(0, len(scored), batch_size):
        batch = scored[start : start + batch_size]
        laid_out = language_model.lay_out(
            [pair for _, pair in batch], pad_id=int(tokenizer.eos_token_id), device=model.device
        )
        sums = language_model.pair_log_probs(model, laid_out)
        for (index, pair), better, worse in zip(
            batch, sums.chosen.tolist(), sums.rejected.tolist(), strict=True
        ):
            margin = better / len(pair.chosen) - worse / len(pair.rejected)
            # A NaN, which overflow can make, is unscored; it equals nothing, not even itself.
            margins[index] = margin if margin == margin else None  # noqa: PLR0124
    return margins


def answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    questions: Sequence[Question],
    *,
    batch_size: int,
    max_new_tokens: int,
) -> list[str]:
    """Return the greedy answer to each question."""
    starts = [language_model.chat_ids(tokenizer, question.messages) for question in questions]
    order = sorted(range(len(starts)), key=lambda index: (len(starts[index]), index))
    texts = [""] * len(starts)
    for at in range(0, len(order), batch_size):
        batch = order[at : at + batch_size]
        decoded = language_model.decode(
            model,
            [starts[index] for index in batch],
            max_new_tokens=max_new_tokens,
            stops=language_model.stop_ids(model, tokenizer),
        )
        for index, one in zip(batch, decoded, strict=True):
            texts[index] = str(tokenizer.decode(one.ids, skip_special_tokens=True)).strip()
    return texts


def heldout_scores(heldout: Sequence[Choice], sides: Mapping[str, Answers]) -> list[dict[str, Any]]:
    """Score how often the answer that people chose is the likelier one."""
    if not heldout:
        return []
    return proportion_scores(
        "heldout_accuracy",
        "",
        {side: [preferred(margin) for margin in sides[side].heldout] for side in SIDES},
        f"share of pairs by {_MEAN_LOG_PROB}; {_TIES}",
    )


def adherence_scores(
    choices: Sequence[Choice], sides: Mapping[str, Answers]
) -> list[dict[str, Any]]:
    """Score the constitution's items, for each principle and (key "") for all together."""
    scores: list[dict[str, Any]] = []
    keys = list(dict.fromkeys(choice.principle_key for choice in choices))
    for key in [*keys, ""] if choices else []:
        rows = [n for n, choice in enumerate(choices) if key in {"", choice.principle_key}]
        margins = {side: [sides[side].adherence[n] for n in rows] for side in SIDES}
        scores += proportion_scores(
            "adherence",
            key,
            {side: [preferred(margin) for margin in margins[side]] for side in SIDES},
            f"share of items by {_MEAN_LOG_PROB}; {_TIES}",
        )
        scores += mean_scores(
            "adherence_probability",
            key,
            {side: [probability(margin) for margin in margins[side]] for side in SIDES},
            f"softmax of the two {_MEAN_LOG_PROB}",
        )
    return scores


def refusal_scores(
    questions: Sequence[Question], sides: Mapping[str, Answers]
) -> list[dict[str, Any]]:
    """Score how often harmful and harmless prompts are declined; an empty answer is unscored."""
    scores: list[dict[str, Any]] = []
    for metric, kind in (("refusal_rate", "harmful"), ("over_refusal_rate", "benign")):
        rows = [n for n, question in enumerate(questions) if question.kind == kind]
        if rows:
            scores += proportion_scores(
                metric,
                "",
                {side: [declined(sides[side].texts[n]) for n in rows] for side in SIDES},
                f"greedy answers to {kind} prompts, matcher {refusals.MATCHER}",
            )
    return scores


def preferred(margin: float | None) -> float | None:
    """Return 1 where the better answer is the likelier one, 0 where not, 0.5 for a tie."""
    return None if margin is None else (margin > 0) + 0.5 * (margin == 0)


def probability(margin: float | None) -> float | None:
    """Return the better answer's share of the two, given the difference of mean log-probs."""
    return None if margin is None else float(torch.sigmoid(torch.tensor(margin)))


def declined(text: str) -> float | None:
    """Return 1 for an answer that declines, 0 for one that does not, None for no answer."""
    return float(refusals.declines(text)) if text else None


def proportion_scores(
    metric: str, key: str, outcomes: Mapping[str, Sequence[float | None]], how: str
) -> list[dict[str, Any]]:
    """Return the scores of both sides and of their difference, from outcomes in [0, 1]."""
    scores = []
    for side in SIDES:
        values = [value for value in outcomes[side] if value is not None]
        interval = intervals.wilson(sum(values), len(values)) if values else None
        scores.append(
            row(metric, key, side, outcomes[side], interval, f"{intervals.WILSON}: {how}")
        )
    both = paired(outcomes)
    interval = intervals.paired_scores_difference(*zip(*both, strict=True)) if both else None
    return [
        *scores,
        row(
            metric,
            key,
            "difference",
            difference_outcomes(outcomes),
            interval,
            f"{intervals.NEWCOMBE_PAIRED}, after minus before: {how}",
        ),
    ]


def mean_scores(
    metric: str, key: str, outcomes: Mapping[str, Sequence[float | None]], how: str
) -> list[dict[str, Any]]:
    """Return the means of both sides and of their item-by-item difference."""
    scores = []
    for side, values in [
        *((side, list(outcomes[side])) for side in SIDES),
        ("difference", difference_outcomes(outcomes)),
    ]:
        known = [value for value in values if value is not None]
        interval = intervals.mean(known) if known else None
        scores.append(row(metric, key, side, values, interval, f"{intervals.MEAN_NORMAL}: {how}"))
    return scores


def paired(outcomes: Mapping[str, Sequence[float | None]]) -> list[tuple[float, float]]:
    """Return (after, before) of the items that were scored on both sides."""
    return [
        (after, before)
        for after, before in zip(outcomes["after"], outcomes["before"], strict=True)
        if after is not None and before is not None
    ]


def difference_outcomes(outcomes: Mapping[str, Sequence[float | None]]) -> list[float | None]:
    """Return after minus before of each item, None where either side is unscored."""
    return [
        None if after is None or before is None else after - before
        for after, before in zip(outcomes["after"], outcomes["before"], strict=True)
    ]


def row(
    metric: str,
    key: str,
    side: str,
    outcomes: Sequence[float | None],
    interval: intervals.Interval | None,
    method: str,
) -> dict[str, Any]:
    """Return one score as the result holds it; without a scored item its figures are null."""
    value, low, high = interval or (None, None, None)
    return {
        "metric": metric,
        "principle_key": key,
        "side": side,
        "n": sum(outcome is not None for outcome in outcomes),
        "unscored": sum(outcome is None for outcome in outcomes),
        "value": value,
        "low": low,
        "high": high,
        "method": method,
    }


if __name__ == "__main__":
    sys.exit(run_directory.execute("evaluate", main))
