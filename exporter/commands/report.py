"""`top` and `report`: what the archive in the state says, for people and for programs. Reads beside a running exporter.

Days, weeks and months are those of the archive, by the time zone that its days are cut by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from heapq import nlargest
from math import ceil, isfinite
from typing import TYPE_CHECKING, Final

from exporter.accounting.analytics import DAYS, Direction, Moved, Trend, anomaly, compare, top, trend
from exporter.accounting.buckets import BUCKET, HOUR, share
from exporter.accounting.days import date_of, day_of, day_start
from exporter.accounting.percentile import percentile
from exporter.accounting.periods import Cycle, Period, period_of
from exporter.accounting.reconcile import Measured, Pair, reconcile
from exporter.commands.answers import (
    Billed,
    Changed,
    Comparison,
    Day,
    Heading,
    Report,
    Row,
    Top,
    Unusual,
    Unusuals,
)
from exporter.commands.periods import UnclearError, period_named
from exporter.configured import SCOPES, people_of
from exporter.model import Client
from exporter.naming import People
from exporter.privacy import OPEN, Privacy, privacy_of
from exporter.store import queries
from exporter.store.errors import StateError
from exporter.store.forget import pseudonym_key
from exporter.store.forget import reading as reading_state
from exporter.store.queries import History, Subject
from exporter.store.usage import ALL, Place

if TYPE_CHECKING:
    from exporter.config import Config

BY: Final = ("client", "owner", "category", "protocol")

JUDGED: Final = 20
"""Clients of a report whose hours are compared with others: those that moved most."""


Moves = Callable[[int, int], dict[str, Moved]]
"""What each of some names moved in a period."""


def make_top(config: Config, period: str, by: str, source: str | None, most: int, now: float) -> Top:
    """Raises UnclearError and StateError."""
    if by not in BY:
        raise UnclearError(f"There is no --by {by!r}. Write {', '.join(BY)}.")
    with _asking(config, now) as asker:
        asker.sources(source)
        return asker.top(period, by, source, most)


def make_comparison(
    config: Config, period: str, against: str, by: str, source: str | None, most: int, now: float
) -> Comparison:
    """Raises UnclearError and StateError."""
    if by not in BY:
        raise UnclearError(f"There is no --by {by!r}. Write {', '.join(BY)}.")
    with _asking(config, now) as asker:
        asker.sources(source)
        return asker.comparison(period, against, by, source, most)


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
    """scopes: what each source of the configuration meters. now: Unix seconds. known: see `_totals`."""

    history: History
    privacy: Privacy
    people: People
    scopes: Mapping[str, str]
    now: float
    known: dict[tuple[int, int, bool], Mapping[Place, tuple[int, int]]] = field(default_factory=dict)

    def sources(self, only: str | None) -> list[str]:
        """Those that the state knows. Raises UnclearError where `only` is none of them."""
        named = queries.subjects(self.history, ["site", "wan", "client"]).values()
        names = sorted({each.source for each in named})
        if only is None:
            return names
        if only not in names:
            raise UnclearError(f"The state knows no source {only!r}. It knows: {', '.join(names) or 'none'}.")
        return [only]

    def _totals(self, start: int, end: int, *, classes: bool = False) -> Mapping[Place, tuple[int, int]]:
        """See queries.totals. A report asks for the same period again and again."""
        asked = start, end, classes
        if asked not in self.known:
            self.known[asked] = queries.totals(self.history, start, end, classes=classes)
        return self.known[asked]

    def top(self, period: str, by: str, source: str | None, most: int) -> Top:
        """See Top."""
        bounds = period_named(period, self.now, self.history.zone)
        moved = self._moved(by, source)
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
                    *self._shown(each.name, by),
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

    def comparison(self, period: str, against: str, by: str, source: str | None, most: int) -> Comparison:
        """See Comparison. Raises UnclearError."""
        now, before = (period_named(each, self.now, self.history.zone) for each in (period, against))
        self._is_kept(now, period)
        self._is_kept(before, against)
        moved = self._moved(by, source)
        rows = moved(*now), moved(*before)
        compared = compare(rows[1].values(), rows[0].values())
        return Comparison(
            period,
            *now,
            against,
            *before,
            self.history.zone.key,
            by,
            source,
            sum(row.both for row in rows[1].values()),
            sum(row.both for row in rows[0].values()),
            tuple(
                Changed(
                    *self._shown(each.name, by),
                    each.before,
                    each.now,
                    each.change,
                    each.trend.direction.value,
                    each.trend.change,
                )
                for each in compared[:most]
            ),
            max(0, len(compared) - most),
        )

    def _begins(self) -> int | None:
        """The first local day of which something is kept; None where nothing moved yet."""
        kept = queries.kept_since(self.history)
        if kept.day is None and kept.five_minutes is not None:  # no hour is made yet
            return day_of(kept.five_minutes, self.history.zone)
        return kept.day

    def _is_kept(self, bounds: Period, named: str) -> None:
        """Raises UnclearError where the archive does not reach back to a period."""
        since = self._begins()
        first = day_of(bounds.start, self.history.zone)
        if since is None or since > first:
            reaches = "is empty" if since is None else f"begins on {date_of(since)}"
            raise UnclearError(f"There is nothing to compare with in {named}: the archive {reaches}.")

    def _moved(self, by: str, source: str | None) -> Moves:
        named = queries.subjects(self.history, ["site" if by == "protocol" else by], source)
        names = {number: each.key for number, each in named.items()}

        def moved(start: int, end: int) -> dict[str, Moved]:
            sums = self._totals(start, end, classes=by == "protocol")
            pairs = queries.by_class(sums, names) if by == "protocol" else queries.by_name(sums, names)
            return {name: Moved(name, *pair) for name, pair in pairs.items() if sum(pair) > 0}

        return moved

    def _shown(self, key: str, by: str) -> tuple[str, str]:
        """Name and address of one of the rows."""
        return self._name(key, by), self.privacy.address(key) if by == "client" else ""

    def _name(self, key: str, by: str) -> str:
        """Of clients the configuration alone knows names: the state has none."""
        if by != "client":
            return self.privacy.text(key)
        if not (key in self.people and self.people[key].name):
            return self.privacy.address(key)
        return self.privacy.client(Client("", key, mac=key), self.people).name

    def _trends(self, bounds: Period, rows: Mapping[str, Moved], moved: Moves) -> Callable[[str], Trend]:
        """How what has passed of a period compares with as much of the one before.

        A day is compared as far as it has gone; any other period by its days that are over. Before a month comes the
        month before, else as many days as it has.
        """
        zone, (start, end) = self.history.zone, bounds
        first, last = day_of(start, zone), day_of(end, zone)
        here = min(end, ceil(self.now / BUCKET) * BUCKET)
        if last - first == 1:
            before = day_start(first - 1, zone)
            then = before, start if here == end else min(before + here - start, start)
        else:
            over = min(last, day_of(max(here, start), zone)) - first
            month = period_of(Cycle("1", zone), end) == bounds
            begun = day_of(period_of(Cycle("1", zone), start).start, zone) if month else 2 * first - last
            here = day_start(first + over, zone)
            then = day_start(begun, zone), min(day_start(begun + over, zone), start)
        kept = queries.kept_since(self.history)
        by_days = here == end or last - first > 1 or kept.five_minutes is None
        reach = kept.day if by_days else day_of(kept.five_minutes or 0, zone)
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
            tuple(self._headings(bounds, {"all clients": sites, "the line": lines})),
            self.top(period, "client", source, most),
            self._unusual(bounds, source, most, {**lines, **sites}),
            tuple(each for number, name in billed.items() if (each := self._billed(number, name, bounds))),
            reconcile(self._measured(source, bounds, lines, sites)),
        )

    def _headings(self, bounds: Period, whole: Mapping[str, Collection[int]]) -> Iterator[Heading]:
        named = {number: name for name, numbers in whole.items() for number in numbers}

        def moved(start: int, end: int) -> dict[str, Moved]:
            pairs = queries.by_name(self._totals(start, end), named)
            return {name: Moved(name, *pair) for name, pair in pairs.items()}

        changed = self._trends(bounds, moved(*bounds), moved)
        for name in dict.fromkeys(named.values()):
            yield Heading(name, changed(name).direction.value, changed(name).change)

    def _unusual(self, bounds: Period, source: str, most: int, whole: Mapping[int, Subject]) -> Unusuals:
        """Of lines, of all clients of a site, and of the clients that moved most."""
        clients = queries.subjects(self.history, ["client"], source)
        sums = self._totals(*bounds)
        largest = nlargest(JUDGED, clients, key=lambda number: sum(sums.get((number, ALL), (0, 0))))
        named = range(-(-bounds.start // HOUR) * HOUR, min(bounds.end, self.history.progress.hour), HOUR)
        judged, found = 0, list[tuple[float, Unusual]]()
        for number, each in [*whole.items(), *((number, clients[number]) for number in largest)]:
            who = self._shown(each.key, "client") if each.kind == "client" else (self._whole(each), "")
            for beside in queries.beside_earlier(self.history, [number], named, DAYS):
                usual = None if beside.moved is None else anomaly(beside.moved, beside.earlier)
                judged += usual is not None
                if usual is not None and usual.unusual:
                    score = usual.score if isfinite(usual.score) else None
                    hour = Unusual(beside.hour, *who, usual.moved, usual.median, score)
                    found.append((abs(usual.moved - usual.median), hour))
        found.sort(key=lambda each: (-each[0], each[1].hour, each[1].who))
        return Unusuals(tuple(hour for _, hour in found[:most]), max(0, len(found) - most), judged)

    def _whole(self, of: Subject) -> str:
        if of.kind == "wan":
            return self.privacy.text(of.key)
        return "all clients" + (f" of {self.privacy.text(of.site)}" if of.site else "")

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
        sums = self._totals(*bounds)

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
        since = self._begins()
        happened = queries.happened(self.history, source, ("baseline", "implausible"), *bounds)
        return Measured(
            self.scopes.get(source, "attached"),
            of(lines) if lines else None,
            of(sites),
            Pair(*silent),
            len({each[:2] for each in silences}),
            partial=self.now < bounds.end or since is None or since > day_of(bounds.start, self.history.zone),
            baselines=happened["baseline"],
            implausible=happened["implausible"],
        )
