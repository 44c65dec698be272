"""Is a running labelfree unhurt: its processes the same, its logs without an error, its web no larger?"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.app import App

HURT = re.compile(r"Traceback \(most recent call last\)|Internal Server Error|WorkerLost|exited with|raised unexpected"
                  r"| ended \(|Segmentation fault|MemoryError")
"""What an error leaves in the logs of the web, of a worker and of whoever keeps them running."""
SHOWN = 3


@dataclass
class VitalSigns:
    """What was true before something was done, to compare with afterwards.

    Attributes:
        app: the patient.
        pids: processes of the web and the workers by name.
        read_bytes: of each log, so far.
        web_bytes: resident memory of the web.
    """

    app: App
    pids: dict[str, int] = field(default_factory=dict)
    read_bytes: dict[Path, int] = field(default_factory=dict)
    web_bytes: int = 0

    def __post_init__(self) -> None:
        """Take them."""
        self.pids, self.web_bytes = processes(self.app), web_bytes(self.app)
        self.read_bytes = {log: log.stat().st_size for log in self.app.logs.glob("*.log")}

    def wrong(self) -> list[str]:
        """Return what has been hurt since, a sentence each."""
        now = processes(self.app)
        found = [f"the process {name} is another or gone" for name, pid in self.pids.items() if now.get(name) != pid]
        lines = [f"{log.name}: {line.strip()[:200]}" for log in sorted(self.app.logs.glob("*.log"))
                 for line in self._new_lines(log) if HURT.search(line)]
        more = [f"and {len(lines) - SHOWN} more such lines in the logs"] if len(lines) > SHOWN else []
        return [*found, *lines[:SHOWN], *more]

    def grown_megabytes(self) -> float:
        """Return by how much the web has grown since."""
        return (web_bytes(self.app) - self.web_bytes) / 2**20

    def _new_lines(self, log: Path) -> list[str]:
        with log.open("rb") as file:
            file.seek(self.read_bytes.get(log, 0))
            return file.read().decode(errors="replace").splitlines()


def processes(app: App) -> dict[str, int]:
    """Return the web's and the workers' nodes, by name; a node's pool of processes is its own."""
    found = {}
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
            children.setdefault(parent, []).append(int(folder.name))
    waiting = [app.process.pid]
    while waiting:
        pid = waiting.pop()
        words = command(pid)
        for name, sign in (("web", "uvicorn"), ("reaper", "workers.reaper"), ("gpu node", "gpu"),
                           ("quick node", "quick"), ("cpu node", "cpu"), ("trial node", "trial"),
                           ("redis", "redis-server")):
            if sign in words and not (name.endswith("node") and "celery" not in words):
                found.setdefault(name, pid)
        waiting += children.get(pid, [])
    return found


def command(pid: int) -> list[str]:
    """Return the words by which a process was started, programs by their name alone."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return []
    return [Path(word).name if word.startswith("/") else word for word in words]


def web_bytes(app: App) -> int:
    """Return the resident memory of the web."""
    pid = processes(app).get("web")
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)
