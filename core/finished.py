"""A folder that ``adapt`` wrote, read back: its answers, its figures and what it was made with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from core.catalog import METHODS, answers_in_groups
from core.errors import DataError
from core.labels import read_confidences, read_labels
from core.names import fold

RESULT, LABELS, BASELINE, MODEL = "result.json", "labels.csv", "baseline.csv", "model"


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run that ended.

    Attributes:
        folder: where it is.
        method: a key of `core.catalog.METHODS`.
        settings: the model's.
        class_names: in class order; "cluster 1" … where none were given.
        labels: path of each image -> the name it was answered.
        confidences: path -> confidence, 0 … 1.
        result: what result.json says; see `core.evaluation.result.Result`.
    """

    folder: Path
    method: str
    settings: Mapping[str, Any]
    class_names: tuple[str, ...]
    labels: Mapping[str, str]
    confidences: Mapping[str, float]
    result: Mapping[str, Any]

    @property
    def unseen(self) -> dict[str, str]:
        """Return the answers to images whose label it did not learn from: what it was told is no measure of it."""
        return {path: label for path, label in self.labels.items() if path not in self.taught}

    @cached_property
    def taught(self) -> frozenset[str]:
        """Return the paths of the images whose label it learnt from."""
        return frozenset(self.result.get("taught") or ())

    @property
    def reads_names(self) -> bool:
        """Tell whether its answers begin with class names, and not with groups that were named afterwards."""
        return not answers_in_groups(self.method, self.settings)

    def shares_names(self, other: Finished) -> bool:
        """Tell whether both answer in class names of which some are the same, in whatever order."""
        ours, theirs = ({fold(name) for name in one.class_names} for one in (self, other))
        return self.reads_names and other.reads_names and not ours.isdisjoint(theirs)


def read_finished(folder: Path) -> Finished:
    """Read what ``adapt`` wrote into `folder`.

    Raises:
        DataError: where something of it is missing or no run's.
    """
    for needed in (RESULT, LABELS, f"{MODEL}/settings.json"):
        if not (folder / needed).is_file():
            raise DataError(str(folder), f"no run that ended: {needed} is missing; give the folder that adapt --out "
                                         "named")
    result = read_object(folder / RESULT)
    model, names = model_beside(folder / LABELS), result.get("class_names")
    if not model or not isinstance(names, list):
        raise DataError(str(folder), f"its {RESULT} or model is of no run that this release knows; adapt once more")
    labels = read_labels(folder / LABELS)
    known = set(names)
    stranger = next((label for label in labels.values() if label not in known), None)
    if stranger is not None:
        raise DataError(str(folder / LABELS), f"{stranger!r} is none of the run's classes; put back what adapt wrote")
    return Finished(folder=folder, method=str(model["method"]), settings=model.get("settings") or {},
                    class_names=tuple(names), labels=labels, confidences=read_confidences(folder / LABELS),
                    result=result)


def taught(given: Path) -> frozenset[str] | None:
    """Return the paths of the images whose labels a run learnt from; None where no result.json is there to say so.

    Args:
        given: the run's folder, or its model, package or labels in there.
    """
    place = given if (given / RESULT).is_file() else given.parent
    said = read_object(place / RESULT).get("taught") if (place / RESULT).is_file() else None
    return None if said is None else frozenset(said)


def model_beside(labels: Path) -> Mapping[str, Any]:
    """Return what settings.json says of the model beside labels that ``adapt`` wrote; {} where there is none."""
    file = labels.parent / MODEL / "settings.json"
    said = read_object(file) if file.is_file() else {}
    return said if str(said.get("method")) in METHODS else {}


def write_result(run: Finished, more: Mapping[str, object]) -> None:
    """Add to a run's result.json, whole or not at all."""
    part = run.folder / f"{RESULT}.part"
    part.write_text(json.dumps({**run.result, **more}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(run.folder / RESULT)


def read_object(file: Path) -> dict[str, Any]:
    """Return an object of JSON.

    Raises:
        DataError: where the file holds none.
    """
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise DataError(str(file), "is no JSON object; put back what was written there")
    return said
