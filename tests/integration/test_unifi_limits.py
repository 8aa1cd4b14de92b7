from __future__ import annotations

import gzip
import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from exporter.demo.certificate import make_certificate
from exporter.demo.controller import DemoController
from exporter.demo.faults import BOMB_SIZE, Fault
from exporter.demo.network import Network
from exporter.sources.unifi.unpack import Body, TooLargeError
from exporter.sources.unifi.wire import AddressInfo, resolve
from tests.consoles import MAC, START, Connect, failure, keys

STA = "/proxy/network/api/s/default/stat/sta"
LATE = "no complete answer in time; check that it is up; where it is only slow, give it a longer `timeout`"
NO_UNIFI = "check that the url is that of a UniFi controller"


def too_large(url: str, limit: int) -> str:
    return (
        f"{url}: the answer is longer than {limit} bytes and was not read further; "
        "check that the url is that of a UniFi console, or read fewer sites"
    )


def test_redirects_are_not_followed_and_carry_no_key(console: DemoController, connect: Connect) -> None:
    with DemoController(Network(start=START)) as elsewhere:
        console.fault, console.redirect_to = "redirect", elsewhere.url + STA
        for source in (connect(api_key=console.api_key), connect()):
            assert str(failure(source)) == (
                f"{console.url}: answers with a redirect, which is never followed; "
                "give the controller's own address as `url`"
            )
        console.fault_path = "/self/sites"
        for source in (connect(api_key=console.api_key), connect()):
            assert str(failure(source)) == (
                f"{console.url}/proxy/network/api/self/sites: answers with a redirect, which is never followed; "
                "give the controller's own address as `url`"
            )
        assert not elsewhere.requests


def test_the_environment_changes_nothing(
    console: DemoController, connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password netrc-secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(netrc))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert keys(connect().poll())
    assert all("authorization" not in request.headers for request in console.requests)


@pytest.mark.parametrize("fault", ["endless", "endless_headers", "endless_chunk", "endless_hints"])
@pytest.mark.parametrize("path", ["/api/auth/login", "/stat/sta"])
def test_what_never_ends_is_not_read_to_its_end(
    console: DemoController, connect: Connect, fault: Fault, path: str
) -> None:
    console.fault, console.fault_path = fault, path
    limit = 1_000_000
    error = failure(connect(limit))
    url = console.url + (STA if path == "/stat/sta" else path)
    assert str(error) in (
        too_large(url, limit),
        f"{url}: the answer was cut off or is not HTTP (HTTPException); {NO_UNIFI}",  # over a hundred headers
        f"{url}: the answer was cut off or is not HTTP (ProtocolError); {NO_UNIFI}",  # a chunk's size without end
    )
    assert (fault == "endless_headers") == ("HTTPException" in str(error))
    assert (fault in ("endless", "endless_hints")) == (error.reason == "too_large")


def test_a_bomb_is_not_unpacked_past_the_cap(console: DemoController, connect: Connect) -> None:
    console.fault, console.fault_path = "bomb", STA
    limit = 5_000_000
    source = connect(limit, sites=("default",))
    tracemalloc.start()
    try:
        error = failure(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(error) == too_large(console.url + STA, limit)
    assert peak < BOMB_SIZE / 4


@pytest.mark.parametrize("fault", ["gzip", "silent_gzip"])
def test_what_is_packed_unasked_is_unpacked(console: DemoController, connect: Connect, fault: Fault) -> None:
    console.fault = fault
    assert keys(connect().poll()) == [f"{MAC}|wireless", "02:00:00:00:00:02|wired"]
    assert all(request.headers["accept-encoding"] == "identity" for request in console.requests)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nested_gzip", "the answer is packed in a way that was not asked for"),
        ("br", "the answer is packed in a way that was not asked for"),
        ("twice_gzip", "the answer is packed more than once"),
        ("cut_gzip", "the packed answer was cut off"),
        ("tail_gzip", "something follows the packed answer"),
        ("false_gzip", "the answer is said to be gzip, and is not"),
        ("bad_gzip", "the packed answer is damaged"),
    ],
)
def test_what_is_packed_badly_is_refused(console: DemoController, connect: Connect, fault: Fault, words: str) -> None:
    console.fault, console.fault_path = fault, STA
    error = failure(connect(sites=("default",)))
    assert (error.reason, str(error)) == ("protocol", f"{console.url}{STA}: {words}; {NO_UNIFI}")


@pytest.mark.parametrize("step", [1, 2, 7, 10_000])
@pytest.mark.parametrize("packed", [False, True])
def test_the_cap_is_exact_however_the_parts_come(step: int, packed: bool) -> None:
    text = bytes(range(256)) * 4
    sent = gzip.compress(text) if packed else text

    def read(limit: int) -> bytes:
        body = Body("", limit)
        for start in range(0, len(sent), step):
            body.add(sent[start : start + step])
        return body.whole()

    assert read(len(text)) == text
    with pytest.raises(TooLargeError):
        read(len(text) - 1)


@pytest.mark.parametrize("body", [b"", b"{", b"\x1f"])
def test_the_shortest_bodies_stay_as_they_are(body: bytes) -> None:
    reader = Body("identity", 10)
    reader.add(body)
    assert reader.whole() == body


@pytest.mark.parametrize("fault", ["drip", "drip_headers", "endless"])
@pytest.mark.parametrize("path", ["/api/self", "/api/auth/login", "/stat/sta"])
def test_nothing_outlives_the_deadline(console: DemoController, connect: Connect, fault: Fault, path: str) -> None:
    console.fault, console.fault_path = fault, path
    console.drip_every = 0.05
    source = connect(timeout=0.7, body_limit=10**15)
    started = time.monotonic()
    error = failure(source)
    assert error.reason == "timeout"
    assert str(error).endswith(LATE)
    assert time.monotonic() - started < 1.7


def test_a_peer_that_never_answers_the_handshake_times_out(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        started = time.monotonic()
        assert str(failure(connect(url=url, timeout=0.4))) == f"{url}/: {LATE}"
        assert time.monotonic() - started < 1.4


def test_a_look_up_that_hangs_ends_with_the_deadline() -> None:
    done = Event()

    def lookup(_host: str, _port: int) -> list[AddressInfo]:
        done.wait(30)
        return []

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        resolve("console.example", 443, 0.2, lookup)
    assert time.monotonic() - started < 5
    done.set()


def test_idle_peers_hold_up_nobody(console: DemoController, connect: Connect) -> None:
    port = int(console.url.rpartition(":")[2])
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
    assert keys(connect(timeout=5.0).poll())
    for peer in idle:
        peer.close()


@contextmanager
def server_that_says(folder: Path, answer: bytes) -> Iterator[tuple[str, str]]:
    """A server that sends the same to everybody who asks, and hangs up. Its url, and its certificate's file."""
    certificate = make_certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key_path)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    talk(server.accept()[0])

        def talk(peer: socket.socket) -> None:
            with suppress(OSError), context.wrap_socket(peer, server_side=True) as tls:
                tls.recv(10_000)
                tls.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}", str(certificate.path)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


OK = b"HTTP/1.1 200 OK\r\n"
PACKED = gzip.compress(bytes(50_000_000))
NOT_HTTP: Callable[[str], str] = "the answer was cut off or is not HTTP ({}); ".format


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED, "too_large", "longer"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "protocol", NOT_HTTP("ValueError")),
        (OK + b"Content-Length: 9\r\n\r\n{}", "protocol", NOT_HTTP("IncompleteRead")),
        (OK + b"A: b\r\n" * 300 + b"\r\n", "protocol", NOT_HTTP("HTTPException")),
        (OK + b"A: " + b"b" * 200_000 + b"\r\n\r\n", "protocol", NOT_HTTP("LineTooLong")),
        (OK + b"X-CSRF-Token: a\r\n b\r\nContent-Length: 2\r\n\r\n{}", "protocol", "not as a UniFi controller"),
        (b"HTTP/1.1 999 X\r\nContent-Length: 2\r\n\r\n{}", "protocol", "not as a UniFi controller"),
        (b"HTTP/1.1 302 X\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n", "protocol", "redirect"),
        (b"\x00\x01garbage\r\n\r\n", "protocol", NOT_HTTP("BadStatusLine")),
        (b"", "unreachable", "connection closed without an answer; check that it is up and can be reached from here"),
    ],
)
def test_answers_that_are_no_http_raise_nothing_unforeseen(
    connect: Connect, tmp_path: Path, answer: bytes, reason: str, words: str
) -> None:
    with server_that_says(tmp_path, answer) as (url, ca_file):
        source = connect(body_limit=1_000_000, url=url, ca_file=ca_file, api_key="key")
        error = failure(source)
        source.close()
    assert error.reason == reason
    assert words in str(error)
    assert str(error).startswith(url)
