"""Unsupervised finetuning: go on telling images apart on one's own, with mixed images and a few of the source.

N images of a collection, R replayed ones, B of a step, D features, K clusters.

Paper: Li, Chen, Chen, Yuan, Zhang, Chu, Liu, Yu, "Unsupervised Finetuning", 2021, arXiv:2110.09510, on MoCo-v2 (Chen
et al., 2020, arXiv:2003.04297). The paper ends with an encoder; as with MAE-CT, the answer is its clusters. The loss
is in `core.methods.finetune_objective`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from core.backbones.clip import ClipBackbone
from core.backbones.instance_encoder import EMBEDDING_WIDTH, InstanceEncoder
from core.backbones.load import load_backbone
from core.catalog import FinetuneSettings, replays
from core.classifier import Classifier
from core.data.batches import training_batches
from core.data.images import ImageSet
from core.data.mixing import draw_mix
from core.data.views import MocoView, normalise
from core.errors import DataError
from core.losses.neighbours import NeighbourQueue
from core.methods.clusters import cluster_classifier, reading_steps
from core.methods.finetune_objective import Batch, Objective
from core.methods.identity import identity
from core.methods.labelled import asked_labels
from core.problem import Problem
from core.run import Progress, Run
from core.training import ema, loop, optim
from core.training.chunks import measured_at_once, within
from core.training.heartbeat import Heartbeat

SGD_MOMENTUM = 0.9
WITH_REPLAY, WITHOUT_REPLAY = "adapting with replay", "adapting without replay"


def adapt(settings: FinetuneSettings, problem: Problem, run: Run) -> Classifier:
    """Adapt the backbone to the problem's images, group its features, and return the classifier of the groups.

    Raises:
        ConfigError, DataError, WeightsUnavailable: before any work.
        Diverged, Cancelled, CheckpointError: out of the loop.
    """
    if problem.count is None:
        raise DataError("classes", "Unsupervised finetuning needs to know how many; give a number or names, or choose "
                        "TURTLE")
    problem.check_count()
    labels = asked_labels(settings, problem)
    replayed = _replayed(settings, problem, run)
    backbone = load_backbone(settings.backbone, problem.start)
    images = problem.images.joined(replayed) if replayed else problem.images
    batch_size = min(settings.batch_size, len(images))
    steps = max(1, round(settings.epochs * len(images) / batch_size))
    reading = reading_steps(len(problem.images), batch_size)
    run = Heartbeat(run)
    name = WITH_REPLAY if replayed else WITHOUT_REPLAY
    run.report(Progress(stage=name, step=0, total=steps + reading + 1))

    if isinstance(backbone, ClipBackbone):
        backbone.text = None  # only the image tower learns
    encoder = InstanceEncoder(backbone.requires_grad_(True))
    encoder.draw(run.generator("new weights"))
    encoder.to(run.device)
    follower = ema.Teacher(encoder)
    queue = NeighbourQueue(min(settings.queue_size, len(images)), EMBEDDING_WIDTH, run.generator("queue"), run.device)
    objective = _objective(settings, encoder, follower.model, queue, run)
    peak = optim.scaled_rate(settings.base_learning_rate, batch_size)
    momentum = _momentum(settings, steps)

    def after_step(_step: int) -> None:
        objective.remember()
        follower.follow(encoder, momentum)

    loop.train(loop.Stage(
        name=name, steps=steps, total=steps + reading + 1, images_per_step=batch_size,
        batches=lambda first: _batches(settings, images, backbone.image_size_px, batch_size, run, first),
        learning_rate=lambda step: optim.cosine(step, steps, peak, 0.0), objective=objective,
        optimiser=_optimiser(settings, encoder), after_step=after_step, memory=_memory(encoder, follower.model, queue),
        identity=identity(settings, problem, run.seed)), run)
    return cluster_classifier(backbone.requires_grad_(False), problem, problem.count, run, method="finetune",
                              settings={**dataclasses.asdict(settings), "replayed": len(replayed or ())},
                              starts=settings.starts, first=steps, reading=reading, labels=labels)


def _replayed(settings: FinetuneSettings, problem: Problem, run: Run) -> ImageSet | None:
    """Return the sparse sample of the source (section 4): drawn once, uniformly; None where nothing is replayed.

    Raises:
        ConfigError: where the settings and what is given contradict each other.
    """
    if not replays(settings, given=problem.replay is not None) or problem.replay is None:
        return None
    source = problem.replay
    count = max(1, round(settings.replay_share * len(source)))
    if settings.replay_limit:
        count = min(count, settings.replay_limit)
    return source.subset(sorted(torch.randperm(len(source), generator=run.generator("replay"))[:count].tolist()))


def _objective(settings: FinetuneSettings, encoder: InstanceEncoder, follower: InstanceEncoder, queue: NeighbourQueue,
               run: Heartbeat) -> Objective:
    """Return the loss of a batch."""
    backbone = encoder.backbone
    at_once = settings.images_at_once or measured_at_once(
        encoder, backbone.image_size_px, run.device, settings.precision)
    return Objective(
        encoder=encoder, key_encoder=follower, queue=queue, temperature=settings.temperature,
        unmixed=not settings.mixed_only, normalise=partial(normalise, mean=backbone.mean, std=backbone.std),
        device=run.device, precision=settings.precision,
        chunk_size=within(run.memory_share, at_once, settings.batch_size), between_chunks=run.beat)


def _batches(settings: FinetuneSettings, images: ImageSet, image_size_px: int, batch_size: int, run: Run,
             first: int) -> Iterator[Batch]:
    """Yield the batches of the steps from `first` on: functions of the seed, the step and the images alone."""
    view = MocoView(image_size_px, settings.mirror)
    for step, indices, (queries, keys) in training_batches(images, (view, view), batch_size, run.seed, first):
        mix = None
        if settings.mixing != "none":
            mix = draw_mix(settings.mixing, len(indices), image_size_px, settings.mixing_alpha,
                           run.generator(f"mixing step {step}"))
        yield Batch(indices, queries, keys, mix)


def _optimiser(settings: FinetuneSettings, encoder: InstanceEncoder) -> torch.optim.Optimizer:
    """Return SGD as MoCo-v2 has it, or AdamW, without which a transformer hardly learns.

    MoCo-v2 lets every parameter decay; here, as everywhere, biases and norms do not.
    """
    groups = optim.parameter_groups(encoder.backbone.named_parameters(), weight_decay=settings.weight_decay)
    for group in optim.parameter_groups(encoder.head.named_parameters(), weight_decay=settings.weight_decay):
        groups.append({**group, "scale": settings.head_learning_rate / settings.base_learning_rate})
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, momentum=SGD_MOMENTUM)
    return torch.optim.AdamW(groups)


def _momentum(settings: FinetuneSettings, steps: int) -> float:
    """Return m: the paper's, or one whose memory is a share of a short run."""
    share = settings.average_horizon_share
    return settings.momentum if share == 0 else ema.decay_over(share * steps)


def _memory(encoder: InstanceEncoder, follower: InstanceEncoder, queue: NeighbourQueue) -> dict[str, Tensor]:
    """Return every tensor on which the next step depends."""
    memory = {f"encoder/{name}": tensor for name, tensor in encoder.state_dict().items()}
    memory |= {f"key encoder/{name}": tensor for name, tensor in follower.state_dict().items()}
    return memory | {f"queue/{name}": tensor for name, tensor in queue.state().items()}
