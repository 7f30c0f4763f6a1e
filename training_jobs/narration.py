"""The audit trail in plain words: who did what to what, with a link where there is a page."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Q
from django.urls import NoReverseMatch, reverse

from feedback.models import Dataset
from governance.models import AuditEvent, Community, Motion, Poll, User
from principles.models import Version
from training_jobs.models import Release

TOPICS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "members": (
        "Members",
        ("community", "member", "membership", "role", "invitation", "motion", "delegation", "key"),
    ),
    "constitution": ("Constitution", ("draft", "version")),
    "polls": ("Polls", ("poll", "ballots", "motion", "delegation")),
    "feedback": (
        "Prompts, labels and reviews",
        ("prompt", "prompts", "responses", "labels", "content", "review"),
    ),
    "datasets": ("Datasets", ("dataset",)),
    "training": ("Runs and models", ("run", "model", "evaluation", "release", "chat")),
}
"""What a reader may narrow the trail to: words for people, and the first words of its verbs."""

_WORDS: Final[Mapping[str, str]] = {
    "community.created": "founded",
    "community.changed": "changed the settings of",
    "member.joined": "joined",
    "membership.requested": "asked to join",
    "membership.approved": "approved the request of",
    "membership.declined": "declined the request of",
    "member.invited": "made an invitation to",
    "invitation.revoked": "took back an invitation to",
    "member.left": "left",
    "member.suspended": "suspended",
    "member.reinstated": "reinstated",
    "role.changed": "changed the role of",
    "community.rule_changed": "changed by which rule is decided in",
    "key.announced": "announced the key that signs the record of",
    "motion.moved": "asked the other stewards to",
    "motion.carried": "seconded what was asked: to",
    "motion.declined": "declined what was asked: to",
    "motion.lapsed": "let go what nobody seconded: to",
    "delegation.given": "delegated their vote in",
    "delegation.taken_back": "took back a delegation in",
    "poll.announced": "announced the poll",
    "poll.revised": "revised the announced poll",
    "poll.opened": "opened the poll",
    "ballots.recorded": "sealed a batch of ballots of",
    "poll.extended": "extended the poll",
    "poll.closed": "closed and counted the poll",
    "poll.withdrawn": "withdrew the poll",
    "draft.created": "began",
    "draft.edited": "edited",
    "draft.principle_set": "wrote a principle of",
    "draft.principle_removed": "removed a principle from",
    "draft.principle_moved": "moved a principle of",
    "draft.withdrawn": "withdrew",
    "draft.proposed": "put to the vote",
    "draft.given_back": "gave back for more work",
    "draft.rejected": "set aside",
    "version.ratified": "put in force",
    "prompt.added": "added",
    "prompts.imported": "imported prompts for",
    "responses.recorded": "recorded a model's answers for",
    "labels.recorded": "sealed a batch of labels of",
    "content.reported": "received a report about",
    "review.claimed": "took up",
    "review.unclaimed": "put back",
    "review.decided": "decided",
    "dataset.queued": "asked for",
    "dataset.frozen": "froze",
    "dataset.failed": "could not freeze",
    "run.queued": "queued",
    "run.started": "started",
    "run.requeued": "queued again",
    "run.succeeded": "finished",
    "run.failed": "ended with an error",
    "run.cancelled": "cancelled",
    "model.registered": "registered",
    "evaluation.recorded": "recorded",
    "release.proposed": "proposed",
    "release.decided": "decided",
    "chat.answered": "answered a question in the playground",
}
_OF_A_PERSON: Final = {"member", "membership", "role"}
_HOME: Final = {"community", "invitation", "delegation"}
_MOTIONS: Final[Mapping[Any, str]] = {
    Motion.Kind.CLOSE_EARLY: "close a poll early",
    Motion.Kind.WITHDRAW_POLL: "withdraw an open poll",
    Motion.Kind.CHANGE_STEWARD: "change who is a steward",
}
_SCOPES: Final = {
    "poll": "for one poll",
    "topic": "for a kind of poll",
    "community": "for the whole community",
}
_PAGES: Final = {"poll", "draft", "run", "model", "evaluation"}
_NOUNS: Final = {"reviewitem": "review"}


@dataclass(frozen=True)
class Told:
    """An event as a reader sees it.

    Attributes:
        number: its place in the trail, from 1.
        at: when, as the trail writes it.
        actor: who, or a reference in place of the name; None is the system.
        words: what they did.
        subject: to what, in words.
        url: the page of the subject; "" where there is none.
        note: figures that matter, in a few words.
        verb: as the trail has it.
        digest: hash of the event.
    """

    number: int
    at: str
    actor: User | None
    words: str
    subject: str
    url: str
    note: str
    verb: str
    digest: str


def about(topic: str) -> Q:
    """Return the filter for the events of a topic; everything for an unknown one."""
    wanted = Q()
    for prefix in TOPICS.get(topic, ("", ()))[1]:
        wanted |= Q(verb__startswith=f"{prefix}.")
    return wanted


def tell(events: Iterable[AuditEvent], community: Community, *, by_name: bool) -> list[Told]:
    """Put events of one community in words, with the same few queries for any number of them.

    Args:
        events: of the community's trail.
        community: whose they are.
        by_name: whether people are named, as they are to members; everyone else reads the
            references that the export has, such as user:17.
    """
    rows = list(events)
    names = _Names(rows, community, by_name=by_name)
    return [_told(event, names) for event in rows]


class _Names:
    """What the events' keys stand for, looked up for all of them at once."""

    def __init__(
        self, events: Sequence[AuditEvent], community: Community, *, by_name: bool
    ) -> None:
        self.community = community
        self.by_name = by_name
        keys: dict[str, set[int]] = {}
        for event in events:
            for name in (event.actor, event.subject, str(event.data.get("user", ""))):
                noun, _, key = name.partition(":")
                if key.isdecimal():
                    keys.setdefault(noun, set()).add(int(key))
        self.users = User.objects.in_bulk(keys.get("user", set()))
        self.polls = _column(Poll.objects, keys.get("poll"), "title")
        self.versions = _column(Version.objects, keys.get("version"), "number")
        self.datasets = _column(Dataset.objects, keys.get("dataset"), "number")
        self.evaluations = _column(Release.objects, keys.get("release"), "evaluation_id")

    def user(self, name: str) -> User | None:
        noun, _, key = name.partition(":")
        person = self.users.get(int(key)) if noun == "user" and key.isdecimal() else None
        if person is None or self.by_name:
            return person
        return User(name=name, is_scripted=person.is_scripted)

    def subject(self, event: AuditEvent) -> tuple[str, str]:
        """Return the words for an event's subject, and the address of its page."""
        noun, _, text = event.subject.partition(":")
        key = int(text) if text.isdecimal() else None
        if event.verb.partition(".")[0] in _OF_A_PERSON:
            return self._person(event)
        if noun in _HOME:
            return "the community", self._url("community_home")
        if noun in {"version", "dataset"}:
            number = getattr(self, f"{noun}s").get(key)
            return f"{noun} {number or ''}", self._url(f"{noun}_detail", number)
        if noun == "release":
            page = self._url("evaluation_detail", self.evaluations.get(key))
            return "the release of a model", page
        url = self._url(f"{noun}_detail", key) if noun in _PAGES else ""
        words = {
            "poll": f"“{self.polls.get(key, text)}”",
            "motion": _MOTIONS.get(event.data.get("kind"), f"motion {text}"),
            "turn": "",
        }
        return words.get(noun, f"{_NOUNS.get(noun, noun)} {text}"), url

    def _person(self, event: AuditEvent) -> tuple[str, str]:
        name = str(event.data.get("user", ""))
        person = self.user(name)
        if person is None or name == event.actor:
            return "the community", self._url("community_home")
        mark = " (scripted)" if person.is_scripted else ""
        return f"{person}{mark}", self._url("community_members") if self.by_name else ""

    def _url(self, name: str, *keys: int | None) -> str:
        """Return the address of a page of the community; "" where a key is None, or no page is."""
        try:
            return reverse(name, args=[self.community.slug, *keys])
        except NoReverseMatch:
            return ""


def _column(rows: Any, keys: set[int] | None, name: str) -> dict[int | None, Any]:
    return dict(rows.filter(pk__in=keys or set()).values_list("pk", name))


def _told(event: AuditEvent, names: _Names) -> Told:
    subject, url = names.subject(event)
    return Told(
        number=event.seq,
        at=event.at,
        actor=names.user(event.actor),
        words=_WORDS.get(event.verb, event.verb.replace(".", " ").replace("_", " ")),
        subject=subject,
        url=url,
        note=_safe_note(event),
        verb=event.verb,
        digest=event.event_hash,
    )


def _safe_note(event: AuditEvent) -> str:
    """Return the note, or none where an event's data have another shape than today's."""
    try:
        return _note(event.verb, event.data)
    except (KeyError, TypeError):
        return ""


def _note(verb: str, data: Mapping[str, Any]) -> str:
    """Return the figures of an event that a reader wants at a glance."""
    group, _, act = verb.partition(".")
    if verb in _NOTES:
        return _NOTES[verb](data)
    if act in {"recorded", "imported"}:
        return _count(data["count"], group.rstrip("s"))
    return str(data["recipe"]) if group == "run" else ""


def _result(data: Mapping[str, Any]) -> str:
    """Return how a poll came out: its counts between yes and no, or who won among options."""
    tally = data["tally"]
    if "options" in tally:
        figures = ", ".join(tally["winners"]) or _count(tally["cast"], "vote")
    else:
        figures = ", ".join(f"{tally[key]} {key}" for key in ("yes", "no", "abstain"))
    return f"{data['outcome'].replace('_', ' ')}: {figures}"


def _count(number: int, noun: str) -> str:
    plural = {"person": "people"}.get(noun, f"{noun}s")
    return f"{number} {noun if number == 1 else plural}"


_NOTES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "poll.opened": lambda data: f"{_count(data['electorate_size'], 'person')} may vote",
    "poll.extended": lambda data: f"until {data['closes_at'][:16].replace('T', ' ')} UTC",
    "poll.closed": _result,
    "ballots.recorded": lambda data: _count(data["count"], "act"),
    "delegation.given": lambda data: _SCOPES[data["scope"]],
    "delegation.taken_back": lambda data: _SCOPES[data["scope"]],
    "key.announced": lambda data: f"{data['public_key'][:16]}…",
    "role.changed": lambda data: f"from {data['from']} to {data['to']}",
    "responses.recorded": lambda data: _count(data["comparisons"], "comparison"),
    "dataset.frozen": lambda data: (
        f"{_count(data['pairs'], 'pair')} from {_count(data['labels'], 'label')}"
    ),
    "release.decided": lambda data: str(data["status"]),
}
