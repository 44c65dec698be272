"""Drawing the global answer and the local ones together.

B images, M hidden patches of each, E embedding width.

Paper: Li, Savarese, Hoi, 2022, arXiv:2206.02967, Eq. 5 and Table 6.
"""

from __future__ import annotations

from torch import Tensor


def squared_distance(global_embedding: Tensor, local_embeddings: Tensor, nearest: int = 0) -> Tensor:
    """Return each image's mean squared distance of its class token to its hidden patches, (B,).

    Args:
        global_embedding: (B, E), of unit length.
        local_embeddings: (B, M, E), of unit length.
        nearest: only so many hidden patches, the nearest of each image; 0 = all (Table 6 tries 10).

    Its mean over images is Eq. 5.
    """
    each = (global_embedding.float().unsqueeze(1) - local_embeddings.float()).square().sum(dim=2)  # (B, M)
    if 0 < nearest < each.shape[1]:
        each = each.topk(nearest, dim=1, largest=False).values  # (B, M) -> (B, nearest)
    return each.mean(dim=1)  # Eq. 5
