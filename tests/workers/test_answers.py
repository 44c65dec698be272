"""How a run's answers get into the database, beside others who write."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.workers import ending_together
from webapp.collections.models import Collection, Image
from webapp.runs.models import Prediction
from workers.lease import Lease


@pytest.fixture
def answered(collection: Collection, make_run, tmp_path):
    """Return a function that writes the answers of a run for so many of the images; it gives the statements made."""
    def write(images: int) -> list[str]:
        run = make_run("kmeans")
        lease, package = Lease.claim(run.pk), tmp_path / f"package-{run.pk}.zip"
        package.touch()
        with CaptureQueriesContext(connection) as made:
            ending_together.answer(lease, collection.images.all()[:images], package)
        assert Prediction.objects.filter(run=run).count() == images
        return [one["sql"] for one in made]

    return write


def test_many_answers_take_no_more_statements_than_one(answered, collection):
    """Each would be made while SQLite lets nobody else write."""
    collection.images.bulk_create([Image(collection=collection, number=number, path=f"{number}.png", file="1.png",
                                         sha256=f"{number:064x}", thumbnail="", width_px=8, height_px=8)
                                   for number in range(100, 2100)])
    assert len(answered(2000)) == len(answered(1))


@pytest.mark.postgres
@pytest.mark.timeout(300)
def test_a_run_and_its_baseline_that_end_in_the_same_moment_are_compared(postgres_url, tmp_path):
    name = f"labelfree_answers_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            done = subprocess.run(
                [sys.executable, "-m", "tests.workers.ending_together", tmp_path], capture_output=True, text=True,
                cwd=Path(__file__).parents[2], check=False,
                env={**os.environ, "DATABASE_URL": postgres_url.rsplit("/", 1)[0] + f"/{name}"})
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["baseline"]["label_free_score"], result["baseline"]["agreement"]) == (0.5, 1.0)
