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
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from core.errors import ConfigError, DataError
from webapp.notices.letter import outcome, page_of
from webapp.notices.models import Notice, NoticeSettings

TIMEOUT_SECONDS = 10.0
"""For one step: connecting, or the next bytes."""
DEADLINE_SECONDS = 30.0
"""For all of it, however steadily a receiver drips: the worker has uploads to read."""
NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""RFC 6052 and 8215: what is sent there goes on to the IPv4 address in the last 32 bits."""
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
        (parts.hostname or "").encode("idna")  # what the look-up does first: "a..b" is none
    except ValueError as error:
        raise ConfigError("webhook", f"{url!r} is no address ({error})") from None
    if parts.scheme not in PORTS or not parts.hostname or any(ord(one) <= 32 or ord(one) > 126 for one in url):
        raise ConfigError("webhook", f"{url!r} is no address; it begins with https:// or http://")
    if parts.username or parts.password:
        raise ConfigError("webhook", "the address carries a name or password; leave it out, the signature is the proof")
    return parts.scheme, parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Post to an address and return the status; redirects are not followed, for they could lead anywhere.

    Raises:
        ConfigError: it is none, or leads into this network.
        DataError: what answers does not speak http.
        OSError: nobody answers, or not in time.
    """
    scheme, host, port, path = check(url)
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, port, timeout=TIMEOUT_SECONDS)
    deadline = _Deadline(DEADLINE_SECONDS)

    def connect(*arguments: Any) -> socket.socket:
        return deadline.hold(_connect_outside(*arguments))

    connection._create_connection = connect  # type: ignore[method-assign]  # TLS still proves the name
    try:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status
    except (http.client.HTTPException, OSError) as error:
        if deadline.is_over:
            raise TimeoutError(f"no whole answer within {DEADLINE_SECONDS:.0f} seconds") from error
        if isinstance(error, http.client.HTTPException):
            raise DataError(url, f"does not speak http ({type(error).__name__})") from error
        raise
    finally:
        deadline.release()
        connection.close()


class _Deadline:
    """Ends a connection once its time is over, in whatever step it is: a socket's own timeout is for each anew."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._seconds = seconds
        self._held: socket.socket | None = None
        self._timer: threading.Timer | None = None

    def hold(self, connected: socket.socket) -> socket.socket:
        """Begin to count, and return the connection."""
        self._held = connected.dup()  # TLS takes the socket itself away, and ends with the same connection
        self._timer = threading.Timer(self._seconds, self._end)
        self._timer.daemon = True
        self._timer.start()
        return connected

    def release(self) -> None:
        """Count no further."""
        if self._timer is not None and self._held is not None:
            self._timer.cancel()
            self._timer.join()
            self._held.close()

    def _end(self) -> None:
        self.is_over = True
        with suppress(OSError):  # it has ended already
            assert self._held is not None
            self._held.shutdown(socket.SHUT_RDWR)


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
        if address.is_site_local:  # fec0::/10, which the library calls global
            return False
        translated = any(address in network for network in NAT64)
        last = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        address = address.ipv4_mapped or address.sixtofour or (last if translated else address)
    return address.is_global and not address.is_multicast


def _words(notice: Notice) -> dict[str, object]:
    """Return the body: small, and nothing in it that the run's page does not say."""
    run = notice.run
    return {"event": f"run.{run.status}", "run": run.pk, "collection": run.collection.name, "method": run.method,
            "status": run.status, "outcome": outcome(run), "retryable": run.retryable, "page": page_of(run),
            "finished_at": run.finished_at.isoformat() if run.finished_at else None}
