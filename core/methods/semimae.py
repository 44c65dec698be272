"""Semi-MAE: learn from the images that a person labelled, and from all others, with an autoencoder beside.

N images of a collection, b labelled and B unlabelled ones of a step, L patches, D features, K classes.

Paper: Yu, Zhao, Xu, 2023, arXiv:2301.01431; no code was published. It leaves the threshold to FixMatch (Sohn et al.,
2020, arXiv:2001.07685) and the augmentations to Semiformer (section 4.1); ours are FixMatch's, see
`core.data.views.ShiftedView`. The loss is in `core.methods.semimae_objective`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from core.backbones import autoencoder
from core.backbones.autoencoder import MaskedAutoencoder
from core.backbones.load import load_backbone
from core.backbones.start import Start
from core.backbones.vit import TimmBackbone, new_timm
from core.catalog import SemiMaeSettings
from core.classifier import Classifier, Member
from core.data.batches import batches, shuffled
from core.data.views import EvaluationView, ShiftedView, View, as_tensor, normalise
from core.errors import ConfigError, DataError
from core.evaluation.recovery import recover, triplets
from core.methods.identity import identity
from core.methods.labelled import person_labels
from core.methods.newest_answers import newest_answers
from core.methods.semimae_objective import Batch, Head, Objective
from core.pictures import Picture
from core.problem import Problem
from core.run import Progress, Run
from core.training import loop, optim
from core.training.chunks import images_at_once, kept_bytes, within
from core.training.heartbeat import Heartbeat

WARMING, ADAPTING = "learning your labels", "adapting"
SHOWN = 6
IMAGES_LOOKED_AT, LOOKED_AT_ONCE = 1024, 64


class Network(nn.Module):
    """All that learns: encoder, decoder and a linear classifier."""

    def __init__(self, model: MaskedAutoencoder, head: Head) -> None:
        super().__init__()
        self.model, self.head = model, head


def adapt(settings: SemiMaeSettings, problem: Problem, run: Run) -> Classifier:
    """Train on the labelled and the unlabelled images together and return the classifier.

    Raises:
        ConfigError, DataError, WeightsUnavailable: before any work.
        Diverged, Cancelled, CheckpointError: out of the loop.
    """
    if not problem.class_names:
        raise DataError("classes", "Semi-MAE needs to know what the classes are called; give names")
    problem.check_count()
    training = _Training(settings, problem, Heartbeat(run))
    training.train()
    training.backbone.visual.requires_grad_(False).eval()
    if settings.reconstruction_weight:
        training.draw_recovered()
    weight, bias = training.network.head.folded()
    member = Member(backbone=training.backbone, weight=weight.cpu(), bias=bias.cpu())
    return Classifier(members=(member,), class_names=problem.class_names, method="semimae",
                      settings=dataclasses.asdict(settings))


class _Training:
    """The network and the two streams of images on which it learns.

    Attributes:
        labels: (N,) a person's, -1 = none.
        labelled, unlabelled: indices of the images with and without one; with none left over, all are unlabelled.
        labelled_count, unlabelled_count: b and B.
    """

    def __init__(self, settings: SemiMaeSettings, problem: Problem, run: Heartbeat) -> None:
        self.settings, self.problem, self.run = settings, problem, run
        self.labels = person_labels(problem)
        self.backbone = _backbone(settings, problem.start, run.seed)
        self.labelled = [index for index, label in enumerate(self.labels.tolist()) if label >= 0]
        self.unlabelled = ([index for index, label in enumerate(self.labels.tolist()) if label < 0]
                           or list(range(len(problem.images))))
        share = settings.batch_size // (1 + settings.unlabelled_ratio)
        self.labelled_count = min(max(1, share), len(self.labelled))  # fewer labels than that: all, every step
        self.unlabelled_count = min(max(1, settings.batch_size - max(1, share)), len(self.unlabelled))
        self.warming_steps = self._steps(settings.warming_epochs)
        self.steps = self._steps(settings.epochs)
        if self.warming_steps + self.steps == 0:
            raise ConfigError("epochs", "there are none, before or after: nothing would be learnt; raise one of them")
        self.network = self._network().to(run.device)
        self.latest = torch.full((len(problem.images),), -1)
        self.identity = identity(settings, problem, run.seed)
        blocks = len(self.backbone.visual.blocks)
        self.optimiser = torch.optim.AdamW([
            *optim.parameter_groups(
                self.backbone.visual.named_parameters(), weight_decay=settings.weight_decay,
                layer_of=lambda name: autoencoder.layer_of(name, blocks), last_layer=blocks + 1,
                layer_decay=settings.layer_decay),
            *optim.parameter_groups(self.network.head.named_parameters(), weight_decay=settings.weight_decay),
            *(optim.parameter_groups(self.network.model.decoder.named_parameters(), weight_decay=settings.weight_decay)
              if settings.reconstruction_weight else ())], fused=True)

    def train(self) -> None:
        """Warm up on labels and hidden patches, then let the model's own answers count; one cosine, one optimiser."""
        if self.settings.pretrained:
            self._look()
        self.network.train()
        if self.warming_steps:
            self._stage(WARMING, 0, self.warming_steps, consistency_weight=0.0)
        if self.steps:
            self._stage(ADAPTING, self.warming_steps, self.steps, self.settings.consistency_weight)

    def draw_recovered(self) -> None:
        """Leave a picture of what the autoencoder makes of a few images, as it does while it learns."""
        view = EvaluationView(self.backbone.image_size_px)
        chosen = torch.randperm(len(self.problem.images), generator=self.run.generator("shown"))[:SHOWN].tolist()
        images = torch.stack([as_tensor(view.pixels(self.problem.images.load(one))) for one in chosen])
        masked, found, _ = recover(self.network.model.cpu().eval(), images, self.backbone,
                                   self.run.generator("hidden patches of the pictures"))
        self.run.pictures.draw(Picture(
            name="recovered", title="Filling in what is hidden", columns=("image", "hidden", "filled in"),
            caption="Three quarters of an image are hidden, and the model guesses them from the rest. Guessing well "
                    "takes knowing how these things look, so it learns that from all images, also from those without "
                    "a label."), triplets(images, masked, found))

    @torch.no_grad()
    def _look(self) -> None:
        """Learn the mean and the deviation of the features, from weak views of at most `IMAGES_LOOKED_AT` images."""
        objective, view = self._objective(0.0), ShiftedView(self.backbone.image_size_px, self.settings.mirror)
        chosen = shuffled(len(self.problem.images), self.run.seed, 0)[:IMAGES_LOOKED_AT]
        found: list[Tensor] = []
        for _, (weak,) in batches(self.problem.images, (view,), chosen, LOOKED_AT_ONCE, self.run.seed):
            self.run.report(Progress(stage="looking at the images", step=0, total=self.warming_steps + self.steps))
            found.append(objective.features(weak))
        self.network.head.fit(torch.cat(found))

    def _stage(self, name: str, first: int, steps: int, consistency_weight: float) -> None:
        """Run one stage, or what is left of it."""
        settings, total = self.settings, self.warming_steps + self.steps
        objective = self._objective(consistency_weight)
        loop.train(loop.Stage(
            name=name, first=first, steps=steps, total=total,
            images_per_step=self.labelled_count + self.unlabelled_count,
            batches=lambda begun: self._batches(first + begun, strong=consistency_weight > 0),
            learning_rate=lambda step: optim.cosine(first + step, total, settings.learning_rate,
                                                    min(settings.learning_rate, settings.final_learning_rate)),
            objective=objective, optimiser=self.optimiser, answers=lambda: _answers(objective),
            memory={**{f"network/{key}": tensor for key, tensor in self.network.state_dict().items()},
                    "latest": self.latest},
            identity=self.identity), self.run)

    def _network(self) -> Network:
        """Return the network with a new classifier."""
        settings, backbone, run = self.settings, self.backbone, self.run
        decoder = autoencoder.load_decoder(settings.backbone, backbone.visual, run.seed, new=not settings.pretrained)
        head = Head(backbone.width, len(self.problem.class_names), run.generator("new weights"))
        return Network(MaskedAutoencoder(backbone.visual, decoder), head)

    def _objective(self, consistency_weight: float) -> Objective:
        """Return the loss of a stage."""
        settings, encoder = self.settings, self.backbone.visual
        patches = encoder.patch_embed.num_patches
        at_once = settings.images_at_once or images_at_once(2 * kept_bytes(  # two graphs: all patches, and few of them
            self.backbone.width, len(encoder.blocks), patches + 1, self.run.device), self.run.device)  # with a decoder
        return Objective(
            model=self.network.model, head=self.network.head, pooling=settings.pooling, threshold=settings.threshold,
            consistency_weight=consistency_weight, reconstruction_weight=settings.reconstruction_weight,
            visible_count=max(1, round(patches * (1 - settings.mask_ratio))), latest=self.latest,
            normalise=partial(normalise, mean=self.backbone.mean, std=self.backbone.std), device=self.run.device,
            precision=settings.precision, chunk_size=within(self.run.memory_share, at_once, settings.batch_size),
            between_chunks=self.run.beat)

    def _steps(self, epochs: float) -> int:
        """Return the steps that see as many unlabelled images as so many epochs of those, or of the labelled where they
        are more. (The paper has nine times as many unlabelled ones.) A labelled image is seen as the ratio says.
        """
        images = max(len(self.unlabelled), len(self.labelled))
        return 0 if epochs == 0 else max(1, round(epochs * images / self.unlabelled_count))

    def _batches(self, first: int, strong: bool) -> Iterator[Batch]:
        """Yield the batches from the run's step `first` on: functions of seed, step, images and labels alone."""
        side, mirror = self.backbone.image_size_px, self.settings.mirror
        weak = ShiftedView(side, mirror)
        views: list[View] = [weak] if strong or self.settings.reconstruction_weight else []
        views += [ShiftedView(side, mirror, strong=True)] if strong else []
        patches = self.backbone.visual.patch_embed.num_patches
        taught = self._laps(self.labelled, (weak,), self.labelled_count, first)
        untaught = self._laps(self.unlabelled, views, self.unlabelled_count, first)
        for step, ((chosen, (labelled,)), (indices, seen)) in enumerate(zip(taught, untaught, strict=True), first):
            draw = self.run.generator(f"patches of step {step}")
            order, nothing = torch.rand(len(indices), patches, generator=draw).argsort(1), labelled[:0]
            yield Batch(labelled, self.labels[chosen], indices, seen[0] if seen else nothing,
                        seen[1] if strong else nothing, order)

    def _laps(self, indices: Sequence[int], views: Sequence[View], count: int,
              first: int) -> Iterator[tuple[Tensor, tuple[Tensor, ...]]]:
        """Yield views of `count` of the images a step, all in a new order each lap, from step `first` on, endlessly."""
        lap, begun = divmod(first, len(indices) // count)
        while True:
            order = [indices[place] for place in shuffled(len(indices), self.run.seed, lap)]
            full = len(order) // count * count  # the odd ones are left out of a lap
            yield from batches(self.problem.images, views, order[begun * count:full], count, self.run.seed, lap)
            lap, begun = lap + 1, 0


def _answers(objective: Objective) -> loop.Answers:
    """Return what the page shows of the model's own labels."""
    if objective.last_seen is None:
        return loop.Answers()
    return newest_answers(objective.latest, objective.last_seen, objective.head.linear.out_features)


def _backbone(settings: SemiMaeSettings, start: Start | None, seed: int) -> TimmBackbone:
    """Return the encoder to begin with, whose features are pooled as the settings say.

    Raises:
        ConfigError: for one that cannot be trained so.
    """
    if start is not None and not settings.pretrained:
        raise ConfigError("pretrained", f"off, yet {start.source} is to be begun with; leave one of the two out")
    name = settings.backbone
    backbone = load_backbone(name, start) if settings.pretrained else new_timm(name, seed)
    if not isinstance(backbone, TimmBackbone):
        raise ConfigError("backbone", f"{name} is a CLIP model; Semi-MAE trains a plain vision transformer, such as "
                          "starter-mae or mae-vit-b16")
    autoencoder.check(name, backbone.visual)
    backbone.pooling = backbone.config["pooling"] = settings.pooling
    return backbone
