"""A collection of readable images, in a fixed order, and how one is opened from a folder or an archive."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from threading import Lock

from PIL import Image

from core.data import archives
from core.data.archives import Limits, Skipped
from core.data.decoding import SUFFIXES, decode
from core.data.members import is_hidden, readable
from core.errors import DataError

HASHED_WHOLE_BYTES = 1 << 20
HASHED_END_BYTES = 1 << 16
LINKED_FOLDER = "a link to a folder; give that folder itself, or copy it here"


@dataclass(frozen=True)
class Refusal:
    """A file or a folder that cannot be used, and why."""

    name: str
    reason: str


class Decoded:
    """Decoded pictures kept in memory up to a bound, because decoding dominates where images are small."""

    def __init__(self, limit_bytes: int = 1_500_000_000, largest_pixels: int = 512 * 512) -> None:
        self.limit_bytes, self.largest_pixels = limit_bytes, largest_pixels
        self.size_bytes = 0
        self._kept: dict[tuple[Path, int | None], Image.Image] = {}
        self._lock = Lock()

    def get(self, path: Path, at_least_px: int | None) -> Image.Image | None:
        """Return the kept picture, or None."""
        return self._kept.get((path, at_least_px))

    def keep(self, path: Path, at_least_px: int | None, image: Image.Image) -> None:
        """Keep the picture if it is small enough and there is room."""
        pixels = image.width * image.height
        with self._lock:
            if pixels <= self.largest_pixels and self.size_bytes + 4 * pixels <= self.limit_bytes:
                self._kept[(path, at_least_px)] = image
                self.size_bytes += 4 * pixels  # Pillow keeps RGB in four bytes a pixel


@dataclass(frozen=True)
class ImageSet:
    """Readable images by file; `names` is what a person calls them (paths within a folder or an archive)."""

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    decoded: Decoded = field(default_factory=Decoded, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse names that do not fit their files."""
        if len(self.paths) != len(self.names):
            raise ValueError(f"{len(self.paths)} files but {len(self.names)} names")

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, index: int, at_least_px: int | None = None) -> Image.Image:
        """Return an image, upright and in RGB; treat it as read-only, for it may be kept.

        Args:
            index: 0 … N - 1.
            at_least_px: when given, a larger image may come back reduced to this shorter side.

        Raises:
            DataError: when the file has gone or changed since the set was made.
        """
        path = self.paths[index]
        whole = self.decoded.get(path, None)
        if whole is not None and (at_least_px is None or min(whole.size) <= at_least_px):
            return whole
        found = self.decoded.get(path, at_least_px)
        if found is None:
            found = decode(path, self.names[index], at_least_px)
            is_whole = at_least_px is None or min(found.size) < at_least_px
            self.decoded.keep(path, None if is_whole else at_least_px, found)
        return found

    def subset(self, indices: Sequence[int]) -> ImageSet:
        """Return the images at `indices`, in that order; decoded pictures are shared."""
        return ImageSet(tuple(self.paths[i] for i in indices), tuple(self.names[i] for i in indices), self.decoded)

    def joined(self, others: ImageSet) -> ImageSet:
        """Return these images and then the others; pictures are kept where these are."""
        return ImageSet(self.paths + others.paths, self.names + others.names, self.decoded)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of names and contents in order; of large files the ends, the size and the time count.

        Raises:
            DataError: when a file has gone since the set was made.
        """
        digest = hashlib.blake2b(digest_size=16)
        for path, name in zip(self.paths, self.names):
            try:
                content = _content_digest(path)
            except OSError as error:
                raise DataError(name, f"cannot be read: {error.strerror}") from None
            digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + content)
        return digest.hexdigest()


def open_images(source: Path, unpack_into: Path, limits: Limits | None = None,
                seen: Callable[[str], None] | None = None,
                decoded: Decoded | None = None) -> tuple[ImageSet, list[Refusal]]:
    """Open every readable image of a folder or an archive, sorted by name, and list what cannot be read.

    Args:
        source: a folder, or a zip or tar archive.
        unpack_into: where an archive's images are written; made if missing.
        limits: of an archive.
        seen: called with each name, for progress.
        decoded: where pictures are kept in memory, together with another set's; a place of its own without.

    Raises:
        DataError: where there is no image at all, or for an archive that cannot be used.
    """
    decoded = decoded or Decoded()
    if source.is_dir():
        found, refused = _from_folder(source, decoded, seen)
    elif source.suffix.lower() in SUFFIXES and source.is_file() and not archives.is_archive(source):
        raise DataError(str(source), "is one picture; give the folder that it is in")
    elif source.exists():
        found, refused = _from_archive(source, unpack_into, limits, decoded, seen)
    else:
        raise DataError(str(source), "no such folder or archive")
    if not found:
        why = f"; the first file: {refused[0].name}: {refused[0].reason}" if refused else ""
        raise DataError(str(source), f"no readable image among {len(refused)} file(s){why}")
    found.sort()
    return ImageSet(tuple(path for _, path in found), tuple(name for name, _ in found), decoded), refused


def _from_folder(folder: Path, decoded: Decoded,
                 seen: Callable[[str], None] | None) -> tuple[list[tuple[str, Path]], list[Refusal]]:
    """Check each file below a folder; hidden files are passed over in silence, links to folders are not followed."""
    found: list[tuple[str, Path]] = []
    refused: list[Refusal] = []

    def name_of(path: Path) -> str:
        return path.relative_to(folder).as_posix()

    def refuse_folder(error: OSError) -> None:
        refused.append(Refusal(readable(name_of(Path(error.filename))), f"cannot be opened: {error.strerror}"))

    for where, folders, files in os.walk(folder, onerror=refuse_folder):
        visible = {one for one in folders if not is_hidden(one)}
        links = {one for one in visible if _is_link(Path(where) / one)}
        folders[:] = sorted(visible - links)
        refused.extend(Refusal(readable(name_of(Path(where) / one)), LINKED_FOLDER) for one in sorted(links))
        for file in sorted(one for one in files if not is_hidden(one)):
            path = Path(where) / file
            name = name_of(path)
            if seen is not None:
                seen(readable(name))
            try:
                if readable(name) != name:
                    refused.append(Refusal(readable(name), "its name is not text in UTF-8; rename it"))
                elif path.is_file():
                    decoded.keep(path, None, decode(path, name))
                    found.append((name, path))
                else:
                    refused.append(Refusal(name, "a link to nothing or a special file"))
            except DataError as error:
                refused.append(Refusal(name, error.reason))
            except OSError as error:
                refused.append(Refusal(name, f"cannot be read: {error.strerror}"))
    return found, refused


def _is_link(path: Path) -> bool:
    """Tell a link; what cannot be asked, in a closed folder, is none."""
    try:
        return path.is_symlink()
    except OSError:
        return False


def _from_archive(archive: Path, unpack_into: Path, limits: Limits | None, decoded: Decoded,
                  seen: Callable[[str], None] | None) -> tuple[list[tuple[str, Path]], list[Refusal]]:
    """Check and write each member of an archive under a name of our own."""
    unpack_into.mkdir(parents=True, exist_ok=True)
    found: list[tuple[str, Path]] = []
    refused: list[Refusal] = []
    names: set[str] = set()
    for member in archives.members(archive, limits):
        if seen is not None:
            seen(member.name)
        if isinstance(member, Skipped):
            refused.append(Refusal(member.name, member.reason))
            continue
        if member.name in names:
            refused.append(Refusal(member.name, "a second file of the same name in the archive"))
            continue
        names.add(member.name)
        try:
            content = member.read()
            image = decode(content, member.name)
        except DataError as error:
            if error.file == archive.name:  # the archive breaks a limit, not one of its members
                raise
            refused.append(Refusal(member.name, error.reason))
            continue
        suffix = PurePosixPath(member.name).suffix.lower()
        path = unpack_into / f"{len(found):06d}{suffix if suffix in SUFFIXES else ''}"
        path.write_bytes(content)
        decoded.keep(path, None, image)
        found.append((member.name, path))
    return found, refused


def _content_digest(path: Path) -> bytes:
    """Return a digest of a file; large ones by their ends, size and time, to spare the disk."""
    state = path.stat()
    digest = hashlib.blake2b(state.st_size.to_bytes(8, "little"), digest_size=16)
    with path.open("rb") as file:
        if state.st_size <= HASHED_WHOLE_BYTES:
            digest.update(file.read())
        else:
            digest.update(file.read(HASHED_END_BYTES))
            file.seek(-HASHED_END_BYTES, os.SEEK_END)
            digest.update(file.read())
            digest.update(state.st_mtime_ns.to_bytes(16, "little", signed=True))
    return digest.digest()
