"""A run's end is told to whoever started it, though the collection is somebody else's."""

from __future__ import annotations

import json

import pytest
from django.urls import reverse

from tests.webapp.runs import rows
from tests.webapp.runs.test_new import filled
from webapp.notices import outbox
from webapp.notices.models import Notice, NoticeSettings
from webapp.runs.models import Run
from webapp.sharing.models import Membership, Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def collection(alice, charlie, sent):
    """Return a collection of Alice's in which Charlie may start runs; both want to hear of theirs."""
    one = rows.collection(alice)
    Membership.objects.create(collection=one, user=charlie, role=Role.OWNER)
    for person in (alice, charlie):
        NoticeSettings.objects.create(user=person, email=f"{person.username}@example.org")
    return one


def told(run: Run) -> list[str]:
    outbox.note_end(run.pk)
    return list(Notice.objects.filter(run=run).values_list("recipient__username", flat=True))


def by_page(client, collection, method="must"):
    client.post(reverse("runs:new", args=[collection.pk]), filled(collection, method))


def by_program(client, collection):
    client.post(f"/api/v1/collections/{collection.pk}/runs", json.dumps({"method": "must"}),
                content_type="application/json")


def again(client, collection):
    client.post(reverse("runs:again", args=[rows.run(collection).pk]))


@pytest.mark.parametrize("start", [by_page, by_program, again])
def test_whoever_starts_a_run_is_told_of_its_end_and_of_its_baseline_s(stranger, collection, start):
    start(stranger, collection)
    run = Run.objects.latest("pk")
    assert (run.method, run.status) == ("must", "queued") and run.baseline
    assert told(run) == told(run.baseline) == ["charlie"]


def test_a_baseline_that_another_run_uses_later_is_still_told_to_who_asked_for_it(signed_in, stranger, collection):
    by_page(signed_in, collection, "zeroshot")
    by_program(stranger, collection)
    run = Run.objects.latest("pk")
    assert (told(run), told(run.baseline)) == (["charlie"], ["alice"])


def test_the_owner_is_told_where_nobody_is_known_to_have_started_it(stranger, charlie, collection):
    by_page(stranger, collection)
    charlie.delete()
    assert told(Run.objects.latest("pk")) == told(rows.run(collection)) == ["alice"]
