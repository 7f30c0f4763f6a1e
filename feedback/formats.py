"""The files of a dataset: from labelled pairs to bytes that depend on nothing else.

Pure: pairs come in as plain values in the order of their digests, and the same pairs give the same
bytes (with the same release of Arrow, which the manifest names). No time, no database key and no
name of a person goes in.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from feedback.agreement import Agreement, agreement
from governance import canonical

ROWS_PER_GROUP = 1000
_STEMS = {"training": "train", "evaluation": "heldout"}
_HUB_SPLITS = {"training": "train", "evaluation": "test"}

_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
PAIR_SCHEMA = pa.schema(
    [
        ("prompt", _MESSAGES),
        ("chosen", _MESSAGES),
        ("rejected", _MESSAGES),
        ("weight", pa.float64()),
        ("p_chosen", pa.float64()),
        ("principle_key", pa.string()),
        ("pair_digest", pa.string()),
        ("prompt_digest", pa.string()),
        ("n_labels", pa.int32()),
        ("votes_chosen", pa.int32()),
        ("votes_rejected", pa.int32()),
        ("votes_tie", pa.int32()),
        ("votes_both_bad", pa.int32()),
        ("mean_strength", pa.float64()),
        ("model_digest", pa.string()),
        ("version_digest", pa.string()),
        ("hazard_codes", pa.list_(pa.string())),
    ]
)
LABEL_SCHEMA = pa.schema(
    [
        ("pair_digest", pa.string()),
        ("prompt_digest", pa.string()),
        ("principle_key", pa.string()),
        ("first_digest", pa.string()),
        ("second_digest", pa.string()),
        ("annotator", pa.string()),
        ("choice", pa.string()),
        ("strength", pa.int8()),
        ("first_on_left", pa.bool_()),
    ]
)


# --- what comes in --------------------------------------------------------------------------------


class SplitLeak(Exception):
    """A prompt of one split was about to be written into a dataset of the other."""


@dataclass(frozen=True)
class Answer:
    """A response as a pair has it."""

    digest: str
    text: str
    model_digest: str


@dataclass(frozen=True)
class Vote:
    """One label, turned back to the pair's own order.

    Attributes:
        annotator: pseudonym, of this dataset only.
        choice: `first`, `second`, `tie` or `both_bad`.
        strength: from 1 to 3.
        first_on_left: whether the annotator saw the first answer on the left.
    """

    annotator: str
    choice: str
    strength: int
    first_on_left: bool


@dataclass(frozen=True)
class Pair:
    """A prompt, two answers of which the first has the smaller digest, and their labels."""

    digest: str
    split: str
    prompt: str
    prompt_digest: str
    first: Answer
    second: Answer
    principle_key: str
    hazard_codes: tuple[str, ...]
    language: str
    licence: str
    votes: tuple[Vote, ...]


@dataclass(frozen=True)
class Facts:
    """What a dataset says of itself.

    Attributes:
        community: slug.
        title: of the constitution.
        purpose: `training` or `evaluation`.
        split: the only split whose prompts may enter.
        version_number: of the constitution.
        version_digest: of the constitution.
        principles: (key, title, digest of the content) of each principle, in order.
    """

    community: str
    title: str
    purpose: str
    split: str
    version_number: int
    version_digest: str
    principles: tuple[tuple[str, str, str], ...]


@dataclass
class Figures:
    """What was counted while the files were written."""

    pairs: int = 0
    contested: int = 0
    labels: int = 0
    ties: int = 0
    both_bad: int = 0
    annotators: set[str] = field(default_factory=set)
    languages: set[str] = field(default_factory=set)
    licences: set[str] = field(default_factory=set)
    units: dict[str, Counter[tuple[str, ...]]] = field(default_factory=dict)

    def add(self, pair: Pair) -> None:
        """Count a pair and its labels."""
        choices = tuple(sorted(vote.choice for vote in pair.votes))
        self.labels += len(choices)
        self.ties += choices.count("tie")
        self.both_bad += choices.count("both_bad")
        self.annotators.update(vote.annotator for vote in pair.votes)
        self.languages.add(pair.language)
        self.licences.add(pair.licence)
        self.units.setdefault(pair.principle_key, Counter())[choices] += 1

    def agreements(self) -> dict[str, Agreement]:
        """Return the agreement under each principle, by its key, in order."""
        return {key: agreement(units.elements()) for key, units in sorted(self.units.items())}

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain values, numbers with a fraction as text."""
        return {
            "pairs": self.pairs,
            "contested": self.contested,
            "labels": self.labels,
            "ties": self.ties,
            "both_bad": self.both_bad,
            "annotators": len(self.annotators),
            "agreement": [
                {
                    "principle": key,
                    "pairs": value.units,
                    "labels": value.values,
                    "alpha": _decimal(value.alpha),
                    "low": _decimal(value.low),
                    "high": _decimal(value.high),
                    "percent": _decimal(value.percent),
                }
                for key, value in self.agreements().items()
            ],
            "agreement_method": "Krippendorff's alpha, nominal over first, second, tie and "
            "both_bad; 95 % interval by the jackknife over pairs",
        }


def _decimal(value: Any) -> str | None:
    return None if value is None else f"{float(value):.6f}"


# --- rows -----------------------------------------------------------------------------------------


def pair_row(pair: Pair, version_digest: str) -> dict[str, Any] | None:
    """Return the row of a pair: the answer that more people chose against the other.

    `p_chosen` is the share of the votes for one answer that went to the chosen one. Equally good
    and both bad are counted beside it. `mean_strength` is the mean over the votes for the chosen.

    Returns:
        None where as many chose the one as the other: such a pair is contested, and left out.
    """
    votes = Counter(vote.choice for vote in pair.votes)
    if votes["first"] == votes["second"]:
        return None
    winner = "first" if votes["first"] > votes["second"] else "second"
    chosen, rejected = (pair.first, pair.second) if winner == "first" else (pair.second, pair.first)
    for_chosen, for_rejected = (
        max(votes["first"], votes["second"]),
        min(votes["first"], votes["second"]),
    )
    strengths = [vote.strength for vote in pair.votes if vote.choice == winner]
    return {
        "prompt": [{"role": "user", "content": pair.prompt}],
        "chosen": [{"role": "assistant", "content": chosen.text}],
        "rejected": [{"role": "assistant", "content": rejected.text}],
        "weight": 1.0,
        "p_chosen": for_chosen / (for_chosen + for_rejected),
        "principle_key": pair.principle_key,
        "pair_digest": pair.digest,
        "prompt_digest": pair.prompt_digest,
        "n_labels": len(pair.votes),
        "votes_chosen": for_chosen,
        "votes_rejected": for_rejected,
        "votes_tie": votes["tie"],
        "votes_both_bad": votes["both_bad"],
        "mean_strength": sum(strengths) / len(strengths),
        "model_digest": chosen.model_digest,
        "version_digest": version_digest,
        "hazard_codes": sorted(pair.hazard_codes),
    }


def label_rows(pair: Pair) -> Iterator[dict[str, Any]]:
    """Yield the row of each label of a pair, in the order of the pseudonyms."""
    for vote in sorted(pair.votes, key=lambda vote: vote.annotator):
        yield {
            "pair_digest": pair.digest,
            "prompt_digest": pair.prompt_digest,
            "principle_key": pair.principle_key,
            "first_digest": pair.first.digest,
            "second_digest": pair.second.digest,
            "annotator": vote.annotator,
            "choice": vote.choice,
            "strength": vote.strength,
            "first_on_left": vote.first_on_left,
        }


class ParquetFile:
    """A Parquet file written in groups of `ROWS_PER_GROUP` rows, however the rows arrive."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Open the file."""
        self.path = path
        self.rows = 0
        self._schema = schema
        self._waiting: list[dict[str, Any]] = []
        self._writer = pq.ParquetWriter(
            path, schema, version="2.6", compression="zstd", compression_level=3
        )

    def __enter__(self) -> Self:
        """Write within `with`."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what waits, and the footer."""
        if kind is None:
            self._flush()
        self._writer.close()

    def write(self, row: Mapping[str, Any]) -> None:
        """Take one row."""
        self.rows += 1
        self._waiting.append(dict(row))
        if len(self._waiting) == ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            batch = pa.RecordBatch.from_pylist(self._waiting, schema=self._schema)
            self._writer.write_batch(batch, row_group_size=ROWS_PER_GROUP)
            self._waiting.clear()


# --- the directory --------------------------------------------------------------------------------


def write_dataset(directory: Path, facts: Facts, pairs: Iterable[Pair]) -> Figures:
    """Write the files of a dataset into an empty directory.

    Args:
        directory: where to; it exists.
        facts: what the dataset says of itself.
        pairs: in the order of prompt digest, answers' digests and principle key; read once.

    Raises:
        SplitLeak: a pair is of the other split; nothing of the directory may be used.
    """
    figures = Figures()
    rows_digest = hashlib.sha256()
    pairs_path = directory / f"{_STEMS[facts.purpose]}-00000.parquet"
    labels_path = directory / "labels-00000.parquet"
    with (
        ParquetFile(pairs_path, PAIR_SCHEMA) as rows,
        ParquetFile(labels_path, LABEL_SCHEMA) as raw,
    ):
        for pair in pairs:
            if pair.split != facts.split:
                raise SplitLeak(f"A prompt of the split {pair.split} in a {facts.purpose} dataset.")
            figures.add(pair)
            for label in label_rows(pair):
                raw.write(label)
            row = pair_row(pair, facts.version_digest)
            if row is None:
                figures.contested += 1
                continue
            figures.pairs += 1
            rows.write(row)
            rows_digest.update(_row_line(row))
    sizes = {rows.path.name: rows.rows, raw.path.name: raw.rows}
    manifest = _manifest(directory, facts, figures, rows_digest.hexdigest(), sizes)
    _write_json(directory / "manifest.json", manifest)
    (directory / "README.md").write_text(_card(facts, figures), encoding="utf-8", newline="\n")
    _write_json(directory / "croissant.json", _croissant(directory, facts, figures))
    return figures


def _row_line(row: Mapping[str, Any]) -> bytes:
    """Return what the rows' own digest covers of a row, whatever Parquet makes of it."""
    names = ("pair_digest", "votes_chosen", "votes_rejected", "votes_tie", "votes_both_bad")
    chosen = canonical.text_digest(row["chosen"][0]["content"])
    return (" ".join([chosen, *(str(row[name]) for name in names)]) + "\n").encode()


def _write_json(path: Path, value: object) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _manifest(
    directory: Path,
    facts: Facts,
    figures: Figures,
    rows_digest: str,
    rows: Mapping[str, int],
) -> dict[str, Any]:
    return {
        "schema": "folkmoot.dataset/1",
        "community": facts.community,
        "purpose": facts.purpose,
        "split": facts.split,
        "version": {"number": facts.version_number, "digest": facts.version_digest},
        "principles": [
            {"key": key, "title": title, "digest": digest}
            for key, title, digest in facts.principles
        ],
        "aggregation": {
            "algorithm": "majority of the votes for one answer",
            "version": 1,
            "equal_votes": "left out as contested",
            "weight": 1,
            "seed": None,
        },
        "split_rule": "sha256 of the NFC, case-folded prompt with single spaces; the first eight "
        "hexadecimal digits modulo 100 below 40 are for evaluation only",
        "figures": figures.summary(),
        "rows_digest": rows_digest,
        "files": {
            name: {"sha256": canonical.file_digest(directory / name), "rows": count}
            for name, count in rows.items()
        },
        "writer": f"pyarrow {pa.__version__}",
    }


# --- the card -------------------------------------------------------------------------------------

_HUB_LICENCES = {"apache-2.0", "cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0", "mit", "odc-by", "pddl"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def _licence(figures: Figures) -> str:
    """Return the Hub's name of the licence, where all prompts have one that it knows."""
    names = {name.lower() for name in figures.licences}
    return names.pop() if len(names) == 1 and names <= _HUB_LICENCES else "other"


def _name(facts: Facts) -> str:
    return f"{facts.community}-v{facts.version_number}-{_STEMS[facts.purpose]}"


def _card(facts: Facts, figures: Figures) -> str:
    """Return the dataset card: the Hub's YAML, and what a person should know before use."""
    pairs = f"{_STEMS[facts.purpose]}-00000.parquet"
    split = _HUB_SPLITS[facts.purpose]
    size = next((name for limit, name in _SIZES if figures.pairs < limit), "n>1M")
    languages = "".join(f"  - {json.dumps(name)}\n" for name in sorted(figures.languages))
    principles = "".join(f"- `{key}`: {_line(title)}\n" for key, title, _ in facts.principles)
    licences = ", ".join(_line(name) for name in sorted(figures.licences)) or "none stated"
    use = (
        "Training: none of its prompts is in a held-out dataset."
        if facts.purpose == "training"
        else "Evaluation only: none of its prompts may be trained on."
    )
    return f"""---
license: {_licence(figures)}
language:
{languages}pretty_name: {json.dumps(_name(facts))}
size_categories:
  - {size}
task_categories:
  - text-generation
tags:
  - preference
  - dpo
  - constitutional-ai
  - folkmoot
configs:
  - config_name: preferences
    default: true
    data_files:
      - split: {split}
        path: {pairs}
  - config_name: labels
    data_files:
      - split: {split}
        path: labels-00000.parquet
---

# {_name(facts)}

Members of the community `{facts.community}` compared two answers to a prompt under one principle
of their constitution, “{_line(facts.title)}”, version {facts.version_number}
(`{facts.version_digest}`).

{use}

## What is in it

| | |
|---|---|
| pairs | {figures.pairs} |
| contested pairs, left out of the pairs | {figures.contested} |
| labels | {figures.labels} |
| of these, equally good | {figures.ties} |
| of these, both bad | {figures.both_bad} |
| annotators | {len(figures.annotators)} |

`preferences` has one row per pair, in TRL's conversational preference format. `chosen` is the
answer that more people chose; `p_chosen` is their share of the votes for one of the two. Pairs
with as many votes for the one as for the other are contested, and are left out. `labels` has
every label, those of contested pairs too, with the side on which each answer was shown and a
pseudonym that only this version's datasets of this purpose share. Notes of annotators stay out.

## Principles

{principles}
## Agreement

{_agreement_table(figures)}
Krippendorff's alpha, nominal over the four choices; 95 % interval by the jackknife over pairs.

## Source and licence

Prompts come from members; licences of the prompts: {licences}. Answers were written by the model
that `model_digest` names. Prompts and answers that moderators had hidden are left out.

Some prompts ask for harmful things on purpose; `hazard_codes` marks them. The people who labelled
are members of one community and stand for nobody else.

`manifest.json` says how the rows were made and names every file by its SHA-256.
"""


def _line(text: str) -> str:
    """Return text that cannot leave its line, nor become markup of the card."""
    plain = " ".join(text.split())
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in plain)


def _agreement_table(figures: Figures) -> str:
    lines = ["| principle | alpha | 95 % interval | pairs | equal votes |", "|---|---|---|---|---|"]
    for row in figures.summary()["agreement"]:
        alpha = row["alpha"] or "undefined"
        interval = f"{row['low']} to {row['high']}" if row["low"] else "none"
        share = row["percent"] or "none"
        lines.append(f"| `{row['principle']}` | {alpha} | {interval} | {row['pairs']} | {share} |")
    return "\n".join(lines) + "\n"


# --- Croissant ------------------------------------------------------------------------------------

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def _croissant(directory: Path, facts: Facts, figures: Figures) -> dict[str, Any]:
    """Return the dataset's description in Croissant 1.0.

    Source: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
    """
    pairs = f"{_STEMS[facts.purpose]}-00000.parquet"
    labels = "labels-00000.parquet"
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": _name(facts),
        "description": f"Preferences of the members of {facts.community} between two answers, "
        f"each under a principle of version {facts.version_number} of their constitution.",
        "license": sorted(figures.licences),
        "version": f"{facts.version_number}.0.0",
        "url": f"urn:sha256:{canonical.file_digest(directory / pairs)}",
        "rai:dataCollection": "Members compare two answers of a model to one prompt under one "
        "principle; sides are random and stored.",
        "rai:dataAnnotationProtocol": "Choices: first, second, tie, both_bad; strength 1 to 3; "
        "majority of the votes for one answer, contested pairs left out.",
        "rai:personalSensitiveInformation": "Annotators are pseudonyms; free notes are left out.",
        "distribution": [_file_object(directory, name) for name in (pairs, labels)],
        "recordSet": [
            _record_set("preferences", pairs, PAIR_SCHEMA),
            _record_set("labels", labels, LABEL_SCHEMA),
        ],
    }


def _file_object(directory: Path, name: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{(directory / name).stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": canonical.file_digest(directory / name),
    }


def _record_set(name: str, file: str, schema: pa.Schema) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [_field(f"{name}/{column.name}", file, column) for column in schema],
    }


def _field(identity: str, file: str, column: pa.Field) -> dict[str, Any]:
    source = {"fileObject": {"@id": file}, "extract": {"column": column.name}}
    described: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": identity,
        "name": identity,
        "source": source,
    }
    kind = column.type
    if pa.types.is_list(kind):
        described["repeated"] = True
        kind = kind.value_type
    if not pa.types.is_struct(kind):
        return {**described, "dataType": _croissant_type(kind)}
    described["subField"] = [
        {
            "@type": "cr:Field",
            "@id": f"{identity}/{part.name}",
            "name": f"{identity}/{part.name}",
            "dataType": _croissant_type(part.type),
            "source": {**source, "transform": {"jsonPath": part.name}},
        }
        for part in kind
    ]
    return described


def _croissant_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


def file_names(purpose: str) -> Sequence[str]:
    """Return the names of a dataset's files, the pairs first."""
    pairs = f"{_STEMS[purpose]}-00000.parquet"
    return [pairs, "labels-00000.parquet", "README.md", "croissant.json", "manifest.json"]
