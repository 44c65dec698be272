"""Every format in every mode shows the pixels that the same picture shows as PNG, or is refused by name."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from sklearn.datasets import load_sample_image

from core.data.decoding import decode
from core.errors import DataError

LOSSLESS, LOSSY = 0, 3


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    """Return a real photograph, 64 x 48."""
    return Image.fromarray(load_sample_image("china.jpg")).resize((64, 48))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def heif(image: Image.Image, **options: object) -> bytes:
    import pillow_heif

    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=100, chroma=444, **options)
    return out.getvalue()


def apart(content: bytes, expected: np.ndarray) -> float:
    """Return the mean difference of the decoded pixels (H, W, 3) from what is expected, in 0 ... 255."""
    found = np.asarray(decode(content, "picture")).astype(float)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).mean())


def deep_png(pixels: np.ndarray) -> bytes:
    """Write uint16 (H, W, C) as a 16-bit PNG, which Pillow does only for grey."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)), (b"IDAT", zlib.compress(rows)),
             (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts)


def tiff(pixels: np.ndarray, photometric: int, sample_format: int = 1, separate: bool = False,
         **more: tuple[int, int, int]) -> bytes:
    """Write (H, W, C) uncompressed, little-endian, with any tags: `more` is type, count and value by tag."""
    height, width, channels = pixels.shape
    planes = [pixels[..., one] for one in range(channels)] if separate else [pixels]
    body, tags = b"", {}

    def put(content: bytes) -> int:
        nonlocal body
        body += content
        return 8 + len(body) - len(content)

    def several(numbers: list[int], kind: int) -> tuple[int, int, int]:
        packed = struct.pack(f"<{len(numbers)}{'H' if kind == 3 else 'I'}", *numbers)
        value = put(packed) if len(packed) > 4 else int.from_bytes(packed.ljust(4, b"\0"), "little")
        return kind, len(numbers), value

    places = [put(plane.tobytes()) for plane in planes]
    tags = {256: (4, 1, width), 257: (4, 1, height), 258: several([pixels.itemsize * 8] * channels, 3), 259: (3, 1, 1),
            262: (3, 1, photometric), 273: several(places, 4), 277: (3, 1, channels), 278: (4, 1, height),
            279: several([plane.nbytes for plane in planes], 4), 284: (3, 1, 2 if separate else 1),
            339: several([sample_format] * channels, 3), **{int(tag[1:]): value for tag, value in more.items()}}
    directory = b"".join(struct.pack("<HHII", tag, *tags[tag]) for tag in sorted(tags))
    return (b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + directory
            + struct.pack("<I", 0))


MODES = ("RGB", "RGBA", "L", "LA", "P", "1")


@pytest.mark.parametrize(("kind", "options", "tolerance", "mode"), [
    (kind, options, tolerance, mode) for kind, options, tolerance, modes in (
        ("PNG", {}, LOSSLESS, MODES), ("TIFF", {}, LOSSLESS, MODES),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, LOSSLESS, MODES), ("WEBP", {"lossless": True}, LOSSLESS, MODES),
        ("BMP", {}, LOSSLESS, ("RGB", "L", "P", "1")), ("GIF", {}, 5, MODES),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, LOSSY, MODES),
        ("JPEG2000", {}, LOSSLESS, ("RGB", "RGBA", "L", "LA")), ("HEIC", {}, LOSSY, ("RGB", "RGBA", "L")),
    ) for mode in modes])
def test_a_format_shows_what_the_png_shows(photograph, mode, kind, options, tolerance):
    image = photograph.convert(mode)
    if "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    content = heif(image) if kind == "HEIC" else encoded(image, kind, **options)
    if kind == "GIF" and "A" in mode:  # all or nothing is transparent there
        with Image.open(io.BytesIO(content)) as shown:
            image = shown.convert("RGBA")
    assert apart(content, np.asarray(decode(encoded(image, "PNG"), "same.png"))) <= tolerance


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_shows_what_pillow_makes_of_it(photograph, kind):
    image = photograph.convert("CMYK")
    content = encoded(image, kind, **({"quality": 100} if kind == "JPEG" else {}))
    assert apart(content, np.asarray(image.convert("RGB"))) <= 1


def test_lab_shows_the_colours(photograph):
    turn = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    assert apart(encoded(ImageCms.applyTransform(photograph, turn), "TIFF"), np.asarray(photograph)) <= 3


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_of_16_bits_is_scaled(photograph, channels):
    grey = channels < 3
    pixels = np.asarray(photograph.convert("L"))[..., None] if grey else np.asarray(photograph)
    opacity = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))[..., None]
    flat = pixels.astype(float)
    if channels in (2, 4):
        flat = flat * (opacity / 255) + 255 - opacity
        pixels = np.concatenate([pixels, opacity], -1)
    expected = np.repeat(flat, 3, -1) if grey else flat
    assert apart(deep_png(pixels.astype(np.uint16) * 257), expected) <= 1


@pytest.mark.parametrize(("make", "tolerance"), [
    (lambda grey: tiff(grey, 1), 0), (lambda grey: tiff(255 - grey, 0), 0),
    (lambda grey: tiff(grey.astype("<u2") * 257, 1), 0), (lambda grey: tiff(65535 - grey.astype("<u2") * 257, 0), 0),
    (lambda grey: tiff(grey.astype("<u4") * 16843009, 1), 1), (lambda grey: tiff((grey / 255).astype("<f4"), 1, 3), 0),
], ids=["8", "8 white is zero", "16", "16 white is zero", "32", "float"])
def test_grey_tiffs_mean_what_their_tags_say(photograph, make, tolerance):
    grey = np.asarray(photograph.convert("L")).copy()
    grey[0, 0], grey[0, 1] = 0, 255  # 32-bit integers are stretched from their own range
    assert apart(make(grey[..., None]), np.repeat(grey[..., None], 3, -1)) <= tolerance


@pytest.mark.parametrize("separate", [False, True])
def test_a_tiff_of_8_bits_may_keep_its_channels_apart(photograph, separate):
    pixels = np.asarray(photograph)
    assert apart(tiff(pixels, 2, separate=separate), pixels) == 0


def test_a_colour_tiff_of_16_bits_is_scaled(photograph):
    pixels = np.asarray(photograph)
    assert apart(tiff(pixels.astype("<u2") * 257, 2), pixels) == 0


@pytest.mark.parametrize(("make", "reason"), [
    (lambda rgb: tiff(rgb.astype("<u2") * 257, 2, separate=True), "each channel apart.*as PNG"),
    (lambda rgb: tiff((rgb / 255).astype("<f4"), 2, 3), "kind that cannot be read here.*as JPEG or PNG"),
    (lambda rgb: tiff(rgb, 2, t254=(4, 1, 1)), "camera's raw file.*as JPEG or PNG"),
    (lambda rgb: tiff(rgb, 2, t50706=(1, 4, 0x0401)), "camera's raw file.*as JPEG or PNG"),
    (lambda rgb: encoded(Image.fromarray(rgb), "TGA"), "not an image"),
    (lambda rgb: encoded(Image.fromarray(rgb), "ICO"), "not an image"),
], ids=["16 separate", "float colour", "reduced", "DNG", "TGA", "ICO"])
def test_what_would_show_wrong_pixels_is_refused_by_name(photograph, make, reason):
    with pytest.raises(DataError, match=rf"scan: .*{reason}"):
        decode(make(np.asarray(photograph)), "scan")
