"""Every address of the application. The Gradio panel is mounted beside it, in `webapp.config.asgi`."""

from __future__ import annotations

import importlib.util
import logging

from django.urls import URLPattern, URLResolver, include, path

from webapp.accounts import urls as accounts
from webapp.collections import urls as collections

urlpatterns: list[URLPattern | URLResolver] = [
    *accounts.urlpatterns,
    *collections.urlpatterns,
]
for prefix, module in (("", "webapp.runs.urls"), ("api/v1/", "webapp.api.urls"), ("", "webapp.review.urls")):
    try:
        if importlib.util.find_spec(module):
            urlpatterns.append(path(prefix, include(module)))
    except ModuleNotFoundError as missing:  # while the house is being built
        logging.getLogger(__name__).warning("%s is not there yet: %s", module, missing)

handler400 = "webapp.config.errors.bad_request"
handler403 = "webapp.config.errors.forbidden"
handler404 = "webapp.config.errors.not_found"
handler500 = "webapp.config.errors.broken"
