"""Few-shot transfer: the whole network finetuned on 1, 2, 4 and 8 labelled images a class.

Li et al., "Unsupervised finetuning", 2021, section 5: 30 epochs, rate 3.0 for the new layer and 0.0001 for the
rest, three trials, measured on the images that were not shown. The paper names neither optimiser nor
augmentation: SGD with momentum 0.9 and a cosine, as in the MoCo-v2 it builds on, and random resized crops,
unmirrored, for a mirrored digit is another.

Shapes: N images, B of a step, D features, K classes.
"""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.classifier import Classifier, Member
from core.data.batches import batches, shuffled
from core.data.views import CropView, normalise
from core.errors import DataError
from core.evaluation.evidence import Backbone, Evidence, Finding, spread
from core.evaluation.shots import SPLITS, Split, splits
from core.run import Progress

SHOTS = (1, 2, 4, 8)
EPOCHS, BATCH = 30, 32
HEAD_RATE, REST_RATE, MOMENTUM = 3.0, 1e-4, 0.9


def few_shot(evidence: Evidence) -> Finding:
    """Measure the accuracy after finetuning on few labels; measured are at most `evidence.sample` images.

    Said is how many the fewest labels leave to be measured.
    """
    figures: dict[str, float] = {}
    notes: list[str] = []
    measured = 0
    for shots, draws in splits(evidence, SHOTS):
        if isinstance(draws, DataError):
            notes.append(str(draws))
            continue
        found = [_accuracy(evidence, one, trial) for trial, one in enumerate(draws)]
        figures |= spread(f"{shots}_shot", found)
        measured = max(measured, *(len(_asked(evidence, one)) for one in draws))
    return Finding(figures=figures, notes=tuple(notes), images=measured)


def finetune(backbone: Backbone, evidence: Evidence, shown: NDArray[np.int64], trial: int) -> Member:
    """Return a copy of the backbone, finetuned on the images that are shown (indices), with its new layer."""
    run, seed = evidence.run, SPLITS * evidence.run.seed + trial
    tuned = copy.deepcopy(backbone).to(run.device).eval()  # no dropout; batch norms of a ResNet keep their statistics
    tuned.visual.requires_grad_(True)
    layer = nn.Linear(tuned.width, len(evidence.class_names)).to(run.device)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    chosen = evidence.pictures.subset(shown.tolist())
    labels = torch.from_numpy(evidence.truth[shown]).to(run.device)
    optimiser = torch.optim.SGD([{"params": layer.parameters(), "peak": HEAD_RATE},
                                 {"params": tuned.visual.parameters(), "peak": REST_RATE}], momentum=MOMENTUM)
    view = CropView(tuned.image_size_px, mirror=False)
    steps = EPOCHS * math.ceil(len(chosen) / BATCH)
    step = 0
    for epoch in range(EPOCHS):
        order = shuffled(len(chosen), seed, epoch)
        for indices, (pixels,) in batches(chosen, (view,), order, BATCH, seed, epoch):
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * 0.5 * (1 + math.cos(math.pi * step / steps))
            seen = normalise(pixels.to(run.device), tuned.mean, tuned.std)
            loss = functional.cross_entropy(layer(_unit(tuned(seen))), labels[indices.to(run.device)])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            step += 1
            run.report(Progress(stage="finetuning", step=step, total=steps))
    return Member(backbone=tuned, weight=layer.weight.detach().T.cpu(), bias=layer.bias.detach().cpu(), normalise=True)


def _unit(embedding: Tensor) -> Tensor:
    """Return embeddings (B, D) of unit length.

    The paper's rate of 3.0 is for the small features of a ResNet; a transformer's have deviation 1, and a layer
    on them would be thrown about. At unit length the rate is as harmless everywhere.
    """
    return functional.normalize(embedding.float(), dim=1)


def _asked(evidence: Evidence, split: Split) -> NDArray[np.int64]:
    """Return the images that are measured: of those that were not shown, a sample, in order."""
    return np.sort(np.random.default_rng(evidence.run.seed).permutation(split.asked)[: evidence.sample])


def _accuracy(evidence: Evidence, split: Split, trial: int) -> float:
    """Return the accuracy of one trial on images that were not shown."""
    member = finetune(evidence.backbones[0], evidence, split.shown, trial)
    classifier = Classifier(members=(member,), class_names=evidence.class_names, method="few-shot")
    asked = _asked(evidence, split)
    found = classifier.predict(evidence.pictures.subset(asked.tolist()), evidence.run)
    return float((found.labels.numpy() == evidence.truth[asked]).mean())
