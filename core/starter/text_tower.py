"""Distil the small open_clip text tower of starter-clip to the frozen language space.

What ships is one self-contained open_clip model: its text tower learns to put any sentence where
MiniLM, through `LanguageSpace`, puts it. The corpus is WordNet's nouns, in prompts, with their
kinds and their glosses, and the sentences of the mixture's own names.

Shapes: B sentences, L tokens, E embedding width.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import QuickGELU, TextTransformer
from torch import Tensor
from torch.nn import functional

from core.starter import language, sentences, shipped, vocabulary, wordnet
from core.starter.mixture import Mixture
from core.starter.training import Schedule, Training, best_device, optimisers
from core.starter.wordnet import WordNet

log = logging.getLogger(__name__)

CONTEXT_LENGTH, VOCABULARY_SIZE, WIDTH, HEADS, LAYERS = 32, 49_408, 128, 2, 4
CHECKPOINT, CORPUS_FILE = "text_tower.pt", "corpus.pt"
HELD_OUT_COUNT = 2048
SENTENCES_AT_ONCE = 50_000


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long to distil; `sentences` may be changed when training is resumed."""

    sentences: int = 3_000_000
    batch_size: int = 768
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    mixture_share: float = 0.35
    digit_share: float = 0.1
    temperature: float = 0.05
    average_decay: float = 0.99


def text_transformer() -> TextTransformer:
    """Build the tower as open_clip builds it from the shipped configuration."""
    return TextTransformer(context_length=CONTEXT_LENGTH, vocab_size=VOCABULARY_SIZE, width=WIDTH, heads=HEADS,
                           layers=LAYERS, output_dim=sentences.EMBEDDING_WIDTH, act_layer=QuickGELU)


def forward(tower: TextTransformer, tokens: Tensor) -> Tensor:
    """Embed (B, L) tokens, L up to the context length, as (B, E).

    The same answer as the tower's own forward: attention is causal, so what follows the end-of-text
    token (the largest number) changes nothing and is cut off.
    """
    length = tokens.shape[1]
    embedded = tower.token_embedding(tokens) + tower.positional_embedding[:length]
    hidden = tower.transformer(embedded, attn_mask=tower.attn_mask[:length, :length])
    ended = hidden[torch.arange(len(tokens), device=tokens.device), tokens.argmax(-1)]
    found: Tensor = tower.ln_final(ended).float() @ tower.text_projection
    return found


def write_corpus(words: WordNet, seed: int) -> list[str]:
    """Return sentences about every visible noun: in prompts, with its kind, with its gloss."""
    draw, prompts = random.Random(seed), vocabulary.templates()
    lines: list[str] = []
    for synset in words.visible:
        kinds = words.ancestors(synset)[:3]
        for lemma in synset.lemmas:
            lines += [lemma, f"a photo of a {lemma}.", draw.choice(prompts).format(lemma),
                      draw.choice(prompts).format(lemma)]
            if kinds:
                lines.append(f"{lemma}, a kind of {draw.choice(kinds).lemmas[0]}")
        lines.append(synset.gloss)
    return sorted(set(lines))


@dataclass(frozen=True)
class Corpus:
    """Sentences as tokens (N, L) and where the language space has them (N, E), float16; in three parts in order.

    The first `broad` are WordNet's, the next `own` the mixture's names, the rest the digits.
    """

    tokens: Tensor
    targets: Tensor
    broad: int
    own: int

    def draw(self, allowed: Tensor, counts: tuple[int, int, int], generator: torch.Generator) -> Tensor:
        """Return places of so many sentences of each part, of the first only `allowed` ones."""
        device = generator.device
        bounds = ((self.broad, self.broad + self.own), (self.broad + self.own, len(self.tokens)))
        words = allowed[torch.randint(len(allowed), counts[:1], generator=generator, device=device)]
        rest = [torch.randint(*bound, (count,), generator=generator, device=device)
                for bound, count in zip(bounds, counts[1:], strict=True)]
        return torch.cat([words, *rest]).cpu()


def prepare_corpus(mixture: Mixture, work: Path) -> Corpus:
    """Write and embed the sentences once, and keep them in `work`."""
    book, space, table = language.prepare(mixture, work)
    file = work / CORPUS_FILE
    if not file.exists():
        lines = write_corpus(wordnet.read(), seed=0)
        log.info("embedding a corpus of %d sentences", len(lines))
        parts = [lines[start : start + SENTENCES_AT_ONCE] for start in range(0, len(lines), SENTENCES_AT_ONCE)]
        digits = vocabulary.digit_sentences()
        targets = [*(space(sentences.encode(part)) for part in parts), table.flatten(0, 1),
                   space(sentences.encode(digits))]
        own = [line for node in book.sentences for line in node]
        tokens = SimpleTokenizer(context_length=CONTEXT_LENGTH)([*lines, *own, *digits])
        torch.save({"tokens": tokens.to(torch.int32), "broad": len(lines), "own": len(own),
                    "targets": torch.cat(targets).half()}, file)
    kept = torch.load(file, weights_only=True)
    return Corpus(kept["tokens"], kept["targets"], kept["broad"], kept["own"])


def distillation_loss(found: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Return 1 - cosine plus the cross-entropy of finding one's own target in the batch; (B, E) both."""
    found = functional.normalize(found, dim=-1)
    likeness = found @ target.T / temperature
    same = (target @ target.T > 0.999).fill_diagonal_(False)
    own = torch.arange(len(found), device=found.device)
    matching = functional.cross_entropy(likeness.masked_fill(same, -torch.inf), own)
    return (1 - (found * target).sum(-1)).mean() + 0.1 * matching


def locked(work: Path) -> TextTransformer:
    """Return the tower that was distilled in `work`, else the shipped one, ready to be asked."""
    tower, file = text_transformer(), work / CHECKPOINT
    kept = torch.load(file, weights_only=True, map_location="cpu")["average"] if file.exists() \
        else shipped.tensors("starter-clip")
    missing = tower.load_state_dict(kept, strict=False).missing_keys
    if set(missing) - {"attn_mask"}:
        raise ValueError(f"{file}: no text tower of this shape in it: {missing}")
    return tower.eval()


@torch.no_grad()
def embed(tower: TextTransformer, lines: Sequence[str], batch_size: int = 512) -> Tensor:
    """Return unit vectors (len(lines), E), on the CPU."""
    device = tower.text_projection.device
    tokens = SimpleTokenizer(context_length=CONTEXT_LENGTH)(list(lines))
    order = tokens.argmax(-1).argsort()  # alike in length, little is padding
    found = torch.empty(len(tokens), sentences.EMBEDDING_WIDTH)
    for chosen in order.split(batch_size):
        batch = tokens[chosen]
        batch = batch[:, : int(batch.argmax(-1).max()) + 1].to(device)
        found[chosen] = functional.normalize(forward(tower, batch), dim=-1).cpu()
    return found


def class_embeddings(tower: TextTransformer, names: Sequence[str]) -> Tensor:
    """Return (K, E): the mean over all templates of each name's sentences."""
    prompts = vocabulary.templates()
    every = embed(tower, [prompt.format(name) for name in names for prompt in prompts])
    return functional.normalize(every.view(len(names), len(prompts), -1).mean(1), dim=-1)


def train(mixture: Mixture, work: Path, recipe: Recipe, seed: int = 0,
          beginning: dict[str, Tensor] | None = None) -> Path:
    """Distil, resuming from ``work/text_tower.pt`` where it exists, else from `beginning`; return that file."""
    corpus = prepare_corpus(mixture, work)
    torch.manual_seed(seed)
    tower = text_transformer().to(best_device())
    training = Training(
        "text tower", tower, optimisers(tower, learning_rate=recipe.learning_rate, betas=(0.9, 0.98),
                                        weight_decay=recipe.weight_decay, matrices_in=""),
        Schedule(total=recipe.sentences, warm_up_steps=200, decay_share=0.5), work / CHECKPOINT, seed,
        recipe.average_decay, beginning)
    device, draw = training.device, training.generator
    held_out = torch.randperm(corpus.broad, generator=torch.Generator().manual_seed(1))[:HELD_OUT_COUNT]
    allowed = torch.ones(corpus.broad, dtype=torch.bool).index_fill(0, held_out, False).nonzero().flatten().to(device)
    own, digits = (int(recipe.batch_size * share) for share in (recipe.mixture_share, recipe.digit_share))
    while not training.is_over:
        chosen = corpus.draw(allowed, (recipe.batch_size - own - digits, own, digits), draw)
        batch = corpus.tokens[chosen].long()
        batch = batch[:, : int(batch.argmax(-1).max()) + 1].to(device)
        with torch.autocast(device.type, torch.bfloat16):
            found = forward(tower, batch)
        target = corpus.targets[chosen].to(device).float()
        training.update(distillation_loss(found.float(), target, recipe.temperature), recipe.batch_size)
    tower.load_state_dict(training.average)
    with torch.inference_mode():
        likeness = functional.cosine_similarity(forward(tower, corpus.tokens[held_out].long().to(device)).cpu(),
                                                corpus.targets[held_out].float())
    log.info("text tower: mean cosine to the language space on held-out sentences %.4f", likeness.mean())
    return training.file
