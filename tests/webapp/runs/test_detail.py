from __future__ import annotations

import re
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from core.catalog import parse
from core.evaluation import estimate
from core.evaluation.estimate import Calibration, Line
from tests.webapp.runs import rows
from webapp.review.models import ClusterName, ReviewAction
from webapp.runs.models import ProgressPoint, Run
from webapp.runs.presence import beat

pytestmark = pytest.mark.django_db
LOG = ("2026-11-20 18:01:02 attempt 1 of 3 begins on box\n2026-11-20 18:01:03 stage: reading images\n"
       "2026-11-20 18:01:09 stage: adapting\n")


@pytest.fixture
def page(signed_in):
    def get(run, name="detail"):
        answer = signed_in.get(reverse(f"runs:{name}", args=[run.pk]))
        assert answer.status_code == 200
        return answer.content.decode()
    return get


def text(html):
    """Return what a person reads."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_queued_run_shows_its_place(collection, page):
    now = timezone.now()
    beat("gpu.1@box", "gpu")
    rows.run(collection, status="running")
    rows.run(collection, status="queued", queued_at=now - timedelta(minutes=2))
    mine = rows.run(collection, status="queued", queued_at=now)
    shown = text(page(mine))
    assert "Number 2 in the queue; ahead of it: 1 running and 1 waiting." in shown
    assert "make worker" not in shown
    assert "Cancel the run" in shown


def test_a_queued_run_says_that_no_worker_is_there_and_how_to_start_one(collection, page):
    mine = rows.run(collection, status="queued")
    assert "No worker has been heard of yet. Start one with “make worker”" in text(page(mine))
    beat("gpu.1@box", "gpu")
    from webapp.runs.models import WorkerBeat

    WorkerBeat.objects.update(seen_at=timezone.now() - timedelta(minutes=30))
    assert "No worker has been heard of for 30 min." in text(page(mine))


@pytest.mark.parametrize(("histogram", "alarmed"), [([19, 1, 0], False), ([30, 4, 1], True), ([12, 14, 9], False)],
                         ids=["too few answers to tell", "nearly all in one class", "even"])
def test_a_run_that_crowds_its_images_is_called_a_collapse_while_it_runs(histogram, alarmed, collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(histogram=(30, 20, 10)))
    mine = rows.run(collection, status="running", baseline=baseline, histogram=histogram)
    assert ("may be collapsing" in page(mine)) is alarmed


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


def test_a_running_run_shows_where_it_is(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(histogram=(30, 20, 10)))
    mine = rows.run(collection, status="running", baseline=baseline, stage="adapting", step=30, total=120, log=LOG,
                    images_per_second=97.4, seconds_left=200, histogram=[10, 20, 30],
                    samples=[[collection.images.first().pk, 2, 0.873], [10**9, 0, 0.5]])
    html = page(mine)
    shown = text(html)
    for words in ("25 %", "3 min 20 s left, about", "97 images a second", "adapting", "owl 87 %", "Zero-shot baseline"):
        assert words in shown
    assert html.count("<figure>") == 1  # the picture that was deleted meanwhile is left out
    assert re.findall(r'<li class="(\w+)"[^>]*>([\w ]+)</li>', html)[:4] == [
        ("done", "queued"), ("done", "reading images"), ("current", "adapting"), ("ahead", "result")]
    assert f'hx-get="{reverse("runs:live", args=[mine.pk])}"' in html


def test_the_live_part_is_what_the_page_shows(collection, page):
    mine = rows.run(collection, status="running", stage="adapting", step=30, total=120, log=LOG)
    part = page(mine, "live")
    assert "<html" not in part
    assert "25 %" in text(part)
    assert 'id="log" hx-swap-oob="true"' in part
    assert "attempt 1 of 3 begins on box" in part


def test_the_live_part_of_a_run_that_ended_asks_for_the_whole_page(collection, signed_in):
    for status in ("succeeded", "failed", "cancelled"):
        answer = signed_in.get(reverse("runs:live", args=[rows.run(collection, status=status).pk]))
        assert answer.headers["HX-Refresh"] == "true"
        assert answer.content == b""


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_run_that_ended_polls_no_more(collection, page, status):
    assert "hx-trigger" not in page(rows.run(collection, status=status))


def test_a_silent_worker_is_named(collection, page):
    mine = rows.run(collection, status="running", heartbeat_at=timezone.now() - timedelta(seconds=35))
    assert "The worker has not been heard of for 35 s." in text(page(mine))


def test_a_run_asked_to_stop_says_so_and_offers_no_second_button(collection, page):
    shown = text(page(rows.run(collection, status="running", cancel_requested=True)))
    assert "Stopping at the worker’s next report." in shown
    assert "Cancel the run" not in shown


def test_a_failed_run_shows_the_reason_and_offers_another_try_only_where_it_can_help(collection, page):
    hopeless = text(page(rows.run(collection, status="failed", error="epochs: too many.")))
    assert "epochs: too many." in hopeless
    assert "Try again" not in hopeless
    assert "would fail the same way" in hopeless
    assert "Try again" in text(page(rows.run(collection, status="failed", error="The disk is full.", retryable=True)))


def test_a_cancelled_run_says_when(collection, page):
    assert "was cancelled after 5 min" in text(page(rows.run(collection, status="cancelled")))
    assert "was cancelled before it began" in text(page(rows.run(collection, status="cancelled", started_at=None)))


def test_the_result_is_compared_with_the_baseline(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(0.8, (30, 20, 10)))
    compared = {"run": baseline.pk, "label_free_score": 0.8, "histogram": [30, 20, 10], "agreement": 0.66}
    mine = rows.run(collection, baseline=baseline, result=rows.result(0.9, baseline=compared, refused=2))
    shown = text(page(mine))
    assert "MUST sorted 60 images into 3 of 3 classes; label-free score 90.0, Zero-shot 80.0." in shown
    assert "66 % answered as the baseline did" in shown
    assert "2 images refused" in shown
    assert "Keep" not in shown and "better than" not in shown
    assert "accuracy" not in shown


@pytest.mark.parametrize(("histogram", "reason"), [
    ((58, 1, 1), "it crowds the images into fewer classes than the baseline: 58 in the largest"),
    ((30, 30, 0), "it answers 2 of 3 classes, the baseline 3")])
def test_a_run_that_collapses_is_never_called_better_and_the_baseline_is_offered(collection, page, histogram, reason):
    baseline = rows.run(collection, "zeroshot", result=rows.result(0.8))
    html = page(rows.run(collection, baseline=baseline, result=rows.result(0.99, histogram)))
    assert "into 3 of 3 classes. Keep the baseline." in text(html) or "into 2 of 3 classes. Keep the" in text(html)
    assert f"<strong>Keep the baseline</strong>: {reason}, as runs did that lost right answers" in html
    assert f'href="{reverse("runs:detail", args=[baseline.pk])}">See the Zero-shot result' in html


def test_names_that_fit_no_groups_let_neither_result_be_trusted(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(0.8) | {"signals": {"group_agreement": 0.4}})
    found = rows.result(0.9)
    shown = text(page(rows.run(collection, baseline=baseline, result=found)))
    assert "classes. Trust neither this nor the baseline before a spot check." in shown
    assert "the class names hardly fit the groups that the images form by themselves" in shown
    taught = rows.run(collection, "semimae", baseline=baseline, result=found | {"taught": [1]})
    assert "Trust neither" not in text(page(taught)), "it learnt from a person, not from those names"


def test_names_that_groups_were_given_are_called_guessed(collection, page):
    shown = text(page(rows.run(collection, "turtle")))
    assert "TURTLE sorted 60 images into 3 of 3 groups with guessed names" in shown
    assert "guessed for its groups" in shown and "A group can be renamed in Review." in shown
    assert "guess" not in text(page(rows.run(collection)))
    fitted = text(page(rows.run(collection, "maect", settings={"classifier_from": "labels"})))
    assert "MAE-CT sorted 60 images into 3 of 3 classes" in fitted and "guess" not in fitted


def test_what_was_measured_is_called_measured(collection, page):
    baseline = rows.run(collection, "zeroshot", result=rows.result(0.8, measured={"accuracy": 0.61, "nmi": 0.5}))
    mine = rows.run(collection, baseline=baseline, result=rows.result(0.9, measured={"accuracy": 0.872, "nmi": 0.79}))
    shown = text(page(mine)).replace("\xa0", " ")
    assert "Measured 87.2 % right where the answers are known; Zero-shot had 61.0 %." in shown
    assert "0.79" in shown
    for place in [match.start() for match in re.finditer("accuracy", shown)]:
        assert shown[:place].rstrip().endswith("measured"), shown[place - 40:place]


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


def test_what_a_run_began_with_is_said_and_linked(collection, page):
    tuned = rows.run(collection, "maect")
    html = page(rows.run(collection, "semimae", start_from=tuned))
    assert f'begun with <a href="{reverse("runs:detail", args=[tuned.pk])}">MAE-CT run {tuned.pk}</a>' in html


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


def test_points_come_once_and_in_the_order_they_were_written(collection, signed_in):
    mine = rows.run(collection, status="running")
    for step in (0, 5, 10, 5):
        ProgressPoint.objects.create(run=mine, step=step, terms={"loss": step / 10})
    address = reverse("runs:points", args=[mine.pk])
    first = signed_in.get(address).json()
    assert first["points"] == [[0, {"loss": 0.0}], [5, {"loss": 0.5}], [10, {"loss": 1.0}], [5, {"loss": 0.5}]]
    assert (first["more"], first["terminal"]) == (False, False)
    ProgressPoint.objects.create(run=mine, step=15, terms={"loss": 1.5})
    following = signed_in.get(address, {"after": first["after"]}).json()
    assert following["points"] == [[15, {"loss": 1.5}]]
    Run.objects.filter(pk=mine.pk).update(status="succeeded", finished_at=timezone.now(), lease_token="")
    last = signed_in.get(address, {"after": following["after"]}).json()
    assert (last["points"], last["terminal"], last["after"]) == ([], True, following["after"])


@pytest.mark.parametrize("after", ["-1", "x", "²", "9" * 30])
def test_a_malformed_cursor_is_refused(collection, signed_in, after):
    assert signed_in.get(reverse("runs:points", args=[rows.run(collection).pk]), {"after": after}).status_code == 400


def test_long_plots_come_in_pages(collection, signed_in, monkeypatch):
    monkeypatch.setattr("webapp.runs.views.POINTS_A_PAGE", 2)
    mine = rows.run(collection)
    ProgressPoint.objects.bulk_create([ProgressPoint(run=mine, step=step, terms={}) for step in range(3)])
    first = signed_in.get(reverse("runs:points", args=[mine.pk])).json()
    assert (len(first["points"]), first["more"]) == (2, True)
    second = signed_in.get(reverse("runs:points", args=[mine.pk]), {"after": first["after"]}).json()
    assert (len(second["points"]), second["more"]) == (1, False)


def test_a_method_that_is_no_more_still_has_its_page(collection, page):
    old = rows.run(collection)
    Run.objects.filter(pk=old.pk).update(method="forgotten")
    old.refresh_from_db()
    assert "forgotten" in page(old)


@pytest.fixture
def calibrated(monkeypatch):
    """Let estimates hold whose odds are their sign's."""
    lines = {"nuclear_norm": Line(intercept=0.0, slope=1.0),
             "baseline_group_agreement": Line(intercept=0.0, slope=1.0, weight=1e-9)}
    found = Calibration(lines=lines, half_width=0.05, error=0.04, covered=0.9, collections=8, results=40,
                        backbone="starter-clip", fewest=3, most=10)
    monkeypatch.setattr(estimate, "read", lambda: {"names": found})


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
