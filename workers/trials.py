"""Single images tried against a finished run's model; the model stays in the memory of the process that answered.

What was sent is read as ingest reads an upload, and asked about as the image that ingest would have made of it.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

from core.classifier import Classifier
from core.data.images import ImageSet
from core.errors import CheckpointError, LabelfreeError
from core.export import unpacked
from webapp.collections import storage
from webapp.review import trying
from webapp.runs.models import Trial
from workers.answers import TOP
from workers.runs import run_folder

KEPT_MODELS = 2


def answer(trial_id: int) -> None:
    """Answer a trial that still waits; what goes wrong is said on its row, and what was sent goes."""
    trial = Trial.objects.filter(pk=trial_id, status=Trial.Status.ASKED).first()
    if trial is None:
        return
    waiting = Trial.objects.filter(pk=trial_id, status=Trial.Status.ASKED)
    thumbnail = ""
    try:
        top, thumbnail = _read_and_ask(trial)
        waiting.update(status=Trial.Status.ANSWERED, top=top, file=thumbnail)
    except LabelfreeError as error:
        waiting.update(status=Trial.Status.FAILED, error=str(error), file="")
    storage.forget_trial(trial.file)
    if not Trial.objects.filter(pk=trial_id, file=thumbnail).exists():  # it was given up or deleted meanwhile
        storage.forget_trial(thumbnail)


def _read_and_ask(trial: Trial) -> tuple[list[list[float]], str]:
    """Return the most probable classes of a trial's image, [[class index, probability], …], and its thumbnail."""
    package = run_folder(trial.run_id) / "package.zip"
    if not package.exists():
        reason = "has no model to ask; it did not end well, or its files were removed"
        raise CheckpointError(f"run {trial.run_id}", reason)
    kept = trying.read(trial)
    model = _model(package, package.stat().st_mtime)
    with tempfile.TemporaryDirectory(prefix="labelfree-trial-") as folder:
        path = Path(folder) / f"upright{kept.suffix}"
        path.write_bytes(kept.upright)
        found = model.predict(ImageSet((path,), (trial.name,))).probabilities
    best = found.topk(min(TOP, found.shape[1]), dim=1)
    indices, values = best.indices[0].tolist(), best.values[0].tolist()
    top = [[index, round(value, 6)] for index, value in zip(indices, values, strict=True)]
    return top, trying.keep_thumbnail(trial, kept)


@lru_cache(maxsize=KEPT_MODELS)
def _model(package: Path, written_at: float) -> Classifier:
    """Return the model of a package, from memory if it was asked lately and has not been written anew since."""
    with tempfile.TemporaryDirectory(prefix="labelfree-model-") as folder:
        return Classifier.load(unpacked(package, Path(folder)))
