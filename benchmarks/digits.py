"""A few of scikit-learn's real digits as files, the question asked of them, and small fast runs that answer it."""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.client import Refused
from benchmarks.house import House
from benchmarks.patience import Patient, digest

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COUNT = 30
GIVEN_UP = "Tried 3 times"
"""How the words of a run begin that used up its attempts; a person may let it go on."""
SMALL: Mapping[str, Mapping[str, Any]] = {
    "must": {"settings": {"mirror": False, "batch_size": 10, "epochs": 4.0, "templates": "one"}},
    "turtle": {"num_classes": len(NAMES), "settings": {
        "steps": 1000, "sample_size": COUNT, "search": False, "starts": 1}},
}
"""What is asked of each method; with MUST comes zero-shot, with TURTLE k-means, as the baselines they are."""
Answers = dict[str, tuple[str, float]]


@dataclass(frozen=True)
class Digits:
    """The files of a folder, one by one and in one archive."""

    files: list[Path]
    archive: Path

    @classmethod
    def write(cls, folder: Path) -> Digits:
        """Write them, white on black, in the order of their names."""
        from PIL import Image
        from sklearn.datasets import load_digits

        folder.mkdir(parents=True)
        files = [folder / f"digit-{number:04d}.png" for number in range(COUNT)]
        for file, pixels in zip(files, load_digits().images, strict=False):
            Image.fromarray((pixels * (255 / 16)).astype("uint8")).save(file)
        with zipfile.ZipFile(folder / "digits.zip", "w") as package:
            for file in files:
                package.write(file, file.name)
        return cls(files, folder / "digits.zip")

    @property
    def contents(self) -> list[tuple[str, str]]:
        """Return name and SHA-256 of each file."""
        return [(one.name, digest(one)) for one in self.files]


def make_collection(patient: Patient, name: str) -> int:
    """Make a collection, once, however often the answer is lost."""
    def made() -> Any:
        listed = patient.api.get("/api/v1/collections")["collections"]
        return next((one for one in listed if one["name"] == name), None)

    return int(patient.post("/api/v1/collections", {"name": name, "mirror": False}, made)["id"])


def make_class_list(patient: Patient) -> int:
    """Make the class list of the digits."""
    return int(patient.post("/api/v1/class-lists", {"name": "digits", "names": list(NAMES)}, lambda: None)["id"])


def start(patient: Patient, collection: int, method: str, asked: Mapping[str, Any]) -> int:
    """Start a run, once; return its id."""
    before = {one["id"] for one in patient.get(f"/api/v1/collections/{collection}/runs")["runs"]}

    def made() -> Any:
        listed = patient.api.get(f"/api/v1/collections/{collection}/runs")["runs"]
        return next((one for one in listed if one["id"] not in before and one["method"] == method), None)

    return int(patient.post(f"/api/v1/collections/{collection}/runs", {"method": method, **asked}, made)["id"])


def resume(house: House, patient: Patient, run: int) -> None:
    """Let a failed run go on, once."""
    def once() -> None:
        if house.ledger.one("select status from runs_run where id = ?", run) == "failed":
            house.api.post(f"/api/v1/runs/{run}/resume", {})

    patient.again(once)


def wait_until_read(house: House, patient: Patient, collection: int) -> None:
    """Wait until no upload of a collection is on its way any more.

    Raises:
        Refused: one still is, after as long as the patient waits.
    """
    deadline = time.monotonic() + patient.limit_seconds
    pending = "select name, status, message from collections_upload where collection_id = ? and status not in (?, ?)"
    while left := house.ledger.ask(pending, collection, "done", "refused"):
        if time.monotonic() > deadline:
            raise Refused(f"{len(left)} uploads are not read after {patient.limit_seconds:.0f} s: {left[:3]}")
        time.sleep(0.3)


def answers(patient: Patient, run: int) -> Answers:
    """Return label and confidence of each image, as a person takes them away."""
    text = patient.download(f"/api/v1/runs/{run}/labels.csv").decode()
    found = csv.DictReader(io.StringIO(text))
    return {row["path"]: (row["label"], round(float(row["confidence"]), 4)) for row in found}
