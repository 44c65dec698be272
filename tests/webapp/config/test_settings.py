"""The secret key, the files of a home, and what the environment changes."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

from benchmarks import compose, dockerfile
from core.errors import ConfigError
from webapp.config import database_url, secret_key
from webapp.config import settings as settings_file

ROOT = Path(__file__).parents[3]


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    path = tmp_path / "secret_key"
    first = secret_key.read_or_make(path)
    assert len(first) > 60
    assert secret_key.read_or_make(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["secret_key"]


def test_a_key_that_others_could_read_is_closed_again(tmp_path):
    path = tmp_path / "secret_key"
    path.write_text("x" * 80)
    path.chmod(0o644)
    assert secret_key.read_or_make(path) == "x" * 80
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_two_houses_have_two_keys(tmp_path):
    assert secret_key.read_or_make(tmp_path / "a") != secret_key.read_or_make(tmp_path / "b")


def read(home: Path, names: list[str], **environment: str) -> dict[str, object]:
    """Return settings as a fresh process reads them."""
    code = ("import json, sys; from webapp.config import settings; "
            "print(json.dumps({name: getattr(settings, name) for name in sys.argv[1:]}, default=str))")
    ours = ("LABELFREE", "DATABASE", "DEBUG", "REDIS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, check=True, capture_output=True, text=True,
                          env={**kept, "LABELFREE_HOME": str(home), **environment})
    return json.loads(done.stdout)


def test_nothing_is_open_by_default(tmp_path):
    found = read(tmp_path / "home", ["DEBUG", "ALLOWED_HOSTS", "DATABASES", "SESSION_COOKIE_HTTPONLY"])
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert found["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "home" / "secret_key").stat().st_mode) == 0o600


def test_the_environment_names_database_hosts_and_prefix(tmp_path):
    found = read(tmp_path, ["DATABASES", "ALLOWED_HOSTS", "STATIC_URL", "SESSION_COOKIE_SECURE", "PORT"],
                 DATABASE_URL="postgres://me@db:5432/labelfree", LABELFREE_HOSTS="photos.example, other.example",
                 LABELFREE_URL_PREFIX="labelfree/", LABELFREE_TLS="1", LABELFREE_PORT="9000")
    assert found["DATABASES"]["default"]["ENGINE"] == "django.db.backends.postgresql"
    assert found["ALLOWED_HOSTS"][:2] == ["photos.example", "other.example"]
    assert (found["STATIC_URL"], found["SESSION_COOKIE_SECURE"], found["PORT"]) == ("/labelfree/static/", True, 9000)


def named() -> list[str]:
    """Return the variables that the settings say they read."""
    return [line.split()[0] for line in (settings_file.__doc__ or "").splitlines()
            if re.match(r"(LABELFREE_|DATABASE_|REDIS_|DEBUG)", line)]


def test_a_variable_that_is_empty_is_one_that_is_not_given(tmp_path):
    names = [name for name in dir(settings_file) if name.isupper() and name not in {"SECRET_KEY", "LOGGING"}]
    empty = {name: "" for name in named() if name != "LABELFREE_HOME"}
    assert len(empty) > 12
    assert read(tmp_path, names, **empty) == read(tmp_path, names)


def test_the_containers_are_given_every_setting():
    services = compose.read(ROOT / "compose.yaml", {"POSTGRES_PASSWORD": "a"})
    for name in ("web", "worker"):
        assert set(named()) - {"DEBUG"} <= set(services[name].environment)
        assert "None" not in services[name].environment.values()
    assert services["web"].environment["FORWARDED_ALLOW_IPS"] == "127.0.0.1,::1"


def test_weights_that_the_worker_fetches_outlive_its_container():
    worker = dockerfile.chain(dockerfile.read(ROOT / "Dockerfile"), "worker")
    baked = {name: value for stage in worker for step in stage.steps if step.word == "ENV"
             for name, value in dockerfile.assignments(step).items()}
    assert Path(baked["HF_HOME"]).is_relative_to(baked["LABELFREE_HOME"])
    told = {"HF_ENDPOINT": "https://mirror", "HF_HUB_OFFLINE": "1", "HTTPS_PROXY": "http://proxy", "NO_PROXY": "inside"}
    needed = {"POSTGRES_PASSWORD": "a"}
    assert told.items() <= compose.read(ROOT / "compose.yaml", needed | told)["worker"].environment.items()
    untold = compose.read(ROOT / "compose.yaml", needed)["worker"].environment
    assert untold["HF_ENDPOINT"] == "https://huggingface.co"  # the hub's client takes an empty one as it is
    assert "HF_HOME" not in untold


@pytest.mark.parametrize("password", ["se/cret", "se#cret", "se?cret", "12/secret", "se[cret"])
def test_a_password_that_breaks_the_address_is_said_with_the_fix_and_not_repeated(password):
    with pytest.raises(ConfigError, match=r"DATABASE_URL: .*percent-encode .* letters and digits only") as refused:
        database_url.parse(f"postgres://labelfree:{password}@postgres:5432/labelfree")
    assert "cret" not in str(refused.value)


def test_a_password_that_is_percent_encoded_is_read():
    found = database_url.parse("postgres://labelfree:se%2Fcr%40t@postgres:5432/labelfree")
    assert (found["PASSWORD"], found["HOST"], found["NAME"]) == ("se/cr@t", "postgres", "labelfree")
    assert database_url.parse("sqlite:////home/a@b/db.sqlite3")["NAME"] == "/home/a@b/db.sqlite3"


def test_a_setting_that_cannot_be_read_is_one_line_of_every_command(tmp_path):
    done = subprocess.run([sys.executable, "manage.py", "migrate"], cwd=ROOT, capture_output=True, text=True,
                          check=False, env={**os.environ, "LABELFREE_HOME": str(tmp_path), "DATABASE_URL": "postgres://u:a/b@h/d"})
    assert done.returncode == 1
    assert done.stderr.startswith("error: DATABASE_URL: its address cannot be read; ")
    assert done.stderr.count("\n") == 1


def test_what_is_committed_outlives_a_power_cut(db):
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (2,)  # FULL


@pytest.mark.parametrize("name", [
    "css/labelfree.css", "js/uploads.js", "vendor/pico/pico.min.css", "vendor/tus/tus.min.js"])
def test_style_and_scripts_are_served_by_the_application(client, db, name):
    response = client.get(f"/static/{name}")
    assert response.status_code == 200
    assert response.content == (ROOT / "static" / name).read_bytes()
    assert client.get(f"/static/{name}", headers={"If-None-Match": response["ETag"]}).status_code == 304


@pytest.mark.parametrize("path", ["/static/../manage.py", "/static/%2e%2e/manage.py", "/static/"])
def test_nothing_else_is_served(client, db, path):
    assert client.get(path).status_code == 404


def test_vendored_files_ask_nobody_for_anything():
    for path in (ROOT / "static").rglob("*"):
        if path.suffix in {".css", ".js"}:
            text = path.read_text()
            assert "sourceMappingURL" not in text, path
            assert "@import" not in text, path
            assert "url(http" not in text, path


def test_the_deployment_check_has_nothing_to_say_behind_tls(tmp_path):
    done = subprocess.run([sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"], cwd=ROOT,
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "LABELFREE_HOME": str(tmp_path / "home"), "LABELFREE_TLS": "1"})
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_behind_tls_browsers_are_told_to_stay_there(client, db, settings):
    assert "Strict-Transport-Security" not in client.get("/sign-in/").headers
    settings.SECURE_HSTS_SECONDS = 31536000  # as LABELFREE_TLS sets it
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    from django.test import Client

    answer = Client().get("/sign-in/", headers={"X-Forwarded-Proto": "https"})
    assert answer["Strict-Transport-Security"] == "max-age=31536000"


def test_every_page_keeps_foreign_and_inline_script_out(client, db):
    policy = client.get("/sign-in/")["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    assert "https:" not in policy and "*" not in policy
