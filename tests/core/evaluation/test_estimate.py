from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
