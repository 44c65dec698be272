"""What may be believed without labels, from the committed rows: ``python -m benchmarks.trust``, in half a minute.

Prints, each as figure and bound: how far off estimated accuracy is on targets left out of its calibration, how
often the spot check's interval holds the truth, what the never-worse guard accepted and rejected, and how far the
recommended method is from the best. With
``--write DAY`` the calibration that ships (``core/evaluation/estimate.json``) is fitted on all targets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks import rows, sampling
from benchmarks.bounds import ACCURACY, BACKBONE, BASELINE, ENCODERS, Bound, Table
from benchmarks.targets import ARCHIVES, LABELS_PER_CLASS
from core.evaluation import estimate
from core.evaluation.estimate import Calibration
from core.evaluation.estimate_calibration import Known, calibrate, left_out_estimates
from core.evaluation.guard import is_doubted, is_hardly_confirmed, is_less_even
from core.question import Question
from core.recommendation import recommend_method

ENCODER = "starter-mae"
"""What MAE-CT, finetuning and Semi-MAE begin with; as a row's title, its groups by k-means."""
STARTS = {"zero-shot": "zeroshot", "k-means": "kmeans", "starter-mae": "kmeans", "TURTLE": "turtle", "MUST": "must",
          "MAE-CT": "maect", "finetuning": "finetune", "FixMatch": "semimae", "Semi-MAE": "semimae"}
"""How a row's title starts -> the method of `core.catalog.METHODS` that gave its result."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Results that are judged alike.

    Attributes:
        kind: one of `estimate.ESTIMATORS`.
        backbone: whose answers they are.
        metric: what they are scored by.
        baseline: the title of what each is compared with; of the first seed.
    """

    kind: str
    backbone: str
    metric: str
    baseline: str

    @property
    def title(self) -> str:
        """Return how lines call them."""
        return f"{self.kind} of {self.backbone}"


JUDGED = (
    Judged(kind="names", backbone=BACKBONE, metric="accuracy", baseline=BASELINE),
    Judged(kind="groups", backbone=BACKBONE, metric="hungarian_accuracy", baseline="k-means"),
    Judged(kind="groups", backbone=ENCODER, metric="hungarian_accuracy", baseline=ENCODER),
    Judged(kind="labels", backbone=ENCODER, metric="accuracy", baseline=BASELINE),
)
TITLES = {"names": {"zeroshot": BASELINE, "must": "MUST", "turtle": "TURTLE"},
          "names and labels": {"zeroshot": BASELINE, "must": "MUST", "turtle": "TURTLE", "semimae": "Semi-MAE"},
          "groups": {"kmeans": "k-means", "turtle": "TURTLE", "maect": "MAE-CT"}}
"""What a person can choose from with names, with a few labels of each besides, or with a number, the baseline first,
and which rows say how good it is."""
FIGURES = {"names": ("accuracy", "hungarian_accuracy"), "groups": ("hungarian_accuracy", "clusters"),
           "names and labels": ("accuracy", "named_accuracy")}
"""How good. With names, TURTLE's groups get those that fit best and are matched to the truth one to one, which is the
most that such names give; labels, a few of each class, do name them, rightly or not."""
CLOSE = 2.0


def method_of(row: rows.Row) -> str:
    """Return the method that gave a row's result, as `core.catalog.METHODS` calls it; "" where none did."""
    return next((method for start, method in STARTS.items() if row.method.startswith(start)), "")


def of_kind(found: list[rows.Row], judged: Judged) -> list[rows.Row]:
    """Return the rows of results of that kind: their method, their model, and what they show without labels."""
    return [row for row in found if judged.metric in row.metrics and row.label_free and method_of(row)
            and judged.backbone in (row.settings.get("backbone"), row.settings.get("spaces"))
            and (judged.kind == "labels") == (method_of(row) == "semimae")]


def known(found: list[rows.Row], judged: Judged) -> list[Known]:
    """Return what calibration needs of the rows that kept it.

    k-means and TURTLE of one target and seed share a sign: how far they agree.
    """
    chosen = of_kind(found, judged)
    agreed = {(row.target, row.seed): {"method_agreement": row.label_free["baseline_agreement"]}
              for row in chosen if row.method == TITLES["groups"]["turtle"] and "baseline_agreement" in row.label_free}
    return [Known(collection=row.target, accuracy=row.metrics[judged.metric], method=method_of(row),
                  begun_with=" from " in row.method,
                  shown=row.label_free | {"label_free_score": row.label_free_score or 0.0}
                  | agreed.get((row.target, row.seed), {}))
            for row in chosen]


def estimates(found: list[rows.Row]) -> list[Calibration]:
    """Return the calibration of each kind that has rows enough to leave targets out."""
    made = [calibrate(known(found, judged), judged.kind, judged.backbone) for judged in JUDGED]
    return [one for one in made if one is not None]


def estimate_lines(found: list[rows.Row]) -> Iterator[str]:
    """Yield what estimated accuracy is worth: over all results, then of each kind, its signs together and alone."""
    made = {(one.kind, one.backbone): one for one in estimates(found)}
    worth = [one for one in made.values() if one.collections >= estimate.LEAST_COLLECTIONS]
    count = sum(one.results for one in worth)
    of = f"{count} results, their target left out"
    yield str(Bound(f"estimated accuracy off by, points ({of})", most=100 * estimate.LARGEST_ERROR,
                    figure=100 * sum(one.error * one.results for one in worth) / count if count else None))
    yield str(Bound(f"its 90 % interval covers, % ({of})", least=100 * estimate.LEAST_COVERED,
                    figure=100 * sum(one.covered * one.results for one in worth) / count if count else None))
    for judged in JUDGED:
        one = made.get((judged.kind, judged.backbone))
        if one is None or one.collections < estimate.LEAST_COLLECTIONS:
            yield f"      {judged.title}: not enough measured (rows of {one.collections if one else 0} targets)"
            continue
        yield (f"      {judged.title}, {one.results} results of {one.collections} targets: "
               f"off by {100 * one.error:.1f} points, covers {100 * one.covered:.1f} %, "
               f"± {100 * one.half_width:.0f} points; {'' if one.holds else 'not '}to be shown to people")
        for name, source in {**estimate.ESTIMATORS[judged.kind], **estimate.SET_ASIDE}.items():
            pairs = list(left_out_estimates(known(found, judged), (name,)))
            off = [abs(left_out.accuracy - result.accuracy) for result, left_out in pairs]
            if off:
                yield f"        {source} alone: off by {100 * np.mean(off):.1f} points ({len(off)} results)"


def sample_lines(found: list[rows.Row]) -> Iterator[str]:
    """Yield how often the intervals of a spot check hold the truth, for collections answered as in the rows."""
    yield str(sampling.measured_bound([row.metrics[judged.metric] for judged in JUDGED
                                       for row in of_kind(found, judged)]))
    yield str(sampling.difference_bound([
        (row.metrics[judged.metric], before[row.target].metrics[judged.metric]) for judged in JUDGED
        for before in [baselines(found, judged)] for row in of_kind(found, judged)
        if row.method != judged.baseline and row.target in before]))


def baselines(found: list[rows.Row], judged: Judged) -> dict[str, rows.Row]:
    """Return what results of one kind are compared with, by target."""
    return {row.target: row for row in found if row.method == judged.baseline and row.seed == 0 and row.label_free}


def is_objected_to(row: rows.Row, before: rows.Row, judged: Judged, left_out: list[Calibration | None]) -> bool:
    """Tell whether the guard would object to a result, as `core.evaluation.trust.objection` puts it together.

    Args:
        row: the result.
        before: its baseline's.
        judged: what kind it is.
        left_out: calibrations for results of this kind and of names, that know no row of its target.
    """
    shown, shown_before = row.label_free, before.label_free
    if shown["classes_found"] < shown_before["classes_found"] - 1e-9:
        return True
    if judged.kind == "labels":
        if is_less_even(shown["histogram_entropy"], shown_before["histogram_entropy"], taught=True):
            return True  # the labels are as many of each class: as even as can be
        said = [one and one.estimate(signs) for one, signs in zip(left_out, (shown, shown_before), strict=True)]
        return said[0] is not None and said[1] is not None and said[0].accuracy < said[1].accuracy
    confirmed = shown_before.get("group_agreement") if judged.kind == "names" else None
    opinions = shown.get("second_opinion"), shown_before.get("second_opinion")
    return (is_less_even(shown["histogram_entropy"], shown_before["histogram_entropy"])
            or (confirmed is not None and is_hardly_confirmed(confirmed, int(shown_before["classes"])))
            or (opinions[0] is not None and opinions[1] is not None and is_doubted(opinions[0], opinions[1]))
            or (method_of(row) == "finetune" and row.settings["mode"] != "replay"))


def guard_lines(found: list[rows.Row]) -> Iterator[str]:
    """Yield what the never-worse guard did to every result that has a baseline."""
    accepted: list[tuple[float, str]] = []
    rejected: list[tuple[float, str]] = []
    for judged in JUDGED:
        compared = baselines(found, judged)
        results = [row for row in of_kind(found, judged) if row.method != judged.baseline]
        for target in sorted({row.target for row in results} & compared.keys()):
            before, others = compared[target], [row for row in found if row.target != target]
            left_out = [calibrate(known(others, one), one.kind, one.backbone) for one in (judged, JUDGED[0])
                        if judged.kind == "labels"]
            for row in results:
                if row.target == target:
                    change = 100 * (row.metrics[judged.metric] - before.metrics[judged.metric])
                    (rejected if is_objected_to(row, before, judged, left_out) else accepted).append(
                        (change, f"{row.method} on {target}"))
    worst = min(accepted, default=None)
    yield str(Bound(f"never worse: the worst of {len(accepted)} accepted results against its baseline, points",
                    worst[0] if worst else None, -2)) + (f", {worst[1]}" if worst else "")
    good = sum(change > 0 for change, _ in rejected)
    changes = {name: [change for change, other in rejected if other == name] for _, name in sorted(rejected)}
    listed = "; ".join(f"{name} {float(np.mean(some)):+.1f}" for name, some in changes.items())
    yield f"      rejected {len(rejected)}, of them {good} that had gained; means of seeds: {listed or 'none'}"
    table = Table(found)
    by_seed = (table.scores(row.target, TITLES["groups"]["kmeans"]) for row in found)
    if apart := [max(scores) - min(scores) for scores in by_seed if len(scores) > 1]:
        yield f"      {TITLES['groups']['kmeans']} alone, by its seed: up to {max(apart):.1f} points apart"


def recommender_lines(found: list[rows.Row], encoders: list[rows.Row]) -> Iterator[str]:
    """Yield on how many of the seven targets the recommended method is close to the best of those measured.

    Args:
        found: rows of methods that answer.
        encoders: rows of methods that make an encoder; k-means on its features answers, where the method does not.
    """
    for kind, titles in TITLES.items():
        table = Table([*found, *encoders], FIGURES[kind])
        behind = {}
        for target in ARCHIVES:
            means = {method: table.mean(target, title) for method, title in titles.items()}
            measured = {method: mean for method, mean in means.items() if mean is not None}
            if len(measured) == len(titles):
                question = _question(found, target, kind)
                behind[target] = max(measured.values()) - measured[recommend_method(question).method]
        close = sum(one <= CLOSE for one in behind.values()) if len(behind) == len(ARCHIVES) else None
        worst = max(behind, key=behind.__getitem__, default="")
        among = ", ".join(titles.values())
        bound = Bound(f"recommended with {kind}: within {CLOSE:.0f} points of the best among {among}, "
                      "targets of seven", close, 5)
        yield str(bound) + (f", {worst} behind by {behind[worst]:.1f}" if worst else "")


def _question(found: list[rows.Row], target: str, kind: str) -> Question:
    """Return what a person with this target would ask, once the baseline has answered."""
    baseline = next(iter(TITLES[kind].values()))
    shown = next((row.label_free for row in found if row.label_free
                  and (row.target, row.method) == (target, baseline)), {})
    count = int(shown.get("classes", 2))
    names = () if kind == "groups" else tuple(f"class {number}" for number in range(count))
    return Question(num_images=int(shown.get("images", 0)), class_names=names, num_classes=count,
                    labels_per_class=LABELS_PER_CLASS if kind == "names and labels" else 0,
                    confirmed=shown.get("group_agreement") if names else None)


def main() -> int:
    """Print every line; return 1 where one is short."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trust", description=__doc__)
    parser.add_argument("--write", metavar="DAY", help="fit and write the calibration that ships, with this date")
    given = parser.parse_args()
    answers, encoders = (list(rows.current(rows.read(file))) for file in (ACCURACY, ENCODERS))
    found = [*answers, *encoders]
    lines = [*estimate_lines(found), *sample_lines(found), *guard_lines(found),
             *recommender_lines(answers, encoders)]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if given.write:
        estimate.write(estimates(found), given.write)
    return 1 if any(line.startswith("short") for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
