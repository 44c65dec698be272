"""Train the image tower of starter-clip against the frozen language space of class names.

The bulk of the views are 32 px, the rest 64 px (RECLIP, Li et al., 2023, arXiv:2304.06028: small
images first, full size last). Each image is asked two questions at once: which class name it is,
and which of one hypernym of it, drawn at random, and all nodes that do not apply, it is.

Shapes: B images, V nodes of the vocabulary, S sentences for each, E embedding width.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from open_clip.transformer import QuickGELU, VisionTransformer
from torch import nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from core.starter import augmentation, measure, sentences, vocabulary, wordnet
from core.starter.mixture import IMAGE_SIZE_PX, Mixture
from core.starter.vocabulary import Vocabulary

log = logging.getLogger(__name__)

PATCH_SIZE_PX, WIDTH, LAYERS, HEADS = 8, 192, 6, 3
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SOURCE_WEIGHT = {"tiny-imagenet-200": 1.0, "cifar-100": 1.0, "food-101-64px": 0.3, "caltech-101": 2.0,
                 "pacs-photo": 5.0, "imagenet-1k-samples": 3.0, "mnist": 1.5}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and how strongly to train; `views` may be changed when training is resumed."""

    views: int = 5_000_000
    full_size_share: float = 0.08
    decay_share: float = 0.35
    batch_size: int = 512
    full_size_batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    warm_up_steps: int = 300
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

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map normalised images (B, 3, H, W) to unit vectors (B, E)."""
        visual = self.visual
        tokens = visual.conv1(images).flatten(2).transpose(1, 2)
        position = visual.positional_embedding
        grid, wanted = IMAGE_SIZE_PX // PATCH_SIZE_PX, images.shape[-1] // PATCH_SIZE_PX
        patches = position[1:]
        if wanted != grid:
            patches = functional.avg_pool2d(
                patches.T.reshape(1, WIDTH, grid, grid), grid // wanted).flatten(2)[0].T
        first = (visual.class_embedding + position[0]).expand(len(images), 1, WIDTH)
        tokens = torch.cat([first.to(tokens.dtype), tokens + patches], 1)
        tokens = visual.transformer(visual.ln_pre(tokens))
        return functional.normalize(visual.ln_post(tokens[:, 0]).float() @ visual.proj, dim=-1)


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Subtract CLIP's channel mean and divide by its deviation; images in [0, 1]."""
    return (images - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def prepare_language(mixture: Mixture, cache: Path) -> tuple[Vocabulary, sentences.LanguageSpace, torch.Tensor]:
    """Return the vocabulary, the frozen space and the sentence embeddings (V, S, E), cached."""
    words = wordnet.read()
    book = vocabulary.build(mixture, words)
    file = cache / "language.pt"
    if not file.exists():
        log.info("embedding %d sentences", len(book.nodes) * vocabulary.SENTENCES_PER_NODE)
        lemmas = [one.lemmas[0] for one in words.visible][::3]
        space = sentences.fit(sentences.encode(lemmas))
        raw = sentences.encode([line for lines in book.sentences for line in lines])
        table = space(raw).view(len(book.nodes), vocabulary.SENTENCES_PER_NODE, -1)
        torch.save({"mean": space.mean, "axes": space.axes, "table": table}, file)
    kept = torch.load(file, weights_only=True)
    return book, sentences.LanguageSpace(kept["mean"], kept["axes"]), kept["table"]


def class_embeddings(names: tuple[str, ...], space: sentences.LanguageSpace) -> torch.Tensor:
    """Return (K, E): the mean over all templates of each name's place in the language space."""
    prompts = vocabulary.templates()
    raw = sentences.encode([prompt.format(name) for name in names for prompt in prompts])
    return functional.normalize(space(raw).view(len(names), len(prompts), -1).mean(1), dim=-1)


def _cached_class_embeddings(exam: measure.Exam, space: sentences.LanguageSpace, work: Path) -> torch.Tensor:
    file = work / f"classes-{exam.title.replace(' ', '-')}.pt"
    if not file.exists():
        torch.save(class_embeddings(exam.names, space), file)
    return torch.load(file, weights_only=True)


def batches(mixture: Mixture, recipe: Recipe, generator: torch.Generator) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Yield (size in px, normalised images, class indices) for ever, sources by their weight."""
    weight = np.array([SOURCE_WEIGHT[name] for name in mixture.sources])[mixture.source[mixture.train]]
    cumulative = np.cumsum(weight) / weight.sum()
    digit_source = mixture.sources.index("mnist")
    size_px = IMAGE_SIZE_PX // 2
    while True:
        count = recipe.batch_size if size_px < IMAGE_SIZE_PX else recipe.full_size_batch_size
        drawn = np.searchsorted(cumulative, torch.rand(count, generator=generator, dtype=torch.float64).numpy())
        drawn = np.sort(drawn)
        images = torch.from_numpy(mixture.images[drawn]).float().div_(255)
        is_digit = torch.from_numpy(mixture.source[drawn] == digit_source)
        digits = is_digit.nonzero().flatten()
        if len(digits):
            images[digits] = augmentation.scribble(images[digits], generator)
        images = augmentation.zoom_shift_flip(images, ~is_digit, size_px, generator)
        images = augmentation.blur(augmentation.recolour(images, generator), 0.12, generator)
        asked = yield size_px, normalise(images), torch.from_numpy(mixture.label[drawn])
        size_px = asked or size_px


def loss_of(embedding: torch.Tensor, scale: torch.Tensor, nodes: torch.Tensor, label: torch.Tensor,
            hypernym: torch.Tensor, comparable: torch.Tensor, recipe: Recipe, class_count: int) -> torch.Tensor:
    """Return the cross-entropy of the class name plus that of one hypernym.

    Args:
        embedding: (B, E) unit vectors.
        scale: inverse temperature.
        nodes: (V, E), one sentence of each node.
        label: (B,) class index.
        hypernym: (B,) node index, or -1 where the class has none.
        comparable: (C, V), True where a node applies to the class or to a part of it: no negative.
        recipe: weights of the terms.
        class_count: C; smoothing spreads over class names only.
    """
    logits = scale * embedding @ nodes.T
    others = logits.masked_fill(comparable[label], -torch.inf)
    rest = others.logsumexp(1)

    def cross_entropy(wanted: torch.Tensor) -> torch.Tensor:
        right = logits.gather(1, wanted[:, None])[:, 0]
        return torch.logaddexp(rest, right) - right

    flat = rest - logits[:, :class_count].mean(1)
    plain = cross_entropy(label)
    loss = (1 - recipe.label_smoothing) * plain + recipe.label_smoothing * flat
    known = hypernym >= 0
    above = cross_entropy(hypernym.clamp_min(0))
    return loss.mean() + recipe.hypernym_weight * (above * known).sum() / known.sum().clamp_min(1)


def hypernym_weights(book: Vocabulary) -> torch.Tensor:
    """Return (C, V): how often each hypernym is asked; words near the class more than vast ones."""
    covered = book.ancestors.sum(0)
    weight = np.where((covered > 0) & (covered <= 300), 1 / np.sqrt(np.maximum(covered, 1)), 0.0)
    return torch.from_numpy(book.ancestors * weight).float()


def optimisers(tower: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return Muon for the matrices of the blocks and AdamW for everything else."""
    matrices = [p for name, p in tower.named_parameters() if "resblocks" in name and p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in tower.parameters() if id(p) not in chosen]
    decayed = [p for p in rest if p.ndim >= 2]
    plain = [p for p in rest if p.ndim < 2]
    return [torch.optim.Muon(matrices, lr=recipe.learning_rate, weight_decay=recipe.weight_decay,
                             adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW([{"params": decayed, "weight_decay": recipe.weight_decay},
                               {"params": plain, "weight_decay": 0.0}],
                              lr=recipe.learning_rate / 2, betas=(0.9, 0.98))]


def learning_rate_factor(step: int, done: float, recipe: Recipe) -> float:
    """Return warm-up, then a plateau, then a linear fall over the last `decay_share` of the views."""
    return min(1.0, (step + 1) / recipe.warm_up_steps) * min(1.0, max(0.0, 1 - done) / recipe.decay_share)


def train(mixture: Mixture, data: Path, work: Path, recipe: Recipe, seed: int = 0) -> Path:
    """Train, resuming from ``work/image_tower.pt`` where it exists; return that file."""
    book, space, table = prepare_language(mixture, work)
    exams = [(exam, _cached_class_embeddings(exam, space, work)) for exam in measure.exams(mixture, data)]
    comparable = torch.from_numpy(book.comparable)
    question = hypernym_weights(book)
    has_question = question.sum(1) > 0
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    tower = ImageTower()
    average = copy.deepcopy(tower).requires_grad_(False)
    steppers = optimisers(tower, recipe)
    rates = [group["lr"] for stepper in steppers for group in stepper.param_groups]
    step, views = 0, 0
    file = work / "image_tower.pt"
    if file.exists():
        kept = torch.load(file, weights_only=True)
        tower.load_state_dict(kept["tower"])
        average.load_state_dict(kept["average"])
        for stepper, state in zip(steppers, kept["optimisers"], strict=True):
            stepper.load_state_dict(state)
        step, views = kept["step"], kept["views"]
        generator.set_state(kept["generator"])
        log.info("resumed at step %d, %d views", step, views)
    run = torch.compile(tower)

    def save() -> None:
        torch.save({"tower": tower.state_dict(), "average": average.state_dict(), "step": step, "views": views,
                    "optimisers": [stepper.state_dict() for stepper in steppers],
                    "generator": generator.get_state()}, file.with_suffix(".part"))
        file.with_suffix(".part").rename(file)

    def report() -> None:
        def embed(images: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                return average(normalise(images)).float()

        scores = {exam.title: round(100 * measure.zero_shot_accuracy(exam, target, embed), 1)
                  for exam, target in exams}
        log.info("measured step %d views %d %s", step, views, scores)

    source = batches(mixture, recipe, generator)
    size_px, images, label = next(source)
    began = saved = measured = time.monotonic()
    began_views, running = views, 0.0
    while views < recipe.views:
        done = views / recipe.views
        factor = learning_rate_factor(step, done, recipe)
        for group, rate in zip((g for stepper in steppers for g in stepper.param_groups), rates, strict=True):
            group["lr"] = rate * factor
        nodes = table[torch.arange(len(table)), torch.randint(table.shape[1], (len(table),), generator=generator)]
        asked = torch.multinomial(question[label] + 1e-12, 1, generator=generator)[:, 0]
        hypernym = torch.where(has_question[label], asked, -1)
        with torch.autocast("cpu", torch.bfloat16), sdpa_kernel(SDPBackend.MATH):
            embedding = run(images)
        scale = tower.logit_scale.clamp_max(math.log(100)).exp()
        loss = loss_of(embedding.float(), scale, nodes, label, hypernym, comparable, recipe, len(mixture.names))
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step} of the image tower")
        loss.backward()
        nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad()
        step, views = step + 1, views + len(images)
        decay = min(recipe.average_decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for slow, fast in zip(average.parameters(), tower.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        running = 0.98 * running + 0.02 * loss.item() if running else loss.item()
        if step % 100 == 0:
            rate = (views - began_views) / (time.monotonic() - began)
            log.info("step %d views %d px %d loss %.3f scale %.1f rate %.4f %.0f images/s, %.0f min left",
                     step, views, size_px, running, scale.item(), factor, rate, (recipe.views - views) / rate / 60)
        if time.monotonic() - saved > 300:
            save()
            saved = time.monotonic()
        if time.monotonic() - measured > 1200:
            report()
            measured = time.monotonic()
        wanted = IMAGE_SIZE_PX if done >= 1 - recipe.full_size_share else IMAGE_SIZE_PX // 2
        size_px, images, label = source.send(wanted)
    save()
    report()
    return file
