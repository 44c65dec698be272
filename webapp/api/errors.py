"""Errors as programs read them: {"error": {"what", "reason", "fix"}} under the right status code."""

from __future__ import annotations

from http import HTTPStatus

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.deprecation import MiddlewareMixin
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from core.errors import ConfigError, DataError, LabelfreeError

METHODS_FIX = "GET /api/v1/methods lists every method, setting, range and preset"
SCHEMA_FIX = "GET /api/v1/openapi.json describes what can be sent"

NOT_NAMES = frozenset({"body", "query", "path", "payload", "str", "constrained-str", "bool", "int", "float"})
"""Parts of a place that say where a field stands, or which kind it was held against, not what it is called."""


class ApiError(Exception):
    """A refusal that is the API's own."""

    def __init__(self, status: HTTPStatus, what: str, reason: str, fix: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.status, self.what, self.reason, self.fix = status, what, reason, fix


class WrongVerb(MiddlewareMixin):
    """Says in the one shape, too, that an address does not take a method: ninja answers that itself, in plain text."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Answer 405 as every other refusal."""
        if response.status_code != HTTPStatus.METHOD_NOT_ALLOWED or not request.path_info.startswith("/api/"):
            return response
        allowed = sorted(response["Allow"].split(", "))
        told = _answer(405, f"{request.method} {request.path}", "this address does not take that method",
                       f"send {' or '.join(allowed)}")
        told["Allow"] = ", ".join(allowed)
        return told


def add_handlers(api: NinjaAPI) -> None:
    """Teach an API to say what went wrong in the one shape."""
    api.add_exception_handler(ApiError, _refused)
    api.add_exception_handler(LabelfreeError, _refused_by_core)
    api.add_exception_handler(ValidationError, _malformed)
    api.add_exception_handler(Http404, _missing)
    api.add_exception_handler(HttpError, _http_error)


def _answer(status: int, what: str, reason: str, fix: str) -> JsonResponse:
    return JsonResponse({"error": {"what": what, "reason": reason, "fix": fix}}, status=status)


def _refused(request: HttpRequest, error: ApiError) -> HttpResponse:
    return _answer(error.status, error.what, error.reason, error.fix)


def _refused_by_core(request: HttpRequest, error: LabelfreeError) -> HttpResponse:
    """Answer 422: our errors say the reason, then, after a semicolon, the fix."""
    match error:
        case ConfigError(setting=what, reason=reason):
            default_fix = METHODS_FIX
        case DataError(file=what, reason=reason):
            default_fix = "correct it and send it again"
        case _:
            what, reason, default_fix = type(error).__name__, str(error), "ask whoever looks after this machine"
    reason, semicolon, fix = reason.rpartition("; ") if "; " in reason else (reason, "", "")
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, what, reason, fix if semicolon else default_fix)


def _malformed(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Answer 422 for what does not fit the schema, naming the first field."""
    first = error.errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in NOT_NAMES)
    reason = "is no field of this request" if first["type"] == "extra_forbidden" else first["msg"]
    others = f" ({len(error.errors) - 1} more)" if len(error.errors) > 1 else ""
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, place or "request", f"{reason}{others}", SCHEMA_FIX)


def _missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return _answer(HTTPStatus.NOT_FOUND, request.path, "there is no such thing, or it belongs to somebody else",
                   "check the number; GET /api/v1/collections lists what is yours")


def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    if error.status_code == HTTPStatus.FORBIDDEN:
        return _answer(HTTPStatus.FORBIDDEN, "origin", "a session needs the CSRF token that its pages carry",
                       "send X-CSRFToken, or use a token: Authorization: Bearer lf_…")
    return _answer(error.status_code, "request", error.message, SCHEMA_FIX)
