"""Reads LABELFREE_BUCKETS: which buckets people may take images from, and where each one is.

Credentials are not in it, so whoever sees the list sees no secret: they are in AWS's own variables, or in a profile of
AWS's own files that a bucket names.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from core.errors import ConfigError

VARIABLE = "LABELFREE_BUCKETS"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
HOST = re.compile(r"((?!-)[A-Za-z0-9-]{1,63}(?<!-)\.)*(?!-)[A-Za-z0-9-]{1,63}(?<!-)|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""What the SDK takes for a host: a name without underscores, or an address."""
BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}")
OPTIONS = ("region", "profile")
FORM = "write NAME=https://HOST/BUCKET/PREFIX, or NAME=s3://BUCKET/PREFIX where AWS's own settings say the host"


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """One bucket, or a part of it.

    Attributes:
        name: what people see.
        endpoint: the server's address; "" leaves it to AWS's own settings.
        bucket: its name there.
        prefix: what the keys of all that may be taken begin with: "", or a folder with its slash.
        region: the server's region; "" leaves it to AWS's own settings.
        profile: of AWS's own files; "" takes the credentials that AWS's own variables say.
    """

    name: str
    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = ""
    profile: str = ""


def parse(text: str) -> list[Bucket]:
    """Return the buckets that are listed, separated by spaces.

    Raises:
        ConfigError: naming the entry by its place and never by its words, which may hold a misplaced secret.
    """
    found: list[Bucket] = []
    for number, entry in enumerate(text.split(), 1):
        name, _, address = entry.partition("=")
        if not NAME.fullmatch(name):
            raise _mistake(number, f"it has no name of letters, digits, '.', '_' and '-'; {FORM}")
        if any(name == other.name for other in found):
            raise _mistake(number, "another entry has its name; give each its own")
        found.append(_bucket(number, name, address))
    if found and importlib.util.find_spec("storages") is None:
        raise ConfigError(VARIABLE, "buckets take the extra `s3`: pip install --editable '.[web,worker,s3]', or leave "
                                    "the variable out")
    return found


def _bucket(number: int, name: str, address: str) -> Bucket:
    try:
        parts = urlsplit(address)
        if "@" in parts.netloc:
            raise _mistake(number, "it holds credentials; put them into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                                   "or into a profile of AWS's credentials file and name that: ?profile=…")
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        endpoint, bucket, prefix = _place(parts)
    except ValueError:  # whose words repeat the address
        raise _mistake(number, f"its address cannot be read; {FORM}") from None
    if parts.fragment or not options.keys() <= set(OPTIONS):
        raise _mistake(number, "only ?region=… and ?profile=… may follow its address")
    folder = unquote(prefix).strip("/")
    return Bucket(name=name, endpoint=endpoint, bucket=bucket, prefix=f"{folder}/" if folder else "", **options)


def _place(parts: SplitResult) -> tuple[str, str, str]:
    """Return endpoint, bucket and prefix.

    Raises:
        ValueError: one of them is not there or is none.
    """
    if parts.scheme == "s3":
        endpoint, bucket, prefix = "", parts.netloc, parts.path
    else:
        bucket, _, prefix = parts.path.lstrip("/").partition("/")
        endpoint = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in {"http", "https"} or not HOST.fullmatch(parts.hostname or "") or parts.port == 0:
            raise ValueError
    if not BUCKET.fullmatch(bucket):
        raise ValueError
    return endpoint, bucket, prefix


def _mistake(number: int, reason: str) -> ConfigError:
    return ConfigError(VARIABLE, f"entry {number}: {reason}")
