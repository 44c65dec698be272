"""MAE-CT: tune a masked autoencoder by contrast until its features form clusters of things; take the clusters.

N images of a collection, B of a step, D features, K clusters.

Paper: Lehner, Alkin, Fürst, Rumetshofer, Miklautz, Hochreiter, "Contrastive Tuning: A Little Help to Make
Masked Autoencoders Forget", 2023, arXiv:2304.10520. Reference code: ml-jku/MAE-CT at 6c82cb6; equal to its
recorded numbers, see the tests. The loss is in `core.methods.maect_objective`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.backbones import autoencoder
from core.backbones.autoencoder import MaskedAutoencoder
from core.backbones.contrastive_head import EMBEDDING_WIDTH, ContrastiveHead
from core.backbones.load import load_backbone
from core.backbones.start import Start
from core.backbones.vit import TimmBackbone
from core.catalog import MaectSettings
from core.classifier import Classifier
from core.data.batches import training_batches
from core.data.views import normalise
from core.errors import ConfigError, DataError
from core.losses.neighbours import NeighbourQueue
from core.methods.clusters import cluster_classifier, reading_steps
from core.methods.identity import identity
from core.methods.labelled import asked_labels, person_labels
from core.methods.maect_objective import Batch, Objective
from core.methods.maect_stages import PREPARING, PRETRAINING, TUNING, Plan, plans
from core.problem import Problem
from core.run import Run
from core.training import ema, loop, optim
from core.training.chunks import images_at_once, kept_bytes, within
from core.training.heartbeat import Heartbeat

BETAS = (0.9, 0.95)
WARM_UP_SHARE = 0.2
"""Of each stage's steps: the tables' for tuning, the appendix's for the head (A.2). For further pretraining it is ours:
MAE's own is a twentieth, of 800 epochs."""
VIEWS = 2


class Network(nn.Module):
    """All that learns in any stage: the autoencoder and the head."""

    def __init__(self, model: MaskedAutoencoder, head: ContrastiveHead) -> None:
        super().__init__()
        self.model, self.head = model, head


def adapt(settings: MaectSettings, problem: Problem, run: Run) -> Classifier:
    """Tune the encoder to the problem's images, group its features, and return the classifier of the groups.

    Raises:
        ConfigError, DataError, WeightsUnavailable: before any work.
        Diverged, Cancelled, CheckpointError: out of the loop.
    """
    if problem.count is None:
        raise DataError("classes", "MAE-CT needs to know how many; give a number or names, or choose TURTLE")
    problem.check_count()
    labels = asked_labels(settings, problem)
    backbone = _backbone(settings, problem.start)
    batch_size = min(settings.batch_size, len(problem.images))
    stages = [plan for plan in plans(settings, backbone.image_size_px) if plan.epochs > 0]
    steps = [max(1, round(plan.epochs * len(problem.images) / batch_size)) for plan in stages]
    reading = reading_steps(len(problem.images), batch_size)
    total = sum(steps) + reading + 1
    run = Heartbeat(run)

    tuning = _Tuning(settings, problem, run, backbone, batch_size, total)
    first = 0
    for plan, count in zip(stages, steps, strict=True):
        tuning.train(plan, first, count)
        first += count
    backbone.visual = tuning.tuned_encoder().requires_grad_(False).eval()
    return cluster_classifier(backbone, problem, problem.count, run, method="maect",
                              settings=dataclasses.asdict(settings), starts=settings.starts, first=first,
                              reading=reading, labels=labels)


class _Tuning:
    """The network on its way through the stages.

    Attributes:
        network: all that learns.
        queue: of the neighbours; goes on, as the head does, from stage to stage, but for preparing, which begins anew.
        projector, encoder: the averages (g_m and f_m of Algorithm 1) that follow while tuning; None before.
    """

    def __init__(self, settings: MaectSettings, problem: Problem, run: Heartbeat, backbone: TimmBackbone,
                 batch_size: int, total: int) -> None:
        self.settings, self.problem, self.run, self.backbone = settings, problem, run, backbone
        self.batch_size, self.total = batch_size, total
        decoder = autoencoder.load_decoder(settings.backbone, backbone.visual, run.seed)
        self.network = Network(MaskedAutoencoder(backbone.visual, decoder), self._new_head()).to(run.device)
        self.queue = self._new_queue()
        self.identity = identity(settings, problem, run.seed)
        self.labels = person_labels(problem).to(run.device) if settings.oracle else None
        self.projector: ema.Teacher[nn.Module] | None = None
        self.encoder: ema.Teacher[nn.Module] | None = None

    def tuned_encoder(self) -> Any:
        """Return the encoder that came out: the average, where there was tuning."""
        return self.encoder.model if self.encoder else self.network.model.encoder

    def train(self, plan: Plan, first: int, steps: int) -> None:
        """Run one stage, or what is left of it."""
        if plan.name == PREPARING:  # section 4.4: "combined pre-training + CT" prepares a new head; CTskip does not
            self.network.head, self.queue = self._new_head().to(self.run.device), self._new_queue()
        self._choose_what_learns(plan)
        if plan.name == TUNING:
            self.projector, self.encoder = ema.Teacher(self.network.head.projector), ema.Teacher(self._encoder)
            self.projector.model.train()  # its batch norm sees the batch, as the reference's does
        objective = self._objective(plan)
        encoder_decay = _decay(self.settings.encoder_average, self.settings.average_horizon_share, steps)
        # Appendix A.1 says two views for CT and one otherwise; the reference counts two in every stage that shows an
        # image twice, the head's preparation and combined pretraining too (trainer_base.py at 6c82cb6), and so do we.
        peak = optim.scaled_rate(self._base_rate(plan), self.batch_size, len(plan.views))
        warm_up = round(WARM_UP_SHARE * steps)

        def after_step(_step: int) -> None:
            objective.remember()
            if self.projector is not None and self.encoder is not None:
                self.projector.follow(self.network.head.projector, self.settings.projector_average)
                self.encoder.follow(self._encoder, encoder_decay)

        loop.train(loop.Stage(
            name=plan.name, first=first, steps=steps, total=self.total, images_per_step=self.batch_size,
            batches=lambda begun: self._batches(plan, first + begun),
            learning_rate=lambda step: optim.cosine(step, steps, peak, 0.0, warm_up), objective=objective,
            optimiser=torch.optim.AdamW(self._groups(plan), betas=BETAS, fused=True), after_step=after_step,
            memory=self._memory(), identity=self.identity), self.run)

    def _new_head(self) -> ContrastiveHead:
        """Return a head that has learnt nothing, the same one whenever asked."""
        head = ContrastiveHead(self.backbone.width)
        head.draw(self.run.generator("new weights"))
        return head

    def _new_queue(self) -> NeighbourQueue:
        """Return a queue in which nobody is, the same one whenever asked; of a small collection no longer than that.

        The paper's 65,536 would hold each of a thousand images 65 times.
        """
        return NeighbourQueue(min(self.settings.queue_size, len(self.problem.images)), EMBEDDING_WIDTH,
                              self.run.generator("queue"), self.run.device)

    @property
    def _encoder(self) -> Any:
        return self.network.model.encoder

    def _choose_what_learns(self, plan: Plan) -> None:
        """Freeze the encoder, its lower blocks, or nothing."""
        if plan.name == PREPARING:
            self._encoder.requires_grad_(False)
        else:
            autoencoder.freeze(self._encoder, self.settings.frozen_blocks if plan.name == TUNING else 0)
        self.network.train()

    def _objective(self, plan: Plan) -> Objective:
        """Return the loss of a stage."""
        settings, head = self.settings, self.network.head
        visible_count = max(1, round(self._encoder.patch_embed.num_patches * plan.visible_share))
        chunk_size = settings.images_at_once or self._fitting(visible_count, plan)
        return Objective(
            model=self.network.model, head=head, queue=self.queue,
            lookup_projector=self.projector.model if self.projector else head.projector, pooling=settings.pooling,
            temperature=plan.temperature, contrast_weight=plan.contrast_weight,
            reconstruction_weight=plan.reconstruction_weight, visible_count=visible_count, detached=plan.detached,
            lookup=plan.nearest > 0, labels=self.labels, device=self.run.device, precision=settings.precision,
            normalise=partial(normalise, mean=self.backbone.mean, std=self.backbone.std),
            chunk_size=within(self.run.memory_share, chunk_size, self.batch_size), between_chunks=self.run.beat)

    def _fitting(self, visible_count: int, plan: Plan) -> int:
        """Return how many images, in all views of them, are held at once; a decoder sees every patch."""
        encoder, decoder, device = self._encoder, self.network.model.decoder, self.run.device
        each = kept_bytes(self.backbone.width, len(encoder.blocks), visible_count + 1, device)
        if plan.reconstruction_weight:
            patches = encoder.patch_embed.num_patches
            each += kept_bytes(decoder.embed.out_features, len(decoder.blocks), patches + 1, device)
        return images_at_once(len(plan.views) * each, device)

    def _memory(self) -> dict[str, Tensor]:
        """Return every tensor on which the next step depends."""
        memory = {f"network/{name}": tensor for name, tensor in self.network.state_dict().items()}
        memory |= {f"queue/{name}": tensor for name, tensor in self.queue.state().items()}
        for name, teacher in (("projector", self.projector), ("encoder", self.encoder)):
            if teacher is not None:
                memory |= {f"average {name}/{key}": tensor for key, tensor in teacher.model.state_dict().items()}
        return memory

    def _base_rate(self, plan: Plan) -> float:
        """Return the rate of the stage for 256 images, before each group's own scale."""
        return {PRETRAINING: self.settings.pretraining_learning_rate, PREPARING: self.settings.preparing_learning_rate,
                TUNING: self.settings.base_learning_rate}[plan.name]

    def _groups(self, plan: Plan) -> list[dict[str, Any]]:
        """Return the optimiser's groups: encoder (and decoder), and the head at a rate of its own."""
        settings, network = self.settings, self.network
        blocks = len(self._encoder.blocks)
        tuning = plan.name == TUNING
        groups = optim.parameter_groups(
            self._encoder.named_parameters(), weight_decay=settings.weight_decay,
            layer_of=lambda name: autoencoder.layer_of(name, blocks), last_layer=blocks + 1,
            layer_decay=settings.layer_decay if tuning else 1.0)
        if plan.reconstruction_weight:
            groups += optim.parameter_groups(network.model.decoder.named_parameters(),
                                             weight_decay=settings.weight_decay)
        if plan.contrast_weight:
            own = optim.parameter_groups(network.head.named_parameters(), weight_decay=settings.head_weight_decay)
            if tuning:
                for group in own:
                    group["scale"] *= settings.head_learning_rate / settings.base_learning_rate
            groups += own
        return groups

    def _batches(self, plan: Plan, first: int) -> Iterator[Batch]:
        """Yield the batches from the run's step `first` on: functions of the seed, the step and the images alone.

        Counted through all stages, so that tuning does not repeat the very views that prepared its head.
        """
        images, run, patches = self.problem.images, self.run, self._encoder.patch_embed.num_patches
        nearest = max(1, min(plan.nearest, len(self.queue.owners) - 2))  # an image has two rows there at most
        for step, indices, views in training_batches(images, plan.views, self.batch_size, run.seed, first):
            draw = run.generator(f"{plan.name} step {step}")
            orders = tuple(torch.rand(len(indices), patches, generator=draw).argsort(dim=1) for _ in views)
            dice = torch.randint(nearest, (VIEWS, len(indices)), generator=draw)
            yield Batch(indices, views, orders, dice)


def _backbone(settings: MaectSettings, start: Start | None) -> TimmBackbone:
    """Return the encoder to tune, whose features are pooled as the settings say.

    Raises:
        ConfigError: for one that cannot be tuned so.
    """
    backbone = load_backbone(settings.backbone, start)
    if not isinstance(backbone, TimmBackbone):
        raise ConfigError("backbone", f"{settings.backbone} is a CLIP model; MAE-CT tunes a plain vision transformer, "
                          "such as starter-mae or mae-vit-b16")
    autoencoder.check(settings.backbone, backbone.visual)
    blocks = len(backbone.visual.blocks)
    if settings.frozen_blocks >= blocks:
        raise ConfigError("frozen_blocks", f"{settings.frozen_blocks} of {settings.backbone}'s {blocks} blocks leaves "
                          f"nothing to tune; choose at most {blocks - 1} (the paper: half)")
    backbone.pooling = backbone.config["pooling"] = settings.pooling
    return backbone


def _decay(average: float, horizon_share: float, steps: int) -> float:
    """Return the average's decay: the paper's, or of a memory that is a share of a short run."""
    return average if horizon_share == 0 else ema.decay_over(horizon_share * steps)
