"""What may be said of answers without labels, by what a run and its baseline show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.evaluation import estimate
from core.evaluation.paired import Difference
from core.evaluation.trust import Signs, estimated, objection

K_MEANS = Signs(method="kmeans", settings={"spaces": "starter-clip"}, histogram=(20, 20, 20), label_free_score=0.9,
                signals={"second_opinion": 0.60, "classes": 7, "group_agreement": 0.9})
TURTLE = replace(K_MEANS, method="turtle", histogram=(18, 21, 21))


def doubted(by: float) -> Signs:
    """Return groups that another encoder finds so much harder to repeat than those of `K_MEANS`."""
    return replace(TURTLE, signals={**TURTLE.signals, "second_opinion": 0.60 - by})


def test_groups_that_another_encoder_doubts_are_objected_to():
    assert objection(doubted(0.01), K_MEANS) is None
    assert "encoder" in str(objection(doubted(0.04), K_MEANS))
    assert objection(doubted(0.04), replace(K_MEANS, signals={})) is None  # it was never asked about those
    assert objection(doubted(0.04), None) is None


def test_whose_labels_it_learnt_from_owes_its_baseline_no_evenness():
    uneven = Signs(method="semimae", settings={}, histogram=(50, 5, 5), label_free_score=0.9, labelled=True)
    assert objection(uneven, K_MEANS) is None
    assert objection(replace(uneven, labelled=False), K_MEANS) is not None


def test_answers_far_more_uneven_than_both_labels_and_baseline_are_objected_to():
    crowded = Signs(method="semimae", settings={}, histogram=(55, 3, 2), label_free_score=0.9, labelled=True)
    for evenness, is_doubted in ((1.0, True), (0.6, True), (0.3, False)):
        found = objection(replace(crowded, signals={"label_evenness": evenness}), K_MEANS)
        assert (found is not None) == is_doubted
    assert "the labels it learnt from: 55 in the largest" in str(objection(
        replace(crowded, signals={"label_evenness": 1.0}), K_MEANS))
    assert objection(replace(crowded, signals={"label_evenness": 1.0}), replace(K_MEANS, histogram=(56, 2, 2))) is None


def test_where_a_sample_decides_no_sign_is_asked():
    gain = Difference(value=0.1, low=0.02, high=0.18, answered=50)
    loss, open_question = replace(gain, value=-0.1, low=-0.18, high=-0.02), replace(gain, low=-0.02)
    collapsed = replace(TURTLE, histogram=(60, 0, 0))
    assert objection(collapsed, K_MEANS) is not None
    assert objection(collapsed, K_MEANS, gain) is None
    assert objection(collapsed, K_MEANS, open_question) == objection(collapsed, K_MEANS)
    assert objection(TURTLE, K_MEANS) is None
    assert "has more right, by 2 to 18 points" in str(objection(TURTLE, K_MEANS, loss))
    assert objection(TURTLE, None, loss) is None


def test_names_that_no_groups_confirm_are_objected_to_by_what_the_baseline_shows():
    before = Signs(method="zeroshot", settings={}, histogram=(20, 20, 20), label_free_score=0.9)
    named = replace(before, method="must", signals={"group_agreement": 1.0})
    for share, is_doubted in ((0.34, True), (0.9, False)):
        assert (objection(named, replace(before, signals={"group_agreement": share})) is not None) == is_doubted


def test_groups_owe_no_names_anything():
    loose = replace(K_MEANS, signals={**K_MEANS.signals, "group_agreement": 0.1})  # of two starts of k-means
    for method in ("turtle", "maect", "finetune"):
        assert objection(replace(TURTLE, method=method, replayed=True), loose) is None


def test_finetuning_without_replay_is_objected_to_until_a_sample_speaks_for_it():
    forgetful = replace(TURTLE, method="finetune")
    assert "replay collection" in str(objection(forgetful, K_MEANS))
    assert objection(replace(forgetful, replayed=True), K_MEANS) is None
    assert objection(forgetful, K_MEANS, Difference(value=0.1, low=0.02, high=0.18, answered=50)) is None


@pytest.mark.parametrize(("change", "is_given"), [
    ({}, True), ({"begun_with": True}, False), ({"counted": False}, False),
    ({"settings": {"spaces": "clip-vit-b16"}}, False), ({"signals": {"classes": 7}}, False)])
def test_an_estimate_is_given_for_what_was_calibrated_and_nothing_else(change, is_given):
    calibration = estimate.calibration_of("groups", "starter-clip")
    assert calibration is not None and calibration.holds
    assert (estimated(replace(TURTLE, **change), K_MEANS) is not None) == is_given
    assert (estimated(replace(K_MEANS, **change), None) is not None) == is_given
