"""Peers that mean harm, or know no better: whatever they do, a scrape meanwhile comes whole and in time.

Attackers come from the scraper's own address, unless a test says otherwise: behind a proxy or in a container all peers
have the same one.
"""

from __future__ import annotations

import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from exporter.web.connection import LINGER_BYTES, Limits
from exporter.web.webconfig import WebConfigFile
from tests.conftest import ROOT
from tests.e2e.stack import PAUSE, eventually
from tests.webserver import SCRAPE, Published, ask, certify, hashed, is_closed, knock, running, trusting

PROMPT = 5.0
"""Seconds. Prometheus waits ten as it comes; an undisturbed scrape takes a few hundredths."""

LARGE = 8_000_000
GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def scrape(
    port: int,
    published: Published,
    *,
    tls: ssl.SSLContext | None = None,
    source: str = "127.0.0.1",
    headers: dict[str, str] | None = None,
) -> None:
    """A whole page, in time."""
    begun = time.monotonic()
    answer = ask(port, "/metrics", headers={**SCRAPE, **(headers or {})}, tls=tls, source=source)
    assert (answer.status, answer.body == published.text) == (200, True)
    assert time.monotonic() - begun < PROMPT


def test_idle_tls_peers(tmp_path: Path) -> None:
    own = certify(tmp_path, "own")
    path = tmp_path / "web.yml"
    path.write_text("tls_server_config: {cert_file: own.crt, key_file: own.key}")
    published, context = Published(LARGE), trusting(own)
    limits = Limits(handshake=1.5, head=1.5)
    with running(published, WebConfigFile(path), limits) as (server, port), ExitStack() as stack:
        never = [stack.enter_context(knock(port)) for _ in range(17)]
        begun = [stack.enter_context(knock(port)) for _ in range(17)]
        for peer in begun:
            peer.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        finished = [
            stack.enter_context(context.wrap_socket(knock(port), server_hostname="127.0.0.1")) for _ in range(16)
        ]
        for _ in range(3):
            scrape(port, published, tls=context)
        eventually("all are cut", lambda: all(map(is_closed, [*never, *begun, *finished])), within=15)
        eventually("none is left", lambda: not server.server_state.connections, within=5)
        scrape(port, published, tls=context)


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_slow_readers_of_a_large_page(secured: bool, tmp_path: Path) -> None:
    context, web = None, None
    if secured:
        context = trusting(certify(tmp_path, "own"))
        (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: own.crt, key_file: own.key}")
        web = WebConfigFile(tmp_path / "web.yml")
    published = Published(LARGE)
    with running(published, web, Limits(write=2.0)) as (server, port), ExitStack() as stack:
        peers: list[socket.socket] = []
        for _ in range(50):
            peer = socket.socket()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.settimeout(15)
            peer.connect(("127.0.0.1", port))
            peers.append(
                stack.enter_context(context.wrap_socket(peer, server_hostname="127.0.0.1") if context else peer)
            )
            peers[-1].sendall(GET[:-2] + b"X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n")
        eventually("all are being answered", lambda: len(server.server_state.tasks) >= 50, within=10)
        scrape(port, published, tls=context)
        with dripping(peers[:25]):  # these take a byte now and then
            scrape(port, published, tls=context)
            eventually("all are cut", lambda: not server.server_state.tasks, within=15)
            eventually("none is left", lambda: not server.server_state.connections, within=15)
        assert published.answered == 2


@contextmanager
def dripping(peers: list[socket.socket], send: bytes = b"") -> Iterator[None]:
    """Every tenth of a second each peer sends a byte of this, over and over, or takes one where there is none."""
    over = threading.Event()

    def drip() -> None:
        turn = 0
        while not over.wait(0.1):
            turn += 1
            for peer in peers:
                try:
                    if send:
                        peer.send(send[turn % len(send) : turn % len(send) + 1])
                    else:
                        peer.recv(1)
                except OSError:
                    pass

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_dripped_headers() -> None:
    published = Published(LARGE)
    with running(published, limits=Limits(head=2.0)) as (server, port), ExitStack() as stack:
        peers = [stack.enter_context(knock(port)) for _ in range(100)]
        for peer in peers:
            peer.sendall(b"GET /metrics HTTP/1.1\r\n") if not is_closed(peer) else None
        with dripping(peers, b"X-A: b\r\n"):
            for _ in range(3):
                scrape(port, published)
            eventually("all are cut", lambda: not server.server_state.connections, within=15)
            scrape(port, published)


def test_dripped_bodies_and_lines_between_requests_keep_nothing_open() -> None:
    published = Published()
    head = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
    with running(published, limits=Limits(head=1.0, keep_alive=1.0)) as (server, port), ExitStack() as stack:
        bodies = [stack.enter_context(knock(port)) for _ in range(5)]
        lines = [stack.enter_context(knock(port)) for _ in range(5)]
        for peer in bodies:
            peer.sendall(head)
        for peer in lines:
            peer.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        with dripping(bodies, b"a"), dripping(lines, b"\r\n"):
            eventually("all are cut", lambda: not server.server_state.connections, within=15)


def answer_to(port: int, request: bytes) -> bytes:
    with knock(port) as peer:
        peer.sendall(request)
        answer = b""
        while got := peer.recv(65536):
            answer += got
        return answer


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (b"GET / HTTP/1.1\r\nX-A: " + b"a" * 70_000, 431, b"the headers are longer than 32768 bytes\n"),
        (b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 9000, 431, b"the headers are longer than 32768 bytes\n"),
        (b"GET /" + b"a" * 70_000, 414, b"the address is longer than 8192 bytes\n"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414, b"the address is longer than 8192 bytes\n"),
        (b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 413, b"longer than 65536 bytes, and none is needed\n"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, b"this is no HTTP/1.1 request\n"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, b"this is no HTTP/1.1 request\n"),
        (b"CONNECT evil:443 HTTP/1.1\r\n\r\n", 400, b"this is no HTTP/1.1 request\n"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400, b"this is no HTTP/1.1 request\n"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, b"this is no HTTP/1.1 request\n"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, b"this is no HTTP/1.1 request\n"),
    ],
)
def test_requests_that_are_too_large_or_none(
    request_: bytes, status: int, words: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    published = Published()
    with running(published) as (_, port):
        answer = answer_to(port, request_)
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert answer.endswith(words)
        assert b"\r\nx-content-type-options: nosniff\r\n" in answer
        assert answer.count(b"HTTP/1.1") == 1 + words.count(b"HTTP/1.1")
        scrape(port, published)
    # Whoever likes could fill the log.
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def sent_until_cut(peer: socket.socket, part: bytes) -> int:
    """How many bytes go out, of a hundred million, until the other side has enough."""
    sent = 0
    try:
        while sent < 100_000_000:
            sent += peer.send(part)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return sent


def test_megabytes_of_headers_or_body_are_not_read() -> None:
    published = Published()
    heads = (b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    parts = (b"X-A: b\r\n" * 8192, b"1;" + b"x" * 65530 + b"\r\na\r\n")
    with running(published) as (_, port):
        for head, part in zip(heads, parts, strict=True):
            with knock(port) as peer:
                peer.sendall(head)
                sent = sent_until_cut(peer, part)
                # What the system takes for us counts as sent.
                assert sent < 8_000_000 + LINGER_BYTES
            scrape(port, published)


def test_thousands_of_requests_in_one_breath() -> None:
    published = Published(LARGE)
    with running(published) as (server, port), ExitStack() as stack:
        peers = [stack.enter_context(knock(port)) for _ in range(20)]
        for peer in peers:
            peer.setblocking(False)
            peer.send(GET * 5000)
        scrape(port, published)
        assert sum(len(each.pipeline) for each in server.server_state.connections if hasattr(each, "pipeline")) < 5000


def test_garbage_after_a_request_does_not_spoil_its_answer() -> None:
    published = Published(LARGE)
    with running(published) as (_, port):
        answer = answer_to(port, GET + b"\x00garbage\r\n\r\n" * 100)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(published.text)


def test_an_upgrade_is_answered_in_http_1() -> None:
    with running(Published()) as (_, port):
        head = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n"
        for kind in (b"websocket", b"h2c"):
            answer = answer_to(port, head % kind + b"more" * 1000)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert answer.endswith(b"bandwidth-exporter is healthy.\n")


def test_one_peer_with_hundreds_of_idle_connections() -> None:
    published = Published(LARGE)
    with running(published) as (server, port), ExitStack() as stack:
        kept = stack.enter_context(knock(port, "127.0.0.3"))
        peers = [stack.enter_context(knock(port)) for _ in range(500)]
        scrape(port, published)
        scrape(port, published, source="127.0.0.2")
        assert len(server.server_state.connections) <= Limits().per_peer + 2
        assert sum(not is_closed(peer) for peer in peers) <= Limits().per_peer
        kept.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert kept.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_many_peers_with_many_connections() -> None:
    published = Published(LARGE)
    with running(published, limits=Limits(per_peer=10, overall=25)) as (server, port), ExitStack() as stack:
        for last in range(2, 12):
            for _ in range(10):
                stack.enter_context(knock(port, f"127.0.0.{last}"))
        scrape(port, published)
        scrape(port, published, source="127.0.0.5")
        assert len(server.server_state.connections) <= 25


@contextmanager
def flooded(port: int, head: str, kind: str, seconds: float = 3.0) -> Iterator[None]:
    """A thousand requests a second, for some seconds; see tests.flood."""
    command = [sys.executable, "-m", "tests.flood", str(port), str(seconds), head, kind]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        PAUSE.wait(1.0)
        yield
    finally:
        answered, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    print(f"{int(answered) / seconds:.0f} answers a second")
    assert int(answered) > 20


@pytest.mark.parametrize("kind", ["kept", "new"])
@pytest.mark.parametrize("path", ["/metrics", "/", "/nowhere"])
def test_a_thousand_requests_a_second(path: str, kind: str) -> None:
    published = Published(2_000_000)
    with running(published) as (_, port):
        with flooded(port, f"GET {path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n", kind):
            for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
                scrape(port, published, source=source)
        scrape(port, published)


def test_a_flood_of_wrong_passwords(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{alice: {hashed('secret', 10)}}}\n")
    published, right = Published(2_000_000), {"Authorization": "Basic YWxpY2U6c2VjcmV0"}
    with (
        running(published, WebConfigFile(path)) as (_, port),
        flooded(port, "GET /metrics HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Basic YTpi\\r\\n\\r\\n", "kept"),
    ):
        # From elsewhere it is compared in its turn; then it is known, and good from the flood's own address as well.
        scrape(port, published, headers=right)
        scrape(port, published, headers=right, source="127.0.0.2")


def test_the_server_ends_in_time_whoever_is_there(tmp_path: Path) -> None:
    own = certify(tmp_path, "own")
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: own.crt, key_file: own.key}")
    context = trusting(own)
    with ExitStack() as stack:
        with running(Published(LARGE), WebConfigFile(tmp_path / "web.yml")) as (server, port):
            for _ in range(10):
                stack.enter_context(knock(port))
                peer = stack.enter_context(context.wrap_socket(knock(port), server_hostname="127.0.0.1"))
                peer.sendall(GET)
            eventually("all are being answered", lambda: len(server.server_state.tasks) >= 10, within=10)
            begun = time.monotonic()
        assert time.monotonic() - begun < PROMPT
