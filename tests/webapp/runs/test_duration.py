"""What the form of a new run says of how long it takes, and with which larger model."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse

from core.catalog import METHODS
from tests.webapp.runs import rows
from tests.webapp.runs.form import address, filled
from tests.webapp.runs.reading import text
from webapp.runs import starting
from webapp.runs.presence import beat

pytestmark = pytest.mark.django_db


def test_the_duration_is_called_that_of_the_settings_it_is_of(signed_in, collection):
    earlier = rows.run(collection)
    for chosen, words in (({}, "the preset’s"), ({"from": earlier.pk}, "the earlier run’s")):
        page = text(signed_in.get(address(collection), {"method": "must", **chosen}).content.decode())
        assert re.search(rf"MUST will take [^.]* with {words} settings\.", page), chosen


def test_the_cost_is_that_of_the_values_given(signed_in, collection, sent):
    page = signed_in.post(address(collection), filled(collection, **{
        "setting-backbone": "clip-vit-l14", "setting-epochs": "900", "setting-threshold": "2"})).content.decode()
    assert "hours on two CPU cores" in page


def test_it_is_told_anew_while_settings_are_edited_and_says_nothing_of_their_faults(signed_in, collection):
    asked = reverse("runs:duration", args=[collection.pk])
    edited = filled(collection, **{"setting-backbone": "clip-vit-l14", "setting-epochs": "900", "seed": "none"})
    said = signed_in.post(asked, edited)
    assert said.status_code == 200 and not collection.runs.exists()
    assert "hours on two CPU cores" in text(said.content.decode()) and "the preset" not in text(said.content.decode())
    assert 'role="alert"' not in said.content.decode() and 'id="duration"' in said.content.decode()
    usual, spoilt = (signed_in.post(asked, filled(collection, **{"setting-backbone": "clip-vit-l14"}, **more)).content
                     for more in ({}, {"setting-epochs": "many"}))
    assert usual == spoilt != said.content, "the first value stands in for what is no number"
    assert signed_in.post(asked, {"method": "none"}).status_code == 404


@pytest.mark.parametrize(("gpus", "takes", "larger"), [
    ((), "minutes on two CPU cores, under a minute on a GPU", ""),
    ((True, False), "minutes on two CPU cores, under a minute on a GPU", ""),
    ((False, False), "about 4 minutes with the preset’s settings.",
     "CLIP ViT-B/16 knows far more; with it this would take about 5 hours here"),
    ((True,), "under a minute with the preset’s settings.",
     "CLIP ViT-L/14 knows far more; with it this would take about 17 minutes on the GPU")])
def test_the_cost_is_that_of_the_workers_that_are_there(signed_in, alice, gpus, takes, larger):
    collection = rows.collection(alice, 600, title="many")
    for number, on_gpu in enumerate(gpus):
        beat(f"gpu.{number}.1@box", "gpu", on_gpu=on_gpu)
    page = " ".join(signed_in.get(address(collection)).content.decode().split())
    assert re.search(f"MUST will take [^.]*{re.escape(takes)}", page)
    assert larger in page and (">Take CLIP" in page) == bool(larger)


def test_the_larger_foundation_model_is_one_click_away(signed_in, collection):
    beat("gpu.0.1@box", "gpu", on_gpu=True)
    for method in METHODS:
        page = signed_in.get(address(collection), {"method": method}).content.decode()
        link = html.unescape(re.search(r'href="([^"]*)">Take ', page).group(1))
        chosen = signed_in.get(link)
        form = chosen.context["form"]
        assert (form.method_name, form.larger) == (method, None)
        assert link.endswith(f"={starting.foundations(form.start_values)[0]}")
