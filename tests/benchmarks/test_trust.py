from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from benchmarks import bounds, rows, sampling, trust
from core.evaluation import estimate


def row(target: str, method: str, accuracy: float, evenness: float, classes: float = 1.0) -> rows.Row:
    return rows.Row(target=target, method=method, seed=0, settings={"backbone": "starter-clip"},
                    metrics={"accuracy": accuracy},
                    label_free_score=0.9, seconds=1.0, weights="x",
                    label_free={"histogram_entropy": evenness, "classes_found": classes, "mean_confidence": accuracy,
                                "nuclear_norm": accuracy, "baseline_agreement": accuracy})


def test_the_guard_tells_what_it_accepted_and_what_it_threw_away() -> None:
    found = [row("a", trust.BASELINE, 0.5, 0.9), row("a", "MUST, gains", 0.6, 0.95), row("a", "MUST, loses", 0.3, 0.7),
             row("b", trust.BASELINE, 0.4, 0.9), row("b", "MUST, gains though uneven", 0.7, 0.8),
             row("b", "MUST, loses a class", 0.39, 0.9, classes=0.9), row("b", "MUST, falls unseen", 0.35, 0.9)]
    bound, rejected = trust.guard_lines(found)
    assert bound.startswith("short never worse: the worst of 2 accepted") and "falls unseen on b" in bound
    assert rejected == ("      rejected 3, of them 1 that had gained; means of seeds: MUST, loses on a -20.0; "
                        "MUST, loses a class on b -1.0; MUST, gains though uneven on b +30.0")


def test_how_far_the_baseline_of_groups_is_from_itself_is_told() -> None:
    found = [replace(row("a", "k-means", score, 0.9), seed=seed, metrics={"hungarian_accuracy": score})
             for seed, score in enumerate((0.41, 0.5, 0.44))]
    assert list(trust.guard_lines(found))[-1] == "      k-means alone, by its seed: up to 9.0 points apart"


def test_the_guard_rejects_what_learnt_from_names_that_fit_no_groups() -> None:
    unfit = row("a", trust.BASELINE, 0.2, 0.9)
    found = [replace(unfit, label_free=unfit.label_free | {"group_agreement": 0.25, "classes": 10.0}),
             row("a", "MUST, loses", 0.15, 0.95)]
    assert next(trust.guard_lines(found)).endswith("points: not measured (at least -2.0)")


def test_the_guard_knows_no_names_that_groups_could_fit() -> None:
    loose = {"group_agreement": 0.25, "classes": 10.0}
    found = [replace(one, metrics={"hungarian_accuracy": one.metrics["accuracy"]}, label_free=one.label_free | loose)
             for one in (row("a", "k-means", 0.5, 0.9), row("a", "MUST, gains", 0.6, 0.9))]
    assert "the worst of 1 accepted" in next(trust.guard_lines(found))


def test_too_few_targets_are_not_enough_and_rows_without_signs_do_not_count() -> None:
    found = [row(target, trust.BASELINE, 0.5, 0.9) for target in "abcde"]
    lines = list(trust.estimate_lines(found))
    assert [line.split(":")[0] for line in lines[:2]] == [
        "short estimated accuracy off by, points (0 results, their target left out)",
        "short its 90 % interval covers, % (0 results, their target left out)"]
    assert lines[2:] == ["      names of starter-clip: not enough measured (rows of 5 targets)",
                         "      groups of starter-clip: not enough measured (rows of 0 targets)",
                         "      groups of starter-mae: not enough measured (rows of 0 targets)",
                         "      labels of starter-mae: not enough measured (rows of 0 targets)"]


def test_the_guard_asks_what_another_encoder_thinks() -> None:
    opinions = {"k-means": 0.6, "MUST, gains": 0.58, "MUST, loses": 0.55}
    found = [replace(one, metrics={"hungarian_accuracy": one.metrics["accuracy"]},
                     label_free=one.label_free | {"second_opinion": opinions[one.method]})
             for one in (row("a", "k-means", 0.5, 0.9), row("a", "MUST, gains", 0.6, 0.9),
                         row("a", "MUST, loses", 0.4, 0.9))]
    bound, rejected, *_ = trust.guard_lines(found)
    assert bound.startswith("ok    never worse: the worst of 1 accepted") and "gains on a" in bound
    assert rejected == "      rejected 1, of them 0 that had gained; means of seeds: MUST, loses on a -10.0"


def test_groups_are_estimated_by_what_another_encoder_thinks_of_them() -> None:
    found = []
    for number, target in enumerate("abcdefgh"):
        for method in ("k-means", "TURTLE"):
            one = row(target, method, 0.2 + 0.09 * number, 0.9)
            shown = one.label_free | ({"baseline_agreement": 0.4 + 0.07 * number} if method == "TURTLE" else {})
            found.append(replace(one, metrics={"hungarian_accuracy": 0.2 + 0.09 * number}, label_free=shown))
    assert "groups of starter-clip: not enough" in list(trust.estimate_lines(found))[3], "nobody asked it"
    found = [replace(one, label_free=one.label_free | {"second_opinion": 0.3 + 0.08 * (place // 2)})
             for place, one in enumerate(found)]
    bound, covered, _, groups, opinion, *others = trust.estimate_lines(found)
    assert bound.startswith("ok    estimated accuracy off by, points (16 results") and covered.startswith("ok")
    assert groups.startswith("      groups of starter-clip, 16 results of 8 targets: off by")
    assert groups.endswith("; to be shown to people")
    assert opinion.startswith("        another encoder's generalisation score") and opinion.endswith("(16 results)")
    assert any(one.startswith("        agreement of k-means and TURTLE") for one in others), "and how far two agree"


def test_both_intervals_of_a_spot_check_hold_on_collections_as_hard_as_the_committed_rows() -> None:
    lines = list(trust.sample_lines(list(rows.current(rows.read(trust.ACCURACY)))))
    assert [line.split()[0] for line in lines] == ["ok", "ok"]
    assert not sampling.measured_bound([]).holds and not sampling.difference_bound([]).holds


def test_the_recommended_method_is_compared_with_the_best() -> None:
    found = []
    for target in trust.ARCHIVES:
        gain = -0.1 if target in ("trash", "cartoon", "cifar10") else 0.1
        found += [row(target, trust.BASELINE, 0.5, 0.9), row(target, "MUST", 0.5 + gain, 0.9),
                  row(target, "TURTLE", 0.2, 0.9)]
    seen = {"images": 900.0, "classes": 7.0}
    names, _, groups = trust.recommender_lines([replace(one, label_free=seen) for one in found], [])
    assert names.startswith("short recommended with names") and "targets of seven: +4.0" in names
    assert names.endswith("behind by 10.0")
    assert groups.startswith("short recommended with groups") and "not measured" in groups


def test_with_names_that_zero_shot_shows_to_fit_no_groups_turtle_is_recommended() -> None:
    found = []
    for target in trust.ARCHIVES:
        found += [replace(row(target, method, score, 0.9), label_free={
            "images": 900.0, "classes": 7.0, "group_agreement": 0.2})
            for method, score in ((trust.BASELINE, 0.2), ("MUST", 0.2), ("TURTLE", 0.5))]
    names, *_ = trust.recommender_lines(found, [])
    assert names.startswith("ok    recommended with names") and "targets of seven: +7.0" in names


def test_where_names_fit_no_groups_a_few_labels_of_each_class_are_learnt_from() -> None:
    shown = {"images": 900.0, "classes": 7.0, "group_agreement": 0.2}
    found, encoders = [], []
    for target in trust.ARCHIVES:
        groups = {"hungarian_accuracy": 0.6, "named_accuracy": 0.42 if target == "trash" else 0.3}
        found += [replace(row(target, method, 0.2, 0.9), label_free=shown) for method in (trust.BASELINE, "MUST")]
        found.append(replace(row(target, "TURTLE", 0.0, 0.9), label_free=shown, metrics=groups))
        encoders.append(replace(row(target, "Semi-MAE", 0.39, 0.9), label_free={}))
    _, labelled, _ = trust.recommender_lines(found, encoders)
    assert labelled.startswith("ok    recommended with names and labels: within 2 points")
    assert labelled.endswith("targets of seven: +6.0 (at least +5.0), trash behind by 3.0")


def test_groups_of_a_tuned_encoder_are_among_those_the_recommended_method_is_compared_with() -> None:
    found, encoders = [], []
    for target in trust.ARCHIVES:
        for method, score in (("k-means", 0.3), ("TURTLE", 0.4)):
            found.append(replace(row(target, method, score, 0.9), metrics={"hungarian_accuracy": score},
                                 label_free={"images": 900.0, "classes": 7.0}))
        clusters = 0.5 if target == "trash" else 0.2
        encoders.append(replace(row(target, "MAE-CT", 0.0, 0.9), metrics={"clusters": clusters}))
    *_, groups = trust.recommender_lines(found, encoders)
    assert groups.startswith("ok    recommended with groups") and "targets of seven: +6.0" in groups
    assert groups.endswith("trash behind by 10.0")


def taught(target: str, method: str, accuracy: float, opinion: float) -> rows.Row:
    """Return a result of starter-mae that learnt from labels, or grouped; its opinion is starter-clip's."""
    one = row(target, method, accuracy, 0.9)
    return replace(one, settings={"backbone": "starter-mae"}, label_free_score=None,
                   label_free=one.label_free | {"second_opinion": opinion, "classes": 7.0})


def test_what_learnt_from_labels_is_rejected_where_more_is_estimated_of_zero_shot() -> None:
    found = []
    for place, target in enumerate("abcdefgh"):
        before = replace(row(target, trust.BASELINE, 0.15 + 0.1 * place, 0.9), settings={"backbone": "starter-clip"})
        found += [before, taught(target, "Semi-MAE", 0.85 - 0.1 * place, 0.9 - 0.1 * place),
                  taught(target, "Semi-MAE from MAE-CT", 0.8 - 0.1 * place, 0.85 - 0.1 * place)]
    bound, rejected, *_ = trust.guard_lines(found)
    assert bound.startswith("ok    never worse: the worst of 8 accepted") and "on d" in bound
    assert rejected.startswith("      rejected 8, of them 0 that had gained")
    for one in found:
        one.label_free.pop("second_opinion", None)
    assert next(trust.guard_lines(found)).startswith("short never worse: the worst of 16"), "nobody was asked"


def test_results_are_judged_with_those_of_their_kind_and_model() -> None:
    groups = {"hungarian_accuracy": 0.4}
    found = [row("a", "MUST", 0.5, 0.9), replace(taught("a", "MAE-CT", 0.4, 0.5), metrics=groups),
             replace(taught("a", trust.ENCODER, 0.4, 0.5), metrics=groups, settings={"spaces": "starter-mae"}),
             taught("a", "FixMatch", 0.4, 0.5), taught("a", "Semi-MAE from MAE-CT", 0.4, 0.5),
             replace(row("a", "k-means", 0.4, 0.5), metrics=groups, settings={"spaces": "starter-clip"}),
             row("a", "linear probe", 0.9, 0.9)]
    judged = {one.title: [(known.method, known.begun_with) for known in trust.known(found, one)]
              for one in trust.JUDGED}
    assert judged == {"names of starter-clip": [("must", False)], "groups of starter-clip": [("kmeans", False)],
                      "groups of starter-mae": [("maect", False), ("kmeans", False)],
                      "labels of starter-mae": [("semimae", False), ("semimae", True)]}


def test_the_calibration_that_ships_is_what_the_committed_rows_say() -> None:
    """After new rows: python -m benchmarks.trust --write DAY."""
    fitted = trust.estimates([*rows.current(rows.read(bounds.ACCURACY)), *rows.current(rows.read(bounds.ENCODERS))])
    shipped = estimate.read()
    assert [(one.kind, one.backbone) for one in shipped] == [(one.kind, one.backbone) for one in fitted]
    for one, other in zip(shipped, fitted, strict=True):
        assert (one.results, one.collections, one.methods) == (other.results, other.collections, other.methods)
        assert (one.error, one.half_width) == pytest.approx((other.error, other.half_width))
        lines = asdict(other)["lines"]
        assert asdict(one)["lines"] == {name: pytest.approx(line) for name, line in lines.items()}
