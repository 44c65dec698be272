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
from functools import partial
from pathlib import Path
from typing import IO

from core.data.compression import BrokenLimit, Guarded, open_decompressed, zip_directory_size_bytes
from core.data.members import HIDDEN, Budget, Limits, Member, Skipped, plain, refusal, too_large
from core.errors import DataError

__all__ = ["HIDDEN", "SUFFIXES", "Limits", "Member", "Skipped", "is_archive", "members"]

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_DIRECTORY_ENTRY_BYTES = 400
_PART_BYTES = 1 << 20
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, struct.error, OSError, EOFError,
           ValueError, LookupError, ArithmeticError, RuntimeError)


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
            budget = Budget(path.name, size_bytes, limits)
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
    return plain(name)


def _zip_refusal(one: zipfile.ZipInfo, limits: Limits) -> str:
    mode = one.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        return "a link or a device, not a file"
    if one.flag_bits & 0x1:
        return "locked with a password; unpack it first"
    if one.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}:
        return "packed in a way that cannot be read here; pack it as an ordinary zip"
    return too_large(one.file_size, limits)


class _ZipReader:
    """Unpacks one member, never more than its header promised."""

    def __init__(self, archive: zipfile.ZipFile, one: zipfile.ZipInfo, name: str, budget: Budget) -> None:
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
    budget = Budget(path.name, path.stat().st_size, limits)
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
                    name = plain(one.name)
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
    return too_large(one.size, limits)


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
