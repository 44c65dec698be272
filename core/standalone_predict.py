#!/usr/bin/env python3
"""Label images with the model beside this file: python predict.py IMAGE_OR_FOLDER… [--out labels.csv] [--json].

Needs what requirements.txt lists and nothing of labelfree. Answers are those of the labelfree that wrote it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import struct
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

try:
    import torchvision  # noqa: F401
except RuntimeError:  # a CUDA build of torchvision beside a CPU build of torch: declare the operators it lacks
    _LIBRARY = torch.library.Library("torchvision", "DEF")
    for _name in ("nms", "qnms"):
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM"]
READABLE = "JPEG, PNG, WebP, TIFF, GIF, BMP, AVIF and, where pillow-heif is installed, HEIC"
with suppress(ImportError):
    import pillow_heif  # not in requirements.txt: only telephones' HEIC needs it

    pillow_heif.register_heif_opener()
    FORMATS.append("HEIF")

HERE = Path(__file__).resolve().parent
MAX_PIXELS, MIN_SIDE_PX = 89_478_485, 2
SYSTEM_NAMES = {"__macosx", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "icon\r",
                "lost+found", "$recycle.bin", "system volume information", "@eadir"}
LINKED_FOLDER = "a link to a folder; give that folder itself, or copy it here"
TURNS = {  # what EXIF's orientation asks for
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, RuntimeError,
          AttributeError, MemoryError, struct.error, zlib.error, Image.DecompressionBombError)


def find(given: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yield (name, file): files as given; of folders every file that is not hidden, sorted by name."""
    for place in given:
        if not place.is_dir():
            yield str(place), place
            continue
        inside: list[Path] = []
        for where, folders, files in os.walk(place, onerror=unreadable):
            folders[:] = [one for one in folders if not is_hidden(one)]
            for one in folders:
                if Path(where, one).is_symlink():
                    leave_out(Path(where, one).relative_to(place).as_posix(), LINKED_FOLDER)
            inside += (Path(where, one) for one in files if not is_hidden(one))
        yield from sorted((path.relative_to(place).as_posix(), path) for path in inside)


def leave_out(what: object, why: object) -> None:
    """Say that something is not answered, and why."""
    print(f"left out {printable(str(what))}: {why}", file=sys.stderr)


def unreadable(error: OSError) -> None:
    """Say that a folder cannot be looked into."""
    leave_out(error.filename, f"a folder that cannot be read ({error.strerror})")


def is_hidden(name: str) -> bool:
    """Tell what is hidden or the operating system's own, as labelfree's core/data/members.py does."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def printable(name: str) -> str:
    """Return the name with the bytes that are no UTF-8 written in hexadecimal digits."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def decode(path: Path) -> Image.Image:
    """Return a picture upright and in RGB: first frame, transparency over white, deep channels scaled to 8 bits.

    Left out, by a ValueError that says why, is what labelfree's core/data/decoding.py leaves out.
    """
    if not path.is_file():
        raise ValueError("a link to nothing or a special file" if os.path.lexists(path) else "no such file or folder")
    if not path.stat().st_size:
        raise ValueError("empty file")
    try:
        with Image.open(path, formats=FORMATS) as opened:
            check(opened)
            opened.load()
            return upright(rgb(opened), opened)
    except UnidentifiedImageError:
        raise ValueError(f"damaged or not an image; {READABLE} can be read") from None
    except Image.DecompressionBombError:
        raise ValueError(f"more than {MAX_PIXELS:,} pixels; make it smaller first") from None


def check(image: Image.Image) -> None:
    """Refuse what is too large or too small, and TIFFs that would show something wrong."""
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError
    if min(image.size) < MIN_SIDE_PX:
        raise ValueError(f"{image.width} x {image.height} pixels; each side needs at least {MIN_SIDE_PX}")
    if isinstance(image, TiffImageFile):
        tags = image.tag_v2
        if 50706 in tags or tags.get(254, 0) & 1:  # the version of DNG; "a reduced picture"
            raise ValueError("a camera's raw file, of which only its preview could be read; export it as JPEG or PNG")
        if tags.get(284) == 2 and max(tags.get(258, (1,))) > 8:  # each channel apart; bits a channel
            raise ValueError("a TIFF with more than 8 bits a channel, each channel apart; save it as PNG")


def upright(colour: Image.Image, opened: Image.Image) -> Image.Image:
    """Return a picture's colours turned as its EXIF says; damaged EXIF counts as none."""
    with suppress(*BROKEN):
        turn = TURNS.get(opened.getexif().get(274, 1))
        return colour if turn is None else colour.transpose(turn)
    return colour


def rgb(image: Image.Image) -> Image.Image:
    """Return a copy in RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(eight_bits(grey_values(image))).convert("RGB")
    if image.mode in {"La", "RGBa"}:
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, (255, 255, 255, 255)), layer).convert("RGB")
    return image.convert("RGB")


def grey_values(image: Image.Image) -> np.ndarray:
    """Return a deep grey picture's pixels as its file means them, as labelfree's core/data/tiffs.py does."""
    pixels, tags = np.asarray(image), getattr(image, "tag_v2", None)
    if tags is None:
        return pixels
    if pixels.dtype == np.int32 and tags.get(339, (1,))[0] == 1:  # sample format: unsigned
        pixels = pixels.view(np.uint32)
    if pixels.dtype.kind == "u" and tags.get(262) == 0:  # photometric interpretation: white is zero
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Scale integers or floats of any depth to 0 … 255."""
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("pixels that are not numbers")
    if pixels.dtype.kind == "f" and low >= 0 and high <= 1:
        start, factor = 0.0, 255.0
    elif low >= 0 and high <= 65535:
        start, factor = 0.0, 255 / next(full for depth in (8, 10, 12, 14, 16) if high <= (full := 2**depth - 1))
    else:
        start, factor = low, 255 / (high - low)
    return np.rint((pixels.astype(np.float64) - start) * factor).astype(np.uint8)


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

    def views(self, image: Image.Image) -> dict[int, torch.Tensor]:
        """Return what the members see of an image, by side."""
        return {side: view(image, side) for side in {member["image_size_px"] for member, *_ in self.members}}

    @torch.inference_mode()
    def probabilities(self, views: list[dict[int, torch.Tensor]]) -> torch.Tensor:
        """Return the probability of each class for each image."""
        answers = []
        for member, network, weight, bias in self.members:
            pixels = torch.stack([seen[member["image_size_px"]] for seen in views]).to(self.device)
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


def answers(model: Model, files: Iterable[tuple[str, Path]], batch_size: int) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield (name, probabilities) of each file that can be read; of those that wait, only the small views are kept."""
    names: list[str] = []
    waiting: list[dict[int, torch.Tensor]] = []
    for name, path in files:
        try:
            if printable(name) != name:
                raise ValueError("its name is not UTF-8; rename it")
            waiting.append(model.views(decode(path)))
            names.append(name)
        except BROKEN as error:
            leave_out(name, error or type(error).__name__)
        if len(waiting) == batch_size:
            yield from zip(names, model.probabilities(waiting), strict=True)
            names, waiting = [], []
    if waiting:
        yield from zip(names, model.probabilities(waiting), strict=True)


def usable_device(name: str) -> str:
    """Return the name of a device that works here."""
    try:
        torch.ones(1, device=name).cpu()
    except (RuntimeError, AssertionError, ImportError, AttributeError):
        raise argparse.ArgumentTypeError(f"no device “{name}” here; “cpu” always works") from None
    return name


def usable_file(name: str) -> Path:
    """Return a file that can be written here, its folder made."""
    out = Path(name)
    try:
        if out.exists() and not out.is_file():
            raise OSError(0, "no ordinary file")
        out = out.resolve()  # what a link points to is written, not the link
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            return out
    except OSError as error:
        raise argparse.ArgumentTypeError(f"“{printable(name)}”: {error.strerror}; name another file") from None


def write(out: Path, rows: list[tuple[str, str, str, str]]) -> None:
    """Write the CSV file, whole or not at all."""
    part = out.with_name(out.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            usual = csv.writer(stream, lineterminator="\n")
            quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
            for row in [("path", "label", "confidence", "margin"), *rows]:  # a carriage return without quotes ends it
                (quoting if any("\r" in cell for cell in row) else usual).writerow(row)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def main() -> int:
    """Label what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE_OR_FOLDER")
    parser.add_argument("--out", type=usable_file, help="write path,label,confidence,margin to this CSV file")
    parser.add_argument("--json", action="store_true", help="print one JSON object an image, with every probability")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", type=usable_device, default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    warnings.filterwarnings("ignore", module="PIL")  # what is left out is said by name
    model = Model(HERE, given.device)
    rows: list[tuple[str, str, str, str]] = []
    for name, found in answers(model, find(given.images), given.batch_size):
        top = found.topk(min(2, len(found))).values
        label = model.class_names[int(found.argmax())]
        rows.append((name, label, f"{top[0]:.6f}", f"{top[0] - top[1:].sum():.6f}"))
        if given.json:
            said = dict(zip(model.class_names, found.tolist(), strict=True))
            print(json.dumps({"path": name, "label": label, "probabilities": said}, ensure_ascii=False))
        elif not given.out:
            print(f"{top[0]:6.1%}  {label}  {name}")
    if not rows:
        print("no readable image", file=sys.stderr)
        return 2
    if given.out:
        try:
            write(given.out, rows)
        except OSError as error:
            print(f"{given.out} was not written: {error.strerror}; free some space and try again", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
