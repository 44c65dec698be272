"""``python -m core spot-check``: a random sample to be labelled by a person, and what their labels measured.

The sample lies in the run's folder, under its design, size and seed: the images by number, a sheet to fill in, and
the record that the filled sheet is held against, so that no image of it can be left out.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from core.catalog import METHODS
from core.classifier import cluster_names
from core.data.images import ImageSet, open_images
from core.errors import ConfigError, DataError
from core.evaluation import paired
from core.evaluation.guard import measured_loss
from core.evaluation.paired import Difference, difference
from core.evaluation.spot_check import Measured, Stratum, draw, measure, sentence, with_measurement
from core.finished import BASELINE, LABELS, MODEL, Finished, read_finished, read_object, write_result
from core.labels import read_labels
from core.names import fold
from core.package_card import CARD, read_card, replace_card
from core.shell import Listener
from core.table_file import write_table

FOLDER, RECORD, SHEET, IMAGES = "spot_check", "sample.json", "sheet.csv", "images"
VERSION = 1
NONE_OF_THEM, UNSURE = "-", "?"
"""Answers beside the class names, none of which can be either: a name has a letter or a digit."""
HOW = f"write a class name, {NONE_OF_THEM} for none of the classes, {UNSURE} where nobody can tell"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample that was drawn.

    Attributes:
        paths: of its images, in the order of asking, which is random.
        labels_sha256: of the answers that it was drawn from.
        draw: which of the samples drawn of these answers it is, from 1.
    """

    design: str
    seed: int
    paths: tuple[str, ...]
    labels_sha256: str
    draw: int = 1


def spot_check(*, run: Path, images: Path | None, count: int, design: str, seed: int, answers: Path | None,
               drawn_for: Path | None, listener: Listener) -> None:
    """Draw a sample, or take the answers of one and tell what they measured.

    Args:
        run: the folder that ``adapt`` wrote.
        images: those that it answered, to draw from.
        count: how many images to ask about, n.
        design: one of `core.evaluation.spot_check.DESIGNS`.
        seed: fixes the sample.
        answers: a filled sheet.
        drawn_for: the folder of the run whose sample the sheet is, where that is another one of the same images.
        listener: told.

    Raises:
        ConfigError, DataError: for what cannot be drawn, read or measured.
    """
    finished = read_finished(run)
    if finished.class_names == cluster_names(len(finished.class_names)):
        raise DataError(str(run), "a person cannot know what “cluster 3” means; adapt with --names, or name the "
                                  "clusters in the browser and check them there")
    if (images is None) == (answers is None):
        raise ConfigError("spot-check", "give --images to draw a sample, or --answers with its filled sheet")
    if images is not None:
        if drawn_for is not None:
            raise ConfigError("drawn-for", "it goes with --answers: it names the run whose sample the sheet is")
        _draw(finished, images, count, design, seed, listener)
    elif answers is not None:
        _take(finished, finished if drawn_for is None else _other(finished, drawn_for), answers, listener)


def _other(run: Finished, folder: Path) -> Finished:
    """Return the run whose samples measure `run` too.

    Raises:
        DataError: where they do not: its images or its names are others, or it learnt labels that `run` did not, and
            its samples were drawn without those images.
    """
    found = read_finished(folder)
    if found.labels.keys() != run.labels.keys():
        raise DataError(str(folder), f"it answered other images than {run.folder}, so its sample says nothing of them; "
                                     "draw one with --images")
    if not run.shares_names(found) or set(map(fold, found.class_names)) != set(map(fold, run.class_names)):
        raise DataError(str(folder), f"it answers in other names than {run.folder}; draw a sample with --images")
    if not found.taught <= run.taught:
        raise DataError(str(folder), f"it learnt labels that {run.folder} did not, and its samples were drawn without "
                                     "those images; draw one with --images")
    return found


def _draw(run: Finished, source: Path, count: int, design: str, seed: int, listener: Listener) -> None:
    """Write a sample: its images, a sheet and the record. Those whose label the run learnt from are not asked."""
    paths, index = list(run.unseen), {name: number for number, name in enumerate(run.class_names)}
    places = draw([index[label] for label in run.unseen.values()], count, seed, design)
    sample = Sample(design=design, seed=seed, paths=tuple(paths[one] for one in places), labels_sha256=_digest(run),
                    draw=_draws(run) + 1)
    folder = run.folder / FOLDER / f"{design}-{count}-{seed}"
    if folder.exists():
        raise ConfigError("seed", f"{folder} holds that sample already; fill in its {SHEET}, or draw with another "
                                  "--seed")
    with tempfile.TemporaryDirectory(prefix="labelfree-") as unpacked:
        found, _ = open_images(source, Path(unpacked))
        missing = sorted(set(sample.paths) - set(found.names))
        if missing:
            raise DataError(str(source), f"{missing[0]} is not among its images ({len(missing)} such paths of the "
                                         "sample); give the images that the run answered")
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        _write_sample(part, sample, found)
        part.replace(folder)
    listener.note(f"look at the images by their number and fill in the column label of {folder / SHEET}: {HOW}; the "
                  f"classes are {', '.join(run.class_names)}")
    listener.result(f"{len(places)} images to label, {folder}",
                    {"sheet": str(folder / SHEET), "images": len(places), "design": design, "seed": seed})


def _write_sample(folder: Path, sample: Sample, images: ImageSet) -> None:
    """Write a sample's files; what the model answered is in none of them."""
    (folder / IMAGES).mkdir(parents=True)
    place = {name: number for number, name in enumerate(images.names)}
    rows = []
    for number, path in enumerate(sample.paths, start=1):
        copy = f"{IMAGES}/{number:04d}.png"
        images.load(place[path]).save(folder / copy)
        rows.append([copy, path, ""])
    write_table(folder / SHEET, [["image", "path", "label"], *rows])
    (folder / RECORD).write_text(json.dumps({"version": VERSION, **asdict(sample)}, indent=2, ensure_ascii=False)
                                 + "\n", encoding="utf-8")


def _take(run: Finished, drawn_for: Finished, sheet: Path, listener: Listener) -> None:
    """Tell what a filled sheet measured, and write it into the card and the run's result."""
    said = _said(sheet, run.class_names)
    sample = _sample_of(drawn_for, sheet, said)
    if learnt := run.taught.intersection(said):
        raise DataError(str(sheet), f"{run.folder} learnt the label of {len(learnt)} of its images, perhaps from these "
                                    "very answers, and what is left is no random sample; draw one with --images")
    told = {path: name for path, name in said.items() if name != UNSURE}
    strata, right = _strata(run, drawn_for, sample, told), _right(run.labels, told)
    measured, baseline, more = measure(strata, right), *_beside_baseline(run, strata, right, told)
    values: dict[str, Any] = {"design": sample.design, "seed": sample.seed, "answered": len(told),
                              "unsure": len(said) - len(told)}
    if measured is None:
        listener.note("nothing is measured: a person could tell too few of the images; draw a larger sample")
        listener.result(f"{len(said)} images labelled, {run.folder}", values)
        return
    measured = replace(measured, unsure=values["unsure"], draw=sample.draw, draws=_draws(drawn_for), seed=sample.seed,
                       drawn_for="" if drawn_for is run else drawn_for.folder.resolve().name)
    beside = paired.sentence(more, METHODS[run.result["baseline"]["method"]].title) if more else ""
    values |= {"difference": asdict(more)} if more else {}
    _keep(run, measured, beside)
    write_result(run, {"spot_check": _ends(measured) | values, **_settled(more)})
    for line in filter(None, (sentence(measured), beside)):
        listener.note(line)
    listener.result(f"{len(said)} images labelled, {run.folder}", {
        "measured_accuracy": _ends(measured), **({"measured_baseline": _ends(baseline)} if baseline else {}), **values,
        "mistakes": len(told) - len(right)})


def _said(sheet: Path, class_names: Sequence[str]) -> dict[str, str]:
    """Return path -> the class that a person named, `NONE_OF_THEM` or `UNSURE`; case and spaces do not matter."""
    try:
        given = read_labels(sheet)
    except DataError as error:
        raise DataError(str(sheet), f"{error.reason}; {HOW}") from None
    known = {fold(name): name for name in (*class_names, NONE_OF_THEM, UNSURE)}
    for path, label in given.items():
        if fold(label) not in known:
            raise DataError(str(sheet), f"{label!r} ({path}) is none of the run's classes; {HOW}")
    return {path: known[fold(label)] for path, label in given.items()}


def _sample_of(run: Finished, sheet: Path, said: Mapping[str, str]) -> Sample:
    """Return the sample of these images.

    Raises:
        DataError: where no sample of the run has exactly these, or its answers are no more those it was drawn from.
    """
    for sample in _samples(run):
        if set(sample.paths) == said.keys():
            if sample.labels_sha256 != _digest(run):
                raise DataError(str(run.folder / LABELS), "the answers have changed since the sample was drawn; draw "
                                                          "another")
            return sample
    raise DataError(str(sheet), f"its {len(said)} images are no sample that was drawn of {run.folder}; keep every line "
                                f"of the {SHEET} that spot-check --images wrote, and fill in its labels")


def _samples(run: Finished) -> Iterator[Sample]:
    """Yield every sample that was drawn of the run and is still there."""
    for file in sorted((run.folder / FOLDER).glob(f"*/{RECORD}")):
        record = read_object(file)
        if record.pop("version", None) == VERSION:
            yield Sample(**record | {"paths": tuple(record["paths"])})


def _draws(run: Finished) -> int:
    """Return how many samples were drawn of the run's answers as they are."""
    answers = _digest(run)
    return max((one.draw for one in _samples(run) if one.labels_sha256 == answers), default=0)


def _strata(run: Finished, drawn_for: Finished, sample: Sample, told: Mapping[str, str]) -> list[Stratum]:
    """Return the strata that the sample was drawn from, without what either run learnt the label of."""
    population = {path: label for path, label in drawn_for.unseen.items() if path in run.unseen}
    if sample.design == "uniform":
        return [Stratum(images=len(population), told=list(told))]
    return [Stratum(images=size, told=[path for path in told if population[path] == name])
            for name, size in sorted(Counter(population.values()).items())]


def _right(answers: Mapping[str, str], told: Mapping[str, str]) -> set[str]:
    """Return the images that are answered as the person did."""
    return {path for path, name in told.items() if fold(answers[path]) == fold(name)}


def _beside_baseline(run: Finished, strata: Sequence[Stratum], right: Collection[str],
                     told: Mapping[str, str]) -> tuple[Measured | None, Difference | None]:
    """Return what the same answers measure of the baseline, and the difference; neither where it has other names."""
    if not run.reads_names or not (run.folder / BASELINE).exists():
        return None, None
    answers = read_labels(run.folder / BASELINE)
    if not told.keys() <= answers.keys():
        return None, None
    theirs = _right(answers, told)
    return measure(strata, theirs), difference(strata, right, theirs)


def _settled(more: Difference | None) -> dict[str, str]:
    """Return the objection that the sample decides, for the run's result; {} where it decides nothing."""
    if more is None or not (more.is_gain or more.is_loss):
        return {}
    return {"objection": str(measured_loss(more)) if more.is_loss else ""}


def _ends(measured: Measured) -> dict[str, float]:
    return {"accuracy": measured.accuracy, "low": measured.low, "high": measured.high}


def _keep(run: Finished, measured: Measured, beside: str) -> None:
    """Write what was measured into both copies of the card; `beside` is how the baseline compares."""
    package, card = run.folder / "package.zip", run.folder / MODEL / CARD
    if package.exists():
        replace_card(package, with_measurement(read_card(package), measured, beside))
    if card.exists():
        part = card.with_name(f"{CARD}.part")
        part.write_text(with_measurement(card.read_text(encoding="utf-8"), measured, beside), encoding="utf-8")
        part.replace(card)


def _digest(run: Finished) -> str:
    """Return the SHA-256 of a run's answers."""
    return hashlib.sha256((run.folder / LABELS).read_bytes()).hexdigest()
