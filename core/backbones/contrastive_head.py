"""The head of NNCLR: what embeds a feature, and what predicts a neighbour's embedding from it.

B images, D features, E embedding width.

Papers: Dwibedi et al., 2021, arXiv:2104.14548; Lehner et al., 2023, arXiv:2304.10520, appendix A.2: batch norm
after every layer but the predictor's last, ReLU after every batch norm but the projector's last,
linear layers without bias (the reference's, which the paper does not say).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

PROJECTOR_WIDTH, PREDICTOR_WIDTH, EMBEDDING_WIDTH = 2048, 4096, 256


class ContrastiveHead(nn.Module):
    """Projector g and predictor h.

    Attributes:
        projector: (B, D) -> (B, E).
        predictor: (B, E) -> (B, E).
    """

    def __init__(self, features: int, *, projector_width: int = PROJECTOR_WIDTH, embedding: int = EMBEDDING_WIDTH,
                 predictor_width: int = PREDICTOR_WIDTH) -> None:
        super().__init__()
        self.projector = nn.Sequential(
            nn.Linear(features, projector_width, bias=False), nn.BatchNorm1d(projector_width), nn.ReLU(),
            nn.Linear(projector_width, projector_width, bias=False), nn.BatchNorm1d(projector_width), nn.ReLU(),
            nn.Linear(projector_width, embedding, bias=False), nn.BatchNorm1d(embedding))
        self.predictor = nn.Sequential(
            nn.Linear(embedding, predictor_width, bias=False), nn.BatchNorm1d(predictor_width), nn.ReLU(),
            nn.Linear(predictor_width, embedding, bias=False))

    def draw(self, generator: torch.Generator) -> None:
        """Draw the weights anew, as torch's own default does, from a CPU generator."""
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Linear):
                    bound = module.in_features**-0.5
                    module.weight.copy_(torch.empty(module.weight.shape).uniform_(-bound, bound, generator=generator))

    def predict(self, features: Tensor) -> Tensor:
        """Return the predicted embedding of a neighbour, (B, E) float32 of unit length; batch norm over these B."""
        return functional.normalize(self.predictor(self.projector(features)).float(), dim=1)


def project(projector: nn.Module, features: Tensor) -> Tensor:
    """Return embeddings (B, E) float32 of unit length, without gradient."""
    with torch.no_grad():
        return functional.normalize(projector(features).float(), dim=1)
