from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils.html import escape

from core.catalog import METHODS
from core.settings import describe
from tests.webapp.runs import rows
from tests.webapp.runs.form import address, filled
from tests.webapp.runs.reading import text
from webapp.runs.forms import PREFIX, RunForm
from webapp.runs.models import Run

pytestmark = pytest.mark.django_db


def test_it_shows_the_recommended_method_first_with_its_reason_and_cost(signed_in, collection):
    page = signed_in.get(address(collection)).content.decode()
    assert "MUST is recommended." in page
    assert 'value="must" checked' in page
    assert page.index('value="must"') < page.index('value="turtle"')
    assert "MUST will take" in page
    assert "It is compared with zero-shot, which runs first" in page


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_of_every_method_has_a_field(signed_in, collection, method):
    page = signed_in.get(address(collection), {"method": method}).content.decode()
    for name, known in describe(METHODS[method].settings).items():
        assert f'name="{PREFIX}{name}"' in page
        assert escape(known.label) in page


def test_advanced_settings_are_folded_and_plain_ones_are_not(collection):
    form = RunForm(collection=collection, method="must")
    plain = {field.name for field in form.plain_fields()}
    folded = {field.name for field in form.advanced_fields()}
    assert {"preset", "setting-backbone", "setting-mirror"} <= plain
    assert {"seed", "warm_up", "setting-threshold"} <= folded
    assert plain | folded | {"method"} == set(form.fields)


def test_htmx_gets_only_the_inside_of_the_form(signed_in, collection):
    part = signed_in.get(address(collection), {"method": "turtle"}, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert 'value="turtle" checked' in part


def test_a_preset_fills_the_settings(signed_in, collection):
    page = signed_in.get(address(collection), {"method": "must", "preset": "gtsrb-b"}).content.decode()
    assert '<option value="clip-vit-b16" selected>' in page
    assert 'name="setting-mask_ratio" value="0.5"' in page


def test_an_earlier_run_gives_its_settings_to_be_changed(signed_in, collection, charlie):
    failed = rows.run(collection, status="failed", seed=9)
    Run.objects.filter(pk=failed.pk).update(settings=failed.settings | {"threshold": 0.123})
    page = signed_in.get(address(collection), {"method": "must", "from": failed.pk}).content.decode()
    assert 'name="setting-threshold" value="0.123"' in page
    assert 'name="seed" value="9"' in page
    foreign = rows.run(rows.collection(charlie, title="foreign"), settings=failed.settings | {"threshold": 0.321})
    for number in (foreign.pk, "x", "9" * 30):
        assert "0.321" not in signed_in.get(address(collection), {"method": "must", "from": number}).content.decode()


def test_methods_that_cannot_be_asked_are_shown_with_the_reason_and_the_fix(signed_in, alice):
    unnamed = rows.collection(alice, names=(), num_classes=3)
    page = signed_in.get(address(unnamed)).content.decode()
    assert "this collection has none" in page
    assert reverse("collections:question", args=[unnamed.pk]) in page
    assert 'value="turtle" checked' in page
    must = page[page.index('id="method-must"'):]
    assert "disabled" in must[:must.index(">")]


def test_an_empty_collection_is_sent_to_its_images(signed_in, alice):
    empty = rows.collection(alice, 0)
    page = signed_in.get(address(empty)).content.decode()
    assert "nothing to adapt to" in page
    assert "<form id=" not in page


def test_it_starts_the_run(signed_in, collection, sent):
    answer = signed_in.post(address(collection), filled(collection, seed=5))
    run = Run.objects.get(method="must")
    assert answer.status_code == 302
    assert answer.url == reverse("runs:detail", args=[run.pk])
    assert (run.seed, run.preset, run.status) == (5, "small-collection", "queued")
    assert run.baseline.method == "zeroshot"
    assert "Zero-shot runs first" in signed_in.get(answer.url).content.decode()


def test_it_says_that_duplicates_count_once(signed_in, collection):
    first = collection.images.first()
    collection.images.filter(number__in=(1, 2)).update(file=first.file, sha256=first.sha256, duplicate_of=first)
    page = text(signed_in.get(address(collection)).content.decode())
    assert "for 58 different images (2 duplicates count once)." in page


def test_one_picture_and_its_copies_cannot_be_started_and_the_form_says_why(signed_in, alice):
    one = rows.collection(alice, 3, title="one")
    first = one.images.first()
    one.images.exclude(pk=first.pk).update(file=first.file, sha256=first.sha256, duplicate_of=first)
    page = signed_in.get(address(one)).content.decode()
    assert '<button type="submit" disabled>Start the run</button>' in page
    assert "One image is not enough to compare with anything; add more." in text(page)
    assert "will take" not in text(page)


def test_another_preset_says_that_it_set_the_settings_anew(signed_in, collection):
    htmx = {"HX-Request": "true"}
    for chosen, is_said in (({"preset": "gtsrb-b"}, True), ({"setting-backbone": "clip-vit-b16"}, True), ({}, False)):
        part = signed_in.get(address(collection), {"method": "must", **chosen}, headers=htmx).content.decode()
        assert ("The settings were set anew." in part) is is_said, chosen
    whole = signed_in.get(address(collection), {"method": "must", "preset": "gtsrb-b"}).content.decode()
    assert "set anew" not in whole


def test_several_feature_spaces_are_joined(signed_in, collection, sent):
    signed_in.post(address(collection), filled(
        collection, "turtle", **{"setting-spaces": ["starter-clip", "starter-mae"]}))
    assert Run.objects.get(method="turtle").settings["spaces"] == "starter-clip,starter-mae"


def test_an_unticked_box_is_no(signed_in, collection, sent):
    sent_fields = filled(collection)
    del sent_fields["setting-mirror"]
    signed_in.post(address(collection), sent_fields)
    assert Run.objects.get(method="must").settings["mirror"] is False


def test_turtle_may_be_asked_for_another_number_or_none(signed_in, collection, sent):
    signed_in.post(address(collection), filled(collection, "turtle", num_classes="7"))
    signed_in.post(address(collection), filled(collection, "turtle", num_classes=""))
    assert list(Run.objects.filter(method="turtle").order_by("pk").values_list("num_classes", flat=True)) == [7, None]


def test_a_warm_up_collection_is_ones_own(signed_in, alice, charlie, collection, sent):
    larger, foreign = rows.collection(alice, title="larger"), rows.collection(charlie, title="foreign")
    answer = signed_in.post(address(collection), filled(collection, warm_up=foreign.pk))
    assert answer.status_code == 422
    signed_in.post(address(collection), filled(collection, warm_up=larger.pk))
    assert Run.objects.get(method="must").warm_up == larger


def test_a_replay_collection_is_ones_own_and_only_offered_where_it_is_used(signed_in, alice, charlie, collection, sent):
    everyday, foreign = rows.collection(alice, title="everyday"), rows.collection(charlie, title="foreign")
    assert "replay" not in RunForm(collection=collection, method="maect").fields
    assert "warm_up" not in RunForm(collection=collection, method="finetune").fields
    answer = signed_in.post(address(collection), filled(collection, "finetune", replay=foreign.pk))
    assert answer.status_code == 422
    signed_in.post(address(collection), filled(collection, "finetune", replay=everyday.pk))
    run = Run.objects.get(method="finetune")
    assert run.replay == everyday
    assert run.baseline.settings["spaces"] == "starter-mae"
    page = signed_in.get(address(collection), {"method": "finetune", "from": run.pk}).content.decode()
    assert f'<option value="{everyday.pk}" selected>' in page


def test_runs_of_one_s_own_whose_encoder_fits_are_offered_to_begin_with(signed_in, alice, charlie, collection, sent):
    assert "start_from" not in RunForm(collection=collection, method="must").fields, "there is nothing to choose from"
    elsewhere = rows.collection(alice, title="elsewhere")
    fits, other_model = rows.run(elsewhere, "must"), rows.run(collection, "maect")
    foreign = rows.run(rows.collection(charlie, title="foreign"), "must")
    for kind, status in (("zeroshot", "succeeded"), ("must", "failed")):
        rows.run(collection, kind, status)
    for method, expected in (("must", fits), ("maect", other_model)):
        page = signed_in.get(address(collection), {"method": method})
        assert list(page.context["form"].fields["start_from"].queryset) == [expected]
        name = f"{METHODS[method].title} run {expected.pk} on {expected.collection.name}"
        assert f'<option value="{expected.pk}">{name}</option>' in page.content.decode()

    assert signed_in.post(address(collection), filled(collection, start_from=foreign.pk)).status_code == 422
    answer = signed_in.post(address(collection), filled(collection, start_from=other_model.pk))
    assert "holds an adapted starter-mae" in answer.context["form"].errors["start_from"][0]
    assert not Run.objects.filter(status="queued").exists()
    signed_in.post(address(collection), filled(collection, start_from=fits.pk))
    run = Run.objects.get(method="must", status="queued")
    assert run.start_from == fits
    page = signed_in.get(address(collection), {"method": "must", "from": run.pk}).content.decode()
    assert f'<option value="{fits.pk}" selected>' in page


def test_replay_without_a_collection_is_refused_where_one_is_chosen(signed_in, collection, sent):
    answer = signed_in.post(address(collection), filled(collection, "finetune", **{"setting-mode": "replay"}))
    assert answer.status_code == 422
    assert "choose a replay collection" in answer.context["form"].errors["replay"][0]
    assert not Run.objects.exists()


@pytest.mark.parametrize(("changes", "field", "words"), [
    ({"setting-epochs": "-3"}, "setting-epochs", "out of range"),
    ({"setting-epochs": "many"}, "setting-epochs", "not a number"),
    ({"setting-epochs": ""}, "setting-epochs", "Give a number"),
    ({"setting-batch_size": "2.5"}, "setting-batch_size", "not a whole number"),
    ({"setting-templates": "own"}, "setting-own_templates", "empty"),
    ({"setting-templates": "own", "setting-own_templates": "a photo"}, "setting-own_templates", "no {}"),
    ({"seed": "-1"}, "seed", "greater than or equal to 0"),
    ({"preset": "nobody's"}, "preset", "not one of the available choices"),
])
def test_an_error_stands_by_its_field_and_nothing_is_started(signed_in, collection, sent, changes, field, words):
    answer = signed_in.post(address(collection), filled(collection, **changes))
    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors[field])
    assert f'id="id_{field}_error"' in answer.content.decode()
    assert not Run.objects.exists()


def test_own_templates_are_taken(signed_in, collection, sent):
    signed_in.post(address(collection), filled(collection, **{
        "setting-templates": "own", "setting-own_templates": "a drawing of a {}."}))
    assert Run.objects.get(method="must").settings["own_templates"] == "a drawing of a {}."


def test_the_fold_opens_where_an_error_is_in_it(signed_in, collection, sent):
    page = signed_in.post(address(collection), filled(collection, **{"setting-threshold": "2"})).content.decode()
    assert '<details id="more-settings" open>' in page


@pytest.mark.parametrize(("num_images", "names", "words"), [
    (2, rows.NAMES, "3 classes for 2 images"), (60, ("cat",), "One class"), (1, rows.NAMES, "One image"),
])
def test_a_question_without_an_answer_is_refused_above_the_form(signed_in, alice, sent, num_images, names, words):
    asked = rows.collection(alice, num_images, names=names)
    answer = signed_in.post(address(asked), filled(asked))
    assert answer.status_code == 422
    assert words.lower() in " ".join(answer.context["form"].non_field_errors()).lower()
    assert not Run.objects.exists()


def test_more_clusters_than_images_is_refused_at_the_number(signed_in, collection, sent):
    answer = signed_in.post(address(collection), filled(collection, "turtle", num_classes="61"))
    assert "61 classes for 60 images" in answer.context["form"].errors["num_classes"][0]


def test_an_unknown_method_does_not_exist(signed_in, collection):
    assert signed_in.get(address(collection), {"method": "magic"}).status_code == 404


def test_somebody_elses_collection_does_not_exist(stranger, collection, sent):
    assert stranger.get(address(collection)).status_code == 404
    assert stranger.post(address(collection), filled(collection)).status_code == 404
    assert not Run.objects.exists()


def test_a_missing_collection_and_a_wrong_verb_are_refused(signed_in, collection):
    assert signed_in.get(reverse("runs:new", args=[10**9])).status_code == 404
    assert signed_in.delete(address(collection)).status_code == 405


def test_nobody_is_sent_to_sign_in(client, collection):
    assert client.get(address(collection)).url.startswith(reverse("sign_in"))


def test_another_sites_form_is_refused(collection, alice, sent):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.post(address(collection), filled(collection)).status_code == 403
    assert not Run.objects.exists()


def test_a_method_that_learns_from_labels_leads_to_the_review_while_there_are_none(signed_in, collection):
    page = signed_in.get(address(collection), {"method": "must"}).content.decode()
    assert "It learns from images that you confirmed or corrected in review" in page
    assert f'<a href="{reverse("collections:runs", args=[collection.pk])}">Review a run</a>' in page
    rows.review(rows.run(collection, "zeroshot"), {3: 1, 4: 2})
    page = signed_in.get(address(collection), {"method": "semimae"}).content.decode()
    assert "It learns from images" not in page
    assert "2 images that you confirmed or corrected" in page


def test_groups_are_named_by_labels_unless_another_number_of_classes_is_asked_for(signed_in, collection, sent):
    page = signed_in.get(address(collection), {"method": "kmeans"})
    assert "It learns from <strong>" not in page.content.decode()
    rows.review(rows.run(collection, "zeroshot"), {3: 1, 4: 2})
    form = signed_in.get(address(collection), {"method": "kmeans"})
    assert "It learns from <strong>2 images that you confirmed" in form.content.decode()
    asked = {"method": "kmeans", "seed": "0", "setting-spaces": "starter-clip", "setting-starts": "1",
             "setting-batch_size": "256", "setting-names_from_labels": "on"}
    for count, named in ((3, True), (4, False)):
        assert signed_in.post(address(collection), {**asked, "num_classes": count}).status_code == 302
        run = Run.objects.order_by("-pk").first()
        assert (run.num_classes, run.settings["names_from_labels"]) == (count, named)


def test_the_oracle_without_labels_is_refused_beside_its_switch(collection, sent):
    form = RunForm(filled(collection, "maect", **{PREFIX + "oracle": "on"}), collection=collection, method="maect")
    assert form.start() is None
    assert "there are none" in form.errors[PREFIX + "oracle"][0]
