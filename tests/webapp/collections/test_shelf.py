"""Storing what was read: numbers without gaps, and duplicates that point at their first."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.webapp.collections.pictures import png, zipped
from webapp.collections.models import Image


@pytest.mark.parametrize("sent", [{"a.png": png(1)}, {"b.png": png(2), "c.png": png(1)}])
def test_no_question_asked_for_each_file_goes_through_the_whole_collection(brought, sent):
    brought("first.zip", zipped({"a.png": png(1)}))
    with CaptureQueriesContext(connection) as asked:
        brought("more.zip", zipped(sent))
    about_content = [one["sql"] for one in asked.captured_queries
                     if one["sql"].startswith("SELECT") and '"sha256" ' in one["sql"].partition("WHERE")[2]]
    assert len(about_content) >= len(sent)
    with connection.cursor() as cursor:
        for sql in about_content:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            assert "sha256=?" in str(cursor.fetchall()), sql


def test_exact_duplicates_are_linked_and_share_their_files(brought):
    brought("a.png", png(1))
    brought("more.zip", zipped({"b.png": png(1), "c.png": png(2), "d.png": png(2)}))
    a, b, c, d = Image.objects.order_by("number")
    assert (a.duplicate_of, b.duplicate_of, c.duplicate_of, d.duplicate_of) == (None, a, None, c)
    assert b.file == a.file
    assert b.path == "b.png"


def test_numbers_go_on_over_several_uploads(brought):
    for number in range(3):
        brought(f"{number}.png", png(number))
    assert list(Image.objects.values_list("number", flat=True)) == [0, 1, 2]
