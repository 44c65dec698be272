"""Settings of example runs, from seconds to minutes long, and what a run has answered."""

from __future__ import annotations

from webapp.runs.models import Prediction, Run

LONG = {"steps": 100_000, "sample_size": 60}
SHORT = {"steps": 2000, "sample_size": 60}
LONGER_TURTLE = SHORT | {"steps": 10_000}  # the row tells of a step up to a second later: two thousand take two
MUST = {"mirror": False, "batch_size": 10, "epochs": 5.0, "templates": "one"}  # thirty steps, a checkpoint every third
LONGER_MUST = MUST | {"epochs": 20.0}  # 120 steps: a fast machine makes thirty before the row tells of the fourth


def answers(run: Run) -> list[tuple[int, float]]:
    """Return class and confidence of each image."""
    return [(one.class_index, round(one.confidence, 5))
            for one in Prediction.objects.filter(run=run).order_by("image__number")]
