"""HTTPS with a deadline and a size cap: what keeps a hostile, stuck or dripping server from holding a poll.

Nothing here knows UniFi. Proxies, netrc and other settings of the environment are ignored, and redirects are never
followed: they would carry the credentials along to wherever they point.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import requests
import urllib3

from exporter.sources.base import SourceError
from exporter.sources.unifi.trouble import NO_UNIFI, causes_of, in_words
from exporter.sources.unifi.unpack import Body, TooLargeError, UnreadableError
from exporter.sources.unifi.wire import Adapter, Context, TooMuchError, context_for

BODY_LIMIT = 256 * 1024 * 1024
_FRAMING = 1024 * 1024  # bytes that an answer's headers and chunk sizes may take beside its body
_CHUNK = 256 * 1024


class Answer(NamedTuple):
    """What came back: `at` is our wall clock (Unix seconds) when the headers were there."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float


class Trust(NamedTuple):
    """By what a server's certificate is judged; see UnifiSettings."""

    verify: bool
    ca_file: str
    fingerprint: str


class _Session(requests.Session):
    """Never follows a redirect."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """See none anywhere: `allow_redirects=False` alone would still read the redirect's body, without a cap."""


class Transport:
    """Requests to one server over kept-alive connections. Call `start` before the requests of one poll."""

    def __init__(self, trust: Trust, *, wall: Callable[[], float] = time.time, body_limit: int = BODY_LIMIT) -> None:
        self._trust = trust
        self._wall = wall
        self._body_limit = body_limit
        self._until = 0.0
        self._open: tuple[_Session, Context] | None = None

    def start(self, seconds: float) -> None:
        """All requests from here on have to end within so many seconds."""
        self._until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that the requests of this poll still have; not more than 0 where they have none."""
        return self._until - time.monotonic()

    def cookie(self, name: str) -> str:
        """The value of a cookie that the server has set, "" where it has not."""
        cookies = self._open[0].cookies if self._open else ()
        return next((cookie.value or "" for cookie in cookies if cookie.name == name), "")

    def forget_cookies(self) -> None:
        """Drop the cookies that the server has set."""
        if self._open:
            self._open[0].cookies.clear()

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """Send one request and read the whole answer. Raises `SourceError`: unreachable, tls, timeout, too_large, …"""
        session, context = self._connected(url)
        context.until, context.allowance = self._until, self._body_limit + _FRAMING
        try:
            with session.request(
                method, url, headers=headers, data=body, timeout=context.left(), stream=True, verify=self._verified
            ) as response:
                at = self._wall()
                return Answer(response.status_code, response.headers, self._read(response), at)
        except TooLargeError:
            raise self._too_large(url) from None
        except UnreadableError as error:
            raise SourceError("protocol", f"{url}: {error}", remedy=NO_UNIFI) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if any(isinstance(cause, TooMuchError) for cause in causes_of(error)):
                raise self._too_large(url) from None
            trouble = in_words(error if context.in_time else TimeoutError(), url)
            if trouble.reason == "tls":
                self.close()  # so that a mended ca_file is read anew
            raise trouble from None

    def close(self) -> None:
        """Free the connections and forget the cookies."""
        if self._open:
            self._open[0].close()
            self._open = None

    @property
    def _verified(self) -> bool:
        """Whether the library is to find the certificate good. A pinned one is judged in the handshake instead."""
        return self._trust.verify and not self._trust.fingerprint

    def _connected(self, url: str) -> tuple[_Session, Context]:
        if self._open is None:
            try:
                context = context_for(**self._trust._asdict())
            except OSError as error:
                what = "no PEM certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
                raise SourceError("tls", f"{url}: ca_file {self._trust.ca_file} cannot be used: {what}") from None
            if not self._verified:
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            session = _Session()
            session.trust_env = False
            # Local networks are fast and consoles are not: packed answers would cost both sides more than they save.
            session.headers.update({"User-Agent": "bandwidth-exporter", "Accept-Encoding": "identity"})
            session.mount("https://", Adapter(context))
            self._open = session, context
        return self._open

    def _read(self, response: requests.Response) -> bytes:
        body = Body(response.headers.get("content-encoding", ""), self._body_limit)
        for part in response.raw.stream(_CHUNK, decode_content=False):
            body.add(part)
        return body.whole()

    def _too_large(self, url: str) -> SourceError:
        return SourceError(
            "too_large",
            f"{url}: the answer is longer than {self._body_limit} bytes and was not read further",
            remedy="check that the url is that of a UniFi console, or read fewer sites",
        )
