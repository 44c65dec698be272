"""What every method of the catalogue promises to the world around it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from shutil import copy

import pytest
import torch
from PIL import Image

from core.backbones.weights import BUNDLED
from core.catalog import METHODS, parse
from core.classifier import Classifier, Predictions
from core.data.images import open_images
from core.errors import Cancelled, CheckpointError, ConfigError
from core.methods.resolve import resolve
from core.problem import Problem
from core.run import Progress
from core.settings import Value, describe
from core.shell import LocalRun
from tests.core.recorder import Recorder

SMALL: Mapping[str, Mapping[str, Value]] = {
    "zeroshot": {"templates": "one"},
    "kmeans": {"starts": 20},
    "turtle": {"steps": 150, "spaces": "starter-clip,starter-mae"},
    "must": {"templates": "one", "epochs": 2.0, "batch_size": 20, "threshold": 0.0, "mask_patch_px": 16,
             "average_start": 0.5, "average_end": 0.9, "average_ramp_steps": 3, "precision": "float32"},
    "maect": {"epochs": 2.0, "preparing_epochs": 1.0, "pretraining_epochs": 1.0, "batch_size": 20, "frozen_blocks": 3,
              "nearest": 3, "encoder_average": 0.9, "starts": 3, "precision": "float32"},
    "finetune": {"epochs": 2.0, "batch_size": 20, "mixing": "both", "optimiser": "adamw", "base_learning_rate": 1e-3,
                 "momentum": 0.9, "starts": 3, "precision": "float32"},
    "semimae": {"epochs": 2.0, "warming_epochs": 1.0, "batch_size": 20, "threshold": 0.1, "precision": "float32"},
}
"""Settings with which a method is through in a moment; a new method adds its own."""

PICTURES: Mapping[str, Sequence[str]] = {
    "zeroshot": (), "kmeans": ("typical",), "turtle": ("typical",), "must": ("recovered", "attention"),
    "maect": ("typical",), "finetune": ("typical",), "semimae": ("recovered",),
}
"""What each leaves to be looked at; a new method adds its own."""

every_method = pytest.mark.parametrize("method", METHODS)
every_joining_method = pytest.mark.parametrize("method", [name for name, one in METHODS.items() if one.joins])


class Killed(Exception):
    """Stands for a process that ends without warning."""


@pytest.fixture(scope="module")
def weights(random_starters: Path, tmp_path_factory: pytest.TempPathFactory):
    """Use a copy of the bundled starters, and a random one in the place of any that is not bundled."""
    folder = tmp_path_factory.mktemp("weights")
    for file in random_starters.iterdir():
        bundled = BUNDLED / file.name
        copy(bundled if bundled.is_file() else file, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELFREE_WEIGHTS", str(folder))
        yield


@pytest.fixture(scope="module")
def problem(images, digit_names) -> Problem:
    return Problem(images=images, class_names=digit_names, labelled={3: 1})


def adapt(method: str, problem: Problem, folder: Path, recorder: Recorder | None = None) -> Classifier:
    """Run a method with its small settings."""
    run = LocalRun(device=torch.device("cpu"), seed=3, folder=folder, listener=recorder)
    return resolve(METHODS[method].function)(parse(method, SMALL[method]), problem, run)


def pictures(folder: Path) -> dict[str, bytes]:
    """Return what a run in this folder drew, by name."""
    return {file.stem: file.read_bytes() for file in (folder / "pictures").glob("*")}


def difference(first: Predictions, second: Predictions) -> float:
    """Return the largest difference of two runs' probabilities."""
    return float((first.probabilities - second.probabilities).abs().max())


@dataclasses.dataclass
class Unbroken:
    """A run that nothing disturbed."""

    classifier: Classifier
    predictions: Predictions
    reports: list[Progress]
    pictures: dict[str, bytes]


@pytest.fixture(scope="module")
def unbroken(weights, problem, tmp_path_factory) -> Callable[[str], Unbroken]:
    """Return a function that runs a method once, however often it is asked."""

    @cache
    def of(method: str) -> Unbroken:
        recorder, folder = Recorder(), tmp_path_factory.mktemp(method)
        classifier = adapt(method, problem, folder, recorder)
        return Unbroken(classifier, classifier.predict(problem.images), recorder.reports, pictures(folder))

    return of


@every_method
def test_it_answers_with_finite_logits_for_every_class(method, unbroken, problem):
    classifier = unbroken(method).classifier
    logits = classifier.logits(torch.rand(3, 3, 64, 64))
    assert logits.shape == (3, len(problem.class_names))
    assert torch.isfinite(logits).all()
    assert classifier.class_names == problem.class_names
    assert classifier.method == method


@every_method
def test_its_progress_rises_and_ends_at_its_total(method, unbroken):
    reports = unbroken(method).reports
    steps = [progress.step for progress in reports]
    assert steps == sorted(steps)
    assert {progress.total for progress in reports} == {steps[-1]}
    assert all(progress.stage for progress in reports)
    assert all(sum(progress.histogram) in {0, 60} for progress in reports if method in {"kmeans", "turtle"})


@every_method
def test_it_leaves_its_own_pictures(method, unbroken):
    drawn = unbroken(method).pictures
    assert set(drawn) == set(PICTURES[method])
    for content in drawn.values():
        with Image.open(BytesIO(content)) as picture:
            assert picture.format == "PNG" and len(picture.getcolors(2**24)) > 50, "something is to be seen"


@every_method
def test_the_same_seed_gives_the_same_answer(method, unbroken, problem, tmp_path):
    again = adapt(method, problem, tmp_path).predict(problem.images)
    assert difference(again, unbroken(method).predictions) == 0


@every_method
def test_it_stops_at_the_report_after_a_person_cancels(method, weights, problem, tmp_path):
    def cancel(progress: Progress) -> None:
        run.cancel_requested = True

    recorder = Recorder(cancel)
    run = LocalRun(device=torch.device("cpu"), seed=3, folder=tmp_path, listener=recorder)
    with pytest.raises(Cancelled):
        resolve(METHODS[method].function)(parse(method, SMALL[method]), problem, run)
    assert len(recorder.reports) == 1


@every_method
def test_killed_and_resumed_it_gives_the_unbroken_answer(method, unbroken, problem, tmp_path):
    def kill(progress: Progress) -> None:
        past_reading = not progress.stage.startswith("reading") or method == "zeroshot"  # which reads and no more
        if progress.step > progress.total / 2 and past_reading:
            raise Killed

    with pytest.raises(Killed):
        adapt(method, problem, tmp_path, Recorder(kill))
    resumed = adapt(method, problem, tmp_path).predict(problem.images)
    assert difference(resumed, unbroken(method).predictions) == 0
    assert pictures(tmp_path) == unbroken(method).pictures


@pytest.fixture
def joint(images, digit_names) -> Problem:
    """Return a question of a part of the images, with the others in two further collections."""
    own, first, second = (images.subset(range(start, end)) for start, end in ((0, 25), (25, 45), (45, 60)))
    return Problem(images=own, class_names=digit_names, also=(first, second))


def kill_past_half(progress: Progress) -> None:
    if progress.step > progress.total / 2:
        raise Killed


@every_joining_method
def test_with_further_collections_it_gives_the_same_answer_again_killed_and_resumed_too(method, weights, joint, images,
                                                                                        tmp_path):
    unbroken = adapt(method, joint, tmp_path / "unbroken")
    alone = adapt(method, dataclasses.replace(joint, also=()), tmp_path / "alone")
    assert difference(alone.predict(images), unbroken.predict(images)) > 0, "it learnt from them"
    again = adapt(method, joint, tmp_path / "again")
    assert difference(again.predict(images), unbroken.predict(images)) == 0
    with pytest.raises(Killed):
        adapt(method, joint, tmp_path / "killed", Recorder(kill_past_half))
    resumed = adapt(method, joint, tmp_path / "killed")
    assert difference(resumed.predict(images), unbroken.predict(images)) == 0
    assert pictures(tmp_path / "killed") == pictures(tmp_path / "unbroken")


@every_joining_method
def test_a_checkpoint_belongs_to_its_further_collections(method, weights, joint, tmp_path):
    with pytest.raises(Killed):
        adapt(method, joint, tmp_path, Recorder(kill_past_half))
    for also in ((), joint.also[:1], (joint.also[0], joint.also[1].subset(range(14)))):
        with pytest.raises(CheckpointError, match="other settings, images"):
            adapt(method, dataclasses.replace(joint, also=also), tmp_path)


@every_method
def test_it_leaves_the_problem_as_it_was(method, unbroken, problem, images, digit_names, tmp_path):
    unbroken(method)
    assert problem == Problem(images=images, class_names=digit_names, labelled={3: 1})
    assert open_images(images.paths[0].parent, tmp_path)[0].fingerprint == images.fingerprint


@every_method
def test_saved_and_loaded_it_answers_the_same(method, unbroken, problem, tmp_path):
    done = unbroken(method)
    done.classifier.save(tmp_path)
    loaded = Classifier.load(tmp_path)
    assert difference(loaded.predict(problem.images), done.predictions) == 0
    assert (loaded.class_names, loaded.method) == (done.classifier.class_names, method)
    assert loaded.settings == done.classifier.settings


@every_method
def test_a_bad_setting_is_refused_by_name_before_any_work(method, weights, problem, tmp_path):
    name = "spaces" if "spaces" in describe(METHODS[method].settings) else "backbone"
    with pytest.raises(ConfigError, match="no-such-model"):
        parse(method, {**SMALL[method], name: "no-such-model"})

    recorder = Recorder()
    run = LocalRun(device=torch.device("cpu"), seed=3, folder=tmp_path, listener=recorder)
    settings = dataclasses.replace(parse(method, SMALL[method]), **{name: "no-such-model"})
    with pytest.raises(ConfigError, match="no-such-model"):
        resolve(METHODS[method].function)(settings, problem, run)
    assert not any(progress.step for progress in recorder.reports)
    assert not run.checkpoints.path.exists()
