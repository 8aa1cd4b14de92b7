"""The answer to a scrape, which notices whether all of it went out."""

from __future__ import annotations

from collections.abc import Callable

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exporter.exposition import CONTENT_TYPE

CHUNK = 64 * 1024
"""Bytes handed to the socket at once; after each one the server waits until the peer took most of it."""


class MetricsResponse(Response):
    """The page. `answered` is called once its last byte was handed to a connection that still stands."""

    def __init__(self, body: bytes, *, compressed: bool, answered: Callable[[], None] | None) -> None:
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if compressed:
            headers["Content-Encoding"] = "gzip"
        super().__init__(body, headers=headers)
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = anyio.Event()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

        body = b"" if scope["method"] == "HEAD" else memoryview(self.body)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(body), CHUNK):
                await send(
                    {"type": "http.response.body", "body": bytes(body[start : start + CHUNK]), "more_body": True}
                )
                await anyio.lowlevel.checkpoint()  # lets a hang-up be noticed
            # Waits, as every message does, until the peer took most of what is before it.
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            await anyio.lowlevel.checkpoint()
            whole = not left.is_set()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()
        if whole and self._answered is not None:
            self._answered()
