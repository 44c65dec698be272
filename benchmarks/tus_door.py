"""Strangers' files through the front door: sent by tus to a running labelfree, read by its worker, accounted for."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import hostile_archives, hostile_images
from benchmarks.app import App
from benchmarks.client import Refused
from benchmarks.hostile_archives import Hostile

WAIT_SECONDS = 3600


def send(app: App, collection: int, name: str, content: bytes) -> None:
    """Send one file in chunks, under its name."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(content)
        app.api.upload(file, collection)


def wait_until_read(app: App, collection: int) -> None:
    """Wait for the worker.

    Raises:
        Refused: it does not come to an end.
    """
    began = time.monotonic()
    while app.api.get(f"/api/v1/collections/{collection}")["pending_upload_count"]:
        if time.monotonic() - began > WAIT_SECONDS:
            raise Refused(f"files are still unread after {WAIT_SECONDS} s")
        time.sleep(1)


def outcomes(collection: int) -> tuple[list[str], dict[str, str]]:
    """Return what became images and what was refused: paths, and path -> reason."""
    from webapp.collections.models import Image, Refusal

    refused = Refusal.objects.filter(collection_id=collection)
    return (list(Image.objects.filter(collection_id=collection).values_list("path", flat=True)),
            dict(refused.values_list("path", "reason")))


def new_collection(app: App, name: str) -> int:
    """Make a collection."""
    return int(app.api.post("/api/v1/collections", {"name": name})["id"])


def pictures(trial: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield mutated pictures of all kinds in turn, each under a name of its own."""
    kinds = list(hostile_images.KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        content = next(hostile_images.mutated(kind, 10_000 + trial * count + number, 1))
        yield f"{number:04d} {kind}.{random.Random(number).choice(('jpg', 'png', 'bin'))}", content


def send_pictures(app: App, trial: int, count: int) -> tuple[int, list[str]]:
    """Send mutated pictures one by one; each becomes an image or is refused by its name."""
    collection = new_collection(app, f"Damaged pictures {trial}")
    names = []
    for name, content in pictures(trial, count):
        send(app, collection, name, content)
        names.append(name)
    wait_until_read(app, collection)
    images, refused = outcomes(collection)
    lost = [f"{name}: neither an image nor refused" for name in names if name not in images and name not in refused]
    both = [f"{name}: an image and refused" for name in names if name in images and name in refused]
    strange = [f"{name}: nobody sent it" for name in {*images, *refused} - {*names}]
    silent = [f"{name}: refused without a reason" for name, reason in refused.items() if not reason.strip()]
    worn = [f"{name}: {reason}" for name, reason in refused.items() if "ended" in reason]
    return len(names), [*lost, *both, *strange, *silent, *worn]


def send_archive(app: App, hostile: Hostile) -> list[str]:
    """Send one archive and return what became of it that should not."""
    collection = new_collection(app, hostile.name)
    send(app, collection, hostile.name, hostile.make())
    wait_until_read(app, collection)
    images, refused = outcomes(collection)
    wrong = []
    if sorted(images) != sorted(hostile.images):
        wrong.append(f"{hostile.name}: the images are {sorted(images)[:9]}, not {sorted(hostile.images)}")
    if hostile.whole and hostile.whole not in refused.pop(hostile.name, ""):
        wrong.append(f"{hostile.name}: not refused as a whole by {hostile.whole!r}: {refused}")
    for name, word in hostile.refused.items():
        if word not in (reason := refused.pop(name, "nothing")):
            wrong.append(f"{hostile.name}: {name} was refused by {reason!r}, not {word!r}")
    refused.pop(hostile.name, None)  # an archive of which nothing could be kept is refused too
    return [*wrong, *(f"{hostile.name}: {name} was refused: {reason}" for name, reason in refused.items())]


def send_archives(app: App) -> tuple[int, list[str]]:
    """Send every hostile archive; return how many, and what is wrong."""
    wrong = [one for hostile in hostile_archives.HOSTILE for one in send_archive(app, hostile)]
    outside = [str(path) for path in app.home.parent.rglob("evil.png")]
    return len(hostile_archives.HOSTILE), [*wrong, *(f"written outside: {path}" for path in outside)]
