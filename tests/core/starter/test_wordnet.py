"""WordNet's own file format, in a page of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.starter import wordnet

DATA = """\
  1 This line is the licence.
00000001 03 n 01 entity 0 000 | that which exists
00000002 05 n 01 animal 0 001 @ 00000001 n 0000 | a living organism that moves; "animals eat"
00000003 05 n 02 dog 0 domestic_dog 0 001 @ 00000002 n 0000 | a member of the genus Canis
00000004 18 n 01 dog 2 001 @ 00000001 n 0000 | informal term for a man
00000005 09 n 01 idea 0 001 @ 00000001 n 0000 | a thought
"""
INDEX = """\
  1 This line is the licence.
animal n 1 1 @ 1 0 00000002
dog n 2 1 @ 2 1 00000004 00000003
domestic_dog n 1 1 @ 1 0 00000003
idea n 1 1 @ 1 0 00000005
"""


@pytest.fixture
def words(tmp_path: Path) -> wordnet.WordNet:
    (tmp_path / "data.noun").write_text(DATA)
    (tmp_path / "index.noun").write_text(INDEX)
    return wordnet.read(tmp_path)


def test_lemmas_glosses_and_hypernyms_are_read(words: wordnet.WordNet):
    dog = words.synsets[3]
    assert dog.lemmas == ("dog", "domestic dog")
    assert words.synsets[2].gloss == "a living organism that moves"
    assert [one.lemmas[0] for one in words.ancestors(dog)] == ["animal"]  # without the empty top


@pytest.mark.parametrize("name", ["dog", "dogs", "Dog (animal) dog"])
def test_the_animal_wins_over_the_more_frequent_man(words: wordnet.WordNet, name: str):
    sense = words.visible_sense(name)
    assert sense is not None
    assert sense.offset == 3


def test_what_cannot_be_photographed_has_no_sense(words: wordnet.WordNet):
    assert words.visible_sense("idea") is None
    assert words.visible_sense("labelfree") is None
    assert 5 not in {one.offset for one in words.visible}


def test_a_machine_without_wordnet_is_told_what_to_install(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="apt-get install wordnet-base"):
        wordnet.read(tmp_path)
