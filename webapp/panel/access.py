"""Whose run an event is about. Every handler of the panel is made by `looking` or `reviewing`; a test sees to it.

Gradio keeps nothing between events: the run's number comes with each request, from the address of the
page, and each time the person's right to it is asked for anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest
from django.urls import set_script_prefix

from core.errors import DataError, LabelfreeError
from webapp.accounts.sessions import Accounts
from webapp.config.threads import close_broken_connections, look_after_connections
from webapp.panel.command import parse_command
from webapp.panel.guard import REFUSED_KEY
from webapp.runs.models import Run
from webapp.runs.permissions import get_reviewable_run, get_visible_run

AWAY = "The database does not answer, or its disk is full: this was not done. Try again in a minute."
MISSING = "There is no such run here: it was deleted, or it belongs to somebody else."

Find = Callable[[HttpRequest, int], Run]


@dataclass(frozen=True)
class Visit:
    """One event: the run it is about, and the person, who may see it."""

    run: Run
    user: AbstractBaseUser


def looking(handler: Callable[..., Any], missing: Callable[[], Any]) -> Callable[..., Any]:
    """Return the function that Gradio calls for an event that changes nothing; a viewer may cause it."""
    return _with_visit(handler, missing, get_visible_run)


def reviewing(handler: Callable[..., Any], missing: Callable[[], Any]) -> Callable[..., Any]:
    """Return the function that Gradio calls for an event that changes labels; it takes a reviewer."""
    return _with_visit(handler, missing, get_reviewable_run)


def _with_visit(handler: Callable[..., Any], missing: Callable[[], Any], find: Find) -> Callable[..., Any]:
    """Return the function that Gradio calls: it finds the visit, then calls ``handler(visit, *values)``.

    Args:
        handler: what the event does; may raise `LabelfreeError`, whose message the person reads.
        missing: makes the answer where the run is not theirs, the same as where there is none.
        find: finds the run, if the person may do this there.
    """
    def answer(request: gr.Request, *values: Any) -> Any:
        set_script_prefix(f"{settings.FORCE_SCRIPT_NAME or ''}/")
        try:
            found = visit(request, find)
            _refuse_another(handler, request, values[0])
            return handler(found, *values)
        except Http404:
            return missing()
        except (LabelfreeError, PermissionDenied) as error:
            raise _refused(request, str(error)) from error
        except (OperationalError, InterfaceError) as error:
            raise _refused(request, AWAY) from error

    answer.__name__ = handler.__name__
    answer.__doc__ = handler.__doc__
    answer.checks_run = True  # type: ignore[attr-defined]
    return answer


def _refuse_another(handler: Callable[..., Any], request: gr.Request, command: str) -> None:
    """Refuse an event that was meant for another handler: Gradio takes it by its number, which each release may move.

    A page names its handler in the command; a client that is no page may do so in the address, as Gradio's do.

    Raises:
        DataError: another one was meant, or none is named.
    """
    address = "" if request.request is None else request.request.url.path.rpartition("/")[2]
    if handler.__name__ != (parse_command(command).handler or address):
        raise DataError("review", "this page is from an earlier version of labelfree: reload it")


def _refused(request: gr.Request, reason: str) -> gr.Error:
    """Return the error that tells the page, and leave the reason for the guard."""
    if request.request is not None:
        request.request.scope[REFUSED_KEY].append(reason)
    return gr.Error(reason, print_exception=False)


def in_a_thread(answer: Callable[..., Any], parts: int | None = None) -> Callable[..., Any]:
    """Return `answer` for Gradio's pool of threads: no thread keeps a connection to the database beyond its time.

    Args:
        answer: what is called.
        parts: how many of its values Gradio is to send, if not the one that it is.
    """
    def answered(request: gr.Request, *values: Any) -> Any:
        look_after_connections()
        try:
            answered = answer(request, *values)
            return answered if parts is None else answered[:parts]
        finally:
            close_broken_connections()

    answered.__name__ = answer.__name__
    answered.__doc__ = answer.__doc__
    answered.checks_run = getattr(answer, "checks_run", False)  # type: ignore[attr-defined]
    return answered


def visit(request: gr.Request, find: Find = get_visible_run) -> Visit:
    """Return who asks about which run.

    Raises:
        Http404: nobody is signed in, or the run is not theirs, or there is none.
        PermissionDenied: their role is too low for what `find` grants.
    """
    user_id = str(request.username or "")
    number = str(request.query_params.get("run", ""))
    if not user_id.isdecimal() or not number.isdecimal() or len(number) > 18:
        raise Http404
    user = Accounts().get_user(int(user_id))
    if user is None:
        raise Http404
    own = HttpRequest()
    own.user = user
    return Visit(run=find(own, int(number)), user=user)
