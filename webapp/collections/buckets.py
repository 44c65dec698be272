"""Buckets (S3) as a source of images: only those, and only below the prefixes, that their administrator lists.

An object becomes an upload that names bucket, key and ETag, so that what is fetched is what was listed, or nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, unquote, urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_POST

from core.data.members import HIDDEN, is_hidden
from core.errors import DataError
from webapp.collections import sources
from webapp.collections.models import Upload
from webapp.collections.permissions import get_own_collection
from webapp.collections.receiving import clean_name
from webapp.collections.sources import Found, Source, SourceAway
from webapp.config.bucket_list import VARIABLE, Bucket

if TYPE_CHECKING:
    from webapp.collections import s3

SCHEME = "s3://"
"""How the source of an upload from a bucket begins; a folder's begins with a slash."""
SOURCE_CHARACTERS = Upload._meta.get_field("source").max_length
OBJECTS_AT_ONCE = 200_000
"""A thousand come with each answer of the bucket's server, while a person waits: beyond these they name a part."""
ASK_AGAIN_SECONDS = 60
"""A bucket that did not answer is left alone for so long: ten thousand waiting objects must not hold up the workers,
nor clicks the web's threads."""


@require_POST
def add_bucket(request: HttpRequest, pk: int) -> HttpResponse:
    """Add what is new in a bucket."""
    def look(below: str) -> Source:
        bucket = _listed(request.POST.get("bucket", ""))
        if bucket is None:
            raise DataError("bucket", f"it is not one of those that the administrator lists in {VARIABLE}")
        return Source(bucket.name, "the bucket", files(bucket, below))

    return sources.answer(request, get_own_collection(request, pk), look)


def _listed(name: str) -> Bucket | None:
    """Return a bucket by its name in the setting."""
    return next((bucket for bucket in settings.SOURCE_BUCKETS if bucket.name == name), None)


def files(bucket: Bucket, below: str) -> Iterator[Found]:
    """Yield the objects below a folder of a bucket in order, named from its prefix; folders' own marks are no objects.

    Raises:
        DataError: when the bucket cannot be asked or is being listed already, has too many objects there, or has none
            in the folder.
    """
    count = 0
    for one in _objects(bucket, bucket.prefix + (f"{below}/" if below else "")):
        count += 1
        if count > OBJECTS_AT_ONCE:
            raise DataError(bucket.name, f"more than {OBJECTS_AT_ONCE:,} objects; add one folder after the other")
        key = one.key.removeprefix(bucket.prefix)
        name = clean_name(f"{bucket.name}/{key}")
        address = f"{SCHEME}{bucket.name}/{quote(one.key)}?{urlencode({'etag': one.etag})}"
        if one.key.endswith("/") and not one.size_bytes:
            continue
        if is_hidden(key):
            yield Found(name=name, reason=HIDDEN)
        elif len(address) > SOURCE_CHARACTERS:
            yield Found(name=name, reason="its key is too long; give the object a shorter one")
        else:
            yield Found(name=name, address=address, size_bytes=one.size_bytes, modified_ms=one.modified_ms)
    if below and not count:
        raise DataError(below, f"there is no such folder in {bucket.name}")


def _objects(bucket: Bucket, prefix: str) -> Iterator[s3.Object]:
    """Yield the objects whose keys begin with `prefix`, unless somebody waits for that bucket already.

    Raises:
        DataError: naming the bucket, when it cannot be asked or is being listed.
    """
    from webapp.collections import s3  # an extra, and slow to load: only where somebody asks for it

    try:
        with _listing(bucket), _asking(bucket):
            yield from s3.objects(bucket, prefix)
    except SourceAway as error:
        raise DataError(bucket.name, str(error)) from None


@contextmanager
def _listing(bucket: Bucket) -> Iterator[None]:
    """List a bucket, one request at a time: each holds one of the web's threads while it waits for an answer.

    Raises:
        DataError: when another lists it.
    """
    with (settings.CACHE_ROOT / f"bucket-{bucket.name}.listing").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(bucket.name, "it is being listed already, for you or for somebody else; try again in a "
                                         "moment") from None
        yield


@contextmanager
def _asking(bucket: Bucket) -> Iterator[None]:
    """Ask a bucket, unless it did not answer a moment ago; note it where it does not answer now.

    Raises:
        SourceAway: saying why.
    """
    note = settings.CACHE_ROOT / f"bucket-{bucket.name}.away"
    if _is_fresh(note):
        raise SourceAway(note.read_text(encoding="utf-8"))
    try:
        yield
    except SourceAway as error:
        part = note.with_name(f"{note.name}.{os.getpid()}.part")
        part.write_text(str(error), encoding="utf-8")
        part.replace(note)
        raise


def fetch(upload: Upload) -> None:
    """Copy an object from its bucket to where an upload's bytes gather.

    Raises:
        DataError: when it has gone or changed, may not be read, or its bucket is not listed by now.
        SourceAway: when the bucket does not answer, or did not a moment ago.
        OSError: when the disk is full.
    """
    from webapp.collections import s3  # an extra, and slow to load: only where somebody asks for it

    name, _, rest = upload.source.removeprefix(SCHEME).partition("/")
    path, _, query = rest.rpartition("?")
    key, bucket = unquote(path), _listed(name)
    if bucket is None or not key.startswith(bucket.prefix):
        raise DataError(upload.name, "its bucket is not among those that the administrator lists any more")
    try:
        with _asking(bucket), sources.arriving(upload) as part:
            s3.download(bucket, key, parse_qs(query).get("etag", [""])[0], upload.size_bytes, part)
    except SourceAway as error:
        raise SourceAway(f"{bucket.name}: {error}. What is left of it waits; reading goes on by itself.") from None


def _is_fresh(note: Path) -> bool:
    """Tell whether a bucket did not answer a moment ago."""
    try:
        return time.time() - note.stat().st_mtime < ASK_AGAIN_SECONDS
    except FileNotFoundError:
        return False
