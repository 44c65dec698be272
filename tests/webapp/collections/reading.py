"""What a worker does with what has come."""

from __future__ import annotations

from webapp.collections.ingest import read_upload
from webapp.collections.models import Upload


def read_all() -> None:
    """Read every upload that is there."""
    for upload in Upload.objects.filter(status="received"):
        read_upload(upload)
