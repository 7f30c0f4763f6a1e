"""Settings shared by development, tests and production; each variable is in docs/settings.md."""

from datetime import timedelta
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF

from config import env

ROOT = Path(__file__).resolve().parents[2]
STATE_ROOT = Path(env.text("STATE_ROOT", ROOT / "var"))
ARTIFACT_ROOT = Path(env.text("ARTIFACT_ROOT", STATE_ROOT / "artifacts"))

INSTALLED_APPS = [
    "governance",
    "principles",
    "feedback",
    "training_jobs",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "allauth",
    "allauth.account",
    "csp",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "template_partials",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "governance.web.site",
            ],
        },
    },
]

# --- Database: PostgreSQL only ------------------------------------------------------------------
DATABASES = {
    "default": {
        **dj_database_url.parse(
            env.text("DATABASE_URL", "postgresql://folkmoot@localhost/folkmoot"),
            conn_health_checks=True,
        ),
        "OPTIONS": {
            "pool": {"min_size": 1, "max_size": env.integer("DATABASE_POOL", 8, minimum=1)}
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People -------------------------------------------------------------------------------------
AUTH_USER_MODEL = "governance.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_FORMS = {"signup": "governance.forms.SignupForm"}
ACCOUNT_EMAIL_VERIFICATION = env.choice(
    "EMAIL_VERIFICATION", ["mandatory", "optional", "none"], "mandatory"
)
ACCOUNT_EMAIL_SUBJECT_PREFIX = "Folkmoot: "

# --- Mail ---------------------------------------------------------------------------------------
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.integer("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.boolean("EMAIL_USE_TLS", default=False)
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "folkmoot@localhost")

# --- Celery: the row is the truth, a message is a nudge -----------------------------------------
CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", "redis://localhost:6379/0")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
    "socket_connect_timeout": 1,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 3600  # in seconds; runs have a limit of their own
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "turn due polls": {"task": "governance.turn_due_polls", "schedule": timedelta(seconds=5)},
    "record ballots": {"task": "governance.record_ballots", "schedule": timedelta(seconds=60)},
    "sign trails": {"task": "governance.sign_trails", "schedule": timedelta(minutes=3)},
    "post checkpoints": {"task": "governance.post_checkpoints", "schedule": timedelta(minutes=3)},
    "lapse motions": {"task": "governance.lapse_motions", "schedule": timedelta(minutes=10)},
    "expire leases": {"task": "feedback.expire_leases", "schedule": timedelta(seconds=60)},
    "record labels": {"task": "feedback.record_label_batches", "schedule": timedelta(minutes=10)},
    "sweep datasets": {"task": "feedback.sweep_datasets", "schedule": timedelta(seconds=20)},
    "sweep runs": {"task": "training_jobs.sweep_runs", "schedule": timedelta(seconds=10)},
}

# --- The record: who signs it, and where its heads are posted -----------------------------------
SIGNING_KEY_FILE = Path(env.text("SIGNING_KEY_FILE", STATE_ROOT / "signing-key.pem"))
CHECKPOINT_WEBHOOKS = env.addresses("CHECKPOINT_WEBHOOKS", [])

# --- Communities --------------------------------------------------------------------------------
SMALL_COMMUNITY = env.integer("SMALL_COMMUNITY", 10)
MOTION_DAYS = env.integer("MOTION_DAYS", 7, minimum=1)

# --- Runs ---------------------------------------------------------------------------------------
RUN_LEASE_SECONDS = env.integer("RUN_LEASE_SECONDS", 30, minimum=5)
RUN_MAX_ATTEMPTS = env.integer("RUN_MAX_ATTEMPTS", 3, minimum=1)
RUN_WALL_CLOCK_SECONDS = env.integer("RUN_WALL_CLOCK_SECONDS", 4 * 3600, minimum=1)
RUN_STALL_SECONDS = env.integer("RUN_STALL_SECONDS", 900, minimum=1)
RUN_MINIMUM_PAIRS = env.integer("RUN_MINIMUM_PAIRS", 8, minimum=1)
RUN_FREE_DISK_MB = env.integer("RUN_FREE_DISK_MB", 2048)
RELEASE_OVER_REFUSAL_LIMIT = env.share("RELEASE_OVER_REFUSAL_LIMIT", "1/2")
PLAYGROUND_QUESTIONS_AN_HOUR = env.integer("PLAYGROUND_QUESTIONS_AN_HOUR", 20, minimum=1)
LABEL_LEASE_SECONDS = env.integer("LABEL_LEASE_SECONDS", 600, minimum=1)

# --- Files --------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = env.text("STATIC_ROOT", ROOT / "staticfiles")
STATICFILES_DIRS = [ROOT / "static"]
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": STATE_ROOT / "media"},
    },
    "artifacts": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": ARTIFACT_ROOT},
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20
FILE_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20

# --- Language and time --------------------------------------------------------------------------
LANGUAGE_CODE = "en"
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True

# --- Browser security ---------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "config.sessions"

# --- Cache --------------------------------------------------------------------------------------
CACHE_URL = env.text("CACHE_URL", "")
CACHES = {
    "default": {"BACKEND": "config.cache.RedisCache", "LOCATION": CACHE_URL}
    if CACHE_URL
    else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

# --- API ----------------------------------------------------------------------------------------
API_TOKEN_DAYS = env.integer("API_TOKEN_DAYS", 90, minimum=1)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "governance.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "governance.web.Pages",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {"anon": "120/min", "user": "1200/min"},
    "EXCEPTION_HANDLER": "governance.web.api_exception_handler",
    "PAGE_SIZE": 50,
    "NUM_PROXIES": env.integer("NUM_PROXIES", 0),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Folkmoot",
    "DESCRIPTION": (
        "Communities write, vote into force and test the constitution of an AI model.\n\n"
        "What is public needs no account. For the rest, make a token on the page *My API token* "
        "(in your menu) or with `POST /api/v1/token/`, and send it with each request: "
        "`Authorization: Token …`. Each person has one token; a new one ends the earlier. It runs "
        f"out after {API_TOKEN_DAYS} days, and ends when you revoke it or change your password."
    ),
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "MembershipStatus": "governance.models.Membership.Status",
        "PollStatus": "governance.models.Poll.Status",
        "DraftStatus": "principles.models.Draft.Status",
        "AssignmentStatus": "feedback.models.Assignment.Status",
        "ReviewStatus": "feedback.models.ReviewItem.Status",
        "DatasetStatus": "feedback.models.Dataset.Status",
        "LabelChoice": "feedback.models.Label.Choice",
        "RunStatus": "training_jobs.models.Run.Status",
        "Recipe": "training_jobs.models.Run.Recipe",
        "ReleaseStatus": "training_jobs.models.Release.Status",
    },
}

# --- Logs carry ids, never prompts or labels ----------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
}

SITE_ADDRESS = env.text("SITE_ADDRESS", "http://127.0.0.1:8000")
SILENCED_SYSTEM_CHECKS: list[str] = []
