"""Reads DATABASE_URL, and says what is wrong with it without repeating it: there is a password in it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import dj_database_url

from core.errors import ConfigError

VARIABLE = "DATABASE_URL"
FORM = ("write postgres://user:password@host:port/name; in the password percent-encode what is neither letter nor "
        "digit (/ is %2F, # is %23, ? is %3F), or use letters and digits only, as of openssl rand -hex 24")


def parse(text: str) -> dict[str, Any]:
    """Return Django's settings of the database that is named.

    Raises:
        ConfigError: for an address that cannot be read.
    """
    try:
        parts = urlsplit(text)
        if parts.netloc and "@" in text and "@" not in parts.netloc:  # a / # or ? ended the host within the password
            raise ValueError
        return dict(dj_database_url.parse(text))
    except ValueError:
        raise ConfigError(VARIABLE, f"its address cannot be read; {FORM}") from None
