"""What the person asks of ``adapt``: its arguments, and all that they name, read and checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from core.backbones.start import Start
from core.card import backbones_of
from core.catalog import METHODS, Settings, learns_from_labels, parse
from core.data.copies import grouped, without_copies
from core.data.images import Decoded, ImageSet, open_images
from core.errors import ConfigError, DataError
from core.export import unpacked
from core.labels import as_indices, read_given_labels, read_paths
from core.names import heading_note, read_names, too_few
from core.presets.table import PRESETS, recommend
from core.problem import Problem
from core.settings import describe
from core.shell import Listener

REQUEST_FILE = "request.json"


@dataclass(frozen=True, kw_only=True)
class AdaptRequest:
    """The arguments of ``adapt``, by the command line's names."""

    images: Path
    out: Path
    method: str = "zeroshot"
    names: Path | None = None
    classes: int | None = None
    backbone: str | None = None
    preset: str | None = None
    set: Sequence[str] = ()
    seed: int = 0
    held_out: str | None = None
    warm_up: Path | None = None
    warm_up_names: Path | None = None
    replay: Path | None = None
    also: Sequence[Path] = ()
    labels: Path | None = None
    start_from: Path | None = None
    resume: bool = False
    baseline: bool = True
    device: str = "auto"


def class_names_of(request: AdaptRequest, listener: Listener) -> tuple[str, ...]:
    """Return the class names, or refuse a question that the method cannot answer."""
    if request.method not in METHODS:
        raise ConfigError("method", f"unknown method {request.method!r}; choose one of {', '.join(METHODS)}")
    method = METHODS[request.method]
    if method.needs == "names" and request.names is None:
        raise ConfigError("names", f"{method.title} needs class names: give --names FILE with one name a line")
    if method.needs == "count" and request.names is None and request.classes is None:
        raise ConfigError("classes", f"{method.title} needs to know how many classes: give --classes K or --names FILE")
    if request.warm_up is not None and "warm_up_epochs" not in describe(method.settings):
        raise ConfigError("warm-up", f"{method.title} has no warm-up; leave --warm-up out")
    if request.warm_up_names is not None and request.warm_up is None:
        raise ConfigError("warm-up-names", "these name the classes of a larger collection, and none is given; add "
                                           "--warm-up DIR, or leave --warm-up-names out")
    if request.replay is not None and "replay_share" not in describe(method.settings):
        raise ConfigError("replay", f"{method.title} has no replay; leave --replay out")
    if request.also and not method.joins:
        raise ConfigError("also", f"{method.title} adapts to one collection; leave --also out, or choose "
                                  f"{', '.join(name for name, one in METHODS.items() if one.joins)}")
    if request.classes is not None and request.classes < 2:
        raise DataError("classes", f"{request.classes}: nothing to tell apart; give at least two")
    return class_names_in(request.names, listener) if request.names else ()


def values_of(request: AdaptRequest) -> dict[str, object]:
    """Return the settings that the person gave, by preset, name and ``--set``, the later ones winning."""
    values: dict[str, object] = {}
    if request.preset is not None:
        presets = PRESETS.get(request.method, {})
        if request.preset not in presets:
            raise ConfigError("preset", f"{request.method} has no preset {request.preset!r}; "
                                        f"it has {', '.join(presets) or 'none'}")
        values |= presets[request.preset]
    if request.backbone is not None:
        fields = describe(METHODS[request.method].settings)
        values["spaces" if "spaces" in fields else "backbone"] = request.backbone
    for pair in request.set:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError("--set", f"{pair!r} is not NAME=VALUE")
        values[name.strip()] = value.strip()
    return values


def settings_of(request: AdaptRequest, num_images: int, listener: Listener) -> Settings:
    """Return the settings: the person's own over those recommended for so many images and, with labels, for those.

    Raises:
        ConfigError: for a setting that cannot be used, or labels that nothing would be learnt from.
    """
    values = values_of(request)
    if request.labels is not None and "names_from_labels" in describe(METHODS[request.method].settings):
        values = {"names_from_labels": True, **values}
    if request.preset is None:
        first = backbones_of(asdict(parse(request.method, values)))[0]
        preset, recommended = recommend(request.method, num_images, first)
        if preset:
            listener.note(f"settings: the preset {preset}, chosen for {num_images} images and {first}")
        values = {**recommended, **values}
    settings = parse(request.method, values)
    if request.labels is not None and not learns_from_labels(settings):
        raise ConfigError("labels", f"{METHODS[request.method].title}, with these settings, makes no use of labels; "
                                    "leave --labels out")
    return settings


def begin(request: AdaptRequest) -> Path:
    """Make the work folder inside ``out``; refuse to overwrite, to resume something else, or to write among images."""
    _keep_apart(request)
    work = request.out / "work"
    asked = json.dumps(asdict(replace(request, resume=False)), default=str, indent=2, sort_keys=True)
    if request.resume and (work / REQUEST_FILE).exists():
        if (work / REQUEST_FILE).read_text(encoding="utf-8") != asked:
            raise ConfigError("resume", f"{request.out} holds a run with other arguments, written in "
                                        f"{work / REQUEST_FILE}; repeat those, or choose another --out")
    elif request.out.exists() and (not request.out.is_dir() or any(request.out.iterdir())):
        if request.resume and (request.out / "result.json").exists():
            raise ConfigError("resume", f"the run in {request.out} has ended, its answers are in labels.csv; choose a "
                                        "new folder for another")
        raise ConfigError("out", f"{request.out} is not empty; choose a new folder"
                                 + (", or add --resume to go on with its run" if work.exists() else ""))
    work.mkdir(parents=True, exist_ok=True)
    (work / REQUEST_FILE).write_text(asked, encoding="utf-8")
    return work


def _keep_apart(request: AdaptRequest) -> None:
    """Refuse an ``out`` within a folder of images: a later run would learn from the pictures of this one."""
    out = request.out.resolve()
    sources = [("images", request.images), *(("also", one) for one in request.also),
               ("replay", request.replay), ("warm-up", request.warm_up)]
    for option, folder in sources:
        if folder is not None and folder.is_dir() and any(
                place.exists() and place.samefile(folder) for place in (out, *out.parents)):
            raise ConfigError("out", f"{request.out} lies within --{option} {folder}, and a later run would take its "
                                     "pictures for images; choose a folder outside")


def problem_of(request: AdaptRequest, class_names: tuple[str, ...], settings: Settings, images: ImageSet,
               held_out: set[int], also: tuple[ImageSet, ...], work: Path, listener: Listener) -> Problem:
    """Return what the method is asked to solve; archives are unpacked in `work`."""
    return Problem(
        images=images.subset([index for index in range(len(images)) if index not in held_out]) if held_out else images,
        class_names=class_names, num_classes=request.classes,
        labelled=_labelled(request, images, held_out, class_names, listener),
        warm_up=_opened(request.warm_up, work / "warm-up", listener) if request.warm_up else None,
        warm_up_names=class_names_in(request.warm_up_names, listener) if request.warm_up_names else (),
        replay=_opened(request.replay, work / "replay", listener) if request.replay else None,
        also=also, start=_start(request, settings, work))


def further_of(request: AdaptRequest, images: ImageSet, work: Path, listener: Listener) -> tuple[ImageSet, ...]:
    """Return what each further folder or archive adds: no copies of `images`, held out or not, or of what came before.

    Raises:
        DataError: where one adds nothing.
    """
    added: list[ImageSet] = []
    known = images
    for number, source in enumerate(request.also, start=1):
        new = without_copies(_opened(source, work / f"also-{number}", listener, decoded=images.decoded), known)
        if not len(new):
            raise DataError(str(source), "adds nothing: each of its images is in --images or an earlier --also "
                                         "already; leave it out")
        added.append(new)
        known = known.joined(new)
    return tuple(added)


def _opened(source: Path, unpack_into: Path, listener: Listener, decoded: Decoded | None = None) -> ImageSet:
    """Return the images of a folder or archive beside one's own, and tell what of it is left out."""
    found, refused = open_images(source, unpack_into, decoded=decoded)
    for refusal in refused:
        listener.note(f"left out {refusal.name} of {source}: {refusal.reason}")
    return found


def held_out_of(request: AdaptRequest, images: ImageSet) -> set[int]:
    """Return the indices kept out of adaptation: a seeded share, copies together, or the paths of a file."""
    if request.held_out is None:
        return set()
    try:
        share = float(request.held_out)
    except ValueError:
        return _held_out_by_name(Path(request.held_out), images)
    if not 0 < share < 1:
        raise ConfigError("held-out", f"{request.held_out} is no share between 0 and 1")
    groups, wanted = grouped(images), round(share * len(images))
    chosen: set[int] = set()
    for place in np.random.default_rng(request.seed).permutation(len(groups)):
        if len(chosen) + len(groups[place]) <= wanted:
            chosen.update(groups[place])
    if not chosen or len(images) - len(chosen) < 2:
        raise ConfigError("held-out", f"{request.held_out} of {len(images)} images holds out {len(chosen)}; choose a "
                                      "share that holds out one, and leaves two to adapt to")
    return chosen


def _held_out_by_name(file: Path, images: ImageSet) -> set[int]:
    """Return the indices of the paths in a file, one a line."""
    if not file.is_file():
        raise ConfigError("held-out", f"{file} is neither a share between 0 and 1 nor a file")
    index = {name: number for number, name in enumerate(images.names)}
    wanted = read_paths(file)
    unknown = [path for path in wanted if path not in index]
    if unknown:
        raise DataError(str(file), f"{unknown[0]} is not among the images ({len(unknown)} such paths)")
    chosen = {index[path] for path in wanted}
    if not chosen or len(images) - len(chosen) < 2:
        raise DataError(str(file), f"holds out {len(chosen)} of {len(images)} images; list one at least, and leave two "
                                   "to adapt to")
    return chosen


def class_names_in(file: Path, listener: Listener) -> tuple[str, ...]:
    """Return the class names of a file, at least two, and tell where the first looks like a heading."""
    names = read_names(file)
    if len(names) == 1:
        raise DataError(str(file), f"one class ({names[0]}): nothing to tell apart; {too_few(names[0])}")
    if note := heading_note(names):
        listener.note(f"{file}: {note}")
    return names


def _labelled(request: AdaptRequest, images: ImageSet, held_out: set[int], names: tuple[str, ...],
              listener: Listener) -> Mapping[int, int]:
    """Return the person's labels by index into the images adapted to, and tell how many are of others."""
    if request.labels is None:
        return {}
    if not names:
        raise ConfigError("labels", "labels need class names: give --names FILE")
    given = as_indices(read_given_labels(request.labels), images.names, names, str(request.labels))
    kept = [index for index in range(len(images)) if index not in held_out]
    found = {place: given[index] for place, index in enumerate(kept) if index in given}
    if len(found) < len(given):
        listener.note(f"{len(given) - len(found)} of {len(given)} labels are of images that are held out, and teach "
                      "nothing")
    if not found:
        raise DataError(str(request.labels), "labels only images that are held out, from which nothing may be learnt; "
                                             "label others too")
    return found


def _start(request: AdaptRequest, settings: Settings, work: Path) -> Start | None:
    """Return the adapted model to begin with."""
    if request.start_from is None:
        return None
    start = Start.of(unpacked(request.start_from, work / "start"), str(request.start_from))
    start.check(backbones_of(asdict(settings)))
    return start
