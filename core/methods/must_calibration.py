"""What MUST asks of zero-shot's own answers: before it adapts, and of itself after.

N images of a sample, K classes, E embedding width.

None of this is in the paper, whose settings are chosen by data set; the paper's presets switch it off. See
`docs/decisions.md` for what was measured.

Where a run adapts to further collections too, the threshold and the balance are asked of the images of all: they say
what the teacher teaches, and it teaches all of them. So is the share of the classes in use, because a collection may
hold only some of the names that all share. The share of answers kept is asked of the run's own images: they are what
it answers and what zero-shot would answer in its place, and a large further collection would hide them in a mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from core.backbones.clip import ClipBackbone
from core.backbones.features import features
from core.catalog import MustSettings
from core.data.images import ImageSet
from core.evaluation.guard import is_hardly_confirmed
from core.evaluation.label_free import label_free_score
from core.evaluation.signals import group_agreement
from core.losses.pseudolabel import Balance
from core.methods.must_objective import Objective
from core.run import Run

COMPARING = "comparing with zero-shot"
SAMPLE = 2048
"""Images asked: enough to know a share to within a point."""
LOOSE = 3.0
"""A class three times rarer than the mean is a fact of nature; one that is never named is a mistake."""


class Answers(NamedTuple):
    """What the teacher says of a sample, nothing hidden.

    Attributes:
        logits: (N, K), not balanced.
        embeddings: (N, E), of unit length.
    """

    logits: Tensor
    embeddings: Tensor


class FirstAnswers(NamedTuple):
    """What zero-shot says of a sample, balanced: where the teaching starts.

    Attributes:
        labels: (N,).
        bias: (K,) the balance's, or None without one.
    """

    labels: Tensor
    bias: Tensor | None


def balance(choice: str, num_classes: int, device: torch.device) -> Balance | None:
    """Return how unevenly the teacher may name the classes, or None for the paper's way: as it likes."""
    return None if choice == "off" else Balance(num_classes, 1.0 if choice == "even" else LOOSE, device)


def calibrate(objective: Objective, settings: MustSettings, zero_shot: Answers, seed: int,
              beat: Callable[[], None]) -> FirstAnswers:
    """Fit the objective's balance, and set the confidence that `settings.threshold_share` of the images exceed."""
    logits = zero_shot.logits
    if objective.balance is not None:
        objective.balance.fit(logits)
        if settings.label_balance == "auto":
            objective.balance = better_balance(
                objective.balance, logits, objective.student.scale * zero_shot.embeddings, seed, beat)
        logits = objective.balance(logits)
    if settings.threshold_share > 0:
        confidence = logits.softmax(dim=1).amax(dim=1)  # (N,)
        below_the_surest = torch.nextafter(confidence.amax(), torch.zeros_like(confidence[0]))  # who share it all teach
        objective.threshold.copy_(confidence.quantile(1 - settings.threshold_share).minimum(below_the_surest))
    bias = None if objective.balance is None else objective.balance.bias.clone()  # it follows the teacher from now on
    return FirstAnswers(logits.argmax(dim=1), bias)


def better_balance(loose: Balance, logits: Tensor, features: Tensor, seed: int, beat: Callable[[], None]) -> Balance:
    """Return an even balance, or the loose one where evenness makes labels that are harder to learn.

    Evenness helps where zero-shot can tell the classes apart and only favours some, and harms where it cannot: then
    it spreads guesses over classes. The label-free score of the labels on frozen features tells which; a loss of
    less than two standard errors is none.

    Args:
        loose: fitted.
        logits: (N, K) zero-shot's.
        features: (N, E) frozen.
        seed: fixes the folds of the score.
        beat: called often; may raise to stop.
    """
    even = Balance(len(loose.bias), 1.0, loose.bias.device)
    even.fit(logits)
    loosely, evenly = (label_free_score(features.cpu().numpy(), one(logits).argmax(dim=1).cpu().numpy(), seed,
                                        lambda _fold: beat()) for one in (loose, even))
    standard_error = math.sqrt(loosely * (1 - loosely) / len(logits))
    return even if evenly >= loosely - 2 * standard_error else loose


def share_kept(objective: Objective, first: FirstAnswers, adapted: Answers) -> float:
    """Return the share of images to which the adapted teacher still gives its first label, 0 … 1."""
    return float((labels(objective, adapted) == first.labels).float().mean())


def share_used(objective: Objective, adapted: Answers) -> float:
    """Return how many of the K classes are in use, as a share: the perplexity of the adapted labels over K, 1/K … 1."""
    return _perplexity(labels(objective, adapted), adapted.logits.shape[1])


def share_expected(backbone: ClipBackbone, head: Tensor, images: ImageSet, run: Run) -> float:
    """Return the share of the K classes that answers may be expected to use, 1/K … 1.

    All of them, unless groups that know no names confirm zero-shot's answers, as `core.evaluation.guard` asks of a
    baseline: then the names mean something here, and there may be more of them than things.

    Args:
        backbone: as published.
        head: (E, K) its zero-shot classifier.
        images: all that were adapted to.
        run: told of the reading, one step an image; may raise.
    """
    read = functional.normalize(features(backbone, images, run, stage=COMPARING), dim=1)
    found, num_classes = (read @ head.detach().cpu()).argmax(dim=1), head.shape[1]
    confirmed = group_agreement([read.numpy()], found.numpy(), num_classes, run.seed)
    return 1.0 if is_hardly_confirmed(confirmed, num_classes) else _perplexity(found, num_classes)


def _perplexity(found: Tensor, num_classes: int) -> float:
    """Return the perplexity of labels (N,) over K, 1/K … 1."""
    shares = found.bincount(minlength=num_classes) / len(found)  # (K,)
    return float(torch.special.entr(shares).sum().exp()) / num_classes


def labels(objective: Objective, answers: Answers) -> Tensor:
    """Return the labels (N,) of answers, balanced as the objective balances now."""
    logits = answers.logits if objective.balance is None else objective.balance(answers.logits)
    return logits.argmax(dim=1)
