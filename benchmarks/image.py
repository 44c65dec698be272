"""Proves the Dockerfile and compose.yaml where there is no container engine: their own lines, done in Debian roots.

``make bench-image`` reads both files, does each step of the targets in an empty Debian (`benchmarks.building`), then
starts what compose.yaml starts, in its order, by its health checks, in a network of its own that leads nowhere, and
goes the way of a person: the printed link, a page, an upload, a finished zero-shot run, a backup. It takes root's
rights on a Debian or Ubuntu, which reach the distribution's mirror and a Python package registry.

What stands for what: debootstrap's Debian and its Python for ``python:…-slim``; this machine's Redis and Postgres,
started anew with compose's own commands and passwords, for their images; one loopback for the network between them.

LABELFREE_ROOTS  folder of the roots, a few GB, that is kept: a stage that was done in it, of the same lines and files,
                 is taken as it is. Without it, a new one below /var/tmp, which is removed in the end.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from benchmarks import commit, compose, dockerfile, reliability, rows
from benchmarks.building import Builder, Image
from benchmarks.client import Api, Refused, say
from benchmarks.compose import Service
from benchmarks.containers import Container, running
from benchmarks.demo import ask_question, write_digits
from benchmarks.roots import doors_to_packages

FILES = ("Dockerfile", "compose.yaml", ".dockerignore", "pyproject.toml")
"""What the proof is of; while they stay as they were, it is not made again."""
CHOSEN = {"POSTGRES_PASSWORD": "a-password-for-an-hour", "LABELFREE_PORT": "8123"}  # nosec B105 # of this proof alone
PERSON, PASSWORD = "somebody", "a long sentence is a password"
NEW_NETWORK = 0x40000000
TIME_LIMIT_SECONDS = 3600
LINK = re.compile(r"http://\S+/\S+")


@dataclass(kw_only=True)
class Trial:
    """What one part of the proof shows."""

    kind: str
    version: str = field(default_factory=commit.current)
    count: int = 0
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def append(self) -> None:
        """Keep it."""
        made = [row for row in rows.read_trials(reliability.IMAGE) if row.kind == self.kind]
        rows.append(reliability.IMAGE, rows.TrialRow(
            kind=self.kind, trial=len(made), count=self.count, wrong=self.wrong, version=self.version,
            figures={name: round(value, 2) for name, value in self.figures.items()}))


def main() -> int:
    """Prove both files, unless that was done and they have not changed; print the bounds; return the exit code."""
    if not _is_proven():
        if os.geteuid():
            raise SystemExit("make bench-image makes roots and mounts, which takes root's rights")
        with _folder() as folder:
            prove(folder)
    reliability.write()
    return reliability.print_bounds(reliability.image_bounds(rows.read_trials(reliability.IMAGE)))


@contextmanager
def _folder() -> Iterator[Path]:
    """Give the folder of the roots; one that nobody named is removed in the end."""
    named = os.environ.get("LABELFREE_ROOTS")
    folder = Path(named or tempfile.mkdtemp(prefix="labelfree-roots-", dir="/var/tmp"))  # nosec B108 # mkdtemp
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        if not named:
            shutil.rmtree(folder, ignore_errors=True)


def _is_proven() -> bool:
    """Tell whether the newest rows are of these files and nothing was wrong."""
    newest = {row.kind: row for row in rows.read_trials(reliability.IMAGE)}
    return set(newest) >= set(reliability.IMAGE_KINDS) and all(
        not row.wrong and commit.unchanged_since(row.version, FILES) for row in newest.values())


def prove(folder: Path) -> None:
    """Build the images, start the services, go the way."""
    services = compose.read(commit.SOURCES / "compose.yaml", CHOSEN)
    builder = Builder(dockerfile.read(commit.SOURCES / "Dockerfile"), commit.SOURCES, folder,
                      doors_to_packages(folder / "doors"))
    images = {}
    for service in services.values():
        if service.target:
            images[service.name] = _built(builder, service)
    _enter_own_network()
    with (tempfile.TemporaryDirectory(prefix="labelfree-house-", dir="/var/tmp") as place,  # nosec B108
          _trial("serve what compose.yaml says") as trial,
          running(services, images, Path(place), trial.figures, trial.wrong) as house):
        _go_the_way(house, trial)


def _built(builder: Builder, service: Service) -> Image:
    """Build a service's image and keep what that showed."""
    say(f"{service.name}: the Dockerfile's target {service.target}")
    with _trial(f"build the target {service.target}") as trial:
        image = builder.build(service.target, service.arguments)
        trial.count = image.done
        trial.figures = {"seconds": image.seconds, "image_megabytes": image.root.megabytes()}
        has_torch = image.root.ask(["python", "-c", "import torch"]).returncode == 0
        if has_torch != (service.target == "worker"):
            trial.wrong.append(f"the target {service.target} has {'' if has_torch else 'no '}torch in it")
    return image


@contextmanager
def _trial(kind: str) -> Iterator[Trial]:
    """Keep what happens as a row, also where it ends early."""
    trial = Trial(kind=kind)
    try:
        yield trial
    except Refused as refused:
        trial.wrong.append(" ".join(str(refused).split())[-600:])
        raise
    finally:
        trial.append()
        say("".join(f"  wrong: {one}\n" for one in trial.wrong) + f"  {kind}: {trial.figures}")


def _enter_own_network() -> None:
    """Leave this machine's network for one that has its own loopback alone; children come along."""
    if ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK):
        raise Refused(f"no network of its own: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def _go_the_way(house: Mapping[str, Container], trial: Trial) -> None:
    """Do what a person does first, through the web's own port."""
    web, worker = house["web"], house["worker"]
    assert web.root is not None and worker.root is not None
    link = LINK.search(web.said())
    if link is None:
        raise Refused(f"the web printed no link for the administrator:\n{web.said()[-2000:]}")
    base = f"http://localhost:{web.service.ports[0]}"
    if not link[0].startswith(f"{base}/"):
        trial.wrong.append(f"the link {link[0].rsplit('/', 2)[0]} is not at {base}")
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                          urllib.request.HTTPCookieProcessor(CookieJar()))
    _become_administrator(browser, base + urlsplit(link[0]).path)
    token = web.root.do(["python", "manage.py", "api_token", PERSON]).strip().splitlines()[-1]
    api = Api(base, token, time.monotonic() + TIME_LIMIT_SECONDS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        archive, truth = write_digits(Path(folder))
        collection = api.send_images("Handwritten digits", archive, len(truth), mirror=False)
    ask_question(api, collection, truth)
    run = api.watch("zeroshot", api.post(f"/api/v1/collections/{collection}/runs", {"method": "zeroshot"})["id"])
    trial.figures |= {"images": len(truth), "zero_shot_seconds": run["result"]["seconds"],
                      "measured_accuracy": run["result"]["measured"]["accuracy"],
                      "upload_to_result_seconds": time.monotonic() - began}
    pages = ("/", f"/collections/{collection}/images/", f"/runs/{run['id']}/", f"/runs/{run['id']}/review/",
             f"/panel/?run={run['id']}", "/panel/config", "/healthz", "/readyz", "/static/css/labelfree.css")
    for page in pages:
        if browser.open(base + page, timeout=100).status != 200:
            trial.wrong.append(f"{page} is not served")
    labelled = api.download(f"/api/v1/runs/{run['id']}/labels.csv").decode().strip().count("\n")
    if labelled != len(truth):
        trial.wrong.append(f"labels.csv has {labelled} of {len(truth)} images")
    web.root.do(["python", "manage.py", "backup", "/data/backup"])
    trial.count = len(pages) + 6


def _become_administrator(browser: urllib.request.OpenerDirector, link: str) -> None:
    """Open the printed link and choose a name and a password.

    Raises:
        Refused: the form was not taken.
    """
    form = browser.open(link, timeout=100).read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
    if token is None:
        raise Refused("the printed link opens no form")
    told = {"csrfmiddlewaretoken": token[1], "username": PERSON, "password1": PASSWORD, "password2": PASSWORD}
    page = browser.open(link, urlencode(told).encode(), timeout=100)
    if urlsplit(page.url).path != "/":
        raise Refused(f"the administrator's form was not taken: {page.url}")


if __name__ == "__main__":
    sys.exit(main())
