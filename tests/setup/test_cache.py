"""The cache in Redis or Valkey."""

import redis
from django.core.cache import caches


def test_the_cache_keeps_its_client(settings):
    backend = "config.cache.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "unix:///nowhere.sock?db=1"}}
    clients = caches["default"]._cache

    writer = clients.get_client("a", write=True)

    assert isinstance(writer, redis.Redis)
    assert clients.get_client("b") is writer
