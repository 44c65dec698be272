"""Picture files that nobody should send: honest ones of every kind changed at random, and ones made to take for ever.

Everything is drawn from a seed, so that a trial can be made again.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np
import pillow_heif
from PIL import Image

from benchmarks.mutations import changed

PNG_START = b"\x89PNG\r\n\x1a\n"
SIDES_PX = ((48, 32), (97, 64), (31, 130))
"""Widths and heights of the honest pictures: small, odd, long."""


def picture(side: tuple[int, int], seed: int = 0) -> Image.Image:
    """Return a picture with large shapes and fine grain, which every codec has to work for."""
    width, height = side
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    grain = np.random.default_rng(seed).integers(0, 64, (height, width))
    return Image.fromarray(np.stack([across, down, (across + down + grain) % 256], axis=-1).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return an image as a file's bytes."""
    out = io.BytesIO()
    image.save(out, kind, **options)  # type: ignore[arg-type]
    return out.getvalue()


def told() -> Image.Exif:
    """Return EXIF as a telephone writes it: turned by a quarter, a camera, a place."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "labelfree", "bench"
    exif.get_ifd(0x8825).update({1: "N", 2: (50.0, 5.0, 1.0)})
    return exif


def deep(image: Image.Image) -> Image.Image:
    """Return it in 16 bits of grey."""
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)


def heic(image: Image.Image) -> bytes:
    """Return it as HEIC, with EXIF."""
    out = io.BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=80, exif=told().tobytes())
    return out.getvalue()


def moving(image: Image.Image) -> dict[str, object]:
    """Return what makes an animation of three frames."""
    return {"save_all": True, "append_images": [image.rotate(90), image.rotate(180)], "duration": 40}


KINDS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "JPEG": lambda one: saved(one, "JPEG", quality=90, exif=told()),
    "progressive JPEG": lambda one: saved(one, "JPEG", quality=85, progressive=True, icc_profile=bytes(range(256)) * 2),
    "CMYK JPEG": lambda one: saved(one.convert("CMYK"), "JPEG", quality=90),
    "JPEG of several pictures": lambda one: saved(one, "MPO", save_all=True, append_images=[one.rotate(90)]),
    "PNG": lambda one: saved(one, "PNG", exif=told()),
    "16-bit PNG": lambda one: saved(deep(one), "PNG"),
    "PNG with a transparent palette": lambda one: saved(one.convert("P"), "PNG", transparency=bytes(range(0, 250, 5))),
    "animated PNG": lambda one: saved(one.convert("RGBA"), "PNG", **moving(one.convert("RGBA"))),
    "GIF": lambda one: saved(one, "GIF", transparency=3),
    "animated GIF": lambda one: saved(one, "GIF", **moving(one)),
    "BMP": lambda one: saved(one, "BMP"),
    "BMP with a palette": lambda one: saved(one.convert("P"), "BMP"),
    "TIFF": lambda one: saved(one, "TIFF", exif=told()),
    "LZW TIFF": lambda one: saved(one, "TIFF", compression="tiff_lzw"),
    "TIFF with a JPEG in it": lambda one: saved(one, "TIFF", compression="jpeg"),
    "16-bit TIFF": lambda one: saved(deep(one), "TIFF", compression="tiff_adobe_deflate"),
    "WebP": lambda one: saved(one, "WEBP", quality=80, exif=told()),
    "WebP without loss": lambda one: saved(one.convert("RGBA"), "WEBP", lossless=True),
    "animated WebP": lambda one: saved(one, "WEBP", **moving(one)),
    "HEIC": heic,
    "AVIF": lambda one: saved(one, "AVIF", quality=70, exif=told(), speed=9),
    "JPEG 2000": lambda one: saved(one, "JPEG2000"),
    "PPM": lambda one: saved(one, "PPM"),
}
"""Name -> an honest file of that kind."""


@cache
def honest(kind: str) -> tuple[bytes, ...]:
    """Return honest files of a kind."""
    return tuple(KINDS[kind](picture(side, seed)) for seed, side in enumerate(SIDES_PX))


def mutated(kind: str, trial: int, count: int) -> Iterator[bytes]:
    """Yield honest files of a kind with a few changes each, the same ones each time."""
    donors = [one for other in KINDS for one in honest(other)]
    for number in range(count):
        draws = random.Random(f"{kind}/{trial}/{number}")
        content = changed(draws.choice(honest(kind)), draws, donors)
        if content.startswith(PNG_START) and draws.random() < 0.7:
            content = with_checksums(content)  # else every change ends at the same check
        yield bytes(content)


def with_checksums(content: bytearray) -> bytearray:
    """Give each chunk of a PNG the checksum that fits it, as far as its lengths make sense."""
    at = len(PNG_START)
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at:at + 4], "big")
        if end + 4 > len(content):
            break
        content[end:end + 4] = zlib.crc32(content[at + 4:end]).to_bytes(4, "big")
        at = end + 4
    return content


def png_of_zeros(width: int, height: int, bits: int = 8, colour: int = 0) -> bytes:
    """Return a small PNG that unpacks to many black pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = 1 + -(-width * bits * channels // 8)
    packer, packed = zlib.compressobj(9), []
    block = bytes(row) * max(1, (1 << 20) // row)
    left = row * height
    while left > 0:
        packed.append(packer.compress(block[:left]))
        left -= len(block)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return (PNG_START + chunk(b"IHDR", header) + (chunk(b"PLTE", bytes(768)) if colour == 3 else b"")
            + chunk(b"IDAT", b"".join([*packed, packer.flush()])) + chunk(b"IEND", b""))


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def png_of_texts(count: int) -> bytes:
    """Return a PNG whose compressed texts unpack to much more than the picture."""
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 60_000_000, 9))
    small = png_of_zeros(8, 8)
    return small[:33] + text * count + small[33:]


def jpeg_of_scans(side_px: int, scans: int) -> bytes:
    """Return a progressive JPEG that goes over all its pixels very many times, saying nothing each time."""
    whole = saved(Image.new("L", (side_px, side_px), 90), "JPEG", progressive=True, quality=50)
    at = whole.rindex(b"\xff\xda")
    last = whole[at:-2]
    return whole[:-2] + last * scans + b"\xff\xd9"


def gif_of_frames(count: int, side_px: int) -> bytes:
    """Return a GIF of very many frames of a large canvas."""
    first = saved(Image.new("P", (side_px, side_px)), "GIF")
    at = first.index(b",", 13)
    return first[:-1] + first[at:-1] * count + b";"


def plain(kind: str, side: tuple[int, int], mode: str = "RGB", **options: object) -> Callable[[], bytes]:
    """Return what makes a picture of one colour, which packs well."""
    return lambda: saved(Image.new(mode, side, 7), kind, **options)


LARGEST_PX = 9459
"""The side of the largest square that is read: its pixels are just below `core.data.decoding.MAX_PIXELS`."""
SQUARE = (LARGEST_PX, LARGEST_PX)
GIANTS: Mapping[str, Callable[[], bytes]] = {
    "largest.png": lambda: png_of_zeros(*SQUARE),
    "largest-grey16.png": lambda: png_of_zeros(*SQUARE, 16, 0),
    "largest-rgba16.png": lambda: png_of_zeros(*SQUARE, 16, 6),
    "largest-palette.png": lambda: png_of_zeros(*SQUARE, 8, 3),
    "too-large.png": lambda: png_of_zeros(LARGEST_PX + 1, LARGEST_PX + 1),
    "thin.png": lambda: png_of_zeros(2, 44_000_000),
    "flat.png": lambda: png_of_zeros(44_000_000, 2),
    "texts.png": lambda: png_of_texts(40),
    "largest.jpg": plain("JPEG", SQUARE),
    "largest-progressive.jpg": plain("JPEG", SQUARE, progressive=True),
    "longest-cmyk.jpg": plain("JPEG", (65_500, 1300), "CMYK"),
    "tallest-cmyk.jpg": plain("JPEG", (1300, 65_500), "CMYK"),
    "scans.jpg": lambda: jpeg_of_scans(4000, 5000),
    "largest.gif": plain("GIF", SQUARE, "P"),
    "frames.gif": lambda: gif_of_frames(300, 2000),
    "largest.webp": plain("WEBP", (16_383, 5400), method=0),
    "largest-without-loss.webp": plain("WEBP", (16_383, 5400), "RGBA", lossless=True, method=0),
    "largest-float.tif": plain("TIFF", SQUARE, "F", compression="tiff_adobe_deflate"),
    "largest-32-bit.tif": plain("TIFF", SQUARE, "I", compression="tiff_adobe_deflate"),
    "largest-lzw.tif": plain("TIFF", SQUARE, compression="tiff_lzw"),
    "largest.avif": plain("AVIF", (9400, 9400), speed=10),
    "largest.jp2": plain("JPEG2000", (6000, 6000)),
    "large.bmp": plain("BMP", (6000, 6000)),
    "large.heic": lambda: heic(Image.new("RGB", (6000, 6000), "white")),
}
"""Pictures as large, long or slow as they may be, or more so; most are small files."""
