"""How many images a run is about: exact duplicates count once, and what is held out or set aside does not count."""

from __future__ import annotations

from django.db.models import QuerySet

from webapp.collections.models import Collection, Image
from webapp.runs.models import Prediction, Run


def adapted_to(collection: Collection) -> QuerySet[Image]:
    """Return the images that a run of now would adapt to, duplicates among them."""
    return collection.images.filter(held_out=False, set_aside=False).order_by()


def count_different(collection: Collection) -> int:
    """Return how many different pictures a run of now would adapt to."""
    return adapted_to(collection).values("file").distinct().count()


def count_duplicates(run: Run) -> int:
    """Return how many images a finished run answered that are exact copies of another."""
    return Prediction.objects.filter(run=run, image__duplicate_of__isnull=False, image__held_out=False).count()


def answers_all(run: Run) -> bool:
    """Tell whether a finished run answered just the images that a run of now would answer."""
    now = run.collection.images.filter(set_aside=False).count()
    return run.predictions.count() == now and not run.predictions.filter(image__set_aside=True).exists()


def different_images(different: int, duplicates: int) -> str:
    """Return what so many images are called: "different images (1 duplicate counts once)" where that matters."""
    images = "image" if different == 1 else "images"
    if not duplicates:
        return images
    return f"different {images} ({duplicates:,} duplicate{' counts' if duplicates == 1 else 's count'} once)"


def too_few(num_images: int) -> str:
    """Return why so many different images cannot be adapted to, or ""."""
    if num_images == 0:
        return "this collection has none to adapt to; add images first"
    return "one image is not enough to compare with anything; add more" if num_images == 1 else ""
