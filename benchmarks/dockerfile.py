"""Reads a Dockerfile and its ``.dockerignore``, as far as ours go; whatever else they say is refused by name.

What cannot be read cannot be proven: a part that is passed over in silence would make the proof a different file.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from benchmarks.client import Refused

STEPS = ("ARG", "COPY", "ENV", "EXPOSE", "RUN", "USER", "VOLUME", "WORKDIR")
SECONDS = re.compile(r"(\d+)s")


@dataclass(frozen=True)
class Step:
    """One instruction of a stage: its word, and what stands after it."""

    line: int
    word: str
    text: str

    def words(self) -> list[str]:
        """Return what stands after the word, in parts.

        Raises:
            Refused: it has variables or flags, which nothing here fills in.
        """
        parts = shlex.split(self.text)
        if "$" in self.text or any(part.startswith("--") for part in parts):
            raise Refused(f"Dockerfile, line {self.line}: variables and flags of {self.word} are not known here")
        return parts


@dataclass(frozen=True, kw_only=True)
class HealthCheck:
    """A command that says whether a container works, how often it is asked, and for how long it may fail at first."""

    command: Sequence[str]
    interval_seconds: int = 30
    timeout_seconds: int = 30
    start_period_seconds: int = 0


@dataclass(kw_only=True)
class Stage:
    """One FROM with what follows it.

    Attributes:
        base: the image or the stage that it begins from.
        command: what a container of it runs; a shell's line where it was written so.
    """

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)
    command: Sequence[str] = ()
    health: HealthCheck | None = None


def read(file: Path) -> dict[str, Stage]:
    """Return the stages by name.

    Raises:
        Refused: an instruction that is not known here.
    """
    stages: dict[str, Stage] = {}
    stage: Stage | None = None
    for step in _instructions(file.read_text(encoding="utf-8")):
        if step.word == "FROM":
            match = re.fullmatch(r"(\S+) AS (\S+)", step.text)
            if match is None:
                raise Refused(f"Dockerfile, line {step.line}: only FROM … AS … is known here, not FROM {step.text}")
            stage = stages[match[2]] = Stage(name=match[2], base=match[1])
        elif stage is None:
            raise Refused(f"Dockerfile, line {step.line}: {step.word} before the first FROM is not known here")
        elif step.word == "CMD":
            stage.command = _command(step.text)
        elif step.word == "HEALTHCHECK":
            stage.health = _health(step)
        elif step.word in STEPS:
            stage.steps.append(step)
        else:
            raise Refused(f"Dockerfile, line {step.line}: {step.word} is not known here")
    return stages


def assignments(step: Step) -> dict[str, str]:
    """Return the names and values of an ENV.

    Raises:
        Refused: it is not written NAME=value.
    """
    pairs = [part.partition("=") for part in step.words()]
    if any(not equals for _, equals, _ in pairs):
        raise Refused(f"Dockerfile, line {step.line}: {step.word} {step.text} is not written NAME=value")
    return {name: value for name, _, value in pairs}


def _instructions(text: str) -> Iterator[Step]:
    """Yield the instructions, continued lines joined, comments left out."""
    said, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            if re.match(r"\s*#\s*(syntax|escape|check)\s*=", line):
                raise Refused(f"Dockerfile, line {number}: the directive {line.strip()} is not known here")
            continue
        began = began or number
        said += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        if said.strip():
            word, _, rest = said.strip().partition(" ")
            yield Step(began, word, rest.strip())
        said, began = "", 0


def _command(text: str) -> list[str]:
    """Return a command in either of its two forms."""
    return list(json.loads(text)) if text.startswith("[") else ["/bin/sh", "-c", text]


def _health(step: Step) -> HealthCheck:
    told, found, command = step.text.partition("CMD ")
    options = dict(part.removeprefix("--").partition("=")[::2] for part in told.split())
    unknown = set(options) - {"interval", "timeout", "start-period"}
    if unknown or not found or not all(SECONDS.fullmatch(value) for value in options.values()):
        raise Refused(f"Dockerfile, line {step.line}: HEALTHCHECK {told.strip()} is not known here")
    given = {f"{name.replace('-', '_')}_seconds": int(value[:-1]) for name, value in options.items()}
    return HealthCheck(command=_command(command.strip()), **given)


def context(folder: Path) -> Iterator[PurePosixPath]:
    """Yield the files that a build sees: all of `folder` but what its ``.dockerignore`` names.

    Raises:
        Refused: an exception ("!") in it.
    """
    ignored = [_pattern(line.strip()) for line in (folder / ".dockerignore").read_text().splitlines()
               if line.strip() and not line.startswith("#")]
    for place, folders, files in os.walk(folder):
        here = PurePosixPath(Path(place).relative_to(folder).as_posix())
        folders[:] = [name for name in folders if not _matches(here / name, ignored)]
        yield from (here / name for name in files if not _matches(here / name, ignored))


def _pattern(line: str) -> re.Pattern[str]:
    if line.startswith("!"):
        raise Refused(f".dockerignore: the exception {line} is not known here")
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    said = re.split(r"(\*\*/|\*\*|\*|\?)", line.strip("/"))
    return re.compile("".join(parts.get(one, re.escape(one)) for one in said))


def _matches(path: PurePosixPath, ignored: Sequence[re.Pattern[str]]) -> bool:
    return any(pattern.fullmatch(path.as_posix()) for pattern in ignored)


def chain(stages: Mapping[str, Stage], target: str) -> list[Stage]:
    """Return the stages that make a target, the first one first.

    Raises:
        Refused: there is no such stage.
    """
    if target not in stages:
        raise Refused(f"the Dockerfile has no stage {target}; it has {', '.join(stages)}")
    stage = stages[target]
    return [*(chain(stages, stage.base) if stage.base in stages else []), stage]
