"""Factories of constitutions, versions and drafts."""

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from governance.canonical import digest
from principles import compilation
from principles.models import Constitution, Draft, DraftPrinciple, Principle, Version
from tests.factories.governance import CommunityFactory, PollFactory, UserFactory


def principle_content(key, **fields):
    """Return the content of a principle: what is left out is empty, its texts name its key."""
    return {
        "key": key,
        "title": key.replace("-", " ").capitalize(),
        "text": f"The assistant keeps {key}.",
        "rationale": "",
        "examples": [],
        "hazard_codes": [],
        "critique_request": "",
        "revision_request": "",
        "weight": 1,
        **fields,
    }


def example(name="tea"):
    """Return an example whose three texts name it."""
    return {
        "prompt": f"How do I make {name}?",
        "better": f"Gladly: this is how {name} is made.",
        "worse": f"I will not talk about {name}.",
    }


def two_principles():
    """Return one principle that names hazards and one that names none, with an example each."""
    return [
        principle_content("no-harm", hazard_codes=["S1", "S2"], examples=[example("trouble")]),
        principle_content("plainness", examples=[example()]),
    ]


class ConstitutionFactory(DjangoModelFactory):
    class Meta:
        model = Constitution
        django_get_or_create = ("community",)

    community = factory.SubFactory(CommunityFactory)
    title = "A constitution"


class VersionFactory(DjangoModelFactory):
    """The next version of a constitution, put in force by a poll that passed, with its digest.

    Beside the fields it takes `community` and `principles`: contents as `principle_content` makes
    them, two of them unless told.
    """

    class Meta:
        model = Version

    constitution = factory.SubFactory(ConstitutionFactory)
    title = "A constitution"
    preamble = "We want to be well advised."
    ratified_at = factory.LazyFunction(timezone.now)

    @classmethod
    def _create(cls, model_class, community=None, principles=None, **fields):
        if community is not None:
            fields["constitution"] = ConstitutionFactory(community=community)
        constitution = fields["constitution"]
        parent = fields.setdefault("parent", constitution.in_force())
        fields.setdefault("number", parent.number + 1 if parent else 1)
        contents = two_principles() if principles is None else principles
        content = compilation.constitution_content(
            community=constitution.community.slug,
            number=fields["number"],
            title=fields["title"],
            preamble=fields["preamble"],
            parent=parent.digest if parent else None,
            principles=contents,
        )
        if "poll" not in fields:
            text = compilation.full_text(content)
            voter = UserFactory()
            fields["poll"] = PollFactory(
                community=constitution.community,
                kind=Draft.POLL_KIND,
                title=f"Ratify “{fields['title']}”",
                text=text,
                ballots={voter: "yes"},
                closed=True,
            )
        version = model_class.objects.create(digest=digest(content), **fields)
        Principle.objects.bulk_create(
            Principle(version=version, position=position, **each)
            for position, each in enumerate(contents, start=1)
        )
        return version


class DraftFactory(DjangoModelFactory):
    """A draft that is being written; `principles` are contents, none unless told."""

    class Meta:
        model = Draft

    constitution = factory.SubFactory(ConstitutionFactory)
    author = factory.SubFactory(UserFactory)
    title = factory.Sequence(lambda n: f"Draft {n}")

    @classmethod
    def _create(cls, model_class, community=None, principles=(), **fields):
        if community is not None:
            fields["constitution"] = ConstitutionFactory(community=community)
        draft = model_class.objects.create(**fields)
        DraftPrinciple.objects.bulk_create(
            DraftPrinciple(draft=draft, position=position, **each)
            for position, each in enumerate(principles, start=1)
        )
        return draft
