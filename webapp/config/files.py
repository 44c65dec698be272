"""Answers that carry a file: small ones at once, large ones in pieces, both with ranges and an ETag.

Django's own FileResponse, under ASGI, loads the whole file into memory and ignores Range.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header, http_date, parse_etags

BLOCK_BYTES = 256 * 1024
AT_ONCE_BYTES = 1024 * 1024
YEAR_SECONDS = 365 * 24 * 3600
TYPES = {
    ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".zip": "application/zip",
    ".csv": "text/csv; charset=utf-8", ".jsonl": "application/jsonl; charset=utf-8", ".json": "application/json",
}
"""The only kinds that are named to a browser; all else is bytes to be saved. No SVG, no HTML: they could run."""


def file_response(request: HttpRequest, path: Path, *, download_as: str = "",
                  immutable: bool = False) -> HttpResponseBase:
    """Answer with a file, or with the range of it that was asked for.

    Check the right to it before: this function does not.

    Args:
        request: whose Range and If-None-Match are honoured.
        path: the file.
        download_as: when given, the browser saves it under this name instead of showing it.
        immutable: the address will never stand for other content; the browser may keep it a year.

    Raises:
        Http404: if there is no such file.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise Http404("the file is gone") from None
    etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        response: HttpResponseBase = HttpResponseNotModified()
    else:
        response = _with_body(request, path, status.st_size, etag)
        response["Content-Type"] = TYPES.get(path.suffix, "application/octet-stream")
        response["Accept-Ranges"] = "bytes"
        response["Last-Modified"] = http_date(status.st_mtime)
        if download_as or path.suffix not in TYPES:
            response["Content-Disposition"] = content_disposition_header(True, download_as or path.name)
    response["ETag"] = etag
    response["Cache-Control"] = f"private, max-age={YEAR_SECONDS}, immutable" if immutable else "private, no-cache"
    return response


def _with_body(request: HttpRequest, path: Path, size_bytes: int, etag: str) -> HttpResponseBase:
    """Return the answer 200, 206 or 416 with its length and body."""
    wanted = _range(request.headers.get("Range", ""), size_bytes)
    if request.headers.get("If-Range", etag) != etag:
        wanted = None
    if wanted == ():
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size_bytes}"})
    first, last = wanted or (0, size_bytes - 1)
    count = last - first + 1
    body: bytes | Iterator[bytes] | AsyncIterator[bytes]
    if request.method == "HEAD":
        response: HttpResponseBase = HttpResponse()
    elif count <= AT_ONCE_BYTES:
        response = HttpResponse(b"".join(_blocks(path, first, count)))
    else:
        body = _async_blocks(path, first, count) if isinstance(request, ASGIRequest) else _blocks(path, first, count)
        response = StreamingHttpResponse(body)
    response["Content-Length"] = str(count)
    if wanted:
        response.status_code = 206
        response["Content-Range"] = f"bytes {first}-{last}/{size_bytes}"
    return response


def _range(header: str, size_bytes: int) -> tuple[int, int] | tuple[()] | None:
    """Return the first and last byte of a single range, () for one that cannot be met, None for the whole."""
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", header.strip())
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes - 1
    else:
        start, end = int(first), min(int(last), size_bytes - 1) if last else size_bytes - 1
    return (start, end) if start <= end else ()


def _blocks(path: Path, first: int, count: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while count > 0 and (block := file.read(min(BLOCK_BYTES, count))):
            count -= len(block)
            yield block


async def _async_blocks(path: Path, first: int, count: int) -> AsyncIterator[bytes]:
    blocks = _blocks(path, first, count)
    try:
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            yield block
    finally:
        await asyncio.to_thread(blocks.close)
