"""What a result page shows of a closed poll, laid out from its stored tally. Pure.

Nothing is counted again: the tally holds every figure, and this module only gives options their
marks and figures their places. A mark is a letter, so that no table depends on colour.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from governance import charts, explaining
from governance.explaining import written_amount
from governance.rules import METHOD_NAMES, STATUS_QUO, Rule
from governance.tally import percent

MOST_ROWS = 200
MOST_IN_MATRIX = 36
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STATES = {"won": ("▲", "won"), "lost": ("▽", "lost"), "drawn": ("=", "drawn")}

Options = Sequence[Mapping[str, str]]
Named = dict[str, dict[str, str]]


def marks(options: Options) -> dict[str, str]:
    """Give each option a letter by the poll's order, and the status quo its own."""
    given = {}
    for number, option in enumerate(option for option in options if option["key"] != STATUS_QUO):
        turn, place = divmod(number, len(_ALPHABET))
        given[option["key"]] = (_ALPHABET[turn - 1] if turn else "") + _ALPHABET[place]
    return {**given, STATUS_QUO: "SQ"}


def result_of(rule: Rule, tally: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Return all that the result page shows, ready to be drawn.

    Args:
        rule: the poll's.
        tally: as it is stored with the closed poll.
        options: the poll's.
    """
    titles = {option["key"]: option["title"] for option in options}
    shown: dict[str, Any] = {
        "sentence": explaining.outcome_sentence(rule, tally, titles),
        "why": explaining.explain(rule, tally, titles),
        "turnout": percent(tally["cast"], tally["electorate"]),
        "delegation": _delegation(tally.get("delegation")),
        "groups": [],
    }
    if not rule.has_options:
        return {**shown, **_between(rule, tally)}
    letters = marks(options)
    named = {key: {"key": key, "mark": letters[key], "title": titles[key]} for key in titles}
    shown |= {
        "method": METHOD_NAMES[rule.method],
        "winners": [named[key] for key in tally["winners"]],
        "options": [_support(rule, tally, option, named) for option in tally["options"]],
        "groups": [
            {**group, **named[option["key"]]}
            for option in tally["options"]
            for group in option["groups"]
        ],
    }
    count = tally["count"]
    if count is None:
        return shown
    steps = {step["step"]: step for step in count["steps"]}
    shown |= {
        "ranking": [[named[key] for key in tier] for tier in count["ranking"]],
        "matrix": _matrix(count, named),
        "tie_break": [named[key] for key in count["tie_break"] or []],
        "totals": _totals(steps, named),
        "runoffs": _runoffs(steps, named),
        "defeats": _defeats(steps, named),
        "records": _records(steps, named),
        "paths": _paths(steps, named),
        "pairs": _pairs(steps, named),
    }
    if "universes" in steps:
        shown |= _rounds(count, steps["universes"], named)
    return shown


# --- thresholds -----------------------------------------------------------------------------------


def _between(rule: Rule, tally: Mapping[str, Any]) -> dict[str, Any]:
    share = rule.quorum_share if rule.quorum in {"approval", "participation"} else None
    return {
        "threshold_reached": tally["decided"] > 0 and tally["yes"] >= tally["yes_needed"],
        "quorum_reached": tally["quorum_counted"] >= tally["quorum_needed"],
        "yes_share": percent(tally["yes"], tally["base_count"], edge=rule.threshold),
        "quorum_share": percent(tally["quorum_counted"], tally["electorate"], edge=share),
        # The square root is no share; its mark stands at the exact count that it asks for.
        "chart_quorum": None
        if rule.quorum == "none"
        else rule.quorum_share or Fraction(tally["quorum_needed"], tally["electorate"]),
        "chart_quorum_kind": "participation" if rule.quorum == "participation" else "approval",
        "groups": tally.get("groups") or [],
    }


def _support(
    rule: Rule, tally: Mapping[str, Any], option: Mapping[str, Any], named: Named
) -> dict[str, Any]:
    share = rule.quorum_share if rule.quorum in {"approval", "participation"} else None
    return {
        **option,
        **named[option["key"]],
        # A template cannot say `option.for`.
        "for_": option["for"],
        "share": percent(option["for"], option["base_count"], edge=rule.threshold),
        "quorum_share": percent(option["quorum_counted"], tally["electorate"], edge=share),
        "threshold_reached": option["decided"] > 0 and option["for"] >= option["needed"],
        "quorum_reached": option["quorum_counted"] >= option["quorum_needed"],
        "won": option["key"] in tally["winners"],
    }


def _delegation(figures: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if figures is None:
        return None
    gini = Fraction(*figures["gini"])
    return {
        **figures,
        "top_share": percent(*figures["top_share"]),
        "gini": f"{int(gini * 1000) / 1000:.3f}",
    }


# --- what the methods counted ---------------------------------------------------------------------


def _matrix(count: Mapping[str, Any], named: Named) -> dict[str, Any] | None:
    keys, duels = count["options"], count["pairwise"]
    if len(keys) > MOST_IN_MATRIX:
        return None
    rows = []
    for a in keys:
        cells: list[dict[str, Any]] = []
        for b in keys:
            if a == b:
                cells.append({"state": "self"})
                continue
            votes, back = duels[a][b], duels[b][a]
            state = "won" if votes > back else "lost" if votes < back else "drawn"
            sign, word = _STATES[state]
            cells.append({"state": state, "sign": sign, "word": word, "votes": votes, "back": back})
        rows.append({**named[a], "cells": cells})
    return {"heads": [named[key] for key in keys], "rows": rows}


def _totals(steps: Mapping[str, Any], named: Named) -> list[dict[str, Any]]:
    if "strengths" in steps:
        rows = [
            {
                **named[key],
                "amount": given["text"],
                "about": written_amount([given["thousandths"], 1000]),
            }
            for key, given in steps["strengths"]["strengths"].items()
        ]
        return sorted(rows, key=lambda row: -Fraction(row["about"]))
    if "totals" not in steps:
        return []
    totals = {
        key: Fraction(*map(int, total)) if isinstance(total, list) else Fraction(int(total))
        for key, total in steps["totals"]["totals"].items()
    }
    return [
        {**named[key], "amount": written_amount(steps["totals"]["totals"][key])}
        for key in sorted(totals, key=lambda key: -totals[key])
    ]


def _runoffs(steps: Mapping[str, Any], named: Named) -> list[dict[str, Any]]:
    return [
        {
            "finalists": [
                {**named[key], "votes": runoff["votes"][key]} for key in runoff["finalists"]
            ],
            "elected": [named[key] for key in runoff["elected"]],
        }
        for runoff in steps.get("runoffs", {}).get("runoffs", [])[:MOST_ROWS]
    ]


def _defeats(steps: Mapping[str, Any], named: Named) -> list[dict[str, Any]]:
    defeats = steps.get("worst_defeats", {}).get("defeats", {})
    return [
        {**named[key], "votes": given["votes"], "by": [named[by] for by in given["by"]]}
        for key, given in sorted(defeats.items(), key=lambda item: item[1]["votes"])
    ]


def _records(steps: Mapping[str, Any], named: Named) -> list[dict[str, Any]]:
    records = steps.get("duels", {}).get("records", {})
    rows = [
        {**named[key], **given, "net": given["wins"] - given["losses"]}
        for key, given in records.items()
    ]
    return sorted(rows, key=lambda row: -row["net"])


def _paths(steps: Mapping[str, Any], named: Named) -> list[dict[str, Any]]:
    return [
        {
            "start": named[path["from"]],
            "end": named[path["to"]],
            "strength": path["strength"],
            "stops": [named[stop] for stop in path["path"]],
            "strength_back": path["strength_back"],
            "stops_back": [named[stop] for stop in path["path_back"]],
        }
        for path in steps.get("paths_of_the_winners", {}).get("paths", [])[:MOST_ROWS]
    ]


def _pairs(steps: Mapping[str, Any], named: Named) -> list[dict[str, Any]]:
    words = {"locked": "locked", "skipped": "skipped: contradicts what is locked"}
    return [
        {
            "winner": named[pair["winner"]],
            "loser": named[pair["loser"]],
            "strength": pair["strength"],
            "state": words.get(pair["state"], "depends on the order of equal victories"),
        }
        for pair in steps.get("pairs", {}).get("pairs", [])[:MOST_ROWS]
    ]


def _rounds(count: Mapping[str, Any], universes: Mapping[str, Any], named: Named) -> dict[str, Any]:
    """Lay out the rounds: a table of options by sets, and a chart."""
    steps = [step for step in count["steps"] if step["step"] == "round"]
    is_one_way = universes["universes"] == 1
    titles, table, drawn = [], [], []
    for number, step in enumerate(steps, start=1):
        remaining = len(step["remaining"])
        titles.append(f"Round {number}" if is_one_way else f"{remaining} left")
        leaving = {key for gone in step["eliminated"] for key in gone}
        ordered = sorted(
            step["remaining"], key=lambda key: -Fraction(*map(int, step["votes"][key]))
        )
        last = remaining - len(leaving) == 1 and is_one_way
        drawn.append(
            (
                titles[-1],
                [
                    (
                        named[key]["mark"],
                        written_amount(step["votes"][key]),
                        Fraction(*map(int, step["votes"][key])),
                        "goes" if key in leaving else "elected" if last else "stays",
                    )
                    for key in ordered
                ],
            )
        )
    for key in count["options"]:
        cells = []
        for step in steps:
            if key not in step["remaining"]:
                cells.append({"votes": "", "goes": ""})
                continue
            goes = "may go" if len(step["eliminated"]) > 1 else "goes"
            is_out = any(key in gone for gone in step["eliminated"])
            votes = written_amount(step["votes"][key])
            cells.append({"votes": votes, "goes": goes if is_out else ""})
        table.append({**named[key], "cells": cells})
    return {
        "universes": {**universes, "is_one_way": is_one_way},
        "round_titles": titles,
        "rounds": table,
        "exhausted": [step["exhausted"] for step in steps],
        "rounds_chart": charts.rounds_chart(drawn, most=Fraction(max(count["weight"], 1))),
    }
