"""Floods: very many images, a very large archive, and a line that breaks; what the web holds in memory meanwhile."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks import schedule, verdict
from benchmarks.client import Refused
from benchmarks.digits import make_collection, wait_until_read
from benchmarks.gate import Gate
from benchmarks.house import House, lived_in
from benchmarks.patience import Patient, Sending, digest
from benchmarks.processes import resident_bytes
from benchmarks.trials import Trials

LIMIT_SECONDS = 4 * 3600.0
IMAGES, LOOSE_IMAGES, AT_ONCE = 100_000, 500, 6
LARGE_BYTES, LARGE_MEMBERS = 5_000_000_000, 9
SPARE_BYTES = 8_000_000_000
"""Disk space that the archive and the product's copy of it leave free."""
CUTS, CUT_CHUNK_BYTES, CUT_IMAGES = 20, 128 * 1024, 24
MEGABYTE = 2**20
Found = tuple[int, list[str], dict[str, float]]
"""How many things were done, what was wrong, what was measured."""


def floods(trials: Trials) -> None:
    """Send what is much, by every way, to one house."""
    kinds = {f"{CUTS} cuts of one upload": cut_line, f"{LOOSE_IMAGES:,} images, one upload each": one_by_one,
             "one tar of 5 GB": in_one_large_tar, f"{IMAGES:,} images in one zip": in_one_zip}
    missing = [kind for kind in kinds if list(trials.missing(kind))]
    if not missing:
        return
    with lived_in("floods") as house:
        make_collection(Patient(house.api), "so that the web is warm")
        for kind in missing:
            began = time.monotonic()
            try:
                count, wrong, figures = kinds[kind](house, kind)
            except Refused as refused:
                count, wrong, figures = 0, [str(refused)], {}
            trials.add(kind, 0, count, wrong, {**figures, "seconds": time.monotonic() - began})


def one_by_one(house: House, name: str) -> Found:
    """Send many small files as a browser does, several at once."""
    folder = house.home / "loose"
    folder.mkdir()
    files = []
    for number, content in enumerate(small_images(LOOSE_IMAGES)):
        files.append(folder / f"small-{number:06d}.png")
        files[-1].write_bytes(content)
    patient = Patient(house.api, LIMIT_SECONDS)
    collection = make_collection(patient, name)
    began = time.monotonic()
    with memory(house) as grown, ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(lambda file: Sending(patient=patient, file=file, collection=collection).run(), files):
            pass
        sent_seconds = time.monotonic() - began
        wait_until_read(house, patient, collection)
    wrong = list(verdict.images(house, collection, [(file.name, digest(file)) for file in files]))
    return len(files), wrong, {**grown, "sent_a_second": len(files) / sent_seconds}


def in_one_zip(house: House, name: str) -> Found:
    """Send 100,000 small images in one archive."""
    archive, sent = house.home / "many.zip", []
    with zipfile.ZipFile(archive, "w") as package:
        for number, content in enumerate(small_images(IMAGES)):
            package.writestr(f"{number // 1000:03d}/small-{number:06d}.png", content)
            sent.append((f"{number // 1000:03d}/small-{number:06d}.png", digest_of(content)))
    patient = Patient(house.api, LIMIT_SECONDS)
    collection = make_collection(patient, name)
    began = time.monotonic()
    with memory(house) as grown:
        Sending(patient=patient, file=archive, collection=collection).run()
        sent_at = time.monotonic()
        wait_until_read(house, patient, collection)
        read_seconds = time.monotonic() - sent_at
    wrong = list(verdict.images(house, collection, sent))
    return IMAGES, wrong, {**grown, "sent_seconds": sent_at - began, "read_a_second": IMAGES / read_seconds}


def in_one_large_tar(house: House, name: str) -> Found:
    """Send 5 GB in one archive: members too large to be images, which are refused by name, and a few images."""
    if shutil.disk_usage(house.home).free < LARGE_BYTES + SPARE_BYTES:
        raise Refused(f"the disk of {house.home} has no room for an archive of 5 GB")
    archive, sent = house.home / "large.tar", []
    size = LARGE_BYTES // LARGE_MEMBERS
    with archive.open("wb") as file:
        for number, content in enumerate(small_images(LARGE_MEMBERS)):
            file.write(_header(f"large-{number}.tif", size))
            file.seek(size + -size % tarfile.BLOCKSIZE, io.SEEK_CUR)  # zeros that take no room on this side
            file.write(_header(f"small-{number}.png", len(content)))
            file.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))
            sent.append((f"small-{number}.png", digest_of(content)))
        file.write(bytes(tarfile.RECORDSIZE))
    patient = Patient(house.api, LIMIT_SECONDS)
    collection = make_collection(patient, name)
    began = time.monotonic()
    with memory(house) as grown:
        Sending(patient=patient, file=archive, collection=collection, chunk_bytes=16 * MEGABYTE).run()
        sent_seconds = time.monotonic() - began
        wait_until_read(house, patient, collection)
    size_bytes = archive.stat().st_size
    archive.unlink()
    refused = [path for path, in house.ledger.ask("select path from collections_refusal where collection_id = ?",
                                                  collection)]
    wrong = [one for one in verdict.images(house, collection, sent) if "refused" not in one]
    if sorted(refused) != [f"large-{number}.tif" for number in range(LARGE_MEMBERS)]:
        wrong.append(f"refused were {sorted(refused)}")
    return 1, wrong, {**grown, "gigabytes": size_bytes / 1e9,
                      "megabytes_a_second": size_bytes / MEGABYTE / sent_seconds}


def cut_line(house: House, name: str) -> Found:
    """Send an archive over a line that is cut twenty times: what arrives is what was sent, hardly anything twice."""
    archive, sent = house.home / "noise.zip", []
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(archive, "w") as package:
        for number in range(CUT_IMAGES):
            buffer = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (400, 400, 3), dtype=np.uint8)).save(buffer, "PNG")
            package.writestr(f"noise-{number:03d}.png", buffer.getvalue())
            sent.append((f"noise-{number:03d}.png", digest_of(buffer.getvalue())))
    collection = make_collection(Patient(house.api, LIMIT_SECONDS), name)
    gate = Gate(house.port)
    try:
        gate.cut_at, *gate.cut_then = schedule.cuts(0, CUTS, archive.stat().st_size)
        patient = Patient(replace(house.api, base=gate.address), LIMIT_SECONDS)
        sending = Sending(patient=patient, file=archive, collection=collection, chunk_bytes=CUT_CHUNK_BYTES)
        sending.run()
        cuts = gate.cuts
    finally:
        gate.close()
    wait_until_read(house, Patient(house.api, LIMIT_SECONDS), collection)
    twice = sending.sent_bytes - archive.stat().st_size
    wrong = list(verdict.images(house, collection, sent))
    if cuts != CUTS:
        wrong.append(f"the line was cut {cuts} times")
    if twice > cuts * CUT_CHUNK_BYTES:
        wrong.append(f"{twice:,} bytes were sent twice, more than one chunk a cut")
    return cuts, wrong, {"chunks_sent_twice_a_cut": twice / CUT_CHUNK_BYTES / max(1, cuts)}


@contextmanager
def memory(house: House) -> Iterator[dict[str, float]]:
    """Give a figure that says, in the end, by how much the web's resident memory has grown at most meanwhile."""
    (web,) = house.find("web")
    before, grown, over = resident_bytes(web), {"web_grown_megabytes": 0.0}, threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            now = (resident_bytes(web) - before) / MEGABYTE
            grown["web_grown_megabytes"] = max(grown["web_grown_megabytes"], now)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield grown
    finally:
        over.set()
        thread.join(10)
    if house.find("web") != [web]:
        raise Refused("the web was started anew meanwhile")


def small_images(count: int) -> Iterator[bytes]:
    """Yield small PNG files, no two alike."""
    for number in range(count):
        pixels = np.full((8, 8), 255, dtype=np.uint8)
        pixels.flat[:32] = [255 * (number >> bit & 1) for bit in range(32)]
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        yield buffer.getvalue()


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def _header(name: str, size_bytes: int) -> bytes:
    one = tarfile.TarInfo(name)
    one.size = size_bytes
    return one.tobuf()
