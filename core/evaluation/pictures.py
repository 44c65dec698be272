"""Pictures of a model: what its class token looks at, and where images lie in its features.

Shapes: N images.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from core.classifier import Classifier
from core.data.views import EvaluationView, as_tensor
from core.evaluation.drawing import heated, scatter, sheet
from core.evaluation.evidence import Evidence, Finding
from core.evaluation.places import map_places
from core.evaluation.tokens import gradcam
from core.names import fold

TILE_PX = 160


def attention(evidence: Evidence) -> Finding:
    """Draw GradCAM of the class token for zero-shot, the models beside and this one, a row an image.

    Explained is the true class where a model knows it by that name, else what the model answers.
    """
    others = [("zero-shot", evidence.zero_shot), *evidence.beside.items()]
    models = [*((name, one) for name, one in others if one is not None and one is not evidence.classifier),
              ("this model", evidence.answering)]
    view = EvaluationView(TILE_PX)
    rows = []
    for index in evidence.shown:
        image, true_name = evidence.pictures.load(index), evidence.true_names[index] if evidence.true_names else None
        heats = [_heat(model, image, true_name, evidence.run.device) for _, model in models]
        square = Image.fromarray(view.pixels(image))
        rows.append([square, *(heated(square, heat) for heat in heats)])
    names = ("image", *(name for name, _ in models))
    return Finding(picture=sheet(rows, TILE_PX), notes=(f"columns: {', '.join(names)}",), images=len(rows),
                   table=[["row", "path"], *([row + 1, evidence.paths[one]] for row, one in enumerate(evidence.shown))])


def _heat(model: Classifier, image: Image.Image, true_name: str | None, device: torch.device) -> np.ndarray:
    """Return what a model's class token sees in an image, (rows, columns) in 0 … 1."""
    member = model.to(device).members[0]
    member.backbone.eval()
    seen = as_tensor(EvaluationView(member.backbone.image_size_px).pixels(image))[None].to(device)
    known = [fold(name) for name in model.class_names]
    is_known = true_name is not None and fold(true_name) in known
    explained = known.index(fold(str(true_name))) if is_known else int(model.logits(seen).argmax())
    heat: np.ndarray = gradcam(member, seen, torch.tensor([explained], device=device))[0].cpu().numpy()
    return heat


def place_map(evidence: Evidence) -> Finding:
    """Draw where images lie in the features, before and after adapting, in the colours of their true classes.

    The papers draw UMAP. This is the map of the result page (t-SNE of the main directions), so that a collection
    looks alike everywhere and umap-learn, with a compiler of its own, need not be installed.
    """
    spaces = {"before": evidence.before, "after": evidence.backbones} if evidence.before else {
        "as it is": evidence.backbones}
    places = [map_places(torch.from_numpy(evidence.features_of(one)), evidence.run.seed) for one in spaces.values()]
    classes = evidence.truth if evidence.true_names else np.full(len(evidence.paths), -1)
    drawn = [scatter(one, classes) for one in places]
    names = evidence.true_names or ("",) * len(evidence.paths)
    rows = np.hstack(places).round(4).tolist()  # (N, 2 or 4)
    return Finding(
        picture=sheet([drawn], drawn[0].width), notes=(f"columns: {', '.join(spaces)}",),
        table=[["path", "true class", *(f"{axis} {when}" for when in spaces for axis in ("across", "down"))],
               *([path, name, *row] for path, name, row in zip(evidence.paths, names, rows, strict=True))])
