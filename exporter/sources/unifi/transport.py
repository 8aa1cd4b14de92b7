"""HTTPS with a deadline and a size cap: what keeps a hostile, stuck or dripping server from holding a poll.

Nothing here knows UniFi. Proxies, netrc and other settings of the environment are ignored, and redirects are never
followed: they would carry the credentials along to wherever they point.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from exporter.sources.base import SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BODY_LIMIT = 256 * 1024 * 1024
_CHUNK = 256 * 1024


class Answer(NamedTuple):
    """What came back: `at` is our wall clock (Unix seconds) when the headers were there."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float


class _Context(ssl.SSLContext):
    """TLS settings of one transport, and the monotonic moment until which its sockets may wait."""

    until: float = 0.0

    def left(self) -> float:
        """Seconds until the deadline. Raises TimeoutError when it has passed."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left


class _Socket(ssl.SSLSocket):
    """Sets its timeout to what is left before every read: one per read alone would let a server drip for ever."""

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        context = self.context
        if isinstance(context, _Context):
            self.settimeout(context.left())
        return super().recv_into(buffer, nbytes, flags)


class _Adapter(HTTPAdapter):
    """Connects with our own TLS context and nothing but it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave the context alone: requests would add its own bundle to the authorities that a `ca_file` names."""


class _Session(requests.Session):
    """Never follows a redirect."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """See none anywhere: `allow_redirects=False` alone would still read the redirect's body, without a cap."""


class Transport:
    """Requests to one server over kept-alive connections. Call `start` before the requests of one poll."""

    def __init__(
        self, *, verify: bool, ca_file: str, wall: Callable[[], float] = time.time, body_limit: int = BODY_LIMIT
    ) -> None:
        self._verify = verify
        self._ca_file = ca_file
        self._wall = wall
        self._body_limit = body_limit
        self._until = 0.0
        self._open: tuple[_Session, _Context] | None = None

    def start(self, seconds: float) -> None:
        """All requests from here on have to end within so many seconds."""
        self._until = time.monotonic() + seconds

    def forget_cookies(self) -> None:
        """Drop the cookies that the server has set."""
        if self._open:
            self._open[0].cookies.clear()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send one request and read the whole answer. Raises `SourceError`: unreachable, tls, timeout, too_large, …"""
        session, context = self._connected(url)
        context.until = self._until
        try:
            # A name may have an IPv4 and an IPv6 address, tried in turn: half of what is left for each.
            timeout = (context.left() / 2, context.left())
            with session.request(
                method, url, headers=headers, data=body, timeout=timeout, stream=True, verify=self._verify
            ) as response:
                at = self._wall()
                return Answer(response.status_code, response.headers, self._read(response, url), at)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self._trouble(error, url) from None

    def close(self) -> None:
        """Free the connections and forget the cookies."""
        if self._open:
            self._open[0].close()
            self._open = None

    def _connected(self, url: str) -> tuple[_Session, _Context]:
        if self._open is None:
            context = self._context(url)
            session = _Session()
            session.trust_env = False
            # Local networks are fast and consoles are not: packed answers would cost both sides more than they save.
            session.headers.update({"User-Agent": "bandwidth-exporter", "Accept-Encoding": "identity"})
            session.mount("https://", _Adapter(context))
            self._open = session, context
        return self._open

    def _context(self, url: str) -> _Context:
        context = _Context(ssl.PROTOCOL_TLS_CLIENT)
        context.sslsocket_class = _Socket
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        elif self._ca_file:
            try:
                context.load_verify_locations(self._ca_file)
            except OSError as error:
                what = "no PEM certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
                raise SourceError("tls", f"{url}: ca_file {self._ca_file} cannot be used: {what}") from None
        else:
            context.load_default_certs()
            context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        return context

    def _read(self, response: requests.Response, url: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_content(_CHUNK):
            size += len(part)
            if size > self._body_limit:
                raise SourceError(
                    "too_large",
                    f"{url}: the answer is longer than {self._body_limit} bytes and was not read further; "
                    "check that the url is that of a UniFi console, or read fewer sites",
                )
            parts.append(part)
        return b"".join(parts)

    def _trouble(self, error: Exception, url: str) -> SourceError:
        """Put what the library raised into words. Its own text is not used: it may quote headers."""
        causes = list(_causes(error))
        if time.monotonic() >= self._until or any(isinstance(c, TimeoutError | requests.Timeout) for c in causes):
            return SourceError("timeout", f"{url}: no complete answer in time; is it up, or is `timeout` too short?")
        for cause in causes:
            if isinstance(cause, ssl.SSLCertVerificationError):
                self.close()  # so that a mended ca_file is read anew
                return SourceError("tls", _distrust(cause, url))
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError):
                return SourceError("tls", f"{url}: does not speak TLS as it should ({cause.reason}); check the port")
            if isinstance(cause, socket.gaierror):
                return SourceError("unreachable", f"{url}: the host name cannot be resolved; check it and the DNS")
            if isinstance(cause, OSError) and not isinstance(cause, requests.RequestException):
                what = cause.strerror or "connection closed without an answer"
                return SourceError("unreachable", f"{url}: {what}; check that it is up and can be reached from here")
        return SourceError("protocol", f"{url}: the answer was cut off or is not HTTP ({type(causes[-1]).__name__})")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, outermost first."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _distrust(cause: ssl.SSLCertVerificationError, url: str) -> str:
    return (
        f"{url}: its certificate is not trusted ({cause.verify_message}). Give the certificate, or its issuer's, as "
        "`ca_file`; where it does not name this host, use a host name that it names, or set `verify_tls: false`"
    )
