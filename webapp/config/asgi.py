"""The ASGI entry: Django's pages and API, with the Gradio panel mounted beside them in one process."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")

django_application = get_asgi_application()

from django.conf import settings  # noqa: E402

from webapp.config.request_limit import RequestLimit  # noqa: E402
from webapp.panel.mount import mount  # noqa: E402

application = RequestLimit(mount(django_application), settings.REQUEST_BYTES)
