"""The words of the mixture as a small hierarchy: class names below, WordNet hypernyms above.

Shapes: C class names, A ancestors, V = C + A nodes, S sentences for each node, E sentence width.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import open_clip

from core.starter.mixture import Mixture
from core.starter.wordnet import Synset, WordNet

SENTENCES_PER_NODE = 32
DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Nodes with their sentences and the relation that says which nodes name the same image.

    `comparable` is (C, V), True where the node is the class, an ancestor or a descendant of it;
    `ancestors` is (C, V), True where the node is a hypernym of the class.
    """

    nodes: tuple[str, ...]
    sentences: tuple[tuple[str, ...], ...]
    comparable: np.ndarray
    ancestors: np.ndarray


def templates() -> list[str]:
    """Return the prompt templates that a user may choose: OpenAI's 80, the simple 7, the name."""
    marker = "\N{WHITE SQUARE}"
    every = [*open_clip.OPENAI_IMAGENET_TEMPLATES, *open_clip.SIMPLE_IMAGENET_TEMPLATES]
    return [template(marker).replace(marker, "{}") for template in every] + ["{}"]


def _sentences(aliases: list[str], kinds: list[str], gloss: str, seed: random.Random) -> tuple[str, ...]:
    """Return S sentences about one thing: prompts mostly, "a kind of" and the gloss sometimes."""
    prompts = templates()
    lines = [aliases[0], f"a photo of a {aliases[0]}."]
    if gloss:
        lines += [gloss, f"{aliases[0]}: {gloss}"]
    if kinds:
        lines += [f"{aliases[0]}, a kind of {kinds[0]}", f"a photo of a {aliases[0]}, a type of {kinds[0]}."]
    while len(lines) < SENTENCES_PER_NODE:
        alias = aliases[0] if seed.random() < 0.6 else seed.choice(aliases)
        lines.append(seed.choice(prompts).format(alias))
    return tuple(lines)


def _digit_aliases(name: str) -> list[str]:
    word = name.rsplit(" ", 1)[-1]
    numeral = DIGIT_WORDS.index(word)
    return [word, f"the digit {word}", f"the number {word}", f"{numeral}", f"the digit {numeral}",
            f"the number {numeral}", f"a handwritten {word}", f"a handwritten {numeral}"]


def digit_sentences() -> list[str]:
    """Return every spelling of every digit in every prompt: their names are nearly parallel, and need the practice."""
    return [prompt.format(alias) for word in DIGIT_WORDS for alias in _digit_aliases(word) for prompt in templates()]


def build(mixture: Mixture, wordnet: WordNet) -> Vocabulary:
    """Place every class name of the mixture in WordNet and write sentences for every node."""
    seed = random.Random(0)
    senses: list[Synset | None] = []
    for index, name in enumerate(mixture.names):
        sources = {mixture.sources[one] for one in np.unique(mixture.source[mixture.label == index])}
        digit = name.startswith("the digit ")
        only_food = sources == {"food-101-64px"}
        senses.append(None if digit else wordnet.visible_sense(name, prefer_food=only_food))
    above = [wordnet.ancestors(sense) if sense else [] for sense in senses]
    shared = sorted({one.offset for chain in above for one in chain})
    place = {offset: len(mixture.names) + i for i, offset in enumerate(shared)}
    count = len(mixture.names) + len(shared)

    ancestors = np.zeros((len(mixture.names), count), dtype=bool)
    for index, chain in enumerate(above):
        ancestors[index, [place[one.offset] for one in chain]] = True
    comparable = ancestors.copy()
    for index, sense in enumerate(senses):
        comparable[index, index] = True
        if sense is None:
            continue
        for other, other_sense in enumerate(senses):
            same = other_sense is not None and other_sense.offset == sense.offset
            below = sense.offset in place and ancestors[other, place[sense.offset]]
            over = other_sense is not None and other_sense.offset in {one.offset for one in above[index]}
            if same or below or over:
                comparable[index, other] = True
        if sense.offset in place:
            comparable[index, place[sense.offset]] = True
            below_nodes = [place[up.offset] for other, chain in enumerate(above)
                           if ancestors[other, place[sense.offset]]
                           for up in chain if sense in wordnet.ancestors(up)]
            comparable[index, below_nodes] = True

    names: list[str] = []
    sentences: list[tuple[str, ...]] = []
    for name, sense, chain in zip(mixture.names, senses, above, strict=True):
        if name.startswith("the digit "):
            aliases, kinds, gloss = _digit_aliases(name), ["digit"], ""
        else:
            exact = sense is not None and name.lower() in [lemma.lower() for lemma in sense.lemmas]
            aliases = [name, *(lemma for lemma in sense.lemmas if lemma.lower() != name.lower())] \
                if exact and sense else [name]
            kinds = [one.lemmas[0] for one in chain]
            gloss = sense.gloss if exact and sense else ""
        names.append(name)
        sentences.append(_sentences(aliases, kinds, gloss, seed))
    for offset in shared:
        synset = wordnet.synsets[offset]
        kinds = [one.lemmas[0] for one in wordnet.ancestors(synset)]
        names.append(synset.lemmas[0])
        sentences.append(_sentences(list(synset.lemmas), kinds, synset.gloss, seed))
    return Vocabulary(nodes=tuple(names), sentences=tuple(sentences),
                      comparable=comparable, ancestors=ancestors)
