"""The loss of MAE-CT: neighbours told apart, patches recovered, or both, over an effective batch of any size.

B images of the effective batch, L patches, V visible ones, D encoder width, E embedding width, N images in all.

Paper: Lehner et al., 2023, arXiv:2304.10520, Eq. 1 and 2, Algorithm 1, section 4.4. Reference code: ml-jku/MAE-CT at
6c82cb6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.backbones.autoencoder import MaskedAutoencoder, encode, pool
from core.backbones.contrastive_head import ContrastiveHead, project
from core.losses.contrast import symmetric_contrast
from core.losses.neighbours import NeighbourQueue
from core.losses.reconstruction import normalised_patches, squared_error
from core.losses.spread import spread
from core.training.chunks import in_chunks
from core.training.precision import forward_precision


class Batch(NamedTuple):
    """What one step sees.

    Attributes:
        indices: (B,) which images.
        views: one or two of (B, 3, H, W) in [0, 1]; contrast needs two.
        orders: (B, L) for each view, its patches with those to be shown first.
        dice: (2, B), which of its nearest neighbours each image of each view takes; 0 = the nearest.
    """

    indices: Tensor
    views: tuple[Tensor, ...]
    orders: tuple[Tensor, ...]
    dice: Tensor


@dataclass(kw_only=True)
class Objective:
    """The terms of a batch.

    Attributes:
        model: encoder and decoder; the encoder's parameters that need no gradient are not tuned.
        head: learns where contrast counts.
        lookup_projector: embeds what is looked up and queued: the head's own, or its average.
        queue: where neighbours are found.
        pooling: which feature the head sees: "patches" or "class".
        temperature: τ.
        contrast_weight: 1 in tuning, λ of combined pretraining (Table 4); 0 = off.
        reconstruction_weight: 1 in pretraining, 0 in tuning.
        detached: contrast teaches the head alone (Table 4).
        lookup: neighbours are looked up; otherwise an image's other view is its neighbour (Table 3).
        visible_count: V; L = everything is shown.
        labels: (N,) class of each image that a person labelled, -1 = not; None: the lookup does not know them.
        normalise: pixels as the network sees them.
        device, precision, chunk_size: where, in what, and how many images at once.
        between_chunks: called often; may raise to stop.
        seen: the newest batch's embeddings of the first view, for the queue, and whose they are.
    """

    model: MaskedAutoencoder
    head: ContrastiveHead
    lookup_projector: nn.Module
    queue: NeighbourQueue
    pooling: str
    temperature: float
    contrast_weight: float
    reconstruction_weight: float
    visible_count: int
    normalise: Callable[[Tensor], Tensor]
    device: torch.device
    detached: bool = False
    lookup: bool = True
    labels: Tensor | None = None
    precision: str = "auto"
    chunk_size: int = 1024
    between_chunks: Callable[[], None] = lambda: None
    seen: tuple[Tensor, Tensor] | None = None

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of one effective batch; batch norm and the other images see all of it."""
        features, errors = zip(*(self._look(view, order) for view, order in zip(
            batch.views, batch.orders, strict=True)), strict=True)
        terms: dict[str, Tensor] = {}
        loss = features[0].new_zeros((), dtype=torch.float32)
        if self.contrast_weight > 0:
            terms |= self._contrast(features, batch)
            loss = loss + self.contrast_weight * terms["contrast"]  # section 4.4: λ L^NNCLR
        if self.reconstruction_weight > 0:
            terms["reconstruction"] = torch.stack([one.mean() for one in errors]).mean()
            loss = loss + self.reconstruction_weight * terms["reconstruction"]  # section 4.4: L^MAE
        return terms | {"loss": loss}

    def remember(self) -> None:
        """Queue the newest embeddings of the first view: after the step in which they were looked up."""
        if self.seen is not None:
            self.queue.push(*self.seen)

    def _contrast(self, features: tuple[Tensor, ...], batch: Batch) -> dict[str, Tensor]:
        """Return InfoNCE between the neighbours of each view and the predictions from the other, and the spread."""
        images = batch.indices.to(self.device)
        preferred = self._same_class(images)
        with forward_precision(self.device, self.precision):
            known = [one.detach() if self.detached else one for one in features]
            first, second = self.head.predict(known[0]), self.head.predict(known[1])  # batch norm a view
            embedded = [project(self.lookup_projector, one.detach()) for one in features]
        self.seen, apart = (embedded[0], images), spread(embedded[0])
        if self.lookup:
            embedded = [self.queue.look_up(one, images, dice.to(self.device), preferred)
                        for one, dice in zip(embedded, batch.dice, strict=True)]  # Eq. 1
        contrast = symmetric_contrast((embedded[0], embedded[1]), (first, second), self.temperature)  # Eq. 2
        return {"contrast": contrast, "spread": apart}

    def _same_class(self, images: Tensor) -> Tensor | None:
        """Return (B, Q) which rows of the queue a person put into the same class; None where nobody is asked."""
        if self.labels is None:
            return None
        owners = self.queue.owners
        mine, theirs = self.labels[images], torch.where(owners >= 0, self.labels[owners.clamp(min=0)], -1)
        return (mine[:, None] == theirs) & (mine >= 0)[:, None] & (images[:, None] != owners)

    def _look(self, view: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (B, D) and reconstruction errors (B,) of one view."""
        def one(images: Tensor, order: Tensor) -> tuple[Tensor, ...]:
            images, order = self.normalise(images.to(self.device)), order.to(self.device)
            everything = self.visible_count == order.shape[1]
            with forward_precision(self.device, self.precision):
                tokens = encode(self.model.encoder, images, None if everything else order[:, :self.visible_count])
                if not self.reconstruction_weight:
                    return pool(tokens, self.pooling), images.new_zeros(len(images))
                recovered = self.model.pixels(tokens, order)
            hidden = torch.ones_like(order, dtype=torch.float32).scatter_(1, order[:, :self.visible_count], 0.0)
            side = self.model.encoder.patch_embed.patch_size[0]
            error = squared_error(recovered, normalised_patches(images, side), hidden)
            return pool(tokens, self.pooling), error.expand(len(images))  # every image hides equally many

        features, errors = in_chunks(one, (view, order), self.chunk_size, self.between_chunks)
        return features, errors
