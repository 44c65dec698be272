"""A queue of recent embeddings in which every image finds neighbours that are not itself.

B images, Q places of the queue, E embedding width.

Paper: Lehner et al., 2023, arXiv:2304.10520, Eq. 1 and Algorithm 1 (`topk_NN`). Reference code: ml-jku/MAE-CT at
6c82cb6.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

NOBODY = -1
BELOW_ANY_COSINE = -2.0


class NeighbourQueue:
    """The newest Q embeddings, first in, first out.

    Attributes:
        embeddings: (Q, E) unit vectors; at first random ones, which are nobody's.
        owners: (Q,) the image that each row is of, -1 = nobody's.
        place: (), where the next row goes.
    """

    def __init__(self, size: int, width: int, generator: torch.Generator, device: torch.device | str = "cpu") -> None:
        random = torch.randn(size, width, generator=generator)
        self.embeddings = functional.normalize(random, dim=1).to(device)
        self.owners = torch.full((size,), NOBODY, device=device)
        self.place = torch.zeros((), dtype=torch.long)

    @torch.no_grad()
    def look_up(self, queries: Tensor, images: Tensor, dice: Tensor, preferred: Tensor | None = None) -> Tensor:
        """Return for each query the embedding of one of its nearest neighbours, (B, E); Eq. 1.

        Neither Eq. 1 nor Algorithm 1 leaves out an image's own rows; the authors' code does.

        Args:
            queries: (B, E) unit vectors.
            images: (B,) whose they are; rows of the same image, from the epoch before, are no neighbours.
            dice: (B,) which of the nearest is taken, 0 = the nearest: drawn from 0 … k - 1.
            preferred: (B, Q) bool, rows to be taken before all others; None for none. In the oracle of Table 16 nothing
                but the image's own class is a candidate; with a few labels that would be a few rows, and none for the
                images without one, so here they come first and the nearest others after them.
        """
        likeness = queries @ self.embeddings.T  # (B, Q)
        likeness = likeness.masked_fill(images[:, None] == self.owners, BELOW_ANY_COSINE)
        if preferred is not None:
            likeness = torch.where(preferred, likeness - 2 * BELOW_ANY_COSINE, likeness)
        nearest = likeness.topk(int(dice.max()) + 1, dim=1).indices  # (B, k)
        return self.embeddings[nearest.gather(1, dice[:, None])[:, 0]]  # Eq. 1

    @torch.no_grad()
    def push(self, embeddings: Tensor, images: Tensor) -> None:
        """Put (B, E) in the place of the oldest rows; of a batch larger than the queue, its last Q."""
        size = len(self.embeddings)
        embeddings, images = embeddings[-size:], images[-size:]
        places = (self.place + torch.arange(len(images))) % size
        self.embeddings[places] = embeddings.to(self.embeddings.dtype)
        self.owners[places] = images.to(self.owners.device)
        self.place.copy_((self.place + len(images)) % size)

    def state(self) -> dict[str, Tensor]:
        """Return the tensors that it is made of, for a checkpoint."""
        return {"embeddings": self.embeddings, "owners": self.owners, "place": self.place}
