"""What a run's page says of its answers: beside the baseline, on known answers, by an estimate; and its alarms."""

from __future__ import annotations

import re
from dataclasses import asdict, replace

import pytest
from django.urls import reverse

from core.catalog import parse
from core.evaluation import estimate
from core.evaluation.estimate import Calibration, Line
from tests.webapp.runs import rows
from tests.webapp.runs.reading import text
from webapp.collections.models import TrueLabel
from webapp.runs.histograms import histogram
from webapp.runs.models import Run

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("histogram", "alarmed"), [([19, 1, 0], False), ([30, 4, 1], True), ([12, 14, 9], False)],
                         ids=["too few answers to tell", "nearly all in one class", "even"])
def test_a_run_that_crowds_its_images_is_called_a_collapse_while_it_runs(histogram, alarmed, collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(histogram=(30, 20, 10)))
    mine = rows.run(collection, status="running", baseline=baseline, histogram=histogram)
    assert ("may be collapsing" in page(mine)) is alarmed


@pytest.mark.parametrize(("step", "terms", "is_alarmed"), [
    (50, {"contrast": 5.0, "spread": 0.001}, True), (50, {"contrast": 5.0, "spread": 0.07}, False),
    (50, {"reconstruction": 0.4}, False), (5, {"contrast": 5.0, "spread": 0.001}, False)],
    ids=["all but one", "apart", "not known", "too early"])
def test_an_encoder_that_sees_no_difference_any_more_is_called_a_collapse(collection, page, step, terms, is_alarmed):
    mine = rows.run(collection, "maect", status="running", step=step, total=100)
    mine.points.create(step=1, terms={"spread": 0.9})
    mine.points.create(step=step, terms=terms)
    assert ("may be collapsing: what it makes of different images all but coincides" in text(page(mine))) is is_alarmed
    assert "answers are kept" not in text(page(mine)), "it has no baseline"


def test_a_run_that_learns_from_labels_may_be_as_uneven_as_they_are(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(histogram=(30, 20, 10)))
    mine = rows.run(collection, "semimae", status="running", baseline=baseline, histogram=[30, 4, 1])
    assert "may be collapsing" not in page(mine)
    named = rows.run(collection, "turtle", status="running", baseline=baseline, histogram=[30, 4, 1],
                     settings=asdict(parse("turtle", {"names_from_labels": True})))
    assert "may be collapsing" in page(named), "groups that labels only name are no less crowded for it"
    found = rows.result(0.9, histogram=(50, 9, 1)) | {"taught": [1]}
    for method, settings, refused in (("semimae", {}, False), ("kmeans", {"names_from_labels": True}, True),
                                      ("maect", {"classifier_from": "labels"}, False)):
        mine = rows.run(collection, method, baseline=baseline, result=found, settings=asdict(parse(method, settings)))
        assert ("Keep the baseline" in text(page(mine))) is refused, method
    lost = rows.run(collection, "semimae", status="running", baseline=baseline, histogram=[34, 1, 0])
    assert "may be collapsing: it answers 2 of 3 classes" in text(page(lost))


def test_the_result_is_compared_with_the_baseline(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(0.8, (30, 20, 10)))
    compared = {"run": baseline.pk, "label_free_score": 0.8, "histogram": [30, 20, 10], "agreement": 0.66}
    mine = rows.run(collection, baseline=baseline, result=rows.result(0.9, baseline=compared, refused=2))
    shown = text(page(mine))
    assert "MUST sorted 60 images into 3 of 3 classes; label-free score 90.0, Zero-shot 80.0." in shown
    assert "66 % answered as the baseline did" in shown
    assert "2 files refused" in shown
    assert "Keep" not in shown and "better than" not in shown
    assert "accuracy" not in shown


@pytest.mark.parametrize(("histogram", "found", "reason"), [
    ((58, 1, 1), 3, "it crowds the images into fewer classes than the baseline: 58 in the largest"),
    ((30, 30, 0), 2, "it answers 2 of 3 classes, the baseline 3")])
def test_a_run_that_collapses_is_never_called_better_and_the_baseline_is_offered(collection, page, histogram, found,
                                                                                 reason):
    baseline = rows.run(collection, "zeroshot", result=rows.result(0.8))
    html = page(rows.run(collection, baseline=baseline, result=rows.result(0.99, histogram)))
    assert f"into {found} of 3 classes. Keep the baseline." in text(html)
    assert f"<strong>Keep the baseline</strong>: {reason}, as runs did that lost right answers" in html
    assert f'href="{reverse("runs:detail", args=[baseline.pk])}">See the Zero-shot result' in html


def test_groups_that_another_encoder_can_hardly_repeat_are_not_offered_in_place_of_the_baseline(collection, page):
    first, found = (rows.result(0.9) | {"signals": {"second_opinion": opinion}} for opinion in (0.66, 0.6))
    html = page(rows.run(collection, "turtle", baseline=rows.run(collection, "kmeans", result=first), result=found))
    assert "<strong>Keep the baseline</strong>: an encoder that took no part can repeat 60 % of these groups" in html


def test_names_that_fit_no_groups_let_neither_result_be_trusted(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(0.8) | {"signals": {"group_agreement": 0.4}})
    found = rows.result(0.9)
    shown = text(page(rows.run(collection, baseline=baseline, result=found)))
    assert "classes. Trust neither this nor the baseline before a spot check." in shown
    assert "the class names hardly fit the groups that the images form by themselves" in shown
    taught = rows.run(collection, "semimae", baseline=baseline, result=found | {"taught": [1]})
    assert "Trust neither" not in text(page(taught)), "it learnt from a person, not from those names"


def test_what_was_measured_is_called_measured(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(0.8, measured={"accuracy": 0.61, "nmi": 0.5}))
    mine = rows.run(collection, baseline=baseline, result=rows.result(0.9, measured={"accuracy": 0.872, "nmi": 0.79}))
    shown = text(page(mine)).replace("\xa0", " ")
    assert "Measured 87.2 % right where the answers are known; Zero-shot had 61.0 %." in shown
    assert "0.79" in shown
    for place in [match.start() for match in re.finditer("accuracy", shown)]:
        assert shown[:place].rstrip().endswith("measured"), shown[place - 40:place]


def measured_beside(collection, own_right, baseline_right):
    """Return a run and its baseline, zero-shot, that are right on so many of sixty images, the first ones."""
    rows.truth(collection, [0] * 60)
    baseline, mine = (
        rows.answered(rows.run(collection, method, result=rows.result(measured={"accuracy": right / 60})),
                      [0] * right + [1] * (60 - right))
        for method, right in (("zeroshot", baseline_right), ("must", own_right)))
    Run.objects.filter(pk=mine.pk).update(baseline=baseline)
    return Run.objects.get(pk=mine.pk), baseline


@pytest.mark.parametrize(("own", "beside", "is_chance"), [(20, 22, True), (20, 40, False)])
def test_a_baseline_that_had_more_right_is_named_and_linked(collection, page, own, beside, is_chance):
    mine, baseline = measured_beside(collection, own, beside)
    html = page(mine)
    shown = text(html).replace("\xa0", " ")
    assert f"Measured {own / 0.6:.1f} % right on 60 images whose answers are known; Zero-shot had" in shown
    assert f"Zero-shot had more right : {beside / 0.6:.1f} % beside {own / 0.6:.1f} %" in shown
    assert ("So small a difference may be chance." in shown) is is_chance
    assert f'href="{reverse("runs:detail", args=[baseline.pk])}">See the Zero-shot result' in html


def test_a_run_that_had_more_right_is_not_warned_of(collection, page):
    assert "had more right" not in page(measured_beside(collection, 40, 20)[0])


def test_answers_that_were_changed_since_are_not_counted(collection, page):
    mine, _ = measured_beside(collection, 40, 20)
    TrueLabel.objects.filter(image__number__lt=10).delete()
    assert "right where the answers are known" in page(mine)


def test_the_bars_of_a_baseline_that_forms_groups_add_up_and_the_page_says_how_they_are_matched(alice, page):
    unnamed = rows.collection(alice, 12, names=(), num_classes=3)
    baseline = rows.answered(rows.run(unnamed, "kmeans", result=rows.result(histogram=(6, 5, 1))),
                             [0] * 6 + [1] * 5 + [2])
    mine = rows.answered(rows.run(unnamed, "turtle", baseline=baseline, result=rows.result(histogram=(12, 0, 0))),
                         [0] * 12)
    bars = histogram(mine).bars
    assert [bar.count for bar in bars] == [12, 0, 0]
    assert sorted(bar.baseline_count for bar in bars) == [1, 5, 6]
    assert bars[0].baseline_count == 6
    assert "k-means has groups of its own: each stands beside one of this run’s" in page(mine)


def test_a_baseline_that_answers_in_the_same_names_is_not_said_to_be_matched(collection, page):
    baseline = rows.run(collection, "zeroshot")
    assert "groups of its own" not in page(rows.run(collection, baseline=baseline))


def test_the_result_says_that_duplicates_count_once(collection, page):
    first = collection.images.first()
    collection.images.filter(number=1).update(file=first.file, sha256=first.sha256, duplicate_of=first)
    mine = rows.run(collection, result=rows.result(histogram=(20, 25, 14)))
    rows.answer(mine)
    assert "59 different images (1 duplicate counts once)" in text(page(mine))


def test_the_held_out_part_is_measured_apart(collection, page):
    mine = rows.run(collection, result=rows.result(measured={"accuracy": 0.9}, held_out={"accuracy": 0.75}))
    shown = text(page(mine)).replace("\xa0", " ")
    assert "Measured 90.0 % right" in shown
    assert "Measured on the held-out part" in shown
    assert "75.0 %" in shown


def test_dead_and_swallowing_classes_raise_an_alarm(collection, page):
    shown = text(page(rows.run(collection, result=rows.result(histogram=(57, 3, 0)))))
    assert "1 of 3 classes has no image: owl." in shown
    many = rows.run(collection, result=rows.result(histogram=(570, *[10] * 10)) | {"class_names": []},
                    class_list_version=None, num_classes=11)
    assert "cluster 1 holds 85 % of the images." in text(page(many))


def test_what_should_be_read_before_the_figures_stands_there(collection, page):
    kept = rows.run(collection, result=rows.result(notes=["Zero-shot was kept."]))
    assert '<p class="notice warning">Zero-shot was kept.</p>' in page(kept)


@pytest.fixture
def calibrated(monkeypatch):
    """Let estimates hold whose odds are their sign's."""
    lines = {"nuclear_norm": Line(intercept=0.0, slope=1.0),
             "baseline_group_agreement": Line(intercept=0.0, slope=1.0, weight=1e-9)}
    found = Calibration(lines=lines, half_width=0.05, error=0.04, covered=0.9, collections=8, results=40,
                        kind="names", backbone="starter-clip", methods=("must", "zeroshot"), fewest=3, most=10)
    opinion = {"second_opinion": lines["nuclear_norm"]}
    of_groups = replace(found, lines=opinion, kind="groups", methods=("kmeans", "turtle"))
    of_labels = replace(found, lines=opinion, kind="labels", backbone="starter-mae", methods=("semimae",))
    monkeypatch.setattr(estimate, "read", lambda: (found, of_groups, of_labels))


def sure(share, **more):
    return rows.result(**more) | {"signals": {"nuclear_norm": share, "group_agreement": 0.5, "classes": 3.0}}


def test_an_estimate_that_holds_is_drawn_with_its_ends_beside_the_baselines(calibrated, collection, page):
    baseline = rows.run(collection, "zeroshot", result=sure(0.60))
    html = page(rows.run(collection, baseline=baseline, result=sure(0.85)))
    shown = text(html)
    assert "Estimated 80–90 % right; Zero-shot 55–65 %." in shown
    assert "85 % 80–90 %" in shown and "60 % 55–65 %" in shown and html.count('class="interval"') == 2
    assert "Estimated accuracy, and where it lies in nine of ten cases" in shown
    assert "no estimate without labels" not in shown


def test_of_groups_it_says_that_they_have_no_names(calibrated, collection, page):
    shown = [{"signals": {"second_opinion": share, "classes": 3.0}} for share in (0.6, 0.7)]
    baseline = rows.run(collection, "kmeans", result=rows.result() | shown[0], settings={"spaces": "starter-clip"})
    said = text(page(rows.run(collection, "turtle", result=rows.result() | shown[1], baseline=baseline,
                              settings={"spaces": "starter-clip"})))
    assert "Estimated 65–75 % in the right group; k-means 55–65 %." in said
    assert "Estimated accuracy once each group bears the name that fits it best" in said


@pytest.mark.parametrize(("opinion", "is_kept"), [(0.55, True), (0.65, False)])
def test_what_learnt_from_few_labels_is_held_against_what_is_estimated_of_the_baseline(
        calibrated, collection, page, opinion, is_kept):
    found = rows.result() | {"signals": {"second_opinion": opinion, "classes": 3.0}, "taught": [1]}
    baseline = rows.run(collection, "zeroshot", result=sure(0.60))
    taught = rows.run(collection, "semimae", result=found, baseline=baseline, settings={"backbone": "starter-mae"})
    shown = text(page(taught)).replace("\xa0", " ")
    assert ("Keep the baseline" in shown) is is_kept
    if is_kept:
        assert "fewer of these answers are estimated right than of the baseline" in shown
    else:
        assert "Estimated 60–70 % right; Zero-shot 55–65 %." in shown


def test_of_groups_whose_number_nobody_gave_nothing_is_estimated(calibrated, collection, page):
    found = rows.result() | {"signals": {"second_opinion": 0.7, "classes": 3.0}}
    asked = {"settings": {"spaces": "starter-clip"}, "class_list_version": None}
    assert "in the right group" in text(page(rows.run(collection, "turtle", result=found, num_classes=3, **asked)))
    assert "Estimated" not in text(page(rows.run(collection, "turtle", result=found, num_classes=None, **asked)))


def test_nothing_is_estimated_of_what_was_not_calibrated(calibrated, collection, page):
    others = {"backbone": "clip-vit-b32"}
    of_an_earlier_release = rows.run(collection, "zeroshot", result=rows.result())
    for mine in (rows.run(collection, settings=others, result=sure(0.85)),
                 rows.run(collection, result=sure(0.85), start_from=rows.run(collection, result=sure(0.85))),
                 rows.run(collection, result=sure(0.85), baseline=of_an_earlier_release),
                 rows.run(collection, result=rows.result())):
        shown = text(page(mine))
        assert "Estimated" not in shown and "no estimate without labels" in shown


def test_a_run_that_should_not_replace_its_baseline_is_not_praised_by_an_estimate(calibrated, collection, page):
    baseline = rows.run(collection, "zeroshot", result=sure(0.60))
    shown = text(page(rows.run(collection, baseline=baseline, result=sure(0.85, histogram=(60, 0, 0)))))
    assert "Keep the baseline." in shown and "Estimated 80" not in shown
