"""The language side of training, prepared once: the vocabulary and where the frozen space has its sentences.

Shapes: V nodes of the vocabulary, S sentences for each, E embedding width.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor

from core.starter import sentences, vocabulary, wordnet
from core.starter.mixture import Mixture
from core.starter.vocabulary import Vocabulary

log = logging.getLogger(__name__)

LEMMA_STRIDE = 3
"""The space is fitted on every third visible noun of WordNet: 20,000 words and more."""


def prepare(mixture: Mixture, work: Path) -> tuple[Vocabulary, sentences.LanguageSpace, Tensor]:
    """Return the vocabulary, the frozen space and the sentence embeddings (V, S, E), kept in `work`."""
    words = wordnet.read()
    book = vocabulary.build(mixture, words)
    file = work / "language.pt"
    if not file.exists():
        log.info("embedding %d sentences", len(book.nodes) * vocabulary.SENTENCES_PER_NODE)
        space = sentences.fit(sentences.encode([one.lemmas[0] for one in words.visible][::LEMMA_STRIDE]))
        raw = sentences.encode([line for lines in book.sentences for line in lines])
        table = space(raw).view(len(book.nodes), vocabulary.SENTENCES_PER_NODE, -1)
        torch.save({"mean": space.mean, "axes": space.axes, "table": table}, file)
    kept = torch.load(file, weights_only=True)
    return book, sentences.LanguageSpace(kept["mean"], kept["axes"]), kept["table"]
