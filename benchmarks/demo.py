"""The whole of labelfree in one go: start it, send it 1,797 real digits, adapt, look at the result, take it away.

``make demo`` runs this. It speaks to the app as any program would, by the public API, and makes no
shortcut: scikit-learn's handwritten digits go in as PNG files without labels, the true labels only
measure what came out.

LABELFREE_HOME  where everything is kept; ./var/demo, made anew each time
LABELFREE_PORT  the web's port; the first free one from 8000
DEMO_JSON       a file that receives the figures
DEMO_EXIT       1 stops everything at the end instead of leaving the app running
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.client import Api, Refused

SOURCES = Path(__file__).resolve().parents[1]
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MARK = "made-by-make-demo"
TIME_LIMIT_SECONDS = 60 * 60
START_LIMIT_SECONDS = 180
AGREEMENT_IMAGES = 200
STOP_SECONDS = 20
RUNS: Mapping[str, Mapping[str, Any]] = {
    "zeroshot": {},
    "turtle": {"num_classes": len(NAMES), "settings": {"search": False}},
    "must": {"settings": {"mirror": False}},  # a mirrored 2 is not a 2
}


def main() -> int:
    """Tell the story; return the exit code."""
    home, port = choose_home(), choose_port()
    os.environ.update(LABELFREE_HOME=str(home), LABELFREE_PORT=str(port), HF_HUB_OFFLINE="1",
                      DJANGO_SETTINGS_MODULE="webapp.config.settings")
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    token = make_person()
    say(f"Everything is kept in {home}. Starting Redis, a worker and the web on port {port} …")
    app = start_app(home)
    try:
        api = Api(f"http://127.0.0.1:{port}", token, deadline)
        wait_until_it_answers(api, app, home)
        archive, truth = write_digits(home / "demo")
        collection = send_images(api, archive, len(truth))
        ask_question(api, collection, truth)
        runs = adapt(api, collection)
        say(table(runs))
        agreement = take_model_away(api, runs["must"], home / "demo")
        write_figures(runs, agreement)
        if agreement < 1:
            raise Refused(f"predict.py agrees with the app on only {agreement:.1%} of {AGREEMENT_IMAGES} images")
        if os.environ.get("DEMO_EXIT", "") not in ("", "0"):
            return 0
        say(f"\nlabelfree is running. Look at what it made (this link signs in once):\n\n  {link_to(runs['must'])}\n\n"
            f"Ctrl-C stops it; `LABELFREE_HOME={home} make run` starts it again.")
        app.wait()
        return 0
    except Refused as failure:
        say(f"\nThe demo failed: {failure}\nThe logs are in {home / 'logs'}.")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        stop(app)


def choose_home() -> Path:
    """Return an empty folder; what an earlier demo left there is removed, anything else is left alone."""
    home = Path(os.environ.get("LABELFREE_HOME") or SOURCES / "var" / "demo").resolve()
    if home.exists() and any(home.iterdir()):
        if not (home / MARK).exists():
            raise SystemExit(f"{home} holds something that no demo made; name another folder: "
                             "LABELFREE_HOME=/path make demo")
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (home / MARK).write_text("`make demo` removes this folder when it runs again.\n")
    return home


def choose_port() -> int:
    """Return the port that was asked for, else the first free one from 8000."""
    if os.environ.get("LABELFREE_PORT"):
        return int(os.environ["LABELFREE_PORT"])
    for port in range(8000, 8100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise SystemExit("no port from 8000 to 8099 is free; name one: LABELFREE_PORT=9000 make demo")


def make_person() -> str:
    """Prepare the database and make the person of the demo; return an API token."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from webapp.accounts.models import ApiToken

    call_command("migrate", verbosity=0)
    _, token = ApiToken.issue(User.objects.create_superuser("demo"), "make demo")
    connection.close()
    return token


def start_app(home: Path) -> subprocess.Popen[bytes]:
    """Start everything as `make run` does; what it prints goes to a log."""
    (home / "logs").mkdir(mode=0o700, exist_ok=True)
    with (home / "logs" / "up.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, str(SOURCES / "workers" / "tether.py"), str(os.getpid()),
             sys.executable, str(SOURCES / "manage.py"), "up"],
            cwd=SOURCES, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def stop(app: subprocess.Popen[bytes]) -> None:
    """Stop everything in order."""
    if app.poll() is None:
        app.send_signal(signal.SIGTERM)
    try:
        app.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        app.kill()


def wait_until_it_answers(api: Api, app: subprocess.Popen[bytes], home: Path) -> None:
    """Wait for the web."""
    began = time.monotonic()
    while time.monotonic() - began < START_LIMIT_SECONDS:
        if app.poll() is not None:
            raise Refused("it did not start:\n" + (home / "logs" / "up.log").read_text(errors="replace")[-2000:])
        try:
            api.get("/api/v1/collections")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
        else:
            return
    raise Refused(f"the web did not answer within {START_LIMIT_SECONDS} s")


def write_digits(folder: Path) -> tuple[Path, dict[str, str]]:
    """Write scikit-learn's digits (8x8, white on black) as PNG files and one zip; return it and the truth by name."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = folder / "digits"
    images.mkdir(parents=True)
    archive, truth = folder / "digits.zip", {}
    with zipfile.ZipFile(archive, "w") as package:
        for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
            file = images / f"digit-{index:04d}.png"
            Image.fromarray((pixels * (255 / 16)).astype("uint8")).save(file)
            package.write(file, file.name)
            truth[file.name] = NAMES[int(label)]
    return archive, truth


def send_images(api: Api, archive: Path, count: int) -> int:
    """Make a collection, send the archive in chunks, wait until a worker has read it; return the collection's id."""
    collection = int(api.post("/api/v1/collections", {"name": "Handwritten digits", "mirror": False})["id"])
    api.upload(archive, collection)
    say(f"Sent {count:,} images ({archive.stat().st_size / 1024:.0f} kB) in chunks; a worker reads them …")
    while True:
        state = api.get(f"/api/v1/collections/{collection}")
        if not state["pending_upload_count"]:
            break
        api.pause()
    if state["images"] != count or state["refusal_count"]:
        raise Refused(f"{state['images']} of {count} images arrived; refused: {state['refusals'][:3]}")
    return collection


def ask_question(api: Api, collection: int, truth: Mapping[str, str]) -> None:
    """Give the class names, and the truth that only measures."""
    names = api.post("/api/v1/class-lists", {"name": "Digits", "names": list(NAMES)})
    api.change(f"/api/v1/collections/{collection}", {"class_list": names["id"]})
    rows = "path,label\n" + "".join(f"{path},{label}\n" for path, label in truth.items())
    told = api.put(f"/api/v1/collections/{collection}/truth", rows.encode(), "text/csv")
    if told["labelled"] != len(truth):
        raise Refused(f"the truth of {told['labelled']} of {len(truth)} images was taken")


def adapt(api: Api, collection: int) -> dict[str, dict[str, Any]]:
    """Start zero-shot, TURTLE and MUST, and watch each to its end; return the finished runs by method."""
    queued = {method: api.post(f"/api/v1/collections/{collection}/runs", {"method": method, **asked})["id"]
              for method, asked in RUNS.items()}
    return {method: watch(api, method, run) for method, run in queued.items()}


def watch(api: Api, method: str, run: int) -> dict[str, Any]:
    """Show a run's progress until it ends; return it."""
    shown, shown_at = "", 0.0
    while True:
        state = api.get(f"/api/v1/runs/{run}")
        if state["status"] not in ("queued", "running"):
            break
        left = f", about {state['seconds_left']:.0f} s left" if state["seconds_left"] else ""
        line = f"  {method}: {state['stage'] or state['status']}"
        if line != shown or time.monotonic() - shown_at > 10:
            say(f"{line} · {state['percent']} %{left}{' · ' + state['notice'] if state['notice'] else ''}")
            shown, shown_at = line, time.monotonic()
        api.pause()
    if state["status"] != "succeeded":
        raise Refused(f"{method} {state['status']}: {state['error']}")
    say(f"  {method}: done")
    return dict(state)


def figures(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table says of a run; clusters are matched one to one with the true classes."""
    result = run["result"]
    measured = result["measured"]
    return {"method": run["method"], "classes_found": result["classes_found"],
            "label_free_score": result["label_free_score"],
            "measured_accuracy": measured.get("accuracy", measured.get("hungarian_accuracy")),
            "seconds": result["seconds"]}


def table(runs: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the figures as a table."""
    lines = [f"\n  {'method':<10}{'classes found':>15}{'label-free score':>18}{'measured accuracy':>19}{'seconds':>9}"]
    for one in map(figures, runs.values()):
        lines.append(f"  {one['method']:<10}{one['classes_found']:>15}{one['label_free_score']:>17.1%} "
                     f"{one['measured_accuracy']:>18.1%}{one['seconds']:>9.0f}")
    return "\n".join([*lines, "\n  Measured on the true labels, which no method saw; TURTLE's clusters, which have no "
                              "names,\n  after the best one-to-one match.\n"])


def take_model_away(api: Api, run: Mapping[str, Any], folder: Path) -> float:
    """Download the model package, label images with its own program, and return the share of same answers."""
    (folder / "package.zip").write_bytes(api.download(f"/api/v1/runs/{run['id']}/package"))
    package = folder / "package"
    with zipfile.ZipFile(folder / "package.zip") as archive:
        archive.extractall(package)
    wanted = sorted((folder / "digits").iterdir())[:AGREEMENT_IMAGES]
    answered = subprocess.run(
        [sys.executable, "-I", "predict.py", *map(str, wanted), "--out", "labels.csv", "--device", "cpu"],
        cwd=package, capture_output=True, text=True, check=False)
    if answered.returncode:
        raise Refused(f"the package's predict.py ended with {answered.returncode}:\n{answered.stderr[-2000:]}")
    theirs = {Path(row["path"]).name: row["label"] for row in csv.DictReader((package / "labels.csv").open())}
    text = api.download(f"/api/v1/runs/{run['id']}/labels.csv").decode()
    ours = {row["path"]: row["label"] for row in csv.DictReader(io.StringIO(text))}
    agreement = sum(theirs.get(one.name) == ours[one.name] for one in wanted) / len(wanted)
    say(f"The model package, by its own predict.py in another process, agrees on {agreement:.1%} of {len(wanted)} "
        "images.")
    return agreement


def write_figures(runs: Mapping[str, Mapping[str, Any]], agreement: float) -> None:
    """Write the figures into the file that was named, if one was."""
    if os.environ.get("DEMO_JSON"):
        said = {"results": [figures(run) for run in runs.values()], "package_agreement": agreement}
        Path(os.environ["DEMO_JSON"]).write_text(json.dumps(said, indent=2) + "\n")


def link_to(run: Mapping[str, Any]) -> str:
    """Return a link that signs the demo's person in and opens a run."""
    from django.contrib.auth.models import User

    from webapp.accounts.first_run import link_for

    return link_for(User.objects.get(username="demo"), urlsplit(run["page"]).path)


def say(line: str) -> None:
    """Tell the person."""
    print(line, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
