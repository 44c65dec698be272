"""Which images a run can be measured on, and whose samples are samples of them."""

from __future__ import annotations

from django.db.models import QuerySet

from webapp.collections.models import Image
from webapp.review.models import Correction
from webapp.review.queries import same_words
from webapp.runs.counting import answers_all
from webapp.runs.models import Prediction, Run
from webapp.spot_checks.models import SpotCheck


def taught(run: Run) -> list[int]:
    """Return the images whose label a run learnt from."""
    return run.result.get("taught") or []


def unseen(run: Run) -> QuerySet[Prediction]:
    """Return the run's answers to images whose label it did not learn from: what it was told is no measure of it."""
    return Prediction.objects.filter(run=run).exclude(image__in=taught(run))


def is_lent(check: SpotCheck, run: Run) -> bool:
    """Tell whether another run's sample is one of this run's images too, told in the same names.

    It is where both answered the same images, and what is left out of it was chosen without looking at it: labels that
    both learnt from, and labels that this run learnt from that were given before the sample was drawn. Whoever makes
    corrections of a sample's answers, or mends what it shows to be wrong, leaves a part of it that is no sample.
    """
    return (same_words(run, check.run) and set(taught(check.run)) <= set(taught(run))
            and _answered_the_same(run, check.run) and not _taught_by_sample(check, run))


def _answered_the_same(run: Run, other: Run) -> bool:
    return (run.predictions.count() == other.predictions.count()
            and not run.predictions.exclude(image__in=other.predictions.values("image")).exists())


def _taught_by_sample(check: SpotCheck, run: Run) -> bool:
    """Tell whether a person said of a sampled image, after the draw, what the run learnt: of a copy of it, perhaps."""
    sampled = Image.objects.filter(pk__in=check.sampled.values("image")).filter(pk__in=taught(run))
    return Correction.objects.filter(image__collection=run.collection_id, image__file__in=sampled.values("file"),
                                     action__created_at__gte=check.created_at).exists()


def answered_first(run: Run) -> Run | None:
    """Return the baseline, if a sample that is named for it while this run is under way will measure this run too."""
    first = run.baseline
    if first is None or first.status != Run.Status.SUCCEEDED or not same_words(run, first):
        return None
    return first if answers_all(first) else None
