"""Train and ship the starter models: ``python -m core.starter STAGE --data DIR --work DIR``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

import core.torchvision_schemas  # noqa: F401  (before open_clip)

from core.starter import image_tower, masked_autoencoder, mixture, replay, ship, shipped, text_tower

STAGES = ("text", "image", "mae", "ship-clip", "ship-mae")
ONWARD_STAGES = ("text", "image")
REPLAY = "replay"
"""Trains nothing, so no part of "all": writes a sample of the mixture to replay.tar, for unsupervised finetuning."""


def main() -> None:
    """Run one stage, or all in order; each resumes where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m core.starter", description=__doc__)
    parser.add_argument("stage", choices=[*STAGES, REPLAY, "all"])
    parser.add_argument("--data", type=Path, required=True, help="folder of pretrain-64px-*.npz and target-*.tar")
    parser.add_argument("--work", type=Path, default=Path(".starter"), help="where caches and checkpoints are kept")
    parser.add_argument("--views", type=int, help="images, or sentences, seen in all; may change on resuming")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--onward", action="store_true", help="text, image: begin from the shipped weights")
    parser.add_argument("--learning-rate", type=float, help="the peak, where not the recipe's own")
    parser.add_argument("--full-size-share", type=float, help="image: share of the views, the last, at 64 px")
    parser.add_argument("--share", type=float, default=1.0, help="ship-clip: of the new image tower in the shipped one")
    given = parser.parse_args()
    if given.onward and given.stage not in ONWARD_STAGES:
        parser.error(f"--onward goes with {' or '.join(ONWARD_STAGES)}: {given.stage} begins from nothing")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for stage in STAGES if given.stage == "all" else [given.stage]:
        run_stage(stage, given)


def run_stage(stage: str, given: argparse.Namespace) -> None:
    """Run one stage, with the recipe's own numbers where none were given."""
    if stage in ("ship-clip", "ship-mae"):
        file = ship.ship_clip(given.work, given.share) if stage == "ship-clip" else ship.ship_mae(given.work)
        logging.getLogger(__name__).info("wrote %s", file)
        return
    if stage == REPLAY:
        count = replay.write(given.data, given.work / "replay.tar", given.seed)
        logging.getLogger(__name__).info("wrote %d images to %s", count, given.work / "replay.tar")
        return
    mixed = mixture.load(given.data, given.work)
    beginning = shipped.tensors("starter-clip") if given.onward else None
    recipe: dict[str, Any] = {"sentences" if stage == "text" else "views": given.views,
                              "learning_rate": given.learning_rate}
    if stage == "image":
        recipe["full_size_share"] = given.full_size_share
    recipe = {name: value for name, value in recipe.items() if value is not None}
    if stage == "image":
        image_tower.train(mixed, given.data, given.work, image_tower.Recipe(**recipe), given.seed, beginning)
    elif stage == "mae":
        masked_autoencoder.train(mixed, given.work, masked_autoencoder.Recipe(**recipe), given.seed)
    else:
        text_tower.train(mixed, given.work, text_tower.Recipe(**recipe), given.seed, beginning)


if __name__ == "__main__":
    main()
