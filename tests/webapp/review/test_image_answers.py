"""What an image's page shows that the runs of its collection say of it."""

from __future__ import annotations

import re

import pytest
from django.utils import timezone

from tests.webapp.runs import rows
from webapp.collections.models import TrueLabel
from webapp.review.actions import confirm, correct, name_cluster, undo
from webapp.review.image_answers import NEWEST, answers_to
from webapp.runs.models import Prediction

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(alice):
    """A finished run that takes the first of three images for an owl."""
    made = rows.run(rows.collection(alice, 3), "zeroshot")
    answered(made, 2, 0.9)
    return made


def answered(run, class_index, confidence, image=0):
    Prediction.objects.create(run=run, image=run.collection.images.get(number=image), class_index=class_index,
                              confidence=confidence, margin=0.1, top=[[class_index, confidence]])


def said(run, number=0):
    return [(one.run.pk, one.name, one.confidence, one.author, one.instead_of)
            for one in answers_to(run.collection.images.get(number=number))]


def test_the_newest_run_comes_first_and_groups_bear_the_names_they_have_now(run, alice):
    groups = rows.run(run.collection, "kmeans", class_list_version=None, num_classes=3)
    answered(groups, 1, 0.5)
    name_cluster(groups, alice, 1, "barn owl")
    assert said(run) == [(groups.pk, "barn owl", 0.5, "", ""), (run.pk, "owl", 0.9, "", "")]
    assert said(run, 1) == []


def test_what_a_person_said_last_stands_until_it_is_undone(run, alice):
    bob = rows.person("bob")
    image = run.collection.images.get(number=0)
    confirm(run, alice, [image.pk])
    assert said(run) == [(run.pk, "owl", None, "alice", "")]
    correct(run, bob, [image.pk], 0)
    assert said(run) == [(run.pk, "cat", None, "bob", "owl")]
    undo(run, bob)
    assert said(run) == [(run.pk, "owl", None, "alice", "")]


def test_runs_in_the_trash_say_nothing_and_of_many_the_newest_are_listed(run):
    later = [rows.run(run.collection, "zeroshot") for _ in range(NEWEST)]
    for one in later:
        answered(one, 0, 0.5)
    assert [one[0] for one in said(run)] == [one.pk for one in reversed(later)]
    later[0].trashed_at = timezone.now()
    later[0].save(update_fields=["trashed_at"])
    assert said(run)[-1][0] == run.pk


def test_the_page_shows_answers_beside_what_is_known(run, client, alice):
    client.force_login(alice)
    image = run.collection.images.get(number=0)
    TrueLabel.objects.create(image=image, name="barn owl")
    page = client.get(f"/collections/{run.collection_id}/images/0/").content.decode()
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "Known to be barn owl ." in text and f"Zero-shot {run.pk} owl 90 %" in text
    correct(run, alice, [image.pk], 0)
    page = client.get(f"/collections/{run.collection_id}/images/0/").content.decode()
    assert "cat by alice, not owl" in " ".join(re.sub(r"<[^>]+>", " ", page).split())
    other = client.get(f"/collections/{run.collection_id}/images/1/").content.decode()
    assert "Known to be" not in other and 'class="answers"' not in other
