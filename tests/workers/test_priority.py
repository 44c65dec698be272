"""Computing gives way to pages: by its niceness, and where the kernel shares out by session, by the session's too."""

from __future__ import annotations

import subprocess
import sys

from workers.priority import AUTOGROUP, NICENESS

SAID = """
import os
from workers.priority import AUTOGROUP, give_way
give_way()
print(os.nice(0), AUTOGROUP.read_text().split()[-1] if AUTOGROUP.exists() else "none")
"""


def test_a_process_and_its_session_give_way() -> None:
    said = subprocess.run([sys.executable, "-c", SAID], capture_output=True, text=True, check=True,
                          start_new_session=True)
    assert said.stdout.split() == [str(NICENESS), str(NICENESS) if AUTOGROUP.exists() else "none"]
