"""Pictures that end the process which reads them: noted beforehand, so that the third such end is a refusal by name.

Decoders are written in C, and a file may crash one, fill the memory or keep it busy for hours. Celery sends the
upload again at once; without the note it would be read, and end its reader, for ever.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from core.errors import DataError

MOST_TRIES = 3
READING_SECONDS = 120.0
"""Processor time that one picture may take: the largest allowed takes under ten seconds."""
REASON = (f"the program that reads images ended {MOST_TRIES} times while it read this one: it is damaged, or made to "
          "do harm; open it in another program and save it as JPEG or PNG")


@contextmanager
def at_hand(note: Path, member: int, name: str) -> Iterator[None]:
    """Note which picture is being read, and end this process if that takes for ever.

    Args:
        note: where that is written (`storage.reading_note`, `storage.trial_note`).
        member: its place in what it came with.
        name: what messages call it.

    Raises:
        DataError: when it has ended its reader too often already.
    """
    tries = _begun(note)
    if tries.get(member, 0) >= MOST_TRIES:
        raise DataError(name, REASON)
    without = {one: count for one, count in tries.items() if one != member}
    _write(note, {**without, member: tries.get(member, 0) + 1})
    before = signal.setitimer(signal.ITIMER_PROF, READING_SECONDS)  # its signal ends the process, even within C
    try:
        yield
    except DataError:
        _write(note, without)  # judged: no fault of the reader's
        raise
    finally:
        signal.setitimer(signal.ITIMER_PROF, *before)
    _write(note, without)


def _begun(note: Path) -> dict[int, int]:
    """Return how often the reading of each member has begun and not ended."""
    try:
        return {int(member): int(count) for member, count in map(str.split, note.read_text().splitlines())}
    except (FileNotFoundError, ValueError):  # none, or half written as the disk was full
        return {}


def _write(note: Path, tries: Mapping[int, int]) -> None:
    if tries:
        note.write_text("".join(f"{member} {count}\n" for member, count in tries.items()))
    else:
        note.unlink(missing_ok=True)
