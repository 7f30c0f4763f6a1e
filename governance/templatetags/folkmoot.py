"""Template tags and filters that every page may use: `{% load folkmoot %}`.

They only format and lay out what they are given; none reads the database.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from typing import Any, NamedTuple

import nh3
from django import template
from django.template.context import Context
from django.template.defaultfilters import stringfilter
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timesince import timesince, timeuntil
from markdown_it import MarkdownIt

from governance import charts, tally

register = template.Library()

NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
NOTHING = "\N{EN DASH}"


# --- numbers --------------------------------------------------------------------------------------


def _exact(value: object) -> Fraction | None:
    """Return a number as the fraction that its shortest decimal text names, or None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, Fraction, Decimal)):
        return Fraction(value) if not isinstance(value, Decimal) or value.is_finite() else None
    if isinstance(value, float):
        return Fraction(repr(value)) if math.isfinite(value) else None
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return None


def _number(value: object) -> float | None:
    """Return a number as a float; None for what is none, such as a variable that is missing."""
    exact = _exact(value)
    return None if exact is None else float(exact)


@register.filter
def percent(value: object, whole: object = 1) -> str:
    """Return a measured share, `value` (of `whole`), as a percentage with one decimal.

    Rounds half to even, as `tally.percent` does. Shares of votes are shown by that function, since
    they are held against a threshold.
    """
    part, total = _exact(value), _exact(whole)
    if part is None or not total:
        return NOTHING
    return f"{_tenths(part / total)}{NARROW_SPACE}%"


@register.filter
def percent_to(low: object, high: object) -> str:
    """Return an interval of shares: "54.0 to 75.8 %"; nothing where it has no ends."""
    first, last = _exact(low), _exact(high)
    if first is None or last is None:
        return ""
    return f"{_tenths(first)} to {_tenths(last)}{NARROW_SPACE}%"


@register.filter
def points(value: object) -> str:
    """Return a difference of two shares in percentage points: "+3.0"."""
    exact = _exact(value)
    return NOTHING if exact is None else _tenths(exact, plus="+")


@register.filter
def points_to(low: object, high: object) -> str:
    """Return an interval of differences, in percentage points, both with their signs."""
    if _exact(low) is None or _exact(high) is None:
        return ""
    return f"{points(low)} to {points(high)}"


def _tenths(share: Fraction, *, plus: str = "") -> str:
    """Return hundred times a share with one decimal, its sign before it."""
    tenths = round(abs(share) * 1000)
    sign = ("\N{MINUS SIGN}" if share < 0 else plus) if tenths else ""
    return f"{sign}{tenths // 10}.{tenths % 10}"


@register.filter
def figure(value: object, digits: int = 3) -> str:
    """Return a number with at most `digits` decimals and thin spaces between thousands."""
    exact = _exact(value)
    if exact is None:
        return NOTHING
    text = f"{float(exact):,.{digits}f}" if exact.denominator != 1 else f"{int(exact):,}"
    return text.replace(",", NARROW_SPACE).replace("-", "\N{MINUS SIGN}")


@register.filter
def unbroken(text: object) -> str:
    """Return a sentence whose percent signs stay with their numbers."""
    return str(text).replace(" %", f"{NARROW_SPACE}%")


@register.filter
def option_names(options: Any, between: str = ", ") -> SafeString:
    """Return an option, or several with words between them, as titles behind their marks."""
    named = [options] if isinstance(options, Mapping) else options
    return format_html_join(
        between,
        '<span class="option"><span class="option-mark"{}>{}</span>{}</span>',
        (
            (
                mark_safe(' aria-hidden="true"') if option["title"] else "",
                option["mark"],
                option["title"],
            )
            for option in named
        ),
    )


@register.filter
def option_tiers(tiers: Iterable[Iterable[Mapping[str, str]]]) -> SafeString:
    """Return a ranking of options, those of one place joined by a sign of equality."""
    return format_html_join(", ", "{}", ((option_names(tier, " = "),) for tier in tiers))


# --- digests, times, people -----------------------------------------------------------------------


@register.filter
def short_digest(value: object, length: int = 12) -> str:
    """Return the first characters of a digest, without its `sha256:` prefix."""
    text = str(value or "")
    return text.rpartition(":")[2][:length]


@register.filter
def relative_time(value: datetime | str | None) -> SafeString | str:
    """Return a `<time>` element: "3 hours ago" or "in 2 days", the exact moment as its title."""
    moment = parse_datetime(value) if isinstance(value, str) else value
    if moment is None:
        return NOTHING
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    now = timezone.now()
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 60:  # noqa: PLR2004 - seconds in a minute.
        text = "just now" if seconds >= 0 else "in a moment"
    elif seconds > 0:
        text = f"{timesince(moment, now, depth=1)} ago"
    else:
        text = f"in {timeuntil(moment, now, depth=1)}"
    local = timezone.localtime(moment)
    exact = f"{date_format(local, 'j F Y, H:i')} {local.tzname() or ''}".strip()
    return format_html('<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact, text)


@register.filter
def person_name(user: object) -> str:
    """Return the name to show for a user; never their e-mail address."""
    if not user:
        return "The system"
    for attribute in ("display_name", "name"):
        name = getattr(user, attribute, "")
        if isinstance(name, str) and name.strip():
            return name.strip()
    full = getattr(user, "get_full_name", None)
    name = full() if callable(full) else ""
    return name.strip() or f"Member {getattr(user, 'pk', '')}".strip()


@register.filter
def initials(name: str) -> str:
    """Return one or two letters that stand for a name."""
    words = re.findall(r"[^\W\d_]\w*|\d+", name)
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


# --- text -----------------------------------------------------------------------------------------

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(
    ["table", "strikethrough"]
)
_TAGS = {
    *("p", "br", "hr", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"),
    *("h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_LOWEST_HEADING = 6


@register.filter
def markdown(text: object) -> SafeString:
    """Return Markdown as sanitised HTML: no raw HTML, no images, headings from h3 down."""
    tokens = _MARKDOWN.parse(str(text or ""))
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1]) + 2, _LOWEST_HEADING)}"
    html = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="nofollow noopener noreferrer ugc",
    )
    return mark_safe(clean)  # noqa: S308 - nh3 has just sanitised it.


@register.filter(is_safe=True)
@stringfilter
def sentence_case(text: str) -> str:
    """Return a heading in which only the first word begins with a capital: "Sign In", "Sign in"."""
    head = text.lstrip()
    return head[:1] + re.sub(r"(?<=[\s-])[A-Z](?=[a-z])", lambda found: found[0].lower(), head[1:])


# --- icons and states -----------------------------------------------------------------------------


@register.simple_tag
def icon(name: str, extra_class: str = "") -> SafeString:
    """Return a decorative icon of `static/icons/ui.svg`; the text beside it carries the meaning."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        extra_class,
        static("icons/ui.svg"),
        name,
    )


class State(NamedTuple):
    """How a state looks: a tone (colour), an icon, and the words for people."""

    tone: str
    icon: str
    text: str


STATES: dict[str, State] = {
    # drafts and versions
    "draft": State("quiet", "pencil", "Draft"),
    "editing": State("quiet", "pencil", "Being written"),
    "proposed": State("info", "poll", "Before the community"),
    "in_poll": State("info", "poll", "Put to a vote"),
    "ratified": State("good", "seal", "Ratified"),
    "in_force": State("good", "seal", "In force"),
    "superseded": State("quiet", "archive", "Superseded"),
    "withdrawn": State("quiet", "minus", "Withdrawn"),
    # polls
    "scheduled": State("info", "clock", "Scheduled"),
    "deliberation": State("info", "speech", "In deliberation"),
    "deliberating": State("info", "speech", "In deliberation"),
    "open": State("info", "poll", "Open"),
    "closed": State("quiet", "lock", "Closed"),
    "passed": State("good", "check", "Passed"),
    "adopted": State("good", "check", "Adopted"),
    "accepted": State("good", "check", "Accepted"),
    "approved": State("good", "check", "Approved"),
    "rejected": State("bad", "cross", "Rejected"),
    "failed": State("bad", "cross", "Failed"),
    "not_passed": State("bad", "cross", "Not passed"),
    "no_quorum": State("warn", "alert", "No quorum"),
    "tied": State("warn", "alert", "Tied"),
    # runs, evaluations and other long work
    "queued": State("quiet", "clock", "Queued"),
    "running": State("info", "cycle", "Running"),
    "building": State("info", "cycle", "Building"),
    "succeeded": State("good", "check", "Succeeded"),
    "done": State("good", "check", "Done"),
    "completed": State("good", "check", "Completed"),
    "cancelled": State("quiet", "minus", "Cancelled"),
    "lost": State("warn", "alert", "Worker lost"),
    "stopped": State("quiet", "minus", "Stopped"),
    "expired": State("quiet", "clock", "Expired"),
    # labels and datasets
    "leased": State("info", "pencil", "With an annotator"),
    "labelled": State("good", "check", "Labelled"),
    "skipped": State("quiet", "minus", "Skipped"),
    "collecting": State("info", "pencil", "Collecting"),
    "freezing": State("info", "cycle", "Being frozen"),
    "frozen": State("good", "seal", "Frozen"),
    # models and releases
    "candidate": State("info", "model", "Candidate"),
    "released": State("good", "seal", "Released"),
    "retired": State("quiet", "archive", "Retired"),
    # review
    "pending": State("info", "clock", "Pending"),
    "claimed": State("info", "eye", "Being reviewed"),
    "decided": State("good", "check", "Decided"),
    "keep": State("good", "check", "Kept"),
    "hide": State("warn", "eye-off", "Hidden"),
    "kept": State("good", "check", "Kept"),
    "hidden": State("warn", "eye-off", "Hidden"),
    "removed": State("bad", "cross", "Removed"),
    "appealed": State("warn", "speech", "Appealed"),
    "upheld": State("good", "check", "Upheld"),
    "overturned": State("warn", "cycle", "Overturned"),
    # guards
    "safe": State("good", "shield", "Safe"),
    "unsafe": State("bad", "alert", "Unsafe"),
    "unknown": State("warn", "alert", "Unknown"),
    # motions
    "waiting": State("info", "clock", "Waiting"),
    "carried": State("good", "check", "Carried"),
    "lapsed": State("quiet", "clock", "Lapsed"),
    # members
    "active": State("good", "check", "Active"),
    "requested": State("info", "clock", "Requested"),
    "invited": State("info", "speech", "Invited"),
    "declined": State("bad", "cross", "Declined"),
    "suspended": State("warn", "lock", "Suspended"),
    "left": State("quiet", "minus", "Left"),
    "member": State("quiet", "people", "Member"),
    "moderator": State("info", "shield", "Moderator"),
    "steward": State("info", "seal", "Steward"),
    # communities
    "public": State("quiet", "eye", "Public"),
    "private": State("quiet", "lock", "Private"),
    # the trail
    "verified": State("good", "shield", "Verified"),
    "broken": State("bad", "alert", "Broken"),
}


def state_of(status: object) -> State:
    """Return how a status looks; an unknown one is shown quietly, in its own words."""
    raw = str(getattr(status, "value", status) or "")
    key = re.sub(r"[\s-]+", "_", raw.strip().lower())
    words = key.replace("_", " ").capitalize() or NOTHING
    return STATES.get(key, State("quiet", "dot", words))


@register.simple_tag
def state(status: object) -> State:
    """Return the `State` of a status: `{% state poll.status as look %}`."""
    return state_of(status)


@register.inclusion_tag("components/badge.html")
def status_badge(status: object, text: str = "") -> dict[str, object]:
    """Draw the badge of a status: tone, icon and words, never colour alone."""
    return {"status": status, "text": text}


# --- navigation -----------------------------------------------------------------------------------


class Link(NamedTuple):
    """An entry of a navigation: where it leads, its words, its icon, whether it is the page."""

    url: str
    label: str
    icon: str
    current: bool


COMMUNITY_PAGES: tuple[tuple[str, str, str], ...] = (
    ("community_home", "Home", "home"),
    ("constitution_detail", "Constitution", "book"),
    ("poll_list", "Polls", "poll"),
    ("community_members", "Members", "people"),
    ("label_next", "Label", "pencil"),
    ("review_queue", "Review", "shield"),
    ("dataset_list", "Datasets", "data"),
    ("run_list", "Runs", "cycle"),
    ("model_list", "Models", "model"),
    ("playground", "Playground", "speech"),
    ("transparency", "Transparency", "seal"),
)


def find_url(name: str, slug: str = "") -> str:
    """Return the address of a named page, of a community if `slug` is given; "" without one."""
    try:
        return reverse(name, kwargs={"slug": slug}) if slug else reverse(name)
    except NoReverseMatch:
        return ""


@register.simple_tag(takes_context=True)
def community_pages(context: Context) -> list[Link]:
    """Return the community's pages that exist; the context's `nav_hidden` names those to leave out.

    The current page is the one that the view names in `nav_current`, or else the one whose address
    begins the request's path.
    """
    community = context.get("community")
    request = context.get("request")
    slug = str(getattr(community, "slug", "") or "")
    if not slug:
        return []
    path = str(getattr(request, "path", ""))
    hidden = context.get("nav_hidden") or ()
    found = [
        (name, label, symbol, url)
        for name, label, symbol in COMMUNITY_PAGES
        if name not in hidden and (url := find_url(name, slug))
    ]
    home = find_url("community_home", slug)
    current = context.get("nav_current") or next(
        (name for name, _, _, url in found if url != home and path.startswith(url)),
        "community_home" if path == home else "",
    )
    return [Link(url, label, symbol, name == current) for name, label, symbol, url in found]


class Step(NamedTuple):
    """A step of the loop: its number, words, and whether it is done, current or ahead."""

    number: int
    key: str
    label: str
    status: str
    words: str


LOOP: tuple[tuple[str, str], ...] = (
    ("draft", "Draft"),
    ("vote", "Vote"),
    ("label", "Label"),
    ("train", "Train"),
    ("evaluate", "Evaluate"),
    ("release", "Release"),
)


@register.simple_tag
def loop_steps(current: str) -> list[Step]:
    """Return the six steps of the loop; those before `current` are done, `done` ends them all."""
    keys = [key for key, _ in LOOP]
    here = len(keys) if current == "done" else keys.index(current) if current in keys else -1
    words = {"done": "done", "current": "the community is here", "ahead": "to come"}
    steps = []
    for index, (key, label) in enumerate(LOOP):
        status = "done" if index < here else "current" if index == here else "ahead"
        steps.append(Step(index + 1, key, label, status, words[status]))
    return steps


# --- blocks ---------------------------------------------------------------------------------------


@register.simple_block_tag
def card(content: str, title: str = "", url: str = "", kicker: str = "", tone: str = "") -> str:
    """Wrap markup in a card: `{% card title="Open polls" url=… %}…{% endcard %}`."""
    return render_to_string(
        "components/card.html",
        {"content": content, "title": title, "url": url, "kicker": kicker, "tone": tone},
    )


@register.simple_block_tag
def page_header(
    content: str, title: str, lead: str = "", kicker: str = "", status: str = ""
) -> str:
    """Head a page with its h1; the block's markup holds the page's actions."""
    return render_to_string(
        "components/page_header.html",
        {"actions": content, "title": title, "lead": lead, "kicker": kicker, "status": status},
    )


@register.simple_block_tag
def veil(content: str, reason: str = "", codes: Sequence[str] = ()) -> str:
    """Cover harm-tagged markup until the reader opens it; works without JavaScript."""
    return render_to_string(
        "components/veil.html", {"content": content, "reason": reason, "codes": codes}
    )


# --- charts ---------------------------------------------------------------------------------------


class Notation(NamedTuple):
    """How the values of a chart are written: on its axis, in its table, and as intervals."""

    tick: Callable[[float], str]
    value: Callable[[object], str]
    interval: Callable[[object, object], str]


def _percent_tick(value: float) -> str:
    return f"{charts.tick_label(value * 100)}{NARROW_SPACE}%".replace("-", "\N{MINUS SIGN}")


def _points_tick(value: float) -> str:
    plus = "+" if value > 0 else ""
    return plus + charts.tick_label(value * 100).replace("-", "\N{MINUS SIGN}")


NOTATIONS = {
    "": Notation(
        charts.tick_label,
        partial(figure, digits=4),
        lambda low, high: f"{figure(low, 4)} to {figure(high, 4)}",
    ),
    "percent": Notation(_percent_tick, percent, percent_to),
    "points": Notation(_points_tick, points, points_to),
}


@cache
def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "chart"


def _series(given: object) -> list[charts.Series]:
    """Return curves from a mapping label → points, `Series`, or (label, points) pairs."""
    if isinstance(given, Mapping):
        return [charts.Series(str(label), list(points)) for label, points in given.items()]
    if not isinstance(given, Iterable):
        return []
    return [s if isinstance(s, charts.Series) else charts.Series(str(s[0]), s[1]) for s in given]


@register.inclusion_tag("components/chart_line.html")
def line_chart(
    series: object,
    title: str,
    x_label: str = "step",
    y_label: str = "",
    description: str = "",
    unit: str = "",
    *,
    y_from_zero: bool = False,
) -> dict[str, object]:
    """Draw curves over shared axes, with a legend and a table of first, last, lowest and highest.

    Args:
        series: a mapping of label to (x, y) points, or (label, points) pairs, or `charts.Series`.
        title: what the chart shows; also its accessible name.
        x_label: words under the x axis.
        y_label: words over the y axis, with the unit.
        description: what a reader should see in it, in a sentence.
        unit: `percent` where the values are shares.
        y_from_zero: whether the y axis must include zero.
    """
    curves = _series(series)
    notation = NOTATIONS[unit]
    chart = charts.line_chart(curves, y_from_zero=y_from_zero, tick=notation.tick)
    return {
        "chart": chart,
        "lines": [
            {
                "label": line.label,
                "count": line.count,
                **{name: notation.value(getattr(line, name)) for name in ("last", "low", "high")},
            }
            for line in chart.lines
        ],
        "title": title,
        "id": f"chart-{_slug(title)}",
        "x_label": x_label,
        "y_label": y_label,
        "description": description,
        "empty": not any(line.count for line in chart.lines),
    }


def _estimate(given: Any) -> charts.Estimate:
    if isinstance(given, charts.Estimate):
        return given
    part = given.get if isinstance(given, Mapping) else partial(_attribute, given)
    value = _number(part("value"))
    if value is None:
        msg = f"An estimate needs a value: {given!r}."
        raise ValueError(msg)
    n = part("n")
    return charts.Estimate(
        str(part("label") or ""),
        value,
        _number(part("low")),
        _number(part("high")),
        None if n is None else int(n),
    )


def _attribute(thing: object, name: str) -> Any:
    return getattr(thing, name, None)


def _row(given: Any) -> charts.IntervalRow:
    if isinstance(given, charts.IntervalRow):
        return given
    if isinstance(given, Mapping):
        return charts.IntervalRow(str(given["label"]), [_estimate(e) for e in given["estimates"]])
    label, estimates = given
    return charts.IntervalRow(str(label), [_estimate(e) for e in estimates])


@register.inclusion_tag("components/chart_intervals.html")
def interval_chart(
    rows: Iterable[object],
    title: str,
    x_label: str = "",
    description: str = "",
    unit: str = "percent",
    method: str = "95 % interval",
    low: float | None = None,
    high: float | None = None,
    reference: float | None = None,
    reference_label: str = "",
) -> dict[str, object]:
    """Draw values with their intervals, such as scores before and after, one row per thing.

    Args:
        rows: (label, estimates) pairs, mappings with these keys, or `charts.IntervalRow`; an
            estimate has label, value, low, high and n, as a mapping or as attributes.
        title: what the chart shows; also its accessible name.
        x_label: words under the axis, with the unit.
        description: what a reader should see in it, in a sentence.
        unit: `percent` for shares, `points` for differences of shares, "" for plain numbers.
        method: how the intervals were made, for the table's heading.
        low: left end of the axis.
        high: right end of the axis.
        reference: a value to mark, such as chance.
        reference_label: what the mark means.
    """
    given = [_row(row) for row in rows]
    notation = NOTATIONS[unit]
    chart = charts.interval_chart(
        given, low=low, high=high, reference=reference, tick=notation.tick
    )
    labels: list[str] = []
    for row in given:
        labels += [e.label for e in row.estimates if e.label and e.label not in labels]
    return {
        "chart": chart,
        "rows": [
            {
                "label": row.label,
                "estimates": [
                    {
                        "label": e.label,
                        "value": notation.value(e.value),
                        "interval": "" if e.low is None else notation.interval(e.low, e.high),
                        "n": e.n,
                    }
                    for e in row.estimates
                ],
            }
            for row in given
        ],
        "legend": labels,
        "title": title,
        "id": f"chart-{_slug(title)}",
        "x_label": x_label,
        "description": description,
        "method": method,
        "reference": None if reference is None else notation.tick(reference),
        "reference_label": reference_label,
        "empty": not given,
    }


def _share(part: int, whole: int, edge: Fraction | None = None) -> str:
    """Return a share of votes as the rule itself writes it."""
    return unbroken(tally.percent(part, whole, edge=edge))


@dataclass(frozen=True)
class TallyRow:
    """A line of a tally's table."""

    key: str
    label: str
    count: int
    of_cast: str
    of_eligible: str


@register.inclusion_tag("components/chart_tally.html")
def tally_chart(
    yes: int,
    no: int,
    abstain: int,
    eligible: int,
    title: str = "Tally",
    threshold: object = None,
    base: str = "decided",
    quorum: object = None,
    quorum_kind: str = "approval",
    *,
    strict: bool = True,
) -> dict[str, object]:
    """Draw a yes/no/abstain tally over the whole electorate, with what had to be reached.

    The bar's full width is the electorate. Yes stands on the left, so a poll passes when its yes
    segment reaches the threshold's mark, and an approval quorum its own mark.

    Args:
        yes: ballots in favour.
        no: ballots against.
        abstain: ballots that abstain.
        eligible: size of the electorate; 0 means unknown, and the bar then shows ballots cast.
        title: what was decided; also the chart's accessible name.
        threshold: share of `base` that yes must reach: a Fraction, a "2/3", or None.
        base: `cast`, `decided` (without abstentions) or `eligible`.
        quorum: share of the electorate needed, as `threshold`, or None.
        quorum_kind: `approval` (counted in yes) or `participation` (counted in ballots cast).
        strict: whether yes must exceed the threshold, not only reach it.
    """
    cast = yes + no + abstain
    total = max(eligible, cast)
    bases = {"cast": cast, "decided": yes + no, "eligible": total}
    base_words = {"cast": "ballots cast", "decided": "yes and no", "eligible": "the electorate"}
    parts = [("yes", "Yes", yes), ("no", "No", no), ("abstain", "Abstain", abstain)]
    marks: list[tuple[str, str, Fraction]] = []
    limit, wanted = _exact(threshold), _exact(quorum)
    if limit is not None:
        verb = "more than" if strict else "at least"
        words = f"Yes needs {verb} {limit} of {base_words.get(base, base)}"
        marks.append(("threshold", words, limit * bases.get(base, cast)))
    if wanted is not None:
        counted = "yes" if quorum_kind == "approval" else "ballots"
        marks.append(("quorum", f"Quorum: {math.ceil(wanted * total)} {counted}", wanted * total))
    # What a share is held against, so that none reads as if it had reached it.
    edges = {
        ("yes", "cast"): limit if base == "cast" else None,
        ("yes", "eligible"): limit
        if base == "eligible"
        else wanted
        if quorum_kind == "approval"
        else None,
    }
    rows = [
        TallyRow(
            key,
            label,
            count,
            _share(count, cast, edges.get((key, "cast"))),
            _share(count, total, edges.get((key, "eligible"))),
        )
        for key, label, count in parts
    ]
    silent = total - cast
    if silent:
        rows.append(TallyRow("silent", "Did not vote", silent, NOTHING, _share(silent, total)))
    return {
        "bar": charts.tally_bar(parts, total=total, marks=marks),
        "rows": rows,
        "title": title,
        "id": f"chart-{_slug(title)}",
        "cast": cast,
        "eligible": total,
        "turnout": _share(cast, total, wanted if quorum_kind == "participation" else None),
    }


@register.inclusion_tag("components/chart_histogram.html")
def histogram(
    values: Iterable[float],
    title: str,
    low: float = 0.0,
    high: float = 1.0,
    bins: int = 10,
    x_label: str = "",
) -> dict[str, object]:
    """Draw how values spread over equal bins, with a table of the counts."""
    return {
        "chart": charts.histogram(values, low=low, high=high, bins=bins),
        "title": title,
        "id": f"chart-{_slug(title)}",
        "x_label": x_label,
    }
