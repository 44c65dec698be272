"""WordNet 3.0 nouns, read from Debian's ``wordnet-base``: lemmas, hypernyms and glosses.

Miller, 1995, "WordNet: a lexical database for English". File formats: wndb(5WN).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

WORDNET = Path("/usr/share/wordnet")
TOPS, ANIMAL, ARTIFACT, FOOD, GROUP, OBJECT, PERSON, PLANT = 3, 5, 6, 13, 14, 17, 18, 20
VISIBLE_FILES = (TOPS, ANIMAL, ARTIFACT, FOOD, PLANT, OBJECT, PERSON, GROUP)
"""Lexicographer files whose senses can be photographed."""
TOO_GENERAL = frozenset({
    "entity", "physical entity", "object", "whole", "abstraction", "matter", "causal agent",
    "living thing", "organism", "thing", "substance", "abstract entity", "group", "part", "unit"})


@dataclass(frozen=True)
class Synset:
    """One sense: its offset, its lexicographer file, its lemmas, its gloss and its hypernyms."""

    offset: int
    file: int
    lemmas: tuple[str, ...]
    gloss: str
    hypernyms: tuple[int, ...]


@dataclass(frozen=True)
class WordNet:
    """All noun senses by offset, and the senses of each lemma in order of frequency."""

    synsets: dict[int, Synset]
    index: dict[str, tuple[int, ...]]

    def visible_sense(self, name: str, prefer_food: bool = False) -> Synset | None:
        """Return the sense of `name` that a photograph most likely shows, or None.

        An animal sense wins, then the most frequent visible one; the last word, and a singular,
        are tried when the whole name is unknown.
        """
        words = name.lower().replace("(", "").replace(")", "").split()
        for lemma in (" ".join(words), _singular(" ".join(words)), words[-1], _singular(words[-1])):
            senses = [self.synsets[offset] for offset in self.index.get(lemma, ())]
            visible = [sense for sense in senses
                       if sense.file in VISIBLE_FILES and not self._is_hominid(sense)]
            if visible:
                wanted = FOOD if prefer_food else ANIMAL
                return min(visible, key=lambda sense: sense.file != wanted)
        return None

    def _is_hominid(self, synset: Synset) -> bool:
        """Tell whether a sense is a zoologist's word for people, whom class names call persons."""
        return any(one.lemmas[0] == "hominid" for one in self.ancestors(synset))

    def ancestors(self, synset: Synset) -> list[Synset]:
        """Return every hypernym above `synset`, nearest first, without the empty top."""
        found: list[Synset] = []
        level = [synset]
        while level:
            level = [self.synsets[up] for one in level for up in one.hypernyms]
            found += [one for one in level if one not in found]
        return [one for one in found if one.lemmas[0] not in TOO_GENERAL]

    @cached_property
    def visible(self) -> tuple[Synset, ...]:
        """Return every sense that can be photographed."""
        return tuple(one for one in self.synsets.values() if one.file in VISIBLE_FILES)


def _singular(word: str) -> str:
    for plural, singular in (("ies", "y"), ("ches", "ch"), ("s", "")):
        if word.endswith(plural):
            return word[: -len(plural)] + singular
    return word


def _synset(line: str) -> Synset:
    fields, _, gloss = line.partition(" | ")
    parts = fields.split()
    lemma_count = int(parts[3], 16)
    lemmas = tuple(parts[4 + 2 * i].replace("_", " ") for i in range(lemma_count))
    pointers = parts[5 + 2 * lemma_count :]
    hypernyms = tuple(int(pointers[i + 1]) for i in range(0, len(pointers) - 3, 4)
                      if pointers[i] in ("@", "@i") and pointers[i + 2] == "n")
    return Synset(int(parts[0]), int(parts[1]), lemmas, gloss.split(";")[0].strip(), hypernyms)


def read(folder: Path = WORDNET) -> WordNet:
    """Read the noun files.

    Raises:
        FileNotFoundError: when WordNet is not installed.
    """
    if not (folder / "data.noun").exists():
        raise FileNotFoundError(f"no WordNet in {folder}: apt-get install wordnet-base")
    lines = [line for line in (folder / "data.noun").read_text().splitlines() if line[0] != " "]
    synsets = {one.offset: one for one in map(_synset, lines)}
    index: dict[str, tuple[int, ...]] = {}
    for line in (folder / "index.noun").read_text().splitlines():
        if line[0] != " ":
            parts = line.split()
            count = int(parts[2])
            index[parts[0].replace("_", " ")] = tuple(int(offset) for offset in parts[-count:])
    return WordNet(synsets, index)
