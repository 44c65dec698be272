"""A collection of Alice's, and what is sent to workers caught instead."""

from __future__ import annotations

import os
import threading
from http.server import ThreadingHTTPServer

import pytest

from tests.bucket_server import KEY, SECRET
from tests.webapp.collections.odd_server import Odd


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


@pytest.fixture
def aws_environment(monkeypatch, tmp_path):
    """Leave nothing of this machine's own AWS settings, and give the right credentials."""
    from tests.webapp.collections.bucket_source import forget_credentials

    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    forget_credentials()


@pytest.fixture
def told(monkeypatch):
    """Catch the messages to workers of what waits in a source."""
    messages: list[str] = []
    monkeypatch.setattr("webapp.collections.sources.send", lambda task, pk, queue: messages.append(pk) or True)
    return messages


@pytest.fixture
def odd():
    """Return a function that starts such a server and gives its class and its address."""
    running = []

    def start(status: int, content: bytes, length: int = 0):
        handler = type("OddOne", (Odd,), {"answer": (status, content, length), "asked": 0})
        running.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=running[-1].serve_forever, daemon=True).start()
        return handler, f"http://127.0.0.1:{running[-1].server_port}"

    yield start
    for one in running:
        one.shutdown()
        one.server_close()
