"""Errors under the 15 common corruptions, relative to the zero-shot model's.

Hendrycks & Dietterich, 2019, arXiv:1903.12261, section 4.1: the corruption error of a corruption is the sum
of errors over its 5 severities, over that of a reference model, and 100 is that model. They take AlexNet; here
it is the zero-shot classifier of the same backbone, so that below 100 adapting made the model steadier.
(Table 8 of Li et al., 2022, arXiv:2206.02967 has the original scale.) Images are corrupted as the network sees
them, see `core.data.corruptions`.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from core.classifier import Classifier
from core.data.corruptions import CORRUPTIONS, SEVERITIES, CorruptedView
from core.errors import ConfigError
from core.evaluation.evidence import Evidence, Finding
from core.names import fold


def corruption_error(errors: list[float], reference: list[float]) -> float | None:
    """Return the sum of errors over that of a reference in percent; None where the reference makes none."""
    return 100 * sum(errors) / sum(reference) if sum(reference) > 0 else None


def corruptions(evidence: Evidence) -> Finding:
    """Measure the mean corruption error; the table has every error.

    Raises:
        ConfigError: for a model without a zero-shot twin.
    """
    twin, model = evidence.zero_shot, evidence.answering
    if twin is None or not evidence.named:
        raise ConfigError("corruptions", "errors are relative to the zero-shot model, and there is none: that takes "
                                         "a model of one CLIP backbone whose class names are those of the truth")
    clean, clean_twin = _error(model, evidence, None, 0), _error(twin, evidence, None, 0)
    rows: list[tuple[str, int, float, float]] = []
    relative: list[float] = []
    notes: list[str] = []
    for name in CORRUPTIONS:
        errors = [_error(model, evidence, name, severity) for severity in SEVERITIES]
        reference = errors if twin is model else [_error(twin, evidence, name, severity) for severity in SEVERITIES]
        rows += zip([name] * len(SEVERITIES), SEVERITIES, errors, reference, strict=True)
        found = corruption_error(errors, reference)
        if found is None:
            notes.append(f"{name}: left out of the mean, for the zero-shot model makes no error")
        else:
            relative.append(found)
    if not relative:
        raise ConfigError("corruptions", "the zero-shot model makes no error under any corruption: nothing to compare")
    return Finding(
        figures={"mean_corruption_error": float(np.mean(relative)), "clean_error": clean,
                 "clean_error_of_zero_shot": clean_twin, "corrupted_error": float(np.mean([row[2] for row in rows]))},
        table=[["corruption", "severity", "error", "error of zero-shot"], *rows], notes=tuple(notes),
        images=len(evidence.sampled))


def _error(classifier: Classifier, evidence: Evidence, corruption: str | None, severity: int) -> float:
    """Return the share of the sampled images that is answered wrongly, uncorrupted where no corruption is named."""
    chosen = evidence.sampled.tolist()
    images = evidence.pictures.subset(chosen)
    if corruption is None:
        found = classifier.predict(images, evidence.run)
    else:
        view = partial(CorruptedView, corruption=corruption, severity=severity)
        found = classifier.predict(images, evidence.run, stage=f"{corruption} {severity}", view=view)
    answered = [fold(classifier.class_names[label]) for label in found.labels.tolist()]
    return float(np.mean([answer != fold(evidence.true_names[one])
                          for answer, one in zip(answered, chosen, strict=True)]))
