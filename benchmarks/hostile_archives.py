"""Archives that nobody should send: nested, bombs, links, names that climb, sizes that lie; honest ones, damaged."""

from __future__ import annotations

import gzip
import io
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial

from benchmarks.hostile_images import picture, saved
from benchmarks.mutations import changed

ZIPS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2,
        "lzma": zipfile.ZIP_LZMA}
TARS = {"tar": "w", "tar.gz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """An archive, and what must become of it.

    Attributes:
        name: of the file.
        make: makes its bytes.
        images: members that must become images, by the names they are shown under.
        refused: members that must be refused by that name -> a word of the reason.
        whole: a word of the reason where the archive is refused as a whole, else "".
    """

    name: str
    make: Callable[[], bytes]
    images: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    whole: str = ""


@cache
def photo(number: int = 0) -> bytes:
    """Return a small PNG, another for each number."""
    return saved(picture((40, 30), number), "PNG")


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return out.getvalue()


def tarred(members: Mapping[str, bytes], mode: str = "w", encoding: str = "utf-8",
           also: Callable[[tarfile.TarFile], None] | None = None) -> bytes:
    """Return a tar archive; `also` adds what is no plain file."""
    out = io.BytesIO()
    kind = tarfile.PAX_FORMAT if encoding == "utf-8" else tarfile.GNU_FORMAT
    with tarfile.open(fileobj=out, mode=mode, format=kind, encoding=encoding) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if also is not None:
            also(archive)
    return out.getvalue()


def special(kind: bytes, name: str, target: str = "") -> Callable[[tarfile.TarFile], None]:
    """Return what adds a link, a device or a pipe."""
    def add(archive: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, target
        archive.addfile(entry)
    return add


def zip_with_a_link() -> bytes:
    """Return a zip whose member is a symbolic link to a secret."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "../secret_key")
        archive.writestr("good.png", photo())
    return out.getvalue()


def zip_that_lies(said: int) -> bytes:
    """Return a zip whose directory says another size than its member has."""
    content = bytearray(zipped({"lie.png": photo(), "good.png": photo(1)}))
    at = content.index(b"PK\x01\x02")
    content[at + 24:at + 28] = struct.pack("<I", said)
    return bytes(content)


def zip_with_a_password() -> bytes:
    """Return a zip that says of its member that it is locked."""
    content = bytearray(zipped({"locked.png": photo(), "good.png": photo(1)}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def zip_of_unknown_packing() -> bytes:
    """Return a zip packed by a method that nobody has."""
    content = bytearray(zipped({"odd.png": photo(), "good.png": photo(1)}))
    at = content.index(b"PK\x01\x02")
    content[at + 10:at + 12] = struct.pack("<H", 97)
    return bytes(content)


def overlapping_bomb(members: int = 2000, unpacked: int = 4_000_000) -> bytes:
    """Return a zip whose many directory entries all name the one compressed member: Fifield's bomb, the plain way."""
    kernel = zlib.compress(bytes(unpacked), 9)[2:-4]
    checksum = zlib.crc32(bytes(unpacked))
    common = struct.pack("<HHHHHIII", 20, 0, 8, 0, 0, checksum, len(kernel), unpacked)
    out = io.BytesIO()
    out.write(b"PK\x03\x04" + common + struct.pack("<HH", 5, 0) + b"0.png" + kernel)
    start = out.tell()
    for number in range(members):
        name = f"{number}.png".encode()
        out.write(b"PK\x01\x02" + struct.pack("<H", 20) + common
                  + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name)
    size = out.tell() - start
    out.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, members, members, size, start, 0))
    return out.getvalue()


def packed_zeros(pack: Callable[[bytes], bytes], megabytes: int) -> bytes:
    """Return a tar of one member of zeros, packed."""
    return pack(tarred({"zeros.png": bytes(megabytes << 20)}))


def tar_of_a_long_name(megabytes: int = 64) -> bytes:
    """Return a tar whose header says that a name of that size follows: read whole into memory by the careless."""
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, megabytes << 20
    return gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + b"a" * entry.size, 1)


def tar_that_lies(said: int) -> bytes:
    """Return a tar whose member says another size than it has."""
    entry = tarfile.TarInfo("lie.png")
    entry.size = said
    return entry.tobuf(tarfile.USTAR_FORMAT) + photo() + bytes(-len(photo()) % 512) + bytes(1024)


ARCHIVE_INSIDE, LINK, DEVICE = "archive inside", "a link", "a device"
HOSTILE: tuple[Hostile, ...] = (
    Hostile(name="nested.zip", images=("good.png",),
            refused={"inner.zip": ARCHIVE_INSIDE, "a/b.tar.gz": ARCHIVE_INSIDE},
            make=lambda: zipped({"inner.zip": zipped({"x.png": photo()}),
                                 "a/b.tar.gz": tarred({"x.png": photo()}, "w:gz"), "good.png": photo()})),
    Hostile(name="nested.tar", images=("good.png",), refused={"inner.7z": ARCHIVE_INSIDE},
            make=lambda: tarred({"inner.7z": b"7z", "good.png": photo()})),
    Hostile(name="disguised.zip", images=("good.png",), refused={"inner.png": "zip archive"},
            make=lambda: zipped({"inner.png": zipped({"x.png": photo()}), "good.png": photo()})),
    Hostile(name="bomb.zip", whole="harm", make=lambda: zipped({f"{n}.png": bytes(60_000_000) for n in range(3)})),
    Hostile(name="overlapping.zip", whole="harm", make=overlapping_bomb),
    Hostile(name="bomb.tar.gz", whole="harm", make=partial(packed_zeros, partial(gzip.compress, compresslevel=9), 300)),
    Hostile(name="bomb.tar.bz2", whole="harm", make=lambda: tarred({"zeros.png": bytes(300 << 20)}, "w:bz2")),
    Hostile(name="bomb.tar.xz", whole="harm", make=lambda: tarred({"zeros.png": bytes(300 << 20)}, "w:xz")),
    Hostile(name="longname.tar.gz", whole="harm", make=tar_of_a_long_name),
    Hostile(name="link.zip", images=("good.png",), refused={"link.png": LINK}, make=zip_with_a_link),
    Hostile(name="symlink.tar", images=("good.png",), refused={"link.png": LINK},
            make=lambda: tarred({"good.png": photo()}, also=special(tarfile.SYMTYPE, "link.png", "/etc/passwd"))),
    Hostile(name="hardlink.tar", images=("good.png",), refused={"link.png": LINK},
            make=lambda: tarred({"good.png": photo()}, also=special(tarfile.LNKTYPE, "link.png", "good.png"))),
    Hostile(name="device.tar", images=("good.png",), refused={"null.png": DEVICE},
            make=lambda: tarred({"good.png": photo()}, also=special(tarfile.CHRTYPE, "null.png"))),
    Hostile(name="pipe.tar", images=("good.png",), refused={"pipe.png": DEVICE},
            make=lambda: tarred({"good.png": photo()}, also=special(tarfile.FIFOTYPE, "pipe.png"))),
    Hostile(name="absolute.zip", images=("good.png",),
            refused={"/etc/cron.d/evil.png": "absolute", "C:/evil.png": "absolute"},
            make=lambda: zipped({"/etc/cron.d/evil.png": photo(), "C:\\evil.png": photo(1), "good.png": photo(2)})),
    Hostile(name="absolute.tar", images=("good.png",), refused={"/etc/cron.d/evil.png": "absolute"},
            make=lambda: tarred({"/etc/cron.d/evil.png": photo(), "good.png": photo(1)})),
    Hostile(name="climbing.zip", images=("good.png",),
            refused={"../../evil.png": "outside", "a/../../evil.png": "outside", "../evil.png": "outside"},
            make=lambda: zipped({"../../evil.png": photo(), "a/../../evil.png": photo(1), "..\\evil.png": photo(2),
                                 "good.png": photo(3)})),
    Hostile(name="climbing.tar.xz", images=("good.png",), refused={"../../evil.png": "outside"},
            make=lambda: tarred({"../../evil.png": photo(), "good.png": photo(1)}, "w:xz")),
    Hostile(name="unicode.zip", images=("žluť/ñandú.png", "鳥/쥐.png", "\u202egnp.exe.png", "e\u0301.png", "😀.png"),
            make=lambda: zipped({name: photo(n) for n, name in enumerate(
                ("žluť/ñandú.png", "鳥/쥐.png", "\u202egnp.exe.png", "e\u0301.png", "😀.png"))})),
    Hostile(name="unicode.tar", images=("žluť/ñandú.png", "鳥/쥐.png"),
            make=lambda: tarred({"žluť/ñandú.png": photo(), "鳥/쥐.png": photo(1)})),
    Hostile(name="latin.tar", images=("caf\ufffd.png",), refused={"caf\ufffd.txt": "not an image"},
            make=lambda: tarred({"café.png": photo(), "café.txt": b"x"}, encoding="latin-1")),
    Hostile(name="longest.tar", images=(), refused={"a" * 1000: "not an image"},
            make=lambda: tarred({"a" * 5000 + ".txt": b"x"})),
    Hostile(name="newline.tar", images=("a\nb.png",), make=lambda: tarred({"a\nb.png": photo()})),
    Hostile(name="formula.zip", images=("=cmd|'/c calc'!A1.png",),
            make=lambda: zipped({"=cmd|'/c calc'!A1.png": photo()})),
    Hostile(name="markup.zip", images=("<script>alert(1)<script>.png",),
            make=lambda: zipped({"<script>alert(1)<script>.png": photo()})),
    Hostile(name="shorter.zip", images=("good.png",), refused={"lie.png": "damaged"}, make=partial(zip_that_lies, 10)),
    Hostile(name="longer.zip", images=("good.png",), refused={"lie.png": "damaged"},
            make=partial(zip_that_lies, 10**6)),
    Hostile(name="enormous.zip", whole="harm", make=partial(zip_that_lies, 0xFFFFFFF0)),
    Hostile(name="shorter.tar", refused={"lie.png": "damaged"}, make=partial(tar_that_lies, 100)),
    Hostile(name="longer.tar", whole="damaged", refused={"lie.png": "more than"},
            make=partial(tar_that_lies, 8**11 - 1)),
    Hostile(name="locked.zip", images=("good.png",), refused={"locked.png": "password"}, make=zip_with_a_password),
    Hostile(name="packing.zip", images=("good.png",), refused={"odd.png": "packed"}, make=zip_of_unknown_packing),
    Hostile(name="twice.zip", images=("a.png", "a.png"), make=lambda: twice()),
    Hostile(name="empty.zip", whole="empty archive", make=lambda: zipped({})),
    Hostile(name="empty.tar", whole="", refused={}, make=lambda: tarred({})),
    Hostile(name="nothing.zip", whole="neither", make=lambda: b""),
    Hostile(name="noise.tar.gz", whole="neither", make=lambda: b"\x1f\x8b\x08" + random.Random(0).randbytes(5000)),
    Hostile(name="tail.zip", whole="neither", make=lambda: zipped({"a.png": photo()})[30:-30]),
    Hostile(name="hidden.zip", images=("good.png",), refused={"__MACOSX/._a.png": "hidden", ".DS_Store": "hidden"},
            make=lambda: zipped({"__MACOSX/._a.png": b"x", ".DS_Store": b"x", "good.png": photo()})),
    Hostile(name="empties.zip", images=("good.png",), refused={f"{n}.png": "empty file" for n in range(300)},
            make=lambda: zipped({**{f"{n}.png": b"" for n in range(300)}, "good.png": photo()})),
)


def twice() -> bytes:
    """Return a tar, called a zip, with two files of one name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for number in range(2):
            entry = tarfile.TarInfo("a.png")
            entry.size = len(photo(number))
            archive.addfile(entry, io.BytesIO(photo(number)))
    return out.getvalue()


@cache
def honest() -> tuple[bytes, ...]:
    """Return honest archives of every kind."""
    members = {f"trip/{number}.png": photo(number) for number in range(4)} | {"notes.txt": b"by the sea"}
    return (*(zipped(members, kind) for kind in ZIPS.values()), *(tarred(members, mode) for mode in TARS.values()))


def mutated(trial: int, count: int) -> Iterator[bytes]:
    """Yield honest archives with a few changes each, the same ones each time."""
    for number in range(count):
        draws = random.Random(f"archive/{trial}/{number}")
        yield bytes(changed(draws.choice(honest()), draws, honest()))
