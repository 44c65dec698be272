"""Doors of the running product, tried from outside: other sites' pages, stolen sessions, guessed paths, links."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import product
from typing import Any
from urllib.parse import urlsplit

from benchmarks.app import App
from benchmarks.client import Refused

UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
IDLE_SECONDS = 120.0
PANEL_SHOW = "/panel/gradio_api/run/show"
FORM = ("{}", "", None, "all", "Anyone", "Least sure first", 0, 100)
"""What the panel's page sends with its first event."""
FORGERIES: Mapping[str, Mapping[str, str]] = {
    "without a word": {},
    "from elsewhere": {"Origin": "https://evil.example", "Referer": "https://evil.example/"},
    "from nowhere": {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    "from a neighbour": {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
}
"""What a browser says of a request that another site's page makes."""


@dataclass(frozen=True, kw_only=True)
class House:
    """A running product with three people's things in it.

    Attributes:
        app: it.
        owner, stranger: session cookies.
        token: the owner's API token.
        ids: the owner's things by the first word of an address.
    """

    app: App
    owner: str
    stranger: str
    token: str
    ids: Mapping[str, list[int]]

    def ask(self, method: str, path: str, session: str = "", body: bytes = b"",
            headers: Mapping[str, str] | None = None) -> tuple[int, bytes, Mapping[str, str]]:
        """Send one request exactly as it is; return status, body and headers."""
        connection = HTTPConnection(urlsplit(self.app.api.base).netloc, timeout=120)
        cookie = {"Cookie": f"labelfree_session={session}"} if session else {}
        try:
            connection.request(method, path, body, {**cookie, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read(4 << 20), answer.headers
        finally:
            connection.close()


def furnish(app: App) -> House:
    """Put the owner's images, runs and class list into a running product, and a stranger beside them."""
    from tests.webapp.review.gallery import fill, session_cookie
    from webapp.accounts.models import ApiToken

    made = fill(60, files=True)
    _, token = ApiToken.issue(made.owner, "bench")
    version = made.collection.class_list_version
    assert version is not None
    return House(app=app, owner=session_cookie(made.owner), stranger=session_cookie(made.stranger), token=token, ids={
        "collections": [made.collection.pk], "runs": [made.run.pk, made.clusters.pk, made.baseline.pk],
        "class-lists": [version.class_list_id]})


def forge(house: House) -> tuple[int, list[str]]:
    """Send every unsafe request there is as other sites' pages can; each must be refused and change nothing."""
    wait_until_idle()
    before = rows()
    _, _, headers = house.ask("GET", "/", house.owner)
    stolen = headers.get("Set-Cookie", "").partition("labelfree_csrf=")[2].partition(";")[0]
    made, wrong = 0, []
    for path, method, (how, said) in product(routes(house), UNSAFE, FORGERIES.items()):
        status, *_ = house.ask(method, path, house.owner, b"{}", {
            **said, "Content-Type": "application/json", **({"X-CSRFToken": stolen} if said else {})})
        made += 1
        if status not in (403, 404, 405) or (status == 404 and not path.startswith("/panel/")):
            wrong.append(f"{method} {path} {how} was answered {status}")
    if made < 500:
        wrong.append(f"only {made} requests: the routes were not found")
    changed = [f"there are {now} rows of {name}, before {before[name]}" for name, now in rows().items()
               if now != before[name]]
    return made, [*wrong, *changed]


def routes(house: House) -> Iterator[str]:
    """Yield every address of the URL configuration, and every route of Gradio's application, filled in."""
    from django.urls import get_resolver

    from tests.webapp.test_all_routes import fill, patterns
    from webapp.panel.loops import within_a_loop
    from webapp.panel.mount import gradio_application

    for _, path, kinds in patterns(get_resolver()):
        yield fill(path, {name: value_of(path, name, kind, house.ids) for name, kind in kinds.items()})
    yield from map(filled, within(within_a_loop(lambda: gradio_application(""))))


def within(application: Any, prefix: str = "") -> Iterator[str]:
    """Yield the paths of every route of an ASGI application, those of what is mounted or included in it too."""
    for route in application.routes:
        path = f"{prefix}{getattr(route, 'path', '')}"
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if hasattr(inner, "routes"):
            yield from within(inner, path)
        else:
            yield path


def value_of(path: str, name: str, kind: str, ids: Mapping[str, list[int]]) -> object:
    """Return what stands for an argument of an address."""
    known = next((found[0] for word, found in ids.items() if f"{word}/<" in path and name == "pk"), None)
    if known is not None:
        return known
    return {"UUIDConverter": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "IntConverter": 1}.get(kind, "x")


def filled(path: str) -> str:
    """Return an address of Gradio's with something in the place of each argument."""
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + "x" + rest.partition("}")[2]
    return path


def wait_until_idle() -> None:
    """Cancel the runs that schemathesis has started, and wait for their ends: they write rows by themselves."""
    from webapp.runs.models import LIVE, Run

    deadline = time.monotonic() + IDLE_SECONDS
    while Run.objects.filter(status__in=LIVE).update(cancel_requested=True):
        if time.monotonic() > deadline:
            raise Refused(f"runs that were cancelled are not over after {IDLE_SECONDS:.0f} s")
        time.sleep(1)


def rows() -> dict[str, int]:
    """Return how many rows each of our tables has."""
    from django.apps import apps

    kept = {model.__name__: model.objects.count() for model in apps.get_models()  # type: ignore[attr-defined]
            if model.__module__.startswith("webapp.")}
    return {name: count for name, count in kept.items() if name != "Session"}


def steal_sessions(house: House, count: int) -> tuple[int, list[str]]:
    """Let the stranger, and nobody, use session hashes of the owner's panel."""
    own = {"Origin": house.app.api.base, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
    made, wrong = 0, []
    for _ in range(count):
        session_hash = secrets.token_hex(6)
        body = json.dumps({"fn_index": 0, "session_hash": session_hash, "data": FORM, "event_data": None}).encode()
        status, said, _ = house.ask("POST", f"{PANEL_SHOW}?run={house.ids['runs'][0]}", house.owner, body, own)
        if status != 200:
            wrong.append(f"the owner's own event was answered {status}: {said[:100]!r}")
        for thief, expected in ((house.stranger, 403), ("", 401)):
            for method, path, content in (
                    ("GET", f"/panel/gradio_api/heartbeat/{session_hash}", b""), ("POST", PANEL_SHOW, body),
                    ("POST", "/panel/gradio_api/reset", body)):
                status, *_ = house.ask(method, path, thief, content, own)
                made += 1
                if status != expected:
                    wrong.append(f"{method} {path} by {'the stranger' if thief else 'nobody'} was answered {status}")
    return made, wrong


def guess_paths(house: House) -> tuple[int, list[str]]:
    """Ask for the server's own files by every way that a path can be written; none may come."""
    home = house.app.home
    secret = (home / "secret_key").read_bytes()[:24]
    signs = (secret, b"SQLite format 3", b"root:x:0:0")
    targets = ("/etc/passwd", f"{home}/db.sqlite3", f"{home}/secret_key", "../../../../../../etc/passwd", "secret_key",
               "../secret_key", "../db.sqlite3", "db.sqlite3")
    places = ("/panel/gradio_api/file=", "/panel/gradio_api/file/", "/panel/file=", "/panel/static/", "/panel/assets/",
              "/panel/svelte/", "/panel/gradio_api/custom_component/x/client/component/", "/panel/gradio_api/proxy=file://",
              "/panel/gradio_api/stream/x/1/", "/panel/?deep_link=", "/panel/gradio_api/upload_progress?upload_id=",
              "/static/", "/media/", "/media/images/", "/api/v1/runs/1/pictures/", "/")
    writings = (lambda one: one, lambda one: one.replace("/", "%2f"), lambda one: one.replace("..", "%2e%2e"),
                lambda one: one.replace("..", "%252e%252e"), lambda one: one.replace("/", "\\"),
                lambda one: one.replace("../", "..;/"), lambda one: one.replace("../", "....//"), lambda one: f"/{one}",
                lambda one: f"{one}%00.png")
    made, wrong = 0, []
    for place, target, written, who in product(places, targets, writings, (house.stranger, house.owner, "")):
        path = place + written(target)
        status, said, _ = house.ask("GET", path, who)
        made += 1
        if any(sign in said for sign in signs) or status >= 500:
            wrong.append(f"GET {path} was answered {status} with {said[:60]!r}")
    return made, wrong


def use_links_of_others(house: House) -> tuple[int, list[str]]:
    """Try links and tokens that were changed, used, withdrawn or meant for somebody else."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.tokens import default_token_generator
    from django.utils.encoding import force_bytes
    from django.utils.http import urlsafe_base64_encode

    from webapp.accounts.models import SignInLink
    from webapp.collections.models import Collection, Image
    from webapp.sharing.models import Invitation, Role

    owner, stranger = (get_user_model().objects.get(username=name) for name in ("alice", "charlie"))
    collection = Collection.objects.get(pk=house.ids["collections"][0])
    tried: list[tuple[str, str, str, tuple[int, ...]]] = []  # what, path, session, allowed answers
    invitation, link = Invitation.objects.issue(collection, Role.OWNER, owner), SignInLink.objects.issue(owner)
    for name, path in (("invitation", f"/invitations/{invitation}/"), ("sign-in link", f"/link/{link}/")):
        for place in range(path.rindex("/", 0, -1) + 1, len(path) - 1, 3):
            other = "A" if path[place] != "A" else "B"
            tried.append((f"{name} with a letter changed", path[:place] + other + path[place + 1:], "", (404, 410)))
    collection.invitations.all().delete()
    tried.append(("withdrawn invitation", f"/invitations/{invitation}/", house.stranger, (404, 410)))
    for image in Image.objects.filter(collection=collection)[:20]:
        for kind in ("thumbnails", "images"):
            tried += [(f"{kind} of another", f"/media/{kind}/{image.pk}", house.stranger, (404,)),
                      (f"{kind} for nobody", f"/media/{kind}/{image.pk}", "", (302, 401))]
    for run in house.ids["runs"]:
        tried += [("download of another", f"/api/v1/runs/{run}/{what}", house.stranger, (404,))
                  for what in ("package", "labels.csv", "labels.jsonl", "predictions", "pictures/typical")]
    wrong = [f"{what}: GET {path} was answered {status}" for what, path, session, allowed in tried
             if (status := house.ask("GET", path, session)[0]) not in allowed]
    made = len(tried)
    own, foreign = default_token_generator.make_token(owner), default_token_generator.make_token(stranger)
    number = urlsafe_base64_encode(force_bytes(owner.pk))
    before = owner.password
    for token in (foreign, own[:-1] + ("0" if own[-1] != "0" else "1"), "set-password", f"{own}x", "x-x"):
        status, said, _ = house.ask("GET", f"/new-password/{number}/{token}/")
        made += 1
        if status >= 500 or b"new_password1" in said:
            wrong.append(f"a password link with the token {token[:6]}… was answered {status} with a form")
    owner.refresh_from_db()
    for changed in (house.token[:-1] + "_", house.token.lower(), f"{house.token}x", "lf_", ""):
        status, *_ = house.ask("GET", "/api/v1/collections", headers={"Authorization": f"Bearer {changed}"})
        made += 1
        if status != 401:
            wrong.append(f"a changed token was answered {status}")
    return made, [*wrong, *([] if owner.password == before else ["the owner's password has changed"])]

