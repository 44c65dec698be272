"""How far the embeddings of a batch lie apart: what falls to nothing when an encoder that learns by contrast collapses.

B images of a step, E embedding width.

After the deviation of unit vectors that Chen and He watch ("Exploring Simple Siamese Representation Learning", CVPR
2021, section 4.1): theirs is a mean over channels, ours over pairs, which needs no scale.
"""

from __future__ import annotations

from torch import Tensor


def spread(embeddings: Tensor) -> Tensor:
    """Return 1 less the mean cosine of all pairs of a batch's embeddings: about 1 for random ones, 0 where all are one.

    Args:
        embeddings: (B, E) unit vectors; of a single one it is 1.
    """
    count = len(embeddings)
    pairs = embeddings.detach().float().sum(dim=0).square().sum() - count  # twice the sum of their cosines
    return 1 - pairs / (count * max(count - 1, 1))
