"""Original, masked and recovered images: what an autoencoder makes of an image of which it saw a quarter.

As in Li, Savarese, Hoi, 2022, arXiv:2206.02967, Figure 4, of the autoencoder of He et al., 2022,
arXiv:2111.06377 (75 % of the patches hidden).

Shapes: B images, L patches, P values of a patch, H = W the side that the network sees.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.backbones import autoencoder
from core.backbones.autoencoder import MaskedAutoencoder
from core.backbones.vit import TimmBackbone
from core.data.views import EvaluationView, as_tensor, normalise
from core.errors import ConfigError
from core.evaluation.drawing import as_image, sheet
from core.evaluation.evidence import Evidence, Finding
from core.losses.reconstruction import patches, pictures

TILE_PX = 160
HIDDEN_SHARE = 0.75


def recovered(evidence: Evidence) -> Finding:
    """Draw the triplets of a few images, and measure the error of the hidden patterns in them.

    Raises:
        ConfigError: for a model that comes without a decoder.
    """
    backbone = evidence.backbones[0]
    if evidence.adapted or not isinstance(backbone, TimmBackbone) or not autoencoder.has_decoder(backbone.name):
        raise ConfigError("recovered", "hidden patches are recovered by a decoder, which adapted models and published "
                                       "encoders are kept without; give --backbone starter-mae")
    run, encoder = evidence.run, backbone.visual
    model = MaskedAutoencoder(encoder, autoencoder.load_decoder(backbone.name, encoder, run.seed)).cpu().eval()
    view = EvaluationView(backbone.image_size_px)
    images = torch.stack([as_tensor(view.pixels(evidence.pictures.load(one))) for one in evidence.shown])
    masked, found, hidden = recover(model, images, backbone, run.generator("hidden patches"))
    error = ((found - images).abs().mean(dim=1, keepdim=True) * hidden).sum() / hidden.sum()
    return Finding(picture=triplets(images, masked, found), figures={"mean_absolute_error": float(error)},
                   notes=("columns: image, masked, recovered",), images=len(images),
                   table=[["row", "path"], *([row + 1, evidence.paths[one]] for row, one in enumerate(evidence.shown))])


def triplets(images: Tensor, masked: Tensor, found: Tensor) -> Image.Image:
    """Return a sheet with a row an image: itself, masked and recovered, each (B, 3, H, W) in [0, 1]."""
    return sheet([[as_image(one).resize((TILE_PX, TILE_PX), Image.Resampling.NEAREST) for one in row]
                  for row in zip(images, masked, found, strict=True)], TILE_PX)


@torch.no_grad()
def recover(model: MaskedAutoencoder, images: Tensor, backbone: TimmBackbone,
            generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Hide patches of images (B, 3, H, W) in [0, 1] at random and recover them.

    The decoder predicts each patch at mean 0 and deviation 1. For the eye it gets the mean and deviation of the
    true patch back, as in MAE's own demonstration; so it is the pattern that is recovered, not its brightness.

    Returns:
        Masked images, recovered images, both (B, 3, H, W), and which pixels were hidden, (B, 1, H, W).
    """
    embed: Any = model.encoder.patch_embed
    patch_px, count = int(embed.patch_size[0]), int(embed.num_patches)
    order = torch.rand(len(images), count, generator=generator).argsort(dim=1)
    visible = count - round(HIDDEN_SHARE * count)
    seen = normalise(images, backbone.mean, backbone.std)
    true = patches(seen, patch_px, channels_last=True)  # (B, L, P)
    predicted = model(seen, order, visible) * true.std(dim=2, keepdim=True) + true.mean(dim=2, keepdim=True)
    covered = torch.ones(len(images), count, 1).scatter_(1, order[:, :visible, None], 0.0)  # 1 = hidden
    rows = images.shape[2] // patch_px

    def as_pixels(values: Tensor) -> Tensor:
        """Put patches (B, L, P), channels last, together and undo the normalisation."""
        whole = pictures(values.unflatten(2, (-1, 3)).transpose(2, 3).flatten(2), rows, patch_px)
        deviation, mean = (whole.new_tensor(one).view(1, 3, 1, 1) for one in (backbone.std, backbone.mean))
        return (whole * deviation + mean).clamp(0, 1)

    hidden = pictures(covered.expand(-1, -1, patch_px**2), rows, patch_px)
    return torch.where(hidden > 0, 0.5, images), as_pixels(torch.where(covered > 0, predicted, true)), hidden
