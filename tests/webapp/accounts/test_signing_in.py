"""Signing in, out and by a link; the first administrator; guessing."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.test.utils import override_script_prefix
from django.urls import reverse

from webapp.accounts import rate_limit
from webapp.accounts.first_run import first_link, link_for
from webapp.accounts.models import SignInLink

PASSWORD = "a quiet morning in May"


class Slow(MD5PasswordHasher):
    """A hash that takes its time, as one that is hard to guess does."""

    def encode(self, password: str, salt: str) -> str:
        time.sleep(0.1)
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def quick(settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture
def ada(db):
    return User.objects.create_user("ada", password=PASSWORD)


def path_of(link: str) -> str:
    return urlsplit(link).path


def sign_in(client: Client, name: str, password: str, **more: str):
    return client.post(reverse("sign_in"), {"user_name": name, "password": password, **more})


def test_it_signs_in_and_goes_where_the_person_was_heading(client, ada):
    response = sign_in(client, "ada", PASSWORD, next="/class-lists/")
    assert response.status_code == 302
    assert response["Location"] == "/class-lists/"
    assert client.get("/class-lists/").status_code == 200


@pytest.mark.parametrize("name", ["Ada", "\N{CYRILLIC SMALL LETTER A}da"])
def test_who_had_a_name_like_anothers_before_they_were_refused_signs_in(client, ada, name):
    User.objects.create_user(name, password=PASSWORD)
    for one in (name, "ada"):
        assert sign_in(Client(), one, PASSWORD).status_code == 302


@pytest.mark.parametrize("address", [
    "https://evil.example/", "//evil.example/", "javascript:alert(1)", r"\\evil.example"])
def test_it_never_sends_anyone_out_of_the_house(client, ada, address):
    assert sign_in(client, "ada", PASSWORD, next=address)["Location"] == "/"


def test_it_does_not_say_whether_the_name_exists(client, ada):
    wrong = sign_in(client, "ada", "nonsense nonsense")
    unknown = sign_in(client, "bob", "nonsense nonsense")
    assert wrong.status_code == unknown.status_code == 403
    assert "do not belong together" in wrong.content.decode()
    assert "do not belong together" in unknown.content.decode()


def test_it_pauses_after_too_many_tries_even_with_the_right_password(client, ada):
    for _ in range(rate_limit.TRIES):
        sign_in(client, "ada", "wrong wrong wrong")
    response = sign_in(client, "ADA", PASSWORD)
    assert response.status_code == 429
    assert "Wait five minutes" in response.content.decode()
    assert client.get("/").status_code == 302


def test_it_forgets_failures_after_a_sign_in_that_worked(client, ada):
    for _ in range(rate_limit.TRIES - 1):
        sign_in(client, "ada", "wrong wrong wrong")
    assert sign_in(client, "ada", PASSWORD).status_code == 302
    assert sign_in(Client(), "ada", "wrong wrong wrong").status_code == 403


@pytest.mark.django_db(transaction=True)
def test_guesses_that_come_all_at_once_are_no_more_than_those_that_come_one_by_one(settings):
    User.objects.create_user("ada", password=PASSWORD)
    settings.PASSWORD_HASHERS = [f"{__name__}.Slow"]

    def guess(number: int) -> int:
        try:
            return sign_in(Client(), "ada", f"guess number {number}").status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(24) as threads:
        answers = Counter(threads.map(guess, range(24)))
    assert answers == {403: rate_limit.TRIES, 429: 24 - rate_limit.TRIES}


def test_guesses_at_many_other_names_do_not_make_it_forget(client, ada):
    """The cache keeps so many entries only; Django's own bound is 300."""
    for _ in range(rate_limit.TRIES):
        sign_in(client, "ada", "wrong wrong wrong")
    for number in range(400):
        sign_in(Client(REMOTE_ADDR=f"10.0.{number // 200}.{number % 200}"), f"name {number}", "wrong wrong wrong")
    assert sign_in(Client(REMOTE_ADDR="10.0.9.9"), "ada", PASSWORD).status_code == 429


def test_sign_ins_that_worked_do_not_pause_their_address(client, ada, monkeypatch):
    monkeypatch.setattr(rate_limit, "TRIES_AN_ADDRESS", 3)
    for _ in range(4):
        assert sign_in(Client(), "ada", PASSWORD).status_code == 302
    for number in range(3):
        assert sign_in(client, f"name {number}", "wrong wrong wrong").status_code == 403
    for _ in range(rate_limit.TRIES + 1):
        assert sign_in(client, "ada", PASSWORD).status_code == 429
    assert sign_in(Client(REMOTE_ADDR="10.0.0.9"), "ada", PASSWORD).status_code == 302


def test_a_cookie_that_no_database_holds_is_nobodys(client, db):
    client.cookies["labelfree_session"] = "\0aaaaaaaa"
    assert client.get("/").status_code == 302


def test_it_signs_out(signed_in):
    assert signed_in.get("/sign-out/").status_code == 405
    signed_in.post("/sign-out/")
    assert signed_in.get("/")["Location"] == "/sign-in/?next=/"


def test_the_first_link_makes_the_administrator_once(client, db):
    path = path_of(first_link())
    assert "one-time link" in client.get("/sign-in/").content.decode()
    assert client.get(path).status_code == 200
    made = {"username": "ada", "password1": PASSWORD, "password2": PASSWORD}
    assert client.post(path, made)["Location"] == "/"
    assert User.objects.get().is_superuser
    assert client.get("/").status_code == 200
    assert Client().get(path).status_code == 410
    assert Client().post(path, {**made, "username": "eve"}).status_code == 410
    assert first_link() is None


@pytest.mark.parametrize("password", ["short", "password123", "12345678901234"])
def test_the_administrator_needs_a_password_that_is_hard_to_guess(client, db, password):
    path = path_of(first_link())
    response = client.post(path, {"username": "ada", "password1": password, "password2": password})
    assert response.status_code == 422
    assert not User.objects.exists()
    assert client.get(path).status_code == 200


def test_the_administrators_name_is_of_one_alphabet(client, db):
    name = "\N{CYRILLIC SMALL LETTER A}da"
    response = client.post(path_of(first_link()), {"username": name, "password1": PASSWORD, "password2": PASSWORD})
    assert response.status_code == 422 and "Write the name in one alphabet" in response.content.decode()
    assert not User.objects.exists()


def test_a_newer_first_link_takes_the_place_of_an_older_one(client, db):
    older, newer = path_of(first_link()), path_of(first_link())
    assert client.get(older).status_code == 410
    assert client.get(newer).status_code == 200


def test_a_first_link_dies_when_an_administrator_is_made_otherwise(client, db):
    path = path_of(first_link())
    User.objects.create_superuser("root")
    assert client.post(path, {"username": "eve", "password1": PASSWORD, "password2": PASSWORD}).status_code == 410


def test_a_sign_in_link_signs_in_once_and_goes_on(client, ada):
    path = path_of(link_for(ada, "/class-lists/"))
    assert client.get(path)["Location"] == "/class-lists/"
    assert client.get("/class-lists/").status_code == 200
    assert Client().get(path).status_code == 410


def test_a_sign_in_link_of_someone_who_left_is_spent(client, ada):
    path = path_of(link_for(ada))
    User.objects.update(is_active=False)
    assert client.get(path).status_code == 410


@pytest.mark.parametrize(("hosts", "more", "begins"), [
    ([], {}, "http://localhost:8000/link/"),
    (["photos.example", "other.example"], {}, "http://photos.example:8000/link/"),
    ([".example", "*", "photos.example"], {"TLS": True}, "https://photos.example/link/"),
    (["photos.example"], {"URL_PREFIX": "/labelfree"}, "http://photos.example/link/"),
])
def test_a_printed_link_begins_where_people_reach_the_web(ada, settings, hosts, more, begins):
    settings.ALLOWED_HOSTS = [*hosts, *settings.OWN_HOSTS]
    for name, value in more.items():
        setattr(settings, name, value)
    assert link_for(ada).startswith(begins)


def test_links_are_stored_as_digests_only(ada):
    secret = link_for(ada).split("/")[-2]
    assert secret not in str(SignInLink.objects.values_list().get())


def test_the_shell_prints_links_and_names_unknown_users(ada, capsys):
    call_command("sign_in_link", "ada", "--next", "/collections/1/")
    assert "/link/" in capsys.readouterr().out
    call_command("first_link")
    assert "an administrator already" in capsys.readouterr().out
    with pytest.raises(CommandError, match="users: ada"):
        call_command("sign_in_link", "bob")


def test_a_printed_link_opens_the_first_page_below_the_path_that_a_proxy_shows(client, ada, settings, capsys):
    settings.FORCE_SCRIPT_NAME = "/labelfree"
    with override_script_prefix("/labelfree/"):
        call_command("sign_in_link", "ada")
        path = path_of(capsys.readouterr().out.strip())
        assert path.startswith("/labelfree/link/")
        assert client.get(path.removeprefix("/labelfree"))["Location"] == "/labelfree/"


def test_pages_carry_headers_that_keep_strangers_out(client, db):
    response = client.get("/sign-in/")
    assert "unsafe-inline" not in response["Content-Security-Policy"]
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    body = response.content.decode()
    assert "<script>" not in body
    assert "style=" not in body
    assert "http://" not in body
    assert "https://" not in body


def test_a_part_of_a_page_is_sent_to_the_sign_in_as_a_whole(client, db):
    response = client.get("/collections/1/arrivals/", headers={"HX-Request": "true"})
    assert response.status_code == 401
    assert response["HX-Redirect"] == "/sign-in/?ended=1"


def test_a_page_whose_session_ended_is_come_back_to(client, ada):
    response = client.get("/runs/1/live/", headers={
        "HX-Request": "true", "HX-Current-URL": "http://testserver/runs/1/?tab=try&x=1"})
    address = response["HX-Redirect"]
    assert address == "/sign-in/?next=/runs/1/%3Ftab%3Dtry%26x%3D1&ended=1"
    page = client.get(address).content.decode()
    assert "Your session ended. Sign in to go on." in page
    assert 'name="next" value="/runs/1/?tab=try&amp;x=1"' in page
    assert "Your session ended" not in client.get("/sign-in/?next=/runs/1/").content.decode()
    assert sign_in(client, "ada", PASSWORD, next="/runs/1/?tab=try&x=1")["Location"] == "/runs/1/?tab=try&x=1"


@pytest.mark.parametrize("told", [
    "https://evil.example/runs/1/", "http://testserver//evil.example/", "javascript:alert(1)", "http://[",
    "//evil.example"])
def test_a_foreign_page_is_not_gone_back_to(client, db, told):
    response = client.get("/runs/1/live/", headers={"HX-Request": "true", "HX-Current-URL": told})
    assert response["HX-Redirect"] == "/sign-in/?ended=1"


def test_an_old_form_is_refused_in_words(ada):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada)
    response = client.post("/collections/create/", {"name": "x"})
    assert response.status_code == 403
    assert "reload the page" in response.content.decode()


def test_a_session_from_before_the_accounts_had_their_own_backend_stays_signed_in(client, ada):
    client.force_login(ada)
    session = client.session
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.save()
    assert client.get("/").status_code == 200
    session[BACKEND_SESSION_KEY] = "somebody.elses.Backend"
    session.save()
    assert client.get("/").status_code == 302
