"""The encoder that images are told apart by: any backbone, a head, and batch norm that does not look at the batch."""

from __future__ import annotations

import timm
import torch

from core.backbones.instance_encoder import EMBEDDING_WIDTH, InstanceEncoder
from core.backbones.load import load_backbone
from core.backbones.vit import TimmBackbone


def residual() -> TimmBackbone:
    """Return a small ResNet of random weights whose batch norm has seen something."""
    torch.manual_seed(0)
    visual = timm.create_model("resnet10t", pretrained=False, num_classes=0).train()
    with torch.no_grad():
        visual(torch.randn(8, 3, 32, 32))
    config = {"architecture": "resnet10t", "arguments": {"num_classes": 0}, "pooling": "library"}
    return TimmBackbone(name="resnet10t", config=config, image_size_px=32, mean=(0, 0, 0), std=(1, 1, 1), visual=visual)


def test_embeddings_are_of_unit_length(starters):
    encoder = InstanceEncoder(load_backbone("starter-mae"))
    found = encoder(torch.rand(2, 3, 64, 64))
    assert found.shape == (2, EMBEDDING_WIDTH)
    assert torch.allclose(found.norm(dim=1), torch.ones(2))


def test_the_head_is_drawn_from_the_generator_alone(starters):
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed + 7)
        encoder = InstanceEncoder(load_backbone("starter-mae"))
        encoder.draw(torch.Generator().manual_seed(seed))
        heads.append(torch.cat([one.flatten() for one in encoder.head.parameters()]).detach())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert heads[0].abs().max() <= 192**-0.5
    assert heads[0].std() > 0.5 * 192**-0.5


def test_batch_norm_keeps_its_statistics_and_an_image_is_embedded_alone_as_in_company():
    encoder = InstanceEncoder(residual())
    encoder.train()
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    together = encoder(images)
    torch.testing.assert_close(encoder(images[:1]), together[:1])
    together[:, 0].sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in encoder.named_buffers())
    norm = next(one for one in encoder.modules() if isinstance(one, torch.nn.BatchNorm2d))
    assert norm.weight.grad is not None, "its scale and shift learn"
    assert norm.weight.grad.abs().sum() > 0
