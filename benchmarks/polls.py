"""One UniFi poll after the other, from the bytes on the wire to the page that is published."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.controller import INTERVAL, documents
from benchmarks.stopwatch import Stopwatch, cpu
from exporter import ledger
from exporter.clock import Clock
from exporter.committer import Committer, Success
from exporter.exposition import Exposition, Page
from exporter.model import Memory, Poll
from exporter.runtime import Runtime, SourceFacts
from exporter.series import Scrapes, Stage
from exporter.sources.unifi import payload
from exporter.sources.unifi.readings import Readings, SiteClients
from exporter.store import State
from exporter.store.archive import Archive

STAGES: Final = ("decode", "readings", "ledger", "series", "commit", "archive", "upkeep", "memory", "render", "rest")
"""In the order of a poll; the rest is the committer's own."""

WARM_UP: Final = 7
"""Polls until no series is held back any longer."""

YARDSTICK_LIMIT: Final = 20_000
SITE: Final = "default"


class Cost(NamedTuple):
    """CPU seconds of the cheapest poll, by stage; the size of the document in bytes; the page that came out.

    yardstick: CPU seconds that the standard library's json takes to parse the same document, for other machines. None
    where that would need more memory than all the rest.
    """

    stages: dict[str, float]
    document: int
    page: Page
    yardstick: float | None

    @property
    def whole(self) -> float:
        """CPU seconds of one poll."""
        return sum(self.stages.values())


class Pipeline:
    """The exporter without its threads and its wire, on a state file of its own; a Prometheus reads every page."""

    def __init__(self, folder: Path) -> None:
        self._steady = 1000.0
        self._wall = 1_800_000_000.0
        self._readings = Readings()
        self.scrapes = Scrapes(120.0, self._steady)
        self.state = State.open(folder / "bandwidth.db")
        self.exposition = Exposition()
        self.committer = Committer(
            self.state,
            [SourceFacts("home", "unifi", "attached", INTERVAL, 12.5e9)],
            exposition=self.exposition,
            scrapes=self.scrapes,
            client_ttl=3600.0,
            people={},
            clock=Clock(wall=lambda: self._wall, steady=lambda: self._steady),
        )

    def poll(self, wire: Callable[[], tuple[bytes, float]]) -> int:
        """Read a document and publish what is in it; the document's size."""
        self._steady += INTERVAL
        self._wall += INTERVAL
        size, poll = self._read(*wire())
        self.committer.work({"home": Success(poll, self._wall, self._steady, 1.0)})
        return size

    def _read(self, document: bytes, meter_at: float) -> tuple[int, Poll]:
        decoded = payload.stations(document)
        here = SiteClients(SITE, decoded.stations, meter_at, self._wall)
        return len(document), self._readings.poll([here], identity="controller", bad=decoded.bad.items())

    def scrape(self) -> Page:
        """A Prometheus reads the page."""
        page = self.exposition.page()
        if page is None:
            raise RuntimeError("nothing was published")
        page.gzip()
        self.scrapes.answered(page.generation, None, self._steady)
        return page


def measure(clients: int, moving: float, rounds: int) -> Cost:
    """What a poll of so many clients costs, once they are known and on the page."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
        next_document = stack.enter_context(documents(clients, moving, folder))
        exporter = Pipeline(folder)
        stack.enter_context(closing(exporter.state))
        for _ in range(WARM_UP):
            exporter.poll(next_document)
            exporter.scrape()
        watch = stack.enter_context(Stopwatch())
        watch.watch(payload, "stations", "decode")
        watch.watch(Readings, "poll", "readings")
        watch.watch(ledger, "advance", "ledger")
        watch.watch(Stage, "plan", "series")
        watch.watch(State, "commit", "commit")
        watch.watch(Archive, "add", "archive")
        watch.watch(Archive, "tend", "upkeep")
        watch.watch(Memory, "take", "memory")
        watch.watch(Runtime, "render", "render")

        def wire() -> tuple[bytes, float]:
            with watch.stage("wire"):
                return next_document()

        size = 0
        for _ in range(rounds):
            watch.next_round()
            with watch.stage("rest"):
                size = exporter.poll(wire)
            exporter.scrape()
        cheapest = watch.cheapest(STAGES)
        return Cost(
            cheapest, size, exporter.scrape(), _yardstick(next_document()[0]) if clients <= YARDSTICK_LIMIT else None
        )


def _yardstick(document: bytes) -> float:
    return cpu(lambda: json.loads(document), 5)
