"""Who may ask what of the API: others' things, tokens, sessions, wrong verbs; and its description."""

from __future__ import annotations

import json

import pytest
from django.test import Client
from django.utils import timezone

from tests.webapp.api.asking import V1, refused, send
from tests.webapp.runs import rows
from webapp.accounts.models import ApiToken
from webapp.api.application import api as application
from webapp.collections.models import Collection
from webapp.runs.models import Run

pytestmark = pytest.mark.django_db


def test_what_is_not_json_is_refused(api):
    answer = api.post(f"{V1}/collections", "{", content_type="application/json")
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"what", "reason", "fix"}


def routes():
    """Return (verb, path) of every route the API describes."""
    return [(verb.upper(), path.removeprefix(V1))
            for path, verbs in application.get_openapi_schema()["paths"].items() for verb in verbs]


BODIES = {("POST", "/collections/{pk}/runs"): {"method": "must"}, ("PATCH", "/collections/{pk}"): {"name": "stolen"},
          ("PUT", "/class-lists/{pk}"): {"names": ["a", "b"]}, ("POST", "/collections"): {"name": "new"},
          ("POST", "/runs/{pk}/corrections"): {"images": [0], "label": "cat"},
          ("PUT", "/collections/{pk}/held-out"): {"percent": 20}, ("POST", "/runs/{pk}/spot-check"): {"count": 20},
          ("POST", "/runs/{pk}/spot-check/answers"): {"spot_check": 1, "place": 0, "label": "cat"},
          ("POST", "/runs/{pk}/spot-check/undo"): {"spot_check": 1},
          ("POST", "/runs/{pk}/spot-check/adopt"): {"spot_check": 1},
          ("POST", "/class-lists"): {"name": "new", "names": ["a", "b"]}}


@pytest.mark.parametrize(("verb", "path"), [one for one in routes() if "{pk}" in one[1]])
def test_others_things_and_missing_ones_do_not_exist(api, foreign, collection, sent, verb, path):
    mine = rows.run(collection, status="succeeded")
    rows.package(mine)
    rows.picture(mine)
    pk = {"runs": mine.pk, "collections": collection.pk, "class-lists": collection.class_list_version.class_list_id}[
        path.split("/")[1]]
    body = BODIES.get((verb, path))
    assert refused(foreign, verb, path.format(pk=pk, name="typical"), body)[0] == 404
    assert refused(api, verb, path.format(pk=10**9, name="typical"), body)[0] == 404
    assert Run.objects.count() == 1
    collection.refresh_from_db()
    assert collection.name == "Pets at home"


@pytest.mark.parametrize(("verb", "path"), [*routes(), ("GET", "/openapi.json"), ("GET", "/")])
def test_nobody_and_wrong_tokens_are_refused(db, verb, path):
    for client in (Client(), Client(headers={"Authorization": "Bearer lf_wrong"})):
        answer = client.generic(verb, V1 + path.format(pk=1, name="typical"))
        assert answer.status_code == 401
        assert set(answer.json()["error"]) == {"what", "reason", "fix"}


def test_an_expired_token_and_one_of_a_person_who_left_are_refused(alice):
    token, secret = ApiToken.issue(alice, "old")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    assert client.get(f"{V1}/collections").status_code == 200
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now())
    assert client.get(f"{V1}/collections").status_code == 401
    ApiToken.objects.filter(pk=token.pk).update(expires_at=None)
    alice.is_active = False
    alice.save()
    assert client.get(f"{V1}/collections").status_code == 401


def test_a_session_changes_nothing_without_its_csrf_token(alice):
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert send(client, "GET", "/collections")[0] == 200
    status, error = refused(client, "POST", "/collections", {"name": "by another site"})
    assert (status, error["what"]) == (403, "origin")
    assert not Collection.objects.exists()
    client.get("/account/")
    token = client.cookies["labelfree_csrf"].value
    answer = client.post(f"{V1}/collections", json.dumps({"name": "mine"}), content_type="application/json",
                         headers={"X-CSRFToken": token})
    assert answer.status_code == 201


def test_the_wrong_verb_is_refused(api, collection):
    status, error = refused(api, "DELETE", f"/collections/{collection.pk}")
    assert (status, error["fix"]) == (405, "send GET or PATCH")
    assert error["what"] == f"DELETE {V1}/collections/{collection.pk}"
    assert api.get(f"{V1}/runs/{rows.run(collection).pk}/cancel").status_code == 405


def test_the_description_is_served_and_no_page_of_a_cdn(api):
    described = api.get(f"{V1}/openapi.json").json()
    labels = described["paths"]["/api/v1/runs/{pk}/labels.csv"]["get"]["responses"]
    assert set(labels["200"]["content"]) == {"text/csv"}
    for path in ("/docs", "/redoc", "/swagger"):
        assert api.get(V1 + path).status_code == 404
