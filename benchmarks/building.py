"""Does what a Dockerfile says, step by step, in roots (`benchmarks.roots`) instead of an engine's layers."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from benchmarks.client import Refused, say
from benchmarks.dockerfile import HealthCheck, Stage, Step, assignments, chain, context
from benchmarks.roots import Mount, Root, debian

CHANGING = ("COPY", "RUN")
"""The steps that change files."""
BASE = re.compile(r"python:(\d+\.\d+)-slim-(\w+)")


@dataclass(kw_only=True)
class Image:
    """What a stage has become.

    Attributes:
        volumes: where its containers see volumes.
        done: how many steps were done for it, those of the stages below included.
        seconds: and how long they took.
        digest: of all that they were made from.
    """

    root: Root
    command: Sequence[str] = ()
    health: HealthCheck | None = None
    volumes: list[str] = field(default_factory=list)
    done: int = 0
    seconds: float = 0.0
    digest: str = ""


class Builder:
    """Builds the stages of a Dockerfile, each once; a stage that is here already, from the same, is not built again.

    Args:
        stages: by name.
        sources: the folder that the build sees.
        roots: where the roots are made.
        doors: how apt and pip reach packages.
    """

    def __init__(self, stages: Mapping[str, Stage], sources: Path, roots: Path, doors: Sequence[Mount]) -> None:
        self._stages, self._sources, self._roots, self._doors = stages, sources, roots, doors
        self._context = sorted(context(sources))
        self._built: dict[str, Image] = {}

    def build(self, target: str, arguments: Mapping[str, str]) -> Image:
        """Return the image of a stage; `arguments` stand for its ARGs.

        Raises:
            Refused: a step that failed, or that is not known here.
        """
        below: Image | None = None
        for stage in chain(self._stages, target):
            if stage.name not in self._built:
                self._built[stage.name] = self._stage(stage, below or self._base(stage.base), arguments)
            below = self._built[stage.name]
        assert below is not None
        return below

    def _base(self, name: str) -> Image:
        """Return what stands for an image of the registry.

        Raises:
            Refused: nothing stands for it, or what does has another Python.
        """
        match = BASE.fullmatch(name)
        if match is None:
            raise Refused(f"Dockerfile: FROM {name}: only python:VERSION-slim-SUITE has a stand-in here")
        folder = self._roots / f"debian-{match[2]}"
        mark = folder.with_suffix(".done")
        if mark.exists():
            return Image(root=Root(folder=folder), digest=name)
        began = time.monotonic()
        root = debian(folder, match[2], self._roots / "tools")
        found = root.do(["python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()
        if found != match[1]:
            raise Refused(f"Dockerfile: FROM {name}: Debian {match[2]} has Python {found}")
        say(f"  an empty Debian {match[2]} with Python {found}: {root.megabytes():,.0f} MB, "
            f"{time.monotonic() - began:.0f} s")
        mark.touch()
        return Image(root=root, digest=name)

    def _stage(self, stage: Stage, below: Image, arguments: Mapping[str, str]) -> Image:
        mark = self._roots / f"{stage.name}.done"
        digest = self._digest(stage, below, arguments)
        is_done = mark.exists() and mark.read_text().split()[0] == digest
        folder = self._roots / stage.name
        if not is_done:
            mark.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
        root = replace(below.root, folder=folder) if is_done else below.root.copy(folder)
        image = replace(below, root=root, volumes=list(below.volumes), digest=digest)
        known: dict[str, str] = {}
        for step in stage.steps:
            began = time.monotonic()
            if not is_done or step.word not in CHANGING:
                self._do(step, image, known, arguments)
            seconds = time.monotonic() - began
            image.done, image.seconds = image.done + 1, image.seconds + seconds
            say(f"  {stage.name}, line {step.line}: {step.word} {step.text[:70]} ({seconds:.1f} s)")
        if is_done:
            image.seconds = float(mark.read_text().split()[1])
        mark.write_text(f"{digest} {image.seconds}")
        image.command, image.health = stage.command or below.command, stage.health or below.health
        return image

    def _digest(self, stage: Stage, below: Image, arguments: Mapping[str, str]) -> str:
        """Return a digest of a stage's lines, of what it begins from and of the files that it copies."""
        lines = [(step.word, step.text) for step in stage.steps]
        told = hashlib.sha256(repr((below.digest, lines, sorted(arguments.items()))).encode())
        for step in stage.steps:
            for file in self._copied(step) if step.word == "COPY" else []:
                told.update(f"{file}\n".encode() + (self._sources / file).read_bytes())
        return told.hexdigest()

    def _copied(self, step: Step) -> list[PurePosixPath]:
        """Return the files that a COPY is about."""
        sources = list(map(PurePosixPath, step.words()[:-1]))
        return [file for file in self._context if any(file.is_relative_to(source) for source in sources)]

    def _do(self, step: Step, image: Image, known: dict[str, str], arguments: Mapping[str, str]) -> None:
        """Do one step; `known` are the stage's ARGs so far."""
        root = image.root
        if step.word == "RUN":
            there = replace(root, environment={**known, **root.environment}, mounts=self._doors)
            there.do(["/bin/sh", "-c", step.text])
        elif step.word == "COPY":
            self._copy(step, root)
        elif step.word == "ENV":
            image.root = replace(root, environment={**root.environment, **assignments(step)})
        elif step.word == "ARG":
            known |= {name: arguments.get(name) or value for name, value in assignments(step).items()}
        elif step.word == "WORKDIR":
            (place,) = step.words()
            (root.folder / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
            image.root = replace(root, place=place)
        elif step.word == "USER":
            (user,) = step.words()
            image.root = replace(root, user=user)
        elif step.word == "VOLUME":
            image.volumes += step.words()
        elif step.word != "EXPOSE":  # which says something to people alone
            raise Refused(f"Dockerfile, line {step.line}: {step.word} is not known here")

    def _copy(self, step: Step, root: Root) -> None:
        """Copy files of the context into a folder, as root's.

        Raises:
            Refused: there is no such file, or the target is no folder.
        """
        *sources, target = step.words()
        if not target.endswith((".", "/")):
            raise Refused(f"Dockerfile, line {step.line}: COPY to {target}, which is no folder, is not known here")
        folder = root.folder / root.place.lstrip("/") / target if target[0] != "/" else root.folder / target[1:]
        for source in map(PurePosixPath, sources):
            found = [file for file in self._context if file == source or file.is_relative_to(source)]
            if not found:
                raise Refused(f"Dockerfile, line {step.line}: the context has no {source}")
            for file in found:
                place = folder / (file.name if file == source else file.relative_to(source))
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._sources / file, place, follow_symlinks=False)
