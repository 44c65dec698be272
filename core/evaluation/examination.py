"""``python -m core evaluate``, told top to bottom: read, check what each measure needs, measure, write."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np

from core.backbones.clip import ClipBackbone
from core.backbones.load import load_backbone
from core.classifier import Classifier
from core.data.images import open_images
from core.errors import ConfigError, DataError, WeightsUnavailable
from core.evaluation.evidence import NEEDS, Answers, Evidence, Finding
from core.evaluation.foundation import zero_shot
from core.evaluation.measures import GROUPS, MEASURES
from core.export import unpacked
from core.finished import model_beside, taught
from core.labels import SOURCE, read_confidences, read_labels, read_paths, said_by_people
from core.shell import Listener, LocalRun, best_device
from core.table_file import write_table


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """The arguments of ``evaluate``, by the command line's names; one of `labels`, `model`, `backbone` is given."""

    labels: Path | None = None
    model: Path | None = None
    backbone: str | None = None
    images: Path | None = None
    truth: Path | None = None
    only: Path | None = None
    measure: str = ""
    out: Path | None = None
    beside: Sequence[Path] = ()
    source: Path | None = None
    source_truth: Path | None = None
    sample: int = 1000
    seed: int = 0
    device: str = "auto"


def evaluate(request: EvaluateRequest, listener: Listener) -> dict[str, Finding]:
    """Measure what was asked for; tables and pictures go to ``request.out``.

    Raises:
        ConfigError, DataError: for a measure asked for by name that cannot be had; those of a group are left out.
    """
    names, by_name = _chosen(request)
    if request.sample < 1:
        raise ConfigError("sample", f"{request.sample} is less than one image")
    found: dict[str, Finding] = {}
    with tempfile.TemporaryDirectory(prefix="labelfree-") as folder:
        run = LocalRun(device=best_device(request.device), seed=request.seed, folder=Path(folder), listener=listener)
        with run.stopped_by_ctrl_c():
            evidence = _evidence(request, run, listener)
            for name in by_name:
                if (reason := evidence.lacks(MEASURES[name].needs)) is not None:
                    raise ConfigError(name, reason)
            for name in names:
                try:
                    finding = _measured(name, evidence)
                except (ConfigError, DataError, WeightsUnavailable) as error:
                    if name in by_name:
                        raise
                    listener.note(f"left out {error}" if str(error).startswith(name) else f"left out {name}: {error}")
                else:
                    found[name] = finding
                    _tell(name, finding, finding.images or len(evidence.paths), request.out, listener)
    if not found:
        raise ConfigError("measure", "nothing of it could be measured, for the reasons above")
    return found


def _chosen(request: EvaluateRequest) -> tuple[list[str], set[str]]:
    """Return the measures in the table's order, and those of them that were asked for by name."""
    asked = [one.strip() for one in request.measure.split(",") if one.strip()]
    if not asked:
        asked = ["agreement" if request.labels is not None else "features"]
    unknown = next((one for one in asked if one not in MEASURES and one not in GROUPS), None)
    if unknown is not None:
        raise ConfigError("measure", f"{unknown!r} is none of {', '.join((*MEASURES, *GROUPS))}")
    by_name = {one for one in asked if one in MEASURES}
    wanted = by_name.union(*(GROUPS[one] for one in asked if one in GROUPS))
    return [name for name in MEASURES if name in wanted], by_name


def _measured(name: str, evidence: Evidence) -> Finding:
    """Measure one thing, of which all that it needs must be there."""
    if (reason := evidence.lacks(MEASURES[name].needs)) is not None:
        raise ConfigError(name, reason)
    module, _, function = MEASURES[name].function.partition(":")
    return cast("Callable[[Evidence], Finding]", getattr(import_module(module), function))(evidence)


def _tell(name: str, finding: Finding, images: int, out: Path | None, listener: Listener) -> None:
    """Write what was found, and say so."""
    files: dict[str, str] = {}
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        if finding.table:
            files["table"] = str(out / f"{name}.csv")
            write_table(out / f"{name}.csv", finding.table)
        if finding.picture is not None:
            files["picture"] = str(out / f"{name}.png")
            part = out / f"{name}.png.part"
            finding.picture.save(part, format="PNG")
            part.replace(out / f"{name}.png")
    for note in finding.notes:
        listener.note(f"{name}: {note}")
    listener.result(f"{MEASURES[name].title} ({MEASURES[name].unit})",
                    {"measure": name, "images": images, **finding.figures, **files})


def _evidence(request: EvaluateRequest, run: LocalRun, listener: Listener) -> Evidence:
    """Return all that the request gives to look at."""
    truth = _untaught(read_labels(request.truth), request, listener) if request.truth else {}
    only = set(read_paths(request.only)) if request.only else None
    if only is not None and not only:
        raise DataError(str(request.only), "lists nothing; give the paths to measure on, one a line")
    if only is not None and truth and (unknown := sorted(only - truth.keys())):
        listener.note(f"{unknown[0]} has no true label ({len(unknown)} such paths of {request.only}); left out")
    if request.labels is not None:
        return _of_labels(request, truth, only, run, listener)
    if request.images is None:
        raise ConfigError("images", "a model looks at images: give --images DIR")
    if (request.source is None) != (request.source_truth is None):
        raise ConfigError("source", NEEDS["source"])
    evidence = dataclasses.replace(
        _of_images("images", request.images, request.truth, truth, only, run, listener), sample=request.sample,
        has_folder=request.out is not None, source=None if request.source is None or request.source_truth is None else
        _of_images("source", request.source, request.source_truth, read_labels(request.source_truth), None, run,
                   listener),
        beside={name: Classifier.load(unpacked(one, run.folder / f"beside-{number}"))
                for number, (name, one) in enumerate(zip(_called(request.beside), request.beside, strict=True))})
    if request.model is not None:
        model = Classifier.load(unpacked(request.model, run.folder / "model"))
        if truth:
            _tell_of_unknown_lessons(request.model, model.settings, listener)
        return dataclasses.replace(evidence, classifier=model, adapted=True,
                                   backbones=tuple(member.backbone for member in model.members))
    backbone = load_backbone(request.backbone or "")
    reads = isinstance(backbone, ClipBackbone) and len(evidence.class_names) > 1
    return dataclasses.replace(evidence, backbones=(backbone,), classifier=zero_shot(
        cast("ClipBackbone", backbone), evidence.class_names, {}) if reads else None)


def _untaught(truth: dict[str, str], request: EvaluateRequest, listener: Listener) -> dict[str, str]:
    """Return the truth without the images whose labels the run learnt from: what it was told is no measure of it."""
    learnt = frozenset().union(*(taught(one) or () for one in (request.labels, request.model) if one is not None))
    left = {path: name for path, name in truth.items() if path not in learnt}
    if len(left) < len(truth):
        listener.note(f"images whose labels this run learnt from are left out: {len(truth) - len(left):,}")
    if truth and not left:
        raise DataError(str(request.truth), "names only images whose labels this run learnt from; measure on others")
    return left


def _tell_of_unknown_lessons(given: Path, settings: Mapping[str, Any], listener: Listener) -> None:
    """Say how many labelled images were learnt from where nobody knows which, for they cannot be left out."""
    count = int(settings.get("labelled_images") or 0)
    if count and taught(given) is None:
        listener.note(f"this run learnt from {count:,} labelled image(s), and no result.json beside {given} says "
                      "which: those that the truth names are measured too, so the figures may be too high")


def _of_labels(request: EvaluateRequest, truth: dict[str, str], only: set[str] | None, run: LocalRun,
               listener: Listener) -> Evidence:
    """Return the model's labels of a file beside the truth, by path."""
    if request.labels is None or request.truth is None:
        raise ConfigError("truth", "labels are compared with true ones: give --truth CSV")
    given, confidence = read_labels(request.labels), read_confidences(request.labels)
    shared = tuple(path for path in given if path in truth and (only is None or path in only))
    if not shared:
        asked = " that --only lists" if only is not None else ""
        raise DataError(str(request.truth), f"names none of the images in {request.labels}{asked}; give paths the same "
                                            "way everywhere")
    paths, model = _unspoken(shared, request.labels, listener), model_beside(request.labels)
    _tell_of_unknown_lessons(request.labels, model.get("settings") or {}, listener)
    sure = np.array([confidence[path] for path in paths]) if all(path in confidence for path in paths) else None
    return Evidence(run=run, paths=paths, true_names=tuple(truth[path] for path in paths),
                    has_folder=request.out is not None, given_by=model,
                    given=Answers(names=tuple(given[path] for path in paths), confidence=sure))


def _unspoken(paths: tuple[str, ...], labels: Path, listener: Listener) -> tuple[str, ...]:
    """Return the paths that no person answered: what people said is no measure of the model.

    Raises:
        DataError: where none is left.
    """
    spoken = said_by_people(labels)
    left = tuple(path for path in paths if path not in spoken)
    if len(left) < len(paths):
        listener.note("images that a person answered are left out, for the model's own answers are not in the file: "
                      f"{len(paths) - len(left):,}; if those were mistakes, the figures are too high")
    if not left:
        raise DataError(str(labels), f"has only a person's answers to the images of the truth, by its column {SOURCE}; "
                                     "measure on others")
    return left


def _of_images(role: str, source: Path, truth_file: Path | None, truth: dict[str, str], only: set[str] | None,
               run: LocalRun, listener: Listener) -> Evidence:
    """Return the images that have a true class; all, where no truth is given. An archive is unpacked by its role."""
    images, refused = open_images(source, run.folder / role)
    for refusal in refused:
        listener.note(f"left out {refusal.name}: {refusal.reason}")
    kept = [index for index, path in enumerate(images.names)
            if (not truth or path in truth) and (only is None or path in only)]
    if not kept:
        asked = " that --only lists" if only is not None else ""
        raise DataError(str(truth_file or source), f"names none of the images in {source}{asked}; give paths as "
                                                   "labels.csv has them")
    if len(kept) < len(images):
        listener.note(f"measured on {len(kept)} of {len(images)} images: those with a true class that were asked for")
    images = images.subset(kept)
    return Evidence(run=run, paths=images.names, images=images,
                    true_names=tuple(truth[path] for path in images.names) if truth else ())


def _called(models: Sequence[Path]) -> tuple[str, ...]:
    """Return what models beside are called: folder, or package without its ending; the path, where two were alike."""
    places = [one.parent if one.name in ("model", "package.zip") else one for one in models]
    names = [one.stem if one.suffix == ".zip" else one.name for one in places]
    return tuple(name if names.count(name) == 1 else str(one) for name, one in zip(names, models, strict=True))
