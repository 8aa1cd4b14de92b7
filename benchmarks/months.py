"""Polls of many clients upon an archive of three months, after seven days of silence, while PostgreSQL catches up.

The exporter was away for seven days, and PostgreSQL for seven days before that, so a week's rows wait for it. The
committer, the state and the feeder are the real ones, and the feeder has no more rights than it needs. Clocks are
simulated: polls are as far apart as they may be without a silence, so that an evening passes quickly. The next poll
begins when the one before is published; the feeder goes on between them and during them.
"""

from __future__ import annotations

import gc
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks import bulk, copied
from benchmarks.bulk import PLACE, SOURCE, ZONE, Past
from benchmarks.controller import INTERVAL, Controller
from exporter.accounts import Accounts, Terms
from exporter.clock import Clock
from exporter.committer import Committer, Success
from exporter.exposition import Exposition
from exporter.model import Poll
from exporter.privacy import OPEN
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.sources.unifi import payload
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.store import Retention, State
from exporter.store.archive import Archive
from exporter.store.postgres.feeder import Feeder
from tests.archive.server import FEEDER, Database

WEEK: Final = 7 * 86_400
STEP: Final = 3 * INTERVAL
"""Seconds between two polls: as long as no poll says that there was a silence."""

BACK: Final = int(datetime(2027, 1, 15, 22, 33, tzinfo=ZONE).timestamp())
"""When the exporter is back. By the end of its hour and by midnight it has some hours to make, and a day to begin."""

BLOCK: Final = 8
"""Polls with the feeder, and then as many without."""


class Cost(NamedTuple):
    """A poll: seconds from when it was handed in until it was published, of which of this thread's CPU, and of upkeep.

    at: seconds since the exporter is back. fed: whether the feeder was at work. yardstick: see House.
    """

    at: float
    wall: float
    cpu: float
    upkeep: float
    fed: bool
    yardstick: tuple[float, float]


class House:
    """The exporter without its pollers and its page. The feeder runs in a thread as it always does, when it is let."""

    def __init__(self, path: Path, database: Database, controller: Controller, at: float) -> None:
        self._controller, self._readings = controller, Readings()
        self._wall, self._steady = at, 1_000.0
        self._last = b""
        self.state = State.open(path)
        self.state.mark(on=True)
        self.state.keep(ZONE, Retention())
        clock = Clock(wall=lambda: self._wall, steady=lambda: self._steady)
        self.committer = Committer(
            self.state,
            [SourceFacts(SOURCE, "unifi", "attached", INTERVAL, 12.5e9)],
            exposition=Exposition(),
            scrapes=Scrapes(120.0, self._steady),
            client_ttl=3600.0,
            people={},
            clock=clock,
        )
        self.committer.keep(Accounts(self.state, Terms(ZONE)))
        self.feeder = Feeder(self.state, copied.of(database, FEEDER), lambda: OPEN, Clock(clock.wall, time.monotonic))
        self.feeding, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._feed)
        self._thread.start()

    def _feed(self) -> None:
        while not self._ended.is_set():
            if self.feeding.wait(0.1):
                self._ended.wait(min(1.0, self.feeder.turn()))

    def poll(self, after: float) -> tuple[float, float]:
        """Seconds of the poll, and of this thread's CPU in it."""
        poll = self._read(after)
        cpu, begun = time.thread_time(), time.monotonic()
        self.committer.work({SOURCE: Success(poll, self._wall, self._steady, 1.0)})
        spent = time.monotonic() - begun, time.thread_time() - cpu
        if self.committer.commit_error:
            raise RuntimeError(self.committer.commit_error)
        return spent

    def _read(self, after: float) -> Poll:
        self._wall, self._steady = self._wall + after, self._steady + after
        self._controller.at = self._wall - INTERVAL
        document = self._controller.document()
        decoded = payload.stations(document)
        self._last = document
        here = SiteClients(PLACE, decoded.stations, self._controller.at, self._wall)
        return self._readings.poll([here], identity="controller", bad=decoded.bad.items())

    def yardstick(self) -> tuple[float, float]:
        """Seconds that the standard library takes to parse the last document, and of this thread's CPU in it."""
        cpu, begun = time.thread_time(), time.monotonic()
        json.loads(self._last)
        return time.monotonic() - begun, time.thread_time() - cpu

    def close(self) -> None:
        """End the feeder and let go of the file."""
        self._ended.set()
        self._thread.join()
        self.feeder.close()
        self.state.close()


def main(clients: int, moving: float, minutes: int) -> None:
    """Build an archive in a temporary folder, live some simulated minutes upon it, and print what polls took.

    Other programs make what has elapsed longer. The yardstick, taken in between, tells by how much.
    """
    with tempfile.TemporaryDirectory() as folder, copied.server() as database:
        path = Path(folder) / "bandwidth.db"
        end = BACK // 300 * 300 - WEEK
        bulk.build(path, Past(clients, end, days=14, long=92, hours=moving, moments=2 / 3))
        copied.copy(path, database, until=end - WEEK)
        print(f"{clients:,} clients, {moving:.0%} of them moving; {path.stat().st_size / 2**20:.0f} MiB")
        costs = _live(path, database, clients, moving, minutes)
    _print(costs)


def _live(path: Path, database: Database, clients: int, moving: float, minutes: int) -> list[Cost]:
    controller = Controller(clients, 1.0)
    os.sync()  # what was built is on the disk, and no poll waits for that
    house = House(path, database, controller, BACK // 300 * 300 - WEEK)
    for _ in range(2):
        house.poll(INTERVAL)
    house.close()
    house = House(path, database, controller, BACK)
    # As exporter.service does.
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    try:
        with _watched(Archive, "tend") as upkeep:
            house.feeding.set()
            costs = [_measured(house, 0.0, upkeep, at=0.0)]
            controller.moving = moving
            for number in range(1, int(minutes * 60 / STEP)):
                (house.feeding.set if number // BLOCK % 2 else house.feeding.clear)()
                costs.append(_measured(house, STEP, upkeep, at=number * STEP))
        print(f"PostgreSQL: {house.feeder.condition}; {house.feeder.trouble or 'no trouble'}")
    finally:
        house.close()
    return costs


def _measured(house: House, after: float, upkeep: list[float], at: float) -> Cost:
    upkeep.clear()
    wall, cpu = house.poll(after)
    return Cost(at, wall, cpu, sum(upkeep), house.feeding.is_set(), house.yardstick())


@contextmanager
def _watched(owner: Any, method: str) -> Iterator[list[float]]:
    """The seconds of each call of a method are added to the list."""
    original: Callable[..., Any] = getattr(owner, method)
    spent: list[float] = []

    @wraps(original)
    def timed(*args: Any, **kwargs: Any) -> Any:
        begun = time.monotonic()
        try:
            return original(*args, **kwargs)
        finally:
            spent.append(time.monotonic() - begun)

    setattr(owner, method, timed)
    try:
        yield spent
    finally:
        setattr(owner, method, original)


def _print(costs: Sequence[Cost]) -> None:
    midnight = 86_400 - (BACK - int(datetime.fromtimestamp(BACK, ZONE).replace(hour=0, minute=0).timestamp()))
    groups = {
        "the first poll after the silence": costs[:1],
        "the first poll after midnight": [each for each in costs if each.at > midnight][:1],
        "polls while the feeder works": [each for each in costs[1:] if each.fed],
        "polls while it does not": [each for each in costs[1:] if not each.fed],
        "polls that made hours": sorted(costs[1:], key=lambda each: each.upkeep)[-8:],
    }
    elapsed, cpu = (statistics.median(each.yardstick[kind] for each in costs) for kind in (0, 1))
    print(f"yardstick, json.loads of a document, median: {elapsed * 1000:.0f} ms, {cpu * 1000:.0f} ms of CPU")
    print("ms: longest poll, most CPU, median poll, median CPU, longest upkeep; most CPU in yardsticks; polls")
    for name, some in groups.items():
        if some:
            most = max(each.cpu for each in some)
            numbers = (
                max(each.wall for each in some),
                most,
                statistics.median(each.wall for each in some),
                statistics.median(each.cpu for each in some),
                max(each.upkeep for each in some),
            )
            print(f"  {name:34}" + "".join(f"{each * 1000:8.0f}" for each in numbers), end="")
            print(f"{most / cpu:8.2f}{len(some):6}")
