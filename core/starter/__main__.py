"""Train and ship the starter models: ``python -m core.starter STAGE --data DIR --work DIR``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import core.torchvision_schemas  # noqa: F401  (before open_clip)
from core.starter import image_tower, mixture


def main() -> None:
    """Run one stage."""
    parser = argparse.ArgumentParser(prog="python -m core.starter", description=__doc__)
    parser.add_argument("stage", choices=["image"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(".starter"))
    parser.add_argument("--views", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    mixed = mixture.load(given.data, given.work)
    recipe = image_tower.Recipe(**({"views": given.views} if given.views else {}))
    image_tower.train(mixed, given.data, given.work, recipe, given.seed)


if __name__ == "__main__":
    main()
