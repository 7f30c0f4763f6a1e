"""Factories of feedback: a version in force, prompts, comparisons, labels, reviews, datasets."""

from datetime import UTC, datetime, timedelta

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from feedback.models import (
    Assignment,
    Comparison,
    Dataset,
    Label,
    Prompt,
    Report,
    Response,
    ReviewItem,
)
from feedback.prompting import normalised, split_of
from governance import canonical
from governance.models import Poll
from principles.models import Constitution, Principle, Version
from tests.factories.governance import CommunityFactory, MembershipFactory, UserFactory

PRINCIPLES = (
    {"key": "honest", "title": "Be honest", "text": "Say what is true.", "hazard_codes": []},
    {"key": "careful", "title": "Do no harm", "text": "Help nobody hurt.", "hazard_codes": ["S1"]},
)


def make_version(community, principles=PRINCIPLES, *, number=None):
    """Put a version into force, without the vote."""
    constitution, _ = Constitution.objects.get_or_create(
        community=community, defaults={"title": "Constitution"}
    )
    last = constitution.in_force()
    number = number or (last.number + 1 if last else 1)
    opened = datetime(2026, 1, number, tzinfo=UTC)
    poll = Poll.objects.create(
        community=community,
        kind="question",
        title="Adopt?",
        text="Adopt?",
        text_digest="0" * 64,
        rule={},
        period=timedelta(days=1),
        electorate_size=1,
        electorate_digest="0" * 64,
        voter_salt="0" * 64,
        status="closed",
        outcome="passed",
        tally={},
        opened_by=UserFactory(),
        opened_at=opened,
        closes_at=opened + timedelta(days=1),
        closed_at=opened + timedelta(days=1),
    )
    version = Version.objects.create(
        constitution=constitution,
        number=number,
        title="Constitution",
        parent=last,
        poll=poll,
        digest=canonical.digest(
            {"community": community.slug, "number": number, "principles": list(principles)}
        ),
        ratified_at=opened,
    )
    for position, fields in enumerate(principles):
        Principle.objects.create(version=version, position=position, **fields)
    return version


def text_of_split(split, stem="Prompt"):
    """Return a text that begins with `stem` and falls into `split`."""
    n = 0
    while split_of(f"{stem} {n}") != split:
        n += 1
    return f"{stem} {n}"


class PromptFactory(DjangoModelFactory):
    """A prompt; give `text`, or a `stem` and the wanted `split` to have one found."""

    class Meta:
        model = Prompt
        exclude = ("stem",)

    stem = factory.Sequence(lambda n: f"Question {n}:")
    community = factory.SubFactory(CommunityFactory)
    split = "train"
    text = factory.LazyAttribute(lambda prompt: text_of_split(prompt.split, prompt.stem))
    digest = factory.LazyAttribute(lambda prompt: canonical.text_digest(normalised(prompt.text)))
    submitted_by = factory.SubFactory(UserFactory)


class ResponseFactory(DjangoModelFactory):
    class Meta:
        model = Response

    prompt = factory.SubFactory(PromptFactory)
    text = factory.Sequence(lambda n: f"Answer {n}.")
    digest = factory.LazyAttribute(lambda response: canonical.text_digest(response.text))
    arm = "plain"
    model_name = "tiny"
    model_digest = "1" * 64


class ComparisonFactory(DjangoModelFactory):
    """Two answers under `principle`, which must be given."""

    class Meta:
        model = Comparison

    prompt = factory.SubFactory(
        PromptFactory,
        community=factory.SelfAttribute("..principle.version.constitution.community"),
    )
    response_a = factory.SubFactory(ResponseFactory, prompt=factory.SelfAttribute("..prompt"))
    response_b = factory.SubFactory(ResponseFactory, prompt=factory.SelfAttribute("..prompt"))
    community = factory.SelfAttribute("prompt.community")
    shuffle = factory.Sequence(lambda n: n)


class AssignmentFactory(DjangoModelFactory):
    """A lease that takes its place of the comparison."""

    class Meta:
        model = Assignment

    class Params:
        late = factory.Trait(
            expires_at=factory.LazyFunction(lambda: timezone.now() - timedelta(seconds=1))
        )

    annotator = factory.SubFactory(UserFactory)
    swapped = False
    leased_at = factory.LazyFunction(timezone.now)
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(minutes=10))

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        comparison = kwargs["comparison"]
        comparison.places_taken += 1
        comparison.save(update_fields=["places_taken"])
        return super()._create(model_class, *args, **kwargs)


class LabelFactory(DjangoModelFactory):
    """A label with its assignment; give `assignment__comparison`."""

    class Meta:
        model = Label

    assignment = factory.SubFactory(AssignmentFactory, status="labelled")
    choice = "a"


class ReviewItemFactory(DjangoModelFactory):
    class Meta:
        model = ReviewItem

    community = factory.SubFactory(CommunityFactory)
    target = "prompt"
    target_key = factory.LazyAttribute(lambda item: PromptFactory(community=item.community).pk)
    snapshot = "What was said."


class ReportFactory(DjangoModelFactory):
    class Meta:
        model = Report

    item = factory.SubFactory(ReviewItemFactory)
    reporter = factory.SubFactory(UserFactory)
    reason = "harmful"


class DatasetFactory(DjangoModelFactory):
    """A queued dataset under `version`, which must be given."""

    class Meta:
        model = Dataset

    community = factory.LazyAttribute(lambda dataset: dataset.version.constitution.community)
    number = factory.Sequence(lambda n: n + 1)
    purpose = "training"
    labels_up_to = 2**40
    requested_by = factory.SubFactory(UserFactory)
    requested_at = factory.LazyFunction(timezone.now)


def member(community, role="member", **fields):
    """Return a person who is an active member of the community."""
    return MembershipFactory(community=community, role=role, user__is_scripted=False, **fields).user
