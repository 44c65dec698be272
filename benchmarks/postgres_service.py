"""What stands for compose.yaml's Postgres: a new cluster with its user and password, served as nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from benchmarks.client import Refused

DEBIAN = Path("/usr/lib/postgresql")
AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--")


def programs() -> Path | None:
    """Return the folder of this machine's newest Postgres, None where it has none."""
    found = shutil.which("postgres")
    return Path(found).parent if found else max(DEBIAN.glob("*/bin"), default=None)


def as_nobody(*words: str | Path) -> list[str]:
    """Return a command that runs as nobody where we are root, else as who we are."""
    return [*(AS_NOBODY if os.geteuid() == 0 else ()), *map(str, words)]


def make(home: Path, user: str, database: str, password: str) -> list[str]:
    """Make a cluster in `home` with one user and one database; return the command that serves it.

    Raises:
        Refused: this machine has no Postgres.
    """
    where = programs()
    if where is None:
        raise Refused("this machine has no Postgres")
    secret, cluster = home / "password", home / "cluster"
    secret.write_text(password)
    if os.geteuid() == 0:
        shutil.chown(home, "nobody", "nogroup")
        shutil.chown(secret, "nobody", "nogroup")
    subprocess.run(as_nobody(where / "initdb", "-D", cluster, "-U", user, "--auth=scram-sha-256",
                             f"--pwfile={secret}"), check=True, capture_output=True, cwd=home)
    subprocess.run(as_nobody(where / "postgres", "--single", "-j", "-D", cluster, "postgres"), cwd=home, check=True,
                   capture_output=True, text=True, input=f'CREATE DATABASE "{database}"\n')
    return as_nobody(where / "postgres", "-D", cluster, "-k", "")
