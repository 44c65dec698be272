"""Texts, numbers and headers that Hypothesis makes up, and what must be true of every answer to them."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, fields
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as draw

from core.catalog import METHODS, parse
from core.errors import ConfigError, DataError
from core.labels import read_confidences, read_labels
from core.names import MAX_NAMES, read_names

Check = Callable[[Any], None]


def examine(check: Check, values: draw.SearchStrategy[Any], count: int, trial: int) -> tuple[int, list[str]]:
    """Check `count` drawn values, the same ones each time; return how many were, and the smallest one that failed."""
    made = 0

    @seed(trial)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck),
              phases=(Phase.generate, Phase.shrink), report_multiple_bugs=False)
    @given(values)
    def checked(value: Any) -> None:
        nonlocal made
        made += 1
        check(value)

    try:
        checked()
    except Exception as error:
        return made, [f"{type(error).__name__}: {error}"[:600]]
    return made, []


def encoded(texts: draw.SearchStrategy[str]) -> draw.SearchStrategy[bytes]:
    """Return what a text is as a file: in one encoding or another, or no text at all."""
    encodings = draw.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "utf-32"))
    return draw.one_of(
        draw.builds(lambda text, encoding: text.encode(encoding, "replace"), texts, encodings),
        draw.binary(max_size=200))


NAMES = draw.lists(draw.one_of(draw.text(max_size=120), draw.sampled_from(("cat", "Cat", " dog ", "", "\t", "a\0b"))),
                   max_size=12)
CLASS_LISTS = encoded(draw.builds(lambda names, end: end.join(names), NAMES,
                                  draw.sampled_from(("\n", "\r\n", "\r", "\u2028", "\x85"))))
CELLS = draw.one_of(draw.text(max_size=12), draw.sampled_from(
    ("path", "label", "confidence", "file", "class", "a/1.png", "1.png", "cat", '"', '"a', "0.5", "nan", "-1", "")))
TABLES = encoded(draw.builds(
    lambda head, rows, comma, end: end.join(comma.join(row) for row in [head, *rows]),
    draw.one_of(draw.just(["path", "label", "confidence"]), draw.lists(CELLS, max_size=4)),
    draw.lists(draw.lists(CELLS, max_size=5), max_size=6), draw.sampled_from((",", ";", "\t")),
    draw.sampled_from(("\n", "\r\n", "\r"))))
JSON: draw.SearchStrategy[Any] = draw.deferred(lambda: draw.one_of(
    draw.none(), draw.booleans(), draw.integers(), draw.integers(-10**40, 10**40), draw.floats(),
    draw.text(max_size=20), draw.lists(JSON, max_size=3), draw.dictionaries(draw.text(max_size=10), JSON, max_size=3)))


def check_class_list(content: bytes) -> None:
    """A file of names is either read, and read again the same, or refused by its name and a line or its encoding."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "names.txt"
        path.write_bytes(content)
        try:
            names = read_names(path)
        except DataError as error:
            assert error.file == str(path), f"refused under the name {error.file}"
            assert "line" in error.reason or "UTF" in error.reason, f"no line is named: {error.reason}"
            return
        assert 1 <= len(names) <= MAX_NAMES
        path.write_text("\n".join(names), encoding="utf-8", newline="\n")
        assert read_names(path) == names


def check_labels(content: bytes) -> None:
    """A file of labels is either read or refused by its name."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.csv"
        path.write_bytes(content)
        for read in (read_labels, read_confidences):
            try:
                found: dict[str, Any] = read(path)  # type: ignore[operator]
            except DataError as error:
                assert error.file == str(path), f"refused under the name {error.file}"
                assert error.reason.strip()
            else:
                assert all(isinstance(name, str) for name in found)


def settings_of(method: str) -> draw.SearchStrategy[dict[str, Any]]:
    """Return settings for a method, most of them under names it has."""
    known = [one.name for one in fields(METHODS[method].settings)]
    odd = draw.sampled_from((0, 1, -1, 0.5, 1e308, "1e999", "nan", "yes", "auto", "", "²", "0x10"))
    values = draw.one_of(JSON, odd)
    return draw.dictionaries(draw.one_of(draw.sampled_from(known), draw.text(max_size=8)), values, max_size=5)


def check_settings(method: str) -> Check:
    """Return the check that settings are either accepted, and accepted again the same, or refused by name."""
    def check(values: dict[str, Any]) -> None:
        try:
            accepted = parse(method, values)
        except ConfigError as error:
            named = {name if name.strip() else f"setting {name!r}" for name in values}
            assert error.setting in {*named, "classes_from", "own_templates", "mixed_only"}, error.setting
            assert str(error).startswith(error.setting) and error.reason.strip()
            return
        assert parse(method, asdict(accepted)) == accepted
    return check


class Door:
    """One connection to the running product, kept open, with a token."""

    def __init__(self, base: str, token: str) -> None:
        self._place, self._token = urlsplit(base).netloc, token
        self._connection = HTTPConnection(self._place, timeout=120)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[HTTPResponse, bytes]:
        """Send one request as it is; return the answer and its body. A connection that breaks is an answer too late."""
        every = {"Authorization": f"Bearer {self._token}", **{name.replace("_", "-"): value
                                                             for name, value in headers.items()}}
        try:
            self._connection.request(method, path, body, every)
            answer = self._connection.getresponse()
            return answer, answer.read()
        except Exception:
            self._connection.close()
            raise


def check_tus(door: Door, collection: int) -> tuple[Check, draw.SearchStrategy[Any]]:
    """Return the check that whatever an announcement's headers say, what is wrong is named, and its strategy."""
    line = draw.text(draw.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
    value = draw.one_of(line, draw.text(max_size=30).map(lambda one: base64.b64encode(one.encode()).decode()),
                        draw.sampled_from((str(collection), "0", "9" * 30)).map(
                            lambda one: base64.b64encode(one.encode()).decode()))
    key = draw.one_of(line, draw.sampled_from(("filename", "collection", "modified", "sha256")))
    pairs = draw.lists(draw.tuples(key, value), max_size=5)
    told = pairs.map(lambda found: ",".join(f"{one} {two}" for one, two in found))
    right = f"collection {base64.b64encode(str(collection).encode()).decode()}"
    drawn = draw.fixed_dictionaries({
        "Tus_Resumable": draw.one_of(draw.just("1.0.0"), draw.just("1.0.0"), line),
        "Upload_Length": draw.one_of(draw.integers(-5, 10**20).map(str), line),
        "Upload_Metadata": draw.one_of(told, told.map(lambda one: f"{right},{one}"), line),
        "Content_Type": draw.sampled_from(("application/offset+octet-stream", "text/plain", ""))})

    def check(headers: dict[str, str]) -> None:
        answer, body = door.ask("POST", "/uploads/", b"", **headers)
        assert answer.status in (201, 400, 404, 412, 413, 507), f"answered {answer.status}: {body[:200]!r}"
        if answer.status == 201:
            removed, _ = door.ask("DELETE", urlsplit(answer.headers["Location"]).path, Tus_Resumable="1.0.0")
            assert removed.status in (204, 409), removed.status
        else:
            words = (b"Upload-", b"tus", b"collection", b"sha256", b"GB", b"disk")
            assert any(word in body for word in words), f"names nothing: {body[:200]!r}"
    return check, drawn


def check_questions(door: Door, collection: int) -> tuple[Check, draw.SearchStrategy[Any]]:
    """Return the check of what a browser asks about many files at once, and its strategy."""
    number = draw.one_of(draw.just(collection), JSON)
    row = draw.one_of(draw.tuples(draw.text(max_size=20), JSON, JSON), draw.tuples(JSON, JSON, JSON, JSON),
                      draw.tuples(draw.text(max_size=9), draw.integers(), draw.integers(), draw.just("0" * 64)))
    body = draw.one_of(
        draw.fixed_dictionaries({"collection": number}, optional={"files": draw.lists(row, max_size=4), "bytes": JSON}),
        JSON)
    drawn = draw.tuples(draw.sampled_from(("known", "claim", "room")), body)

    def check(asked: tuple[str, Any]) -> None:
        answer, said = door.ask("POST", f"/uploads/{asked[0]}/", json.dumps(asked[1]).encode(),
                                Content_Type="application/json")
        check_refusal(answer.status, said, (200, 400, 404, 413, 507))
    return check, drawn


def check_truth(door: Door, collection: int) -> Check:
    """Return the check of a truth CSV that is sent for a collection."""
    def check(content: bytes) -> None:
        answer, said = door.ask("PUT", f"/api/v1/collections/{collection}/truth", content, Content_Type="text/csv")
        check_refusal(answer.status, said, (200, 422))
        if answer.status == 422:
            assert json.loads(said)["error"]["what"] == "truth CSV", said
    return check


def check_refusal(status: int, said: bytes, allowed: tuple[int, ...]) -> None:
    """A refusal has one of these statuses and says what, why and what to do."""
    assert status in allowed, f"answered {status}: {said[:200]!r}"
    if status >= 400:
        error = json.loads(said)["error"]
        assert all(error[one].strip() for one in ("what", "reason", "fix")), error
