"""Semi-MAE's objective: what a batch teaches, Eq. 3.

b labelled images of a step, B unlabelled ones, L patches, V visible ones, D features, K classes.

Paper: Yu, Zhao, Xu, "Semi-MAE: Masked Autoencoders for Semi-supervised Vision Transformers", 2023,
arXiv:2301.01431; FixMatch (Sohn et al., 2020, arXiv:2001.07685) and MAE (He et al., 2022, arXiv:2111.06377).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.autoencoder import MaskedAutoencoder, encode, pool
from core.losses.pseudolabel import PseudoLabels, consistency, pseudo_labels
from core.losses.reconstruction import normalised_patches, squared_error
from core.training.chunks import in_chunks
from core.training.precision import forward_precision

HEAD_DEVIATION = 0.01
SMALLEST_DEVIATION = 1e-6


class Batch(NamedTuple):
    """What one step sees.

    Attributes:
        labelled: (b, 3, H, W) weak views in [0, 1].
        labels: (b,) a person's.
        indices: (B,) which of all images are the unlabelled ones.
        weak: (B, 3, H, W) in [0, 1]; (0, 3, H, W) where no term asks for it.
        strong: as `weak`.
        order: (B, L), each weak view's patches, those to be shown first.
    """

    labelled: Tensor
    labels: Tensor
    indices: Tensor
    weak: Tensor
    strong: Tensor
    order: Tensor


class Head(nn.Module):
    """A linear classifier of features that are first brought to mean 0 and deviation 1, as they were at the beginning.

    Not in the paper: the features of an autoencoder differ from image to image by little beside their common mean,
    and a new classifier would spend a short run on that. MAE puts a batch norm there for its linear probes. From
    scratch there is nothing to go by: they are left as they are.

    Attributes:
        mean, deviation: (D,) of the features.
        linear: (D,) -> (K,).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, num_classes: int, generator: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.linear = nn.Linear(width, num_classes)
        with torch.no_grad():
            self.linear.weight.normal_(0, HEAD_DEVIATION, generator=generator)
            self.linear.bias.zero_()

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, D) to logits (B, K), in float32."""
        found: Tensor = self.linear((features.float() - self.mean) / self.deviation)
        return found

    def fit(self, features: Tensor) -> None:
        """Take mean and deviation from features (n, D)."""
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp(min=SMALLEST_DEVIATION))

    @torch.no_grad()
    def folded(self) -> tuple[Tensor, Tensor]:
        """Return weight (D, K) and bias (K,) that do the same to features as they are."""
        weight = (self.linear.weight / self.deviation).T
        return weight, self.linear.bias - self.mean @ weight


@dataclass(kw_only=True)
class Objective:
    """The terms of a batch; "loss" is Eq. 3.

    Attributes:
        model: encoder, shared by all branches, and decoder.
        head: features -> logits.
        pooling: which features: "patches" or "class".
        threshold: τ.
        consistency_weight: λ; 0 while warming up.
        reconstruction_weight: μ; 0 = FixMatch.
        visible_count: V.
        latest: (N,) the newest own label of every image, -1 before its first.
        normalise: pixels as the network sees them.
        device, precision, chunk_size: where, in what, and how many images at once.
        between_chunks: called often; may raise to stop.
        last_seen: the newest batch's indices, answers, and (B,) whether each answer changed; for the page.
    """

    model: MaskedAutoencoder
    head: Head
    pooling: str
    threshold: float
    consistency_weight: float
    reconstruction_weight: float
    visible_count: int
    latest: Tensor
    normalise: Callable[[Tensor], Tensor]
    device: torch.device
    precision: str = "auto"
    chunk_size: int = 1024
    between_chunks: Callable[[], None] = lambda: None
    last_seen: tuple[Tensor, PseudoLabels, Tensor] | None = None

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of one effective batch, however many chunks it takes."""
        labels = batch.labels.to(self.device)
        terms = {"supervised": functional.cross_entropy(self.logits(batch.labelled), labels)}  # Eq. 1
        loss = terms["supervised"]
        if self.consistency_weight > 0:
            answers = self._answers(batch)
            terms["consistency"] = consistency(self.logits(batch.strong), answers)  # Eq. 2
            terms["confident"] = answers.confident.float().mean()
            loss = loss + self.consistency_weight * terms["consistency"]
        if self.reconstruction_weight > 0:
            terms["reconstruction"] = self._reconstruction(batch.weak, batch.order)
            loss = loss + self.reconstruction_weight * terms["reconstruction"]
        return terms | {"loss": loss}  # Eq. 3

    def logits(self, views: Tensor) -> Tensor:
        """Return the logits (B, K) of views (B, 3, H, W) in [0, 1]."""
        found: Tensor = self.head(self.features(views))
        return found

    def features(self, views: Tensor) -> Tensor:
        """Return the features (B, D) of views (B, 3, H, W) in [0, 1], in float32."""
        def one(images: Tensor) -> tuple[Tensor, ...]:
            with forward_precision(self.device, self.precision):
                tokens = encode(self.model.encoder, self.normalise(images.to(self.device)))
            return (pool(tokens, self.pooling).float(),)

        (found,) = in_chunks(one, (views,), self.chunk_size, self.between_chunks)
        return found

    def _answers(self, batch: Batch) -> PseudoLabels:
        """Let the model answer the weak views, and remember what it said."""
        with torch.no_grad():
            answers = pseudo_labels(self.logits(batch.weak), self.threshold)
        labels = answers.labels.to(self.latest.device)
        changed = (self.latest[batch.indices] >= 0) & (self.latest[batch.indices] != labels)
        self.latest[batch.indices] = labels
        self.last_seen = batch.indices, answers, changed
        return answers

    def _reconstruction(self, weak: Tensor, order: Tensor) -> Tensor:
        """Return L_MAE: the error of the hidden patches of the weak views, each patch normalised (MAE's default)."""
        def one(images: Tensor, order: Tensor) -> tuple[Tensor, ...]:
            images, order = self.normalise(images.to(self.device)), order.to(self.device)
            with forward_precision(self.device, self.precision):
                recovered = self.model(images, order, self.visible_count)
            hidden = torch.ones_like(order, dtype=torch.float32).scatter_(1, order[:, :self.visible_count], 0.0)
            side = self.model.encoder.patch_embed.patch_size[0]
            return (squared_error(recovered, normalised_patches(images, side), hidden).expand(len(images)),)

        (errors,) = in_chunks(one, (weak, order), self.chunk_size, self.between_chunks)
        return errors.mean()  # L_MAE of Eq. 3; every image hides equally many
