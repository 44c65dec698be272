"""A filled database for the review: real digits, a finished MUST run with a zero-shot baseline, and clusters.

Run as a program (``python -m tests.webapp.review.gallery``, with LABELFREE_HOME set) it migrates and fills that
home, and prints the runs' numbers and two sessions' cookies as JSON: what the tests against a real server need.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from webapp.collections.models import Collection
    from webapp.runs.models import Run

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Gallery:
    """What `fill` made."""

    owner: User
    stranger: User
    collection: Collection
    baseline: Run
    run: Run
    clusters: Run
    truth: tuple[int, ...]


def fill(num_images: int = 60, files: bool = False) -> Gallery:
    """Store `num_images` digits of `owner`, three finished runs on them, and a `stranger` who owns nothing of it."""
    from django.contrib.auth import get_user_model
    from sklearn.datasets import load_digits

    from webapp.collections.models import ClassList, ClassListVersion, Collection, Image

    users = get_user_model().objects
    owner = users.create_user("alice")
    stranger = users.create_user("charlie")
    digits = load_digits()
    truth = tuple(int(one) for one in digits.target[:num_images])
    version = ClassListVersion.objects.create(
        class_list=ClassList.objects.create(owner=owner, name="Digits"), number=1, names=list(NAMES), created_by=owner)
    collection = Collection.objects.create(owner=owner, name="Digits", class_list_version=version, mirror=False)
    Image.objects.bulk_create([Image(
        collection=collection, number=number, path=f"digits/{number:04d}.png", sha256=f"{number:064x}",
        file=f"images/{collection.pk}/00/{number:064x}.png", thumbnail=f"thumbnails/{collection.pk}/{number:064x}.webp",
        width_px=8, height_px=8) for number in range(num_images)])
    if files:
        _write_files(collection, digits.images)
    places = _places(digits.data[:num_images])
    baseline = _run(collection, "zeroshot", version, None, _answers(truth, right=0.55, seed=1), places)
    run = _run(collection, "must", version, baseline, _answers(truth, right=0.85, seed=2), places)
    shuffled = tuple((one * 3 + 1) % 10 for one in truth)
    kmeans = _run(collection, "kmeans", None, None, _answers(truth, right=0.7, seed=3), places)
    clusters = _run(collection, "turtle", None, kmeans, _answers(shuffled, right=0.9, seed=4), places)
    return Gallery(owner, stranger, collection, baseline, run, clusters, truth)


def _answers(truth: tuple[int, ...], right: float, seed: int) -> np.ndarray:
    """Return probabilities (N, 10) of a classifier that is `right` about so many images."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, (len(truth), len(NAMES)))
    meant = np.where(random.random(len(truth)) < right, truth, random.integers(0, len(NAMES), len(truth)))
    logits[np.arange(len(truth)), meant] += random.uniform(2.5, 7, len(truth))
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True)


def _places(pixels: np.ndarray) -> np.ndarray:
    """Return places (N, 2) in 0 … 1 on the first two directions in which discriminated digits differ."""
    from sklearn.decomposition import PCA

    places = PCA(2, random_state=0).fit_transform(pixels)
    return (places - places.min(0)) / np.ptp(places, axis=0)


def _run(collection: Collection, method: str, version: Any, baseline: Run | None, probabilities: np.ndarray,
         places: np.ndarray) -> Run:
    from django.utils import timezone

    from webapp.runs.models import Prediction, Run

    order = np.argsort(-probabilities, axis=1)
    histogram = np.bincount(order[:, 0], minlength=len(NAMES)).tolist()
    named = version is not None
    run = Run.objects.create(
        collection=collection, owner=collection.owner, method=method, class_list_version=version,
        num_classes=None if named else len(NAMES), baseline=baseline, status=Run.Status.SUCCEEDED,
        started_at=timezone.now(), finished_at=timezone.now(), histogram=histogram,
        result={"num_classes": len(NAMES), "classes_found": len(NAMES), "histogram": histogram,
                "class_names": list(NAMES) if named else [f"cluster {index + 1}" for index in range(len(NAMES))],
                "suggested_names": [] if named else [["a digit", NAMES[(index * 7 + 3) % 10], "a letter"]
                                                     for index in range(len(NAMES))]})
    images = collection.images.order_by("number")
    Prediction.objects.bulk_create([Prediction(
        run=run, image=image, class_index=int(best[0]), confidence=float(row[best[0]]),
        margin=float(row[best[0]] - row[best[1]]),
        top=[[int(index), round(float(row[index]), 6)] for index in best[:5]],
        map_x=float(x), map_y=float(y)) for image, row, best, (x, y) in zip(images, probabilities, order, places)])
    return run


def _write_files(collection: Collection, pictures: np.ndarray) -> None:
    from django.conf import settings
    from PIL import Image as Pillow

    for image in collection.images.all():
        picture = Pillow.fromarray((pictures[image.number] * (255 / 16)).astype("uint8"))
        for name in (image.file, image.thumbnail):
            path = Path(settings.MEDIA_ROOT) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


def session_cookie(user: User) -> str:
    """Return the session key of a new, signed-in session of `user`."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session.session_key or ""


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.config.settings")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    made = fill(int(os.environ.get("GALLERY_IMAGES", "300")), files=True)
    print(json.dumps({
        "run": made.run.pk, "clusters": made.clusters.pk, "owner": session_cookie(made.owner),
        "second": session_cookie(made.owner), "stranger": session_cookie(made.stranger)}))
