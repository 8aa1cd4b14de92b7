"""The web server: uvicorn on a socket that is bound already, with TLS, passwords, and limits for every peer.

Connections are accepted here and not by asyncio's server, which begins a TLS handshake with whoever comes, with one
context for ever, and tells nobody before it is over.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from exporter.web.connection import Connection, Limits
from exporter.web.crowd import Crowd
from exporter.web.guard import Guard, network_of
from exporter.web.webconfig import WebConfig, WebConfigFile

log = logging.getLogger(__name__)

SWEEP = 0.5
"""Seconds between two looks for peers that keep us waiting too long."""

EXHAUSTED = 0.2
"""Seconds until the next connection is accepted where the system has no file descriptor left."""

AT_ONCE = 16
"""Connections accepted before the ones that are there have their turn."""


class WebServer(uvicorn.Server):
    """`run` serves until `should_exit` is set, or a signal comes; it closes the socket."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        web: WebConfigFile | None = None,
        limits: Limits | None = None,
    ) -> None:
        """web: None for plain HTTP without passwords."""
        plain = WebConfig()
        self._web: Callable[[], WebConfig] = web.current if web is not None else lambda: plain
        self._listener = listener
        self._limits = limits or Limits()
        # The rest of the descriptors is for the state and for the sources.
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        overall = self._limits.overall if descriptors < 0 else min(self._limits.overall, descriptors // 2)
        self._crowd: Crowd[_Link] = Crowd(self._limits.per_peer, overall)
        self._jobs: list[asyncio.Task[None]] = []
        super().__init__(
            uvicorn.Config(
                Guard(app, self._web),
                loop="asyncio",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # Whoever sends X-Forwarded-For may write what he likes there, and limits go by the address.
                proxy_headers=False,
                timeout_graceful_shutdown=1,
                timeout_keep_alive=round(self._limits.keep_alive),
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, on other sockets besides where there are any."""
        super().run([*(sockets or []), self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn: begin to accept."""
        self.servers = []
        self._jobs = [asyncio.create_task(work) for work in (self._sweep(), *map(self._accept, sockets or ()))]
        for job in self._jobs:
            job.add_done_callback(self._job_ended)
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn: what is being answered has a second to come to its end."""
        for job in self._jobs:
            job.cancel()
        for link in self._crowd.members():
            if link.waited() is not None:
                link.cut()
        await super().shutdown(sockets)
        for link in self._crowd.members():
            link.cut()
        await asyncio.sleep(0)  # lets them close their sockets

    def _job_ended(self, job: asyncio.Task[None]) -> None:
        error = None if job.cancelled() else job.exception()
        if error is not None:
            log.critical("the web server cannot go on", exc_info=error)
            self.should_exit = True

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        exhausted = False
        while True:
            for _ in range(AT_ONCE):
                try:
                    channel, address = await loop.sock_accept(listener)
                except ConnectionAbortedError:
                    continue
                except OSError as error:
                    if not exhausted:
                        log.warning("no connection can be accepted: %s; tried again until it can", error.strerror)
                    exhausted = True
                    await asyncio.sleep(EXHAUSTED)
                    continue
                exhausted = False
                self._admit(channel, network_of(address[0]))
            await asyncio.sleep(0)

    def _admit(self, channel: socket.socket, peer: str) -> None:
        link = _Link(peer, channel)
        leaves = self._crowd.enter(link)
        if leaves is link:
            channel.close()
            return
        if leaves is not None:
            leaves.cut()
        link.opening = asyncio.create_task(self._open(link, self._web()))
        link.opening.add_done_callback(lambda _: self._opened(link))

    async def _open(self, link: _Link, web: WebConfig) -> None:
        def connection() -> Connection:
            link.connection = Connection(
                self.config,
                self.server_state,
                limits=self._limits,
                web=web,
                closed=lambda: self._crowd.leave(link),
            )
            return link.connection

        tls = web.tls
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                connection,
                link.channel,
                ssl=tls.context if tls else None,
                ssl_handshake_timeout=self._limits.handshake if tls else None,
                ssl_shutdown_timeout=self._limits.write if tls else None,
            )
        except OSError as error:
            log.debug("%s: no connection came about: %s", link.peer, error)

    def _opened(self, link: _Link) -> None:
        if link.connection is None or not link.connection.is_open:
            self._crowd.leave(link)
            link.channel.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            for link in self._crowd.members():
                if link.connection is not None and link.connection.is_open and link.connection.overdue():
                    link.cut()


class _Link:
    """A connection from the moment it is accepted."""

    def __init__(self, peer: str, channel: socket.socket) -> None:
        self.peer = peer
        self.channel = channel
        self.connection: Connection | None = None
        self.opening: asyncio.Task[None] | None = None
        self._since = asyncio.get_running_loop().time()

    def waited(self) -> float | None:
        """See exporter.web.crowd."""
        if self.connection is not None and self.connection.is_open:
            return self.connection.waited()
        return asyncio.get_running_loop().time() - self._since

    def cut(self) -> None:
        """End it at once."""
        if self.connection is not None and self.connection.is_open:
            self.connection.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()
