"""What the machine's keeper asks: up, ready, figures; and who may."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import DatabaseError, connection
from django.test import Client
from django.utils import timezone

from tests.webapp.runs import rows
from webapp.accounts.models import ApiToken
from webapp.collections.models import Refusal
from webapp.runs import presence
from workers.app import app

pytestmark = pytest.mark.django_db


@pytest.fixture
def redis(redis_server, monkeypatch):
    monkeypatch.setattr(app.conf, "broker_write_url", redis_server)
    return redis_server


def ready(client) -> tuple[int, dict[str, object]]:
    answer = client.get("/readyz")
    return answer.status_code, answer.json()


def test_the_process_says_that_it_is_up_without_asking_anybody(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_it_is_ready_once_database_redis_and_both_kinds_of_worker_answer(client, redis):
    presence.beat("gpu.0.1@box", "gpu")
    presence.beat("cpu.0.1@box", "cpu")
    assert ready(client) == (200, {"ready": True, "database": "ok", "redis": "ok", "runs": "ok", "uploads": "ok"})


def test_what_is_missing_is_named_with_the_fix(client, redis):
    presence.beat("cpu.0.1@box", "cpu")
    status, parts = ready(client)
    assert (status, parts["ready"], parts["uploads"]) == (503, False, "ok")
    assert "queue gpu" in parts["runs"] and "make worker" in parts["runs"]


def test_a_redis_that_is_away_is_named(client):
    assert not (settings.HOME / "redis.sock").exists()
    status, parts = ready(client)
    assert status == 503 and "does not answer" in parts["redis"] and parts["database"] == "ok"


def test_a_database_that_is_away_is_named(client, redis):
    def broken(*_):
        raise DatabaseError("gone")

    with connection.execute_wrapper(broken):
        status, parts = ready(client)
    assert status == 503 and "does not answer" in parts["database"] and "not known" in parts["runs"]


def figures(text: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^(labelfree_\S+) (\S+)$", text, re.MULTILINE)}


def test_an_administrator_s_token_reads_the_figures(alice, client):
    alice.is_staff = True
    alice.save(update_fields=["is_staff"])
    of = rows.collection(alice, 10)
    rows.run(of)
    rows.run(of, status="failed")
    rows.run(of, status="queued", queued_at=timezone.now() - timedelta(seconds=100))
    rows.run(of, status="queued")
    Refusal.objects.create(collection=of, path="a.txt", reason="not an image")
    _, secret = ApiToken.issue(alice, "prometheus")
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {secret}"})
    assert answer["Content-Type"].startswith("text/plain")
    found = figures(answer.content.decode())
    assert {name: found[f'labelfree_runs{{status="{name}"}}'] for name in (
        "queued", "running", "succeeded", "failed", "cancelled")} == {
        "queued": 2, "running": 0, "succeeded": 1, "failed": 1, "cancelled": 0}
    assert 100 <= found["labelfree_queue_oldest_seconds"] < 130
    assert found['labelfree_run_seconds_mean{method="must"}'] == pytest.approx(300)
    assert (found["labelfree_images"], found["labelfree_refusals"]) == (10, 1)
    assert found['labelfree_worker_present{queue="gpu"}'] == 0
    assert found['labelfree_uploads{status="reading"}'] == 0


def test_the_figures_are_for_administrators(signed_in, client, alice):
    _, secret = ApiToken.issue(alice, "hers")
    assert client.get("/metrics").status_code == 401
    assert Client(headers={"Authorization": "Bearer lf_wrong"}).get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).status_code == 403
    assert signed_in.get("/metrics").status_code == 403
