"""Speaks S3 to a listed bucket, through django-storages, and says in sentences without secrets what goes wrong.

Imported only where a bucket is asked: the SDK is an extra, and takes a second to load.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from botocore import exceptions
from botocore.config import Config
from botocore.parsers import ResponseParserError
from storages.backends.s3 import S3Storage

from core.errors import DataError
from webapp.collections.sources import SourceAway
from webapp.config.bucket_list import VARIABLE, Bucket

PATIENCE = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
"""A worker's, who fetches."""
LISTING_PATIENCE = Config(connect_timeout=5, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
"""Shorter: a person waits, and one of the web's threads."""
BLOCK_BYTES = 1024 * 1024
FAILURES = (exceptions.BotoCoreError, exceptions.ClientError, ResponseParserError)
NO_CREDENTIALS = (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.ProfileNotFound,
                  exceptions.CredentialRetrievalError, exceptions.SSOError)
SILENCE = (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError)

NOT_UNDERSTOOD = f"its answer is not understood; ask the administrator whether its address in {VARIABLE} speaks S3"
GONE = "has gone from its bucket since it was listed"
CHANGED = "has changed in its bucket since it was listed; add what is new again"
UNREADABLE = "the credentials that this server has may not read it; ask the administrator for the right to"
OF_ONE_OBJECT = {
    "NoSuchKey": GONE, "NoSuchBucket": GONE, "404": GONE, "PreconditionFailed": CHANGED, "412": CHANGED,
    "AccessDenied": UNREADABLE, "403": UNREADABLE,
    "InvalidObjectState": "lies in its bucket's archive; bring it back from there first",
}
"""What is wrong with an object and not with its bucket, by S3's code."""
_REFUSED = ("it refuses the credentials that this server has; ask the administrator to renew them and to start web and "
            "worker again")
_SILENT = ("it does not answer; try again in a while, and if it stays so ask the administrator to look at its address "
           f"in {VARIABLE} and at the network")
OF_THE_BUCKET = {
    **dict.fromkeys(["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken",
                     "TokenRefreshRequired", "AuthorizationQueryParametersError", "InvalidClientTokenId"], _REFUSED),
    **dict.fromkeys(["AccessDenied", "403", "AllAccessDisabled"],
                    "the credentials that this server has may not look into it; ask the administrator for the rights "
                    "to list and to read"),
    **dict.fromkeys(["NoSuchBucket", "404"],
                    f"there is no bucket at its address; ask the administrator to correct {VARIABLE}"),
    **dict.fromkeys(["PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"],
                    f"it is in another region; ask the administrator to name that in {VARIABLE}: ?region=…"),
    "RequestTimeTooSkewed": "its clock and this server's differ; ask the administrator to set this server's",
    **dict.fromkeys(["SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "500", "502", "503", "504"],
                    _SILENT),
}


@dataclass(frozen=True, kw_only=True)
class Object:
    """One object of a bucket."""

    key: str
    size_bytes: int
    modified_ms: int
    etag: str


@cache
def _storage(bucket: Bucket, patience: Config) -> S3Storage:
    """Return what holds a bucket's credentials and a connection for each thread; making one takes a tenth of a second.

    The keys are named as None, so that it is AWS's own rules that find them: variables, files, the machine's role.
    """
    return S3Storage(bucket_name=bucket.bucket, endpoint_url=bucket.endpoint or None, region_name=bucket.region or None,
                     session_profile=bucket.profile or None, access_key=None, secret_key=None, security_token=None,
                     client_config=patience)


def _client(bucket: Bucket, patience: Config) -> Any:
    return _storage(bucket, patience).connection.meta.client


def objects(bucket: Bucket, prefix: str) -> Iterator[Object]:
    """Yield the objects whose keys begin with `prefix`, in the keys' order.

    django-storages' own listing is left aside: it asks once a folder, and gives neither sizes nor times nor ETags.

    Raises:
        DataError: naming the bucket, when it cannot be asked.
        SourceAway: saying so, when it does not answer.
    """
    try:
        lister = _client(bucket, LISTING_PATIENCE).get_paginator("list_objects_v2")
        for page in lister.paginate(Bucket=bucket.bucket, Prefix=prefix):
            if "IsTruncated" not in page:  # some other server's page, which is no empty bucket
                raise DataError(bucket.name, NOT_UNDERSTOOD)
            for one in page.get("Contents", ()):
                yield Object(key=one["Key"], size_bytes=one["Size"], etag=one.get("ETag", ""),
                             modified_ms=int(one["LastModified"].timestamp() * 1000))
    except (*FAILURES, KeyError) as error:
        sentence = _sentence(error)
        if sentence == _SILENT:
            raise SourceAway(sentence) from None
        raise DataError(bucket.name, sentence) from None


def download(bucket: Bucket, key: str, etag: str, size_bytes: int, path: Path) -> None:
    """Write an object to a file, if it is still the one that was listed.

    Raises:
        DataError: naming the object, when it is not, or may not be read.
        SourceAway: saying why, when the bucket cannot be asked, or the line broke.
        OSError: when the disk is full.
    """
    condition = {"IfMatch": etag} if etag else {}
    try:
        answer = _client(bucket, PATIENCE).get_object(Bucket=bucket.bucket, Key=key, **condition)
        with closing(answer["Body"]) as body:
            if answer.get("ContentLength") != size_bytes:
                raise DataError(key, CHANGED)
            with path.open("wb") as file:
                for block in body.iter_chunks(BLOCK_BYTES):
                    file.write(block)
    except FAILURES as error:
        if reason := OF_ONE_OBJECT.get(_code(error)):
            raise DataError(key, reason) from None
        raise SourceAway(_sentence(error)) from None


def _code(error: Exception) -> str:
    """Return S3's word for what went wrong, or HTTP's number for it, or ""."""
    if not isinstance(error, exceptions.ClientError):
        return ""
    said = error.response.get("Error", {}).get("Code")
    return str(said or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))


def _sentence(error: Exception) -> str:
    """Return what went wrong with a bucket and what mends it.

    Never the error's own words: S3 repeats in them the access key and what was signed.
    """
    if isinstance(error, NO_CREDENTIALS):
        return ("this server has no credentials for it; ask the administrator to set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or the bucket's profile, for web and worker")
    if isinstance(error, exceptions.SSLError):
        return "this server does not trust its certificate; ask the administrator to set AWS_CA_BUNDLE"
    if isinstance(error, SILENCE):
        return _SILENT
    return OF_THE_BUCKET.get(_code(error), NOT_UNDERSTOOD)
