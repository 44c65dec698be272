"""A folder on the server as a source: below the listed roots only, and only what is new."""

from __future__ import annotations

import os

import pytest

from tests.webapp.collections.pictures import png, zipped
from tests.webapp.collections.reading import read_all
from webapp.collections import folders, storage
from webapp.collections.models import Collection, Image, Refusal, Upload

pytestmark = pytest.mark.usefixtures("told")


@pytest.fixture
def root(settings, tmp_path):
    """List a folder with images, an archive, what systems leave behind and a link that leads out."""
    folder, secret = tmp_path / "museum", tmp_path / "secret"
    (folder / "birds").mkdir(parents=True)
    secret.mkdir()
    (secret / "private.png").write_bytes(png(9))
    (folder / "birds" / "1.png").write_bytes(png(1))
    (folder / "1.png").write_bytes(png(2))
    (folder / "more.zip").write_bytes(zipped({"2.png": png(3)}))
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "link.png").symlink_to(secret / "private.png")
    (folder / "way out").symlink_to(secret)
    settings.SOURCE_ROOTS = [folder]
    return folder


def add(client, collection, below: str = "", root: str = "0") -> str:
    response = client.post(f"/collections/{collection.pk}/folder/", {"root": root, "below": below}, follow=True)
    return response.content.decode()


def test_a_folder_becomes_images_with_its_folders_as_provenance(
        signed_in, collection, root, told, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        assert "3 new files of museum" in add(signed_in, collection)
    assert len(told) == 3
    read_all()
    assert set(Image.objects.values_list("path", flat=True)) == {"museum/1.png", "museum/birds/1.png", "2.png"}
    assert dict(Refusal.objects.values_list("path", "left_out")) == {"museum/.DS_Store": True, "museum/link.png": False}
    assert not list(storage.upload_file(Upload.objects.first().pk).parent.iterdir())
    assert (root / "birds" / "1.png").read_bytes() == png(1)


def test_asked_again_it_adds_only_what_is_new(signed_in, collection, root):
    add(signed_in, collection)
    read_all()
    assert "Nothing new" in add(signed_in, collection)
    (root / "birds" / "2.png").write_bytes(png(5))
    assert "1 new file of museum" in add(signed_in, collection)
    read_all()
    assert (Image.objects.count(), Refusal.objects.count()) == (4, 2)


def test_only_a_part_of_it(signed_in, collection, root):
    add(signed_in, collection, "birds")
    assert list(Upload.objects.values_list("name", flat=True)) == ["museum/birds/1.png"]


@pytest.mark.parametrize(
    "below", ["..", "../secret", "way out", "birds/../../secret", "nowhere", "1.png", "\0", "circle"])
def test_no_way_leads_out(signed_in, collection, root, below):
    (root / "circle").symlink_to(root / "circle")
    assert "there is no" in add(signed_in, collection, below)
    assert not Upload.objects.exists()


@pytest.mark.parametrize(("below", "sentence"), [
    ("x" * 300, "the server cannot look for it: File name too long"), ("a/" * 500_000, "its path is too long")])
def test_a_folder_that_no_disk_can_hold_is_refused_in_words(signed_in, collection, root, below, sentence):
    assert f"{below[:80]}: {sentence}" in add(signed_in, collection, below)


def test_a_folder_that_the_server_may_not_look_for_is_refused_in_words(signed_in, collection, root, monkeypatch):
    monkeypatch.setattr("pathlib.Path.is_dir", forbidden)
    assert "birds: the server cannot look for it: Permission denied" in add(signed_in, collection, "birds")


def forbidden(path, *_, **__):
    """Fail as for who may not; the tests may be run by root, whom no mode of a file stops."""
    raise PermissionError(13, "Permission denied", os.fspath(path))


def refused() -> dict[str, str]:
    return dict(Refusal.objects.filter(left_out=False).exclude(path="museum/link.png").values_list("path", "reason"))


def test_names_that_are_no_utf8_are_refused_and_the_rest_is_added(signed_in, collection, root):
    (root / os.fsdecode(b"\xe4lter")).mkdir()
    for name in (b"\xff.jpg", b"birds/Stra\xdfe.jpg", b"\xe4lter/3.png", b"._\xff.jpg"):
        (root / os.fsdecode(name)).write_bytes(png(3))
    assert "3 new files of museum" in add(signed_in, collection)
    assert refused() == dict.fromkeys(["museum/\ufffd.jpg", "museum/birds/Stra\ufffde.jpg", "museum/\ufffdlter/3.png"],
                                      "its name or its folder's is no UTF-8; rename it")
    assert "Stra\ufffde.jpg" in signed_in.get(f"/collections/{collection.pk}/images/").content.decode()
    assert "Nothing new" in add(signed_in, collection)
    assert len(refused()) == 3


def test_a_folder_that_the_server_may_not_enter_is_named_and_the_rest_is_added(
        signed_in, collection, root, monkeypatch):
    locked, look = [str(root / "locked"), str(root / "lost+found")], os.scandir
    (root / "locked").mkdir()
    (root / "lost+found").mkdir()
    monkeypatch.setattr(os, "scandir", lambda path: forbidden(path) if os.fspath(path) in locked else look(path))
    assert "3 new files of museum" in add(signed_in, collection)
    assert refused() == {"museum/locked": "the server cannot look into this folder: Permission denied; ask the "
                                          "administrator for the right to"}
    assert Refusal.objects.get(path="museum/lost+found").left_out


def test_a_file_that_the_server_may_not_look_at_is_named_and_the_rest_is_added(
        signed_in, collection, root, monkeypatch):
    look = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: forbidden(path) if path == root / "birds" / "1.png"
                        else look(path, **more))
    assert "2 new files of museum" in add(signed_in, collection)
    assert refused() == {"museum/birds/1.png": "cannot be read from its folder: Permission denied"}


def test_a_path_that_the_database_cannot_hold_is_refused_by_name(signed_in, collection, root, monkeypatch):
    monkeypatch.setattr(folders, "SOURCE_CHARACTERS", len(str(root / "birds" / "1.png")) - 1)
    assert "2 new files of museum" in add(signed_in, collection)
    assert "too long" in refused()["museum/birds/1.png"]


@pytest.mark.parametrize("place", ["1", "-1", "x", ""])
def test_what_is_not_listed_is_refused(signed_in, collection, root, place):
    assert "LABELFREE_FOLDERS" in add(signed_in, collection, root=place)
    assert not Upload.objects.exists()


def test_a_file_that_becomes_a_link_before_it_is_read_is_refused(signed_in, collection, root, tmp_path):
    add(signed_in, collection, "birds")
    (root / "birds" / "1.png").unlink()
    (root / "birds" / "1.png").symlink_to(tmp_path / "secret" / "private.png")
    read_all()
    assert not Image.objects.exists()
    assert "not among those" in Refusal.objects.get().reason


def test_a_file_that_has_gone_is_refused_and_taken_when_it_is_back(signed_in, collection, root):
    add(signed_in, collection, "birds")
    (root / "birds" / "1.png").rename(root / "elsewhere.png")
    read_all()
    assert "cannot be read from its folder: No such file" in Refusal.objects.get().reason
    (root / "elsewhere.png").rename(root / "birds" / "1.png")
    add(signed_in, collection, "birds")
    read_all()
    assert (Image.objects.count(), Refusal.objects.count()) == (1, 0)


def test_a_quota_holds_before_anything_is_noted(signed_in, collection, root, settings):
    settings.QUOTA_BYTES = 100
    assert "Delete a collection" in add(signed_in, collection)
    assert not Upload.objects.exists()


def test_it_is_offered_where_there_is_a_folder(signed_in, collection, root, settings):
    address = f"/collections/{collection.pk}/images/"
    assert "From a folder on the server" in signed_in.get(address).content.decode()
    settings.SOURCE_ROOTS = []
    assert "From a folder on the server" not in signed_in.get(address).content.decode()


def test_others_may_not_add(stranger, collection, root):
    assert stranger.post(f"/collections/{collection.pk}/folder/", {"root": "0"}).status_code == 404
    assert Collection.objects.get().uploads.count() == 0
