"""A prepared query answers what the queryset would, whatever was asked before, in every thread, on both databases."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.test.utils import CaptureQueriesContext

from webapp.collections.models import Collection
from webapp.config.prepared import SHAPES_AT_MOST, Prepared, prepared

ASKING = ("config/test_prepared.py", "accounts/test_signing_in.py", "panel/test_handlers.py", "review/test_queries.py",
          "review/test_actions.py", "collections/test_media.py", "collections/test_pages.py")
"""Tests, in ``tests/webapp``, of all that asks by prepared queries."""
BUILT: list[object] = []
DAY = datetime(2026, 5, 1, tzinfo=UTC)


@prepared
def named(name: str, /) -> QuerySet[User]:
    BUILT.append(name)
    return User.objects.filter(username=name)


@prepared
def joined_before(day: datetime, /, *, descending: bool) -> QuerySet[User, str]:
    BUILT.append(descending)
    return User.objects.filter(date_joined__lt=day).order_by("-username" if descending else "username").values_list(
        "username", flat=True)


@prepared
def collections_with_owner(owner: int, /) -> QuerySet[Collection]:
    return Collection.objects.filter(owner=owner).select_related("owner").defer("name").annotate(
        others=Subquery(Collection.objects.filter(owner=owner).exclude(pk=OuterRef("pk")).order_by().values(
            "owner").annotate(count=Count("pk")).values("count"))).order_by("pk")


@prepared
def first_users(pk: int, /, *, count: int) -> QuerySet[User]:
    BUILT.append(count)
    return User.objects.filter(pk__gt=pk)[:count]


@pytest.fixture
def people(db: None) -> list[User]:
    """Return two users, who joined on two days."""
    return [User.objects.create_user(name, date_joined=DAY + timedelta(days=number))
            for number, name in enumerate(("ada", "bea"))]


def test_it_is_built_once_and_answers_each_value(people: list[User]) -> None:
    named("nobody")
    BUILT.clear()
    with CaptureQueriesContext(connection) as asked:
        assert [named(name) for name in ("ada", "bea", "it's", "")] == [[people[0]], [people[1]], [], []]
    assert not BUILT
    assert len(asked) == 4


def test_postgres_keeps_it_too(people: list[User]) -> None:
    named("ada")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%auth_user%username%'")
            assert cursor.fetchone()[0] >= 1


@pytest.mark.postgres
def test_all_that_asks_so_does_on_postgres(postgres_url: str) -> None:
    outside = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-m", "not postgres",
         *(f"tests/webapp/{one}" for one in ASKING)],
        env={**outside, "LABELFREE_TEST_DATABASE_URL": postgres_url}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]


def test_it_keeps_no_threads_connection_open(people: list[User]) -> None:
    assert Prepared(User.objects.filter(pk=people[0].pk))._compiler.connection is None


def test_models_are_whole(people: list[User]) -> None:
    found = named("ada")[0]
    found.first_name = "Ada"
    found.save()
    assert User.objects.get(pk=people[0].pk).first_name == "Ada"
    assert found.date_joined == DAY


def test_dates_and_each_shape_has_its_own_query(people: list[User]) -> None:
    assert joined_before(DAY + timedelta(days=2), descending=False) == ["ada", "bea"]
    assert joined_before(DAY + timedelta(days=2), descending=True) == ["bea", "ada"]
    assert joined_before(DAY + timedelta(days=1), descending=True) == ["ada"]
    assert joined_before(DAY, descending=False) == []


def test_relations_what_is_left_out_and_subqueries_are_as_the_queryset_gives_them(people: list[User]) -> None:
    made = [Collection.objects.create(owner=people[0], name=str(number)) for number in range(3)]
    Collection.objects.create(owner=people[1], name="alone")
    with CaptureQueriesContext(connection) as asked:
        found = collections_with_owner(people[0].pk)
        assert [(one.pk, one.owner, one.others) for one in found] == [  # type: ignore[attr-defined]
            (one.pk, people[0], 2) for one in made]
    assert len(asked) == 1
    assert found[1].name == "1"  # fetched now
    assert [one.others for one in collections_with_owner(people[1].pk)] == [None]  # type: ignore[attr-defined]


def test_a_number_that_no_column_holds_is_found_nowhere(people: list[User]) -> None:
    assert collections_with_owner(10**30) == []


def test_a_text_that_postgres_cannot_hold_is_found_nowhere(people: list[User]) -> None:
    assert named("ada\0") == []


def test_a_slice_of_nothing_is_nothing(people: list[User]) -> None:
    assert first_users(0, count=0) == []
    assert first_users(0, count=1) == people[:1]


@pytest.mark.django_db(transaction=True)
def test_threads_ask_by_their_own_connections() -> None:
    people = [User.objects.create_user(f"person {number}") for number in range(8)]
    found: dict[int, list[User]] = {}

    def ask(number: int) -> None:
        for _ in range(20):
            found[number] = named(f"person {number}")
        connection.close()

    threads = [threading.Thread(target=ask, args=[number]) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == {number: [people[number]] for number in range(8)}


def test_of_endless_shapes_only_some_are_kept(people: list[User]) -> None:
    first_users(0, count=1)
    for count in range(2, SHAPES_AT_MOST + 2):
        first_users(0, count=count)
    BUILT.clear()
    assert first_users(0, count=1) == people[:1]
    assert first_users(0, count=SHAPES_AT_MOST + 1) == people
    assert BUILT == [1]
