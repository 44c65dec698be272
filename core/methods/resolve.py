"""From a method's row in the catalogue to its function, imported only when it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from core.catalog import Settings
from core.classifier import Classifier
from core.problem import Problem
from core.run import Run

Adapt = Callable[[Settings, Problem, Run], Classifier]


def resolve(function: str) -> Adapt:
    """Return the function at a dotted path, as in "core.methods.zeroshot:adapt"."""
    module, _, name = function.partition(":")
    return cast("Adapt", getattr(import_module(module), name))
