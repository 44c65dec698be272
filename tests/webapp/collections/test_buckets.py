"""A bucket as a source, on a real S3 server: below the listed prefixes only, only what is new, and no secret told."""

from __future__ import annotations

import importlib.util
import logging
import os
import time
from uuid import uuid4

import pytest

from tests.bucket_server import KEY, POOR_KEY, SECRET, free_port, serving
from tests.webapp.collections.bucket_source import add, forget_credentials, names
from tests.webapp.collections.pictures import png, zipped
from tests.webapp.collections.reading import read_all
from webapp.audit.models import Entry
from webapp.collections import buckets, storage
from webapp.collections.models import Collection, Image, Refusal, Upload
from webapp.config.bucket_list import parse

OBJECTS = {
    "2026/birds/1.png": png(1), "2026/1.png": png(2), "2026/more.zip": zipped({"2.png": png(3)}),
    "2026/birdsong/1.png": png(4), "2026/ü ?#%&+.png": png(5), "2026/twice//1.png": png(6),
    "2026/.DS_Store": b"x", "2026/empty/": b"", "private/9.png": png(9),
}

pytestmark = pytest.mark.usefixtures("aws_environment", "told")


@pytest.fixture(scope="module")
def server():
    if importlib.util.find_spec("swift") is None:
        pytest.skip("no Swift: it is installed with the extra `test` on Linux")
    with serving() as running:
        yield running


@pytest.fixture
def bucket(server, settings):
    """List a prefix of a bucket of the test's own; return the bucket's name there."""
    name = f"b{uuid4().hex}"
    server.client.create_bucket(Bucket=name)
    server.put(name, OBJECTS)
    settings.SOURCE_BUCKETS = parse(f"museum={server.endpoint}/{name}/2026")
    return name


def test_a_bucket_becomes_images_with_its_folders_as_provenance(
        signed_in, collection, bucket, told, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert "6 new files of museum" in add(signed_in, collection)
    assert len(told) == 6
    read_all()
    assert set(Image.objects.values_list("path", flat=True)) == {
        "museum/1.png", "museum/birds/1.png", "museum/birdsong/1.png", "museum/ü ?#%&+.png", "museum/twice/1.png",
        "2.png"}
    assert list(Refusal.objects.values_list("path", "left_out")) == [("museum/.DS_Store", True)]
    assert not list(storage.upload_file(Upload.objects.first().pk).parent.iterdir())
    assert Entry.objects.get().what == "added 6 files of the bucket museum"


def test_asked_again_it_adds_only_what_is_new(signed_in, collection, bucket, server):
    add(signed_in, collection)
    read_all()
    assert "Nothing new" in add(signed_in, collection)
    server.put(bucket, {"2026/birds/2.png": png(7)})
    assert "1 new file of museum" in add(signed_in, collection)
    read_all()
    assert (Image.objects.count(), Refusal.objects.count()) == (7, 1)


@pytest.mark.parametrize("below", ["birds", "/birds/"])
def test_only_a_folder_of_it_and_no_other_of_a_longer_name(signed_in, collection, bucket, below):
    add(signed_in, collection, below)
    assert names() == {"museum/birds/1.png"}


@pytest.mark.parametrize("below", ["..", "../private", "birds/../../private", "nowhere", "1.png", "\0"])
def test_no_way_leads_out(signed_in, collection, bucket, below):
    assert "there is n" in add(signed_in, collection, below)
    assert not Upload.objects.exists()


@pytest.mark.parametrize("name", ["other", "", "0", "museum/private"])
def test_what_is_not_listed_is_refused(signed_in, collection, bucket, name):
    assert "LABELFREE_BUCKETS" in add(signed_in, collection, bucket=name)
    assert not Upload.objects.exists()


@pytest.mark.parametrize("source", [
    "s3://museum/private/9.png?etag=", "s3://other/2026/1.png?etag=", "s3://", "s3://museum"])
def test_what_is_not_listed_is_not_fetched_either(collection, bucket, source):
    Upload.objects.create(collection=collection, name="9.png", size_bytes=len(png(9)), status="received", source=source)
    read_all()
    assert "not among those" in Refusal.objects.get().reason
    assert not Image.objects.exists()


def test_a_bucket_that_is_not_listed_any_more_gives_nothing(signed_in, collection, bucket, settings):
    add(signed_in, collection, "birds")
    settings.SOURCE_BUCKETS = []
    read_all()
    assert "not among those" in Refusal.objects.get().reason


@pytest.mark.parametrize("content", [png(8), png(1)[:-1] + b"x"], ids=["another", "another of the same size"])
def test_an_object_that_changed_since_it_was_listed_is_refused_and_taken_when_asked_again(
        signed_in, collection, bucket, server, content):
    add(signed_in, collection, "birds")
    server.put(bucket, {"2026/birds/1.png": content})
    read_all()
    assert "has changed in its bucket" in Refusal.objects.get().reason
    server.put(bucket, {"2026/birds/1.png": png(7)})
    assert "1 new file" in add(signed_in, collection, "birds")
    read_all()
    assert (Image.objects.count(), Refusal.objects.count(), Upload.objects.count()) == (1, 0, 1)


def test_an_object_that_has_gone_is_refused_by_name(signed_in, collection, bucket, server):
    add(signed_in, collection, "birds")
    server.client.delete_object(Bucket=bucket, Key="2026/birds/1.png")
    read_all()
    assert list(Refusal.objects.values_list("path", flat=True)) == ["museum/birds/1.png"]
    assert "has gone from its bucket" in Refusal.objects.get().reason


def test_a_quota_holds_before_anything_is_noted(signed_in, collection, bucket, settings):
    settings.QUOTA_BYTES = 100
    assert "Delete a collection" in add(signed_in, collection)
    assert not Upload.objects.exists()


def test_a_disk_without_room_holds_too(signed_in, collection, bucket, monkeypatch):
    monkeypatch.setattr("webapp.collections.room.SPARE_BYTES", 2**60)
    assert "disk has" in add(signed_in, collection)
    assert not Upload.objects.exists()


def test_more_objects_than_a_request_can_list_are_taken_part_by_part(signed_in, collection, bucket, monkeypatch):
    monkeypatch.setattr(buckets, "OBJECTS_AT_ONCE", PART := 3)
    assert f"more than {PART} objects; add one folder after the other" in add(signed_in, collection)
    assert not Upload.objects.exists()
    assert "1 new file" in add(signed_in, collection, "birds")


def test_it_is_offered_where_there_is_a_bucket_and_nobody_is_asked_for_that(signed_in, collection, settings):
    settings.SOURCE_BUCKETS = parse(f"museum=http://127.0.0.1:{free_port()}/photos")
    address = f"/collections/{collection.pk}/images/"
    assert "From a bucket" in signed_in.get(address).content.decode()
    settings.SOURCE_BUCKETS = []
    assert "From a bucket" not in signed_in.get(address).content.decode()


def test_others_may_not_add(stranger, collection, bucket):
    assert stranger.post(f"/collections/{collection.pk}/bucket/", {"bucket": "museum"}).status_code == 404
    assert Collection.objects.get().uploads.count() == 0


def test_a_bucket_may_have_credentials_of_its_own(signed_in, collection, bucket, server, settings, monkeypatch):
    (settings.HOME / "credentials").write_text(f"[own]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", POOR_KEY)
    settings.SOURCE_BUCKETS = parse(f"museum={server.endpoint}/{bucket}/2026/birds?profile=own&region=eu-north-1")
    assert "1 new file" in add(signed_in, collection)
    read_all()
    assert Image.objects.get().path == "museum/1.png"


def test_aws_own_settings_may_say_where_the_bucket_is(signed_in, collection, bucket, server, settings, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.endpoint)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    (settings.HOME / "config").write_text("[default]\ns3 =\n    addressing_style = path\n")
    settings.SOURCE_BUCKETS = parse(f"museum=s3://{bucket}/2026/birds/")
    assert "1 new file" in add(signed_in, collection)


MISTAKES = {
    "a wrong secret": ({"AWS_SECRET_ACCESS_KEY": "another-secret"}, "", "renew them"),
    "a key that nobody has": ({"AWS_ACCESS_KEY_ID": "museum:nobody"}, "", "renew them"),
    "no credentials": ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "", "set AWS_ACCESS_KEY_ID"),
    "half of the credentials": ({"AWS_SECRET_ACCESS_KEY": None}, "", "set AWS_ACCESS_KEY_ID"),
    "a profile that is not there": ({}, "{endpoint}/{bucket}?profile=nobody", "set AWS_ACCESS_KEY_ID"),
    "credentials without rights": ({"AWS_ACCESS_KEY_ID": POOR_KEY}, "", "for the rights to list and to read"),
    "no such bucket": ({}, "{endpoint}/no-such-bucket", "there is no bucket at its address"),
    "nobody there": ({}, "http://127.0.0.1:{closed}/photos", "it does not answer"),
    "http where https is said": ({}, "https{tail}/photos", "AWS_CA_BUNDLE"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_goes_wrong_is_a_sentence_with_the_fix_and_no_secret(
        signed_in, collection, bucket, server, settings, monkeypatch, caplog, mistake):
    variables, address, sentence = MISTAKES[mistake]
    for name, value in variables.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    if address:
        place = address.format(endpoint=server.endpoint, tail=server.endpoint.removeprefix("http"), bucket=bucket,
                               closed=free_port())
        settings.SOURCE_BUCKETS = parse(f"museum={place}")
    with caplog.at_level(logging.INFO):
        page = add(signed_in, collection)
    assert "museum: " in page and sentence in page
    assert not Upload.objects.exists()
    for secret in (SECRET, "another-secret", KEY, POOR_KEY, "museum:nobody", "AWS4-HMAC"):
        assert secret not in page + caplog.text


def test_a_line_that_breaks_leaves_nothing_half_and_the_upload_waits(
        signed_in, collection, bucket, settings, odd, caplog):
    add(signed_in, collection)
    listed = settings.SOURCE_BUCKETS
    size = Upload.objects.get(name="museum/1.png").size_bytes
    handler, address = odd(200, b"half", size)
    settings.SOURCE_BUCKETS = parse(f"museum={address}/{bucket}/2026")
    Upload.objects.exclude(size_bytes=size).update(status="refused")  # the odd server knows one size
    waiting = list(Upload.objects.filter(status="received"))
    read_all()
    assert handler.asked == 1, "the others do not ask a server that did not answer a moment ago"
    assert Upload.objects.filter(status="received").count() == len(waiting) > 1
    assert not list(settings.UPLOADS_ROOT.iterdir())
    page = signed_in.get(f"/collections/{collection.pk}/arrivals/").content.decode()
    assert SECRET not in caplog.text + page
    assert "museum: it does not answer" in Upload.objects.filter(status="received").first().message

    settings.SOURCE_BUCKETS = listed
    note = settings.CACHE_ROOT / "bucket-museum.away"
    read_all()
    assert not Image.objects.exists()
    os.utime(note, (time.time() - buckets.ASK_AGAIN_SECONDS - 1,) * 2)
    read_all()
    assert Image.objects.count() == len(waiting)
    assert not Refusal.objects.exclude(left_out=True).exists()


def test_credentials_that_are_refused_by_now_let_the_upload_wait(signed_in, collection, bucket, monkeypatch, caplog):
    add(signed_in, collection, "birds")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    forget_credentials()
    read_all()
    upload = Upload.objects.get()
    assert (upload.status, "renew them" in upload.message) == ("received", True)
    assert KEY not in upload.message + caplog.text


def test_an_object_that_may_not_be_read_is_refused_by_name(signed_in, collection, bucket, monkeypatch):
    add(signed_in, collection, "birds")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", POOR_KEY)
    forget_credentials()
    read_all()
    assert "may not read it" in Refusal.objects.get().reason


def test_a_full_disk_lets_the_upload_wait(signed_in, collection, bucket, monkeypatch):
    add(signed_in, collection, "birds")
    monkeypatch.setattr("pathlib.Path.open", full)
    read_all()
    monkeypatch.undo()
    assert "disk is full" in Upload.objects.get().message


def full(*_, **__):
    raise OSError(28, "No space left on device")


def test_no_secret_is_in_the_database(signed_in, collection, bucket):
    add(signed_in, collection)
    assert not any(secret in upload.source for upload in Upload.objects.all() for secret in (KEY, SECRET))
