"""Pictures that end the process which reads them."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.webapp.collections.pictures import png, zipped
from webapp.collections import ingest, pictures, shelf, storage
from webapp.collections.models import Image, Refusal


def test_a_picture_that_ends_its_reader_is_refused_by_name_the_fourth_time(brought, collection, monkeypatch):
    """The rest of the archive is read: before, it was sent to the next worker, and ended that, for ever."""
    def crash(content: bytes, name: str) -> pictures.Kept:
        if name == "evil.png":
            raise SystemExit  # stands for the process that goes
        return pictures.keep(content, name)

    monkeypatch.setattr(shelf, "keep", crash)
    upload = brought("trip.zip", zipped({"a.png": png(1), "evil.png": png(2), "b.png": png(3)}), read=False)
    for _ in range(3):
        with pytest.raises(SystemExit):
            ingest.read_upload(upload)
        upload.refresh_from_db()
        assert upload.status == "reading"
    ingest.read_upload(upload)
    upload.refresh_from_db()
    assert upload.status == "done"
    assert set(Image.objects.values_list("path", flat=True)) == {"a.png", "b.png"}
    refusal = Refusal.objects.get()
    assert refusal.path == "evil.png"
    assert "ended 3 times while it read this one" in refusal.reason
    assert not storage.reading_note(upload.pk).exists()


def test_a_picture_that_takes_for_ever_ends_its_reader_and_not_the_machine(tmp_path):
    note = tmp_path / "7.reading"
    code = ("from pathlib import Path; from webapp.collections import hazard; hazard.READING_SECONDS = 0.2\n"
            f"with hazard.at_hand(Path({str(note)!r}), 5, 'slow.jpg'):\n"
            "    while True: pass\n")
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=200).returncode
    assert ended == -signal.SIGPROF
    assert note.read_text() == "5 1\n"
