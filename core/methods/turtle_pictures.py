"""What TURTLE leaves to be looked at: the scores of every number of classes that it tried.

See `core.methods.class_count` for the rule, which the picture shows.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.evaluation.drawing import curve
from core.methods.class_count import corrected_for_chance
from core.methods.trials import Outcome
from core.pictures import Picture, Pictures


def draw_sweep(pictures: Pictures, outcomes: Sequence[Outcome], chosen: int) -> None:
    """Draw the score over K, corrected for chance, above its trend; nothing where fewer than two K were tried."""
    tried = sorted({outcome.trial.num_classes: outcome for outcome in outcomes}.items())
    if len(tried) < 2:
        return
    pictures.draw(Picture(
        name="score-over-k", title=f"Why {chosen} classes", shows_images=False,
        caption="How learnable the labels were for each number of classes that was tried, of 100 (label-free score, "
                "corrected for chance). It falls as the number grows, whatever the images are; the number that stands "
                f"highest above the straight line is taken: {chosen}. A curve that hugs the line says little: then "
                "give the number yourself."),
        curve([count for count, _ in tried], [corrected_for_chance(outcome) for _, outcome in tried], chosen,
              "number of classes tried"))
