"""The words of tus 1.0 (https://tus.io/protocols/resumable-upload): headers in, headers out. No files, no rows."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination"
CHUNK_TYPE = "application/offset+octet-stream"
View = Callable[..., HttpResponseBase]


class Refused(Exception):
    """An answer other than success, with what to say."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def speaks_tus(view: View) -> View:
    """Check the protocol's version on the way in, stamp it on the way out, and turn `Refused` into its answer."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
            response: HttpResponseBase = HttpResponse(
                f"this server speaks tus {VERSION}: send the header Tus-Resumable: {VERSION}", status=412,
                content_type="text/plain", headers={"Tus-Version": VERSION})
        else:
            try:
                response = view(request, *args, **kwargs)
            except Refused as refused:
                response = HttpResponse(refused.message, status=refused.status, content_type="text/plain")
        response["Tus-Resumable"] = VERSION
        response["Cache-Control"] = "no-store"
        return response

    return wrapped


def metadata(header: str) -> dict[str, str]:
    """Return the pairs of an Upload-Metadata header.

    Raises:
        Refused: 400 for what is not base64 of UTF-8.
    """
    found = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode("utf-8")
        except ValueError:  # not base64, not ASCII or not UTF-8
            raise Refused(400, f"Upload-Metadata: the value of {key[:80]!r} is not base64 of UTF-8 text") from None
    return found


def whole_number(request: HttpRequest, header: str) -> int:
    """Return a header that must be a whole number, 0 or more.

    Raises:
        Refused: 400 for anything else.
    """
    value = request.headers.get(header, "")
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise Refused(400, f"{header}: {value!r} is not a whole number of bytes")
    return int(value)
