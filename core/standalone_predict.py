#!/usr/bin/env python3
"""Label images with the model beside this file: python predict.py IMAGE_OR_FOLDER… [--out labels.csv] [--json].

Needs what requirements.txt lists and nothing of labelfree. Answers are those of the labelfree that wrote it.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

try:
    import torchvision  # noqa: F401
except RuntimeError:  # a CUDA build of torchvision beside a CPU build of torch: declare the operators it lacks
    _LIBRARY = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

HERE = Path(__file__).resolve().parent
MAX_PIXELS = 89_478_485
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".avif",
            ".jp2", ".ppm", ".pgm", ".pbm", ".heic", ".heif"}


def find(given: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yield (name, file) of each image: files as given, folders from top to bottom, sorted."""
    for place in given:
        if place.is_dir():
            inside = sorted((path.relative_to(place).as_posix(), path) for path in place.rglob("*") if path.is_file())
            yield from ((name, path) for name, path in inside if path.suffix.lower() in SUFFIXES
                        and not any(part.startswith(".") for part in name.split("/")))
        else:
            yield str(place), place


def decode(path: Path) -> Image.Image:
    """Return a picture upright and in RGB: first frame, transparency over white, deep channels scaled to 8 bits."""
    if path.suffix.lower() in {".heic", ".heif"}:
        import pillow_heif  # not in requirements.txt: only telephones' HEIC needs it

        pillow_heif.register_heif_opener()
    with Image.open(path) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise ValueError(f"more than {MAX_PIXELS:,} pixels")
        opened.load()
        image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(eight_bits(np.asarray(image))).convert("RGB")
    if image.mode in {"La", "RGBa"}:
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer).convert("RGB")
    return image.convert("RGB")


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Scale integers or floats of any depth to 0 … 255."""
    values, low, high = pixels.astype(np.float64), float(pixels.min()), float(pixels.max())
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:
        scaled = values * 255
    elif low >= 0 and high <= 65535:
        scaled = values if pixels.dtype.kind == "f" and high <= 255 else values / 257
    else:
        scaled = (values - low) * (255 / (high - low))
    return np.rint(scaled).astype(np.uint8)


def view(image: Image.Image, side: int) -> torch.Tensor:
    """Return (3, side, side) in [0, 1]: shorter side resized (bicubic), centre crop."""
    width, height = image.size
    if min(width, height) != side:
        size = ((side, max(side, int(side * height / width))) if width <= height
                else (max(side, int(side * width / height)), side))
        image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    pixels = np.array(image.crop((left, top, left + side, top + side)))
    return torch.from_numpy(pixels).permute(2, 0, 1).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


class Model:
    """The image towers with their linear heads, as settings.json describes them."""

    def __init__(self, folder: Path, device: str) -> None:
        """Build the networks and fill in model.safetensors."""
        from safetensors.torch import load_file

        said = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        if said["format_version"] != 1:
            raise SystemExit(f"this program reads format 1; the model is of format {said['format_version']}")
        self.class_names, self.combination, self.device = said["class_names"], said["combination"], device
        tensors = load_file(folder / "model.safetensors")
        self.members = []
        for number, member in enumerate(said["members"]):
            start, network = f"members.{number}.visual.", build(member)
            network.load_state_dict({key.removeprefix(start): value for key, value in tensors.items()
                                     if key.startswith(start)})
            weight, bias = tensors[f"members.{number}.weight"], tensors.get(f"members.{number}.bias")
            self.members.append((member, network.to(device).eval(), weight.to(device),
                                 None if bias is None else bias.to(device)))

    @torch.inference_mode()
    def probabilities(self, images: list[Image.Image]) -> torch.Tensor:
        """Return the probability of each class for each image."""
        answers = []
        for member, network, weight, bias in self.members:
            pixels = torch.stack([view(image, member["image_size_px"]) for image in images]).to(self.device)
            mean, std = (pixels.new_tensor(member[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
            normalised = (pixels - mean) / std
            if member["config"].get("pooling") == "patches":
                embedding = network.forward_features(normalised)[:, network.num_prefix_tokens:].mean(1)
            else:
                embedding = network(normalised)
            if member["normalise"]:
                embedding = torch.nn.functional.normalize(embedding, dim=-1)
            logits = member["scale"] * (embedding @ weight)
            answers.append(logits if bias is None else logits + bias)
        if len(answers) == 1 or self.combination == "sum_of_logits":
            return torch.stack(answers).sum(0).softmax(-1).cpu()
        return torch.stack(answers).softmax(-1).mean(0).cpu()


def build(member: dict[str, Any]) -> Any:
    """Return a member's image tower, still without its weights."""
    config = dict(member["config"])
    if member["library"] == "open_clip":
        import open_clip

        config.pop("custom_text", None)
        config["text_cfg"] = {"context_length": 2, "vocab_size": 2, "width": 8, "heads": 1, "layers": 1}  # not used
        return open_clip.CustomTextCLIP(**config).visual
    import timm

    return timm.create_model(config["architecture"], pretrained=False, **config["arguments"])


def main() -> int:
    """Label what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE_OR_FOLDER")
    parser.add_argument("--out", type=Path, help="write path,label,confidence,margin to this CSV file")
    parser.add_argument("--json", action="store_true", help="print one JSON object an image, with every probability")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    model = Model(HERE, given.device)
    rows: list[tuple[str, str, str, str]] = []
    waiting: list[tuple[str, Image.Image]] = []

    def answer() -> None:
        for (name, _), found in zip(waiting, model.probabilities([image for _, image in waiting]), strict=True):
            top = found.topk(min(2, len(found))).values
            label = model.class_names[int(found.argmax())]
            rows.append((name, label, f"{top[0]:.6f}", f"{top[0] - top[1:].sum():.6f}"))
            if given.json:
                said = dict(zip(model.class_names, found.tolist(), strict=True))
                print(json.dumps({"path": name, "label": label, "probabilities": said}, ensure_ascii=False))
            elif not given.out:
                print(f"{top[0]:6.1%}  {label}  {name}")
        waiting.clear()

    for name, path in find(given.images):
        try:
            waiting.append((name, decode(path)))
        except (OSError, ValueError, SyntaxError, LookupError, TypeError, ImportError, RuntimeError) as error:
            print(f"left out {name}: {error}", file=sys.stderr)
        if len(waiting) == given.batch_size:
            answer()
    if waiting:
        answer()
    if not rows:
        print("no readable image", file=sys.stderr)
        return 2
    if given.out:
        with given.out.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([("path", "label", "confidence", "margin"), *rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
