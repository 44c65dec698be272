"""Let a run and its baseline end in the same moment, in the empty database of DATABASE_URL; print the run's result.

``python -m tests.workers.ending_together FOLDER``, started by `test_answers`: a process has but one such database.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from threading import Barrier, Thread
from unittest.mock import patch

import django
import numpy as np
import torch


def main(folder: Path) -> None:
    """Make the rows, end both runs, and print."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.utils import timezone

    from webapp.collections.models import Collection
    from webapp.runs.models import Run
    from workers.lease import Lease

    call_command("migrate", verbosity=0)
    owner = User.objects.create_user("alice")
    collection = Collection.objects.create(owner=owner, name="digits")
    for number in range(4):
        collection.images.create(number=number, path=f"{number}.png", sha256=f"{number:064x}", file=f"{number}.png",
                                 thumbnail="", width_px=8, height_px=8)
    running = {"collection": collection, "owner": owner, "method": "kmeans", "status": "running",
               "lease_expires_at": timezone.now()}
    baseline = Run.objects.create(**running, lease_token="baseline")
    run = Run.objects.create(**running, lease_token="run", baseline=baseline)
    written, succeed = Barrier(2, timeout=60), Lease.succeed

    def succeed_at_once(self: Lease, *arguments: object) -> None:
        succeed(self, *arguments)
        written.wait()  # neither has committed

    with patch.object(Lease, "succeed", succeed_at_once):
        ends = [Thread(target=end, args=(one, folder)) for one in (run, baseline)]
        for one in ends:
            one.start()
        for one in ends:
            one.join()
    print(json.dumps(Run.objects.get(pk=run.pk).result))


def end(run, folder: Path) -> None:
    """Write a run's answers in a connection of its own."""
    from django.db import connection

    from workers.lease import Lease

    package = folder / f"package-{run.pk}.zip"
    package.touch()
    answer(Lease(run.pk, run.lease_token), run.collection.images.all(), package)
    connection.close()


def answer(lease, images, package: Path) -> None:
    """Write the same answer for each of the images."""
    from core.classifier import Predictions
    from core.data.images import ImageSet
    from workers import answers
    from workers.problems import Photographs

    ids = tuple(images.values_list("pk", flat=True))
    photographs = Photographs(distinct=ImageSet((), ()), adapted=len(ids), ids=ids,
                              place={image: place for place, image in enumerate(ids)})
    answers.write(lease, {"label_free_score": 0.5}, Predictions(torch.tensor([[0.75, 0.25]] * len(ids))),
                  np.zeros((len(ids), 2)), photographs, package, package.with_name("pictures-none"))


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")
    django.setup()
    main(Path(sys.argv[1]))
