"""The log as a file to keep or to send to somebody."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from tests.webapp.runs import rows

pytestmark = pytest.mark.django_db
LINES = "2026-11-21 22:00:01 attempt 1 of 3 begins on box\n2026-11-21 22:00:05 stage: adapting\n"


@pytest.fixture
def failed(collection):
    run = rows.run(collection, status="failed", log=LINES, seed=7)
    folder = Path(settings.RUNS_ROOT) / str(run.pk)
    folder.mkdir(parents=True)
    (folder / "output.log").write_text("x" * 300_000 + "\nTraceback: /srv/labelfree/core/x.py\nKeyError: 'x'\n")
    return run


def log(client, run) -> str:
    answer = client.get(reverse("runs:log", args=[run.pk]))
    assert answer["Content-Type"].startswith("text/plain")
    assert f'filename="pets-at-home-run-{run.pk}-log.txt"' in answer["Content-Disposition"]
    return answer.content.decode()


def test_it_says_what_ran_what_happened_and_why_it_ended(signed_in, failed):
    text = log(signed_in, failed)
    assert LINES.rstrip() in text
    assert "method: must\n" in text and "seed: 7\n" in text and '"epochs"' in text
    assert "error: fairness is nan at step 2 of adapting: lower the learning rate" in text
    assert f'href="{reverse("runs:log", args=[failed.pk])}"' in signed_in.get(
        reverse("runs:detail", args=[failed.pk])).content.decode()


def test_only_an_administrator_reads_what_the_process_printed(signed_in, failed, alice):
    assert "/srv/labelfree" not in log(signed_in, failed)
    alice.is_staff = True
    alice.save(update_fields=["is_staff"])
    text = log(signed_in, failed)
    assert text.endswith("Traceback: /srv/labelfree/core/x.py\nKeyError: 'x'\n")
    assert len(text) < 202_000


def test_a_run_in_any_state_has_a_log(signed_in, collection):
    assert "Nothing yet." in log(signed_in, rows.run(collection, status="queued"))
