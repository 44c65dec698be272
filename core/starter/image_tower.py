"""Train the image tower of starter-clip against its frozen text tower's places of class names.

The bulk of the views are 32 px, the last 64 px (RECLIP, Li et al., 2023, arXiv:2304.06028: small
images first, full size last); the text is locked first (LiT, Zhai et al., 2021, arXiv:2111.07991).
Each image is asked two questions at once: which class name it is, and, among all nodes that do not
apply, which one of its hypernyms, drawn at random.

Shapes: B images, V nodes of the vocabulary, S sentences for each, C class names, E embedding width.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from core.starter import augmentation, measure, sentences, text_tower, vocabulary, wordnet
from core.starter.mixture import IMAGE_SIZE_PX, Mixture
from core.starter.training import Schedule, Training, best_device, optimisers, precision
from core.starter.vocabulary import Vocabulary

log = logging.getLogger(__name__)

PATCH_SIZE_PX, WIDTH, LAYERS, HEADS = 8, 192, 6, 3
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SOURCE_WEIGHT = {"tiny-imagenet-200": 1.0, "cifar-100": 1.0, "food-101-64px": 0.3, "caltech-101": 2.0,
                 "pacs-photo": 5.0, "imagenet-1k-samples": 3.0, "mnist": 1.5}
SECONDS_BETWEEN_MEASUREMENTS = 1200.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and how strongly to train; `views` may be changed when training is resumed."""

    views: int = 5_000_000
    full_size_share: float = 0.08
    batch_size: int = 512
    full_size_batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    hypernym_weight: float = 0.5
    label_smoothing: float = 0.05
    average_decay: float = 0.9985


class ImageTower(nn.Module):
    """open_clip's ViT, run at any multiple of the patch size by resizing the position embedding."""

    def __init__(self, layers: int = LAYERS) -> None:
        super().__init__()
        self.visual = VisionTransformer(
            image_size=IMAGE_SIZE_PX, patch_size=PATCH_SIZE_PX, width=WIDTH, layers=layers, heads=HEADS,
            mlp_ratio=4.0, output_dim=sentences.EMBEDDING_WIDTH, act_layer=QuickGELU)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W) to unit vectors (B, E)."""
        visual = self.visual
        tokens = visual.conv1(images).flatten(2).transpose(1, 2)  # (B, L, D)
        position = visual.positional_embedding
        grid, wanted = IMAGE_SIZE_PX // PATCH_SIZE_PX, images.shape[-1] // PATCH_SIZE_PX
        patches = position[1:]
        if wanted != grid:
            square = patches.T.reshape(1, WIDTH, grid, grid)
            patches = functional.avg_pool2d(square, grid // wanted).flatten(2)[0].T
        first = (visual.class_embedding + position[0]).expand(len(images), 1, WIDTH)
        tokens = torch.cat([first.to(tokens.dtype), tokens + patches], 1)  # (B, 1 + L, D)
        tokens = visual.transformer(visual.ln_pre(tokens))
        return functional.normalize(visual.ln_post(tokens[:, 0]).float() @ visual.proj, dim=-1)

    @property
    def scale(self) -> Tensor:
        """Return the inverse temperature, at most 100 as in CLIP."""
        return self.logit_scale.clamp_max(math.log(100)).exp()


def normalise(images: Tensor) -> Tensor:
    """Subtract CLIP's channel mean and divide by its deviation; images in [0, 1]."""
    mean, std = (torch.tensor(one, device=images.device).view(1, 3, 1, 1) for one in (MEAN, STD))
    return (images - mean) / std


class Batches:
    """Draws images, sources by their weight, and augments them where the generator lives."""

    def __init__(self, mixture: Mixture, recipe: Recipe, generator: torch.Generator) -> None:
        self._mixture, self._recipe, self._generator = mixture, recipe, generator
        weight = np.array([SOURCE_WEIGHT[name] for name in mixture.sources])[mixture.source[mixture.train]]
        self._cumulative = np.cumsum(weight) / weight.sum()
        self._digits = mixture.sources.index("mnist")

    def draw(self, size_px: int) -> tuple[Tensor, Tensor]:
        """Return normalised images (B, 3, size, size) and their class indices (B,)."""
        mixture, generator, device = self._mixture, self._generator, self._generator.device
        full = size_px == IMAGE_SIZE_PX
        count = self._recipe.full_size_batch_size if full else self._recipe.batch_size
        places = torch.rand(count, generator=generator, dtype=torch.float64, device=device).cpu().numpy()
        drawn = np.sort(np.searchsorted(self._cumulative, places))
        images = torch.from_numpy(mixture.images[drawn]).to(device).float().div_(255)
        is_digit = torch.from_numpy(mixture.source[drawn] == self._digits).to(device)
        digits = is_digit.nonzero().flatten()
        if len(digits):
            images[digits] = augmentation.scribble(images[digits], generator)
        images = augmentation.zoom_shift_flip(images, ~is_digit, size_px, generator)
        images = augmentation.blur(augmentation.recolour(images, generator), 0.12, generator)
        return normalise(images), torch.from_numpy(mixture.label[drawn]).to(device)


class Questions:
    """Asks of each image its class name and one hypernym, in sentences drawn anew every step."""

    def __init__(self, book: Vocabulary, table: Tensor, recipe: Recipe, generator: torch.Generator) -> None:
        """Take the sentence embeddings `table`, (V, S, E)."""
        device = generator.device
        self._table, self._recipe, self._generator = table.to(device), recipe, generator
        self._comparable = torch.from_numpy(book.comparable).to(device)
        self._weight = hypernym_weights(book).to(device)
        self._has_hypernym = self._weight.sum(1) > 0

    def loss(self, embedding: Tensor, scale: Tensor, label: Tensor) -> Tensor:
        """Return the cross-entropy of the class name plus that of one hypernym.

        Nodes that apply to the class or to a part of it (a dog, for an image of a poodle) are no
        negatives. Smoothing spreads over class names only.

        Args:
            embedding: (B, E) unit vectors.
            scale: inverse temperature.
            label: (B,) class index.
        """
        logits = scale * embedding @ self._draw_sentences().T  # (B, V)
        rest = logits.masked_fill(self._comparable[label], -torch.inf).logsumexp(1)

        def cross_entropy(wanted: Tensor) -> Tensor:
            right = logits.gather(1, wanted[:, None])[:, 0]
            return torch.logaddexp(rest, right) - right

        flat = rest - logits[:, : len(self._comparable)].mean(1)
        smoothing = self._recipe.label_smoothing
        name = ((1 - smoothing) * cross_entropy(label) + smoothing * flat).mean()
        known = self._has_hypernym[label]
        asked = torch.multinomial(self._weight[label] + 1e-12, 1, generator=self._generator)[:, 0]
        hypernym = (cross_entropy(asked) * known).sum() / known.sum().clamp_min(1)
        return name + self._recipe.hypernym_weight * hypernym

    def _draw_sentences(self) -> Tensor:
        """Return one sentence of each node, (V, E)."""
        nodes, choices, _ = self._table.shape
        device = self._generator.device
        chosen = torch.randint(choices, (nodes,), generator=self._generator, device=device)
        return self._table[torch.arange(nodes, device=device), chosen]


def hypernym_weights(book: Vocabulary) -> Tensor:
    """Return (C, V): how often each hypernym is asked; words near the class more than vast ones."""
    covered = book.ancestors.sum(0)
    weight = np.where((covered > 0) & (covered <= 300), 1 / np.sqrt(np.maximum(covered, 1)), 0.0)
    return torch.from_numpy(book.ancestors * weight).float()


def train(mixture: Mixture, data: Path, work: Path, recipe: Recipe, seed: int = 0,
          beginning: dict[str, Tensor] | None = None) -> Path:
    """Train, resuming from ``work/image_tower.pt`` where it exists, else from `beginning`; return that file."""
    book = vocabulary.build(mixture, wordnet.read())
    locked = text_tower.locked(work).to(best_device())
    lines = [line for node in book.sentences for line in node]
    table = text_tower.embed(locked, lines).view(len(book.nodes), vocabulary.SENTENCES_PER_NODE, -1)
    exams = [(exam, text_tower.class_embeddings(locked, exam.names)) for exam in measure.exams(mixture, data)]
    torch.manual_seed(seed)
    tower = ImageTower().to(best_device())
    training = Training(
        "image tower", tower, optimisers(tower, learning_rate=recipe.learning_rate, betas=(0.9, 0.98),
                                         weight_decay=recipe.weight_decay, matrices_in="resblocks"),
        Schedule(total=recipe.views), work / "image_tower.pt", seed, recipe.average_decay, beginning)
    source = Batches(mixture, recipe, training.generator)
    questions = Questions(book, table, recipe, training.generator)
    run = torch.compile(tower) if training.device.type == "cuda" else tower
    measured = time.monotonic()
    while not training.is_over:
        full = training.done >= 1 - recipe.full_size_share
        images, label = source.draw(IMAGE_SIZE_PX if full else IMAGE_SIZE_PX // 2)
        with precision(training.device):
            embedding = run(images)
        training.update(questions.loss(embedding.float(), tower.scale, label), len(images))
        if training.is_over or time.monotonic() - measured > SECONDS_BETWEEN_MEASUREMENTS:
            report(training, exams)
            measured = time.monotonic()
    return training.file


def report(training: Training, exams: list[tuple[measure.Exam, Tensor]]) -> None:
    """Log what the averaged weights reach; nothing is selected by it."""
    average = ImageTower().to(training.device)
    average.load_state_dict(training.average)

    def embed(images: Tensor) -> Tensor:
        with torch.inference_mode(), precision(training.device):
            found: Tensor = average(normalise(images.to(training.device)))
        return found.float().cpu()

    scores = {exam.title: round(100 * measure.zero_shot_accuracy(exam, classes, embed), 1) for exam, classes in exams}
    log.info("measured at %d views: %s", training.seen, scores)
