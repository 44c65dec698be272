"""A backbone with MoCo-v2's projection head: what embeds an image to be told from all others.

B images, D features, E embedding width.

Paper: Chen, Fan, Girshick, He, 2020, arXiv:2003.04297: an MLP of one hidden layer as wide as the features, ReLU,
no batch norm; thrown away afterwards.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.backbones.clip import ClipBackbone
from core.backbones.vit import TimmBackbone

EMBEDDING_WIDTH = 128


class InstanceEncoder(nn.Module):
    """Any backbone of the catalogue and the head; never leaves evaluation mode.

    Batch norm (ResNet) keeps the statistics that the backbone was pretrained with; only its scale and
    shift learn. MoCo computes them anew of every batch, and must then shuffle batches over several GPUs,
    for the statistics that a query and its key share would tell them together. On one device there is nothing to
    shuffle over; fixed statistics tell nothing, let a step be computed in pieces, and are those that answer later.

    Attributes:
        backbone: learns.
        head: (B, D) -> (B, E).
    """

    def __init__(self, backbone: ClipBackbone | TimmBackbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(nn.Linear(backbone.width, backbone.width), nn.ReLU(),
                                  nn.Linear(backbone.width, EMBEDDING_WIDTH))
        self.eval()

    def train(self, mode: bool = True) -> InstanceEncoder:
        """Stay in evaluation mode whatever is asked."""
        return super().train(False)

    def draw(self, generator: torch.Generator) -> None:
        """Draw the head's weights anew, as torch's own default does, from a CPU generator."""
        with torch.no_grad():
            for parameter in self.head.parameters():
                bound = self.backbone.width**-0.5  # both layers have as many inputs
                parameter.copy_(torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator))

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to embeddings (B, E), float32 of unit length."""
        return functional.normalize(self.head(self.backbone(images)).float(), dim=1)
