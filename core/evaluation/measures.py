"""Every measure that ``python -m core evaluate`` knows: one row each. Standard library only.

A new measure is a row here and its function, `(Evidence) -> Finding`, in a module of the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure.

    Attributes:
        title: what it is, in words.
        function: where it is, as "core.evaluation.probe:linear_probe".
        needs: what it cannot do without, keys of `core.evaluation.evidence.NEEDS`.
        unit: of its figures.
        source: the paper and the place that says how it is measured.
    """

    title: str
    function: str
    needs: tuple[str, ...]
    unit: str
    source: str


MAE_CT, UFT, MUST = "MAE-CT (2304.10520)", "Unsupervised finetuning (Li et al., 2021)", "MUST (2206.02967)"
SHARE, FIVE_FOLD, OF_THREE = "share 0 … 1", "share 0 … 1, mean of 5 folds", "share 0 … 1, mean of 3 draws"


def _row(title: str, function: str, needs: str, unit: str, source: str) -> Measure:
    return Measure(title=title, function=f"core.evaluation.{function}", needs=tuple(needs.split(", ")), unit=unit,
                   source=source)


MEASURES: Mapping[str, Measure] = {
    "agreement": _row("Answers beside the truth", "agreement:agreement", "truth, answers",
                      "share 0 … 1; AMI, ARI: 0 is chance", "TURTLE (2406.07236); BCubed: Amigó et al., 2009"),
    "confusion": _row("Confusion matrix", "agreement:confusion", "truth, answers", "images", f"{MAE_CT}, Figure 9"),
    "calibration": _row("Calibration of confidence", "agreement:calibration", "truth, answers",
                        "share 0 … 1, lower is better", "Guo et al., 2017 (1706.04599)"),
    "knn": _row("Weighted k-NN, 10 neighbours", "neighbours:nearest_neighbours", "truth, images", FIVE_FOLD,
                f"{MAE_CT}, appendix B"),
    "probe": _row("Linear probe", "probe:linear_probe", "truth, images", FIVE_FOLD, f"{MAE_CT}, Table 9"),
    "shots": _row("1, 2 and 5 labels a class, logistic regression", "shots:low_shot", "truth, images", OF_THREE,
                  f"{MAE_CT}, Table 1"),
    "finetune": _row("1, 2, 4 and 8 labels a class, finetuned", "finetuning:few_shot", "truth, images", OF_THREE,
                     f"{UFT}, Table 2"),
    "clusters": _row("k-means against the truth, best of 100 starts", "clustering:clusters", "truth, images",
                     "share 0 … 1; AMI, ARI: 0 is chance", f"{MAE_CT}, appendix E; BCubed: {UFT}"),
    "silhouette": _row("Silhouette of the true classes", "clustering:silhouette", "truth, images", "-1 … 1",
                       f"{MAE_CT}, Table 2"),
    "centroids": _row("Nearest images of cluster centroids", "clustering:centroids", "truth, images, folder",
                      "share of the ten that have the commonest class", f"{MAE_CT}, Figures 7 and 10"),
    "retrieval": _row("Top-5 retrieval", "neighbours:retrieval", "truth, images", FIVE_FOLD, f"{UFT}, section 5"),
    "invariance": _row("Effective invariance to turns and colours", "invariance:invariance", "images", SHARE,
                       f"{MAE_CT}, Table 15"),
    "colours": _row("Colour histogram read off the class token", "colours:colour_histogram", "images",
                    "error, 1 is the uniform histogram's; higher is better", f"{MAE_CT}, Figure 5"),
    "corruptions": _row("15 common corruptions at 5 severities", "robustness:corruptions",
                        "truth, images, answering model, class names", "percent of the zero-shot model's errors",
                        f"Hendrycks & Dietterich (1903.12261); {MUST}, Table 8"),
    "forgetting": _row("Source collection before and after", "forgetting:source_forgetting", "images, source", SHARE,
                       f"{UFT}, section 3"),
    "attention": _row("GradCAM of the class token", "pictures:attention", "images, answering model, folder", "picture",
                      f"{MUST}, Figure 3"),
    "recovered": _row("Original, masked, recovered", "recovery:recovered", "images, folder",
                      "mean absolute error of hidden patterns in 0 … 1, brightness and contrast given",
                      f"{MUST}, Figure 4"),
    "map": _row("Map before and after", "pictures:place_map", "images, folder", "picture", f"{MAE_CT}, Figure 8"),
}

GROUPS: Mapping[str, tuple[str, ...]] = {
    "labels": ("agreement", "confusion", "calibration"),
    "features": ("knn", "probe", "shots", "clusters", "silhouette", "retrieval"),
    "pictures": ("centroids", "attention", "recovered", "map"),
    "all": tuple(MEASURES),
}
"""Several measures under one name; what cannot be measured of a group is left out, and said."""
