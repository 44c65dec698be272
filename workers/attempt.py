"""One attempt of one run, top to bottom: rows become a problem, the method adapts, the answers are measured."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from contextlib import nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from django.db import InterfaceError, OperationalError
from torch import OutOfMemoryError

from core.card import card_of, judges_of, origin_of
from core.catalog import METHODS, Settings, learns_from_labels, parse
from core.classifier import Classifier
from core.errors import Cancelled, CheckpointError, LabelfreeError, Paused
from core.evaluation.places import map_places
from core.evaluation.result import summarise
from core.evaluation.second_opinion import second_opinion
from core.evaluation.telling import tell
from core.export import write_package
from core.methods.resolve import Adapt, resolve
from core.problem import Problem
from core.training.checkpoint import Checkpoints
from core.training.memory import peak_memory_bytes
from webapp.runs.models import Run
from webapp.runs.room import features_folder
from workers import answers, measuring
from workers.image_cache import ImageCache
from workers.lease import Lease, LeaseLost
from workers.problems import (
    START_FOLDER,
    Photographs,
    build_problem,
    every_file,
    kept_labels,
    moved,
    taught_images,
    unpacked_start,
)
from workers.rows import kept_rows
from workers.runs import run_folder
from workers.surroundings import FolderHeld, Pipe, WorkerRun, take_folder

ALLOCATION_FAILED = re.compile(r"out of memory|can't allocate memory|CUBLAS_STATUS_ALLOC_FAILED"
                               r"|could not create a primitive$|can't start new thread")
"""What is said of memory without an error of its own: by torch, by oneDNN, by Python for a thread's stack."""


def attempt(lease: Lease, pipe: Pipe) -> None:
    """Adapt, answer, measure and write the result of a run."""
    run = Run.objects.select_related("collection", "class_list_version", "baseline").get(
        pk=lease.run_id)
    folder = run_folder(run.pk)
    with take_folder(folder, lease), ImageCache.of_this_machine() or nullcontext() as cache:
        _tidy(folder, run.collection_id)
        chosen = parse(run.method, run.settings)
        rows = kept_rows(run, folder, partial(_begin_anew, lease, folder))
        photographs = Photographs.of_rows(rows.own, rows.held_out)
        labelled = kept_labels(run, photographs, folder) if learns_from_labels(chosen) else {}
        problem = build_problem(run, rows, photographs, labelled, unpacked_start(run, folder))
        surroundings = WorkerRun(lease=lease, seed=run.seed, folder=folder, pipe=pipe, image_ids=photographs.ids,
                                 memory_share=0.5**run.memory_halvings)
        if cache is not None:
            copies = cache.fetch(every_file(photographs, problem), surroundings.fetching, surroundings.log)
            photographs, problem = moved(photographs, problem, copies)
        if surroundings.checkpoints.path.exists():
            surroundings.log("goes on from its last checkpoint")
        stopwatch = Stopwatch(folder / "seconds")
        surroundings.on_check = stopwatch.save
        classifier = _adapt(resolve(METHODS[run.method].function), chosen, problem, surroundings)
        classifier = replace(classifier, settings={**classifier.settings, **origin_of(chosen, problem)})
        surroundings.finishing = True
        predictions = classifier.predict(photographs.distinct, surroundings)
        seconds = stopwatch.save()
        spaces = measuring.spaces(judges_of(asdict(chosen)), photographs.distinct, surroundings)
        adapted = answers.first(predictions, photographs.adapted)
        opinion = second_opinion(run.method, asdict(chosen), photographs.to_adapt, adapted.labels.numpy(), surroundings)
        surroundings.stage("scoring the answers")
        labels = predictions.labels.tolist()
        taught = taught_images(run, rows.own, photographs, labelled)
        told = {photographs.place[image] for image in taught}
        result = summarise(
            classifier, adapted, [one[:photographs.adapted] for one in spaces], seed=run.seed, seconds=seconds,
            peak_memory_bytes=peak_memory_bytes(surroundings.device),
            refused=run.collection.refusals.filter(left_out=False).count(), opinion=opinion,
            measured=measuring.measured(run, photographs, labels, held_out=False, taught=told),
            pictures=surroundings.pictures.drawn, told=tuple(problem.labelled.values()),
            on_fold=lambda fold: surroundings.stage("scoring the answers"))
        surroundings.stage("drawing the map")
        places = map_places(spaces[0], run.seed)
        telling = tell(photographs.to_adapt, [one[:photographs.adapted].numpy() for one in spaces],
                       judges_of(asdict(chosen)), surroundings)
        surroundings.stage("packing the model")
        package = folder / f"package-{lease.token[:8]}.zip"
        card = card_of(run.method, chosen, problem, result, datetime.now(UTC).date(), run.collection.name)
        write_package(classifier, package, card, pictures=surroundings.pictures.travelling)
        surroundings.stage("writing the answers")
        held_out = measuring.measured(run, photographs, labels, held_out=True, taught=told)
        answers.write(lease, result.to_json() | {"held_out": held_out, "taught": taught}, predictions, places,
                      photographs, package, surroundings.pictures.folder, telling)
        surroundings.checkpoints.clear()
        shutil.rmtree(folder / START_FOLDER, ignore_errors=True)


def _begin_anew(lease: Lease, folder: Path) -> None:
    """Drop the checkpoint of a run whose images are not all there any more, and say so."""
    lease.write("images that it began with were deleted: its checkpoint is dropped, and the run begins anew with "
                "those that are there")
    Checkpoints(folder).clear()


def _adapt(method: Adapt, chosen: Settings, problem: Problem, surroundings: WorkerRun) -> Classifier:
    """Adapt; a checkpoint that does not fit is dropped, which nobody can do on a page, and the run begins anew."""
    checkpoints = surroundings.checkpoints
    try:
        return method(chosen, problem, surroundings)
    except CheckpointError as error:
        if error.retryable or error.file != str(checkpoints.path):
            raise
    surroundings.log("its checkpoint is of other images, names or labels, or cannot be read: it is dropped, and the "
                     "run begins anew")
    checkpoints.clear()
    return method(chosen, problem, surroundings)


class Stopwatch:
    """Counts the seconds of a run over all its attempts, kept in a file; a killed attempt counts to its last save."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._before = float(file.read_text()) if file.exists() else 0.0
        self._began = time.monotonic()

    def save(self) -> float:
        """Write down and return what has been counted so far."""
        seconds = self._before + time.monotonic() - self._began
        part = self._file.with_name(self._file.name + ".part")
        part.write_text(f"{seconds:.3f}")
        part.replace(self._file)
        return seconds


def _tidy(folder: Path, collection_id: int) -> None:
    """Remove what a killed attempt left half-written, and let runs on one collection share its features."""
    for left in (*folder.glob("package-*"), *folder.glob(".package-*"), *folder.glob("pictures-*")):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    shared = features_folder(collection_id)
    shared.mkdir(mode=0o700, parents=True, exist_ok=True)
    link = folder / "features"
    if not link.exists():
        link.unlink(missing_ok=True)  # it led to where another machine has this folder
        link.symlink_to(os.path.relpath(shared, folder))


def words_for(error: BaseException) -> dict[str, object]:
    """Return the message to the parent that says how an attempt ended."""
    match error:
        case Cancelled():
            return {"cancelled": True}
        case Paused():
            return {"paused": True}
        case LeaseLost():
            return {"lost": True}
        case FolderHeld():
            return {"not_yet": str(error)}
        case LabelfreeError():
            return {"failed": str(error), "retryable": error.retryable}
        case OutOfMemoryError():
            return {"out_of_memory": "The GPU"}
        case MemoryError():
            return {"out_of_memory": "The machine"}
        case RuntimeError() if ALLOCATION_FAILED.search(str(error)):
            return {"out_of_memory": "The GPU" if "CU" in str(error) else "The machine"}
        case OperationalError() | InterfaceError():
            return {"again": "the database did not answer"}
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return {"failed": f"The disk is full ({error.filename or 'while writing'}). Free some space, then start "
                              "the run again.", "retryable": True}
        case _:
            return {"failed": f"Something went wrong inside labelfree ({type(error).__name__}: {error}). Start the "
                              "run again; if it ends the same way, show this to whoever looks after this machine.",
                    "retryable": True}
