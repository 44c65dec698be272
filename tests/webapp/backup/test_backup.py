"""Backup and restore, by the commands a person runs, on real files and both databases."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SERVANT = """
import io, json, sys
import django; django.setup()
from django.apps import apps
from django.core.management import CommandError, call_command
from tests.webapp.review.gallery import fill

def rows():
    return {model._meta.label: sorted(str(row) for row in model.objects.values_list()) for model in apps.get_models()
            if model._meta.app_label not in ("contenttypes", "auth") or model.__name__ == "User"}

for line in sys.stdin:
    verb, *arguments = json.loads(line)
    said, refused = io.StringIO(), ""
    try:
        if verb == "rows":
            answer = rows()
        elif verb == "fill":
            call_command("migrate", verbosity=0)
            answer = bool(fill(12, files=True))
        elif verb == "announce":
            collection = apps.get_model("collections.Collection").objects.get(name="Digits")
            common = {"collection": collection, "size_bytes": 3, "received_bytes": 3, "status": "received"}
            apps.get_model("collections.Upload").objects.create(name="a.png", **common, source=arguments[0])
            answer = True
        elif verb == "rename":
            apps.get_model("collections.Collection").objects.update(name="changed")
            answer = True
        else:
            call_command(verb, *arguments, stdout=said)
            answer = said.getvalue()
    except CommandError as error:
        answer, refused = "", str(error)
    print(json.dumps([answer, refused]), flush=True)
"""
FILES_AT_A_TIME = """
import django, sys; django.setup()
from django.conf import settings
from webapp.collections.models import Collection, Image
collection = Collection.objects.get(name="Digits")
number = 1000
while True:
    for name in (f"images/{number}", f"thumbnails/{number}"):
        (settings.MEDIA_ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.MEDIA_ROOT / name).write_bytes(b"x" * number)
    Image.objects.create(collection=collection, number=number, path="x", sha256=f"{number:064x}", width_px=1,
                         height_px=1, file=f"images/{number}", thumbnail=f"thumbnails/{number}")
    print(number, flush=True)
    number += 1
"""


class House:
    """One home with its database, and a process in which the commands are run one after another."""

    def __init__(self, home: Path, database_url: str = "") -> None:
        self.home = home
        self.environment = {**os.environ, "LABELFREE_HOME": str(home), "DATABASE_URL": database_url,
                            "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen([sys.executable, "-c", SERVANT], cwd=ROOT, env=self.environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *arguments: str) -> tuple[Any, str]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()
        answer, refused = json.loads(self.process.stdout.readline())
        return answer, refused

    def do(self, *arguments: str) -> Any:
        answer, refused = self.ask(*arguments)
        assert not refused
        return answer

    def refused(self, *arguments: str) -> str:
        _, refused = self.ask(*arguments)
        assert refused, f"{arguments} was not refused"
        return refused

    def rows(self) -> dict[str, list[str]]:
        return self.do("rows")

    def files(self) -> dict[str, tuple[str, int]]:
        """Return digest and time of every file; a large image's time is part of what a checkpoint must fit."""
        return {str(path.relative_to(self.home)):
                    (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
                for root in ("media", "uploads", "runs") for path in (self.home / root).rglob("*") if path.is_file()}


@pytest.fixture
def settle(tmp_path) -> Iterator[Callable[..., House]]:
    """Return a function that makes a house and, if asked, fills it."""
    made = []

    def make(name: str, database_url: str = "", *, is_filled: bool = False) -> House:
        made.append(House(tmp_path / name, database_url))
        if is_filled:
            made[-1].do("fill")
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def house(settle) -> House:
    return settle("house", is_filled=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_everything_comes_back_in_another_house(tmp_path, settle, new_database, kind):
    house = settle("house", new_database(kind), is_filled=True)
    folder = tmp_path / "backup"
    house.do("backup", str(folder))
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, check=False).returncode == 0
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o77 for path in folder.rglob("*")} == {0}
    assert not list(house.home.glob("backup.links*"))

    other = settle("other", new_database(kind))
    other.do("restore", str(folder))
    assert (other.rows(), other.files()) == (house.rows(), house.files())
    assert len(other.files()) == 24

    house.do("rename")
    (house.home / "media" / "stray").write_bytes(b"stray")
    assert "add --replace" in house.refused("restore", str(folder))
    assert "changed" in str(house.rows())
    house.do("restore", str(folder), "--replace")
    assert (house.rows(), house.files()) == (other.rows(), other.files())
    aside = next(house.home.glob("replaced-*"))
    assert (aside / "media" / "stray").read_bytes() == b"stray"
    assert (aside / "database").stat().st_size > 10_000


@pytest.mark.timeout(600)
def test_a_changed_byte_is_found_before_anything_is_touched(tmp_path, house):
    folder = tmp_path / "backup"
    house.do("backup", str(folder))
    picture = next(path for path in (folder / "media").rglob("*") if path.is_file())
    before = (house.rows(), house.files())
    content = bytearray(picture.read_bytes())
    content[len(content) // 2] ^= 1
    picture.write_bytes(content)
    said = house.refused("restore", str(folder), "--replace")
    assert f"{picture.relative_to(folder)}: not what was backed up" in said
    picture.unlink()
    assert "missing from the backup" in house.refused("restore", str(folder), "--replace")
    picture.symlink_to("/etc/passwd")
    assert "missing from the backup" in house.refused("restore", str(folder), "--replace")
    assert (house.rows(), house.files()) == before
    assert not list(house.home.glob("re*-*"))


@pytest.mark.timeout(600)
def test_what_does_not_fit_is_refused_by_name(tmp_path, house):
    folder = tmp_path / "backup"
    house.do("backup", str(folder))
    assert "there already" in house.refused("backup", str(folder))
    manifest, sums = folder / "manifest.json", folder / "SHA256SUMS"
    known, listed = json.loads(manifest.read_text()), sums.read_text()
    for change, word in (({"engine": "postgresql"}, "set DATABASE_URL"), ({"format": 2}, "a backup of format 2"),
                         ({"migrations": ["runs.9999_later"]}, "made by a newer release"), ({"x": 1}, "no backup")):
        manifest.write_text(json.dumps(known | change))
        assert word in house.refused("restore", str(folder), "--replace")
    manifest.write_text(json.dumps(known))
    for place in ("../outside", "/etc/passwd", "media/../../outside"):
        sums.write_text(f"{'0' * 64}  {place}\n{listed}")
        assert "no place inside the backup" in house.refused("restore", str(folder), "--replace")


@contextmanager
def standing(house: House, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run something that stands until it is told to end, and give it once it has said a word."""
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, env=house.environment, text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline()
            yield process
        finally:
            process.terminate()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", [
    ("-c", "import sys, webapp.config.asgi; print('up', flush=True); sys.stdin.read()"),
    ("manage.py", "worker", "--queues", "cpu")])
def test_nothing_is_put_back_under_a_web_or_a_worker_that_runs(tmp_path, house, command):
    folder = tmp_path / "backup"
    house.do("backup", str(folder))
    house.do("rename")
    with standing(house, *command):
        said = house.refused("restore", str(folder), "--replace")
        assert "Stop web and workers first" in said and "docker compose stop web worker" in said
        assert "changed" in str(house.rows())
    house.do("restore", str(folder), "--replace")
    assert "changed" not in str(house.rows())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", [("-c", "import webapp.config.asgi"), ("manage.py", "worker"), ("manage.py", "up")])
def test_nothing_starts_while_a_backup_is_put_back(tmp_path, command):
    with (tmp_path / "in_use.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False,
                              env={**os.environ, "LABELFREE_HOME": str(tmp_path), "LABELFREE_PORT": "0"}, timeout=120)
    assert done.returncode == 1
    assert "a backup is being put back here; start again when that has ended" in done.stderr


@pytest.mark.timeout(600)
def test_a_folder_that_cannot_be_written_is_named_with_who_must_be_let_in(tmp_path, house):
    who = f"must be readable and writable by the user who runs this (uid {os.geteuid()})"
    said = house.refused("backup", "/proc/x/y")
    assert "/proc/x: " in said and f"The folder /proc {who}" in said
    folder = tmp_path / "backup"
    house.do("backup", str(folder))
    (house.home / "in_use.lock").unlink(missing_ok=True)
    (house.home / "in_use.lock").mkdir()  # even root cannot write to it
    assert f"The folder {house.home} {who}" in house.refused("restore", str(folder), "--replace")


@pytest.mark.timeout(600)
def test_a_backup_beside_people_who_work_is_whole(tmp_path, settle, house):
    """Rows and files are written all the while; every row of the backup has its files."""
    with subprocess.Popen([sys.executable, "-c", FILES_AT_A_TIME], cwd=ROOT, env=house.environment,
                          stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            first = int(writer.stdout.readline())
            house.do("backup", str(tmp_path / "backup"))
            last = int(writer.stdout.readline())
            while writer.poll() is None and last < first + 20:
                last = int(writer.stdout.readline())
        finally:
            writer.kill()
    other = settle("other")
    other.do("restore", str(tmp_path / "backup"))
    numbers = [row for row in other.rows()["collections.Image"] if "'images/1" in row]
    assert len(numbers) > 1
    assert len([name for name in other.files() if name.startswith("media/images/1")]) >= len(numbers)


@pytest.mark.timeout(600)
def test_files_of_a_folder_or_a_bucket_that_wait_to_be_fetched_need_not_be_there(tmp_path, settle, house):
    house.do("announce", "s3://museum/a.png")
    house.do("backup", str(tmp_path / "backup"))
    other = settle("other")
    other.do("restore", str(tmp_path / "backup"))
    assert other.rows() == house.rows()
    house.do("announce", "")
    assert "uploads/" in house.refused("backup", str(tmp_path / "second"))


@pytest.mark.timeout(600)
def test_a_file_that_is_lost_already_is_named_and_no_half_backup_is_left(tmp_path, house):
    lost = next(path for path in (house.home / "media" / "images").rglob("*.png"))
    lost.unlink()
    left = house.home / "backup.4711"  # by one of an earlier release that was killed
    left.mkdir()
    os.link(next((house.home / "media" / "images").rglob("*.png")), left / "image.png")
    said = house.refused("backup", str(tmp_path / "backup"))
    assert not left.exists(), "what it links to stays on the disk for ever, deleted or not"
    with (house.home / "backup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another one is being made here" in house.refused("backup", str(tmp_path / "second"))
    assert f"{lost.relative_to(house.home)}: named by the database, and not there (1 such files)" in said
    assert not list(tmp_path.glob("backup*"))
    assert not list(house.home.glob("backup.links*"))
