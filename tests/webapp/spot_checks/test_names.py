"""Names in a spot check: clusters checked by those they were given, and labels corrected by a person's."""

from __future__ import annotations

import csv
import io

import pytest

from core.errors import DataError
from tests.webapp.review.gallery import NAMES, Gallery
from tests.webapp.spot_checks.answering import Verdict, answer_all
from webapp.review import actions
from webapp.review.labels import labels_csv
from webapp.review.names import class_names
from webapp.runs.models import Run
from webapp.spot_checks import samples
from webapp.spot_checks.models import SpotCheck
from webapp.spot_checks.outcome import outcome

pytestmark = pytest.mark.django_db


def answer_by_group(run: Run, gallery: Gallery, said: dict[int, int]) -> tuple[SpotCheck, list[int]]:
    """Name the groups of a run, sample all its images and answer as it does, but for the groups that `said` swaps.

    Returns:
        The sample, and the group of each of its images.
    """
    for index, name in enumerate(NAMES):
        actions.name_cluster(run, gallery.owner, index, name)
    check = samples.start(run, gallery.owner, 60, "uniform")
    group_of = dict(run.predictions.values_list("image_id", "class_index"))
    groups = [group_of[one.image_id] for one in check.sampled.all()]
    for place, group in enumerate(groups):
        assert samples.answer(check, place, Verdict.NAMED, said.get(group, group))
    return check, groups


def labels_of(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(labels_csv(run)))))


def test_no_label_changes_until_the_person_says_so_and_that_can_be_undone(gallery: Gallery) -> None:
    before = labels_of(gallery.run)
    check = samples.start(gallery.run, gallery.owner, 10, "uniform")
    answer_all(check, gallery)
    assert labels_of(gallery.run) == before
    measured = outcome(check).measured
    samples.adopt(check, gallery.owner)
    by_person = [row for row in labels_of(gallery.run) if row["source"] == "person"]
    assert len(by_person) == 10
    assert outcome(SpotCheck.objects.get()).measured == measured  # of the model, not of the corrected labels
    actions.undo(gallery.run, gallery.owner)
    assert labels_of(gallery.run) == before


def test_clusters_are_checked_by_the_names_a_person_gave_them(gallery: Gallery) -> None:
    run = gallery.clusters
    assert "Name the clusters" in samples.obstacle(run)
    with pytest.raises(DataError, match="Name the clusters"):
        samples.start(run, gallery.owner, 10, "uniform")
    for index in (0, 1, 2):
        actions.name_cluster(run, gallery.owner, index, "round" if index < 2 else "straight")
    assert samples.choices(run) == [(0, "round"), (2, "straight")]
    check = samples.start(run, gallery.owner, 60, "uniform")
    predicted = dict(run.predictions.values_list("image_id", "class_index"))
    for one in check.sampled.all():
        samples.answer(check, one.place, Verdict.NAMED, 0)
    found, named = outcome(check).measured, [index for index in predicted.values() if index < 2]
    assert found is not None and found.accuracy == pytest.approx(len(named) / 60)  # two clusters, one name
    assert class_names(run)[3] == "cluster 4"


def test_what_was_said_stays_said_when_a_group_is_called_otherwise(gallery: Gallery) -> None:
    run = gallery.clusters
    check, groups = answer_by_group(run, gallery, {0: 1, 1: 0})
    actions.name_cluster(run, gallery.owner, 0, NAMES[1])
    found = outcome(check)
    assert {0, 1} <= set(groups)
    assert found.measured is not None and found.measured.accuracy == pytest.approx(1 - groups.count(1) / 60)
    assert {(one.person, one.answered) for one in found.mistakes} == {(NAMES[0], NAMES[1])}


def test_two_names_that_were_mixed_up_are_right_once_they_are_swapped(gallery: Gallery) -> None:
    run = gallery.clusters
    check, groups = answer_by_group(run, gallery, {0: 1, 1: 0})
    mixed_up = outcome(check).measured
    assert mixed_up is not None and mixed_up.accuracy == pytest.approx(1 - (groups.count(0) + groups.count(1)) / 60)
    actions.name_cluster(run, gallery.owner, 0, NAMES[1])
    actions.name_cluster(run, gallery.owner, 1, NAMES[0])
    found = outcome(check)
    assert found.measured is not None and (found.measured.accuracy, found.mistakes) == (1.0, ())


def test_corrections_are_made_of_the_names_that_were_given(gallery: Gallery) -> None:
    run = gallery.clusters
    check, groups = answer_by_group(run, gallery, {0: 1, 1: 0})
    actions.name_cluster(run, gallery.owner, 0, NAMES[1])
    samples.adopt(check, gallery.owner)
    by_person = [row["label"] for row in labels_of(run) if row["source"] == "person"]
    assert len(by_person) == 60 - groups.count(1), "no group is called so any more: nothing to correct to"
    assert by_person.count(NAMES[1]) == groups.count(0) and NAMES[0] not in by_person


def test_where_no_name_that_was_given_is_left_nothing_is_corrected(gallery: Gallery) -> None:
    check, _ = answer_by_group(gallery.clusters, gallery, dict.fromkeys(range(10), 0))
    actions.name_cluster(gallery.clusters, gallery.owner, 0, "nought")
    with pytest.raises(DataError, match="nothing to correct"):
        samples.adopt(check, gallery.owner)
    assert SpotCheck.objects.get().adopted is None
