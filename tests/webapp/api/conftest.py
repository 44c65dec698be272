"""Programs with tokens: Alice's, who owns the rows, and Charlie's, who must never see them."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.webapp.runs.conftest import alice, charlie, collection, runs_root, signed_in  # noqa: F401


def program(user) -> Client:
    """Return a client that sends the user's token, and is not spared the CSRF check."""
    from webapp.accounts.models import ApiToken

    _, secret = ApiToken.issue(user, "test")
    return Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"})


@pytest.fixture
def api(alice):  # noqa: F811
    return program(alice)


@pytest.fixture
def foreign(charlie):  # noqa: F811
    return program(charlie)
