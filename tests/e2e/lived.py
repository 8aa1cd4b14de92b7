"""Real installs in simulated time: the demo's controller and router, the exporter's own parts, and what a Prometheus
would have been shown of them. Hours of it are lived in seconds.

The controller answers over real HTTPS and the router over real SSH; sources, ledger, state, accounts and page are the
real ones. `Install.shown` holds every page as it was, to be stored by a real Prometheus (tests/e2e/stored.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from exporter.clock import Clock
from exporter.committer import Outcome
from exporter.config.schema import Alerts
from exporter.configured import thresholds_of
from exporter.demo.controller import DemoController
from exporter.demo.life import MBIT, household
from exporter.demo.network import Network
from exporter.demo.openwrt.life import Accidents, household_router
from exporter.demo.openwrt.router import Router
from exporter.demo.openwrt.server import DemoRouter
from exporter.demo.run import ATTIC, CONTRACTS, HOME, MAX_RATE, PEOPLE, quotas
from exporter.fleet import fixed
from exporter.poller import Poller
from exporter.runtime import SourceFacts
from exporter.service import Exporter, Settings
from exporter.sources import Source
from exporter.sources.nlbwmon import NlbwmonSource
from exporter.sources.unifi import UnifiSettings, UnifiSource
from exporter.store.postgres.target import Target

EVENING: Final = 1_780_338_600.0
"""2026-06-01T18:30Z: the household is busy."""

INTERVAL: Final = 60.0
"""Seconds between two polls."""

EVERY: Final = 30.0
"""Seconds between two scrapes, as in prometheus/prometheus.yml."""

JOB: Final = "bandwidth"
INSTANCE: Final = "exporter:10477"
THRESHOLDS: Final = thresholds_of(Alerts(client_download=40 * MBIT, client_upload=40 * MBIT, client_day=100 * 10**9))
CALM: Final = Accidents(redials=0, restarts=0, kills=0, cuts=0, scans=0)


class Scrape(NamedTuple):
    """What a Prometheus was shown at a time, Unix seconds. page: None where nobody answered."""

    at: float
    page: str | None


class Shown(NamedTuple):
    """All that a Prometheus was shown of an exporter, and how it calls it."""

    instance: str
    scrapes: list[Scrape]

    def series(self, scrape: Scrape) -> Iterator[tuple[str, str]]:
        """Every series of a scrape as Prometheus keeps it, and its value."""
        target = f'job="{JOB}",instance="{self.instance}"'
        yield f"up{{{target}}}", "0" if scrape.page is None else "1"
        for line in (scrape.page or "").splitlines():
            if not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                yield f"{series[:-1]},{target}}}" if series.endswith("}") else f"{series}{{{target}}}", value


class House:
    """A controller and a router on loopback, with clocks of their own. `down`: nobody there answers."""

    def __init__(self, network: Network, router: Router | None) -> None:
        self.network, self.router = network, router
        self._running = ExitStack()
        self.controller = self._running.enter_context(DemoController(network, clock=lambda: network.now))
        self.attic = None
        if router is not None:
            self.attic = self._running.enter_context(DemoRouter(router, clock=lambda: router.now))

    @property
    def now(self) -> float:
        """The true time."""
        return self.network.now

    def advance(self, to: float) -> None:
        """Let time pass."""
        self.network.advance(to)
        if self.router is not None:
            self.router.advance(to)

    def set_down(self, *, down: bool) -> None:
        """Nobody answers, or everybody does again."""
        self.controller.down = down
        if self.attic is not None:
            self.attic.fault = "refusing" if down else ""

    def sources(self, names: Mapping[str, str]) -> Iterator[tuple[SourceFacts, Source]]:
        """What an exporter polls here. names: those that are not the demo's."""
        settings = UnifiSettings(
            url=self.controller.url,
            username=self.controller.username,
            password=self.controller.password,
            ca_file=self.controller.ca_file,
        )
        yield _facts(HOME, names), UnifiSource(settings, wall=lambda: self.now)
        if self.attic is not None:
            router = dataclasses.replace(self.attic.settings(), protocols=True)
            yield _facts(ATTIC, names), NlbwmonSource(router, wall=lambda: self.now)

    def close(self) -> None:
        """Stop to answer."""
        self._running.close()


class Install:
    """An exporter at a house, and the Prometheus that looks at it.

    instance: as Prometheus calls the exporter. names: of its sources, where they are not the demo's.
    """

    def __init__(
        self,
        folder: Path,
        house: House,
        *,
        instance: str = INSTANCE,
        names: Mapping[str, str] | None = None,
        archive: Target | None = None,
        interval: float = INTERVAL,
        bare: bool = False,
    ) -> None:
        """interval: between two polls. bare: without owners, contracts, quotas and thresholds beside the defaults."""
        folder.mkdir(parents=True, exist_ok=True)
        self.house, self.names = house, dict(names or {})
        self.interval = interval
        self.shown = Shown(instance, [])
        self.watched = True
        self._bare = bare
        self._settings = Settings(
            host="127.0.0.1",
            port=1,
            state=folder / "state.db",
            client_ttl=3600.0,
            new_series_hold=120.0,
            people={} if bare else PEOPLE,
            zone=ZoneInfo("Europe/Berlin"),
            quotas=() if bare else quotas(),
            thresholds=thresholds_of(Alerts()) if bare else THRESHOLDS,
            archive=archive,
        )
        self._running: _Running | None = None

    @property
    def running(self) -> _Running:
        """The process. Fails where there is none."""
        assert self._running is not None
        return self._running

    def start(self) -> None:
        """Begin a process on the state file."""
        self._running = _Running(self)

    def stop(self) -> None:
        """The process ends. Twice does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def poll(self) -> None:
        """Where a process runs: poll, count, publish and feed."""
        if self._running is not None:
            self._running.poll()

    def scrape(self) -> None:
        """Where a Prometheus runs: look at the page."""
        if self.watched:
            page = None if self._running is None else self._running.page()
            self.shown.scrapes.append(Scrape(self.house.now, page))

    def make(self) -> list[tuple[SourceFacts, Source]]:
        """The sources anew, as they are configured."""
        made = [(replace(facts, interval=self.interval), source) for facts, source in self.house.sources(self.names)]
        return [(replace(facts, contracts=()) if self._bare else facts, source) for facts, source in made]

    @property
    def settings(self) -> Settings:
        """As configured."""
        return self._settings


class _Running:
    """One process of the exporter, without its threads."""

    def __init__(self, install: Install) -> None:
        house, began = install.house, install.house.now
        clock = Clock(wall=lambda: house.now, steady=lambda: house.now - began + 1000.0)
        self.sources = install.make()
        self.exporter = Exporter(install.settings, [fixed(*each) for each in self.sources], clock=clock)
        self.outcomes: dict[str, Outcome] = {}
        self.pollers = []
        for facts, source in self.sources:
            self.pollers.append(
                Poller(facts.name, source, self.outcomes.__setitem__, interval=facts.interval, clock=clock)
            )

    def poll(self) -> None:
        committer = self.exporter.committer
        for poller in self.pollers:
            poller.poll_once()
        committer.work(self.outcomes)
        self.outcomes.clear()
        feeder = self.exporter._feeder
        if feeder is not None:
            while feeder.step() == 0.0:
                assert feeder.trouble == ""

    def page(self) -> str:
        self.exporter.committer._drop_silent()
        page = self.exporter.page(None)
        assert page is not None
        text = page.text().decode()
        self.exporter.scraped(page.generation, None)
        return text

    def close(self) -> None:
        feeder = self.exporter._feeder
        if feeder is not None:
            feeder.close()
        for _, source in self.sources:
            source.close()
        self.exporter.state.close()


def live(house: House, seconds: float, *installs: Install) -> None:
    """Let time pass at a house, with scrapes, and polls shortly before the scrape that follows them."""
    end = house.now + seconds
    turn = 0
    while house.now + EVERY <= end:
        house.advance(house.now + EVERY)
        turn += 1
        for install in installs:
            if turn % round(install.interval / EVERY) == 1:
                install.poll()
            install.scrape()


@contextmanager
def busy_house(start: float, *, with_router: bool = True, calm: bool = False) -> Iterator[House]:
    """The demo's household. calm: nothing happens to its router."""
    router = household_router(start=start, accidents=CALM if calm else None) if with_router else None
    with _closing(House(household(start=start, step=EVERY), router)) as house:
        yield house


@contextmanager
def empty_house(start: float) -> Iterator[House]:
    """A controller that nobody is connected to."""
    with _closing(House(Network(start=start), None)) as house:
        yield house


@contextmanager
def _closing(house: House) -> Iterator[House]:
    try:
        yield house
    finally:
        house.close()


def _facts(name: str, names: Mapping[str, str]) -> SourceFacts:
    kind, scope = {HOME: ("unifi", "attached"), ATTIC: ("nlbwmon", "internet")}[name]
    return SourceFacts(names.get(name, name), kind, scope, INTERVAL, MAX_RATE, CONTRACTS[name])
