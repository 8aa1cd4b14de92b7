"""`top` and `report`: what the archive in the state says, for people and for programs. Reads beside a running exporter.

Days, weeks and months are those of the archive, by the time zone that its days are cut by. Bytes are in powers of 1000,
as on bills.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from math import ceil
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from exporter.accounting.analytics import Direction, Moved, Trend, top, trend
from exporter.accounting.buckets import BUCKET, share
from exporter.accounting.days import date_of, day_from, day_of, day_start
from exporter.accounting.percentile import Percentile, percentile
from exporter.accounting.periods import DAILY, Cycle, Period, period_of
from exporter.accounting.reconcile import Measured, Pair, Reconciliation, reconcile
from exporter.configured import SCOPES, people_of
from exporter.model import Client
from exporter.naming import People
from exporter.privacy import OPEN, Privacy, privacy_of
from exporter.store import queries
from exporter.store.errors import StateError
from exporter.store.forget import pseudonym_key
from exporter.store.forget import reading as reading_state
from exporter.store.queries import History, Subject

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from exporter.config import Config

CYCLES: Final = {"today": DAILY, "week": "monday", "month": "1"}
BY: Final = ("client", "owner", "category", "protocol")


class UnclearError(Exception):
    """What the user asks for does not exist; the message says what does."""


class Row(Struct, frozen=True):
    """One of the top. name: how it is called, address: its MAC, IP or pseudonym if it is a client.

    share: of the bytes of all, 0 to 1. trend and change: see exporter.accounting.analytics.trend.
    """

    rank: int
    name: str
    address: str
    download: int
    upload: int
    share: float
    trend: str
    change: float | None


class Top(Struct, frozen=True):
    """Who moved most. start, end: Unix seconds; days are cut by `timezone`. others: how many are not in `rows`."""

    period: str
    start: int
    end: int
    timezone: str
    by: str
    source: str | None
    download: int
    upload: int
    rows: tuple[Row, ...]
    others: int


class Day(Struct, frozen=True):
    """What the clients of a source, and its lines, moved on a day."""

    date: str
    clients: Pair
    line: Pair | None


class Billed(Struct, frozen=True):
    """The 95th percentile of a line, or of the clients where no line is metered. since, until: of what it is, in Unix
    seconds; whole: that is all of the period.
    """

    line: str
    since: int
    until: int
    whole: bool
    percentile: Percentile


class Report(Struct, frozen=True):
    """A period of one source."""

    period: str
    start: int
    end: int
    timezone: str
    source: str
    days: tuple[Day, ...]
    top: Top
    billed: tuple[Billed, ...]
    reconciliation: Reconciliation


def period_named(text: str, now: float, zone: ZoneInfo) -> Period:
    """today, week, month, or a month as 2026-07. Raises UnclearError."""
    if text in CYCLES:
        return period_of(Cycle(CYCLES[text], zone), now)
    found = re.fullmatch(r"([0-9]{4})-(0[1-9]|1[0-2])", text)
    if found is None or found[1] == "0000" or text == "9999-12":
        raise UnclearError(f"There is no period {text!r}. Write today, week, month, or a month as 2026-07.")
    year, month = int(found[1]), int(found[2])
    days = date(year, month, 1), date(year + month // 12, month % 12 + 1, 1)
    return Period(*(day_start(day_from(day), zone) for day in days))


def make_top(config: Config, period: str, by: str, source: str | None, most: int, now: float) -> Top:
    """Raises UnclearError and StateError."""
    if by not in BY:
        raise UnclearError(f"There is no --by {by!r}. Write {', '.join(BY)}.")
    with _asking(config, now) as asker:
        asker.sources(source)
        return asker.top(period, by, source, most)


def make_report(config: Config, period: str, source: str | None, most: int, now: float) -> Report:
    """Raises UnclearError and StateError."""
    with _asking(config, now) as asker:
        names = asker.sources(source)
        if len(names) != 1:
            raise UnclearError(f"Say --source: the state knows {', '.join(names) or 'none'}.")
        return asker.report(period, names[0], most)


@contextmanager
def _asking(config: Config, now: float) -> Iterator[_Asker]:
    privacy = OPEN
    if config.privacy.hash_mac or not config.privacy.names:
        with reading_state(config.state) as connection:
            key = pseudonym_key(connection)
        if key is None:
            raise StateError(
                f"state file {config.state}: it has no key for pseudonyms yet. The exporter makes it at its next start."
            )
        made = key
        privacy = privacy_of(config.privacy.names, config.privacy.hash_mac, lambda: made)
    scopes = {entry.name: SCOPES[entry.kind] for entry in config.sources}
    with queries.reading(config.state) as history:
        yield _Asker(history, privacy, people_of(config), scopes, now)


@dataclass(frozen=True, slots=True)
class _Asker:
    """scopes: what each source of the configuration meters. now: Unix seconds."""

    history: History
    privacy: Privacy
    people: People
    scopes: Mapping[str, str]
    now: float

    def sources(self, only: str | None) -> list[str]:
        """Those that the state knows. Raises UnclearError where `only` is none of them."""
        named = queries.subjects(self.history, ["site", "wan", "client"]).values()
        names = sorted({each.source for each in named})
        if only is None:
            return names
        if only not in names:
            raise UnclearError(f"The state knows no source {only!r}. It knows: {', '.join(names) or 'none'}.")
        return [only]

    def top(self, period: str, by: str, source: str | None, most: int) -> Top:
        """See Top."""
        bounds = period_named(period, self.now, self.history.zone)
        named = queries.subjects(self.history, ["site" if by == "protocol" else by], source)
        names = {number: each.key for number, each in named.items()}

        def moved(start: int, end: int) -> dict[str, Moved]:
            sums = queries.totals(self.history, start, end, classes=by == "protocol")
            pairs = queries.by_class(sums, names) if by == "protocol" else queries.by_name(sums, names)
            return {name: Moved(name, *pair) for name, pair in pairs.items() if sum(pair) > 0}

        rows = moved(*bounds)
        ranked = top(rows.values(), most)
        changed = self._trends(bounds, rows, moved)
        return Top(
            period,
            *bounds,
            self.history.zone.key,
            by,
            source,
            sum(row.download for row in rows.values()),
            sum(row.upload for row in rows.values()),
            tuple(
                Row(
                    rank,
                    self._name(each.name, by),
                    self.privacy.address(each.name) if by == "client" else "",
                    each.download,
                    each.upload,
                    part,
                    changed(each.name).direction.value,
                    changed(each.name).change,
                )
                for rank, each, part in ranked
            ),
            len(rows) - len(ranked),
        )

    def _name(self, key: str, by: str) -> str:
        """Of clients the configuration alone knows names: the state has none."""
        if by != "client":
            return self.privacy.text(key)
        if not (key in self.people and self.people[key].name):
            return self.privacy.address(key)
        return self.privacy.client(Client("", key, mac=key), self.people).name

    def _trends(
        self, bounds: Period, rows: Mapping[str, Moved], moved: Callable[[int, int], dict[str, Moved]]
    ) -> Callable[[str], Trend]:
        """How what has passed of a period compares with as much of the one before.

        A day is compared as far as it has gone; a week or a month by its days that are over.
        """
        zone, (start, end) = self.history.zone, bounds
        first, last = day_of(start, zone), day_of(end, zone)
        here = min(end, ceil(self.now / BUCKET) * BUCKET)
        if last - first == 1:
            before = day_start(first - 1, zone)
            then = before, min(before + here - start, start)
        else:
            over = min(last, day_of(max(here, start), zone)) - first
            previous = period_of(Cycle("monday" if last - first == 7 else "1", zone), start)
            begun = day_of(previous.start, zone)
            here, then = day_start(first + over, zone), (previous.start, min(day_start(begun + over, zone), start))
        kept = queries.kept_since(self.history)
        reach = kept.day if last - first > 1 or kept.five_minutes is None else day_of(kept.five_minutes, zone)
        if here <= start or then[1] <= then[0] or reach is None or reach > day_of(then[0], zone):
            return lambda _: Trend(Direction.UNKNOWN, None)
        earlier, until = moved(*then), rows if here == end else moved(start, here)
        nobody = Moved("", 0, 0)
        return lambda name: trend(until.get(name, nobody).both, earlier.get(name, nobody).both)

    def report(self, period: str, source: str, most: int) -> Report:
        """See Report."""
        bounds = period_named(period, self.now, self.history.zone)
        lines = queries.subjects(self.history, ["wan"], source)
        sites = queries.subjects(self.history, ["site"], source)
        billed = {number: each.key for number, each in lines.items()} or dict.fromkeys(sites, "all clients")
        return Report(
            period,
            *bounds,
            self.history.zone.key,
            source,
            tuple(self._days(bounds, lines, sites)),
            self.top(period, "client", source, most),
            tuple(each for number, name in billed.items() if (each := self._billed(number, name, bounds))),
            reconcile(self._measured(source, bounds, lines, sites)),
        )

    def _days(self, bounds: Period, lines: Collection[int], sites: Collection[int]) -> Iterator[Day]:
        zone = self.history.zone
        first = day_of(bounds.start, zone)
        last = min(day_of(bounds.end, zone) - 1, day_of(int(self.now), zone))
        clients = queries.days(self.history, sites, first, last) if last >= first else {}
        line = queries.days(self.history, lines, first, last) if last >= first and lines else {}
        for day in range(first, last + 1):
            yield Day(
                date_of(day).isoformat(),
                Pair(*clients.get(day, (0, 0))),
                Pair(*line.get(day, (0, 0))) if lines else None,
            )

    def _billed(self, number: int, name: str, bounds: Period) -> Billed | None:
        """None where no five minutes of the period are kept."""
        kept, newest = queries.five_minutes(self.history)
        if kept is None or newest is None:
            return None
        since, until = max(bounds.start, kept), min(bounds.end, newest + BUCKET)
        if since >= until:
            return None
        of = percentile(
            since,
            until,
            queries.bins(self.history, [number], since, until),
            queries.silences(self.history, [number], since, until),
        )
        return Billed(self.privacy.text(name), since, until, (since, until) == bounds, of)

    def _measured(
        self, source: str, bounds: Period, lines: Mapping[int, Subject], sites: Mapping[int, Subject]
    ) -> Measured:
        sums = queries.totals(self.history, *bounds)

        def of(named: Mapping[int, Subject]) -> Pair:
            pairs = [sums.get((number, "all"), (0, 0)) for number in named]
            return Pair(sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs))

        silences = queries.silences(self.history, list(lines or sites), *bounds)
        silent = [
            sum(
                share(each[side], each.began, each.ended, bounds.end)
                - share(each[side], each.began, each.ended, bounds.start)
                for each in silences
            )
            for side in (2, 3)
        ]
        since = queries.kept_since(self.history).day
        return Measured(
            self.scopes.get(source, "attached"),
            of(lines) if lines else None,
            of(sites),
            Pair(*silent),
            len({each[:2] for each in silences}),
            partial=self.now < bounds.end or since is None or since > day_of(bounds.start, self.history.zone),
        )
