"""How much memory a run took."""

from __future__ import annotations

import subprocess
import sys

HOLD_AND_LET_GO = """
import torch
from core.training.memory import peak_memory_bytes
before = peak_memory_bytes(torch.device("cpu"))
held = torch.ones(64, 1024, 1024)
del held
print(peak_memory_bytes(torch.device("cpu")) - before)
"""


def test_what_was_held_at_once_is_counted_though_it_is_let_go_again():
    grown = int(subprocess.run([sys.executable, "-c", HOLD_AND_LET_GO], capture_output=True, check=True).stdout)
    assert 200 * 1024**2 < grown < 400 * 1024**2, "64 x 1024 x 1024 floats are 256 MiB"
