"""Programs kept running."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from workers.supervisor import Program, supervise


def program(name: str, code: str, patience_seconds: float = 5) -> Program:
    return Program(name=name, command=[sys.executable, "-c", code], patience_seconds=patience_seconds)


def run_for(programs: list[list[Program]], until, logs: Path | None = None) -> list[str]:
    """Supervise until a condition on the lines holds; return the lines."""
    lines: list[str] = []
    stopping = threading.Event()
    thread = threading.Thread(target=supervise, args=[programs, lines.append, stopping, logs])
    thread.start()
    deadline = time.monotonic() + 60
    while not until(lines) and time.monotonic() < deadline:
        time.sleep(0.05)
    stopping.set()
    thread.join(30)
    assert not thread.is_alive()
    assert until(lines), lines
    return lines


def test_a_program_that_dies_is_started_again_after_a_pause_that_grows():
    lines = run_for([[program("mayfly", "print('alive')")]], lambda lines: lines.count("mayfly | alive") >= 2)
    assert "mayfly ended (0); it starts again in 1 s" in lines


def test_its_lines_are_shown_under_its_name_and_stored(tmp_path):
    greeting = program("web", "import time; print('hello'); time.sleep(60)")
    run_for([[greeting]], lambda lines: "   web | hello" in lines, tmp_path)
    assert (tmp_path / "web.log").read_text().endswith("hello\n")


def test_the_last_tier_stops_first_and_who_does_not_stop_is_killed():
    ends = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('bye'))); print('up')"
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    lines = run_for([[program("first", f"{ends}; time.sleep(60)")], [program("last", deaf, patience_seconds=0.5)]],
                    lambda lines: " first | up" in lines and "  last | up" in lines)
    time.sleep(0.2)
    assert lines.index("last does not stop; it is killed") < lines.index(" first | bye")
