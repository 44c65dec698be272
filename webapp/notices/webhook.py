"""A notice posted to an address of the person's own: signed, so that it can be trusted, and never into this network.

The header ``Labelfree-Signature: t=<seconds>,v1=<hex>`` is the HMAC-SHA256 of ``<seconds>.<body>`` under the
person's secret. ``Labelfree-Notice`` is the same for every try, so that a receiver can tell a repetition.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import time
from urllib.parse import urlsplit

from django.conf import settings

from core.errors import ConfigError, DataError
from webapp.notices.letter import outcome, page_of
from webapp.notices.models import Notice, NoticeSettings

TIMEOUT_SECONDS = 10.0
PORTS = {"http": 80, "https": 443}


def deliver(notice: Notice, wanted: NoticeSettings) -> None:
    """Post the notice.

    Raises:
        ConfigError: the address is none, or leads into this network.
        DataError: the receiver answers, but not with 2xx.
        OSError: the receiver cannot be reached.
    """
    body = json.dumps(_words(notice), ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "labelfree", "Labelfree-Notice": str(notice.pk),
               "Labelfree-Signature": signature(wanted.webhook_secret, body, int(time.time()))}
    status = post(wanted.webhook_url, body, headers)
    if not 200 <= status < 300:
        raise DataError(wanted.webhook_url, f"answered {status} instead of 200")


def signature(secret: str, body: bytes, at_seconds: int) -> str:
    """Return the header by which a receiver knows who wrote `body`, and when."""
    signed = hmac.new(secret.encode(), f"{at_seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_seconds},v1={signed}"


def check(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port and path of an address that may be posted to.

    Raises:
        ConfigError: it is no http(s) address, or carries a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise ConfigError("webhook", f"{url!r} is no address ({error})") from None
    if parts.scheme not in PORTS or not parts.hostname or any(ord(one) <= 32 or ord(one) > 126 for one in url):
        raise ConfigError("webhook", f"{url!r} is no address; it begins with https:// or http://")
    if parts.username or parts.password:
        raise ConfigError("webhook", "the address carries a name or password; leave it out, the signature is the proof")
    return parts.scheme, parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Post to an address and return the status; redirects are not followed, for they could lead anywhere."""
    scheme, host, port, path = check(url)
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=TIMEOUT_SECONDS)
    connection._create_connection = _connect_outside  # type: ignore[method-assign]  # TLS still proves the name
    try:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise DataError(url, f"does not speak http ({type(error).__name__})") from error
    finally:
        connection.close()


def _connect_outside(address: tuple[str, int], timeout: float | None = None, *_: object) -> socket.socket:
    """Connect to the very address that was looked up and judged, so that a second look-up cannot change it.

    Raises:
        ConfigError: the name leads to this machine or into its network.
        OSError: nobody answers.
    """
    host, port = address
    found = [entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    if not settings.WEBHOOKS_INSIDE and not all(map(_is_outside, found)):
        raise ConfigError("webhook", f"{host} leads into this machine's own network, where webhooks may not go; "
                                     "an administrator can allow that with LABELFREE_WEBHOOKS_INSIDE=1")
    return socket.create_connection((found[0], port), timeout)


def _is_outside(found: str) -> bool:
    """Tell whether an address is a public one."""
    address = ipaddress.ip_address(found.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    return address.is_global and not address.is_multicast


def _words(notice: Notice) -> dict[str, object]:
    """Return the body: small, and nothing in it that the run's page does not say."""
    run = notice.run
    return {"event": f"run.{run.status}", "run": run.pk, "collection": run.collection.name, "method": run.method,
            "status": run.status, "outcome": outcome(run), "retryable": run.retryable, "page": page_of(run),
            "finished_at": run.finished_at.isoformat() if run.finished_at else None}
