"""How times and methods are written for a person."""

from __future__ import annotations

from core.catalog import METHODS


def title_of(method: str) -> str:
    """Return what a method is called; its own key where the catalog no longer has it."""
    return METHODS[method].title if method in METHODS else method


def span(seconds: float) -> str:
    """Write a span of time: "42 s", "3 min 20 s", "2 h 5 min", "3 days"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole < 600 and whole % 60 else f"{whole // 60} min"
    if whole < 48 * 3600:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h {minutes} min" if minutes else f"{whole // 3600} h"
    return f"{whole // 86400} days"
