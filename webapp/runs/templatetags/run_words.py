"""Template filters for what is said of runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from django import template
from django.utils import timezone

from webapp.runs import words

register = template.Library()


@register.filter
def span(seconds: float | timedelta | str | None) -> str:
    """Write seconds, or the time between two moments, for a person; "" for none (in a template that is "" too)."""
    if seconds is None or seconds == "":
        return ""
    return words.span(seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds))


@register.filter
def until(start: datetime | None, end: datetime | None) -> timedelta | None:
    """Return the time from `start` to `end`, or to now where there is no end yet."""
    return (end or timezone.now()) - start if start else None


@register.filter
def method_title(method: str) -> str:
    """Return what a method is called; its own key where the catalog no longer has it."""
    return words.title_of(method)


@register.filter
def points(share: float | None) -> float | None:
    """Return a share as points of 0 … 100."""
    return None if share is None or share == "" else 100 * float(share)
