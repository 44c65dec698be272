"""Labels from a file: a person's corrections, all of them or none, and never a model's own answers."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from core.errors import DataError
from tests.webapp.review.gallery import Gallery
from webapp.review.actions import undo
from webapp.review.confirmed import confirmed_labels
from webapp.review.imported import correct_listed
from webapp.review.labels import labels_csv
from webapp.review.models import Correction


def learnt(gallery: Gallery) -> dict[int, str]:
    """Return number -> label of what a method may learn from."""
    version = gallery.collection.class_list_version
    numbers = dict(gallery.collection.images.values_list("file", "number"))
    said = confirmed_labels(gallery.collection, version)
    return {numbers[file]: version.names[label] for file, label in said.items()}


def path(gallery: Gallery, number: int) -> str:
    return str(gallery.collection.images.get(number=number).path)


def test_labels_become_one_correction_that_methods_learn_from_and_undo_takes_back(gallery: Gallery) -> None:
    names = gallery.collection.class_list_version.names
    lines = ("file;species", f"{path(gallery, 3)};{names[7].upper()}", f"{path(gallery, 5)};{names[2]}",
             f"elsewhere.png;{names[1]}")
    report = correct_listed(gallery.run, gallery.owner, "\n".join(lines).encode())
    assert (report.labelled, report.unknown_paths, report.unknown_path_count, report.models_own) == (
        2, ("elsewhere.png",), 1, 0)
    assert report.description == "took from a file the labels of 2 images"
    assert learnt(gallery) == {3: names[7], 5: names[2]}
    undo(gallery.run, gallery.owner)
    assert learnt(gallery) == {}


def test_a_models_own_answers_are_not_taken_for_a_persons(gallery: Gallery) -> None:
    names = gallery.collection.class_list_version.names
    correct_listed(gallery.run, gallery.owner, f"{path(gallery, 3)},{names[7]}\n".encode())
    standing = "".join(labels_csv(gallery.run)).encode()
    undo(gallery.run, gallery.owner)
    report = correct_listed(gallery.run, gallery.owner, standing)
    assert report.labelled == 1
    assert report.models_own == gallery.collection.images.count() - 1
    assert learnt(gallery) == {3: names[7]}
    undo(gallery.run, gallery.owner)
    with pytest.raises(DataError, match="are a model's, by its column source"):
        correct_listed(gallery.run, gallery.owner, "".join(labels_csv(gallery.run)).encode())


@pytest.mark.parametrize(("content", "reason"), [
    ("{path},heffalump\n", "line 1: 'heffalump' is no class of this run; its classes are"),
    ("{path},{name}\n{path},{other}\n", "line 2 calls .* but line 1 calls it"),
    ("nowhere.png,{name}\n", "none of its 1 paths is an image of this collection"),
    ("{path},\n", "line 1 has no label"),
    ("", "an empty file"),
])
def test_a_file_with_a_fault_is_refused_as_a_whole(gallery: Gallery, content: str, reason: str) -> None:
    names = gallery.collection.class_list_version.names
    with pytest.raises(DataError, match=reason):
        correct_listed(gallery.run, gallery.owner,
                       content.format(path=path(gallery, 3), name=names[0], other=names[1]).encode())
    assert not Correction.objects.exists()


def test_a_reviewer_sends_the_file_on_the_page_of_the_review(gallery: Gallery) -> None:
    client = Client()
    client.force_login(gallery.owner)
    name = gallery.collection.class_list_version.names[4]
    address, page = f"/review/runs/{gallery.run.pk}/labels", f"/runs/{gallery.run.pk}/review/"
    assert f'action="{address}"' in client.get(page).text
    shown = client.post(address, {"file": SimpleUploadedFile("few.csv", f"{path(gallery, 6)},{name}\n".encode())},
                        follow=True).text
    assert "1 image has your label now" in shown
    assert learnt(gallery) == {6: name}
    assert "labels CSV: choose a file first" in client.post(address, follow=True).text
