"""What the database itself refuses of a run's row, whoever writes it, and its clock; on SQLite and on Postgres."""

from __future__ import annotations

import uuid
from datetime import timedelta

import dj_database_url
import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from webapp.collections.models import Collection
from webapp.runs.models import LEASE, SILENCE, Run

DATABASE = "states"
NOW = "'2026-01-01 00:00:00+00:00'"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request, tmp_path_factory, django_db_blocker):
    """Make a database of the kind, migrated from nothing; give the name it has in Django."""
    server = name = None
    if request.param == "postgres":
        server, name = request.getfixturevalue("postgres_url"), f"labelfree_states_{uuid.uuid4().hex[:8]}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        chosen = {"OPTIONS": {}, **dj_database_url.parse(server), "NAME": name}
    else:
        chosen = {"NAME": tmp_path_factory.mktemp("states") / "db.sqlite3"}
    connections.databases[DATABASE] = {**connections.databases["default"], **chosen}
    with django_db_blocker.unblock():
        call_command("migrate", database=DATABASE, verbosity=0, interactive=False)
        yield DATABASE
        connections[DATABASE].close()
    del connections[DATABASE]
    del connections.databases[DATABASE]
    if server:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def queued(database):
    """Return a run that waits."""
    owner = get_user_model().objects.using(database).create(username=uuid.uuid4().hex)
    collection = Collection.objects.using(database).create(owner=owner, name="digits")
    return Run.objects.using(database).create(collection=collection, owner=owner, method="must")


RUNNING = f"status = 'running', lease_token = 'token', lease_expires_at = {NOW}, attempt = 1"
REFUSED = {
    "a state nobody knows": "status = 'stuck'",
    "running without a lease": f"{RUNNING}, lease_token = ''",
    "running without an end of its lease": f"{RUNNING}, lease_expires_at = NULL",
    "running and over": f"{RUNNING}, finished_at = {NOW}",
    "waiting with a lease": "lease_token = 'token'",
    "waiting and over": f"finished_at = {NOW}",
    "waiting for a fourth attempt": "attempt = 3",
    "paused for a fourth attempt": "status = 'paused', attempt = 3",
    "paused with a lease": "status = 'paused', lease_token = 'token'",
    "a priority nobody knows": "priority = 2",
    "a fifth halving of its memory": "memory_halvings = 5",
    "a fourth attempt": f"{RUNNING}, attempt = 4",
    "succeeded without an end": "status = 'succeeded'",
    "succeeded with a lease": f"status = 'succeeded', finished_at = {NOW}, lease_token = 'token'",
    "cancelled without an end": "status = 'cancelled'",
    "failed without a reason": f"status = 'failed', finished_at = {NOW}",
}
ALLOWED = {
    "running": RUNNING,
    "at its last attempt": f"{RUNNING}, attempt = 3",
    "waiting for its last attempt": "attempt = 2",
    "paused": "status = 'paused', attempt = 1",
    "succeeded": f"status = 'succeeded', finished_at = {NOW}, attempt = 3",
    "failed": f"status = 'failed', finished_at = {NOW}, error = 'the disk is full', attempt = 3",
    "cancelled": f"status = 'cancelled', finished_at = {NOW}",
}


def write(run: Run, database: str, assignments: str) -> None:
    """Change a run's row past every rule of ours; the last word on a column counts."""
    columns = dict(one.strip().split(" = ") for one in assignments.split(", "))
    sets = ", ".join(f"{column} = {value}" for column, value in columns.items())
    with transaction.atomic(using=database), connections[database].cursor() as cursor:
        cursor.execute(f"UPDATE runs_run SET {sets} WHERE id = %s", [run.pk])
        assert cursor.rowcount == 1


@pytest.mark.parametrize("assignments", REFUSED.values(), ids=REFUSED.keys())
def test_the_database_refuses_a_row_that_lies_about_its_state(queued, database, assignments):
    before = Run.objects.using(database).filter(pk=queued.pk).values().get()
    with pytest.raises(IntegrityError):
        write(queued, database, assignments)
    assert Run.objects.using(database).filter(pk=queued.pk).values().get() == before


@pytest.mark.parametrize("assignments", ALLOWED.values(), ids=ALLOWED.keys())
def test_the_database_takes_every_state_that_is_whole(queued, database, assignments):
    write(queued, database, assignments)


@pytest.mark.parametrize("seconds", [-60, 60], ids=["slow", "fast"])
def test_a_lease_lasts_as_long_whatever_the_worker_s_clock_says(queued, database, monkeypatch, seconds):
    this, now = Run.objects.using(database).filter(pk=queued.pk), timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=seconds))
    assert this.claim(queued.pk, "box:1")
    assert not this.stale().exists()
    taken = this.get()
    assert abs(taken.lease_expires_at - taken.heartbeat_at - LEASE) < timedelta(seconds=0.1)
    assert abs(taken.heartbeat_at - now()) < timedelta(seconds=10)


@pytest.mark.parametrize("seconds", [-2, 2])
def test_the_database_tells_to_the_second_whose_worker_is_gone(queued, database, seconds):
    this, moment = Run.objects.using(database).filter(pk=queued.pk), timezone.now() + timedelta(seconds=seconds)
    assert this.claim(queued.pk, "box:1")
    this.update(lease_expires_at=moment)
    assert this.stale().exists() == (seconds < 0)
    this.update(lease_expires_at=timezone.now() + LEASE, heartbeat_at=moment - SILENCE, cancel_requested=True)
    assert this.end_abandoned() == (seconds < 0)
