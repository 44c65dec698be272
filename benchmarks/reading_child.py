"""A process that reads strangers' files as a worker does, under limits: ``python -m benchmarks.reading_child``.

It takes files from its standard input, each after a line that says its name and length, and answers each in a line:
what the product made of it. Whoever started it sees by its death what the product cannot survive.
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks.app import SOURCES

MEMORY_BYTES = 4 * 2**30
"""Address space: a worker on a small machine. Above it, memory is refused to the process."""
FILE_SECONDS = 400.0
"""Wall time after which a file is given up; the bound is on processor time, which a busy machine does not stretch."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file.

    Attributes:
        wrong: why that must not be, "" where it may.
        kept: whether it, or something of it, could be used.
        seconds: processor time it took, in the child.
        peak_bytes: the most memory the child has held so far.
    """

    wrong: str
    kept: bool
    seconds: float
    peak_bytes: int


class Reader:
    """A child that reads files, replaced by a new one when it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.end()

    def give(self, kind: str, name: str, content: bytes) -> Outcome:
        """Let the child read a file.

        Args:
            kind: one of `READINGS`.
            name: what the product is to call it.
            content: its bytes.
        """
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        began = time.monotonic()
        late = threading.Timer(FILE_SECONDS, process.kill)
        late.start()
        line = b""
        try:
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps([kind, name, len(content)]).encode() + b"\n" + content)
                process.stdin.flush()
                line = process.stdout.readline()
        finally:
            late.cancel()
        if line:
            return Outcome(**json.loads(line))
        seconds = time.monotonic() - began
        code = process.wait()
        self.end()
        how = f"took longer than {FILE_SECONDS:g} s" if seconds >= FILE_SECONDS else f"ended its reader ({code})"
        return Outcome(wrong=how, kept=False, seconds=seconds, peak_bytes=0)

    def end(self) -> None:
        """End the child; the next file gets a new one, with nothing in its memory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "benchmarks.reading_child"], cwd=SOURCES, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return self._process


def read_picture(name: str, content: bytes) -> bool:
    """Read a picture as ingest does, and once more, reduced, as training does."""
    from core.data.decoding import decode
    from webapp.collections.pictures import keep

    kept = keep(content, name)
    measured = (kept.look.sharpness, kept.look.information_bits)
    if not all(one is None or math.isfinite(one) for one in measured):
        raise ArithmeticError(f"a picture that was measured as {measured}")
    decode(content, name, at_least_px=32)
    return True


def read_archive(name: str, content: bytes) -> bool:
    """Read each member of an archive as ingest does; a refused member is no fault of the rest."""
    from core.data.archives import Skipped, members
    from core.errors import DataError

    kept = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        for member in members(path):
            member.name.encode()  # what no database could store would raise here
            if isinstance(member, Skipped):
                continue
            try:
                kept += len(member.read()) == member.size_bytes
            except DataError as error:
                if error.file == name:
                    raise
                if error.file != member.name:
                    raise LookupError(f"{member.name} was refused under the name of {error.file}") from error
    return bool(kept)


READINGS: Mapping[str, Callable[[str, bytes], bool]] = {"picture": read_picture, "archive": read_archive}


def read(kind: str, name: str, content: bytes) -> tuple[bool, str]:
    """Read a file; return whether it was kept, and what is wrong with that."""
    from core.errors import DataError

    try:
        return READINGS[kind](name, content), ""
    except DataError as error:
        named = error.file == name and str(error).startswith(name) and error.reason.strip()
        return False, "" if named else f"refused without its name or a reason: {error}"
    except BaseException as error:
        return False, f"not refused but raised {type(error).__name__}: {error}"


def peak_bytes() -> int:
    """Return the most memory this process has held; what getrusage says began in the process it was forked from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    """Answer until there is no more."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    source = sys.stdin.buffer
    while head := source.readline():
        kind, name, length = json.loads(head)
        content = source.read(length)
        began = time.process_time()
        kept, wrong = read(kind, name, content)
        sys.stdout.write(json.dumps({
            "wrong": wrong, "kept": kept, "seconds": time.process_time() - began,
            "peak_bytes": peak_bytes()}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
