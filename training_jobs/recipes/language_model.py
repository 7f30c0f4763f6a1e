"""What the recipes share about causal language models: loading, saving, scoring and decoding."""

import hashlib
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own name for it
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from training_jobs.recipes.run_directory import RecipeError

Message = Mapping[str, str]

# Below this a shared beginning is not worth a second forward pass.
_SHARED_PREFIX: Final = 16
_PROMPT, _CHOSEN, _REJECTED, _PADDING = 0, 1, 2, 3


class Hardware(NamedTuple):
    """Where and in which precision a recipe computes."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager[Any]:
        """Return the context in which matrix products run in `dtype`."""
        context: AbstractContextManager[Any] = torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.dtype is torch.bfloat16
        )
        return context


def settle_hardware(*, precision: str, threads: int, seed: int) -> Hardware:
    """Choose device and precision, and make what follows repeatable.

    Args:
        precision: auto, bf16 or fp32.
        threads: of the CPU; 0 takes every core this process may use.
        seed: of torch's generators.

    Returns:
        The first CUDA device if there is one, else the CPU; bfloat16 where it is asked for or,
        with auto, where the hardware multiplies in it.
    """
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    torch.use_deterministic_algorithms(mode=True, warn_only=True)
    # Filling fresh memory guards against reading it unset, which nothing here does, and costs 3 %.
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if precision == "auto":
        fast = torch.cuda.is_bf16_supported() if device.type == "cuda" else _cpu_has_bf16()
        precision = "bf16" if fast else "fp32"
    return Hardware(device, torch.bfloat16 if precision == "bf16" else torch.float32)


def _cpu_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def load_tokenizer(directory: Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer that has a chat template and an end-of-text token.

    Raises:
        RecipeError: it has not.
    """
    tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    if tokenizer.chat_template is None:
        raise RecipeError("This model has no chat template, so it cannot be talked to.")
    if tokenizer.eos_token_id is None:
        raise RecipeError("This model's tokenizer names no end-of-text token.")
    return tokenizer


def load_model(directory: Path, *, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """Load a causal language model from safetensors, ready to be asked (not trained).

    Raises:
        RecipeError: the directory holds no safetensors, or a model whose logits are rescaled
            after the head, which the scoring here does not repeat.
    """
    if not any(directory.glob("*.safetensors")):
        raise RecipeError("The model directory holds no safetensors.")
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    for name in ("final_logit_softcapping", "logit_scale", "logits_scaling"):
        if getattr(config, name, None) not in {None, 1}:
            raise RecipeError(f"Models with {name} are not supported by this recipe yet.")
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=dtype, local_files_only=True, use_safetensors=True
    )
    model.to(device).eval()
    return model


def stored_dtype(directory: Path) -> torch.dtype:
    """Return the precision in which a model directory keeps its weights."""
    config = AutoConfig.from_pretrained(directory, local_files_only=True)
    return config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32


def save_model(model: PreTrainedModel, source: Path, target: Path, *, dtype: torch.dtype) -> None:
    """Save weights, and copy tokenizer and chat template from `source`, byte for byte.

    Nothing written depends on the time, the directory or the user: the same weights give the
    same digest. `target` appears whole or not at all.
    """
    temporary = target.with_name(f".{target.name}.new")
    shutil.rmtree(temporary, ignore_errors=True)
    model.to(dtype).save_pretrained(temporary)
    for path in sorted(source.iterdir()):
        weights = path.suffix in {".safetensors", ".bin", ".gguf", ".pt"} or "index" in path.name
        if path.is_file() and not weights and not (temporary / path.name).exists():
            shutil.copyfile(path, temporary / path.name)
    seal(temporary, target)


def seal(temporary: Path, target: Path) -> None:
    """Give a finished directory its modes and its name."""
    for path in temporary.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    temporary.chmod(0o755)
    shutil.rmtree(target, ignore_errors=True)
    temporary.replace(target)


def chat_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, opening: str = ""
) -> list[int]:
    """Return the tokens up to where the assistant speaks, then those of `opening`."""
    ids = _encode(tokenizer, _render(tokenizer, messages))
    return ids + _encode(tokenizer, opening) if opening else ids


def completion_ids(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message], answer: Sequence[Message]
) -> list[int]:
    """Return the tokens of an answer as the chat template closes it, with its end-of-turn token."""
    start = _render(tokenizer, prompt)
    whole = tokenizer.apply_chat_template([*prompt, *answer], tokenize=False)
    if whole.startswith(start):
        text = whole[len(start) :].rstrip("\n")
    else:
        # A template that rewrites earlier turns: fall back to the bare text.
        text = "".join(message["content"] for message in answer) + tokenizer.eos_token
    return _encode(tokenizer, text)


def _render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> str:
    plain = [{"role": message["role"], "content": message["content"]} for message in messages]
    return str(tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=True))


def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


class Pair(NamedTuple):
    """Two completions of one prompt, as token ids."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]


class PairLogProbs(NamedTuple):
    """Summed log-probabilities of the completions of a batch of pairs, in nats.

    Attributes:
        chosen: shape (batch,).
        rejected: shape (batch,).
    """

    chosen: Tensor
    rejected: Tensor


class PairBatch(NamedTuple):
    """Pairs laid out for one forward pass, each prompt computed once for both its completions.

    A row is prompt + chosen + rejected. The rejected completion sees the prompt and itself but
    not the chosen one, and its positions start over where the prompt ends.

    Attributes:
        input_ids: shape (batch, length).
        position_ids: shape (batch, length).
        attention: True where a token sees another, shape (batch, 1, length, length).
        sources: index into the flattened rows whose output predicts a completion token,
            shape (tokens,).
        targets: the completion tokens predicted there, shape (tokens,).
        owners: 2 * row for a token of the chosen completion, 2 * row + 1 for one of the rejected,
            shape (tokens,).
    """

    input_ids: Tensor
    position_ids: Tensor
    attention: Tensor
    sources: Tensor
    targets: Tensor
    owners: Tensor


def lay_out(pairs: Sequence[Pair], *, pad_id: int, device: torch.device) -> PairBatch:
    """Lay out pairs for `pair_log_probs`; every part of a pair must hold at least one token."""
    length = max(len(pair.prompt) + len(pair.chosen) + len(pair.rejected) for pair in pairs)
    ids, positions, parts = [], [], []
    sources, targets, owners = [], [], []
    for row, (prompt, chosen, rejected) in enumerate(pairs):
        p, c, r = len(prompt), len(chosen), len(rejected)
        padding = length - p - c - r
        ids.append([*prompt, *chosen, *rejected, *([pad_id] * padding)])
        positions.append([*range(p + c), *range(p, p + r), *([0] * padding)])
        parts.append([_PROMPT] * p + [_CHOSEN] * c + [_REJECTED] * r + [_PADDING] * padding)
        # The first token of either completion is predicted by the last token of the prompt.
        first = row * length
        sources += [first + p - 1 + n for n in range(c)]
        sources += [first + p - 1] + [first + p + c - 1 + n for n in range(1, r)]
        targets += [*chosen, *rejected]
        owners += [2 * row] * c + [2 * row + 1] * r
    part = torch.tensor(parts)
    sees = (part[:, None, :] == _PROMPT) | (part[:, None, :] == part[:, :, None])
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    return PairBatch(
        torch.tensor(ids, device=device),
        torch.tensor(positions, device=device),
        (sees & causal)[:, None].to(device),
        torch.tensor(sources, device=device),
        torch.tensor(targets, device=device),
        torch.tensor(owners, device=device),
    )


def pair_log_probs(model: PreTrainedModel, batch: PairBatch) -> PairLogProbs:
    """Score both completions of each pair, with the vocabulary head on completion tokens only.

    Returns:
        Log-probabilities summed over each completion's tokens, in single precision.
    """
    rows = batch.input_ids.shape[0]
    hidden = model.get_decoder()(
        input_ids=batch.input_ids,
        attention_mask=batch.attention,
        position_ids=batch.position_ids,
        use_cache=False,
    ).last_hidden_state
    wanted = hidden.flatten(0, 1).index_select(0, batch.sources)
    head: nn.Module = model.get_output_embeddings()
    logits = head(wanted).float()
    each = -F.cross_entropy(logits, batch.targets, reduction="none")
    summed = torch.zeros(2 * rows, device=each.device).index_add(0, batch.owners, each)
    return PairLogProbs(summed[0::2], summed[1::2])


def truncated(pair: Pair, *, max_length: int) -> Pair | None:
    """Fit a pair into `max_length` tokens a completion, or return None where that cannot be.

    Completions lose their end; a prompt that leaves no room for a completion is not scored.
    """
    room = max_length - len(pair.prompt)
    if room < 1 or not (pair.prompt and pair.chosen and pair.rejected):
        return None
    return Pair(pair.prompt, pair.chosen[:room], pair.rejected[:room])


class Sampling(NamedTuple):
    """How to draw tokens; temperature 0 takes the likeliest."""

    temperature: float
    top_p: float
    top_k: int


GREEDY: Final = Sampling(0.0, 1.0, 1)


class Decoded(NamedTuple):
    """Tokens that a model answered with, and whether it ended its answer itself."""

    ids: list[int]
    finished: bool


def seeded_uniforms(*parts: object, count: int) -> list[float]:
    """Return `count` numbers in [0, 1) that depend on `parts` alone, never on the batch."""
    name = "\x1f".join(map(str, parts)).encode()
    source = random.Random(hashlib.sha256(name).digest())  # noqa: S311 - sampling, no secret
    return [source.random() for _ in range(count)]


def stop_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the tokens that end an answer: the model's and the tokenizer's."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    match configured:
        case None:
            stops = set()
        case int():
            stops = {configured}
        case _:
            stops = set(configured)
    return stops | {int(tokenizer.eos_token_id)}


@torch.inference_mode()
def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    stops: set[int],
    sampling: Sampling = GREEDY,
    uniforms: Sequence[Sequence[float]] = (),
) -> list[Decoded]:
    """Continue every prompt, token by token.

    A beginning that all prompts share (a system prompt, say) is computed once. Rows that have
    ended leave the batch. Token t of row i depends on the model, the row and `uniforms[i][t]`;
    other rows matter only through the rounding of larger matrix products.

    Args:
        model: a causal language model in evaluation mode.
        prompts: token ids, at least one each.
        max_new_tokens: longest continuation.
        stops: tokens that end an answer, and are not returned.
        sampling: how to draw.
        uniforms: `max_new_tokens` numbers in [0, 1) for each prompt; unused at temperature 0.
    """
    device = model.device
    shared = _shared_prefix(prompts)
    tails = [list(prompt[shared:]) for prompt in prompts]
    width = max(map(len, tails))
    cache = DynamicCache(config=model.config)
    if shared:
        prefix = torch.tensor([list(prompts[0][:shared])], device=device)
        cache = model(input_ids=prefix, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = cache.past_key_values
        cache.batch_repeat_interleave(len(prompts))
    # Padding is on the left of the tails, so that the last column predicts for every row. Its
    # token is whatever comes first; no row sees it.
    ids = torch.tensor([[0] * (width - len(tail)) + tail for tail in tails], device=device)
    seen = torch.tensor(
        [[1] * shared + [0] * (width - len(tail)) + [1] * len(tail) for tail in tails],
        device=device,
    )
    positions = (seen.cumsum(1) - 1).clamp(min=0)[:, shared:]
    answers: list[list[int]] = [[] for _ in prompts]
    finished = [False] * len(prompts)
    rows = list(range(len(prompts)))
    for step in range(max_new_tokens):
        output = model(
            input_ids=ids,
            attention_mask=seen,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        numbers = [uniforms[row][step] for row in rows] if uniforms else []
        drawn = _draw(output.logits[:, -1].float(), sampling, numbers)
        kept = []
        for column, (row, token) in enumerate(zip(rows, drawn.tolist(), strict=True)):
            if token in stops:
                finished[row] = True
            else:
                answers[row].append(token)
                kept.append(column)
        if not kept or step + 1 == max_new_tokens:
            break
        if len(kept) < len(rows):
            index = torch.tensor(kept, device=device)
            cache.batch_select_indices(index)
            rows = [rows[column] for column in kept]
            drawn, seen, positions = drawn[index], seen[index], positions[index]
        ids = drawn[:, None]
        seen = F.pad(seen, (0, 1), value=1)
        positions = positions[:, -1:] + 1
    return [Decoded(ids, end) for ids, end in zip(answers, finished, strict=True)]


def _shared_prefix(prompts: Sequence[Sequence[int]]) -> int:
    # Every row keeps a token of its own, to predict from.
    limit = min(map(len, prompts)) - 1
    shared = 0
    while shared < limit and len({prompt[shared] for prompt in prompts}) == 1:
        shared += 1
    return shared if shared >= _SHARED_PREFIX and len(prompts) > 1 else 0


def _draw(logits: Tensor, sampling: Sampling, uniforms: Sequence[float]) -> Tensor:
    """Draw one token for each row by inverting the distribution at the row's own number.

    Args:
        logits: shape (rows, vocabulary).
        sampling: temperature first, then the top k, then the top p of what is left.
        uniforms: one number in [0, 1) for each row.

    Returns:
        Token ids, shape (rows,).
    """
    if sampling.temperature == 0:
        return logits.argmax(dim=-1)
    best, tokens = logits.topk(min(sampling.top_k, logits.shape[-1]), dim=-1)
    mass = torch.softmax(best / sampling.temperature, dim=-1)
    total = mass.cumsum(dim=-1)
    # The token that carries the total across top_p stays in.
    mass = mass * (total - mass < sampling.top_p)
    total = mass.cumsum(dim=-1)
    at = torch.tensor(list(uniforms), device=logits.device)[:, None] * total[:, -1:]
    chosen = (total <= at).sum(dim=-1, keepdim=True).clamp(max=tokens.shape[-1] - 1)
    return tokens.gather(1, chosen)[:, 0]
