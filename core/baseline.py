"""Which cheap run another is compared with: zero-shot where there are names, k-means where there is only a number.

No torch here: the web imports it. The shell's own answers of one are in `core.first_answers`.
"""

from __future__ import annotations

from dataclasses import asdict, fields

from core.catalog import METHODS, TEXT_BACKBONES, Settings, parse

BASELINES = ("zeroshot", "kmeans")
"""With names and without."""
SHARED = ("backbone", "spaces", "templates", "own_templates")
"""Settings that a baseline has from the run it is compared with."""


def baseline_of(method: str, settings: Settings, count: int | None) -> tuple[str, Settings] | None:
    """Return the baseline of a run and its settings; None for a baseline itself, and where no number is known.

    Args:
        method: of the run.
        settings: of the run; an encoder without words is compared with the bundled one that reads names.
        count: how many classes, K.
    """
    if method in BASELINES or count is None:
        return None
    names = METHODS[method].needs == "names"
    kind, given = ("zeroshot" if names else "kmeans"), asdict(settings)
    known = {one.name for one in fields(METHODS[kind].settings)}
    shared = {name: value for name, value in given.items() if name in SHARED and name in known}
    if names and shared.get("backbone") not in TEXT_BACKBONES:
        shared.pop("backbone", None)
    if not names and "backbone" in given:
        shared["spaces"] = given["backbone"]  # one encoder is a space too
    return kind, parse(kind, shared)
