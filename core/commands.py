"""What the command line does, told top to bottom: read, adapt, answer, hold against the baseline, write."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from core.backbones.features import features
from core.backbones.load import load_backbone
from core.baseline import baseline_of
from core.card import card_of, judges_of, origin_of
from core.catalog import METHODS, Settings, answers_in_groups, learns_from_labels, parse
from core.classifier import Classifier, Predictions
from core.data.images import ImageSet, open_images
from core.errors import CheckpointError, ConfigError, DataError, WeightsUnavailable
from core.evaluation.result import Result, summarise
from core.evaluation.second_opinion import second_opinion
from core.evaluation.telling import tell
from core.export import unpacked, write_package
from core.finished import taught
from core.first_answers import Baseline, answer_first
from core.labels import write_labels
from core.methods.resolve import resolve
from core.problem import Problem
from core.request import (
    AdaptRequest,
    begin,
    class_names_of,
    further_of,
    held_out_of,
    problem_of,
    settings_of,
    values_of,
)
from core.shell import Listener, LocalRun, best_device
from core.table_file import write_table
from core.training.checkpoint import Checkpoints
from core.training.memory import peak_memory_bytes
from core.verdict import Verdict, verdict


def adapt(request: AdaptRequest, listener: Listener) -> Result:
    """Adapt a model and write ``package.zip``, ``model/``, ``labels.csv``, ``baseline.csv``, ``to_label.csv``,
    ``result.json`` and ``pictures/`` into ``request.out``.
    """
    class_names = class_names_of(request, listener)
    parse(request.method, values_of(request))  # a bad setting is refused before any work
    work = begin(request)
    try:
        return _adapt(request, class_names, work, listener)
    except (ConfigError, DataError, CheckpointError, WeightsUnavailable):
        if not Checkpoints(work).path.exists():  # nothing was done that --resume could go on with
            shutil.rmtree(work)
            if not any(request.out.iterdir()):
                request.out.rmdir()
        raise


def _adapt(request: AdaptRequest, class_names: tuple[str, ...], work: Path, listener: Listener) -> Result:
    """Do what `adapt` says, with checkpoints and unpacked images in `work`."""
    began = time.monotonic()
    images, refused = open_images(request.images, work / "images")
    for refusal in refused:
        listener.note(f"left out {refusal.name}: {refusal.reason}")
    also = further_of(request, images, work, listener)
    settings = settings_of(request, len(images) + sum(map(len, also)), listener)
    held_out = held_out_of(request, images)
    problem = problem_of(request, class_names, settings, images, held_out, also, work, listener)
    run = LocalRun(device=best_device(request.device), seed=request.seed, folder=work, listener=listener,
                   pictures=request.out / "pictures")

    def read(backbone: str) -> Tensor:
        return features(load_backbone(backbone), images, run)

    with run.stopped_by_ctrl_c():
        classifier = resolve(METHODS[request.method].function)(settings, problem, run)
        classifier = replace(classifier, settings={**classifier.settings, **origin_of(settings, problem)})
        predictions = classifier.predict(images, run)
        spaces = [read(name) for name in judges_of(asdict(settings))]
        opinion = second_opinion(request.method, asdict(settings), images, predictions.labels.numpy(), run)
        telling = tell(images, [one.numpy() for one in spaces], judges_of(asdict(settings)), run)
        result = summarise(classifier, predictions, spaces, seed=request.seed, seconds=time.monotonic() - began,
                           peak_memory_bytes=peak_memory_bytes(run.device), refused=len(refused), opinion=opinion,
                           pictures=run.pictures.drawn, told=tuple(problem.labelled.values()))
    first = _first(request, settings, problem, images, read, listener) if request.baseline else None
    said = verdict(request.method, settings, problem, result, predictions, first)
    result = replace(result, baseline=said.baseline)
    for note in result.notes:
        listener.note(note)
    if said.estimated is not None and answers_in_groups(request.method, asdict(settings)):
        listener.note("the estimated accuracy is what is right once each group bears the name that fits it best, if "
                      "there are as many classes as groups")
    card = card_of(request.method, settings, problem, result, datetime.now(UTC).date(), request.images.name)
    write_labels(request.out / "labels.csv", _rows(images, classifier.class_names, predictions))
    if first is not None:
        write_labels(request.out / "baseline.csv", _rows(images, first.class_names, first.predictions))
    values = {**result.to_json(), **said.to_json(), "taught": _taught(request, settings, problem, images)}
    (request.out / "result.json").write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    write_table(request.out / "to_label.csv", [("path", "label"), *(
        (images.names[one], "") for one in telling if one not in held_out)])
    if held_out:
        paths = "\n".join(images.names[index] for index in sorted(held_out))
        (request.out / "held_out.txt").write_text(paths + "\n", encoding="utf-8")
    write_package(classifier, request.out / "package.zip", card, request.out / "model", run.pictures.travelling)
    shutil.rmtree(work)
    listener.result(f"{METHODS[request.method].title}: {len(images)} images, {request.out}", _headline(result, said))
    return result


def _taught(request: AdaptRequest, settings: Settings, problem: Problem, images: ImageSet) -> list[str]:
    """Return the paths of images whose label it learnt from, or the run it began with: what it was told is no measure.

    Of another folder's images only those count that are called alike.
    """
    own = {problem.images.names[index] for index in problem.labelled} if learns_from_labels(settings) else set()
    before = (taught(request.start_from) or frozenset()) if request.start_from is not None else frozenset()
    return [name for name in images.names if name in own or name in before]


def _first(request: AdaptRequest, settings: Settings, problem: Problem, images: ImageSet,
           read: Callable[[str], Tensor], listener: Listener) -> Baseline | None:
    """Return the baseline's answers, or None where the method is one or nothing is known to compare with."""
    found = baseline_of(request.method, settings, problem.count)
    if found is None:
        return None
    method, chosen = found
    listener.note(f"{METHODS[method].title} answers too: it is what the result is compared with")
    folder = request.out / "work" / "baseline"
    run = LocalRun(device=best_device(request.device), seed=request.seed, folder=folder, listener=listener)
    with run.stopped_by_ctrl_c():
        return answer_first(method, chosen, problem, images, read, run)


def predict(*, model: Path, images: Path, out: Path, device: str, listener: Listener) -> None:
    """Label images with an adapted model and write them as CSV.

    Raises:
        ConfigError: before any work, where `out` cannot be written.
    """
    if out.is_dir():
        raise ConfigError("out", f"{out} is a folder; name a CSV file in it")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="labelfree-") as folder:
        work = Path(folder)
        classifier = Classifier.load(unpacked(model, work / "model"))
        found, refused = open_images(images, work / "images")
        for refusal in refused:
            listener.note(f"left out {refusal.name}: {refusal.reason}")
        run = LocalRun(device=best_device(device), seed=0, folder=work, listener=listener)
        with run.stopped_by_ctrl_c():
            predictions = classifier.predict(found, run)
        write_labels(out, _rows(found, classifier.class_names, predictions))
    listener.result(f"{len(found)} images, {out}", {"images": len(found), "refused": len(refused)})


def _rows(images: ImageSet, class_names: tuple[str, ...],
          predictions: Predictions) -> list[tuple[str, str, float, float]]:
    """Return the rows of ``labels.csv``, in the order of the images."""
    return [(path, class_names[label], confidence, margin) for path, label, confidence, margin in
            zip(images.names, predictions.labels.tolist(), predictions.confidence.tolist(),
                predictions.margin.tolist(), strict=True)]


def _headline(result: Result, said: Verdict) -> dict[str, object]:
    """Return what a person reads first."""
    return {"label_free_score": result.label_free_score,
            "classes_found": f"{result.classes_found} of {result.num_classes}", **said.headline(),
            "refused": result.refused, "seconds": round(result.seconds, 1)}
