"""MUST: adapt a CLIP model to unlabelled images, starting from class names.

N images of a collection, B of a step, K classes, L patches.

Paper: Li, Savarese, Hoi, "Masked Unsupervised Self-Training for Label-free Image Classification",
2022, arXiv:2206.02967. Reference code: salesforce/MUST at 1e0f84e; equal to its recorded numbers,
see the tests. The terms of the loss are in `core.methods.must_objective`.

One model for several domains (section 5) is the same with more images: those of all collections are gathered and
mixed, each seen once an epoch. What a run shows and answers is its own collection's alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

import torch
from torch import Tensor

from core.backbones.clip import ClipBackbone
from core.backbones.masked import MaskedClassifier
from core.catalog import MustSettings
from core.classifier import Classifier, Member
from core.data.batches import batches, shuffled, training_batches
from core.data.views import StrongView, WeakView, normalise
from core.errors import ConfigError
from core.losses.pseudolabel import MovingAverage
from core.losses.reconstruction import hidden_patches
from core.methods import must_calibration as calibration
from core.methods.must_calibration import Answers, FirstAnswers
from core.methods.must_objective import Batch, Objective, Weights
from core.methods.must_pictures import Sample
from core.methods.must_stages import Plan, plans
from core.methods.newest_answers import newest_answers
from core.methods.part import Part
from core.methods.zeroshot import class_embeddings, load_text_backbone, template_sentences
from core.problem import Problem
from core.run import Progress, Run
from core.training import ema, loop, optim
from core.training.chunks import images_at_once, kept_bytes, within
from core.training.heartbeat import Heartbeat

BETAS, EPSILON = (0.9, 0.999), 1e-8
LAST_BASE_RATE = 1e-6
"""Of 256 images: where the cosine ends (the reference's ``min_lr``)."""


def adapt(settings: MustSettings, problem: Problem, run: Run) -> Classifier:
    """Adapt `settings.backbone` to the problem's images and return the adapted classifier.

    Raises:
        ConfigError, DataError, WeightsUnavailable: before any work.
        Diverged, Cancelled, CheckpointError: out of the loop.
    """
    problem.check_count()
    weights = _weights(settings)
    warming, adapting = plans(settings, problem)
    run = Heartbeat(run)
    run.report(Progress(stage="reading class names", step=0, total=adapting.total))
    backbone = load_text_backbone(settings.backbone, problem.start).to(run.device)
    read = partial(_zero_shot, settings, backbone, run)
    head = read(problem.class_names)
    student = MaskedClassifier(backbone.visual, head, backbone.logit_scale, run.generator("new weights"))
    _check_blocks(settings, student, backbone.image_size_px)
    student.to(run.device)
    sample = Sample(settings, problem, run, _member(backbone, head))
    identity = _identity(settings, problem, run.seed)

    if warming.steps:  # section 4.4: the frozen classifier anchors the embeddings in their space
        anchor = read(problem.warm_up_names) if problem.warm_up_names else head
        student.classifier = torch.nn.Parameter(anchor, requires_grad=False)
        _adapt(warming, settings, weights, student, backbone, run, identity)
        student.classifier = torch.nn.Parameter(head.clone())
    objective, first = _adapt(adapting, settings, weights, student, backbone, run, identity)

    said, stands = asdict(settings), True
    if first is not None and max(settings.least_kept, settings.least_used) > 0:
        ask = partial(_ask, objective=objective, image_size_px=backbone.image_size_px, run=run,
                      stage=calibration.COMPARING, step=adapting.total)
        adapted = ask(adapting)
        own = ask(adapting.alone) if adapting.joins else adapted
        said["answers_kept"] = kept = round(calibration.share_kept(objective, first, own), 3)
        said["classes_used"] = used = round(calibration.share_used(objective, adapted), 3)
        if used < settings.least_used:
            part = Part(run, first=adapting.total, steps=0, total=adapting.total)
            said["classes_expected"] = round(calibration.share_expected(
                load_text_backbone(settings.backbone, problem.start), head, problem.adapted_to, part), 3)
        least_used = settings.least_used * said.get("classes_expected", 1.0)
        stands = kept >= settings.least_kept and used >= least_used  # of what is said, so that both agree
    answering = objective.teacher if settings.labels_from == "teacher" else student
    backbone.visual = answering.visual.requires_grad_(False)
    member = _member(backbone.eval(), answering.classifier, objective.balance.bias if objective.balance else None)
    sample.draw(student, member, kept=stands)
    if first is not None and not stands:  # the names have moved: they are worth no more than a guess
        run.report(Progress(stage="keeping zero-shot: names drifted", step=adapting.total, total=adapting.total))
        # What balances a model that was warmed up fits no other.
        bias = None if warming.steps else first.bias
        said["balanced"] = bias is not None
        member = _member(load_text_backbone(settings.backbone, problem.start).to(run.device), head, bias)
    return Classifier(members=(member,), class_names=problem.class_names, method="must", settings=said)


def _member(backbone: ClipBackbone, classifier: Tensor, bias: Tensor | None = None) -> Member:
    """Return the backbone with a classifier (E, K), and the bias (K,) that balances its answers."""
    return Member(backbone=backbone, weight=classifier.detach().cpu(), normalise=True, scale=backbone.logit_scale,
                  bias=None if bias is None else bias.cpu())


def _zero_shot(settings: MustSettings, backbone: ClipBackbone, run: Heartbeat, names: tuple[str, ...]) -> Tensor:
    """Return the zero-shot classifier of `names`, (E, K)."""
    templates = template_sentences(settings.templates, settings.own_templates)
    return class_embeddings(backbone, names, templates, lambda _done: run.beat())


def _adapt(plan: Plan, settings: MustSettings, weights: Weights, student: MaskedClassifier, backbone: ClipBackbone,
           run: Heartbeat, identity: str) -> tuple[Objective, FirstAnswers | None]:
    """Run one stage; return its objective, teacher and all, and what it began with, where that was asked."""
    teacher = ema.Teacher(student)  # Δ starts as θ
    chunk_size = settings.images_at_once or images_at_once(kept_bytes(
        student.mask_token.shape[-1], student.num_blocks, student.rows**2 + 1, run.device), run.device)
    objective = Objective(
        student=student, teacher=teacher.model, weights=weights, threshold=torch.tensor(settings.threshold),
        moving=_moving_average(settings, plan.batch_size, student.classifier.shape[1], run.device),
        balance=calibration.balance(settings.label_balance, student.classifier.shape[1], run.device),
        latest=torch.full((len(plan.images),), -1), normalise=partial(normalise, mean=backbone.mean, std=backbone.std),
        device=run.device, precision=settings.precision,
        chunk_size=within(run.memory_share, chunk_size, plan.batch_size), between_chunks=run.beat)
    first = None
    if max(settings.threshold_share, settings.least_kept, settings.least_used) > 0 or objective.balance is not None:
        zero_shot = _ask(plan, objective, backbone.image_size_px, run, "finding the threshold", plan.first)
        first = calibration.calibrate(objective, settings, zero_shot, run.seed, run.beat)
        if plan.joins:  # what may be kept of zero-shot is asked of the run's own images
            own = _ask(plan.alone, objective, backbone.image_size_px, run, "finding the threshold", plan.first)
            first = first._replace(labels=calibration.labels(objective, own))
    peak = optim.scaled_rate(settings.base_learning_rate, plan.batch_size)
    floor = min(peak, optim.scaled_rate(LAST_BASE_RATE, plan.batch_size))
    optimiser = torch.optim.AdamW(optim.parameter_groups(
        student.named_parameters(), weight_decay=settings.weight_decay, layer_of=student.layer_of,
        last_layer=student.num_blocks + 1, layer_decay=settings.layer_decay), betas=BETAS, eps=EPSILON, fused=True)
    start, end, ramp_steps = _averages(settings, plan.steps)
    memory = _memory(student, teacher.model, objective)
    if first is not None and plan.first > 0:  # resumed, the warmed-up model is not there to be asked again
        memory["first labels"] = first.labels
    loop.train(loop.Stage(
        name=plan.name, first=plan.first, steps=plan.steps, total=plan.total, images_per_step=plan.batch_size,
        batches=lambda first: _batches(plan, settings, weights, student, backbone.image_size_px, run, first),
        learning_rate=lambda step: optim.cosine(step, plan.steps, peak, floor), objective=objective,
        optimiser=optimiser,
        after_step=lambda step: teacher.follow(student, ema.ramp(step, start, end, ramp_steps)),  # Eq. 1
        answers=lambda: _answers(plan, objective), memory=memory, identity=identity,
    ), run)
    return objective, first


def _batches(plan: Plan, settings: MustSettings, weights: Weights, student: MaskedClassifier, image_size_px: int,
             run: Run, first: int) -> Iterator[Batch]:
    """Yield the batches of the steps from `first` on: functions of the seed, the step and the images alone."""
    views = (WeakView(image_size_px), StrongView(image_size_px, settings.mirror, smallest=settings.smallest_crop))
    block = settings.mask_patch_px // student.patch_px
    for step, indices, (weak, strong) in training_batches(plan.images, views, plan.batch_size, run.seed, first):
        hidden = hidden_patches(len(indices), student.rows, block, settings.mask_ratio,
                                run.generator(f"hidden patches of {plan.name} step {step}"))
        yield Batch(indices, weak, strong, hidden if weights.hides_patches else None)


def _weights(settings: MustSettings) -> Weights:
    """Return which terms count.

    Raises:
        ConfigError: where nothing would be learnt, or patches are needed and none hidden.
    """
    weights = Weights(
        self_training=settings.self_training, masked_modelling=settings.masked_modelling,
        fairness=settings.fairness_weight, align=settings.align_weight, nearest=settings.nearest)
    if not (weights.self_training or weights.masked_modelling or weights.fairness or weights.align):
        raise ConfigError("self_training", "every term of the loss is off: nothing would be learnt; switch one on")
    if weights.hides_patches and settings.mask_ratio == 0:
        raise ConfigError("mask_ratio", "0 hides nothing, yet patches are to be recovered or aligned: raise it, or "
                          "set masked_modelling off and align_weight 0")
    return weights


def _check_blocks(settings: MustSettings, student: MaskedClassifier, image_size_px: int) -> None:
    """Refuse a side of hidden blocks that does not fit the patches."""
    side, patch_px = settings.mask_patch_px, student.patch_px
    fitting = [size for size in range(patch_px, image_size_px + 1, patch_px) if image_size_px % size == 0]
    if side not in fitting:
        raise ConfigError("mask_patch_px", f"{side} does not fit {settings.backbone}: its patches are {patch_px} px in "
                          f"images of {image_size_px} px; choose one of {', '.join(map(str, fitting))}")


def _moving_average(settings: MustSettings, batch_size: int, num_classes: int,
                    device: torch.device) -> MovingAverage | None:
    """Return the average of fairness over steps where K > B, the paper's condition (the reference: K >= 512)."""
    moving = settings.fairness_average == "moving" or (settings.fairness_average == "auto" and num_classes > batch_size)
    return MovingAverage(num_classes, device) if moving else None


def _averages(settings: MustSettings, steps: int) -> tuple[float, float, int]:
    """Return the teacher's μ at first, at last, and the steps between.

    The paper's 0.9998 is a memory of 5,000 steps: a run of 200 ends with its teacher hardly moved.
    With `average_horizon_share` the memory is that share of the run, reached after as many steps.
    """
    if settings.average_horizon_share == 0:
        return settings.average_start, settings.average_end, settings.average_ramp_steps
    horizon = max(1.0, settings.average_horizon_share * steps)
    end = ema.decay_over(horizon)
    return min(settings.average_start, end), end, round(horizon)


def _ask(plan: Plan, objective: Objective, image_size_px: int, run: Heartbeat, stage: str, step: int) -> Answers:
    """Return what the teacher says of weak views of a sample of the plan's images; `stage` and `step` for the page."""
    chosen = shuffled(len(plan.images), run.seed, 0)[:calibration.SAMPLE]
    found = []
    for _, (weak,) in batches(plan.images, (WeakView(image_size_px),), chosen, objective.chunk_size, run.seed):
        run.report(Progress(stage=stage, step=step, total=plan.total))
        found.append(objective.ask_teacher(weak))
    logits, embeddings = (torch.cat(column) for column in zip(*found, strict=True))
    return Answers(logits, embeddings)


def _answers(plan: Plan, objective: Objective) -> loop.Answers:
    """Return the class histogram of the newest labels, and images of the last batch, changed answers first.

    Not while warming up: those are images and perhaps classes that the page does not know. Nor of further
    collections, which who looks at this run may not be allowed to see.
    """
    if plan.own == 0 or objective.last_seen is None:
        return loop.Answers()
    return newest_answers(objective.latest, objective.last_seen, objective.student.classifier.shape[1], plan.own)


def _memory(student: MaskedClassifier, teacher: MaskedClassifier, objective: Objective) -> dict[str, Tensor]:
    """Return every tensor on which the next step depends."""
    memory = {f"student/{name}": tensor for name, tensor in student.state_dict().items()}
    memory |= {f"teacher/{name}": tensor for name, tensor in teacher.state_dict().items()}
    memory |= {"threshold": objective.threshold, "latest": objective.latest}
    if objective.moving is not None:
        memory["fairness"] = objective.moving.log_average
    if objective.balance is not None:
        memory |= {"balance": objective.balance.bias, "balance's tolerance": objective.balance.tolerance}
    return memory


def _identity(settings: MustSettings, problem: Problem, seed: int) -> str:
    """Return what a checkpoint must agree on to be this run's."""
    said = [asdict(settings), problem.images.fingerprint, problem.class_names, seed,
            problem.warm_up.fingerprint if problem.warm_up else "", problem.warm_up_names,
            problem.start.digest if problem.start else ""]
    if problem.warm_up:  # before, a checkpoint did not hold what the warmed-up model had answered
        said.append("first labels")
    if problem.also:  # a run without is called what it was before there were any, so that its checkpoint still fits
        said.append([one.fingerprint for one in problem.also])
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
