from __future__ import annotations

import io
import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile
from sklearn.datasets import load_sample_image

from core.data import decoding, jpegs
from core.data.decoding import decode
from core.errors import DataError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    """Return a real photograph, 160 x 107."""
    return Image.fromarray(load_sample_image("flower.jpg")).resize((160, 107))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.mode == other.mode == "RGB"
    assert one.size == other.size
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_size(width: int, height: int) -> bytes:
    """A few bytes that claim to be a picture of any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
            + png_chunk(b"IEND", b""))


# What must work.

@pytest.mark.parametrize(("kind", "options", "tolerance"), [
    ("JPEG", {"quality": 95}, 3), ("JPEG", {"quality": 90, "progressive": True}, 5), ("PNG", {}, 0), ("BMP", {}, 0),
    ("TIFF", {}, 0), ("TIFF", {"compression": "tiff_lzw"}, 0), ("WEBP", {"lossless": True}, 0),
    ("AVIF", {"quality": 90}, 4), ("GIF", {}, 12), ("JPEG2000", {}, 3), ("PPM", {}, 0),
])
def test_it_reads_the_usual_formats(photograph, kind, options, tolerance):
    assert difference(decode(encoded(photograph, kind, **options), "photo"), photograph) <= tolerance


def test_it_reads_from_a_file_as_from_bytes(photograph, tmp_path):
    file = tmp_path / "photo.png"
    photograph.save(file)
    assert difference(decode(file, "photo.png"), photograph) == 0


def test_it_reads_a_multi_picture_jpeg_as_telephones_make_it(photograph):
    content = encoded(photograph, "MPO", save_all=True, append_images=[Image.new("RGB", photograph.size)])
    assert difference(decode(content, "phone.jpg"), photograph) < 5


def test_it_reads_heic_where_pillow_heif_is_installed(photograph):
    pillow_heif = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    pillow_heif.from_pillow(photograph).save(out, quality=95)
    assert difference(decode(out.getvalue(), "photo.heic"), photograph) < 5


def test_it_reads_cmyk(photograph):
    assert difference(decode(encoded(photograph.convert("CMYK"), "JPEG", quality=95), "print.jpg"), photograph) < 4


def test_16_bits_are_scaled_and_not_clipped():
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    for kind in ("PNG", "TIFF"):
        found = np.asarray(decode(encoded(Image.fromarray(ramp), kind), "deep"))
        assert found[..., 0].tolist() == np.arange(256).reshape(16, 16).tolist()


def test_16_bits_of_either_byte_order_are_scaled():
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    content = encoded(Image.frombytes("I;16B", (16, 16), ramp.astype(">u2").tobytes()), "TIFF")
    assert np.asarray(decode(content, "deep.tif"))[..., 1].tolist() == np.arange(256).reshape(16, 16).tolist()


@pytest.mark.parametrize(("pixels", "expected"), [
    (np.array([[0.0, 0.5], [0.25, 1.0]], np.float32), [0, 128, 64, 255]),
    (np.array([[0.0, 100.0], [7.0, 255.0]], np.float32), [0, 100, 7, 255]),
    (np.array([[-1.0, 0.0], [0.0, 1.0]], np.float32), [0, 128, 128, 255]),
    (np.array([[0, 1 << 20], [1 << 19, 0]], np.int32), [0, 255, 128, 0]),
])
def test_floats_and_32_bits_are_scaled(pixels, expected):
    assert np.asarray(decode(encoded(Image.fromarray(pixels), "TIFF"), "deep.tif"))[..., 2].ravel().tolist() == expected


def test_it_refuses_pixels_that_are_not_numbers():
    with pytest.raises(DataError, match="not numbers"):
        decode(encoded(Image.fromarray(np.array([[np.nan, 1]] * 2, np.float32)), "TIFF"), "nan.tif")


def test_one_bit_becomes_black_and_white():
    image = Image.new("1", (4, 2))
    image.putpixel((1, 0), 1)
    found = decode(encoded(image, "PNG"), "fax.png")
    assert [found.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (255, 255, 255), (0, 0, 0)]


def test_grey_becomes_rgb_unchanged():
    assert decode(encoded(Image.new("L", (3, 3), 77), "PNG"), "grey.png").getpixel((1, 1)) == (77, 77, 77)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_colours_lie_over_white(kind):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([*RED, *BLUE] + [0] * (254 * 3))
    image.putpixel((0, 0), 0)
    found = decode(encoded(image, kind, transparency=0), "icon")
    assert found.getpixel((0, 0)) == (255, 255, 255)
    assert found.getpixel((1, 1)) == BLUE


def test_half_transparent_palette_colours_lie_over_white():
    image = Image.new("P", (2, 2), 0)
    image.putpalette([*RED] + [0] * (255 * 3))
    found = decode(encoded(image, "PNG", transparency=bytes([128] + [255] * 255)), "icon.png")
    assert found.getpixel((0, 0)) == (255, 127, 127)


@pytest.mark.parametrize(("mode", "colour", "expected"), [
    ("RGBA", (255, 0, 0, 0), (255, 255, 255)), ("RGBA", (255, 0, 0, 128), (255, 127, 127)),
    ("RGBA", (9, 8, 7, 255), (9, 8, 7)), ("LA", (0, 0), (255, 255, 255)), ("LA", (40, 255), (40, 40, 40)),
])
def test_transparency_lies_over_white(mode, colour, expected):
    assert decode(encoded(Image.new(mode, (3, 3), colour), "PNG"), "logo.png").getpixel((1, 1)) == expected


def test_a_transparent_colour_of_an_rgb_png_lies_over_white():
    content = encoded(Image.new("RGB", (3, 3), RED), "PNG", transparency=RED)
    assert decode(content, "key.png").getpixel((1, 1)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_stands_for_an_animation(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    found = decode(encoded(frames[0], kind, save_all=True, append_images=frames[1:]), "moving")
    assert np.abs(np.subtract(found.getpixel((4, 4)), RED)).max() <= 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind, orientation):
    upright = Image.new("RGB", (32, 16), BLUE)
    upright.paste(RED, (0, 0, 16, 8))  # top left
    upright.paste(GREEN, (16, 0, 32, 8))  # top right
    turned = {1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
              4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
              7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270}[orientation]
    stored = upright if turned is None else upright.transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(encoded(stored, kind, exif=exif), "turned")
    assert found.size == (32, 16)
    for place, colour in (((4, 4), RED), ((28, 4), GREEN), ((4, 12), BLUE)):
        assert np.abs(np.subtract(found.getpixel(place), colour)).max() < 60


def test_damaged_exif_counts_as_none(photograph):
    content = encoded(photograph, "JPEG", quality=95, exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + bytes(40))
    assert difference(decode(content, "photo.jpg"), photograph) < 4


def test_eight_pixels_are_enough_and_one_is_not():
    assert decode(encoded(Image.new("L", (8, 8)), "PNG"), "digit.png").size == (8, 8)
    with pytest.raises(DataError, match=r"dot\.png: 1 x 5 pixels; each side needs at least 2"):
        decode(encoded(Image.new("L", (1, 5)), "PNG"), "dot.png")


def test_the_same_bytes_give_the_same_pixels(photograph):
    content = encoded(photograph, "WEBP")
    assert decode(content, "a").tobytes() == decode(content, "b").tobytes()


# Reduced decoding.

def test_a_photograph_comes_back_reduced_to_the_shorter_side_asked_for(photograph):
    large = photograph.resize((1600, 1070), Image.Resampling.BICUBIC)
    for kind in ("JPEG", "PNG"):
        found = decode(encoded(large, kind, **({"quality": 95} if kind == "JPEG" else {})), "photo", at_least_px=107)
        assert difference(found, photograph) < 4


def test_a_small_image_comes_back_as_it_is(photograph):
    assert decode(encoded(photograph, "PNG"), "photo", at_least_px=128).size == photograph.size


# What must be refused, each with its reason.

@pytest.mark.parametrize(("content", "reason"), [
    (b"", "empty file"),
    (b"hello, world" * 20, "not an image; JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF and HEIC can be read"),
    (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>', "an SVG drawing"),
    (b"\xef\xbb\xbf\n<svg/>", "an SVG drawing"),
    (b"<!DOCTYPE html><html><body>404</body></html>", r"a web page \(HTML\)"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", r"a PostScript \(EPS\) file"),
    (b"%PDF-1.7\n", "a PDF"),
    (b"8BPS\0\1", "a Photoshop file"),
    (b"\0\0\0\x18ftypisom" + bytes(100), "a video or an unknown kind of image"),
    (b"\x89PNG\r\n\x1a\n" + bytes(50), "damaged"),
    (b"\xff\xd8\xff\xe0" + bytes(50), "damaged"),
])
def test_it_refuses_what_is_not_an_image_and_says_what_it_is(content, reason):
    with pytest.raises(DataError, match=rf"^thing\.jpg: {reason}"):
        decode(content, "thing.jpg")


def test_a_truncated_file_is_refused_although_it_opens(photograph):
    for kind in ("JPEG", "PNG", "WEBP", "AVIF", "GIF"):
        content = encoded(photograph, kind)
        with pytest.raises(DataError, match=r"^cut: .*(damaged|cannot be decoded)"):
            decode(content[:len(content) * 2 // 3], "cut")
    content = encoded(photograph, "JPEG")
    with pytest.raises(DataError, match="damaged JPEG file: image file is truncated"):
        decode(content[:-200], "cut.jpg")
    with pytest.raises(DataError, match="damaged JPEG file"):  # also when only a small version is asked for
        decode(content[:-200], "cut.jpg", at_least_px=20)


def test_a_flipped_bit_in_a_png_is_refused(photograph):
    content = bytearray(encoded(photograph, "PNG"))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(DataError, match="damaged PNG file"):
        decode(bytes(content), "bit.png")


@pytest.mark.parametrize(("width", "height"), [(9_500, 9_500), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(width, height):
    with pytest.raises(DataError, match=r"bomb\.png: .*more than 89,478,485.*smaller first|bomb\.png: damaged"):
        decode(png_of_size(width, height), "bomb.png")


def test_a_jpeg_that_goes_over_its_pixels_for_ever_is_refused(photograph):
    content = encoded(photograph, "JPEG", progressive=True)
    assert 5 < jpegs.scans(content) < 20
    last = content[content.rindex(b"\xff\xda"):-2]
    long = content[:-2] + last * 200 + content[-2:]
    with pytest.raises(DataError, match=r"^slow\.jpg: a JPEG of more than 100 scans"):
        decode(long, "slow.jpg")


def test_what_looks_like_a_scan_within_metadata_is_none(photograph):
    content = encoded(photograph, "JPEG", comment=b"\xff\xda" * 300)
    assert jpegs.scans(content) == 1
    assert decode(content, "photo.jpg").size == photograph.size


def test_a_large_deep_picture_is_scaled_in_a_small_part_of_its_size():
    pixels = np.zeros((4000, 2000), np.uint16)
    pixels[-1, -1] = 65535
    tracemalloc.start()
    scaled = decoding._eight_bits(pixels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (scaled[0, 0], scaled[-1, -1]) == (0, 255)
    assert peak < 4 * pixels.nbytes


@pytest.mark.parametrize(("bits", "brightest"),
                         [(8, 255), (10, 1023), (12, 4095), (12, 1500), (14, 16383), (16, 65535)])
def test_fewer_bits_than_the_file_has_room_for_are_as_bright_as_they_were_taken(bits, brightest):
    pixels = np.array([[0, brightest // 2, brightest]] * 3, np.uint16)
    shown = np.asarray(decode(encoded(Image.fromarray(pixels), "TIFF"), "cells.tif"))[0, :, 0]
    assert shown.tolist() == [0, round(255 * (brightest // 2) / (2**bits - 1)), round(255 * brightest / (2**bits - 1))]


def test_eps_is_never_opened(monkeypatch):
    """Pillow would hand it to Ghostscript."""
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **kwargs: pytest.fail("EPS was run"))
    content = encoded(Image.new("RGB", (9, 9)), "EPS")
    with pytest.raises(DataError, match="PostScript"):
        decode(content, "figure.jpg")
    assert "EPS" not in decoding.FORMATS


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png: cannot be read: No such file"):
        decode(tmp_path / "gone.png", "gone.png")


def test_it_refuses_to_work_where_truncated_files_would_pass(photograph, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(RuntimeError, match="LOAD_TRUNCATED_IMAGES"):
        decode(encoded(photograph, "PNG"), "photo.png")


def test_heic_is_refused_with_the_fix_where_pillow_heif_is_missing(monkeypatch):
    monkeypatch.setattr(decoding.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"IMG_1\.HEIC: HEIC cannot be read here; install pillow-heif, or export"):
        decode(b"\0\0\0\x18ftypheic" + bytes(60), "IMG_1.HEIC")


def test_decoding_needs_no_torch():
    code = "import sys, core.data.decoding, core.data.archives, core.names; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
