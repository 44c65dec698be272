"""Everything that strangers may send and try, tried: ``python -m benchmarks.security [--share 0.02] [--rows FILE]``.

Files are read in child processes under limits, and sent by tus to a labelfree that is started here; texts and headers
are Hypothesis's, API bodies schemathesis's; doors are tried from outside. Each trial becomes a row; those that are in
the file are not made again. At the end stands a line a bound.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import (
    api_fuzz,
    doors,
    gates,
    hostile_archives,
    hostile_images,
    hostile_words,
    reliability,
    rows,
    tus_door,
)
from benchmarks.app import App, running
from benchmarks.client import Refused, say
from benchmarks.doors import House
from benchmarks.hostile_words import Door, examine
from benchmarks.reading_child import Reader
from benchmarks.trials import Trials, version
from benchmarks.vital_signs import VitalSigns
from core.catalog import METHODS

PICTURES, PICTURE_TRIALS = 1000, 2
"""Mutated files of one kind in a trial, and trials of each kind."""
ARCHIVES, ARCHIVE_TRIALS = 500, 4
SENT, SENT_TRIALS = 200, 2
EXAMPLES, ASKED = 3000, 1000
"""Hypothesis's examples: of what is read here, and of what is sent to the running product."""
API_EXAMPLES, API_TRIALS = 60, 3
STOLEN = 10
LIMIT_SECONDS = 4 * 3600
WRONG_SHOWN = 10


@dataclass(frozen=True)
class Made:
    """What a trial came to: things done, what was wrong, figures."""

    count: int
    wrong: Sequence[str]
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """One trial of a kind, and how it is made."""

    kind: str
    number: int
    make: Callable[[], Made]


def alone(share: float) -> Iterator[Trial]:
    """Yield the trials that need no running product."""
    for kind in hostile_images.KINDS:
        for number in range(PICTURE_TRIALS):
            yield Trial(f"mutated picture: {kind}", number, lambda kind=kind, number=number: read_all(  # type: ignore[misc]
                "picture", f"{number}.{kind}", hostile_images.mutated(kind, number, round(PICTURES * share))))
    yield Trial("pictures made to take for ever", 0, read_giants)
    for number in range(ARCHIVE_TRIALS):
        yield Trial("mutated archives", number, lambda number=number: read_all(  # type: ignore[misc]
            "archive", "photos.zip", hostile_archives.mutated(number, round(ARCHIVES * share))))
    examples = round(EXAMPLES * share)
    yield Trial("made-up class lists", 0, lambda: Made(*examine(
        hostile_words.check_class_list, hostile_words.CLASS_LISTS, examples, 0)))
    yield Trial("made-up files of labels", 0, lambda: Made(*examine(
        hostile_words.check_labels, hostile_words.TABLES, examples, 0)))
    for number, method in enumerate(METHODS):
        yield Trial("made-up settings", number, lambda method=method, number=number: Made(*examine(  # type: ignore[misc]
            hostile_words.check_settings(method), hostile_words.settings_of(method), examples, number)))
    for path in gates.DOOR_TESTS:
        yield Trial(f"routes and roles: {path}", 0, lambda path=path: Made(*gates.run_tests(path)))  # type: ignore[misc]
    yield Trial("manage.py check --deploy behind TLS", 0, lambda: Made(1, gates.check_deployment()))
    yield Trial("bandit, files read", 0, lambda: Made(*gates.bandit()))
    yield Trial("pip-audit, packages that its advisory source knew", 0, lambda: Made(*gates.audit()))


def against(house: House, share: float) -> Iterator[Trial]:
    """Yield the trials against a running product."""
    app, door = house.app, Door(house.app.api.base, house.token)
    collection = house.ids["collections"][0]
    for number in range(SENT_TRIALS):
        yield Trial("pictures by tus", number, lambda number=number: Made(  # type: ignore[misc]
            *tus_door.send_pictures(app, number, round(SENT * share))))
    yield Trial("hostile archives by tus", 0, lambda: Made(*tus_door.send_archives(app)))
    said = {"made-up tus headers": hostile_words.check_tus(door, collection),
            "made-up questions about uploads": hostile_words.check_questions(door, collection),
            "made-up truth CSVs": (hostile_words.check_truth(door, collection), hostile_words.TABLES)}
    for kind, (check, values) in said.items():
        yield Trial(kind, 0, lambda check=check, values=values: Made(  # type: ignore[misc]
            *examine(check, values, round(ASKED * share), 0)))
    for number in range(API_TRIALS):
        yield Trial("API by its OpenAPI document", number, lambda number=number: fuzz_api(  # type: ignore[misc]
            house, max(1, round(API_EXAMPLES * share)), number))
    yield Trial("forged requests on every unsafe route", 0, lambda: Made(*doors.forge(house)))
    yield Trial("stolen session hashes", 0, lambda: Made(*doors.steal_sessions(house, STOLEN)))
    yield Trial("guessed paths", 0, lambda: Made(*doors.guess_paths(house)))
    yield Trial("links and tokens of others", 0, lambda: Made(*doors.use_links_of_others(house)))


def read_all(kind: str, name: str, files: Iterator[bytes]) -> Made:
    """Let a child read files; each is kept or refused by name, in bounded memory and time."""
    count, kept, wrong, slowest, peak = 0, 0, [], 0.0, 0
    with Reader() as reader:
        for number, content in enumerate(files):
            outcome = reader.give(kind, name, content)
            count, kept = count + 1, kept + outcome.kept
            slowest, peak = max(slowest, outcome.seconds), max(peak, outcome.peak_bytes)
            if outcome.wrong:
                wrong.append(f"file {number} {outcome.wrong}")
    return Made(count, wrong, {"kept": kept, "slowest_seconds": slowest, "peak_megabytes": peak / 2**20})


def read_giants() -> Made:
    """Let a new child read each picture that is as large, long or slow as it may be."""
    wrong, slowest, peak, kept = [], 0.0, 0, 0
    with Reader() as reader:
        for name, make in hostile_images.GIANTS.items():
            outcome = reader.give("picture", name, make())
            reader.end()
            say(f"      {name}: {'kept' if outcome.kept else 'refused'}, {outcome.seconds:.1f} s, "
                f"{outcome.peak_bytes / 2**20:.0f} MB")
            slowest, peak, kept = max(slowest, outcome.seconds), max(peak, outcome.peak_bytes), kept + outcome.kept
            if outcome.wrong:
                wrong.append(f"{name} {outcome.wrong}")
    return Made(len(hostile_images.GIANTS), wrong, {
        "kept": kept, "slowest_seconds": slowest, "peak_megabytes": peak / 2**20})


def fuzz_api(house: House, examples: int, seed: int) -> Made:
    """Let schemathesis loose on the API."""
    count, wrong, slowest = api_fuzz.fuzz(house.app, house.token, dict(house.ids), examples, seed)
    return Made(count, wrong, {"slowest_seconds": slowest})


def unhurt(app: App, make: Callable[[], Made]) -> Made:
    """Make a trial against a running product, and see whether it left it unhurt."""
    before = VitalSigns(app)
    made = make()
    return Made(made.count, [*made.wrong, *before.wrong()],
                {**made.figures, "web_grown_megabytes": before.grown_megabytes()})


def main() -> int:
    """Make the trials that are missing; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, default=reliability.SECURITY, help="the file of trials")
    parser.add_argument("--share", type=float, default=1.0, help="of each trial's size, to try the bench itself")
    parser.add_argument("--only", nargs="*", default=[""], help="words that a kind may begin with")
    chosen = parser.parse_args()
    trials = Trials(chosen.rows, version())
    wanted = [one for one in alone(chosen.share) if one.kind.startswith(tuple(chosen.only))]
    for one in missing(trials, wanted):
        add(trials, one, one.make())
    try:
        with ExitStack() as stack:
            attack(trials, chosen.share, tuple(chosen.only), stack)
    except Refused as failure:
        say(f"the product did not do what it should: {failure}")
        return 1
    if chosen.rows == reliability.SECURITY:
        reliability.write()
    bounds = list(reliability.security_bounds(rows.read_trials(chosen.rows)))
    say("\n".join(map(str, bounds)))
    return 0 if all(bound.holds for bound in bounds) else 1


def attack(trials: Trials, share: float, only: tuple[str, ...], stack: ExitStack) -> None:
    """Make the missing trials against a product, which is started for the first of them."""
    kinds = [(kind, number) for kind, count in AGAINST.items() for number in range(count) if kind.startswith(only)]
    if all(number not in set(trials.missing(kind, AGAINST[kind])) for kind, number in kinds):
        return
    app = stack.enter_context(running("bench-security", LIMIT_SECONDS))
    house = doors.furnish(app)
    for one in missing(trials, [one for one in against(house, share) if one.kind.startswith(only)]):
        add(trials, one, unhurt(app, one.make))


AGAINST = {"pictures by tus": SENT_TRIALS, "hostile archives by tus": 1, "made-up tus headers": 1,
           "made-up questions about uploads": 1, "made-up truth CSVs": 1, "API by its OpenAPI document": API_TRIALS,
           "forged requests on every unsafe route": 1, "stolen session hashes": 1, "guessed paths": 1,
           "links and tokens of others": 1}
"""The kinds that take a running product, and how many trials of each, so that none is started in vain."""


def missing(trials: Trials, wanted: Sequence[Trial]) -> Iterator[Trial]:
    """Yield those that have not been made."""
    yield from (one for one in wanted if one.number in trials.missing(one.kind, one.number + 1))


def add(trials: Trials, trial: Trial, made: Made) -> None:
    """Write a trial down."""
    more = [f"and {len(made.wrong) - WRONG_SHOWN} more"] if len(made.wrong) > WRONG_SHOWN else []
    trials.add(trial.kind, trial.number, made.count, [*made.wrong[:WRONG_SHOWN], *more], made.figures)


if __name__ == "__main__":
    sys.exit(main())
