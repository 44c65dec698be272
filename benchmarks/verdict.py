"""What has to be so in the end, whatever was done: images as sent, runs ended once, with the right answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from benchmarks.digits import Answers, answers
from benchmarks.house import House
from benchmarks.patience import Patient
from benchmarks.postbox import Postbox

SHOWN = 500


def images(house: House, collection: int, sent: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield what is wrong with a collection: exactly what was sent (name, SHA-256), none twice, each with its file."""
    found = house.ledger.ask(
        "select path, sha256, number, file from collections_image where collection_id = ? order by number", collection)
    there, wanted = Counter((path, content) for path, content, _, _ in found), Counter(sent)
    if there != wanted:
        yield (f"collection {collection}: {(wanted - there).total()} lost, {(there - wanted).total()} too many: "
               f"{[*(wanted - there), *(there - wanted)][:3]}")
    if [number for _, _, number, _ in found] != list(range(len(found))):
        yield f"collection {collection}: its {len(found)} images are not numbered one by one"
    for path, _, _, file in found:
        stored = house.home / "media" / file
        if not stored.is_file() or not stored.stat().st_size:
            yield f"collection {collection}: {path} has no stored file"
    refused = house.ledger.ask("select path, reason from collections_refusal where collection_id = ? and not left_out",
                               collection)
    if refused:
        yield f"collection {collection}: refused {refused[:3]}"


def run(house: House, patient: Patient, pk: int, expected: Mapping[str, Answers], postbox: Postbox) -> Iterator[str]:
    """Yield what is wrong with a run: one end, one answer an image, those of the unbroken run, told of once."""
    method, status, log, error, collection = house.ledger.ask(
        "select method, status, log, error, collection_id from runs_run where id = ?", pk)[0]
    if status != "succeeded":
        yield f"run {pk} ({method}) {status}: {error}"
        return
    count, distinct = house.ledger.ask(
        "select count(*), count(distinct image_id) from runs_prediction where run_id = ?", pk)[0]
    of = house.ledger.one("select count(*) from collections_image where collection_id = ?", collection)
    if not count == distinct == of:
        yield f"run {pk} ({method}) has {count} answers for {distinct} of {of} images"
    if answers(patient, pk) != expected.get(method):
        yield f"run {pk} ({method}) does not answer as the unbroken run does"
    if log.count(" succeeded\n") != 1:
        yield f"run {pk} ({method}) succeeded {log.count(' succeeded')} times"
    told = postbox.wait_for(pk, "succeeded")
    if len(told) != 1:
        yield f"run {pk} ({method}) was told of by {len(told)} notices: {sorted(told)}"


Traces = Mapping[str, list[tuple[Any, ...]]]
"""All that a run has written, by table."""
WRITES = {"runs_run": "select id, status, attempt, lease_owner, lease_token, lease_expires_at, heartbeat_at, stage, "
                      "step, total, images_per_second, seconds_left, histogram, samples, log, error, retryable, "
                      "result, queued_at, started_at, finished_at from runs_run where id = ?",
          "runs_prediction": "select * from runs_prediction where run_id = ? order by id",
          "runs_progresspoint": "select * from runs_progresspoint where run_id = ? order by id",
          "notices_notice": "select * from notices_notice where run_id = ? order by id"}
"""Where a run writes. What its folder takes up is measured by the reaper, afterwards too."""


def traces(house: House, pk: int) -> Traces:
    """Return all that a run has written, to be held against the same at another time."""
    return {table: house.ledger.ask(question, pk) for table, question in WRITES.items()}


def written_since(before: Traces, house: House, pk: int) -> list[str]:
    """Return what a run that was over has written since: each row that came, went or changed, and from what to what."""
    found = []
    for table, now in traces(house, pk).items():
        old, new = ({row[0]: row for row in rows} for rows in (before[table], now))
        for key in sorted(old.keys() | new.keys()):
            change = [(was, is_now) for was, is_now in zip_longest(old.get(key, ()), new.get(key, ())) if was != is_now]
            if change:
                found.append(f"run {pk}: after its end {table} {key} was written: {str(change)[:SHOWN]}")
    return found
