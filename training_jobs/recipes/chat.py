"""Recipe: one answer in a conversation.

In: `model`, `messages.json` and, if wanted, `constitution.json` for its system prompt. Out:
`result.json` with the text.
"""

import sys
from typing import Any

from training_jobs.recipes import language_model, run_directory
from training_jobs.recipes.language_model import Message
from training_jobs.recipes.run_directory import RecipeError, RunDirectory


def main(run: RunDirectory) -> None:
    """Answer the last message."""
    options = run.options
    hardware = language_model.settle_hardware(
        precision=options.text("precision"),
        threads=options.whole("threads"),
        seed=run.manifest.seed,
    )
    messages = read_messages(run.read_json("messages.json"))
    if run.has_input("constitution.json") and options.flag("use_constitution"):
        system_prompt = str(run.read_json("constitution.json")["system_prompt"])
        messages = [{"role": "system", "content": system_prompt}, *messages]
    tokenizer = language_model.load_tokenizer(run.input("model"))
    model = language_model.load_model(
        run.input("model"), dtype=hardware.dtype, device=hardware.device
    )
    count = options.whole("max_new_tokens")
    decoded = language_model.decode(
        model,
        [language_model.chat_ids(tokenizer, messages)],
        max_new_tokens=count,
        stops=language_model.stop_ids(model, tokenizer),
        sampling=language_model.Sampling(
            options.real("temperature"), options.real("top_p"), options.whole("top_k")
        ),
        uniforms=[language_model.seeded_uniforms(run.manifest.seed, "chat", count=count)],
    )[0]
    run.write_result(
        {
            "model_digest": run.manifest.inputs["model"].digest,
            "text": str(tokenizer.decode(decoded.ids, skip_special_tokens=True)).strip(),
            "tokens": len(decoded.ids),
            "finished": decoded.finished,
            "seconds": run.seconds(),
        }
    )


def read_messages(value: Any) -> list[Message]:
    """Check a conversation: it ends with a user's message.

    Raises:
        RecipeError: it does not, or a message has another shape.
    """
    messages: list[Message] = []
    for item in value if isinstance(value, list) else [None]:
        match item:
            case {"role": "system" | "user" | "assistant" as role, "content": str(content)}:
                messages.append({"role": role, "content": content})
            case _:
                raise RecipeError("A message needs a role (system, user, assistant) and content.")
    if not messages or messages[-1]["role"] != "user":
        raise RecipeError("The conversation must end with a message of the user.")
    return messages


if __name__ == "__main__":
    sys.exit(run_directory.execute("chat", main))
