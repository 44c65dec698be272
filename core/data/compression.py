"""Forward-only reading of compressed archives from strangers: every byte is counted. Standard library only."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

LARGEST_READ_BYTES = 4 << 20
_SKIP_BYTES = 1 << 20


class BrokenLimit(Exception):
    """A read that no honest archive asks for."""


class Guarded(io.RawIOBase):
    """A stream that goes forward only, counts what it gives and refuses to give too much at once.

    tarfile reads long names and other headers whole into memory, however long they say they are.
    Members are read in parts, so that a bound on one read is none on them.
    """

    def __init__(self, stream: IO[bytes], spend: Callable[[int], None]) -> None:
        super().__init__()
        self.stream, self.spend = stream, spend
        self.position = 0

    def read(self, size: int = -1) -> bytes:
        """Return `size` bytes, fewer only at the end."""
        if size < 0 or size > LARGEST_READ_BYTES:
            raise BrokenLimit(f"asks for {size:,} bytes at once, as archives made to do harm do")
        content = self.stream.read(size)
        self.position += len(content)
        self.spend(len(content))
        return content

    def tell(self) -> int:
        """Return the place in the unpacked stream."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go forward to `offset`."""
        if whence != io.SEEK_SET or offset < self.position:
            raise io.UnsupportedOperation("this stream goes forward only")
        while self.position < offset and self.read(min(_SKIP_BYTES, offset - self.position)):
            pass
        return self.position

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes: forward."""
        return True


def open_decompressed(file: IO[bytes]) -> IO[bytes]:
    """Return the stream unpacked by what its first bytes say: gzip, bzip2, xz or nothing."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    if head.startswith(b"BZh"):
        return cast("IO[bytes]", bz2.BZ2File(file, "rb"))
    if head.startswith(b"\xfd7zXZ\x00"):
        return cast("IO[bytes]", lzma.LZMAFile(file, "rb"))
    return file


def zip_directory_size_bytes(path: Path) -> int:
    """Return the size that a zip archive gives its directory, which is read whole into memory; 0 if it says none."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 65_557 - 76))
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0:
        return 0
    directory = int.from_bytes(tail[end + 12:end + 16], "little")
    long_end = end - 76
    if directory == 0xFFFFFFFF and long_end >= 0 and tail[long_end:long_end + 4] == b"PK\x06\x06":
        directory = int.from_bytes(tail[long_end + 40:long_end + 48], "little")
    return directory
