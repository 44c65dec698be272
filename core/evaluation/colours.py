"""The shortcut probe: how well an image's colour histogram can be read off the class token after each block.

Lehner et al., 2023, arXiv:2304.10520, section 4.4 and appendix B.1: 64 bins a channel that sum to 1, one linear
layer a block after a batch normalisation without parameters, L1 loss, SGD at 0.1 with momentum 0.9. The error
is relative to predicting the uniform histogram: 0 is perfect, 1 is chance; *higher is better*, for a model
that knows the colours may have learnt them in place of the things. No truth is needed.

Shapes: n images, B of a step, G blocks, d width, P = 192 values of a histogram.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.data.batches import batches
from core.data.views import EvaluationView
from core.errors import DataError
from core.evaluation.evidence import FOLDS, Evidence, Finding
from core.evaluation.tokens import blocks_of, class_tokens
from core.run import Progress
from core.training.optim import cosine

BINS = 64
RATE, MOMENTUM = 0.1, 0.9
STEPS, WARM_UP_STEPS, BATCH = 1000, 100, 256
"""The paper's 10 epochs of ImageNet are 12,500 steps of 1,024 images; a few thousand images need fewer."""


def histograms(pixels: Tensor) -> Tensor:
    """Return the colour histograms (n, 192) of images (n, 3, H, W) in [0, 1]; each channel's 64 bins sum to 1."""
    place = (pixels.flatten(2) * 255 * BINS / 256).long().clamp(0, BINS - 1)  # (n, 3, H W)
    counts = torch.zeros(*place.shape[:2], BINS).scatter_add_(2, place, torch.ones_like(pixels.flatten(2)))
    return (counts / place.shape[2]).flatten(1)


def histogram_error(tokens: Tensor, targets: Tensor, held_out: Tensor, generator: torch.Generator) -> Tensor:
    """Return the error (G,) on held-out images, relative to the uniform histogram's.

    Args:
        tokens: (G, n, d).
        targets: (n, P).
        held_out: (n,) bool; the probes are fitted to the others.
        generator: draws the batches.
    """
    fitted, wanted = tokens[:, ~held_out], targets[~held_out]
    mean, deviation = fitted.mean(1, keepdim=True), fitted.std(1, keepdim=True).clamp_min(1e-6)
    fitted = (fitted - mean) / deviation
    weight = torch.zeros(len(tokens), tokens.shape[2], targets.shape[1], requires_grad=True)
    bias = torch.full((len(tokens), 1, targets.shape[1]), 1 / BINS, requires_grad=True)
    optimiser = torch.optim.SGD([weight, bias], RATE, momentum=MOMENTUM)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = cosine(step, STEPS, RATE, 0.0, WARM_UP_STEPS)
        chosen = torch.randint(len(wanted), (min(BATCH, len(wanted)),), generator=generator)
        predicted = torch.baddbmm(bias, fitted[:, chosen], weight)  # (G, B, P)
        optimiser.zero_grad()
        functional.l1_loss(predicted, wanted[chosen].expand_as(predicted)).mul(len(tokens)).backward()
        optimiser.step()
    with torch.no_grad():
        predicted = torch.baddbmm(bias, (tokens[:, held_out] - mean) / deviation, weight)
        error = (predicted - targets[held_out]).abs().mean(dim=(1, 2))
    # The paper divides by ImageNet's error of the uniform histogram, 0.01204; another collection has its own.
    return error / (targets[held_out] - 1 / BINS).abs().mean()


def colour_histogram(evidence: Evidence) -> Finding:
    """Measure the histogram prediction error of every block's class token, on a fifth of the different images."""
    backbone, run = evidence.backbones[0], evidence.run
    images = evidence.pictures.subset(evidence.sampled_of(evidence.different).tolist())
    if len(images) < FOLDS:
        raise DataError("images", f"{len(images)} image(s); at least {FOLDS} are needed")
    blocks_of(backbone)
    backbone.to(run.device).eval()
    tokens, targets = [], []
    for _, (pixels,) in batches(images, (EvaluationView(backbone.image_size_px),), range(len(images)), BATCH, seed=0):
        tokens.append(class_tokens(backbone, pixels.to(run.device)).cpu())
        targets.append(histograms(pixels))
        run.report(Progress(stage="reading images", step=sum(map(len, targets)), total=len(images)))
    held_out = torch.from_numpy(np.random.default_rng(run.seed).permutation(len(images)) < len(images) // FOLDS)
    found = histogram_error(torch.cat(tokens, 1), torch.cat(targets), held_out, run.generator("colour probe")).tolist()
    return Finding(figures={"last_block": found[-1], "mean_of_blocks": float(np.mean(found))},
                   table=[["block", "histogram prediction error"], *([one + 1, value] for one, value in
                                                                      enumerate(found))],
                   images=len(images))
