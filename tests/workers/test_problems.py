"""From rows to what a method sees."""

from __future__ import annotations

from pathlib import Path

from tests.workers.conftest import DIGITS, add_image
from webapp.collections.models import Image
from workers.problems import Photographs, build_problem


def test_the_images_come_in_the_order_of_their_numbers(collection, make_run):
    photographs = Photographs.of(collection)
    problem = build_problem(make_run("must"), photographs)
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
    assert build_problem(run, Photographs.of(collection)).replay is None
    run.replay = collection
    problem = build_problem(run, Photographs.of(collection))
    assert problem.replay is not None
    assert problem.replay.names == problem.images.names


def test_a_question_without_names_carries_the_number(collection, make_run):
    problem = build_problem(make_run("turtle", num_classes=7), Photographs.of(collection))
    assert (problem.class_names, problem.count) == ((), 7)
