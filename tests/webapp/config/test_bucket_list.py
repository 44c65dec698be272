"""What LABELFREE_BUCKETS may say, and that its mistakes are named without what stands there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ConfigError
from webapp.config.bucket_list import Bucket, parse

ROOT = Path(__file__).parents[3]


def test_nothing_is_listed_without_it():
    assert parse("") == parse(" \n ") == []


@pytest.mark.parametrize(("entry", "bucket"), [
    ("museum=https://s3.example.org/photos",
     Bucket(name="museum", endpoint="https://s3.example.org", bucket="photos")),
    ("museum=http://[::1]:9000/photos/2026/a%20b/?region=eu-north-1&profile=own",
     Bucket(name="museum", endpoint="http://[::1]:9000", bucket="photos", prefix="2026/a b/", region="eu-north-1",
            profile="own")),
    ("museum=s3://photos/2026", Bucket(name="museum", endpoint="", bucket="photos", prefix="2026/")),
])
def test_an_entry_is_a_name_and_an_address(entry, bucket):
    assert parse(f"{entry}\n other=s3://x")[0] == bucket


@pytest.mark.parametrize("entry", [
    "https://KEY:geheim@host/photos", "museum=https://KEY:geheim@host/photos", "museum=https://KEY:ge/heim@host/photos",
    "museum=s3://KEY:geheim@photos", "museum=https://host/photos?secret=geheim", "museum=https://host/photos#geheim",
    "museum=https://host", "museum=https://host/", "museum=geheim", "museum=", "=https://host/geheim", "a/b=s3://geheim",
    "museum=ftp://host/geheim", "museum=https://host_geheim/photos", "museum=https://host:geheim/photos",
    "museum=https://[geheim/photos", "first=s3://geheim", "museum=s3://", "museum=https://host/photos?geheim",
])
def test_a_mistake_is_named_by_its_place_and_never_by_what_stands_there(entry):
    with pytest.raises(ConfigError, match=r"LABELFREE_BUCKETS: entry 2: ") as caught:
        parse(f"first=s3://x {entry}")
    assert "geheim" not in str(caught.value) and "KEY:" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_extra_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert parse("") == []
    with pytest.raises(ConfigError, match="extra `s3`"):
        parse("museum=s3://x")


def test_a_listed_bucket_loads_no_sdk_and_calls_nobody_at_the_start(tmp_path):
    program = ("import sys, django; django.setup(); import webapp.config.urls; from django.conf import settings; "
               "print(len(settings.SOURCE_BUCKETS), sorted({'botocore', 'storages'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, env={
        **os.environ, "LABELFREE_HOME": str(tmp_path), "LABELFREE_BUCKETS": "museum=https://s3.example.org/photos"})
    assert done.stdout == "1 []\n"
