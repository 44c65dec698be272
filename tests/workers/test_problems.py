"""From rows to what a method sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DataError
from tests.workers.conftest import DIGITS, add_image
from webapp.collections.models import Collection, Image
from webapp.review.actions import correct
from webapp.runs.further import held_out_by_further
from webapp.runs.models import Prediction
from workers.problems import Photographs, build_problem, kept_labels, taught_images
from workers.rows import Rows, kept_rows


def question(run, rows=None):
    """Return what a run that begins now is asked, or one that uses `rows`."""
    rows = rows or Rows.now(run)
    return build_problem(run, rows, Photographs.of_rows(rows.own, rows.held_out))


def test_the_images_come_in_the_order_of_their_numbers(collection, make_run):
    photographs = Photographs.of(collection)
    problem = question(make_run("must"))
    assert problem.images.names == tuple(f"digit-{number:04d}.png" for number in range(60))
    assert problem.class_names == DIGITS
    assert photographs.ids == tuple(collection.images.order_by("number").values_list("pk", flat=True))
    assert all(path.is_file() for path in problem.images.paths)


def test_an_exact_copy_is_seen_once_and_answered_twice(collection, digits):
    first = collection.images.get(number=3)
    copy = add_image(collection, 60, sorted(Path(digits[0]).iterdir())[3], "three", duplicate_of=first)
    photographs = Photographs.of(collection)
    assert len(photographs.distinct) == 60
    assert photographs.place[copy.pk] == photographs.place[first.pk] == 3


def test_what_is_held_out_is_not_adapted_to_not_even_as_a_copy(collection, digits):
    kept = collection.images.get(number=5)
    add_image(collection, 60, sorted(Path(digits[0]).iterdir())[5], "five", duplicate_of=kept, held_out=True)
    Image.objects.filter(collection=collection, number__gte=50, number__lt=60).update(held_out=True)
    photographs = Photographs.of(collection)
    assert photographs.adapted == 49
    assert "digit-0005.png" not in photographs.to_adapt.names
    assert set(photographs.place) == set(collection.images.values_list("pk", flat=True))


def test_a_replay_collection_brings_its_pictures(collection, make_run):
    run = make_run("finetune")
    assert question(run).replay is None
    run.replay = collection
    problem = question(run)
    assert problem.replay is not None
    assert problem.replay.names == problem.images.names


def further(owner, digits, title: str, first: int, end: int) -> Collection:
    """Make a collection of some of the digits."""
    made = Collection.objects.create(owner=owner, name=title)
    for number, path in enumerate(sorted(Path(digits[0]).iterdir())[first:end]):
        add_image(made, number, path, "none")
    return made


def test_further_collections_bring_each_picture_once_and_nothing_held_out_or_set_aside(collection, make_run, digits):
    Image.objects.filter(collection=collection, number__gte=20).delete()
    collection.images.filter(number=12).update(held_out=True)
    first, second = (further(collection.owner, digits, title, *part) for title, part in (
        ("first", (10, 30)), ("second", (25, 50))))
    first.images.filter(path="digit-0021.png").update(set_aside=True)
    first.images.filter(path="digit-0028.png").update(held_out=True)  # it is in the second too
    add_image(second, 99, sorted(Path(digits[0]).iterdir())[49], "none", duplicate_of=second.images.get(number=24))
    alone, problem = question(make_run("must")), question(make_run("must", also=[first.pk, second.pk]))
    assert alone.also == () and alone.adapted_to is alone.images
    assert problem.images == alone.images

    def names(*numbers: int) -> tuple[str, ...]:
        return tuple(f"digit-{number:04d}.png" for number in numbers)

    assert [one.names for one in problem.also] == [
        names(20, *range(22, 28), 29), names(*range(30, 50))]
    assert len(set(problem.adapted_to.names)) == len(problem.adapted_to) == 19 + 8 + 20
    assert all(path.is_file() for path in problem.adapted_to.paths)


def test_what_a_further_collection_holds_out_is_held_out_of_the_run_s_own_too(collection, make_run, digits):
    other = further(collection.owner, digits, "other", 50, 60)
    other.images.filter(path__in=["digit-0050.png", "digit-0055.png"]).update(held_out=True)
    run = make_run("must", also=[other.pk])
    photographs = Photographs.of(collection, held_out_by_further(run))
    assert photographs.adapted == 58
    assert photographs.distinct.names[58:] == ("digit-0050.png", "digit-0055.png")
    assert held_out_by_further(make_run("must")) == set()


def test_a_further_collection_that_was_deleted_is_said(collection, make_run, digits):
    gone = further(collection.owner, digits, "gone", 0, 1)
    run = make_run("must", also=[gone.pk])
    gone.delete()
    with pytest.raises(DataError, match="is not there any more; restore it from the trash, or change the settings"):
        question(run)


def test_a_run_s_attempts_use_the_images_that_it_began_with(collection, make_run, digits, tmp_path):
    more = further(collection.owner, digits, "more", 50, 55)
    collection.images.filter(number__gte=50).delete()
    collection.images.filter(number__gte=40).update(set_aside=True)
    collection.images.filter(number__lt=5).update(held_out=True)
    run = make_run("must", also=[more.pk], warm_up=more, replay=more)
    begun = kept_rows(run, tmp_path, pytest.fail)
    for one in (collection, more):
        one.images.filter(number=0).update(held_out=one is more)
        one.images.filter(number__in=[1, 39]).update(set_aside=True)
        one.images.filter(number__gte=40).update(set_aside=False)
        add_image(one, 60, sorted(Path(digits[0]).iterdir())[59], "late")
    rows = kept_rows(run, tmp_path, pytest.fail)
    assert rows == begun
    assert question(run, rows) == question(run, begun)
    assert set(Photographs.of_rows(rows.own, rows.held_out).place) == {
        image.pk for image in collection.images.filter(number__lt=40)}
    assert [len(one) for one in (question(run, rows).images, *question(run, rows).also)] == [35, 5]
    assert Rows.now(run) != begun, "a run of its own begins with what is there then"


def test_a_run_whose_images_were_deleted_begins_anew_with_what_is_there_and_only_once(collection, make_run, tmp_path):
    run, told = make_run("must"), []
    kept_rows(run, tmp_path, pytest.fail)
    collection.images.filter(number=3).update(set_aside=True)
    collection.images.filter(number=7).delete()
    rows = kept_rows(run, tmp_path, lambda: told.append("anew"))
    assert (told, len(rows.own)) == (["anew"], 58)
    assert kept_rows(run, tmp_path, pytest.fail) == rows


def test_a_question_without_names_carries_the_number(collection, make_run):
    problem = question(make_run("turtle", num_classes=7))
    assert (problem.class_names, problem.count) == ((), 7)


def answered(run):
    """Give a run an answer for every image, as review wants it."""
    Prediction.objects.bulk_create([Prediction(run=run, image=image, class_index=0, confidence=1.0, margin=1.0, top=[])
                                    for image in run.collection.images.all()])
    return run


def say(run, number: int, label: int) -> None:
    correct(run, run.owner, [run.collection.images.get(number=number).pk], label)


def test_labels_are_what_people_said_in_review_and_stay_so_for_the_run_s_attempts(collection, make_run, tmp_path):
    earlier, run = answered(make_run("zeroshot")), make_run("semimae")
    say(earlier, 7, 4)
    say(earlier, 9, 2)
    photographs = Photographs.of(collection)
    assert kept_labels(run, photographs, tmp_path) == {7: 4, 9: 2}
    say(earlier, 7, 5)
    assert kept_labels(run, photographs, tmp_path) == {7: 4, 9: 2}
    (tmp_path / "another run").mkdir()
    assert kept_labels(run, photographs, tmp_path / "another run") == {7: 5, 9: 2}
    assert build_problem(run, Rows.now(run), photographs, {7: 5}).labelled == {7: 5}
    assert question(run).labelled == {}


def test_labels_of_a_copy_are_the_picture_s_and_held_out_ones_are_out_of_reach(collection, make_run, digits, tmp_path):
    first = collection.images.get(number=3)
    add_image(collection, 60, sorted(Path(digits[0]).iterdir())[3], "three", duplicate_of=first)
    earlier, run = answered(make_run("zeroshot")), make_run("semimae")
    for number, label in ((3, 1), (60, 8), (20, 2), (59, 6)):
        say(earlier, number, label)
    collection.images.filter(number=20).update(held_out=True)
    photographs = Photographs.of(collection)
    found = kept_labels(run, photographs, tmp_path)
    assert {photographs.to_adapt.names[index]: label for index, label in found.items()} == {
        "digit-0003.png": 8, "digit-0059.png": 6}


def test_a_run_without_names_takes_the_labels_of_the_collection_s(collection, make_run, names, tmp_path):
    collection.class_list_version = names
    collection.save(update_fields=["class_list_version"])
    say(answered(make_run("zeroshot")), 7, 4)
    run = make_run("maect", num_classes=10)
    assert kept_labels(run, Photographs.of(collection), tmp_path) == {7: 4}


def test_what_an_encoder_was_told_of_stays_told(collection, digits, make_run):
    elsewhere = Collection.objects.create(owner=collection.owner, name="a few of them once more")
    again = [add_image(elsewhere, number, path, "zero") for number, path in enumerate(sorted(digits[0].iterdir())[:9])]
    told = make_run("semimae", result={"taught": [again[4].pk, again[8].pk]})
    tuned = make_run("maect", start_from=told)
    run = make_run("kmeans", start_from=tuned)
    rows = Rows.now(run)
    photographs = Photographs.of_rows(rows.own, rows.held_out)
    known = {row.number: row.pk for row in rows.own}
    assert taught_images(run, rows.own, photographs, {7: 0}) == [known[4], known[7], known[8]]
    told.delete()
    assert taught_images(run, rows.own, photographs, {}) == []
