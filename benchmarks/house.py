"""A labelfree that is there to be broken: in a home of its own, as `make run` starts it, seen from outside.

Everything is started by the product's own commands in processes of their own, so that one program can start several
after another, each with its own home, database and environment.

LABELFREE_HOME  the folder in which the homes are made; ./var/faults
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import processes
from benchmarks.app import SOURCES, STOP_SECONDS, App, choose_port, start, stop, wait_until_it_answers
from benchmarks.client import Api, Refused
from benchmarks.ledger import Ledger

PERSON = "breaker"
START_SECONDS = 900.0
"""How long the start may take on a machine that does much else."""
MARK = "made-by-make-bench-faults"
MAKE_PERSON = """
from django.contrib.auth.models import User
from webapp.accounts.models import ApiToken
from webapp.notices.models import NoticeSettings
user = User.objects.create_superuser("{person}")
if "{webhook}":
    NoticeSettings.objects.create(user=user, webhook_url="{webhook}")
print("token", ApiToken.issue(user, "make bench-faults")[1])
"""


@dataclass(kw_only=True)
class House:
    """A running labelfree.

    Attributes:
        home: where it keeps everything.
        surroundings: its environment variables, on top of this process's own.
        api: as its one person.
        ledger: its database, read by SQL.
        process: `manage.py up`.
        more: worker commands beside it.
    """

    home: Path
    surroundings: Mapping[str, str]
    api: Api
    ledger: Ledger
    process: subprocess.Popen[bytes]
    more: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def port(self) -> int:
        """Return the web's port."""
        return int(self.surroundings["LABELFREE_PORT"])

    @property
    def logs(self) -> Path:
        """Return where it writes what it does."""
        return self.home / "logs"

    def find(self, role: str) -> list[int]:
        """Return the ids of its living processes of a role."""
        return processes.find(self.home, role)

    def start_another_worker(self) -> subprocess.Popen[bytes]:
        """Start one more worker of the runs, as `make worker` does."""
        environment = {**os.environ, **self.surroundings, "REDIS_URL": f"redis+socket://{self.home / 'redis.sock'}"}
        with (self.logs / "another-worker.log").open("ab") as log:
            self.more.append(subprocess.Popen(
                [sys.executable, str(SOURCES / "workers" / "tether.py"), str(os.getpid()), sys.executable,
                 str(SOURCES / "manage.py"), "worker", "--queues", "gpu"],
                cwd=SOURCES, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True))
        return self.more[-1]

    def stop(self) -> list[int]:
        """Stop everything in order; return the ids of what was left behind, after ending that too."""
        for one in (*self.more, self.process):
            stop(one)
        time.sleep(0.5)
        return processes.end(self.home)


def homes() -> Path:
    """Return the folder of all homes."""
    return Path(os.environ.get("LABELFREE_HOME") or SOURCES / "var" / "faults").resolve()


@contextmanager
def lived_in(name: str, surroundings: Mapping[str, str] | None = None, webhook: str = "",
             furnish: Callable[[Path], None] = lambda home: None) -> Iterator[House]:
    """Start everything in a new home with one person; stop it in the end.

    Args:
        name: of the home.
        surroundings: environment variables besides the home, the port and no model hub.
        webhook: where the person wants to hear of runs that end.
        furnish: puts into the new home what has to be there before the product is.

    Raises:
        Refused: it did not start, or left processes behind when it was stopped.
    """
    home = prepare(homes() / name)
    furnish(home)
    told = {"LABELFREE_HOME": str(home), "LABELFREE_PORT": str(choose_port()), "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1", "LABELFREE_WEBHOOKS_INSIDE": "1", "DATABASE_URL": "", "REDIS_URL": "",
            **(surroundings or {})}
    api = Api(f"http://127.0.0.1:{told['LABELFREE_PORT']}", make_person(told, webhook), float("inf"))
    with environment(told):
        process = start(home)
    house = House(home=home, surroundings=told, api=api, process=process,
                  ledger=Ledger(told["DATABASE_URL"] or str(home / "db.sqlite3")))
    try:
        wait_until_it_answers(App(home=home, api=api, process=process), START_SECONDS)
        yield house
    except BaseException:
        house.stop()
        raise
    left = house.stop()
    if left:
        raise Refused(f"processes {left} outlived the product that started them by {STOP_SECONDS} s")


def prepare(home: Path) -> Path:
    """Return an empty folder; what an earlier bench left is removed, anything else is left alone."""
    mark = home / MARK
    if home.exists() and any(home.iterdir()):
        if not mark.exists():
            raise SystemExit(f"{home} holds something that make bench-faults did not make; name another folder: "
                             "LABELFREE_HOME=/path make bench-faults")
        processes.end(home)
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.write_text("`make bench-faults` removes this folder when it runs again.\n")
    return home


def make_person(surroundings: Mapping[str, str], webhook: str) -> str:
    """Prepare the database and make a person; return an API token."""
    told = {**os.environ, **surroundings, "DJANGO_SETTINGS_MODULE": "webapp.config.settings"}
    said = ""
    for command in (["migrate", "--verbosity", "0"],
                    ["shell", "--verbosity", "0", "--command", MAKE_PERSON.format(person=PERSON, webhook=webhook)]):
        done = subprocess.run([sys.executable, "manage.py", *command], cwd=SOURCES, env=told, capture_output=True,
                              text=True, check=False)
        if done.returncode:
            raise Refused(f"manage.py {command[0]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        said = done.stdout
    return said.split("token", 1)[1].strip()


@contextmanager
def environment(told: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, and put back what was there."""
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
