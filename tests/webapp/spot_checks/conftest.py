"""A small filled database, and Alice, who owns its runs."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.webapp.review.gallery import Gallery, fill


@pytest.fixture
def gallery(db: None) -> Gallery:
    """Return 60 digits with a MUST run, its zero-shot baseline and a run of clusters."""
    return fill()


@pytest.fixture
def alice(gallery: Gallery) -> Client:
    """Return the owner's browser."""
    client = Client()
    client.force_login(gallery.owner)
    return client
