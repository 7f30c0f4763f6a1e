"""Settings of a public site: nothing secret has a default, everything goes over TLS."""

from pathlib import Path

from config import env
from config.settings.base import *  # noqa: F403 - an overlay is the base and a few lines

DEBUG = False
SECRET_KEY = env.text("SECRET_KEY")
SIGNING_KEY_FILE = Path(env.text("SIGNING_KEY_FILE"))
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", [])
DATABASE_URL = env.text("DATABASE_URL")
# Limits on attempts and on requests hold for the whole site, not for each of its processes.
CACHE_URL = env.text("CACHE_URL")
SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", default=True)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = env.integer("SECURE_HSTS_SECONDS", 31_536_000)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
