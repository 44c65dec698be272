"""The ASGI entry: Django's pages and API, with the Gradio panel mounted beside them in one process."""

from __future__ import annotations

import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402

from webapp.config import home_lock  # noqa: E402
from webapp.config.request_limit import RequestLimit  # noqa: E402
from webapp.config.threads import Handler, keep_connections  # noqa: E402
from webapp.panel.mount import mount  # noqa: E402

in_use = home_lock.held_with_others()
keep_connections()
application = RequestLimit(mount(Handler()), settings.REQUEST_BYTES)
gc.freeze()  # all that was loaded stays; to look through it for garbage again and again took a sixth of a request
gc.set_threshold(10_000)
