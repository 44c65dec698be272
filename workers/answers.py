"""A run's answers and result, written in one transaction that only the holder of the lease can make."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from core.classifier import Predictions
from core.errors import Cancelled
from webapp.runs.models import Prediction, Run
from workers import measuring
from workers.lease import Lease
from workers.problems import Photographs

TOP = 5
INSERT = ("INSERT INTO runs_prediction (run_id, image_id, class_index, confidence, margin, top, map_x, map_y) "
          "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)")
"""Past the ORM, whose own work took most of the time for which SQLite's one write lock was held: 200,000 answers cost
1.9 s of a core this way and 8.6 s by `bulk_create`; on two busy cores they held it for 3 to 4 s and for 11 to 34 s."""
TELL = "UPDATE runs_prediction SET telling = %s WHERE run_id = %s AND image_id = %s"


def first(predictions: Predictions, count: int) -> Predictions:
    """Return the answers for the first `count` images."""
    return Predictions(predictions.probabilities[:count])


def write(lease: Lease, result: dict[str, object], predictions: Predictions, places: NDArray[np.float64],
          photographs: Photographs, package: Path, pictures: Path, telling: Sequence[int] = ()) -> None:
    """Store every answer, the package, the pictures and the result, and end the run as succeeded: all or nothing.

    Args:
        lease: whoever lost it writes nothing.
        result: what `Run.result` becomes.
        predictions: for each distinct picture.
        places: of each distinct picture on the map.
        photographs: rows and pictures.
        package: the finished zip, renamed to ``package.zip`` when the rows are safe.
        pictures: the folder of what the method drew, if it drew anything; renamed to ``pictures`` with the package.
        telling: the distinct pictures to name first, in that order.

    Raises:
        LeaseLost: the run is no longer ours.
        Cancelled: the person asked to stop in the last moment.
    """
    rows = _rows(lease.run_id, predictions, places, photographs)
    with lease.fence() as run:
        if run.cancel_requested:
            raise Cancelled
        Prediction.objects.filter(run_id=lease.run_id).delete()
        with connection.cursor() as cursor:
            cursor.executemany(INSERT, rows)
            cursor.executemany(TELL, [(at, lease.run_id, photographs.ids[place]) for at, place in enumerate(telling)])
        package.replace(package.with_name("package.zip"))
        kept = pictures.with_name("pictures")
        shutil.rmtree(kept, ignore_errors=True)  # of an attempt that could not commit its rows
        if pictures.exists():
            pictures.replace(kept)
        lease.succeed(result, run.total)
        _fill_in_comparisons(run, photographs)


def _fill_in_comparisons(run: Run, photographs: Photographs) -> None:
    """Compare a run with its baseline, and the runs that waited for it as theirs, as soon as both have ended.

    Where both end in the same moment neither sees the other's end. So each locks the baseline's row, and a run its
    own before that: whoever has it second sees what the first has written. It is asked for by key alone, for one that
    is asked for by a state is not waited for while it reaches it.
    """
    run.refresh_from_db()
    pairs: list[tuple[Run, Run, Photographs | None]] = [
        (one, run, None) for one in run.compared_runs.filter(status=Run.Status.SUCCEEDED)]
    if run.baseline_id is not None:
        baseline = Run.objects.filter(pk=run.baseline_id).select_for_update().first()
        if baseline is not None and baseline.status == Run.Status.SUCCEEDED:
            pairs.append((run, baseline, photographs))
    for ours, baseline, seen in pairs:
        found = measuring.compare(ours, baseline, seen)
        if found is not None:
            Run.objects.filter(pk=ours.pk, status=Run.Status.SUCCEEDED).update(result=ours.result | {"baseline": found})


def _rows(run_id: int, predictions: Predictions, places: NDArray[np.float64],
          photographs: Photographs) -> list[tuple[int | float | str, ...]]:
    """Return what `INSERT` takes of every image row; exact duplicates share their picture's."""
    top = predictions.probabilities.topk(min(TOP, predictions.probabilities.shape[1]), dim=1)
    best = [json.dumps([[index, round(value, 6)] for index, value in zip(indices, values, strict=True)])
            for indices, values in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
    labels, confidence = predictions.labels.tolist(), predictions.confidence.tolist()
    margin = predictions.margin.tolist()
    at = places.round(5).tolist()
    return [(run_id, image, labels[place], confidence[place], margin[place], best[place], *at[place])
            for image, place in photographs.place.items()]
