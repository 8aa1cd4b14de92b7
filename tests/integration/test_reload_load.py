"""A hundred reloads that change everything, while everything is polled and scraped."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.committer import EndedError
from exporter.fleet import Fleet, Planned
from exporter.model import Poll
from exporter.service import Exporter, Settings
from exporter.store import State, StateError
from tests.e2e.stack import PAUSE, eventually
from tests.scripted import client_key, facts, poll, reading

MAC = "02:00:00:00:00:01"
NAMES = [f"source-{number}" for number in range(6)]
STEP = 1000


class Meter:
    """A router whose counter moves by one step at each look, whoever looks. It remembers the highest value shown."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.shown = 0

    def read(self) -> int:
        with self._lock:
            self.shown += STEP
            return self.shown


class Source:
    """A connection to a meter."""

    def __init__(self, meter: Meter, *, closing: threading.Event | None = None) -> None:
        self._meter = meter
        self._closing = closing
        self.closed = False

    def poll(self) -> Poll:
        assert not self.closed
        return poll([reading(MAC, self._meter.read(), 0)])

    def close(self) -> None:
        self.closed = True
        if self._closing is not None:
            self._closing.wait(30)


def planned(meters: dict[str, Meter], names: list[str], turn: int) -> list[Planned]:
    """These sources, every one of them another than in any other turn."""
    return [plan(name, 0.01 + turn % 3 / 100, Source(meters[name]), turn) for name in names]


def plan(name: str, interval: float, source: Source, turn: int) -> Planned:
    return Planned(facts(name, interval), lambda _: source, turn)


@contextmanager
def scraped(exporter: Exporter) -> Iterator[list[str]]:
    """What two servers see go down, where nothing may, while the block runs."""
    wrong: list[str] = []
    over = threading.Event()

    def scrape() -> None:
        last: dict[str, int] = {}
        while not over.is_set():
            page = exporter.page(None)
            assert page is not None
            for line in page.text().decode().splitlines():
                if line.startswith(("bandwidth_client_download_bytes_total", "bandwidth_source_polls_total")):
                    series, _, value = line.rpartition(" ")
                    if int(value) < last.get(series, 0):
                        wrong.append(f"{series} fell from {last[series]} to {value}")
                    last[series] = int(value)
            page.gzip()
            exporter.scraped(page.generation, None)
            over.wait(0.002)

    servers = [threading.Thread(target=scrape) for _ in range(2)]
    for server in servers:
        server.start()
    try:
        yield wrong
    finally:
        over.set()
        for server in servers:
            server.join()


def fleet_of(exporter: Exporter) -> Fleet:
    return exporter._fleet


def test_a_hundred_reloads_that_change_everything(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    meters = {name: Meter() for name in NAMES}
    settings = Settings("127.0.0.1", 1, tmp_path / "state.db", 3600.0, 0.02, {})
    exporter = Exporter(settings, planned(meters, NAMES[:3], 0))
    exporter.start()
    with scraped(exporter) as wrong:
        eventually("it is ready", lambda: exporter.ready() == "", within=10)
        for turn in range(1, 101):
            names = [name for place, name in enumerate(NAMES) if (turn >> place % 3) & 1 or place == turn % 6]
            fleet_of(exporter).change(planned(meters, names, turn), lambda: None)
            assert sorted(poller.name for poller in exporter.pollers if poller.running) == names
            assert list(exporter.committer.runtimes) == names
        fleet_of(exporter).change(planned(meters, NAMES, 101), lambda: None)
        polled = dict.fromkeys(NAMES, 0)
        for name in NAMES:
            polled[name] = exporter.committer.runtimes[name].health.polls
        eventually(
            "all are polled",
            lambda: all(exporter.committer.runtimes[name].health.polls > polled[name] for name in NAMES),
            within=10,
        )
    exporter.stop()
    assert wrong == []
    assert set(threading.enumerate()) - before == set()
    state = State.open(tmp_path / "state.db")
    try:
        for name, meter in meters.items():
            memory = state.load(name)
            assert memory.totals[client_key(MAC)].download == meter.shown - STEP, name
            assert memory.source.number == meter.shown // STEP
            assert memory.source.gaps == exporter.committer.runtimes[name].memory.source.gaps
    finally:
        state.close()


def test_a_source_whose_closing_hangs_holds_up_no_reload(tmp_path: Path) -> None:
    forever = threading.Event()
    meter = Meter()

    def hanging(turn: int) -> list[Planned]:
        return [Planned(facts("home", 0.01), lambda _: Source(meter, closing=forever), turn)]

    exporter = Exporter(Settings("127.0.0.1", 1, tmp_path / "state.db", 3600.0, 0.0, {}), hanging(0))
    exporter.start()
    try:
        for turn in range(1, 20):
            fleet_of(exporter).change(hanging(turn), lambda: None)
        memory = exporter.committer.runtimes["home"].memory
        eventually("it is polled", lambda: memory.source.number >= 20, within=10)
    finally:
        forever.set()
        exporter.stop()


def test_a_reload_while_the_exporter_ends_starts_nothing(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    for turn in range(8):
        meters = {name: Meter() for name in NAMES}
        settings = Settings("127.0.0.1", 1, tmp_path / f"{turn}.db", 3600.0, 0.0, {})
        exporter = Exporter(settings, planned(meters, NAMES[:3], 0))
        exporter.start()
        ended: list[str] = []
        changing = threading.Thread(target=change_for_ever, args=(exporter, meters, ended))
        changing.start()
        PAUSE.wait(turn / 80)
        exporter.stop()
        changing.join(20)
        assert not changing.is_alive()
        assert ended in (["EndedError"], ["StateError"])
    assert set(threading.enumerate()) - before == set()


def change_for_ever(exporter: Exporter, meters: dict[str, Meter], ended: list[str]) -> None:
    """Reload until that fails, and write down how it did."""
    try:
        for turn in itertools.count(1):
            fleet_of(exporter).change(planned(meters, NAMES[turn % 4 :], turn), lambda: None)
    except (EndedError, StateError) as error:
        ended.append(type(error).__name__)
