"""TURTLE from images to a classifier: what it tries, what it chooses, what it reports."""

from __future__ import annotations

import dataclasses
from itertools import count

import pytest
import torch

from core.backbones.load import load_backbone
from core.catalog import TurtleSettings
from core.errors import CheckpointError
from core.evaluation.metrics import hungarian_accuracy
from core.evaluation.second_opinion import read_judge
from core.losses.agreement import labeling
from core.methods import trials, turtle
from core.methods.identity import identity
from core.methods.spaces import Space
from core.methods.trials import Outcome, Trial, Trials, steps_of
from core.problem import Problem
from core.run import Progress
from core.shell import LocalRun
from tests.core.recorder import Recorder

QUICK = TurtleSettings(steps=20, inner_steps=3, outer_learning_rate=0.02, inner_learning_rate=0.02)


def local_run(folder, recorder=None, seed=5) -> LocalRun:
    return LocalRun(device=torch.device("cpu"), seed=seed, folder=folder, listener=recorder)


@pytest.fixture
def grouped(tiny_starters, monkeypatch, digit_images):
    """Let the 60 images have features in three clear groups, as no random backbone would give; return the groups."""
    truth = torch.arange(60) % 3

    def groups(width: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(width)
        corners = torch.randn(3, width, generator=generator)
        return corners[truth] + torch.randn(60, width, generator=generator)

    backbones = [load_backbone("starter-clip"), load_backbone("starter-mae")]
    spaces = {one.name: Space(backbone=one, features=groups(one.width)) for one in backbones}
    monkeypatch.setattr(turtle, "read_spaces", lambda names, *rest: [spaces[name] for name in names])
    return truth.tolist()


def trained(monkeypatch) -> list[torch.Tensor]:
    """Return a list that will hold the labeling that `adapt` found."""
    kept: list[torch.Tensor] = []
    result = Trials.result

    def remember(self, outcome):
        found = result(self, outcome)
        kept.append(found.probabilities())
        return found

    monkeypatch.setattr(Trials, "result", remember)
    return kept


def test_two_spaces_answer_by_the_mean_of_their_softmaxes(grouped, digit_images, tmp_path, monkeypatch):
    found = trained(monkeypatch)
    settings = dataclasses.replace(QUICK, spaces="starter-clip,starter-mae")
    classifier = turtle.adapt(settings, Problem(images=digit_images, num_classes=3), local_run(tmp_path))
    assert [member.normalise for member in classifier.members] == [False, False]
    assert classifier.combination == "mean_of_softmax"
    embeddings = [torch.randn(5, member.backbone.width) for member in classifier.members]
    logits = [member.head(one).T for member, one in zip(classifier.members, embeddings)]
    assert labeling(logits).shape == (3, 5)
    assert hungarian_accuracy(found[0].argmax(dim=1).tolist(), grouped) == 1.0


def test_the_classifier_gives_the_labeling_that_was_found(tiny_starters, digit_images, tmp_path, monkeypatch):
    found = trained(monkeypatch)
    settings = dataclasses.replace(QUICK, spaces="starter-clip,starter-mae")
    classifier = turtle.adapt(settings, Problem(images=digit_images, num_classes=3), local_run(tmp_path))
    torch.testing.assert_close(classifier.predict(digit_images).probabilities, found[0], atol=1e-4, rtol=1e-3)


def test_names_are_given_to_the_clusters_without_changing_them(grouped, digit_images, tmp_path, monkeypatch):
    found = trained(monkeypatch)
    plain = turtle.adapt(QUICK, Problem(images=digit_images, num_classes=3), local_run(tmp_path / "plain"))
    named = turtle.adapt(QUICK, Problem(images=digit_images, class_names=("one", "two", "six")),
                         local_run(tmp_path / "named"))
    assert plain.class_names == ("cluster 1", "cluster 2", "cluster 3")
    assert named.class_names == ("one", "two", "six")
    columns = [sorted(member.bias.tolist()) for one in (plain, named) for member in one.members]
    assert columns[0] == columns[1]
    assert len(found) == 2


def test_fewer_clusters_than_asked_are_reported(grouped, digit_images, tmp_path):
    settings = dataclasses.replace(QUICK, steps=60, entropy_weight=0.0)  # nothing keeps classes alive
    classifier = turtle.adapt(settings, Problem(images=digit_images, num_classes=12), local_run(tmp_path))
    assert 0 < classifier.settings["clusters_found"] < 12
    assert len(classifier.class_names) == 12
    empty = [number for number, words in enumerate(classifier.settings["suggested_names"]) if not words]
    assert len(empty) == 12 - classifier.settings["clusters_found"]


def test_an_unknown_number_of_classes_is_swept_and_every_score_kept(grouped, digit_images, tmp_path):
    recorder = Recorder()
    settings = dataclasses.replace(QUICK, classes_to=8)
    run = local_run(tmp_path, recorder)
    classifier = turtle.adapt(settings, Problem(images=digit_images), run)
    assert len(classifier.class_names) == 3
    assert [one.title for one in run.pictures.drawn] == ["Why 3 classes", "The surest images of each group"]
    assert list(run.pictures.travelling) == ["score-over-k.png"]
    tried = classifier.settings["class_counts"]
    assert [one["num_classes"] for one in tried] == [2, 3, 4, 5, 6, 7, 8]
    assert max(tried, key=lambda one: one["height"])["num_classes"] == 3
    steps = [progress.step for progress in recorder.reports]
    assert steps == sorted(steps)
    assert steps[-1] == recorder.reports[0].total
    assert "trying 4 classes" in recorder.stages


def test_of_several_starts_the_one_with_the_best_score_is_kept(grouped, digit_images, tmp_path, monkeypatch):
    found = trained(monkeypatch)
    hasty = dataclasses.replace(QUICK, steps=2)  # so that chance decides
    problem = Problem(images=digit_images, num_classes=3)
    one = turtle.adapt(hasty, problem, local_run(tmp_path / "one", seed=2))
    several = turtle.adapt(dataclasses.replace(hasty, starts=4), problem, local_run(tmp_path / "several", seed=2))
    tried = several.settings["trials"]
    assert [trial["start"] for trial in tried] == [0, 1, 2, 3]
    assert len({trial["score"] for trial in tried}) > 1
    best = max(tried, key=lambda trial: (trial["classes_found"], trial["score"]))
    assert several.settings["clusters_found"] == best["classes_found"]
    assert best["start"] > 0  # with this seed; else the next line would say nothing
    assert not torch.equal(found[0], found[1])
    again = turtle.adapt(dataclasses.replace(hasty, starts=2), problem, local_run(tmp_path / "again", seed=2))
    assert again.settings["trials"][0] == tried[0]
    assert one.settings["trials"][0] == {**tried[0], "score": None, "judge": ""}


def test_what_no_judge_has_scored_is_tried_anew(grouped, digit_images, tmp_path):
    several, problem = dataclasses.replace(QUICK, steps=2, starts=3), Problem(images=digit_images, num_classes=3)
    unbroken = turtle.adapt(several, problem, local_run(tmp_path)).settings["trials"]
    checkpoints = local_run(tmp_path).checkpoints
    state = checkpoints.load()
    for outcome in state["outcomes"]:  # as an earlier release kept them, by their own score
        del outcome["judge"]
        outcome["score"] = 0.99
    checkpoints.save(state, 1)
    assert turtle.adapt(several, problem, local_run(tmp_path)).settings["trials"] == unbroken


@pytest.mark.parametrize(("settings", "judge"), [
    ({"spaces": "starter-clip"}, "starter-mae"), ({"spaces": "starter-mae"}, "starter-clip"),
    ({"spaces": "starter-clip,starter-mae"}, ""), ({"search": True, "search_limit": 2}, "")])
def test_starts_are_told_apart_by_an_encoder_that_took_no_part(
        settings, judge, grouped, digit_images, tmp_path, monkeypatch):
    found, recorder = trained(monkeypatch), Recorder()
    several = dataclasses.replace(QUICK, steps=2, starts=3, **settings)
    run = local_run(tmp_path, recorder, seed=2)
    classifier = turtle.adapt(several, Problem(images=digit_images, num_classes=3), run)
    tried = classifier.settings["trials"]
    assert {trial["judge"] for trial in tried} == {judge}
    if judge:
        best = max(tried, key=lambda trial: (trial["classes_found"], trial["score"]))
        expected = read_judge(judge, digit_images, local_run(tmp_path)).score(found[0].argmax(dim=1).numpy())
        assert best["score"] == expected
    steps = [progress.step for progress in recorder.reports]
    assert steps == sorted(steps) and steps[-1] == recorder.reports[0].total


def test_the_search_tries_no_more_settings_than_allowed_and_keeps_the_best(grouped, digit_images, tmp_path):
    settings = dataclasses.replace(QUICK, search=True, search_limit=4)
    classifier = turtle.adapt(settings, Problem(images=digit_images, num_classes=3), local_run(tmp_path))
    trials = classifier.settings["trials"]
    assert len(trials) == 4
    given = trials[0]
    assert (given["outer_learning_rate"], given["inner_learning_rate"], given["warm_start"]) == (0.02, 0.02, False)
    kinds = {(one["outer_learning_rate"], one["inner_learning_rate"], one["warm_start"]) for one in trials}
    assert len(kinds) == 4
    assert max(one["score"] for one in trials) == 1.0


def test_a_search_that_lost_classes_does_not_win_by_its_higher_score(monkeypatch):
    outcomes = iter([(4, 0.90), (2, 0.99), (4, 0.93)])
    trial = Trial(num_classes=4, steps=1, outer_learning_rate=1, inner_learning_rate=1, warm_start=False)

    class Told:
        def run_trial(self, trial, stage, scored, judge):
            found, score = next(outcomes)
            return Outcome(trial=trial, classes_found=found, largest_share=0.5, score=score)

    assert turtle._search(Told(), [trial] * 3, None).score == 0.93


@pytest.mark.parametrize(("stage", "after"), [("finding classes, try 2", 9), ("trying 5 classes: scoring", 4),
                                              ("naming", 0)])
def test_stopped_anywhere_it_goes_on_to_the_same_answer(stage, after, grouped, digit_images, tmp_path, monkeypatch):
    settings = dataclasses.replace(QUICK, classes_to=6, search=True, search_limit=2, sample_size=40)
    found = trained(monkeypatch)
    problem = Problem(images=digit_images)
    unbroken = turtle.adapt(settings, problem, local_run(tmp_path / "unbroken"))
    reports = count()

    def stop(progress: Progress) -> None:
        if progress.stage.startswith(stage) and next(reports) >= after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        turtle.adapt(settings, problem, local_run(tmp_path / "stopped", Recorder(stop)))
    recorder = Recorder()
    resumed = turtle.adapt(settings, problem, local_run(tmp_path / "stopped", recorder))
    assert recorder.reports[0].stage.startswith(stage.partition(":")[0])
    assert resumed.settings == unbroken.settings
    assert torch.equal(found[0], found[-1])
    for one, other in zip(resumed.members, unbroken.members):
        assert torch.equal(one.weight, other.weight) and torch.equal(one.bias, other.bias)


def test_a_long_search_saves_every_few_minutes_however_many_steps_it_has(grouped, digit_images, tmp_path, monkeypatch):
    settings, saves = dataclasses.replace(QUICK, steps=60), []
    monkeypatch.setattr(Trials, "_save", lambda self, search: saves.append(search))
    problem = Problem(images=digit_images, num_classes=3)
    turtle.adapt(settings, problem, local_run(tmp_path / "quick"))
    in_a_quick_one = len(saves)
    monkeypatch.setattr(trials, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    turtle.adapt(settings, problem, local_run(tmp_path / "slow"))
    assert len(saves) - in_a_quick_one >= 60 > in_a_quick_one


def test_it_refuses_the_checkpoint_of_another_run(grouped, digit_images, tmp_path):
    turtle.adapt(QUICK, Problem(images=digit_images, num_classes=3), local_run(tmp_path))
    with pytest.raises(CheckpointError, match="belongs to a run with other settings"):
        turtle.adapt(QUICK, Problem(images=digit_images, num_classes=4), local_run(tmp_path))


def test_a_scored_trial_counts_its_folds_as_steps():
    trial = Trial(num_classes=4, steps=7, outer_learning_rate=1, inner_learning_rate=1, warm_start=False)
    assert steps_of(trial, scored=False, num_spaces=2) == 7
    assert steps_of(trial, scored=True, num_spaces=2) == 7 + 2 * steps_of(
        dataclasses.replace(trial, steps=0), scored=True, num_spaces=1)


def test_a_checkpoint_from_before_there_were_several_starts_is_gone_on_with(digit_images, monkeypatch):
    problem = Problem(images=digit_images, num_classes=3)
    now = {starts: identity(dataclasses.replace(QUICK, starts=starts), problem, 5) for starts in (1, 2)}
    before = dataclasses.asdict(QUICK)
    del before["starts"]
    monkeypatch.setattr("core.methods.identity.dataclasses.asdict", lambda settings: dict(before))
    monkeypatch.setattr("core.methods.identity.TurtleSettings", ())
    assert now[1] == identity(QUICK, problem, 5) != now[2]
    trial = Trial(num_classes=3, steps=1, outer_learning_rate=1, inner_learning_rate=1, warm_start=False)
    record = Outcome(trial=trial, classes_found=3, largest_share=0.5, score=None).record()
    del record["start"], record["judge"]
    assert Outcome.from_record(record).trial.start == 0
