"""The sample of the mixture that unsupervised finetuning may replay."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.images import open_images
from core.starter import replay

COUNTS, HELD_OUT = (20, 15), 5


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write two shards whose images are flat, their level seven times their number."""
    monkeypatch.setattr(replay, "HELD_OUT_COUNT", HELD_OUT)
    number = 0
    for shard, count in enumerate(COUNTS):
        files = []
        for _ in range(count):
            file = io.BytesIO()
            Image.new("RGB", (8, 8), (7 * number,) * 3).save(file, "WEBP", lossless=True)
            files.append(file.getvalue())
            number += 1
        np.savez(tmp_path / f"pretrain-64px-{shard:02d}.npz", offsets=np.cumsum([0, *map(len, files)]),
                 bytes=np.frombuffer(b"".join(files), dtype=np.uint8))
    return tmp_path


def test_it_writes_the_images_themselves_and_none_that_are_held_out(data: Path, tmp_path: Path):
    assert replay.write(data, tmp_path / "all.tar", seed=0, share=1.0) == sum(COUNTS) - HELD_OUT
    images, refused = open_images(tmp_path / "all.tar", tmp_path / "unpacked")
    assert not refused
    assert images.names == tuple(f"{number:06d}.webp" for number in range(30))
    assert [images.load(number).getpixel((4, 4)) for number in range(30)] == [(7 * number,) * 3 for number in range(30)]


def test_it_draws_a_share_by_its_seed(data: Path, tmp_path: Path):
    drawn = []
    for number, seed in enumerate((0, 0, 1)):
        assert replay.write(data, tmp_path / f"{number}.tar", seed=seed, share=0.2) == 6
        drawn.append(open_images(tmp_path / f"{number}.tar", tmp_path / f"{number}")[0].names)
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 6


def test_a_folder_without_shards_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="DATA=DIR"):
        replay.write(tmp_path, tmp_path / "all.tar", seed=0)
