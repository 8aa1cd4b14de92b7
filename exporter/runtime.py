"""One source while the process runs: its memory, its place on the page, its health, and the text of all that."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from msgspec import Struct

from exporter import metrics
from exporter.client_lines import ClientLines
from exporter.events import Known
from exporter.exposition import Blocks, samples
from exporter.gear_lines import KINDS, render_gear
from exporter.ledger import REASONS
from exporter.metrics import Family
from exporter.model import ZERO, Client, Contract, Count, Gear, Memory, SubjectKey
from exporter.naming import People
from exporter.privacy import OPEN, Privacy
from exporter.protocol_lines import render_protocols
from exporter.recent import Recent
from exporter.series import Stage, shown_count

COUNTED_KINDS = ("client", "device", "wan", "port")
"""Kinds of counters that a source can have; their events are on the page from the start, at 0."""


class SourceFacts(Struct, frozen=True):
    """What does not change while a source is configured.

    interval: seconds. scope: see bandwidth_source_info. max_rate: bytes per second. contracts: of its lines.
    clients: how many may have series.
    """

    name: str
    kind: str
    scope: str
    interval: float
    max_rate: float
    contracts: tuple[Contract, ...] = ()
    clients: int = 20_000


@dataclass(slots=True)
class Health:
    """How the polls of a source went since the process started. Times are Unix seconds, durations seconds.

    down_since: steady time of the first failure since the last success. told: reasons of failures since then.
    """

    up: bool = False
    last_success: float | None = None
    duration: float | None = None
    polls: int = 0
    failures: Tally[str] = field(default_factory=Tally)
    bad_records: Tally[str] = field(default_factory=Tally)
    last_error: str = ""
    last_error_at: float | None = None
    down_since: float | None = None
    told: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Runtime:
    """All that the committer keeps of one source.

    waiting_gap: a silence whose bytes are still held back. leaves_at: steady time at which a silent source leaves.
    last_moved: when bytes of a client last moved, Unix seconds. met: subjects that were on the page once, where the
    meter goes on showing what left (`Poll.lasting`). known: see exporter.events. rows, rows_limit, over, notices: of
    the last poll. doubts: the kinds that the ledger had since the process started.
    """

    facts: SourceFacts
    memory: Memory
    stage: Stage
    tick_offset: float
    health: Health = field(default_factory=Health)
    events: Tally[tuple[str, str]] = field(default_factory=Tally)
    clients: dict[SubjectKey, Client] = field(default_factory=dict)
    gear: dict[SubjectKey, Gear] = field(default_factory=dict)
    lines: ClientLines = field(default_factory=ClientLines)
    waiting_gap: bool = False
    leaves_at: float = 0.0
    last_moved: dict[SubjectKey, float] = field(default_factory=dict)
    met: set[SubjectKey] = field(default_factory=set)
    known: Known = field(default_factory=Known)
    rows: int | None = None
    rows_limit: int | None = None
    over: int | None = None
    notices: tuple[str, ...] = ()
    doubts: set[str] = field(default_factory=set)
    recent: Recent = field(default_factory=Recent)

    def render(self, people: People, privacy: Privacy = OPEN) -> Blocks:
        """The source's part of the page: one block of lines for each family that has samples."""
        blocks = self._about_source()
        blocks.update(self._about_clients(people, privacy))
        for kind in KINDS:
            rows = ((key, count, self.gear.get(key)) for key, count in self.shown(kind))
            blocks.update(render_gear(self.facts.name, kind, rows, privacy))
        blocks.update(render_protocols(self.facts.name, self.shown("protocol"), self._client_protocols(), privacy))
        return blocks

    def leave(self) -> None:
        """The source's subjects leave the page; their totals stay, and what they showed."""
        self.stage.clear()
        self.clients, self.gear = {}, {}
        self.waiting_gap = False
        self.met.clear()
        self.rows = self.rows_limit = self.over = None
        self.notices = ()
        self.recent.clear()

    def meet(self, increases: Mapping[SubjectKey, Count], at: float) -> None:
        """Take in whose bytes moved in a poll at `at` (Unix seconds), where that alone tells who is there."""
        self.met = {subject for subject in increases if subject.kind in ("client", "client_protocol")}
        self.last_moved |= {
            subject: at for subject, count in increases.items() if subject.kind == "client" and count != ZERO
        }

    def shown(self, kind: str) -> Iterator[tuple[SubjectKey, Count | None]]:
        """The subjects of a kind that are on the page, each with the count it shows."""
        memory = self.memory
        return ((key, shown_count(memory, key)) for key in self.stage.present if key.kind == kind)

    def _client_protocols(self) -> Iterator[tuple[SubjectKey, Count | None]]:
        """Of clients that are on the page: what has series has its info series beside them."""
        present = self.stage.present
        return (
            (key, count)
            for key, count in self.shown("client_protocol")
            if SubjectKey("client", key.site, key.key.partition("|")[0]) in present
        )

    def _about_source(self) -> dict[str, bytes]:
        facts, health, name = self.facts, self.health, self.facts.name
        sites = [(key.site, count) for key, count in self.shown("site") if count is not None]
        events = {(kind, reason): 0 for kind in COUNTED_KINDS for reason in REASONS} | dict(self.events)
        rows: list[tuple[Family, list[tuple[tuple[str, ...], float]]]] = [
            (metrics.SITE_DOWNLOAD, [((name, site), count.download) for site, count in sites]),
            (metrics.SITE_UPLOAD, [((name, site), count.upload) for site, count in sites]),
            (metrics.SOURCE_INFO, [((name, facts.kind, facts.scope), 1)]),
            (metrics.SOURCE_UP, [((name,), int(health.up))]),
            (metrics.SOURCE_LAST_SUCCESS, _one(name, health.last_success)),
            (metrics.SOURCE_DURATION, _one(name, health.duration)),
            (metrics.SOURCE_INTERVAL, [((name,), facts.interval)]),
            (metrics.SOURCE_POLLS, [((name,), health.polls)]),
            (metrics.SOURCE_POLL_FAILURES, [((name, reason), count) for reason, count in health.failures.items()]),
            (metrics.SOURCE_BAD_RECORDS, [((name, reason), count) for reason, count in health.bad_records.items()]),
            (metrics.SOURCE_GAPS, [((name,), self.memory.source.gaps - self.waiting_gap)]),
            (metrics.CLIENTS_OVER, _one(name, self.over)),
            (metrics.NLBWMON_ROWS, _one(name, self.rows)),
            (metrics.NLBWMON_ROWS_LIMIT, _one(name, self.rows_limit)),
            *_contracts(name, facts.contracts),
            (metrics.COUNTER_EVENTS, [((name, *event), count) for event, count in events.items()]),
        ]
        return {family.name: samples(family, series) for family, series in rows if series}

    def _about_clients(self, people: People, privacy: Privacy) -> dict[str, bytes]:
        rows = ((key, count, self.clients.get(key) or Client(key.site, key.key)) for key, count in self.shown("client"))
        return self.lines.render(self.facts.name, rows, self.memory.since, people, privacy)


def _contracts(
    name: str, contracts: Iterable[Contract]
) -> Iterator[tuple[Family, list[tuple[tuple[str, ...], float]]]]:
    contracts = tuple(contracts)
    for family, way in ((metrics.WAN_CONTRACT_DOWNLOAD, "download"), (metrics.WAN_CONTRACT_UPLOAD, "upload")):
        rates = [((name, line.site, line.wan), getattr(line, way)) for line in contracts]
        yield family, [(who, rate) for who, rate in rates if rate is not None]


def _one(name: str, value: float | None) -> list[tuple[tuple[str, ...], float]]:
    return [] if value is None else [((name,), value)]
