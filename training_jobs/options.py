"""The options of every recipe: name, default, range and what it does, in one place.

Pure, so that a page can offer and check them without loading torch. A number that is no integer
is a decimal string, as in the manifest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final


class OptionError(ValueError):
    """An option that a recipe does not take, with a sentence that says why."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer from `low` to `high`."""

    default: int
    low: int
    high: int
    help: str


@dataclass(frozen=True, slots=True)
class Real:
    """A decimal string from `low` to `high`."""

    default: str
    low: str
    high: str
    help: str


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at most `longest` characters, from `choices` where there are any."""

    default: str
    longest: int
    help: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flag:
    """A boolean."""

    default: bool
    help: str


Option = Whole | Real | Text | Flag

_THREADS: Final = Whole(0, 0, 1024, "CPU threads; 0 takes every core this process may use.")
_PRECISION: Final = Text(
    "auto",
    8,
    "bf16 computes in bfloat16, fp32 in single precision; auto takes what the hardware does best.",
    ("auto", "bf16", "fp32"),
)
_LENGTH: Final = Whole(512, 16, 131072, "Longest prompt with its answer, in tokens.")

OPTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "import_base": {
        "threads": _THREADS,
    },
    "generate": {
        "opening": Text(
            "I'm sorry, but I can't help with that, because it could harm someone.",
            400,
            "How every answer of the guided arm begins, for harmless prompts too.",
        ),
        "max_new_tokens": Whole(32, 1, 4096, "Longest answer, in sampled tokens."),
        "temperature": Real("0.7", "0", "2", "0 takes the likeliest token each time."),
        "top_p": Real("0.9", "0.01", "1", "Sample from the likeliest tokens of this total mass."),
        "top_k": Whole(50, 1, 1000, "Sample from at most this many tokens."),
        "batch_size": Whole(32, 1, 1024, "Prompts computed together."),
        "attempts": Whole(5, 1, 20, "Tries for two answers that differ."),
        "precision": _PRECISION,
        "threads": _THREADS,
    },
    "dpo": {
        "steps": Whole(32, 1, 1_000_000, "Optimizer steps."),
        "batch_size": Whole(8, 1, 4096, "Pairs in an optimizer step."),
        "micro_batch_size": Whole(8, 1, 1024, "Pairs computed together; less needs less memory."),
        "learning_rate": Real("0.00005", "0.000000001", "0.1", "At its highest, after warm-up."),
        "warmup_steps": Whole(3, 0, 100_000, "Steps over which the learning rate rises."),
        "beta": Real("0.1", "0.0001", "10", "Strength of the pull to the reference model."),
        "sft_weight": Real("1", "0", "100", "Weight of imitating the chosen answer."),
        "label_noise": Real("0", "0", "0.49", "Share of labels taken to be flipped."),
        "weight_decay": Real("0", "0", "1", "Decoupled, as in AdamW."),
        "max_grad_norm": Real("1", "0.001", "1000", "Gradients are scaled down to this norm."),
        "max_length": _LENGTH,
        "checkpoint_every": Whole(20, 1, 1_000_000, "Steps between checkpoints."),
        "precision": _PRECISION,
        "threads": _THREADS,
    },
    "evaluate": {
        "max_new_tokens": Whole(28, 1, 4096, "Longest answer that is judged, in tokens."),
        "batch_size": Whole(48, 1, 1024, "Prompts answered together."),
        "pair_batch_size": Whole(16, 1, 1024, "Pairs scored together."),
        "samples": Whole(12, 0, 200, "Answers shown side by side."),
        "max_length": _LENGTH,
        "precision": _PRECISION,
        "threads": _THREADS,
    },
    "chat": {
        "max_new_tokens": Whole(120, 1, 4096, "Longest answer, in tokens."),
        "temperature": Real("0", "0", "2", "0 takes the likeliest token each time."),
        "top_p": Real("0.9", "0.01", "1", "Sample from the likeliest tokens of this total mass."),
        "top_k": Whole(50, 1, 1000, "Sample from at most this many tokens."),
        "use_constitution": Flag(
            default=True, help="Put the constitution's system prompt first, where one is given."
        ),
        "precision": _PRECISION,
        "threads": _THREADS,
    },
}


@dataclass(frozen=True, slots=True)
class Settled:
    """Checked option values, one reader for each kind."""

    values: Mapping[str, int | str | bool]

    def whole(self, name: str) -> int:
        """Return an integer option."""
        return int(self.values[name])

    def real(self, name: str) -> float:
        """Return a decimal option as a number."""
        return float(self.values[name])

    def text(self, name: str) -> str:
        """Return a string option."""
        return str(self.values[name])

    def flag(self, name: str) -> bool:
        """Return a boolean option."""
        return bool(self.values[name])


def settle(recipe: str, given: Mapping[str, int | str | bool]) -> Settled:
    """Fill in the defaults of a recipe's options and check those that were given.

    Raises:
        OptionError: an option is unknown, of the wrong type, or out of its range.
    """
    known = OPTIONS[recipe]
    for name in sorted(given.keys() - known.keys()):
        raise OptionError(f"The recipe {recipe} has no option {name!r}.")
    for name, value in given.items():
        _check(name, known[name], value)
    return Settled({name: given.get(name, option.default) for name, option in known.items()})


def _check(name: str, option: Option, value: object) -> None:
    match option:
        case Whole():
            if type(value) is not int or not option.low <= value <= option.high:
                raise OptionError(
                    f"The option {name} must be an integer from {option.low} to {option.high}."
                )
        case Real():
            number = _decimal(value)
            if number is None or not Decimal(option.low) <= number <= Decimal(option.high):
                raise OptionError(
                    f"The option {name} must be a decimal string from {option.low} to "
                    f"{option.high}, such as {option.default!r}."
                )
        case Text():
            if not isinstance(value, str) or len(value) > option.longest:
                raise OptionError(
                    f"The option {name} must be a text of at most {option.longest} characters."
                )
            if option.choices and value not in option.choices:
                raise OptionError(f"The option {name} must be one of {', '.join(option.choices)}.")
        case Flag():
            if not isinstance(value, bool):
                raise OptionError(f"The option {name} must be true or false.")


def _decimal(value: object) -> Decimal | None:
    if not isinstance(value, str):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
