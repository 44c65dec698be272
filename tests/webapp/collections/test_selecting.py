"""Flags and near copies on the wall, and setting images aside so that no run has them, until they are brought back."""

from __future__ import annotations

import pytest
from PIL import Image as Picture
from sklearn.datasets import load_sample_image

from tests.webapp.collections.pictures import saved
from tests.webapp.collections.test_claims import offer
from webapp.collections.models import Collection, Image
from workers.problems import Photographs


@pytest.fixture(scope="module")
def photograph() -> Picture.Image:
    """Return a real photograph, 320 x 213."""
    return Picture.fromarray(load_sample_image("flower.jpg")).resize((320, 213))


@pytest.fixture
def trip(collection, brought, photograph):
    """Four images: a photograph, its near copy twice over, one that is dark."""
    brought("flower.png", saved(photograph))
    near = saved(photograph, "JPEG", quality=60)
    brought("again.jpg", near)
    brought("the same.jpg", near)
    brought("night.png", saved(photograph.transpose(Picture.Transpose.ROTATE_90).point(lambda value: value // 6)))
    return collection


def ask(client, collection, kind: str):
    return client.post(f"/collections/{collection.pk}/set-aside/", {"kind": kind}, follow=True)


def in_runs(collection) -> list[str]:
    return list(Photographs.of(collection).distinct.names)


def test_a_flag_filters_the_wall(signed_in, trip):
    page = signed_in.get(f"/collections/{trip.pk}/images/?show=dark").content.decode()
    assert page.count("<figure") == 1
    assert "Dark 1" in page
    assert "night.png" in page


def test_what_is_set_aside_is_in_no_run_until_it_is_brought_back(signed_in, trip):
    assert "1 image set aside" in ask(signed_in, trip, "dark").content.decode()
    assert in_runs(trip) == ["flower.png", "again.jpg"]
    page = signed_in.get(f"/collections/{trip.pk}/images/?show=set-aside").content.decode()
    assert (page.count("<figure"), "Bring them all back" in page) == (1, True)
    assert "1 image brought back" in ask(signed_in, trip, "set-aside").content.decode()
    assert in_runs(trip) == ["flower.png", "again.jpg", "night.png"]


def test_of_near_copies_the_first_that_is_not_set_aside_yet_stays(signed_in, trip):
    trip.images.filter(path="flower.png").update(set_aside=True)
    ask(signed_in, trip, "near-copies")
    assert in_runs(trip) == ["again.jpg", "night.png"], "a burst whose first shot is blurred keeps the second"
    ask(signed_in, trip, "near-copies")
    assert in_runs(trip) == ["again.jpg", "night.png"]


def test_near_copies_are_shown_and_all_but_the_first_set_aside_with_their_duplicates(signed_in, trip):
    page = signed_in.get(f"/collections/{trip.pk}/near-copies/").content.decode()
    assert "<strong>1 group</strong>" in page
    assert (page.count("<figure"), "again.jpg" in page) == (2, True)
    assert "2 images set aside" in ask(signed_in, trip, "near-copies").content.decode()
    assert in_runs(trip) == ["flower.png", "night.png"]


def test_the_last_images_are_not_set_aside(signed_in, trip):
    Image.objects.exclude(path="night.png").update(set_aside=True)
    assert "no image would be left" in ask(signed_in, trip, "dark").content.decode()
    assert in_runs(trip) == ["night.png"]


def test_images_of_an_earlier_version_have_no_flags(signed_in, trip):
    Image.objects.update(lightest=None, darkest=None, sharpness=None, information_bits=None, near_hash=None)
    page = signed_in.get(f"/collections/{trip.pk}/images/").content.decode()
    assert "Dark" not in page
    assert "No two pictures" in signed_in.get(f"/collections/{trip.pk}/near-copies/").content.decode()


def test_a_look_is_taken_over_with_the_file(signed_in, alice, trip, settings):
    other = Collection.objects.create(owner=alice, name="Second trip")
    night = Image.objects.get(path="night.png")
    offer(signed_in, other, {"late.png": (settings.MEDIA_ROOT / night.file).read_bytes()})
    assert (other.images.get().lightest, other.images.get().near_hash) == (night.lightest, night.near_hash)


def test_others_may_not_set_aside(stranger, trip):
    assert ask(stranger, trip, "dark").status_code == 404
    assert ask(stranger, trip, "nonsense").status_code == 404
    assert stranger.get(f"/collections/{trip.pk}/near-copies/").status_code == 404
    assert not Image.objects.filter(set_aside=True).exists()
