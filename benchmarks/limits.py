"""What the limits of our web server add to a scrape: `python -m benchmarks.limits`.

The same page is scraped over real sockets from uvicorn as it comes and from our server, in turns, so that whatever else
the machine does falls on both.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

import uvicorn

from exporter.exposition import Page
from exporter.web import make_app
from exporter.web.server import WebServer

SIZES: Final = (100_000, 10_000_000)
ROUNDS: Final = 200
REQUEST: Final = b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n"


class _Published:
    def __init__(self, size: int) -> None:
        self._page = Page(1, [b"#" * size])

    def page(self, _source: str | None) -> Page:
        return self._page

    def scraped(self, _generation: int, _source: str | None) -> None:
        pass

    def healthy(self) -> str:
        return ""

    ready = status = healthy


def _serve(size: int, listener: socket.socket, limited: bool) -> None:
    app = make_app(_Published(size))
    if limited:
        WebServer(app, listener).run()
    else:
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")).run(sockets=[listener])


@contextmanager
def _serving(size: int, *, limited: bool) -> Iterator[socket.socket]:
    """A connection to a server in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 16 * 1024)  # as exporter.service has it
        process = multiprocessing.get_context("fork").Process(target=_serve, args=(size, listener, limited))
        process.start()
        try:
            with socket.create_connection(listener.getsockname()[:2]) as peer:
                yield peer
        finally:
            process.terminate()
            process.join()


def _scrape(peer: socket.socket, size: int, buffer: bytearray) -> float:
    """Seconds until the whole page is there."""
    begun = time.perf_counter()
    peer.sendall(REQUEST)
    received = peer.recv_into(buffer)
    due = buffer.index(b"\r\n\r\n") + 4 + size
    while received < due:
        received += peer.recv_into(buffer)
    return time.perf_counter() - begun


def main() -> None:
    """Print the fastest scrape of both for each size, and their ratio."""
    buffer = bytearray(1 << 20)
    for size in SIZES:
        with ExitStack() as stack:
            peers = [stack.enter_context(_serving(size, limited=limited)) for limited in (False, True)]
            taken: list[list[float]] = [[], []]
            for turn in range(ROUNDS):
                for which in (0, 1) if turn % 2 else (1, 0):
                    taken[which].append(_scrape(peers[which], size, buffer))
        plain, limited = (min(each) * 1000 for each in taken)  # the one that other programs disturbed least
        print(
            f"{size:>10} bytes: {plain:.2f} ms without limits, {limited:.2f} ms with them, ratio {limited / plain:.3f}"
        )


if __name__ == "__main__":
    main()
