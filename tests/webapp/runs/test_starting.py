from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from django.utils import timezone

from core.errors import ConfigError, DataError
from core.recommendation import recommend_method
from tests.webapp.runs import rows
from webapp.collections.models import Upload
from webapp.review.actions import confirm
from webapp.review.names import has_class_list
from webapp.runs.models import Run
from webapp.runs.starting import Asked, question_of, start_again, start_run


@pytest.fixture
def on_commit(django_capture_on_commit_callbacks):
    return lambda: django_capture_on_commit_callbacks(execute=True)


def test_it_queues_the_baseline_first_and_links_it(collection, sent, on_commit):
    with on_commit():
        run = start_run(collection=collection, method="must", values={})
    assert run.baseline.method == "zeroshot"
    assert run.baseline.queued_at < run.queued_at
    assert [(pk, queue) for _, pk, queue in sent] == [(run.baseline.pk, "gpu"), (run.pk, "gpu")]
    assert run.baseline.class_list_version == run.class_list_version == collection.class_list_version
    assert run.baseline.settings["backbone"] == run.settings["backbone"]
    assert run.num_classes == 3


def test_nothing_is_sent_before_the_rows_are_stored(collection, sent):
    start_run(collection=collection, method="must", values={})
    assert sent == []  # the test's transaction never commits


@pytest.mark.parametrize("status", ["queued", "running", "succeeded"])
def test_it_takes_a_baseline_that_is_there(collection, sent, status):
    known = rows.run(collection, "zeroshot", status)
    if status == "succeeded":
        rows.answer(known)
    assert start_run(collection=collection, method="must", values={}).baseline == known


def test_it_takes_no_baseline_that_answered_other_images(collection, sent):
    known = rows.run(collection, "zeroshot")
    rows.answer(known)
    collection.images.filter(number=3).update(set_aside=True)
    run = start_run(collection=collection, method="must", values={})
    assert run.baseline != known, "an image was set aside since"
    collection.images.update(set_aside=False)
    assert start_run(collection=collection, method="must", values={}).baseline == run.baseline, "the newest, under way"
    Run.objects.filter(pk=run.baseline.pk).update(status="failed", error="x", finished_at=timezone.now())
    assert start_run(collection=collection, method="must", values={}).baseline == known, "and was brought back"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_it_does_not_take_a_baseline_that_came_to_nothing(collection, sent, status):
    known = rows.run(collection, "zeroshot", status)
    assert start_run(collection=collection, method="must", values={}).baseline != known


def test_another_foundation_model_needs_another_baseline(collection, sent):
    known = rows.run(collection, "zeroshot")
    run = start_run(collection=collection, method="must", values={"backbone": "clip-vit-b16"})
    assert run.baseline != known
    assert run.baseline.settings["backbone"] == "clip-vit-b16"


def test_other_names_need_another_baseline(collection, alice, sent):
    known = rows.run(collection, "zeroshot")
    other = rows.class_list(alice, ("a", "b"), "letters")
    assert start_run(collection=collection, method="must", values={}, asked=Asked(version=other)).baseline != known


def test_new_images_need_a_new_baseline(collection, sent):
    known = rows.run(collection, "zeroshot")
    rows.add_images(collection, 1)
    assert start_run(collection=collection, method="must", values={}).baseline != known


def test_a_baseline_has_none_itself(collection, sent):
    assert start_run(collection=collection, method="zeroshot", values={}).baseline is None
    assert start_run(collection=collection, method="kmeans", values={}).baseline is None


def test_turtle_is_compared_with_kmeans_on_the_same_spaces_and_names_its_groups_from_the_list(collection, sent):
    run = start_run(collection=collection, method="turtle", values={"spaces": "starter-clip,starter-mae"})
    assert run.baseline.method == "kmeans"
    assert run.baseline.settings["spaces"] == "starter-clip,starter-mae"
    assert (run.num_classes, run.baseline.num_classes) == (3, 3)
    assert run.class_list_version == run.baseline.class_list_version == collection.class_list_version
    assert not has_class_list(run), "its groups are its own; their names can be changed"
    assert Asked.of(collection).counting(3) == Asked.of(collection)
    assert Asked.of(collection).counting(4) == Asked(num_classes=4), "four groups and three names"
    assert Asked.of(collection).counting(None) == Asked()


def test_groups_are_named_by_what_a_person_labelled_and_their_baseline_is_not(collection, sent):
    assert not start_run(collection=collection, method="kmeans", values={}).settings["names_from_labels"]
    earlier = rows.answered(rows.run(collection, "zeroshot"), [0, 1, 2] * 20)
    confirm(earlier, collection.owner, [earlier.predictions.first().image_id])
    taught = start_run(collection=collection, method="kmeans", values={})
    assert taught.settings["names_from_labels"]
    assert not start_run(collection=collection, method="kmeans", values={"names_from_labels": False}).settings[
        "names_from_labels"]
    run = start_run(collection=collection, method="turtle", values={})
    assert run.settings["names_from_labels"] and not run.baseline.settings["names_from_labels"]
    assert "calls each what you labelled of it" in recommend_method(
        dataclasses.replace(question_of(collection), confirmed=0.3)).reason
    rows.review(earlier, dict.fromkeys(range(10, 14), 0) | dict.fromkeys(range(20, 25), 1) | dict.fromkeys(range(9), 2))
    assert question_of(collection).labels_per_class == 4
    nameless = start_run(collection=collection, method="turtle", values={}, asked=Asked(num_classes=3))
    assert not nameless.settings["names_from_labels"]


def test_names_that_zero_shot_has_shown_to_fit_no_groups_are_not_recommended_to_learn_from(collection, sent):
    assert recommend_method(question_of(collection)).method == "must"
    rows.run(collection, "zeroshot", result=rows.result() | {"signals": {"group_agreement": 0.4}})
    assert recommend_method(question_of(collection)).method == "turtle"
    rows.run(collection, "zeroshot", result=rows.result() | {"signals": {"group_agreement": 0.9}})
    assert recommend_method(question_of(collection)).method == "must"


def test_what_is_set_aside_is_not_counted(collection):
    before = question_of(collection).num_images
    collection.images.filter(number=0).update(set_aside=True)
    assert question_of(collection).num_images == before - 1


def test_mae_ct_is_compared_with_kmeans_on_the_encoder_it_begins_with(collection, sent):
    run = start_run(collection=collection, method="maect", values={"backbone": "dinov2-vit-s14"})
    assert (run.baseline.method, run.baseline.settings["spaces"]) == ("kmeans", "dinov2-vit-s14")


def test_semi_mae_is_compared_with_zero_shot_by_an_encoder_that_reads_names(collection, sent):
    rows.review(rows.run(collection, "zeroshot", "failed"), {3: 1})
    run = start_run(collection=collection, method="semimae", values={})
    assert (run.baseline.method, run.baseline.settings["backbone"]) == ("zeroshot", "starter-clip")
    assert run.class_list_version == collection.class_list_version


@pytest.mark.parametrize(("method", "values"), [("semimae", {}), ("maect", {"oracle": True})])
def test_methods_that_learn_from_labels_are_refused_until_a_person_gave_some(collection, sent, method, values):
    with pytest.raises(DataError, match="confirmed or corrected in review, and there are none") as caught:
        start_run(collection=collection, method=method, values=values)
    assert caught.value.file == "labels"
    rows.review(rows.run(collection, "zeroshot"), {3: 1})
    assert start_run(collection=collection, method=method, values=values).status == "queued"


def test_without_a_number_there_is_nothing_to_compare_with_yet(alice, sent):
    unknown = rows.collection(alice, names=())
    run = start_run(collection=unknown, method="turtle", values={})
    assert (run.baseline, run.num_classes) == (None, None)


def test_settings_are_the_recommended_presets_and_the_persons_own(collection, sent):
    run = start_run(collection=collection, method="must", values={"epochs": 3})
    assert run.settings["epochs"] == 3.0
    assert run.settings["batch_size"] == 128
    assert run.preset == "small-collection (changed)"
    assert start_run(collection=collection, method="must", values={}).preset == "small-collection"


def test_a_preset_by_name_is_taken_as_written(collection, sent):
    run = start_run(collection=collection, method="must", values={}, preset="gtsrb-b")
    assert (run.preset, run.settings["backbone"], run.settings["mask_ratio"]) == ("gtsrb-b", "clip-vit-b16", 0.5)


def test_mirror_is_what_the_collection_says_unless_the_person_says_otherwise(alice, sent):
    digits = rows.collection(alice, title="digits", mirror=False)
    assert start_run(collection=digits, method="must", values={}).settings["mirror"] is False
    assert start_run(collection=digits, method="must", values={"mirror": True}).settings["mirror"] is True


@pytest.mark.parametrize(("arguments", "setting"), [
    ({"method": "nothing", "values": {}}, "method"),
    ({"method": "must", "values": {}, "preset": "nobody's"}, "preset"),
    ({"method": "zeroshot", "values": {}, "preset": "imagenet-b"}, "preset"),
    ({"method": "must", "values": {"epochs": -1}}, "epochs"),
    ({"method": "must", "values": {"backbone": "clip-vit-z99"}}, "backbone"),
    ({"method": "turtle", "values": {"spaces": "starter-clip,nobody"}}, "spaces"),
    ({"method": "turtle", "values": {"spaces": ""}}, "spaces"),
    ({"method": "must", "values": {"colour": "red"}}, "colour"),
    ({"method": "must", "values": {}, "seed": -1}, "seed"),
    ({"method": "must", "values": {}, "seed": 2**31}, "seed"),
])
def test_it_refuses_a_bad_setting_by_name_and_stores_nothing(collection, sent, arguments, setting):
    with pytest.raises(ConfigError) as refused:
        start_run(collection=collection, **arguments)
    assert refused.value.setting == setting
    assert not Run.objects.exists()


@pytest.mark.parametrize(("num_images", "names", "num_classes", "method", "what", "words"), [
    (0, rows.NAMES, None, "must", "images", "add images"),
    (1, rows.NAMES, None, "must", "images", "one image"),
    (2, rows.NAMES, None, "must", "classes", "3 classes for 2 images"),
    (60, ("cat",), None, "must", "classes", "one class"),
    (60, (), None, "must", "classes", "give class names"),
    (60, (), None, "kmeans", "classes", "give names or a number"),
    (60, (), 61, "turtle", "classes", "61 classes for 60 images"),
    (60, (), 1, "turtle", "classes", "one class"),
])
def test_it_refuses_a_question_that_nothing_can_answer(alice, sent, num_images, names, num_classes, method, what,
                                                       words):
    asked = rows.collection(alice, num_images, names=names, num_classes=num_classes)
    with pytest.raises(DataError, match=words) as refused:
        start_run(collection=asked, method=method, values={})
    assert refused.value.file == what
    assert not Run.objects.exists()


def test_copies_and_held_out_images_do_not_count(alice, sent):
    asked = rows.collection(alice, 4)
    first, second, third, _ = asked.images.all()
    asked.images.filter(pk=second.pk).update(file=first.file, duplicate_of=first)
    asked.images.filter(pk=third.pk).update(held_out=True)
    with pytest.raises(DataError, match="3 classes for 2 images"):
        start_run(collection=asked, method="must", values={})


@pytest.mark.parametrize("status", ["receiving", "received", "reading"])
def test_it_waits_for_uploads_that_are_still_read(collection, sent, status):
    Upload.objects.create(collection=collection, name="more.zip", size_bytes=9, status=status)
    with pytest.raises(DataError, match="still being read"):
        start_run(collection=collection, method="must", values={})


def test_an_upload_that_was_given_up_holds_nothing_back(collection, sent):
    upload = Upload.objects.create(collection=collection, name="more.zip", size_bytes=9)
    Upload.objects.filter(pk=upload.pk).update(updated_at=timezone.now() - timedelta(minutes=10))
    assert start_run(collection=collection, method="must", values={}).pk


def test_trying_again_asks_the_same_with_the_same_settings(collection, sent):
    failed = rows.run(collection, "must", "failed", seed=7, settings=rows.run(collection).settings | {"epochs": 2.5})
    again = start_again(failed)
    assert again.pk != failed.pk
    assert (again.status, again.seed, again.settings) == ("queued", 7, failed.settings)
    assert again.class_list_version == failed.class_list_version


@pytest.mark.parametrize("preset", ["gtsrb-b", "gtsrb-b (changed)"])
def test_trying_again_keeps_the_name_of_the_preset(collection, sent, preset):
    first = start_run(collection=collection, method="must", values={"epochs": 5} if "changed" in preset else {},
                      preset="gtsrb-b")
    assert first.preset == preset
    assert start_again(first).preset == preset


def test_a_replay_must_have_images_and_a_method_that_replays(collection, alice, sent):
    empty, everyday = rows.collection(alice, 0, title="empty"), rows.collection(alice, title="everyday")
    with pytest.raises(DataError, match="'empty' has no images"):
        start_run(collection=collection, method="finetune", values={}, replay=empty)
    with pytest.raises(ConfigError, match="MAE-CT has no replay"):
        start_run(collection=collection, method="maect", values={}, replay=everyday)
    with pytest.raises(ConfigError, match="mode is target, which replays nothing"):
        start_run(collection=collection, method="finetune", values={"mode": "target"}, replay=everyday)
    run = start_run(collection=collection, method="finetune", values={"mode": "replay"}, replay=everyday)
    assert start_again(run).replay == everyday


def test_a_warm_up_must_have_images_and_a_method_that_warms_up(collection, alice, sent):
    empty, larger = rows.collection(alice, 0, title="empty"), rows.collection(alice, title="larger")
    with pytest.raises(DataError, match="'empty' has no images"):
        start_run(collection=collection, method="must", values={}, warm_up=empty)
    with pytest.raises(ConfigError, match="Zero-shot has no warm-up"):
        start_run(collection=collection, method="zeroshot", values={}, warm_up=larger)
    assert start_run(collection=collection, method="must", values={}, warm_up=larger).warm_up == larger


def test_a_run_begins_with_an_encoder_that_fits_and_so_does_its_retry(collection, sent):
    tuned = rows.run(collection, "maect")
    run = start_run(collection=collection, method="semimae", values={}, start_from=tuned, asked=learnt(collection))
    assert run.start_from == start_again(run).start_from == tuned
    assert run.baseline.start_from is None, "what it is compared with is as published"
    spaces = {"spaces": "starter-clip,starter-mae"}
    assert start_run(collection=collection, method="turtle", values=spaces, start_from=tuned).start_from == tuned


@pytest.mark.parametrize(("earlier", "status", "words"), [
    ("maect", "succeeded", "holds an adapted starter-mae, this one begins with starter-clip: choose starter-mae as"),
    ("turtle", "succeeded", "TURTLE, succeeded.* has no adapted encoder"),
    ("must", "failed", "MUST, failed.* has no adapted encoder"),
])
def test_a_run_with_nothing_to_begin_with_is_refused(collection, sent, earlier, status, words):
    other = rows.run(collection, earlier, status)
    with pytest.raises(ConfigError, match=words) as refused:
        start_run(collection=collection, method="must", values={}, start_from=other)
    assert refused.value.setting == "start_from"
    assert Run.objects.count() == 1


def test_from_scratch_begins_with_nothing(collection, sent):
    tuned = rows.run(collection, "maect")
    with pytest.raises(ConfigError, match="from scratch"):
        start_run(collection=collection, method="semimae", values={"pretrained": False}, start_from=tuned,
                  asked=learnt(collection))


def learnt(collection):
    """Let a person have said what some images are; return the question."""
    rows.review(rows.run(collection, "zeroshot"), {number: number % 3 for number in range(12)})
    return Asked.of(collection)
