"""What it costs to ask an archive of five million rows: every view, query and analytic, on both databases."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from benchmarks import bulk, copied
from benchmarks.bulk import FIRST, WAN, ZONE, Past
from benchmarks.stopwatch import cpu
from exporter.accounting.analytics import Compared, Moved, Ranked, Usual, anomaly, compare, top
from exporter.accounting.buckets import BUCKET, HOUR
from exporter.accounting.days import day_from, day_of, day_start
from exporter.accounting.percentile import Percentile, percentile
from exporter.store import queries
from tests.archive.server import FEEDER, PASSWORDS, Database

END: Final = 1_783_000_200
"""Unix seconds: 2 July 2026, 15:50 in Berlin."""

DAYS: Final = 14
LONG: Final = 92
"""Days of five minutes, and of hours and days."""

HOURS: Final = 0.8
MOMENTS: Final = 0.775
"""The shares of clients that move bytes in an hour, and in five minutes of it."""

SILENCES: Final = tuple((END - ago, 30_000) for ago in (11 * 86_400, 5 * 86_400, 40_200))

VIEWS: Final = (
    "v_usage_daily WHERE date = '2026-06-20'",
    "v_usage_daily WHERE date = '2026-07-02'",
    "v_usage_daily WHERE day BETWEEN 20605 AND 20634 AND kind = 'wan'",
    "v_usage_daily",
    "v_usage_daily LIMIT 100",
    "v_usage_month WHERE month = '2026-06'",
    "v_usage_month",
    "v_top_clients WHERE month = '2026-06' AND rank <= 10",
    "v_bandwidth_summary",
)


class Asked(NamedTuple):
    """A question: seconds in the database, seconds until Python had the rows, and how many these were."""

    name: str
    inside: float | None
    whole: float
    rows: int


def main(rows: int, rounds: int) -> None:
    """Build an archive in both databases and print how long each question takes."""
    clients = round(rows / (DAYS * 288 + 190) / HOURS / MOMENTS) - 2
    with tempfile.TemporaryDirectory() as folder, copied.server() as database:
        path = Path(folder) / "bandwidth.db"
        bulk.build(path, Past(clients, END, DAYS, LONG, HOURS, MOMENTS, SILENCES))
        copied.copy(path, database)
        print(f"{_rows(path):,} rows of five minutes: {clients:,} clients, {DAYS} days; {LONG} of hours and of days;")
        size = path.stat().st_size / 2**20
        print(f"{len(SILENCES)} silences of all of them; {size:.0f} MiB. ms of the fastest of {rounds}")
        print("SQLite, CPU: in the database, until Python has the rows; rows")
        _print(_of_sqlite(path, rounds))
        print("PostgreSQL, CPU: in the server without handing rows over, server and Python with that; rows")
        _print(_of_postgresql(path, database, rounds))


def _rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as file:
        return int(file.execute("SELECT count(*) FROM usage").fetchone()[0])


def _print(asked: Iterator[Asked]) -> None:
    for name, inside, whole, rows in asked:
        spent = "" if inside is None else f"{inside * 1000:.0f}"
        print(f"  {name:62}{spent:>8}{whole * 1000:8.0f}{rows:10,}", flush=True)


def _of_sqlite(path: Path, rounds: int) -> Iterator[Asked]:
    with closing(sqlite3.connect(path)) as file:

        def fetched(query: str) -> list[Any]:
            return file.execute(query).fetchall()

        for view in VIEWS:
            names = [str(each[0]) for each in file.execute(_ALL.format(f"{view.split()[0]} LIMIT 0")).description]
            every = _INSIDE.format(", ".join(f"max({name})" for name in names), _ALL.format(view))
            inside = cpu(partial(fetched, every), rounds)
            whole = cpu(partial(fetched, _ALL.format(view)), rounds)
            yield Asked(view, inside, whole, len(fetched(_ALL.format(view))))
    with queries.reading(path) as history:
        for name, ask in _questions(history).items():
            yield Asked(name, None, cpu(ask, rounds), len(ask()))


def _of_postgresql(path: Path, database: Database, rounds: int) -> Iterator[Asked]:
    with closing(sqlite3.connect(path)) as file:
        (ledger,) = file.execute("SELECT value FROM meta WHERE key = 'exporter_id'").fetchone()
    url = database.url(FEEDER).replace("postgresql://", "postgresql+psycopg2://")
    engine = sa.create_engine(url, connect_args={"password": PASSWORDS[FEEDER]})
    with engine.connect() as connection:

        def fetched(query: str) -> Sequence[Any]:
            return connection.exec_driver_sql(query).fetchall()

        (server,) = fetched("SELECT pg_backend_pid()")[0]
        connection.exec_driver_sql("SET max_parallel_workers_per_gather = 0")

        for view in VIEWS:
            query = _ALL.format(view)
            inside, _ = _with_server(server, partial(fetched, _EXPLAINED.format(query)), rounds)
            yield Asked(view, inside, sum(_with_server(server, partial(fetched, query), rounds)), len(fetched(query)))
        history = queries.History.of_ledger(connection, ledger)
        assert history is not None
        for name, ask in _questions(history).items():
            yield Asked(name, None, sum(_with_server(server, ask, rounds)), len(ask()))
    engine.dispose()


_ALL: Final = "SELECT * FROM {}"
_INSIDE: Final = "SELECT {} FROM ({})"
_EXPLAINED: Final = "EXPLAIN (ANALYZE, TIMING OFF) {}"


def _with_server(server: int, work: Callable[[], object], rounds: int) -> tuple[float, float]:
    """CPU seconds of a server's process and of ours, of the round in which they were fewest."""
    spent = []
    for _ in range(rounds):
        there, here = _cpu_of(server), time.process_time()
        work()
        spent.append((_cpu_of(server) - there, time.process_time() - here))
    return min(spent, key=sum)


def _cpu_of(process: int) -> float:
    """Linux alone says it exactly enough."""
    return int(Path(f"/proc/{process}/schedstat").read_text().split()[0]) / 1e9


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
        beside = queries.beside_earlier(history, [FIRST], [END // HOUR * HOUR - 4 * HOUR], 28)
        return [anomaly(10**9, each.earlier) for each in beside]

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
