"""The routes: /metrics, the two health checks, and a page for people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from anyio.to_thread import run_sync
from starlette.applications import Starlette
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


def make_app(pages: Pages) -> Starlette:
    """The web application. It only reads what is published; nothing it does can change a number."""

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

    def status(_request: Request) -> Response:
        return HTMLResponse(pages.status())

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/-/healthy", check(pages.healthy, "bandwidth-exporter is healthy.")),
            Route("/-/ready", check(pages.ready, "bandwidth-exporter is ready.")),
            Route("/", status),
        ]
    )


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header Accept-Encoding allows gzip (RFC 9110, 12.5.3): by its name, else by the asterisk."""
    allowed: dict[str, bool] = {}
    for item in accept_encoding.lower().split(","):
        coding, _, parameters = item.partition(";")
        allowed[coding.strip()] = parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return allowed.get("gzip", allowed.get("*", False))
