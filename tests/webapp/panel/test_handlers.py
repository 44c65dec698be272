"""What each event does, with a real database and no browser."""

from __future__ import annotations

import json
import re
from typing import Any

import gradio as gr
import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.errors import ConfigError, DataError
from tests.webapp.review.gallery import Gallery
from webapp.panel import access, handlers
from webapp.panel.access import Visit, looking, reviewing, visit
from webapp.panel.app import build
from webapp.panel.command import class_value
from webapp.panel.loops import within_a_loop
from webapp.review import actions
from webapp.review.labels import standing_labels
from webapp.review.queries import version, with_standing
from webapp.runs.models import Run


def _form(command: dict[str, Any] | None = None, **form: Any) -> handlers.Form:
    return handlers.Form(command=json.dumps(command) if command else "", version=form.get("version", ""),
                         label_as=form.get("label_as"), class_choice=form.get("class_choice", "all"),
                         source=form.get("source", "Anyone"), order=form.get("order", "Least sure first"),
                         low=form.get("low", 0), high=form.get("high", 100))


def _visit(gallery: Gallery, run: Run | None = None) -> Visit:
    return Visit(run=Run.objects.get(pk=(run or gallery.run).pk), user=gallery.owner)


def _request(user_id: object, run: object) -> gr.Request:
    return gr.Request(username=None if user_id is None else str(user_id), query_params={"run": str(run)})


def _spoken(gallery: Gallery) -> dict[int, int]:
    return dict(with_standing(gallery.run).filter(corrected__isnull=False).values_list("image_id", "standing"))


def test_every_event_of_the_page_checks_the_run() -> None:
    functions = [one for one in within_a_loop(build).fns.values() if one.fn is not None]
    assert len(functions) >= 15
    assert [one.name for one in functions if not getattr(one.fn, "checks_run", False)] == []
    assert all(one.api_visibility == "private" for one in functions)


def test_the_page_has_no_way_to_upload_and_no_state() -> None:
    kinds = {type(one).__name__ for one in within_a_loop(build).blocks.values()}
    assert kinds.isdisjoint({"File", "Image", "UploadButton", "Gallery", "Video", "Audio", "MultimodalTextbox", "State",
                             "BrowserState", "FileExplorer", "Chatbot", "ImageEditor", "Model3D"})


def test_a_visit_is_the_owners_alone(gallery: Gallery) -> None:
    from django.http import Http404

    assert visit(_request(gallery.owner.pk, gallery.run.pk)).run == gallery.run
    for user, run in ((gallery.stranger.pk, gallery.run.pk), (None, gallery.run.pk), ("", gallery.run.pk),
                      (gallery.owner.pk, 10**9), (gallery.owner.pk, "x"), (10**9, gallery.run.pk)):
        with pytest.raises(Http404):
            visit(_request(user, run))


def test_a_person_who_was_switched_off_sees_nothing(gallery: Gallery) -> None:
    gallery.owner.is_active = False
    gallery.owner.save()
    answer = looking(handlers.show, handlers.no_screen)(_request(gallery.owner.pk, gallery.run.pk), *_form())
    assert "Nothing here" in answer.summary


def test_an_error_reaches_the_person_in_words(gallery: Gallery) -> None:
    with pytest.raises(gr.Error, match="no image is selected"):
        looking(handlers.confirm, handlers.no_screen)(
            _request(gallery.owner.pk, gallery.run.pk), *_form({"handler": "confirm"}))


def test_it_shows_one_page_least_sure_first(gallery: Gallery) -> None:
    screen = handlers.show(_visit(gallery), *_form())
    first = gallery.run.predictions.order_by("confidence", "pk").first()
    assert screen.answers.index(f'data-image="{first.image_id}"') < screen.answers.index(
        f'data-image="{gallery.run.predictions.order_by("-confidence").first().image_id}"')
    assert screen.answers.count('class="lf-tile') == 60
    assert "Select all 60" in screen.answers


def test_only_the_open_tab_is_drawn(gallery: Gallery) -> None:
    screen = handlers.show(_visit(gallery), *_form({"view": "classes"}))
    assert "lf-class" in screen.classes
    assert screen.answers == ""
    assert screen.disagreements == ""


@pytest.mark.parametrize(("form", "keeps"), [
    ({"class_choice": class_value(3)}, lambda row: row.class_index == 3),
    ({"class_choice": "Three "}, lambda row: row.class_index == 3),
    ({"low": 50, "high": 90}, lambda row: 0.5 <= row.confidence <= 0.9),
    ({"low": 90, "high": 50}, lambda row: 0.5 <= row.confidence <= 0.9),
    ({"source": "Person"}, lambda row: False),
    ({"source": "Model"}, lambda row: True),
])
def test_filters_keep_what_they_say(gallery: Gallery, form: dict[str, Any], keeps: Any) -> None:
    screen = handlers.show(_visit(gallery), *_form(**form))
    expected = {row.image_id for row in gallery.run.predictions.all() if keeps(row)}
    shown = {row.image_id for row in gallery.run.predictions.all() if f'data-image="{row.image_id}"' in screen.answers}
    assert shown == expected


def test_names_and_paths_are_escaped(gallery: Gallery) -> None:
    gallery.collection.images.filter(number=0).update(path="<img src=x onerror=alert(1)>{{value}}.png")
    version = gallery.collection.class_list_version
    version.names = ["<script>alert(1)</script>", "${value}", *version.names[2:]]
    version.save()
    for view in ("answers", "classes", "disagreements"):
        drawn = getattr(handlers.show(_visit(gallery), *_form({"view": view})), view)
        assert "<script" not in drawn
        assert "<img src=x" not in drawn
        assert "{" not in drawn


def test_correct_uses_the_key_before_the_menu(gallery: Gallery) -> None:
    ids = list(gallery.collection.images.values_list("pk", flat=True)[:4])
    screen = handlers.correct(_visit(gallery), *_form({"ids": ids, "class_index": 7}, label_as=class_value(2)))
    assert _spoken(gallery) == dict.fromkeys(ids, 7)
    assert 'data-undo="labelled 4 images seven"' in screen.summary
    handlers.correct(_visit(gallery), *_form({"ids": ids[:1]}, label_as=class_value(2)))
    assert _spoken(gallery)[ids[0]] == 2


def test_all_that_match_means_the_filter_of_the_open_tab(gallery: Gallery) -> None:
    threes = gallery.run.predictions.filter(class_index=3)
    handlers.confirm(_visit(gallery), *_form({"everything": True, "matching": threes.count()},
                                             class_choice=class_value(3), version=version(gallery.run.pk)))
    assert set(_spoken(gallery)) == set(threes.values_list("image_id", flat=True))
    actions.undo(gallery.run, gallery.owner)
    baseline = dict(gallery.baseline.predictions.values_list("image_id", "class_index"))
    differing = {row.image_id for row in gallery.run.predictions.all() if baseline[row.image_id] != row.class_index}
    handlers.correct(_visit(gallery), *_form({
        "everything": True, "matching": len(differing), "view": "disagreements", "class_index": 0}))
    assert set(_spoken(gallery)) == differing


@pytest.mark.parametrize("handler", ["confirm", "correct"])
def test_all_that_match_are_those_that_the_grid_shows_or_none(gallery: Gallery, handler: str) -> None:
    form = _form({"everything": True, "matching": 53, "class_index": 3}, version=version(gallery.run.pk))
    with pytest.raises(DataError, match="the grid shows 53 images, the filter now has 60: look again"):
        getattr(handlers, handler)(_visit(gallery), *form)
    assert _spoken(gallery) == {}


def test_undo_and_redo_change_the_labels_and_their_buttons(gallery: Gallery) -> None:
    image = gallery.collection.images.get(number=0)
    handlers.correct(_visit(gallery), *_form({"ids": [image.pk], "class_index": 8}))
    screen = handlers.undo(_visit(gallery), *_form())
    assert 'data-undo="" data-redo="labelled 1 image eight" data-undo-action="" ' in screen.summary
    assert next(standing_labels(gallery.run)).source == "model"
    screen = handlers.redo(_visit(gallery), *_form())
    assert 'data-undo="labelled 1 image eight" data-redo=""' in screen.summary
    assert next(standing_labels(gallery.run)).label == "eight"


def standing_version(user: Any, run: int) -> str:
    """Return what the panel's polling is answered."""
    client = Client()
    client.force_login(user)
    return client.get(f"/review/runs/{run}/version").content.decode()


def test_a_second_browser_is_told_only_when_something_changed(gallery: Gallery) -> None:
    screen = handlers.show(_visit(gallery), *_form())
    same = handlers.refresh(_visit(gallery), *_form(version=screen.version))
    assert not any(isinstance(one, str) for one in same)
    assert standing_version(gallery.owner, gallery.run.pk) == screen.version
    image = gallery.collection.images.get(number=0)
    actions.correct(gallery.run, gallery.owner, [image.pk], 8)
    changed = handlers.refresh(_visit(gallery), *_form(version=screen.version))
    assert "<strong>1</strong> answered by a person" in changed.summary
    actions.undo(gallery.run, gallery.owner)
    assert handlers.refresh(_visit(gallery), *_form(version=changed.version)).version != changed.version
    assert standing_version(gallery.owner, gallery.run.pk) not in (screen.version, changed.version)


def test_a_cluster_is_renamed_from_its_row(gallery: Gallery) -> None:
    row = _visit(gallery, gallery.clusters)
    screen = handlers.rename(row, *_form({"view": "classes", "class_index": 4, "name": "ones"}))
    assert 'value="ones"' in screen.classes
    assert ("5 · ones", class_value(4)) in screen.label_as["choices"]
    assert "was given no names" in screen.classes


def test_groups_with_guessed_names_are_said_to_have_them(gallery: Gallery) -> None:
    Run.objects.filter(pk=gallery.clusters.pk).update(class_list_version=gallery.collection.class_list_version)
    gallery.clusters.refresh_from_db()
    drawn = handlers.show(_visit(gallery, gallery.clusters), *_form({"view": "classes"})).classes
    assert "a guess" in drawn
    assert "was given no names" not in drawn


def test_the_first_ten_classes_have_the_keys_of_a_spot_check(gallery: Gallery) -> None:
    screen = handlers.show(_visit(gallery), *_form({"view": "classes"}))
    assert [name[:4] for name, _ in screen.label_as["choices"]] == [f"{key} · " for key in "1234567890"]
    assert re.findall("<kbd>(.)</kbd>", screen.classes) == list("1234567890")


def test_clusters_are_compared_with_the_baselines_after_matching(gallery: Gallery) -> None:
    screen = handlers.show(_visit(gallery, gallery.clusters), *_form({"view": "disagreements"}))
    differing = screen.disagreements.count('class="lf-tile')
    assert 0 < differing < 30, "unmatched numbers would make nearly all 60 differ"


def test_an_image_is_shown_closely_with_both_answers_and_its_history(gallery: Gallery) -> None:
    image = gallery.collection.images.get(number=2)
    actions.correct(gallery.run, gallery.owner, [image.pk], 1)
    actions.undo(gallery.run, gallery.owner)
    drawn = handlers.inspect(_visit(gallery), json.dumps({"image_id": image.pk}))
    assert drawn.count("lf-top-name") == 10
    assert "Zero-shot (the baseline)" in drawn
    assert "alice said one" in drawn
    assert "undone" in drawn


def test_an_image_of_another_run_is_not_shown(gallery: Gallery) -> None:
    assert "not part of the run" in handlers.inspect(_visit(gallery), json.dumps({"image_id": 10**9}))


@pytest.mark.parametrize(
    "command", ["{", "[]", '{"view": "x"}', '{"ids": ["a"]}', '{"page": 1e400}', '{"ids": 3}', "3",
                '{"ids": [1000000000000000000000000000000]}', '{"image_id": -1000000000000000000000000000000}'])
def test_a_command_that_is_none_is_refused(gallery: Gallery, command: str) -> None:
    with pytest.raises(DataError, match="reload"):
        handlers.show(_visit(gallery), *_form()._replace(command=command))


@pytest.mark.parametrize("form", [{"source": "x"}, {"order": "pk; drop"}, {"class_choice": "cats"}])
def test_a_choice_that_the_form_does_not_offer_is_refused(gallery: Gallery, form: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        handlers.show(_visit(gallery), *_form(**form))


@pytest.mark.parametrize("label_as", [None, "", "3", "10", "-1", "cats", "class-3", class_value(10)])
def test_a_class_that_is_none_labels_nothing(gallery: Gallery, label_as: str | None) -> None:
    ids = list(gallery.collection.images.values_list("pk", flat=True)[:2])
    with pytest.raises(ConfigError):
        handlers.correct(_visit(gallery), *_form({"ids": ids}, label_as=label_as))
    assert _spoken(gallery) == {}


def test_a_run_without_answers_says_when_they_come(gallery: Gallery) -> None:
    gallery.run.predictions.all().delete()
    Run.objects.filter(pk=gallery.run.pk).update(status=Run.Status.QUEUED, finished_at=None)
    assert "No answers yet" in handlers.show(_visit(gallery), *_form()).answers


LOOKING = {"show", "only_class", "refresh", "inspect"}
REVIEWING = {"confirm", "correct", "rename", "undo", "redo"}


@pytest.mark.parametrize("role", ["viewer", "reviewer", "owner"])
def test_each_role_may_cause_the_events_of_its_rule_and_no_more(
        gallery: Gallery, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated from the page: an event of a new handler fails until it is in one of the two sets."""
    from webapp.sharing.models import Membership

    for name in ("look_after_connections", "close_broken_connections"):
        monkeypatch.setattr(access, name, lambda: None)  # the test's own, which it still needs
    Membership.objects.create(collection=gallery.collection, user=gallery.stranger, role=role)
    request = _request(gallery.stranger.pk, gallery.run.pk)
    events = [one.fn for one in within_a_loop(build).fns.values() if one.fn is not None]
    assert {one.__name__ for one in events} == LOOKING | REVIEWING
    for event in events:
        form = _form({"handler": event.__name__})
        values = form[:1] if event.__name__ == "inspect" else form
        if event.__name__ in REVIEWING and role == "viewer":
            with pytest.raises(gr.Error, match="you are a viewer; this takes the role reviewer"):
                event(request, *values)
            continue
        try:
            event(request, *values)
        except gr.Error as error:
            assert "takes the role" not in str(error), (event, error)  # nothing was selected: a fault of the form


def test_a_viewer_changes_no_label(gallery: Gallery) -> None:
    from webapp.sharing.models import Membership

    Membership.objects.create(collection=gallery.collection, user=gallery.stranger, role="viewer")
    first = gallery.collection.images.first().pk
    with pytest.raises(gr.Error):
        reviewing(handlers.correct, handlers.no_screen)(
            _request(gallery.stranger.pk, gallery.run.pk), *_form({"handler": "correct", "ids": [first],
                                                                      "class_index": 3}))
    assert _spoken(gallery) == {}
    screen = looking(handlers.show, handlers.no_screen)(
        _request(gallery.stranger.pk, gallery.run.pk), *_form({"handler": "show"}))
    assert "data-looking" in screen.summary


@pytest.mark.parametrize(("run_name", "event", "most"), [
    ("baseline", "show", 8), ("baseline", "refresh", 9), ("baseline", "confirm", 14), ("baseline", "correct", 13),
    ("baseline", "undo", 13), ("baseline", "inspect", 4), ("run", "show", 9), ("clusters", "show", 11)])
def test_an_event_asks_the_database_little(gallery: Gallery, run_name: str, event: str, most: int) -> None:
    run = getattr(gallery, run_name)
    image = run.predictions.first().image_id
    command = {"handler": event, "ids": [image], "image_id": image if event == "inspect" else None, "class_index": 3}

    def ask() -> None:
        answer = looking(getattr(handlers, event), handlers.no_screen)
        form = _form(command, version="" if event == "refresh" else seen)
        values = form[:1] if event == "inspect" else form
        answer(_request(gallery.owner.pk, run.pk), *values)

    seen = version(run.pk)
    ask()
    seen = version(run.pk)
    with CaptureQueriesContext(connection) as asked:
        ask()
    assert len(asked) <= most, "\n".join(one["sql"] for one in asked)


def test_a_database_that_is_away_is_told_in_words(gallery: Gallery) -> None:
    def show(visit: Visit, *values: Any) -> handlers.Screen:
        raise OperationalError("server closed the connection unexpectedly")

    with pytest.raises(gr.Error, match="The database does not answer"):
        looking(show, handlers.no_screen)(
            _request(gallery.owner.pk, gallery.run.pk), *_form({"handler": "show"}))
