"""A batch in pieces has the gradient of the whole."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.errors import Cancelled
from core.losses.pseudolabel import fairness, log_batch_average
from core.training.chunks import images_at_once, in_chunks, kept_bytes, within


def gradient(chunk_size: int) -> tuple[float, torch.Tensor]:
    model = nn.Sequential(nn.Linear(5, 16), nn.GELU(), nn.Linear(16, 3))
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.normal_(generator=torch.Generator().manual_seed(number))
    images = torch.randn(10, 5, generator=torch.Generator().manual_seed(9))
    (logits,) = in_chunks(lambda part: (model(part),), (images,), chunk_size)
    loss = fairness(log_batch_average(logits))
    loss.backward()
    found = model[0].weight.grad
    assert found is not None
    return loss.item(), found


@pytest.mark.parametrize("chunk_size", [1, 3, 9])
def test_a_loss_of_the_whole_batch_keeps_its_value_and_gradient(chunk_size: int):
    whole, pieces = gradient(10), gradient(chunk_size)
    assert pieces[0] == pytest.approx(whole[0], rel=1e-6)
    torch.testing.assert_close(pieces[1], whole[1], rtol=1e-5, atol=1e-7)


def test_only_one_chunk_s_activations_are_kept():
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel()
        return tensor

    weight = torch.ones(4, 100, requires_grad=True)
    images = torch.randn(64, 4)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        in_chunks(lambda part: ((part @ weight).exp().sum(dim=1),), (images,), 8)
    assert kept < 64 * 100  # the exponentials alone


def test_a_request_to_stop_is_heard_between_chunks_on_the_way_forth_and_back():
    calls = 0

    def stop_at(limit: int):
        def between() -> None:
            nonlocal calls
            calls += 1
            if calls == limit:
                raise Cancelled
        return between

    weight = torch.ones(4, 2, requires_grad=True)
    with pytest.raises(Cancelled):
        in_chunks(lambda part: (part @ weight,), (torch.randn(8, 4),), 2, stop_at(3))
    calls = 0
    (found,) = in_chunks(lambda part: ((part @ weight).exp(),), (torch.randn(8, 4),), 2, stop_at(6))
    with pytest.raises(Cancelled):
        found.sum().backward()


def test_larger_models_are_computed_in_smaller_pieces():
    device = torch.device("cpu")
    starter, large = (images_at_once(kept_bytes(*size, device), device) for size in ((192, 6, 65), (1024, 24, 257)))
    assert starter >= 512
    assert 8 <= large < 32


def test_a_run_whose_memory_ran_out_holds_less_than_a_batch():
    assert within(1.0, 500, 64) == 500
    assert [within(share, 500, 64) for share in (0.5, 0.25, 0.0625)] == [32, 16, 4]
    assert within(0.5, 10, 64) == 5
    assert within(0.0625, 8, 8) == 1
