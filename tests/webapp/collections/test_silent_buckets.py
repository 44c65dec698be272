"""A bucket whose server answers oddly or not at all: it is named, and does not keep the web waiting."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.db import connections
from django.test import Client

from tests.bucket_server import free_port
from tests.webapp.collections.bucket_source import add
from tests.webapp.collections.reading import read_all
from webapp.collections import buckets
from webapp.collections.models import Upload
from webapp.config.bucket_list import parse

pytestmark = pytest.mark.usefixtures("aws_environment", "told")


@pytest.mark.parametrize(("status", "content", "sentence"), [
    (200, b"<html>Welcome to <b>our</b> shop</html>", "speaks S3"),
    (200, b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents></ListBucketResult>",
     "speaks S3"),
    (403, b"<html>No.</html>", "for the rights to list"),
    (503, b"", "it does not answer"),
    (418, b"<Error><Code>Teapot</Code><Message>secret</Message></Error>", "speaks S3"),
    (400, b"<Error><Code>AuthorizationHeaderMalformed</Code></Error>", "?region="),
])
def test_a_server_that_answers_oddly_is_named(signed_in, collection, settings, odd, status, content, sentence):
    settings.SOURCE_BUCKETS = parse(f"museum={odd(status, content)[1]}/photos")
    assert sentence in add(signed_in, collection)


@pytest.fixture
def silent():
    """Give a socket that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def connections_to(listener: socket.socket) -> int:
    count = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def test_clicks_on_a_silent_bucket_hold_one_thread_and_not_for_long(
        transactional_db, alice, collection, settings, silent):
    from webapp.collections import s3

    settings.SOURCE_BUCKETS = parse(f"museum=http://127.0.0.1:{silent.getsockname()[1]}/photos")
    clients = [Client() for _ in range(6)]
    for client in clients:
        client.force_login(alice)

    def click(client: Client) -> tuple[float, str]:
        begun = time.monotonic()
        try:
            page = add(client, collection)
        finally:
            connections.close_all()
        return time.monotonic() - begun, page

    with ThreadPoolExecutor(len(clients)) as pool:
        *others, (seconds, page) = sorted(pool.map(click, clients))
    assert all("museum: it is being listed already" in said for _, said in others)
    assert max(waited for waited, _ in others) < s3.LISTING_PATIENCE.read_timeout <= seconds < 20
    assert "museum: it does not answer" in page
    assert connections_to(silent) == 1
    assert "museum: it does not answer" in click(clients[0])[1]
    assert connections_to(silent) == 0, "it did not answer a moment ago"


def test_a_bucket_that_did_not_answer_its_listing_is_asked_again_after_a_while(
        signed_in, collection, settings, odd):
    settings.SOURCE_BUCKETS = parse(f"museum=http://127.0.0.1:{free_port()}/photos")
    assert "museum: it does not answer" in add(signed_in, collection)
    handler, address = odd(200, b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    settings.SOURCE_BUCKETS = parse(f"museum={address}/photos")
    Upload.objects.create(collection=collection, name="9.png", size_bytes=9, status="received",
                          source="s3://museum/9.png?etag=")
    assert "museum: it does not answer" in add(signed_in, collection)
    read_all()
    assert Upload.objects.get().message.startswith("museum: it does not answer")
    assert Upload.objects.get().message.endswith(". What is left of it waits; reading goes on by itself.")
    assert handler.asked == 0

    os.utime(settings.CACHE_ROOT / "bucket-museum.away", (time.time() - buckets.ASK_AGAIN_SECONDS - 1,) * 2)
    assert "Nothing new in museum" in add(signed_in, collection)
    assert handler.asked == 1
