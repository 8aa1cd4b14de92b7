"""A cluster store behind Prometheus: what a real VictoriaMetrics gets by remote write, and what it makes of the queries
of the shipped recording rules. docs/kubernetes.md has the differences that are measured here.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from tests.e2e.stack import Process, Prometheus, eventually, fetch, free_port

ROOT = Path(__file__).parents[2]
EVERY = 30
"""Seconds between two scrapes."""

HOURS = 26
BURST = 90_000_000
"""Bytes of the most that moves between two scrapes, in one direction."""

LABELS = 'job="bandwidth",instance="exporter:10477",source="home",site="default"'


class VictoriaMetrics(Process):
    """A single node on loopback."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        super().__init__(
            [
                "victoria-metrics",
                f"-httpListenAddr={self.url.removeprefix('http://')}",
                f"-storageDataPath={folder / 'data'}",
                "-retentionPeriod=12",
                "-search.latencyOffset=0s",  # else what is younger than 30 s is not shown
                "-loggerLevel=WARN",
            ],
            folder / "log",
            f"{self.url}/health",
        )


class Series(NamedTuple):
    """A counter as Prometheus scraped it: its labels, and values by Unix second."""

    name: str
    labels: str
    values: dict[int, int]

    def moved(self, after: int, until: int) -> int:
        """What a counter that never falls grew by in (after, until]: what is asked for, without the edges' doubt."""
        seen = [value for at, value in self.values.items() if at <= until]
        before = [value for at, value in self.values.items() if at <= after]
        return (seen[-1] if seen else 0) - (before[-1] if before else 0)


def evaluated(url: str, expression: str, at: float) -> dict[str, float]:
    """Values of an instant query, by what tells the series apart."""
    body = fetch(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression, 'time': at})}")
    assert body is not None, expression
    return {
        series["metric"].get("client") or series["metric"].get("wan") or series["metric"]["source"]: float(
            series["value"][1]
        )
        for series in json.loads(body)["data"]["result"]
    }


def a_day(start: int) -> list[Series]:
    """Scrapes of clients that are steady, bursty, idle, born on the way, and of a line; nobody scraped for an hour."""
    dice = random.Random(7)
    times = [start + EVERY * n for n in range(HOURS * 3600 // EVERY)]
    silent = range(start + 9 * 3600, start + 10 * 3600)
    kinds: dict[str, Callable[[int], int]] = {
        "steady": lambda _: 1_000_000,
        "bursty": lambda n: dice.randrange(BURST) if n % 2 == 0 and dice.random() < 0.4 else 0,
        "idle": lambda _: 0,
        "born": lambda n: 750_000 if n > 2000 else 0,
    }
    found = []
    for name, direction in ((name, direction) for name in kinds for direction in ("download", "upload")):
        total, values = 0 if name == "born" else 10**12, {}
        for n, at in enumerate(times):
            total += kinds[name](n)
            if at not in silent and (name != "born" or n >= 2000):
                values[at] = total
        found.append(Series(f"bandwidth_client_{direction}_bytes_total", f'{LABELS},client="{name}"', values))
    for direction in ("download", "upload"):
        total, values = 0, {}
        for n, at in enumerate(times):
            total += dice.randrange(20_000_000) if n % 2 else 0
            if at not in silent:
                values[at] = total
        found.append(Series(f"bandwidth_wan_{direction}_bytes_total", f'{LABELS},wan="wan1"', values))
        contract = dict.fromkeys(values, 31_250_000)
        name = f"bandwidth_wan_contract_{direction}_bytes_per_second"
        found.append(Series(name, f'{LABELS},wan="wan1"', contract))
    resets = {at: n // 700 for n, at in enumerate(times) if at not in silent}
    found.append(Series("bandwidth_counter_events_total", f'{LABELS},kind="client",reason="reset"', resets))
    return found


def recording_queries() -> dict[str, str]:
    """The shipped expressions by what they record, each in terms of the exporter's own metrics."""
    groups = yaml.safe_load((ROOT / "prometheus/rules/recording.yml").read_text())["groups"]
    queries: dict[str, str] = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        expression = rule["expr"]
        for name, inner in queries.items():
            expression = expression.replace(name, f"({inner})")
        if "offset" not in expression:  # that one reads what was recorded weeks ago
            queries[rule["record"]] = expression
    return queries


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Series], int, Prometheus, VictoriaMetrics]]:
    """The same day in both stores, and when it began."""
    folder = tmp_path_factory.mktemp("stores")
    start = int(time.time()) // 7200 * 7200 - (HOURS + 2) * 3600
    day = a_day(start)
    lines = [(at, f"{each.name}{{{each.labels}}} {value}") for each in day for at, value in each.values.items()]
    (folder / "day.om").write_text("".join(f"{line} {at}\n" for at, line in lines) + "# EOF\n")
    prometheus, store = Prometheus(folder / "prometheus", "127.0.0.1:9", "1d"), VictoriaMetrics(folder / "vm")
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "day.om", folder / "prometheus/tsdb"]
    subprocess.run([*map(str, blocks)], check=True, stdout=subprocess.DEVNULL)
    prometheus.start()
    store.start()
    try:
        body = "".join(f"{line} {at * 1000}\n" for at, line in lines).encode()
        with urllib.request.urlopen(f"{store.url}/api/v1/import/prometheus", data=body, timeout=30) as answer:
            assert answer.status == 204
        assert fetch(f"{store.url}/internal/force_flush") is not None
        yield day, start, prometheus, store
    finally:
        prometheus.end()
        store.end()


CALM = (24.5, 25.99)
"""Hours into the scrapes at which nothing is silent but in the window of a day."""

AFTER_SILENCE = 10.05


def answers(queries: dict[str, str], url: str, at: float, part: str) -> dict[tuple[str, str], float]:
    """What the recording rules give in a store, of those with `part` in their name."""
    return {
        (record, key): value
        for record, query in queries.items()
        if part in record
        for key, value in evaluated(url, query, at).items()
    }


def truth(day: list[Series], hours: int, at: int) -> dict[str, int]:
    """What each client moved in the hours before, both directions."""
    return {
        client: sum(each.moved(at - hours * 3600, at) for each in day if f'client="{client}"' in each.labels)
        for client in ("steady", "bursty", "idle", "born")
    }


@pytest.mark.parametrize(("hours", "record", "apart"), [(1, "increase1h", 0.01), (24, "increase1d", 0.001)])
def test_volumes_are_exact_there_and_extrapolated_in_prometheus(
    lived: tuple[list[Series], int, Prometheus, VictoriaMetrics], hours: int, record: str, apart: float
) -> None:
    day, start, prometheus, store = lived
    for hour in CALM:
        at = start + int(hour * 3600) + 7
        name, query = next(each for each in recording_queries().items() if each[0].endswith(f"client_bytes:{record}"))
        there, here = evaluated(store.url, query, at), evaluated(prometheus.url, query, at)
        assert there == truth(day, hours, at), name
        assert here == pytest.approx(there, rel=apart, abs=2 * BURST), name


def test_rates_are_the_same_on_average(lived: tuple[list[Series], int, Prometheus, VictoriaMetrics]) -> None:
    """Moment by moment they differ by what moved in one scrape: Prometheus looks within the window, and stretches."""
    _, start, prometheus, store = lived
    rates = {
        record: f"avg_over_time(({query})[1h:{EVERY}s])"
        for record, query in recording_queries().items()
        if "rate5m" in record
    }
    assert len(rates) == 6
    for hour in CALM:
        at = start + int(hour * 3600) + 7
        there, here = answers(rates, store.url, at, "rate5m"), answers(rates, prometheus.url, at, "rate5m")
        assert here == pytest.approx(there, rel=0.02)


def test_what_a_silence_hid_is_counted_there_in_the_hour_in_which_it_landed(
    lived: tuple[list[Series], int, Prometheus, VictoriaMetrics],
) -> None:
    """Prometheus sees nothing before its window. Neither shows a rate that nobody had."""
    day, start, prometheus, store = lived
    at = start + int(AFTER_SILENCE * 3600) + 7
    query = recording_queries()["client:bandwidth_client_bytes:increase1h"]
    whole = truth(day, 1, at)
    assert evaluated(store.url, query, at) == {name: whole[name] for name in ("steady", "bursty", "idle")}
    assert evaluated(prometheus.url, query, at)["steady"] < whole["steady"] / 10
    query = recording_queries()["client:bandwidth_client_download_bytes:rate5m"]
    for url in (store.url, prometheus.url):
        assert evaluated(url, query, at)["steady"] <= 1_000_000 / EVERY * 1.001


def test_events_are_told_by_both(lived: tuple[list[Series], int, Prometheus, VictoriaMetrics]) -> None:
    _, start, prometheus, store = lived
    at = start + 12 * 3600 + 7
    query = recording_queries()["source:bandwidth_counter_resets:increase1h"]
    assert evaluated(store.url, query, at) == {"home": 1.0}
    assert evaluated(prometheus.url, query, at) == {"home": pytest.approx(1.0, rel=0.01)}


def page_of(url: str, at: float) -> dict[str, float]:
    """Every series of the exporter's that a store shows at a moment."""
    query = '{job="bandwidth",__name__=~"bandwidth_.+"}'
    body = fetch(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query, 'time': at, 'nocache': 1})}")
    assert body is not None
    return {
        json.dumps(series["metric"], sort_keys=True): float(series["value"][1])
        for series in json.loads(body)["data"]["result"]
    }


def test_remote_write_brings_every_series_and_its_end(tmp_path: Path) -> None:
    """The demo's page by way of Prometheus: the same series and values, hostile names too; and when they leave."""
    port = free_port()
    command = [sys.executable, "-m", "exporter", "demo", "--listen", f"127.0.0.1:{port}", "--state", tmp_path / "d.db"]
    demo = Process([*map(str, command)], tmp_path / "demo.log", f"http://127.0.0.1:{port}/-/ready")
    prometheus, store = Prometheus(tmp_path / "p", f"127.0.0.1:{port}", "1s"), VictoriaMetrics(tmp_path / "vm")
    with (tmp_path / "p/prometheus.yml").open("a") as config:
        config.write(f"remote_write: [{{url: '{store.url}/api/v1/write', queue_config: {{batch_send_deadline: 1s}}}}]")
    try:
        demo.start()
        store.start()
        prometheus.start()
        eventually("it arrives", lambda: len(page_of(store.url, time.time() - 1)) > 100, within=60)
        at = int(time.time()) - 1
        here = page_of(prometheus.url, at)
        eventually("all of it is there", lambda: page_of(store.url, at).keys() == here.keys(), within=30)
        there = page_of(store.url, at)
        counts = {series for series in here if "_bytes_total" in series}
        assert {series: there[series] for series in counts} == {series: here[series] for series in counts}
        assert there == pytest.approx(here, rel=1e-13)  # it keeps fifteen digits
        demo.end()
        eventually("the end is there", lambda: not page_of(store.url, time.time()), within=30)
        assert not page_of(prometheus.url, time.time())
    finally:
        for process in (demo, prometheus, store):
            process.end()
