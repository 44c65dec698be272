"""A small disk that can really be filled: a file system in memory, mounted by root; its writers meet a true ENOSPC."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("uploads", "media", "runs")
"""What of a home lies on the small disk; database and queue lie on another."""


@dataclass(frozen=True)
class SmallDisk:
    """A mounted file system of a few hundred megabytes."""

    folder: Path

    @staticmethod
    def can_be_had() -> bool:
        """Tell whether this program may mount one."""
        return os.geteuid() == 0 and shutil.which("mount") is not None

    @classmethod
    @contextmanager
    def mounted(cls, megabytes: int) -> Iterator[SmallDisk]:
        """Mount one, and take it away in the end."""
        folder = Path(tempfile.mkdtemp(prefix="labelfree-disk-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)], check=True)
        try:
            yield cls(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
            folder.rmdir()

    def furnish(self, home: Path) -> None:
        """Let a new home keep its files here."""
        for name in FOLDERS:
            (self.folder / name).mkdir(mode=0o700)
            (home / name).symlink_to(self.folder / name)

    @property
    def free_bytes(self) -> int:
        """Return what still fits."""
        return shutil.disk_usage(self.folder).free

    @contextmanager
    def filled(self, leaving_bytes: int) -> Iterator[None]:
        """Fill it but for so much, and make room again afterwards."""
        ballast = self.folder / "ballast"
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, self.free_bytes - leaving_bytes))
        try:
            yield
        finally:
            ballast.unlink()
