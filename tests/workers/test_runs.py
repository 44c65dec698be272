"""Runs from the queue to their end, in real child processes that are cancelled, killed and robbed of their lease."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from django.utils import timezone

from core.classifier import Predictions
from core.data.images import ImageSet
from core.training.checkpoint import Checkpoints
from tests.workers.conftest import DIGITS, adapting, child_of, executing, expire, held, is_pending, wait_for
from webapp.collections.deletion import trash_collection
from webapp.collections.models import Collection
from webapp.review.actions import correct, name_cluster
from webapp.review.confirmed import confirmed_labels
from webapp.review.names import class_names
from webapp.review.queries import agreement
from webapp.runs import presence
from webapp.runs.models import MAX_ATTEMPTS, Prediction, Run
from workers import answers as answers_of
from workers import measuring, runs
from workers.app import send
from workers.lease import Lease, LeaseLost
from workers.priority import NICENESS
from workers.problems import Photographs
from workers.reaper import reap
from workers.rows import kept_rows
from workers.spawn import Child
from workers.surroundings import take_folder

LONG = {"steps": 100_000, "sample_size": 60}
SHORT = {"steps": 2000, "sample_size": 60}
HOLD = """
import fcntl, os, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), "theirs", end="", file=lock, flush=True)
print("held", flush=True)
time.sleep(60)
"""
MUST = {"mirror": False, "batch_size": 10, "epochs": 5.0, "templates": "one"}  # thirty steps, a checkpoint every third


def answers(run: Run) -> list[tuple[int, float]]:
    """Return class and confidence of each image."""
    return [(one.class_index, round(one.confidence, 5))
            for one in Prediction.objects.filter(run=run).order_by("image__number")]


@pytest.fixture(scope="module")
def unbroken_answers() -> dict[str, list[tuple[int, float]]]:
    """Keep what each method answers where nothing breaks it: two tests ask for the same."""
    return {}


@pytest.fixture
def unbroken(unbroken_answers, make_run, execute) -> Callable[[str, Mapping[str, object]], list[tuple[int, float]]]:
    """Return a function that gives a method's unbroken answers; each method is asked with one choice of settings."""
    def ask(method: str, settings: Mapping[str, object]) -> list[tuple[int, float]]:
        if method not in unbroken_answers:
            run = execute(make_run(method, settings=settings))
            assert (run.status, run.attempt) == ("succeeded", 1), run.error
            unbroken_answers[method] = answers(run)
        return unbroken_answers[method]

    return ask


def test_a_run_ends_with_an_answer_for_every_image_a_result_and_a_package(make_run, execute):
    run = execute(make_run("zeroshot", settings={"templates": "one"}))
    assert (run.status, run.error) == ("succeeded", "")
    assert run.attempt == 1 and run.lease_token == "" and run.finished_at and run.percent == 100
    assert sum(run.result["histogram"]) == sum(run.result["confidence_histogram"]) == 60
    assert set(run.result["measured"]) == {"accuracy", "mean_per_class", "nmi", "ami", "ari"}
    assert run.result["held_out"] is None and run.result["baseline"] is None
    for one in Prediction.objects.filter(run=run):
        assert len(one.top) == 5 and one.top[0][0] == one.class_index
        assert 0 <= one.map_x <= 1 and 0 <= one.map_y <= 1
    assert Prediction.objects.filter(run=run).count() == 60
    assert [path.name for path in runs.run_folder(run.pk).glob("package*")] == ["package.zip"]
    assert [line[20:] for line in run.log.splitlines()[-2:]] == ["stage: writing the answers", "succeeded"]
    before = run.finished_at
    assert execute(run).finished_at == before  # its message came twice


def test_a_run_is_compared_with_its_baseline_and_held_out_images_are_answered(make_run, execute, collection):
    collection.images.filter(number__lt=10).update(held_out=True)
    baseline = execute(make_run("kmeans", settings={"starts": 1}))
    run = execute(make_run("kmeans", settings={"starts": 1}, baseline=baseline, seed=1))
    assert run.result["baseline"]["run"] == baseline.pk
    assert 0 < run.result["baseline"]["agreement"] <= 1
    assert sum(run.result["histogram"]) == 50
    assert set(run.result["held_out"]) == {"hungarian_accuracy", "mean_per_class", "nmi", "ami", "ari"}
    assert Prediction.objects.filter(run=run).count() == 60


def test_a_method_that_counts_names_its_groups_from_the_list_and_is_measured_as_groups(make_run, execute, names):
    baseline = execute(make_run("zeroshot", settings={"templates": "one"}))
    run = execute(make_run("kmeans", settings={"starts": 1}, class_list_version=names))
    assert (run.status, run.error) == ("succeeded", "")
    assert set(run.result["class_names"]) == set(DIGITS) == set(class_names(run))
    assert "hungarian_accuracy" in run.result["measured"] and "accuracy" not in run.result["measured"]
    assert measuring.compare(run, baseline)["agreement"] == agreement(run, baseline), "matched, not by guessed names"
    name_cluster(run, run.owner, 0, "my own word")
    assert class_names(run)[0] == "my own word"
    correct(run, run.owner, [run.collection.images.first().pk], 1)
    assert confirmed_labels(run.collection, names) == {}, "a cluster's number is no name of the list"


def test_what_the_method_draws_is_kept_with_the_run_and_what_a_killed_attempt_drew_is_not(make_run, execute):
    run = make_run("kmeans", settings={"starts": 1})
    for left in ("pictures-0badcafe", "pictures"):
        (runs.run_folder(run.pk) / left).mkdir(parents=True)
        (runs.run_folder(run.pk) / left / "half.png").touch()
    run = execute(run)
    assert (run.status, run.error) == ("succeeded", "")
    assert [file.name for file in runs.run_folder(run.pk).glob("pictures*/*")] == ["typical.png"]
    assert [one["name"] for one in run.result["pictures"]] == ["typical"]


def test_a_zombie_s_pictures_never_take_the_place_of_the_run_s(make_run, starters, tmp_path):
    run = make_run("kmeans", status="running", lease_token="somebody else's", lease_expires_at=timezone.now())
    theirs, kept = (runs.run_folder(run.pk) / name for name in ("pictures-mine", "pictures"))
    for folder in (theirs, kept):
        folder.mkdir(parents=True)
        (folder / "typical.png").write_text(folder.name)
    nothing = Photographs(distinct=ImageSet((), ()), adapted=0, ids=(), place={})
    with pytest.raises(LeaseLost):
        answers_of.write(Lease(run.pk, "mine"), {}, Predictions(torch.zeros(0, 2)), np.zeros((0, 2)), nothing,
                         runs.run_folder(run.pk) / "package-mine.zip", theirs)
    assert (kept / "typical.png").read_text() == "pictures"


@pytest.mark.parametrize(("settings", "words", "retryable"), [
    ({"backbone": "clip-vit-b16"}, "clip-vit-b16", True),
    ({"backbone": "nobody"}, "unknown foundation model 'nobody'", False),
], ids=["weights that cannot be had", "an unknown backbone"])
def test_a_run_that_cannot_be_done_fails_in_words(make_run, execute, settings, words, retryable):
    run = execute(make_run("zeroshot", settings=settings))
    assert (run.status, run.retryable) == ("failed", retryable)
    assert words in run.error and run.finished_at


@pytest.mark.parametrize(("method", "settings"), [
    ("semimae", {"warming_epochs": 0.0, "reconstruction_weight": 0.0}),
    ("finetune", {"classifier_from": "labels", "starts": 2})])
def test_what_learns_from_the_review_says_so_in_its_card_and_is_not_measured_by_it(make_run, execute, method, settings):
    earlier = execute(make_run("zeroshot", settings={"templates": "one"}))
    correct(earlier, earlier.owner, list(earlier.collection.images.values_list("pk", flat=True)[:12]), 3)
    run = execute(make_run(method, baseline=earlier, class_list_version=earlier.class_list_version,
                           settings={"epochs": 0.3, "batch_size": 16, "mirror": False, **settings}))
    assert (run.status, run.error) == ("succeeded", "")
    with zipfile.ZipFile(runs.run_folder(run.pk) / "package.zip") as package:
        assert "12 of them labelled by a person" in package.read("CARD.md").decode()
        assert json.loads(package.read("settings.json"))["settings"]["labelled_images"] == 12
    taught = set(earlier.collection.images.values_list("pk", flat=True)[:12])
    assert set(run.result["taught"]) == taught
    for one, figures in ((run, run.result["measured"]), (earlier, run.result["baseline"]["measured"])):
        right = [said.class_index == DIGITS.index(said.image.true_label.name)
                 for said in one.predictions.exclude(image__in=taught)]
        assert len(right) == 48
        assert figures["accuracy"] == pytest.approx(sum(right) / 48)


def test_where_names_drift_the_row_and_the_card_say_that_zero_shot_was_kept(make_run, execute):
    run = execute(make_run("must", settings=MUST | {"epochs": 1.0, "base_learning_rate": 0.1, "least_kept": 1.0}))
    assert (run.status, run.error) == ("succeeded", "")
    (note,) = run.result["notes"]
    assert note.startswith("Zero-shot was kept.")
    with zipfile.ZipFile(runs.run_folder(run.pk) / "package.zip") as package:
        assert note in package.read("CARD.md").decode()


@pytest.mark.timeout(1200)
def test_a_run_adapts_to_further_collections_and_answers_its_own(make_run, execute, collection):
    more = Collection.objects.create(owner=collection.owner, name="secret")
    collection.images.filter(number__gte=40).update(collection=more)
    settings = MUST | {"epochs": 1.0, "least_kept": 0.01}
    run = execute(make_run("must", settings=settings, also=[more.pk]))
    assert (run.status, run.error) == ("succeeded", "")
    assert sum(run.result["histogram"]) == Prediction.objects.filter(run=run).count() == 40
    assert not Prediction.objects.filter(run=run, image__collection=more).exists()
    assert {image for image, _, _ in run.samples} <= set(collection.images.values_list("pk", flat=True))
    assert answers(execute(make_run("must", settings=settings))) != answers(run), "it learnt from them"
    assert answers(execute(make_run("must", settings=settings, also=[more.pk]))) == answers(run)
    with zipfile.ZipFile(runs.run_folder(run.pk) / "package.zip") as package:
        card = package.read("CARD.md").decode()
    assert "- Images: 40 (digits) and 20 of 1 further collection with the same names, without labels" in card
    assert "secret" not in card

    trash_collection(more)
    late = execute(make_run("must", settings=settings, also=[more.pk]))
    assert (late.status, late.retryable) == ("failed", False)
    assert f"collection {more.pk}, one of those that this run also adapts to, is not there any more" in late.error


def test_a_run_begins_with_an_earlier_one_s_encoder_and_says_so(make_run, execute):
    adapted = execute(make_run("must", settings=MUST | {"epochs": 1.0, "base_learning_rate": 0.1}))
    run = execute(make_run("zeroshot", settings={"templates": "one"}, start_from=adapted))
    assert (run.status, run.error) == ("succeeded", "")
    with zipfile.ZipFile(runs.run_folder(run.pk) / "package.zip") as package:
        assert f"Begun with the encoder of an adapted model: run {adapted.pk}" in package.read("CARD.md").decode()
    assert not (runs.run_folder(run.pk) / "start").exists()

    (runs.run_folder(adapted.pk) / "package.zip").unlink()
    late = execute(make_run("zeroshot", settings={"templates": "one"}, start_from=adapted))
    assert (late.status, f"run {adapted.pk}: its model package is gone" in late.error) == ("failed", True)


def test_a_running_run_stops_when_asked_and_ends_cancelled(make_run, starters):
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        assert os.getpriority(os.PRIO_PROCESS, child_of(run)) == NICENESS
        run.request_cancel()
    run.refresh_from_db()
    assert run.status == "cancelled" and run.finished_at
    assert run.points.exists() or run.log.count("stage:")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("method", "settings"), [
    ("must", MUST), ("turtle", SHORT)], ids=["must", "turtle"])
def test_a_paused_run_holds_no_worker_and_goes_on_to_the_unbroken_answer(make_run, execute, unbroken, method, settings):
    expected = unbroken(method, settings)
    run = make_run(method, settings=settings)
    with executing(run):
        wait_for(adapting(run, 0.1), 400)
        with held(child_of(run)) as child:  # so that a fast machine does not end it before it is asked
            run.request_pause()
            wait_for(lambda: is_pending(child, signal.SIGUSR1))
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lease_token, run.pause_requested) == ("paused", 0, "", False), run.log
    stopped_at = run.step
    assert 0 < stopped_at < run.total
    assert run.resume()
    execute(run)
    assert (run.status, run.attempt) == ("succeeded", 1)
    assert "goes on from its last checkpoint" in run.log
    assert answers(run) == expected
    again = [step for step in run.points.order_by("pk").values_list("step", flat=True) if step < stopped_at - 1]
    assert again == sorted(set(again))  # no step before the pause was made twice


@pytest.mark.timeout(1200)
def test_a_run_that_crashed_is_resumed_from_its_checkpoint_to_the_unbroken_answer(make_run, execute, unbroken):
    expected = unbroken("turtle", SHORT)
    run = make_run("turtle", settings=SHORT)
    with executing(run):
        wait_for(lambda: (runs.run_folder(run.pk) / "checkpoint.safetensors").exists(), 400)
        os.kill(child_of(run), signal.SIGSEGV)
    run.refresh_from_db()
    assert (run.status, run.retryable) == ("failed", True)
    assert run.resume()
    execute(run)
    assert (run.status, run.error, run.attempt) == ("succeeded", "", 1)
    assert "goes on from its last checkpoint" in run.log
    assert answers(run) == expected


@pytest.mark.timeout(600)
def test_what_is_set_aside_or_held_out_meanwhile_costs_no_checkpoint(make_run, execute, collection):
    run = make_run("must", settings=MUST | {"epochs": 1.0})
    with executing(run):
        wait_for(lambda: (runs.run_folder(run.pk) / "checkpoint.safetensors").exists(), 400)
        os.kill(child_of(run), signal.SIGKILL)
    collection.images.filter(number=3).update(set_aside=True)
    collection.images.filter(number=7).update(held_out=True)
    execute(run)
    assert (run.status, run.error, run.attempt) == ("succeeded", "", 2)
    assert "goes on from its last checkpoint" in run.log and "begins anew" not in run.log
    assert (len(answers(run)), run.result["held_out"], sum(run.result["histogram"])) == (60, None, 60)


def test_a_run_begun_before_its_images_were_kept_begins_anew_where_its_checkpoint_does_not_fit(make_run, execute):
    run = make_run("kmeans", settings={"starts": 1})
    Checkpoints(runs.run_folder(run.pk)).save({"identity": "of other images"}, 1)
    execute(run)
    assert (run.status, run.error, run.attempt) == ("succeeded", "", 1)
    assert "its checkpoint is of other images, names or labels" in run.log


def test_a_run_whose_images_were_deleted_begins_anew_with_those_there_are(make_run, execute, collection):
    run = make_run("kmeans", settings={"starts": 1})
    folder = runs.run_folder(run.pk)
    Checkpoints(folder).save({"identity": "of all of them"}, 1)
    kept_rows(run, folder, pytest.fail)
    collection.images.filter(number=3).delete()
    execute(run)
    assert (run.status, run.error, len(answers(run))) == ("succeeded", "", 59)
    assert "images that it began with were deleted: its checkpoint is dropped" in run.log
    assert "goes on from its last checkpoint" not in run.log


def test_a_child_that_does_not_hear_is_killed(make_run, starters, monkeypatch):
    monkeypatch.setattr(runs, "CANCEL_PATIENCE_SECONDS", 1.0)
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        child = child_of(run)
        os.kill(child, signal.SIGSTOP)
        run.request_cancel()
    run.refresh_from_db()
    assert run.status == "cancelled"
    assert not Path(f"/proc/{child}").exists()


def test_a_child_that_hangs_is_killed_and_its_run_tried_again(make_run, starters, monkeypatch):
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        child = child_of(run)
        os.kill(child, signal.SIGSTOP)
        monkeypatch.setattr(runs, "HUNG_SECONDS", 3.0)
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lease_token) == ("queued", 1, ""), run.log
    assert "back to the queue: its process neither said nor computed anything any more" in run.log
    assert not Path(f"/proc/{child}").exists()


def test_a_child_that_computes_in_silence_is_let_be(make_run, execute, monkeypatch):
    """Until it has read torch and the weights it says nothing for several seconds.

    It gives way to all else: on a busy machine three seconds bring it less than what counts in five minutes.
    """
    monkeypatch.setattr(runs, "HUNG_SECONDS", 3.0)
    monkeypatch.setattr(runs, "NEXT_TO_NOTHING_SECONDS", 0.0)
    run = execute(make_run("kmeans", settings={"starts": 1}))
    assert (run.status, run.attempt) == ("succeeded", 1), run.log


def test_a_zombie_is_stopped_and_writes_nothing(make_run, starters):
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        child = child_of(run)
        Run.objects.filter(pk=run.pk).update(lease_token="somebody else's", step=1, stage="theirs")
    run.refresh_from_db()
    assert (run.status, run.lease_token, run.step, run.stage) == ("running", "somebody else's", 1, "theirs")
    assert not Path(f"/proc/{child}").exists()


@pytest.mark.timeout(400)
def test_a_frozen_child_of_an_earlier_attempt_is_killed_and_its_run_goes_on(make_run, execute):
    run = make_run("kmeans", settings={"starts": 1})
    earlier, lock = Lease.claim(run.pk), runs.run_folder(run.pk) / "lock"
    with Child(earlier, runs.run_folder(run.pk) / "output.log") as frozen:
        wait_for(lambda: lock.exists() and lock.read_text() == f"{frozen.process.pid} {earlier.token}", 120)
        os.kill(frozen.process.pid, signal.SIGSTOP)
        expire(run)
        reap()
        execute(run)
        assert (run.status, run.attempt, run.error) == ("succeeded", 2, ""), run.log
        assert frozen.process.wait(1) == -signal.SIGKILL
    assert "an earlier attempt's process still held the run's folder, and was killed" in run.log


@pytest.mark.timeout(400)
def test_a_run_whose_folder_another_machine_holds_waits_without_losing_an_attempt(make_run, execute):
    run = make_run("kmeans", settings={"starts": 1}, attempt=MAX_ATTEMPTS - 1)
    runs.run_folder(run.pk).mkdir(parents=True)
    with (runs.run_folder(run.pk) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()} {'0' * 32}")  # the same number as that process has over there
        lock.flush()
        execute(run)
        assert (run.status, run.attempt) == ("queued", MAX_ATTEMPTS - 1), run.log
        assert "back to the queue: an earlier attempt's process still holds this folder" in run.log


def test_who_lost_the_lease_kills_nobody_who_holds_the_folder(make_run, tmp_path):
    run = make_run("kmeans")
    lost = Lease.claim(run.pk)
    arguments = [sys.executable, "-c", HOLD, str(tmp_path / "lock"), "workers.child", "theirs"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as theirs:
        try:
            assert theirs.stdout.readline() == b"held\n"
            Run.objects.filter(pk=run.pk).update(lease_token="theirs")
            with pytest.raises(LeaseLost), take_folder(tmp_path, lost):
                pytest.fail("it is held twice")
            assert theirs.poll() is None
        finally:
            theirs.kill()


def test_a_crash_is_said_on_the_row(make_run, starters):
    run = make_run("turtle", settings=LONG)
    with executing(run):
        wait_for(adapting(run), 240)
        os.kill(child_of(run), signal.SIGSEGV)
    run.refresh_from_db()
    assert run.status == "failed" and "SIGSEGV" in run.error and run.retryable


def test_a_worker_that_is_told_to_stop_gives_its_run_back(make_run, starters):
    run = make_run("turtle", settings=LONG)
    with executing(run) as stopping:
        wait_for(adapting(run), 240)
        stopping.set()
    run.refresh_from_db()
    assert (run.status, run.attempt, run.lease_token) == ("queued", 0, "")


@pytest.mark.timeout(1200)
def test_a_run_killed_past_half_goes_on_at_its_checkpoint_to_the_unbroken_answer(make_run, execute, unbroken, broker):
    expected = unbroken("must", MUST)
    run = make_run("must", settings=MUST)
    node = subprocess.Popen(
        [sys.executable, "-m", "celery", "--quiet", "--app", "workers.tasks", "worker", "--queues", "gpu", "--pool",
         "threads", "--concurrency", "1", "--hostname", "gpu.0.test@%h", "--without-gossip", "--without-mingle"],
        env={**os.environ, "PYTHONWARNINGS": "ignore"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert send("execute_run", run.pk, "gpu")
        wait_for(adapting(run, 0.5), 400)
        assert presence.is_present("gpu")
        child = child_of(run)
        os.kill(child, signal.SIGSTOP)  # so that a fast machine does not end it before its node is killed
    finally:
        node.kill()
        node.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 5)  # it is tied to its node
    killed_at = Run.objects.get(pk=run.pk).step
    expire(run)
    reap()
    execute(run)
    assert (run.status, run.attempt) == ("succeeded", 2)
    assert "goes on from its last checkpoint" in run.log
    assert answers(run) == expected
    first_again = run.points.order_by("pk").filter(step__lte=killed_at).last()
    assert first_again is None or killed_at - first_again.step <= 0.1 * run.total + 1
