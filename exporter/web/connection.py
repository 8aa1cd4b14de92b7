"""One connection: uvicorn's, with an end to everything that it waits for and takes in.

uvicorn and llhttp take headers of any length and wait for them for ever; so they do for a peer that does not read. Here
each phase of a connection has its time, and each part of a request its size. A reader is too slow if it takes less than
what is buffered for it (64 KiB) in `Limits.write` seconds; then the connection is cut, and its page is free.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from http import HTTPStatus

import httptools
import uvicorn
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from exporter.web.guard import raw_headers
from exporter.web.tls import names_of
from exporter.web.webconfig import WebConfig

SLICE = 4096
"""Bytes that are parsed before limits are looked at again."""

LINGER = 0.5
"""Seconds for which a refused peer may go on sending: closed upon unread bytes, a socket takes the answer with it."""

LINGER_BYTES = 256 * 1024


class Limits(Struct, frozen=True):
    """What a peer may take: seconds, bytes and numbers."""

    handshake: float = 10.0
    head: float = 10.0
    """From a connection's beginning to its first request, and from a request's first byte to the end of its headers."""
    keep_alive: float = 75.0
    """Longer than Prometheus' usual scrape interval of a minute."""
    write: float = 30.0
    head_bytes: int = 32 * 1024
    url_bytes: int = 8 * 1024
    body_bytes: int = 64 * 1024
    pipelined: int = 16
    per_peer: int = 64
    overall: int = 512


class Connection(HttpToolsProtocol):
    """A connection whose handshake, where there is one, is over."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        *,
        limits: Limits,
        web: WebConfig,
        closed: Callable[[], None],
    ) -> None:
        """web: as it was when the peer came. closed: called when the connection is gone."""
        super().__init__(config, server_state, {})
        self._limits, self._web, self._closed = limits, web, closed
        self.is_open = False
        self._unanswered = 0
        self._since = self.loop.time()
        self._first = True
        self._head: int | None = None
        self._body: int | None = None
        self._stalled: float | None = None
        self._closing: float | None = None
        self._verdict: tuple[int, str] | None = None
        self._deaf: int | None = None

    # What the server asks

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self._unanswered > 0

    def waited(self) -> float | None:
        """See exporter.web.crowd."""
        since = self._waiting_since()
        return None if since is None else self.loop.time() - since

    def overdue(self) -> bool:
        """Whether the peer has kept us waiting for too long."""
        since = self._waiting_since()
        if since is None:
            return False
        if self._closing is not None or self._stalled is not None:
            limit = self._limits.write
        elif self._first or self._head is not None:
            limit = self._limits.head
        else:
            limit = self._limits.keep_alive
        return self.loop.time() - since > limit

    def _waiting_since(self) -> float | None:
        if self.transport.is_closing():
            self._closing = self._closing or self.loop.time()
            return self._closing
        return self._stalled if self.is_busy else self._since

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(transport)
        super().connection_made(transport)
        # Nothing more is taken from an answer until what was taken before is with the system. TLS would else hold half
        # a megabyte, and a scrape that broke off there would count as answered. (With high=0 it would wait for ever.)
        transport.set_write_buffer_limits(high=1, low=0)
        self.is_open = True
        self._since = self.loop.time()
        channel = transport.get_extra_info("ssl_object")
        if isinstance(channel, ssl.SSLObject) and self._web.tls and self._web.tls.sans:
            certificate = channel.getpeercert(binary_form=True) or b""
            if not names_of(certificate) & self._web.tls.sans:
                transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._closed()

    def pause_writing(self) -> None:
        self._stalled = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stalled = None
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._deaf is not None:
            self._deaf += len(data)
            if self._deaf > LINGER_BYTES:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        for start in range(0, len(data), SLICE):
            if not self._feed(data[start : start + SLICE]):
                return

    def _feed(self, data: bytes) -> bool:
        """Parse some bytes; whether further ones are wanted."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Answered like any other request, in HTTP/1.1, which a server may do.
            self._go_deaf()
            return False
        except httptools.HttpParserError:
            self._refuse(400, "this is no HTTP/1.1 request")
            return False
        if self._head is not None:
            self._head += len(data)
        if self._body is not None:
            self._body += len(data)
        verdict = self._verdict or self._too_much()
        if verdict:
            self._refuse(*verdict)
        return not verdict and not self.transport.is_closing()

    def _too_much(self) -> tuple[int, str] | None:
        limits = self._limits
        if self._head is not None and len(self.url) > limits.url_bytes:
            return 414, f"the address is longer than {limits.url_bytes} bytes"
        if self._head is not None and self._head > limits.head_bytes:
            return 431, f"the headers are longer than {limits.head_bytes} bytes"
        if self._body is not None and self._body > limits.body_bytes + SLICE:
            return 413, f"the body is longer than {limits.body_bytes} bytes, and none is needed"
        if len(self.pipeline) > limits.pipelined:
            return 400, f"more than {limits.pipelined} requests were sent before the answer to the first"
        return None

    # What the parser calls

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._since, self._first = self.loop.time(), False
        self._head, self._body = 0, None

    def on_headers_complete(self) -> None:
        self._verdict = self._too_much() or self._announced()
        self._head, self._body = None, 0
        if not self._verdict:
            super().on_headers_complete()
            self._unanswered += 1

    def _announced(self) -> tuple[int, str] | None:
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if any(int(length) > self._limits.body_bytes for length in lengths):
            return 413, f"the body is longer than {self._limits.body_bytes} bytes, and none is needed"
        return None

    def on_body(self, body: bytes) -> None:
        if not self._verdict:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._body = None
        if not self._verdict:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self._since = self.loop.time()
        self._unanswered -= 1
        super().on_response_complete()

    # How it ends

    def _refuse(self, status: int, words: str) -> None:
        """Answer in words, and close. What is under way for the peer is still brought to its end."""
        self._go_deaf()
        if self.is_busy:
            return
        body = f"{words}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *self.server_state.default_headers,
            *raw_headers(self._web),
        ]
        first = b"HTTP/1.1 %d %s" % (status, HTTPStatus(status).phrase.encode())
        self.transport.write(b"\r\n".join([first, *(b"%s: %s" % pair for pair in headers), b"", body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)

    def _go_deaf(self) -> None:
        self._deaf = 0
        if self.is_busy:
            # The last of those that wait for their answer.
            self.cycle.keep_alive = False
