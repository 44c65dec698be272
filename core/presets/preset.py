"""What a preset is: some settings under a name, and where they come from. Standard library only.

A preset is the record of an experiment: its header says which paper, what it costs and what it
should reach. What we have not measured is marked as the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from core.settings import Value

SMALL_COLLECTION_VIEWS = 20_000
"""Image views a run of `small-collection` is given: about three minutes on two CPU cores at 64 px."""

FEW_IMAGES = 3_000
"""The smallest collection of MUST's and of unsupervised finetuning's paper has 3,060: with fewer, their batches make
too few steps."""


@dataclass(frozen=True, kw_only=True)
class Preset(Mapping[str, Value]):
    """Some settings of a method, and where they come from.

    Attributes:
        settings: by name; the rest stay at their defaults.
        source: the paper, or ours.
        cost: on named hardware, or "unmeasured here".
        expected: what it should reach, and who says so.
    """

    settings: Mapping[str, Value]
    source: str
    cost: str
    expected: str

    def __getitem__(self, name: str) -> Value:
        return self.settings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.settings)

    def __len__(self) -> int:
        return len(self.settings)

    def command(self, method: str, name: str) -> str:
        """Return the shell command that runs it."""
        labels = " --labels CSV" if method == "semimae" else ""
        return f"python -m core adapt --images DIR --names FILE{labels} --method {method} --preset {name} --out OUT"
