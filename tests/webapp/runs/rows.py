"""Rows as the web and a worker would leave them, for the tests of runs and of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils import timezone

from core.catalog import parse
from webapp.collections.models import ClassList, ClassListVersion, Collection, Image, TrueLabel
from webapp.review.models import Correction, ReviewAction
from webapp.runs.models import Prediction, Run

NAMES = ("cat", "dog", "owl")
CONFIDENCE = [0] * 10 + [1, 2, 3, 4, 5, 6, 7, 8, 9, 15]


def person(name: str) -> User:
    """Make a user who can sign in."""
    return get_user_model().objects.create_user(name)


def class_list(owner: User, names: tuple[str, ...] = NAMES, title: str = "pets") -> ClassListVersion:
    """Make a class list of one version."""
    return ClassListVersion.objects.create(
        class_list=ClassList.objects.create(owner=owner, name=title), number=1, names=list(names), created_by=owner)


def collection(owner: User, num_images: int = 60, *, names: tuple[str, ...] = NAMES, num_classes: int | None = None,
               title: str = "Pets at home", mirror: bool = True) -> Collection:
    """Make a collection with its question and the rows of its images, without their files."""
    version = class_list(owner, names, f"names of {title}") if names else None
    made = Collection.objects.create(owner=owner, name=title, class_list_version=version, num_classes=num_classes,
                                     mirror=mirror)
    add_images(made, num_images)
    return made


def add_images(to: Collection, count: int) -> None:
    """Add so many different pictures."""
    first = to.images.count()
    Image.objects.bulk_create([Image(
        collection=to, number=number, path=f"photos/{number:03d}.png", sha256=f"{number:064x}",
        file=f"images/{to.pk}/{number}.png", thumbnail=f"thumbnails/{to.pk}/{number}.webp", width_px=8, height_px=8)
        for number in range(first, first + count)])


def run(of: Collection, method: str = "must", status: str = "succeeded", **fields: object) -> Run:
    """Make a run in a state, as its writers would leave it."""
    now = timezone.now()
    row: dict[str, object] = {
        "settings": asdict(parse(method, {})), "class_list_version": of.class_list_version,
        "num_classes": len(of.class_list_version.names) if of.class_list_version else of.num_classes, "status": status}
    if status == "running":
        row |= {"lease_token": "token", "lease_owner": "box:1", "heartbeat_at": now, "attempt": 1,
                "started_at": now - timedelta(seconds=90), "lease_expires_at": now + timedelta(seconds=45)}
    elif status == "paused":
        row |= {"attempt": 0, "started_at": now - timedelta(minutes=5)}
    elif status != "queued":
        row |= {"started_at": now - timedelta(minutes=5), "finished_at": now, "attempt": 1}
    if status == "succeeded":
        row["result"] = result()
    if status == "failed":
        row["error"] = "fairness is nan at step 2 of adapting: lower the learning rate"
    return Run.objects.create(collection=of, owner=of.owner, method=method, **row | fields)


def answered(run: Run, classes: Sequence[int]) -> Run:
    """Give the run an answer for each of its collection's images, in order."""
    Prediction.objects.bulk_create([
        Prediction(run=run, image=image, class_index=index, confidence=0.9, margin=0.5, top=[[index, 0.9]])
        for image, index in zip(run.collection.images.order_by("number"), classes, strict=True)])
    return run


def truth(of: Collection, classes: Sequence[int]) -> None:
    """Give each of a collection's images its true label, in order."""
    TrueLabel.objects.bulk_create([TrueLabel(image=image, name=NAMES[index].upper()) for image, index in zip(
        of.images.order_by("number"), classes, strict=True)])


def result(score: float = 0.9, histogram: tuple[int, ...] = (20, 25, 15), **more: object) -> dict[str, object]:
    """Return a result as the worker writes it."""
    return {"label_free_score": score, "classes_found": sum(one > 0 for one in histogram),
            "num_classes": len(histogram), "class_names": list(NAMES), "histogram": list(histogram),
            "confidence_histogram": CONFIDENCE,
            "seconds": 61.0, "measured": None, "baseline": None, "suggested_names": [], "refused": 0} | more


def answer(by: Run) -> None:
    """Store an answer for every image of a run's collection: the classes in turn."""
    Prediction.objects.bulk_create([Prediction(
        run=by, image=image, class_index=image.number % len(NAMES), confidence=0.8, margin=0.6,
        top=[[image.number % len(NAMES), 0.8]]) for image in by.collection.images.all()])


def review(by: Run, numbers: Mapping[int, int]) -> None:
    """Let a run's owner correct images: number -> class index."""
    action = ReviewAction.objects.create(run=by, author=by.owner, description="said")
    Correction.objects.bulk_create([Correction(
        action=action, image=by.collection.images.get(number=number), class_index=label)
        for number, label in numbers.items()])


def picture(of: Run, content: bytes = b"PNG") -> Path:
    """Store a picture where a worker does, and let the run's result speak of it."""
    path = Path(settings.RUNS_ROOT) / str(of.pk) / "pictures" / "typical.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    of.result |= {"pictures": [{"name": "typical", "title": "Nearest", "caption": "Each row is one group.",
                                "columns": [], "rows": ["cat", "owl"], "shows_images": True}]}
    of.save(update_fields=["result"])
    return path


def package(of: Run, content: bytes = b"PK-zip") -> Path:
    """Store a package where a worker does."""
    path = Path(settings.RUNS_ROOT) / str(of.pk) / "package.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
