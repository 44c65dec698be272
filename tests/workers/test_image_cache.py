"""Images of shared storage on a disk of this machine: copied once, bounded, and never taken from a run in progress."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings

from core.data.images import ImageSet
from core.errors import Cancelled
from tests.workers.conftest import adapting, add_image, executing, wait_for
from tests.workers.example_runs import LONGER_TURTLE
from webapp.collections.models import Collection
from webapp.runs.models import Run
from workers import image_cache
from workers.app import send
from workers.image_cache import ImageCache
from workers.nodes import programs
from workers.problems import Photographs, build_problem, every_file, kept_labels, moved
from workers.reaper import reap
from workers.rows import Rows
from workers.runs import run_folder

PLENTY = 2**40
FETCH = """
import django; django.setup()
from pathlib import Path
from django.conf import settings
from workers.image_cache import ImageCache
with ImageCache.of_this_machine() as cache:
    images = sorted(path for path in (settings.MEDIA_ROOT / "images").rglob("*.png"))
    assert len(cache.fetch(images, lambda done, count: None, print)) == len(images)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Told:
    """What a run was told while images were fetched for it."""

    def __init__(self) -> None:
        self.counts: list[tuple[int, int]] = []
        self.said: list[str] = []

    def count(self, done: int, count: int) -> None:
        self.counts.append((done, count))


@pytest.fixture
def told() -> Told:
    return Told()


def originals(collection: Collection) -> list[Path]:
    """Return a collection's files on shared storage, in the order of their numbers."""
    return list(Photographs.of(collection).distinct.paths)


def size_bytes(collection: Collection) -> int:
    return sum(path.stat().st_size for path in originals(collection))


def files(below: Path) -> list[Path]:
    return sorted(path for path in below.rglob("*") if path.is_file())


@pytest.fixture
def other(owner, digits) -> Collection:
    """Return another collection, of the last twenty digits."""
    made = Collection.objects.create(owner=owner, name="other")
    for number, path in enumerate(sorted(Path(digits[0]).iterdir())[40:]):
        add_image(made, number, path, "none")
    return made


def test_images_are_copied_once_with_all_that_a_run_knows_them_by(collection, folder, told):
    images = originals(collection)
    os.utime(images[3], ns=(1, 1_234_567_891_234_567_891))
    with ImageCache(folder, PLENTY) as cache:
        copies = cache.fetch(images, told.count, told.said.append)
    assert [copy.read_bytes() for copy in copies.values()] == [image.read_bytes() for image in images]
    assert [copy.stat().st_mtime_ns for copy in copies.values()] == [image.stat().st_mtime_ns for image in images]
    assert all(copy.is_relative_to(folder) for copy in copies.values())
    assert told.counts == [(done, 60) for done in range(1, 61)]
    names = tuple(path.name for path in images)
    assert ImageSet(tuple(copies.values()), names).fingerprint == ImageSet(tuple(images), names).fingerprint
    told.counts.clear()
    for image in images:
        image.unlink()
    with ImageCache(folder, PLENTY) as cache:
        assert cache.fetch(images, told.count, told.said.append) == copies
    assert (told.counts, told.said) == ([], [])


def test_a_run_reads_the_copies_and_its_question_stays_the_same(collection, other, make_run, folder, told, tmp_path):
    collection.images.filter(number=5).update(held_out=True)
    run = make_run("finetune", replay=other)
    photographs = Photographs.of(collection)
    problem = build_problem(run, Rows.now(run), photographs, kept_labels(run, photographs, tmp_path))
    with ImageCache(folder, PLENTY) as cache:
        copies = cache.fetch(every_file(photographs, problem), told.count, told.said.append)
    there, same = moved(photographs, problem, copies)
    assert len(copies) == 60 + 20
    for images in (there.distinct, same.images, same.replay):
        assert all(path.is_relative_to(folder) for path in images.paths)
    assert same.images.paths == there.to_adapt.paths
    assert same.images.fingerprint == problem.images.fingerprint
    assert replace(there, distinct=photographs.distinct) == photographs
    assert replace(same, images=problem.images, replay=problem.replay) == problem


def test_the_least_recently_used_collection_makes_room(collection, other, folder, told):
    newer, limit = size_bytes(other), size_bytes(collection) + size_bytes(other) // 2
    with ImageCache(folder, limit) as cache:
        cache.fetch(originals(collection), told.count, told.said.append)
    with ImageCache(folder, limit) as cache:
        assert len(cache.fetch(originals(other), told.count, told.said.append)) == 20
    assert sum(path.stat().st_size for path in files(folder)) == newer
    assert told.said == []


def test_what_a_run_in_progress_reads_is_never_dropped(collection, other, folder, told):
    limit = size_bytes(collection) + size_bytes(other) // 2
    with ImageCache(folder, limit) as earlier:
        copies = earlier.fetch(originals(collection), told.count, told.said.append)
        with ImageCache(folder, limit) as later:
            found = later.fetch(originals(other), told.count, told.said.append)
        assert 0 < len(found) < 20
        assert all(copy.exists() for copy in copies.values())
        assert told.said == [f"{20 - len(found)} of 20 images are read from shared storage: the cache {folder} has no "
                             "room beside what runs in progress read"]
    with ImageCache(folder, limit) as later:
        assert len(later.fetch(originals(other), told.count, told.said.append)) == 20
    assert len(told.said) == 1


def test_a_cache_that_cannot_be_written_is_said_once_and_done_without(collection, folder, told):
    folder.write_text("a file")
    with ImageCache(folder, PLENTY) as cache:
        assert cache.fetch(originals(collection), told.count, told.said.append) == {}
    assert told.said == [f"60 of 60 images are read from shared storage: the cache {folder} cannot be used (Not a "
                         "directory)"]


def test_a_disk_that_fills_leaves_no_halves(collection, folder, told, monkeypatch):
    def full(_: int) -> None:
        if len(files(folder / "images")) > 20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fdatasync", full)
    with ImageCache(folder, PLENTY) as cache:
        found = cache.fetch(originals(collection), told.count, told.said.append)
    assert 0 < len(found) < 60 and sorted(found.values()) == files(folder / "images")
    assert len(told.said) == 1 and "No space left on device" in told.said[0]


def test_what_must_stay_free_on_the_disk_is_left(collection, folder, told, monkeypatch):
    usage = shutil.disk_usage(folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=image_cache.SPARE_BYTES))
    with ImageCache(folder, PLENTY) as cache:
        assert cache.fetch(originals(collection), told.count, told.said.append) == {}
    assert len(told.said) == 1 and "has no room" in told.said[0]


def test_an_image_that_is_missing_is_left_to_whoever_reads_it(collection, folder, told):
    images = originals(collection)
    images[7].unlink()
    with ImageCache(folder, PLENTY) as cache:
        copies = cache.fetch(images, told.count, told.said.append)
    assert len(copies) == 59 and images[7] not in copies and told.said == []


def test_a_run_that_is_cancelled_stops_fetching(collection, folder, monkeypatch):
    copied = []

    def slow(cache: ImageCache, *pair: Path) -> None:
        copied.append(pair)
        time.sleep(0.01)

    def stop(done: int, count: int) -> None:
        raise Cancelled

    monkeypatch.setattr(ImageCache, "_copy", slow)
    with pytest.raises(Cancelled), ImageCache(folder, PLENTY) as cache:
        cache.fetch(originals(collection), stop, print)
    assert len(copied) < 60


def test_several_processes_fetch_at_once(collection, folder):
    environment = {**os.environ, "LABELFREE_IMAGE_CACHE": str(folder)}
    started = [subprocess.Popen([sys.executable, "-c", FETCH], env=environment, stdout=subprocess.PIPE)
               for _ in range(3)]
    assert [one.communicate()[0] for one in started] == [b""] * 3
    assert [one.returncode for one in started] == [0] * 3
    here = files(folder / "images")
    assert [path.read_bytes() for path in here] == [
        (settings.MEDIA_ROOT / path.relative_to(folder)).read_bytes() for path in here]


def test_half_a_copy_that_was_left_behind_goes(collection, folder, told, monkeypatch):
    half = folder / "images" / str(collection.pk) / "ab" / "abc.png.123.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    monkeypatch.setattr(image_cache, "LEFT_BEHIND_SECONDS", -1.0)
    with ImageCache(folder, PLENTY) as cache:
        assert len(cache.fetch(originals(collection), told.count, told.said.append)) == 60
    assert len(files(folder / "images")) == 60


def test_copies_of_a_collection_that_was_deleted_go_and_others_stay(collection, other, folder, told, settings):
    settings.IMAGE_CACHE, settings.IMAGE_CACHE_BYTES = folder, PLENTY
    with ImageCache.of_this_machine() as cache:
        cache.fetch([*originals(collection), *originals(other)], told.count, told.said.append)
    collection.delete()
    reap()
    assert {path.relative_to(folder).parts[1] for path in files(folder / "images")} == {str(other.pk)}


@pytest.fixture
def another_machine(tmp_path: Path, folder: Path, broker: str) -> dict[str, str]:
    """Give the environment of a machine that has the same shared folder elsewhere, and a cache of its own."""
    home = tmp_path / "mounted elsewhere"
    home.mkdir()
    for name in ("media", "runs", "cache", "uploads", "db.sqlite3", "secret_key"):
        (home / name).symlink_to(settings.HOME / name)
    return {**os.environ, "LABELFREE_HOME": str(home), "REDIS_URL": broker, "LABELFREE_IMAGE_CACHE": str(folder)}


@pytest.mark.timeout(900)
def test_a_worker_on_another_machine_goes_on_with_a_run_and_needs_each_image_once(
        make_run: Callable[..., Run], starters: Path, another_machine: dict[str, str], collection: Collection,
        folder: Path, tmp_path: Path):
    begun = make_run("turtle", settings=LONGER_TURTLE)
    with executing(begun) as stopping:
        wait_for(adapting(begun), 240)
        stopping.set()
    begun.refresh_from_db()
    assert begun.status == "queued"
    link = run_folder(begun.pk) / "features"
    assert link.is_dir() and not link.readlink().is_absolute()
    link.unlink()
    link.symlink_to(tmp_path / "where the first machine has it" / "features")  # as it once was
    _, node = programs(["gpu"], 1)
    process = subprocess.Popen(node.command, env={**another_machine, **node.environment, "PYTHONWARNINGS": "ignore"},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    aside = Path(settings.MEDIA_ROOT) / "aside"
    try:
        assert send("execute_run", begun.pk, "gpu")
        wait_for(lambda: Run.objects.get(pk=begun.pk).is_terminal, 400)
        shutil.rmtree(settings.CACHE_ROOT / "features")
        (settings.MEDIA_ROOT / "images").rename(aside)
        second = make_run("zeroshot", settings={"templates": "one"})
        assert send("execute_run", second.pk, "gpu")
        wait_for(lambda: Run.objects.get(pk=second.pk).is_terminal, 400)
    finally:
        process.terminate()
        process.wait(30)
        if aside.exists():
            aside.rename(settings.MEDIA_ROOT / "images")
    begun.refresh_from_db()
    second.refresh_from_db()
    assert (begun.status, begun.error) == ("succeeded", "")
    assert link.is_dir() and not link.readlink().is_absolute()
    assert "goes on from its last checkpoint" in begun.log and begun.log.count("stage: fetching images") == 1
    assert (second.status, second.error) == ("succeeded", "")
    assert "fetching images" not in second.log and "shared storage" not in second.log
    assert len(files(folder / "images")) == 60
