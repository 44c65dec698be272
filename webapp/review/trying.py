"""A picture that is tried: kept as it was sent, read by a worker under the same guard as an upload, then forgotten.

Nothing of it is decoded in the web process. What stays of one that was answered is its thumbnail.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser

from core.errors import DataError
from webapp.collections import storage
from webapp.collections.hazard import at_hand
from webapp.collections.pictures import Kept, keep
from webapp.collections.room import check_disk
from webapp.runs.models import Run, Trial

SHOWN = 12
"""A person's latest trials of a run; older ones are deleted when another is asked."""


def ask(run: Run, person: AbstractBaseUser, name: str, content: bytes) -> Trial:
    """Store what was sent and the question about it; what is shown no more makes room.

    Raises:
        webapp.collections.tus.Refused: when the disk has no room for it.
        OSError: when it is full all the same.
    """
    check_disk(len(content))
    file = storage.trial_name(run.pk)
    storage.write(file, content, durable=False)
    asked = Trial.objects.create(run=run, owner=person, name=name, file=file)
    for old in Trial.objects.filter(run=run, owner=person).exclude(status=Trial.Status.ASKED).order_by("-pk")[SHOWN:]:
        old.delete()
        storage.forget_trial(old.file)
    return asked


def read(trial: Trial) -> Kept:
    """Read what was sent as ingest would; a picture that ends its reader is refused by name after the third time.

    Raises:
        DataError: naming the picture and why it cannot be used.
    """
    try:
        content = (settings.MEDIA_ROOT / trial.file).read_bytes()
    except OSError as error:
        raise DataError(trial.name, f"cannot be read ({error.strerror}); send it again") from None
    with at_hand(storage.trial_note(trial.file), 0, trial.name):
        return keep(content, trial.name)


def keep_thumbnail(trial: Trial, kept: Kept) -> str:
    """Store what stays of an answered trial; return its place under MEDIA_ROOT."""
    name = f"{trial.file}.webp"
    storage.write(name, kept.thumbnail, durable=False)
    return name


def forget_failed() -> None:
    """Remove what was sent with trials that nobody can or will answer."""
    for trial in Trial.objects.filter(status=Trial.Status.FAILED).exclude(file=""):
        storage.forget_trial(trial.file)
        Trial.objects.filter(pk=trial.pk, status=Trial.Status.FAILED).update(file="")
