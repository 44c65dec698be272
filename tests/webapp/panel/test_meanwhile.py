"""What happened since the page was drawn: by somebody else, in another tab, or by a new release."""

from __future__ import annotations

import json
from typing import Any

import fastapi
import gradio as gr
import pytest
from django.contrib.auth.models import User

from core.errors import DataError
from tests.webapp.review.gallery import Gallery
from webapp.panel import handlers
from webapp.panel.access import Visit, looking, reviewing
from webapp.panel.guard import REFUSED_KEY
from webapp.review import actions
from webapp.review.queries import version, with_standing
from webapp.runs.models import Run


def _form(seen: str = "", **command: Any) -> handlers.Form:
    return handlers.Form(command=json.dumps(command), version=seen, label_as=None, class_choice="all", source="Anyone",
                         order="Least sure first", low=0, high=100)


def _visit(gallery: Gallery) -> Visit:
    return Visit(run=Run.objects.get(pk=gallery.run.pk), user=gallery.owner)


def _ids(gallery: Gallery, count: int) -> list[int]:
    return list(gallery.collection.images.values_list("pk", flat=True)[:count])


def _said_by(gallery: Gallery, author: User) -> int:
    return gallery.run.review_actions.filter(author=author, undone_at=None).count()


def test_a_label_that_was_not_seen_is_not_confirmed(gallery: Gallery, django_user_model: type[User]) -> None:
    bob = django_user_model.objects.create_user("bob")
    first, second = _ids(gallery, 2)
    seen = version(gallery.run.pk)
    actions.correct(gallery.run, bob, [first], 7)
    with pytest.raises(DataError, match="somebody labelled 1 of these meanwhile, so nothing was confirmed: look again"):
        handlers.confirm(_visit(gallery), *_form(seen, ids=[first, second]))
    assert _said_by(gallery, gallery.owner) == 0
    handlers.confirm(_visit(gallery), *_form(seen, ids=[second]))
    handlers.confirm(_visit(gallery), *_form(version(gallery.run.pk), ids=[first]))
    assert _said_by(gallery, gallery.owner) == 2
    assert with_standing(gallery.run).get(image_id=first).standing == 7


def test_a_label_that_was_taken_back_meanwhile_is_not_confirmed(
        gallery: Gallery, django_user_model: type[User]) -> None:
    bob = django_user_model.objects.create_user("bob")
    first, second = _ids(gallery, 2)
    actions.correct(gallery.run, bob, [second], 3)
    actions.undo(gallery.run, bob)
    actions.correct(gallery.run, bob, [first], 7)
    seen = version(gallery.run.pk)
    actions.undo(gallery.run, bob)
    with pytest.raises(DataError, match="meanwhile"):
        handlers.confirm(_visit(gallery), *_form(seen, ids=[first]))
    handlers.confirm(_visit(gallery), *_form(seen, ids=[second]))


@pytest.mark.parametrize("seen", ["", "x", "1-2", "1-2-3-4\n", "9" * 40])
def test_a_version_that_is_none_confirms_nothing(gallery: Gallery, seen: str) -> None:
    with pytest.raises(DataError, match="reload"):
        handlers.confirm(_visit(gallery), *_form(seen, ids=_ids(gallery, 1)))


def test_undo_and_redo_do_what_their_buttons_name_or_nothing(gallery: Gallery) -> None:
    ids = _ids(gallery, 60)
    named = actions.confirm(gallery.run, gallery.owner, ids[:1])
    screen = handlers.show(_visit(gallery), *_form())
    assert f'data-undo-action="{named.pk}" data-redo-action=""' in screen.summary
    elsewhere = actions.correct(gallery.run, gallery.owner, ids, 0)
    with pytest.raises(DataError, match="look again at what Undo names now"):
        handlers.undo(_visit(gallery), *_form(action_id=named.pk))
    assert _said_by(gallery, gallery.owner) == 2
    screen = handlers.undo(_visit(gallery), *_form(action_id=elsewhere.pk))
    assert f'data-undo-action="{named.pk}" data-redo-action="{elsewhere.pk}"' in screen.summary
    with pytest.raises(DataError, match="look again at what Redo names now"):
        handlers.redo(_visit(gallery), *_form(action_id=named.pk))
    handlers.redo(_visit(gallery), *_form(action_id=elsewhere.pk))
    assert _said_by(gallery, gallery.owner) == 2


def _request(gallery: Gallery, address: str = "predict") -> gr.Request:
    scope = {"type": "http", "method": "POST", "scheme": "http", "server": ("test", 80), "headers": [],
             "path": f"/panel/gradio_api/run/{address}", "query_string": f"run={gallery.run.pk}".encode(),
             REFUSED_KEY: []}
    return gr.Request(request=fastapi.Request(scope), username=str(gallery.owner.pk))


@pytest.mark.parametrize("meant", ["refresh", "", "undo", "no such"])
def test_an_event_that_was_meant_for_another_handler_does_nothing(gallery: Gallery, meant: str) -> None:
    form = _form(version(gallery.run.pk), handler=meant, ids=_ids(gallery, 2))
    with pytest.raises(gr.Error, match="this page is from an earlier version of labelfree: reload it"):
        reviewing(handlers.confirm, handlers.no_screen)(_request(gallery), *form)
    assert _said_by(gallery, gallery.owner) == 0


def test_a_client_names_the_handler_by_its_address(gallery: Gallery) -> None:
    answer = looking(handlers.show, handlers.no_screen)(_request(gallery, "show"), *_form())
    assert "lf-tile" in answer.answers
