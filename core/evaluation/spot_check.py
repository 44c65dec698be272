"""Accuracy measured on a random sample that a person labels: which images to ask, and what the answers show.

Uniform samples get Wilson's interval (Wilson, JASA 22, 1927, with the form in Brown, Cai, DasGupta,
Statistical Science 16(2), 2001, Eq. 4). Stratified ones are weighted back to the whole, and get the same
interval at the effective sample size, as for any survey (Kish 1965; Dean, Pagano, J. Survey Statistics and
Methodology 3(4), 2015). No torch here: the web imports it.

Symbols: N images, K classes, n asked.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from core.errors import ConfigError

DESIGNS = ("uniform", "stratified")
"""Every image alike; or from every class the model answered, weighted back by how many images it has."""
LEAST_A_CLASS = 2
"""Images of each answered class in a stratified sample: one alone says nothing of its spread."""
SIZES = (20, 50, 100, 200)
CONFIDENCE = 0.95
NOTHING_MEASURED = "No figure was measured on true labels."
"""What a model card says until something was."""
CARD_LINE = "- Measured by spot check: "


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """The images that the model calls one class (all images, in a uniform sample).

    Attributes:
        images: how many of the whole it stands for.
        told: those of the sample among them that a person gave an answer for, by number or path.
    """

    images: int
    told: Collection[int | str]

    @property
    def answered(self) -> int:
        """Return how many of its images a person gave an answer for."""
        return len(self.told)

    def count(self, images: Container[int | str]) -> int:
        """Return how many of those are among `images`."""
        return sum(one in images for one in self.told)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measured accuracy with its 95 % interval, shares in 0 … 1, and the answers behind it.

    Attributes:
        answered: images of the sample that a person gave an answer for.
        unsure: images of it that the person could not tell; what is left is no random sample of the whole.
        draw: which of the samples drawn of the run it is, from 1.
        draws: how many were drawn, so that drawing until one pleases is seen.
        seed: of the draw; None where it is not known.
        drawn_for: the run whose sample it is, where that is another one.
    """

    accuracy: float
    low: float
    high: float
    answered: int
    unsure: int = 0
    draw: int = 1
    draws: int = 1
    seed: int | None = None
    drawn_for: str = ""

    @property
    def width(self) -> float:
        """Return how wide the interval is; 0 where every image was asked about."""
        return self.high - self.low

    @property
    def provisos(self) -> tuple[str, ...]:
        """Return what is to be known beside the figure, a clause each: () for the only sample, all of it told."""
        said = []
        if self.unsure:
            said.append(f"of {self.answered + self.unsure:,} asked, {self.unsure:,} could not be told")
        if self.draws > 1:
            seed = "" if self.seed is None else f", seed {self.seed}"
            said.append(f"sample {self.draw} of {self.draws} drawn{seed}")
        if self.drawn_for:
            said.append(f"the sample was drawn for {self.drawn_for}")
        return tuple(said)


def draw(labels: Sequence[int], count: int, seed: int, design: str) -> list[int]:
    """Return positions in `labels` to ask about, in random order, none twice; all where `count` is larger.

    The order is random too, so the first answers of a uniform sample are one themselves.

    Args:
        labels: the model's answer for each image (N,).
        count: how many to ask, n.
        seed: fixes the sample.
        design: one of `DESIGNS`.

    Raises:
        ConfigError: n is not positive, the design is unknown, or a stratified sample has less than two an
            answered class: no interval can be had from one.
    """
    if design not in DESIGNS or count < 1:
        raise ConfigError("sample", f"{count} images, {design!r}: give a positive number and one of {DESIGNS}")
    generator = np.random.default_rng([seed, *b"spot check"])  # held-out images are drawn by the seed alone
    order = generator.permutation(len(labels))
    if design == "uniform" or count >= len(labels):
        return [int(one) for one in order[:count]]
    members = np.asarray(labels)[order]
    classes, sizes = np.unique(members, return_counts=True)
    if count < LEAST_A_CLASS * len(classes):
        raise ConfigError("sample", f"{count} images for {len(classes)} classes: a stratified sample needs two each; "
                                    "take more images, or every image alike")
    taken = [order[members == one][:share] for one, share in zip(classes, _shares(sizes.tolist(), count), strict=True)]
    return [int(one) for one in generator.permutation(np.concatenate(taken))]


def measure(strata: Sequence[Stratum], right: Container[int | str]) -> Measured | None:
    """Return the accuracy that answers show; None until each stratum with images has an answer.

    Args:
        strata: what was drawn from; one is a uniform sample.
        right: the images for which the person's answer is the model's.

    The weighted share is Σ W_k p_k with W_k = N_k / N. Its variance Σ W_k² p_k (1 - p_k) / n_k is taken with
    p_k = (right + 1) / (n_k + 2), so that a stratum answered all alike does not pretend to be known;
    n_eff = p (1 - p) / variance. Where every image was asked, the share is exact and the interval is a point.
    """
    strata = [one for one in strata if one.images]
    if not strata or any(not one.answered for one in strata):
        return None
    total, answered = sum(one.images for one in strata), sum(one.answered for one in strata)
    accuracy = sum(one.images * one.count(right) / one.answered for one in strata) / total
    if answered == total:
        return Measured(accuracy=accuracy, low=accuracy, high=accuracy, answered=answered)
    effective = float(answered)
    if len(strata) > 1:
        smooth = [(one.count(right) + 1) / (one.answered + 2) for one in strata]
        weights = [one.images / total for one in strata]
        variance = sum(weight**2 * share * (1 - share) / one.answered
                       for weight, share, one in zip(weights, smooth, strata, strict=True))
        mean = sum(weight * share for weight, share in zip(weights, smooth, strict=True))
        effective = min(mean * (1 - mean) / variance, effective)
    low, high = wilson(accuracy, effective)
    return Measured(accuracy=accuracy, low=low, high=high, answered=answered)


def wilson(share: float, count: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Wilson's interval for a share, 0 … 1, seen in `count` > 0 answers."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * (share * (1 - share) / count + z**2 / (4 * count**2)) ** 0.5 / (1 + z**2 / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def sentence(found: Measured) -> str:
    """Return what pages and cards say of a measured sample."""
    if found.low == found.high:
        figure = f"{100 * found.accuracy:.1f} % right on all {found.answered:,} images, labelled by a person"
    else:
        images = (f"{found.answered:,} images of a random sample," if found.unsure
                  else f"a random sample of {found.answered:,} images")
        figure = (f"{100 * found.accuracy:.0f} % right (95 % interval {100 * found.low:.0f}–{100 * found.high:.0f} %), "
                  f"on {images} labelled by a person")
    return "; ".join((figure, *found.provisos))


def with_measurement(card: str, measured: Measured | None, beside: str = "") -> str:
    """Return a model card's text with this measurement, and no other of its kind, under "What is known".

    Args:
        card: the text.
        measured: of the run; None where nothing stands.
        beside: how the baseline compares on the same images, a clause, or "".
    """
    before, limits, after = card.partition("\n## Limits")
    lines = [line for line in before.splitlines() if not line.startswith(CARD_LINE) and NOTHING_MEASURED not in line]
    if measured is not None:
        lines.append(f"{CARD_LINE}{'; '.join(filter(None, (sentence(measured), beside)))}.")
    elif not any(line.startswith("- Measured ") for line in lines):
        lines.append(f"- {NOTHING_MEASURED}")
    return "\n".join(lines) + "\n" + limits + after


def _shares(sizes: Sequence[int], count: int) -> list[int]:
    """Share `count` out in proportion to sizes, but `LEAST_A_CLASS` to each as far as it has them."""
    shares = [min(size, LEAST_A_CLASS) for size in sizes]
    total = sum(sizes)
    for _ in range(count - sum(shares)):  # each image to the class that is furthest behind its share
        behind = [size * count / total - share if share < size else -np.inf for size, share in zip(sizes, shares)]
        shares[int(np.argmax(behind))] += 1
    return shares
