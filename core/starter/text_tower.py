"""Distil the small open_clip text tower of starter-clip to the frozen language space.

What ships is one self-contained open_clip model: its text tower learns to put any sentence where
MiniLM, through `LanguageSpace`, puts it. The corpus is WordNet's nouns, in prompts, with their
kinds and their glosses, and the sentences of the mixture's own names.

Shapes: B sentences, L tokens, E embedding width.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import QuickGELU, TextTransformer
from torch import nn
from torch.nn import functional

from core.starter import sentences, vocabulary, wordnet
from core.starter.image_tower import prepare_language
from core.starter.mixture import Mixture
from core.starter.wordnet import WordNet

log = logging.getLogger(__name__)

CONTEXT_LENGTH, VOCABULARY_SIZE, WIDTH, HEADS, LAYERS = 32, 49_408, 128, 2, 4
CORPUS_FILE = "corpus.pt"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long to distil; `sentences` may be changed when training is resumed."""

    sentences: int = 3_000_000
    batch_size: int = 768
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    mixture_share: float = 0.3
    temperature: float = 0.05
    decay_share: float = 0.5
    warm_up_steps: int = 200


def text_transformer() -> TextTransformer:
    """Build the tower as open_clip builds it from the shipped configuration."""
    return TextTransformer(context_length=CONTEXT_LENGTH, vocab_size=VOCABULARY_SIZE, width=WIDTH, heads=HEADS,
                           layers=LAYERS, output_dim=sentences.EMBEDDING_WIDTH, act_layer=QuickGELU)


def forward(tower: TextTransformer, tokens: torch.Tensor) -> torch.Tensor:
    """Embed (B, L) tokens, L up to the context length, as (B, E).

    The same answer as the tower's own forward: attention is causal, so what follows the end-of-text
    token (the largest number) changes nothing and is cut off.
    """
    length = tokens.shape[1]
    embedded = tower.token_embedding(tokens) + tower.positional_embedding[:length]
    hidden = tower.transformer(embedded, attn_mask=tower.attn_mask[:length, :length])
    ended = hidden[torch.arange(len(tokens)), tokens.argmax(-1)]
    return tower.ln_final(ended).float() @ tower.text_projection


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


def prepare_corpus(mixture: Mixture, work: Path) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Return tokens (N, L), targets (N, E) as float16 and how many of the last rows are the mixture's."""
    book, space, table = prepare_language(mixture, work)
    file = work / CORPUS_FILE
    if not file.exists():
        lines = write_corpus(wordnet.read(), seed=0)
        log.info("embedding a corpus of %d sentences", len(lines))
        targets = torch.cat([space(sentences.encode(lines[start : start + 50_000]))
                             for start in range(0, len(lines), 50_000)])
        own = [line for node in book.sentences for line in node]
        tokenizer = SimpleTokenizer(context_length=CONTEXT_LENGTH)
        tokens = torch.cat([tokenizer(lines), tokenizer(own)])
        torch.save({"tokens": tokens.to(torch.int32), "own": len(own),
                    "targets": torch.cat([targets, table.flatten(0, 1)]).half()}, file)
    kept = torch.load(file, weights_only=True)
    return kept["tokens"], kept["targets"], kept["own"]


def distillation_loss(found: torch.Tensor, target: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return 1 - cosine plus the cross-entropy of finding one's own target in the batch; (B, E) both."""
    found = functional.normalize(found, dim=-1)
    likeness = found @ target.T / temperature
    same = (target @ target.T > 0.999).fill_diagonal_(False)
    own = torch.arange(len(found))
    matching = functional.cross_entropy(likeness.masked_fill(same, -torch.inf), own)
    return (1 - (found * target).sum(-1)).mean() + 0.1 * matching


def train(mixture: Mixture, work: Path, recipe: Recipe, seed: int = 0) -> Path:
    """Distil, resuming from ``work/text_tower.pt`` where it exists; return that file."""
    tokens, targets, own = prepare_corpus(mixture, work)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    tower = text_transformer()
    decayed = [p for p in tower.parameters() if p.ndim >= 2]
    plain = [p for p in tower.parameters() if p.ndim < 2]
    optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": recipe.weight_decay},
                                   {"params": plain, "weight_decay": 0.0}],
                                  lr=recipe.learning_rate, betas=(0.9, 0.98))
    file, step, seen = work / "text_tower.pt", 0, 0
    if file.exists():
        kept = torch.load(file, weights_only=True)
        tower.load_state_dict(kept["tower"])
        optimiser.load_state_dict(kept["optimiser"])
        generator.set_state(kept["generator"])
        step, seen = kept["step"], kept["seen"]
        log.info("resumed at step %d, %d sentences", step, seen)

    def save() -> None:
        torch.save({"tower": tower.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "seen": seen,
                    "generator": generator.get_state()}, file.with_suffix(".part"))
        file.with_suffix(".part").rename(file)

    held_out = torch.randperm(len(tokens) - own, generator=torch.Generator().manual_seed(1))[:2048]
    broad = torch.ones(len(tokens) - own, dtype=torch.bool)
    broad[held_out] = False
    pool = broad.nonzero().flatten()
    began = saved = time.monotonic()
    began_seen, running = seen, 0.0
    while seen < recipe.sentences:
        factor = min(1.0, (step + 1) / recipe.warm_up_steps) * min(
            1.0, (1 - seen / recipe.sentences) / recipe.decay_share)
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * factor
        from_mixture = int(recipe.batch_size * recipe.mixture_share)
        chosen = torch.cat([
            pool[torch.randint(len(pool), (recipe.batch_size - from_mixture,), generator=generator)],
            torch.randint(len(tokens) - own, len(tokens), (from_mixture,), generator=generator)])
        batch = tokens[chosen].long()
        batch = batch[:, : int(batch.argmax(-1).max()) + 1]
        with torch.autocast("cpu", torch.bfloat16):
            found = forward(tower, batch)
        loss = distillation_loss(found.float(), targets[chosen].float(), recipe.temperature)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"loss is {loss.item()} at step {step} of the text tower")
        loss.backward()
        nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        step, seen = step + 1, seen + recipe.batch_size
        running = 0.98 * running + 0.02 * loss.item() if running else loss.item()
        if step % 100 == 0:
            rate = (seen - began_seen) / (time.monotonic() - began)
            log.info("text step %d seen %d loss %.4f rate %.4f %.0f sentences/s, %.0f min left",
                     step, seen, running, factor, rate, (recipe.sentences - seen) / rate / 60)
        if time.monotonic() - saved > 180:
            save()
            saved = time.monotonic()
    save()
    with torch.inference_mode():
        likeness = functional.cosine_similarity(forward(tower, tokens[held_out].long()), targets[held_out].float())
    log.info("text tower: mean cosine to the language space on held-out sentences %.4f", likeness.mean())
    return file
