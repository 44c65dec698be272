"""What a spot check shows: measured accuracy, the baseline's on the same images, and the mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from django.db.models import Count, QuerySet

from core.evaluation.spot_check import Measured, Stratum, measure
from webapp.review.names import class_names
from webapp.review.queries import same_words
from webapp.runs.models import Prediction, Run
from webapp.spot_checks.models import SampledImage, SpotCheck

Verdict = SampledImage.Verdict


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """An image that the model answered otherwise than the person."""

    image_id: int
    path: str
    answered: str
    person: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One spot check as it stands.

    Attributes:
        spot_check: its row.
        size: images asked about, n.
        done: how many of them have an answer of any kind.
        unsure: how many of those the person could not tell.
        measured: of the run; None before the end, or where nothing could be told.
        baseline: of the run it is compared with, on the same images; None where their classes differ.
        mistakes: in the order of asking; () before the end.
    """

    spot_check: SpotCheck
    size: int
    done: int
    unsure: int
    measured: Measured | None
    baseline: Measured | None
    mistakes: tuple[Mistake, ...]

    @property
    def is_finished(self) -> bool:
        """Tell whether every image has an answer."""
        return self.done == self.size

    @property
    def percent(self) -> int:
        """Return how far the person is, 0 … 100."""
        return 100 * self.done // self.size if self.size else 100


def latest(run: Run) -> Outcome | None:
    """Return the newest spot check of a run, finished or not."""
    found = run.spot_checks.order_by("-pk").first()
    return None if found is None else outcome(found)


def standing(run: Run) -> Outcome | None:
    """Return the newest spot check that measured something: what the run's page, API and card say."""
    for one in run.spot_checks.exclude(sampled__verdict=Verdict.OPEN).order_by("-pk"):
        found = outcome(one)
        if found.measured is not None:
            return found
    return None


def outcome(check: SpotCheck) -> Outcome:
    """Return what a spot check shows."""
    run, sampled = check.run, list(check.sampled.select_related("image"))
    done = [one for one in sampled if one.verdict != Verdict.OPEN]
    told = [one for one in done if one.verdict != Verdict.UNSURE]
    measured = baseline = None
    mistakes: tuple[Mistake, ...] = ()
    if len(done) == len(sampled):
        answers = _answers(run, sampled)
        names = class_names(run)
        measured = _measured(check, sampled, answers, answers, names)
        mistakes = tuple(
            Mistake(image_id=one.image_id, path=one.image.path, answered=names[answers[one.image_id]],
                    person=one.class_name or "none of them")
            for one in told if not _is_right(one, answers, names))
        other = run.baseline
        if other is not None and same_words(run, other):
            theirs = _answers(other, sampled)
            if all(one.image_id in theirs for one in told):
                baseline = _measured(check, sampled, answers, theirs, names)
    return Outcome(spot_check=check, size=len(sampled), done=len(done), unsure=len(done) - len(told),
                   measured=measured, baseline=baseline, mistakes=mistakes)


def _answers(run: Run, sampled: list[SampledImage]) -> dict[int, int]:
    """Return image id -> class of a run's own answer: what corrections say is not the model's doing."""
    return dict(Prediction.objects.filter(run=run, image__in=[one.image_id for one in sampled])
                .values_list("image_id", "class_index"))


def _is_right(one: SampledImage, answers: Mapping[int, int], names: tuple[str, ...]) -> bool:
    """Tell whether an answer is the person's: by the name they gave, for clusters share names and change them."""
    return one.class_name == names[answers[one.image_id]]


def unseen(run: Run) -> QuerySet[Prediction]:
    """Return the run's answers to images whose label it did not learn from: what it was told is no measure of it."""
    return Prediction.objects.filter(run=run).exclude(image__in=run.result.get("taught") or [])


def _measured(check: SpotCheck, sampled: list[SampledImage], drawn_by: Mapping[int, int], answers: Mapping[int, int],
              names: tuple[str, ...]) -> Measured | None:
    """Return the accuracy of `answers` on a sample answered to its end, and which of the run's samples that is."""
    told = [one for one in sampled if one.verdict != Verdict.UNSURE]
    found = _accuracy(check, told, drawn_by, answers, names)
    if found is None:
        return None
    drawn = list(check.run.spot_checks.order_by("pk").values_list("pk", flat=True))
    return replace(found, unsure=len(sampled) - len(told), draw=drawn.index(check.pk) + 1, draws=len(drawn),
                   seed=check.seed)


def _accuracy(check: SpotCheck, told: list[SampledImage], drawn_by: Mapping[int, int], answers: Mapping[int, int],
              names: tuple[str, ...]) -> Measured | None:
    """Return the accuracy of `answers` on what a person could tell, in the strata that the sample was drawn from."""
    right = {one.image_id for one in told if _is_right(one, answers, names)}
    predictions = unseen(check.run)
    if check.design == "uniform":
        return measure([Stratum(images=predictions.count(), answered=len(told), right=len(right))])
    asked = Counter(drawn_by[one.image_id] for one in told)
    found = Counter(drawn_by[one] for one in right)
    sizes = predictions.values_list("class_index").annotate(images=Count("pk")).order_by("class_index")
    return measure([Stratum(images=images, answered=asked[index], right=found[index]) for index, images in sizes])
