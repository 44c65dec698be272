"""What each event of the panel does, as plain functions of a visit and the page's values.

All but `inspect` answer with one `Screen`: only the tab that is open is drawn, the others are drawn when they are
opened.
Nothing is remembered here: the database holds every answer, the page holds what is selected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import gradio as gr

from core.errors import ConfigError
from webapp.panel import drawing
from webapp.panel.access import MISSING, Visit
from webapp.panel.command import (
    Command,
    class_value,
    parse_class,
    parse_command,
    parse_filter,
    parse_order,
    selected_ids,
)
from webapp.review import actions
from webapp.review.queries import ClassCount, Filter, class_counts, version
from webapp.runs.models import Run


class Screen(NamedTuple):
    """The values of the page's parts, in the order in which they are wired."""

    summary: Any
    answers: Any
    classes: Any
    disagreements: Any
    detail: Any
    version: Any
    class_filter: Any
    label_as: Any


MENUS = ("class_filter", "label_as")
"""Gradio makes a menu anew for each answer that holds it: a tenth of a correction's time in a sampling profile."""


class Form(NamedTuple):
    """What the page sends with every event, in the order in which it is wired."""

    command: str
    version: str
    label_as: str | None
    class_choice: str | None
    source: str
    order: str
    low: float
    high: float

    def chosen(self, run: Run) -> Filter:
        """Return the filter of the answers' tab."""
        return parse_filter(run, self.class_choice, self.source, self.order, self.low, self.high)

    def in_view(self, run: Run, command: Command) -> Filter:
        """Return the filter of the tab that is open: what "all that match" means there."""
        if command.view == "disagreements":
            return Filter(disagreeing=True, order=parse_order(self.order))
        return self.chosen(run) if command.view == "answers" else Filter()


def show(visit: Visit, *values: Any) -> Screen:
    """Draw the open tab: the page was opened or refreshed, a tab, a filter or a page was chosen."""
    form = Form(*values)
    return _screen(visit, form, parse_command(form.command))


def only_class(visit: Visit, *values: Any) -> Screen:
    """Show the answers of one class: its row was opened in the classes' tab."""
    form = Form(*values)
    command = parse_command(form.command)
    choice = "all" if command.class_index is None else class_value(command.class_index)
    screen = _screen(visit, form._replace(class_choice=choice), command)
    return screen._replace(class_filter=gr.update(choices=screen.class_filter["choices"], value=choice))


def refresh(visit: Visit, *values: Any) -> Screen:
    """Draw the open tab if anybody did anything since it was drawn."""
    form = Form(*values)
    if form.version == version(visit.run.pk):
        return Screen(*(gr.skip() for _ in Screen._fields))
    return _screen(visit, form, parse_command(form.command))


def confirm(visit: Visit, *values: Any) -> Screen:
    """Record that what is selected is right."""
    form = Form(*values)
    command = parse_command(form.command)
    ids = selected_ids(visit.run, command, form.in_view(visit.run, command))
    actions.confirm(visit.run, visit.user, ids, str(form.version))
    return _screen(visit, form, command)


def correct(visit: Visit, *values: Any) -> Screen:
    """Label what is selected as the class that a key names, else the menu."""
    form = Form(*values)
    command = parse_command(form.command)
    class_index = command.class_index if command.class_index is not None else parse_class(visit.run, form.label_as)
    if class_index is None:
        raise ConfigError("class", "none is chosen: choose the right one beside “Label”")
    ids = selected_ids(visit.run, command, form.in_view(visit.run, command))
    actions.correct(visit.run, visit.user, ids, class_index)
    return _screen(visit, form, command)


def rename(visit: Visit, *values: Any) -> Screen:
    """Give a cluster a name."""
    form = Form(*values)
    command = parse_command(form.command)
    if command.class_index is None:
        raise ConfigError("cluster", "none is chosen: write the name in a cluster's row")
    actions.name_cluster(visit.run, visit.user, command.class_index, command.name)
    return _screen(visit, form, command)


def undo(visit: Visit, *values: Any) -> Screen:
    """Take back what this person did last, as the page names it."""
    form = Form(*values)
    command = parse_command(form.command)
    actions.undo(visit.run, visit.user, command.action_id)
    return _screen(visit, form, command)


def redo(visit: Visit, *values: Any) -> Screen:
    """Bring back what this person undid last, as the page names it."""
    form = Form(*values)
    command = parse_command(form.command)
    actions.redo(visit.run, visit.user, command.action_id)
    return _screen(visit, form, command)


def inspect(visit: Visit, command: str) -> str:
    """Draw one image closely."""
    image_id = parse_command(command).image_id
    return drawing.detail(visit.run, image_id) if image_id is not None else ""


LOOKING = frozenset({show, only_class, refresh})
"""The events of a whole screen that a viewer may cause; every other one takes a reviewer."""
AT_ONCE = frozenset({confirm, correct})
"""The events of which a quick person causes several before the first is answered: each has its own selection."""
NAMING = frozenset({show, only_class, rename})
"""The events that also draw the menus of classes; where another one renamed a class, the page asks to `show`."""


def no_screen() -> Screen:
    """Return the screen of a run that is not theirs, or is not."""
    return Screen(summary=drawing.missing(MISSING), answers="", classes="", disagreements="", detail="",
                  version="", class_filter=gr.update(choices=[], value=None),
                  label_as=gr.update(choices=[], value=None))


def no_detail() -> str:
    """Return what stands in the place of an image of a run that is not theirs."""
    return drawing.missing(MISSING)


def _screen(visit: Visit, form: Form, command: Command) -> Screen:
    run = visit.run
    seen, counts = version(run.pk), class_counts(run)  # what comes in between is drawn once more
    images = sum(count.images for count in counts)
    drawn: dict[str, Callable[[], str]] = {
        "answers": lambda: drawing.grid(run, form.chosen(run), command.page, "answers", images),
        "classes": lambda: drawing.classes(run, command.page),
        "disagreements": lambda: drawing.grid(run, form.in_view(run, command), command.page, "disagreements",
                                              images),
    }
    parts = {view: draw() if view == command.view else "" for view, draw in drawn.items()}
    return Screen(
        summary=drawing.summary(visit, counts, seen), **parts,
        detail=drawing.detail(run, command.image_id) if command.image_id is not None else "",
        version=seen,
        class_filter=gr.update(choices=[("All classes", "all"), *((one.name, class_value(one.class_index))
                                                                  for one in counts)]),
        label_as=gr.update(choices=[(_keyed(one), class_value(one.class_index)) for one in counts]))


def _keyed(count: ClassCount) -> str:
    key = drawing.key_of(count.class_index)
    return f"{key} · {count.name}" if key else count.name
