"""A small community that has gone round the whole loop, by the product's own verbs."""

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

import time_machine
from django.db import transaction
from django.utils import timezone

from feedback import freezing, labelling, prompting, review
from feedback.models import Dataset, Prompt
from governance import audit, membership, polling, voting
from governance.models import Community, Poll, User
from governance.rules import DEFAULT_RULE, Rule
from principles import drafting
from principles.models import Version
from tests.factories.governance import UserFactory
from tests.factories.training_jobs import (
    EvaluationFactory,
    ModelFactory,
    RunFactory,
    SampleFactory,
    scored,
    store_files,
)
from training_jobs import registry, releasing
from training_jobs.models import Evaluation, Model, Release
from training_jobs.verbs import Verb

PROMPTS = 4


@dataclass
class Populated:
    """What the community has."""

    community: Community
    steward: User
    people: list[User]
    version: Version
    base: Model
    training: Dataset
    heldout: Dataset
    model: Model
    evaluation: Evaluation
    release: Release
    open_poll: Poll


def decide(poll, votes):
    """Cast ballots, wait until the deadline, and close the poll."""
    for person, choice in votes.items():
        voting.cast_ballot(poll_id=poll.pk, voter=person, content=choice)
    with time_machine.travel(poll.closes_at + timedelta(seconds=1), tick=True):
        return polling.close_poll(poll_id=poll.pk)


def soon():
    """Return a deadline that lies ahead."""
    return timezone.now() + timedelta(hours=1)


def begin(*, slug="the-library", visibility="public", people=5):
    """Return a community with a steward and members who joined it, and all of its people."""
    steward = UserFactory(name="Stella", email=f"stella@{slug}.example.org")
    community = membership.create_community(
        actor=steward,
        name="The library",
        purpose="To decide how our assistant advises readers.",
        slug=slug,
        visibility="public",
    )
    members = [UserFactory(name=f"Reader {n}", is_scripted=n == 1) for n in range(1, people)]
    for person in members:
        membership.join(community_id=community.pk, actor=person)
    if visibility == "private":
        membership.change_community(
            community_id=community.pk,
            actor=steward,
            purpose=community.purpose,
            joining="invite",
            visibility="private",
        )
        community.refresh_from_db()
    return community, steward, [steward, *members]


def ratify(community, steward, people, *, starter="careful-helper", title=""):
    """Put a draft to the vote and in force."""
    draft = drafting.create_draft(
        community_id=community.pk, actor=steward, title=title, starter=starter
    )
    drafting.set_principle(
        draft_id=draft.pk,
        actor=steward,
        title=f"Say “no” well: {title or 'plainly'}",
        text="Decline politely.\n\n- Say why.\n- Offer another way (if there is one).",
        rationale="Nobody likes a wall. \N{SNOWMAN}",
        examples=[{"prompt": "How?", "better": "So: 1 + 1.", "worse": "No."}],
        hazard_codes=["S1", "S11"],
        weight=3,
    )
    poll = drafting.propose(draft_id=draft.pk, actor=steward, rule=DEFAULT_RULE, closes_at=soon())
    votes = dict.fromkeys(people, "yes") | {people[-1]: "no"}
    decide(poll, votes)
    return Version.objects.get(poll=poll)


def populate(settings, *, slug="the-library", visibility="public"):
    """Go round the loop once, and leave a poll open."""
    settings.RUN_MINIMUM_PAIRS = 2
    community, steward, people = begin(slug=slug, visibility=visibility)
    ratify(community, steward, people)
    version = ratify(community, steward, people, starter="", title="Second thoughts")
    _decide_otherwise(community, steward, people)
    base = ModelFactory()
    label(community, base, people)
    training, heldout = freeze(community, steward)
    model = train(community, base, version, training)
    evaluation = evaluate(community, base, model, heldout, version)
    release = releasing.propose_release(
        evaluation_id=evaluation.pk, actor=steward, rule=DEFAULT_RULE, closes_at=soon()
    )
    decide(release.poll, dict.fromkeys(people, "yes"))
    release.refresh_from_db()
    prompt = Prompt.objects.filter(community=community).first()
    review.report(
        community_id=community.pk,
        reporter=people[1],
        target="prompt",
        target_key=prompt.pk,
        reason="spam",
    )
    open_poll = ask(community, steward, "Shall we meet on Thursdays?", DEFAULT_RULE)
    voting.cast_ballot(poll_id=open_poll.pk, voter=people[1], content="yes")
    drafting.create_draft(community_id=community.pk, actor=people[1], title="A third way")
    return Populated(
        community=community,
        steward=steward,
        people=people,
        version=version,
        base=base,
        training=training,
        heldout=heldout,
        model=model,
        evaluation=evaluation,
        release=release,
        open_poll=open_poll,
    )


def ask(community, steward, title, rule):
    """Open a plain question."""
    return polling.open_poll(
        community_id=community.pk,
        actor=steward,
        kind="question",
        title=title,
        text=f"{title}\n\nIt is decided by the rule below.",
        rule=rule,
        closes_at=soon(),
    )


def _decide_otherwise(community, steward, people):
    """Close polls of other rules and outcomes, with ballots replaced and withdrawn."""
    rejected = ask(
        community,
        steward,
        "More?",
        Rule(base="cast", threshold=Fraction(2, 3), strict=False, quorum="sqrt"),
    )
    voting.cast_ballot(poll_id=rejected.pk, voter=people[0], content="yes")
    voting.withdraw_ballot(poll_id=rejected.pk, voter=people[0])
    votes = zip(people, ["yes", "yes", "yes", "abstain", "no"], strict=False)
    voting.cast_ballot(poll_id=rejected.pk, voter=people[1], content="no")
    decide(rejected, dict(votes))
    nobody = ask(
        community,
        steward,
        "Less?",
        Rule(base="eligible", quorum="participation", quorum_share=Fraction(1, 3)),
    )
    decide(nobody, {people[2]: "yes"})
    decide(ask(community, steward, "Silence?", Rule(quorum="none")), {})


def label(community, base, people):
    """Add prompts of both splits, record answers, and label all of them."""
    rows, n = [], 0
    wanted = {"train": PROMPTS, "evaluation": PROMPTS}
    while any(wanted.values()):
        n += 1
        text = f"What is the meaning of the number {n}?"
        split = prompting.split_of(text)
        if not wanted[split]:
            continue
        wanted[split] -= 1
        prompt = prompting.add_prompt(community_id=community.pk, actor=people[0], text=text)
        rows += [
            {"prompt_id": prompt.pk, "arm": arm, "text": f"{arm}: {n}"}
            for arm in ("plain", "guided")
        ]
    prompting.record_responses(
        community_id=community.pk,
        model_name=base.name,
        model_digest=base.digest,
        rows=rows,
        seed=0,
    )
    for person in people[:3]:
        while assignment := labelling.next_assignment(community_id=community.pk, annotator=person):
            labelling.submit_label(
                assignment_id=assignment.pk,
                annotator=person,
                choice="tie" if person == people[2] else _guided(assignment),
            )
    while labelling.record_label_batch(community_id=community.pk):
        pass


def _guided(assignment):
    """Return the side on which the guided answer was shown."""
    comparison = assignment.comparison
    first = comparison.response_b if assignment.swapped else comparison.response_a
    return "left" if first.arm == "guided" else "right"


def freeze(community, steward):
    """Freeze both kinds of dataset."""
    made = []
    for purpose in ("training", "evaluation"):
        dataset = freezing.queue_freeze(community_id=community.pk, actor=steward, purpose=purpose)
        made.append(freezing.build(dataset.pk))
    return made


@transaction.atomic
def train(community, base, version, dataset):
    """Register a model as the result of a training run does, with its event."""
    listing, _ = store_files("models/{}", {"model.safetensors": f"trained {community.pk}"})
    run = RunFactory(community=community, recipe="dpo", model=base, version=version, over=True)
    model, _ = registry.register_model(
        community=community,
        name=f"{base.name}, trained",
        revision=f"version {version.number}, run {run.pk}",
        listing=listing,
        licence=base.licence,
        parents=[base],
        version=version,
        dataset=dataset,
    )
    record_model(model, run)
    return model


@transaction.atomic
def evaluate(community, base, model, heldout, version):
    """Record an evaluation of the model, with its event."""
    run = RunFactory(community=community, recipe="evaluate", model=base, version=version, over=True)
    evaluation = scored(EvaluationFactory(run=run, model=model, baseline=base))
    SampleFactory(evaluation=evaluation)
    record_evaluation(evaluation, heldout)
    return evaluation


def record_model(model, run):
    """Enter a model that a run trained into the trail, as the run's end does."""
    audit.record(
        community_id=run.community_id,
        actor=None,
        verb=Verb.MODEL_REGISTERED,
        subject=model,
        data={
            "digest": model.digest,
            "parents": [parent.digest for parent in model.parents.all()],
            "version_digest": model.version.digest,
            "dataset_digest": model.dataset.digest,
            "manifest_digest": run.manifest_digest,
        },
    )


def record_evaluation(evaluation, heldout):
    """Enter an evaluation into the trail, as its run's end does."""
    audit.record(
        community_id=evaluation.run.community_id,
        actor=None,
        verb=Verb.EVALUATION_RECORDED,
        subject=evaluation,
        data={
            "model_digest": evaluation.model.digest,
            "baseline_digest": evaluation.baseline.digest,
            "heldout_digest": heldout.digest,
            "suite_digest": evaluation.suite_digest,
            "scores_digest": "0" * 64,
        },
    )
