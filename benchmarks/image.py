"""Proves the Dockerfile and compose.yaml where there is no container engine: their own lines, done in Debian roots.

``make bench-image`` reads both files, does each step of the targets in an empty Debian (`benchmarks.building`), then
starts what compose.yaml starts, in its order, by its health checks, in a network of its own that leads nowhere, and
goes the way of a person: the printed link, a page, an upload, a finished zero-shot run, a backup. It takes root's
rights on a Debian or Ubuntu, which reach the distribution's mirror and a Python package registry.

What stands for what: debootstrap's Debian and its Python for ``python:…-slim``; this machine's Redis and Postgres,
started anew with compose's own commands and passwords, for their images; one loopback for the network between them.

LABELFREE_ROOTS  folder of the roots, a few GB; a new one below /var/tmp. It is removed in the end.
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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from benchmarks import commit, compose, dockerfile, postgres_service, reliability, rows
from benchmarks.building import Builder, Image
from benchmarks.client import Api, Refused, say
from benchmarks.compose import Service
from benchmarks.demo import ask_question, write_digits
from benchmarks.dockerfile import HealthCheck
from benchmarks.roots import Mount, Root, doors_to_packages, end

FILES = ("Dockerfile", "compose.yaml", ".dockerignore", "pyproject.toml")
"""What the proof is of; while they stay as they were, it is not made again."""
PASSWORDS = {"POSTGRES_PASSWORD": "a password for an hour"}
PERSON, PASSWORD = "somebody", "a long sentence is a password"
NEW_NETWORK = 0x40000000
HEALTH_LIMIT_SECONDS = 300
TIME_LIMIT_SECONDS = 1200
LINK = re.compile(r"http://\S+/\S+")


@dataclass(kw_only=True)
class Trial:
    """What one part of the proof shows."""

    kind: str
    count: int = 0
    wrong: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def append(self) -> None:
        """Keep it."""
        made = [row for row in rows.read_trials(reliability.IMAGE) if row.kind == self.kind]
        rows.append(reliability.IMAGE, rows.TrialRow(
            kind=self.kind, trial=len(made), count=self.count, wrong=self.wrong, version=commit.current(),
            figures={name: round(value, 2) for name, value in self.figures.items()}))


def main() -> int:
    """Prove both files, unless that was done and they have not changed; print the bounds; return the exit code."""
    if not _is_proven():
        if os.geteuid():
            raise SystemExit("make bench-image makes roots and mounts, which takes root's rights")
        folder = Path(os.environ.get("LABELFREE_ROOTS") or tempfile.mkdtemp(prefix="labelfree-roots-", dir="/var/tmp"))
        folder.chmod(0o755)
        try:
            prove(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    reliability.write()
    return reliability.print_bounds(reliability.image_bounds(rows.read_trials(reliability.IMAGE)))


def _is_proven() -> bool:
    """Tell whether the newest rows are of these files and nothing was wrong."""
    newest = {row.kind: row for row in rows.read_trials(reliability.IMAGE)}
    return set(newest) >= set(reliability.IMAGE_KINDS) and all(
        not row.wrong and commit.unchanged_since(row.version, FILES) for row in newest.values())


def prove(folder: Path) -> None:
    """Build the images, start the services, go the way."""
    services = compose.read(commit.SOURCES / "compose.yaml", PASSWORDS)
    builder = Builder(dockerfile.read(commit.SOURCES / "Dockerfile"), commit.SOURCES, folder,
                      doors_to_packages(folder / "doors"))
    images = {}
    for service in services.values():
        if service.target:
            images[service.name] = _built(builder, service)
    _enter_own_network()
    with _trial("serve what compose.yaml says") as trial, _running(services, images, folder, trial) as house:
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


@dataclass(kw_only=True)
class Container:
    """One service that runs.

    Attributes:
        ask: runs a program beside its own and tells whether it ended well.
    """

    service: Service
    process: subprocess.Popen[bytes]
    log: Path
    health: HealthCheck | None
    ask: Callable[[HealthCheck], bool]
    root: Root | None = None

    def said(self) -> str:
        """Return what it has printed."""
        return self.log.read_text(errors="replace")

    def wait_until_healthy(self) -> float:
        """Ask its health check until it is well; return the seconds.

        Raises:
            Refused: it ended, or is not well in time.
        """
        began = time.monotonic()
        while self.health is not None and not self.ask(self.health):
            if self.process.poll() is not None:
                raise Refused(f"{self.service.name} ended with {self.process.returncode}:\n{self.said()[-2000:]}")
            if time.monotonic() - began > HEALTH_LIMIT_SECONDS:
                raise Refused(f"{self.service.name} is not well by its health check:\n{self.said()[-2000:]}")
            time.sleep(1)
        return time.monotonic() - began


@contextmanager
def _running(services: Mapping[str, Service], images: Mapping[str, Image], folder: Path, trial: Trial,
             ) -> Iterator[dict[str, Container]]:
    """Start the services in their order, each when those it waits for are well; stop them in the end."""
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in services))
    house: dict[str, Container] = {}
    try:
        for service in services.values():
            container = (_own(service, images[service.name], folder, hosts) if service.name in images
                         else _neighbour(service, folder))
            house[service.name] = container
            seconds = container.wait_until_healthy()
            trial.figures[f"{service.name}_healthy_seconds"] = seconds
            say(f"  {service.name} is well after {seconds:.0f} s")
        yield house
    finally:
        for container in reversed(house.values()):
            began = time.monotonic()
            code = end(container.process, container.service.patience_seconds)
            trial.figures[f"{container.service.name}_stop_seconds"] = time.monotonic() - began
            if code is None:
                trial.wrong.append(f"{container.service.name} did not stop within "
                                   f"{container.service.patience_seconds} s and was killed")


def _own(service: Service, image: Image, folder: Path, hosts: Path) -> Container:
    """Start a service of ours in its root."""
    mounts = [Mount(source=hosts, place=Path("/etc/hosts"))]
    for name, place in service.volumes.items():
        if place not in image.volumes:
            raise Refused(f"compose.yaml mounts {place} into {service.name}; its image has no such volume")
        volume = _volume(folder / f"volume-{name}", image.root, place)
        mounts.append(Mount(source=volume, place=Path(place), writable=True))
    root = replace(image.root, environment={**image.root.environment, **service.environment}, mounts=mounts)
    log = folder / f"{service.name}.log"

    def ask(health: HealthCheck) -> bool:
        try:
            return root.ask(health.command, health.timeout_seconds).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    return Container(service=service, process=root.start(service.command or image.command, log), log=log,
                     health=service.health or image.health, ask=ask, root=root)


def _volume(folder: Path, root: Root, place: str) -> Path:
    """Return a named volume; a new one begins as what the image has there, as with an engine."""
    if not folder.exists():
        subprocess.run(["cp", "--archive", root.folder / place.lstrip("/"), folder], check=True)
    return folder


def _neighbour(service: Service, folder: Path) -> Container:
    """Start this machine's own program where compose.yaml names somebody else's image."""
    home, log = folder / service.name, folder / f"{service.name}.log"
    home.mkdir(mode=0o700)
    told, path = service.environment, os.environ["PATH"]
    if service.image.startswith("redis:"):
        shutil.chown(home, "nobody", "nogroup")
        command = postgres_service.as_nobody(*service.command, "--dir", home)
    elif service.image.startswith("postgres:"):
        command = postgres_service.make(home, told["POSTGRES_USER"], told["POSTGRES_DB"], told["POSTGRES_PASSWORD"])
        path = f"{postgres_service.programs()}:{path}"
    else:
        raise Refused(f"compose.yaml: nothing on this machine stands for {service.image}")
    surroundings = {"PATH": path, "PGHOST": "127.0.0.1"}
    with log.open("ab") as stream:
        process = subprocess.Popen(command, env=surroundings, cwd=home, stdin=subprocess.DEVNULL, stdout=stream,
                                   stderr=subprocess.STDOUT, start_new_session=True)

    def ask(health: HealthCheck) -> bool:
        return subprocess.run(health.command, env=surroundings, capture_output=True, check=False).returncode == 0

    return Container(service=service, process=process, log=log, health=service.health, ask=ask)


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
