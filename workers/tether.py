"""Tie a process to its parent: when the parent dies, however it dies, the kernel kills the child.

``python -m workers.tether PARENT COMMAND …`` becomes COMMAND, tied. Linux only; elsewhere nothing is tied.
Standard library only, so that it costs a few milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie(parent: int) -> None:
    """Ask the kernel to kill this process when `parent` dies; exit at once if it already has.

    Args:
        parent: process id of whoever started this process.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main(arguments: list[str]) -> None:
    """Tie this process and become the command."""
    tie(int(arguments[0]))
    os.execvp(arguments[1], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
