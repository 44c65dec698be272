"""Every address of the application by every kind of person: what each role may do there, and nothing more.

Generated from the URL configuration: a new route fails until `RULES` says what it takes, and one that takes
an argument this file cannot fill fails until `rule` knows it. The panel's events have the same test in
`tests/webapp/panel/test_handlers.py`, its routes in `test_guard.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.db import transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
SAFE = ("get", "head", "options")

PUBLIC = {"sign_in", "sign_out", "sign_in_link", "new_password", "sharing:accept", "health:healthz", "health:readyz"}
"""Routes that nobody may open: each has its own tests."""

OWN = {
    "home", "account", "change_password", "create_token", "collections:create", "class_lists:index",
    "class_lists:create",
    "class_lists:check", "class_lists:editor", "uploads:create", "uploads:known", "uploads:claim",
    "uploads:room", "health:metrics", "runs:queue",
    "collections:trash",
    "api/v1/openapi.json", "api/v1/collections", "api/v1/class-lists", "api/v1/methods", "api/v1/",
    "notices:edit", "notices:renew_secret",
}
"""Routes without an object: every signed-in person sees only what is theirs; each view's tests show it."""

ADMINISTRATORS = {"accounts", "deactivate_account", "activate_account", "give_collections"}
"""Routes of those who look after the installation, whatever role they have anywhere."""

SCOPELESS = {"api/v1/", "api/v1/openapi.json"}
"""The API's own description, for every token."""
REVIEWS = {"api/v1/runs/<pk>/corrections", "api/v1/runs/<pk>/labels", "api/v1/runs/<pk>/spot-check",
           "api/v1/runs/<pk>/spot-check/answers", "api/v1/runs/<pk>/spot-check/undo",
           "api/v1/runs/<pk>/spot-check/adopt"}
"""What takes the scope review."""

NOBODY_ELSE = "nobody else"
IN_TRASH = "an owner, in the trash"
RULES: dict[str, tuple[str, str]] = {
    **dict.fromkeys(["collections:detail", "collections:images", "collections:wall", "collections:image",
                     "collections:arrivals", "collections:files", "collections:near_copies",
                     "collections:files_csv", "collections:runs",
                     "sharing:people", "media:thumbnail", "media:image", "runs:compare", "runs:detail", "runs:live",
                     "runs:points", "runs:picture", "api/v1/runs/<pk>/pictures/<name>",
                     "runs:review", "runs:package", "runs:labels_csv", "runs:labels_jsonl", "runs:log", "review:map",
                     "review:version", "spot_checks:detail", "class_lists:version",
                     "api/v1/runs/<pk>/package",
                     "api/v1/runs/<pk>/labels.csv", "api/v1/runs/<pk>/labels.jsonl", "api/v1/runs/<pk>/predictions",
                     "api/v1/collections/<pk>/comparison", "api/v1/collections/<pk>/comparison/disputes"],
                    ("viewer", "")),
    **dict.fromkeys(["api/v1/collections/<pk>/recommendation"], ("owner", "")),
    **dict.fromkeys(["api/v1/runs/<pk>/spot-check"], ("viewer", "reviewer")),
    **dict.fromkeys(["sharing:leave"], ("", "viewer")),
    **dict.fromkeys(["collections:restore", "collections:delete_for_good", "runs:restore", "runs:delete_for_good",
                     "api/v1/runs/<pk>/restore"], ("", IN_TRASH)),
    **dict.fromkeys(["review:trials"], ("viewer", "viewer")),
    **dict.fromkeys(["runs:settle", "spot_checks:start", "spot_checks:answer", "spot_checks:undo",
                     "spot_checks:adopt", "review:import_labels", "api/v1/runs/<pk>/labels",
                     "api/v1/runs/<pk>/corrections", "api/v1/runs/<pk>/spot-check/answers",
                     "api/v1/runs/<pk>/spot-check/undo", "api/v1/runs/<pk>/spot-check/adopt"], ("", "reviewer")),
    **dict.fromkeys(["collections:question", "api/v1/collections/<pk>", "api/v1/collections/<pk>/runs",
                     "api/v1/runs/<pk>"],
                    ("viewer", "owner")),
    **dict.fromkeys(["collections:settings", "audit:history", "runs:new", "uploads:upload"], ("owner", "owner")),
    **dict.fromkeys(["collections:clear_refusals", "collections:truth", "collections:hold_out", "collections:delete",
                     "collections:discard_upload", "collections:set_aside", "collections:add_folder",
                     "collections:add_bucket", "collections:give_up",
                     "sharing:change", "sharing:invite", "sharing:withdraw",
                     "runs:duration",
                     "runs:cancel", "runs:again", "runs:prioritise", "runs:pause", "runs:resume", "runs:delete",
                     "api/v1/collections/<pk>/truth", "api/v1/collections/<pk>/held-out", "api/v1/runs/<pk>/cancel",
                     "api/v1/runs/<pk>/pause",
                     "api/v1/runs/<pk>/resume"],
                    ("", "owner")),
    **dict.fromkeys(["class_lists:detail", "api/v1/class-lists/<pk>"], ("viewer", NOBODY_ELSE)),
    **dict.fromkeys(["class_lists:delete"], ("", NOBODY_ELSE)),
    **dict.fromkeys(["revoke_token", "review:trial", "review:trial_image"], (NOBODY_ELSE, NOBODY_ELSE)),
}
"""What a route takes: the least role to read and to write there, "" where there is nothing to.

`IN_TRASH`: 404 for all while the thing is not in the trash; `test_trash.py` and `test_deletion.py` have the rest.
`NOBODY_ELSE`: it is Alice's own, whatever role another has in her collection.
"""
ROLES = ("viewer", "reviewer", "owner")
BODIES = {
    "api/v1/collections/<pk>": {"name": "Renamed"}, "api/v1/collections/<pk>/runs": {"method": "zeroshot"},
    "api/v1/runs/<pk>/corrections": {"images": [0], "label": "cat"},
    "api/v1/runs/<pk>/spot-check": {"count": 20},
    "api/v1/runs/<pk>/spot-check/answers": {"spot_check": 1, "place": 0, "label": "cat"},
    "api/v1/runs/<pk>/spot-check/undo": {"spot_check": 1}, "api/v1/runs/<pk>/spot-check/adopt": {"spot_check": 1},
    "api/v1/collections/<pk>/held-out": {"percent": 20},
    "api/v1/class-lists/<pk>": {"names": ["cat", "hare"]},
}
"""What the API would take, so that a refusal is of the person and not of the body."""
UNSIGNED_OPTIONS = {"uploads:upload", "uploads:create"}
"""tus tells what it can do, which is nobody's secret among those who are signed in."""


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
            name = f"{names}{one.name or ''}"
            yield path if name.startswith("api:") else name, path, kinds


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
    from webapp.sharing.models import Invitation, Role

    image, upload = brought_image
    class_list = ClassList.objects.create(owner=alice, name="pets")
    image.collection.class_list_version = class_list.versions.create(number=1, names=["cat", "dog"])
    image.collection.save()
    run = Run.objects.create(collection=image.collection, owner=alice, method="zeroshot",
                             result={"pictures": [
                                 {"name": "typical", "title": "Typical", "caption": "", "columns": [], "rows": []}]})
    trial = Trial.objects.create(run=run, owner=alice, file="trials/x.png")
    action = ReviewAction.objects.create(run=run, author=alice, description="x")
    token, _ = ApiToken.issue(alice, "x")
    Invitation.objects.issue(image.collection, Role.VIEWER, alice)
    return {"collections": image.collection.pk, "class-lists": class_list.pk, "runs": run.pk, "uploads": upload.pk,
            "thumbnails": image.pk, "images": image.pk, "image": image.pk, "trials": trial.pk, "actions": action.pk,
            "accounts": alice.pk, "tokens": token.pk,
            "trash": image.collection.pk, "people": image.collection.memberships.get(user=alice).pk,
            "invitations": image.collection.invitations.get().pk}


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


@pytest.fixture
def member(objects, django_user_model):
    """Return a function that signs somebody in who has a role in Alice's collection."""
    from webapp.sharing.models import Membership

    def sign_in(role: str, **options: bool) -> Client:
        user, _ = django_user_model.objects.get_or_create(username=f"the {role}")
        Membership.objects.get_or_create(collection_id=objects["collections"], user=user, role=role)
        client = Client(**options)
        client.force_login(user)
        return client

    return sign_in


def rule(path: str, argument: str, kind: str, objects: dict[str, object]) -> object:
    """Return what an argument stands for: the object named by the part of the address before it."""
    if argument in ("secret", "uidb64", "token"):
        return "no-such-secret"
    if argument == "number":
        return 0 if "images" in path else 1
    if argument == "name":
        return "typical"
    before = path.split("<")[[part.split(">")[0].split(":")[-1] for part in path.split("<")].index(argument) - 1]
    words = [word for word in before.rsplit(">")[-1].split("/") if word]
    for word in reversed(words):
        if word in objects:
            return objects[word]
    raise AssertionError(f"no rule for <{argument}> ({kind}) in {path}: add one to this file")


def guarded(routes: list[Route]) -> list[Route]:
    """Return the routes that somebody's things stand behind."""
    return [route for route in routes if route.name not in PUBLIC | OWN | ADMINISTRATORS]


def ask(client: Client, method: str, route: Route, **headers: str):
    """Send one request and take back whatever it did."""
    sent = {} if method in SAFE else {"data": BODIES.get(route.name, {}), "content_type": "application/json"}
    with transaction.atomic():
        response = getattr(client, method)(route.path, **sent, **headers)
        transaction.set_rollback(True)
    return response


def test_every_route_has_a_rule(routes):
    names = {route.name for route in routes}
    assert names == PUBLIC | OWN | ADMINISTRATORS | set(RULES), (
        "say in RULES what a new route takes; take out one that is gone")
    assert all(route.has_object for route in guarded(routes))
    assert not PUBLIC & OWN and not (PUBLIC | OWN) & set(RULES) and not ADMINISTRATORS & (PUBLIC | OWN | set(RULES))


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
    for route in guarded(routes):
        for method in METHODS:
            response = ask(stranger, method, route)
            refused = response.status_code in (404, 405, 412, 415)
            harmless = method == "options" and response.status_code in (200, 204) and not response.content
            assert refused or harmless, (route, method, response.status_code)
            assert b"Alice" not in response.content, (route, method)
            walked += 1
    assert walked > 200


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_do_what_its_rule_says_and_no_more(routes, member, role):
    client = member(role)
    allowed = forbidden = 0
    for route in guarded(routes):
        reads, writes = RULES[route.name]
        for method in METHODS:
            least = reads if method in SAFE else writes
            status = ask(client, method, route, HTTP_TUS_RESUMABLE="1.0.0").status_code
            where = (role, route, method, status)
            if method == "options" and (status == 405 or route.name in UNSIGNED_OPTIONS):
                continue
            if least in ROLES and ROLES.index(role) >= ROLES.index(least):
                assert status not in (401, 403), where
                assert status < 500, where
                allowed += status != 405
            else:
                assert status in (403, 404, 405, 415), where
                forbidden += status == 403
    assert allowed > 30
    assert forbidden > (0 if role == "owner" else 10)


def test_what_administrators_do_nobody_else_does_and_they_do_nothing_more(routes, member, stranger, django_user_model):
    administrator = Client()
    administrator.force_login(django_user_model.objects.create_user("root", is_staff=True, is_superuser=True))
    for route in routes:
        if route.name in ADMINISTRATORS:
            for method in METHODS:
                for client in (stranger, *map(member, ROLES)):
                    assert ask(client, method, route).status_code == 403, (route, method)
                assert ask(administrator, method, route).status_code in (200, 302, 405), (route, method)
        elif route in guarded(routes):
            assert ask(administrator, "get", route).status_code in (404, 405), "Alice's things are hers"


@pytest.mark.parametrize("scope", ["read", "write", "review"])
def test_a_token_opens_what_its_scope_says_and_no_more(routes, alice, scope):
    """Alice's own token, with one scope, on everything that a program may ask."""
    from webapp.accounts.models import ApiToken

    _, secret = ApiToken.issue(alice, "narrow", [scope])
    client = Client(enforce_csrf_checks=True, headers={"Authorization": f"Bearer {secret}"})
    opened = refused = 0
    for route in routes:
        if not route.path.startswith(("/api/v1/", "/uploads/", "/media/")) or route.name in SCOPELESS:
            continue
        for method in METHODS:
            needed = "write" if method not in SAFE or route.path.startswith("/uploads/") else "read"
            if method == "post" and route.name in REVIEWS:
                needed = "review"
            status = ask(client, method, route, HTTP_TUS_RESUMABLE="1.0.0").status_code
            where = (scope, route, method, status)
            if status == 405:
                continue
            if scope == needed:
                assert status not in (401, 403) and status < 500, where
                opened += 1
            else:
                assert status == 403, where
                refused += 1
    assert refused > 15
    assert opened > (0 if scope == "review" else 8)


@pytest.mark.parametrize("headers", [{}, {"HTTP_ORIGIN": "https://evil.example"}, {"HTTP_ORIGIN": "null"}])
def test_another_sites_page_can_change_nothing(routes, member, headers):
    """Without a token nothing is changed, nor with one that was stolen and is sent from elsewhere."""
    client = member("owner", enforce_csrf_checks=True)
    token = client.get("/").context["csrf_token"] if headers else ""
    refused = 0
    for route in routes:
        for method in ("post", "put", "patch", "delete"):
            status = ask(client, method, route, HTTP_X_CSRFTOKEN=str(token), **headers).status_code
            assert status in (403, 405), (route, method, status)
            refused += status == 403
    assert refused > 200


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
