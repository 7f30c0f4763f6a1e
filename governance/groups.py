"""Opinion groups: how an app above governance tells which members hold together.

A registry, like `outcomes`: a higher app that groups people by what they agree with (the opinion
map) registers a provider in `AppConfig.ready`. Polls ask it once, when they open, and only where
their rule asks for a group's support. Until an app registers, no groups are known. Pure.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

Provider: TypeAlias = Callable[[int], Mapping[int, str]]


def _nobody(community_id: int) -> Mapping[int, str]:  # noqa: ARG001 - the signature is the contract
    return {}


_providers: list[Provider] = []


def register(provider: Provider) -> None:
    """Make a provider of groups known; there is one at most.

    Args:
        provider: called with a community's key; returns the label (1 to 40 characters) of each
            user's group, and leaves out those who are in none.

    Raises:
        ValueError: another provider is registered.
    """
    if provider in _providers:
        return
    if _providers:
        raise ValueError("Opinion groups have a provider already.")
    _providers.append(provider)


def groups_of(community_id: int) -> Mapping[int, str]:
    """Return the label of each user's opinion group, as it is known now."""
    provider = _providers[0] if _providers else _nobody
    return provider(community_id)
