"""What stands before every route: the password, and the headers that keep a browser from harm."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.login import Logins, TooManyLogins
from exporter.web.webconfig import WebConfig

SECURITY_HEADERS: Mapping[str, str] = {
    # The status page has one style sheet inside it, and nothing else that could be loaded, sent or framed.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Every page is of the moment, and names people.
    "Cache-Control": "no-store",
}
"""On every answer, except where the web configuration says otherwise."""


class Guard:
    """Wraps an application. Every path is behind the password, the health checks too, as Prometheus has it."""

    def __init__(self, app: ASGIApp, config: Callable[[], WebConfig]) -> None:
        """config: what holds at the moment."""
        self._app = app
        self._config = config
        self._logins = Logins()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        config = self._config()
        ours = raw_headers(config)
        names = {name for name, _ in ours}

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                theirs = [pair for pair in message.get("headers", ()) if pair[0].lower() not in names]
                message = {**message, "headers": [*theirs, *ours]}
            await send(message)

        refusal = await self._refusal(config, scope) if config.users else None
        await (refusal or self._app)(scope, receive, with_headers)

    async def _refusal(self, config: WebConfig, scope: Scope) -> PlainTextResponse | None:
        client = scope.get("client")
        try:
            right = await self._logins.is_right(
                config.users, Headers(scope=scope).get("authorization", ""), network_of(client[0] if client else "")
            )
        except TooManyLogins:
            words = "too many passwords wait to be compared; try again in a second\n"
            return PlainTextResponse(words, 429, {"Retry-After": "1"})
        if right:
            return None
        words = "a user of this exporter's web configuration, and the password, are needed\n"
        return PlainTextResponse(words, 401, {"WWW-Authenticate": 'Basic realm="bandwidth-exporter", charset="UTF-8"'})


def raw_headers(config: WebConfig) -> list[tuple[bytes, bytes]]:
    """The headers of every answer, as ASGI has them. One that the configuration leaves blank is not sent."""
    headers = {**SECURITY_HEADERS, **config.headers}
    return [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items() if value]


def network_of(host: str) -> str:
    """Who an address stands for: itself, or with IPv6 the /64 in which one machine may have as many as it likes."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64))
