"""Prompts, typed in or imported, and the answers to them that become comparisons."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import transaction

from feedback import permissions
from feedback.models import (
    Comparison,
    Prompt,
    Response,
    normalised,
    pair_digest,
    same_principles,
    split_by_words,
)
from feedback.verbs import Verb
from governance import audit, canonical
from governance.errors import BadInput
from governance.models import Community, User
from principles.models import Principle, Version

LONGEST_PROMPT = 8000
LONGEST_RESPONSE = 32_000
MOST_LINES = 20_000
MOST_BYTES = 5 * 2**20
LABELS_WANTED = 3
_ERRORS_SHOWN = 20
_CODE = re.compile(r"[A-Z][A-Z0-9_.-]{0,19}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_LONGEST_LANGUAGE, _LONGEST_SOURCE, _LONGEST_LICENCE = 12, 200, 60
_ARMS = 2


# --- text -----------------------------------------------------------------------------------------


def split_of(text: str) -> str:
    """Return the split that a prompt belongs to for good: "train", or "evaluation"."""
    return split_by_words(text)


def _checked_text(text: object) -> str:
    """Return the text as it is kept.

    Raises:
        BadInput: it is no text, empty, too long, or cannot be stored.
    """
    if not isinstance(text, str):
        raise BadInput("The prompt must be a text.")
    kept = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if not kept:
        raise BadInput("The prompt is empty.")
    if len(kept) > LONGEST_PROMPT:
        raise BadInput(f"The prompt is longer than {LONGEST_PROMPT} characters.")
    if not is_storable(kept):
        raise BadInput("The prompt holds characters that are not text.")
    return kept


def is_storable(text: str) -> bool:
    """Say whether the database can hold the text: no NUL, no half of a surrogate pair."""
    return not any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text)


def _checked_codes(codes: object) -> list[str]:
    if isinstance(codes, str):
        codes = codes.replace(";", ",").replace(" ", ",").split(",")
    if not isinstance(codes, Sequence) or not all(isinstance(code, str) for code in codes):
        raise BadInput("Hazard codes must be a list of codes such as S1.")
    kept = sorted({code.strip().upper() for code in codes if code.strip()})
    for code in kept:
        if not _CODE.fullmatch(code):
            raise BadInput(f"“{code[:30]}” is not a hazard code such as S1.")
    return kept


def _checked_word(value: object, name: str, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or not is_storable(value):
        raise BadInput(f"The {name} must be a text of at most {longest} characters.")
    return value.strip()


def _fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a prompt from what was given for one.

    Raises:
        BadInput: one of them cannot be taken.
    """
    text = _checked_text(row.get("text"))
    language = _checked_word(row.get("language") or "en", "language", _LONGEST_LANGUAGE)
    if not _LANGUAGE.fullmatch(language):
        raise BadInput(f"“{language}” is not a language tag such as en or pt-BR.")
    return {
        "text": text,
        "digest": canonical.text_digest(normalised(text)),
        "split": split_of(text),
        "hazard_codes": _checked_codes(row.get("hazard_codes") or []),
        "language": language,
        "source": _checked_word(row.get("source") or "", "source", _LONGEST_SOURCE),
        "licence": _checked_word(row.get("licence") or "CC0-1.0", "licence", _LONGEST_LICENCE),
    }


# --- typed in -------------------------------------------------------------------------------------


@transaction.atomic
def add_prompt(
    *,
    community_id: int,
    actor: User,
    text: str,
    hazard_codes: Sequence[str] = (),
    language: str = "en",
    source: str = "",
    licence: str = "CC0-1.0",
) -> Prompt:
    """Add one prompt to a community's list.

    Raises:
        NotPermitted: `actor` is not a member.
        BadInput: the text cannot be taken, or is in the list already.
    """
    permissions.require(
        permissions.can_add_prompts(actor, community_id), "Only members may add prompts."
    )
    fields = _fields(
        {
            "text": text,
            "hazard_codes": list(hazard_codes),
            "language": language,
            "source": source,
            "licence": licence,
        }
    )
    prompt, added = Prompt.objects.get_or_create(
        community_id=community_id,
        digest=fields["digest"],
        defaults={**fields, "submitted_by": actor},
    )
    if not added:
        raise BadInput("This prompt is in the list already.")
    audit.record(
        community_id=community_id,
        actor=actor,
        verb=Verb.PROMPT_ADDED,
        subject=prompt,
        data={"digest": prompt.digest, "split": prompt.split},
    )
    return prompt


# --- imported -------------------------------------------------------------------------------------


@transaction.atomic
def import_prompts(*, community_id: int, actor: User, content: bytes, filename: str) -> int:
    """Import a JSONL or CSV file of prompts, whole or not at all.

    Each row has `text` (or `prompt`), and may have `hazard_codes` (a list, or one text with
    commas), `language`, `source` and `licence`; other columns are left aside. Prompts that the
    community has already are passed over, so that the same file can be imported again.

    Returns:
        How many prompts are new.

    Raises:
        NotPermitted: `actor` is not a steward.
        BadInput: the file or one of its lines cannot be taken; the sentence has the numbers.
    """
    permissions.require(
        permissions.can_import_prompts(actor, community_id), "Only stewards may import prompts."
    )
    rows = _read(content, filename)
    known = set(
        Prompt.objects.filter(
            community_id=community_id, digest__in=[row["digest"] for row in rows]
        ).values_list("digest", flat=True)
    )
    new = [
        Prompt(community_id=community_id, submitted_by=actor, **row)
        for row in rows
        if row["digest"] not in known
    ]
    Prompt.objects.bulk_create(new, batch_size=1000, ignore_conflicts=True)
    if new:
        audit.record(
            community_id=community_id,
            actor=actor,
            verb=Verb.PROMPTS_IMPORTED,
            subject=Community(pk=community_id),
            data={
                "count": len(new),
                "digest": canonical.digest(sorted(prompt.digest for prompt in new)),
            },
        )
    return len(new)


def _read(content: bytes, filename: str) -> list[dict[str, Any]]:
    """Return the checked fields of each row of a file.

    Raises:
        BadInput: with the number of each line that cannot be taken.
    """
    if len(content) > MOST_BYTES:
        raise BadInput(f"The file is larger than {MOST_BYTES // 2**20} MiB.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(f"Line {line}: not UTF-8. Nothing was imported.") from error
    suffix = filename.rpartition(".")[2].lower()
    if suffix not in _READERS:
        raise BadInput("Give a file whose name ends in .jsonl or .csv.")
    rows: list[dict[str, Any]] = []
    errors: list[str] = []
    seen: dict[str, int] = {}
    for line, row in _READERS[suffix](text):
        if len(rows) >= MOST_LINES:
            raise BadInput(f"The file has more than {MOST_LINES} prompts. Nothing was imported.")
        try:
            fields = _row_fields(row)
            _refuse_repetition(seen, fields["digest"], line)
        except BadInput as error:
            errors.append(f"Line {line}: {error}")
        else:
            rows.append(fields)
    if errors:
        more = len(errors) - _ERRORS_SHOWN
        tail = [f"And {more} more."] if more > 0 else []
        raise BadInput(" ".join(["Nothing was imported.", *errors[:_ERRORS_SHOWN], *tail]))
    if not rows:
        raise BadInput("The file has no prompts.")
    return rows


def _row_fields(row: dict[str, Any] | str) -> dict[str, Any]:
    """Return the checked fields of one row; text instead of a row says what is wrong with it."""
    if isinstance(row, str):
        raise BadInput(row)
    return _fields({**row, "text": row.get("text", row.get("prompt"))})


def _refuse_repetition(seen: dict[str, int], digest: str, line: int) -> None:
    first = seen.setdefault(digest, line)
    if first != line:
        raise BadInput(f"the same prompt as line {first}.")


def _jsonl_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield each line's number with its object, or with what is wrong with it."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield number, "not JSON."
            continue
        yield number, row if isinstance(row, dict) else "not a JSON object."


def _csv_rows(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield the number of the line on which each row begins with its fields, or what is wrong."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    while True:
        begins = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield begins, "not CSV (look at the quotation marks)."
            return
        if not values:
            continue
        if names is None:
            names = [value.strip().lower() for value in values]
            if "text" not in names and "prompt" not in names:
                yield begins, "the first line must name the columns; one of them is “text”."
                return
        elif len(values) != len(names):
            yield begins, f"{len(values)} values for {len(names)} columns."
        else:
            yield begins, dict(zip(names, values, strict=True))


_READERS = {"jsonl": _jsonl_rows, "ndjson": _jsonl_rows, "csv": _csv_rows}


# --- answers --------------------------------------------------------------------------------------


@transaction.atomic
def record_responses(
    *,
    community_id: int,
    model_name: str,
    model_digest: str,
    rows: Iterable[Mapping[str, Any]],
    seed: int,
) -> int:
    """Keep a model's answers, and make a comparison of the two arms of each prompt.

    Each row has `prompt_id`, `arm`, `text`, and may have `params` and `seed`. The comparison is
    made under the principle of the version in force whose hazard codes meet the prompt's, else
    under one without hazard codes; where several fit, the prompt's digest and `seed` choose. The
    answer with the smaller digest stands first. Doing it twice adds nothing. Two answers with the
    same words are kept once and not compared, and hidden prompts are passed over.

    Returns:
        How many comparisons are new.

    Raises:
        BadInput: no version is in force, a prompt is not the community's, or a text is too long.
    """
    # No key: whoever holds the trail, for which we wait, writes rows that refer to the community.
    community = Community.objects.select_for_update(no_key=True).get(pk=community_id)
    version = Version.objects.filter(constitution__community=community).order_by("-number").first()
    if version is None:
        raise BadInput("Answers are compared under principles, and no version is in force yet.")
    answers = _by_prompt(rows)
    prompts = Prompt.objects.in_bulk(answers)
    if any(pk not in prompts or prompts[pk].community_id != community_id for pk in answers):
        raise BadInput("There are answers to prompts that are not this community's.")
    kept = _keep_responses(answers, prompts, model_name, model_digest)
    comparisons = _keep_comparisons(answers, prompts, kept, version, seed)
    if comparisons:
        audit.record(
            community_id=community_id,
            actor=None,
            verb=Verb.RESPONSES_RECORDED,
            subject=community,
            data={
                "model_digest": model_digest,
                "version_digest": version.digest,
                "comparisons": len(comparisons),
                "digest": canonical.digest(sorted(comparisons)),
            },
        )
    return len(comparisons)


_Answers = dict[int, dict[str, Mapping[str, Any]]]


def _by_prompt(rows: Iterable[Mapping[str, Any]]) -> _Answers:
    """Return, for each prompt, the row of each of its arms."""
    answers: _Answers = {}
    for row in rows:
        text = str(row["text"]).strip()
        if not text or not is_storable(text):
            continue
        if len(text) > LONGEST_RESPONSE:
            raise BadInput(f"An answer is longer than {LONGEST_RESPONSE} characters.")
        answers.setdefault(int(row["prompt_id"]), {})[str(row["arm"])] = {**row, "text": text}
    return answers


def _keep_responses(
    answers: _Answers, prompts: Mapping[int, Prompt], model_name: str, model_digest: str
) -> dict[tuple[int, str], Response]:
    """Store the answers that are new, and return all of them by prompt and digest."""
    Response.objects.bulk_create(
        [
            Response(
                prompt=prompts[pk],
                text=row["text"],
                digest=canonical.text_digest(row["text"]),
                arm=arm,
                model_name=model_name,
                model_digest=model_digest,
                parameters={"params": row.get("params") or {}, "seed": row.get("seed")},
            )
            for pk, arms in sorted(answers.items())
            for arm, row in sorted(arms.items())
        ],
        batch_size=1000,
        ignore_conflicts=True,
    )
    stored = Response.objects.filter(prompt__in=list(answers))
    return {(response.prompt_id, response.digest): response for response in stored}


def _keep_comparisons(
    answers: _Answers,
    prompts: Mapping[int, Prompt],
    responses: Mapping[tuple[int, str], Response],
    version: Version,
    seed: int,
) -> list[str]:
    """Store the comparisons that are new, and return the digests of their pairs."""
    principles = list(version.principles.order_by("position"))
    there = set(
        Comparison.objects.filter(
            prompt__in=list(answers), principle__in=same_principles(version)
        ).values_list("response_a__digest", "response_b__digest", "principle__key")
    )
    new, digests = [], []
    for pk, arms in sorted(answers.items()):
        prompt = prompts[pk]
        texts = [arms[arm]["text"] for arm in sorted(arms)][:_ARMS]
        pair = sorted({canonical.text_digest(text) for text in texts})
        if prompt.hidden or len(pair) < _ARMS or not principles:
            continue
        first, second = pair
        principle = _principle_for(prompt, principles, seed)
        if there & {(first, second, principle.key), (second, first, principle.key)}:
            continue
        digest = pair_digest(
            prompt=prompt.digest, responses=(first, second), principle_key=principle.key
        )
        digests.append(digest)
        new.append(
            Comparison(
                community_id=prompt.community_id,
                prompt=prompt,
                response_a=responses[pk, first],
                response_b=responses[pk, second],
                principle=principle,
                labels_wanted=LABELS_WANTED,
                shuffle=Comparison.shuffle_of(digest),
            )
        )
    Comparison.objects.bulk_create(new, batch_size=1000)
    return digests


def _principle_for(prompt: Prompt, principles: Sequence[Principle], seed: int) -> Principle:
    """Return the principle under which the answers to `prompt` are compared."""
    codes = set(prompt.hazard_codes)
    fitting = [p for p in principles if codes & set(p.hazard_codes)]
    fitting = fitting or [p for p in principles if not p.hazard_codes] or list(principles)
    number = int(canonical.digest({"prompt": prompt.digest, "seed": seed})[:8], 16)
    return fitting[number % len(fitting)]
