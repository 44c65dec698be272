"""What becomes of a picture: kept as it was sent or as PNG, upright, with a thumbnail."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image as Picture

from tests.webapp.collections.pictures import pixels, png, saved, turned
from webapp.collections import storage
from webapp.collections.models import Image, Refusal


def opened(settings, name: str) -> Picture.Image:
    with Picture.open(settings.MEDIA_ROOT / name) as image:
        image.load()
        return image


def test_an_image_is_kept_as_it_was_sent_with_a_thumbnail(brought, settings):
    content = saved(pixels(side=600), "JPEG")
    upload = brought("trip/a.jpg", content)
    image = Image.objects.get()
    assert (image.path, image.number, image.width_px, image.height_px) == ("trip/a.jpg", 0, 600, 600)
    assert (settings.MEDIA_ROOT / image.file).read_bytes() == content
    assert opened(settings, image.thumbnail).size == (256, 256)
    assert (upload.status, upload.members_read) == ("done", 1)
    assert not storage.upload_file(upload.pk).exists()


def test_exif_is_applied_once_for_image_and_thumbnail_alike(brought, settings):
    content, upright = turned()
    brought("turned.jpg", content)
    image = Image.objects.get()
    assert (image.width_px, image.height_px) == upright.size == (32, 48)
    for name in (image.file, image.thumbnail):
        kept = opened(settings, name)
        assert kept.size == upright.size
        assert kept.getexif().get(0x0112, 1) == 1
        difference = np.abs(np.asarray(kept.convert("RGB"), int) - np.asarray(upright, int)).mean()
        assert difference < 12, name


def test_damaged_exif_counts_as_none(brought):
    content = png(1)
    exif = b"eXIf" + b"MM\xff\0\0\0\0\x08\0\0"
    chunk = (len(exif) - 4).to_bytes(4, "big") + exif + zlib.crc32(exif).to_bytes(4, "big")
    upload = brought("odd.png", content[:33] + chunk + content[33:])
    assert upload.status == "done"
    assert Image.objects.get().file.endswith(".png")


def test_an_animation_that_claims_to_be_longer_than_a_jpeg_can_be_is_kept_as_png(brought):
    content = bytearray(saved(pixels(1), "WEBP", save_all=True, append_images=[pixels(2)]))
    assert content[12:16] == b"VP8X"
    content[24:27] = (65_536 - 1).to_bytes(3, "little")
    upload = brought("long.webp", bytes(content))
    assert upload.status == "done"
    assert Image.objects.get().file.endswith(".png")


@pytest.mark.parametrize(("name", "content"), [
    ("cmyk.jpg", saved(pixels().convert("CMYK"), "JPEG")),
    ("deep.png", saved(Picture.fromarray((np.arange(576).reshape(24, 24) * 113).astype(np.uint16)))),
    ("palette.png", saved(pixels().convert("P"), transparency=0)),
    ("alpha.png", saved(pixels().convert("RGBA"))),
    ("moving.gif", saved(pixels(1), "GIF", save_all=True, append_images=[pixels(2)])),
    ("one.tiff", saved(pixels(), "TIFF")),
    ("one.webp", saved(pixels(), "WEBP")),
    ("digit.png", saved(Picture.fromarray(np.zeros((8, 8), np.uint8)))),
])
def test_unusual_images_work(brought, settings, name, content):
    brought(name, content)
    assert not Refusal.objects.exists()
    image = Image.objects.get()
    assert image.file.endswith((".png", ".jpg"))
    kept = opened(settings, image.file)
    assert kept.mode in ("RGB", "L")
    assert kept.size == (image.width_px, image.height_px)
