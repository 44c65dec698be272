"""Train and ship the starter models: ``python -m core.starter STAGE --data DIR --work DIR``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import core.torchvision_schemas  # noqa: F401  (before open_clip)
from core.starter import image_tower, masked_autoencoder, mixture, ship, text_tower


STAGES = ("image", "text", "mae", "ship-clip", "ship-mae")


def main() -> None:
    """Run one stage; each resumes where it stopped."""
    parser = argparse.ArgumentParser(prog="python -m core.starter", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(".starter"))
    parser.add_argument("--views", type=int, help="images, or sentences, seen in all; may change on resuming")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    log = logging.getLogger(__name__)
    if given.stage.startswith("ship"):
        written = ship.ship_clip(given.work) if given.stage == "ship-clip" else ship.ship_mae(given.work)
        log.info("wrote %s", written)
        return
    mixed = mixture.load(given.data, given.work)
    length = {"views": given.views} if given.views else {}
    if given.stage == "image":
        image_tower.train(mixed, given.data, given.work, image_tower.Recipe(**length), given.seed)
    elif given.stage == "mae":
        masked_autoencoder.train(mixed, given.work, masked_autoencoder.Recipe(**length), given.seed)
    else:
        spoken = {"sentences": given.views} if given.views else {}
        text_tower.train(mixed, given.work, text_tower.Recipe(**spoken), given.seed)


if __name__ == "__main__":
    main()
