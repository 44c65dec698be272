"""The panel's page: one Gradio Blocks, its parts and which handler answers which event.

Every event goes through `looking` or `reviewing` and sends the same form; the page's script (``page/panel.js``)
fills in the first value of it, the command: what is selected, which tab is open, which page of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from webapp.panel import handlers
from webapp.panel.access import in_a_thread, looking, reviewing
from webapp.panel.theme import theme
from webapp.review.queries import ORDERS, SOURCES

PAGE = Path(__file__).parent / "page"
THEME = theme()
SCRIPTS = ("panel.js", "asking.js", "map.js", "try.js")
HEAD = "".join(['<meta name="robots" content="noindex"><link rel="icon" href="data:,">',
                f"<style>{(PAGE / 'panel.css').read_text(encoding='utf-8')}</style>",
                *(f"<script>{(PAGE / name).read_text(encoding='utf-8')}</script>" for name in SCRIPTS)])
DIRECT: dict[str, Any] = {"queue": False, "preprocess": False, "postprocess": False, "show_progress": "hidden",
                          "api_visibility": "private"}
"""How every event is sent: in one request, which its answer comes back in, and its values as they are. By Gradio's
queue it takes two requests, a stream and a thread for each value: twice the time of the processor, as measured."""

EVENT_THREADS = 4
"""Events that are computed at once. Gradio's 40 would only wait for one another, for the interpreter lets one thread
compute at a time; but four that wait for SQLite's one writer hold up all others."""

SESSIONS_KEPT = 100
"""Open pages that Gradio remembers, of 60 kB and up each; a page that it forgot is known again at its next event."""


def build() -> gr.Blocks:
    """Return the panel. It holds no one's data: every value comes by an event, for one run and one person."""
    with gr.Blocks(title="Review", analytics_enabled=False, fill_width=True, delete_cache=(3600, 86400)) as blocks:
        summary = _html(elem_id="lf-summary")
        with gr.Tabs(elem_id="lf-tabs"):
            tabs = {}
            with gr.Tab("Answers", id="answers") as tabs["answers"]:
                filters = _filters()
                answers = _html(elem_id="lf-answers", elem_classes="lf-view")
            with gr.Tab("Classes", id="classes") as tabs["classes"]:
                classes = _html(elem_id="lf-classes", elem_classes="lf-view")
            with gr.Tab("Differences", id="disagreements") as tabs["disagreements"]:
                disagreements = _html(elem_id="lf-disagreements", elem_classes="lf-view")
            with gr.Tab("Map", id="map") as tabs["map"]:
                _html('<div class="lf-map" data-island="map"></div>', elem_id="lf-map")
            with gr.Tab("Try", id="try") as tabs["try"]:
                _html('<div class="lf-try-island" data-island="try"></div>', elem_id="lf-try")
        with gr.Column(elem_id="lf-dock"):
            _html('<p class="lf-alert" role="alert" data-alert></p>', elem_id="lf-alert")
            detail = _html(elem_id="lf-detail")
            bar = gr.Row(elem_id="lf-bar")
        with bar:
            _html('<span class="lf-selected" role="status" data-selected>Nothing selected</span>',
                    elem_id="lf-selected")
            confirm = gr.Button("Confirm", variant="primary", elem_id="lf-confirm", size="sm")
            label_as = gr.Dropdown([], label="Label as", show_label=False, elem_id="lf-label-as", container=False,
                                   allow_custom_value=True, filterable=True, value=None)
            correct = gr.Button("Label", elem_id="lf-correct", size="sm")
            undo = gr.Button("Undo", elem_id="lf-undo", size="sm")  # the script says what, and whether there is any
            redo = gr.Button("Redo", elem_id="lf-redo", size="sm")
        with gr.Row(elem_id="lf-wires"):
            command = gr.Textbox("", elem_id="lf-command")
            version = gr.Textbox("", elem_id="lf-version")
            show = gr.Button("show", elem_id="lf-show")
            inspect = gr.Button("inspect", elem_id="lf-inspect")
            rename = gr.Button("rename", elem_id="lf-rename")
            only_class = gr.Button("only class", elem_id="lf-only-class")
            refresh = gr.Button("refresh", elem_id="lf-refresh")
        screen = handlers.Screen(summary=summary, answers=answers, classes=classes, disagreements=disagreements,
                                 detail=detail, version=version, class_filter=filters[0], label_as=label_as)
        wired = _Wiring([command, version, label_as, *filters], screen)
        for name, tab in tabs.items():
            wired.on(tab.select, handlers.show, f"lf.opened('{name}')")
        for one in filters:
            wired.on(one.input, handlers.show, "lf.filtered()")
        wired.on(show.click, handlers.show)
        wired.on(only_class.click, handlers.only_class, after="lf.toAnswers()")
        wired.on(refresh.click, handlers.refresh)
        wired.on(confirm.click, handlers.confirm)
        wired.on(correct.click, handlers.correct)
        wired.on(undo.click, handlers.undo)
        wired.on(redo.click, handlers.redo)
        wired.on(rename.click, handlers.rename)
        inspect.click(in_a_thread(looking(handlers.inspect, handlers.no_detail)), [command], [detail],
                      js="() => lf.command('inspect')", trigger_mode="always_last", **DIRECT)
    blocks._queue.sleep_when_free = 1.0  # nothing is queued, and Gradio would look a thousand times a second
    blocks.max_threads = EVENT_THREADS
    blocks.state_session_capacity = SESSIONS_KEPT
    blocks.create_limiter()
    return blocks


def _html(value: str = "", **places: Any) -> gr.HTML:
    """Return a part that shows HTML as it is: without Gradio's styles for it, and without an event of a click."""
    return gr.HTML(value, apply_default_css=False, js_on_load=None, **places)


class _Wiring:
    """Connects events to handlers of a `Screen`, all in the same way."""

    def __init__(self, form: list[Any], screen: handlers.Screen) -> None:
        self._form = form
        self._screen = screen

    def on(self, event: Callable[..., Any], handler: Callable[..., Any], before: str = "",
           after: str = "") -> None:
        """Answer `event` by `handler`; `before` is run in the page first, `after` when it went well."""
        first = f"{before}; " if before else ""
        entitled = looking if handler in handlers.LOOKING else reviewing
        parts = len(self._screen) - (0 if handler in handlers.NAMING else len(handlers.MENUS))
        answered = event(
            in_a_thread(entitled(handler, handlers.no_screen), parts), self._form, list(self._screen)[:parts],
            trigger_mode=("always_last" if handler is handlers.show
                          else "multiple" if handler in handlers.AT_ONCE else "once"),
            js=f"(command, ...form) => {{ {first}return [lf.command('{handler.__name__}'), ...form]; }}", **DIRECT)
        if after:
            answered.success(None, js=f"() => {{ {after}; }}")


def _filters() -> tuple[Any, ...]:
    with gr.Row(elem_id="lf-filters"):
        return (
            gr.Dropdown([("All classes", "all")], value="all", label="Class", allow_custom_value=True,
                        elem_id="lf-class", min_width=160),
            gr.Dropdown(list(SOURCES), value="Anyone", label="Answered by", elem_id="lf-source", min_width=120),
            gr.Dropdown(list(ORDERS), value="Least sure first", label="Order", elem_id="lf-order", min_width=160),
            gr.Slider(0, 100, value=0, step=1, label="Confidence from, %", elem_id="lf-low", min_width=160),
            gr.Slider(0, 100, value=100, step=1, label="to, %", elem_id="lf-high", min_width=160),
        )
