"""What a spot check shows: measured accuracy, the baseline's on the same images, and the mistakes.

A sample of one run's images is a sample of every run's that answered the same (`webapp.spot_checks.population`). So a
person who named fifty images has measured each run of the collection that answers in the same names, those still to
come too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models import Count

from core.evaluation.paired import Difference, difference, sentence
from core.evaluation.spot_check import Measured, Stratum, measure
from webapp.review.names import class_names, has_class_list
from webapp.review.queries import same_words
from webapp.runs.models import Prediction, Run
from webapp.runs.words import title_of
from webapp.spot_checks.models import SampledImage, SpotCheck
from webapp.spot_checks.population import is_lent, taught, unseen

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
        run: what it measures: the run that it was drawn for, or another that answered the same images.
        size: images asked about, n.
        done: how many of them have an answer of any kind.
        unsure: how many of those the person could not tell.
        measured: of the run; None before the end, or where nothing could be told.
        baseline: of the run it is compared with, on the same images; None where their classes differ.
        difference: how much more the run has right than that one; None where `baseline` is.
        mistakes: in the order of asking; () before the end.
    """

    spot_check: SpotCheck
    run: Run
    size: int
    done: int
    unsure: int
    measured: Measured | None = None
    baseline: Measured | None = None
    difference: Difference | None = None
    mistakes: tuple[Mistake, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Tell whether every image has an answer."""
        return self.done == self.size

    @property
    def is_borrowed(self) -> bool:
        """Tell whether the sample was drawn for another run."""
        return self.spot_check.run_id != self.run.pk

    @property
    def beside(self) -> str:
        """Return how the baseline compares on the same images, a clause; "" where that was not measured."""
        if self.difference is None or self.run.baseline is None:
            return ""
        return sentence(self.difference, title_of(self.run.baseline.method))

    @property
    def percent(self) -> int:
        """Return how far the person is, 0 … 100."""
        return 100 * self.done // self.size if self.size else 100


def latest(run: Run) -> Outcome | None:
    """Return the newest spot check of a run, finished or not."""
    found = run.spot_checks.order_by("-pk").first()
    return None if found is None else outcome(found)


def finished(run: Run) -> Outcome | None:
    """Return the newest spot check of a run that is answered to its end."""
    found = run.spot_checks.exclude(sampled__verdict=Verdict.OPEN).order_by("-pk").first()
    return None if found is None else outcome(found)


def standing(run: Run) -> Outcome | None:
    """Return the newest spot check that measured something: what the run's page, API and card say.

    One that was drawn for the run comes first; else another run's, where it is a sample of this one's images too.
    """
    for check in _of_run_then_others(run):
        found = outcome(check, run)
        if found.measured is not None:
            return found
    return None


def _of_run_then_others(run: Run) -> Iterator[SpotCheck]:
    """Yield the answered samples that may measure a run, the newest first, its own before others'."""
    answered = SpotCheck.objects.exclude(sampled__verdict=Verdict.OPEN).select_related(
        "run__class_list_version").order_by("-pk")
    yield from answered.filter(run=run)
    if not has_class_list(run):
        return
    for check in answered.filter(run__collection=run.collection_id, run__class_list_version=run.class_list_version_id,
                                 run__trashed_at=None).exclude(run=run):
        if is_lent(check, run):
            yield check


def others(check: SpotCheck) -> list[Outcome]:
    """Return what an answered sample measures of runs beside its own and its own's baseline, the oldest first."""
    runs = Run.objects.filter(collection=check.run.collection_id, class_list_version=check.run.class_list_version_id,
                              status=Run.Status.SUCCEEDED).exclude(
        pk__in=[pk for pk in (check.run_id, check.run.baseline_id) if pk]).select_related(
        "class_list_version", "baseline").order_by("pk")
    found = [outcome(check, run) for run in runs if is_lent(check, run)]
    return [one for one in found if one.measured is not None]


def outcome(check: SpotCheck, of: Run | None = None) -> Outcome:
    """Return what a sample shows of the run that it was drawn for, or `of` another that answered the same images."""
    run = check.run if of is None else of
    sampled = list(check.sampled.select_related("image").exclude(image__in=taught(run)))
    done = [one for one in sampled if one.verdict != Verdict.OPEN]
    told = [one for one in done if one.verdict != Verdict.UNSURE]
    found = Outcome(spot_check=check, run=run, size=len(sampled), done=len(done), unsure=len(done) - len(told))
    answers = _answers(run, told)
    if not found.is_finished or len(answers) < len(told):
        return found
    strata = _strata(check, run, told)
    right = _right(told, answers)
    baseline, more = _beside_baseline(strata, right, told, run)
    mistakes = tuple(Mistake(image_id=one.image_id, path=one.image.path, answered=answers[one.image_id],
                             person=one.class_name or "none of them") for one in told if one.image_id not in right)
    return replace(found, measured=_as_drawn(measure(strata, right), found), baseline=_as_drawn(baseline, found),
                   difference=more, mistakes=mistakes)


def _strata(check: SpotCheck, run: Run, told: Sequence[SampledImage]) -> list[Stratum]:
    """Return the strata that a sample was drawn from, without what either run learnt the label of."""
    population = unseen(check.run).exclude(image__in=taught(run))
    if check.design == "uniform":
        return [Stratum(images=population.count(), told=[one.image_id for one in told])]
    drawn_by = dict(Prediction.objects.filter(run=check.run, image__in=[one.image_id for one in told])
                    .values_list("image_id", "class_index"))
    sizes = population.values_list("class_index").annotate(images=Count("pk")).order_by("class_index")
    return [Stratum(images=images, told=[image for image, drawn in drawn_by.items() if drawn == index])
            for index, images in sizes]


def _beside_baseline(strata: Sequence[Stratum], right: Collection[int], told: Sequence[SampledImage],
                     run: Run) -> tuple[Measured | None, Difference | None]:
    """Return what the sample measures of the run's baseline, and the difference; neither where their classes differ."""
    if run.baseline is None or not same_words(run, run.baseline):
        return None, None
    answers = _answers(run.baseline, told)
    if len(answers) < len(told):
        return None, None
    theirs = _right(told, answers)
    return measure(strata, theirs), difference(strata, right, theirs)


def _as_drawn(measured: Measured | None, found: Outcome) -> Measured | None:
    """Return what was measured with what is to be known of the sample: which of how many it is, and whose."""
    if measured is None:
        return None
    check = found.spot_check
    drawn = list(check.run.spot_checks.order_by("pk").values_list("pk", flat=True))
    return replace(measured, unsure=found.unsure, draw=drawn.index(check.pk) + 1, draws=len(drawn), seed=check.seed,
                   drawn_for=f"{title_of(check.run.method)} {check.run_id}" if found.is_borrowed else "")


def _answers(run: Run, told: Iterable[SampledImage]) -> dict[int, str]:
    """Return image id -> a run's own answer: what corrections say is not the model's doing."""
    names = class_names(run)
    return {image: names[index] for image, index in Prediction.objects.filter(
        run=run, image__in=[one.image_id for one in told]).values_list("image_id", "class_index")}


def _right(told: Iterable[SampledImage], answers: Mapping[int, str]) -> set[int]:
    """Return the images that are answered with the name the person gave: clusters share names and change them."""
    return {one.image_id for one in told if one.class_name == answers[one.image_id]}


def count_named(run: Run) -> int:
    """Return how many images a person has answered in the run's spot checks: they go with the run."""
    return SampledImage.objects.filter(spot_check__run=run).exclude(verdict=Verdict.OPEN).count()
