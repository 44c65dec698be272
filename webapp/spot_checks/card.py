"""The card inside a run's package, kept at what its spot check measured."""

from __future__ import annotations

import shutil
import uuid
import zipfile
from pathlib import Path

from core.evaluation.spot_check import with_measurement
from webapp.runs.models import Run
from webapp.spot_checks.outcome import standing

CARD = "CARD.md"


def refresh(run: Run, package: Path) -> None:
    """Write the standing measurement of a run into its package, if the package says otherwise."""
    if not package.exists() or not run.spot_checks.exists():
        return
    checked = standing(run)
    with zipfile.ZipFile(package) as archive:
        old = archive.read(CARD).decode("utf-8")
    new = with_measurement(old, checked.measured if checked is not None else None)
    if new != old:
        _replace(package, new)


def _replace(package: Path, card: str) -> None:
    """Write the package anew with another card, whole or not at all: a download that has begun keeps the old file."""
    part = package.with_name(f".{package.name}-{uuid.uuid4().hex}.part")
    try:
        with zipfile.ZipFile(package) as source, zipfile.ZipFile(part, "w") as target:
            for member in source.infolist():
                if member.filename == CARD:
                    target.writestr(member, card)
                else:
                    with source.open(member) as content, target.open(member, "w") as copy:
                        shutil.copyfileobj(content, copy)
        part.replace(package)
    finally:
        part.unlink(missing_ok=True)
