"""Alice, who owns things; Charlie, who must never see them; and a home on disk of the test's own."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import psycopg
import pytest
from django.test import Client

from tests.webapp.server import server  # noqa: F401 - a fixture, one server for every test in a browser
from tests.webapp.window import owner_page  # noqa: F401 - a fixture too


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


@pytest.fixture
def sent(monkeypatch):
    """Catch what is sent to the workers; nothing is sent in these tests."""
    messages = []
    monkeypatch.setattr("webapp.runs.starting.send", lambda task, pk, queue: messages.append((task, pk, queue)) or True)
    return messages


@pytest.fixture
def new_database(request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Return a function that gives the address of an empty database: "" for SQLite, a new one of Postgres's."""
    made = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            return ""
        place = request.getfixturevalue("postgres_url")
        name = f"labelfree_{secrets.token_hex(4)}"
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        made.append((place, name))
        return place.rsplit("/", 1)[0] + f"/{name}"

    yield make
    for place, name in made:
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
