import pytest

from tests.factories.governance import MembershipFactory


@pytest.fixture
def steward():
    return MembershipFactory(steward=True)


@pytest.fixture
def member(steward):
    return MembershipFactory(community=steward.community)
