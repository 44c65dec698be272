"""Deleting and restoring a run by program."""

from __future__ import annotations

import pytest

from tests.webapp.api.asking import refused, send
from tests.webapp.runs import rows
from webapp.audit.models import Entry
from webapp.runs.deletion import trash_run

pytestmark = pytest.mark.django_db


def test_a_run_is_deleted_and_restored(api, collection):
    run = rows.run(collection)
    path = f"/runs/{run.pk}"
    assert api.delete(f"/api/v1{path}").status_code == 204
    assert refused(api, "GET", path)[0] == 404
    assert refused(api, "DELETE", path)[0] == 404
    status, answer = send(api, "POST", f"{path}/restore")
    assert (status, answer["id"], answer["status"]) == (200, run.pk, "succeeded")
    assert refused(api, "POST", f"{path}/restore")[0] == 404, "it is not in the trash"
    assert list(Entry.objects.order_by("pk").values_list("what", "token_name")) == [
        (f"moved run {run.pk} to the trash", "test"), (f"restored run {run.pk} from the trash", "test")]


def test_what_is_needed_is_not_deleted(api, collection):
    baseline = rows.run(collection, "zeroshot")
    live = rows.run(collection, "must", status="queued", baseline=baseline)
    status, said = refused(api, "DELETE", f"/runs/{live.pk}")
    assert (status, said["what"], said["reason"], said["fix"]) == (
        409, f"run {live.pk}", "is queued", "cancel it first")
    status, said = refused(api, "DELETE", f"/runs/{baseline.pk}")
    assert status == 409 and f"run {live.pk} is compared with" in said["reason"]
    assert not Entry.objects.exists()


def test_a_stranger_does_neither(foreign, collection):
    run = rows.run(collection)
    assert refused(foreign, "DELETE", f"/runs/{run.pk}")[0] == 404
    trash_run(run)
    assert refused(foreign, "POST", f"/runs/{run.pk}/restore")[0] == 404
