"""Images tried against a finished run's model."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from webapp.runs.models import Prediction, Trial
from workers import trials


def test_a_trial_is_answered_as_the_run_answered_and_errors_stand_on_the_row(make_run, execute, collection, owner):
    run = execute(make_run("zeroshot", settings={"templates": "one"}))
    image = collection.images.get(number=7)
    good = Trial.objects.create(run=run, owner=owner, file=image.file)
    broken = Trial.objects.create(run=run, owner=owner, file="trials/broken.png")
    (Path(settings.MEDIA_ROOT) / "trials").mkdir(exist_ok=True)
    (Path(settings.MEDIA_ROOT) / broken.file).write_text("not an image")
    elsewhere = Trial.objects.create(run=make_run("zeroshot"), owner=owner, file=image.file)
    for one in (good, broken, elsewhere):
        trials.answer(one.pk)
        one.refresh_from_db()
    expected = Prediction.objects.get(run=run, image=image).top
    assert good.status == "answered"
    assert [index for index, _ in good.top] == [index for index, _ in expected]
    assert [share for _, share in good.top] == pytest.approx([share for _, share in expected], abs=1e-4)
    assert broken.status == "failed" and "broken.png" in broken.error
    assert elsewhere.status == "failed" and "has no model" in elsewhere.error
