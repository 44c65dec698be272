"""Reads ``compose.yaml``, as far as ours goes; whatever else it says is refused by name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.client import Refused
from benchmarks.dockerfile import SECONDS, HealthCheck

SERVICE_KEYS = {"build", "command", "depends_on", "environment", "healthcheck", "image", "ports", "restart",
                "stop_grace_period", "volumes"}
HEALTH_KEYS = {"test", "interval", "timeout", "start_period"}
VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service.

    Attributes:
        image: of somebody else; "" where one is built.
        target, arguments: of the build.
        command: instead of the image's own; empty where that stands.
        after: services that must be well before this one starts.
        volumes: named volume -> where it is seen.
        ports: of the container.
        patience_seconds: how long it may take to stop.
    """

    name: str
    image: str
    target: str
    arguments: Mapping[str, str]
    command: Sequence[str]
    environment: Mapping[str, str]
    after: Sequence[str]
    volumes: Mapping[str, str]
    ports: Sequence[int]
    health: HealthCheck | None
    patience_seconds: int


def read(file: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the services by name, in an order in which each comes after what it waits for.

    Args:
        file: compose.yaml.
        variables: what stands for ``${NAME}``.

    Raises:
        Refused: a key that is not known here, or a variable that must be given.
    """
    told = yaml.safe_load(_filled(file.read_text(encoding="utf-8"), variables))
    unknown = [key for key in told if key not in ("services", "volumes") and not key.startswith("x-")]
    if unknown:
        raise Refused(f"compose.yaml: {', '.join(unknown)} is not known here")
    services = {name: _service(name, one) for name, one in told["services"].items()}
    ordered: dict[str, Service] = {}

    def place(name: str) -> None:
        for other in services[name].after:
            place(other)
        ordered.setdefault(name, services[name])

    for name in services:
        place(name)
    return ordered


def _filled(text: str, variables: Mapping[str, str]) -> str:
    """Put variables, or their defaults, in their places; comments are left as they are."""
    def value(match: re.Match[str]) -> str:
        name, sign, more = match.groups()
        if variables.get(name):
            return variables[name]
        if sign == "?":
            raise Refused(f"compose.yaml: {name}: {more}")
        return more or ""

    return "\n".join(line if line.lstrip().startswith("#") else VARIABLE.sub(value, line)
                     for line in text.splitlines())


def _service(name: str, told: Mapping[str, Any]) -> Service:
    build, health = told.get("build", {}), told.get("healthcheck")
    waits = told.get("depends_on", {})
    unknown = [*(told.keys() - SERVICE_KEYS), *(build.keys() - {"context", "target", "args"}),
               *((health or {}).keys() - HEALTH_KEYS)]
    unknown += [one for one, how in waits.items() if how != {"condition": "service_healthy"}]
    if unknown:
        raise Refused(f"compose.yaml, {name}: {', '.join(sorted(unknown))} is not known here")
    command = told.get("command", [])
    return Service(
        name=name, image=told.get("image", ""), target=build.get("target", ""),
        arguments={key: str(value or "") for key, value in build.get("args", {}).items()},
        command=shlex.split(command) if isinstance(command, str) else command,
        environment={key: str(value) for key, value in told.get("environment", {}).items()}, after=list(waits),
        volumes=dict(one.split(":") for one in told.get("volumes", [])),
        ports=[int(str(one).rsplit(":", 1)[-1]) for one in told.get("ports", [])],
        health=_health(name, health) if health else None,
        patience_seconds=_seconds(name, told.get("stop_grace_period", "10s")))


def _health(name: str, told: Mapping[str, Any]) -> HealthCheck:
    kind, *command = told["test"]
    if kind not in ("CMD", "CMD-SHELL"):
        raise Refused(f"compose.yaml, {name}: a health check by {kind} is not known here")
    given = {f"{key}_seconds": _seconds(name, value) for key, value in told.items() if key != "test"}
    return HealthCheck(command=command if kind == "CMD" else ["/bin/sh", "-c", command[0]], **given)


def _seconds(name: str, said: object) -> int:
    match = SECONDS.fullmatch(str(said))
    if match is None:
        raise Refused(f"compose.yaml, {name}: the time {said} is not written in seconds")
    return int(match[1])
