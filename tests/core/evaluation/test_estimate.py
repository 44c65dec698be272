from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.evaluation import estimate_calibration
from core.evaluation.estimate import ESTIMATORS, Calibration, log_odds, of_result, read, write
from core.evaluation.estimate_calibration import Known, calibrate, left_out_estimates

SIGNS = tuple(ESTIMATORS["names"])


def sign(accuracy: float, off: float = 0.0) -> float:
    """Return a share whose log odds are half of accuracy's, and something."""
    return float(1 / (1 + np.exp(-0.3 - 0.5 * log_odds(accuracy + off))))


def results(noise: float, collections: int = 8, seed: int = 0) -> list[Known]:
    """Return results on which each estimator's odds follow accuracy's, but for noise of each collection."""
    random = np.random.default_rng(seed)
    found = []
    for collection in range(collections):
        off = random.normal(0, noise)
        for _ in range(4):
            accuracy = float(random.uniform(0.1, 0.9))
            shown = dict.fromkeys(SIGNS, sign(accuracy, off)) | {"classes": 6.0 + collection}
            found.append(Known(collection=str(collection), accuracy=accuracy, shown=shown, method="must"))
    return found


def test_signs_that_follow_accuracy_give_it_back_on_a_collection_never_seen() -> None:
    found = calibrate(results(noise=0.0), "names")
    assert found is not None and found.holds
    assert found.error < 1e-6 and found.half_width == 0.01
    estimate = found.estimate(dict.fromkeys(SIGNS, sign(0.62)))
    assert estimate is not None and estimate.accuracy == pytest.approx(0.62)


@pytest.mark.parametrize("noise", [0.03, 0.15])
def test_the_interval_is_as_wide_as_the_errors_on_collections_left_out(noise: float) -> None:
    covered, widths = [], []
    for seed in range(6):
        for one, estimate in left_out_estimates(results(noise, seed=seed), SIGNS):
            covered.append(estimate.low <= one.accuracy <= estimate.high)
            widths.append(estimate.high - estimate.low)
    assert np.mean(covered) >= 0.8
    assert noise < np.mean(widths) < 8 * noise


def test_a_collection_left_out_cannot_change_its_own_estimate() -> None:
    first = results(noise=0.1)
    lied = [one if one.collection != "3" else Known(collection="3", shown=one.shown, accuracy=0.0) for one in first]
    pairs = zip(left_out_estimates(first, SIGNS), left_out_estimates(lied, SIGNS), strict=True)
    assert all(one[1] == other[1] for one, other in pairs if one[0].collection == "3")


def test_a_sign_that_misleads_counts_less_than_one_that_holds() -> None:
    random = np.random.default_rng(2)
    mixed = [Known(collection=one.collection, accuracy=one.accuracy, shown={
        "nuclear_norm": one.shown["nuclear_norm"], "baseline_group_agreement": float(random.uniform())})
        for one in results(noise=0.02)]
    found = calibrate(mixed, "names")
    assert found is not None and found.holds
    assert found.lines["nuclear_norm"].weight > 10 * getattr(found.lines.get("baseline_group_agreement"), "weight", 0.0)


def test_signs_that_tell_nothing_do_not_hold() -> None:
    random = np.random.default_rng(1)
    noise = [Known(collection=str(number // 4), accuracy=float(random.uniform()),
                   shown={name: float(random.uniform()) for name in SIGNS}) for number in range(32)]
    found = calibrate(noise, "names")
    assert found is not None and not found.holds and found.half_width > 0.2


def test_too_few_collections_give_no_estimate_to_show() -> None:
    assert calibrate(results(0.0, collections=2), "names") is None
    few = calibrate(results(0.0, collections=5), "names")
    assert few is not None and not few.holds


def test_a_result_that_shows_one_sign_is_estimated_from_that() -> None:
    found = calibrate(results(noise=0.0), "names")
    assert found is not None
    estimate = found.estimate({"nuclear_norm": sign(0.5)})
    assert estimate is not None and estimate.accuracy == pytest.approx(0.5)
    assert found.estimate({"images": 100.0}) is None


@pytest.mark.parametrize(("classes", "is_known"), [(2, False), (5, False), (6, True), (13, True), (14, False)])
def test_of_more_or_fewer_classes_than_were_calibrated_nothing_is_estimated(
        monkeypatch: pytest.MonkeyPatch, classes: int, is_known: bool) -> None:
    found = calibrate(results(noise=0.0), "names", "starter-clip")
    monkeypatch.setattr("core.evaluation.estimate.read", lambda: (found,))
    shown = {**dict.fromkeys(SIGNS, sign(0.5)), "classes": float(classes)}
    assert (of_result("names", "must", "starter-clip", shown) is not None) is is_known


@pytest.mark.parametrize(("kind", "method", "backbone", "is_known"), [
    ("names", "must", "starter-clip", True), ("labels", "must", "starter-clip", False),
    ("names", "semimae", "starter-clip", False), ("names", "must", "clip-vit-b16", False),
    ("names", "must", "", False), ("names", "must", None, False)])
def test_of_what_was_not_calibrated_nothing_is_estimated(
        monkeypatch: pytest.MonkeyPatch, kind: str, method: str, backbone: str | None, is_known: bool) -> None:
    found = calibrate(results(noise=0.0), "names", "starter-clip")
    monkeypatch.setattr("core.evaluation.estimate.read", lambda: (found,))
    shown = {**dict.fromkeys(SIGNS, sign(0.5)), "classes": 8.0}
    assert (of_result(kind, method, backbone, shown) is not None) is is_known


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = calibrate(results(noise=0.05), "names")
    assert isinstance(found, Calibration)
    write([found], "2026-11-21", tmp_path / "estimate.json")
    assert read(tmp_path / "estimate.json") == (found,)
    assert read(tmp_path / "none.json") == ()


def test_a_sign_weighs_by_its_error_on_collections_left_out_and_every_collection_counts_the_same() -> None:
    random = np.random.default_rng(4)
    known = [Known(collection=str(collection), accuracy=accuracy, shown={
        name: float(np.clip(accuracy + random.normal(0, noise), 0.02, 0.98))
        for name, noise in (("nuclear_norm", 0.05), ("histogram_entropy", 0.2))})
        for collection, count in enumerate((1, 2, 9, 3, 1, 5)) for accuracy in random.uniform(0.2, 0.8, count)]
    where, right = np.array([one.collection for one in known]), np.array([one.accuracy for one in known])

    def line(sign: np.ndarray, which: np.ndarray) -> np.ndarray:
        alike = np.array([(where[which] == one).sum() for one in where[which]])
        return np.polyfit(log_odds(sign[which]), log_odds(right[which]), 1, w=alike**-0.5)

    found = calibrate(known, "names")
    assert found is not None and found.lines.keys() == {"nuclear_norm", "histogram_entropy"}
    for name, ours in found.lines.items():
        sign = np.array([one.shown[name] for one in known])
        assert (ours.slope, ours.intercept) == pytest.approx(tuple(line(sign, where == where)))
        errors = []
        for left_out in np.unique(where):
            said = np.polyval(line(sign, where != left_out), log_odds(sign[where == left_out]))
            errors.append(np.mean(np.square(1 / (1 + np.exp(-said)) - right[where == left_out])))
        assert ours.weight == pytest.approx(1 / np.mean(errors))
    estimate = found.estimate({"nuclear_norm": 0.7, "histogram_entropy": 0.4})
    lines = [found.lines[name] for name in ("nuclear_norm", "histogram_entropy")]
    said = np.average([one.at(sign) for one, sign in zip(lines, (0.7, 0.4))], weights=[one.weight for one in lines])
    assert estimate is not None and estimate.accuracy == pytest.approx(1 / (1 + np.exp(-said)))


@pytest.mark.parametrize(("collections", "half_width"), [(8, 0.07), (11, 0.10), (20, 0.18)])
def test_the_interval_reaches_the_conformal_quantile_of_the_worst_of_each_collection(
        collections: int, half_width: float, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []  # collections that each fit saw
    monkeypatch.setattr(estimate_calibration, "_weighted_lines",
                        lambda results, _names: left.append(len({one.collection for one in results})) or {})
    monkeypatch.setattr(estimate_calibration, "combined", lambda _lines, shown: shown["said"])
    known = [Known(collection=str(one), shown={"said": 0.5}, accuracy=0.5 - off) for one in range(collections)
             for off in (one / 100, 0.0)]
    assert estimate_calibration._half_width(known, ("said",)) == pytest.approx(half_width)
    assert left == [collections - 1] * collections


def test_a_sign_that_falls_as_accuracy_rises_is_left_out() -> None:
    known = [Known(collection=str(one % 6), accuracy=0.2 + one / 20, shown={
        "nuclear_norm": 0.3 + one / 25, "histogram_entropy": 0.9 - one / 25}) for one in range(12)]
    found = calibrate(known, "names")
    assert found is not None and found.lines.keys() == {"nuclear_norm"}


def test_a_result_that_lacks_a_sign_that_was_calibrated_is_not_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    found = calibrate(results(noise=0.0), "names", "starter-clip")
    monkeypatch.setattr("core.evaluation.estimate.read", lambda: (found,))
    shown = {**dict.fromkeys(SIGNS, sign(0.5)), "classes": 8.0}
    assert of_result("names", "must", "starter-clip", shown) is not None
    for missing in SIGNS:
        assert of_result("names", "must", "starter-clip", {**shown, missing: None}) is None
