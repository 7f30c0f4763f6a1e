"""What a result page shows of a closed poll, laid out from its stored tally. Pure.

Nothing is counted again: the tally holds every figure, and this module only gives options their
marks and figures their places. A mark is a letter, so that no table depends on colour.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import Any

from governance import charts, explaining
from governance.explaining import exact_amount, written_amount
from governance.rules import METHOD_NAMES, STATUS_QUO, Rule
from governance.tally import percent

MOST_ROWS = 200
MOST_IN_MATRIX = 36
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_STATES = {"won": ("▲", "won"), "lost": ("▽", "lost"), "drawn": ("=", "drawn")}

Options = Sequence[Mapping[str, str]]
Named = dict[str, dict[str, str]]
Steps = Mapping[str, Any]
Row = Sequence[object]
Table = dict[str, Any]


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
        # Where sums decide, their table stands in that order; a runoff may end otherwise.
        "shows_order": rule.method == "star" or rule.is_ranked,
        "counts_duels": rule.method == "star" or (rule.is_ranked and rule.method != "irv"),
        "ranking": [[named[key] for key in tier] for tier in count["ranking"]],
        "matrix": _matrix(count, named),
        "ties": _ties(count, steps, named),
        "tables": [
            table
            for made in (_totals, _runoffs, _paths, _pairs, _defeats, _records)
            if (table := made(rule.method, steps, named))
        ],
    }
    if "universes" in steps:
        shown |= _rounds(count, steps["universes"], named)
    return shown


# --- thresholds -----------------------------------------------------------------------------------


def _between(rule: Rule, tally: Mapping[str, Any]) -> dict[str, Any]:
    return {
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


def _table(name: str, title: str, heads: Mapping[str, bool], rows: Iterable[Row]) -> Table:
    """Lay out a table.

    Args:
        name: its own on the page.
        title: for people.
        heads: the columns, and whether each holds numbers.
        rows: of each column an amount, words, or options with what stands between them.
    """
    laid: list[list[dict[str, Any]]] = []
    for row in rows:
        laid.append([])
        for (head, is_number), given in zip(heads.items(), row, strict=True):
            between, options = given if isinstance(given, tuple) else ("", [])
            laid[-1].append(
                {
                    "label": head,
                    "is_number": is_number,
                    "options": options,
                    "between": between,
                    "text": "" if options else "none" if isinstance(given, tuple) else given,
                }
            )
    words = [head for head, is_number in heads.items() if not is_number]
    return {
        "name": name,
        "title": title,
        "heads": heads,
        "rows": laid[:MOST_ROWS],
        # A phone shows a row as a card where words stand in more than one column.
        "is_wide": len(words) > 1,
    }


def _totals(method: str, steps: Steps, named: Named) -> Table | None:
    title = {"approval": "Approvals", "quadratic": "Votes", "weighted": "Votes"}
    if "strengths" in steps:
        given = steps["strengths"]["strengths"]
        rows = [
            ((",", [named[key]]), one["text"], written_amount([one["thousandths"], 1000]))
            for key, one in sorted(given.items(), key=lambda item: -int(item[1]["thousandths"]))
        ]
        return _table("totals", title[method], {"Option": False, "Sum": True, "About": True}, rows)
    if "totals" not in steps:
        return None
    totals = steps["totals"]["totals"]
    ordered = sorted(totals, key=lambda key: -exact_amount(totals[key]))
    return _table(
        "totals",
        title.get(method, "Points"),
        {"Option": False, "Sum": True},
        [((",", [named[key]]), written_amount(totals[key])) for key in ordered],
    )


def _runoffs(_: str, steps: Steps, named: Named) -> Table | None:
    if "runoffs" not in steps:
        return None
    rows = [
        (
            (" against ", [named[key] for key in runoff["finalists"]]),
            " to ".join(str(runoff["votes"][key]) for key in runoff["finalists"]),
            (", ", [named[key] for key in runoff["elected"]]),
        )
        for runoff in steps["runoffs"]["runoffs"]
    ]
    heads = {"Finalists": False, "More points from": False, "Goes on": False}
    return _table("runoffs", "Runoff", heads, rows)


def _defeats(_: str, steps: Steps, named: Named) -> Table | None:
    if "worst_defeats" not in steps:
        return None
    defeats = sorted(steps["worst_defeats"]["defeats"].items(), key=lambda item: item[1]["votes"])
    rows = [
        ((",", [named[key]]), one["votes"], (", ", [named[by] for by in one["by"]]))
        for key, one in defeats
    ]
    heads = {"Option": False, "Votes against it": True, "For": False}
    return _table("defeats", "Worst defeats, the mildest first", heads, rows)


def _records(_: str, steps: Steps, named: Named) -> Table | None:
    if "duels" not in steps:
        return None
    records = steps["duels"]["records"]
    ordered = sorted(records, key=lambda key: records[key]["losses"] - records[key]["wins"])
    rows = [
        ((",", [named[key]]), *(records[key][part] for part in ("wins", "losses", "ties")))
        for key in ordered
    ]
    heads = {"Option": False, "Won": True, "Lost": True, "Drawn": True}
    return _table("records", "Duels won and lost", heads, rows)


def _paths(_: str, steps: Steps, named: Named) -> Table | None:
    if "paths_of_the_winners" not in steps:
        return None
    rows = [
        (
            (" to ", [named[path["from"]], named[path["to"]]]),
            path["strength"],
            (" → ", [_mark(named[stop]) for stop in path["path"]]),
            path["strength_back"],
            (" → ", [_mark(named[stop]) for stop in path["path_back"]]),
        )
        for path in steps["paths_of_the_winners"]["paths"]
    ]
    heads = {"Chain": False, "Strength": True, "Way": False, "Back": True, "Way back": False}
    return _table("paths", "Strongest chains of victories", heads, rows)


def _pairs(_: str, steps: Steps, named: Named) -> Table | None:
    if "pairs" not in steps:
        return None
    words = {"locked": "locked", "skipped": "skipped: contradicts what is locked"}
    rows = [
        (
            (" over ", [named[pair["winner"]], named[pair["loser"]]]),
            pair["strength"],
            words.get(pair["state"], "depends on the order of equal victories"),
        )
        for pair in steps["pairs"]["pairs"]
    ]
    heads = {"Victory": False, "Votes": True, "Then": False}
    return _table("pairs", "Victories, the strongest first", heads, rows)


def _mark(option: dict[str, str]) -> dict[str, str]:
    """Return an option whose mark alone is shown."""
    return {**option, "title": ""}


def _ties(count: Mapping[str, Any], steps: Steps, named: Named) -> dict[str, Any] | None:
    """Return what a reader needs to draw the lot again; None where ties are reported."""
    if count["tie_break"] is None:
        return None
    tied = explaining.tied_first(count)
    lot = steps.get("lot", {"options": sorted(count["options"]), "draws": []})
    draws = []
    for number, draw in enumerate(lot["draws"]):
        ranked = sorted(zip(draw["places"], lot["options"], strict=True))
        tiers = [[named[key] for _, key in tier] for _, tier in groupby(ranked, itemgetter(0))]
        draws.append({**draw, "number": number, "tiers": tiers})
    return {
        "tied": [named[key] for key in tied] if len(tied) > 1 else [],
        "order": [named[key] for key in count["tie_break"]],
        "keys": lot["options"],
        "draws": draws[:MOST_ROWS],
    }


def _rounds(count: Mapping[str, Any], universes: Mapping[str, Any], named: Named) -> dict[str, Any]:
    """Lay out the rounds: a table of options by sets, and a chart."""
    steps = [step for step in count["steps"] if step["step"] == "round"]
    is_one_way = universes["universes"] == 1
    titles, table, drawn = [], [], []
    for number, step in enumerate(steps, start=1):
        remaining = len(step["remaining"])
        titles.append(f"Round {number}" if is_one_way else f"{remaining} left")
        leaving = {key for gone in step["eliminated"] for key in gone}
        ordered = sorted(step["remaining"], key=lambda key: -exact_amount(step["votes"][key]))
        last = remaining - len(leaving) == 1 and is_one_way
        drawn.append(
            (
                titles[-1],
                [
                    (
                        named[key]["mark"],
                        written_amount(step["votes"][key]),
                        exact_amount(step["votes"][key]),
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
