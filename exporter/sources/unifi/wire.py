"""TLS connections that outlive no deadline, take no more than they should, and are checked before anything is sent.

Nothing here knows UniFi or HTTP. One `Context` carries the rules of one server's connections: whom to trust, until
when they may wait, and how many bytes may still come.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import HTTPSConnectionPool
from urllib3.connection import HTTPSConnection

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

# family, type, protocol, canonical name, address: what getaddrinfo answers.
AddressInfo = tuple[int, int, int, str, Any]
Lookup = Callable[[str, int], list[AddressInfo]]


class TooMuchError(OSError):
    """More came over the connection than may."""


class WrongCertificateError(ssl.SSLError):
    """The server showed another certificate than the pinned one. `shown` is its fingerprint."""

    def __init__(self, shown: str) -> None:
        super().__init__("another certificate than the pinned one")
        self.shown = shown


class Context(ssl.SSLContext):
    """TLS settings and limits of one server's connections.

    until: monotonic moment until which sockets may wait. allowance: bytes that may still be received.
    fingerprint: "sha256:…" of the only certificate to talk to, "" for any that the context trusts.
    """

    until: float = 0.0
    allowance: int = 0
    fingerprint: str = ""

    def left(self) -> float:
        """Seconds until the deadline. Raises TimeoutError when it has passed."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left

    @property
    def in_time(self) -> bool:
        """Whether the deadline has not passed."""
        return time.monotonic() < self.until

    def took(self, count: int) -> None:
        """Note that bytes came. Raises TooMuchError where they were too many."""
        self.allowance -= count
        if self.allowance < 0:
            raise TooMuchError("too many bytes")

    def judge(self, certificate: bytes | None) -> None:
        """Raise WrongCertificateError unless the certificate (DER) is the pinned one or none is pinned."""
        if self.fingerprint:
            shown = fingerprint_of(certificate or b"")
            if shown != self.fingerprint:
                raise WrongCertificateError(shown)


class _Socket(ssl.SSLSocket):
    """Checks the pinned certificate as part of the handshake, and keeps to the limits of its context.

    The timeout is what is left at every read: one per read alone would let a server drip for ever.
    """

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        if isinstance(self.context, Context):
            self.context.judge(self.getpeercert(binary_form=True))

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        context = self.context
        if not isinstance(context, Context):
            return super().recv_into(buffer, nbytes, flags)
        self.settimeout(context.left())
        count = super().recv_into(buffer, nbytes, flags)
        context.took(count)
        return count

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        if isinstance(self.context, Context):
            self.settimeout(self.context.left())
        return super().send(data, flags)


def fingerprint_of(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a certificate in DER, as a configuration has it: `sha256:` and 64 hex digits."""
    return "sha256:" + hashlib.sha256(certificate).hexdigest()


def context_for(*, verify: bool, ca_file: str = "", fingerprint: str = "") -> Context:
    """The rules that settings ask for. Raises OSError where the ca_file cannot be used."""
    context = Context(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = _Socket
    context.fingerprint = fingerprint
    if fingerprint or not verify:
        # A pinned certificate is the one or it is not: who issued it, for which name and until when adds nothing.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_file:
        context.load_verify_locations(ca_file)
    else:
        context.load_default_certs()
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


def _lookup(host: str, port: int) -> list[AddressInfo]:
    return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def resolve(host: str, port: int, seconds: float, lookup: Lookup = _lookup) -> list[AddressInfo]:
    """The addresses of a host name. Raises TimeoutError after so many seconds, and OSError where it has none.

    The system's look-up cannot be interrupted: one that takes longer ends by itself, in a thread nobody waits for.
    """
    found: Future[list[AddressInfo]] = Future()

    def look() -> None:
        try:
            found.set_result(lookup(host, port))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    Thread(target=look, name=f"look up {host}", daemon=True).start()
    return found.result(seconds)


def connect(host: str, port: int, context: Context) -> socket.socket:
    """A TCP connection. Each address of the host has its share of what is left of the time. Raises OSError."""
    trouble: OSError = OSError("no address")
    addresses = resolve(host, port, context.left())
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(context.left() / (len(addresses) - tried))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.connect(address)
            made.settimeout(context.left())
        except OSError as error:
            made.close()
            trouble = error
        else:
            return made
    raise trouble


def shown_certificate(url: str, seconds: float, fingerprint: str = "") -> bytes:
    """The certificate that a server shows (DER), believed from nobody unless its fingerprint is given.

    Raises OSError (WrongCertificateError, TimeoutError, …) and UnicodeError.
    """
    context = context_for(verify=False, fingerprint=fingerprint)
    context.until = time.monotonic() + seconds
    parts = urlsplit(url)
    host = parts.hostname or ""
    with connect(host, parts.port or 443, context) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
        return tls.getpeercert(binary_form=True) or b""


def shown_fingerprint(url: str, seconds: float) -> str:
    """The fingerprint of the certificate that a server shows, believed from nobody. "" where it shows none in time."""
    with suppress(OSError, UnicodeError):
        return fingerprint_of(shown_certificate(url, seconds))
    return ""


class _Connection(HTTPSConnection):
    """Connects within its context's deadline, the look-up of the name included."""

    def _new_conn(self) -> socket.socket:
        if not isinstance(self.ssl_context, Context):
            return super()._new_conn()
        return connect(self._dns_host, self.port or 443, self.ssl_context)


class _Pool(HTTPSConnectionPool):
    ConnectionCls = _Connection


class Adapter(HTTPAdapter):
    """Connects by the rules of our own context and nothing but them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make every connection one of ours."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"https": _Pool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the context alone: requests would add its own bundle to the authorities that a `ca_file` names."""
