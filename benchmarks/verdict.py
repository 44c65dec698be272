"""What has to be so in the end, whatever was done: images as sent, runs ended once, with the right answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.digits import Answers, answers
from benchmarks.house import House
from benchmarks.patience import Patient
from benchmarks.postbox import Postbox


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


def traces(house: House, pk: int) -> list[object]:
    """Return all that a run has written, to be held against the same at another time."""
    questions = ("select * from runs_run where id = ? order by id",
                 "select * from runs_prediction where run_id = ? order by id",
                 "select * from runs_progresspoint where run_id = ? order by id",
                 "select * from notices_notice where run_id = ? order by id")
    return [house.ledger.ask(question, pk) for question in questions]
