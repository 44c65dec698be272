"""MUST as a method: what it is asked, what it refuses, what it reports, and that it ends where it should."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from core.backbones.masked import MaskedClassifier
from core.catalog import MustSettings, ZeroShotSettings
from core.classifier import Classifier
from core.data.images import ImageSet, open_images
from core.data.views import normalise
from core.errors import Cancelled, CheckpointError, ConfigError
from core.losses.pseudolabel import PseudoLabels
from core.methods import must, must_calibration, must_pictures, zeroshot
from core.methods.must_objective import Batch, Objective
from core.methods.newest_answers import newest_answers
from core.methods.zeroshot import load_text_backbone
from core.problem import Problem
from core.run import Progress
from core.shell import LocalRun
from core.training import loop
from tests.core import tiny_clip

NAMES = tiny_clip.SHAPES
QUICK = MustSettings(templates="one", epochs=4, batch_size=12, base_learning_rate=1e-2, threshold=0.1, mask_patch_px=8,
                     average_start=0.5, average_end=0.9, average_ramp_steps=5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the tiny CLIP at random."""
    return tiny_clip.write_tiny_clip(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(autouse=True)
def tiny(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tiny CLIP be starter-clip."""
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(weights))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Draw 38 shapes: three batches of twelve and two over."""
    folder = tmp_path_factory.mktemp("shapes")
    tiny_clip.write_shapes(folder, 38)
    return open_images(folder, folder)[0]


class Recorder:
    def __init__(self) -> None:
        self.reports: list[Progress] = []

    def progress(self, progress: Progress) -> None:
        self.reports.append(progress)

    def note(self, text: str) -> None:
        raise AssertionError(text)

    result = note


def local_run(folder: Path, recorder: Recorder | None = None, seed: int = 0) -> LocalRun:
    return LocalRun(device=torch.device("cpu"), seed=seed, folder=folder, listener=recorder)


def weights_of(classifier: Classifier) -> dict[str, torch.Tensor]:
    (member,) = classifier.members
    return {**member.backbone.visual.state_dict(), "head": member.weight}


def same(first: Classifier, second: Classifier) -> bool:
    return all(torch.equal(one, weights_of(second)[name]) for name, one in weights_of(first).items())


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> list[loop.Stage[Batch]]:
    """Record the stages that the loop is given, and let it run them."""
    found: list[loop.Stage[Batch]] = []
    train = loop.train

    def watch(stage: loop.Stage[Batch], run: LocalRun) -> None:
        found.append(stage)
        train(stage, run)

    monkeypatch.setattr(loop, "train", watch)
    return found


def test_the_result_is_an_adapted_classifier_with_the_backbone_s_own_scale(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    before = zeroshot.adapt(zeroshot.ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "zero"))
    after = must.adapt(QUICK, problem, local_run(tmp_path / "must"))
    (member,) = after.members
    assert (after.method, after.class_names, member.normalise) == ("must", NAMES, True)
    assert member.scale == pytest.approx(before.members[0].scale)
    assert weights_of(after).keys() == weights_of(before).keys(), "what only training needs is not in the result"
    assert not same(before, after)
    assert after.predict(shapes).probabilities.isfinite().all()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    first, again, other = (must.adapt(QUICK, problem, local_run(tmp_path / str(number), seed=seed))
                           for number, seed in enumerate((0, 0, 1)))
    assert same(first, again)
    assert not same(first, other)


def test_progress_rises_to_its_total_with_terms_and_answers(shapes: ImageSet, tmp_path: Path):
    recorder = Recorder()
    must.adapt(QUICK, Problem(images=shapes, class_names=NAMES), local_run(tmp_path, recorder))
    steps = [report.step for report in recorder.reports]
    assert steps == sorted(steps)
    assert {report.total for report in recorder.reports} == {round(4 * 38 / 12)}
    last = recorder.reports[-1]
    assert last.step == last.total
    assert last.terms.keys() == {"loss", "self_training", "fairness", "masked_modelling", "alignment", "confident"}
    assert len(last.histogram) == len(NAMES)
    assert 36 <= sum(last.histogram) <= 38
    assert last.samples
    for image, label, confidence in last.samples:
        assert 0 <= image < 38
        assert 0 <= label < len(NAMES)
        assert 0 < confidence <= 1


ABLATIONS = {
    "self-training alone": ({"masked_modelling": False, "align_weight": 0.0}, {"self_training", "fairness"}),
    "and masked modelling": ({"align_weight": 0.0}, {"self_training", "fairness", "masked_modelling"}),
    "without fairness": ({"fairness_weight": 0.0}, {"self_training", "masked_modelling", "alignment"}),
    "without self-training": ({"self_training": False}, {"fairness", "masked_modelling", "alignment"}),
    "nearest": ({"nearest": 2}, {"self_training", "fairness", "masked_modelling", "alignment"}),
}


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_a_term_that_is_switched_off_is_neither_computed_nor_reported(ablation: str, shapes: ImageSet, tmp_path: Path):
    changes, terms = ABLATIONS[ablation]
    recorder = Recorder()
    settings = dataclasses.replace(QUICK, epochs=1.0, **changes)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path, recorder))
    assert recorder.reports[-1].terms.keys() == terms | {"loss", "confident"}


def test_self_training_alone_hides_nothing(shapes: ImageSet, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    settings = dataclasses.replace(QUICK, epochs=1.0, masked_modelling=False, align_weight=0.0, mask_ratio=0.0)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path))
    assert next(stages[0].batches(0)).hidden is None


@pytest.mark.parametrize(("changes", "why"), [
    ({"mask_patch_px": 12}, r"mask_patch_px: 12 does not fit.*choose one of 8, 16, 32"),
    ({"mask_ratio": 0.0}, r"mask_ratio: 0 hides nothing"),
    ({"self_training": False, "fairness_weight": 0.0, "masked_modelling": False, "align_weight": 0.0},
     r"self_training: every term of the loss is off"),
])
def test_it_refuses_a_setting_by_name_before_any_step(changes: dict[str, object], why: str, shapes: ImageSet,
                                                      tmp_path: Path, stages: list[loop.Stage[Batch]]):
    with pytest.raises(ConfigError, match=why):
        must.adapt(dataclasses.replace(QUICK, **changes), Problem(images=shapes, class_names=NAMES),
                   local_run(tmp_path))
    assert not stages


def test_it_stops_when_asked(shapes: ImageSet, tmp_path: Path):
    run = local_run(tmp_path)
    run.cancel_requested = True
    with pytest.raises(Cancelled):
        must.adapt(QUICK, Problem(images=shapes, class_names=NAMES), run)


def test_a_step_of_many_pieces_hears_a_request_to_stop(shapes: ImageSet, tmp_path: Path,
                                                       monkeypatch: pytest.MonkeyPatch,
                                                       stages: list[loop.Stage[Batch]]):
    monkeypatch.setattr("core.training.heartbeat.SECONDS_BETWEEN_BEATS", 0.0)
    run = local_run(tmp_path)
    ask = Objective.ask_teacher

    def ask_to_stop(objective: Objective, weak: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        run.cancel_requested = True
        return ask(objective, weak)

    monkeypatch.setattr(Objective, "ask_teacher", ask_to_stop)
    with pytest.raises(Cancelled):
        must.adapt(dataclasses.replace(QUICK, images_at_once=3), Problem(images=shapes, class_names=NAMES), run)
    assert stages[0].objective.last_seen is None, "not even the first step's answers were waited for"  # type: ignore[attr-defined]


@pytest.mark.parametrize("further", [False, True], ids=["alone", "with further collections"])
@pytest.mark.parametrize("killed_after", [2, 4, 9])
def test_a_killed_run_with_a_warm_up_ends_as_an_unbroken_one(killed_after: int, further: bool, shapes: ImageSet,
                                                             tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    problem = dataclasses.replace(joint(shapes) if further else Problem(images=shapes, class_names=NAMES),
                                  warm_up=shapes.subset(range(5, 38)), warm_up_names=NAMES[:4])
    settings = dataclasses.replace(QUICK, threshold_share=0.5, fairness_average="moving", warm_up_epochs=1.5,
                                   label_balance="auto", least_kept=0.01)
    unbroken = must.adapt(settings, problem, local_run(tmp_path / "unbroken"))

    made = 0
    follow = must.ema.Teacher.follow

    def count(*arguments: object) -> None:
        nonlocal made
        follow(*arguments)  # type: ignore[arg-type]
        made += 1
        if made == killed_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(must.ema.Teacher, "follow", count)
        must.adapt(settings, problem, local_run(tmp_path / "killed"))
    recorder = Recorder()
    resumed = must.adapt(settings, problem, local_run(tmp_path / "killed", recorder))
    begun = next(report.step for report in recorder.reports if report.stage == "adapting" and report.terms)
    assert begun >= killed_after
    assert same(resumed, unbroken)
    assert resumed.settings == unbroken.settings, "the share of answers kept is in them"
    assert torch.equal(resumed.predict(shapes).labels, unbroken.predict(shapes).labels)


def test_the_warm_up_keeps_its_own_classifier_frozen(shapes: ImageSet, tmp_path: Path,
                                                     stages: list[loop.Stage[Batch]]):
    larger = shapes.subset(range(12, 38))
    problem = Problem(images=shapes, class_names=NAMES, warm_up=larger, warm_up_names=NAMES[:4])
    recorder = Recorder()
    must.adapt(dataclasses.replace(QUICK, warm_up_epochs=2.0), problem, local_run(tmp_path, recorder))
    warming, adapting = stages
    assert (warming.name, warming.first, warming.steps) == ("warming up", 0, round(2 * 26 / 12))
    assert (adapting.name, adapting.first) == ("adapting", warming.steps)
    assert adapting.total == warming.steps + adapting.steps
    learning = [{name for group in stage.optimiser.param_groups for name in group["names"]} for stage in stages]
    assert learning[1] - learning[0] == {"classifier"}
    assert (warming.memory["student/classifier"].shape[1], adapting.memory["student/classifier"].shape[1]) == (4, 6)
    text = zeroshot.adapt(zeroshot.ZeroShotSettings(templates="one"), Problem(images=shapes, class_names=NAMES[:4]),
                          local_run(tmp_path / "text"))
    torch.testing.assert_close(warming.memory["student/classifier"], text.members[0].weight)
    for report in recorder.reports:
        assert report.stage != "warming up" or not (report.histogram or report.samples), "images nobody can see"


@pytest.mark.parametrize("count", [1, 4, 15])
def test_a_warm_up_s_names_may_be_fewer_or_more(count: int, shapes: ImageSet, tmp_path: Path,
                                                stages: list[loop.Stage[Batch]]):
    names = tuple(f"{name} {number}" for number in range(3) for name in NAMES)[:count]  # 15 are more than a batch has
    problem = Problem(images=shapes, class_names=NAMES, warm_up=shapes.subset(range(5, 38)), warm_up_names=names)
    settings = dataclasses.replace(QUICK, threshold_share=0.5, label_balance="even")
    adapted = must.adapt(settings, problem, local_run(tmp_path))
    assert [stage.memory["student/classifier"].shape[1] for stage in stages] == [count, 6]
    assert ["fairness" in stage.memory for stage in stages] == [count > 12, False], "Eq. 3 of its own number of classes"
    assert adapted.class_names == NAMES
    assert adapted.predict(shapes).probabilities.shape == (38, 6)
    own = must.adapt(settings, dataclasses.replace(problem, warm_up_names=()), local_run(tmp_path / "own"))
    assert not same(adapted, own), "what the larger collection shows is anchored by its own names"


def test_a_checkpoint_belongs_to_its_warm_up_collection_and_its_names(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES, warm_up=shapes.subset(range(5, 38)), warm_up_names=NAMES[:4])
    must.adapt(QUICK, problem, local_run(tmp_path))
    change = partial(dataclasses.replace, problem)
    for other in (change(warm_up=None), change(warm_up=shapes.subset(range(6, 38))), change(warm_up_names=()),
                  change(warm_up_names=NAMES[1:5])):
        with pytest.raises(CheckpointError, match="other settings, images"):
            must.adapt(QUICK, other, local_run(tmp_path))


def test_without_a_warm_up_collection_there_is_no_warm_up(shapes: ImageSet, tmp_path: Path,
                                                          stages: list[loop.Stage[Batch]]):
    must.adapt(QUICK, Problem(images=shapes, class_names=NAMES), local_run(tmp_path))
    assert [stage.name for stage in stages] == ["adapting"]


def joint(shapes: ImageSet) -> Problem:
    """Return a question of thirteen shapes, with the others in two further collections."""
    own, first, second = (shapes.subset(range(start, end)) for start, end in ((0, 13), (13, 30), (30, 38)))
    return Problem(images=own, class_names=NAMES, also=(first, second))


def test_it_adapts_to_the_images_of_all_collections_each_once_an_epoch(shapes: ImageSet, tmp_path: Path,
                                                                       stages: list[loop.Stage[Batch]]):
    recorder = Recorder()
    run = local_run(tmp_path, recorder)
    must.adapt(dataclasses.replace(QUICK, batch_size=19), joint(shapes), run)
    (adapting,) = stages
    assert adapting.steps == round(4 * 38 / 19)
    batches = adapting.batches(0)
    seen = torch.cat([next(batches).indices for _ in range(2)])
    assert seen.sort().values.tolist() == list(range(38))
    for report in recorder.reports:  # who looks at this run may not be allowed to see further collections
        assert sum(report.histogram) <= 13
        assert all(image < 13 for image, _, _ in report.samples)
    assert sum(recorder.reports[-1].histogram) == 13


def test_the_pictures_of_a_run_show_its_own_images_alone(shapes: ImageSet, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch):
    shown: list[torch.Tensor] = []
    monkeypatch.setattr(must_pictures.Sample, "draw", lambda sample, *_, **__: shown.append(sample.images))
    quick = dataclasses.replace(QUICK, epochs=1)
    for also in (joint(shapes).also, ()):
        must.adapt(quick, dataclasses.replace(joint(shapes), also=also), local_run(tmp_path / str(len(also))))
    assert torch.equal(*shown)


def test_what_teaches_is_asked_of_all_images_and_what_zero_shot_may_keep_of_the_run_s_own(
        shapes: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: dict[str, object] = {}

    def watch(name: str, note: Callable[..., object]) -> None:
        original = getattr(must_calibration, name)

        def noted(*arguments: object) -> object:
            asked[name] = note(*arguments)
            return original(*arguments)

        monkeypatch.setattr(must_calibration, name, noted)

    watch("calibrate", lambda _objective, _settings, zero_shot, *_: len(zero_shot.logits))
    watch("share_used", lambda _objective, adapted: len(adapted.logits))
    watch("share_kept", lambda _objective, first, adapted: (sorted(first.labels.tolist()), len(adapted.logits)))
    problem = joint(shapes)
    settings = dataclasses.replace(QUICK, least_kept=0.01, least_used=0.01, threshold_share=0.5)
    must.adapt(settings, problem, local_run(tmp_path / "joint"))
    zero_shot = zeroshot.adapt(ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "zero"))
    own = sorted(zero_shot.predict(problem.images).labels.tolist())
    assert asked == {"calibrate": 38, "share_used": 38, "share_kept": (own, 13)}
    must.adapt(settings, dataclasses.replace(problem, also=()), local_run(tmp_path / "alone"))
    assert asked == {"calibrate": 13, "share_used": 13, "share_kept": (own, 13)}


def test_a_run_without_further_collections_is_called_what_it_was_before_there_were_any(shapes: ImageSet):
    problem = Problem(images=shapes, class_names=NAMES)
    said = [dataclasses.asdict(QUICK), shapes.fingerprint, NAMES, 5, "", (), ""]
    assert must._identity(QUICK, problem, 5) == hashlib.sha256(json.dumps(said).encode()).hexdigest()
    assert must._identity(QUICK, joint(shapes), 5) != must._identity(
        QUICK, dataclasses.replace(joint(shapes), also=()), 5)


def test_the_newest_answers_are_of_the_run_s_own_images():
    answers = PseudoLabels(torch.tensor([2, 0, 1, 1]), torch.rand(4), torch.ones(4, dtype=torch.bool))
    batch = torch.tensor([1, 3, 0, 4]), answers, torch.tensor([False, True, True, False])
    found = newest_answers(torch.tensor([1, 2, -1, 0, 1]), batch, 3, own=3)
    assert found.histogram == (0, 1, 1)
    assert [one[:2] for one in found.samples] == [(0, 1), (1, 2)]
    assert [one[0] for one in newest_answers(torch.tensor([1, 2, -1, 0, 1]), batch, 3).samples] == [3, 0, 1, 4]


def batch_of(settings: MustSettings, problem: Problem, folder: Path, stages: list[loop.Stage[Batch]],
             first: int = 0) -> Iterator[Batch]:
    must.adapt(dataclasses.replace(settings, epochs=0.1), problem, local_run(folder))
    return stages[-1].batches(first)


def test_batches_are_functions_of_the_step(shapes: ImageSet, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    problem = Problem(images=shapes, class_names=NAMES)
    from_start = batch_of(QUICK, problem, tmp_path, stages)
    all_of_them = [next(from_start) for _ in range(8)]
    for first in (1, 3, 5):
        later = stages[-1].batches(first)
        for step in range(first, first + 2):
            for one, other in zip(next(later), all_of_them[step], strict=True):
                assert torch.equal(one, other)
    seen = torch.cat([batch.indices for batch in all_of_them[:3]])
    assert len(seen.unique()) == 36, "an epoch shows an image once"


def test_a_step_is_never_larger_than_the_collection(shapes: ImageSet, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    problem = Problem(images=shapes.subset(range(7)), class_names=NAMES)
    assert len(next(batch_of(dataclasses.replace(QUICK, batch_size=1024), problem, tmp_path, stages)).indices) == 7


@pytest.mark.parametrize(("average", "batch_size", "moving"), [
    ("auto", 12, False), ("auto", 5, True), ("moving", 12, True), ("batch", 5, False)])
def test_fairness_is_averaged_over_steps_where_classes_outnumber_the_batch(
        average: str, batch_size: int, moving: bool, shapes: ImageSet, tmp_path: Path,
        stages: list[loop.Stage[Batch]]):
    settings = dataclasses.replace(QUICK, fairness_average=average, batch_size=batch_size, epochs=0.1)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path))
    assert ("fairness" in stages[0].memory) is moving


def test_the_threshold_can_be_the_confidence_of_a_share_of_images(shapes: ImageSet, tmp_path: Path,
                                                                  stages: list[loop.Stage[Batch]]):
    recorder = Recorder()
    settings = dataclasses.replace(QUICK, threshold_share=0.25, batch_size=38, epochs=1.0)
    must.adapt(settings, Problem(images=shapes, class_names=NAMES), local_run(tmp_path, recorder))
    assert float(stages[0].memory["threshold"]) != pytest.approx(QUICK.threshold)
    confident = next(report.terms["confident"] for report in recorder.reports if report.terms)
    assert confident == pytest.approx(0.25, abs=1.5 / 38)


def test_the_teacher_s_memory_can_be_a_share_of_the_run():
    settings = dataclasses.replace(QUICK, average_horizon_share=0.1, average_start=0.9)
    assert must._averages(settings, 200) == pytest.approx((0.9, 0.95, 20))
    assert must._averages(settings, 50) == pytest.approx((0.8, 0.8, 5)), "never longer at first than at last"
    assert must._averages(settings, 5) == pytest.approx((0.0, 0.0, 1)), "the teacher is the student"
    paper = dataclasses.replace(QUICK, average_horizon_share=0.0)
    assert must._averages(paper, 200) == (0.5, 0.9, 5)


def test_answers_come_from_the_student_when_asked(shapes: ImageSet, tmp_path: Path, stages: list[loop.Stage[Batch]]):
    problem = Problem(images=shapes, class_names=NAMES)
    for who in ("teacher", "student"):
        answering = must.adapt(dataclasses.replace(QUICK, labels_from=who), problem, local_run(tmp_path / who))
        torch.testing.assert_close(answering.members[0].weight, stages[-1].memory[f"{who}/classifier"])
    assert not torch.equal(stages[-1].memory["teacher/classifier"], stages[-1].memory["student/classifier"])


def test_it_mends_what_the_names_get_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Patterns that the image tower tells apart, asked for in words other than those it was taught."""
    monkeypatch.setenv("LABELFREE_WEIGHTS", str(tiny_clip.write_tiny_clip(tmp_path, steps=150)))
    truth = torch.tensor(tiny_clip.write_shapes(tmp_path / "plain", 240, plain=True))
    images, _ = open_images(tmp_path / "plain", tmp_path)
    problem = Problem(images=images, class_names=NAMES)
    words = {"templates": "own", "own_templates": "{}"}
    settings = MustSettings(
        **words, epochs=20, batch_size=60, base_learning_rate=1e-3, threshold_share=0.5, mask_patch_px=8,
        average_start=0.9, average_horizon_share=0.1, precision="float32")
    before = zeroshot.adapt(zeroshot.ZeroShotSettings(**words), problem, local_run(tmp_path / "zero")).predict(images)
    after = must.adapt(settings, problem, local_run(tmp_path / "must")).predict(images)
    errors_before, errors_after = (int((found.labels != truth).sum()) for found in (before, after))
    assert 12 <= errors_before <= 60
    assert errors_after <= errors_before / 2
    assert after.histogram.min() > 0.8 * 40, "no class dies"


def test_where_names_drift_the_answers_stay_zero_shot_s(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    before = zeroshot.adapt(ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "before")).predict(shapes)
    free, recorder = dataclasses.replace(QUICK, least_kept=0.0), Recorder()
    after = must.adapt(free, problem, local_run(tmp_path / "free")).predict(shapes)
    kept = float((after.labels == before.labels).float().mean())
    assert 0 < kept < 1
    strict = dataclasses.replace(QUICK, least_kept=1.0)
    run = local_run(tmp_path / "strict", recorder)
    guarded = must.adapt(strict, problem, run)
    assert all(one.caption.endswith("which was not kept.") for one in run.pictures.drawn)
    assert torch.equal(guarded.predict(shapes).probabilities, before.probabilities)
    assert guarded.settings["answers_kept"] == pytest.approx(kept, abs=0.1)
    assert recorder.reports[-1].stage == "keeping zero-shot: names drifted"


def test_where_the_answers_crowd_into_few_classes_zero_shot_is_kept(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    before = zeroshot.adapt(ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "before")).predict(shapes)
    for least, stands in ((0.1, True), (1.0, False)):
        settings = dataclasses.replace(QUICK, least_used=least)
        found = must.adapt(settings, problem, local_run(tmp_path / str(least)))
        assert 0.1 < found.settings["classes_used"] < 1
        assert torch.equal(found.predict(shapes).probabilities, before.probabilities) is not stands


def test_the_zero_shot_that_is_kept_is_balanced_as_the_teaching_was(shapes: ImageSet, tmp_path: Path):
    problem = Problem(images=shapes, class_names=NAMES)
    before = zeroshot.adapt(ZeroShotSettings(templates="one"), problem, local_run(tmp_path / "before")).predict(shapes)
    settings = dataclasses.replace(QUICK, least_kept=1.0, label_balance="even")
    after = must.adapt(settings, problem, local_run(tmp_path / "after")).predict(shapes)
    even = torch.full((len(NAMES),), 1 / len(NAMES))
    assert (before.probabilities.mean(0) - even).abs().max() > 0.05
    torch.testing.assert_close(after.probabilities.mean(0), even, atol=0.02, rtol=0)


def test_what_is_filled_in_stands_where_it_was_hidden_and_nothing_else_changes(tmp_path: Path):
    backbone = load_text_backbone("starter-clip")
    student = MaskedClassifier(backbone.visual, torch.rand(backbone.width, 3), 1.0, torch.Generator().manual_seed(0))
    colour = torch.tensor([0.8, 0.4, 0.1])
    as_seen = normalise(colour.view(1, 3, 1, 1), backbone.mean, backbone.std).flatten()
    with torch.no_grad():  # a decoder that always says this colour
        student.decoder.weight.zero_()
        student.decoder.bias.copy_(as_seen.repeat_interleave(student.patch_px**2))
    images = torch.rand(2, 3, backbone.image_size_px, backbone.image_size_px)
    hidden = torch.zeros(2, student.rows**2, dtype=torch.bool)
    hidden[0, 0] = hidden[1, student.rows + 1] = True  # the first patch, and the second of the second row
    masked, found = must_pictures.recover(student, backbone, images, hidden)
    side = student.patch_px
    for image, corner in ((0, 0), (1, side)):
        patch = (image, slice(None), slice(corner, corner + side), slice(corner, corner + side))
        torch.testing.assert_close(found[patch], colour.view(3, 1, 1).expand(3, side, side))
        assert (masked[patch] == 0.5).all()
        found[patch] = masked[patch] = images[patch]
    torch.testing.assert_close(found, images)
    assert torch.equal(masked, images)


def test_without_masked_modelling_nothing_is_said_to_be_recovered(shapes: ImageSet, tmp_path: Path):
    run = local_run(tmp_path)
    must.adapt(dataclasses.replace(QUICK, epochs=1, masked_modelling=False), Problem(images=shapes, class_names=NAMES),
               run)
    (attention,) = run.pictures.drawn
    assert (attention.name, len(attention.rows)) == ("attention", must_pictures.SHOWN)
    assert all(set(row.split(" → ")) <= set(NAMES) for row in attention.rows)
