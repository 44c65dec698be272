"""What is said when something broke on our side."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connection
from django.test import AsyncClient, Client

pytestmark = pytest.mark.django_db


def away(*_):
    raise OperationalError("database is locked")


@pytest.mark.parametrize(("path", "kind"), [("/api/v1/collections", "application/json"), ("/", "text/plain")])
def test_a_database_that_is_away_is_said_in_words_and_may_be_asked_again(alice, path, kind):
    client = Client(raise_request_exception=False)
    client.force_login(alice)
    with connection.execute_wrapper(away):
        answer = client.get(path)
    assert (answer.status_code, answer["Content-Type"], answer["Retry-After"]) == (503, kind, "5")
    assert "The database does not answer" in answer.content.decode()


def test_it_is_said_under_asgi_too(alice):
    client = AsyncClient(raise_request_exception=False)
    client.force_login(alice)

    async def ask():
        return await client.get("/api/v1/collections")

    with connection.execute_wrapper(away):
        answer = async_to_sync(ask)()
    assert answer.status_code == 503


def test_a_name_that_is_not_ours_is_said_with_the_fix_and_never_repeated():
    answer = Client().get("/", headers={"Host": "gpu<b>server:8899"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "text/plain")
    said = answer.content.decode()
    assert "does not answer to this name" in said and "adds the name to LABELFREE_HOSTS and starts it again" in said
    assert "<b>" not in said
