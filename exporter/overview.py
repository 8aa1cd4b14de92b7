"""What a person sees first: the line now, who uses it, and what is not well. Plain rows; exporter.web makes a page."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from exporter.accounting.buckets import BUCKET
from exporter.accounting.quotas import BOTH, Quota, Standing
from exporter.model import Client, Count, SubjectKey, Wan
from exporter.naming import People
from exporter.people import by_owner
from exporter.privacy import Privacy
from exporter.recent import Rate
from exporter.runtime import Runtime

TOP: Final = 10
"""Clients in a list of the top ones."""

WORTH_TELLING: Final = ("implausible", "reset", "rollover", "rollback", "wrap", "dip", "clock")
"""Reasons of the ledger that tell something about a meter; the others come with every new client."""

Today = Mapping[SubjectKey, Count]
"""Bytes of each subject since midnight."""


class ClientRow(Struct, frozen=True):
    """One client in a list. share: of what all clients of the source moved, 0 to 1. where: how it is connected."""

    name: str
    owner: str
    where: str
    download: float
    upload: float
    share: float


class OwnerRow(Struct, frozen=True):
    """What somebody's clients moved today, all of them together."""

    name: str
    clients: int
    download: int
    upload: int


class LineRow(Struct, frozen=True):
    """A line to the outside. used_*: share of what is paid for, where the configuration says that."""

    name: str
    up: bool | None
    now: Rate
    used_download: float | None
    used_upload: float | None


class QuotaRow(Struct, frozen=True):
    """Where a quota stands. whom: whose bytes count. days: of the period, the last one included. Ratios of `limit`.

    passed: in words, that it is, or on which day it will be; "" where neither is so.
    """

    name: str
    whom: str
    days: str
    used: int
    limit: int
    ratio: float
    projected: float | None = None
    passed: str = ""


class SourceView(Struct, frozen=True):
    """One source. Times are Unix seconds, durations seconds, rates bytes per second.

    span: seconds that the rates are means over, 0 where there is none for now. held: series that wait for Prometheus.
    doubts: counters whose last value is not believed yet, by why. events: of WORTH_TELLING, since the start.
    today: None where no day is kept.
    """

    name: str
    kind: str
    scope: str
    up: bool
    polled: bool
    error: str
    error_at: float | None
    last_success: float | None
    duration: float | None
    interval: float
    notices: tuple[str, ...]
    clients: int
    span: float
    now: Rate
    today: Count | None
    lines: tuple[LineRow, ...]
    top_now: tuple[ClientRow, ...]
    top_today: tuple[ClientRow, ...]
    owners: tuple[OwnerRow, ...]
    held: int
    doubts: Mapping[str, int]
    gaps: int
    events: Mapping[str, int]
    rows: int | None
    rows_limit: int | None


def source_view(runtime: Runtime, people: People, privacy: Privacy, today: Today | None) -> SourceView:
    """A source as it is now. May be called from any thread: it takes copies of what the committer changes."""
    facts, health = runtime.facts, runtime.health
    rates = runtime.recent.rates() if health.up else {}
    clients = runtime.clients
    moved_today = {} if today is None else today
    return SourceView(
        name=facts.name,
        kind=facts.kind,
        scope=facts.scope,
        up=health.up,
        polled=health.polls > 0,
        error=privacy.text(health.last_error),
        error_at=health.last_error_at,
        last_success=health.last_success,
        duration=health.duration,
        interval=facts.interval,
        notices=tuple(map(privacy.text, runtime.notices)),
        clients=len(clients),
        span=runtime.recent.span if health.up else 0.0,
        now=_sum_of_rates(rates),
        today=None if today is None else _sum_of_counts(today),
        lines=tuple(_lines(runtime, rates)),
        top_now=_top(clients, people, privacy, {key: (rate.download, rate.upload) for key, rate in rates.items()}),
        top_today=_top(
            clients, people, privacy, {key: (count.download, count.upload) for key, count in moved_today.items()}
        ),
        owners=tuple(_owners(clients, people, privacy, moved_today)),
        held=len(runtime.memory.shown.copy()),
        doubts=Tally(counter.doubt for counter in list(runtime.memory.counters.values()) if counter.doubt),
        gaps=runtime.memory.source.gaps,
        events=_events(runtime),
        rows=runtime.rows,
        rows_limit=runtime.rows_limit,
    )


def _sum_of_rates(rates: Mapping[SubjectKey, Rate]) -> Rate:
    sums = [rate for subject, rate in rates.items() if subject.kind == "site"]
    return Rate(sum(rate.download for rate in sums), sum(rate.upload for rate in sums))


def _sum_of_counts(counts: Today) -> Count:
    sums = [count for subject, count in counts.items() if subject.kind == "site"]
    return Count(sum(count.download for count in sums), sum(count.upload for count in sums))


def _events(runtime: Runtime) -> Mapping[str, int]:
    events: Tally[str] = Tally()
    for (_kind, reason), number in runtime.events.copy().items():
        if reason in WORTH_TELLING and number:
            events[reason] += number
    return events


def _lines(runtime: Runtime, rates: Mapping[SubjectKey, Rate]) -> Iterable[LineRow]:
    contracts = {(contract.site, contract.wan): contract for contract in runtime.facts.contracts}
    wans = sorted((wan for wan in runtime.gear.copy().values() if isinstance(wan, Wan)), key=lambda wan: wan.subject)
    for wan in wans:
        now = rates.get(wan.subject, Rate())
        contract = contracts.get((wan.site, wan.wan))
        yield LineRow(
            f"{wan.site} {wan.wan}".strip(),
            wan.up,
            now,
            now.download / contract.download if contract and contract.download else None,
            now.upload / contract.upload if contract and contract.upload else None,
        )


def _top(
    clients: Mapping[SubjectKey, Client],
    people: People,
    privacy: Privacy,
    moved: Mapping[SubjectKey, tuple[float, float]],
) -> tuple[ClientRow, ...]:
    """The clients that moved most, the busiest first; of two alike, in the order of their keys."""
    ranked = sorted((-sum(both), key) for key, both in moved.items() if key.kind == "client" and any(both))
    whole = -sum(negative for negative, _ in ranked)
    rows: list[ClientRow] = []
    for negative, key in ranked[:TOP]:
        client = clients.get(key) or _gone(key)
        shown = privacy.client(client, people)
        rows.append(ClientRow(shown.name, shown.owner, _where(client, privacy), *moved[key], -negative / whole))
    return tuple(rows)


def _owners(clients: Mapping[SubjectKey, Client], people: People, privacy: Privacy, today: Today) -> Iterable[OwnerRow]:
    """Whoever the configuration names as an owner, with all his clients, those that left meanwhile as well."""
    left = (key for key in today if key.kind == "client" and key not in clients)
    everybody = [*clients.items(), *((key, _gone(key)) for key in left)]
    for group in by_owner(((client, today.get(key)) for key, client in everybody), people):
        if group.name:
            yield OwnerRow(privacy.text(group.name), group.clients, group.total.download, group.total.upload)


def _gone(key: SubjectKey) -> Client:
    """Who is no longer shown: all that is known is the key, which is the MAC where there is one."""
    return Client(key.site, key.key, key.key)


def _where(client: Client, privacy: Privacy) -> str:
    """How a client is connected, in a few words. A meter that does not know says nothing."""
    if client.connection == "unknown":
        return privacy.ip(client.ip)
    where = client.ssid or client.network if client.connection == "wireless" else client.network
    words = f"{client.connection}, {where}" if where else client.connection
    return words if client.connected is not False else f"{words}, away"


def quota_rows(standings: Iterable[tuple[Quota, Standing]], people: People, privacy: Privacy) -> tuple[QuotaRow, ...]:
    """Every quota as it stands, in the order of the configuration."""
    rows = []
    for quota, now in standings:
        zone, (start, end) = quota.cycle.zone, now.period
        first, last = _date(start, zone), _date(end - BUCKET, zone)
        passed = ""
        if now.ratio >= 1:
            passed = "used up"
        elif now.passed_at is not None:
            passed = f"will be used up on {_date(now.passed_at, zone)}"
        rows.append(
            QuotaRow(
                privacy.text(quota.name),
                _whom(quota, people, privacy),
                first if first == last else f"{first} to {last}",
                now.used,
                quota.limit,
                now.ratio,
                now.projected,
                passed,
            )
        )
    return tuple(rows)


def _date(at: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at, zone).date().isoformat()


def _whom(quota: Quota, people: People, privacy: Privacy) -> str:
    words = {
        "owner": f"owner {privacy.text(quota.subject)}",
        "category": f"category {privacy.text(quota.subject)}",
        "wan": f"line {quota.source} {quota.site} {quota.subject}",
        "source": f"all clients of {quota.source}",
        "all": "all clients",
    }
    if quota.scope == "client":
        whom = privacy.client(Client("", quota.subject, quota.subject), people).name
    else:
        whom = " ".join(words[quota.scope].split())
    return whom if quota.count == BOTH else f"{whom}, {quota.count} alone"
