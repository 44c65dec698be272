"""Runs side by side: figures, agreement by hand-made answers, the queue of disputes and a person's word in it."""

from __future__ import annotations

import pytest
from django.urls import reverse

from tests.webapp.runs import rows
from tests.webapp.runs.rows import answered
from webapp.review.labels import standing_labels
from webapp.review.queries import agreement
from webapp.runs import comparison, known_answers

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(collection):
    """Return zero-shot, MUST (both in words) and k-means (clusters numbered otherwise) on sixty images."""
    truth = [number % 3 for number in range(60)]
    result = rows.result(histogram=(20, 20, 20))
    zero_shot = answered(rows.run(collection, "zeroshot", result=result | {"label_free_score": 0.5}),
                         [0] * 12 + truth[12:])
    must = answered(rows.run(collection, "must", result=result | {"label_free_score": 0.9}, baseline=zero_shot), truth)
    clusters = answered(rows.run(collection, "kmeans", class_list_version=None, num_classes=3,
                                 result=result | {"label_free_score": 0.7}), [(one + 1) % 3 for one in truth])
    return zero_shot, must, clusters


def test_agreement_is_the_share_of_same_answers(three):
    zero_shot, must, _ = three
    assert agreement(must, zero_shot) == pytest.approx(52 / 60)  # 8 of the first 12 are not class 0


def test_clusters_are_matched_before_they_are_compared(three):
    _, must, clusters = three
    assert agreement(must, clusters) == agreement(clusters, must) == 1.0


def test_names_of_another_list_are_compared_by_name_and_not_matched(three, collection):
    _, must, _ = three
    turned = rows.class_list(collection.owner, ("newt", *reversed(rows.NAMES)), "another list")
    truth = [number % 3 for number in range(60)]
    opposite = answered(rows.run(collection, "zeroshot", class_list_version=turned, num_classes=4),
                        [3 - (one + 1) % 3 for one in truth])  # each answer is another animal's name
    assert agreement(must, opposite) == agreement(opposite, must) == 0.0


@pytest.mark.parametrize(("gained", "lost", "within"), [
    (0, 0, False), (3, 8, True), (1, 8, False), (0, 5, True), (0, 6, False),  # 5 of 5 by chance: 2 / 32
    (24_700, 25_300, False), (24_900, 25_100, True)])  # a large collection, told at once
def test_a_difference_may_be_chance_by_the_sign_test(gained, lost, within):
    known = known_answers.Known(images=100_000, gained=gained, lost=lost)
    assert known.is_within_chance is within


def test_the_match_is_that_under_which_most_images_agree(collection):
    first, second = [0] * 42 + [1] * 18, [0] * 24 + [1] * 18 + [0] * 18  # the largest overlap, 24, is not in it
    one, other = (answered(rows.run(collection, "kmeans", class_list_version=None, num_classes=2), answers)
                  for answers in (first, second))
    assert agreement(one, other) == agreement(other, one) == pytest.approx(36 / 60)


def test_runs_without_an_image_in_common_have_no_agreement(collection):
    assert agreement(rows.run(collection, "must"), rows.run(collection, "zeroshot")) is None


def test_the_table_has_each_run_with_each_other(three):
    found = comparison.table(three)
    assert [row.measures_best for row in found] == [False, False, False]  # nothing was measured
    assert [row.agreements[1] for row in found] == [pytest.approx(52 / 60), None, 1.0]


def test_the_run_to_mend_is_the_newest_that_is_no_baseline_where_nothing_is_measured(three):
    assert comparison.reviewed(comparison.table(three)) == three[2]


def test_the_run_to_mend_is_the_best_measured(three, collection):
    rows.truth(collection, [0] * 12 + [number % 3 for number in range(12, 60)])
    found = comparison.table(three)
    assert [row.measured.value for row in found] == [1.0, pytest.approx(52 / 60), pytest.approx(52 / 60)]
    assert [row.measures_best for row in found] == [True, False, False]
    assert comparison.reviewed(found) == three[0]


def test_all_are_measured_on_the_images_that_none_of_them_learnt_from(three, collection, signed_in):
    zero_shot, must, _ = three
    true = [number % 3 for number in range(60)]
    rows.truth(collection, true)
    told = list(collection.images.order_by("number").values_list("pk", flat=True)[:12])
    taught = answered(rows.run(collection, "semimae", baseline=zero_shot, result=rows.result(
        measured={"accuracy": 45 / 48}, taught=told)), true[:57] + [(one + 1) % 3 for one in true[57:]])
    assert [row.measures_best for row in comparison.table([zero_shot, must])] == [False, True]
    found = comparison.table([zero_shot, taught])
    assert [(row.measured.value, row.measured.images) for row in found] == [(1.0, 48), (45 / 48, 48)]
    assert [row.measures_best for row in found] == [True, False], "it is wrong only on what the other learnt"
    assert comparison.reviewed(found) == zero_shot
    page = signed_in.get(reverse("runs:compare", args=[collection.pk]) + f"?run={zero_shot.pk}&run={taught.pk}")
    shown = page.content.decode()
    assert "<strong>100.0 %</strong>" in shown and "93.8 %" in shown and "on the 48 images of known answer" in shown


def test_an_image_that_one_of_them_did_not_answer_or_that_is_held_out_measures_none(three, collection):
    rows.truth(collection, [number % 3 for number in range(60)])
    collection.images.filter(number__lt=6).update(held_out=True)
    three[1].predictions.filter(image__number__gte=50).delete()
    assert [one.images for one in known_answers.shares(three)] == [44, 44, 44]
    three[1].predictions.all().delete()
    assert known_answers.shares(three) == [None, None, None]


def test_groups_are_measured_after_the_best_match_with_what_is_known(three, collection):
    true = [number % 3 for number in range(60)]
    rows.truth(collection, [1, 1, *true[2:]])
    of_words, of_groups = known_answers.shares(three[1:])
    assert of_words.value == of_groups.value == pytest.approx(59 / 60)
    assert "clusters matched to classes" in of_groups.label and "clusters" not in of_words.label


def test_measuring_asks_once_and_once_for_each_run(three, collection, django_assert_num_queries):
    with django_assert_num_queries(1):
        known_answers.shares(three)
    rows.truth(collection, [0] * 60)
    with django_assert_num_queries(1 + len(three)):
        known_answers.shares(three)


def test_what_most_runs_contradict_comes_first(three):
    zero_shot, must, _ = three
    assert comparison.disputed(must, three).count() == 8
    wrong = comparison.disputed(zero_shot, three)
    assert {one.against for one in wrong} == {2}
    first = comparison.disputes(zero_shot, three, wrong[:1])[0]
    assert [(answer.name, len(answer.runs)) for answer in first.answers] == [("dog", 2), ("cat", 1)]


def test_the_page_shows_figures_agreement_and_disputes(three, signed_in, collection):
    three[1].result["peak_memory_bytes"] = 3 * 1024**3
    three[1].save(update_fields=["result"])
    page = signed_in.get(reverse("runs:compare", args=[collection.pk]) + f"?review={three[1].pk}").content.decode()
    assert "3.0\xa0GB" in page
    assert "90.0" in page and "87 %" in page and 'width="86.7"' in page
    assert page.count('class="dispute"') == 8


def test_a_person_s_word_is_a_correction_of_the_reviewed_run(three, signed_in, collection):
    zero_shot, must, _ = three
    image = collection.images.get(number=1)
    answer = signed_in.post(reverse("runs:settle", args=[collection.pk]), {
        "review": zero_shot.pk, "image": image.pk, "class_index": 1, "run": [one.pk for one in three]},
        headers={"HX-Request": "true"})
    assert 'aria-pressed="true">dog' in answer.content.decode()
    by_path = {one.path: one for one in standing_labels(zero_shot)}
    assert (by_path[image.path].label, by_path[image.path].source) == ("dog", "person")
    assert all(one.source == "model" for one in standing_labels(must))


def test_one_run_is_nothing_to_compare(collection, signed_in):
    rows.run(collection, "must")
    answer = signed_in.get(reverse("runs:compare", args=[collection.pk]))
    assert answer.url == reverse("collections:runs", args=[collection.pk])


@pytest.mark.parametrize("given", [{"image": "x"}, {"class_index": "-1"}, {"class_index": "99"}, {"image": "999999"}])
def test_a_word_that_makes_no_sense_changes_nothing(given, three, signed_in, collection):
    values = {"review": three[0].pk, "image": collection.images.first().pk, "class_index": 1} | given
    answer = signed_in.post(reverse("runs:settle", args=[collection.pk]), values)
    assert answer.status_code in (302, 404)
    assert all(one.source == "model" for one in standing_labels(three[0]))


def test_another_s_run_is_not_to_be_settled(three, client, django_user_model):
    client.force_login(django_user_model.objects.create_user("eve"))
    assert client.get(reverse("runs:compare", args=[three[0].collection_id])).status_code == 404
    assert client.post(reverse("runs:settle", args=[three[0].collection_id]), {}).status_code == 404


def test_another_run_s_answers_are_joined_once_however_many_classes_there_are(three):
    """A subquery for each class, in every part of the question, took minutes for 20,000 images of 100 classes."""
    zero_shot, _, clusters = three
    text = str(comparison.disputed(clusters, [zero_shot, clusters]).query)
    assert text.count(" WHEN ") > 3 and text.count("SELECT") <= 4
