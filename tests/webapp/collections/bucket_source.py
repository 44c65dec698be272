"""A bucket as a source of images, asked for by a click."""

from __future__ import annotations

from webapp.collections.models import Upload


def forget_credentials() -> None:
    """Do what a new start does."""
    from webapp.collections import s3

    s3._storage.cache_clear()


def add(client, collection, below: str = "", bucket: str = "museum") -> str:
    response = client.post(f"/collections/{collection.pk}/bucket/", {"bucket": bucket, "below": below}, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def names() -> set[str]:
    return set(Upload.objects.values_list("name", flat=True))
