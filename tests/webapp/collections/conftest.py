"""A collection of Alice's, and what is sent to workers caught instead."""

from __future__ import annotations

import pytest


@pytest.fixture
def collection(alice):
    from webapp.collections.models import Collection

    return Collection.objects.create(owner=alice, name="Field trip")


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    """Catch the messages to workers."""
    messages = []
    monkeypatch.setattr("webapp.collections.receiving.send",
                        lambda task, pk, queue: messages.append((task, pk, queue)) or True)
    return messages


@pytest.fixture
def brought(collection):
    """Return a function that puts a file where an upload leaves it, reads it, and returns the upload."""
    from webapp.collections import storage
    from webapp.collections.ingest import read_upload
    from webapp.collections.models import Upload

    def bring(name: str, content: bytes, into=collection, read: bool = True) -> Upload:
        upload = Upload.objects.create(collection=into, name=name, size_bytes=len(content), received_bytes=len(content),
                                       status=Upload.Status.RECEIVED, members_total=1)
        storage.upload_file(upload.pk).write_bytes(content)
        if read:
            read_upload(upload)
            upload.refresh_from_db()
        return upload

    return bring
