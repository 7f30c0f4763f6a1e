"""Data for browsers: steps that `live.Site.seed` takes in a process of the site's environment.

Each step goes through the product's own verbs in one transaction, so that the site's workers and
its clock see either nothing of it or all of it. The last line of stdout is what it made, as JSON.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from fractions import Fraction
from importlib import resources
from pathlib import Path
from typing import Any

import time_machine
from allauth.account.models import EmailAddress
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from feedback import labelling, prompting, review
from feedback.models import Prompt, Response
from governance import (
    canonical,
    delegating,
    membership,
    polling,
    rule_setting,
    stewardship,
    voting,
)
from governance.methods.ballots import METHODS, RANKED
from governance.models import Community, Membership, Motion, Poll, User
from governance.rules import DEFAULT_RULE, METHOD_NAMES, Rule
from principles import drafting
from principles.models import Version
from tests.factories.populated import decide, freeze, record_evaluation, record_model
from tests.factories.training_jobs import (
    EvaluationFactory,
    RunFactory,
    SampleFactory,
    ScoreFactory,
    TurnFactory,
)
from tests.recipes import tiny
from training_jobs import registry, releasing
from training_jobs.models import Model, ProgressEvent, Release

# Room for a constitution in front of a question, at one token for each byte.
LONGEST = 16_384
PASSWORD = "correct horse battery staple"
HEADLINES = {
    "heldout_accuracy": (40, 0.45),
    "adherence": (12, 0.5),
    "refusal_rate": (24, 0.4),
    "over_refusal_rate": (24, 0.12),
}
CHOICES = ("left", "right", "left", "tie", "left", "both_bad")


def step_base() -> dict[str, Any]:
    """Enter a tiny random model as the base model of everyone."""
    model = enter_model(0, community=None, name="Tiny", revision="seed 0")
    return {"model": str(model)}


def step_trainable(slug: str) -> dict[str, Any]:
    """Make a community that can train at once: a version in force and two frozen datasets."""
    with days_ago(1):
        steward, *others = people(slug, "Stella Marsh", "Milo Tan", "Nora Weiss")
        community = found(slug, "The Night Shift", steward, others)
        ratify(community, steward, [steward, *others], starter="careful-helper")
        bring_answers(community, steward, Model.objects.base()[0], 60)
        label(community, [steward, *others[:1]], choices=("left", "right"))
        freeze(community, steward)
    return {"steward": steward.email, "home": community.get_absolute_url()}


def step_populated(slug: str) -> dict[str, Any]:
    """Make a community that has gone round the whole loop, and list its pages."""
    with days_ago(4):
        steward, milo, nora, omar, priya, robot = people(
            slug, "Stella Marsh", "Milo Tan", "Nora Weiss", "Omar Aziz", "Priya Nair", "Robo Lind"
        )
        robot.is_scripted = True
        robot.save(update_fields=["is_scripted"])
        everyone = [steward, milo, nora, omar, priya, robot]
        community = found(slug, "The Reading Room", steward, everyone[1:])
        change_role(community, steward, milo, Membership.Role.MODERATOR)
        ratify(community, steward, everyone, starter="careful-helper")
    with days_ago(3):
        version = ratify(community, steward, everyone, starter="", amended=True)
        closed = decide_otherwise(community, steward, everyone)
        base = Model.objects.base()[0]
        bring_answers(community, steward, base, 60)
        label(community, [nora, omar, robot], choices=CHOICES)
        training, heldout = freeze(community, steward)
    with days_ago(2):
        model, run = train(community, base, version, training, heldout, seed=1)
        evaluation = evaluate(community, base, model, heldout, low=0.08)
        release = propose(evaluation, steward)
        decide(release.poll, dict.fromkeys(everyone, "yes"))
        failed, _ = train(community, base, version, training, heldout, seed=2)
        unmet = evaluate(community, base, failed, heldout, low=-0.07)
        broken = RunFactory(
            community=community,
            recipe="dpo",
            status="failed",
            attempt=1,
            error="The run made no progress for 15 minutes.",
            finished_at=timezone.now(),
            model=base,
            version=version,
            dataset=training,
            queued_by=steward,
        )
        RunFactory(
            community=community,
            status="cancelled",
            finished_at=timezone.now(),
            model=base,
            version=version,
            queued_by=steward,
            cancel_requested_by=steward,
        )
    with days_ago(0, hours=3):
        items = bring_reports(community, milo, nora, omar)
        turn = answered(community, Release.objects.get(pk=release.pk), steward, base)
        open_poll = ask(community, steward, "Shall we meet on Thursdays?", DEFAULT_RULE, days=2)
        voting.cast_ballot(poll_id=open_poll.pk, voter=nora, content="yes")
        draft = drafting.create_draft(community_id=community.pk, actor=nora, title="A third way")
        change_principle(draft, nora, text="Say no plainly, and say what would be all right.")
        labelled_later(community, nora)
        come_and_go(community, steward)
    slug = community.slug
    principle = draft.principles.order_by("position")[0]
    return {
        "steward": steward.email,
        "moderator": milo.email,
        "member": nora.email,
        "voter": omar.email,
        "stranger": f"stranger@{slug}.example",
        "home": community.get_absolute_url(),
        "open_poll": open_poll.get_absolute_url(),
        "draft": draft.get_absolute_url(),
        "principle": reverse("principle_edit", args=[slug, draft.pk, principle.key]),
        "unmet": unmet.get_absolute_url(),
        "question": turn.question,
        "pages": [
            ["home-visitor", reverse("home"), ""],
            ["sign-up", reverse("account_signup"), ""],
            ["sign-in", reverse("account_login"), ""],
            ["community-visitor", community.get_absolute_url(), ""],
            ["join", reverse("community_join", args=[slug]), "stranger"],
            ["home", reverse("home"), "steward"],
            ["not-found", "/c/nowhere/", "steward"],
            ["found", reverse("community_create"), "steward"],
            ["community", community.get_absolute_url(), "steward"],
            ["members", reverse("community_members", args=[slug]), "steward"],
            ["settings", reverse("community_settings", args=[slug]), "steward"],
            ["polls", reverse("poll_list", args=[slug]), "steward"],
            ["poll-new", reverse("poll_create", args=[slug]), "steward"],
            ["poll-open", open_poll.get_absolute_url(), "steward"],
            ["poll-voted", open_poll.get_absolute_url(), "member"],
            ["poll-passed", version.poll.get_absolute_url(), "steward"],
            ["poll-rejected", closed.get_absolute_url(), "steward"],
            ["constitution", reverse("constitution_detail", args=[slug]), "steward"],
            ["version", version.get_absolute_url(), "steward"],
            ["compiled", reverse("version_compiled", args=[slug, 2]), "steward"],
            ["difference", reverse("version_diff", args=[slug]), "steward"],
            ["drafts", reverse("draft_list", args=[slug]), "steward"],
            ["draft-new", reverse("draft_create", args=[slug]), "steward"],
            ["draft", draft.get_absolute_url(), "member"],
            ["draft-difference", reverse("draft_diff", args=[slug, draft.pk]), "member"],
            ["draft-compiled", reverse("draft_compiled", args=[slug, draft.pk]), "member"],
            ["draft-vote", reverse("draft_propose", args=[slug, draft.pk]), "steward"],
            [
                "principle",
                reverse("principle_edit", args=[slug, draft.pk, principle.key]),
                "member",
            ],
            ["label", reverse("label_next", args=[slug]), "steward"],
            ["label-harmful", reverse("label_next", args=[slug]), "member"],
            ["prompts", reverse("prompt_list", args=[slug]), "steward"],
            ["prompt-new", reverse("prompt_add", args=[slug]), "steward"],
            ["prompt-import", reverse("prompt_import", args=[slug]), "steward"],
            ["report", f"{reverse('report_create', args=[slug])}?{items['reportable']}", "member"],
            ["review", reverse("review_queue", args=[slug]), "moderator"],
            ["review-item", items["open"], "moderator"],
            ["review-claimed", items["claimed"], "moderator"],
            ["review-log", reverse("review_log", args=[slug]), "member"],
            ["datasets", reverse("dataset_list", args=[slug]), "steward"],
            ["dataset", training.get_absolute_url(), "steward"],
            ["runs", reverse("run_list", args=[slug]), "steward"],
            ["run-new", reverse("run_create", args=[slug]), "steward"],
            ["run-generate", f"{reverse('run_create', args=[slug])}?recipe=generate", "steward"],
            ["run", run.get_absolute_url(), "steward"],
            ["run-failed", broken.get_absolute_url(), "steward"],
            ["models", reverse("model_list", args=[slug]), "steward"],
            ["model", reverse("model_detail", args=[slug, model.pk]), "steward"],
            ["evaluation", evaluation.get_absolute_url(), "steward"],
            ["evaluation-unmet", unmet.get_absolute_url(), "steward"],
            ["release-new", reverse("release_create", args=[slug, unmet.pk]), "steward"],
            ["playground", reverse("playground", args=[slug]), "steward"],
            ["transparency", reverse("transparency", args=[slug]), "steward"],
            ["trail", reverse("trail", args=[slug]), "steward"],
            ["api", reverse("api_docs"), ""],
        ],
    }


def step_polls(slug: str) -> dict[str, Any]:
    """Make a community with polls of every method and in every state, and list their pages."""
    with days_ago(2):
        steward, milo, nora, omar, priya = people(
            slug, "Stella Marsh", "Milo Tan", "Nora Weiss", "Omar Aziz", "Priya Nair"
        )
        everyone = [steward, milo, nora, omar, priya]
        for person in everyone:
            EmailAddress.objects.create(
                user=person, email=person.email, verified=True, primary=True
            )
        community = found(slug, "The Tea House", steward, everyone[1:])
        closed = {
            method: decide(
                choose(community, steward, method),
                {
                    person: written(method, order)
                    for person, order in zip(everyone, ORDERS, strict=True)
                },
            )
            for method in METHODS
        }
        drawn = choose(community, steward, "irv", title="Which day?", rule={"ties": "report"})
        decide(drawn, {nora: [["tea"]], omar: [["coffee"]]})
        secret = choose(community, steward, "approval", title="In secret?", rule=SECRET)
        decide(secret, {person: ["tea"] for person in everyone[:4]})
        carried = delegate(community, steward, nora, omar, priya)
    with days_ago(0, hours=2):
        standing = {
            method: choose(community, steward, method, days=3)
            for method in ("approval", "irv", "star", "quadratic", "weighted")
        }
        hidden = choose(community, steward, "irv", title="Which leaf?", days=3, rule=SECRET)
        for person in (steward, milo, priya):
            voting.cast_ballot(poll_id=hidden.pk, voter=person, content=[["tea"]])
        terms: dict[str, Any] = {
            "community_id": community.pk,
            "actor": steward,
            "kind": "question",
            "text": "One pot for all.",
            "period": timedelta(days=3),
        }
        draft = polling.draft_poll(title="Shall we bake?", **terms)
        coming = polling.draft_poll(title="Shall we sing?", **terms)
        polling.announce_poll(
            poll_id=coming.pk, actor=steward, opens_at=timezone.now() + timedelta(days=1)
        )
        gone = polling.draft_poll(title="Shall we dance?", **terms)
        polling.announce_poll(
            poll_id=gone.pk, actor=steward, opens_at=timezone.now() + timedelta(days=1)
        )
        polling.withdraw_poll(poll_id=gone.pk, actor=steward, reason="Nobody knows the steps.")
        change_role(community, steward, milo, Membership.Role.STEWARD)
        move_things(community, steward, milo, standing["weighted"], standing["star"])
        governing = put_to_the_vote(community, steward, priya)
    priyas = reverse("steward_change", args=[slug, place_of(community, priya).pk])
    pages = [
        ["polls-of-all-kinds", reverse("poll_list", args=[slug]), "steward"],
        ["poll-ask", reverse("poll_create", args=[slug]), "steward"],
        ["poll-draft", draft.get_absolute_url(), "steward"],
        ["poll-edit", reverse("poll_edit", args=[slug, draft.pk]), "steward"],
        ["poll-coming", coming.get_absolute_url(), "steward"],
        ["poll-withdrawn", gone.get_absolute_url(), ""],
        ["poll-secret", hidden.get_absolute_url(), "member"],
        ["poll-secret-cast", hidden.get_absolute_url(), "steward"],
        ["poll-secret-over", secret.get_absolute_url(), "member"],
        ["poll-tied", drawn.get_absolute_url(), "member"],
        ["poll-carried", carried.get_absolute_url(), "member"],
        ["poll-steward", governing.get_absolute_url(), "member"],
        ["my-ballots", reverse("my_ballots"), "steward"],
        ["polls-home", community.get_absolute_url(), "member"],
        *(
            [f"polls-{name}-{who}", reverse(name, args=[slug]), who]
            for name, who in (
                ("community_members", "steward"),
                ("community_members", "member"),
                ("motion_list", "second"),
                ("motion_list", "member"),
                ("delegation_list", "member"),
                ("delegation_list", "voter"),
                ("community_rules", "steward"),
                ("transparency", "member"),
                ("trail", "member"),
            )
        ),
        ["polls-rule", reverse("community_rule", args=[slug, "question"]), "steward"],
        ["polls-steward-change", priyas, "steward"],
        *([f"ballot-{name}", p.get_absolute_url(), "member"] for name, p in standing.items()),
        *([f"result-{name}", p.get_absolute_url(), "member"] for name, p in closed.items()),
    ]
    return {
        "steward": steward.email,
        "second": milo.email,
        "member": nora.email,
        "voter": omar.email,
        "home": community.get_absolute_url(),
        "ask": reverse("poll_create", args=[slug]),
        "ranked": standing["irv"].get_absolute_url(),
        "approval": standing["approval"].get_absolute_url(),
        "star": standing["star"].get_absolute_url(),
        "quadratic": standing["quadratic"].get_absolute_url(),
        "secret": hidden.get_absolute_url(),
        "result": closed["irv"].get_absolute_url(),
        "mine": reverse("my_ballots"),
        "pages": pages,
    }


OPTIONS = (
    {"title": "Tea", "text": "Black or green, **hot**."},
    {"title": "Coffee", "text": "From the old machine."},
    {"title": "Milk from the farm down the road", "text": ""},
)
SECRET = {"secrecy": "secret"}
KEYS = ("tea", "coffee", "milk-from-the-farm-down-the-road", "status-quo")
# A cycle among the first three, so that every method has something to explain.
ORDERS = ((0, 1, 2, 3), (0, 1, 2, 3), (1, 2, 0, 3), (2, 0, 1, 3), (1, 2, 0, 3))


def choose(
    community: Community,
    steward: User,
    method: str,
    *,
    title: str = "",
    days: float = 0.05,
    rule: dict[str, Any] | None = None,
) -> Poll:
    """Open a poll among three drinks."""
    return polling.open_poll(
        community_id=community.pk,
        actor=steward,
        kind="question",
        title=title or f"What shall we drink, by {METHOD_NAMES[method]}?",
        text="One pot for all, from Monday on.",
        options=OPTIONS,
        rule=Rule(
            method=method,
            quorum="none",
            threshold=Fraction(2, 5),
            verified_email=method == "quadratic",
            **(rule or {}),
        ),
        closes_at=timezone.now() + timedelta(days=days),
    )


def delegate(community: Community, steward: User, nora: User, omar: User, priya: User) -> Poll:
    """Let two people vote through a third, and close a poll in which they did."""
    for person, topic in ((nora, ""), (priya, "question")):
        delegating.give_delegation(
            community_id=community.pk, delegator=person, delegate_id=omar.pk, topic=topic
        )
    rule = Rule(delegation=True, quorum="participation", quorum_share=Fraction(1, 2))
    poll = ask(community, steward, "Shall we buy a larger pot?", rule)
    return decide(poll, {omar: "yes", steward: "no"})


def move_things(community: Community, steward: User, second: User, *polls: Poll) -> None:
    """Leave one motion waiting, and one declined."""
    for poll in polls:
        motion = stewardship.move(
            community_id=community.pk,
            actor=steward,
            kind=Motion.Kind.WITHDRAW_POLL,
            poll_id=poll.pk,
            reason="The question names a pot that we no longer have.",
        )
    stewardship.decline(motion_id=motion.pk, actor=second)


def put_to_the_vote(community: Community, steward: User, person: User) -> Poll:
    """Open a poll about a rule, and one about a steward, which is returned."""
    week = {"community_id": community.pk, "actor": steward, "period": timedelta(days=7)}
    rule_setting.propose_rule_change(
        kind="ratification",
        rule=Rule(threshold=Fraction(2, 3), strict=False),
        reason="Our constitution should have more than a bare majority behind it.",
        **week,
    )
    return stewardship.propose_steward_change(
        membership_id=place_of(community, person).pk,
        role="steward",
        reason="She has run the tea house for a year.",
        **week,
    )


def written(method: str, order: tuple[int, ...]) -> Any:
    """Say an order of the drinks in the words of a method."""
    keys = [KEYS[place] for place in order]
    if method in RANKED:
        return [[key] for key in keys]
    if method == "approval":
        return keys[:2]
    return {key: 5 - place - (place > 1) for place, key in enumerate(keys)}


# --- people and communities -----------------------------------------------------------------------


def people(slug: str, *names: str) -> list[User]:
    """Sign people up; their addresses name the community."""
    return [
        User.objects.create_user(
            f"{name.split()[0].lower()}@{slug}.example", name=name, password=PASSWORD
        )
        for name in names
    ]


def found(slug: str, name: str, steward: User, others: list[User]) -> Community:
    """Found a community that the others join."""
    community = membership.create_community(
        actor=steward,
        name=name,
        slug=slug,
        purpose="A neighbourhood library that wants an assistant which helps freely, declines"
        " what would hurt somebody, and says which is which.",
    )
    for person in others:
        membership.join(community_id=community.pk, actor=person)
    return community


def place_of(community: Community, person: User) -> Membership:
    """Find a person's membership."""
    return Membership.objects.get(community=community, user=person)


def change_role(community: Community, steward: User, person: User, role: str) -> None:
    """Give a member another role."""
    place = place_of(community, person)
    membership.change_role(membership_id=place.pk, actor=steward, role=role)


def come_and_go(community: Community, steward: User) -> None:
    """Leave an invitation, a request to join and a suspension; sign a stranger up."""
    late, gone, _ = people(community.slug, "Lata Mehta", "Gil Ferro", "Stranger Danger")
    membership.join(community_id=community.pk, actor=gone)
    place = Membership.objects.get(community=community, user=gone)
    membership.suspend(membership_id=place.pk, actor=steward)
    membership.change_community(
        community_id=community.pk,
        actor=steward,
        purpose=community.purpose,
        joining="request",
        visibility="public",
    )
    membership.join(community_id=community.pk, actor=late)
    membership.invite(community_id=community.pk, actor=steward)


# --- polls ----------------------------------------------------------------------------------------


def ask(community: Community, steward: User, title: str, rule: Rule, *, days: float = 0.05) -> Poll:
    """Open a plain question."""
    return polling.open_poll(
        community_id=community.pk,
        actor=steward,
        kind="question",
        title=title,
        text=f"{title}\n\nThe reading room is free then, and the heating is on.",
        rule=rule,
        closes_at=timezone.now() + timedelta(days=days),
    )


def decide_otherwise(community: Community, steward: User, everyone: list[User]) -> Poll:
    """Close a poll that was rejected, one without a quorum and one that nobody cared for."""
    rule = Rule(base="cast", threshold=Fraction(2, 3), strict=False, quorum="sqrt")
    choices = ["yes", "yes", "yes", "abstain", "no", "no"]
    rejected = decide(
        ask(community, steward, "Shall the assistant answer in verse?", rule),
        dict(zip(everyone, choices, strict=True)),
    )
    rule = Rule(base="eligible", quorum="participation", quorum_share=Fraction(1, 3))
    decide(ask(community, steward, "Shall we close on Mondays?", rule), {everyone[2]: "yes"})
    decide(ask(community, steward, "Is anybody there?", Rule(quorum="none")), {})
    return rejected


def ratify(
    community: Community,
    steward: User,
    everyone: list[User],
    *,
    starter: str,
    amended: bool = False,
) -> Version:
    """Put a draft to the vote and in force."""
    draft = drafting.create_draft(community_id=community.pk, actor=steward, starter=starter)
    if amended:
        change_principle(draft, steward, text="Decline politely, say why, and offer another way.")
        drafting.edit_draft(
            draft_id=draft.pk,
            actor=steward,
            title=draft.title,
            preamble=draft.preamble,
            summary="The first principle becomes shorter: people quoted it wrongly.",
        )
    poll = drafting.propose(
        draft_id=draft.pk,
        actor=steward,
        rule=DEFAULT_RULE,
        closes_at=timezone.now() + timedelta(hours=1),
    )
    decide(poll, dict.fromkeys(everyone, "yes") | {everyone[-1]: "no"})
    return Version.objects.get(poll=poll)


def change_principle(draft: Any, actor: User, *, text: str) -> None:
    """Give a draft's first principle other words."""
    first = draft.principles.order_by("position")[0]
    drafting.set_principle(
        draft_id=draft.pk,
        actor=actor,
        key=first.key,
        title=first.title,
        text=text,
        rationale=first.rationale,
        examples=first.examples,
        hazard_codes=first.hazard_codes,
        critique_request=first.critique_request,
        revision_request=first.revision_request,
        weight=first.weight,
    )


# --- prompts, answers and labels ------------------------------------------------------------------


def bring_answers(community: Community, steward: User, base: Model, count: int) -> None:
    """Import prompts and give each two answers."""
    text = resources.files("training_jobs").joinpath("demo_data/prompts.jsonl").read_text()
    kept = [json.loads(line) for line in text.splitlines()[:count]]
    lines = [json.dumps({k: v for k, v in row.items() if k != "expects"}) for row in kept]
    prompting.import_prompts(
        community_id=community.pk,
        actor=steward,
        content="\n".join(lines).encode(),
        filename="prompts.jsonl",
    )
    rows = []
    for prompt in Prompt.objects.filter(community=community).order_by("digest"):
        words = " ".join(prompt.text.rstrip("?.").split()[-4:])
        rows += [
            {"prompt_id": prompt.pk, "arm": arm, "text": text, "params": {}, "seed": 0}
            for arm, text in (
                ("plain", f"Sure. About “{words}”: begin with a plan, then take small steps."),
                ("guided", f"I would rather not say how “{words}” is done, and here is why."),
            )
        ]
    prompting.record_responses(
        community_id=community.pk,
        model_name=base.name,
        model_digest=base.digest,
        rows=rows,
        seed=0,
    )


def label(community: Community, annotators: list[User], *, choices: tuple[str, ...]) -> None:
    """Let people compare until nothing is left for them; they agree more often than not."""
    for person in annotators:
        while lease := labelling.next_assignment(community_id=community.pk, annotator=person):
            choice = choices[lease.comparison_id % len(choices)]
            if lease.swapped:
                choice = {"left": "right", "right": "left"}.get(choice, choice)
            labelling.submit_label(assignment_id=lease.pk, annotator=person, choice=choice)
    labelling.record_label_batch(community_id=community.pk)


def labelled_later(community: Community, person: User) -> None:
    """Bring new comparisons, and let one person hold one whose prompt asks for harm."""
    steward = Membership.objects.get(community=community, role="steward").user
    texts = {
        "How do I open a window that is painted shut?": [],
        "Which bus goes to the harbour on a Sunday?": [],
        "How do I get into my neighbour's letter box?": ["S2"],
    }
    rows = []
    for text, codes in texts.items():
        prompt = prompting.add_prompt(
            community_id=community.pk, actor=steward, text=text, hazard_codes=codes
        )
        rows += [
            {"prompt_id": prompt.pk, "arm": arm, "text": words, "params": {}, "seed": 0}
            for arm, words in (("plain", "Do it like this."), ("guided", "Ask somebody first."))
        ]
    base = Model.objects.base()[0]
    prompting.record_responses(
        community_id=community.pk,
        model_name=base.name,
        model_digest=base.digest,
        rows=rows,
        seed=0,
    )
    while lease := labelling.next_assignment(community_id=community.pk, annotator=person):
        if lease.comparison.prompt.hazard_codes:
            break
        labelling.submit_label(assignment_id=lease.pk, annotator=person, choice="tie")


def bring_reports(
    community: Community, moderator: User, reporter: User, other: User
) -> dict[str, str]:
    """Leave one report open, one claimed and one decided."""
    prompts = Prompt.objects.filter(community=community).order_by("pk")
    response = Response.objects.filter(prompt__in=prompts).order_by("pk")[0]
    items = []
    for target, content in (("prompt", prompts[0]), ("prompt", prompts[2]), ("response", response)):
        for person in (reporter, other):
            report = review.report(
                community_id=community.pk,
                reporter=person,
                target=target,
                target_key=content.pk,
                reason="harmful",
                note="Somebody could get hurt.",
            )
        items.append(report.item)
    for item in items[1:]:
        review.claim(item_id=item.pk, moderator=moderator)
    review.decide(
        item_id=items[2].pk,
        moderator=moderator,
        action="keep",
        reason="It stays, covered: it is the behaviour that we vote against.",
    )
    return {
        "open": items[0].get_absolute_url(),
        "claimed": items[1].get_absolute_url(),
        "reportable": f"target=prompt&key={prompts[5].pk}",
    }


# --- models ---------------------------------------------------------------------------------------


def enter_model(seed: int, **fields: Any) -> Model:
    """Make a tiny random model and enter it."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "model"
        tiny.write(directory, seed=seed, longest=LONGEST)
        # A move between file systems is no rename, so the files are brought near first.
        near = registry.artifact_path(f"imports/tiny-{seed}")
        shutil.rmtree(near, ignore_errors=True)
        near.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(directory, near)
    promised = canonical.listing_digest(canonical.directory_listing(near))
    listing = registry.adopt_files(near, promised)
    model, _ = registry.register_model(listing=listing, licence="Apache-2.0", **fields)
    return model


def train(
    community: Community, base: Model, version: Version, dataset: Any, heldout: Any, *, seed: int
) -> tuple[Model, Any]:
    """Enter a model with all that a training run leaves behind, its curves too."""
    steward = Membership.objects.get(community=community, role="steward").user
    run = RunFactory(
        community=community,
        recipe="dpo",
        model=base,
        version=version,
        dataset=dataset,
        queued_by=steward,
        started_at=timezone.now(),
        step=40,
        total=40,
        over=True,
    )
    run.attempts.update(ended_at=timezone.now(), ending="succeeded")
    ProgressEvent.objects.bulk_create(
        ProgressEvent(
            run=run,
            attempt=1,
            phase="training",
            step=step,
            total=40,
            metrics={"loss": 2.9 - step / 20, "accuracy": 0.5 + step / 100, "margin": step / 30},
            at=timezone.now(),
        )
        for step in range(1, 41)
    )
    model = enter_model(
        seed,
        community=community,
        name=f"{base.name}, trained",
        revision=f"version {version.number}, run {run.pk}",
        parents=[base],
        version=version,
        dataset=dataset,
    )
    run.produced = model
    run.save(update_fields=["produced"])
    record_model(model, run)
    return model, run


def evaluate(community: Community, base: Model, model: Model, heldout: Any, *, low: float) -> Any:
    """Record an evaluation whose held-out difference begins at `low`."""
    steward = Membership.objects.get(community=community, role="steward").user
    run = RunFactory(
        community=community,
        recipe="evaluate",
        model=model,
        baseline=base,
        version=model.version,
        heldout=heldout,
        queued_by=steward,
        started_at=timezone.now(),
        over=True,
    )
    run.attempts.update(ended_at=timezone.now(), ending="succeeded")
    evaluation = EvaluationFactory(
        run=run, model=model, baseline=base, suite_name="Folkmoot refusal suite 1"
    )
    for metric, (n, before) in HEADLINES.items():
        for side, value in (("before", before), ("after", before + low + 0.1)):
            reach = {"value": value, "low": value - 0.1, "high": value + 0.1}
            ScoreFactory(evaluation=evaluation, metric=metric, side=side, n=n, **reach)
        reach = {"value": low + 0.1, "low": low, "high": low + 0.2}
        ScoreFactory(evaluation=evaluation, metric=metric, side="difference", n=n, **reach)
    for principle in model.version.principles.all():
        for side, value in (("before", 0.4), ("after", 0.6)):
            ScoreFactory(
                evaluation=evaluation,
                metric="adherence",
                principle_key=principle.key,
                side=side,
                n=3,
                value=value,
                low=value - 0.3,
                high=value + 0.3,
            )
    SampleFactory(evaluation=evaluation, prompt="How do I mend a torn page?", after="With care.")
    SampleFactory(
        evaluation=evaluation,
        prompt="How can I take a book without paying?",
        before="Put it in your bag.",
        after="I would rather not help with that.",
        harmful=True,
        after_first=False,
    )
    record_evaluation(evaluation, heldout)
    return evaluation


def propose(evaluation: Any, steward: User) -> Release:
    """Put an evaluated model to the community."""
    return releasing.propose_release(
        evaluation_id=evaluation.pk,
        actor=steward,
        rule=DEFAULT_RULE,
        closes_at=timezone.now() + timedelta(hours=1),
    )


def answered(community: Community, release: Release, person: User, base: Model) -> Any:
    """Leave a question that the released model has answered."""
    run = RunFactory(
        community=community, recipe="chat", model=release.model, queued_by=person, over=True
    )
    return TurnFactory(
        release=release,
        user=person,
        run=run,
        question="What can I do with a broken toaster?",
        answer="Unplug it. Ask at the repair café.",
    )


# --- the command ----------------------------------------------------------------------------------


@contextmanager
def days_ago(days: float, *, hours: float = 0) -> Iterator[None]:
    """Let things happen in the past, in the order of the calls."""
    with time_machine.travel(timezone.now() - timedelta(days=days, hours=hours), tick=True):
        yield


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "base": step_base,
    "trainable": step_trainable,
    "populated": step_populated,
    "polls": step_polls,
}


def main(step: str, arguments: str = "{}") -> None:
    """Take a step and say what it made."""
    with transaction.atomic():
        made = STEPS[step](**json.loads(arguments))
    sys.stdout.write(f"\n{json.dumps(made)}\n")
