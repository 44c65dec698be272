from __future__ import annotations

import os
import random
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from core.data.batches import batches, shuffled, training_batches, view_seed
from core.data.images import ImageSet
from core.data.views import (
    BYOL_SMALLEST_CROP,
    SMALLEST_CROP,
    ContrastView,
    CropView,
    EvaluationView,
    MocoView,
    ShiftedView,
    StrongView,
    View,
    WeakView,
    _random_box,
    as_tensor,
    normalise,
)
from core.errors import DataError

VIEWS = (WeakView(64), StrongView(64, mirror=True), CropView(64, mirror=True), ShiftedView(64, mirror=True),
         ShiftedView(64, mirror=True, strong=True), MocoView(64, mirror=True),
         ContrastView(64, mirror=True, second=False), ContrastView(64, mirror=True, second=True), EvaluationView(64))


def seen(view: View, image: Image.Image, seed: int = 0) -> torch.Tensor:
    return as_tensor(view.pixels(image, seed))


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg"))  # 640 x 427


@pytest.mark.parametrize("view", VIEWS, ids=str)
@pytest.mark.parametrize("size", [(8, 8), (64, 64), (640, 427), (30, 300), (301, 29), (2, 2), (65, 64)])
def test_a_view_is_a_square_of_floats_between_0_and_1(photograph, view, size):
    found = seen(view, photograph.resize(size), seed=3)
    assert found.shape == (3, 64, 64)
    assert found.dtype == torch.float32
    assert 0 <= found.min() <= found.max() <= 1
    assert found.std() > 0.01


@pytest.mark.parametrize("view", VIEWS[:-1], ids=str)
def test_a_view_depends_on_its_seed_alone(photograph, view):
    first = seen(view, photograph, seed=1)
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)
    assert torch.equal(seen(view, photograph, seed=1), first)
    assert not torch.equal(seen(view, photograph, seed=2), first)


def test_the_global_generators_stay_as_they_were(photograph):
    random.seed(5)
    np.random.seed(5)
    state = torch.manual_seed(5).get_state()
    for view in VIEWS:
        seen(view, photograph, seed=1)
    assert random.random() == random.Random(5).random()
    assert np.random.random() == np.random.RandomState(5).random()
    assert torch.equal(torch.get_rng_state(), state)


def test_the_evaluation_view_is_the_centre_of_the_resized_image(photograph):
    resized = photograph.resize((95, 64), Image.Resampling.BICUBIC)  # 64 * 640 // 427
    expected = np.asarray(resized.crop((16, 0, 80, 64)), dtype=np.float32) / 255
    assert np.allclose(seen(EvaluationView(64), photograph).permute(1, 2, 0).numpy(), expected)


def test_the_evaluation_view_agrees_with_torchvisions_resize_and_centre_crop(photograph):
    import core.torchvision_schemas  # noqa: F401, I001
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize, ToTensor

    theirs = Compose([Resize(64, InterpolationMode.BICUBIC), CenterCrop(64), ToTensor()])
    for size in ((640, 427), (200, 310), (8, 8), (100, 101), (101, 100)):
        image = photograph.resize(size)
        assert torch.equal(seen(EvaluationView(64), image), theirs(image)), size


def test_a_weak_view_is_a_crop_of_the_resized_image_and_not_always_the_same(photograph):
    resized = np.asarray(photograph.resize((95, 64), Image.Resampling.BICUBIC))
    lefts = set()
    small = photograph.resize((95, 64), Image.Resampling.BICUBIC)
    for seed in range(200):
        found = WeakView(64).pixels(small, seed)
        lefts |= {left for left in range(32) if np.array_equal(found, resized[:, left:left + 64])}
    assert min(lefts) == 0
    assert max(lefts) == 31


@pytest.mark.parametrize(("view", "inverted"), [(StrongView, 0.3), (CropView, 0.0)])
def test_views_are_mirrored_half_of_the_time_only_where_mirror_images_mean_the_same(view, inverted):
    ramp = Image.fromarray(np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 2 + 60, 64, 0).repeat(3, 2))

    def mirrored(mirror: bool) -> float:
        signs = []
        for seed in range(200):
            pixels = view(64, mirror).pixels(ramp, seed).astype(float).mean((0, 2))
            signs.append(pixels[40:60].mean() < pixels[4:24].mean())
        return float(np.mean(signs))

    assert mirrored(False) <= inverted  # RandAugment inverts some
    assert 0.4 < mirrored(True) < 0.6


def test_byols_first_view_is_always_blurred_and_only_its_second_solarised(photograph):
    flat = Image.new("RGB", (64, 64), (230, 230, 230))

    def pixels(second: bool) -> np.ndarray:
        view = ContrastView(64, mirror=False, second=second)
        return np.stack([view.pixels(flat, seed) for seed in range(200)]).astype(float).mean((1, 2, 3))

    assert (pixels(second=False) < 100).mean() == 0  # brightness and contrast leave a light grey light
    assert 0.1 < (pixels(second=True) < 100).mean() < 0.3
    edges = [np.abs(np.diff(seen(ContrastView(64, False, second), photograph, seed).numpy())).mean()
             for second in (False, True) for seed in range(60)]
    assert np.mean(edges[:60]) < np.mean(edges[60:])


def test_mocos_view_is_blurred_half_of_the_time_and_never_solarised(photograph):
    flat = Image.new("RGB", (64, 64), (230, 230, 230))
    levels = np.stack([MocoView(64, mirror=False).pixels(flat, seed) for seed in range(200)]).astype(float)
    assert levels.mean((1, 2, 3)).min() > 100
    edges = {view: np.mean([np.abs(np.diff(seen(view, photograph, seed).numpy())).mean() for seed in range(60)])
             for view in (MocoView(64, False), ContrastView(64, False, False), CropView(64, False))}
    blurred_always, sharp = edges[ContrastView(64, False, False)], edges[CropView(64, False)]
    assert blurred_always < edges[MocoView(64, False)] < sharp


@pytest.mark.parametrize("smallest", [0.3, SMALLEST_CROP, BYOL_SMALLEST_CROP])
def test_crops_take_their_share_of_the_area(smallest):
    draws = random.Random(0)
    boxes = np.array([_random_box(200, 150, smallest, draws) for _ in range(2000)])
    area = boxes[:, 2] * boxes[:, 3] / (200 * 150)
    ratio = boxes[:, 2] / boxes[:, 3]
    assert smallest - 0.01 < area.min() < smallest + 0.02
    assert 0.9 < area.max() <= 1
    assert 0.7 < ratio.min() < 0.78
    assert 1.28 < ratio.max() < 1.4
    assert (boxes[:, 0] + boxes[:, 2] <= 200).all()
    assert (boxes[:, 1] + boxes[:, 3] <= 150).all()
    assert _random_box(1000, 10, smallest, random.Random(0))[2:] == (13, 10)  # no box fits: the centre


def test_strong_views_of_a_large_image_agree_with_those_of_the_reduced_one(photograph):
    """Reducing beforehand to twice the side is a departure that must not show."""
    view = StrongView(64, mirror=False)
    large = photograph.resize((960, 640), Image.Resampling.BICUBIC)
    small = large.resize((192, 128), Image.Resampling.BICUBIC, reducing_gap=3.0)
    apart = [float((seen(view, large, seed) - seen(view, small, seed)).abs().mean()) for seed in range(20)]
    unlike = [float((seen(view, large, seed) - seen(view, large, seed + 100)).abs().mean()) for seed in range(20)]
    assert np.median(apart) < 0.02
    assert np.median(unlike) > 0.1


def test_normalising_subtracts_the_mean_and_divides_by_the_deviation():
    images = torch.stack([torch.full((4, 4), value) for value in (0.1, 0.2, 0.3)])[None]
    found = normalise(images, (0.1, 0.1, 0.1), (0.1, 0.5, 0.2))
    assert torch.allclose(found[0, :, 0, 0], torch.tensor([0.0, 0.2, 1.0]))


def test_batches_hold_the_views_of_the_images_asked_for_in_order(digit_images):
    indices = [5, 3, 59, 3, 0]
    found = list(batches(digit_images, VIEWS, indices, batch_size=2, seed=7, epoch=1))
    assert [one.tolist() for one, _ in found] == [[5, 3], [59, 3], [0]]
    for row, index in zip(torch.cat([views[1] for _, views in found]), indices):
        assert torch.equal(row, seen(VIEWS[1], digit_images.load(index), view_seed(7, 1, index, 1)))


def test_batches_do_not_depend_on_their_size_or_on_who_else_draws(digit_images):
    everything = range(len(digit_images))
    expected = torch.cat([views[0] for _, (*views,) in batches(digit_images, VIEWS[1:2], everything, 60, seed=1)])
    noise = threading.Event()

    def draw() -> None:
        while not noise.is_set():
            random.random()
            np.random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        found = torch.cat([views[0] for _, views in batches(digit_images, VIEWS[1:2], everything, 7, seed=1)])
    finally:
        noise.set()
        thread.join()
    assert torch.equal(found, expected)


def test_an_image_looks_different_in_every_epoch_and_under_every_seed(digit_images):
    def view(seed: int, epoch: int) -> torch.Tensor:
        return next(batches(digit_images, VIEWS[1:2], range(20), 20, seed=seed, epoch=epoch))[1][0]

    assert torch.equal(view(0, 0), view(0, 0))
    assert not torch.equal(view(0, 0), view(0, 1))
    assert not torch.equal(view(0, 0), view(1, 0))


def test_leaving_batches_early_leaves_no_thread_behind(digit_images):
    for _ in batches(digit_images, VIEWS, range(60), batch_size=4, seed=0):
        break
    import gc

    gc.collect()
    assert not [one for one in threading.enumerate() if one.name.startswith("views")]


def test_batches_are_made_where_a_process_cannot_ask_for_its_processors(digit_images, monkeypatch):
    [(_, expected)] = batches(digit_images, VIEWS, range(20), batch_size=20, seed=0)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    [(_, found)] = batches(digit_images, VIEWS, range(20), batch_size=20, seed=0)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_no_indices_give_no_batch(digit_images):
    assert list(batches(digit_images, VIEWS, [], batch_size=4, seed=0)) == []


def test_a_file_that_went_away_is_named_by_the_batch(digit_images, tmp_path):
    lost = ImageSet((*digit_images.paths, tmp_path / "gone.png"), (*digit_images.names, "gone.png"))
    with pytest.raises(DataError, match=r"gone\.png: cannot be read"):
        list(batches(lost, VIEWS, range(61), batch_size=16, seed=0))


def test_an_epochs_order_is_a_permutation_of_its_own():
    assert sorted(shuffled(100, 0, 0)) == list(range(100))
    assert shuffled(100, 0, 0) == shuffled(100, 0, 0)
    assert len({tuple(shuffled(100, seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_seeds_of_views_do_not_repeat():
    seeds = {view_seed(s, e, i, v) for s in (0, 1) for e in range(10) for i in range(100) for v in range(2)}
    assert len(seeds) == 4000


def test_training_batches_go_on_for_ever_and_from_any_step_as_from_the_first(digit_images):
    few = digit_images.subset(range(10))

    def some(first: int, count: int) -> list[tuple[int, list[int], torch.Tensor]]:
        made = training_batches(few, (CropView(16, True),), 4, seed=1, first=first)
        return [(step, indices.tolist(), view) for _, (step, indices, (view,)) in zip(range(count), made, strict=False)]

    whole = some(0, 6)
    assert [step for step, _, _ in whole] == list(range(6))
    for epoch in range(3):  # two batches of four; two of the ten wait for another epoch
        assert len({index for _, indices, _ in whole[2 * epoch:2 * epoch + 2] for index in indices}) == 8
    for (step, indices, view), (again, same, seen_again) in zip(whole[3:], some(3, 3), strict=True):
        assert (step, indices) == (again, same)
        assert torch.equal(view, seen_again)


def test_fixmatchs_weak_view_is_shifted_by_at_most_an_eighth_and_its_strong_one_is_that_under_randaugment():
    columns = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3)))
    shifts = set()  # a pixel's value is its column
    for seed in range(200):
        weak = ShiftedView(224, mirror=False).pixels(columns, seed)
        shifts.add(shift := int(weak[0, 0, 0]))
        assert np.array_equal(weak[0, :, 0], np.arange(shift, shift + 224))
    assert (min(shifts), max(shifts)) == (0, 32)
    same = [np.array_equal(ShiftedView(224, mirror=False, strong=True).pixels(columns, seed),
                           ShiftedView(224, mirror=False).pixels(columns, seed)) for seed in range(20)]
    assert any(same) and not all(same)  # a quarter of the strong views get neither operation
