"""Random models so small that a worker trains one in seconds.

Tests of pages make them in a process of its own, since this imports torch.
"""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

# What stands for the byte 0 in vocabularies of bytes: no text holds it, and no database takes it.
BYTE_0 = "\N{LATIN CAPITAL LETTER A WITH MACRON}"
SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' "
    "+ message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write(directory: Path, *, seed: int, longest: int = 512) -> None:
    """Save a Llama of two layers, with random weights and a tokenizer of bytes."""
    directory.mkdir(parents=True, exist_ok=True)
    # Without the byte 0, which no text holds and no database takes.
    alphabet = sorted(set(pre_tokenizers.ByteLevel.alphabet()) - {BYTE_0})
    vocabulary = {token: index for index, token in enumerate([*SPECIALS, *alphabet])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(seed)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=longest,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
            initializer_range=0.4,
        )
    )
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
