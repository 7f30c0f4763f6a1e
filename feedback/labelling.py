"""Labels: who compares what next, what they answered, and how that enters the trail.

A lease takes a place of its comparison, and a comparison has no more places than labels wanted:
the counter is guarded by a row lock here and by a constraint in the database.
"""

import hashlib
import hmac
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from feedback import permissions
from feedback.models import Assignment, Comparison, Label
from feedback.verbs import Verb
from governance import audit, canonical
from governance.errors import BadInput, InvalidTransition, NotPermitted
from governance.models import Community, Membership, User
from governance.transitions import move
from principles.models import Version

STRONGEST = 3
LONGEST_NOTE = 1000
LONGEST_REASON = 200
BATCH = 1000
LATEST = 200
_SIDES = {"left", "right", "tie", "both_bad"}


# --- handing out ----------------------------------------------------------------------------------


@transaction.atomic
def next_assignment(*, community_id: int, annotator: User) -> Assignment | None:
    """Hand the annotator a comparison: the one they hold, or else a new lease.

    Comparisons with fewer labels come first, and among them each annotator has an order of their
    own. A skipped or labelled comparison never comes back to the same person. The member's row is
    locked first, so that two open pages of one person get the same lease; nothing that holds a
    comparison waits for a membership.

    Returns:
        The lease, or None where nothing is left for this person.

    Raises:
        NotPermitted: they are not a member.
    """
    member = Membership.objects.select_for_update(no_key=True).filter(
        community_id=community_id, user=annotator, status=Membership.Status.ACTIVE
    )
    if not member.exists():
        raise NotPermitted("Only members may label.")
    now = timezone.now()
    held = _held(community_id, annotator)
    if held is not None:
        if held.expires_at - now < timedelta(seconds=settings.LABEL_LEASE_SECONDS) / 2:
            held.expires_at = _lease_end()
            held.save(update_fields=["expires_at"])
        return held
    version = (
        Version.objects.filter(constitution__community=community_id)
        .select_related("constitution")
        .first()
    )
    if version is None:
        return None
    comparison = _take(version, annotator)
    if comparison is None:
        return None
    Comparison.objects.filter(pk=comparison.pk).update(places_taken=F("places_taken") + 1)
    lease = Assignment(
        comparison=comparison,
        annotator=annotator,
        status=Assignment.Status.LEASED,
        swapped=_swapped(comparison, annotator),
        leased_at=now,
        expires_at=_lease_end(),
    )
    # The only assignment that can be in the way is this person's own, which ran out.
    Assignment.objects.bulk_create(
        [lease],
        update_conflicts=True,
        unique_fields=["comparison", "annotator"],
        update_fields=["status", "swapped", "leased_at", "expires_at"],
    )
    return lease


def _lease_end() -> datetime:
    return timezone.now() + timedelta(seconds=settings.LABEL_LEASE_SECONDS)


def _held(community_id: int, annotator: User) -> Assignment | None:
    """Return what the annotator holds now and may still answer."""
    return (
        Assignment.objects.select_for_update(of=("self",))
        .filter(
            annotator=annotator,
            status=Assignment.Status.LEASED,
            comparison__community_id=community_id,
            comparison__prompt__hidden=False,
            comparison__response_a__hidden=False,
            comparison__response_b__hidden=False,
        )
        .order_by("leased_at", "pk")
        .first()
    )


def _take(version: Version, annotator: User) -> Comparison | None:
    """Lock the comparison that is the annotator's next, if there is one.

    Among the least labelled, people go round in the order of `shuffle`, each from a beginning of
    their own. What another person takes at this moment is passed over; only where nothing else is
    left does this wait, to see whether a place remains.
    """
    mine = Assignment.objects.filter(comparison=OuterRef("pk"), annotator=annotator)
    wanted = (
        Comparison.objects.filter(community_id=version.constitution.community_id)
        .filter(places_taken__lt=F("labels_wanted"))
        .filter(~Exists(mine.exclude(status=Assignment.Status.EXPIRED)))
        .shown()
        .under(version)
        .order_by("places_taken", "shuffle", "pk")
    )
    fewest = wanted.values_list("places_taken", flat=True).first()
    if fewest is None:
        return None
    beginning = int(hashlib.sha256(annotator.email.encode()).hexdigest()[:8], 16) >> 1
    whole = wanted.select_related("prompt", "response_a", "response_b", "principle")
    least = whole.select_for_update(skip_locked=True, of=("self",)).filter(places_taken=fewest)
    taken: Comparison | None = (
        least.filter(shuffle__gte=beginning).first()
        or least.filter(shuffle__lt=beginning).first()
        or whole.select_for_update(of=("self",)).first()
    )
    return taken


def _swapped(comparison: Comparison, annotator: User) -> bool:
    """Say whether this person sees the second answer on the left: a fair coin, kept for good."""
    message = f"{comparison.pair_digest}:{annotator.email}".encode()
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, b"folkmoot.sides:" + message, hashlib.sha256).digest()[0] % 2 == 1


# --- answers --------------------------------------------------------------------------------------


@transaction.atomic
def submit_label(
    *,
    assignment_id: int,
    annotator: User,
    choice: str,
    strength: int = 1,
    note: str = "",
    idempotency_key: uuid.UUID | None = None,
) -> Label:
    """Keep the annotator's answer, turned back from the sides they saw.

    A lease that ran out counts as long as its place was not given back.

    Args:
        assignment_id: the lease.
        annotator: who answers.
        choice: `left`, `right`, `tie` or `both_bad`.
        strength: how much better, from 1 to 3; without meaning for `tie` and `both_bad`.
        note: for those who read the labels; it stays out of datasets.
        idempotency_key: the same key again gives the same label and writes nothing.

    Raises:
        NotPermitted: the lease is another person's, or they are no longer a member.
        BadInput: the answer has no meaning, or the key belongs to another answer.
        InvalidTransition: it was answered or skipped, or its time ran out.
    """
    assignment = _locked(assignment_id, annotator)
    key = idempotency_key or uuid.uuid4()
    earlier = Label.objects.filter(idempotency_key=key).first()
    if earlier is not None:
        if earlier.assignment_id != assignment.pk:
            raise BadInput("This key belongs to another label.")
        return earlier
    _check_answer(choice, strength, note)
    if assignment.status == Assignment.Status.EXPIRED:
        raise InvalidTransition("The time for this comparison ran out, and its place was given on.")
    comparison = assignment.comparison
    if comparison.prompt.hidden or comparison.response_a.hidden or comparison.response_b.hidden:
        raise InvalidTransition("A moderator has hidden this comparison.")
    move(assignment, Assignment.Status.LABELLED)
    decided = choice in {"left", "right"}
    return Label.objects.create(
        assignment=assignment,
        choice=_turned_back(choice, swapped=assignment.swapped),
        strength=strength if decided else 1,
        note=note.strip(),
        idempotency_key=key,
    )


def _locked(assignment_id: int, annotator: User) -> Assignment:
    """Lock a lease for its annotator.

    Raises:
        NotPermitted: it is another person's, or they are no longer a member.
    """
    assignment: Assignment = (
        Assignment.objects.select_for_update(of=("self",))
        .select_related("comparison__prompt", "comparison__response_a", "comparison__response_b")
        .get(pk=assignment_id)
    )
    permissions.require(
        permissions.holds(annotator, assignment), "This comparison was given to another person."
    )
    return assignment


def _check_answer(choice: str, strength: int, note: str) -> None:
    if choice not in _SIDES:
        raise BadInput("Choose left, right, equally good, or both bad.")
    if not 1 <= strength <= STRONGEST:
        raise BadInput(f"The strength is a number from 1 to {STRONGEST}.")
    if len(note) > LONGEST_NOTE or "\0" in note:
        raise BadInput(f"The note is a text of at most {LONGEST_NOTE} characters.")


def _turned_back(choice: str, *, swapped: bool) -> str:
    """Return a choice of a side as a choice of an answer."""
    if choice not in {"left", "right"}:
        return choice
    return str(Label.Choice.A if (choice == "left") != swapped else Label.Choice.B)


@transaction.atomic
def skip_assignment(*, assignment_id: int, annotator: User, reason: str) -> Assignment:
    """Give a lease back with a reason; its place is free again, for others.

    Raises:
        NotPermitted: the lease is another person's, or they are no longer a member.
        BadInput: there is no reason.
        InvalidTransition: it was answered, or its time ran out.
    """
    assignment = _locked(assignment_id, annotator)
    reason = reason.strip()
    if not reason or len(reason) > LONGEST_REASON or "\0" in reason:
        raise BadInput(f"Say in at most {LONGEST_REASON} characters why you skip this.")
    if assignment.status == Assignment.Status.SKIPPED:
        return assignment
    move(assignment, Assignment.Status.SKIPPED, skip_reason=reason)
    Comparison.objects.filter(pk=assignment.comparison_id).update(
        places_taken=F("places_taken") - 1
    )
    return assignment


def expire_leases() -> int:
    """Take back the places of leases that ran out, each once, in batches.

    Returns:
        How many leases ran out.
    """
    total = 0
    while count := _expire_batch():
        total += count
    return total


@transaction.atomic
def _expire_batch() -> int:
    due = list(
        Assignment.objects.select_for_update(skip_locked=True)
        .filter(status=Assignment.Status.LEASED, expires_at__lte=timezone.now())
        .order_by("pk")[:BATCH]
    )
    places = Counter(assignment.comparison_id for assignment in due)
    # In one order, so that two batches never wait for each other.
    list(Comparison.objects.select_for_update().filter(pk__in=places).order_by("pk"))
    for count in sorted(set(places.values())):
        pks = [pk for pk, n in places.items() if n == count]
        Comparison.objects.filter(pk__in=pks).update(places_taken=F("places_taken") - count)
    for assignment in due:
        move(assignment, Assignment.Status.EXPIRED)
    return len(due)


# --- how one does ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """How far a person's labelling has got.

    Attributes:
        labels: labels they gave in this community.
        finished: of their latest comparisons, those that have all labels and one most frequent
            choice.
        agreed: how often that choice was theirs.
    """

    labels: int
    finished: int
    agreed: int


def progress(*, community_id: int, annotator: User) -> Progress:
    """Return how many labels a person gave, and how often the finished majority is with them."""
    mine = Label.objects.filter(
        assignment__annotator=annotator, assignment__comparison__community_id=community_id
    )
    latest = dict(mine.order_by("-pk").values_list("assignment__comparison_id", "choice")[:LATEST])
    votes: dict[int, Counter[str]] = {}
    wanted: dict[int, int] = {}
    for row in Label.objects.filter(assignment__comparison__in=list(latest)).values_list(
        "assignment__comparison_id", "assignment__comparison__labels_wanted", "choice"
    ):
        comparison, wanted[comparison], choice = row
        votes.setdefault(comparison, Counter())[choice] += 1
    finished = agreed = 0
    for comparison, counts in votes.items():
        (choice, most), *others = counts.most_common(2)
        if counts.total() < wanted[comparison] or (others and others[0][1] == most):
            continue
        finished += 1
        agreed += choice == latest[comparison]
    return Progress(labels=mine.count(), finished=finished, agreed=agreed)


# --- the trail ------------------------------------------------------------------------------------


@transaction.atomic
def record_label_batch(*, community_id: int) -> int:
    """Enter labels that the trail does not hold yet into it, as one digest.

    The digest covers, of each label, its idempotency key, its pair, the choice and the strength.
    The key is random and secret, so that nobody can guess an answer from a digest.

    Returns:
        How many labels the batch holds; 0 writes nothing.
    """
    labels = list(
        Label.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(recorded=False, assignment__comparison__community_id=community_id)
        .select_related(
            "assignment__comparison__prompt",
            "assignment__comparison__response_a",
            "assignment__comparison__response_b",
            "assignment__comparison__principle",
        )
        .defer(
            "assignment__comparison__prompt__text",
            "assignment__comparison__response_a__text",
            "assignment__comparison__response_b__text",
        )
        .order_by("pk")[:BATCH]
    )
    if not labels:
        return 0
    content = [
        {
            "key": str(label.idempotency_key),
            "pair": label.assignment.comparison.pair_digest,
            "choice": label.choice,
            "strength": label.strength,
        }
        for label in labels
    ]
    Label.objects.filter(pk__in=[label.pk for label in labels]).update(recorded=True)
    audit.record(
        community_id=community_id,
        actor=None,
        verb=Verb.LABELS_RECORDED,
        subject=Community(pk=community_id),
        data={"count": len(labels), "digest": canonical.digest(content), "up_to": labels[-1].pk},
    )
    return len(labels)


def communities_with_unrecorded_labels() -> list[int]:
    """Return the keys of the communities with labels that the trail does not hold yet."""
    return list(
        Label.objects.filter(recorded=False)
        .order_by("assignment__comparison__community_id")
        .values_list("assignment__comparison__community_id", flat=True)
        .distinct()
    )
