"""Confirm, correct, name, undo, redo."""

from __future__ import annotations

import time

import pytest

from core.errors import ConfigError, DataError
from tests.webapp.review.gallery import NAMES, Gallery
from webapp.review import actions
from webapp.review.models import Correction, ReviewAction
from webapp.review.names import class_names
from webapp.review.queries import with_standing
from webapp.runs.models import Prediction


def _standing(gallery: Gallery) -> dict[int, int]:
    return dict(with_standing(gallery.run).values_list("image_id", "standing"))


def _ids(gallery: Gallery, count: int) -> list[int]:
    return list(gallery.collection.images.order_by("number").values_list("pk", flat=True)[:count])


def test_it_corrects_many_images_in_one_action(gallery: Gallery) -> None:
    ids = _ids(gallery, 7)
    action = actions.correct(gallery.run, gallery.owner, ids, 9)
    assert action.corrections.count() == 7
    assert action.description == "labelled 7 images nine"
    assert {_standing(gallery)[pk] for pk in ids} == {9}


def test_the_newest_correction_stands_and_undo_brings_the_one_before_back(gallery: Gallery) -> None:
    [pk] = _ids(gallery, 1)
    before = _standing(gallery)[pk]
    actions.correct(gallery.run, gallery.owner, [pk], 3)
    actions.correct(gallery.run, gallery.owner, [pk], 5)
    assert _standing(gallery)[pk] == 5
    actions.undo(gallery.run, gallery.owner)
    assert _standing(gallery)[pk] == 3
    actions.undo(gallery.run, gallery.owner)
    assert _standing(gallery)[pk] == before
    assert actions.undo(gallery.run, gallery.owner) is None


def test_confirm_records_the_standing_label_of_each_image(gallery: Gallery) -> None:
    ids = _ids(gallery, 5)
    actions.correct(gallery.run, gallery.owner, ids[:1], 8)
    standing = _standing(gallery)
    action = actions.confirm(gallery.run, gallery.owner, ids)
    assert {one.image_id: one.class_index for one in action.corrections.all()} == {pk: standing[pk] for pk in ids}


def test_redo_brings_back_in_order_and_a_new_action_forgets_it(gallery: Gallery) -> None:
    [pk] = _ids(gallery, 1)
    for index in (1, 2):
        actions.correct(gallery.run, gallery.owner, [pk], index)
    actions.undo(gallery.run, gallery.owner)
    actions.undo(gallery.run, gallery.owner)
    actions.redo(gallery.run, gallery.owner)
    assert _standing(gallery)[pk] == 1
    actions.redo(gallery.run, gallery.owner)
    assert _standing(gallery)[pk] == 2
    assert actions.redo(gallery.run, gallery.owner) is None
    actions.undo(gallery.run, gallery.owner)
    actions.correct(gallery.run, gallery.owner, [pk], 7)
    assert actions.redo(gallery.run, gallery.owner) is None
    actions.undo(gallery.run, gallery.owner)
    actions.undo(gallery.run, gallery.owner)
    assert [actions.redo(gallery.run, gallery.owner).description for _ in range(2)] == [
        "labelled 1 image one", "labelled 1 image seven"]


def test_undo_leaves_other_peoples_work_alone(gallery: Gallery) -> None:
    [pk] = _ids(gallery, 1)
    actions.correct(gallery.run, gallery.stranger, [pk], 4)
    assert actions.undo(gallery.run, gallery.owner) is None
    assert _standing(gallery)[pk] == 4


def test_a_correction_of_one_run_does_not_touch_another(gallery: Gallery) -> None:
    ids = _ids(gallery, 3)
    actions.correct(gallery.run, gallery.owner, ids, 0)
    assert not with_standing(gallery.baseline).filter(corrected__isnull=False).exists()


@pytest.mark.parametrize("index", [-1, 10, 10**6])
def test_it_refuses_a_class_out_of_range(gallery: Gallery, index: int) -> None:
    with pytest.raises(ConfigError, match="no class"):
        actions.correct(gallery.run, gallery.owner, _ids(gallery, 1), index)


def test_it_refuses_images_that_are_not_of_the_run(gallery: Gallery) -> None:
    with pytest.raises(DataError, match="not answered by this run"):
        actions.correct(gallery.run, gallery.owner, [*_ids(gallery, 1), 10**9], 1)
    with pytest.raises(DataError, match="not answered by this run"):
        actions.confirm(gallery.run, gallery.owner, [10**9])
    assert not ReviewAction.objects.exists()


def test_it_refuses_an_empty_selection(gallery: Gallery) -> None:
    with pytest.raises(DataError, match="no image is selected"):
        actions.confirm(gallery.run, gallery.owner, [])


def test_it_names_a_cluster_and_undoes_it(gallery: Gallery) -> None:
    assert class_names(gallery.clusters)[2] == "cluster 3"
    actions.name_cluster(gallery.clusters, gallery.owner, 2, "  round \n things ")
    assert class_names(gallery.clusters)[2] == "round things"
    actions.name_cluster(gallery.clusters, gallery.owner, 2, "zeros")
    assert class_names(gallery.clusters)[2] == "zeros"
    actions.undo(gallery.clusters, gallery.owner)
    assert class_names(gallery.clusters)[2] == "round things"


@pytest.mark.parametrize(("name", "reason"), [("  ", "empty"), ("x" * 101, "101 characters"), ("a\x00b", "control")])
def test_it_refuses_a_cluster_name_that_cannot_be_used(gallery: Gallery, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        actions.name_cluster(gallery.clusters, gallery.owner, 0, name)


def test_it_does_not_rename_classes_of_a_class_list(gallery: Gallery) -> None:
    with pytest.raises(ConfigError, match="class list"):
        actions.name_cluster(gallery.run, gallery.owner, 0, "nought")
    assert class_names(gallery.run) == NAMES


def test_ten_thousand_images_take_about_a_second_at_most(gallery: Gallery) -> None:
    from webapp.collections.models import Image

    images = Image.objects.bulk_create([Image(
        collection=gallery.collection, number=100 + number, path=f"more/{number}.png", sha256="0" * 64, file="x",
        thumbnail="x", width_px=8, height_px=8) for number in range(10_000)])
    Prediction.objects.bulk_create([Prediction(run=gallery.run, image=image, class_index=0, confidence=0.5, margin=0.1,
                                               top=[]) for image in images])
    ids = [image.pk for image in images]
    started = time.process_time()
    action = actions.correct(gallery.run, gallery.owner, ids, 3)
    seconds = time.process_time() - started
    assert Correction.objects.filter(action=action).count() == 10_000
    assert seconds <= 2.0  # half of that where nothing else shares the core
