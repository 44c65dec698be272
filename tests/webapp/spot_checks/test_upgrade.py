"""An upgrade from the release that kept the number of a class a person named: each answer gets the name it has now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UPGRADE = """
import json
import django; django.setup()
from django.apps import apps
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

executor = MigrationExecutor(connection)
newest = executor.loader.graph.leaf_nodes()
before = [("spot_checks", "0001_initial") if app == "spot_checks" else (app, name) for app, name in newest]
executor.migrate(before)
old = executor.loader.project_state(before).apps
make = lambda label, **fields: old.get_model(label).objects.create(**fields)
now = timezone.now()
user = make("auth.User", username="old", password="!")
names = make("collections.ClassListVersion", number=1, names=["cat", "dog"],
             class_list=make("collections.ClassList", owner=user, name="pets"))
collection = make("collections.Collection", owner=user, name="old", class_list_version=names)
images = [make("collections.Image", collection=collection, number=place, path=f"{place}.png", sha256=f"{place:064x}",
               width_px=2, height_px=2, file=f"images/{place}.png", thumbnail=f"thumbnails/{place}.webp")
          for place in range(5)]
for method, version, result in (("must", names, {}), ("turtle", names, {"class_names": ["dog", "cat"]}),
                                ("kmeans", None, {"class_names": ["cluster 1", "cluster 2"]}), ("kmeans", None, {})):
    run = make("runs.Run", collection=collection, owner=user, method=method, class_list_version=version, result=result,
               status="succeeded", started_at=now, finished_at=now)
    for index, name, undone_at in ((0, "bird", None), (0, "fish", None), (1, "cow", now)):
        action = make("review.ReviewAction", run=run, author=user, description="named", undone_at=undone_at)
        make("review.ClusterName", action=action, class_index=index, name=name)
    check = make("spot_checks.SpotCheck", run=run, author=user, design="uniform", seed=1)
    for image, verdict, index in zip(images, ("named", "named", "none", "unsure", "open"), (0, 1, None, None, None)):
        make("spot_checks.SampledImage", spot_check=check, image=image, place=image.number, verdict=verdict,
             class_index=index)

MigrationExecutor(connection).migrate(newest)
sampled = apps.get_model("spot_checks.SampledImage").objects.order_by("spot_check", "place")
print(json.dumps(list(sampled.values_list("class_name", flat=True))))
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_answer_of_an_earlier_release_gets_the_name_that_its_class_has(tmp_path, new_database, kind):
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
        env={**os.environ, "LABELFREE_HOME": str(tmp_path / "house"), "DATABASE_URL": new_database(kind)})
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert [found[start:start + 5] for start in range(0, len(found), 5)] == [
        ["cat", "dog", "", "", ""], ["fish", "cat", "", "", ""], ["fish", "cluster 2", "", "", ""],
        ["fish", "cluster 2", "", "", ""]]
