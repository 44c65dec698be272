"""The whole of labelfree in one go: start it, send it 1,797 real digits, adapt, look at the result, take it away.

``make demo`` runs this. It speaks to the app as any program would, by the public API, and makes no
shortcut: scikit-learn's handwritten digits go in as PNG files without labels, the true labels only
measure what came out.

LABELFREE_HOME, LABELFREE_PORT: see `benchmarks.app`.
DEMO_JSON  a file that receives the figures
DEMO_EXIT  1 stops everything at the end instead of leaving the app running
"""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.app import App, running
from benchmarks.client import Api, Refused, say

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TIME_LIMIT_SECONDS = 60 * 60
AGREEMENT_IMAGES = 200
RUNS: Mapping[str, Mapping[str, Any]] = {
    "zeroshot": {},
    "turtle": {"num_classes": len(NAMES), "settings": {"search": False}},
    "must": {"settings": {"mirror": False}},  # a mirrored 2 is not a 2
}


def main() -> int:
    """Tell the story; return the exit code."""
    say("Starting Redis, a worker and the web …")
    try:
        with running("demo", TIME_LIMIT_SECONDS) as app:
            say(f"They answer at {app.api.base}; everything is kept in {app.home}.")
            return story(app)
    except Refused as failure:
        say(f"\nThe demo failed: {failure}\nThe logs are in {os.environ['LABELFREE_HOME']}/logs.")
        return 1
    except KeyboardInterrupt:
        return 130


def story(app: App) -> int:
    """Images in, a model out, and the app left running; return the exit code."""
    api = app.api
    archive, truth = write_digits(app.home / "demo")
    collection = api.send_images("Handwritten digits", archive, len(truth), mirror=False)
    ask_question(api, collection, truth)
    runs = adapt(api, collection)
    say(table(runs))
    agreement = take_model_away(api, runs["must"], app.home / "demo")
    write_figures(runs, agreement)
    if agreement < 1:
        raise Refused(f"predict.py agrees with the app on only {agreement:.1%} of {AGREEMENT_IMAGES} images")
    if os.environ.get("DEMO_EXIT", "") in ("", "0"):
        say(f"\nlabelfree is running. Look at what it made (this link signs in once):\n\n  {link_to(runs['must'])}\n\n"
            f"Ctrl-C stops it; `LABELFREE_HOME={app.home} make run` starts it again.")
        app.process.wait()
    return 0


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
    return {method: api.watch(method, run) for method, run in queued.items()}


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
    return "\n".join([*lines, "\n  Measured on the true labels, which no method saw; TURTLE's groups, "
                              "whose names\n  are guesses, after the best one-to-one match.\n"])


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


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
