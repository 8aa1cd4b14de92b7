"""One source while the process runs: its memory, its place on the page, its health, and the text of all that."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from msgspec import Struct

from exporter import metrics
from exporter.exposition import Blocks, labels, number, samples
from exporter.ledger import REASONS
from exporter.metrics import FAMILIES, Family
from exporter.model import Client, Count, Memory, SubjectKey
from exporter.naming import People, person_of
from exporter.series import Stage, shown_count

COUNTED_KINDS = ("client",)
"""Kinds of counters that a source can have; their events are on the page from the start, at 0."""


class SourceFacts(Struct, frozen=True):
    """What does not change while a source is configured. interval: seconds. scope: see bandwidth_source_info."""

    name: str
    kind: str
    scope: str
    interval: float
    max_rate: float


@dataclass(slots=True)
class Health:
    """How the polls of a source went since the process started. Times are Unix seconds, durations seconds."""

    up: bool = False
    last_success: float | None = None
    duration: float | None = None
    polls: int = 0
    failures: Tally[str] = field(default_factory=Tally)
    bad_records: Tally[str] = field(default_factory=Tally)
    last_error: str = ""
    last_error_at: float | None = None


@dataclass(slots=True)
class Runtime:
    """All that the committer keeps of one source. `waiting_gap`: a silence whose bytes are still held back."""

    facts: SourceFacts
    memory: Memory
    stage: Stage
    tick_offset: float
    health: Health = field(default_factory=Health)
    events: Tally[tuple[str, str]] = field(default_factory=Tally)
    clients: dict[SubjectKey, Client] = field(default_factory=dict)
    waiting_gap: bool = False
    committed_at: float | None = None

    def render(self, people: People) -> Blocks:
        """The source's part of the page: one block of lines for each family that has samples."""
        blocks = self._about_source()
        blocks.update(self._about_clients(people))
        return blocks

    def shown(self, kind: str) -> Iterator[tuple[SubjectKey, Count | None]]:
        """The subjects of a kind that are on the page, each with the count it shows."""
        memory = self.memory
        return ((key, shown_count(memory, key)) for key in self.stage.present if key.kind == kind)

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
            (metrics.COUNTER_EVENTS, [((name, *event), count) for event, count in events.items()]),
        ]
        return {family.name: samples(family, series) for family, series in rows if series}

    def _about_clients(self, people: People) -> dict[str, bytes]:
        lines: dict[str, list[str]] = {family.name: [] for family in FAMILIES if "client" in family.labels}
        values = [(lines[family.name], family.name, value) for family, value in _CLIENT_VALUES]
        counts = [(lines[family.name], family.name, value) for family, value in _CLIENT_COUNTS]
        info = lines[metrics.CLIENT_INFO.name]
        connection = lines[metrics.CLIENT_CONNECTION_INFO.name]
        source = self.facts.name
        for key, count in self.shown("client"):
            client = self.clients.get(key) or Client(key.site, key.key)
            who = (source, key.site, key.key)
            braces = labels(metrics.CLIENT_CONNECTED, who)
            if count is not None:
                for block, name, value_of_count in counts:
                    block.append(f"{name}{braces} {value_of_count(count)}\n")
            for block, name, value_of_client in values:
                value = value_of_client(client)
                if value is not None:
                    block.append(f"{name}{braces} {number(value)}\n")
            info.append(_info_line(who, client, people))
            connection.append(_connection_line(who, client))
        return {name: "".join(block).encode() for name, block in lines.items() if block}


def _one(name: str, value: float | None) -> list[tuple[tuple[str, ...], float]]:
    return [] if value is None else [((name,), value)]


def _info_line(who: tuple[str, ...], client: Client, people: People) -> str:
    person = person_of(client, people)
    values = (*who, client.mac, person.name, person.owner, client.vendor, person.category)
    return f"{metrics.CLIENT_INFO.name}{labels(metrics.CLIENT_INFO, values)} 1\n"


def _connection_line(who: tuple[str, ...], client: Client) -> str:
    guest = "true" if client.guest else "false"
    values = (*who, client.connection, client.network, client.ssid, client.ap, client.ip, guest)
    return f"{metrics.CLIENT_CONNECTION_INFO.name}{labels(metrics.CLIENT_CONNECTION_INFO, values)} 1\n"


def _connected(client: Client) -> float | None:
    return None if client.connected is None else int(client.connected)


_CLIENT_COUNTS: tuple[tuple[Family, Callable[[Count], int]], ...] = (
    (metrics.CLIENT_DOWNLOAD_BYTES, lambda count: count.download),
    (metrics.CLIENT_UPLOAD_BYTES, lambda count: count.upload),
    (metrics.CLIENT_DOWNLOAD_PACKETS, lambda count: count.download_packets),
    (metrics.CLIENT_UPLOAD_PACKETS, lambda count: count.upload_packets),
)
_CLIENT_VALUES: tuple[tuple[Family, Callable[[Client], float | None]], ...] = (
    (metrics.CLIENT_CONNECTED, _connected),
    (metrics.CLIENT_LAST_SEEN, lambda client: client.last_seen),
    (metrics.CLIENT_SIGNAL, lambda client: client.signal_dbm),
    (metrics.CLIENT_SATISFACTION, lambda client: client.satisfaction_ratio),
    (metrics.CLIENT_REPORTED_DOWNLOAD, lambda client: client.reported_download),
    (metrics.CLIENT_REPORTED_UPLOAD, lambda client: client.reported_upload),
)
