"""What it costs to ask an archive of five million rows: every view, query and analytic."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sized
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from benchmarks.stopwatch import cpu
from exporter.accounting.analytics import Compared, Moved, Ranked, Usual, anomaly, compare, top
from exporter.accounting.buckets import BUCKET, HOUR
from exporter.accounting.days import day_from, day_of, day_start
from exporter.accounting.percentile import Percentile, percentile
from exporter.store import State, calendar, queries

ZONE: Final = ZoneInfo("Europe/Berlin")
END: Final = 1_783_000_200
"""Unix seconds: 2 July 2026, 15:50 in Berlin."""

DAYS: Final = 14
LONG: Final = 92
"""Days of five minutes, and of hours and days."""

MOVING: Final = 0.62
"""The share of clients that move bytes in a bucket."""

VIEWS: Final = (
    "SELECT * FROM v_usage_daily WHERE date = '2026-06-20'",
    "SELECT * FROM v_usage_daily WHERE date = '2026-07-02'",
    "SELECT * FROM v_usage_daily",
    "SELECT * FROM v_usage_month WHERE month = '2026-06'",
    "SELECT * FROM v_usage_month",
    "SELECT * FROM v_top_clients WHERE month = '2026-06' AND rank <= 10",
    "SELECT * FROM v_bandwidth_summary",
)

SITE: Final = 1
WAN: Final = 2


def build(path: Path, rows: int) -> int:
    """An archive with so many rows in `usage`; how many clients that takes."""
    State.open(path).close()
    buckets = range(END - DAYS * 86_400, END, BUCKET)
    clients = max(1, round(rows / len(buckets) / MOVING) - 2)
    hour = (END - 600) // HOUR * HOUR - HOUR
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA synchronous = OFF")
        file.executemany(
            "INSERT INTO subject (id, source, kind, site, key, download, upload) VALUES (?, 'home', ?, ?, ?, ?, ?)",
            _subjects(clients),
        )
        file.execute("INSERT INTO source VALUES ('home', 'controller', 9, 9.0, ?, 3)", (float(END),))
        file.executemany("INSERT INTO usage VALUES (?, ?, 'all', ?, ?, 0)", _moved(buckets, clients, MOVING))
        file.executemany(
            "INSERT INTO hourly VALUES (?, ?, 'all', ?, ?, 0)",
            _moved(range(END // HOUR * HOUR - LONG * 86_400, hour, HOUR), clients, MOVING),
        )
        today = day_of(hour - BUCKET, ZONE)
        file.executemany(
            "INSERT INTO daily VALUES (?, ?, 'all', ?, ?, 0)", _moved(range(today - LONG, today + 1), clients, 1.0)
        )
        for began in (END - 80 * 86_400, END - 40 * 86_400, END - 5 * 86_400, END - 40_000):
            file.executemany(
                "INSERT INTO gap VALUES (?, ?, ?, 'all', ?, ?, 0)",
                ((began, began + 30_000, subject, down, up) for _, subject, down, up in _moved([0], clients, 1.0)),
            )
        file.execute("INSERT INTO meta (key, value) VALUES ('archive_hour', ?), ('timezone', ?)", (str(hour), ZONE.key))
        calendar.cover(file, today - LONG, today + 1, ZONE)
    return clients


def _subjects(clients: int) -> Iterator[tuple[int, str, str, str, int, int]]:
    yield SITE, "site", "default", "", 10**15, 10**14
    yield WAN, "wan", "default", "wan1", 10**15, 10**14
    for number in range(clients):
        octets = number.to_bytes(3, "big").hex(":")
        yield 3 + number, "client", "default", f"02:aa:bb:{octets}", 10**12, 10**11


def _moved(times: range | list[int], clients: int, share: float) -> Iterator[tuple[int, int, int, int]]:
    chance = random.Random(6)
    for at in times:
        for subject in range(1, clients + 3):
            if subject <= WAN or chance.random() < share:
                down = chance.randrange(1, 5_000_000)
                yield at, subject, down, down // 9


def main(rows: int, rounds: int) -> None:
    """Build an archive in a temporary folder and print how long each question takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bandwidth.db"
        clients = build(path, rows)
        print(f"{rows:,} rows of five minutes: {clients:,} clients, {DAYS} days; {LONG} of hours and of days")
        print(f"{path.stat().st_size / 2**20:.0f} MiB; CPU ms of the fastest of {rounds}, and rows")
        for name, seconds, found in _measure(path, rounds):
            print(f"  {name:62}{seconds * 1000:8.0f}{found:10,}")


def _measure(path: Path, rounds: int) -> Iterator[tuple[str, float, int]]:
    with closing(sqlite3.connect(path)) as file:
        for view in VIEWS:
            found = len(file.execute(view).fetchall())
            yield (
                view.removeprefix("SELECT * FROM "),
                cpu(lambda view=view: file.execute(view).fetchall(), rounds),
                found,
            )
    with queries.reading(path) as history:
        for name, ask in _questions(history).items():
            yield name, cpu(ask, rounds), len(ask())


def _questions(history: queries.History) -> dict[str, Callable[[], Sized]]:
    today = day_of(END, ZONE)
    june, july = (day_start(day_from(date(2026, month, 1)), ZONE) for month in (6, 7))
    midnight = day_start(today, ZONE)
    fortnight = range(END // BUCKET * BUCKET - DAYS * 86_400, END // BUCKET * BUCKET, BUCKET)
    clients = {number: each.key for number, each in queries.subjects(history, ["client"]).items()}

    def ranked() -> list[Ranked]:
        sums = queries.by_name(queries.totals(history, june, july), clients)
        return top([Moved(name, *pair) for name, pair in sums.items()], 10)

    def billed() -> list[Percentile]:
        period = fortnight.start, fortnight.stop
        bins, silences = queries.bins(history, [WAN], *period), queries.silences(history, [WAN], *period)
        return [percentile(*period, bins, silences)]

    def usual() -> list[Usual | None]:
        earlier = queries.earlier_hours(history, [3], END // HOUR * HOUR - 4 * HOUR, 28)
        return [anomaly(10**9, earlier)]

    def compared() -> list[Compared]:
        halves = (june, june + 15 * 86_400), (june + 15 * 86_400, july)
        before, now = (queries.by_name(queries.totals(history, *half), clients) for half in halves)
        return compare(*([Moved(name, *pair) for name, pair in each.items()] for each in (before, now)))

    return {
        "top clients of a month": ranked,
        "totals of today": lambda: queries.totals(history, midnight, day_start(today + 1, ZONE)),
        "totals of today until now, from five minutes": lambda: queries.totals(history, midnight, END),
        "two halves of a month compared, every client": compared,
        "days of a line, a month": lambda: queries.days(history, [WAN], today - 30, today),
        "95th percentile of a line, 14 days of five minutes": billed,
        "an hour of a client beside 28 days": usual,
    }
