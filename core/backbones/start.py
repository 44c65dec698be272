"""Beginning with the encoder of a model that an earlier run adapted, in place of the published weights.

The file is the model package's own: see `core.classifier.Classifier.save`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from core.backbones.clip import ClipBackbone
from core.backbones.vit import TimmBackbone
from core.errors import CheckpointError, ConfigError

WEIGHTS, DESCRIPTION = "model.safetensors", "settings.json"


@dataclass(frozen=True, kw_only=True)
class Start:
    """The encoders of one model package.

    Attributes:
        source: what a person calls it: a path, or "run 17".
        weights: the package's file of weights.
        digest: SHA-256 of that file.
        members: backbone's name in the catalogue -> (its place in the file, what the package says of it).
    """

    source: str
    weights: Path
    digest: str
    members: Mapping[str, tuple[int, Mapping[str, Any]]] = field(repr=False)

    @classmethod
    def of(cls, folder: Path, source: str) -> Start:
        """Read what an unpacked package holds.

        Raises:
            CheckpointError: when it is none.
        """
        try:
            said = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            with (folder / WEIGHTS).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            members = {one["backbone"]: (place, one) for place, one in enumerate(said["members"])}
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise CheckpointError(source, f"no model package, or damaged: {error}") from error
        return cls(source=source, weights=folder / WEIGHTS, digest=digest, members=members)

    def check(self, backbones: Sequence[str]) -> None:
        """Refuse settings that begin with none of the architectures in the package.

        Raises:
            ConfigError: naming both.
        """
        if not self.members.keys() & set(backbones):
            held, wanted = ", ".join(self.members), ", ".join(backbones)
            raise ConfigError("start_from", f"{self.source} holds an adapted {held}, the settings ask for {wanted}: "
                              f"choose {held} as the foundation model, or another model to begin with")

    def fill(self, backbone: ClipBackbone | TimmBackbone) -> None:
        """Give the encoder the package's weights, and read it as it was adapted.

        Raises:
            ConfigError: when its architecture is not the package's, naming both.
            CheckpointError: when the file is damaged.
        """
        place, said = self.members[backbone.name]
        theirs, ours = ({key: value for key, value in json.loads(json.dumps(config)).items() if key != "pooling"}
                        for config in (said["config"], backbone.config))
        if theirs != ours:
            raise ConfigError("start_from", f"{self.source} holds another {backbone.name}, {theirs}, than this "
                              f"labelfree's, {ours}: choose another model to begin with")
        prefix = f"members.{place}.visual."
        try:
            with safe_open(self.weights, framework="pt", device="cpu") as file:
                tensors = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys()  # noqa: SIM118
                           if key.startswith(prefix)}
            backbone.visual.load_state_dict(tensors, strict=True)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise CheckpointError(self.source, f"its weights do not fit: {str(error).splitlines()[0]}") from error
        if isinstance(backbone, ClipBackbone):
            backbone.logit_scale = float(said["logit_scale"])
        else:
            backbone.pooling = backbone.config["pooling"] = said["config"]["pooling"]
