"""The API: what the pages can do, for programs. Its description is served to whoever is signed in; no page of a CDN."""

from __future__ import annotations

from ninja import NinjaAPI

from webapp.api import collections, comparing, correcting, recommending, runs, spot_checks
from webapp.api.authentication import SignedIn, TokenOwner
from webapp.api.errors import add_handlers

api = NinjaAPI(
    title="labelfree", version="1", urls_namespace="api", docs_url=None, auth=[TokenOwner(), SignedIn()],
    description="Collections in, adapted classifiers and labels out. Send `Authorization: Bearer lf_…`; make a token "
                "on your account page. Files go to /uploads/ by tus 1.0. Errors are "
                "`{\"error\": {\"what\", \"reason\", \"fix\"}}`.")
add_handlers(api)
api.add_router("/collections", collections.router)
api.add_router("/class-lists", collections.class_lists)
for part in (runs, correcting, recommending, comparing, spot_checks):
    api.add_router("", part.router)
