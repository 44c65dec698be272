"""Computing that gives way: on one machine with the web, who looks at a page does not wait for a run."""

from __future__ import annotations

import os
import time
from pathlib import Path

NICENESS = 15
"""Of 19: a thirtieth of a core's time where the web wants all of it, and the whole core where nobody does."""
AUTOGROUP = Path("/proc/self/autogroup")
"""Where the kernel groups a session's processes, it shares out among sessions first (sched(7))."""
TRIES, PAUSE_SECONDS = 5, 0.15
"""The kernel takes one such wish in a tenth of a second from all who are not root."""


def give_way() -> None:
    """Let this process and its session, which must not be the web's, compute only when others leave time."""
    os.nice(NICENESS)
    for _ in range(TRIES):
        try:
            AUTOGROUP.write_text(str(NICENESS))
        except BlockingIOError:
            time.sleep(PAUSE_SECONDS)
        except OSError:  # a kernel without groups
            return
        else:
            return
