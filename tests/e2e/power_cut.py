"""A home in which the power goes: a router, an exporter and two Prometheus servers, in simulated time.

The router answers over real SSH, and the source, the ledger, the state file, the committer and the page are the real
ones. Bytes move every `STEP`. `Home.play` lives a `Story` and judges every poll; what a server would have stored is in
`Home.stored`, as OpenMetrics.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from exporter.clock import Clock
from exporter.committer import Committer, Outcome, Success, marks_of
from exporter.demo.network import NOTHING, Bytes
from exporter.demo.openwrt.daemon import Options
from exporter.demo.openwrt.router import WAN, Router
from exporter.demo.openwrt.rows import NO_MAC, Key
from exporter.demo.openwrt.server import DemoRouter
from exporter.demo.openwrt.shell import nlbw
from exporter.exposition import Exposition
from exporter.ledger import CLOCK_TOLERANCE
from exporter.model import SubjectKey
from exporter.poller import Poller
from exporter.runtime import SourceFacts
from exporter.series import Scrapes
from exporter.service import _steady_of
from exporter.sources.nlbwmon import NlbwmonSource
from exporter.store import State

SOURCE: Final = "home"
STEP: Final = 30
"""Seconds between two moves of bytes, and two refreshes of nlbwmon."""

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
MIDNIGHT: Final = datetime(2025, 12, 1, tzinfo=UTC).timestamp()
"""The month's end."""

CUT: Final = MIDNIGHT - 2 * HOUR
FIRST_LOOK: Final = CUT - HOUR

SERVERS: Final = {"quick": (30, 7), "slow": (60, 23)}
"""How often each Prometheus server scrapes, and how long after the full minute it does, in seconds."""

FAMILY_NAMES: Final = tuple(
    f"bandwidth_{kind}_{way}_bytes_total" for kind in ("client", "source", "wan") for way in ("download", "upload")
)
FAMILIES: Final = tuple(f"{name}{{" for name in FAMILY_NAMES)
GAPS: Final = "bandwidth_source_gaps_total"

CAMERA, LAPTOP, PHONE, NEWCOMER = (f"02:00:5e:00:00:0{number}" for number in range(1, 5))
VPN: Final = "10.8.0.2"
SITE: Final = "site"
"""How the sum of all clients is called here; the line is called `WAN`, and a client as the page has it."""


class Habit(NamedTuple):
    """What a client does. down, up: bytes a second. busy: how often it moves some. since: when it was bought."""

    keys: tuple[Key, ...]
    down: int
    up: int
    busy: float
    since: float = 0.0


HABITS: Final = (
    Habit((Key(4, "TCP", 443, CAMERA, "192.168.1.101"),), 2_003, 60_013, 1.0),
    Habit(
        (Key(4, "TCP", 443, LAPTOP, "192.168.1.102"), Key(6, "UDP", 443, LAPTOP, "fd00:1::102")), 400_009, 20_011, 0.6
    ),
    Habit((Key(4, "UDP", 443, PHONE, "192.168.1.103"), Key(4, "UDP", 53, PHONE, "192.168.1.103")), 90_001, 7_001, 0.3),
    Habit((Key(4, "IP", 0, NO_MAC, VPN),), 30_011, 30_013, 0.5),
    Habit((Key(4, "TCP", 443, NEWCOMER, "192.168.1.104"),), 150_001, 9_001, 0.9, CUT + 90 * MINUTE),
)


class Story(NamedTuple):
    """How it goes. Times are seconds after the cut.

    flash: the router's database outlives a boot. daily: its periods are days, else months. out: how long the power is
    away from the router. behind: by how much its clock is late when it is back ("month": by a period and more; "epoch":
    it begins in 1970; "": a battery keeps it). ntp: when it is right. host: when the exporter is back. skew: by how
    much its clock is off then, until `synced`. servers: when Prometheus is back. kills: when the exporter is killed
    again, to be back two minutes later. again: when the router's power goes once more, for a minute. redial: when its
    line gets a new session. misstep: when the exporter's clock is set back by hours while it runs, for half an hour.
    hold: `new_series_hold`. interval: between two polls. after: how long it all goes on after the end of the month, or
    of the day that follows it.
    """

    flash: bool = True
    daily: bool = False
    out: float = 25 * MINUTE
    behind: str = "month"
    ntp: float = 36 * MINUTE
    host: float = 28 * MINUTE
    skew: float = -3 * HOUR
    synced: float = 60 * MINUTE
    servers: float = 27 * MINUTE
    kills: tuple[float, ...] = ()
    again: float | None = None
    redial: float | None = None
    misstep: float | None = None
    hold: float = 120.0
    interval: int = 60
    after: float = 2 * HOUR
    seed: int = 1


class Exporter:
    """One process of the exporter, on the state file in `folder`. Its wall clock is `Home.wall`, its steady one new."""

    def __init__(self, home: Home, folder: Path) -> None:
        began, story = home.now, home.story
        self.clock = Clock(wall=lambda: home.wall, steady=lambda: home.now - began + 100.0)
        self.folder = folder
        self.state = State.open(folder / "state.db")
        self.scrapes = Scrapes(story.hold, _steady_of(self.state.scraped_at, self.clock))
        self.exposition = Exposition()
        self.committer = Committer(
            self.state,
            [SourceFacts(SOURCE, "nlbwmon", "internet", story.interval, 12.5e9)],
            exposition=self.exposition,
            scrapes=self.scrapes,
            client_ttl=HOUR,
            people={},
            clock=self.clock,
        )
        self.runtime = self.committer.runtimes[SOURCE]
        self.source = NlbwmonSource(home.demo.settings(), wall=self.clock.wall, resumed=marks_of(self.runtime))
        self.outcomes: dict[str, Outcome] = {}
        self.poller = Poller(SOURCE, self.source, self.outcomes.__setitem__, interval=story.interval, clock=self.clock)
        self.due = home.now

    def poll(self, interval: int) -> bool:
        """Poll, count and publish. Whether the router answered."""
        pause = self.poller.poll_once()
        answered = isinstance(self.outcomes[SOURCE], Success)
        self.committer.work(self.outcomes)
        self.outcomes.clear()
        self.due += interval * max(1, math.ceil(pause / interval))
        return answered

    def totals(self) -> dict[str, Bytes]:
        """What was counted so far of each client, of all of them, and of the line."""
        return {
            _name(subject): Bytes(count.download, count.upload)
            for subject, count in self.runtime.memory.totals.items()
            if subject.kind in ("client", "site", "wan")
        }

    def close(self) -> None:
        """Free what a process that died had open."""
        self.source.close()
        self.state.close()


class Home:
    """All of it. `play` it, then compare `counted` and `lost` with `totals`."""

    def __init__(self, story: Story, folder: Path) -> None:
        """A router that has counted for a period and a part of the next before anybody looks."""
        self.story = story
        self.skew = 0.0
        self.exporter: Exporter | None = None
        self.watched = True
        self.stored: list[str] = []
        self.scraped: dict[str, list[tuple[float, dict[str, int]]]] = {server: [] for server in SERVERS}
        self.moved_by: list[tuple[float, dict[str, Bytes]]] = []
        self.lost: dict[str, Bytes] = {}
        self.page: dict[str, int] = {}
        self.polls = self.taken = 0
        self._at_rollover: tuple[dict[str, Bytes], dict[str, Bytes]] | None = None
        self._folder = folder
        self._starts = 0
        self._shown: dict[str, Bytes] = {}
        self._taken_since_boot = True
        self._random = Random(story.seed)
        self._due: list[tuple[float, Callable[[], object]]] = []
        start = FIRST_LOOK - (DAY if story.daily else 30 * DAY)
        self.router = Router(
            start=start,
            flash=story.flash,
            options=Options(interval="2025-11-01/1" if story.daily else "1"),
            step=STEP,
            seed=story.seed,
        )
        self._use_long(3)
        self.router.advance(start + 3 * HOUR + 5 * MINUTE)  # past the end of the older period
        assert max(self.router.disk.files) == ("20251129" if story.daily else "20251001")
        nlbw(self.router, ["-c", "json", "-t", "2025-11-29" if story.daily else "2025-10-01"])  # a person looks at it
        self._use_long(1)
        self.router.advance(FIRST_LOOK)
        self.demo = DemoRouter(self.router, clock=lambda: self.now)

    @property
    def now(self) -> float:
        """The true time."""
        return self.router.now

    @property
    def wall(self) -> float:
        """The time on the exporter's host."""
        return self.now + self.skew

    def counted(self) -> dict[str, Bytes]:
        """What the meters counted since the first look."""
        truth = self.router.truth
        clients = {whose: each for whose, each in truth.metered.items() if whose != WAN}
        return {**clients, SITE: _sum(clients.values()), WAN: truth.metered.get(WAN, NOTHING)}

    @property
    def totals(self) -> dict[str, Bytes]:
        """What the exporter counted."""
        assert self.exporter is not None
        return self.exporter.totals()

    def right_again(self) -> dict[str, tuple[Bytes, Bytes]]:
        """Whose total grew by another amount than the meter's since the month's end, and both."""
        assert self._at_rollover is not None
        truth, totals = self._at_rollover
        grown = {
            whose: (_minus(self.counted()[whose], truth[whose]), _minus(total, totals[whose]))
            for whose, total in self.totals.items()
        }
        return {whose: both for whose, both in grown.items() if both[0] != both[1]}

    def fastest(self, window: float, way: str) -> dict[str, int]:
        """The most bytes that the meters counted in any window of so many seconds."""
        steps = math.ceil(window / STEP)
        most: dict[str, int] = {}
        for place, (_, later) in enumerate(self.moved_by):
            earlier = self.moved_by[place - steps][1] if place >= steps else {}
            for who, each in later.items():
                moved = getattr(each, way) - getattr(earlier.get(who, NOTHING), way)
                most[who] = max(most.get(who, 0), moved)
        return most

    def play(self) -> None:
        """From the first look to the end, and for so long without any bytes that everybody has seen the last ones."""
        self._plan()
        end = MIDNIGHT + (DAY if self.story.daily else 0) + self.story.after
        self.start_exporter()
        rest = 2 * self.story.interval + self.story.hold + 3 * MINUTE
        while self.now < end + rest:
            at = self.now + STEP
            self._scrapes_until(at)
            self.router.advance(at)
            if at < end:
                self._use()
            while self._due and self._due[0][0] <= at:
                self._due.pop(0)[1]()
            if self.exporter is not None:
                self.exporter.committer._drop_silent()
                if at >= self.exporter.due:
                    self._poll(self.exporter)
                    if at >= MIDNIGHT + 10 * MINUTE and self._at_rollover is None:
                        self._at_rollover = self.counted(), self.totals
            self.moved_by.append((at, self.counted()))
        assert not self._due

    def close(self) -> None:
        """Everything ends."""
        if self.exporter is not None:
            self.exporter.close()

    # What happens.

    def _plan(self) -> None:
        story = self.story
        events: list[tuple[float, Callable[[], object]]] = [
            (0.0, lambda: self.cut_power(story.out)),
            (0.0, self.kill_exporter),
            (0.0, lambda: self.watch(on=False)),
            (story.servers, lambda: self.watch(on=True)),
            (story.host, lambda: self.set_clock(story.skew)),
            (story.host, self.start_exporter),
            (story.synced, lambda: self.set_clock(0.0)),
        ]
        if story.behind:
            events.append((story.ntp, self.synchronise))
        for at in story.kills:
            events += [(at, self.kill_exporter), (at + 2 * MINUTE, self.start_exporter)]
        if story.again is not None:
            events.append((story.again, lambda: self.cut_power(0.0)))
            events.append((story.again + 5 * MINUTE, self.synchronise))
        if story.redial is not None:
            events.append((story.redial, self.redial))
        if story.misstep is not None:
            events.append((story.misstep, lambda: self.set_clock(-3 * HOUR)))
            events.append((story.misstep + 30 * MINUTE, lambda: self.set_clock(0.0)))
        self._due = sorted(((CUT + at, what) for at, what in events), key=lambda event: event[0])

    def cut_power(self, out: float) -> None:
        """What the meters had that nobody was shown is gone."""
        self._lose(self.counted())
        self._taken_since_boot = False
        self.router.cut_power(out=out)
        behind = {"": 0.0, "month": (1 if self.story.daily else 31) * DAY, "epoch": self.now}[self.story.behind]
        self.router.error = -behind

    def synchronise(self) -> None:
        """NTP sets the router's clock. A period that was over long ago ends with what nobody took of it."""
        daemon = self.router.daemon
        assert daemon is not None
        self.router.error = 0.0
        if daemon.today != daemon.period and not self._taken_since_boot:
            self._lose({whose: each for whose, each in self.counted().items() if whose != WAN})

    def redial(self) -> None:
        """The line's counters go with the old session; nlbwmon's go on."""
        self._lose({WAN: self.counted()[WAN]})
        self.router.reconnect()

    def set_clock(self, skew: float) -> None:
        """The clock of the exporter's host."""
        self.skew = skew

    def watch(self, *, on: bool) -> None:
        """Prometheus runs, or not."""
        self.watched = on

    def start_exporter(self) -> None:
        """On the state file as the process before left it."""
        self._starts += 1
        folder = self._folder / f"state-{self._starts}"
        folder.mkdir()
        for path in self._folder.glob(f"state-{self._starts - 1}-killed/*"):
            shutil.copy(path, folder)
        self.exporter = Exporter(self, folder)

    def kill_exporter(self) -> None:
        """What is kept is the state file and its log as they are in this moment."""
        exporter, self.exporter = self.exporter, None
        assert exporter is not None
        killed = self._folder / f"state-{self._starts}-killed"
        killed.mkdir()
        for name in ("state.db", "state.db-wal"):
            if (exporter.folder / name).exists():
                shutil.copy(exporter.folder / name, killed)
        exporter.close()

    def _use(self) -> None:
        for habit in HABITS:
            if self.now >= habit.since and self._random.random() < habit.busy:
                load = self._random.uniform(0.2, 1.0) * STEP
                self.router.move(self._random.choice(habit.keys), int(habit.down * load), int(habit.up * load))

    def _use_long(self, hours: int) -> None:
        for habit in HABITS:
            for key in habit.keys if not habit.since else ():
                self.router.move(key, habit.down * hours * HOUR, habit.up * hours * HOUR)

    # What is seen of it.

    def _poll(self, exporter: Exporter) -> None:
        before = exporter.totals()
        answered = exporter.poll(self.story.interval)
        self.polls += 1
        counted, totals = self.counted(), exporter.totals()
        if answered:
            self._shown[WAN] = counted[WAN]
            if abs(self.router.error - self.skew) <= CLOCK_TOLERANCE:
                self._shown = counted
                self._taken_since_boot = True
                self.taken += 1
        for whose, total in totals.items():
            most, least = counted.get(whose, NOTHING), before.get(whose, NOTHING)
            assert least.down <= total.down <= most.down, f"{self._when}: {whose}: {least} → {total} of {most}"
            assert least.up <= total.up <= most.up, f"{self._when}: {whose}: {least} → {total} of {most}"
        self._look(exporter, totals)

    def _look(self, exporter: Exporter, totals: dict[str, Bytes]) -> None:
        """The page can be read, shows no more than is counted, and nothing on it falls."""
        page = exporter.exposition.page()
        assert page is not None
        for family in text_string_to_metric_families(page.text().decode()):
            for sample in family.samples:
                series = f"{sample.name}{sorted(sample.labels.items())}"
                if family.type == "counter" and sample.name.startswith(("bandwidth_client_", *FAMILY_NAMES, GAPS)):
                    value = int(sample.value)
                    assert value >= self.page.get(series, 0), f"{self._when}: {series} fell to {value}"
                    self.page[series] = value
                if sample.name in FAMILY_NAMES:
                    total = totals[whose(sample.labels)]
                    assert int(sample.value) <= (total.down if "download" in sample.name else total.up), series

    def _lose(self, counted: dict[str, Bytes]) -> None:
        """Of this, what was not shown and taken never will be."""
        for whose, each in counted.items():
            shown, lost = self._shown.get(whose, NOTHING), self.lost.get(whose, NOTHING)
            self.lost[whose] = Bytes(lost.down + each.down - shown.down, lost.up + each.up - shown.up)
        self._shown = self._shown | counted

    def _scrapes_until(self, end: float) -> None:
        due = sorted(
            (at, server)
            for server, (interval, offset) in SERVERS.items()
            for at in (math.floor(self.now / interval) * interval + offset,)
            if self.now <= at < end
        )
        for at, server in due:
            self.router.advance(at)
            if self.watched and self.exporter is not None:
                self._scrape(server, self.exporter)

    def _scrape(self, server: str, exporter: Exporter) -> None:
        exporter.committer._drop_silent()
        page = exporter.exposition.page()
        assert page is not None
        values: dict[str, int] = {}
        for line in page.text().decode().splitlines():
            if line.startswith((*FAMILIES, GAPS)):
                series, _, value = line.rpartition(" ")
                values[series] = int(value)
                self.stored.append(f'{series[:-1]},server="{server}"}} {value} {self.now:.0f}\n')
        self.scraped[server].append((self.now, values))
        exporter.scrapes.answered(page.generation, None, exporter.clock.steady())

    @property
    def _when(self) -> str:
        return f"{(self.now - CUT) / MINUTE:g} minutes after the cut"


@contextmanager
def played(story: Story, folder: Path) -> Iterator[Home]:
    """A home that lived through the story."""
    home = Home(story, folder)
    with home.demo:
        try:
            home.play()
            yield home
        finally:
            home.close()


def _name(subject: SubjectKey) -> str:
    return subject.kind if subject.kind in (SITE, WAN) else subject.key


def whose(labels: Mapping[str, str]) -> str:
    """Whose bytes a series has."""
    return labels.get("client") or (WAN if "wan" in labels else SITE)


def _minus(later: Bytes, earlier: Bytes) -> Bytes:
    return Bytes(later.down - earlier.down, later.up - earlier.up)


def _sum(each: Iterable[Bytes]) -> Bytes:
    both = tuple(each)
    return Bytes(sum(one.down for one in both), sum(one.up for one in both))
