"""What a method may learn from: the newest of people's words on a collection's images, and no true label."""

from __future__ import annotations

from tests.webapp.review.gallery import Gallery
from webapp.collections.models import ClassList, ClassListVersion, TrueLabel
from webapp.review.actions import confirm, correct, undo
from webapp.review.confirmed import confirmed_labels
from webapp.runs.models import Run


def images(gallery: Gallery, *numbers: int) -> list[int]:
    return [gallery.collection.images.get(number=number).pk for number in numbers]


def found(gallery: Gallery, version: ClassListVersion | None = None) -> dict[int, int]:
    """Return number -> class index."""
    numbers = dict(gallery.collection.images.values_list("file", "number"))
    said = confirmed_labels(gallery.collection, version or gallery.collection.class_list_version)
    return {numbers[file]: label for file, label in said.items()}


def test_the_newest_word_wins_whichever_run_it_was_said_of(gallery: Gallery) -> None:
    correct(gallery.run, gallery.owner, images(gallery, 3, 4), 7)
    correct(gallery.baseline, gallery.owner, images(gallery, 4, 5), 2)
    confirm(gallery.run, gallery.owner, images(gallery, 4, 6))
    own = gallery.run.predictions.get(image__number=6).class_index
    assert found(gallery) == {3: 7, 4: 7, 5: 2, 6: own}


def test_what_was_undone_was_not_said(gallery: Gallery) -> None:
    correct(gallery.run, gallery.owner, images(gallery, 3), 7)
    correct(gallery.run, gallery.owner, images(gallery, 3), 8)
    undo(gallery.run, gallery.owner)
    assert found(gallery) == {3: 7}


def test_true_labels_are_not_looked_at(gallery: Gallery) -> None:
    for image in gallery.collection.images.all():
        TrueLabel.objects.create(image=image, name="one")
    assert found(gallery) == {}


def test_clusters_and_other_class_lists_say_nothing_of_these_names(gallery: Gallery) -> None:
    correct(gallery.clusters, gallery.owner, images(gallery, 3), 7)
    assert found(gallery) == {}
    Run.objects.filter(pk=gallery.clusters.pk).update(
        settings={"classifier_from": "labels"}, class_list_version=gallery.run.class_list_version)
    assert found(gallery) == {3: 7}, "its classifier was fitted to names, whatever groups it began with"
    correct(gallery.run, gallery.owner, images(gallery, 3), 7)
    other = ClassListVersion.objects.create(
        class_list=ClassList.objects.create(owner=gallery.owner, name="other"), number=1, names=["zero", "seven"])
    assert found(gallery, other) == {}
    assert confirmed_labels(gallery.collection, None) == {}


def test_words_of_an_older_version_count_by_their_name(gallery: Gallery) -> None:
    correct(gallery.run, gallery.owner, images(gallery, 3), 7)
    correct(gallery.run, gallery.owner, images(gallery, 4), 0)
    version = gallery.collection.class_list_version
    newer = ClassListVersion.objects.create(class_list=version.class_list, number=2, names=["Seven ", "eight"])
    assert found(gallery, newer) == {3: 0}


def test_what_is_held_out_is_out_of_reach_in_every_copy(gallery: Gallery) -> None:
    correct(gallery.run, gallery.owner, images(gallery, 3, 4), 7)
    third, fifth = (gallery.collection.images.get(number=number) for number in (3, 5))
    gallery.collection.images.filter(pk=fifth.pk).update(held_out=True, file=third.file)
    assert confirmed_labels(gallery.collection, gallery.collection.class_list_version).keys() == {
        gallery.collection.images.get(number=4).file}
