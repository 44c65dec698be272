"""The card that travels with a model: what it is, what it was made from, what is known of it and what is not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from core.catalog import BACKBONES, METHODS, Settings, from_scratch, learns_from_labels
from core.evaluation.result import Result
from core.evaluation.spot_check import NOTHING_MEASURED
from core.problem import Problem
from core.settings import split_list

MEASURES = {
    "accuracy": "measured accuracy", "mean_per_class": "measured mean accuracy of the classes",
    "hungarian_accuracy": "measured accuracy after the best one-to-one match of clusters to classes",
    "nmi": "measured normalised mutual information", "ami": "measured adjusted mutual information",
    "ari": "measured adjusted Rand index",
}
JUDGE = "starter-clip"
"""Scores answers where no foundation model was chosen."""
LIMITS = (
    "Confidence is the model's own opinion, not a probability of being right.",
    "The label-free score says how learnable these labels are from frozen features. It is not an accuracy and "
    "cannot show that a class means what its name says. Check a random sample of 50 to 100 images by eye.",
    "Every image gets one of the classes below; there is no answer \"none of these\".",
    "Made for images like those it was adapted to; others may be answered wrongly and with confidence.",
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a card says.

    Attributes:
        method: a key of `core.catalog.METHODS`.
        settings: the settings of the run, by name.
        backbones: keys of `core.catalog.BACKBONES`.
        num_images: how many images of the run's own collection it was adapted to.
        labelled_images: how many of them it learnt a person's label of.
        result: the figures of the run.
        created: the day.
        source: what the person calls the images.
    """

    method: str
    settings: Mapping[str, object]
    backbones: tuple[str, ...]
    num_images: int
    result: Result
    created: date
    source: str = ""
    labelled_images: int = 0

    def markdown(self) -> str:
        """Return the card's text."""
        return "\n".join([
            f"# {METHODS[self.method].title} classifier, {self.created.isoformat()}", "",
            METHODS[self.method].summary, "",
            "## Made from", "",
            f"- Images: {self.num_images:,}{f' ({self.source})' if self.source else ''}{self._further()}, "
            + (f"{self.labelled_images:,} of them labelled by a person" if self.labelled_images else "without labels"),
            *self._foundation(), "",
            "## What is known", "",
            *(f"- {line}" for line in self._figures()), "",
            *self._pictures(),
            "## Limits", "",
            *(f"- {line}" for line in LIMITS), "",
            "## Classes", "",
            *self._classes(), "",
            "## Settings", "",
            "| setting | value |", "| --- | --- |",
            *(f"| {name} | {_cell(str(value))} |" for name, value in self.settings.items()), "",
        ])

    def _further(self) -> str:
        """Return how many images of further collections it was adapted to; their names are not for all who read it."""
        collections = self.settings.get("further_collections")
        return f" and {self.settings['further_images']:,} of {collections} further collection" \
               f"{'' if collections == 1 else 's'} with the same names" if collections else ""

    def _foundation(self) -> list[str]:
        """Return what the model began with, a line each."""
        if from_scratch(self.settings):
            return [f"- Trained from scratch; architecture: {BACKBONES[name].title} (`{name}`)"
                    for name in self.backbones]
        begun = self.settings.get("start_from")
        return [*(f"- Foundation model: {BACKBONES[name].title} (`{name}`), "
                  f"license of the weights: {BACKBONES[name].license or 'unknown'}" for name in self.backbones),
                *([f"- Begun with the encoder of an adapted model: {begun}"] if begun else []),
                "- The adapted weights stay under the license of the foundation model."]

    def _classes(self) -> list[str]:
        """Return the table of classes, with the names suggested for clusters where there are any."""
        rows = zip(self.result.class_names, self.result.histogram, strict=True)
        if not self.result.suggested_names:
            return ["| class | images |", "| --- | --: |", *(f"| {_cell(name)} | {count} |" for name, count in rows)]
        return ["| class | images | suggested names |", "| --- | --: | --- |",
                *(f"| {_cell(name)} | {count} | {', '.join(suggested)} |"
                  for (name, count), suggested in zip(rows, self.result.suggested_names, strict=True))]

    def _pictures(self) -> list[str]:
        """Return the pictures that travel with the model; those with a person's images in them do not."""
        shown = [one for one in self.result.pictures if not one.shows_images]
        return [line for one in shown for line in (f"![{one.title}]({one.name}.png)", "", one.caption, "")]

    def _figures(self) -> list[str]:
        """Return one line a figure; only what was measured on true labels is called accuracy."""
        result = self.result
        lines = [*result.notes,
                 f"Label-free score: {result.label_free_score:.3f} (10-fold; see Limits)",
                 f"Classes found: {result.classes_found} of {result.num_classes}",
                 f"Seconds: {result.seconds:.0f}"]
        if result.peak_memory_bytes:
            lines.append(f"Memory at most: {result.peak_memory_bytes / 1024**3:.1f} GiB")
        if not result.measured:
            return [*lines, NOTHING_MEASURED]
        return lines + [f"{MEASURES.get(name, f'measured {name}').capitalize()}: {value:.3f}"
                        for name, value in result.measured.items()]


def card_of(method: str, settings: Settings, problem: Problem, result: Result, created: date,
            source: str = "") -> Card:
    """Return the card of a run."""
    values = {**dataclasses.asdict(settings), **origin_of(settings, problem)}
    return Card(method=method, settings=values, backbones=backbones_of(values), num_images=len(problem.images),
                labelled_images=len(problem.labelled) if learns_from_labels(settings) else 0, result=result,
                created=created, source=source)


def origin_of(settings: Settings, problem: Problem) -> dict[str, object]:
    """Return what the card and the model's settings say beside the method's own: labels learnt, further images and
    the beginning.
    """
    said: dict[str, object] = {}
    if learns_from_labels(settings):
        said["labelled_images"] = len(problem.labelled)
    if problem.also:
        said |= {"further_collections": len(problem.also), "further_images": sum(map(len, problem.also))}
    if problem.start is not None:
        said |= {"start_from": problem.start.source, "start_sha256": problem.start.digest}
    return said


def backbones_of(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Return the names of the foundation models that a run's settings choose."""
    return split_list(str(settings.get("spaces") or settings.get("backbone") or ""))


def judges_of(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Return whose frozen features score the answers: the foundation models chosen, or the bundled one for none."""
    return (JUDGE,) if from_scratch(settings) else backbones_of(settings)


def _cell(text: str) -> str:
    """Return text that stays in one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
