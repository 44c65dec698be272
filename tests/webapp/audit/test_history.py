"""The audit trail: each kind of change leaves one entry with who, what and when; what fails leaves none."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from core.catalog import METHODS
from tests.webapp.runs import rows
from webapp.accounts.models import ApiToken
from webapp.audit.models import Entry
from webapp.audit.trail import history
from webapp.collections.models import Collection, Upload
from webapp.review import actions
from webapp.sharing.models import Invitation, Membership, Role


@pytest.fixture
def collection(alice):
    return rows.collection(alice)


def said(collection) -> list[tuple[str, str]]:
    """Return (who, what), the oldest first."""
    return [(row["who"], row["did"]) for row in history(collection)][::-1]


def test_each_change_of_a_collection_is_noted(collection, signed_in, charlie, stranger, sent):
    at = f"/collections/{collection.pk}"
    member = Membership.objects.create(collection=collection, user=charlie, role=Role.REVIEWER)
    signed_in.post(f"{at}/settings/", {"name": "Pets abroad"})
    signed_in.post(f"{at}/question/", {"kind": "number", "num_classes": "3"})
    signed_in.post(f"{at}/held-out/", {"how": "share", "percent": "20", "seed": "0"})
    signed_in.post(f"{at}/people/{member.pk}/", {"role": "viewer"})
    signed_in.post(f"{at}/invitations/", {"role": "viewer"})
    signed_in.post(f"{at}/invitations/{Invitation.objects.get().pk}/withdraw/")
    stranger.post(f"{at}/people/leave/")
    signed_in.post(f"/api/v1{at}/runs", {"method": "kmeans"}, content_type="application/json")
    run = collection.runs.get()
    signed_in.post(f"/runs/{run.pk}/cancel/")
    signed_in.post(f"/runs/{run.pk}/again/")
    signed_in.post(f"{at}/delete/")
    signed_in.post(f"/collections/trash/{collection.pk}/restore/")
    assert said(collection) == [
        ("alice", "renamed it from “Pets at home” to “Pets abroad”"), ("alice", "asked: 3 classes"),
        ("alice", "held out 12 images"), ("alice", "made charlie viewer"), ("alice", "made an invitation for a viewer"),
        ("alice", "withdrew an invitation"), ("charlie", "left"),
        ("alice", f"started run {run.pk}, {METHODS['kmeans'].title}"), ("alice", f"cancelled run {run.pk}"),
        ("alice", f"started run {run.pk} again, as run {run.pk + 1}"),
        ("alice", "moved it to the trash"), ("alice", "restored it from the trash")]


def test_what_was_refused_is_not_noted(collection, signed_in, stranger, charlie):
    at = f"/collections/{collection.pk}"
    signed_in.post(f"{at}/settings/", {"name": ""})
    signed_in.post(f"{at}/held-out/", {"how": "share", "percent": "200", "seed": "0"})
    signed_in.post(f"{at}/people/{collection.memberships.get().pk}/", {"role": "viewer"})
    stranger.post(f"{at}/settings/", {"name": "Mine"})
    Membership.objects.create(collection=collection, user=charlie, role=Role.VIEWER)
    stranger.post(f"{at}/settings/", {"name": "Mine"})
    done = rows.run(collection)
    signed_in.post(f"/runs/{done.pk}/cancel/")
    assert said(collection) == []


def test_a_program_is_noted_with_its_token(collection, alice, signed_in):
    _, secret = ApiToken.issue(alice, "field laptop")
    program = Client(headers={"Authorization": f"Bearer {secret}"})
    program.patch(f"/api/v1/collections/{collection.pk}", {"name": "Sent"}, content_type="application/json")
    pets = collection.class_list_version.class_list
    program.put(f"/api/v1/class-lists/{pets.pk}", {"names": ["cat", "hare"]}, content_type="application/json")
    assert said(collection) == [("alice", "set name to Sent"),
                                ("alice", f"edited the class list: {pets.name} v2, 2 names")]
    assert "field laptop" in signed_in.get(f"/collections/{collection.pk}/history/").content.decode()


def test_reviews_stand_in_it_with_what_was_undone(collection, alice, charlie, signed_in):
    run = rows.run(collection)
    rows.answer(run)
    images = list(collection.images.values_list("pk", flat=True)[:2])
    actions.correct(run, charlie, images, 2)
    actions.correct(run, alice, images, 1)
    actions.undo(run, alice)
    assert said(collection) == [("charlie", "labelled 2 images owl"), ("alice", "labelled 2 images dog")]
    page = signed_in.get(f"/collections/{collection.pk}/history/").content.decode()
    assert "<del>labelled 2 images dog</del>" in page and "<del>labelled 2 images owl</del>" not in page


def test_who_sent_files_stands_in_it_once_an_hour(collection, alice, charlie):
    at = timezone.now().replace(minute=10, second=0, microsecond=0) - timedelta(hours=5)
    for sender, members, minutes in ((alice, 1, 0), (alice, 40, 20), (charlie, 1, 30), (alice, 1, 70), (None, 1, 75)):
        upload = Upload.objects.create(collection=collection, sender=sender, name="a", size_bytes=1, status="done",
                                       members_total=members)
        Upload.objects.filter(pk=upload.pk).update(created_at=at + timedelta(minutes=minutes))
    Upload.objects.create(collection=collection, sender=alice, name="a", size_bytes=1, source="/of/the/server.png",
                          status="done", members_total=1)  # what it came of is noted when it is asked for
    Upload.objects.create(collection=collection, sender=alice, name="a", size_bytes=1, members_total=1)  # on its way
    assert said(collection) == [("alice", "sent files: 41"), ("charlie", "sent files: 1"), ("alice", "sent files: 1")]


def test_who_joins_is_noted(collection, alice, client):
    secret = Invitation.objects.issue(collection, Role.VIEWER, alice)
    password = "a sentence is good"
    client.post(f"/invitations/{secret}/", {"username": "dora", "password1": password, "password2": password})
    assert said(collection) == [("dora", "joined by the invitation of alice")]


def test_it_outlives_person_and_collection(collection, alice, signed_in):
    signed_in.post(f"/collections/{collection.pk}/delete/")
    name = collection.name
    signed_in.post(f"/collections/trash/{collection.pk}/delete/", {"confirm": name})
    assert not Collection.objects.exists()
    alice.delete()
    kept = list(Entry.objects.order_by("pk").values_list("actor_name", "collection_name", "what"))
    assert kept == [("alice", name, "moved it to the trash"), ("alice", name, "deleted it for good")]


@pytest.mark.parametrize("role", [None, "viewer", "reviewer"])
def test_only_owners_read_it(collection, charlie, stranger, role):
    if role:
        Membership.objects.create(collection=collection, user=charlie, role=role)
    assert stranger.get(f"/collections/{collection.pk}/history/").status_code == (403 if role else 404)
