"""Starts what compose.yaml says where there is no engine: our images in their roots, others by programs here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import postgres_service
from benchmarks.building import Image
from benchmarks.client import Refused, say
from benchmarks.compose import Service
from benchmarks.dockerfile import HealthCheck
from benchmarks.roots import Mount, Root, ask_to_end, wait_for_end

HEALTH_LIMIT_SECONDS = 900


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

    def ask_to_end(self) -> None:
        """Ask it to stop: ours as an engine does, others by the signal that their images name."""
        if self.root is not None:
            ask_to_end(self.process)
        elif self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if self.service.image.startswith("postgres:") else signal.SIGTERM)

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
def running(services: Mapping[str, Service], images: Mapping[str, Image], folder: Path, figures: dict[str, float],
            wrong: list[str]) -> Iterator[dict[str, Container]]:
    """Start the services in their order, each when those it waits for are well; stop them in the end.

    Args:
        services: in that order.
        images: of those that are built here.
        folder: of their volumes and logs.
        figures: receives how long each took to be well, and to stop.
        wrong: receives who did not stop.
    """
    folder.chmod(0o755)
    hosts = folder / "hosts"
    hosts.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {name}\n" for name in services))
    house: dict[str, Container] = {}
    try:
        for service in services.values():
            container = (_own(service, images[service.name], folder, hosts) if service.name in images
                         else _neighbour(service, folder))
            house[service.name] = container
            seconds = container.wait_until_healthy()
            figures[f"{service.name}_healthy_seconds"] = seconds
            say(f"  {service.name} is well after {seconds:.0f} s")
        yield house
    finally:
        for container in reversed(house.values()):
            began = time.monotonic()
            container.ask_to_end()
            code = wait_for_end(container.process, container.service.patience_seconds)
            figures[f"{container.service.name}_stop_seconds"] = time.monotonic() - began
            if code is None:
                wrong.append(f"{container.service.name} did not stop within "
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
