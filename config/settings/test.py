"""Settings of the test-suite: real PostgreSQL, a broker in memory, cheap passwords."""

import os

# Celery prefers this variable to any setting, so the real one is put aside under its own name.
BROKER_URL_FOR_WORKERS = os.environ.pop("CELERY_BROKER_URL", "")

from config.settings.base import *  # noqa: E402, F403 - the line above must come first
from config.settings.base import REST_FRAMEWORK, STORAGES  # noqa: E402

DEBUG = False
SECRET_KEY = "for-tests-only-" + "0" * 50
ALLOWED_HOSTS = ["*"]
CELERY_BROKER_URL = "memory://"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
ACCOUNT_EMAIL_VERIFICATION = "optional"
ACCOUNT_RATE_LIMITS = False
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
REST_FRAMEWORK["DEFAULT_THROTTLE_CLASSES"] = []
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
