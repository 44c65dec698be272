"""Requests whose body is a table, and how the API's description tells of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest

from webapp.api.errors import ApiError
from webapp.collections.tables import MAX_BYTES

CSV_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}}


def csv_body(request: HttpRequest, file: str) -> bytes:
    """Return the body of a request that sends a CSV.

    Raises:
        ApiError: 413 if it is too large.
    """
    content = request.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, file, f"more than {MAX_BYTES // 2**20} MB",
                       "leave out what is neither path nor label")
    return content
