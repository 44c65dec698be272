"""The card inside a run's package, kept at what its spot check measured."""

from __future__ import annotations

from pathlib import Path

from core.evaluation.spot_check import with_measurement
from core.package_card import read_card, replace_card
from webapp.runs.models import Run
from webapp.spot_checks.outcome import standing


def refresh(run: Run, package: Path) -> None:
    """Write the standing measurement of a run into its package, if the package says otherwise."""
    if not package.exists() or not run.spot_checks.exists():
        return
    checked = standing(run)
    old = read_card(package)
    new = with_measurement(old, checked.measured if checked is not None else None)
    if new != old:
        replace_card(package, new)
