"""Pictures by checked views, and files answered in ranges."""

from __future__ import annotations

import asyncio
import io

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404
from django.test import Client, RequestFactory

from tests.webapp.collections.pictures import png
from webapp.accounts.models import ApiToken
from webapp.collections.models import Image
from webapp.config.files import AT_ONCE_BYTES, file_response


@pytest.fixture
def image(brought):
    brought("a.png", png())
    return Image.objects.get()


@pytest.mark.parametrize(("kind", "content_type"), [("thumbnails", "image/webp"), ("images", "image/png")])
def test_its_owner_sees_it_and_the_browser_keeps_it(signed_in, image, kind, content_type):
    response = signed_in.get(f"/media/{kind}/{image.pk}")
    assert response.status_code == 200
    assert response["Content-Type"] == content_type
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "private, max-age=31536000, immutable"
    again = signed_in.get(f"/media/{kind}/{image.pk}", headers={"If-None-Match": response["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_nobody_and_others_do_not_see_it(client, stranger, image):
    for kind in ("thumbnails", "images"):
        assert client.get(f"/media/{kind}/{image.pk}").status_code == 302
        assert stranger.get(f"/media/{kind}/{image.pk}").status_code == 404


def test_a_token_sees_it(alice, image):
    _, secret = ApiToken.issue(alice, "x")
    assert Client(headers={"Authorization": f"Bearer {secret}"}).get(f"/media/images/{image.pk}").status_code == 200


def test_a_lost_file_is_a_404(signed_in, image, settings):
    (settings.MEDIA_ROOT / image.file).unlink()
    assert signed_in.get(f"/media/images/{image.pk}").status_code == 404


def answer(path, **headers):
    return file_response(RequestFactory(headers=headers).get("/"), path)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "package.zip"
    path.write_bytes(bytes(range(256)) * (AT_ONCE_BYTES // 256 * 3))
    return path


@pytest.mark.parametrize(("asked", "first", "last"), [
    ("bytes=0-9", 0, 9), ("bytes=5-", 5, None), ("bytes=-4", -4, None), ("bytes=2097152-2097160", 2097152, 2097160),
    ("bytes=10-99999999", 10, None)])
def test_it_answers_with_the_range_that_was_asked_for(large, asked, first, last):
    content = large.read_bytes()
    expected = content[first:] if last is None else content[first:last + 1]
    response = answer(large, Range=asked)
    body = b"".join(response)
    assert response.status_code == 206
    assert body == expected
    assert response["Content-Length"] == str(len(expected))
    start = first % len(content)
    assert response["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{len(content)}"


def test_a_range_that_cannot_be_met_is_refused(large):
    response = answer(large, Range="bytes=99999999-")
    assert (response.status_code, response["Content-Range"]) == (416, f"bytes */{large.stat().st_size}")


@pytest.mark.parametrize("number", ["9" * 5000, "²", "٣"], ids=["long", "superscript", "arabic"])
def test_a_range_of_no_such_numbers_is_none(large, number):
    for asked in (f"bytes={number}-", f"bytes=0-{number}", f"bytes=-{number}"):
        assert answer(large, Range=asked).status_code == 200


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "lines=1-2", "bytes=-", ""])
def test_what_it_does_not_understand_gets_the_whole(large, asked):
    response = answer(large, Range=asked)
    assert response.status_code == 200
    assert b"".join(response) == large.read_bytes()


def test_a_range_of_an_older_file_gets_the_whole(large):
    assert answer(large, **{"Range": "bytes=0-9", "If-Range": '"older"'}).status_code == 200


def test_only_known_kinds_are_shown_by_a_browser(tmp_path):
    for name in ("x.svg", "x.html", "x"):
        path = tmp_path / name
        path.write_text("<script>alert(1)</script>")
        response = answer(path)
        assert response["Content-Type"] == "application/octet-stream"
        assert response["Content-Disposition"].startswith("attachment")
    with pytest.raises(Http404):
        answer(tmp_path / "missing.png")


def test_under_asgi_a_large_file_comes_in_pieces(large):
    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    response = file_response(ASGIRequest(scope, io.BytesIO()), large)
    assert response.is_async

    async def pieces():
        return [len(piece) async for piece in response.streaming_content]

    sizes = asyncio.run(pieces())
    assert sum(sizes) == large.stat().st_size
    assert max(sizes) <= 256 * 1024
