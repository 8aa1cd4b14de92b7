"""The routes, served by a real server to real sockets."""

from __future__ import annotations

import gzip
import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from msgspec.structs import replace

from exporter.config.values import Listen
from exporter.model import Client
from exporter.service import Exporter, Settings
from exporter.store import State
from exporter.web import make_app
from exporter.web.listening import listen
from tests.e2e.stack import PAUSE, eventually, free_port
from tests.scripted import SITE, ScriptedSource, facts, poll, reading

SCRAPE = {"X-Prometheus-Scrape-Timeout-Seconds": "10"}
MAC = "02:00:00:00:00:01"
HOSTILE = "<script>alert(1)</script>"


class Answer:
    """A whole answer."""

    def __init__(self, raw: http.client.HTTPResponse) -> None:
        self.status, self.headers, self.body = raw.status, raw.headers, raw.read()
        self.text = self.body.decode(errors="replace")


@contextmanager
def served(folder: Path, source: ScriptedSource, *, start: bool = True) -> Iterator[tuple[Exporter, int]]:
    """The exporter with its web server, and its port."""
    port = free_port()
    settings = Settings("127.0.0.1", port, folder / "state.db", 3600.0, 120.0, {})
    running = Exporter(settings, [(facts(interval=0.2), source)])
    server = uvicorn.Server(uvicorn.Config(make_app(running), log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listen(Listen("127.0.0.1", port))]})
    thread.start()
    try:
        eventually("the server listens", lambda: server.started, within=10)
        if start:
            running.start()
        yield running, port
    finally:
        server.should_exit = True
        thread.join()
        if start:
            running.stop()
        else:
            running.state.close()


def ask(port: int, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
    """One request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def script() -> ScriptedSource:
    """A source with one client of a hostile name, whose bytes move."""
    one = Client(SITE, MAC, MAC, name=HOSTILE, connected=True)
    return ScriptedSource([poll([reading(MAC, count, 100)], clients=[one]) for count in (1000, 5000)])


def test_metrics_and_its_headers(tmp_path: Path) -> None:
    with served(tmp_path, script()) as (_, port):
        eventually("a client is there", lambda: MAC in ask(port, "/metrics").text, within=10)
        plain = ask(port, "/metrics")
        assert plain.status == 200
        assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "Content-Encoding" not in plain.headers
        packed = ask(port, "/metrics", headers={"Accept-Encoding": "deflate, gzip;q=0.5"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert b"bandwidth_source_info" in gzip.decompress(packed.body)
        refused = ask(port, "/metrics", headers={"Accept-Encoding": "gzip;q=0"})
        assert "Content-Encoding" not in refused.headers
        head = ask(port, "/metrics", "HEAD")
        assert (head.status, head.body) == (200, b"")
        assert ask(port, "/metrics?source=home").text.count("# TYPE bandwidth_source_up gauge") == 1
        missing = ask(port, "/metrics?source=attic")
        assert (missing.status, missing.text) == (404, "there is no source 'attic' in the configuration\n")
        assert ask(port, "/nowhere").status == 404
        assert ask(port, "/metrics", "POST").status == 405


def test_health_and_readiness(tmp_path: Path) -> None:
    with served(tmp_path, script(), start=False) as (running, port):
        assert ask(port, "/-/healthy").status == 503
        waiting = ask(port, "/-/ready")
        assert (waiting.status, waiting.text) == (503, "waiting for the first poll of: home\n")
        assert "bandwidth_source_up" in ask(port, "/metrics").text
        running.committer.start()
        assert ask(port, "/-/healthy").text == "bandwidth-exporter is healthy.\n"
        running.pollers[0].start()
        eventually("it is ready", lambda: ask(port, "/-/ready").status == 200, within=10)
        running.pollers[0].stop()
        assert running.pollers[0].join(5)
        assert running.committer.stop(5)


def test_the_status_page_escapes_names(tmp_path: Path) -> None:
    with served(tmp_path, script()) as (_, port):
        page = ""

        def looked() -> bool:
            nonlocal page
            page = ask(port, "/").text
            return "alert(1)" in page

        eventually("a client's bytes moved", looked, within=10)
        assert HOSTILE not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_only_a_scrape_read_in_full_counts(tmp_path: Path) -> None:
    """A page that would fit into the system's buffers for sending, which take 4 MiB where nobody says otherwise."""
    with served(tmp_path, script(), start=False) as (running, port):
        size = 2_000_000
        running.exposition.publish({"home": {"bandwidth_source_up": b"#" * size}})
        ask(port, "/metrics")
        ask(port, "/metrics", "HEAD", SCRAPE)
        assert running.scrapes.last_at is None

        for part in (0.0, 0.1, 0.5, 0.8):
            break_off(port, int(part * size))
        assert running.scrapes.last_at is None

        assert len(ask(port, "/metrics", headers=SCRAPE).body) > size
        eventually("the scrape counts", lambda: running.scrapes.last_at is not None, within=10)


def break_off(port: int, after: int) -> None:
    """Scrape, read so many bytes, give the server the time to send more, and hang up."""
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)  # what is in here was answered, for all we can tell
        peer.connect(("127.0.0.1", port))
        peer.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n")
        while after > 0:
            after -= len(peer.recv(65536))
        PAUSE.wait(0.2)
    PAUSE.wait(0.2)


def test_a_slow_reader_and_idle_peers_hold_up_nobody(tmp_path: Path) -> None:
    with served(tmp_path, script(), start=False) as (running, port):
        running.exposition.publish({"home": {"bandwidth_source_up": b"#" * 8_000_000}})
        peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
        peers[0].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert ask(port, "/metrics", headers=SCRAPE).status == 200
        for peer in peers:
            peer.close()


CONFIG = """
web: {{listen: "127.0.0.1:{port}"}}
state: state.db
sources: [{{name: home, kind: unifi, url: "https://127.0.0.1:1", api_key: key, interval: 1s}}]
"""


def command(folder: Path, port: int) -> subprocess.Popen[str]:
    """The real command, on a controller that is not there."""
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(port=port))
    return subprocess.Popen(
        [sys.executable, "-m", "exporter", "run", "--config", str(config)], stderr=subprocess.PIPE, text=True
    )


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = command(tmp_path, port)
        _, words = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in words
    assert "web.listen" in words
    assert "Traceback" not in words


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_five_seconds(how: signal.Signals, tmp_path: Path) -> None:
    port = free_port()
    process = command(tmp_path, port)
    idle: list[socket.socket] = []

    def ready() -> bool:
        try:
            return ask(port, "/-/ready").status == 200
        except OSError:
            return False

    eventually("it is ready", ready, within=30)
    idle.append(socket.create_connection(("127.0.0.1", port)))
    begun = time.monotonic()
    process.send_signal(how)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 0, words
    assert time.monotonic() - begun < 5
    assert "Traceback" not in words
    for peer in idle:
        peer.close()


def test_the_last_poll_is_committed(tmp_path: Path) -> None:
    grown = [poll([reading(MAC, 1000 * n, 100)]) for n in range(1, 400)]
    source = ScriptedSource([replace(each, identity="c") for each in grown])
    with served(tmp_path, source) as (running, _):
        eventually("some polls are in", lambda: running.committer.runtimes["home"].memory.source.number > 2, within=10)
    assert source.closed
    left = len(source.polls)
    state = State.open(tmp_path / "state.db")
    memory = state.load("home")
    state.close()
    assert memory.source.number == len(grown) - left
