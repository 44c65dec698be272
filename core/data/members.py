"""What an archive from strangers may hold: limits, refused names, and what a member is. Standard library only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from core.errors import DataError

NESTED_SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".jar")
HIDDEN = "a hidden file of the operating system"
_SYSTEM_NAMES = frozenset({
    "__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r", "lost+found",
    "$recycle.bin", "system volume information", "@eadir",
})
"""What macOS, Windows, Picasa and network drives leave beside photographs, in lower case."""


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


@dataclass(frozen=True)
class Member:
    """One file of an archive; read it before asking for the next."""

    name: str
    size_bytes: int
    _read: Callable[[], bytes] = field(repr=False)

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


def refusal(name: str) -> str:
    """Return why a member of this name is not read, or ""."""
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name:
        return "has no name"
    if name.startswith("/") or (len(name) > 1 and name[1] == ":" and name[0].isalpha()):
        return "an absolute path; an archive must not say where to put its files"
    if ".." in parts:
        return "points outside its archive (..)"
    if is_hidden(name):
        return HIDDEN
    if name.lower().endswith(NESTED_SUFFIXES):
        return "an archive inside the archive; unpack it first"
    return ""


def is_hidden(name: str) -> bool:
    """Tell a hidden file, or one that an operating system keeps for itself, by its name or a folder's above it."""
    return any(part.startswith(".") or part.lower() in _SYSTEM_NAMES for part in PurePosixPath(name).parts)


def plain(name: str) -> str:
    """Return the name with forward slashes, without "./" and doubled slashes; what is bad in it stays.

    Bytes that are no UTF-8, which tarfile hands on as lone surrogates, become the sign for them: no database takes
    those (see `readable`).
    """
    return PurePosixPath(readable(name).replace("\\", "/")).as_posix()


def readable(name: str) -> str:
    """Return the name with the sign for them in place of bytes that are no UTF-8; the same name where it has none."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def too_large(size_bytes: int, limits: Limits) -> str:
    """Return why a member of this size is not read, or ""."""
    return f"{size_bytes:,} bytes, more than {limits.member_bytes:,}" if size_bytes > limits.member_bytes else ""


class Budget:
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
