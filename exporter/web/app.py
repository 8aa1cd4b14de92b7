"""The routes: /metrics, the health checks, the configuration, a reload where that is allowed, and a page for people.

Whoever may read one page may read them all, and none of them changes a number. So a foreign name in the header Host is
of no interest to them. A reload does something, if only what a signal does as well. It is refused to a page of another
origin, and to any page that a browser has from a host name other than localhost: such a name may be an attacker's own,
which he lets point here once the page is loaded (DNS rebinding). Programs such as curl send neither Origin nor
Sec-Fetch-Site, and may use any name.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from exporter.exposition import Page
from exporter.web.scrape import MetricsResponse


class Pages(Protocol):
    """What the routes show; exporter.service has it."""

    def page(self, source: str | None) -> Page | None: ...
    def scraped(self, generation: int, source: str | None) -> None: ...
    def healthy(self) -> str: ...
    def ready(self) -> str: ...
    def status(self) -> str: ...


class Control(Protocol):
    """The configuration in use, and its renewal; exporter.service has it.

    config: as YAML, without secrets. lifecycle: whether web.enable_lifecycle is set. reload: "", or what went wrong.
    """

    @property
    def lifecycle(self) -> bool: ...
    def config(self) -> str: ...
    def reload(self) -> str: ...


def make_app(pages: Pages, control: Control | None = None) -> Starlette:
    """The web application. It reads what is published, and can change no number. control: None for no such routes."""
    # What is rendered anew for everybody who asks: one at a time, so that a thousand a second leave time for a scrape.
    rendering = CapacityLimiter(1)

    async def metrics(request: Request) -> Response:
        source = request.query_params.get("source")
        page = await run_sync(pages.page, source)
        if page is None:
            return PlainTextResponse(f"there is no source {source!r} in the configuration\n", status_code=404)
        compress = accepts_gzip(", ".join(request.headers.getlist("accept-encoding")))
        body = await run_sync(page.gzip if compress else page.text)
        # Only Prometheus says how long it waits. A person's look at the page moves nothing.
        is_scrape = request.method == "GET" and "x-prometheus-scrape-timeout-seconds" in request.headers
        generation = page.generation
        answered = (lambda: pages.scraped(generation, source)) if is_scrape else None
        return MetricsResponse(body, compressed=compress, answered=answered)

    def check(verdict: Callable[[], str], good: str) -> Callable[[Request], Response]:
        def answer(_request: Request) -> Response:
            trouble = verdict()
            return PlainTextResponse(f"{trouble or good}\n", status_code=503 if trouble else 200)

        return answer

    async def status(_request: Request) -> Response:
        return HTMLResponse(await run_sync(pages.status, limiter=rendering))

    app = Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/-/healthy", check(pages.healthy, "bandwidth-exporter is healthy.")),
            Route("/-/ready", check(pages.ready, "bandwidth-exporter is ready.")),
            *_control_routes(control, rendering),
            Route("/", status),
        ],
        exception_handlers={404: _nothing_here, 405: _no_such_method},
    )
    # Its redirects would name whatever host the request names.
    app.router.redirect_slashes = False
    return app


def _control_routes(control: Control | None, rendering: CapacityLimiter) -> list[Route]:
    async def config(_request: Request) -> Response:
        if control is None:
            raise HTTPException(404)
        return PlainTextResponse(await run_sync(control.config, limiter=rendering))

    async def reload(request: Request) -> Response:
        if control is None or not control.lifecycle:
            words = "a reload by HTTP is not enabled; set web.enable_lifecycle: true, or send SIGHUP"
            return PlainTextResponse(f"{words}\n", status_code=403)
        if is_from_elsewhere(request.headers):
            return PlainTextResponse("a reload is not taken from a page of another site\n", status_code=403)
        trouble = await run_sync(control.reload)
        return PlainTextResponse(f"{trouble or 'reloaded'}\n", status_code=500 if trouble else 200)

    return [Route("/-/reload", reload, methods=["POST", "PUT"]), Route("/config", config)]


async def _nothing_here(request: Request, _error: Exception) -> Response:
    # Not of request.url, which takes in the header Host, whatever it holds.
    path = request.scope["path"]
    return PlainTextResponse(f"there is no page {path!r}; the metrics are at /metrics\n", status_code=404)


async def _no_such_method(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    allowed = (headers or {}).get("Allow", "")
    words = f"{request.scope['path']} does not take {request.method}, but {allowed}\n"
    return PlainTextResponse(words, status_code=405, headers=headers)


def is_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser sends it for a page that may not be ours; see above."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is None and origin is None:
        return False
    host = headers.get("host", "")
    try:
        is_ours = origin is None or urlsplit(origin).netloc == host
        return site not in (None, "same-origin") or not is_ours or not _is_literal(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return True


def _is_literal(host: str) -> bool:
    """Whether a host can be nobody's but the one that is meant: an address, or localhost."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header Accept-Encoding allows gzip (RFC 9110, 12.5.3): by its name, else by the asterisk."""
    allowed: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        coding, _, parameters = item.partition(";")
        allowed[coding.strip()] = parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return allowed.get("gzip", allowed.get("*", False))
