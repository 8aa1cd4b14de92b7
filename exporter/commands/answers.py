"""What `top` and `report` answer: plain types, as `--json` prints them. Times are Unix seconds, amounts bytes."""

from __future__ import annotations

from msgspec import Struct

from exporter.accounting.percentile import Percentile
from exporter.accounting.reconcile import Pair, Reconciliation


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


class Changed(Struct, frozen=True):
    """Who moved how much in two periods. change: bytes more than before; trend and ratio: see analytics.trend."""

    name: str
    address: str
    before: int
    now: int
    change: int
    trend: str
    ratio: float | None


class Comparison(Struct, frozen=True):
    """Two periods beside each other, the largest change first. before, now: of all. others: how many are not in `rows`.

    against, against_start, against_end: the period that is compared with.
    """

    period: str
    start: int
    end: int
    against: str
    against_start: int
    against_end: int
    timezone: str
    by: str
    source: str | None
    before: int
    now: int
    rows: tuple[Changed, ...]
    others: int


class Heading(Struct, frozen=True):
    """How all clients, or the line, compare with as much of the period before. trend and change: as in Row."""

    of: str
    trend: str
    change: float | None


class Unusual(Struct, frozen=True):
    """An hour that is unlike the same hour of earlier days. who: a line, "all clients", or a client with its address.

    hour: its start. usual: the median of the earlier ones. score: see exporter.accounting.analytics.anomaly; None where
    it is infinite.
    """

    hour: int
    who: str
    address: str
    moved: int
    usual: float
    score: float | None


class Unusuals(Struct, frozen=True):
    """The hours of a period that are most unlike others, those that differ by most bytes first.

    others: how many more there are. judged: how many hours, of everybody together, had enough before them to tell.
    """

    hours: tuple[Unusual, ...]
    others: int
    judged: int


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
    trends: tuple[Heading, ...]
    top: Top
    unusual: Unusuals
    billed: tuple[Billed, ...]
    reconciliation: Reconciliation
