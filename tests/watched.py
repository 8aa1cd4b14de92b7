"""An exporter and the Prometheus servers that watch it, in simulated time: what each server stored, and what it should.

The committer, the page and the rules are the real ones. The state is kept in memory and can refuse a commit, time is
moved by the test, and a server is its list of scrapes. Polls fall on whole seconds and scrapes between them, so that no
two things ever happen at once.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count, cycle, pairwise
from typing import NamedTuple

from exporter.committer import Committer, Failure, Outcome, Success
from exporter.exposition import Exposition
from exporter.model import Memory, Reading, SubjectKey, Write
from exporter.series import Scrapes
from exporter.service import _steady_of
from exporter.store import StateError
from tests.scripted import SITE, ManualClock, client_key, facts, poll, reading

HOLD, INTERVAL = 120.0, 30.0
SOURCES = ("home", "attic")
FAMILIES = ("bandwidth_client_download_bytes_total{", "bandwidth_source_download_bytes_total{")

SITE_KEY = SubjectKey("site", SITE, "")

Series = tuple[str, str]
"""A series by its source and its client, "" for the sum of the source's site."""


class MemoryState:
    """What a state file keeps, without the file. `broken`: what a commit raises."""

    def __init__(self, scraped_at: float | None = None) -> None:
        self.scraped_at = scraped_at
        self.broken: Exception | None = None
        self.commits: list[list[str]] = []
        self._kept: dict[str, Memory] = {}

    def kept(self, name: str) -> Memory:
        return self._kept.setdefault(name, Memory())

    def load(self, name: str) -> Memory:
        kept = self.kept(name)
        return Memory(kept.source, dict(kept.counters), dict(kept.totals), dict(kept.shown), dict(kept.collections))

    def commit(self, writes: Sequence[Write], scraped_at: float | None = None) -> None:
        if self.broken is not None:
            raise self.broken
        for write in writes:
            self.kept(write.name).take(write.changes, write.shown)
        self.commits.append([write.name for write in writes])
        self.scraped_at = self.scraped_at if scraped_at is None else scraped_at


@dataclass
class Shown:
    """A series as the page had it: its last value, since when, the value it last appeared with.

    settled: whether, when it left, every server had had the time to see its last value.
    """

    on: bool = False
    value: int = 0
    since: float = 0.0
    appeared: int = 0
    settled: bool = True


class Habit(NamedTuple):
    """How a server scrapes. source: the part of the page it asks for. fates: what becomes of its scrapes, in turn:

    "good", "slow" (answered in full 7 s later), "cut" (not answered in full), "lost" (answered in full, and lost all
    the same). A server never loses two running.
    """

    interval: int
    source: str | None = None
    fates: Sequence[str] = ("good",)


@dataclass
class Server:
    """A Prometheus server. samples: of each series, one for each good scrape, None where the page had it not."""

    habit: Habit
    next_at: float
    fates: Iterator[str]
    lost: bool = False
    samples: dict[Series, list[int | None]] = field(default_factory=dict)

    def covers(self, series: Series) -> bool:
        return self.habit.source in (None, series[0])

    def seen(self, series: Series) -> list[int]:
        return [value for value in self.samples.get(series, []) if value is not None]


class World:
    """All of it together. Every step checks what was published, and every scrape what the server now knows."""

    def __init__(self, servers: Iterable[Habit], *, client_ttl: float = 300.0) -> None:
        """A state that knows of a Prometheus, and these servers."""
        self.client_ttl = client_ttl
        self.time = ManualClock()
        self.state = MemoryState(self.time.wall_at - 3600.0)
        self.raw: dict[Series, int] = {}
        self.born: dict[Series, float] = {}
        self.away: set[Series] = set()
        self.shown: dict[Series, Shown] = {}
        self.gaps = dict.fromkeys(SOURCES, 0)
        self.held: set[str] = set()
        self.up = False
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self.servers = []
        for place, habit in enumerate(servers, 1):
            server = Server(habit, self.time.steady_at + place / 8, cycle(habit.fates))
            self.servers.append(server)
            self._at(server.next_at, partial(self._scrape, server))
        self.start()

    def start(self) -> None:
        """A new process on the state as it was left."""
        clock = self.time.clock
        self.scrapes = Scrapes(HOLD, _steady_of(self.state.scraped_at, clock))
        self.exposition = Exposition()
        self.committer = Committer(
            self.state,
            [facts(name, INTERVAL) for name in SOURCES],
            exposition=self.exposition,
            scrapes=self.scrapes,
            client_ttl=self.client_ttl,
            people={},
            clock=clock,
        )
        self.up = True
        self._looked_at = -1
        self.look()

    def die(self) -> None:
        """The process ends; to a server the target is down."""
        self.up = False
        for shown in self.shown.values():
            self._leaves(shown)
        self.held = set()

    def _at(self, at: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), what))

    def advance(self, seconds: float) -> None:
        """Let time pass, with all that falls due in it."""
        end = self.time.steady_at + seconds
        while self._due and self._due[0][0] <= end:
            at, _, what = heapq.heappop(self._due)
            self.time.pass_(at - self.time.steady_at)
            if self.up:
                self.committer._drop_silent()
                self.look()
            what()
        self.time.pass_(end - self.time.steady_at)
        if self.up:
            self.committer._drop_silent()
            self.look()

    def poll(self, source: str, moves: Sequence[int], *, commits: bool = True) -> None:
        """A poll that succeeds. moves: bytes of each client that is there, the site's oldest first.

        Of a source that is not configured only the bytes move.
        """
        assert self.up
        for series, moved in zip(sorted(each for each in self.raw if each[0] == source), moves, strict=False):
            if series not in self.away:
                self.raw[series] += moved
        if source not in self.committer.runtimes:
            return
        readings: list[Reading] = [
            reading(mac, raw, 0, born=self.born[name, mac])
            for (name, mac), raw in sorted(self.raw.items())
            if name == source and (name, mac) not in self.away
        ]
        self.state.broken = None if commits else StateError("the disk is full")
        self._work(source, Success(poll(readings, meter_at=self.time.steady_at), self.time.wall_at, self._now, 0.25))
        self.state.broken = None

    def fail(self, source: str) -> None:
        """A poll that fails."""
        if source in self.committer.runtimes:
            self._work(source, Failure("timeout", "no answer", self.time.wall_at, 20.0))

    @property
    def _now(self) -> float:
        return self.time.steady_at

    def _work(self, source: str, outcome: Outcome) -> None:
        self.committer.work({source: outcome})
        self.look()

    def configure(self, *names: str, interval: float = INTERVAL) -> None:
        """A reload: these sources are configured from now on, polled at this interval."""
        committer, wanted = self.committer, {name: facts(name, interval) for name in names}
        for name in committer.runtimes.keys() - wanted.keys():
            committer.dismiss(name)
            self.look()
        for name in wanted.keys() & committer.runtimes.keys():
            committer.revise(wanted[name])
        committer.admit([committer.begin(wanted[name]) for name in names if name not in committer.runtimes])
        committer.arrange(names)
        self.look()

    def add(self, source: str, mac: str, raw: int, *, known: bool) -> None:
        """A client that is first shown with `raw` bytes, of which the ledger counts none if it was `known` for long."""
        self.raw[source, mac] = raw
        self.born[source, mac] = 0.0 if known else self._now

    def durable(self, series: Series) -> int:
        """What the state has of the series' total."""
        key = client_key(series[1]) if series[1] else SITE_KEY
        return self.state.kept(series[0]).totals[key].download

    def page(self, source: str | None = None) -> dict[Series, int]:
        """The published values."""
        values: dict[Series, int] = {}
        for line in self._text(source).splitlines():
            if line.startswith(FAMILIES):
                labels, _, value = line.rpartition(" ")
                client = labels.split('client="')[1].rstrip('"}') if 'client="' in labels else ""
                values[labels.split('source="')[1].split('"')[0], client] = int(value)
        return values

    def _text(self, source: str | None) -> str:
        page = self.exposition.page(source)
        assert page is not None
        return page.text().decode()

    def look(self) -> None:
        """Rule 3, as far as the page alone can tell."""
        if self.exposition.generation == self._looked_at:
            return
        self._looked_at = self.exposition.generation
        page = self.page()
        for series, value in page.items():
            shown = self.shown.setdefault(series, Shown())
            assert value <= self.durable(series), f"{series}: more than is durable"
            if not shown.on:
                assert value == shown.value, f"{series} appears at {value} and was last at {shown.value}"
                shown.on, shown.appeared, shown.since = True, value, self._now
            assert value >= shown.value, f"{series} fell from {shown.value} to {value}"
            if value != shown.value:
                shown.value, shown.since = value, self._now
        self._look_at_gaps()
        for series, shown in self.shown.items():
            if shown.on and series not in page:
                self._leaves(shown)
                runtime = self.committer.runtimes.get(series[0])
                silent = runtime is not None and self._now > runtime.leaves_at
                assert shown.settled or silent or runtime is None, (
                    f"{series} left before every server saw its last value"
                )

    def _look_at_gaps(self) -> None:
        """bandwidth_source_gaps_total never falls, and goes up with the scrape in which a held sum moves on."""
        held = {name for name in SOURCES if self.shown.get((name, ""), Shown()).on and SITE_KEY in self._held(name)}
        for line in self._text(None).splitlines():
            if line.startswith("bandwidth_source_gaps_total{"):
                name, gaps = line.split('"')[1], int(line.rpartition(" ")[2])
                assert gaps >= self.gaps[name], f"the gaps of {name} fell"
                moved_on = name in self.held - held and self.shown[name, ""].on
                assert gaps > self.gaps[name] or not moved_on, f"{name}: what was held landed without a gap"
                self.gaps[name] = gaps
        self.held = held

    def _held(self, name: str) -> Mapping[SubjectKey, object]:
        runtime = self.committer.runtimes.get(name)
        return {} if runtime is None else runtime.memory.shown

    def _leaves(self, shown: Shown) -> None:
        if shown.on:
            shown.on, shown.settled = False, self._now - shown.since >= HOLD

    def _scrape(self, server: Server) -> None:
        server.next_at += server.habit.interval
        self._at(server.next_at, partial(self._scrape, server))
        fate = next(server.fates)
        if server.lost and fate in ("cut", "lost"):
            fate = "good"
        server.lost = fate in ("cut", "lost")
        source, scrapes = server.habit.source, self.scrapes
        page = self.exposition.page(source) if self.up else None
        if page is None:
            self._store(server, {})
            return
        values = self.page(source)

        def answered() -> None:
            if scrapes is self.scrapes and self.up:
                scrapes.answered(page.generation, source, self._now)

        if fate == "slow":
            self._at(self._now + 7.0, answered)
        elif fate != "cut":
            answered()
        if not server.lost:
            self._store(server, values)

    def _store(self, server: Server, values: dict[Series, int]) -> None:
        for series in values.keys() | server.samples.keys():
            stored = server.samples.setdefault(series, [])
            value = values.get(series)
            if value is not None and (not stored or stored[-1] is None):
                seen, shown = server.seen(series), self.shown[series]
                assert value == shown.appeared, f"{series}: bytes moved before the server saw it"
                if not seen:
                    assert value == 0, f"{series}: its first sample is {value}"
                elif shown.settled:
                    assert value == seen[-1], f"{series}: seen last at {seen[-1]}, comes back at {value}"
            stored.append(value)

    def rest(self) -> None:
        """Everything comes back and nothing moves any longer, until the servers have seen it all."""
        if not self.up:
            self.start()
        self.configure(*SOURCES)
        self.away.clear()
        for _ in range(16):
            for source in SOURCES:
                self.poll(source, [])
            self.advance(INTERVAL)

    def check(self) -> None:
        """At rest: every server shows the totals, and counted them to the byte."""
        for server in self.servers:
            for series in self.raw.keys() | {(source, "") for source, _ in self.raw}:
                if server.covers(series):
                    seen = server.seen(series)
                    steps = [after - before for before, after in pairwise(seen)]
                    assert seen[-1] == self.durable(series), f"{series} at rest"
                    assert sum(step for step in steps if step > 0) == seen[-1] - seen[0] == self.durable(series)
