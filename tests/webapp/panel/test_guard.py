"""The door in front of Gradio, tried on the real application: who passes, and what nobody may do."""

from __future__ import annotations

import json
import re
import secrets
from functools import lru_cache
from typing import Any

import httpx
import pytest

from tests.webapp.server import Server

HTML = {"Accept": "text/html"}
GRADIO_GETS = [
    "/", "/config", "/config/", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json", "/pwa_icon",
    "/login_check",
    "/monitoring", "/monitoring/summary", "/svelte/svelte.js", "/static/img/logo.svg", "/logout",
    "/gradio_api/user", "/gradio_api/login_check", "/gradio_api/token", "/gradio_api/app_id", "/gradio_api/info",
    "/gradio_api/openapi.json", "/gradio_api/runs", "/gradio_api/run-history/records", "/gradio_api/deep_link",
    "/gradio_api/dev/reload", "/gradio_api/custom_component/a/client/component/b.js",
    "/gradio_api/proxy=https://example.com/", "/gradio_api/file=/etc/passwd", "/gradio_api/file=http://example.com/a.png",
    "/gradio_api/file/etc/passwd", "/gradio_api/stream/abc/1/1/playlist.m3u8", "/gradio_api/heartbeat/abc",
    "/gradio_api/call/show/abc", "/gradio_api/call/v2/show/abc", "/gradio_api/queue/data?session_hash=abc",
    "/gradio_api/queue/status", "/gradio_api/upload_progress?upload_id=1", "/gradio_api/startup-events",
    "/gradio_api/theme.css", "/gradio_api/vibe-code", "/gradio_api/profiling/traces", "/no/such/path",
]
GRADIO_POSTS = [
    "/login", "/gradio_api/queue/join", "/gradio_api/reset", "/gradio_api/cancel", "/gradio_api/upload",
    "/gradio_api/run/predict", "/gradio_api/api/predict", "/gradio_api/call/show", "/gradio_api/component_server",
    "/gradio_api/stream/abc", "/gradio_api/process_recording", "/gradio_api/vibe-edit",
    "/gradio_api/run-history/connect", "/gradio_api/profiling/clear",
]
RUN = "/gradio_api/run/"
OPEN_GETS = {"/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/svelte/svelte.js",
             "/static/img/logo.svg", "/gradio_api/app_id", "/gradio_api/info", "/gradio_api/heartbeat/abc",
             "/gradio_api/startup-events", "/gradio_api/theme.css"}


@lru_cache
def _config(server: Server) -> dict[str, Any]:
    with server.client(server.owner) as client:
        return client.get("/panel/config", headers=_own(server)).json()


def _event(server: Server, session_hash: str, command: dict[str, Any] | None = None,
           handler: str = "show") -> dict[str, Any]:
    """Return the body by which the page asks for an event."""
    config = _config(server)
    function = next(one for one in config["dependencies"] if one["api_name"].split("_1")[0] == handler)
    form = [json.dumps(command or {}), "", None, "all", "Anyone", "Least sure first", 0, 100]
    data = form[:len(function["inputs"])]
    return {"fn_index": function["id"], "session_hash": session_hash, "data": data, "event_data": None}


def _own(server: Server) -> dict[str, str]:
    return {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}


def _ask(server: Server, session: str, run: object, session_hash: str | None = None, **event: Any) -> dict[str, Any]:
    """Send one event as the page does; return Gradio's answer."""
    session_hash = session_hash or secrets.token_hex(6)
    body = _event(server, session_hash, **event)
    with server.client(session) as client:
        answer = client.post(f"/panel{RUN}{event.get('handler', 'show')}?run={run}", json=body, headers=_own(server))
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("path", GRADIO_GETS)
def test_nobody_reads_anything(server: Server, path: str) -> None:
    with server.client() as client:
        assert client.get(f"/panel{path}").status_code == 401
        page = client.get(f"/panel{path}", headers=HTML)
    assert page.status_code == (302 if path == "/" else 401)


def test_nobody_is_sent_to_the_sign_in_page_and_back(server: Server) -> None:
    with server.client() as client:
        answer = client.get(f"/panel/?run={server.run}", headers=HTML)
        assert answer.headers["location"].endswith(f"?next=/panel/%3Frun%3D{server.run}")
        assert client.get(answer.headers["location"]).status_code == 200


@pytest.mark.parametrize("path", GRADIO_POSTS)
def test_nobody_writes_anything(server: Server, path: str) -> None:
    with server.client() as client:
        assert client.post(f"/panel{path}", json={"session_hash": "abc"}, headers=_own(server)).status_code == 401


@pytest.mark.parametrize("session", ["", "x", "0" * 32, "../../etc", "\u00e9".encode("utf-8").hex()])
def test_a_made_up_session_is_nobody(server: Server, session: str) -> None:
    with server.client(session) as client:
        assert client.get("/panel/config").status_code == 401


@pytest.mark.parametrize("path", sorted(set(GRADIO_GETS) - OPEN_GETS))
def test_a_route_that_the_panel_does_not_use_is_not_there(server: Server, path: str) -> None:
    with server.client(server.owner) as client:
        answer = client.get(f"/panel{path}")
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("path", sorted(set(GRADIO_POSTS) - {"/gradio_api/run/predict", "/gradio_api/reset"}))
def test_uploads_and_other_ways_in_are_not_there(server: Server, path: str) -> None:
    with server.client(server.owner) as client:
        answer = client.post(f"/panel{path}", files={"files": ("a.png", b"x")}, headers=_own(server))
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/assets/../config.py", "/static/%2e%2e/%2e%2e/etc/passwd", "/assets//etc/passwd",
                                  "/gradio_api/file%3D/etc/passwd", "/GRADIO_API/file=/etc/passwd"])
def test_a_path_that_climbs_leads_nowhere(server: Server, path: str) -> None:
    with server.client(server.owner) as client:
        assert client.get(f"/panel{path}").status_code in (403, 404)


def test_what_a_hash_names_is_kept_by_browsers_and_nothing_else(server: Server) -> None:
    with server.client(server.owner) as client:
        page = client.get("/panel/", headers=HTML)
        script = re.search(r'"\./(assets/[^"]+\.js)"', page.text)
        assert script is not None
        assert client.get(f"/panel/{script[1]}").headers["cache-control"].endswith("immutable")
        missing = client.get("/panel/assets/none-12345678.js")
        assert missing.status_code == 404
        for answer in (page, missing, client.get("/panel/static/img/logo.svg")):
            assert "immutable" not in answer.headers.get("cache-control", "")


def test_scripts_and_styles_come_packed_to_who_takes_them_so(server: Server) -> None:
    with server.client(server.owner) as client:
        page = client.get("/panel/", headers=HTML).text
        for place in set(re.findall(r'"\./(assets/[^"]+\.(?:js|css))"', page)):
            packed = client.get(f"/panel/{place}", headers={"Accept-Encoding": "br, gzip"})
            plain = client.get(f"/panel/{place}", headers={"Accept-Encoding": "identity"})
            assert (packed.status_code, plain.status_code) == (200, 200)
            assert packed.headers["content-encoding"] == "gzip"
            assert "content-encoding" not in plain.headers
            assert packed.content == plain.content
            assert packed.headers["content-type"].split(";")[0] == plain.headers["content-type"].split(";")[0]
            assert int(packed.headers["content-length"]) < len(plain.content) / 2
            assert packed.headers["cache-control"] == plain.headers["cache-control"]
    with server.client(None) as client:
        assert client.get(f"/panel/{place}").status_code == 401


def test_a_deep_link_is_not_followed(server: Server) -> None:
    with server.client(server.owner) as client:
        assert client.get("/panel/?deep_link=secret").status_code == 404


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {}, {"Referer": "https://evil.example/"},
])
def test_another_sites_page_cannot_send_events(server: Server, headers: dict[str, str]) -> None:
    body = _event(server, secrets.token_hex(6))
    with server.client(server.owner) as client:
        answer = client.post(f"/panel{RUN}show", json=body, headers=headers)
    assert answer.status_code == 403


def test_another_sites_page_cannot_read(server: Server) -> None:
    with server.client(server.owner) as client:
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}):
            answer = client.get("/panel/config", headers=headers)
            assert answer.status_code == 403
            assert "access-control-allow-origin" not in answer.headers
        own = client.get("/panel/config", headers=_own(server))
    assert own.status_code == 200
    assert not any(name.startswith("access-control-") for name in own.headers)


def test_a_foreign_host_name_is_refused(server: Server) -> None:
    with server.client(server.owner) as client:
        assert client.get("/panel/config", headers={"Host": "evil.example"}).status_code == 400


def test_a_stolen_session_hash_is_of_no_use(server: Server) -> None:
    session_hash = secrets.token_hex(6)
    _ask(server, server.owner, server.run, session_hash)
    with server.client(server.stranger) as client:
        assert client.get(f"/panel/gradio_api/heartbeat/{session_hash}").status_code == 403
        body = _event(server, session_hash)
        assert client.post(f"/panel{RUN}show", json=body, headers=_own(server)).status_code == 403
        assert client.post("/panel/gradio_api/reset", json={"event_id": "1", "session_hash": session_hash},
                           headers=_own(server)).status_code == 403


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"no json", b'{"session_hash": 3}', b'{"session_hash": "a b"}'])
def test_an_event_without_a_session_is_refused(server: Server, body: bytes) -> None:
    with server.client(server.owner) as client:
        answer = client.post(f"/panel{RUN}show", content=body, headers=_own(server))
    assert answer.status_code == 400


def test_an_event_that_is_too_large_is_refused(server: Server) -> None:
    with server.client(server.owner) as client:
        answer = client.post(f"/panel{RUN}show", content=b"x" * (1024 * 1024 + 1), headers=_own(server))
    assert answer.status_code == 413


def test_the_owner_sees_the_run(server: Server) -> None:
    answer = _ask(server, server.owner, server.run)
    summary, grid = answer["data"][:2]
    assert "150" in summary
    assert grid.count("lf-tile") >= 60


@pytest.mark.parametrize("run", ["other", 10**9, "", "1; drop", "-1", "9" * 30])
def test_a_run_that_is_not_theirs_is_as_if_it_were_not_there(server: Server, run: object) -> None:
    answer = _ask(server, server.stranger, server.run if run == "other" else run)
    assert "Nothing here" in answer["data"][0]
    assert "lf-tile" not in json.dumps(answer)


@pytest.mark.parametrize(
    "handler", ["confirm", "correct", "rename", "undo", "redo", "inspect", "refresh", "only_class"])
def test_no_event_reaches_another_persons_run(server: Server, handler: str) -> None:
    command = {"everything": True, "class_index": 1, "image_id": 1, "name": "x"}
    answer = _ask(server, server.stranger, server.run, command=command, handler=handler)
    assert "Nothing here" in answer["data"][0]
    seen = _ask(server, server.owner, server.run)
    assert "<strong>0</strong> answered by a person" in seen["data"][0]


def test_what_is_refused_is_answered_so_and_in_words(server: Server) -> None:
    body = _event(server, secrets.token_hex(6), handler="confirm")
    with server.client(server.owner) as client:
        answer = client.post(f"/panel{RUN}confirm?run={server.run}", json=body, headers=_own(server))
    assert (answer.status_code, "no image is selected" in answer.json()["error"]) == (422, True)


@pytest.mark.parametrize(("place", "value"), [
    (0, "{"), (0, 3), (0, "[]"), (2, ["x"]), (3, "no class"), (3, {}), (4, []), (4, "Nobody"), (5, {}), (5, "Largest"),
    (6, "x"), (6, None), (7, 10**400), (7, [])])
def test_a_form_that_no_page_sends_is_refused_and_breaks_nothing(server: Server, place: int, value: object) -> None:
    body = _event(server, secrets.token_hex(6), command={"view": "answers", "ids": [1]}, handler="correct")
    body["data"][place] = value
    with server.client(server.owner) as client:
        answer = client.post(f"/panel{RUN}correct?run={server.run}", json=body, headers=_own(server))
    assert (answer.status_code, bool(answer.json()["error"])) == (422, True), answer.text


def test_the_answers_name_our_policy(server: Server) -> None:
    with server.client(server.owner) as client:
        headers = client.get("/panel/").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["x-content-type-options"] == "nosniff"


def test_a_person_who_signs_out_is_out_of_the_panel(server: Server) -> None:
    with server.client(server.second) as client:
        assert client.get("/panel/config").status_code == 200
    import sqlite3

    with sqlite3.connect(server.home / "db.sqlite3") as database:
        database.execute("DELETE FROM django_session WHERE session_key = ?", (server.second,))
    with server.client(server.second) as client:
        assert client.get("/panel/config").status_code == 401


def test_django_answers_beside_the_panel(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:
        assert client.get("/sign-in/", follow_redirects=True).status_code in (200, 404)
        assert client.get("/panel").headers["location"] == "/panel/"
        assert client.get("/panelled").status_code in (302, 404)
