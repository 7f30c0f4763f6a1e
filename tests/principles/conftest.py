"""People around one community, by their part in it."""

from types import SimpleNamespace

import pytest

from tests.factories.governance import CommunityFactory, MembershipFactory, UserFactory


@pytest.fixture
def moot(db):
    """A community with a steward, two members and an outsider."""
    community = CommunityFactory(slug="moot", name="Moot")
    return SimpleNamespace(
        community=community,
        steward=MembershipFactory(community=community, steward=True).user,
        member=MembershipFactory(community=community).user,
        other=MembershipFactory(community=community).user,
        outsider=UserFactory(),
    )
