"""What a page costs: to compress, to serve, and what prometheus-client would take to render it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Iterable, MutableMapping
from typing import Any, Final, NamedTuple

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from benchmarks.stopwatch import cpu
from exporter.exposition import Page
from exporter.web import make_app

HEADERS: Final = [(b"x-prometheus-scrape-timeout-seconds", b"10")]


class Cost(NamedTuple):
    """CPU seconds. gzip: once a generation. plain, compressed: each scrape after that; sizes in bytes."""

    gzip: float
    gzip_6: float
    plain: float
    compressed: float
    size: int
    compressed_size: int
    compressed_size_6: int


class _Published:
    """One page, and nothing else."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.answered = 0

    def page(self, _source: str | None) -> Page:
        return self._page

    def scraped(self, _generation: int, _source: str | None) -> None:
        self.answered += 1

    def healthy(self) -> str:
        return ""

    ready = status = healthy


class _Parsed(Collector):
    """The families of a page, as prometheus-client has them."""

    def __init__(self, text: str) -> None:
        self._families = list(text_string_to_metric_families(text))

    def collect(self) -> Iterable[Metric]:
        return self._families


def measure(page: Page) -> Cost:
    """What the page costs on its way to Prometheus."""
    text = page.text()
    packed = page.gzip()
    packed_6 = gzip.compress(text, 6, mtime=0)
    return Cost(
        cpu(lambda: Page(0, [text]).gzip()),
        cpu(lambda: gzip.compress(text, 6, mtime=0)),
        cpu(lambda: _scrape(page, b"identity"), 20),
        cpu(lambda: _scrape(page, b"gzip"), 20),
        len(text),
        len(packed),
        len(packed_6),
    )


def by_prometheus_client(page: Page) -> tuple[int, float]:
    """How many of the page's samples, whole families, and the CPU seconds prometheus-client takes to render them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Parsed(page.text().decode()))
    rendered = generate_latest(registry)
    return sum(not line.startswith(b"#") for line in rendered.splitlines()), cpu(lambda: generate_latest(registry), 3)


def _scrape(page: Page, coding: bytes) -> None:
    """One GET through the web application, without a socket."""
    published = _Published(page)
    app = make_app(published)
    sent = 0

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()  # the peer stays
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal sent
        sent += len(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/metrics",
        "raw_path": b"/metrics",
        "query_string": b"",
        "root_path": "",
        "headers": [*HEADERS, (b"accept-encoding", coding)],
    }
    asyncio.run(app(scope, receive, send))
    assert published.answered == 1
    assert sent == len(page.gzip() if coding == b"gzip" else page.text())
