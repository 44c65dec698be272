"""An upgrade from the release before sharing, with data in every state: nothing is lost, and everything still opens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UPGRADE = """
import json, logging
from datetime import timedelta
import django; django.setup()
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

RELEASE = [("accounts", "0001_initial"), ("collections", "0001_initial"), ("runs", "0002_run_replay"),
           ("review", "0001_initial"), ("spot_checks", "0001_initial"),
           ("auth", "0012_alter_user_first_name_max_length"), ("sessions", "0001_initial"),
           ("contenttypes", "0002_remove_content_type_name")]
executor = MigrationExecutor(connection)
executor.migrate(RELEASE)
old = executor.loader.project_state(RELEASE).apps
make = lambda label, **fields: old.get_model(label).objects.create(**fields)
now = timezone.now()
user = make("auth.User", username="old", password="!")
from webapp.accounts.models import digest
make("accounts.ApiToken", user=user, name="script", digest=digest("lf_old"))
names = make("collections.ClassListVersion", number=1, names=["cat", "dog"],
             class_list=make("collections.ClassList", owner=user, name="pets"))
for number in range(2):
    collection = make("collections.Collection", owner=user, name=f"old {number}", class_list_version=names)
    upload = make("collections.Upload", collection=collection, name="a.png", size_bytes=4, status="done")
    for place in range(3):
        image = make("collections.Image", collection=collection, upload=upload, member=place, number=place,
                     path=f"{place}.png", sha256=f"{place:064x}", width_px=2, height_px=2,
                     file=f"images/{collection.pk}/{place}.png", thumbnail=f"thumbnails/{collection.pk}/{place}.webp")
    make("collections.Refusal", collection=collection, path="b.txt", reason="no image")
    make("collections.TrueLabel", image=image, name="cat")
    for status, more in {
        "queued": {}, "cancelled": {"finished_at": now}, "succeeded": {"finished_at": now, "result": {"seconds": 1}},
        "failed": {"finished_at": now, "error": "out of memory"},
        "running": {"lease_token": "t", "lease_owner": "box", "lease_expires_at": now + timedelta(minutes=1)},
    }.items():
        run = make("runs.Run", collection=collection, owner=user, method="zeroshot", status=status,
                   class_list_version=names, **more)
        make("runs.Prediction", run=run, image=image, class_index=0, confidence=0.5, margin=0.1, top=[[0, 0.5]])
    action = make("review.ReviewAction", run=run, author=user, description="labeled 1 image dog")
    make("review.Correction", action=action, image=image, class_index=1)
counted = {model._meta.label: model.objects.count() for model in old.get_models()
           if model._meta.app_label in ("accounts", "collections", "runs", "review")}

call_command("migrate", verbosity=0)
from django.apps import apps
from django.test import Client
settings.ALLOWED_HOSTS.append("testserver")
kept = {label: apps.get_model(label).objects.count() for label in counted}
program = Client(headers={"Authorization": "Bearer lf_old"})
opened = {path: program.get("/api/v1" + path).status_code
          for path in ("/collections", "/collections/1", "/collections/1/runs", "/runs/1", "/class-lists/1")}
written = program.patch("/api/v1/collections/1", {"name": "new"}, content_type="application/json").status_code
browser = Client()
browser.force_login(apps.get_model("auth.User").objects.get())
opened |= {path: browser.get(path).status_code for path in (
    "/", "/collections/1/images/", "/collections/1/question/", "/collections/1/runs/", "/collections/1/people/",
    "/collections/2/settings/", "/collections/2/history/", "/runs/1/", "/runs/3/", "/runs/4/", "/runs/5/", "/account/")}
from pathlib import Path
from webapp.collections.deletion import empty_trash
(Path(settings.RUNS_ROOT) / "3").mkdir(parents=True)
(Path(settings.RUNS_ROOT) / "3" / "package.zip").write_bytes(b"of the old release")
empty_trash()  # as the reaper does, who measures what was there before
runs = apps.get_model("runs.Run").objects.filter(pk__in=[1, 3]).order_by("pk")
measured = runs.values_list("stored_bytes", flat=True)
deleted = [browser.post(f"/runs/3/{verb}/").status_code for verb in ("delete", "delete", "restore")]
members = list(apps.get_model("sharing.Membership").objects.order_by("collection")
               .values_list("collection_id", "user__username", "role"))
print(json.dumps({"counted": counted, "kept": kept, "opened": opened, "written": written, "members": members,
                  "measured": list(measured), "deleted": deleted}))
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_an_upgrade_keeps_everything_and_everything_opens(tmp_path, new_database, kind):
    done = subprocess.run(
        [sys.executable, "-c", UPGRADE], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
        env={**os.environ, "LABELFREE_HOME": str(tmp_path / "house"), "DATABASE_URL": new_database(kind),
             "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["kept"] == found["counted"]
    assert (found["kept"]["runs.Run"], found["kept"]["collections.Image"]) == (10, 6)
    assert set(found["opened"].values()) == {200}, found["opened"]
    assert found["written"] == 200  # a token of that release may do all that it could
    assert found["measured"] == [0, len("of the old release")]
    assert found["deleted"] == [302, 404, 302]
    assert found["members"] == [[1, "old", "owner"], [2, "old", "owner"]]
