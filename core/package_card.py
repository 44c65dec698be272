"""The card inside a model package, replaced without touching anything else of it. Standard library only."""

from __future__ import annotations

import shutil
import uuid
import zipfile
from pathlib import Path

CARD = "CARD.md"


def read_card(package: Path) -> str:
    """Return the card's text."""
    with zipfile.ZipFile(package) as archive:
        return archive.read(CARD).decode("utf-8")


def replace_card(package: Path, card: str) -> None:
    """Write the package anew with another card, whole or not at all: who reads the old file goes on reading it."""
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
