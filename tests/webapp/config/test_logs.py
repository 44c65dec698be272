"""The log as JSON, from the programs that write it to the supervisor that shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

from tests.workers.conftest import wait_for
from workers.supervisor import Program, supervise

ROOT = Path(__file__).parents[3]
WRITE = """
import django, logging
django.setup()
logging.getLogger("workers.runs").info("run %s ended\\nbadly", 7, extra={"run": 7})
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("webapp").exception("broken")
"""


def test_one_setting_makes_every_line_an_object(tmp_path):
    environment = {**os.environ, "LABELFREE_HOME": str(tmp_path), "LABELFREE_LOGS": "json"}
    written = subprocess.run([sys.executable, "-c", WRITE], cwd=ROOT, env=environment, capture_output=True, text=True,
                             check=True).stderr.splitlines()
    ended, broken = (json.loads(line) for line in written)
    assert (ended["level"], ended["logger"], ended["message"], ended["run"]) == (
        "INFO", "workers.runs", "run 7 ended\nbadly", 7)
    assert ended["time"].endswith("+00:00")
    assert "run" not in broken and "ZeroDivisionError" in broken["error"]


ASKED = """
import django, logging
django.setup()
for path in ("/link/SECRET/", "/labelfree/invitations/SECRET/?next=/", "/new-password/MQ/SECRET/", "/runs/7/"):
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "10.0.0.9:1", "GET", path, "1.1", 200)
"""


def test_the_log_says_no_address_that_opens_something(server):
    with server.client() as browser:
        for path in ("/link/SECRET/", "/invitations/SECRET/"):
            assert browser.get(path).status_code == 410
    log = (server.home / "web.log").read_text()
    assert "Gone: /link/…" in log and "Gone: /invitations/…" in log
    assert "SECRET" not in log


def test_the_web_server_s_own_lines_do_not_either(tmp_path):
    environment = {**os.environ, "LABELFREE_HOME": str(tmp_path)}
    written = subprocess.run([sys.executable, "-c", ASKED], cwd=ROOT, env=environment, capture_output=True, text=True,
                             check=True).stderr
    assert [line.split('"')[1] for line in written.splitlines()] == [
        "GET /link/… HTTP/1.1", "GET /labelfree/invitations/…?next=/ HTTP/1.1", "GET /new-password/… HTTP/1.1",
        "GET /runs/7/ HTTP/1.1"]


def test_the_supervisor_puts_no_name_before_an_object():
    said, stopping = [], threading.Event()
    program = Program(name="web", command=[sys.executable, "-c", "print('{\"level\": 1}\\nplain'); input()"])
    supervisor = threading.Thread(target=supervise, args=[[[program]], said.append, stopping])
    supervisor.start()
    wait_for(lambda: "   web | plain" in said)
    stopping.set()
    supervisor.join(20)
    assert said[:2] == ['{"level": 1}', "   web | plain"]
