"""Start the worker nodes of this machine and keep them running."""

from __future__ import annotations

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from core.errors import LabelfreeError
from webapp.config.home_lock import held_with_others
from workers.app import broker_address
from workers.nodes import computes_on, programs
from workers.supervisor import stopped_by_signals, supervise

QUEUES = ("gpu", "quick", "cpu")


class Command(BaseCommand):
    """Keep worker nodes and the reaper running until Ctrl-C."""

    help = "Start the workers of this machine: one run a GPU, uploads and single images beside it; Ctrl-C stops them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the queues and how many tasks at once."""
        parser.add_argument("--queues", default=",".join(QUEUES), help="gpu: runs; quick: runs of seconds, one at a "
                            "time on the CPU while every GPU is busy; cpu: uploads, notices and single images. All "
                            "three (gpu,quick,cpu) if not said; leave out quick where memory is short")
        parser.add_argument("--concurrency", type=int, default=2, help="tasks at once on the queue cpu (2)")
        parser.add_argument("--runs-per-gpu", type=int, default=1, help="runs at once on each GPU; they share its "
                            "memory, so more than one is for small models (1)")

    def handle(self, *args: object, **options: object) -> None:
        """Supervise."""
        queues = [one.strip() for one in str(options["queues"]).split(",") if one.strip()]
        unknown = set(queues) - set(QUEUES)
        if unknown or not queues:
            raise CommandError(f"there is no queue {', '.join(sorted(unknown)) or 'without a name'}; "
                               f"choose from {', '.join(QUEUES)}")
        if int(str(options["runs_per_gpu"])) < 1:
            raise CommandError("--runs-per-gpu is at least 1; to take no runs at all, say --queues cpu")
        try:
            in_use = held_with_others()
        except LabelfreeError as error:
            raise CommandError(str(error)) from None
        self._say(f"worker of {' and '.join(queues)}, on {broker_address()}")
        if "gpu" in queues:
            self._say(computes_on())
        with in_use, stopped_by_signals() as stopping:
            supervise([programs(queues, int(str(options["concurrency"])), int(str(options["runs_per_gpu"])))],
                      self._say, stopping)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
