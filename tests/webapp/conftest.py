"""Alice, who owns things; Charlie, who must never see them; and a home on disk of the test's own."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.webapp.server import server  # noqa: F401 - a fixture, one server for every test in a browser


@pytest.fixture(autouse=True)
def home(settings, tmp_path):
    """Keep what a test writes apart."""
    for name in ("MEDIA_ROOT", "UPLOADS_ROOT", "RUNS_ROOT", "CACHE_ROOT"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        setattr(settings, name, folder)
    settings.HOME = tmp_path
    return tmp_path


@pytest.fixture
def alice(db, django_user_model):
    return django_user_model.objects.create_user("alice")


@pytest.fixture
def charlie(db, django_user_model):
    return django_user_model.objects.create_user("charlie")


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
