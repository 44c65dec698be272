"""What is done with a spot check: drawing it, answering it, taking an answer back, making corrections of it."""

from __future__ import annotations

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from core.errors import ConfigError, DataError
from core.evaluation.spot_check import draw
from webapp.review import actions
from webapp.review.names import class_names, has_class_list, named_classes
from webapp.runs.models import Run
from webapp.spot_checks.models import SampledImage, SpotCheck
from webapp.spot_checks.population import unseen

Verdict = SampledImage.Verdict
SEEDS_A_RUN = 1_000
LEAST_NAMES = 2
"""Clusters that need a name before a person can be asked which an image belongs to."""


def obstacle(run: Run) -> str:
    """Return why this run cannot be spot-checked yet and what to do, or ""."""
    if run.status != Run.Status.SUCCEEDED:
        return "There is something to check once the run has succeeded."
    if not has_class_list(run) and len(named_classes(run)) < LEAST_NAMES:
        return "A person cannot know what “cluster 3” means. Name the clusters in Review first, then check them here."
    if not unseen(run).exists():
        return "It learnt the label of every image: none is left to measure it by. Add images, and start another run."
    return ""


def choices(run: Run) -> list[tuple[int, str]]:
    """Return the classes a person may answer, as index and name: clusters without a name of their own are none."""
    names = class_names(run)
    first: dict[str, int] = {}
    for index in named_classes(run):
        first.setdefault(names[index], index)  # clusters of one name are one class
    return [(index, name) for name, index in first.items()]


def start(run: Run, author: AbstractBaseUser, count: int, design: str) -> SpotCheck:
    """Draw a sample of a finished run's images, but for those whose label it learnt from.

    One like it that nobody has answered yet is returned instead: a second click draws no second sample. The seed
    follows from the run and the number of samples drawn before: nobody can draw until one pleases without it being
    seen in the seed.

    Raises:
        DataError: the run cannot be checked yet.
        ConfigError: no such sample can be drawn.
    """
    if reason := obstacle(run):
        raise DataError(f"run {run.pk}", reason)
    answered = list(unseen(run).order_by("image__number").values_list("image_id", "class_index"))
    with transaction.atomic():
        Run.objects.select_for_update(no_key=True).get(pk=run.pk)  # two clicks, one after the other
        newest = run.spot_checks.order_by("-pk").first()
        if newest is not None and newest.design == design and _is_untouched(newest, min(count, len(answered))):
            return newest
        seed = run.pk * SEEDS_A_RUN + run.spot_checks.count()
        places = draw([label for _, label in answered], count, seed, design)
        made = SpotCheck.objects.create(run=run, author_id=author.pk, design=design, seed=seed)
        SampledImage.objects.bulk_create([SampledImage(spot_check=made, place=place, image_id=answered[one][0])
                                          for place, one in enumerate(places)])
    return made


def _is_untouched(check: SpotCheck, size: int) -> bool:
    """Tell whether a sample has so many images, and an answer for none."""
    return check.sampled.count() == size == check.sampled.filter(verdict=Verdict.OPEN).count()


def answer(check: SpotCheck, place: int, verdict: str, class_index: int | None = None) -> bool:
    """Record what a person says of the image at a place; an image answered already keeps its answer.

    Returns:
        Whether this was the answer that counts.

    Raises:
        ConfigError: there is no such verdict or class.
    """
    if verdict not in (Verdict.NAMED, Verdict.NONE, Verdict.UNSURE):
        raise ConfigError("answer", f"{verdict!r}: name a class, or say none or unsure")
    if (verdict == Verdict.NAMED) != (class_index is not None):
        raise ConfigError("answer", "a class goes with the verdict “named”, and with no other")
    class_name = "" if class_index is None else dict(choices(check.run)).get(class_index, "")
    if class_index is not None and not class_name:
        raise ConfigError("class", f"there is no class {class_index} to choose: take one that is shown")
    changed = check.sampled.filter(place=place, verdict=Verdict.OPEN).update(
        verdict=verdict, class_index=class_index, class_name=class_name)
    return bool(changed)


def is_adopted(check: SpotCheck) -> bool:
    """Tell whether its answers stand as corrections."""
    return check.adopted is not None and check.adopted.undone_at is None


def undo(check: SpotCheck) -> None:
    """Open the image answered last once more; they are asked in order.

    Raises:
        DataError: its answers are corrections, which would go on saying what was taken back.
    """
    if is_adopted(check):
        raise DataError(f"spot check {check.pk}", "its answers are corrections now; undo those in Review first")
    last = check.sampled.exclude(verdict=Verdict.OPEN).order_by("-place").first()
    if last is not None:
        check.sampled.filter(pk=last.pk).update(verdict=Verdict.OPEN, class_index=None, class_name="")


def adopt(check: SpotCheck, author: AbstractBaseUser) -> None:
    """Make corrections of the classes that a person named, as one action that Review can undo.

    They are made once, however often it is asked. A name that no class has any more corrects nothing.

    Raises:
        DataError: no class was named that has its name still.
    """
    class_of = {name: index for index, name in choices(check.run)}
    said = check.sampled.filter(verdict=Verdict.NAMED).values_list("image_id", "class_name")
    named = {image_id: class_of[name] for image_id, name in said if name in class_of}
    if not named:
        raise DataError(f"spot check {check.pk}", "none of its answers is the name of a class that the run has now: "
                                                  "there is nothing to correct")
    with transaction.atomic():
        if is_adopted(SpotCheck.objects.select_for_update(no_key=True, of=("self",)).select_related("adopted").get(
                pk=check.pk)):
            return
        action = actions.correct_each(check.run, author, named, "took over a spot check of")
        SpotCheck.objects.filter(pk=check.pk).update(adopted=action)
