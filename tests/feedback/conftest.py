"""What the tests of feedback share: a community with a version in force."""

import pytest

from tests.factories.feedback import make_version, member
from tests.factories.governance import CommunityFactory


@pytest.fixture
def community(db):
    return CommunityFactory(slug="moot", name="The moot")


@pytest.fixture
def version(community):
    return make_version(community)


@pytest.fixture
def honest(version):
    return version.principles.get(key="honest")


@pytest.fixture
def annotator(community):
    return member(community)


@pytest.fixture
def moderator(community):
    return member(community, "moderator")


@pytest.fixture
def steward(community):
    return member(community, "steward")
