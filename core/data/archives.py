"""Members of zip and tar archives from strangers, one at a time, within limits. Standard library only.

Names are for showing and never become paths. What is refused by name is skipped and the rest goes
on; an archive that breaks a limit is refused whole.
"""

from __future__ import annotations

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from core.data.compression import BrokenLimit, Guarded, open_decompressed, zip_directory_size_bytes
from core.errors import DataError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
NESTED_SUFFIXES = (*SUFFIXES, ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".jar")
HIDDEN = "a hidden file of the operating system"
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
_DIRECTORY_ENTRY_BYTES = 400
_PART_BYTES = 1 << 20
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, struct.error, OSError, EOFError,
           ValueError, LookupError, ArithmeticError, RuntimeError)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much an archive may contain.

    Attributes:
        members: files at most.
        total_bytes: of all files together, unpacked.
        member_bytes: of one file, unpacked; larger ones are skipped by name.
        ratio: unpacked bytes for each byte of the archive.
        ratio_floor_bytes: below this total the ratio does not matter; small archives compress oddly.
    """

    members: int = 200_000
    total_bytes: int = 50_000_000_000
    member_bytes: int = 500_000_000
    ratio: float = 200.0
    ratio_floor_bytes: int = 100_000_000


class _Reader(Protocol):
    def __call__(self) -> bytes: ...


@dataclass(frozen=True)
class Member:
    """One file of an archive; read it before asking for the next."""

    name: str
    size_bytes: int
    _read: _Reader = field(repr=False)

    def read(self) -> bytes:
        """Return the content.

        Raises:
            DataError: naming a damaged member, after which the rest can be read, or naming the archive where it
            breaks a limit or is damaged beyond this member.
        """
        return self._read()


@dataclass(frozen=True)
class Skipped:
    """A member that is not read, and why."""

    name: str
    reason: str


def is_archive(path: Path) -> bool:
    """Tell by its content, not its name, whether a file is a zip or tar archive."""
    return _begins_as_tar(path) or zipfile.is_zipfile(path)


def _begins_as_tar(path: Path) -> bool:
    """Tell by the first header alone; `tarfile.is_tarfile` would read as much as that header says."""
    try:
        with path.open("rb") as file, open_decompressed(file) as stream:
            tarfile.TarInfo.frombuf(stream.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
    except _BROKEN:
        return False
    return True


def members(archive: Path, limits: Limits | None = None) -> Iterator[Member | Skipped]:
    """Yield the files of a zip or tar(.gz, .bz2, .xz) archive in its order, and what is skipped with its reason.

    Raises:
        DataError: for an archive that cannot be opened, is damaged or breaks a limit.
    """
    limits = limits or Limits()
    if not archive.is_file():
        raise DataError(archive.name, "no such file")
    if zipfile.is_zipfile(archive) and not _begins_as_tar(archive):  # a tar may end in a zip
        yield from _zip_members(archive, limits)
    else:
        yield from _tar_members(archive, limits)


def refusal(name: str) -> str:
    """Return why a member of this name is not read, or ""."""
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name:
        return "has no name"
    if name.startswith("/") or (len(name) > 1 and name[1] == ":" and name[0].isalpha()):
        return "an absolute path; an archive must not say where to put its files"
    if ".." in parts:
        return "points outside its archive (..)"
    if "__MACOSX" in parts or any(part.startswith(".") for part in parts) or parts[-1].lower() in _SYSTEM_FILES:
        return HIDDEN
    if name.lower().endswith(NESTED_SUFFIXES):
        return "an archive inside the archive; unpack it first"
    return ""


def _plain(name: str) -> str:
    """Return the name with forward slashes, without "./" and doubled slashes; what is bad in it stays."""
    return PurePosixPath(name.replace("\\", "/")).as_posix()


def _zip_members(path: Path, limits: Limits) -> Iterator[Member | Skipped]:
    """Yield the members of a zip archive, whose directory is checked before anything is unpacked."""
    size_bytes = path.stat().st_size
    if zip_directory_size_bytes(path) > limits.members * _DIRECTORY_ENTRY_BYTES:
        raise DataError(path.name, f"lists more than {limits.members:,} files; split it")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if not one.is_dir()]
            if len(entries) > limits.members:
                raise DataError(path.name, f"{len(entries):,} files, more than {limits.members:,}; split it")
            budget = _Budget(path.name, size_bytes, limits)
            budget.check(sum(one.file_size for one in entries))
            for one in entries:
                name = _zip_name(one)
                if reason := refusal(name) or _zip_refusal(one, limits):
                    yield Skipped(name, reason)
                else:
                    yield Member(name, one.file_size, _ZipReader(archive, one, name, budget))
    except _BROKEN as error:
        raise DataError(path.name, f"damaged zip archive: {error}") from error


def _zip_name(one: zipfile.ZipInfo) -> str:
    """Return the name, read as UTF-8 where a Mac wrote that without saying so, with forward slashes."""
    name = one.filename
    if not one.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return _plain(name)


def _zip_refusal(one: zipfile.ZipInfo, limits: Limits) -> str:
    mode = one.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        return "a link or a device, not a file"
    if one.flag_bits & 0x1:
        return "locked with a password; unpack it first"
    if one.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}:
        return "packed in a way that cannot be read here; pack it as an ordinary zip"
    return _too_large(one.file_size, limits)


def _too_large(size_bytes: int, limits: Limits) -> str:
    return f"{size_bytes:,} bytes, more than {limits.member_bytes:,}" if size_bytes > limits.member_bytes else ""


class _Budget:
    """What of the limits is used up by what was really unpacked, whatever the headers say."""

    def __init__(self, archive: str, archive_bytes: int, limits: Limits) -> None:
        self.archive, self.archive_bytes, self.limits = archive, max(archive_bytes, 1), limits
        self.total = 0

    def spend(self, size_bytes: int) -> None:
        """Count unpacked bytes."""
        self.total += size_bytes
        self.check(self.total)

    def check(self, total: int) -> None:
        """Raise DataError where `total` unpacked bytes break a limit."""
        if total > self.limits.total_bytes:
            raise DataError(self.archive, f"unpacks to more than {self.limits.total_bytes:,} bytes; split it")
        if total > self.limits.ratio_floor_bytes and total > self.limits.ratio * self.archive_bytes:
            raise DataError(self.archive, f"unpacks to more than {self.limits.ratio:g} times its size, as archives "
                                          "made to do harm do; pack ordinary images")


class _ZipReader:
    """Unpacks one member, never more than its header promised."""

    def __init__(self, archive: zipfile.ZipFile, one: zipfile.ZipInfo, name: str, budget: _Budget) -> None:
        self.archive, self.one, self.name, self.budget = archive, one, name, budget

    def __call__(self) -> bytes:
        """Return the content."""
        try:
            with self.archive.open(self.one) as stream:
                content = stream.read(self.one.file_size + 1)
        except _BROKEN as error:
            raise DataError(self.name, f"damaged in its archive: {error}") from error
        if len(content) != self.one.file_size:
            raise DataError(self.name, "damaged in its archive: not as long as the archive says")
        self.budget.spend(len(content))
        return content


def _tar_members(path: Path, limits: Limits) -> Iterator[Member | Skipped]:
    """Yield the members of a tar archive in one pass, never going back."""
    budget = _Budget(path.name, path.stat().st_size, limits)
    count = 0
    try:
        with path.open("rb") as file, open_decompressed(file) as stream:
            guarded = Guarded(stream, budget.spend)
            with tarfile.open(fileobj=guarded, mode="r:") as archive:
                while (one := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # else 200,000 headers stay in memory
                    if one.isdir():
                        continue
                    count += 1
                    if count > limits.members:
                        raise DataError(path.name, f"more than {limits.members:,} files; split it")
                    name = _plain(one.name)
                    if reason := refusal(name) or _tar_refusal(one, limits):
                        yield Skipped(name, reason)
                    else:
                        yield Member(name, one.size, _TarReader(archive, one, path.name))
    except BrokenLimit as error:
        raise DataError(path.name, str(error)) from None
    except _BROKEN as error:
        reason = "damaged tar archive" if count else "neither a zip nor a tar archive, or damaged"
        raise DataError(path.name, f"{reason}: {error}") from error


def _tar_refusal(one: tarfile.TarInfo, limits: Limits) -> str:
    if one.issym() or one.islnk():
        return "a link, not a file"
    if not one.isreg() or one.issparse():
        return "a device or another special file, not a file"
    return _too_large(one.size, limits)


class _TarReader:
    """Reads one member at the place where the stream stands; damage there ends the archive."""

    def __init__(self, archive: tarfile.TarFile, one: tarfile.TarInfo, archive_name: str) -> None:
        self.archive, self.one, self.archive_name = archive, one, archive_name

    def __call__(self) -> bytes:
        """Return the content."""
        stream: IO[bytes] | None = self.archive.extractfile(self.one)
        try:
            return b"" if stream is None else b"".join(iter(partial(stream.read, _PART_BYTES), b""))
        except BrokenLimit as error:
            raise DataError(self.archive_name, str(error)) from None
        except _BROKEN as error:
            raise DataError(self.archive_name, f"damaged or cut off within {self.one.name}: {error}") from error
