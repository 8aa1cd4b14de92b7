"""A source whose polls a test writes down, and the parts that a test needs around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from exporter.clock import Clock
from exporter.model import Client, Collection, Count, CounterKey, Poll, Reading, SubjectKey
from exporter.runtime import SourceFacts
from exporter.sources import SourceError

SITE = "default"


def client_key(mac: str) -> SubjectKey:
    """The subject of a client of the test's site."""
    return SubjectKey("client", SITE, mac)


def reading(mac: str, download: int, upload: int, *, born: float | None = None, session: str = "") -> Reading:
    """A wireless client's reading, as the UniFi source makes them."""
    return Reading(
        counter=CounterKey("client", SITE, f"{mac}|wireless"),
        subjects=(client_key(mac), SubjectKey("site", SITE, "")),
        count=Count(download, upload, download // 100, upload // 100),
        born=born,
        session=session,
    )


def poll(readings: Iterable[Reading], *, meter_at: float = 0.0, clients: Iterable[Client] | None = None) -> Poll:
    """A complete poll of the test's site."""
    readings = tuple(readings)
    if clients is None:
        clients = [Client(SITE, each.subjects[0].key, mac=each.subjects[0].key, connected=True) for each in readings]
    return Poll(
        identity="controller",
        readings=readings,
        clients=tuple(clients),
        complete={Collection("client", SITE): ""},
        meter_at=meter_at,
    )


def facts(name: str = "home", interval: float = 30.0) -> SourceFacts:
    """A source as the configuration describes it."""
    return SourceFacts(name, "unifi", "attached", interval, 12.5e9)


@dataclass
class ScriptedSource:
    """Gives out its polls one after the other; an exception among them is raised, and so is running out of them."""

    polls: list[Poll | SourceError] = field(default_factory=list)
    closed: bool = False

    def poll(self) -> Poll:
        if not self.polls:
            raise SourceError("unreachable", "the script has come to its end")
        item = self.polls.pop(0)
        if isinstance(item, SourceError):
            raise item
        return item

    def close(self) -> None:
        self.closed = True


@dataclass
class ManualClock:
    """Both clocks, moved by the test. `wall` may be set apart from `steady`."""

    wall_at: float = 1_700_000_000.0
    steady_at: float = 1_000.0

    def pass_(self, seconds: float) -> None:
        self.wall_at += seconds
        self.steady_at += seconds

    @property
    def clock(self) -> Clock:
        return Clock(wall=lambda: self.wall_at, steady=lambda: self.steady_at)
