"""What two real Prometheus servers make of the page, through cut scrapes, restarts and absences.

One server scrapes every 2 s, the other every 8 s, so the hold is 18 s: intervals and holds as in life, scaled down
together. On both servers, and for every client, last minus first sample is the truth, and so is increase().
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from exporter.demo.controller import DemoController
from exporter.demo.network import Bytes, Network
from tests.e2e.stack import PAUSE, Exporter, Prometheus, cutting_proxy, eventually, fetch, free_port

HOLD, TTL = 18, 20
STEADY = [f"02:00:00:00:01:{number:02x}" for number in range(1, 6)]
AWAY, BORN, LATE = "02:00:00:00:02:01", "02:00:00:00:02:02", "02:00:00:00:02:03"
DOWNLOAD, UPLOAD = "bandwidth_client_download_bytes_total", "bandwidth_client_upload_bytes_total"

CONFIG = """
web: {{listen: "127.0.0.1:{port}"}}
state: state.db
client_ttl: {ttl}s
new_series_hold: {hold}s
sources:
  - name: home
    kind: unifi
    url: {controller.url}
    username: {controller.username}
    password_file: ../password
    ca_file: {controller.ca_file}
    interval: 1s
    timeout: 5s
"""


class WatchedNetwork(Network):
    """Knows when it was last asked, on the controller's clock."""

    asked = 0.0
    gate = threading.RLock()

    def records(self) -> list[dict[str, object]]:
        with self.gate:
            self.asked = self.meter_now
            return super().records()

    def bear(self, mac: str, down: int, up: int) -> bool:
        """Let a client be born that moved bytes already when it is first shown, in a second after the last look."""
        with self.gate:
            self.advance(time.time())
            if int(self.asked) >= int(self.meter_now):
                return False
            self.add_client(mac, "Newborn")
            self.move(mac, down, up)
            return True


class Curl(threading.Thread):
    """A person who looks at the page every second; moves nothing, and sees no value fall."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.ending, self.fell = url, threading.Event(), list[str]()
        self.looks = 0

    def run(self) -> None:
        seen: dict[str, int] = {}
        while not self.ending.wait(1.0):
            for line in (fetch(f"{self.url}/metrics") or "").splitlines():
                if line.startswith((DOWNLOAD, UPLOAD)):
                    series, _, value = line.rpartition(" ")
                    if int(value) < seen.get(series, 0):
                        self.fell.append(line)
                    seen[series] = int(value)
            self.looks += bool(seen)


def traffic(network: Network, macs: list[str], seconds: float) -> None:
    """Let clients move bytes for so long, each at a pace of its own."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        network.advance(time.time())
        for place, mac in enumerate(macs, 1):
            network.move(mac, 10_007 * place, 1_009 * place)
        PAUSE.wait(0.2)


@dataclass
class Stack:
    """All that runs in the test."""

    network: WatchedNetwork
    exporter: Exporter
    servers: list[Prometheus]
    cuts: list[Callable[[], int]]
    curl: Curl


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A controller with six old clients, the exporter, and two servers behind proxies, each of which has scraped."""
    network = WatchedNetwork(start=time.time())
    for mac in [*STEADY, AWAY]:
        network.add_client(mac, f"Client {mac[-2:]}", raw=Bytes(5_000_000_000, 700_000_000), age=86_400)
    with ExitStack() as running:
        controller = running.enter_context(DemoController(network, password='p"\\ä'))
        (tmp_path / "password").write_text(controller.password)
        port = free_port()
        config = CONFIG.format(port=port, ttl=TTL, hold=HOLD, controller=controller)
        exporter = Exporter(tmp_path / "exporter", config, port)
        servers, cuts = [], []
        for interval in ("2s", "8s"):
            target, cut = running.enter_context(cutting_proxy(port, every=3))
            server = Prometheus(tmp_path / interval, target, interval)
            running.callback(server.end)
            server.start()
            servers.append(server)
            cuts.append(cut)
        running.callback(exporter.end)
        exporter.start()
        curl = Curl(exporter.url)
        running.callback(curl.ending.set)
        curl.start()
        for server in servers:
            eventually("every client is scraped", partial(_has_scraped, server, 6), within=60)
        yield Stack(network, exporter, servers, cuts, curl)


def test_two_servers_count_to_the_byte(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    play(stack)
    truth = {line.mac: line.moved for line in stack.network.truth()}
    downloads = {mac: moved.down for mac, moved in truth.items()}
    eventually("the page shows the truth", lambda: _downloads(stack.exporter.metrics()) == downloads, within=90)
    for server in stack.servers:
        eventually("the last scrape is the truth", partial(_ends_with, server, downloads), within=60)
    stack.curl.ending.set()
    stack.curl.join()

    rows = [f"{'client':19}{'':10}{'truth':>12}{'2 s':>12}{'8 s':>12}"]
    for metric, way in ((DOWNLOAD, 0), (UPLOAD, 1)):
        spans = [_spans(server, metric) for server in stack.servers]
        for mac, moved in sorted(truth.items()):
            rows.append(f"{mac:19}{metric[17:25]:10}{moved[way]:12}{spans[0][mac]:12.0f}{spans[1][mac]:12.0f}")
            assert [span[mac] for span in spans] == [moved[way]] * 2, mac
    with capsys.disabled():
        print("\n" + "\n".join(rows), f"\ncut scrapes: {[cut() for cut in stack.cuts]}, looks: {stack.curl.looks}")
    assert not stack.curl.fell
    assert all(cut() >= 2 for cut in stack.cuts)
    assert sum(downloads.values()) == _site_span(stack.servers[0]) == _site_span(stack.servers[1])


def play(stack: Stack) -> None:
    """A birth, an absence, a first sight of an old client, and two restarts, with bytes moving all the while."""
    network, exporter = stack.network, stack.exporter
    traffic(network, [*STEADY, AWAY], 6)
    eventually("a client is born", lambda: network.bear(BORN, 123_457, 2_345), within=10)
    traffic(network, [*STEADY, BORN], 4)  # AWAY is quiet, so that all of its bytes are read
    network.disconnect(AWAY)
    assert exporter.end() == 0
    traffic(network, [*STEADY, BORN], 3)
    exporter.start()
    network.add_client(LATE, "Known for long", raw=Bytes(9_000, 900), age=7200)
    eventually("LATE is seen", lambda: f'client="{LATE}"' in exporter.metrics(), within=10)
    traffic(network, [*STEADY, BORN, LATE], TTL + HOLD)
    eventually("AWAY has left", lambda: f'client="{AWAY}"' not in exporter.metrics(), within=60)
    network.connect(AWAY)
    traffic(network, [*STEADY, AWAY, LATE], 3)
    exporter.end(kill=True)
    traffic(network, [*STEADY, AWAY], 3)
    exporter.start()
    traffic(network, [*STEADY, AWAY, LATE], 5)


def _has_scraped(server: Prometheus, clients: int) -> bool:
    return len(server.samples(DOWNLOAD)) == clients


def _ends_with(server: Prometheus, downloads: dict[str, int]) -> bool:
    return {client: samples[-1].value for client, samples in server.samples(DOWNLOAD).items()} == downloads


def _downloads(page: str) -> dict[str, int]:
    lines = [line for line in page.splitlines() if line.startswith(DOWNLOAD + "{")]
    return {line.split('client="')[1][:17]: int(line.rpartition(" ")[2]) for line in lines}


def _spans(server: Prometheus, metric: str) -> dict[str, float]:
    """Last minus first sample of each client, which increase() over just these samples has to agree with."""
    spans = {}
    for client, samples in server.samples(metric).items():
        values = [sample.value for sample in samples]
        assert values == sorted(values), f"{client} fell: {values}"
        span_ms = round((samples[-1].at - samples[0].at) * 1000)
        [increase] = server.query(f'increase({metric}{{client="{client}"}}[{span_ms}ms])', at=samples[-1].at)
        spans[client] = values[-1] - values[0]
        assert float(increase["value"][1]) == pytest.approx(spans[client], rel=1e-9), client
    return spans


def _site_span(server: Prometheus) -> float:
    [samples] = server.samples("bandwidth_source_download_bytes_total").values()
    return samples[-1].value - samples[0].value
