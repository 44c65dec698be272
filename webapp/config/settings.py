"""Every setting of the web application, and the only place of it that reads the environment.

LABELFREE_HOME        folder of everything that is stored; ./var
LABELFREE_PORT        port of the web; 8000
LABELFREE_HOSTS       host names the web answers to, separated by commas; this machine only
LABELFREE_TLS         1 behind a proxy that speaks https: cookies travel by https only
LABELFREE_URL_PREFIX  path under which a proxy shows the app, like /labelfree
LABELFREE_FOLDERS     folders on the server from which people may take images, separated by colons; none
LABELFREE_BUCKETS     S3 buckets from which people may take images, like NAME=https://HOST/BUCKET/PREFIX; none
LABELFREE_QUOTA_GB    what each person may store, in GB; no bound
LABELFREE_IMAGE_CACHE  folder of this machine in which its workers keep copies of the images they need; none
LABELFREE_IMAGE_CACHE_GB  the most it may hold; 50
DATABASE_URL          Postgres instead of the SQLite file in LABELFREE_HOME
REDIS_URL             a Redis of one's own instead of the socket in LABELFREE_HOME (`workers.app` reads it)
LABELFREE_SMTP        mail server of the notices, like smtps://user:password@mail.example.org; none sends no e-mail
LABELFREE_MAIL_FROM   address the notices come from
LABELFREE_WEBHOOKS_INSIDE  1 lets webhooks go to addresses of this machine's own network
LABELFREE_LOGS        json writes one JSON object a line, for programs that gather logs
DEBUG                 1 shows tracebacks in the browser; for developers only
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from webapp.config import bucket_list, database_url, secret_key

BASE_DIR = Path(__file__).resolve().parents[2]


def _flag(name: str) -> bool:
    return os.environ.get(name, "").strip().lower() in {"1", "true", "yes", "on"}


DEBUG = _flag("DEBUG")
TLS = _flag("LABELFREE_TLS")
PORT = int(os.environ.get("LABELFREE_PORT") or 8000)
URL_PREFIX = f"/{os.environ.get('LABELFREE_URL_PREFIX', '').strip('/')}".rstrip("/")

HOME = Path(os.environ.get("LABELFREE_HOME") or BASE_DIR / "var").resolve()
MEDIA_ROOT = HOME / "media"
UPLOADS_ROOT = HOME / "uploads"
RUNS_ROOT = HOME / "runs"
CACHE_ROOT = HOME / "cache"
for folder in (HOME, MEDIA_ROOT, UPLOADS_ROOT, RUNS_ROOT, CACHE_ROOT):
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)

SECRET_KEY = secret_key.read_or_make(HOME / "secret_key")
OWN_HOSTS = ("localhost", "127.0.0.1", "[::1]")
ALLOWED_HOSTS = [
    *filter(None, (host.strip() for host in os.environ.get("LABELFREE_HOSTS", "").split(","))),
    *OWN_HOSTS,
]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "webapp.accounts",
    "webapp.collections",
    "webapp.sharing",
    "webapp.audit",
    "webapp.runs",
    "webapp.review",
    "webapp.spot_checks",
    "webapp.notices",
    "webapp.api",
    "webapp.panel",
    "webapp.backup",  # its management commands
    "workers",  # its management commands: up, worker
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "webapp.config.headers.SecurityHeaders",
    "webapp.config.static.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "webapp.accounts.tokens.TokenMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "webapp.accounts.tokens.TokenUserMiddleware",
    "webapp.accounts.guard.LoginRequired",
    "webapp.api.errors.WrongVerb",
    "django.contrib.messages.middleware.MessageMiddleware",
]

ROOT_URLCONF = "webapp.config.urls"
ASGI_APPLICATION = "webapp.config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "webapp" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

if os.environ.get("DATABASE_URL"):
    DATABASES = {"default": database_url.parse(os.environ["DATABASE_URL"])}
    if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
        # Postgres keeps what `webapp.config.prepared` asks from the first time on, connection by connection. A pooler
        # between that does not know prepared statements wants ?prepare_threshold=1000000000 at the end of DATABASE_URL.
        DATABASES["default"].setdefault("OPTIONS", {}).setdefault("prepare_threshold", 0)
else:
    # Measured: with IMMEDIATE and WAL no writer meets "database is locked"; either alone does not do. FULL: what is
    # committed outlives a power cut, for what a commit makes superfluous (a read upload's bytes) is removed after it.
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": HOME / "db.sqlite3",
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
            },
        },
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    # It counts sign-ins. Beyond its bound it forgets: Django's own, 300, makes room for more guesses at one name by
    # some guesses at others.
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"MAX_ENTRIES": 100_000}},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["webapp.accounts.sessions.Accounts"]
LOGIN_URL = "sign_in"
LOGIN_REDIRECT_URL = "home"
PASSWORD_RESET_TIMEOUT = 24 * 3600

SESSION_ENGINE = "webapp.accounts.sessions"
SESSION_COOKIE_NAME = "labelfree_session"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = TLS
CSRF_COOKIE_NAME = "labelfree_csrf"
CSRF_FAILURE_VIEW = "webapp.config.errors.csrf_failed"
if TLS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "SAMEORIGIN"
SILENCED_SYSTEM_CHECKS = [
    "security.W005", "security.W021",  # HSTS for other hosts below our name is not ours to promise
    "security.W008",  # the proxy that speaks https redirects; this machine's own checks ask in plain http
    "security.W019",  # the review panel stands in a frame of our own page
]

FORCE_SCRIPT_NAME = URL_PREFIX or None
STATIC_URL = f"{URL_PREFIX}/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False

_MAIL = urlsplit(os.environ.get("LABELFREE_SMTP", ""))
EMAIL_HOST = _MAIL.hostname or ""
EMAIL_PORT = _MAIL.port or {"smtps": 465, "smtp+starttls": 587}.get(_MAIL.scheme, 25)
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_MAIL.username or ""), unquote(_MAIL.password or "")
EMAIL_USE_SSL, EMAIL_USE_TLS = _MAIL.scheme == "smtps", _MAIL.scheme == "smtp+starttls"
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = os.environ.get("LABELFREE_MAIL_FROM") or "labelfree@localhost"
WEBHOOKS_INSIDE = _flag("LABELFREE_WEBHOOKS_INSIDE")

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"

CHUNK_BYTES = 16 * 1024 * 1024
"""The most that one request of an upload may carry: well under what common proxies let through."""
REQUEST_BYTES = CHUNK_BYTES + 1024 * 1024
"""The most that any request may carry; more is refused before it is spooled to disk."""
SOURCE_ROOTS = [Path(one) for one in os.environ.get("LABELFREE_FOLDERS", "").split(":") if one]
SOURCE_BUCKETS = bucket_list.parse(os.environ.get("LABELFREE_BUCKETS", ""))
"""Everybody who may sign in may take images from these folders and buckets."""
QUOTA_BYTES = int(float(os.environ.get("LABELFREE_QUOTA_GB") or 0) * 2**30)
"""What each person may store; 0 for no bound."""
IMAGE_CACHE = Path(os.environ["LABELFREE_IMAGE_CACHE"]).resolve() if os.environ.get("LABELFREE_IMAGE_CACHE") else None
IMAGE_CACHE_BYTES = int(float(os.environ.get("LABELFREE_IMAGE_CACHE_GB") or 50) * 2**30)
"""Where this machine's workers keep copies of images, if anywhere, and the most that may be (`workers.image_cache`)."""
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000
FILE_UPLOAD_PERMISSIONS = 0o600

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
                   "json": {"()": "webapp.config.logs.JsonFormatter"}},
    "filters": {"no_secrets": {"()": "webapp.config.logs.WithoutSecrets"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "filters": ["no_secrets"],
                             "formatter": "json" if os.environ.get("LABELFREE_LOGS") == "json" else "plain"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "botocore": {"level": "WARNING"},  # what it says below that has signed headers in it
        "django": {},  # no handler of its own, which would pass by the filter
        "uvicorn.access": {"handlers": ["console"], "propagate": False},
    },
}
