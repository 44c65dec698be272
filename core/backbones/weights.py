"""Where the weights of a backbone are: a folder of one's own, bundled, cached, or fetched when asked for."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import core.torchvision_schemas  # noqa: F401

import open_clip
import timm
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError

from core.catalog import BACKBONES, Backbone
from core.errors import ConfigError, WeightsUnavailable

BUNDLED = Path(__file__).parent.parent / "starter" / "weights"
WEIGHTS_VARIABLE = "LABELFREE_WEIGHTS"
CONNECT_SECONDS = 5.0


def describe(name: str) -> Backbone:
    """Return the catalogue's row.

    Raises:
        ConfigError: for an unknown name, listing the known.
    """
    if name not in BACKBONES:
        raise ConfigError("backbone", f"unknown backbone {name!r}; choose one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


def locate(name: str) -> Path:
    """Return the file of a backbone's weights, fetching it where it is neither here nor bundled nor cached.

    Looked for in this order: ``LABELFREE_WEIGHTS/<name>.safetensors``, the bundled starters, the model
    hub's cache, the model hub.

    Raises:
        ConfigError: for an unknown name.
        WeightsUnavailable: when it is nowhere to be had, with the fix.
    """
    backbone = describe(name)
    own = _own_folder()
    if own is not None and (own / f"{name}.safetensors").is_file():
        return own / f"{name}.safetensors"
    if backbone.pretrained == "bundled":
        file = BUNDLED / f"{name}.safetensors"
        if not file.is_file():
            raise WeightsUnavailable(name, f"{file} is missing; restore it, or train it with python -m core.starter")
        return file
    repository, file_name = _on_the_hub(name, backbone)
    cached = try_to_load_from_cache(repository, file_name)
    return Path(cached) if isinstance(cached, str) else _fetch(name, repository, file_name)


def bundled_config(name: str) -> Mapping[str, Any]:
    """Return the architecture of a bundled starter, from the JSON beside its weights."""
    own = _own_folder()
    for folder in ([own] if own else []) + [BUNDLED]:
        file = folder / f"{name}.json"
        if file.is_file():
            config: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return config
    raise WeightsUnavailable(name, f"{BUNDLED / name}.json, which describes it, is missing; restore it")


def _own_folder() -> Path | None:
    """Return the folder named by LABELFREE_WEIGHTS, which is looked at first."""
    given = os.environ.get(WEIGHTS_VARIABLE)
    return Path(given) if given else None


def _on_the_hub(name: str, backbone: Backbone) -> tuple[str, str]:
    """Return (repository, file) of the weights as open_clip and timm themselves name them."""
    if backbone.library == "open_clip":
        found = open_clip.get_pretrained_cfg(backbone.architecture, backbone.pretrained).get("hf_hub", "")
        return found.strip("/"), "open_clip_model.safetensors"
    return timm.get_pretrained_cfg(backbone.architecture).hf_hub_id, "model.safetensors"


def _fetch(name: str, repository: str, file_name: str) -> Path:
    """Download once into the model hub's cache; fail in seconds where there is no way out."""
    fix = (f"put the file as {name}.safetensors into a folder and set {WEIGHTS_VARIABLE} to it, or connect this "
           f"machine to the network once, or choose a bundled backbone (starter-clip, starter-mae)")
    if constants.HF_HUB_OFFLINE:
        raise WeightsUnavailable(name, f"not cached, and HF_HUB_OFFLINE forbids fetching {repository}; {fix}")
    if not _reachable():
        raise WeightsUnavailable(name, f"not cached, and {constants.ENDPOINT} does not answer; {fix}")
    try:
        # safetensors of the publisher's repository that the catalog names: numbers, which run nothing.
        return Path(hf_hub_download(repository, file_name, etag_timeout=CONNECT_SECONDS))  # nosec B615
    except (OSError, HfHubHTTPError) as error:
        raise WeightsUnavailable(name, f"{repository} could not be fetched ({type(error).__name__}); {fix}") from error


def _reachable() -> bool:
    """Tell in seconds whether the hub answers at all: its client would retry for half a minute.

    Behind a proxy only the proxy can tell.
    """
    if "https" in getproxies():
        return True
    address = urlsplit(constants.ENDPOINT)
    try:
        with socket.create_connection((address.hostname or "", address.port or 443), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False
