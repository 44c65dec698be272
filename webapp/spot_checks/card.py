"""The card inside a run's package, kept at what its spot check measured."""

from __future__ import annotations

from pathlib import Path

from core.evaluation.spot_check import with_measurement
from core.package_card import read_card, replace_card
from webapp.runs.models import Run
from webapp.spot_checks.models import SpotCheck
from webapp.spot_checks.outcome import standing


def refresh(run: Run, package: Path) -> None:
    """Write the standing measurement of a run into its package, if the package says otherwise."""
    if not package.exists() or not SpotCheck.objects.filter(run__collection=run.collection_id).exists():
        return
    checked = standing(run)
    old = read_card(package)
    new = with_measurement(old, checked.measured, checked.beside) if checked else with_measurement(old, None)
    if new != old:
        replace_card(package, new)
