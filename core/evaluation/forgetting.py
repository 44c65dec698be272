"""Forgetting of the source: what adapting to one collection cost on another that the model was good at.

Li et al., "Unsupervised finetuning", 2021, section 3: BCubed precision of k-means on the source collection
before and after (theirs fell from 36.85 to 16.60 on ImageNet), and weighted k-NN beside it.
"""

from __future__ import annotations

import dataclasses

from core.errors import ConfigError
from core.evaluation import metrics
from core.evaluation.clustering import group
from core.evaluation.evidence import Evidence, Finding
from core.evaluation.neighbours import nearest_neighbours

STARTS = 10


def source_forgetting(evidence: Evidence) -> Finding:
    """Measure both on the source collection, before and after.

    Raises:
        ConfigError: where nothing was adapted, or it began from nothing.
    """
    source = evidence.source
    if source is None or not evidence.before:
        raise ConfigError("forgetting", "compares a model with the foundation model it was made from: give --model, "
                                        "one that did not begin from scratch")
    figures: dict[str, float] = {}
    for when, backbones in (("before", evidence.before), ("after", evidence.backbones)):
        seen = dataclasses.replace(source, backbones=backbones)
        labels = group(seen.features, seen.truth, seen.run, STARTS).best.labels
        figures[f"bcubed_precision_{when}"] = metrics.bcubed_precision(labels, seen.truth)
        figures[f"nearest_neighbours_{when}"] = nearest_neighbours(seen).figures["accuracy"]
    figures["bcubed_precision_lost"] = figures["bcubed_precision_before"] - figures["bcubed_precision_after"]
    figures["nearest_neighbours_lost"] = figures["nearest_neighbours_before"] - figures["nearest_neighbours_after"]
    return Finding(figures=figures, images=len(source.paths))
