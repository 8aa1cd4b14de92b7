"""What moved since today, this week, this month and every quota began: gauges for the page, and rows for people.

An account is a total, less what it was when the period began. The latter is asked of the archive once, when a source is
opened; from then on it changes only where a period begins. So a poll costs as much as it changes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Final, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from exporter import metrics
from exporter.accounting.buckets import span
from exporter.accounting.groups import GROUPS
from exporter.accounting.growth import growth, opening
from exporter.accounting.periods import DAILY, Cycle, Period, period_of
from exporter.accounting.quotas import Quota, Standing, as_percent, standing
from exporter.exposition import Blocks, labels, samples
from exporter.logs import FAULT
from exporter.metrics import Family
from exporter.model import ZERO, Changes, Count, Source, SubjectKey
from exporter.privacy import Privacy
from exporter.runtime import Runtime
from exporter.store import StateError

log = logging.getLogger(__name__)

KINDS: Final = frozenset({"site", "wan", *GROUPS})
"""Subjects that always have accounts. Clients have some where a quota names them."""

SITE: Final = "site"

Who = tuple[str, ...]
"""The values of the labels of a gauge over a period."""


class History(Protocol):
    """What is needed of exporter.store.State."""

    def openings(
        self, name: str, subjects: Collection[SubjectKey], starts: Collection[int]
    ) -> Mapping[int, Mapping[SubjectKey, Count]]: ...


class Terms(Struct, frozen=True):
    """What is accounted for. zone: by whose midnight days, weeks and months begin."""

    zone: ZoneInfo
    quotas: tuple[Quota, ...] = ()

    def periods(self) -> dict[str, Cycle]:
        """The periods that every subject is accounted for in, by name. Weeks begin on Monday."""
        return {"today": Cycle(DAILY, self.zone), "week": Cycle("monday", self.zone), "month": Cycle("1", self.zone)}

    def cycles(self) -> set[Cycle]:
        """All that has to be known of a source."""
        return {*self.periods().values(), *(quota.cycle for quota in self.quotas)}

    def accounted(self, totals: Mapping[SubjectKey, Count]) -> dict[SubjectKey, Count]:
        """The totals of subjects that have accounts."""
        clients = {quota.subject for quota in self.quotas if quota.scope == "client"}
        return {
            key: total
            for key, total in totals.items()
            if key.kind in KINDS or (key.kind == "client" and key.key in clients)
        }


class _Opening(NamedTuple):
    """The latest period of a source's polls, and the totals that it began with."""

    period: Period
    counts: Mapping[SubjectKey, Count]


@dataclass(slots=True)
class _Account:
    """A source. lines: its samples of both families, fit until a period ends at `until`; None where they changed.

    by_name: the subjects of each kind and key, whatever their site.
    """

    scope: str
    totals: dict[SubjectKey, Count]
    openings: dict[Cycle, _Opening]
    by_name: dict[tuple[str, str], list[SubjectKey]] = field(default_factory=dict)
    lines: tuple[bytes, bytes] | None = None
    until: float = -inf

    def grow(self, totals: Mapping[SubjectKey, Count]) -> None:
        """Take over totals that changed."""
        self.totals.update(totals)
        for subject in totals:
            known = self.by_name.setdefault((subject.kind, subject.key), [])
            if subject not in known:
                known.append(subject)

    def of(self, quota: Quota) -> Iterator[SubjectKey]:
        """The subjects that a quota is for."""
        for subject in self.by_name.get(_named(quota), ()):
            if quota.scope != "wan" or subject.site == quota.site:
                yield subject

    def moved(self, subject: SubjectKey, cycle: Cycle, current: Period) -> Count:
        """Bytes since `current` began; where no poll came since, none."""
        opening = self.openings.get(cycle)
        if opening is None or opening.period.end <= current.start:
            return ZERO
        total, begun = self.totals[subject], opening.counts.get(subject, ZERO)
        return Count(total.download - begun.download, total.upload - begun.upload)


class Accounts:
    """Changed by the committer's thread alone; `standings` and `left_out` may be asked by any."""

    def __init__(self, history: History, terms: Terms) -> None:
        self._history = history
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}
        self._privacy: Privacy | None = None
        self.terms = terms

    def adjust(self, terms: Terms) -> None:
        """Account for something else. Where that is so, all sources have to be opened anew."""
        with self._lock:
            if terms != self.terms:
                self.terms = terms
                self._accounts = {}

    def open(self, runtimes: Mapping[str, Runtime]) -> None:
        """Begin with those of these sources that have no accounts, as they were committed last."""
        for name, runtime in runtimes.items():
            if name not in self._accounts:
                self._open(runtime)

    def _open(self, runtime: Runtime) -> None:
        """Where history cannot be read, that is said, and it has none until it is asked for again."""
        facts, source, terms = runtime.facts, runtime.memory.source, self.terms
        totals = terms.accounted(runtime.memory.totals)
        periods = {cycle: period_of(cycle, ceil(source.at)) for cycle in terms.cycles()} if source.number else {}
        try:
            begun = self._history.openings(facts.name, totals.keys(), {period.start for period in periods.values()})
        except StateError as error:
            log.warning("%s: it has no part in periods and quotas until this is mended: %s", facts.name, error)
            return
        opened = {cycle: _Opening(period, begun[period.start]) for cycle, period in periods.items()}
        account = _Account(facts.scope, {}, opened)
        account.grow(totals)
        with self._lock:
            self._accounts = {**self._accounts, facts.name: account}

    def close(self, name: str) -> None:
        """A source that is no longer configured, or has to be opened anew."""
        with self._lock:
            self._accounts = {other: account for other, account in self._accounts.items() if other != name}

    def take(self, name: str, before: Source, changes: Changes) -> None:
        """What a poll changed, once it is durable. before: the source as of the poll before it.

        A fault of ours costs the source its accounts until they are opened anew, and no bytes.
        """
        try:
            self._take(name, before, changes)
        except Exception:
            log.exception("%s: %s", name, FAULT)
            self.close(name)

    def _take(self, name: str, before: Source, changes: Changes) -> None:
        account = self._accounts.get(name)
        if account is None or changes.source.number == before.number:
            return
        after, terms = changes.source, self.terms
        over = span(before.at if before.number else None, after.at, after.tick - before.tick)
        grown = terms.accounted(changes.totals)
        begun: dict[int, Mapping[SubjectKey, Count]] = {}
        with self._lock:
            for cycle in terms.cycles():
                known = account.openings.get(cycle)
                if known is None or over.end > known.period.end:
                    period = period_of(cycle, over.end)
                    if period.start not in begun:
                        added = growth(before, account.totals, replace(changes, totals=grown))
                        begun[period.start] = opening(account.totals, added, period.start)
                    account.openings[cycle] = _Opening(period, begun[period.start])
            account.grow(grown)
            if grown or begun:
                account.lines = None

    def blocks(self, now: float, privacy: Privacy) -> Blocks:
        """The gauges at `now`, Unix seconds."""
        with self._lock:
            if privacy is not self._privacy:
                self._privacy = privacy
                for account in self._accounts.values():
                    account.lines = None
            current = {cycle: period_of(cycle, now) for cycle in self.terms.cycles()}
            downloads, uploads = [], []
            for name, account in self._accounts.items():
                if account.lines is None or account.until < now:
                    account.lines, account.until = self._render(name, account, current, privacy)
                downloads.append(account.lines[0])
                uploads.append(account.lines[1])
            both = _lines(self._of_all(current, privacy))
            standings = [
                (privacy.text(quota.name), quota, self._standing(quota, now, current)) for quota in self.terms.quotas
            ]
        blocks = {
            metrics.PERIOD_DOWNLOAD.name: b"".join([*downloads, both[0]]),
            metrics.PERIOD_UPLOAD.name: b"".join([*uploads, both[1]]),
            **_of_quotas(standings),
        }
        return {name: block for name, block in blocks.items() if block}

    def standings(self, now: float) -> list[tuple[Quota, Standing]]:
        """Every quota and where it stands at `now`, in the order of the configuration."""
        with self._lock:
            current = {quota.cycle: period_of(quota.cycle, now) for quota in self.terms.quotas}
            return [(quota, self._standing(quota, now, current)) for quota in self.terms.quotas]

    def left_out(self) -> tuple[str, ...]:
        """Sources that quotas of clients, owners, categories and of all do not count: see `_counting`."""
        with self._lock:
            if all(quota.source for quota in self.terms.quotas):
                return ()
            counting = self._counting()
            return tuple(name for name in self._accounts if name not in counting)

    def _counting(self) -> dict[str, _Account]:
        """The sources whose sums make sense together.

        One of scope attached counts the same bytes a second time, and those that never leave the house. So where there
        are sources of scope internet, they alone count.
        """
        internet = {name: account for name, account in self._accounts.items() if account.scope == "internet"}
        return internet or self._accounts

    def _render(
        self, name: str, account: _Account, current: Mapping[Cycle, Period], privacy: Privacy
    ) -> tuple[tuple[bytes, bytes], float]:
        """The samples of a source, and until when they are fit."""
        always = list(self.terms.periods().items())
        named: dict[SubjectKey, list[tuple[str, Cycle]]] = {}
        for quota in self.terms.quotas:
            if quota.scope != "all" and name in self._concerned(quota):
                for subject in account.of(quota):
                    named.setdefault(subject, []).append((quota.name, quota.cycle))
        sums: list[tuple[Who, Count]] = []
        for subject in account.totals:
            shown = privacy.key(subject) if subject.kind == "client" else privacy.text(subject.key)
            scope = "source" if subject.kind == SITE else subject.kind
            for period, cycle in (*always, *named.get(subject, ())):
                who = (scope, name, subject.site, shown, privacy.text(period))
                sums.append((who, account.moved(subject, cycle, current[cycle])))
        return _lines(sums), min(period.end for period in current.values())

    def _of_all(self, current: Mapping[Cycle, Period], privacy: Privacy) -> Iterator[tuple[Who, Count]]:
        """The sums over sources."""
        if not self._accounts:
            return
        quotas = {quota.name: quota.cycle for quota in self.terms.quotas if quota.scope == "all"}
        for name, cycle in (self.terms.periods() | quotas).items():
            moved = self._sum(Quota(name, "all", cycle, 1), current[cycle])
            yield ("all", "", "", "", privacy.text(name)), moved

    def _concerned(self, quota: Quota) -> dict[str, _Account]:
        """The sources that a quota counts."""
        if not quota.source:
            return self._counting()
        return {name: account for name, account in self._accounts.items() if name == quota.source}

    def _sum(self, quota: Quota, period: Period) -> Count:
        download = upload = 0
        for account in self._concerned(quota).values():
            for subject in account.of(quota):
                moved = account.moved(subject, quota.cycle, period)
                download, upload = download + moved.download, upload + moved.upload
        return Count(download, upload)

    def _standing(self, quota: Quota, now: float, current: Mapping[Cycle, Period]) -> Standing:
        period = current[quota.cycle]
        return standing(self._sum(quota, period), period, now, limit=quota.limit, count=quota.count)


def _named(quota: Quota) -> tuple[str, str]:
    """The kind and the key of the subjects that a quota is for."""
    return (SITE, "") if quota.scope in ("source", "all") else (quota.scope, quota.subject)


def _lines(sums: Iterable[tuple[Who, Count]]) -> tuple[bytes, bytes]:
    """The samples of both families. Names that are shown alike are one series: there may be no two of it."""
    series: dict[str, tuple[int, int]] = {}
    for who, moved in sums:
        shown = labels(metrics.PERIOD_DOWNLOAD, who)
        download, upload = series.get(shown, (0, 0))
        series[shown] = download + moved.download, upload + moved.upload
    down, up = metrics.PERIOD_DOWNLOAD.name, metrics.PERIOD_UPLOAD.name
    return (
        "".join([f"{down}{shown} {download}\n" for shown, (download, _) in series.items()]).encode(),
        "".join([f"{up}{shown} {upload}\n" for shown, (_, upload) in series.items()]).encode(),
    )


def _of_quotas(standings: Iterable[tuple[str, Quota, Standing]]) -> dict[str, bytes]:
    series: dict[Family, list[tuple[Who, float]]] = {}

    def say(family: Family, value: float | None, *who: str) -> None:
        if value is not None:
            series.setdefault(family, []).append((who, value))

    for name, quota, now in standings:
        say(metrics.QUOTA_LIMIT, quota.limit, name)
        say(metrics.QUOTA_USED, now.ratio, name)
        say(metrics.QUOTA_PROJECTED, now.projected, name)
        say(metrics.QUOTA_PERIOD_START, now.period.start, name)
        say(metrics.QUOTA_PERIOD_END, now.period.end, name)
        for threshold in quota.thresholds:
            say(metrics.QUOTA_THRESHOLD, threshold, name, as_percent(threshold))
    return {family.name: samples(family, rows) for family, rows in series.items()}
