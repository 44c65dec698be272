"""Which images a run uses, by their rows: chosen when it first begins, and kept for its later attempts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from webapp.collections.models import Collection, Image
from webapp.runs.further import brought, further_collections, held_out_by_further, other_collection
from webapp.runs.models import Run

IMAGES_FILE = "images.json"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of the images that a run uses; those of one collection in the order of their numbers.

    Attributes:
        own: of its collection, copies too: all but what was set aside.
        held_out: ids of those of them that are not adapted to.
        warm_up: what it may see of the collection that it warms up on, each picture once; None without one.
        replay: the same of the one that it replays.
        also: what each further collection adds, each picture once.
    """

    own: list[Image]
    held_out: set[int]
    warm_up: list[Image] | None
    replay: list[Image] | None
    also: list[list[Image]]

    @classmethod
    def now(cls, run: Run) -> Rows:
        """Return what a run that begins now uses.

        Raises:
            DataError: where another collection that it uses was deleted.
        """
        own, held_out_too = not_set_aside(run.collection), held_out_by_further(run)
        return cls(own=own, held_out={row.pk for row in own if row.held_out or row.sha256 in held_out_too},
                   warm_up=_shown(other_collection(run, "warm_up")), replay=_shown(other_collection(run, "replay")),
                   also=_added(run))

    @classmethod
    def of_ids(cls, run: Run, ids: Mapping[str, Any]) -> Rows:
        """Return those of the rows with these `ids` that are still there.

        Raises:
            DataError: where another collection that the run uses was deleted.
        """
        def of(collection: Collection | None, wanted: Sequence[int] | None) -> list[Image] | None:
            return None if collection is None or wanted is None else _those_of(collection, wanted)

        return cls(own=_those_of(run.collection, ids["own"]), held_out=set(ids["held_out"]),
                   warm_up=of(other_collection(run, "warm_up"), ids["warm_up"]),
                   replay=of(other_collection(run, "replay"), ids["replay"]),
                   also=[_those_of(*one) for one in zip(further_collections(run), ids["also"], strict=True)])

    @property
    def ids(self) -> dict[str, Any]:
        """Return their ids, as JSON has them."""
        def of(rows: list[Image] | None) -> list[int] | None:
            return None if rows is None else [row.pk for row in rows]

        return {"own": of(self.own), "held_out": sorted(self.held_out), "warm_up": of(self.warm_up),
                "replay": of(self.replay), "also": [of(rows) for rows in self.also]}


def kept_rows(run: Run, folder: Path, begin_anew: Callable[[], object]) -> Rows:
    """Return the images that a run began with, whatever was set aside, held out or added since.

    Kept in the run's folder beside its checkpoint, which fits no others. Where some of them were deleted, they are
    chosen anew.

    Args:
        run: its row.
        folder: its own.
        begin_anew: called before they are chosen anew.

    Raises:
        DataError: where another collection that it uses was deleted.
    """
    file = folder / IMAGES_FILE
    if file.exists():
        ids = json.loads(file.read_text(encoding="utf-8"))
        kept = Rows.of_ids(run, ids)
        if kept.ids == ids:
            return kept
        begin_anew()
    rows = Rows.now(run)
    write_whole(file, rows.ids)
    return rows


def write_whole(file: Path, value: object) -> None:
    """Write JSON, all of it or nothing."""
    part = file.with_name(file.name + ".part")
    with part.open("w", encoding="utf-8") as written:
        json.dump(value, written)
        written.flush()
        os.fdatasync(written.fileno())  # a power cut must not leave a name without its content
    part.replace(file)


def not_set_aside(collection: Collection) -> list[Image]:
    """Return a collection's rows without those that a person set aside, in the order of their numbers."""
    return list(_by_number(collection).filter(set_aside=False))


def first_of_each_file(rows: Sequence[Image]) -> dict[str, Image]:
    """Return the first row that uses each stored file."""
    firsts: dict[str, Image] = {}
    for row in rows:
        firsts.setdefault(row.file, row)
    return firsts


def _by_number(collection: Collection) -> QuerySet[Image]:
    """Return a collection's rows in the order of their numbers, with what a run reads of them."""
    return collection.images.order_by("number").only("pk", "file", "path", "held_out", "sha256")


def _those_of(collection: Collection, ids: Sequence[int]) -> list[Image]:
    """Return the rows of a collection with these ids, which may be more than a query takes."""
    wanted = frozenset(ids)
    return [row for row in _by_number(collection) if row.pk in wanted]


def _shown(collection: Collection | None) -> list[Image] | None:
    """Return what a method may see of another collection, each picture once."""
    if collection is None:
        return None
    rows = not_set_aside(collection)
    held_out = {row.file for row in rows if row.held_out}
    return [row for row in first_of_each_file(rows).values() if row.file not in held_out]


def _added(run: Run) -> list[list[Image]]:
    """Return what each further collection of a run adds to be adapted to, each picture once.

    Raises:
        DataError: when a collection was deleted since the run was started.
    """
    collections = further_collections(run)
    seen: set[str] = set()
    added = []
    for collection in collections:
        firsts = []
        for row in brought(run.collection, collections).filter(collection=collection).order_by("number"):
            if row.sha256 not in seen:
                seen.add(row.sha256)
                firsts.append(row)
        added.append(firsts)
    return added
