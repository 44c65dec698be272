"""The classes on a run's page: what they and the rows of its pictures are called, and a thousand of them."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from tests.webapp.runs import rows
from tests.webapp.runs.reading import text
from webapp.review.models import ClusterName, ReviewAction

pytestmark = pytest.mark.django_db


def test_names_that_groups_were_given_are_called_guessed(collection, page):
    shown = text(page(rows.run(collection, "turtle")))
    assert "TURTLE sorted 60 images into 3 of 3 groups with guessed names" in shown
    assert "guessed for its groups" in shown and "A group can be renamed in Review." in shown
    assert "guess" not in text(page(rows.run(collection)))
    fitted = text(page(rows.run(collection, "maect", settings={"classifier_from": "labels"})))
    assert "MAE-CT sorted 60 images into 3 of 3 classes" in fitted and "guess" not in fitted


def test_the_method_s_pictures_stand_there_with_their_words(collection, page, signed_in, stranger):
    mine = rows.run(collection, "kmeans")
    rows.picture(mine, b"a picture")
    html = page(mine)
    assert "Each row is one group." in html
    assert re.findall(r'<span title="\w+">(\w+)</span>', html) == ["cat", "owl"]
    address = reverse("runs:picture", args=[mine.pk, "typical"])
    assert f'<img src="{address}" alt="Nearest"' in html
    sent = signed_in.get(address)
    assert (sent.content, sent["Content-Type"]) == (b"a picture", "image/png")
    assert stranger.get(address).status_code == 404
    assert signed_in.get(reverse("runs:picture", args=[mine.pk, "another"])).status_code == 404


def test_a_picture_calls_its_rows_what_review_calls_them(alice, page):
    unnamed = rows.collection(alice, names=(), num_classes=3)
    mine = rows.run(unnamed, "kmeans", result=rows.result() | {"class_names": ["cat", "cluster 2", "owl"]})
    rows.picture(mine)
    assert "cat" in page(mine)
    naming = ReviewAction.objects.create(run=mine, author=alice, description="named")
    ClusterName.objects.create(action=naming, class_index=0, name="tabby")
    assert re.findall(r'<span title="\w+">(\w+)</span>', page(mine)) == ["tabby", "owl"]


def test_clusters_show_the_names_their_pictures_suggest(alice, page):
    unnamed = rows.collection(alice, names=(), num_classes=3)
    mine = rows.run(unnamed, "turtle", result=rows.result(suggested_names=[["ring", "wheel"], [], ["bird"]]) | {
        "class_names": ["cluster 1", "cluster 2", "cluster 3"]})
    shown = text(page(mine))
    assert "cluster 1 ring, wheel" in shown
    assert "cluster 3 bird" in shown


def test_a_thousand_classes_are_cut_to_the_largest(collection, page):
    shown = page(rows.run(collection, class_list_version=None, num_classes=1000,
                          result=rows.result(histogram=tuple(range(1000)))))
    assert shown.count('<rect class="own"') < 70
    assert "and 960 smaller classes" in shown


def test_names_are_escaped(alice, page):
    evil = rows.collection(alice, names=("<script>alert(1)</script>", "dog", "owl"), title="<b>bold</b>")
    html = page(rows.run(evil))
    assert "<script>alert" not in html
    assert "<b>bold" not in html
