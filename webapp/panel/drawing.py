"""The panel's HTML, drawn from the review's queries by Django's templates (which escape), and tiles by `_tile`."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from html import escape
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.template.loader import render_to_string

from core.catalog import METHODS
from webapp.collections.media import thumbnails
from webapp.config.prepared import prepared
from webapp.panel.access import Visit
from webapp.review.actions import next_redo, next_undo
from webapp.review.models import Correction
from webapp.review.names import class_names, has_class_list, name_at
from webapp.review.queries import (
    NO_CLASS,
    ClassCount,
    Filter,
    answers_shown,
    class_counts,
    count_answers,
    matched_classes,
    surest,
    with_standing,
)
from webapp.runs.models import Prediction, Run

TILES_A_PAGE = 60
CLASSES_A_PAGE = 50
SUREST_SHOWN = 6
NAMES_SUGGESTED = 5
CORRECTIONS_SHOWN = 5
DIGIT_KEYS = "1234567890"
"""The keys of the first classes, in their order; a spot check has the same."""


TILE = """<button type="button" class="lf-tile{}" data-image="{}" aria-pressed="false" title="{}">
  <img src="{}" alt="{}" loading="lazy" width="112" height="112">
  <span class="lf-label">{}{}</span>{}{}
</button>"""
CHECK = '<span class="lf-check" title="a person’s answer">✓</span> '
SURE = """<span class="lf-sure"><span class="lf-bar"><i style="width:{}%"></i></span>
  <span class="lf-number">{} %</span></span>"""
SAID = '<span class="lf-sub">{}</span>'
OTHERWISE = '<span class="lf-sub lf-baseline">{}: {}</span>'
SHOWN = ("image_id", "image__path", "class_index", "confidence", "corrected", "standing", "baseline_class")


def grid(run: Run, chosen: Filter, page: int, view: str, images: int) -> str:
    """Draw one page of tiles with what stands around them; the run has `images`.

    It is drawn after every answer that a person gives: the tiles without a template, of no more than they show.
    """
    found = Paginator(_Answers(run, chosen, images), TILES_A_PAGE).get_page(page)
    names, place, baseline = class_names(run), thumbnails(), _baseline_title(run)
    tiles = "\n".join(_tile(row, names, place, baseline) for row in found.object_list)
    return _draw("grid", {"tiles": tiles, "page": found, "view": view, "run": run, "baseline_title": baseline})


class _Answers(Sequence[Any]):
    """The answers that a filter asks for, as a paginator takes them: how many they are, and slices of them."""

    def __init__(self, run: Run, chosen: Filter, images: int) -> None:
        self._run = run
        self._chosen = chosen
        self._images = images

    def __len__(self) -> int:
        return self._images if self._chosen.is_whole else count_answers(self._run, self._chosen)

    def __getitem__(self, page: Any) -> Any:
        return answers_shown(self._run, self._chosen, SHOWN, page.start, TILES_A_PAGE)


def _tile(row: Any, names: tuple[str, ...], place: str, baseline: str) -> str:
    """Draw one image: what it is, how sure that is or who said it, and the baseline's answer where it differs.

    Every text that comes from people is escaped here; the template takes the tiles as they are.
    """
    label, model, by_person = name_at(names, row.standing), name_at(names, row.class_index), row.corrected is not None
    percent, otherwise, path = round(100 * row.confidence), _baseline(names, row), escape(row.image__path)
    said = "confirmed" if label == model else f"model: {escape(model)}"
    return TILE.format(
        " lf-by-person" if by_person else "", row.image_id, path, f"{place}{row.image_id}", path,
        CHECK if by_person else "", escape(label), SAID.format(said) if by_person else SURE.format(percent, percent),
        OTHERWISE.format(escape(baseline), escape(otherwise)) if otherwise else "")


def key_of(class_index: int) -> str:
    """Return the key that labels images as this class, or ""."""
    return DIGIT_KEYS[class_index] if class_index < len(DIGIT_KEYS) else ""


def classes(run: Run, page: int) -> str:
    """Draw a row for each class or cluster: count, names, its surest images."""
    found = Paginator(class_counts(run), CLASSES_A_PAGE).get_page(page)
    pictures = surest(run, [count.class_index for count in found.object_list], SUREST_SHOWN)
    suggested = run.result.get("suggested_names") or []
    largest = max((count.images for count in found.object_list), default=0) or 1
    rows = [{
        "count": count, "key": key_of(count.class_index), "share": round(100 * count.images / largest),
        "pictures": pictures[count.class_index],
        "suggested": suggested[count.class_index][:NAMES_SUGGESTED] if count.class_index < len(suggested) else [],
    } for count in found.object_list]
    return _draw("classes", {"rows": rows, "page": found, "view": "classes", "run": run,
                             "can_name": not has_class_list(run)})


def detail(run: Run, image_id: int) -> str:
    """Draw one image closely: the five likeliest answers, the baseline's, and what people said."""
    answer = next(iter(_answer(run.pk, image_id)), None)
    if answer is None:
        return _draw("detail", {"answer": None})
    names = class_names(run)
    theirs = Prediction.objects.filter(run=run.baseline_id, image_id=image_id).first() if run.baseline_id else None
    return _draw("detail", {
        "answer": answer, "label": name_at(names, answer.standing), "by_person": answer.corrected is not None,
        "margin": round(100 * answer.margin), "top": _top(names, answer), "title": METHODS[run.method].title,
        "baseline_title": _baseline_title(run), "baseline_top": _top(_baseline_names(run, names), theirs),
        "said": [{"name": name_at(names, one.class_index), "author": one.action.author, "at": one.action.created_at,
                  "undone": one.action.undone_at is not None} for one in _said(run.pk, image_id)]})


@prepared
def _answer(run: int, image: int, /) -> QuerySet[Prediction, Any]:
    return with_standing(run).select_related("image").filter(image_id=image)


@prepared
def _said(run: int, image: int, /) -> QuerySet[Correction]:
    return Correction.objects.filter(action__run=run, image_id=image).select_related("action__author").order_by(
        "-action_id")[:CORRECTIONS_SHOWN]


def summary(visit: Visit, counts: list[ClassCount], seen: str) -> str:
    """Draw the line above everything: how much there is, how much of it a person has seen, what can be undone.

    Args:
        visit: who looks at what.
        counts: its classes.
        seen: the version of the answers that is drawn.
    """
    images = sum(count.images for count in counts)
    by_person = sum(count.by_person for count in counts)
    undo, redo = next_undo(visit.run, visit.user), next_redo(visit.run, visit.user)
    return _draw("summary", {
        "run": visit.run, "images": images, "by_person": by_person, "version": seen,
        "undo": undo, "redo": redo,
        "percent": round(100 * by_person / images) if images else 0, "num_classes": len(counts),
        "names": zlib.crc32("\n".join(count.name for count in counts).encode()),
        "found": sum(count.images > 0 for count in counts)})


def missing(reason: str) -> str:
    """Draw the only thing a person sees where there is nothing for them."""
    return _draw("missing", {"reason": reason})


def _baseline(names: tuple[str, ...], row: Any) -> str:
    if row.baseline_class is None or row.baseline_class == row.class_index:
        return ""
    return "none of these" if row.baseline_class == NO_CLASS else name_at(names, row.baseline_class)


def _baseline_title(run: Run) -> str:
    return METHODS[run.baseline.method].title if run.baseline is not None else "Baseline"


def _baseline_names(run: Run, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the baseline's classes by the run's names: clusters by the one they are matched with."""
    matched = matched_classes(run, run.baseline)
    if matched is None or run.baseline is None:
        return names
    return tuple(name_at(names, matched[index]) if index in matched else f"its own {name}"
                 for index, name in enumerate(class_names(run.baseline)))


def _top(names: tuple[str, ...], answer: Prediction | None) -> list[dict[str, Any]]:
    if answer is None:
        return []
    return [{"name": name_at(names, int(index)), "percent": round(100 * probability)}
            for index, probability in answer.top]


def _draw(template: str, context: dict[str, Any]) -> str:
    """Render a template; braces become entities, for Gradio runs what it is given through Handlebars."""
    return render_to_string(f"panel/{template}.html", context).replace("{", "&#123;").replace("}", "&#125;")
