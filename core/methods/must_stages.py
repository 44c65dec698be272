"""Which images MUST's stages see, and for how many steps.

N images of a collection, B of a step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.catalog import MustSettings
from core.data.images import ImageSet
from core.problem import Problem

ADAPTING = "adapting"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which images a stage sees, how many at a step, and for how many steps.

    Attributes:
        images: N, shuffled anew every epoch; the odd ones that fill no batch are left out of an epoch.
        own: how many of them, the first, are the run's own collection's: those that it answers and may show.
        batch_size: B, at most N.
        first: the step of the whole run at which the stage begins.
    """

    name: str
    images: ImageSet
    own: int
    batch_size: int
    first: int
    steps: int
    total: int

    @property
    def joins(self) -> bool:
        """Tell whether images of further collections are among the run's own."""
        return 0 < self.own < len(self.images)

    @property
    def alone(self) -> Plan:
        """Return the plan for the run's own images without the further ones."""
        return replace(self, images=self.images.subset(range(self.own))) if self.joins else self


def plans(settings: MustSettings, problem: Problem) -> tuple[Plan, Plan]:
    """Return the warm-up on the larger collection (0 steps without one) and the adaptation proper."""
    images = problem.adapted_to
    larger = problem.warm_up or images
    sizes = [min(settings.batch_size, len(one)) for one in (larger, images)]
    warm_up_epochs = settings.warm_up_epochs if problem.warm_up else 0.0
    steps = [0 if epochs == 0 else max(1, round(epochs * len(one) / size)) for epochs, one, size in zip(
        (warm_up_epochs, settings.epochs), (larger, images), sizes, strict=True)]
    warming = Plan(name="warming up", images=larger, own=0, batch_size=sizes[0], first=0, steps=steps[0],
                   total=sum(steps))
    adapting = replace(warming, name=ADAPTING, images=images, own=len(problem.images), batch_size=sizes[1],
                       first=steps[0], steps=steps[1])
    return warming, adapting
