"""``recommend``: which method to take for a folder of images, why, with which settings, and what it will cost."""

from __future__ import annotations

import tempfile
from pathlib import Path

from core.card import backbones_of
from core.catalog import METHODS
from core.cost import cost
from core.data.images import open_images
from core.errors import ConfigError, DataError
from core.finished import read_finished
from core.labels import as_indices, read_given_labels
from core.presets.table import recommend as recommended_settings
from core.question import Question, fewest_labels
from core.recommendation import larger_model, recommend_method
from core.request import class_names_in
from core.settings import defaults
from core.shell import Listener, best_device


def recommend(*, images: Path, names: Path | None, classes: int | None, labels: Path | None, zero_shot: Path | None,
              listener: Listener) -> None:
    """Say what the page "New run" would recommend.

    Args:
        images: a folder or an archive.
        names: a file of class names, or None.
        classes: how many there are, where there are no names; None: nobody knows.
        labels: a CSV of images that a person labelled.
        zero_shot: what a finished zero-shot run with these names wrote: whether the names fit the images.
        listener: told.

    Raises:
        ConfigError, DataError: for what cannot be read, or does not belong together.
    """
    if classes is not None and classes < 2:
        raise DataError("classes", f"{classes}: nothing to tell apart; give at least two")
    class_names = class_names_in(names, listener) if names is not None else ()
    for name, given in (("labels", labels), ("zero-shot", zero_shot)):
        if given is not None and not class_names:
            raise ConfigError(name, "these are of use with class names: give --names FILE")
    with tempfile.TemporaryDirectory(prefix="labelfree-") as folder:
        found, refused = open_images(images, Path(folder))
        for refusal in refused:
            listener.note(f"left out {refusal.name}: {refusal.reason}")
        labelled = {} if labels is None else as_indices(
            read_given_labels(labels), found.names, class_names, str(labels))
    question = Question(
        num_images=len(found), class_names=class_names, num_classes=classes, labelled=len(labelled),
        labels_per_class=fewest_labels(labelled.values(), len(class_names)),
        confirmed=_confirmed(zero_shot, class_names) if zero_shot is not None else None)
    advice = recommend_method(question)
    settings = defaults(METHODS[advice.method].settings)
    preset, chosen = recommended_settings(advice.method, len(found), backbones_of(settings)[0])
    taken, on_gpu = {**settings, **chosen}, best_device().type == "cuda"
    larger = larger_model(advice.method, taken, question, on_gpu)
    listener.result(f"{advice.title} is recommended for {len(found)} images", {
        "method": advice.method, "reason": advice.reason, "preset": preset or None,
        "takes": cost(advice.method, taken, question).in_words(on_gpu), "larger": str(larger) if larger else None})


def _confirmed(folder: Path, class_names: tuple[str, ...]) -> float | None:
    """Return how far groups without names confirm a zero-shot run's answers; None from before that was measured."""
    run = read_finished(folder)
    if run.method != "zeroshot" or run.class_names != class_names:
        raise DataError(str(folder), "is no zero-shot run with these class names: make one by adapt --method zeroshot "
                                     "--names FILE, or leave --zero-shot out")
    found = run.result.get("signals", {}).get("group_agreement")
    return None if found is None else float(found)
