"""An exporter without its threads in simulated time, and what its archive says, read from the file by other means."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from exporter.committer import Committer, Success
from exporter.exposition import Exposition
from exporter.model import Count, CounterKey, Reading, SubjectKey
from exporter.series import Scrapes
from exporter.store import Retention, State
from tests.scripted import SITE, ManualClock, client_key, facts, poll

SOURCES = {"home": 30.0, "attic": 900.0}
MACS = tuple(f"02:00:00:00:00:0{number}" for number in range(3))
SITE_KEY = SubjectKey("site", SITE, "")

LEVELS = (
    "SELECT bucket, subject, class, download, upload FROM usage",
    "SELECT bucket, subject, class, download, upload FROM hourly",
    "SELECT day, subject, class, download, upload FROM daily",
)
GAPS = "SELECT ended, began, subject, class, download, upload FROM gap"
EVENTS = "SELECT source, kind, reason, count FROM event JOIN subject ON id = subject"
GROWN = """
    SELECT id, download - opening_download, upload - opening_upload FROM subject WHERE download IS NOT NULL
"""

Place = tuple[int, str]
Sums = dict[Place, tuple[int, int]]


class House:
    """Two controllers with three clients each. The second is polled so seldom that its polls touch many buckets."""

    def __init__(self, folder: Path, ready: Path, at: float, zone: str, retention: Retention) -> None:
        self._folders = (folder / str(number) for number in count())
        self.time = ManualClock(wall_at=at, steady_at=1000.0)
        self.zone, self.retention = ZoneInfo(zone), retention
        self.reported: Counter[tuple[str, str, str]] = Counter()
        self.raw = {name: {mac: [0, 0] for mac in MACS} for name in SOURCES}
        self.path = next(self._folders) / "bandwidth.db"
        self.path.parent.mkdir(parents=True)
        shutil.copy(ready, self.path)
        self._start()

    def _start(self) -> None:
        self.state = State.open(self.path)
        self.state.keep(self.zone, self.retention)
        self.committer = Committer(
            self.state,
            [facts(name, interval) for name, interval in SOURCES.items()],
            exposition=Exposition(),
            scrapes=Scrapes(60.0),
            client_ttl=3600.0,
            people={},
            clock=self.time.clock,
        )

    def restart(self) -> None:
        self.state.close()
        self._start()

    def crash(self) -> None:
        """Go on with what is on the disk, of the file and of its log."""
        folder = next(self._folders)
        shutil.copytree(self.path.parent, folder)
        self.state.close()
        self.path = folder / self.path.name
        self._start()

    def set_clock(self, seconds: float) -> None:
        self.time.wall_at += seconds

    def cut_days_by(self, zone: str) -> None:
        self.zone = ZoneInfo(zone)
        self.state.keep(self.zone, self.retention)

    def move(self, name: str, mac: str, down: int, up: int) -> None:
        raw = self.raw[name][mac]
        raw[0], raw[1] = raw[0] + down, raw[1] + up

    def reset(self, name: str, mac: str) -> None:
        self.raw[name][mac] = [7, 3]

    def poll(self, *names: str, after: float = 0.0) -> None:
        self.time.pass_(after)
        runtimes = [self.committer.runtimes[name] for name in names]
        before = [(runtime.events.copy(), runtime.memory.source.gaps) for runtime in runtimes]
        self.committer.work(
            {
                name: Success(
                    poll(map(_reading, *zip(*self.raw[name].items(), strict=True)), meter_at=self.time.wall_at),
                    self.time.wall_at,
                    self.time.steady_at,
                    0.0,
                )
                for name in names
            }
        )
        assert self.committer.commit_error == ""
        for runtime, (events, gaps) in zip(runtimes, before, strict=True):
            for (kind, reason), times in (runtime.events - events).items():
                self.reported[runtime.facts.name, kind, reason] += times
            if runtime.memory.source.gaps > gaps:
                self.reported[runtime.facts.name, "client", "gap"] += 1

    def settle(self) -> None:
        """Let all steps of upkeep be taken."""
        file = Archived(self.path)
        before = None
        while before != (before := file.sizes()):
            self.poll("home")


def _reading(mac: str, raw: list[int]) -> Reading:
    """Of a client that uses one protocol for all it does."""
    subjects = (
        client_key(mac),
        SITE_KEY,
        SubjectKey("protocol", SITE, "ipv4|quic"),
        SubjectKey("client_protocol", SITE, f"{mac}|quic"),
    )
    return Reading(CounterKey("client", SITE, f"{mac}|wireless"), subjects, Count(raw[0], raw[1]))


class Bytes(NamedTuple):
    """A row of any level."""

    when: int
    subject: int
    kind: str
    download: int
    upload: int


class Archived:
    """The archive as plain rows."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as file:
            self._path = path
            meta = dict(file.execute("SELECT key, value FROM meta"))
            self.made = int(meta.get("archive_hour", 0)), int(meta.get("archive_subject", 0))
            self.usage, self.hourly, self.daily = ([Bytes(*row) for row in file.execute(query)] for query in LEVELS)
            self.gaps = [(ended, Bytes(*row)) for ended, *row in file.execute(GAPS)]
            self.subjects = {
                number: (source, SubjectKey(*key))
                for number, source, *key in file.execute("SELECT id, source, kind, site, key FROM subject")
            }
            self.events: Counter[tuple[str, str, str]] = Counter()
            for source, kind, reason, times in file.execute(EVENTS):
                self.events[source, "client" if kind == "site" else kind, reason] += times
            self.grown: Sums = {}
            ids = {names: number for number, names in self.subjects.items()}
            for number, download, upload in file.execute(GROWN):
                if download or upload:
                    self.grown[_carried(number, self.subjects, ids)] = (download, upload)

    def sizes(self) -> tuple[int, ...]:
        again = Archived(self._path)
        return (*again.made, len(again.usage), len(again.hourly), len(again.daily), len(again.gaps))

    @property
    def unmade(self) -> list[Bytes]:
        """Five minutes whose hours are not made yet."""
        return [row for row in self.usage if (row.when // 3600 * 3600, row.subject) >= self.made]

    @property
    def made_usage(self) -> list[Bytes]:
        return [row for row in self.usage if (row.when // 3600 * 3600, row.subject) < self.made]

    def sums(self, *levels: Iterable[Bytes]) -> Sums:
        """By subject and class, gaps included, without those that are 0."""
        down: Counter[Place] = Counter()
        up: Counter[Place] = Counter()
        for rows in (*levels, [row for _, row in self.gaps]):
            for row in rows:
                down[row.subject, row.kind] += row.download
                up[row.subject, row.kind] += row.upload
        return {place: (down[place], up[place]) for place in down if down[place] or up[place]}

    def since(self, midnight: int) -> Mapping[str, Mapping[SubjectKey, tuple[int, int]]]:
        """By source, of what has a class of its own: five minutes and the even share of every gap."""
        rows = [row for row in self.usage if row.when >= midnight]
        for ended, row in self.gaps:
            began, length = row.when, ended - row.when
            if ended > midnight:
                past = max(0, midnight - began)
                later = [value - value * past // length for value in (row.download, row.upload)]
                rows.append(row._replace(download=later[0], upload=later[1]))
        sums: dict[str, dict[SubjectKey, tuple[int, int]]] = {}
        for row in rows:
            source, key = self.subjects[row.subject]
            if row.kind != "all":
                client = key.kind == "client"
                kind = "client_protocol" if client else "protocol"
                key = SubjectKey(kind, key.site, f"{key.key}|{row.kind}" if client else row.kind)
            so_far = sums.setdefault(source, {}).get(key, (0, 0))
            sums[source][key] = (so_far[0] + row.download, so_far[1] + row.upload)
        return {source: {key: value for key, value in each.items() if value != (0, 0)} for source, each in sums.items()}


def _carried(
    number: int, subjects: Mapping[int, tuple[str, SubjectKey]], ids: Mapping[tuple[str, SubjectKey], int]
) -> Place:
    source, key = subjects[number]
    if key.kind == "protocol":
        return ids[source, SITE_KEY], key.key
    if key.kind == "client_protocol":
        return ids[source, client_key(key.key.split("|")[0])], key.key.split("|")[1]
    return number, "all"


def grouped(rows: Iterable[Bytes], when: Callable[[int], int]) -> list[Bytes]:
    """The rows added up by another time, in the order of their key."""
    sums: dict[tuple[int, int, str], tuple[int, int]] = {}
    for row in rows:
        key = (when(row.when), row.subject, row.kind)
        so_far = sums.get(key, (0, 0))
        sums[key] = (so_far[0] + row.download, so_far[1] + row.upload)
    return [Bytes(*key, *sums[key]) for key in sorted(sums)]


def date_in(zone: ZoneInfo) -> Callable[[int], int]:
    """The date of a moment as days since 1970."""
    return lambda at: (datetime.fromtimestamp(at, zone).date() - datetime.fromtimestamp(0, ZoneInfo("UTC")).date()).days


def midnight_before(at: float, zone: ZoneInfo) -> int:
    """The first moment of the date, found by looking at every five minutes."""
    at = int(at) // 300 * 300
    day = date_in(zone)
    while day(at - 300) == day(at):
        at -= 300
    return at


@contextmanager
def house(folder: Path, ready: Path, at: float, zone: str, retention: Retention) -> Iterator[House]:
    """One that is taken down in the end."""
    it = House(folder, ready, at, zone, retention)
    try:
        yield it
    finally:
        it.state.close()
