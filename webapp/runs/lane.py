"""The quick lane: a worker's node without a GPU, for runs of seconds that would wait behind long ones.

The nodes of GPUs are first choice. What none of them has taken after a few seconds is offered to the lane, which does
one run at a time; whoever claims the row first has it.
"""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, QuerySet
from django.db.models.functions import Now

from core.catalog import METHODS
from core.cost import cost
from core.question import Question
from webapp.runs.models import Run
from webapp.runs.presence import is_present

OFFERED_AFTER = timedelta(seconds=10)
"""By then a GPU's node has taken a run, unless all are busy."""
MOST_CPU_SECONDS = 600.0
"""What the lane takes on, by the estimate for two cores. A large foundation model on very many images would keep others
of seconds waiting for hours, and be done sooner by the GPU that it waits for."""


def quick(runs: QuerySet[Run]) -> list[Run]:
    """Return those of `runs` that the lane may do, in their order."""
    of_seconds = runs.filter(method__in=[name for name, method in METHODS.items() if method.quick])
    return [run for run in of_seconds.only("method", "settings").annotate(num_images=Count("collection__images"))
            if cost(run.method, run.settings, Question(num_images=run.num_images)).cpu_seconds <= MOST_CPU_SECONDS]


def offered() -> QuerySet[Run]:
    """Return the waiting runs that the lane may take now, first in line first.

    The database's clock judges, so that who tells the lane of a run and the lane itself agree.
    """
    waiting = Run.objects.queued()
    return waiting.filter(pk__in=[run.pk for run in quick(waiting.filter(queued_at__lt=Now() - OFFERED_AFTER))])


def is_for(run: Run) -> bool:
    """Tell whether the lane is there, and may do this run."""
    return is_present("quick") and bool(quick(Run.objects.filter(pk=run.pk)))
