"""Uploads by tus 1.0, as a client that knows the protocol sees them."""

from __future__ import annotations

import base64
import errno
import fcntl
import json
import uuid
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.test import Client
from django.utils import timezone

from webapp.accounts.models import ApiToken
from webapp.collections import receiving, room, storage, uploads
from webapp.collections.models import Collection, Upload

CHUNK = "application/offset+octet-stream"


def metadata(collection: Collection | int | str, name: str = "a.png", **more: str) -> str:
    pairs = {"filename": name, "collection": str(getattr(collection, "pk", collection)), **more}
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


def announce(client, collection, size: int, name: str = "a.png", body: bytes | None = None, **more: str):
    content = {"data": body, "content_type": CHUNK} if body is not None else {}
    return client.post("/uploads/", **content, headers={
        "Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Upload-Metadata": metadata(collection, name, **more)})


def patch(client, address: str, at: int, body: bytes, kind: str = CHUNK):
    return client.patch(address, body, content_type=kind, headers={"Tus-Resumable": "1.0.0", "Upload-Offset": str(at)})


def head(client, address: str):
    return client.head(address, headers={"Tus-Resumable": "1.0.0"})


def test_a_file_announced_many_times_at_once_is_one_upload(server):
    """As by a browser whose line broke, and its second window: none may look before the other has written."""
    with server.client(server.owner) as browser:
        browser.get("/")
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "X-CSRFToken": browser.cookies["labelfree_csrf"],
                   "Upload-Metadata": metadata(1, "twice.png", modified="1700000000000")}
        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(lambda _: browser.post("/uploads/", headers=headers), range(32)))
        assert browser.delete(answers[0].headers["Location"], headers=headers).status_code == 204  # others come after
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.headers["Location"] for answer in answers}) == 1


def test_it_says_what_it_can(signed_in):
    response = signed_in.options("/uploads/")
    assert response.status_code == 204
    assert response["Tus-Version"] == "1.0.0"
    assert response["Tus-Extension"] == "creation,creation-with-upload,termination"


def test_a_file_comes_in_chunks_and_is_handed_to_a_worker_at_its_end(
        signed_in, collection, sent, django_capture_on_commit_callbacks):
    made = announce(signed_in, collection, 10, "trip/day 1/ä.png", modified="1700000000000")
    assert made.status_code == 201
    address = made["Location"]
    assert address.startswith("/uploads/")
    with django_capture_on_commit_callbacks(execute=True):
        assert patch(signed_in, address, 0, b"01234")["Upload-Offset"] == "5"
    assert sent == []
    assert head(signed_in, address)["Upload-Offset"] == "5"
    assert head(signed_in, address)["Cache-Control"] == "no-store"
    with django_capture_on_commit_callbacks(execute=True):
        assert patch(signed_in, address, 5, b"56789").status_code == 204
    upload = Upload.objects.get()
    assert (upload.name, upload.status, upload.received_bytes) == ("trip/day 1/ä.png", "received", 10)
    assert upload.sender == collection.owner
    assert upload.modified_ms == 1700000000000
    assert storage.upload_file(upload.pk).read_bytes() == b"0123456789"
    assert sent == [("workers.tasks.read_upload", str(upload.pk), "cpu")]


def test_a_small_file_needs_one_request(signed_in, collection, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        made = announce(signed_in, collection, 5, body=b"01234")
    assert (made.status_code, made["Upload-Offset"]) == (201, "5")
    assert len(sent) == 1


def test_an_empty_file_is_complete_at_once(signed_in, collection):
    assert announce(signed_in, collection, 0)["Upload-Offset"] == "0"
    assert Upload.objects.get().status == "received"


def test_a_token_is_as_good_as_a_session(alice, collection):
    _, secret = ApiToken.issue(alice, "script")
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"})
    assert announce(client, collection, 5, body=b"01234").status_code == 201


def test_a_session_needs_the_csrf_token(alice, collection):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert announce(client, collection, 5, body=b"01234").status_code == 403
    token = client.get("/account/").content.decode().split('"X-CSRFToken": "')[1].split('"')[0]
    assert client.post("/uploads/", b"01234", content_type=CHUNK, headers={
        "Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": metadata(collection),
        "X-CSRFToken": token}).status_code == 201


def test_it_conflicts_where_the_offset_is_wrong(signed_in, collection):
    address = announce(signed_in, collection, 10)["Location"]
    patch(signed_in, address, 0, b"012")
    response = patch(signed_in, address, 0, b"012")
    assert response.status_code == 409
    assert response.content == b"The next byte is 3, not 0."
    assert head(signed_in, address)["Upload-Offset"] == "3"


def test_it_refuses_more_than_was_announced(signed_in, collection):
    address = announce(signed_in, collection, 3)["Location"]
    assert patch(signed_in, address, 0, b"0123").status_code == 413


def test_it_refuses_a_chunk_that_is_too_large(signed_in, collection, settings):
    settings.CHUNK_BYTES = 1024 * 1024
    address = announce(signed_in, collection, 3 * 2**20)["Location"]
    response = patch(signed_in, address, 0, b"0" * (2**20 + 1))
    assert response.status_code == 413
    assert b"at most 1 MB" in response.content
    assert head(signed_in, address)["Upload-Offset"] == "0"


def test_it_refuses_a_file_that_is_too_large(signed_in, collection):
    assert announce(signed_in, collection, receiving.MAX_UPLOAD_BYTES + 1).status_code == 413


@pytest.mark.parametrize("name", ["trip.zip", "trip.TAR.gz"])
def test_it_refuses_before_the_first_byte_an_archive_that_could_never_be_unpacked(signed_in, collection, name):
    response = announce(signed_in, collection, 50_000_000_001, name)
    assert response.status_code == 413
    assert b"at most 50 GB unpacked" in response.content
    assert b"Drop the folder itself, or split it." in response.content
    assert not Upload.objects.exists()
    assert receiving.MAX_UNPACKED_BYTES == 50_000_000_000


def test_the_bound_of_an_archive_is_said_where_it_is_dropped(signed_in, collection):
    page = signed_in.get(f"/collections/{collection.pk}/", follow=True).content.decode()
    most = receiving.MAX_UNPACKED_BYTES // 10**9
    assert f"One archive: at most {most} GB unpacked. A dropped folder has no bound but the disk." in page


def test_it_refuses_what_would_fill_the_disk(signed_in, collection, monkeypatch):
    usage = namedtuple("usage", "total used free")
    left = usage(10**9, 9 * 10**8, 250 * 2**20)
    monkeypatch.setattr("webapp.collections.room.shutil.disk_usage", lambda _: left)
    response = announce(signed_in, collection, 100 * 2**20)
    assert response.status_code == 507
    assert b"250 MB free" in response.content
    assert not Upload.objects.exists()


def test_a_disk_that_fills_keeps_what_arrived(signed_in, collection, monkeypatch):
    address = announce(signed_in, collection, 10)["Location"]
    patch(signed_in, address, 0, b"0123")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("webapp.collections.receiving.os.fsync", full)
    response = patch(signed_in, address, 4, b"4567")
    assert response.status_code == 507
    assert b"disk is full" in response.content
    monkeypatch.undo()
    assert head(signed_in, address)["Upload-Offset"] == "4"


def test_it_goes_on_after_a_crash_between_disk_and_row(signed_in, collection):
    address = announce(signed_in, collection, 8)["Location"]
    patch(signed_in, address, 0, b"0123")
    upload = Upload.objects.get()
    with storage.upload_file(upload.pk).open("ab") as file:
        file.write(b"??")  # written, never counted
    assert head(signed_in, address)["Upload-Offset"] == "4"
    patch(signed_in, address, 4, b"4567")
    assert storage.upload_file(upload.pk).read_bytes() == b"01234567"


def test_it_sends_again_what_the_disk_lost(signed_in, collection):
    address = announce(signed_in, collection, 8)["Location"]
    patch(signed_in, address, 0, b"0123")
    storage.upload_file(Upload.objects.get().pk).write_bytes(b"01")
    assert head(signed_in, address)["Upload-Offset"] == "2"
    assert patch(signed_in, address, 2, b"234567").status_code == 204


def test_one_writer_at_a_time(signed_in, collection):
    address = announce(signed_in, collection, 8)["Location"]
    patch(signed_in, address, 0, b"01")
    with storage.upload_file(Upload.objects.get().pk).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert patch(signed_in, address, 2, b"23").status_code == 423
    assert patch(signed_in, address, 2, b"23").status_code == 204


def test_a_complete_upload_takes_no_more(signed_in, collection):
    address = announce(signed_in, collection, 2, body=b"01")["Location"]
    assert patch(signed_in, address, 2, b"2").status_code == 409
    assert head(signed_in, address)["Upload-Offset"] == "2"


def test_it_drops_what_is_unfinished_only(signed_in, collection):
    unfinished = announce(signed_in, collection, 8, body=b"01")["Location"]
    whole = announce(signed_in, collection, 2, body=b"01")["Location"]
    file = storage.upload_file(unfinished.rsplit("/", 1)[1])
    assert file.exists()
    delete = {"headers": {"Tus-Resumable": "1.0.0"}}
    assert signed_in.delete(unfinished, **delete).status_code == 204
    assert not file.exists()
    assert head(signed_in, unfinished).status_code == 404
    assert signed_in.delete(whole, **delete).status_code == 409


@pytest.mark.parametrize("method", ["head", "patch", "delete"])
def test_others_uploads_do_not_exist(signed_in, stranger, collection, method):
    address = announce(signed_in, collection, 8, body=b"01")["Location"]
    extra = {"data": b"23", "content_type": CHUNK} if method == "patch" else {}
    response = getattr(stranger, method)(address, **extra, headers={"Tus-Resumable": "1.0.0", "Upload-Offset": "2"})
    assert response.status_code == 404
    assert storage.upload_file(Upload.objects.get().pk).read_bytes() == b"01"


def test_others_collections_do_not_exist(stranger, collection):
    assert announce(stranger, collection, 8).status_code == 404
    assert not Upload.objects.exists()


@pytest.mark.parametrize(("headers", "status", "words"), [
    ({"Tus-Resumable": "0.2.0"}, 412, b"tus 1.0.0"),
    ({"Upload-Length": "many"}, 400, b"Upload-Length"),
    ({"Upload-Length": "-1"}, 400, b"Upload-Length"),
    ({"Upload-Metadata": "filename !!!"}, 400, b"base64"),
    ({"Upload-Metadata": "filename \u00e9"}, 400, b"base64"),
    ({"Upload-Metadata": ""}, 400, b"collection"),
])
def test_it_names_what_is_wrong_with_an_announcement(signed_in, collection, headers, status, words):
    right = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": metadata(collection)}
    response = signed_in.post("/uploads/", headers=right | headers)
    assert (response.status_code, words in response.content) == (status, True)
    assert response["Tus-Resumable"] == "1.0.0"


def test_it_names_the_wrong_kind_of_chunk(signed_in, collection):
    address = announce(signed_in, collection, 5)["Location"]
    assert patch(signed_in, address, 0, b"01234", kind="image/png").status_code == 415


def test_a_missing_upload_is_a_plain_404(signed_in):
    response = head(signed_in, f"/uploads/{uuid.uuid4()}")
    assert response.status_code == 404


@pytest.mark.parametrize(("name", "shown"), [
    ("../../etc/passwd", "etc/passwd"), ("C:\\photos\\a.png", "C:/photos/a.png"), ("/abs/a.png", "abs/a.png"),
    ("a\x00b\n.png", "ab.png"), ("", "unnamed"), ("..", "unnamed")])
def test_names_are_for_showing_only(name, shown):
    assert receiving.clean_name(name) == shown


def ask(client, collection, files: list[list[object]]):
    return client.post("/uploads/known/", json.dumps({"collection": collection.pk, "files": files}),
                       content_type="application/json")


def test_what_nobody_went_on_sending_for_a_week_is_dropped_and_frees_its_room(signed_in, alice, collection, settings):
    settings.QUOTA_BYTES = 1000
    for name in ("old.png", "new.png", "whole.png"):
        announce(signed_in, collection, 10, name, b"01234" if name != "whole.png" else b"0123456789")
    Upload.objects.exclude(name="new.png").update(updated_at=timezone.now() - uploads.UNFINISHED_LIFETIME)
    old = Upload.objects.get(name="old.png")
    assert uploads.drop_forgotten() == 1
    assert set(Upload.objects.values_list("name", flat=True)) == {"new.png", "whole.png"}
    assert not storage.upload_file(old.pk).exists()
    assert room.share(alice).used_bytes == 20
    assert head(signed_in, f"/uploads/{old.pk}").status_code == 404
    assert uploads.drop_forgotten() == 0


def test_a_folder_dropped_again_sends_only_what_is_missing(signed_in, collection):
    announce(signed_in, collection, 2, "trip/here.png", body=b"01", modified="1000")
    half = announce(signed_in, collection, 9, "trip/half.png", body=b"01", modified="1000")["Location"]
    response = ask(signed_in, collection, [
        ["trip/here.png", 2, 1000], ["trip/half.png", 9, 1000], ["trip/new.png", 2, 1000], ["trip/here.png", 2, 2000]])
    assert response.json() == {"files": ["here", half, None, None]}


def test_a_file_announced_again_because_the_answer_was_lost_comes_once(signed_in, collection):
    first = announce(signed_in, collection, 5, body=b"012", modified="1000")
    again = announce(signed_in, collection, 5, body=b"012", modified="1000")
    assert (again.status_code, again["Location"], again["Upload-Offset"]) == (201, first["Location"], "3")
    patch(signed_in, first["Location"], 3, b"34")
    assert announce(signed_in, collection, 5, body=b"01234", modified="1000")["Upload-Offset"] == "5"
    assert storage.upload_file(Upload.objects.get().pk).read_bytes() == b"01234"


def test_a_file_that_was_read_meanwhile_comes_once(signed_in, collection):
    first = announce(signed_in, collection, 5, body=b"01234", modified="1000")
    Upload.objects.update(status="done", sha256="a" * 64)  # by whoever read it
    again = announce(signed_in, collection, 5, body=b"01234", modified="1000")
    assert (again["Location"], again["Upload-Offset"]) == (first["Location"], "5")
    assert announce(signed_in, collection, 5, modified="1000", sha256="b" * 64)["Location"] != first["Location"]


def test_a_file_without_its_time_is_never_taken_for_another(signed_in, collection):
    for _ in range(2):
        announce(signed_in, collection, 5, body=b"01234")
    assert Upload.objects.count() == 2


def test_a_refused_file_may_be_sent_again(signed_in, collection):
    announce(signed_in, collection, 2, "a.png", body=b"01", modified="1000")
    Upload.objects.update(status="refused")
    assert ask(signed_in, collection, [["a.png", 2, 1000]]).json() == {"files": [None]}


@pytest.mark.parametrize("body", [
    "", "[]", "{}", '{"collection": 1, "files": [1]}', '{"collection": "x", "files": []}', "[" * 100_000,
    '{"collection": 1e999, "files": []}', f'{{"collection": {10**30}, "files": []}}'])
def test_it_names_what_is_wrong_with_a_list_of_files(signed_in, db, body):
    response = signed_in.post("/uploads/known/", body, content_type="application/json")
    assert response.status_code in (400, 404)
    assert response.json()["error"]["fix"]


def test_others_may_not_ask_what_is_here(stranger, collection):
    assert ask(stranger, collection, []).status_code == 404
