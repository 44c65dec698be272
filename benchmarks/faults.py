"""Break labelfree and see what becomes of it: kills, redelivery, zombies, full disks, absent databases, cut lines.

``make bench-faults`` runs all that is not in the rows yet; ``python -m benchmarks.faults kills zombies`` these parts.
Only processes that were started here are killed, and nothing but this machine is spoken to.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks import floods, kills, reliability, rows, shortages, zombies
from benchmarks.trials import Trials, version

PARTS: Mapping[str, Callable[[Trials], None]] = {
    "kills": kills.kills,
    "redelivery": zombies.redelivery,
    "zombies": zombies.zombies,
    "disks": shortages.disks,
    "databases": shortages.databases,
    "floods": floods.floods,
}


def main(chosen: Sequence[str]) -> int:
    """Make the trials that are missing, write the page and print the bounds; return 1 when one is short."""
    unknown = set(chosen) - set(PARTS)
    if unknown:
        sys.stderr.write(f"there is no part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}\n")
        return 2
    trials = Trials(reliability.FAULTS, version())
    for name in chosen or PARTS:
        PARTS[name](trials)
    reliability.write()
    bounds = list(reliability.fault_bounds(rows.read_trials(reliability.FAULTS)))
    sys.stdout.write("".join(f"{bound}\n" for bound in bounds))
    return 0 if all(bound.holds for bound in bounds) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
