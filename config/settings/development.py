"""Settings for one's own machine: mail goes to the console, and no secret needs to be set."""

import warnings

from config import env
from config.settings.base import *  # noqa: F403 - an overlay is the base and a few lines
from config.settings.base import STORAGES

DEBUG = env.boolean("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", "for-development-only-" + "0" * 40)
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
ACCOUNT_EMAIL_VERIFICATION = "optional"
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
WHITENOISE_USE_FINDERS = True
warnings.filterwarnings("ignore", "No directory at", UserWarning)  # nothing is collected here
WHITENOISE_AUTOREFRESH = DEBUG
