"""The command line: ``python -m core recommend | adapt | predict | compare | spot-check | evaluate | methods |
backbones | measures``.

Exit codes: 0 done, 2 bad input, 3 weights that cannot be had, 4 diverged, 5 a file that cannot be
read or written, 130 stopped by Ctrl-C, 141 nobody reads the output any more.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.catalog import BACKBONES, METHODS
from core.errors import (
    Cancelled,
    CheckpointError,
    ConfigError,
    DataError,
    Diverged,
    LabelfreeError,
    WeightsUnavailable,
)
from core.evaluation.measures import GROUPS, MEASURES
from core.evaluation.spot_check import DESIGNS
from core.presets.table import PRESETS
from core.settings import defaults, describe

EXIT_CODES: Mapping[type[LabelfreeError], int] = {
    ConfigError: 2, DataError: 2, WeightsUnavailable: 3, Diverged: 4, CheckpointError: 5, Cancelled: 130,
}


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    root = argparse.ArgumentParser(
        prog="python -m core", description="Adapt a foundation model to images without labels.",
        epilog="Exit codes: 0 done, 2 bad input, 3 weights unavailable, 4 diverged, "
               "5 a file cannot be read or written, 130 stopped.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_recommend(commands.add_parser("recommend", help="which method to take for some images, and why"))
    _add_adapt(commands.add_parser("adapt", help="adapt to images; write a model package and their labels"))
    predict = commands.add_parser("predict", help="label images with an adapted model")
    predict.add_argument("--model", type=Path, required=True, metavar="DIR|ZIP", help="what adapt wrote")
    predict.add_argument("--images", type=Path, required=True, metavar="DIR|ZIP|TAR")
    predict.add_argument("--out", type=Path, required=True, metavar="CSV", help="path,label,confidence,margin")
    _add_surroundings(predict)
    _add_compare(commands.add_parser("compare", help="finished runs side by side, and where they disagree"))
    _add_spot_check(commands.add_parser("spot-check", help="measure a run on a random sample that a person labels"))
    _add_evaluate(commands.add_parser("evaluate", help="measure labels, a model or a foundation model"))
    for name, words in (("methods", "list the methods and settings"), ("backbones", "list the foundation models"),
                        ("measures", "list what evaluate can measure")):
        commands.add_parser(name, help=words).add_argument("--json", action="store_true", help="one JSON object a line")
    return root


def _add_recommend(command: argparse.ArgumentParser) -> None:
    command.add_argument("--images", type=Path, required=True, metavar="DIR|ZIP|TAR")
    _add_question(command)
    command.add_argument("--labels", type=Path, metavar="CSV", help="path,label of the few images a person labelled")
    command.add_argument("--zero-shot", type=Path, metavar="RUN_DIR",
                         help="what adapt --method zeroshot wrote for these names: do they fit the images at all?")
    _add_json(command)


def _seed(text: str) -> int:
    """Return a seed: a whole number from 0 on."""
    if not text.isascii() or not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 0 on")
    return int(text)


def _add_question(command: argparse.ArgumentParser) -> None:
    question = command.add_mutually_exclusive_group()
    question.add_argument("--names", type=Path, metavar="FILE", help="class names, one a line")
    question.add_argument("--classes", type=int, metavar="K", help="how many classes, where there are no names")


def _add_adapt(command: argparse.ArgumentParser) -> None:
    command.add_argument("--images", type=Path, required=True, metavar="DIR|ZIP|TAR")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="new or empty, unless --resume")
    command.add_argument("--method", default="zeroshot", metavar="NAME", help=f"one of {', '.join(METHODS)}")
    _add_question(command)
    command.add_argument("--backbone", metavar="NAME", help="foundation model; k-means, TURTLE: up to three, a,b,c")
    command.add_argument("--preset", metavar="NAME", help="settings by name; without it they are chosen by the "
                                                          "number of images and the foundation model")
    command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting; repeatable")
    command.add_argument("--seed", type=_seed, default=0)
    command.add_argument("--held-out", metavar="SHARE|FILE", help="images kept out of adaptation, yet answered")
    command.add_argument("--warm-up", type=Path, metavar="DIR|ZIP|TAR", help="a larger collection to warm up on (MUST)")
    command.add_argument("--warm-up-names", type=Path, metavar="FILE", help="the larger collection's own class names, "
                                                                            "one a line; without it those of --names")
    command.add_argument("--replay", type=Path, metavar="DIR|ZIP|TAR", help="images like those the foundation model "
                                                                            "learnt from (unsupervised finetuning)")
    command.add_argument("--also", type=Path, action="append", default=[], metavar="DIR|ZIP|TAR",
                         help="further images to adapt to with the same names, to one model (MUST): all of them are "
                              "learnt from and none is answered; repeatable")
    command.add_argument("--labels", type=Path, metavar="CSV", help="path,label of the few images a person labelled")
    command.add_argument("--start-from", type=Path, metavar="DIR|ZIP",
                         help="a model that adapt wrote: begin with its encoder instead of the published weights")
    command.add_argument("--no-baseline", action="store_false", dest="baseline",
                         help="do not compare with zero-shot (k-means where there are no names); then there is no "
                              "objection and no estimated accuracy either")
    command.add_argument("--resume", action="store_true", help="go on with the run that --out holds")
    _add_surroundings(command)


def _add_compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("runs", type=Path, nargs="+", metavar="RUN_DIR", help="what adapt --out named, two or more")
    command.add_argument("--truth", type=Path, metavar="CSV", help="path,label, to measure on")
    command.add_argument("--out", type=Path, metavar="CSV", help="the images that they answer differently from the "
                                                                 "first, the most contradicted first")
    _add_json(command)


def _add_spot_check(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", type=Path, metavar="RUN_DIR", help="what adapt --out named")
    command.add_argument("--images", type=Path, metavar="DIR|ZIP|TAR", help="those that it answered: draw a sample and "
                                                                            "write a sheet to fill in")
    command.add_argument("--count", type=int, default=50, metavar="N", help="images to ask about (default: 50)")
    command.add_argument("--design", default="uniform", choices=DESIGNS, help="every image alike, or from every class "
                                                                              "answered, weighted back")
    command.add_argument("--seed", type=_seed, default=0)
    command.add_argument("--answers", type=Path, metavar="CSV", help="the filled sheet: measure, and write accuracy "
                                                                     "and interval into the model's card")
    command.add_argument("--drawn-for", type=Path, metavar="RUN_DIR",
                         help="with --answers: the run whose sample the sheet is, where that is another of the same "
                              "images and names")
    _add_json(command)


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    subject = command.add_mutually_exclusive_group(required=True)
    subject.add_argument("--labels", type=Path, metavar="CSV", help="labels, as adapt and predict write them")
    subject.add_argument("--model", type=Path, metavar="DIR|ZIP", help="what adapt wrote")
    subject.add_argument("--backbone", metavar="NAME", help="a foundation model as it is")
    command.add_argument("--images", type=Path, metavar="DIR|ZIP|TAR", help="for --model and --backbone")
    command.add_argument("--truth", type=Path, metavar="CSV", help="path,label")
    command.add_argument("--only", type=Path, metavar="FILE", help="paths to measure on, one a line (held_out.txt)")
    command.add_argument("--measure", default="", metavar="NAME,…",
                         help=f"of {', '.join(MEASURES)}; or a group: {', '.join(GROUPS)}")
    command.add_argument("--out", type=Path, metavar="DIR", help="for tables (CSV) and pictures (PNG)")
    command.add_argument("--beside", type=Path, action="append", default=[], metavar="DIR|ZIP",
                         help="one more model to draw attention of; repeatable")
    command.add_argument("--source", type=Path, metavar="DIR|ZIP|TAR", help="images that should not be forgotten")
    command.add_argument("--source-truth", type=Path, metavar="CSV", help="their path,label")
    command.add_argument("--sample", type=int, default=1000, metavar="N",
                         help="images for what looks at each many times (default: 1000)")
    command.add_argument("--seed", type=_seed, default=0)
    _add_surroundings(command)


def _add_surroundings(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1 …")
    _add_json(command)


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="one JSON object a line")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = parser().parse_args(arguments)
    try:
        _run(given)
        sys.stdout.flush()
    except LabelfreeError as error:
        return _refuse(error, next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), given.json)
    except KeyboardInterrupt:
        return _refuse(Cancelled(), 130, given.json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
        return 141
    except OSError as error:
        return _refuse(error, 5, given.json)
    return 0


def _run(given: argparse.Namespace) -> None:
    if given.command == "methods":
        _list_methods(given.json)
    elif given.command == "backbones":
        _list_backbones(given.json)
    elif given.command == "measures":
        _list_measures(given.json)
    else:
        from core import commands, request, shell  # torch takes seconds to load; lists and --help do without it

        listener = shell.JsonLines(sys.stdout) if given.json else shell.Bar(sys.stdout, sys.stderr)
        values = {name: value for name, value in vars(given).items() if name not in {"command", "json"}}
        if given.command == "adapt":
            commands.adapt(request.AdaptRequest(**values), listener)
        elif given.command == "predict":
            commands.predict(**values, listener=listener)
        elif given.command == "recommend":
            from core.advice import recommend

            recommend(**values, listener=listener)
        elif given.command == "compare":
            from core.comparison import compare

            compare(**values, listener=listener)
        elif given.command == "spot-check":
            from core.spot_checks import spot_check

            spot_check(**values, listener=listener)
        else:
            from core.evaluation.examination import EvaluateRequest, evaluate

            evaluate(EvaluateRequest(**values), listener)


def _refuse(error: Exception, code: int, as_json: bool) -> int:
    """Say what was wrong, on stderr and, where asked for, as the last JSON line."""
    print(f"error: {error}", file=sys.stderr)
    if as_json:
        retryable = isinstance(error, LabelfreeError) and error.retryable
        print(json.dumps({"event": "error", "kind": type(error).__name__, "message": str(error), "retryable": retryable,
                          "exit_code": code}, ensure_ascii=False), flush=True)
    return code


def _list_methods(as_json: bool) -> None:
    for name, method in METHODS.items():
        values, presets = defaults(method.settings), list(PRESETS.get(name, {}))
        if as_json:
            print(json.dumps({"method": name, "title": method.title, "summary": method.summary, "needs": method.needs,
                              "presets": presets, "settings": values}))
            continue
        print(f"{name}: {method.summary}\n    {inspect.getdoc(method.settings)}")
        if presets:
            print(f"    --preset {', '.join(presets)}; without it one is chosen by the model and the number of images, "
                  "and sets what stands below otherwise")
        for field, setting in describe(method.settings).items():
            symbol = f" ({setting.symbol})" if setting.symbol else ""
            print(f"    {field} = {values[field]!r}  {setting.label}{symbol}")


def _list_backbones(as_json: bool) -> None:
    for name, backbone in BACKBONES.items():
        if as_json:
            print(json.dumps({"backbone": name, "title": backbone.title, "reads_names": backbone.has_text,
                              "image_size_px": backbone.image_size_px, "license": backbone.license}))
            continue
        reads = "reads class names" if backbone.has_text else "images only"
        print(f"{name:16} {backbone.title}, {backbone.image_size_px} px, "
              f"{backbone.parameters_millions:g} M parameters, {reads}; {backbone.license}")


def _list_measures(as_json: bool) -> None:
    for name, one in MEASURES.items():
        if as_json:
            print(json.dumps({"measure": name, "title": one.title, "needs": one.needs, "unit": one.unit,
                              "source": one.source}, ensure_ascii=False))
        else:
            print(f"{name:12} {one.title} ({one.unit}); after {one.source}")


if __name__ == "__main__":
    sys.exit(main())
