"""The cache in Redis or Valkey, without a new client of redis-py for every command."""

from functools import cached_property
from typing import Any

from django.core.cache.backends import redis


class CacheClient(redis.RedisCacheClient):
    """Keeps the client of the one server: to make one costs as much as what it is made for."""

    @cached_property
    def _kept(self) -> Any:
        return super().get_client(write=True)

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:  # noqa: ARG002
        """Return the client, whatever it is for."""
        return self._kept


class RedisCache(redis.RedisCache):
    """Django's cache in Redis, on the one server that CACHE_URL names."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = CacheClient
