"""Real servers for the tests: each on a free port of loopback, in a folder of its own, ended by its process id."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

PAUSE = threading.Event()
"""Never set: `PAUSE.wait(s)` paces a loop that looks for something."""


def free_port() -> int:
    """A port of loopback that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def eventually(what: str, check: Callable[[], object], *, within: float) -> None:
    """Look every 0.1 s until `check` is true; fail after `within` seconds, saying what was waited for."""
    deadline = time.monotonic() + within
    while not check():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        PAUSE.wait(0.1)


def fetch(url: str, headers: dict[str, str] | None = None) -> str | None:
    """The body of an answer with status 200, else None."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=5) as answer:
            body: bytes = answer.read()
            return body.decode()
    except OSError:
        return None


class Process:
    """A program that runs until the test ends it."""

    def __init__(
        self, command: list[str], log: Path, ready_url: str, *, within: float = 30.0, cwd: Path | None = None
    ) -> None:
        self._command, self._log, self._ready_url, self._within = command, log, ready_url, within
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "TZ": "UTC"},
                cwd=self._cwd,
            )
        eventually(f"{self._command[0]} is ready", self._is_ready, within=self._within)

    def cpu(self) -> float:
        """CPU seconds that it took so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self._command[0]} ended:\n{self._log.read_text()[-4000:]}"
        return fetch(self._ready_url) is not None

    def end(self, *, kill: bool = False) -> int:
        """End it by SIGTERM, or SIGKILL; its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if kill:
            process.kill()
        else:
            process.terminate()
        return process.wait(10)


class Sample(NamedTuple):
    """A value that a server stored, with its Unix time in seconds."""

    at: float
    value: float


class Prometheus(Process):
    """A real server that scrapes one target. options: of its command line, beside our own."""

    def __init__(self, folder: Path, target: str, scrape_interval: str, *options: str) -> None:
        folder.mkdir(exist_ok=True)
        config = folder / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {scrape_interval}, scrape_timeout: {scrape_interval}}}\n"
            f"scrape_configs: [{{job_name: bandwidth, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        self.url = f"http://127.0.0.1:{free_port()}"
        super().__init__(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--log.level=warn",
                *options,
            ],
            folder / "log",
            f"{self.url}/-/ready",
        )

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The result of an instant query. Fails on any error of the server's."""
        parameters = {"query": expression} | ({} if at is None else {"time": repr(at)})
        body = fetch(f"{self.url}/api/v1/query?{urllib.parse.urlencode(parameters)}")
        assert body is not None, f"query failed: {expression}"
        result: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return result

    def samples(self, selector: str, span: str = "1h") -> dict[str, list[Sample]]:
        """All stored samples of the series, by their label `client` ("" where they have none)."""
        return {
            series["metric"].get("client", ""): [Sample(at, float(value)) for at, value in series["values"]]
            for series in self.query(f"{selector}[{span}]")
        }


class Exporter(Process):
    """The installed command, with a configuration file."""

    def __init__(self, folder: Path, config: str, port: int) -> None:
        folder.mkdir(exist_ok=True)
        path = folder / "config.yaml"
        path.write_text(config)
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "exporter", "run", "--config", str(path)]
        super().__init__(command, folder / "exporter.log", f"{self.url}/-/ready")

    def metrics(self) -> str:
        """The page as a person with curl sees it."""
        return fetch(f"{self.url}/metrics") or ""


@contextmanager
def cutting_proxy(upstream_port: int, every: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """A proxy that sends only half of every `every`-th answer. Its address, and how often it cut."""
    counts = {"served": 0, "cut": 0}
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                status, headers, body = self._ask()
            except OSError:
                self.send_error(502)
                return
            with lock:
                counts["served"] += 1
                cut = counts["served"] % every == 0
                counts["cut"] += cut
            self.send_response(status)
            for name in ("Content-Type", "Content-Encoding"):
                if headers.get(name):
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if cut else body)

        def _ask(self) -> tuple[int, http.client.HTTPMessage, bytes]:
            upstream = http.client.HTTPConnection("127.0.0.1", upstream_port, timeout=5)
            try:
                upstream.request("GET", self.path, headers={k: v for k, v in self.headers.items() if k != "Connection"})
                answer = upstream.getresponse()
                return answer.status, answer.headers, answer.read()
            finally:
                upstream.close()

        def log_message(self, *_: object) -> None:
            """Say nothing: the test counts."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", lambda: counts["cut"]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
