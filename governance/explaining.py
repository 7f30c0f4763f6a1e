"""Why a poll came out as it did, in plain sentences made from its stored figures.

Pure: no Django, no clock. Nothing is counted again; every sentence repeats figures that the tally
holds, so that a reader can find each of them in the tables beside it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from governance.rules import METHOD_NAMES, SMALLEST_GROUP, STATUS_QUO, Rule
from governance.tally import percent

MOST_NAMED = 12

Titles = Mapping[str, str]
Figures = Mapping[str, Any]


def outcome_sentence(rule: Rule, tally: Figures, titles: Titles) -> str:
    """Say in one sentence how a poll came out."""
    outcome = tally["outcome"]
    if not rule.has_options:
        return {
            "passed": "It passed.",
            "rejected": "It was rejected.",
            "no_quorum": "It failed: the quorum was not reached.",
        }[outcome]
    winners = _listed(tally["winners"], titles)
    if outcome == "passed":
        return f"{winners} won."
    if outcome == "tied":
        return _sentence(f"{winners} are tied, and the rule breaks no ties.")
    if outcome == "no_quorum":
        return "Nothing was decided: no option reached the quorum."
    if tally["winners"]:
        return "The status quo won: nothing changes."
    return "No option was acceptable: nothing changes."


def explain(rule: Rule, tally: Figures, titles: Titles) -> list[str]:
    """Say why a poll came out so, sentence by sentence.

    Args:
        rule: the poll's.
        tally: as it is stored.
        titles: of the options, by key; empty where the poll is between yes and no.
    """
    said = _among(rule, tally, titles) if rule.has_options else _between(rule, tally)
    return [_sentence(words) for words in said]


def _among(rule: Rule, tally: Figures, titles: Titles) -> list[str]:
    could = [option["key"] for option in tally["options"] if option["acceptable"]]
    missed = [option for option in tally["options"] if not option["acceptable"]]
    said = [_missed_words(rule, option, titles) for option in missed[:MOST_NAMED]]
    if tally["outcome"] == "no_quorum":
        return [*said, "Where no option reaches the quorum, nothing is counted further."]
    count = tally["count"]
    if count is None:
        return [*said, "Since no option could win, the status quo stays."]
    each, they = ("it", "it") if len(could) == 1 else ("each", "they")
    said.append(
        f"{_listed(could, titles)} could win: enough votes put {each} above the status quo. So "
        f"{they} stood against the status quo, and {METHOD_NAMES[rule.method]} decided."
    )
    said += _METHODS[rule.method](count, titles)
    said += _tie_words(tally, titles)
    if tally["winners"] == [STATUS_QUO]:
        said.append("So the status quo wins, and nothing changes.")
    return said


# --- thresholds and quorums -----------------------------------------------------------------------


def _between(rule: Rule, tally: Figures) -> list[str]:
    counted = {
        "decided": "votes of yes or no",
        "cast": "votes cast, abstentions included",
        "eligible": "votes that could be cast",
    }[tally["base"]]
    said = []
    if tally["quorum"] != "none":
        what = "were cast" if tally["quorum"] == "participation" else "said yes"
        reached = tally["quorum_counted"] >= tally["quorum_needed"]
        edge = None if tally["quorum"] == "sqrt" else rule.quorum_share
        share = percent(tally["quorum_counted"], tally["electorate"], edge=edge)
        said.append(
            f"Of {tally['electorate']} votes that could be cast, {tally['quorum_counted']} {what} "
            f"({share}), and the quorum asked for {tally['quorum_needed']}: it was "
            f"{'' if reached else 'not '}reached."
        )
        if not reached:
            said.append("The quorum is asked first; without it, it does not matter who led.")
    if not tally["decided"]:
        said.append("Nobody said yes or no, and without a single such vote nothing passes.")
        return said
    enough = tally["yes"] >= tally["yes_needed"]
    said.append(
        f"Of {tally['base_count']} {counted}, {tally['yes']} said yes "
        f"({percent(tally['yes'], tally['base_count'], edge=rule.threshold)}), and "
        f"{tally['yes_needed']} were needed: that was {'' if enough else 'not '}enough."
    )
    return said + _group_words(rule, tally.get("groups") or [])


def _missed_words(rule: Rule, option: Figures, titles: Titles) -> str:
    missed = []
    if option["decided"] == 0:
        missed.append("nobody put it above or below the status quo")
    elif option["for"] < option["needed"]:
        missed.append(
            f"{option['for']} put it above the status quo, and {option['needed']} were needed"
        )
    if option["quorum_counted"] < option["quorum_needed"]:
        what = "votes were cast" if rule.quorum == "participation" else "votes were for it"
        missed.append(
            f"{option['quorum_counted']} {what}, and the quorum asked for {option['quorum_needed']}"
        )
    missed += [
        f"in the opinion group “{group['group']}” only {group['for']} of {group['decided']} were "
        "for it"
        for group in option["groups"]
        if not group["reached"]
    ]
    return f"{_quoted(option['key'], titles)} could not win: {'; '.join(missed)}."


def _group_words(rule: Rule, groups: Iterable[Figures]) -> list[str]:
    if not rule.group_support:
        return []
    asked = f"{rule.group_support.numerator}/{rule.group_support.denominator}"
    return [
        f"In the opinion group “{group['group']}” {group['for']} of {group['decided']} were for it "
        + (
            f"(fewer than {SMALLEST_GROUP} decided, so it blocks nothing)."
            if not group["counted"]
            else f"({asked} were asked for: {'' if group['reached'] else 'not '}reached)."
        )
        for group in groups
    ]


# --- methods --------------------------------------------------------------------------------------


def _by_totals(noun: str) -> Callable[[Figures, Titles], list[str]]:
    def words(count: Figures, titles: Titles) -> list[str]:
        totals = {
            key: exact_amount(total) for key, total in _step(count, "totals")["totals"].items()
        }
        return _from_the_top(totals, titles, noun, _number)

    return words


def _quadratic(count: Figures, titles: Titles) -> list[str]:
    strengths = _step(count, "strengths")["strengths"]
    about = {key: Fraction(int(given["thousandths"]), 1000) for key, given in strengths.items()}
    first = tied_first(count)
    said = [
        "A vote costs its square: whoever spends 9 credits on an option gives it 3 votes.",
        (
            f"{_listed(first, titles)} {'has' if len(first) == 1 else 'have'} the largest sum of "
            f"square roots: {strengths[first[0]]['text']}, about {_number(about[first[0]])}."
        ),
    ]
    if others := _behind(count, first):
        said.append(
            f"Next is {_quoted(others[0], titles)} with {strengths[others[0]]['text']}, about "
            f"{_number(about[others[0]])}."
        )
    return said


def _star(count: Figures, titles: Titles) -> list[str]:
    totals = {key: Fraction(total) for key, total in _step(count, "totals")["totals"].items()}
    said = _from_the_top(totals, titles, "points", _number)
    runoffs = _step(count, "runoffs")["runoffs"]
    if len(runoffs) > 1:
        said.append("Points leave open which two go into the runoff, so each possible pair did.")
    for runoff in runoffs[:MOST_NAMED]:
        a, b = runoff["finalists"]
        votes = runoff["votes"]
        result = (
            f"{_quoted(runoff['elected'][0], titles)} wins the runoff"
            if len(runoff["elected"]) == 1
            else "the runoff is drawn"
        )
        said.append(
            f"{votes[a]} gave {_quoted(a, titles)} more points than {_quoted(b, titles)}, and "
            f"{votes[b]} the other way round: {result}."
        )
    return said


def _instant_runoff(count: Figures, titles: Titles) -> list[str]:
    rounds = {frozenset(s["remaining"]): s for s in count["steps"] if s["step"] == "round"}
    universes = _step(count, "universes")
    winner = count["winners"][0]
    said = []
    remaining = frozenset(count["options"])
    number = 1
    while (found := rounds.get(remaining)) is not None:
        votes = {key: exact_amount(amount) for key, amount in found["votes"].items()}
        if not found["eliminated"]:
            said.append(
                f"Round {number}: no ballot tells {_listed(found['remaining'], titles)} apart; "
                "they are tied."
            )
            break
        gone = _next_gone(found, rounds, remaining, winner)
        tied = len(found["eliminated"]) > 1
        figures = " and ".join(_number(votes[key]) for key in gone)
        said.append(
            f"Round {number}: {_listed(gone, titles)} "
            f"{'has' if len(gone) == 1 else 'have'} the fewest votes, {figures}, "
            f"{'tied with others, ' if tied else ''}and "
            f"{'goes' if len(gone) == 1 else 'go'}."
        )
        remaining -= frozenset(gone)
        number += 1
    if len(remaining) == 1:
        said.append(f"{_listed(sorted(remaining), titles)} is left.")
    if universes["universes"] != 1:
        elected = rounds[frozenset(count["options"])]["elected"]
        said.append(
            f"Options were tied for the fewest votes, so each way was followed: there are "
            f"{universes['universes']} ways, and they elect {_listed(elected, titles)}. The rounds "
            "above are one of them."
        )
    if not universes["complete"]:
        said.append(
            "There were too many ways to follow each, so options tied for the fewest votes went "
            "together."
        )
    return said


def _next_gone(
    found: Figures,
    rounds: Mapping[frozenset[str], Figures],
    remaining: frozenset[str],
    winner: str,
) -> list[str]:
    """Return what goes next on a way that elects the winner."""
    for gone in found["eliminated"]:
        left = remaining - frozenset(gone)
        after = rounds.get(left)
        if winner in (after["elected"] if after else left):
            return list(gone)
    return list(found["eliminated"][0])


def _schulze(count: Figures, titles: Titles) -> list[str]:
    if said := _beats_everyone(count, titles):
        return said
    steps = {step["step"]: step for step in count["steps"]}
    measure = (
        "the votes of the winning side"
        if steps["strongest_paths"]["measure"] == "winning_votes"
        else "the margin"
    )
    winner = count["winners"][0]
    said = [
        (
            "No option beats every other, so chains of victories are compared; a victory counts "
            f"{measure}, and a chain is as strong as its weakest victory."
        )
    ]
    paths = [path for path in steps["paths_of_the_winners"]["paths"] if path["from"] == winner]
    for path in paths[:MOST_NAMED]:
        stops = " over ".join(_quoted(stop, titles) for stop in path["path"])
        there = f"{path['strength']} ({stops})" if path["path"] else "none"
        said.append(
            f"From {_quoted(winner, titles)} to {_quoted(path['to'], titles)} the strongest chain "
            f"has {there}, and back {path['strength_back'] or 'none'}."
        )
    return said


def _ranked_pairs(count: Figures, titles: Titles) -> list[str]:
    if said := _beats_everyone(count, titles):
        return said
    step = _step(count, "pairs")
    winner = count["winners"][0]
    said = [
        (
            "No option beats every other, so victories are settled from the strongest down; one "
            "that contradicts what is settled is skipped."
        )
    ]
    for pair in step["pairs"]:
        if pair["loser"] == winner and pair["state"] == "skipped":
            said.append(
                f"{_quoted(pair['winner'], titles)} beats {_quoted(winner, titles)} by "
                f"{pair['strength']} votes, but that is skipped: stronger victories put "
                f"{_quoted(winner, titles)} above it."
            )
    if not step["complete"]:
        said.append(
            "Too many victories were equally strong to try every order, so every option wins "
            "against which no victory stands that is stronger than all chains back."
        )
    elif step["universes"] > 1:
        said.append(
            f"Equally strong victories can be settled in {step['universes']} ways with different "
            "results; whatever wins in any of them is a winner."
        )
    said.append(f"Nothing that is settled stands above {_listed(count['winners'], titles)}.")
    return said


def _minimax(count: Figures, titles: Titles) -> list[str]:
    defeats = _step(count, "worst_defeats")["defeats"]
    first = tied_first(count)
    votes = defeats[first[0]]["votes"]
    if not votes:
        return [f"{_listed(first, titles)} {'loses' if len(first) == 1 else 'lose'} no duel."]
    if len(first) == 1:
        mildest = f"That of {_listed(first, titles)} is the mildest: {votes} votes, for "
        mildest += f"{_listed(defeats[first[0]]['by'], titles)}."
    else:
        mildest = f"Those of {_listed(first, titles)} are the mildest: {votes} votes each."
    said = [f"Every option loses a duel. {mildest}"]
    if others := _behind(count, first):
        said.append(
            f"Next is {_quoted(others[0], titles)}, with {defeats[others[0]]['votes']} votes "
            "against it in its worst duel."
        )
    return said


def _copeland(count: Figures, titles: Titles) -> list[str]:
    records = _step(count, "duels")["records"]
    first = tied_first(count)
    best = [
        f"{_quoted(key, titles)} wins {records[key]['wins']} duels, loses "
        f"{records[key]['losses']} and draws {records[key]['ties']}"
        for key in first[:MOST_NAMED]
    ]
    said = [f"{'; '.join(best)}: the best record{'' if len(first) == 1 else 's, equally good'}."]
    if others := _behind(count, first):
        next_ = records[others[0]]
        said.append(
            f"Next is {_quoted(others[0], titles)}, with {next_['wins']} won, {next_['losses']} "
            f"lost and {next_['ties']} drawn."
        )
    return said


def _behind(count: Figures, first: Sequence[str]) -> list[str]:
    """Return the options behind those that were tied for the first place, in their order."""
    return [key for tier in count["ranking"] for key in tier if key not in first]


_METHODS: dict[str, Callable[[Figures, Titles], list[str]]] = {
    "approval": _by_totals("approvals"),
    "score": _by_totals("points"),
    "star": _star,
    "irv": _instant_runoff,
    "schulze-wv": _schulze,
    "schulze-margins": _schulze,
    "ranked-pairs": _ranked_pairs,
    "minimax": _minimax,
    "copeland": _copeland,
    "quadratic": _quadratic,
    "weighted": _by_totals("votes"),
}


# --- ties -----------------------------------------------------------------------------------------


def tied_first(count: Figures) -> list[str]:
    """Return the options that were tied for the first place before a tie was broken.

    Ranked pairs breaks ties while it settles victories, not between winners: none but those is
    named.
    """
    steps = {step["step"]: step for step in count["steps"]}
    options: list[str] = count["options"]
    for name, first in _FIRST.items():
        if name in steps:
            return first(count, steps[name], options)
    return list(count["winners"])


def _best(standing: Mapping[str, Any]) -> list[str]:
    return [key for key in standing if standing[key] == max(standing.values())]


def _first_by_paths(_: Figures, step: Figures, options: list[str]) -> list[str]:
    paths = step["strengths"]
    return [a for a in options if all(paths[a][b] >= paths[b][a] for b in options if a != b)]


def _first_by_rounds(count: Figures, _: Figures, options: list[str]) -> list[str]:
    rounds = [step for step in count["steps"] if step["step"] == "round"]
    return list(rounds[0]["elected"]) if rounds else options


def _first_by_runoffs(count: Figures, step: Figures, options: list[str]) -> list[str]:
    elected = {key for runoff in step["runoffs"] for key in runoff["elected"]}
    return [key for key in options if key in elected] or list(count["winners"])


def _first_by_roots(count: Figures, step: Figures, options: list[str]) -> list[str]:
    roots = {key: given["roots"] for key, given in step["strengths"].items()}
    return [key for key in options if roots[key] == roots[count["winners"][0]]]


_FIRST: dict[str, Callable[[Figures, Figures, list[str]], list[str]]] = {
    "worst_defeats": lambda _, step, options: _best(
        {key: -step["defeats"][key]["votes"] for key in options}
    ),
    "duels": lambda _, step, options: _best(
        {key: step["records"][key]["wins"] - step["records"][key]["losses"] for key in options}
    ),
    "strongest_paths": _first_by_paths,
    "universes": _first_by_rounds,
    "runoffs": _first_by_runoffs,
    "strengths": _first_by_roots,
    "totals": lambda _, step, options: _best(
        {key: exact_amount(step["totals"][key]) for key in options}
    ),
}


def _tie_words(tally: Figures, titles: Titles) -> list[str]:
    count = tally["count"]
    if count["tie_break"] is None:
        if len(count["winners"]) > 1:
            return [f"{_listed(count['winners'], titles)} are tied, and the rule reports ties."]
        return []
    tied = tied_first(count)
    if len(tied) < 2:  # noqa: PLR2004 - one alone is not tied
        return []
    return [
        (
            f"{_listed(tied, titles)} were tied. The number committed when the poll opened "
            f"puts {_quoted(count['winners'][0], titles)} first."
        )
    ]


# --- words ----------------------------------------------------------------------------------------


def _beats_everyone(count: Figures, titles: Titles) -> list[str]:
    """Return the sentence of an option that wins all its duels; none where there is none."""
    winner, duels = count["winners"][0], count["pairwise"]
    others = [key for key in count["options"] if key != winner]
    if not others or any(duels[winner][key] <= duels[key][winner] for key in others):
        return []
    closest = min(others, key=lambda key: duels[winner][key] - duels[key][winner])
    return [
        (
            f"{_quoted(winner, titles)} beats every other option in a duel; the closest is against "
            f"{_quoted(closest, titles)}, {duels[winner][closest]} to {duels[closest][winner]}."
        )
    ]


def _from_the_top(
    totals: Mapping[str, Fraction], titles: Titles, noun: str, written: Callable[[Fraction], str]
) -> list[str]:
    most = max(totals.values())
    first = [key for key in totals if totals[key] == most]
    said = [
        (
            f"{_listed(first, titles)} {'has' if len(first) == 1 else 'have'} the most {noun}: "
            f"{written(most)}{'' if len(first) == 1 else ' each'}."
        )
    ]
    rest = {key: total for key, total in totals.items() if total < most}
    if rest:
        second = max(rest.values())
        said.append(
            f"Next is {_listed([k for k in rest if rest[k] == second], titles)} with "
            f"{written(second)}."
        )
    return said


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _step(count: Figures, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(step for step in count["steps"] if step["step"] == name)
    return found


def exact_amount(given: Any) -> Fraction:
    """Read a stored figure: a whole number, digits, or numerator and denominator."""
    if isinstance(given, (list, tuple)):
        return Fraction(int(given[0]), int(given[1]))
    return Fraction(int(given))


def _number(amount: Fraction) -> str:
    """Write a number exactly: 12, 12.5, or 37/3."""
    if amount.denominator == 1:
        return str(amount.numerator)
    thousandths = amount * 1000
    if thousandths.denominator == 1:
        whole, rest = divmod(thousandths.numerator, 1000)
        return f"{whole}.{rest:03d}".rstrip("0")
    return f"{amount.numerator}/{amount.denominator}"


def written_amount(given: Any) -> str:
    """Write a stored figure for people, exactly."""
    return _number(exact_amount(given))


def _quoted(key: str, titles: Titles) -> str:
    return "the status quo" if key == STATUS_QUO else f"“{titles.get(key, key)}”"


def _listed(keys: Sequence[str], titles: Titles) -> str:
    names = [_quoted(key, titles) for key in keys]
    if len(names) > MOST_NAMED:
        names = [*names[:MOST_NAMED], f"{len(names) - MOST_NAMED} more"]
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}" if names else "nothing"
