"""Every address of the application, as nobody and as another user: refused, redirected or not there.

Generated from the URL configuration: a new route is walked by itself, and one that takes an argument
this file cannot fill fails until a rule for it is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")

PUBLIC = {"sign_in", "sign_out", "sign_in_link"}
"""Routes that nobody may open: each has its own tests."""

OWN = {
    "home", "account", "create_token", "collections:create", "class_lists:index", "class_lists:create",
    "class_lists:check", "class_lists:editor", "uploads:create", "uploads:known",
}
"""Routes without an object: every signed-in person sees only what is theirs; each view's tests show it."""

OWN_API_PATHS = {"openapi.json", "collections", "class-lists", "runs", "methods", "me", ""}
"""The API's addresses without an object, below /api/v1/."""


@dataclass(frozen=True)
class Route:
    """One address with its arguments filled in."""

    name: str
    path: str
    has_object: bool


def patterns(resolver: URLResolver, prefix: str = "", names: str = "") -> Iterator[tuple[str, str, dict[str, str]]]:
    for one in resolver.url_patterns:
        path = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from patterns(one, path, f"{names}{one.namespace}:" if one.namespace else names)
        elif isinstance(one, URLPattern):
            kinds = {name: type(converter).__name__ for name, converter in one.pattern.converters.items()}
            yield f"{names}{one.name or ''}", path, kinds


def fill(path: str, values: dict[str, object]) -> str:
    for name, value in values.items():
        for kind in ("int:", "str:", "uuid:", "slug:", "path:", ""):
            path = path.replace(f"<{kind}{name}>", str(value))
    return "/" + path


@pytest.fixture
def objects(alice, brought_image) -> dict[str, object]:
    """Return Alice's objects by kind: what a route's argument may stand for."""
    from webapp.accounts.models import ApiToken
    from webapp.collections.models import ClassList
    from webapp.review.models import ReviewAction
    from webapp.runs.models import Run, Trial

    image, upload = brought_image
    class_list = ClassList.objects.create(owner=alice, name="pets")
    class_list.versions.create(number=1, names=["cat", "dog"])
    run = Run.objects.create(collection=image.collection, owner=alice, method="zeroshot")
    trial = Trial.objects.create(run=run, owner=alice, file="trials/x.png")
    action = ReviewAction.objects.create(run=run, author=alice, description="x")
    token, _ = ApiToken.issue(alice, "x")
    return {"collections": image.collection.pk, "class-lists": class_list.pk, "runs": run.pk, "uploads": upload.pk,
            "thumbnails": image.pk, "images": image.pk, "image": image.pk, "trials": trial.pk, "actions": action.pk,
            "tokens": token.pk}


@pytest.fixture
def brought_image(alice, settings):
    from webapp.collections.models import Collection, Image, Upload

    collection = Collection.objects.create(owner=alice, name="Alice's")
    upload = Upload.objects.create(collection=collection, name="a.png", size_bytes=5)
    image = Image.objects.create(collection=collection, upload=upload, number=0, path="a.png", sha256="0" * 64,
                                 file="images/a.png", thumbnail="thumbnails/a.webp", width_px=8, height_px=8)
    for name in (image.file, image.thumbnail):
        (settings.MEDIA_ROOT / name).parent.mkdir(parents=True, exist_ok=True)
        (settings.MEDIA_ROOT / name).write_bytes(b"picture")
    return image, upload


@pytest.fixture
def routes(objects) -> list[Route]:
    """Return every route with Alice's objects in the place of its arguments."""
    found = []
    for name, path, kinds in patterns(get_resolver()):
        values: dict[str, object] = {}
        for argument, kind in kinds.items():
            values[argument] = rule(path, argument, kind, objects)
        found.append(Route(name, fill(path, values), bool(kinds)))
    return found


def rule(path: str, argument: str, kind: str, objects: dict[str, object]) -> object:
    """Return what an argument stands for: the object named by the part of the address before it."""
    if argument == "secret":
        return "no-such-secret"
    if argument == "number":
        return 0 if "images" in path else 1
    before = path.split("<")[[part.split(">")[0].split(":")[-1] for part in path.split("<")].index(argument) - 1]
    words = [word for word in before.rsplit(">")[-1].split("/") if word]
    for word in reversed(words):
        if word in objects:
            return objects[word]
    raise AssertionError(f"no rule for <{argument}> ({kind}) in {path}: add one to this file")


def test_the_walk_reaches_what_it_must(routes):
    names = {route.name for route in routes}
    for expected in ("home", "collections:images", "collections:delete", "class_lists:detail", "uploads:upload",
                     "media:thumbnail", "runs:detail", "runs:package", "runs:labels_csv"):
        assert expected in names
    assert any(route.path.startswith("/api/v1/") for route in routes)


def test_nobody_is_let_in_anywhere(routes, client):
    for route in routes:
        if route.name in PUBLIC:
            continue
        for method in METHODS:
            response = getattr(client, method)(route.path)
            assert response.status_code in (302, 401, 403), (route, method, response.status_code)
            if response.status_code == 302:
                assert response["Location"].startswith("/sign-in/"), (route, method)
            assert b"Alice" not in response.content


def test_a_wrong_token_opens_nothing(routes):
    client = Client(headers={"Authorization": "Bearer lf_wrong"})
    for route in routes:
        if route.name not in PUBLIC:
            assert client.get(route.path).status_code in (302, 401, 403), route


def test_others_see_nothing_of_alices(routes, stranger):
    walked = 0
    for route in routes:
        if route.name in PUBLIC | OWN or not route.has_object:
            below = route.path.removeprefix("/api/v1/").strip("/")
            assert route.name in PUBLIC | OWN or below in OWN_API_PATHS, (
                f"{route}: a new route without an object: add it to OWN, with a test that others' things are not in it")
            continue
        for method in METHODS:
            kind = {"content_type": "application/json"} if method not in ("get", "head", "options") else {}
            response = getattr(stranger, method)(route.path, **kind)
            refused = response.status_code in (403, 404, 405, 412, 415, 422)
            harmless = method == "options" and response.status_code in (200, 204) and not response.content
            assert refused or harmless, (route, method, response.status_code)
            assert b"Alice" not in response.content, (route, method)
            walked += 1
    assert walked > 200


def test_nothing_of_alices_was_touched_by_the_walk(routes, stranger, client, objects):
    from webapp.collections.models import ClassList, Collection, Image, Upload
    from webapp.runs.models import Run

    for route in routes:
        if route.name == "sign_out":
            continue
        for method in ("post", "put", "patch", "delete"):
            getattr(stranger, method)(route.path, content_type="application/json")
            getattr(client, method)(route.path)
    assert [model.objects.count() for model in (ClassList, Collection, Image, Upload, Run)] == [1, 1, 1, 1, 1]
    run = Run.objects.get()
    assert (run.status, run.cancel_requested) == ("queued", False)
