"""What it costs to ask an archive of five million rows: every view, query and analytic."""

from __future__ import annotations

import random
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from exporter.accounting.buckets import BUCKET, HOUR
from exporter.accounting.days import day_of, day_start
from exporter.store import State, calendar

ZONE: Final = ZoneInfo("Europe/Berlin")
END: Final = 1_783_000_200
"""Unix seconds: 2 July 2026, 15:50 in Berlin."""

DAYS: Final = 14
LONG: Final = 92
"""Days of five minutes, and of hours and days."""

MOVING: Final = 0.62
"""The share of clients that move bytes in a bucket."""

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
