"""The loss of unsupervised finetuning: images told apart, mixed ones from both that they are made of.

B images of a step, E embedding width, Q places of the queue.

Paper: Li et al., "Unsupervised Finetuning", 2021, arXiv:2110.09510, section 4, on MoCo-v2 (Chen et al., 2020,
arXiv:2003.04297).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from core.backbones.instance_encoder import InstanceEncoder
from core.data.mixing import Mix
from core.losses.instance import instance_contrast, mixed_contrast, own_rows
from core.losses.neighbours import NeighbourQueue
from core.losses.spread import spread
from core.training.chunks import in_chunks
from core.training.precision import forward_precision


class Batch(NamedTuple):
    """What one step sees.

    Attributes:
        indices: (B,) which images.
        queries, keys: two views of each, (B, 3, H, W) in [0, 1].
        mix: how the queries are mixed, None for not at all.
    """

    indices: Tensor
    queries: Tensor
    keys: Tensor
    mix: Mix | None


@dataclass(kw_only=True)
class Objective:
    """The terms of a batch.

    Attributes:
        encoder: learns; embeds the queries.
        key_encoder: its average; embeds the keys.
        queue: of earlier keys, the negatives.
        temperature: τ.
        unmixed: whether the plain queries count beside the mixed ones.
        normalise: pixels as the network sees them.
        device, precision, chunk_size: where, in what, and how many images at once.
        between_chunks: called often; may raise to stop.
        seen: the newest keys, for the queue, and whose they are.
    """

    encoder: InstanceEncoder
    key_encoder: InstanceEncoder
    queue: NeighbourQueue
    temperature: float
    normalise: Callable[[Tensor], Tensor]
    device: torch.device
    unmixed: bool = True
    precision: str = "auto"
    chunk_size: int = 1024
    between_chunks: Callable[[], None] = lambda: None
    seen: tuple[Tensor, Tensor] | None = None

    def __call__(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of one batch, "contrast" (Eq. 4), "mixed_contrast" (Eq. 6) and the keys' spread."""
        looks = [batch.queries] if self.unmixed or batch.mix is None else []
        if batch.mix is not None:
            looks.append(batch.mix.of(batch.queries))
        embedded = self._embed(self.encoder, torch.cat(looks)).split(len(batch.indices))
        with torch.no_grad():
            keys = self._embed(self.key_encoder, batch.keys)
        images = batch.indices.to(self.device)
        self.seen = keys, images
        negatives, own = self.queue.embeddings, own_rows(images, self.queue.owners)
        terms: dict[str, Tensor] = {}
        if self.unmixed or batch.mix is None:
            terms["contrast"] = instance_contrast(embedded[0], keys, negatives, own, self.temperature).mean()  # Eq. 4
        if batch.mix is not None:
            partners = batch.mix.partners.to(self.device)
            terms["mixed_contrast"] = mixed_contrast(
                embedded[-1], keys, partners, negatives, own | own[partners], batch.mix.share,
                self.temperature).mean()  # Eq. 6
        # Eq. 6 is added to Eq. 4 with weight 1: the mixed queries are "extra positive samples" (section 1); whether
        # they replace the plain ones the paper leaves open. It mixes two random images of the mini-batch an iteration;
        # here each one is mixed with another (see `core.data.mixing.draw_mix`), and Eq. 6 is the mean over all.
        return terms | {"spread": spread(keys), "loss": torch.stack(list(terms.values())).sum()}

    def remember(self) -> None:
        """Queue the newest keys: after the step in which they were positives, so never beside themselves."""
        if self.seen is not None:
            self.queue.push(*self.seen)

    def _embed(self, encoder: InstanceEncoder, images: Tensor) -> Tensor:
        """Return embeddings (B, E)."""
        def one(part: Tensor) -> tuple[Tensor, ...]:
            part = self.normalise(part.to(self.device))
            with forward_precision(self.device, self.precision):
                return (encoder(part),)

        (embedded,) = in_chunks(one, (images,), self.chunk_size, self.between_chunks)
        return embedded
