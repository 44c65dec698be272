"""What every test shares: a home of its own, the machine's servers, real digits; and no silent skips."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(tempfile.mkdtemp(prefix="labelfree-tests-"))
os.environ["LABELFREE_HOME"] = str(HOME)
os.environ["DJANGO_SETTINGS_MODULE"] = "webapp.config.settings"
os.environ["HF_HUB_OFFLINE"] = "1"
for outside in ("DATABASE_URL", "REDIS_URL", "LABELFREE_URL_PREFIX", "LABELFREE_WEIGHTS", "LABELFREE_BUCKETS",
                "LABELFREE_IMAGE_CACHE", "LABELFREE_IMAGE_CACHE_GB", "DEBUG"):
    os.environ.pop(outside, None)
if "LABELFREE_TEST_DATABASE_URL" in os.environ:  # all that needs a database uses a new one there, not SQLite
    os.environ["DATABASE_URL"] = os.environ["LABELFREE_TEST_DATABASE_URL"]
if "PYTEST_XDIST_WORKER" in os.environ:  # one process a core: more threads than one would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests import machine  # noqa: E402  (what it starts must see the environment above)

_LEFT_OUT = pytest.StashKey[list[str]]()
_PASSED_ON = "left_out"  # the same, from a process that runs tests to the one that prints
SKIP_IS_FAILURE = os.environ.get("CI", "").lower() in {"1", "true"}


def pytest_configure(config: pytest.Config) -> None:
    """Set Django up before any test module imports a model."""
    import django
    from django.conf import settings

    django.setup()
    if HOME.resolve() != settings.HOME:
        raise pytest.UsageError(f"the settings were read before the tests had a home: they would write to "
                                f"{settings.HOME}. Take DJANGO_SETTINGS_MODULE out of the environment.")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Let the processes that share the tests begin with an environment as pytest itself was given.

    With DJANGO_SETTINGS_MODULE in it pytest-django would read the settings, and this process's home in them,
    before this file has made a home there: Django would write to one home, the children of its runs to another.
    """
    for ours in ("DJANGO_SETTINGS_MODULE", "LABELFREE_HOME"):
        del os.environ[ours]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the home."""
    shutil.rmtree(HOME, ignore_errors=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, by name, what needs hardware that this machine does not have."""
    needing = [item for item in items if item.get_closest_marker("gpu")]
    if not needing:
        return
    import torch

    if torch.cuda.is_available():
        return
    items[:] = [item for item in items if item not in needing]
    config.hook.pytest_deselected(items=needing)
    config.stash[_LEFT_OUT] = [item.nodeid for item in needing]
    if hasattr(config, "workeroutput"):
        config.workeroutput[_PASSED_ON] = config.stash[_LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node) -> None:
    """Hear from a process that shared the tests what it left out; all leave out the same."""
    if left_out := getattr(node, "workeroutput", {}).get(_PASSED_ON):
        node.config.stash[_LEFT_OUT] = left_out


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what was left out."""
    for name in config.stash.get(_LEFT_OUT, []):
        terminalreporter.write_line(f"LEFT OUT {name}: needs a CUDA device")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where CI=true, turn a skipped test into a failed one: a machine that skips proves nothing."""
    report = yield
    return _refuse_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """Do the same for a module that skips itself."""
    report = yield
    return _refuse_skip(report)


def _refuse_skip(report):
    if SKIP_IS_FAILURE and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where CI=true, which is a failure: {report.longrepr[-1]}"
    return report


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Keep the test database where child processes of the worker open it as well."""
    from django.db import connections

    name = HOME / "db.sqlite3"
    if server := os.environ.get("DATABASE_URL"):
        name = f"labelfree_tests_{os.getpid()}"
        os.environ["DATABASE_URL"] = f"{server.rpartition('/')[0]}/{name}"
    connections["default"].settings_dict["TEST"]["NAME"] = name


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Return the browser's executable."""
    found = machine.chromium()
    if found is None:
        pytest.skip("no Chromium: run `python -m tests.machine`")
    return found


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """Start a Redis of our own on a unix socket and give its ``redis+socket://`` address."""
    binary = machine.redis_server()
    if binary is None:
        pytest.skip("no redis-server: install Redis")
    folder = Path(tempfile.mkdtemp(prefix="labelfree-redis-"))  # a socket's path must stay under 108 characters
    socket = folder / "redis.sock"
    process = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", socket, "--unixsocketperm", "700", "--dir", folder, "--save", ""],
        stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not socket.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert socket.exists(), f"{binary} did not open {socket} in 10 s"
    yield f"redis+socket://{socket}"
    process.terminate()
    process.wait(10)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """Return the address of a Postgres server in which a test may make databases of its own."""
    found = machine.postgres_url()
    if found is None:
        pytest.skip("no Postgres answers: set LABELFREE_TEST_POSTGRES")
    return found


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """Write 60 of scikit-learn's real 8x8 digits as PNG files; return the folder and the truth in file order."""
    from PIL import Image
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("digits")
    found = load_digits()
    for index, pixels in enumerate(found.images[:60]):
        Image.fromarray((pixels * (255 / 16)).astype("uint8")).save(folder / f"digit-{index:04d}.png")
    return folder, [int(label) for label in found.target[:60]]


DIGIT_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="session")
def digit_names() -> tuple[str, ...]:
    """Return the names of the digits, in order."""
    return DIGIT_NAMES
