"""What breaking labelfree has shown: bounds, and ``docs/reliability.md``, from the committed trials.

The trials are made by `benchmarks.faults`, `benchmarks.security`, `benchmarks.load` and `benchmarks.image`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import rows
from benchmarks.bounds import Bound

FAULTS, SECURITY = rows.RESULTS / "faults.jsonl", rows.RESULTS / "security.jsonl"
LOAD, IMAGE = rows.RESULTS / "load.jsonl", rows.RESULTS / "image.jsonl"
IMAGE_KINDS = ("build the target web", "build the target worker", "serve what compose.yaml says")
PAGE = Path(__file__).parents[1] / "docs" / "reliability.md"
HEADER = """# Reliability

What was done to a real labelfree to break it, and what became of it. Written from the trials in
`benchmarks/results/`, which `make bench-faults`, `bench-security`, `bench-load` and `bench-image` add to: they start
the product on this machine, kill and freeze its real processes, fill its disks and send it what nobody should send.
*Wrong* counts the trials in which anything at all went wrong; each is named below the table. Attempts that failed by
the bench's own fault were taken out; `docs/decisions.md` (2026-11-22 and 2026-11-29) names them, and what the former
calls not judged has been since.
"""


def trials(found: Iterable[rows.TrialRow], *starts: str) -> list[rows.TrialRow]:
    """Return the trials whose kind begins with one of `starts`."""
    return [row for row in found if row.kind.startswith(starts)]


def wrong(found: Sequence[rows.TrialRow]) -> float | None:
    """Return in how many trials something went wrong, None where none was made."""
    return float(sum(bool(row.wrong) for row in found)) if found else None


def made(found: Sequence[rows.TrialRow]) -> float:
    """Return how many things were done."""
    return float(sum(row.count for row in found))


def most(found: Sequence[rows.TrialRow], figure: str) -> float | None:
    """Return the largest of a figure, None where it was not measured."""
    return max((row.figures[figure] for row in found if figure in row.figures), default=None)


def table(found: Sequence[rows.TrialRow]) -> Iterator[str]:
    """Yield the counts, one kind a row, and after them each thing that went wrong."""
    yield "| what was done | trials | things done | wrong | largest figures |"
    yield "|---|--:|--:|--:|---|"
    for kind in Counter(row.kind for row in found):
        same = [row for row in found if row.kind == kind]
        names = dict.fromkeys(name for row in same for name in row.figures)
        figures = ", ".join(f"{name.replace('_', ' ')} {most(same, name):,.4g}" for name in names)
        yield f"| {kind} | {len(same)} | {made(same):,.0f} | {wrong(same):.0f} | {figures} |"
    yield ""
    yield from (f"- {row.kind}, trial {row.trial}: {one}" for row in found for one in row.wrong)


def side_by_side(found: Sequence[rows.TrialRow]) -> Iterator[str]:
    """Yield the figures of the last trial of each kind, one figure a row and one kind a column."""
    last = newest(found)
    yield f"| | {' | '.join(row.kind for row in last)} |"
    yield f"|---|{'--:|' * len(last)}"
    for name in dict.fromkeys(name for row in last for name in row.figures):
        values = (f"{row.figures[name]:,.4g}" if name in row.figures else "–" for row in last)
        yield f"| {name.replace('_', ' ')} | {' | '.join(values)} |"
    yield ""
    yield from (f"- {row.kind}: {one}" for row in last for one in row.wrong)


def section(title: str, file: Path, bounds: Callable[[list[rows.TrialRow]], Iterable[Bound]],
            table: Callable[[list[rows.TrialRow]], Iterable[str]] = table) -> list[str]:
    """Return a part of the page; nothing where nothing was tried."""
    found = rows.read_trials(file)
    if not found:
        return []
    return [f"## {title}", "", *table(found), "", "```", *(str(one) for one in bounds(found)), "```", ""]


def fault_bounds(found: Sequence[rows.TrialRow]) -> Iterator[Bound]:
    """Yield what must hold while processes are killed, disks are full and databases are away."""
    kills, zombies = trials(found, "kills"), trials(found, "zombie", "child frozen")
    yield Bound("kill -9s of web, workers, children, Redis and database connections", made(kills), least=200)
    yield Bound("kill rounds with an image lost or double, a run stuck, ended twice or answered otherwise",
                wrong(kills), most=0)
    yield Bound("seconds until a dead worker is noticed", most([*kills, *zombies], "noticed_seconds"), most=60)
    yield Bound("seconds until a cancelled run has ended", most(kills, "cancel_seconds"), most=30)
    yield Bound("seconds of work that a death repeats", most(kills, "repeated_seconds"), most=300)
    yield Bound("redeliveries, visibility timeout of 10 s, with a second effect",
                wrong(trials(found, "visibility")), most=0)
    yield Bound("zombies that wrote, of those tried", wrong(zombies), most=0)
    yield Bound("ways to come back from the dead that were tried", made(zombies), least=5)
    yield outlived("full disks", trials(found, "disk full"), least=4)
    yield outlived("locked, emptied and lost databases", trials(found, "SQLite", "Redis", "Postgres"), least=4)
    floods = trials(found, "100,000 images", "one tar", "500 images")
    yield Bound("images sent in one go", made(trials(found, "100,000 images")), least=100_000)
    yield Bound("gigabytes sent in one archive", most(floods, "gigabytes"), least=5)
    yield Bound("megabytes by which the web grew", most(floods, "web_grown_megabytes"), most=200)
    yield Bound("cuts of a line, of which nothing was sent twice beyond a chunk",
                made([row for row in trials(found, "20 cuts") if not row.wrong]), least=20)
    yield Bound("trials in which anything went wrong", wrong(found), most=0)


def outlived(what: str, found: Sequence[rows.TrialRow], least: int) -> Bound:
    """Return the bound that so many shortages were made, and nothing went wrong in them."""
    return Bound(f"{what}, said in words and outlived", float(sum(not row.wrong for row in found)), least=least)


def security_bounds(found: Sequence[rows.TrialRow]) -> Iterator[Bound]:
    """Yield what must hold whatever is sent, by whomever."""
    pictures, giants = trials(found, "mutated picture: "), trials(found, "pictures made to take for ever")
    doors = trials(found, "routes and roles", "forged requests", "stolen session", "guessed paths", "links and tokens")
    yield Bound("mutated pictures that were read", made(pictures), least=20_000)
    yield Bound("kinds of pictures among them", float(len({row.kind for row in pictures})), least=12)
    yield Bound("processor seconds that one picture takes", most([*pictures, *giants], "slowest_seconds"), most=60)
    yield Bound("megabytes that one picture takes", most([*pictures, *giants], "peak_megabytes"), most=2_048)
    yield Bound("mutated pictures sent by tus and accounted for", made(trials(found, "pictures by tus")), least=300)
    yield Bound("mutated archives that were read", made(trials(found, "mutated archives")), least=2_000)
    yield Bound("hostile archives sent by tus, each with its one right outcome",
                made(trials(found, "hostile archives by tus")), least=35)
    yield Bound("made-up class lists, tables, settings, headers and questions", made(trials(found, "made-up")),
                least=20_000)
    yield Bound("requests made up from the API's own description", made(trials(found, "API by its")), least=2_000)
    yield Bound("seconds that one answer of the API takes", most(trials(found, "API by its"), "slowest_seconds"),
                most=30)
    yield Bound("megabytes by which the web grew", most(found, "web_grown_megabytes"), most=200)
    yield Bound("requests at doors that stay shut", made(doors), least=5_000)
    yield Bound("routes and roles in the matrix, tests", most(doors, "cases"), least=10)
    yield Bound("trials in which anything went wrong", wrong(found), most=0)


def newest(found: Iterable[rows.TrialRow]) -> list[rows.TrialRow]:
    """Return the last trial of each kind."""
    return list({row.kind: row for row in found}.values())


def load_bounds(found: Sequence[rows.TrialRow]) -> Iterator[Bound]:
    """Yield what must hold with fifty reviewers, an upload and a run on one machine, as it was measured last."""
    last = newest(found)
    yield Bound("databases that were measured", float(len(last)), least=2)
    yield Bound("requests that went wrong, kinds of them", float(sum(len(row.wrong) for row in last)), most=0)
    for row in last:
        kinds = {name: value for name, value in row.figures.items() if name.endswith("_p95_ms")}
        slowest = max(kinds, key=lambda name: kinds[name]).removesuffix("_p95_ms")
        yield Bound(f"{row.kind}: p95 of all requests, ms", row.figures["any_p95_ms"], most=500)
        yield Bound(f"{row.kind}: p95 of the slowest kind ({slowest}), ms", kinds[f"{slowest}_p95_ms"], most=500)


def image_bounds(found: Sequence[rows.TrialRow]) -> Iterator[Bound]:
    """Yield what the Dockerfile and compose.yaml must show, each part as it was proven last."""
    last = newest(found)
    yield Bound("parts of the Dockerfile and compose.yaml that were proven", float(len(last)), least=len(IMAGE_KINDS))
    yield Bound("of them those in which anything went wrong", wrong(last), most=0)


def write() -> None:
    """Write the page."""
    body = [HEADER, *section("Faults", FAULTS, fault_bounds), *section("Security", SECURITY, security_bounds),
            *section("Fifty reviewers, an upload and a run at once", LOAD, load_bounds, side_by_side),
            *section("Dockerfile and compose.yaml", IMAGE, image_bounds, side_by_side)]
    PAGE.write_text("\n".join(body))


def print_bounds(bounds: Iterable[Bound]) -> int:
    """Print a line a bound; return the exit code, 1 when one is short."""
    found = list(bounds)
    print("\n".join(map(str, found)))
    return 0 if all(bound.holds for bound in found) else 1
