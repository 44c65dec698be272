"""A small filled database."""

from __future__ import annotations

import pytest

from tests.webapp.review.gallery import Gallery, fill


@pytest.fixture
def gallery(db: None) -> Gallery:
    """Return 60 digits with a MUST run, its zero-shot baseline and a run of clusters."""
    return fill()
