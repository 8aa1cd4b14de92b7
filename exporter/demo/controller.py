"""A simulated UniFi controller over real HTTPS on 127.0.0.1, with switches for what can go wrong on the way."""

from __future__ import annotations

import socket
import ssl
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Final, Self

from exporter.demo import faults
from exporter.demo.certificate import make_certificate
from exporter.demo.console import Console, Request
from exporter.demo.faults import Fault
from exporter.demo.network import Network
from exporter.demo.sessions import Flavour, Reply

IDLE: Final = 30.0  # seconds until a silent peer is dropped
BLOCK: Final = b" " * 65536


class DemoController(Console):
    """Serves networks while it is entered: `with DemoController(network) as c: …`. Enter again for the same port.

    What may be changed while it runs: `down` (every connection is closed at once), `fault` (what goes wrong) with
    `fault_path` (only for paths that contain it), `redirect_to`, `drip_every` (seconds between the bytes of a drip),
    and all that `Console` has. `fingerprint` is that of its certificate, as a configuration has it.
    `requests` holds the latest ones, `connections` how many there were.
    """

    def __init__(
        self,
        *networks: Network,
        clock: Callable[[], float] = time.time,
        username: str = "exporter",
        password: str = "",
        api_key: str = "",
        flavour: Flavour = "os",
    ) -> None:
        super().__init__(networks, clock=clock, username=username, password=password, api_key=api_key, flavour=flavour)
        self.url = ""
        self.ca_file = ""
        self.fingerprint = ""
        self.down = False
        self.fault: Fault = ""
        self.fault_path = ""
        self.redirect_to = ""
        self.drip_every = 1.0
        self.requests: deque[Request] = deque(maxlen=1000)
        self.connections = 0
        self.stopping = Event()
        self._port = 0
        self._running: tuple[_Server, Thread, tempfile.TemporaryDirectory[str]] | None = None

    def __enter__(self) -> Self:
        folder = tempfile.TemporaryDirectory(prefix="demo-controller-")
        certificate = make_certificate(Path(folder.name))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.path, certificate.key_path)
        self.stopping.clear()
        server = _Server(self, self._port, context)
        self._port = server.server_address[1]
        self.url = f"https://127.0.0.1:{self._port}"
        self.ca_file = str(certificate.path)
        self.fingerprint = certificate.fingerprint
        thread = Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo-controller", daemon=True
        )
        thread.start()
        self._running = server, thread, folder
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            server, thread, folder = self._running
            self._running = None
            self.stopping.set()
            server.shutdown()
            thread.join()
            server.hang_up()
            server.server_close()
            folder.cleanup()

    def fault_for(self, path: str) -> Fault:
        """What goes wrong with an answer to a path."""
        return self.fault if self.fault_path in path else ""


class _Server(ThreadingHTTPServer):
    """Shakes hands in the connection's own thread, so that an idle peer holds up nobody but itself."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, controller: DemoController, port: int, context: ssl.SSLContext) -> None:
        self.controller = controller
        self._context = context
        self._peers: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.controller.down:
            return
        with self._lock:
            self.controller.connections += 1
        request.settimeout(IDLE)
        with self._kept(request), suppress(OSError):
            request.do_handshake()
            _Handler(request, client_address, self)

    def get_request(self) -> tuple[socket.socket, Any]:
        request, address = super().get_request()
        return self._context.wrap_socket(request, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Peers that go away in the middle are nothing to talk about."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """Cut all connections; their threads then end."""
        with self._lock:
            for peer in self._peers:
                with suppress(OSError):
                    socket.socket.shutdown(peer, socket.SHUT_RDWR)  # below TLS, which another thread is using

    @contextmanager
    def _kept(self, peer: socket.socket) -> Iterator[None]:
        with self._lock:
            self._peers.add(peer)
        try:
            yield
        finally:
            with self._lock:
                self._peers.discard(peer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes, and the second would wait for the first's ACK
    server: _Server

    def do_GET(self) -> None:
        controller = self.server.controller
        if controller.down:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        request = Request(self.command, self.path, headers, body)
        controller.requests.append(request)
        fault = controller.fault_for(self.path)
        self._send(faults.instead(fault, controller.redirect_to) or controller.answer(request), fault)

    def do_POST(self) -> None:
        self.do_GET()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Headers carry the console's own clock, right or wrong."""
        return self.server.controller.date if timestamp is None else super().date_time_string(int(timestamp))

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing of answers: `requests` has them."""

    def log_error(self, *args: Any) -> None:
        """Say nothing of silent peers that are dropped."""

    def _send(self, reply: Reply, fault: Fault = "") -> None:
        for block in faults.head(fault):
            self.close_connection = True
            self.wfile.write(block)
            if self.server.controller.stopping.is_set():
                return
        reply = faults.packed(reply, fault)
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if "Content-Type" not in dict(reply.headers):
            self.send_header("Content-Type", "application/json")
        if fault == "endless":
            self.close_connection = True
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(reply.body)))
        if fault == "drip_headers":
            self._drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"y" * 10_000)
        self.end_headers()
        if fault == "drip":
            self._drip(reply.body)
        elif fault == "truncate":
            self.close_connection = True
            self.wfile.write(reply.body[: len(reply.body) // 2])
        elif fault == "endless":
            self._pour()
        else:
            self.wfile.write(reply.body)

    def _drip(self, data: bytes) -> None:
        controller = self.server.controller
        for position in range(len(data)):
            self.wfile.write(data[position : position + 1])
            if controller.stopping.wait(controller.drip_every):
                return

    def _pour(self) -> None:
        while not self.server.controller.stopping.is_set():
            self.wfile.write(BLOCK)
