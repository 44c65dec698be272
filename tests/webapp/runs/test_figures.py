"""What is shown beside a figure measured on known answers: the baseline's on the same images, or nothing."""

from __future__ import annotations

import pytest

from tests.webapp.runs import rows
from webapp.runs import figures

pytestmark = pytest.mark.django_db


@pytest.fixture
def baseline(collection):
    return rows.run(collection, "zeroshot", result=rows.result(measured={"accuracy": 0.8}, held_out={"accuracy": 0.7}))


def taught(baseline, **beside):
    """Return a Semi-MAE run that learnt from twelve labels."""
    return rows.run(baseline.collection, "semimae", baseline=baseline, result=rows.result(
        measured={"accuracy": 0.9}, held_out={"accuracy": 0.6}, taught=list(range(12)),
        baseline={"run": baseline.pk, "label_free_score": 0.5, **beside}))


def headline(run):
    return figures.headline(run).replace("\xa0", " ")


def test_a_run_that_learnt_from_labels_stands_beside_its_baseline_on_the_other_images(baseline):
    run = taught(baseline, measured={"accuracy": 1.0})
    assert [(one.own, one.baseline) for one in figures.measures(run)] == [(90.0, 100.0)]
    assert headline(run) == "Measured 90.0 % right where the answers are known; Zero-shot had 100.0 %."


@pytest.mark.parametrize("beside", [{}, {"measured": None}], ids=["of an older release", "not all answered"])
def test_where_the_baseline_was_not_measured_on_the_same_images_it_has_no_figure(baseline, beside):
    run = taught(baseline, **beside)
    assert [(one.own, one.baseline) for one in figures.measures(run)] == [(90.0, None)]
    assert headline(run) == "Measured 90.0 % right where the answers are known."


def test_no_label_is_learnt_of_the_held_out_part_and_both_are_measured_on_it(baseline):
    assert [(one.own, one.baseline) for one in figures.measures(taught(baseline), "held_out")] == [(60.0, 70.0)]


def test_a_run_that_learnt_from_no_label_stands_beside_its_baseline_s_own_figures(baseline):
    run = rows.run(baseline.collection, baseline=baseline, result=rows.result(measured={"accuracy": 0.9}))
    assert [one.baseline for one in figures.measures(run)] == [80.0]
