"""TURTLE: the labeling of the images on which linear classifiers in every feature space agree best.

Gadetsky, Jiang, Brbić, "Let Go of Your Labels with Unsupervised Transfer", ICML 2024
(arXiv:2406.07236). The objective is in `core.losses.agreement`, the two loops in
`core.training.bilevel`; here is what is tried, what is chosen and what comes out.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.catalog import TurtleSettings
from core.classifier import Classifier, Member, cluster_names
from core.evaluation.second_opinion import Judge, asked_about, judge_name, read_judge
from core.evaluation.typical import draw_typical
from core.methods import class_count
from core.methods.labelled import asked_labels
from core.methods.naming import name_clusters, suggest_names
from core.methods.spaces import names_to_read, read_spaces
from core.methods.trials import Outcome, Trial, Trials, steps_of
from core.methods.turtle_pictures import draw_sweep
from core.problem import Problem
from core.run import Progress, Run
from core.settings import split_list
from core.threads import few_threads

SWEEP_STEPS = 300
"""Outer steps of a trial that only asks how many classes there are: their scores differ by then as they do later."""
SWEEP_TRIALS = class_count.COARSE_TRIALS + class_count.FINE_TRIALS
VARIATIONS = ((1, 1, False), (1, 1, True), (1, 10, True), (10, 1, True), (1, 10, False), (10, 10, True),
              (10, 1, False), (10, 10, False), (0.1, 1, True), (1, 0.1, True), (0.1, 1, False), (1, 0.1, False))
"""What the search varies, in the order tried: factors of the outer and the inner learning rate, and
whether cold and warm start change places. The first is the settings as given."""


def adapt(settings: TurtleSettings, problem: Problem, run: Run) -> Classifier:
    """Find a labeling and return the classifier that gives it; K is swept where it is not known.

    Raises:
        ConfigError, DataError: where groups are to be named by labels, and there are none or no names; for more
            classes than images.
    """
    problem.check_count()
    labels = asked_labels(settings, problem)
    plan = _plan(settings, problem)
    every = read_spaces(plan.read, problem, run, plan.total, settings.batch_size)
    spaces = every[: len(plan.spaces)]
    judge = read_judge(plan.judge, problem.images, run, plan.spaces_end, plan.total) if plan.judge else None

    with few_threads(len(problem.images) * sum(space.features.shape[1] for space in spaces)):
        trials = Trials(spaces, settings, problem, run, plan.reading_end, plan.total)
        count = problem.count
        extra: dict[str, object] = {}
        if count is None:
            count, extra["class_counts"] = _sweep(trials, plan.sweep, settings, len(problem.images))
        trials.step = plan.sweep_end
        best = _search(trials, [dataclasses.replace(trial, num_classes=count) for trial in plan.search], judge)

    found = trials.result(best)
    labeling = found.probabilities()
    extra |= {"clusters_found": best.classes_found, "trials": trials.records()}
    order = list(range(count))
    if problem.class_names:
        order = name_clusters(labeling, every, problem.class_names, labels)
    else:
        extra["suggested_names"] = suggest_names(labeling.argmax(dim=1), count, every)
    members = tuple(
        Member(backbone=space.backbone, weight=weight.detach()[order].T.cpu(), bias=bias.detach()[order].cpu())
        for space, (weight, bias) in zip(spaces, found.task.linears(), strict=True))
    names = problem.class_names or cluster_names(count)
    draw_typical(run.pictures, problem.images, 1 - labeling[:, order], names, title="The surest images of each group",
                 measure="that it is surest of",
                 beat=functools.partial(run.report, Progress(stage="naming", step=plan.total, total=plan.total)))
    return Classifier(members=members, method="turtle", class_names=names,
                      settings={**dataclasses.asdict(settings), **extra})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does, and at which of its steps each part ends.

    Attributes:
        spaces: the backbones to work in.
        read: those, and one that reads class names if none of them does.
        judge: the encoder that tells starts apart; None where there are none, or every one took part.
        sweep: the trial that the sweep over K repeats.
        search: the trials of the search; K is put in when it is known.
        num_images: N.
        counted: whether K is known.
    """

    spaces: tuple[str, ...]
    read: tuple[str, ...]
    judge: str | None
    sweep: Trial
    search: Sequence[Trial]
    num_images: int
    counted: bool

    @property
    def spaces_end(self) -> int:
        """Return the step at which every space is read."""
        return len(self.read) * self.num_images

    @property
    def reading_end(self) -> int:
        """Return the step at which the judge is read too."""
        return self.spaces_end + (asked_about(self.num_images) if self.judge else 0)

    @property
    def sweep_end(self) -> int:
        """Return the step at which K is known."""
        swept = 0 if self.counted else SWEEP_TRIALS * steps_of(self.sweep, True, len(self.spaces))
        return self.reading_end + swept

    @property
    def total(self) -> int:
        """Return the steps of all, one for naming."""
        scored_on = 1 if self.judge else len(self.spaces)
        return self.sweep_end + sum(steps_of(trial, len(self.search) > 1, scored_on) for trial in self.search) + 1


def _plan(settings: TurtleSettings, problem: Problem) -> Plan:
    """Return what to do: the search varies the settings or, where those are given, the start.

    The paper takes one start; of 24 runs of ours (eight targets, three seeds) one, on satellite pictures, found a
    labeling 7 points worse than the other seeds did (docs/decisions.md, 2026-11-29).
    """
    spaces = split_list(settings.spaces)
    given = Trial(num_classes=problem.count or 0, steps=settings.steps, warm_start=settings.warm_start,
                  outer_learning_rate=settings.outer_learning_rate, inner_learning_rate=settings.inner_learning_rate)
    started = [dataclasses.replace(given, start=start) for start in range(settings.starts)]
    varied = [
        dataclasses.replace(
            given, outer_learning_rate=given.outer_learning_rate * outer,
            inner_learning_rate=given.inner_learning_rate * inner, warm_start=given.warm_start != swapped)
        for outer, inner, swapped in VARIATIONS[: settings.search_limit]]
    return Plan(
        spaces=spaces, read=names_to_read(spaces), search=varied if settings.search else started,
        judge=judge_name(spaces) if len(started) > 1 and not settings.search else None,
        sweep=dataclasses.replace(given, steps=min(SWEEP_STEPS, settings.steps)), num_images=len(problem.images),
        counted=problem.count is not None)


def _sweep(trials: Trials, sweep: Trial, settings: TurtleSettings,
           num_images: int) -> tuple[int, list[dict[str, Any]]]:
    """Try several K, coarsely and then around the best; return the one that stands out, and every K's scores."""
    outcomes: list[Outcome] = []

    def attempt(counts: Sequence[int]) -> None:
        for count in counts:
            trial = dataclasses.replace(sweep, num_classes=count)
            outcomes.append(trials.run_trial(trial, f"trying {count} classes", scored=True))

    attempt(class_count.coarse_counts(settings.classes_from, settings.classes_to, num_images))
    attempt(class_count.fine_counts([outcome.trial.num_classes for outcome in outcomes],
                                    class_count.choose_count(outcomes)))
    chosen = class_count.choose_count(outcomes)
    draw_sweep(trials.run.pictures, outcomes, chosen)
    tried = [{"num_classes": outcome.trial.num_classes, "classes_found": outcome.classes_found,
              "score": outcome.score, "height": height}
             for outcome, height in zip(outcomes, class_count.heights(outcomes), strict=True)]
    return chosen, sorted(tried, key=lambda one: one["num_classes"])


def _search(trials: Trials, search: Sequence[Trial], judge: Judge | None) -> Outcome:
    """Run the trials and return the best outcome: the highest score of those that found the most classes.

    Settings are compared by the score in their own spaces, as in the paper; starts, of which it takes one, by a judge
    that took no part, where there is one: a start may follow what its own encoder alone sees. Scores are compared at
    equal numbers of classes only: a search that has lost classes is left with fewer boundaries to get wrong, and would
    win by losing more.
    """
    if len(search) == 1:
        return trials.run_trial(search[0], "finding classes", scored=False)
    outcomes = [trials.run_trial(trial, f"finding classes, try {number} of {len(search)}", scored=True, judge=judge)
                for number, trial in enumerate(search, start=1)]
    return max(outcomes, key=lambda outcome: (outcome.classes_found, outcome.score or 0.0))
