"""The panel's HTML, drawn by Django's templates (which escape) from the review's queries."""

from __future__ import annotations

import zlib
from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join

from core.catalog import METHODS
from webapp.collections.media import thumbnails
from webapp.panel.access import Visit
from webapp.review.actions import redoable, undoable
from webapp.review.models import Correction, ReviewAction
from webapp.review.names import class_names, has_class_list, name_at
from webapp.review.queries import (
    NO_CLASS,
    ClassCount,
    Filter,
    answers,
    class_counts,
    matched_classes,
    surest,
    with_standing,
)
from webapp.runs.models import Prediction, Run

TILES_A_PAGE = 60
CLASSES_A_PAGE = 50
SUREST_SHOWN = 6
NAMES_SUGGESTED = 5


TILE = """<button type="button" class="lf-tile{}" data-image="{}" aria-pressed="false" title="{}">
  <img src="{}" alt="{}" loading="lazy" width="112" height="112">
  <span class="lf-label">{}{}</span>{}{}
</button>"""
CHECK = format_html('<span class="lf-check" title="{}">✓</span> ', "a person’s answer")
SURE = """<span class="lf-sure"><span class="lf-bar"><i style="width:{}%"></i></span>
  <span class="lf-number">{} %</span></span>"""
SAID = '<span class="lf-sub">{}</span>'
OTHERWISE = '<span class="lf-sub lf-baseline" title="{} answered">≠ {}</span>'
SHOWN = ("image_id", "image__path", "class_index", "confidence", "corrected", "standing", "baseline_class")


def grid(run: Run, chosen: Filter, page: int, view: str) -> str:
    """Draw one page of tiles with what stands around them.

    It is drawn after every answer that a person gives: the tiles without a template, of no more than they show.
    """
    found = Paginator(answers(run, chosen).values_list(*SHOWN, named=True), TILES_A_PAGE).get_page(page)
    names, place, baseline = class_names(run), thumbnails(), _baseline_title(run)
    tiles = format_html_join("\n", "{}", ((_tile(row, names, place, baseline),) for row in found.object_list))
    return _draw("grid", {"tiles": tiles, "page": found, "view": view, "run": run, "baseline_title": baseline})


def _tile(row: Any, names: tuple[str, ...], place: str, baseline: str) -> str:
    """Draw one image: what it is, how sure that is or who said it, and the baseline's answer where it differs."""
    label, model, by_person = name_at(names, row.standing), name_at(names, row.class_index), row.corrected is not None
    percent, otherwise = round(100 * row.confidence), _baseline(names, row)
    return format_html(
        TILE, " lf-by-person" if by_person else "", row.image_id, row.image__path, f"{place}{row.image_id}",
        row.image__path, CHECK if by_person else "", label,
        format_html(SAID, "confirmed" if label == model else f"model: {model}") if by_person
        else format_html(SURE, percent, percent),
        format_html(OTHERWISE, baseline, otherwise) if otherwise else "")


def classes(run: Run, page: int) -> str:
    """Draw a row for each class or cluster: count, names, its surest images."""
    found = Paginator(class_counts(run), CLASSES_A_PAGE).get_page(page)
    pictures = surest(run, [count.class_index for count in found.object_list], SUREST_SHOWN)
    suggested = run.result.get("suggested_names") or []
    largest = max((count.images for count in found.object_list), default=0) or 1
    rows = [{
        "count": count, "share": round(100 * count.images / largest), "pictures": pictures[count.class_index],
        "suggested": suggested[count.class_index][:NAMES_SUGGESTED] if count.class_index < len(suggested) else [],
    } for count in found.object_list]
    return _draw("classes", {"rows": rows, "page": found, "view": "classes", "run": run,
                             "can_name": not has_class_list(run)})


def detail(run: Run, image_id: int) -> str:
    """Draw one image closely: the five likeliest answers, the baseline's, and what people said."""
    answer = with_standing(run).select_related("image").filter(image_id=image_id).first()
    if answer is None:
        return _draw("detail", {"answer": None})
    names = class_names(run)
    said = Correction.objects.filter(action__run=run, image_id=image_id).select_related(
        "action__author").order_by("-action_id")[:5]
    theirs = Prediction.objects.filter(run=run.baseline_id, image_id=image_id).first() if run.baseline_id else None
    return _draw("detail", {
        "answer": answer, "label": name_at(names, answer.standing), "by_person": answer.corrected is not None,
        "margin": round(100 * answer.margin), "top": _top(names, answer), "title": METHODS[run.method].title,
        "baseline_title": _baseline_title(run), "baseline_top": _top(_baseline_names(run, names), theirs),
        "said": [{"name": name_at(names, one.class_index), "author": one.action.author, "at": one.action.created_at,
                  "undone": one.action.undone_at is not None} for one in said]})


def summary(visit: Visit, counts: list[ClassCount], seen: str) -> str:
    """Draw the line above everything: how much there is, how much of it a person has seen, what can be undone.

    Args:
        visit: who looks at what.
        counts: its classes.
        seen: the version of the answers that is drawn.
    """
    images = sum(count.images for count in counts)
    by_person = sum(count.by_person for count in counts)
    return _draw("summary", {
        "run": visit.run, "images": images, "by_person": by_person, "version": seen,
        "undo": _next(undoable(visit.run, visit.user)), "redo": _next(redoable(visit.run, visit.user)),
        "percent": round(100 * by_person / images) if images else 0, "num_classes": len(counts),
        "names": zlib.crc32("\n".join(count.name for count in counts).encode()),
        "found": sum(count.images > 0 for count in counts)})


def missing(reason: str) -> str:
    """Draw the only thing a person sees where there is nothing for them."""
    return _draw("missing", {"reason": reason})


def _next(actions: QuerySet[ReviewAction]) -> str:
    """Return what would be undone or redone, "" for nothing."""
    action = actions.first()
    return action.description if action else ""


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
