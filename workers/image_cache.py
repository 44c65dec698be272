"""Copies of the images on shared storage, on a disk of this machine, for the runs that are worked on here.

``images/<collection>/…`` is as under MEDIA_ROOT, where a file is named by its content and never changed: a copy that is
there is good. ``used/<collection>`` is locked, shared, by every run in progress that reads the collection, and its time
says when the last one began. Collections are dropped whole, the least recently used first.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from threading import Lock
from types import TracebackType

from django.conf import settings

from webapp.collections.models import Collection
from webapp.collections.room import SPARE_BYTES

COPIED_AT_ONCE = 8
"""Shared storage is slow to answer rather than slow to send."""
PLANNED_AT_ONCE = 500
COUNTED_ANEW = 20
"""What is here is counted anew after each twentieth of the bound: other runs bring images, too."""
LEFT_BEHIND_SECONDS = 3600.0
"""Half a copy of this age was left behind by a process that was killed."""


class NoRoom(Exception):
    """Nothing may be dropped from the cache any more."""


class ImageCache:
    """The cache as one run sees it, in a ``with`` block: what the run reads is not dropped before its end."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder, self._limit_bytes = folder, limit_bytes
        self._used = ExitStack()
        self._granted_bytes = 0
        self._granting = Lock()

    @classmethod
    def of_this_machine(cls) -> ImageCache | None:
        """Return the cache that the settings name, if they do."""
        return cls(settings.IMAGE_CACHE, settings.IMAGE_CACHE_BYTES) if settings.IMAGE_CACHE else None

    def __enter__(self) -> ImageCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._used.close()

    def fetch(self, images: Sequence[Path], tell: Callable[[int, int], None],
              say: Callable[[str], None]) -> Mapping[Path, Path]:
        """Copy images that are not here yet, and return where those that are here now lie, by where they came from.

        What cannot be copied is left out, to be read where it is: who reads it says so where it is missing there.

        Args:
            images: files under MEDIA_ROOT.
            tell: called with how many were copied, and of how many; may raise, to stop.
            say: told once, in words, that images have to be read from shared storage, and why.
        """
        copies = {image: self._folder / image.relative_to(settings.MEDIA_ROOT) for image in images}
        reason, found = "", {}
        try:
            self._use({copy.relative_to(self._folder).parts[1] for copy in copies.values()})
            found = copies
            self._copy_all([(image, copy) for image, copy in copies.items() if not copy.exists()], tell)
        except NoRoom:
            reason = f"the cache {self._folder} has no room beside what runs in progress read"
        except OSError as error:
            reason = f"the cache {self._folder} cannot be used ({error.strerror})"
        found = {image: copy for image, copy in found.items() if copy.exists()}
        if reason:
            say(f"{len(copies) - len(found):,} of {len(copies):,} images are read from shared storage: {reason}")
        return found

    def forget_deleted(self) -> None:
        """Drop the copies of collections that were deleted for good, but for what runs in progress still read."""
        here = {int(one.name): one for one in self._collections()}
        there = set(Collection.objects.filter(pk__in=here).values_list("pk", flat=True)) if here else set()
        with suppress(OSError):  # of the cache's disk: the runs say it
            for collection in here.keys() - there:
                self._drop(here[collection])

    def _use(self, collections: set[str]) -> None:
        """Keep collections from being dropped, by any process, until this run ends."""
        used = self._folder / "used"
        used.mkdir(mode=0o700, parents=True, exist_ok=True)
        for collection in collections:
            file = self._used.enter_context((used / collection).open("a+"))
            fcntl.flock(file, fcntl.LOCK_SH)  # waits while it is being dropped
            os.utime(file.fileno())

    def _copy_all(self, missing: Sequence[tuple[Path, Path]], tell: Callable[[int, int], None]) -> None:
        """Copy some at a time, in an order of our own: so two runs that begin together share the work."""
        ordered = Random(os.getpid()).sample(missing, len(missing))
        with ThreadPoolExecutor(COPIED_AT_ONCE) as pool:
            try:
                for first in range(0, len(ordered), PLANNED_AT_ONCE):
                    planned = pool.map(lambda pair: self._copy(*pair), ordered[first : first + PLANNED_AT_ONCE])
                    for done, _ in enumerate(planned, start=first + 1):
                        tell(done, len(ordered))
            finally:
                pool.shutdown(cancel_futures=True)

    def _copy(self, image: Path, copy: Path) -> None:
        """Copy one file, whole and with its time, which is part of a large file's fingerprint; or leave it where it is.

        Raises:
            NoRoom, OSError: of the cache, never of shared storage.
        """
        if copy.exists():
            return
        try:
            content, state = image.read_bytes(), image.stat()
        except OSError:
            return
        if len(content) != state.st_size:
            return
        self._take_room(len(content))
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = copy.with_name(f"{copy.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fdatasync(file.fileno())  # a power cut must not leave a name without its content
            os.utime(part, ns=(state.st_atime_ns, state.st_mtime_ns))
            part.replace(copy)
        finally:
            part.unlink(missing_ok=True)

    def _take_room(self, size_bytes: int) -> None:
        """Count what is about to be written, and make room where there is none.

        Raises:
            NoRoom: all that is here is read by runs in progress.
        """
        with self._granting:
            while self._granted_bytes < size_bytes:
                left = self._left_bytes()
                if left >= size_bytes:
                    self._granted_bytes = max(size_bytes, min(left, self._limit_bytes // COUNTED_ANEW))
                elif not any(self._drop(one) for one in sorted(self._collections(), key=self._used_at)):
                    raise NoRoom
            self._granted_bytes -= size_bytes

    def _left_bytes(self) -> int:
        """Return how much may still be written: up to the bound, and never what is to stay free on the disk."""
        found = sum(state.st_size for state in self._states())
        return min(self._limit_bytes - found, shutil.disk_usage(self._folder).free - SPARE_BYTES)

    def _states(self) -> Iterator[os.stat_result]:
        """Yield the state of every file here; halves that were left behind are removed."""
        for where, _, names in os.walk(self._folder / "images"):
            for file in (Path(where) / name for name in names):
                with suppress(FileNotFoundError):  # dropped, or renamed, meanwhile
                    state = file.stat()
                    if file.suffix == ".part" and time.time() - state.st_ctime > LEFT_BEHIND_SECONDS:
                        file.unlink()
                    else:
                        yield state

    def _collections(self) -> list[Path]:
        """Return the folder of each collection of which something is here."""
        return [one for one in (self._folder / "images").glob("*") if one.name.isdecimal()]

    def _used_at(self, collection: Path) -> float:
        """Return when the last run that reads a collection began; 0 where nobody knows."""
        file = self._folder / "used" / collection.name
        return file.stat().st_mtime if file.exists() else 0.0

    def _drop(self, collection: Path) -> bool:
        """Remove the copies of a collection, unless a run in progress reads them; return whether they are gone."""
        with (self._folder / "used" / collection.name).open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if collection.exists():
                shutil.rmtree(collection)
        return True
