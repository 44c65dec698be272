"""From rows to what a method sees: the images to adapt to and the question, never a true label."""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from django.conf import settings

from core.backbones.start import Start
from core.card import backbones_of
from core.catalog import parse
from core.data.images import ImageSet
from core.errors import CheckpointError
from core.export import unpacked
from core.problem import Problem
from webapp.collections.models import Collection, Image
from webapp.review.confirmed import confirmed_labels
from webapp.runs.further import other_collection
from webapp.runs.models import Run
from workers.rows import Rows, first_of_each_file, not_set_aside, write_whole

LABELS_FILE, START_FOLDER = "labels.json", "start"


@dataclass(frozen=True)
class Photographs:
    """A collection's images as a run uses them.

    Exact duplicates share one file, so a method sees each picture once; held-out pictures are not
    adapted to. Every row is answered all the same, but for those that are set aside.

    Attributes:
        distinct: every different picture once: the adapted first, then the held out.
        adapted: how many of `distinct` are adapted to.
        ids: row id of each of `distinct`.
        place: row id of every image of the collection that is not set aside -> its index in `distinct`.
    """

    distinct: ImageSet
    adapted: int
    ids: tuple[int, ...]
    place: dict[int, int]

    @classmethod
    def of(cls, collection: Collection, held_out_too: Container[str] = ()) -> Photographs:
        """Read a collection's rows, in the order of their numbers; what a person set aside is no part of a run.

        Args:
            collection: its row.
            held_out_too: digests (SHA-256) of pictures held out beside those that the collection itself holds out.
        """
        rows = not_set_aside(collection)
        return cls.of_rows(rows, {row.pk for row in rows if row.held_out or row.sha256 in held_out_too})

    @classmethod
    def of_rows(cls, rows: Sequence[Image], held_out: Container[int]) -> Photographs:
        """Return the pictures of a collection's rows, given in the order of their numbers; `held_out` has ids."""
        firsts = first_of_each_file(rows)
        # One copy that is held out keeps them all out.
        kept_out = {row.file for row in rows if row.pk in held_out}
        ordered = sorted(firsts.values(), key=lambda row: row.file in kept_out)  # stable: numbers stay in order
        index = {row.file: position for position, row in enumerate(ordered)}
        return cls(distinct=_image_set(ordered), adapted=sum(row.file not in kept_out for row in ordered),
                   ids=tuple(row.pk for row in ordered), place={row.pk: index[row.file] for row in rows})

    @property
    def to_adapt(self) -> ImageSet:
        """Return the pictures a method may see."""
        return self.distinct.subset(range(self.adapted))


def _image_set(rows: Sequence[Image]) -> ImageSet:
    """Return the images of rows, called what the person calls them."""
    return ImageSet(paths=tuple(Path(settings.MEDIA_ROOT) / row.file for row in rows),
                    names=tuple(row.path for row in rows))


def unpacked_start(run: Run, folder: Path) -> Start | None:
    """Return the encoder of the earlier run that a run begins with, unpacked into its own folder.

    Raises:
        CheckpointError: when the earlier run's package is gone or damaged.
        ConfigError: when it holds another foundation model than this run's.
    """
    if run.start_from_id is None:
        return None
    said, package = f"run {run.start_from_id}", Path(settings.RUNS_ROOT) / str(run.start_from_id) / "package.zip"
    if not package.exists():
        raise CheckpointError(said, "its model package is gone; begin with another run, or with the published weights")
    start = Start.of(unpacked(package, folder / START_FOLDER), said)
    start.check(backbones_of(asdict(parse(run.method, run.settings))))
    return start


def taught_images(run: Run, rows: Sequence[Image], photographs: Photographs, labelled: Container[int]) -> list[int]:
    """Return the ids of images whose label the run learnt from, or an earlier run whose encoder it began with.

    A picture whose copy an earlier run learnt from, in whatever collection, counts as well.

    Args:
        run: its row.
        rows: of its collection's images.
        photographs: of these rows.
        labelled: places of the pictures whose label it was given (see `kept_labels`).
    """
    earlier, told = run.start_from_id, set[int]()
    while earlier is not None and (begun := Run.objects.filter(pk=earlier).first()):
        told.update(begun.result.get("taught") or ())
        earlier = begun.start_from_id
    digests = set(Image.objects.filter(pk__in=told).values_list("sha256", flat=True))
    before = {photographs.place[row.pk] for row in rows if row.sha256 in digests and row.pk in photographs.place}
    return [image for image, place in photographs.place.items() if place in labelled or place in before]


def build_problem(run: Run, rows: Rows, photographs: Photographs, labelled: Mapping[int, int] | None = None,
                  start: Start | None = None) -> Problem:
    """Return the question of a run.

    Args:
        run: its row.
        rows: of the images that it uses.
        photographs: of its collection's rows.
        labelled: what people said in review, for methods that learn from it (see `kept_labels`).
        start: the encoder to begin with (see `unpacked_start`).

    Raises:
        DataError: for a question that no method can answer, or where a collection that it uses was deleted.
    """
    names = tuple(run.class_list_version.names) if run.class_list_version else ()
    larger = other_collection(run, "warm_up")
    its_own = larger.class_list_version if larger else None
    return Problem(images=photographs.to_adapt, class_names=names, num_classes=run.num_classes, labelled=labelled or {},
                   warm_up=_if_any(rows.warm_up), warm_up_names=tuple(its_own.names) if its_own else (),
                   replay=_if_any(rows.replay), also=tuple(_image_set(one) for one in rows.also), start=start)


def _if_any(rows: Sequence[Image] | None) -> ImageSet | None:
    """Return the images of another collection's rows, where there is one."""
    return None if rows is None else _image_set(rows)


def every_file(photographs: Photographs, problem: Problem) -> list[Path]:
    """Return each file that a run reads images from, once."""
    sets = (photographs.distinct, *filter(None, (problem.warm_up, problem.replay)), *problem.also)
    return list(dict.fromkeys(path for images in sets for path in images.paths))


def moved(photographs: Photographs, problem: Problem,
          places: Mapping[Path, Path]) -> tuple[Photographs, Problem]:
    """Return the same images and the same question, with the files read from other places, where there are any."""
    def there(images: ImageSet) -> ImageSet:
        return replace(images, paths=tuple(places.get(path, path) for path in images.paths))

    return replace(photographs, distinct=there(photographs.distinct)), replace(
        problem, images=there(problem.images), also=tuple(there(one) for one in problem.also),
        warm_up=problem.warm_up and there(problem.warm_up), replay=problem.replay and there(problem.replay))


def kept_labels(run: Run, photographs: Photographs, folder: Path) -> dict[int, int]:
    """Return picture -> class index as people had said it in review when the run first began.

    Kept in the run's folder beside its checkpoint: an attempt that goes on from there must learn from the same.
    A run without class names (MAE-CT's) takes the collection's: which pictures are alike is all it asks.
    """
    file = folder / LABELS_FILE
    if not file.exists():
        said = confirmed_labels(run.collection, run.class_list_version or run.collection.class_list_version)
        write_whole(file, said)
    said = json.loads(file.read_text(encoding="utf-8"))
    place = {str(path): index for index, path in enumerate(photographs.to_adapt.paths)}
    found = {place.get(str(Path(settings.MEDIA_ROOT) / name)): label for name, label in said.items()}
    return {index: label for index, label in found.items() if index is not None}
