"""`methods` and `backbones`: lists that need no torch, and that a reader may leave."""

from __future__ import annotations

import subprocess
import sys

from tests.core.command_line.asking import ROOT


def test_methods_and_backbones_are_listed_without_loading_torch() -> None:
    program = ("import sys; from core.__main__ import main; main(['methods']); main(['backbones']); "
               "sys.exit('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "must: " in done.stdout
    assert "arXiv:2206.02967" in done.stdout
    assert "--preset paper, paper-naive, small-collection; without it" in done.stdout
    assert "clip-vit-l14" in done.stdout


def test_a_reader_that_went_away_ends_it_quietly() -> None:
    program = f"set -o pipefail; {sys.executable} -m core methods | true"
    done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 141
    assert done.stderr == ""
