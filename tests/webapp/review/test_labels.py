"""The labels that stand, and their files."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.webapp.review.gallery import NAMES, Gallery
from webapp.collections.spreadsheets import guard_formula
from webapp.review import actions
from webapp.review.labels import labels_csv, labels_jsonl, standing_labels


def test_without_corrections_every_label_is_the_models(gallery: Gallery) -> None:
    rows = list(standing_labels(gallery.run))
    assert [row.path for row in rows] == [f"digits/{number:04d}.png" for number in range(60)]
    assert {row.source for row in rows} == {"model"}
    predicted = dict(gallery.run.predictions.values_list("image_id", "class_index"))
    assert all(row.label == NAMES[predicted[row.image_id]] for row in rows)
    assert all(row.confidence is not None and 0 < row.confidence <= 1 for row in rows)


def test_a_persons_answer_stands_with_their_name_and_without_a_probability(gallery: Gallery) -> None:
    image = gallery.collection.images.get(number=5)
    actions.correct(gallery.run, gallery.owner, [image.pk], 0)
    actions.correct(gallery.run, gallery.stranger, [image.pk], 4)
    rows = list(standing_labels(gallery.run))
    assert (rows[5].label, rows[5].source, rows[5].author) == ("four", "person", "charlie")
    assert rows[5].confidence is rows[5].margin is None
    assert [row.source for row in rows].count("person") == 1
    assert len(rows) == 60


def test_an_undone_answer_does_not_stand(gallery: Gallery) -> None:
    image = gallery.collection.images.get(number=59)
    actions.correct(gallery.run, gallery.owner, [image.pk], 0)
    actions.undo(gallery.run, gallery.owner)
    assert {row.source for row in standing_labels(gallery.run)} == {"model"}


def test_it_asks_the_database_a_fixed_number_of_times(gallery: Gallery) -> None:
    run = type(gallery.run).objects.select_related("class_list_version").get(pk=gallery.run.pk)
    actions.confirm(run, gallery.owner, gallery.collection.images.values_list("pk", flat=True))
    with CaptureQueriesContext(connection, ) as queries:
        assert {row.source for row in standing_labels(run)} == {"person"}
    assert len(queries) == 2


def test_a_named_cluster_is_the_label(gallery: Gallery) -> None:
    row = next(standing_labels(gallery.clusters))
    actions.name_cluster(gallery.clusters, gallery.owner, row.class_index, "zeros")
    assert next(standing_labels(gallery.clusters)).label == "zeros"


def test_the_csv_has_the_columns_and_every_image(gallery: Gallery) -> None:
    image = gallery.collection.images.get(number=1)
    actions.correct(gallery.run, gallery.owner, [image.pk], 6)
    rows = list(csv.DictReader(io.StringIO("".join(labels_csv(gallery.run)), newline="")))
    assert list(rows[0]) == ["path", "label", "confidence", "margin", "source"]
    assert len(rows) == 60
    assert rows[1] == {"path": "digits/0001.png", "label": "six", "confidence": "", "margin": "", "source": "person"}
    assert 0 < float(rows[0]["confidence"]) <= 1


def test_the_jsonl_is_an_object_a_line(gallery: Gallery) -> None:
    rows = [json.loads(line) for line in "".join(labels_jsonl(gallery.run)).splitlines()]
    assert len(rows) == 60
    assert set(rows[0]) == {"path", "label", "confidence", "margin", "source", "author"}


@pytest.mark.parametrize("path", ["=cmd|' /C calc'!A0.png", "+1.png", "-1.png", "@SUM(1).png", "\tx.png", "\rx.png"])
def test_a_name_that_a_spreadsheet_would_run_is_guarded_in_csv_only(gallery: Gallery, path: str) -> None:
    gallery.collection.images.filter(number=0).update(path=path)
    row = next(csv.DictReader(io.StringIO("".join(labels_csv(gallery.run)), newline="")))
    assert row["path"] == f"'{path}"
    assert json.loads(next(labels_jsonl(gallery.run)).splitlines()[0])["path"] == path


def test_an_ordinary_name_is_not_changed() -> None:
    assert guard_formula("a=b/1-2.png") == "a=b/1-2.png"
