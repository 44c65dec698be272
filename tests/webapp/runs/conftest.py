"""Alice, who owns the rows and reads their pages, and Charlie, who must never see them.

Models are imported inside: this file may be read before Django is set up.
"""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse


@pytest.fixture(autouse=True)
def runs_root(settings, tmp_path):
    settings.RUNS_ROOT = tmp_path / "runs"


@pytest.fixture
def alice(db):
    from tests.webapp.runs import rows

    return rows.person("alice")


@pytest.fixture
def charlie(db):
    from tests.webapp.runs import rows

    return rows.person("charlie")


@pytest.fixture
def collection(alice):
    from tests.webapp.runs import rows

    return rows.collection(alice)


@pytest.fixture
def signed_in(alice):
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def stranger(charlie):
    client = Client()
    client.force_login(charlie)
    return client


@pytest.fixture
def page(signed_in):
    """Return a function that gives what Alice is sent of a run: its page, or the part that is asked for."""
    def get(run, name="detail"):
        answer = signed_in.get(reverse(f"runs:{name}", args=[run.pk]))
        assert answer.status_code == 200
        return answer.content.decode()
    return get
