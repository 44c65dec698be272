"""The pages of collections: home, the wall, one image, arrivals, settings, deletion."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.webapp.collections.pictures import png, zipped
from tests.webapp.runs import rows
from webapp.collections import storage, wall
from webapp.collections.ingest import read_upload
from webapp.collections.models import Collection, Image, Refusal, Upload
from webapp.runs.models import Run
from webapp.runs.presence import beat


@pytest.fixture
def five(brought, collection):
    brought("trip.zip", zipped({f"{number}.png": png(number) for number in range(4)} | {"again.png": png(0)}))
    return collection


def shown(client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, address
    return response.content.decode()


def test_an_empty_home_teaches(signed_in):
    page = shown(signed_in, "/")
    assert "Drop a folder of photographs" in page
    assert "no telemetry" in page


def test_home_shows_cards_with_four_pictures(signed_in, stranger, five):
    page = shown(signed_in, "/")
    assert page.count("/media/thumbnails/") == 4
    assert "5 images" in page
    assert "Field trip" not in shown(stranger, "/")


def test_home_shows_runs_in_progress(signed_in, five):
    Run.objects.create(collection=five, owner=five.owner, method="must", status="running", lease_token="x",
                       lease_expires_at=timezone.now(), step=42, total=100, stage="adapting")
    page = shown(signed_in, "/")
    assert "42 %" in page
    assert "adapting" in page


def test_a_collection_is_made_with_a_name(signed_in, alice):
    response = signed_in.post("/collections/create/", {"name": "Camera traps"}, headers={"Accept": "application/json"})
    made = Collection.objects.get()
    assert response.status_code == 201
    assert response.json() == {"id": made.pk, "url": f"/collections/{made.pk}/images/"}
    assert (made.owner, made.name) == (alice, "Camera traps")


def test_a_collection_needs_a_name(signed_in):
    response = signed_in.post("/collections/create/", {"name": "  "}, headers={"Accept": "application/json"})
    assert response.status_code == 422
    assert "name" in response.json()["error"]["reason"]
    assert not Collection.objects.exists()


def test_names_are_shown_as_text(signed_in, alice):
    Collection.objects.create(owner=alice, name="<script>alert(1)</script>")
    assert "<script>alert" not in shown(signed_in, "/")


def test_the_wall_marks_duplicates_and_comes_page_by_page(signed_in, five, monkeypatch):
    monkeypatch.setattr(wall, "PAGE", 2)
    page = shown(signed_in, f"/collections/{five.pk}/images/")
    assert page.count("<figure>") == 2
    assert f"/collections/{five.pk}/images/wall/?after=1&amp;" in page
    rest = shown(signed_in, f"/collections/{five.pk}/images/wall/?after=3")
    assert (rest.count("<figure>"), rest.count("duplicate</span>")) == (1, 1)
    assert "images-changed from:body" in rest


def test_the_wall_filters_and_finds(signed_in, five):
    assert shown(signed_in, f"/collections/{five.pk}/images/?show=duplicates").count("<figure>") == 1
    assert shown(signed_in, f"/collections/{five.pk}/images/?find=3.PNG").count("<figure>") == 1
    assert "No such images" in shown(signed_in, f"/collections/{five.pk}/images/?find=nothing")


@pytest.mark.parametrize("query", ["after=x", "after=²", "after=--1", "after=99999999999999999999",
                                   "show=everything"])
def test_a_malformed_page_of_the_wall_does_not_exist(signed_in, five, query):
    assert signed_in.get(f"/collections/{five.pk}/images/wall/?{query}").status_code == 404


def test_an_image_links_to_its_twin(signed_in, five):
    page = shown(signed_in, f"/collections/{five.pk}/images/4/")
    assert f'href="/collections/{five.pk}/images/0/"' in page
    assert f'href="/collections/{five.pk}/images/4/"' in shown(signed_in, f"/collections/{five.pk}/images/0/")
    assert signed_in.get(f"/collections/{five.pk}/images/5/").status_code == 404


def test_refused_files_are_listed_with_names_and_reasons(signed_in, five, brought):
    brought("=cmd|notes.txt", b"no image")
    page = shown(signed_in, f"/collections/{five.pk}/images/")
    assert "=cmd|notes.txt" in page
    assert "not an image" in page
    signed_in.post(f"/collections/{five.pk}/refused/clear/")
    assert not Refusal.objects.exists()


def test_arrivals_tell_the_wall_when_something_is_new(signed_in, five):
    address = f"/collections/{five.pk}/arrivals/"
    assert signed_in.get(f"{address}?images=0&refused=0")["HX-Trigger"] == "images-changed"
    assert "HX-Trigger" not in signed_in.get(f"{address}?images=5&refused=0")


def test_the_page_says_when_no_worker_is_there(signed_in, collection, brought):
    brought("a.png", png(), read=False)
    address = f"/collections/{collection.pk}/images/"
    assert "No worker has been heard of" in shown(signed_in, address)
    beat("box:1", "cpu")
    page = shown(signed_in, address)
    assert "No worker" not in page
    assert "Reading images" in page
    assert "every 2s" in page


def test_the_page_says_when_the_disk_is_full(signed_in, collection, brought):
    beat("box:1", "cpu")
    brought("a.png", png(), read=False)
    Upload.objects.update(message="The disk is full.")
    assert "The disk is full." in shown(signed_in, f"/collections/{collection.pk}/images/")


def test_unfinished_uploads_are_listed_and_can_be_discarded(signed_in, stranger, collection):
    upload = Upload.objects.create(collection=collection, name="trip.zip", size_bytes=1000, received_bytes=400)
    storage.upload_file(upload.pk).write_bytes(b"0" * 400)
    address = f"/collections/{collection.pk}/images/"
    assert "stopped half-way" not in shown(signed_in, address)
    Upload.objects.update(updated_at=timezone.now() - timedelta(minutes=5))
    assert "trip.zip" in shown(signed_in, address)
    discard = f"/collections/uploads/{upload.pk}/discard/"
    assert stranger.post(discard).status_code == 404
    assert signed_in.post(discard).status_code == 302
    assert not Upload.objects.exists()
    assert not storage.upload_file(upload.pk).exists()


def test_what_waits_can_be_given_up_and_sent_again(signed_in, stranger, collection, brought):
    brought("read.png", png())
    brought("waits.png", png(9), read=False)
    brought("is being read.zip", zipped({"a.png": png(8)}), read=False)
    Upload.objects.filter(name="is being read.zip").update(status="reading", members_read=1)
    address, give_up = (f"/collections/{collection.pk}/{name}/" for name in ("images", "give-up"))
    assert "Give up the 2 still to be read" in shown(signed_in, address)
    assert stranger.post(give_up).status_code == 404
    assert signed_in.post(give_up).status_code == 302
    waited = Upload.objects.get(name="waits.png")
    assert (waited.status, storage.upload_file(waited.pk).exists()) == ("refused", False)
    page = shown(signed_in, address)
    assert "2 files given up" in page and "waits.png" in page and "Given up before it was read" in page
    assert "is being read.zip" in page and "what was read stays" in page
    read_upload(waited)  # a message that comes late
    assert set(Refusal.objects.values_list("path", flat=True)) == {"waits.png", "is being read.zip"}
    assert set(Upload.objects.exclude(name="read.png").values_list("status", flat=True)) == {"refused"}
    assert signed_in.post(give_up).status_code == 302
    assert "Nothing waits any more." in shown(signed_in, address)
    assert brought("waits.png", png(9)).status == "done"


def test_it_is_renamed(signed_in, collection):
    signed_in.post(f"/collections/{collection.pk}/settings/", {"name": "Spring"})
    collection.refresh_from_db()
    assert collection.name == "Spring"
    response = signed_in.post(f"/collections/{collection.pk}/settings/", {"name": ""})
    assert response.status_code == 422
    assert "Give the collection a name" in response.content.decode()


def test_deleting_for_good_removes_rows_and_files_after_the_commit(
        signed_in, five, settings, brought, django_capture_on_commit_callbacks):
    waiting = brought("later.png", png(9), read=False)
    run = Run.objects.create(collection=five, owner=five.owner, method="must")
    (settings.RUNS_ROOT / str(run.pk)).mkdir()
    signed_in.post(f"/collections/{five.pk}/delete/")
    with django_capture_on_commit_callbacks() as callbacks:
        signed_in.post(f"/collections/trash/{five.pk}/delete/", {"confirm": "Field trip"})
        assert storage.upload_file(waiting.pk).exists()
    for callback in callbacks:
        callback()
    assert not Collection.objects.exists()
    assert not Image.objects.exists()
    for root in (settings.MEDIA_ROOT, settings.UPLOADS_ROOT):
        assert not [path for path in root.rglob("*") if path.is_file()]
    assert not (settings.RUNS_ROOT / str(run.pk)).exists()


def test_deleting_for_good_needs_the_name(signed_in, collection):
    signed_in.post(f"/collections/{collection.pk}/delete/")
    signed_in.post(f"/collections/trash/{collection.pk}/delete/", {"confirm": "Field tri"})
    assert Collection.objects.exists()


def test_pages_of_a_missing_collection_say_so(signed_in):
    response = signed_in.get("/collections/99/images/")
    assert response.status_code == 404
    assert "Nothing here" in response.content.decode()


@pytest.mark.parametrize("tab", ["images", "question", "runs", "settings"])
def test_no_page_carries_inline_styles_or_scripts(signed_in, five, tab):
    page = shown(signed_in, f"/collections/{five.pk}/{tab}/")
    assert " style=" not in page
    assert "<script>" not in page
    assert " onclick=" not in page


def test_undoing_a_runs_deletion_is_offered_on_the_page_of_its_own_collection_alone(signed_in, alice, collection):
    other = Collection.objects.create(owner=alice, name="Elsewhere")
    signed_in.post(f"/runs/{rows.run(collection).pk}/delete/")
    assert "Undo" not in shown(signed_in, f"/collections/{other.pk}/runs/")
    assert "Undo" in shown(signed_in, f"/collections/{collection.pk}/runs/")
    assert "Undo" not in shown(signed_in, f"/collections/{collection.pk}/runs/")
