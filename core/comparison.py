"""``python -m core compare``: finished runs side by side, how far they agree, and where they do not.

Shapes: N images that two runs both answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.catalog import METHODS
from core.errors import ConfigError
from core.evaluation import metrics
from core.finished import Finished, read_finished
from core.labels import read_labels
from core.names import fold
from core.shell import Listener
from core.table_file import write_table


def compare(*, runs: Sequence[Path], truth: Path | None, out: Path | None, listener: Listener) -> None:
    """Tell the runs' figures and agreement, and write the images that they answer differently as CSV.

    Args:
        runs: folders that ``adapt`` wrote.
        truth: path,label, to measure on: the images that every run answered and none learnt the label of.
        out: the CSV; the first run is held against the others, the most contradicted and least sure image first.
        listener: told.

    Raises:
        ConfigError, DataError: for fewer than two runs, or one that cannot be read.
    """
    if len({one.resolve() for one in runs}) < 2 or len({one.resolve() for one in runs}) < len(runs):
        raise ConfigError("runs", "give two or more different folders that adapt wrote")
    found = [read_finished(one) for one in runs]
    names = _short_names(runs)
    known = read_labels(truth) if truth is not None else {}
    shared = sorted(set(known).intersection(*(run.unseen for run in found)))
    listener.table("Runs side by side", [
        {"run": name, **_figures(run), **(_measured(run, known, shared) if known else {})}
        for name, run in zip(names, found, strict=True)])
    listener.table("Share of images with the same answer", [
        {"run": name, **{other: None if one is two else agreement(one, two)
                         for other, two in zip(names, found, strict=True)}}
        for name, one in zip(names, found, strict=True)])
    if not any(set(one.labels) & set(two.labels) for one in found for two in found if one is not two):
        listener.note("no two of them answered an image of the same path, so nothing can be said of their agreement")
    if out is not None:
        disputed = _disputed(found)
        _write(out, names, found, disputed)
        listener.result(f"{len(disputed)} images with different answers, {out}", {"disputed": len(disputed)})


def agreement(run: Finished, other: Finished) -> float | None:
    """Return the share of images that both answer alike (see `_alike`); None where no image has both answers."""
    paths = sorted(run.labels.keys() & other.labels.keys())
    return float(_alike(run, other, paths).mean()) if paths else None


def _figures(run: Finished) -> dict[str, object]:
    """Return a row of the table."""
    checked = run.result.get("spot_check")
    return {
        "method": METHODS[run.method].title,
        "classes_found": f"{run.result['classes_found']} of {run.result['num_classes']}",
        "label_free_score": run.result["label_free_score"],
        "estimated_accuracy": run.result.get("estimated"), "spot_checked_accuracy": checked and {
            name: checked[name] for name in ("accuracy", "low", "high")},
        "seconds": round(run.result["seconds"], 1),
        "peak_memory_mib": round(run.result.get("peak_memory_bytes", 0) / 1024**2) or None}


def _measured(run: Finished, truth: Mapping[str, str], paths: Sequence[str]) -> dict[str, object]:
    """Return the share of right answers to the images of these paths, and how many they are."""
    return {"measured": _share_right(run, truth, paths) if paths else None, "measured_images": len(paths)}


def _share_right(run: Finished, truth: Mapping[str, str], paths: Sequence[str]) -> float:
    """Return the share of right answers to the images of these paths; clusters are matched first."""
    index = {name: number for number, name in enumerate(dict.fromkeys(map(fold, [*run.class_names, *truth.values()])))}
    labels, true = ([index[fold(of[path])] for path in paths] for of in (run.labels, truth))
    return metrics.accuracy(labels, true) if run.reads_names else metrics.hungarian_accuracy(labels, true)


def _numbers(run: Finished, paths: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each path (N,), in the run's own numbering."""
    index = {name: number for number, name in enumerate(run.class_names)}
    return np.array([index[run.labels[path]] for path in paths], dtype=np.int64)


def _alike(run: Finished, other: Finished, paths: Sequence[str]) -> NDArray[np.bool_]:
    """Tell of each path (N,) whether both answer alike: in the same name, or with classes matched one to one.

    Classes are matched where the runs share no name to compare.
    """
    if run.shares_names(other):
        return np.array([fold(run.labels[path]) == fold(other.labels[path]) for path in paths])
    ours = _numbers(run, paths)
    return np.asarray(metrics.assign(_numbers(other, paths), ours) == ours)


def _disputed(runs: Sequence[Finished]) -> list[tuple[str, int]]:
    """Return each path that others answer differently than the first run, and how many do."""
    first = runs[0]
    against = dict.fromkeys(first.labels, 0)
    for other in runs[1:]:
        paths = sorted(first.labels.keys() & other.labels.keys())
        if paths:
            for path, is_alike in zip(paths, _alike(first, other, paths).tolist(), strict=True):
                against[path] += not is_alike
    return sorted(((path, count) for path, count in against.items() if count),
                  key=lambda one: (-one[1], first.confidences.get(one[0], 1.0), one[0]))


def _write(out: Path, names: Sequence[str], runs: Sequence[Finished], disputed: Sequence[tuple[str, int]]) -> None:
    """Write the images with different answers, whole or not at all."""
    write_table(out, [["path", "contradicted_by", *names], *(
        [path, count, *(run.labels.get(path, "") for run in runs)] for path, count in disputed)])


def _short_names(runs: Sequence[Path]) -> list[str]:
    """Return what each folder is called: its last part where those differ, else as it was given."""
    short = [one.resolve().name for one in runs]
    if "run" in short or len(set(short)) < len(short):
        return [str(one) for one in runs]
    return short

