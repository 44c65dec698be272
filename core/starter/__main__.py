"""Train and ship the starter models: ``python -m core.starter STAGE --data DIR --work DIR``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import core.torchvision_schemas  # noqa: F401  (before open_clip)

from core.starter import image_tower, masked_autoencoder, mixture, ship, shipped, text_tower

STAGES = ("text", "image", "mae", "ship-clip", "ship-mae")
ONWARD_STAGES = ("text", "image")


def main() -> None:
    """Run one stage, or all in order; each resumes where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m core.starter", description=__doc__)
    parser.add_argument("stage", choices=[*STAGES, "all"])
    parser.add_argument("--data", type=Path, required=True, help="folder of pretrain-64px-*.npz and target-*.tar")
    parser.add_argument("--work", type=Path, default=Path(".starter"), help="where caches and checkpoints are kept")
    parser.add_argument("--views", type=int, help="images, or sentences, seen in all; may change on resuming")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--onward", action="store_true", help="text, image: begin from the shipped weights")
    given = parser.parse_args()
    if given.onward and given.stage not in ONWARD_STAGES:
        parser.error(f"--onward goes with {' or '.join(ONWARD_STAGES)}: {given.stage} begins from nothing")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for stage in STAGES if given.stage == "all" else [given.stage]:
        run_stage(stage, given.data, given.work, given.views, given.seed, given.onward)


def run_stage(stage: str, data: Path, work: Path, views: int | None, seed: int, onward: bool) -> None:
    """Run one stage."""
    if stage in ("ship-clip", "ship-mae"):
        file = ship.ship_clip(work) if stage == "ship-clip" else ship.ship_mae(work)
        logging.getLogger(__name__).info("wrote %s", file)
        return
    mixed = mixture.load(data, work)
    beginning = shipped.tensors("starter-clip") if onward else None
    if stage == "image":
        image_tower.train(mixed, data, work, image_tower.Recipe(**({"views": views} if views else {})), seed, beginning)
    elif stage == "mae":
        masked_autoencoder.train(mixed, work, masked_autoencoder.Recipe(**({"views": views} if views else {})), seed)
    else:
        text_tower.train(mixed, work, text_tower.Recipe(**({"sentences": views} if views else {})), seed, beginning)


if __name__ == "__main__":
    main()
